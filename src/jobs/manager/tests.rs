//! The manager with all its neighbours, in virtual time.

use std::time::Duration;

use flux_types::{JobId, JobState};
use flux_wire::{Errno, Flags};
use serde_json::{Value, json};

use crate::harness::{Commits, OWNER, World, guest, jobspec, jobspec_with};
use crate::state::JobFlags;

#[test]
fn a_job_goes_through_all_states() {
    let mut world = World::new();
    let id = world.submit();
    assert_eq!(world.events(id), "submit validate depend priority alloc start");
    world.finish(id, 0);
    assert_eq!(world.events(id), "submit validate depend priority alloc start finish release free clean");
    assert_eq!(world.sched.free, 2);
    assert!(world.key(id, "J").is_some_and(|signed| signed.ends_with(".none")));
    let jobspec: Value = serde_json::from_str(&world.key(id, "jobspec").expect("there")).expect("JSON");
    assert!(jobspec["attributes"]["system"].get("environment").is_none(), "that is in J already");
    let log = world.eventlog(id);
    assert_eq!(
        Value::Object(log[0].context.clone().unwrap()),
        json!({"userid": OWNER, "urgency": 16, "flags": 0, "version": 1})
    );
    assert_eq!(log[4].get("annotations"), Some(&json!({"sched": {"resource_summary": "rank0/core0"}})));
    assert_eq!(log[6].get("status"), Some(&json!(0)));
    assert_eq!(log[7].get("ranks"), Some(&json!("all")));
}

#[test]
fn a_submit_and_a_finish_are_synced_and_nothing_else_is() {
    let mut world = World::new();
    let id = world.submit();
    let synced = |world: &World| world.kvs.commits.iter().filter(|synced| **synced).count();
    assert_eq!(synced(&world), 1, "{:?}", world.kvs.commits);
    world.finish(id, 0);
    assert_eq!(synced(&world), 2, "{:?}", world.kvs.commits);
}

#[test]
fn an_id_is_answered_when_the_job_is_stored_and_not_before() {
    let mut world = World::new();
    world.hold_commits();
    let tag = world.ask("job-ingest.submit", World::submit_body(&jobspec(), 16, 0));
    world.run();
    assert!(world.answer(tag).is_none(), "it waits for the disk");
    assert_eq!(world.exec.shells.len(), 1, "but the job runs meanwhile");
    world.release_commits();
    assert!(world.answer(tag).is_some_and(|answer| answer.is_ok()));
}

#[test]
fn many_submits_of_one_turn_share_one_commit() {
    let mut world = World::new();
    world.sched.hold = true;
    let tags: Vec<u32> =
        (0..100).map(|_| world.ask("job-ingest.submit", World::submit_body(&jobspec(), 16, 0))).collect();
    world.run();
    assert_eq!(world.kvs.commits.len(), 1);
    let mut ids: Vec<u64> =
        tags.iter().map(|tag| world.answer(*tag).unwrap().unwrap()["id"].as_u64().unwrap()).collect();
    assert!(ids.is_sorted());
    ids.dedup();
    assert_eq!(ids.len(), 100);
}

#[test]
fn a_submit_that_cannot_be_stored_is_refused_and_forgotten() {
    let mut world = World::new();
    world.sched.hold = true;
    world.kvs.mode = Commits::Fail(Errno::ENOSPC);
    let refused = world.submit_with(&jobspec(), 16, 0);
    assert_eq!(refused, Err((Errno::ENOSPC, String::new())));
    world.kvs.mode = Commits::AtOnce;
    world.advance(Duration::from_secs(5));
    assert_eq!(world.manager().stats()["active_jobs"], 0);
    assert!(world.kvs.keys.keys().all(|key| !key.starts_with("job.")), "{:?}", world.kvs.keys);
    assert!(world.sched.waiting.is_empty());
}

