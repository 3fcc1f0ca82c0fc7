//! Listings of jobs that really ran, and constraints on records made for the purpose.

use std::collections::BTreeMap;
use std::time::Duration;

use flux_wire::{Errno, Flags};
use serde_json::{Value, json};

use super::filter::{Filter, Match};
use super::record::{Pool, Record};
use crate::harness::{OWNER, World, guest, jobspec, jobspec_with};
use flux_types::JobId;
use flux_types::eventlog::Entry;

fn list(world: &mut World, constraint: Value) -> Vec<Value> {
    let body = json!({"max_entries": 0, "attrs": ["all"], "constraint": constraint});
    world.rpc("job-list.list", body).expect("a good request")["jobs"].as_array().expect("jobs").clone()
}

fn ids(jobs: &[Value]) -> Vec<u64> {
    jobs.iter().map(|job| job["id"].as_u64().expect("id")).collect()
}

#[test]
fn all_attributes_of_a_job_have_their_types() {
    let mut world = World::new();
    let id = world.submit();
    world.rpc("job-manager.memo", json!({"id": id.0, "memo": {"x": 1}})).unwrap();
    world.advance(Duration::from_secs(1));
    world.finish(id, 0);
    let job = &list(&mut world, json!({}))[0];
    let log = world.eventlog(id);
    let at = |name: &str| log.iter().find(|entry| entry.name == name).expect(name).timestamp;
    let want = json!({
        "id": id.0, "userid": OWNER, "urgency": 16, "priority": 16, "t_submit": at("submit"), "t_depend": at("validate"),
        "t_priority": at("depend"), "t_sched": at("priority"), "t_run": at("alloc"), "t_cleanup": at("finish"),
        "t_inactive": at("clean"), "state": 64, "name": "app", "cwd": "/tmp", "ntasks": 1, "ncores": 1, "duration": 0.0,
        "nnodes": 1, "ranks": "0", "nodelist": "host", "success": true, "exception_occurred": false, "result": 1,
        "expiration": 0.0, "annotations": {"sched": {"resource_summary": "rank0/core0"}, "user": {"x": 1}}, "waitstatus": 0,
    });
    assert_eq!(*job, want);
    let keys: Vec<&String> = job.as_object().unwrap().keys().skip(1).collect();
    let names = world.rpc("job-list.list-attrs", json!({})).unwrap()["attrs"].clone();
    let order: Vec<&str> = names.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert!(keys.iter().map(|key| order.iter().position(|name| name == key)).is_sorted());
}

#[test]
fn what_is_not_known_yet_is_left_out() {
    let mut world = World::new();
    world.sched.hold = true;
    let id = world.submit_with(&jobspec_with("queue", Value::Null), 0, 0);
    assert!(id.is_err(), "a queue is a string");
    let id = world.submit().0;
    let job =
        world.rpc("job-list.list-id", json!({"id": id, "attrs": ["state", "t_run", "ranks", "result", "success"]}));
    assert_eq!(job, Ok(json!({"job": {"id": id, "state": 8}})));
}

#[test]
fn failures_are_told_by_result_and_exception() {
    let mut world = World::new();
    let attrs = [
        "result",
        "success",
        "waitstatus",
        "exception_occurred",
        "exception_type",
        "exception_severity",
        "exception_note",
    ];
    let show = |world: &mut World, id: JobId| {
        world.rpc("job-list.list-id", json!({"id": id.0, "attrs": attrs})).unwrap()["job"].clone()
    };
    let failed = world.submit();
    world.finish(failed, 256);
    let want = json!({"id": failed.0, "success": false, "exception_occurred": false, "result": 2, "waitstatus": 256});
    assert_eq!(show(&mut world, failed), want);
    let canceled = world.submit();
    world.cancel(canceled);
    let want = json!({"id": canceled.0, "success": false, "exception_occurred": true, "exception_type": "cancel",
                      "exception_severity": 0, "exception_note": "enough", "result": 4, "waitstatus": 15});
    assert_eq!(show(&mut world, canceled), want);
    let timeout = world.submit();
    world.rpc("job-manager.raise", json!({"id": timeout.0, "severity": 0, "type": "timeout"})).unwrap();
    assert_eq!(show(&mut world, timeout)["result"], 8);
}

