//! Namespaces, their owners, and aliases.

use flux_wire::Errno;
use serde_json::{Value, json};

use crate::testing::*;

const GUEST: u32 = 42;

fn create(h: &mut Harness, name: &str, owner: u32, alias: Option<&str>) -> Result<Value, Errno> {
    let mut body = json!({"namespace": name, "owner": owner, "flags": 0});
    match alias {
        Some(alias) => body["alias"] = json!(alias),
        None => body["rootref"] = json!("sha1-c0a9faf907dda6216fd73bf81d0b3b21a1a8cb91"),
    }
    h.rpc("kvs.namespace-create", body)
}

fn commit_in(h: &mut Harness, namespace: &str, userid: u32, op: Value) -> Result<Value, Errno> {
    h.rpc_as(userid, "kvs.commit", json!({"namespace": namespace, "flags": 0, "ops": [op]}))
}

#[test]
fn namespaces_are_independent_and_listed() {
    let mut h = Harness::new();
    create(&mut h, "a", GUEST, None).unwrap();
    h.put("x", "primary");
    commit_in(&mut h, "a", OWNER, put("x", "a")).unwrap();
    assert_eq!(h.get("x").unwrap(), "primary");
    assert_eq!(h.get_in("a", "x").unwrap(), "a");
    let list = h.rpc("kvs.namespace-list", json!({})).unwrap();
    let want = json!([
        {"namespace": "a", "owner": GUEST, "flags": 0}, {"namespace": "primary", "owner": OWNER, "flags": 0}
    ]);
    assert_eq!(list["namespaces"], want);
    assert_eq!(create(&mut h, "a", GUEST, None), Err(Errno::EEXIST));
    assert_eq!(h.rpc("kvs.namespace-remove", json!({"namespace": "primary"})), Err(Errno::ENOTSUP));
    assert_eq!(h.rpc("kvs.namespace-remove", json!({"namespace": "never was"})), Ok(Value::Null));
    let mut h = h.crash();
    assert_eq!(h.get_in("a", "x").unwrap(), "a");
    let disk = h.finish();
    let mut h = Harness::on(disk);
    assert_eq!(h.get_in("a", "x").unwrap(), "a");
    assert_eq!(h.rpc("kvs.getroot", json!({"namespace": "a"})).unwrap()["rootseq"], 1);
    h.rpc("kvs.namespace-remove", json!({"namespace": "a"})).unwrap();
    assert_eq!(h.get_in("a", "x"), Err(Errno::ENOTSUP));
    h.finish();
}

#[test]
fn guests_see_and_change_only_what_is_theirs() {
    let mut h = Harness::new();
    h.put("secret", "1");
    create(&mut h, "mine", GUEST, None).unwrap();
    create(&mut h, "other", GUEST + 1, None).unwrap();
    commit_in(&mut h, "mine", GUEST, put("a", "1")).unwrap();
    h.rpc("kvs.commit", json!({"namespace": "mine", "flags": 0, "ops": [symlink("door", Some("primary"), "secret")]}))
        .unwrap();
    let key = |namespace: &str, key: &str| json!({"namespace": namespace, "key": key, "flags": 0});
    let rows: Vec<(&str, Value, Result<(), Errno>)> = vec![
        ("kvs.lookup", key("mine", "a"), Ok(())),
        ("kvs.lookup", key("mine", "door"), Err(Errno::EPERM)),
        ("kvs.lookup", key("primary", "secret"), Err(Errno::EPERM)),
        ("kvs.lookup", key("other", "a"), Err(Errno::EPERM)),
        ("kvs.getroot", json!({"namespace": "primary"}), Err(Errno::EPERM)),
        ("kvs.wait-version", json!({"namespace": "primary", "rootseq": 0}), Err(Errno::EPERM)),
        ("kvs-watch.lookup", key("primary", "secret"), Err(Errno::EPERM)),
        ("kvs.namespace-create", json!({}), Err(Errno::EPERM)),
        ("kvs.namespace-list", json!({}), Err(Errno::EPERM)),
        ("content.load", json!({}), Err(Errno::EPERM)),
        ("kvs.commit", json!({"namespace": "primary", "flags": 0, "ops": []}), Err(Errno::EPERM)),
        ("kvs.commit", json!({"namespace": "mine", "flags": 0, "ops": [], "durability": "written"}), Err(Errno::EPERM)),
    ];
    for (topic, body, want) in rows {
        assert_eq!(h.rpc_as(GUEST, topic, body.clone()).map(|_| ()), want, "{topic} {body}");
    }
    let forbidden = [
        symlink("a", None, "b"),
        op("a", 0, json!({"ver": 1, "type": "dirref", "data": ["sha1-c0a9faf907dda6216fd73bf81d0b3b21a1a8cb91"]})),
        op("a", 0, json!({"ver": 1, "type": "valref", "data": ["sha1-c0a9faf907dda6216fd73bf81d0b3b21a1a8cb91"]})),
        op("a", 0, json!({"ver": 1, "type": "dir", "data": {"x": val("1")}})),
    ];
    for op in forbidden {
        assert_eq!(commit_in(&mut h, "mine", GUEST, op.clone()), Err(Errno::EPERM), "{op}");
    }
    commit_in(&mut h, "mine", GUEST, mkdir("d")).unwrap();
    commit_in(&mut h, "mine", GUEST, append("a", "2")).unwrap();
    commit_in(&mut h, "mine", GUEST, unlink("door")).unwrap();
    h.finish();
}

