//! Prologs, epilogs and housekeeping in virtual time.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::World;

const BOTH: &str = "submit validate depend priority alloc prolog-start prolog-finish start finish epilog-start release \
                    epilog-finish free clean";

fn world(job_manager: Value) -> World {
    let mut world = World::with_config(json!({"job-manager": job_manager}));
    world.sched.ranks = "0-1";
    world
}

fn exception(world: &World, id: flux_types::JobId) -> Value {
    let log = world.eventlog(id);
    let entry = log.iter().find(|entry| entry.name == "exception").expect("an exception");
    json!([entry.get("type"), entry.get("severity"), entry.get("note")])
}

#[test]
fn the_shells_wait_for_the_prolog_and_the_resources_for_the_epilog() {
    let mut world =
        world(json!({"prolog": {"command": ["pro", "x"], "per-rank": true}, "epilog": {"command": ["epi"]}}));
    let id = world.submit();
    assert_eq!(world.commands.len(), 2, "one for each rank");
    let body = world.commands[0].payload.value().unwrap();
    assert_eq!(body["cmd"]["cmdline"], json!(["pro", "x"]));
    let env = json!({"FLUX_JOB_ID": id.to_string(), "FLUX_JOB_RANKS": "0-1", "FLUX_JOB_USERID": "1000"});
    assert_eq!(body["cmd"]["env"], env);
    world.command_ends(1, "fine", 0);
    assert!(world.exec.shells.is_empty(), "all of them must have ended");
    world.command_ends(0, " ", 0);
    assert!(world.exec.shells.contains(&id));
    assert!(world.log.iter().any(|line| line.ends_with("prolog: unknown (rank 1): stderr: fine")), "{:?}", world.log);
    assert!(!world.log.iter().any(|line| line.ends_with("stderr:  ")), "empty lines are left out");
    world.finish(id, 0);
    assert!(world.sched.freed.is_empty(), "the epilog holds them");
    assert_eq!(world.commands.len(), 1, "on rank 0 only");
    world.command_ends(0, "", 0);
    assert_eq!(world.events(id), BOTH);
    let finish = world.eventlog(id).into_iter().find(|entry| entry.name == "prolog-finish").unwrap();
    assert_eq!(json!(finish.context), json!({"description": "job-manager.prolog", "status": 0}));
}

#[test]
fn a_prolog_that_fails_ends_the_job_drains_its_nodes_and_runs_the_epilog() {
    let mut world = world(json!({"prolog": {"command": ["pro"], "per-rank": true}, "epilog": {"command": ["epi"]}}));
    let id = world.submit();
    world.command_ends(0, "", 0);
    world.command_ends(1, "no", 1 << 8);
    let drain = json!({"targets": "1", "reason": format!("prolog failed for job {id}"), "mode": "update"});
    assert_eq!(world.drains, [drain]);
    assert_eq!(exception(&world, id), json!(["prolog", 0, "prolog exited with code=1 on unknown (rank 1)"]));
    world.command_ends(0, "", 0);
    let want = "submit validate depend priority alloc prolog-start epilog-start exception prolog-finish \
                epilog-finish free clean";
    assert_eq!(world.events(id), want);
    assert!(world.exec.starts.is_empty(), "it never ran");
}

#[test]
fn a_prolog_is_canceled_by_an_exception_and_given_up_after_its_time() {
    let mut world = world(json!({"prolog": {"command": ["pro"], "kill-timeout": 5.0}}));
    let first = world.submit();
    world.cancel(first);
    assert_eq!(world.signals, [(0, 15)]);
    world.command_ends(0, "", 15);
    assert!(world.drains.is_empty());
    assert!(world.events(first).ends_with("exception prolog-finish free clean"), "{}", world.events(first));
    let stuck = world.submit();
    world.cancel(stuck);
    world.advance(Duration::from_secs(6));
    let reason = format!("prolog canceled then timed out for job {stuck}");
    assert_eq!(world.drains, [json!({"targets": "0", "reason": reason, "mode": "update"})]);
    assert!(world.events(stuck).ends_with("clean"), "{}", world.events(stuck));
}

#[test]
fn a_prolog_that_takes_too_long_is_ended() {
    let mut world = world(json!({"prolog": {"command": ["pro"], "timeout": "10s"}}));
    let id = world.submit();
    world.advance(Duration::from_secs(11));
    assert_eq!(world.signals, [(0, 15)]);
    world.command_ends(0, "", 15);
    assert_eq!(exception(&world, id), json!(["prolog", 0, "prolog timed out on host (rank 0)"]));
}

