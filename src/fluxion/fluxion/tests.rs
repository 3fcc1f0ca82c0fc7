//! The scheduler as a service uses it.

use super::*;
use flux_types::Idset;
use serde_json::json;

const NOW: i64 = 1_700_000_000;

fn inventory() -> Value {
    json!({"version": 1, "execution": {
        "R_lite": [{"rank": "0-3", "children": {"core": "0-3", "gpu": "0"}}],
        "nodelist": ["n[0-3]"], "starttime": 0, "expiration": 0}})
}

fn scheduler() -> Fluxion {
    Fluxion::from_r(&inventory(), &FluxionConfig { match_policy: "lonode".into(), ..Default::default() }, NOW)
        .expect("a good R")
}

fn jobspec(resources: Value, duration: f64) -> Value {
    json!({"version": 1, "resources": resources, "tasks": [{"command": ["a"], "slot": "task", "count": {"per_slot": 1}}],
           "attributes": {"system": {"duration": duration}}})
}

/// So many slots of so many cores.
fn cores(slots: u32, cores: u32, duration: f64) -> Value {
    let with = json!([{"type": "core", "count": cores}]);
    jobspec(json!([{"type": "slot", "count": slots, "label": "task", "with": with}]), duration)
}

/// So many whole nodes.
fn nodes(count: u32, duration: f64) -> Value {
    let slot = json!([{"type": "slot", "count": 1, "label": "task", "with": [{"type": "core", "count": 1}]}]);
    jobspec(json!([{"type": "node", "count": count, "exclusive": true, "with": slot}]), duration)
}

#[test]
fn r_says_where_and_until_when() {
    let mut fluxion = scheduler();
    let got = fluxion.match_job(MatchOp::Allocate, 1, &cores(1, 2, 60.5), NOW).expect("room");
    let want = json!({"version": 1, "execution": {"R_lite": [{"rank": "0", "children": {"core": "0-1"}}],
        "nodelist": ["n0"], "starttime": NOW, "expiration": NOW + 61}});
    assert_eq!(got, Allocation { r: want, at: NOW, is_reserved: false, duration: 60.5, overhead: 0.0 });
    let got = fluxion.match_job(MatchOp::Allocate, 2, &nodes(2, 0.0), NOW).expect("room");
    assert_eq!(got.r["execution"]["R_lite"], json!([{"rank": "1-2", "children": {"core": "0-3", "gpu": "0"}}]));
    assert_eq!(got.r["execution"]["expiration"], 0, "no duration, no expiration");
    assert_eq!(fluxion.match_job(MatchOp::Allocate, 1, &cores(1, 1, 1.0), NOW), Err(MatchError::Exists(1)));
}

#[test]
fn an_instance_that_ends_bounds_its_jobs() {
    let mut r = inventory();
    r["execution"]["expiration"] = json!(NOW + 100);
    let mut fluxion = Fluxion::from_r(&r, &FluxionConfig::default(), NOW).expect("a good R");
    for duration in [0.0, 1000.0] {
        let got = fluxion.match_job(MatchOp::WithoutAllocating, 1, &cores(1, 1, duration), NOW).expect("room");
        assert_eq!(got.r["execution"]["expiration"], NOW + 100, "duration {duration}");
    }
}

#[test]
fn answers_carry_their_errno() {
    let mut fluxion = scheduler();
    fluxion.match_job(MatchOp::Allocate, 1, &nodes(3, 10.0), NOW).expect("room");
    let rows = [
        (MatchOp::Allocate, nodes(2, 1.0), 16),
        (MatchOp::AllocateWithSatisfiability, nodes(2, 1.0), 16),
        (MatchOp::AllocateWithSatisfiability, nodes(5, 1.0), 19),
        (MatchOp::Satisfiability, nodes(5, 1.0), 19),
        (MatchOp::Allocate, nodes(1, -1.0), 22),
        (MatchOp::Allocate, json!({"version": 1}), 22),
        (MatchOp::Allocate, jobspec(json!([]), 1.0), 22),
    ];
    for (op, spec, errno) in rows {
        let said = fluxion.match_job(op, 9, &spec, NOW).map_err(|error| error.errno());
        assert_eq!(said, Err(errno), "{op:?} of {spec}");
    }
    assert_eq!(fluxion.satisfiable(&nodes(4, 1.0), NOW), Ok(()));
    assert_eq!(fluxion.cancel(9).map_err(|error| error.errno()), Err(2));
}

#[test]
fn a_reservation_begins_when_room_is_made() {
    let mut fluxion = scheduler();
    fluxion.match_job(MatchOp::Allocate, 1, &nodes(3, 10.0), NOW).expect("room");
    let got = fluxion.match_job(MatchOp::AllocateOrElseReserve, 2, &nodes(2, 5.0), NOW).expect("room later");
    assert_eq!((got.at, got.is_reserved), (NOW + 10, true));
    assert_eq!(fluxion.job(2), Some((NOW + 10, NOW + 15, true)));
    fluxion.cancel(2).expect("it was reserved");
    fluxion.set_job_expiration(1, NOW + 30).expect("it runs");
    let got = fluxion.match_job(MatchOp::AllocateOrElseReserve, 2, &nodes(2, 5.0), NOW).expect("room later");
    assert_eq!(got.at, NOW + 30);
}