#[test]
fn a_job_that_ran_before_its_submit_failed_is_ended_and_leaves_nothing() {
    let mut world = World::new();
    world.kvs.mode = Commits::Fail(Errno::ENOSPC);
    assert_eq!(world.submit_with(&jobspec(), 16, 0), Err((Errno::ENOSPC, String::new())));
    assert!(world.exec.shells.is_empty(), "its shell was told to end");
    world.kvs.mode = Commits::AtOnce;
    world.advance(Duration::from_secs(5));
    assert_eq!(world.manager().stats()["active_jobs"], 0);
    assert_eq!(world.sched.free, 2);
    let left: Vec<&String> = world.kvs.keys.keys().filter(|key| key.ends_with("eventlog")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn events_of_a_full_disk_are_written_when_space_returns() {
    let mut world = World::new();
    let id = world.submit();
    world.kvs.mode = Commits::Fail(Errno::ENOSPC);
    world.finish(id, 0);
    assert_eq!(world.events(id), "submit validate depend priority alloc start");
    world.advance(Duration::from_secs(3));
    world.kvs.mode = Commits::AtOnce;
    world.advance(Duration::from_secs(3));
    assert_eq!(world.events(id), "submit validate depend priority alloc start finish release free clean");
}

#[test]
fn the_log_never_tells_of_resources_that_are_not_stored() {
    for space_returns in [false, true] {
        let mut world = World::new();
        world.sched.hold = true;
        let id = world.submit();
        world.kvs.mode = Commits::Fail(Errno::ENOSPC);
        world.sched.hold = false;
        world.schedule();
        world.run();
        assert_eq!(world.key(id, "R"), None);
        assert_eq!(world.events(id), "submit validate depend priority");
        world.kvs.mode = Commits::AtOnce;
        if space_returns {
            world.advance(Duration::from_secs(3));
            assert_eq!(world.events(id), "submit validate depend priority alloc start");
        }
        assert_eq!(world.key(id, "R").is_some(), space_returns);
    }
}

#[test]
fn a_scheduler_that_was_told_of_a_job_is_told_of_its_end_too() {
    let mut world = World::new();
    let id = world.submit();
    world.sched_down();
    let hello = world.stream("job-manager.sched-hello", json!({}));
    world.run();
    let (told, _) = world.told(hello);
    assert_eq!(told[0]["id"], id.0, "it is about to take the job over");
    world.finish(id, 0);
    assert!(world.events(id).ends_with("free clean"));
    assert!(world.sched.allocated.contains(&id), "the scheduler is not ready");
    world.ask("job-manager.sched-ready", json!({"mode": "unlimited"}));
    world.run();
    assert!(!world.sched.allocated.contains(&id));
}

#[test]
fn a_cancelled_job_is_cleaned_up_from_every_state() {
    let mut world = World::new();
    world.sched.hold = true;
    let waiting = world.submit();
    world.cancel(waiting);
    assert_eq!(world.events(waiting), "submit validate depend priority exception clean");
    assert!(world.sched.waiting.is_empty());
    let held = world.submit_with(&jobspec(), 0, 0).expect("held");
    world.cancel(held);
    assert_eq!(world.events(held), "submit validate depend priority exception clean");
    world.sched.hold = false;
    let running = world.submit();
    world.cancel(running);
    assert_eq!(
        world.events(running),
        "submit validate depend priority alloc start exception finish release free clean"
    );
    let exception = world.eventlog(running).into_iter().find(|entry| entry.name == "exception").unwrap();
    let want = json!({"type": "cancel", "severity": 0, "note": "enough", "userid": OWNER});
    assert_eq!(Value::Object(exception.context.unwrap()), want);
    assert!(world.published.iter().all(|event| event.flags.has(Flags::PRIVATE)));
}

#[test]
fn an_allocation_that_crosses_with_a_cancel_goes_straight_back() {
    let mut world = World::new();
    world.sched.hold = true;
    let id = world.submit();
    let (_, request) = world.sched.waiting[0].clone();
    world.cancel(id);
    world.sched.waiting.push((id, request));
    (world.sched.hold, world.sched.free) = (false, 2);
    world.schedule();
    world.run();
    assert_eq!(world.events(id), "submit validate depend priority exception clean");
    assert_eq!(world.sched.free, 2, "given back");
}

#[test]
fn what_is_in_another_job_is_refused_before_it_runs() {
    let mut world = World::new();
    world.overlap = Some("the scheduler erred: core 0 of rank 0 is in another job");
    let id = world.submit();
    assert_eq!(world.events(id), "submit validate depend priority exception clean");
    assert_eq!(
        world.eventlog(id)[4].get("note"),
        Some(&json!("the scheduler erred: core 0 of rank 0 is in another job"))
    );
    assert_eq!(world.sched.free, 2, "the scheduler is told that the job has nothing");
    world.overlap = None;
    let id = world.submit();
    assert!(world.events(id).contains("alloc"), "{}", world.events(id));
}

#[test]
fn what_the_scheduler_denies_ends_with_an_alloc_exception() {
    let mut world = World::new();
    world.sched.deny = Some("unsatisfiable request");
    let id = world.submit();
    assert_eq!(world.events(id), "submit validate depend priority exception clean");
    let log = world.eventlog(id);
    assert_eq!(log[4].get("note"), Some(&json!("unsatisfiable request")));
    assert_eq!(log[4].get("type"), Some(&json!("alloc")));
}

#[test]
fn annotations_are_merged_and_stand_in_the_alloc_event() {
    let mut world = World::new();
    world.sched.hold = true;
    let id = world.submit();
    let say = |world: &mut World, annotations: Value| {
        world.sched_says(id, json!({"id": id.0, "type": 1, "annotations": annotations}));
        world.rpc("job-manager.list", json!({"max_entries": 0})).unwrap()["jobs"][0]["annotations"].clone()
    };
    assert_eq!(say(&mut world, json!({"sched": {"a": 1, "b": {"c": 2}}})), json!({"sched": {"a": 1, "b": {"c": 2}}}));
    assert_eq!(
        say(&mut world, json!({"sched": {"a": null, "b": {"d": 3}}})),
        json!({"sched": {"b": {"c": 2, "d": 3}}})
    );
    assert_eq!(say(&mut world, json!({"sched": null})), Value::Null);
}

#[test]
fn the_queue_is_by_priority_then_age_and_held_jobs_stay_out() {
    let mut world = World::new();
    world.sched.free = 0;
    world.sched.hold = true;
    let low = world.submit_with(&jobspec(), 1, 0).unwrap();
    let held = world.submit_with(&jobspec(), 0, 0).unwrap();
    let first = world.submit();
    let second = world.submit();
    let sent = |world: &World| world.sched.waiting.iter().map(|(id, _)| *id).collect::<Vec<JobId>>();
    assert_eq!(sent(&world), [low, first, second]);
    let old = world.rpc("job-manager.urgency", json!({"id": held.0, "urgency": 31})).unwrap();
    assert_eq!(old, json!({"old_urgency": 0}));
    assert_eq!(sent(&world), [low, first, second, held]);
    world.rpc("job-manager.urgency", json!({"id": low.0, "urgency": 0})).unwrap();
    assert_eq!(sent(&world), [first, second, held]);
    let log = world.eventlog(held);
    assert_eq!(log.last().unwrap().get("priority"), Some(&json!(4_294_967_295u64)));
    assert_eq!(world.events(low), "submit validate depend priority urgency priority");
}

#[test]
fn requests_are_refused_with_the_words_that_clients_know() {
    let mut world = World::new();
    let id = world.submit();
    let guest_cred = guest(2000);
    let raise = json!({"id": id.0, "severity": 0, "type": "cancel"});
    let refused = world.rpc_as("job-manager.raise", raise, guest_cred);
    assert_eq!(refused, Err((Errno::EPERM, "guests can only raise exceptions on their own jobs".into())));
    let refused = world.rpc_as("job-manager.kill", json!({"id": id.0, "signum": 15}), guest_cred);
    assert_eq!(refused, Err((Errno::EPERM, "guests may only send signals to their own jobs".into())));
    let unknown = id.0 + 1;
    let rows = [
        ("raise", json!({"id": id.0, "severity": 8, "type": "x"}), Errno::EPROTO, "invalid exception severity"),
        ("raise", json!({"id": id.0, "severity": 0, "type": "a b"}), Errno::EPROTO, "invalid exception type"),
        ("raise", json!({"id": unknown, "severity": 0, "type": "x"}), Errno::ENOENT, "unknown job id"),
        ("kill", json!({"id": id.0, "signum": 0}), Errno::EINVAL, "Invalid signal number"),
        ("kill", json!({"id": unknown, "signum": 9}), Errno::EINVAL, "unknown job id"),
        ("urgency", json!({"id": id.0, "urgency": 32}), Errno::EINVAL, "urgency value is out of range"),
        (
            "urgency",
            json!({"id": id.0, "urgency": 3}),
            Errno::EINVAL,
            "urgency cannot be changed once resources are allocated",
        ),
        ("wait", json!({"id": id.0}), Errno::ECHILD, "job was not submitted with FLUX_JOB_WAITABLE"),
        ("wait", json!({"id": -1}), Errno::ECHILD, "there are no more waitable jobs"),
        ("queue-status", json!({"name": "no"}), Errno::EINVAL, "'no' is not a valid queue"),
        ("queue-enable", json!({"enable": false, "all": false}), Errno::EINVAL, "reason is required for disable"),
        ("purge-id", json!({"id": id.0, "force": 1}), Errno::EINVAL, "cannot purge active job"),
        ("getattr", json!({"id": id.0, "attrs": ["x"]}), Errno::ENOENT, "unknown attr x"),
        ("memo", json!({"id": unknown, "memo": {}}), Errno::ENOENT, "unknown job id"),
    ];
    for (method, body, errno, text) in rows {
        let answer = world.rpc(&format!("job-manager.{method}"), body.clone());
        assert_eq!(answer, Err((errno, text.to_owned())), "{method} {body}");
    }
    world.finish(id, 0);
    let inactive = world.rpc("job-manager.raise", json!({"id": id.0, "severity": 0, "type": "x"}));
    assert_eq!(inactive, Err((Errno::ENOENT, "job is inactive".into())));
}

#[test]
fn signals_go_to_shells_as_events() {
    let mut world = World::new();
    let id = world.submit();
    world.rpc("job-manager.kill", json!({"id": id.0, "signum": 10})).unwrap();
    let event = world.published.last().unwrap();
    assert_eq!(event.topic(), format!("shell-{}.kill", id.0));
    assert_eq!(*event.payload.value().unwrap(), json!({"signum": 10}));
    let counted = world.rpc("job-manager.killall", json!({"dry_run": true, "userid": -1, "signum": 9})).unwrap();
    assert_eq!(counted, json!({"count": 1, "errors": 0}));
    let all = json!({"dry_run": false, "userid": OWNER, "states": 62, "severity": 0, "type": "cancel"});
    assert_eq!(world.rpc("job-manager.raiseall", all), Ok(json!({"count": 1, "errors": 0})));
    assert!(world.events(id).ends_with("clean"));
}

#[test]
fn many_are_cancelled_a_portion_a_turn_and_those_that_wait_first() {
    let mut world = World::new();
    let ids: Vec<JobId> = (0..7).map(|_| world.submit()).collect();
    world.schedule();
    let all = json!({"dry_run": false, "userid": -1, "states": 62, "severity": 0, "type": "cancel"});
    assert_eq!(world.rpc("job-manager.raiseall", all), Ok(json!({"count": 7, "errors": 0})));
    let at = |id: &JobId| world.eventlog(*id).iter().find(|entry| entry.name == "exception").unwrap().timestamp;
    let (runs, waits): (Vec<&JobId>, Vec<&JobId>) = ids.iter().partition(|id| world.events(**id).contains("alloc"));
    assert!(!runs.is_empty() && !waits.is_empty());
    assert!(waits.iter().all(|id| world.events(**id).ends_with("clean")));
    assert!(waits.iter().all(|waits| runs.iter().all(|runs| at(waits) < at(runs))));
}

#[test]
fn what_many_cancels_lead_to_is_stored_once_also_when_the_disk_was_full() {
    for full in [false, true] {
        let mut world = World::new();
        let ids: Vec<JobId> = (0..20).map(|_| world.submit()).collect();
        if full {
            world.kvs.mode = Commits::Fail(Errno::ENOSPC);
        }
        let all = json!({"dry_run": false, "userid": -1, "states": 15, "severity": 0, "type": "cancel"});
        let count = world.rpc("job-manager.raiseall", all).unwrap()["count"].as_u64().unwrap() as usize;
        world.kvs.mode = Commits::AtOnce;
        world.advance(Duration::from_secs(5));
        let ended: Vec<String> = ids.iter().map(|id| world.events(*id)).filter(|log| log.ends_with("clean")).collect();
        assert_eq!(ended.len(), count, "full: {full}");
        assert!(ended.iter().all(|log| log.matches("exception").count() == 1 && log.matches("clean").count() == 1));
    }
}

#[test]
fn what_the_disk_had_no_room_for_does_not_take_the_place_of_what_came_later() {
    let mut world = World::new();
    world.kvs.mode = Commits::Fail(Errno::ENOSPC);
    world.rpc("job-manager.queue-start", json!({"start": true, "all": false})).expect_err("it is not stored");
    let stop = world.ask("job-manager.queue-start", json!({"start": false, "reason": "later", "all": false}));
    world.kvs.mode = Commits::AtOnce;
    world.advance(Duration::from_secs(5));
    world.answer(stop).expect("it was tried again").expect("there is room again");
    world.crash();
    world.sched_up();
    let status = world.rpc("job-manager.queue-status", json!({})).unwrap();
    assert_eq!((&status["start"], &status["stop_reason"]), (&json!(false), &json!("later")));
}

#[test]
fn a_scheduler_learns_of_resources_that_wait_with_many_cancels_for_their_commit() {
    let mut world = World::new();
    world.sched.hold = true;
    let id = world.submit();
    let mut spec = jobspec();
    spec["attributes"]["system"]["dependencies"] = json!([{"scheme": "afterok", "value": id.to_string()}]);
    for _ in 0..8 {
        world.submit_with(&spec, 16, 0).expect("it waits for the first");
    }
    let depend = JobState::Depend.bit();
    let all = json!({"dry_run": false, "userid": -1, "states": depend, "severity": 0, "type": "cancel"});
    let raising = world.ask("job-manager.raiseall", all);
    world.sched.hold = false;
    world.schedule();
    world.turn();
    assert!(world.answer(raising).is_none() && world.key(id, "R").is_none(), "R waits with the cancels");
    let hello = world.stream("job-manager.sched-hello", json!({}));
    world.run();
    let (told, _) = world.told(hello);
    assert_eq!((told[0]["id"].as_u64(), &told[0]["R"]), (Some(id.0), &World::resources_on(id, "0")));
    assert!(world.key(id, "R").is_some());
}

#[test]
fn waiting_tells_how_jobs_ended_once() {
    let mut world = World::new();
    let submit = |world: &mut World| world.submit_with(&jobspec(), 16, JobFlags::WAITABLE).unwrap();
    let (a, b) = (submit(&mut world), submit(&mut world));
    let waiter = world.ask("job-manager.wait", json!({"id": a.0}));
    let any = world.ask("job-manager.wait", json!({"id": -1}));
    world.run();
    world.finish(b, 256 * 3);
    let want = json!({"id": b.0, "success": false, "errstr": "task(s) exited with exit code 3"});
    assert_eq!(world.answer(any), Some(Ok(want)));
    world.cancel(a);
    let want = json!({"id": a.0, "success": false, "errstr": "Fatal exception type=cancel enough"});
    assert_eq!(world.answer(waiter), Some(Ok(want)));
    let again = world.rpc("job-manager.wait", json!({"id": a.0}));
    assert_eq!(again, Err((Errno::ECHILD, "invalid job id, or job may be inactive and not waitable".into())));
    let c = submit(&mut world);
    world.finish(c, 0);
    assert_eq!(world.rpc("job-manager.wait", json!({"id": -1})), Ok(json!({"id": c.0, "success": true, "errstr": ""})));
}

#[test]
fn drain_and_idle_wait_for_the_jobs_and_for_the_disk() {
    let mut world = World::new();
    let id = world.submit();
    let drain = world.ask("job-manager.drain", json!({}));
    let idle = world.ask("job-manager.idle", json!({}));
    world.run();
    assert!(world.answer(drain).is_none() && world.answer(idle).is_none());
    world.hold_commits();
    world.finish(id, 0);
    assert!(world.answer(drain).is_none());
    world.release_commits();
    assert_eq!(world.answer(drain), Some(Ok(Value::Null)));
    assert_eq!(world.answer(idle), Some(Ok(json!({"pending": 0}))));
}

#[test]
fn dependencies_are_added_and_removed_as_others_go_on() {
    let mut world = World::new();
    let first = world.submit();
    let name = first.to_string();
    let depend = |scheme: &str, value: &str| jobspec_with("dependencies", json!([{"scheme": scheme, "value": value}]));
    let ok = world.submit_with(&depend("afterok", &name), 16, 0).unwrap();
    let not_ok = world.submit_with(&depend("afternotok", &name), 16, 0).unwrap();
    let any = world.submit_with(&depend("afterany", &name), 16, 0).unwrap();
    let started = world.submit_with(&depend("afterstart", &name), 16, 0).unwrap();
    assert_eq!(world.events(ok), "submit dependency-add validate");
    assert!(world.events(started).starts_with("submit validate depend"), "it has started already");
    let log = world.eventlog(ok);
    assert_eq!(log[1].get("description"), Some(&json!(format!("after-success={name}"))));
    world.finish(first, 0);
    for id in [ok, any] {
        assert!(world.events(id).starts_with("submit dependency-add validate dependency-remove depend priority"));
    }
    assert_eq!(world.events(not_ok), "submit dependency-add validate exception clean");
    let refused = world.submit_with(&depend("afternotok", &name), 16, 0);
    let text = format!("dependency: afternotok: job {name} succeeded");
    assert_eq!(refused, Err((Errno::EINVAL, text)));
    let refused = world.submit_with(&depend("fluid", "x"), 16, 0);
    assert_eq!(refused, Err((Errno::EINVAL, "dependency scheme \"fluid\" not supported".into())));
}

#[test]
fn a_begin_time_is_waited_for() {
    let mut world = World::new();
    let at = world.now.wall.timestamp() + 60.0;
    let jobspec = jobspec_with("dependencies", json!([{"scheme": "begin-time", "value": at.to_string()}]));
    let id = world.submit_with(&jobspec, 16, 0).unwrap();
    world.advance(Duration::from_secs(59));
    assert_eq!(world.events(id), "submit dependency-add validate");
    world.advance(Duration::from_secs(2));
    assert!(world.events(id).starts_with("submit dependency-add validate dependency-remove depend priority alloc"));
}

#[test]
fn singletons_of_one_name_run_one_after_the_other() {
    let mut world = World::new();
    let mut spec = jobspec_with("dependencies", json!([{"scheme": "singleton", "value": ""}]));
    assert_eq!(world.submit_with(&spec, 16, 0), Err((Errno::EINVAL, "singleton jobs require a job name".into())));
    spec["attributes"]["system"]["job"] = json!({"name": "solo"});
    let (a, b) = (world.submit_with(&spec, 16, 0).unwrap(), world.submit_with(&spec, 16, 0).unwrap());
    assert!(world.events(a).ends_with("start"));
    assert_eq!(world.events(b), "submit dependency-add validate");
    world.finish(a, 0);
    assert!(world.events(b).ends_with("start"));
}

#[test]
fn a_stopped_queue_takes_jobs_and_a_disabled_one_does_not() {
    let mut world = World::new();
    world.rpc("job-manager.queue-start", json!({"start": false, "all": false, "reason": "noon"})).unwrap();
    let id = world.submit();
    assert_eq!(world.events(id), "submit validate depend priority");
    let status = world.rpc("job-manager.queue-status", json!({})).unwrap();
    assert_eq!(status, json!({"enable": true, "start": false, "stop_reason": "noon"}));
    world.rpc("job-manager.queue-enable", json!({"enable": false, "all": false, "reason": "holiday"})).unwrap();
    assert_eq!(
        world.submit_with(&jobspec(), 16, 0),
        Err((Errno::EINVAL, "job submission is disabled: holiday".into()))
    );
    world.crash();
    world.sched_up();
    let status = world.rpc("job-manager.queue-status", json!({})).unwrap();
    assert_eq!(status, json!({"enable": false, "start": false, "disable_reason": "holiday", "stop_reason": "noon"}));
    world.exec_up();
    world.rpc("job-manager.queue-start", json!({"start": true, "all": false})).unwrap();
    assert!(world.events(id).ends_with("alloc start"));
}

#[test]
fn virtual_queues_run_only_with_their_parent() {
    let config = json!({"queues": {"batch": {"requires": ["b"]}, "standby": {"parent": "batch"}}});
    let mut world = World::with_config(config);
    let id = world.submit_with(&jobspec_with("queue", json!("standby")), 16, 0).unwrap();
    let stored: Value = serde_json::from_str(&world.key(id, "jobspec").unwrap()).unwrap();
    assert_eq!(stored["attributes"]["system"]["constraints"], json!({"properties": ["b"]}));
    assert_eq!(world.submit_with(&jobspec(), 16, 0), Err((Errno::EINVAL, "a named queue is required".into())));
    world.rpc("job-manager.queue-start", json!({"name": "standby", "start": true, "all": false})).unwrap();
    assert_eq!(world.events(id), "submit validate depend priority");
    let status = world.rpc("job-manager.queue-status", json!({"name": "standby"})).unwrap();
    let want = json!({"enable": true, "start": false, "parent": "batch", "blocked": "parent",
                      "stop_reason": "parent queue 'batch' is stopped"});
    assert_eq!(status, want);
    world.rpc("job-manager.queue-start", json!({"name": "batch", "start": true, "all": false})).unwrap();
    assert!(world.events(id).ends_with("start"));
    assert_eq!(world.rpc("job-manager.queue-list", json!({})), Ok(json!({"queues": ["batch", "standby"]})));
}

#[test]
fn a_scheduler_that_leaves_gets_its_requests_again_when_it_returns() {
    let mut world = World::new();
    world.sched.hold = true;
    let id = world.submit();
    let (_, request) = world.sched.waiting.remove(0);
    world.sched.waiting.push((id, request.clone()));
    world.send_cred("sched", "job-manager.disconnect", json!({}), Flags::NORESPONSE, request.cred);
    world.run();
    world.sched.waiting.clear();
    assert_eq!(
        world.rpc("job-manager.alloc-query", json!({})),
        Ok(json!({"queue_length": 1, "alloc_pending": 0, "running": 0}))
    );
    let status = world.rpc("job-manager.queue-status", json!({})).unwrap();
    assert_eq!(
        status,
        json!({"enable": true, "start": false, "blocked": "scheduler", "stop_reason": "Scheduler is offline"})
    );
    world.sched.hold = false;
    world.sched_up();
    assert!(world.events(id).ends_with("alloc start"));
}

#[test]
fn a_limited_scheduler_is_asked_for_the_most_urgent_first() {
    let mut world = World::new();
    world.sched.hold = true;
    world.ask("job-manager.sched-ready", json!({"mode": "limited", "limit": 1}));
    world.run();
    let (a, b) = (world.submit(), world.submit());
    let sent = |world: &World| world.sched.waiting.iter().map(|(id, _)| *id).collect::<Vec<JobId>>();
    assert_eq!(sent(&world), [a]);
    world.rpc("job-manager.urgency", json!({"id": b.0, "urgency": 20})).unwrap();
    assert_eq!(sent(&world), [b], "the other was taken back");
}

#[test]
fn an_exec_service_that_comes_back_reattaches() {
    let mut world = World::new();
    let id = world.submit();
    world.exec.requests.clear();
    world.exec_up();
    assert_eq!(world.exec.starts[&id], 1, "nothing is started twice");
    world.finish(id, 0);
    assert!(world.events(id).ends_with("start finish release free clean"));
}

#[test]
fn an_exception_that_the_exec_service_tells_again_counts_once() {
    let mut world = World::new();
    let id = world.submit();
    for again in [true, true, false] {
        world.exec_says(id, "exception", json!({"severity": 0, "type": "exec", "note": "why", "again": again}));
        world.run();
        let count = world.events(id).matches("exception").count();
        assert_eq!(count, if again { 1 } else { 2 }, "what was told before is known; what was not is new");
    }
}

#[test]
fn memos_and_debug_events_are_in_the_log() {
    let mut world = World::new();
    let id = world.submit_with(&jobspec(), 16, JobFlags::DEBUG).unwrap();
    world.rpc("job-manager.memo", json!({"id": id.0, "memo": {"note": "x"}})).unwrap();
    world.rpc("job-manager.memo", json!({"id": id.0, "volatile": true, "memo": {"note": null}})).unwrap();
    assert_eq!(
        world.events(id),
        "submit validate depend priority debug.alloc-request alloc debug.start-request start memo"
    );
}

#[test]
fn a_duration_is_updated_while_the_job_waits_and_while_it_runs() {
    let mut world = World::new();
    world.sched.hold = true;
    let id = world.submit();
    let update = |value: Value| json!({"id": id.0, "updates": {"attributes.system.duration": value}});
    world.rpc("job-manager.update", update(json!(60.0))).unwrap();
    assert_eq!(world.events(id), "submit validate depend priority jobspec-update priority");
    world.sched.hold = false;
    world.schedule();
    world.run();
    world.rpc("job-manager.update", update(json!(120.0))).unwrap();
    assert!(world.events(id).ends_with("start jobspec-update resource-update"));
    let attrs = world.rpc("job-manager.getattr", json!({"id": id.0, "attrs": ["R", "jobspec"]})).unwrap();
    assert_eq!(attrs["R"]["execution"]["expiration"], json!(1_700_000_120.0));
    assert_eq!(attrs["jobspec"]["attributes"]["system"]["duration"], json!(120.0));
    let refused = world.rpc("job-manager.update", json!({"id": id.0, "updates": {"attributes.system.x": 1}}));
    assert_eq!(refused, Err((Errno::EINVAL, "update of attributes.system.x not supported".into())));
}

#[test]
fn inactive_jobs_are_purged_oldest_first() {
    let mut world = World::new();
    let ids: Vec<JobId> = (0..5)
        .map(|_| {
            let id = world.submit();
            world.finish(id, 0);
            world.advance(Duration::from_secs(10));
            id
        })
        .collect();
    let purge =
        |age: f64, num: i64, force: bool| json!({"age_limit": age, "num_limit": num, "batch": 2, "force": force});
    assert_eq!(world.rpc("job-manager.purge", purge(-1.0, 2, false)), Ok(json!({"count": 3})));
    assert_eq!(world.rpc("job-manager.purge", purge(-1.0, 2, true)), Ok(json!({"count": 2})));
    assert_eq!(world.rpc("job-manager.purge", purge(25.0, -1, true)), Ok(json!({"count": 1})));
    assert!(ids[..3].iter().all(|id| world.key(*id, "eventlog").is_none()));
    assert_eq!(world.rpc("job-manager.purge-id", json!({"id": ids[4].0, "force": 1})), Ok(json!({"count": 1})));
    world.crash();
    let info = world.rpc("job-manager.getinfo", json!({})).unwrap();
    assert_eq!(info["max_jobid"], ids[4].0, "a purged id is not made again");
    assert_eq!(world.manager().stats()["inactive_jobs"], 1);
}

/// Goal: a restart reads the texts of finished jobs, and nothing of the jobs themselves; without the texts it reads these.
#[test]
fn a_restart_reads_finished_jobs_from_their_texts() {
    let mut world = World::new();
    let ids: Vec<JobId> = (0..30)
        .map(|_| {
            let id = world.submit();
            world.finish(id, 0);
            world.advance(Duration::from_millis(5));
            id
        })
        .collect();
    let _active = world.submit();
    let of_jobs = |world: &mut World| {
        world.kvs.looked_up.clear();
        world.crash();
        world.sched_up();
        world.exec_up();
        world.run();
        assert_eq!(world.manager().stats()["inactive_jobs"], 30);
        let body = world.rpc("job-list.list", json!({"max_entries": 0, "attrs": [], "constraint": {}})).unwrap();
        assert_eq!(body["jobs"].as_array().unwrap().len(), 31);
        world.kvs.looked_up.iter().filter(|key| key.ends_with(".eventlog")).count()
    };
    assert_eq!(of_jobs(&mut world), 1, "the active one's");
    let last = world.kvs.keys.keys().filter(|key| key.starts_with("job-index.")).count() - 1;
    assert_eq!(last, 30 / crate::limits::INDEX_LINES_MAX + 1, "a header and seven jobs each");
    world.kvs.keys.insert("job-index.1".into(), b"x\n".to_vec());
    assert!(of_jobs(&mut world) > 7, "a text that cannot be read");
    world.kvs.keys.retain(|key, _| !key.starts_with("job-index."));
    assert_eq!(of_jobs(&mut world), 61, "all, and again for the list, which makes the texts anew");
    assert_eq!(of_jobs(&mut world), 1);
    assert!(ids.iter().all(|id| world.key(*id, "eventlog").is_some()));
}

/// Goal: jobs that wait are read many at a time, not one by one.
#[test]
fn a_restart_reads_pending_jobs_together() {
    let mut world = World::new();
    let ids: Vec<JobId> = (0..30).map(|_| world.submit()).collect();
    world.kvs.requests = 0;
    world.crash();
    world.sched_up();
    world.exec_up();
    world.run();
    let keys = world.kvs.looked_up.iter().filter(|key| key.ends_with(".jobspec")).count();
    assert_eq!(keys, 30);
    let batches = 30 / crate::limits::LOAD_BATCH;
    assert!(world.kvs.requests < batches + 10, "{} requests for {batches} batches", world.kvs.requests);
    assert_eq!(world.manager().stats()["active_jobs"], ids.len());
}

#[test]
fn a_listener_hears_the_past_and_then_every_event() {
    let mut world = World::new();
    let old = world.submit();
    world.finish(old, 0);
    let running = world.submit();
    let tag = world.stream("job-manager.events-journal", json!({"full": true, "deny": {"annotations": 1}}));
    world.run();
    let bodies = |world: &mut World| -> Vec<Value> {
        let answers = world.answers.remove(&tag).unwrap_or_default();
        answers.iter().map(|answer| (*answer.payload.value().unwrap()).clone()).collect()
    };
    let past = bodies(&mut world);
    let ids: Vec<i64> = past.iter().map(|body| body["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [running.0 as i64, old.0 as i64, -1]);
    assert_eq!(past[1]["events"].as_array().unwrap().len(), 10);
    assert_eq!(past[1]["R"], World::resources(old));
    assert!(past[1]["jobspec"]["attributes"]["system"].get("environment").is_none());
    world.finish(running, 0);
    let names: Vec<Value> = bodies(&mut world).iter().map(|body| body["events"][0]["name"].clone()).collect();
    assert_eq!(names, ["finish", "release", "free", "clean"]);
    world.rpc("job-manager.set-batch-timeout", json!({"timeout": 0.0})).unwrap();
    world.stop();
    assert!(world.manager().is_idle());
}