#[test]
fn what_was_under_way_is_run_again_after_a_restart() {
    let mut world = world(json!({"prolog": {"command": ["pro"]}, "epilog": {"command": ["epi"]}}));
    world.sched.ranks = "0";
    let id = world.submit();
    world.commands.clear();
    world.crash();
    world.sched_up();
    world.exec_up();
    world.command_ends(0, "", 0);
    world.finish(id, 0);
    world.commands.clear();
    world.crash();
    world.sched_up();
    world.exec_up();
    world.command_ends(0, "", 0);
    assert_eq!(world.events(id), BOTH);
    assert_eq!(world.exec.starts[&id], 1);
}

#[test]
fn housekeeping_gives_nodes_back_as_they_are_done() {
    let mut world = world(json!({"housekeeping": {"command": ["hk"], "release-after": "0"}}));
    let id = world.submit();
    world.finish(id, 0);
    assert!(world.events(id).ends_with("free clean"), "the job itself is over");
    assert!(world.sched.freed.is_empty());
    let running = world.manager().stats()["housekeeping"]["running"][id.to_string()].clone();
    assert_eq!((&running["pending"], &running["allocated"]), (&json!("0-1"), &json!("0-1")));
    world.command_ends(1, "", 1 << 8);
    assert_eq!(world.sched.freed, [("1".to_owned(), false)]);
    assert!(world.log.iter().any(|line| line.contains("(rank 1)") && line.ends_with("nonzero exit code")));
    world.rpc("job-manager.housekeeping-kill", json!({"signum": 9})).unwrap();
    assert_eq!(world.signals, [(0, 9)]);
    world.command_ends(0, "", 9);
    assert_eq!(world.sched.freed, [("1".to_owned(), false), ("0".to_owned(), true)]);
    assert_eq!(world.manager().stats()["housekeeping"]["running"], json!({}));
}

#[test]
fn housekeeping_releases_all_at_once_or_after_a_while() {
    let mut world = world(json!({"housekeeping": {"command": ["hk"]}}));
    let id = world.submit();
    world.finish(id, 0);
    world.command_ends(0, "", 0);
    assert!(world.sched.freed.is_empty());
    world.command_ends(1, "", 0);
    assert_eq!(world.sched.freed, [("0-1".to_owned(), true)]);
    let mut world = self::world(json!({"housekeeping": {"command": ["hk"], "release-after": "5s"}}));
    let id = world.submit();
    world.finish(id, 0);
    world.command_ends(0, "", 0);
    assert!(world.sched.freed.is_empty());
    world.advance(Duration::from_secs(6));
    assert_eq!(world.sched.freed, [("0".to_owned(), false)]);
}

#[test]
fn housekeeping_goes_on_after_a_restart_where_it_was_not_over() {
    let mut world = world(json!({"housekeeping": {"command": ["hk"]}}));
    let id = world.submit();
    world.finish(id, 0);
    world.command_ends(1, "", 0);
    world.commands.clear();
    world.crash();
    world.sched_up();
    assert_eq!(world.commands.len(), 1, "rank 1 was done");
    let body = world.commands[0].payload.value().unwrap();
    let env = json!({"FLUX_JOB_ID": id.0.to_string(), "FLUX_JOB_RANKS": "0-1", "FLUX_JOB_USERID": "1000"});
    assert_eq!((&body["cmd"]["cmdline"], &body["cmd"]["env"]), (&json!(["hk"]), &env));
    let running = world.manager().stats()["housekeeping"]["running"][id.to_string()].clone();
    assert_eq!((&running["pending"], &running["allocated"]), (&json!("0"), &json!("0-1")));
    world.command_ends(0, "", 0);
    assert_eq!(world.manager().stats()["housekeeping"]["running"], json!({}));
    assert_eq!(world.sched.freed.last(), Some(&("0-1".to_owned(), true)));
    world.commands.clear();
    world.crash();
    assert!(world.commands.is_empty(), "it is over");
}

#[test]
fn tables_that_make_no_sense_are_refused() {
    for table in [
        json!({"prolog": {}}),
        json!({"prolog": {"command": "x"}}),
        json!({"prolog": {"command": ["x"], "timeout": "never"}}),
        json!({"epilog": {"command": ["x"], "nosuch": 1}}),
        json!({"perilog": {"log-ignore": ["("]}}),
        json!({"housekeeping": {}}),
        json!({"housekeeping": {"command": ["x"], "release-after": "soon"}}),
    ] {
        let config = json!({"job-manager": table});
        let refused = super::Conf::read(&config).is_err() || crate::manager::housekeeping::Conf::read(&config).is_err();
        assert!(refused, "{table}");
    }
}