#[test]
fn listings_have_pending_before_running_before_inactive() {
    let mut world = World::new();
    let done = world.submit();
    world.finish(done, 0);
    world.advance(Duration::from_secs(1));
    let later = world.submit();
    world.finish(later, 0);
    let (first, second) = (world.submit(), {
        world.advance(Duration::from_secs(1));
        world.submit()
    });
    let low = world.submit_with(&jobspec(), 10, 0).unwrap();
    let high = world.submit_with(&jobspec(), 20, 0).unwrap();
    let want: Vec<u64> = [high, low, second, first, later, done].map(|id| id.0).to_vec();
    assert_eq!(ids(&list(&mut world, json!({}))), want);
    let body = json!({"max_entries": 2, "attrs": []});
    assert_eq!(world.rpc("job-list.list", body), Ok(json!({"jobs": [{"id": high.0}, {"id": low.0}]})));
    let since = world.eventlog(done).last().unwrap().timestamp;
    let body = json!({"max_entries": 0, "attrs": [], "since": since, "constraint": {"states": ["inactive"]}});
    assert_eq!(world.rpc("job-list.list", body), Ok(json!({"jobs": [{"id": later.0}]})));
    let tag = world.stream("job-list.list", json!({"max_entries": 1, "attrs": []}));
    world.run();
    assert_eq!(world.told(tag), (vec![json!({"jobs": [{"id": high.0}], "version": 1})], Some(Errno::ENODATA)));
}

#[test]
fn a_restarted_list_knows_what_was() {
    let mut world = World::new();
    let done = world.submit();
    world.finish(done, 256 * 2);
    let running = world.submit();
    let before = list(&mut world, json!({}));
    world.crash();
    assert_eq!(list(&mut world, json!({})), before);
    assert_eq!(ids(&before), [running.0, done.0]);
}

#[test]
fn a_request_for_a_state_waits_for_it() {
    let mut world = World::new();
    world.sched.hold = true;
    let id = world.submit();
    let tag = world.ask("job-list.list-id", json!({"id": id.0, "attrs": ["state"], "state": 32}));
    let never = world.ask("job-list.list-id", json!({"id": id.0, "attrs": ["state"], "state": 16}));
    world.run();
    assert!(world.answer(tag).is_none());
    world.cancel(id);
    assert!(world.answer(tag).is_some_and(|answer| answer.is_ok()));
    let answer = world.answer(never).expect("it will never run, and is told when that is sure");
    assert_eq!(answer, Ok(json!({"job": {"id": id.0, "state": 64}})));
    assert_eq!(world.rpc("job-list.list-id", json!({"id": 7, "attrs": []})), Err((Errno::ENOENT, String::new())));
}

#[test]
fn private_mode_shows_guests_their_own_jobs_only() {
    let mut world = World::with_config(json!({"access": {"private-mode": true}}));
    let id = world.submit();
    let body = json!({"max_entries": 0, "attrs": []});
    assert_eq!(world.rpc_as("job-list.list", body.clone(), guest(2000)), Ok(json!({"jobs": []})));
    assert_eq!(world.rpc("job-list.list", body), Ok(json!({"jobs": [{"id": id.0}]})));
    let one = world.rpc_as("job-list.list-id", json!({"id": id.0, "attrs": []}), guest(2000));
    assert_eq!(one, Err((Errno::ENOENT, String::new())));
}

