//! Job data through the service, in virtual time.

use flux_wire::{Errno, Flags};
use serde_json::{Value, json};

use crate::harness::{OWNER, World, guest};
use flux_types::JobId;

fn watch(world: &mut World, id: JobId, path: &str, flags: u64) -> u32 {
    let tag = world.stream("job-info.eventlog-watch", json!({"id": id.0, "path": path, "flags": flags}));
    world.run();
    tag
}

/// Names of the events told, joined; and how the stream ended.
fn names(world: &mut World, tag: u32) -> (String, Option<Errno>) {
    let (told, end) = world.told(tag);
    let name = |event: &Value| {
        let line = event["event"].as_str().expect("a line");
        assert!(line.ends_with("}\n"), "one whole line");
        serde_json::from_str::<Value>(line).expect("JSON")["name"].as_str().expect("a name").to_owned()
    };
    (told.iter().map(name).collect::<Vec<_>>().join(" "), end)
}

#[test]
fn the_main_eventlog_is_told_to_its_end() {
    let mut world = World::new();
    let id = world.submit();
    let tag = watch(&mut world, id, "eventlog", 0);
    assert_eq!(names(&mut world, tag), ("submit validate depend priority alloc start".into(), None));
    world.finish(id, 0);
    assert_eq!(names(&mut world, tag), ("finish release free clean".into(), Some(Errno::ENODATA)));
    let again = watch(&mut world, id, "eventlog", 0);
    let (all, end) = names(&mut world, again);
    assert!(all.starts_with("submit") && all.ends_with("clean"));
    assert_eq!(end, Some(Errno::ENODATA));
}

#[test]
fn another_log_ends_with_the_job_and_nothing_of_it_is_lost() {
    let mut world = World::new();
    let id = world.submit();
    let missing = watch(&mut world, id, "data.none", 0);
    assert_eq!(names(&mut world, missing), (String::new(), Some(Errno::ENOENT)));
    let tag = watch(&mut world, id, "guest.output", 1);
    world.append(id, "guest.output", "{\"timestamp\":1.0,\"name\":\"header\"}\n");
    assert_eq!(names(&mut world, tag), ("header".into(), None));
    world.append(id, "guest.output", "{\"timestamp\":2.0,\"name\":\"data\"}\n");
    world.finish(id, 0);
    assert_eq!(names(&mut world, tag), ("data".into(), Some(Errno::ENODATA)));
    let late = watch(&mut world, id, "guest.output", 0);
    assert_eq!(names(&mut world, late), ("header data".into(), Some(Errno::ENODATA)));
    let never = watch(&mut world, id, "guest.input", 1);
    assert_eq!(names(&mut world, never), (String::new(), Some(Errno::ENODATA)), "nothing was made, nor will be");
    world.sched.hold = true;
    let id = world.submit();
    let tag = watch(&mut world, id, "guest.exec.eventlog", 0);
    assert_eq!(names(&mut world, tag), (String::new(), None), "it waits for the start");
    world.cancel(id);
    assert_eq!(names(&mut world, tag), (String::new(), Some(Errno::ENODATA)));
}

#[test]
fn the_exec_eventlog_ends_with_done() {
    let mut world = World::new();
    let id = world.submit();
    world.append(
        id,
        "guest.exec.eventlog",
        "{\"timestamp\":1.0,\"name\":\"init\"}\n{\"timestamp\":2.0,\"name\":\"done\"}\n",
    );
    let tag = watch(&mut world, id, "guest.exec.eventlog", 0);
    assert_eq!(names(&mut world, tag), ("init done".into(), Some(Errno::ENODATA)));
}

#[test]
fn a_cancelled_watch_ends_and_a_lost_client_is_forgotten() {
    let mut world = World::new();
    let id = world.submit();
    let tag = watch(&mut world, id, "guest.output", 1);
    world.ask("job-info.eventlog-watch-cancel", json!({"matchtag": tag}));
    world.run();
    assert_eq!(world.told(tag), (vec![], Some(Errno::ENODATA)));
    let body = json!({"id": id.0, "path": "guest.output", "flags": 1});
    let tag = world.send_cred("gone", "job-info.eventlog-watch", body, Flags::STREAMING, guest(OWNER));
    world.run();
    world.send_cred("gone", "job-info.disconnect", json!({}), Flags::NORESPONSE, guest(OWNER));
    world.run();
    world.finish(id, 0);
    assert_eq!(world.told(tag), (vec![], None));
}