#[test]
fn an_alias_shows_a_directory_of_the_primary_namespace() {
    let mut h = Harness::new();
    let base = "job.0000.007b.guest";
    create(&mut h, "job-123", GUEST, Some(base)).unwrap();
    assert_eq!(create(&mut h, "all", GUEST, Some(".")), Err(Errno::EINVAL));
    // The same once more is no error, another one of that name is.
    create(&mut h, "job-123", GUEST, Some(base)).unwrap();
    assert_eq!(create(&mut h, "job-123", GUEST, Some("elsewhere")), Err(Errno::EEXIST));
    assert_eq!(create(&mut h, "job-123", OWNER, Some(base)), Err(Errno::EEXIST));
    h.events();
    // It is empty at first.
    let root = json!({"namespace": "job-123", "key": ".", "flags": 1});
    assert_eq!(h.rpc_as(GUEST, "kvs.lookup", root.clone()).unwrap()["val"]["data"], json!({}));
    let both = json!({"namespace": "job-123", "key": "log", "flags": 4 | 8 | 256});
    let in_alias = h.stream("kvs-watch.lookup", both);
    let in_primary = json!({"namespace": "primary", "key": format!("{base}.log"), "flags": 4 | 8 | 256});
    let in_primary = h.stream("kvs-watch.lookup", in_primary);
    commit_in(&mut h, "job-123", GUEST, append("log", "1")).unwrap();
    h.commit(&[append(&format!("{base}.log"), "2")]).unwrap();
    for tag in [in_alias, in_primary] {
        let texts: Vec<_> = h.answers(tag).into_iter().map(|answer| text_of(&answer.unwrap()["val"])).collect();
        assert_eq!(texts, ["1", "2"]);
    }
    assert_eq!(h.get_in("job-123", "log").unwrap(), "12");
    assert_eq!(h.get(&format!("{base}.log")).unwrap(), "12");
    let events: Vec<_> = h.events().into_iter().map(|(topic, event)| (topic, event["keys"].clone())).collect();
    let pair = |space: &str, key: &str| (format!("kvs.namespace-{space}-setroot"), json!({key: null}));
    let (alias, primary) = (pair("job-123", "log"), pair("primary", &format!("{base}.log")));
    assert_eq!(events, [alias.clone(), primary.clone(), alias, primary]);
    // Links start at the directory that is shown.
    commit_in(&mut h, "job-123", OWNER, symlink("link", None, "log")).unwrap();
    assert_eq!(h.get_in("job-123", "link").unwrap(), "12");
    // Its root reference is that of the directory.
    let treeobj = json!({"namespace": "primary", "key": base, "flags": 16});
    let dirref = h.rpc("kvs.lookup", treeobj).unwrap()["val"]["data"][0].clone();
    assert_eq!(h.rpc_as(GUEST, "kvs.getroot", json!({"namespace": "job-123"})).unwrap()["rootref"], dirref);
    let mut h = h.crash();
    assert_eq!(h.get_in("job-123", "log").unwrap(), "12");
    let disk = h.finish();
    let mut h = Harness::on(disk);
    commit_in(&mut h, "job-123", GUEST, append("log", "3")).unwrap();
    h.rpc("kvs.namespace-remove", json!({"namespace": "job-123"})).unwrap();
    assert_eq!(h.get_in("job-123", "log"), Err(Errno::ENOTSUP));
    assert_eq!(h.get(&format!("{base}.log")).unwrap(), "123");
    h.finish();
}

#[test]
fn a_guest_cannot_take_all_waiting_places() {
    let mut h = Harness::new();
    create(&mut h, "mine", GUEST, None).unwrap();
    let watch = json!({"namespace": "mine", "key": "a", "flags": 8});
    let wait = json!({"namespace": "mine", "rootseq": 99});
    for (topic, body) in [("kvs-watch.lookup", watch), ("kvs.wait-version", wait)] {
        let messages: Vec<_> = (0..5000).map(|_| h.message(topic, GUEST, body.clone())).collect();
        h.turn(|kvs, cx| {
            assert!(messages.iter().all(|message| flux_service::AnyService::dispatch(kvs, cx, message)));
        });
        let refused = h.sent.drain(..).filter(|answer| answer.errno().is_some()).count();
        assert_eq!(refused, 5000 - crate::limits::WAITS_PER_GUEST_MAX, "{topic}");
        let tag = h.send(topic, body);
        assert_eq!(h.answers(tag), [], "{topic}: the owner still may");
    }
    commit_in(&mut h, "mine", GUEST, put("a", "1")).unwrap();
    let disk = h.finish();
    assert!(!disk.checkpoints.is_empty());
}

#[test]
fn versions_are_waited_for() {
    let mut h = Harness::new();
    h.put("a", "1");
    let wait = |seq: i64| json!({"namespace": "primary", "rootseq": seq});
    assert_eq!(h.rpc("kvs.wait-version", wait(1)).unwrap()["rootseq"], 1);
    let tag = h.send("kvs.wait-version", wait(3));
    h.put("a", "2");
    assert_eq!(h.answers(tag), []);
    h.put("a", "3");
    let root = h.rootref();
    assert_eq!(h.answers(tag), [Ok(json!({"rootseq": 3, "rootref": root}))]);
    h.finish();
}