#[test]
fn statistics_follow_the_jobs() {
    let config = json!({"queues": {"q": {}}, "policy": {"jobspec": {"defaults": {"system": {"queue": "q"}}}}});
    let mut world = World::with_config(config);
    world.rpc("job-manager.queue-start", json!({"start": true, "all": true})).unwrap();
    let tag = world.stream("job-list.job-stats", json!({}));
    world.run();
    let (first, _) = world.told(tag);
    assert_eq!(first[0]["job_states"]["total"], 0);
    let (a, b) = (world.submit(), world.submit());
    world.finish(a, 0);
    world.cancel(b);
    let waiting = world.submit_with(&jobspec(), 0, 0).unwrap();
    world.advance(Duration::from_secs(1));
    let last = world.told(tag).0.pop().expect("changes are told");
    let states = json!({"depend": 0, "priority": 0, "sched": 1, "run": 0, "cleanup": 0, "inactive": 2, "total": 3});
    let counts =
        json!({"job_states": states, "successful": 1, "failed": 0, "canceled": 1, "timeout": 0, "inactive_purged": 0});
    let mut queue = counts.clone();
    queue["name"] = json!("q");
    let mut want = counts;
    want["queues"] = json!([queue]);
    assert_eq!(last, want);
    world.cancel(waiting);
    world.rpc("job-manager.purge", json!({"age_limit": -1.0, "num_limit": 0, "batch": 100, "force": true})).unwrap();
    let stats = world.rpc("job-list.job-stats", json!({})).unwrap();
    assert_eq!((&stats["job_states"]["total"], &stats["inactive_purged"]), (&json!(0), &json!(3)));
    assert!(list(&mut world, json!({})).is_empty());
}

#[test]
fn bad_requests_are_refused_with_their_reason() {
    let mut world = World::new();
    let rows = [
        (json!({"attrs": []}), Errno::EPROTO, "invalid payload: malformed payload: missing field `max_entries`"),
        (json!({"max_entries": -1, "attrs": []}), Errno::EPROTO, "invalid payload: max_entries < 0 not allowed"),
        (json!({"max_entries": 0, "attrs": 5}), Errno::EPROTO, "invalid payload: attrs must be an array"),
        (json!({"max_entries": 0, "attrs": ["x"]}), Errno::EINVAL, "x is not a valid attribute"),
        (json!({"max_entries": 0, "attrs": [5]}), Errno::EINVAL, "attr has no string value"),
        (
            json!({"max_entries": 0, "attrs": [], "since": -1.0}),
            Errno::EPROTO,
            "invalid payload: since < 0.0 not allowed",
        ),
        (
            json!({"max_entries": 0, "attrs": [], "constraint": {"x": []}}),
            Errno::EPROTO,
            "invalid payload: constraint object invalid: unknown constraint operator: x",
        ),
    ];
    for (body, errno, text) in rows {
        assert_eq!(world.rpc("job-list.list", body.clone()), Err((errno, text.to_owned())), "{body}");
    }
    let id = world.rpc("job-list.list-id", json!({"id": 1, "attrs": [], "state": 1}));
    assert_eq!(id, Err((Errno::EPROTO, "invalid payload: invalid state specified".into())));
}

#[test]
fn old_clients_without_constraints_are_understood() {
    let mut world = World::new();
    let id = world.submit();
    let old = |userid: i64, states: u32| json!({"max_entries": 0, "attrs": [], "userid": userid, "states": states, "results": 0});
    assert_eq!(world.rpc("job-list.list", old(-1, 0)), Ok(json!({"jobs": [{"id": id.0}]})));
    assert_eq!(world.rpc("job-list.list", old(-1, 64)), Ok(json!({"jobs": []})));
    assert_eq!(world.rpc("job-list.list", old(7, 0)), Ok(json!({"jobs": []})));
    let tag = world.send_cred("gone", "job-list.job-stats", json!({}), Flags::STREAMING, guest(5));
    world.run();
    assert!(world.told(tag).1.is_none());
    world.send_cred("gone", "job-list.disconnect", json!({}), Flags::NORESPONSE, guest(5));
    world.run();
}

fn record() -> Record {
    let mut pool = Pool::default();
    let mut job = Record::new(JobId(5));
    let jobspec = std::sync::Arc::new(jobspec_with("queue", json!("child")));
    job.set_jobspec(&mut pool, super::record::Outlines::default().of(&jobspec), &jobspec);
    let events = [
        (1.0, "submit", json!({"userid": 42, "urgency": 16, "flags": 0, "version": 1})),
        (2.0, "validate", json!({})),
        (3.0, "depend", json!({})),
        (4.0, "priority", json!({"priority": 16})),
        (5.0, "alloc", json!({})),
    ];
    for (at, name, context) in events {
        if name == "alloc" {
            let r = json!({"version": 1, "execution": {"R_lite": [{"rank": "1-2", "children": {"core": "0"}}],
                           "nodelist": ["h[1-2]"], "starttime": 0, "expiration": 9.0}});
            job.set_resources(&mut pool, &r);
        }
        let context = context.as_object().cloned();
        job.apply(&mut pool, &Entry { timestamp: at, name: name.into(), context });
    }
    job
}

