//! Queues over a small cluster.

use super::*;
use crate::error::MatchError;
use crate::fluxion::{Fluxion, FluxionConfig};
use serde_json::{Value, json};

/// Four nodes of four cores.
fn cluster() -> Fluxion {
    let r = json!({"version": 1, "execution": {"R_lite": [{"rank": "0-3", "children": {"core": "0-3"}}],
        "nodelist": ["n[0-3]"], "starttime": 0, "expiration": 0}});
    Fluxion::from_r(&r, &FluxionConfig::default(), 0).expect("a good R")
}

fn nodes(count: u32, duration: u32) -> Value {
    let slot = json!([{"type": "slot", "count": 1, "label": "s", "with": [{"type": "core", "count": 4}]}]);
    json!({"version": 1, "resources": [{"type": "node", "count": count, "exclusive": true, "with": slot}],
           "tasks": [{"command": ["a"], "slot": "s", "count": {"per_slot": 1}}],
           "attributes": {"system": {"duration": duration}}})
}

fn queue(policy: &str) -> Queue {
    Queue::new(QueueConfig::new(QueuePolicy::from_name(policy).expect("a policy")))
}

/// Jobs that start, with how.
fn started(cycle: &Cycle) -> Vec<(u64, Selection)> {
    let starts = cycle.decisions.iter().filter_map(|decision| match decision {
        Decision::Start { id, selection, .. } => Some((*id, *selection)),
        _ => None,
    });
    starts.collect()
}

/// Three nodes run until 100; then two wait that need all; then small ones, short and long.
fn filled(policy: &str) -> (Fluxion, Queue) {
    let (mut fluxion, mut queue) = (cluster(), queue(policy));
    let jobs = [(1, nodes(3, 100)), (2, nodes(4, 100)), (3, nodes(2, 100)), (4, nodes(1, 50)), (5, nodes(1, 500))];
    for (id, jobspec) in jobs {
        queue.submit(id, 16, id, &jobspec).expect("room in the queue");
    }
    let cycle = queue.cycle(&mut fluxion, 0);
    assert_eq!(started(&cycle)[0], (1, Selection::Immediate), "policy {policy}");
    (fluxion, queue)
}

#[test]
fn policies_differ_in_whom_they_protect() {
    let rows = [
        ("fcfs", vec![2, 3, 4, 5], None),
        ("easy", vec![2, 3, 5], Some(100)),
        ("hybrid", vec![2, 3, 5], Some(100)),
        ("conservative", vec![2, 3, 5], Some(100)),
    ];
    for (policy, waiting, at) in rows {
        let (_, queue) = filled(policy);
        assert_eq!(queue.order().collect::<Vec<_>>(), waiting, "policy {policy}");
        assert_eq!(queue.why(2), Some(at.map_or(Why::Busy, |at| Why::Reserved { at })), "policy {policy}");
    }
    let (_, easy) = filled("easy");
    assert_eq!((easy.why(3), easy.why(5)), (Some(Why::Busy), Some(Why::Busy)));
    let (_, conservative) = filled("conservative");
    assert_eq!(conservative.why(3), Some(Why::Reserved { at: 200 }));
    assert_eq!(conservative.why(5), Some(Why::Reserved { at: 200 }));
    let (_, fcfs) = filled("fcfs");
    assert_eq!(fcfs.why(3), Some(Why::BehindAnother));
}

#[test]
fn what_was_reserved_starts_as_such() {
    let (mut fluxion, mut queue) = filled("easy");
    fluxion.cancel(1).expect("it ran");
    fluxion.cancel(4).expect("it was backfilled");
    let cycle = queue.cycle(&mut fluxion, 60);
    assert_eq!(started(&cycle), [(2, Selection::Reserved)]);
    assert_eq!(queue.why(3), Some(Why::Reserved { at: 160 }));
}

#[test]
fn priority_goes_before_age() {
    let (mut fluxion, mut queue) = (cluster(), queue("fcfs"));
    for (id, priority) in [(1, 16), (2, 16), (3, 31), (4, 16)] {
        queue.submit(id, priority, 10 - id, &nodes(1, 1)).expect("room in the queue");
    }
    assert_eq!(queue.order().collect::<Vec<_>>(), [3, 4, 2, 1]);
    assert!(queue.prioritize(1, 20) && !queue.prioritize(9, 20));
    assert!(queue.remove(4) && !queue.remove(4));
    let order: Vec<u64> = started(&queue.cycle(&mut fluxion, 0)).into_iter().map(|(id, _)| id).collect();
    assert_eq!(order, [3, 1, 2]);
    assert!(queue.is_empty() && !queue.is_due());
}