#[test]
fn guests_see_their_own_jobs_and_no_others() {
    let mut world = World::new();
    let id = world.submit();
    let body = |path: &str| json!({"id": id.0, "path": path, "flags": 1});
    for path in ["eventlog", "guest.output"] {
        let tag = world.send_cred("g", "job-info.eventlog-watch", body(path), Flags::STREAMING, guest(2000));
        world.run();
        assert_eq!(world.told(tag), (vec![], Some(Errno::EPERM)), "{path}");
        let tag = world.send_cred("g", "job-info.eventlog-watch", body(path), Flags::STREAMING, guest(OWNER));
        world.run();
        assert_eq!(world.told(tag).1, None, "{path}");
    }
    let lookup = json!({"id": id.0, "keys": ["R"], "flags": 0});
    let refused = Err((Errno::EPERM, "access is restricted to job/instance owner".into()));
    assert_eq!(world.rpc_as("job-info.lookup", lookup.clone(), guest(2000)), refused);
    assert!(world.rpc_as("job-info.lookup", lookup, guest(OWNER)).is_ok());
    let unknown = json!({"id": 5, "keys": ["R"], "flags": 0});
    assert_eq!(world.rpc_as("job-info.lookup", unknown, guest(2000)), Err((Errno::ENOENT, "invalid job id".into())));
}

#[test]
fn lookups_give_strings_or_objects_as_stored_or_as_updated() {
    let mut world = World::new();
    let id = world.submit();
    let look = |world: &mut World, keys: Value, flags: u64| {
        world.rpc("job-info.lookup", json!({"id": id.0, "keys": keys, "flags": flags}))
    };
    let plain = look(&mut world, json!(["J", "R", "eventlog"]), 0).unwrap();
    assert_eq!(plain["R"], World::resources(id).to_string());
    assert_eq!(plain["id"], id.0);
    assert!(plain["eventlog"].as_str().unwrap().lines().count() == 6);
    assert_eq!(look(&mut world, json!(["R"]), 1).unwrap()["R"], World::resources(id));
    let update = json!({"id": id.0, "updates": {"attributes.system.duration": 100.0}});
    world.rpc("job-manager.update", update).unwrap();
    assert_eq!(look(&mut world, json!(["R"]), 1).unwrap()["R"]["execution"]["expiration"], 0.0);
    assert_eq!(look(&mut world, json!(["R"]), 3).unwrap()["R"]["execution"]["expiration"], 1_700_000_100.0);
    let text = look(&mut world, json!(["jobspec"]), 2).unwrap()["jobspec"].as_str().unwrap().to_owned();
    assert!(text.contains("\"duration\": 100.0"), "in the layout of json.dumps");
    assert_eq!(look(&mut world, json!(["x"]), 0), Err((Errno::ENOENT, "x: key not found".into())));
    assert!(look(&mut world, json!(["x"]), 8).is_err());
    let bare = world.rpc("job-info.update-lookup", json!({"id": id.0, "key": "R", "flags": 0})).unwrap();
    assert_eq!(bare["R"]["execution"]["expiration"], 1_700_000_100.0);
    assert_eq!(bare.as_object().unwrap().len(), 1);
}

#[test]
fn updates_are_told_as_they_come() {
    let mut world = World::new();
    let id = world.submit();
    let tag = world.stream("job-info.update-watch", json!({"id": id.0, "key": "R", "flags": 0}));
    world.run();
    assert_eq!(world.told(tag), (vec![json!({"R": World::resources(id)})], None));
    let update = json!({"id": id.0, "updates": {"attributes.system.duration": 100.0}});
    world.rpc("job-manager.update", update).unwrap();
    let (told, _) = world.told(tag);
    assert_eq!(told[0]["R"]["execution"]["expiration"], 1_700_000_100.0);
    world.finish(id, 0);
    assert_eq!(world.told(tag), (vec![], Some(Errno::ENODATA)));
    let refused = world.rpc("job-info.update-lookup", json!({"id": id.0, "key": "J", "flags": 0}));
    assert_eq!(refused, Err((Errno::EINVAL, "unsupported key J specified".into())));
}