#[test]
fn a_job_that_overruns_keeps_what_it_has() {
    let mut fluxion = scheduler();
    fluxion.match_job(MatchOp::Allocate, 1, &nodes(4, 10.0), NOW).expect("room");
    assert_eq!(fluxion.match_job(MatchOp::Allocate, 2, &cores(1, 1, 5.0), NOW + 50), Err(MatchError::Busy));
    fluxion.cancel(1).expect("it ran");
    assert!(fluxion.match_job(MatchOp::Allocate, 2, &cores(1, 1, 5.0), NOW + 50).is_ok());
}

#[test]
fn running_jobs_are_put_back_exactly() {
    let mut before = scheduler();
    let mut after = scheduler();
    for (id, spec) in [(1, cores(1, 3, 100.0)), (2, nodes(1, 200.0)), (3, cores(2, 2, 0.0))] {
        let got = before.match_job(MatchOp::Allocate, id, &spec, NOW).expect("room");
        after.update(id, &got.r, NOW).expect("the same graph");
    }
    assert_eq!(before.resource_status(NOW), after.resource_status(NOW));
    let next = cores(1, 4, 10.0);
    let got = before.match_job(MatchOp::AllocateOrElseReserve, 4, &next, NOW);
    assert_eq!(got, after.match_job(MatchOp::AllocateOrElseReserve, 4, &next, NOW));
    let other = got.expect("room").r;
    assert_eq!(after.update(9, &other, NOW).map_err(|error| error.errno()), Err(16), "it is in use");
    assert_eq!(after.update(1, &other, NOW).map_err(|error| error.errno()), Err(17), "the job holds something");
}

#[test]
fn ranks_that_are_down_are_left_out() {
    let mut fluxion = scheduler();
    fluxion.set_down(&Idset::parse("0,2").expect("an idset"));
    let got = fluxion.match_job(MatchOp::Allocate, 1, &nodes(2, 1.0), NOW).expect("room");
    assert_eq!(got.r["execution"]["R_lite"][0]["rank"], "1,3");
    assert_eq!(fluxion.match_job(MatchOp::Allocate, 2, &cores(1, 1, 1.0), NOW), Err(MatchError::Busy));
    let [all, down, used] = fluxion.resource_status(NOW).expect("a graph");
    let rank = |r: &Option<Value>| r.as_ref().map(|r| r["execution"]["R_lite"][0]["rank"].clone());
    assert_eq!([rank(&all), rank(&down), rank(&used)], [Some(json!("0-3")), Some(json!("0,2")), Some(json!("1,3"))]);
    fluxion.set_up(&Idset::parse("2").expect("an idset"));
    assert!(fluxion.match_job(MatchOp::Allocate, 2, &cores(1, 1, 1.0), NOW).is_ok());
}

#[test]
fn a_job_gives_ranks_back_until_none_are_left() {
    let mut fluxion = scheduler();
    fluxion.match_job(MatchOp::Allocate, 1, &nodes(2, 1.0), NOW).expect("room");
    let part = |rank: &str, host: &str| {
        json!({"version": 1, "execution": {"R_lite": [{"rank": rank, "children": {"core": "0-3", "gpu": "0"}}],
            "nodelist": [host], "starttime": 0, "expiration": 0}})
    };
    assert_eq!(fluxion.partial_cancel(1, &part("1", "n1")), Ok(false));
    let [_, _, used] = fluxion.resource_status(NOW).expect("a graph");
    assert_eq!(used.expect("some")["execution"]["R_lite"][0]["rank"], "0");
    assert_eq!(fluxion.partial_cancel(1, &part("0", "n0")), Ok(true));
    assert_eq!(fluxion.resource_status(NOW).expect("a graph")[2], None);
    assert_eq!(fluxion.partial_cancel(1, &part("0", "n0")).map_err(|error| error.errno()), Err(2));
}

#[test]
fn ranks_come_and_go() {
    let mut fluxion = scheduler();
    let more = json!({"version": 1, "execution": {"R_lite": [{"rank": "3-4", "children": {"core": "0-7"}}],
        "nodelist": ["n[3-4]"], "starttime": 0, "expiration": 0}});
    assert_eq!(fluxion.satisfiable(&cores(1, 8, 1.0), NOW), Err(MatchError::Unsatisfiable));
    fluxion.grow(&more).expect("a good R");
    assert_eq!(fluxion.satisfiable(&cores(1, 8, 1.0), NOW), Ok(()));
    fluxion.match_job(MatchOp::Allocate, 1, &cores(1, 8, 1.0), NOW).expect("room");
    fluxion.shrink(&Idset::parse("4").expect("an idset")).expect("it is there");
    assert_eq!(fluxion.job(1), None);
    assert_eq!(fluxion.ranks().count(), 4);
}