#[test]
fn what_never_fits_is_rejected_and_what_is_down_is_waited_for() {
    let (mut fluxion, mut queue) = (cluster(), queue("easy"));
    fluxion.set_down(&flux_types::Idset::parse("3").expect("an idset"));
    for (id, count) in [(1, 5), (2, 4), (3, 3)] {
        queue.submit(id, 16, id, &nodes(count, 10)).expect("room in the queue");
    }
    let cycle = queue.cycle(&mut fluxion, 0);
    assert_eq!(started(&cycle), [(3, Selection::Immediate)]);
    assert!(cycle.decisions.contains(&Decision::Reject { id: 1, error: MatchError::Unsatisfiable }), "{cycle:?}");
    assert_eq!(queue.why(2), Some(Why::Blocked));
    fluxion.set_up(&flux_types::Idset::parse("3").expect("an idset"));
    queue.notice_status();
    let cycle = queue.cycle(&mut fluxion, 0);
    assert_eq!(queue.why(2), Some(Why::Reserved { at: 10 }), "{cycle:?}");
}

#[test]
fn under_fcfs_the_impossible_holds_up_nobody() {
    let (mut fluxion, mut queue) = (cluster(), queue("fcfs"));
    fluxion.set_down(&flux_types::Idset::parse("3").expect("an idset"));
    for (id, count) in [(1, 5), (2, 1), (3, 4), (4, 1)] {
        queue.submit(id, 16, id, &nodes(count, 10)).expect("room in the queue");
    }
    let cycle = queue.cycle(&mut fluxion, 0);
    assert_eq!(cycle.decisions[0], Decision::Reject { id: 1, error: MatchError::Unsatisfiable });
    assert_eq!(started(&cycle), [(2, Selection::Immediate)]);
    assert_eq!((queue.why(3), queue.why(4)), (Some(Why::Busy), Some(Why::BehindAnother)));
}

#[test]
fn a_removed_job_leaves_no_reservation() {
    let (mut fluxion, mut queue) = filled("easy");
    assert!(queue.remove(2));
    queue.cycle(&mut fluxion, 0);
    assert_eq!(fluxion.job(2), None);
}

#[test]
fn a_deep_queue_is_looked_at_in_pieces() {
    let (mut fluxion, mut queue) = (cluster(), queue("easy"));
    queue.config.queue_depth = 2;
    for id in 1..=5 {
        queue.submit(id, 16, id, &nodes(1, 10)).expect("room in the queue");
    }
    let counts: Vec<(usize, bool)> = (0..3)
        .map(|_| {
            let cycle = queue.cycle(&mut fluxion, 0);
            (started(&cycle).len(), cycle.has_more)
        })
        .collect();
    assert_eq!(counts, [(2, true), (2, true), (0, false)]);
}

#[test]
fn tables_configure_queues() {
    let rows = [
        (json!({}), QueuePolicy::Fcfs, 32, 0),
        (json!({"queue-policy": "easy", "queue-params": {"queue-depth": 8}}), QueuePolicy::Easy, 8, 1),
        (
            json!({"queue-policy": "hybrid", "queue-params": "queue-depth=8,max-queue-depth=4"}),
            QueuePolicy::Hybrid,
            4,
            64,
        ),
        (
            json!({"queue-policy": "hybrid", "policy-params": {"reservation-depth": "9", "max-reservation-depth": 5}}),
            QueuePolicy::Hybrid,
            32,
            5,
        ),
        (
            json!({"queue-policy": "conservative", "queue-params": {"queue-depth": 100}}),
            QueuePolicy::Conservative,
            100,
            100,
        ),
    ];
    for (table, policy, queue_depth, reservation_depth) in rows {
        let got = QueueConfig::from_table(&table).expect("a good table");
        assert_eq!(
            (got.policy, got.queue_depth, got.reservation_depth),
            (policy, queue_depth, reservation_depth),
            "table {table}"
        );
    }
    for bad in [
        json!({"queue-policy": "lifo"}),
        json!({"queue-policy": 1}),
        json!({"queue-params": {"queue-depth": 0}}),
        json!({"queue-params": "queue-depth=x"}),
        json!({"policy-params": [1]}),
        json!({"queue-order": "size"}),
    ] {
        assert!(QueueConfig::from_table(&bad).is_err(), "table {bad}");
    }
}