#[test]
fn constraints_follow_rfc_43() {
    let job = record();
    let parents = BTreeMap::from([("child".to_owned(), "parent".to_owned())]);
    let rows = [
        (json!({}), true),
        (json!({"userid": [42, 43]}), true),
        (json!({"userid": [43]}), false),
        (json!({"userid": [-1]}), true),
        (json!({"name": ["app"]}), true),
        (json!({"queue": ["child"]}), true),
        (json!({"queue": ["parent"]}), true),
        (json!({"queue": ["other"]}), false),
        (json!({"states": ["run"]}), true),
        (json!({"states": ["RUNNING"]}), true),
        (json!({"states": ["pending", 64]}), false),
        (json!({"results": ["completed", 2]}), false),
        (json!({"hostlist": ["h[2-3]"]}), true),
        (json!({"hostlist": ["h3"]}), false),
        (json!({"ranks": ["0,2"]}), true),
        (json!({"ranks": ["0"]}), false),
        (json!({"t_submit": [">0.5"]}), true),
        (json!({"t_submit": ["<=1"]}), true),
        (json!({"t_submit": ["<1"]}), false),
        (json!({"t_run": [">=5.0"]}), true),
        (json!({"t_inactive": [">=0"]}), false),
        (json!({"and": [{"userid": [42]}, {"states": ["run"]}]}), true),
        (json!({"or": [{"userid": [1]}, {"states": ["run"]}]}), true),
        (json!({"or": []}), true),
        (json!({"and": []}), true),
        (json!({"not": [{"userid": [42]}, {"states": ["run"]}]}), false),
        (json!({"not": [{"userid": [42]}, {"states": ["inactive"]}]}), true),
    ];
    for (constraint, want) in rows {
        let filter = Filter::read(&constraint, 4).expect("a good constraint");
        let mut cx = Match { parents: &parents, comparisons: 0 };
        assert_eq!(filter.matches(&job, &mut cx), want, "{constraint}");
        assert!(!want || filter.states() & job.state.bit() != 0, "{constraint}: never skips what matches");
    }
}

#[test]
fn constraints_that_make_no_sense_are_refused_with_their_reason() {
    let deep = (0..100).fold(json!({"userid": [1]}), |below, _| json!({"not": [below]}));
    let rows = [
        (json!([]), "constraint must be JSON object"),
        (json!({"a": [], "b": []}), "constraint must only contain 1 element"),
        (json!({"and": 1}), "operator and values not an array"),
        (json!({"userid": ["x"]}), "userid value must be an integer"),
        (json!({"name": [1]}), "name value must be a string"),
        (json!({"states": ["x"]}), "states value 'x' invalid"),
        (json!({"states": [128]}), "states value 128 invalid"),
        (json!({"results": [[]]}), "results value invalid type"),
        (json!({"hostlist": ["a["]}), "host value not in valid Hostlist format"),
        (json!({"hostlist": ["a[0-2000]"]}), "too many hosts specified"),
        (json!({"ranks": ["0-2000"]}), "too many ranks specified"),
        (json!({"t_run": []}), "timestamp value not specified"),
        (json!({"t_run": ["5"]}), "timestamp comparison operator not specified"),
        (json!({"t_run": [">x"]}), "Invalid timestamp value specified"),
        (json!({"t_run": [">-1"]}), "timestamp value must be >= 0.0"),
        (deep, "constraint is over the limit of 32 levels"),
        (json!({"userid": vec![1; 20_000]}), "constraint is over the limit of 16384 terms"),
    ];
    for (constraint, want) in rows {
        assert_eq!(Filter::read(&constraint, 4), Err(want.to_owned()));
    }
}

#[test]
fn a_finished_job_takes_little_memory() {
    assert!(size_of::<Record>() <= 384, "{} bytes", size_of::<Record>());
}