#[test]
fn what_comes_behind_others_is_refused_at_once_too() {
    let (mut fluxion, mut queue) = (cluster(), queue("fcfs"));
    for id in 1..=3 {
        queue.submit(id, 16, id, &nodes(4, 10)).expect("room in the queue");
    }
    assert_eq!(started(&queue.cycle(&mut fluxion, 0)), [(1, Selection::Immediate)]);
    for (id, count) in [(4, 1), (5, 5), (6, 5), (7, 1)] {
        queue.submit(id, 16, id, &nodes(count, 10)).expect("room in the queue");
        let rejected = queue.cycle(&mut fluxion, 0).decisions;
        assert_eq!(rejected.len(), usize::from(count == 5), "job {id}: {rejected:?}");
    }
    assert_eq!(
        (queue.why(2), queue.why(3), queue.why(7)),
        (Some(Why::Busy), Some(Why::BehindAnother), Some(Why::BehindAnother))
    );
    queue.submit(8, 31, 8, &nodes(4, 10)).expect("room in the queue");
    queue.cycle(&mut fluxion, 0);
    assert_eq!((queue.why(8), queue.why(2)), (Some(Why::Busy), Some(Why::BehindAnother)));
}

/// Goal: a cycle in pieces decides what a whole one decides. Method: two queues over two graphs, one stopped after every match.
#[test]
fn a_cycle_that_stops_after_every_match_decides_the_same() {
    for policy in [QueuePolicy::Fcfs, QueuePolicy::Easy, QueuePolicy::Hybrid, QueuePolicy::Conservative] {
        let mut said = [false, true].map(|is_over| {
            let mut fluxion = cluster();
            let mut queue = Queue::new(QueueConfig { queue_depth: 6, ..QueueConfig::new(policy) });
            let (mut decisions, mut stops) = (Vec::new(), 0);
            for round in 0..6u64 {
                for id in round * 10 + 1..round * 10 + 8 {
                    let count = 1 + id * 7 % 4;
                    queue.submit(id, 16, id, &nodes(count as u32, 60 + id as u32 % 5 * 30)).expect("a good job");
                }
                let end = fluxion.running().next();
                if let Some(id) = end {
                    fluxion.cancel(id).expect("it runs");
                    queue.notice_room();
                }
                while queue.is_due() {
                    decisions.extend(queue.cycle_until(&mut fluxion, 0, &|| is_over).decisions);
                    stops += u32::from(queue.is_stopped());
                }
            }
            assert_eq!(stops > 0, is_over, "{policy:?}");
            decisions
        });
        for decisions in &mut said {
            for decision in decisions {
                if let Decision::Start { allocation, .. } = decision {
                    allocation.overhead = 0.0;
                }
            }
        }
        assert_eq!(said[0], said[1], "{policy:?}");
    }
}

#[test]
fn who_waits_for_jobs_without_a_limit_starts_when_they_end() {
    for policy in ["fcfs", "easy", "hybrid", "conservative"] {
        let (mut fluxion, mut queue) = (cluster(), queue(policy));
        for id in 1..=6 {
            queue.submit(id, 16, id, &nodes(3, 0)).expect("room in the queue");
        }
        for id in 1..=6 {
            let cycle = queue.cycle(&mut fluxion, id as i64);
            assert_eq!(started(&cycle).len(), 1, "{policy}: {cycle:?}");
            assert_eq!(queue.order().count() as u64, 6 - id, "{policy}: none is blocked, as nothing is down");
            assert!(id == 6 || queue.why(6) != Some(Why::Blocked), "{policy}");
            fluxion.cancel(id).expect("it ran");
            queue.notice_room();
        }
    }
}

#[test]
fn who_would_begin_after_the_end_of_the_instance_begins_earlier_if_it_can() {
    let (mut fluxion, mut queue) = (cluster(), queue("easy"));
    fluxion.set_expiration(100, 0);
    queue.submit(1, 16, 1, &nodes(4, 100)).expect("room in the queue");
    queue.submit(2, 16, 2, &nodes(4, 10)).expect("room in the queue");
    assert_eq!(started(&queue.cycle(&mut fluxion, 0)), [(1, Selection::Immediate)]);
    assert_eq!(queue.why(2), Some(Why::Busy));
    fluxion.cancel(1).expect("it ran");
    queue.notice_room();
    assert_eq!(started(&queue.cycle(&mut fluxion, 50)).len(), 1);
}
