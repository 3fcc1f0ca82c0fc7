use flux_service::StoreOp;
use flux_wire::Errno;
use serde_json::{Value, json};

use crate::testing::*;

#[test]
fn what_is_committed_is_looked_up() {
    let mut h = Harness::new();
    let answer = h.commit(&[put("a.b", "1"), put("a.c", ""), mkdir("d")]).unwrap();
    assert_eq!(answer["rootseq"], 1);
    assert_eq!(h.get("a.b").unwrap(), "1");
    assert_eq!(h.get("a.c").unwrap(), "");
    assert_eq!(h.get("..a...b.").unwrap(), "1");
    assert_eq!(answer["rootref"], h.rootref());
    h.commit(&[unlink("a.b")]).unwrap();
    assert_eq!(h.get("a.b"), Err(Errno::ENOENT));
    h.finish();
}

#[test]
fn lookups_answer_with_the_errno_of_flux_core() {
    let mut h = Harness::new();
    h.commit(&[
        put("val", "x"),
        put("big", &"x".repeat(100)),
        put("dir.val", "y"),
        symlink("link", None, "val"),
        symlink("dirlink", None, "dir"),
        symlink("loop1", None, "loop2"),
        symlink("loop2", None, "loop1"),
        symlink("dangling", None, "nowhere"),
        symlink("other", Some("nons"), "a"),
    ])
    .unwrap();
    const READDIR: i64 = 1;
    const READLINK: i64 = 2;
    let rows = [
        ("val", 0, None),
        ("big", 0, None),
        ("link", 0, None),
        ("dirlink.val", 0, None),
        ("dirlink", READDIR, None),
        (".", READDIR, None),
        ("link", READLINK, None),
        ("none", 0, Some(Errno::ENOENT)),
        ("val.below", 0, Some(Errno::ENOENT)),
        ("dir", 0, Some(Errno::EISDIR)),
        (".", 0, Some(Errno::EISDIR)),
        ("val", READDIR, Some(Errno::ENOTDIR)),
        ("big", READDIR, Some(Errno::ENOTDIR)),
        ("link", READDIR, Some(Errno::ENOTDIR)),
        ("link", READDIR | READLINK, Some(Errno::ENOTDIR)),
        ("val", READLINK, Some(Errno::EINVAL)),
        ("dir", READLINK, Some(Errno::EINVAL)),
        ("loop1", 0, Some(Errno::ELOOP)),
        ("dangling", 0, Some(Errno::ENOENT)),
        ("other", 0, Some(Errno::ENOTSUP)),
        ("", 0, Some(Errno::EINVAL)),
    ];
    for (key, flags, want) in rows {
        let got = h.rpc("kvs.lookup", json!({"namespace": "primary", "key": key, "flags": flags}));
        assert_eq!(got.err(), want, "{key:?} with flags {flags}");
    }
    let nons = h.rpc("kvs.lookup", json!({"namespace": "nons", "key": "a", "flags": 0}));
    assert_eq!(nons, Err(Errno::ENOTSUP));
    assert_eq!(h.rpc("kvs.lookup", json!({"key": "a", "flags": 0})), Err(Errno::EPROTO));
    assert_eq!(h.rpc("kvs.lookup", json!({"flags": 0})), Err(Errno::EPROTO));
    h.finish();
}

#[test]
fn commits_are_refused_with_the_errno_of_flux_core_and_change_nothing() {
    let mut h = Harness::new();
    h.commit(&[put("val", "x"), mkdir("dir"), symlink("link", None, "val"), symlink("far", Some("ns"), "a")]).unwrap();
    let before = h.rootref();
    let rows: Vec<(Value, Errno)> = vec![
        (put(".", "x"), Errno::EINVAL),
        (put("", "x"), Errno::EINVAL),
        (append("dir", "x"), Errno::EISDIR),
        (append("link", "x"), Errno::ENOTSUP),
        (put("far.b", "x"), Errno::EINVAL),
        (op("a", 0, json!({"ver": 2, "type": "val", "data": ""})), Errno::EINVAL),
        (op("a", 0, json!({"ver": 1, "type": "hdir", "data": {}})), Errno::EINVAL),
        (op("a", 0, json!({"ver": 1, "type": "valref", "data": []})), Errno::EINVAL),
        (op("a", 0, json!({"ver": 1, "type": "valref", "data": ["sha1-xyz"]})), Errno::EINVAL),
        (op("a", 32, json!({"ver": 1, "type": "dir", "data": {}})), Errno::EPROTO),
        (json!({"key": "a", "flags": 0}), Errno::EPROTO),
        (json!({"key": "a", "flags": 0, "dirent": null, "more": 1}), Errno::EPROTO),
    ];
    for (op, want) in rows {
        // The first operation is sound: the transaction fails as a whole.
        assert_eq!(h.commit(&[put("good", "1"), op.clone()]), Err(want), "{op}");
        assert_eq!(h.rootref(), before, "{op}");
    }
    let sync = json!({"namespace": "primary", "flags": 0, "ops": {}});
    assert_eq!(h.rpc("kvs.commit", sync), Err(Errno::EPROTO));
    assert_eq!(h.rpc("kvs.commit", json!({"namespace": "no", "flags": 0, "ops": []})), Err(Errno::ENOTSUP));
    h.finish();
}

#[test]
fn values_become_directories_and_directories_values() {
    let mut h = Harness::new();
    h.put("a", "1");
    h.put("a.b.c", "2");
    assert_eq!(h.get("a.b.c").unwrap(), "2");
    h.put("a", "3");
    assert_eq!(h.get("a").unwrap(), "3");
    h.commit(&[unlink("a.b.c"), unlink("nothing.at.all")]).unwrap();
    assert_eq!(h.get("a").unwrap(), "3");
    h.finish();
}

#[test]
fn links_are_followed_by_commits_too() {
    let mut h = Harness::new();
    h.commit(&[symlink("job.guest", None, "elsewhere"), put("job.guest.x", "1")]).unwrap();
    assert_eq!(h.get("elsewhere.x").unwrap(), "1");
    assert_eq!(h.get("job.guest.x").unwrap(), "1");
    h.commit(&[put("job.guest", "now a value")]).unwrap();
    assert_eq!(h.get("job.guest").unwrap(), "now a value");
    assert_eq!(h.commit(&[symlink("l", None, "l"), put("l.x", "1")]), Err(Errno::ELOOP));
    h.finish();
}

#[test]
fn appending_makes_a_valref_of_the_pieces() {
    let mut h = Harness::new();
    h.commit(&[append("log", "a\n")]).unwrap();
    h.commit(&[append("log", "b\n"), append("log", "c\n")]).unwrap();
    assert_eq!(h.get("log").unwrap(), "a\nb\nc\n");
    let answer = h.rpc("kvs.lookup", json!({"namespace": "primary", "key": "log", "flags": 16})).unwrap();
    assert_eq!(answer["val"]["type"], "valref");
    let alg = crate::Algorithm::Sha1;
    let refs: Vec<String> = ["a\n", "b\n", "c\n"].iter().map(|piece| alg.hash(piece.as_bytes()).to_string()).collect();
    assert_eq!(answer["val"]["data"], json!(refs));
    h.finish();
}

#[test]
fn commits_of_one_turn_share_a_record_and_a_sequence_number() {
    let mut h = Harness::new();
    let body = |key: &str, flags: i64| json!({"namespace": "primary", "flags": flags, "ops": [put(key, "1")]});
    let messages = [
        h.message("kvs.commit", OWNER, body("a", 0)),
        h.message("kvs.commit", OWNER, body("b", 0)),
        h.message(
            "kvs.commit",
            OWNER,
            json!({"namespace": "primary", "flags": 0, "ops": [append("a", "x"), mkdir("a.b"), append("a", "y")]}),
        ),
        h.message("kvs.commit", OWNER, body("c", 1)),
        h.message("kvs.commit", OWNER, body("d", 0)),
    ];
    h.turn(|kvs, cx| {
        messages.iter().for_each(|message| {
            flux_service::AnyService::dispatch(kvs, cx, message);
        });
    });
    assert_eq!(h.disk.records.len(), 1);
    assert_eq!(h.synced, 1);
    let seqs: Vec<_> =
        messages.iter().map(|m| h.answers(m.matchtag()).remove(0).map(|v| v["rootseq"].clone())).collect();
    // The third fails alone; NO_MERGE has a number of its own, though the answer tells the root after the batch.
    let last = Ok(json!(3));
    assert_eq!(seqs, [last.clone(), last.clone(), Err(Errno::EISDIR), last.clone(), last]);
    assert_eq!(h.get("a").unwrap(), "1");
    h.finish();
}

#[test]
fn snapshots_stay_readable() {
    let mut h = Harness::new();
    h.commit(&[put("a.b", "old"), put("a.big", &"old".repeat(100))]).unwrap();
    let rootref = h.rootref();
    let rootdir = json!({"ver": 1, "type": "dirref", "data": [rootref]});
    h.commit(&[put("a.b", "new"), unlink("a.big")]).unwrap();
    let lookup = |key: &str, flags: i64| json!({"key": key, "flags": flags, "rootdir": rootdir});
    for _ in 0..2 {
        let answer = h.rpc("kvs.lookup", lookup("a.b", 0)).unwrap();
        assert_eq!(text_of(&answer["val"]), "old");
        let answer = h.rpc("kvs.lookup-plus", lookup("a.big", 0)).unwrap();
        assert_eq!(text_of(&answer["val"]), "old".repeat(100));
        assert_eq!(answer["rootref"], rootdir["data"][0]);
        h.rpc("content.flush", json!({})).unwrap(); // The second time it comes from the database.
    }
    let bad = json!({"key": "a", "flags": 0, "rootdir": val("x")});
    assert_eq!(h.rpc("kvs.lookup", bad), Err(Errno::EINVAL));
    h.finish();
}

#[test]
fn a_directory_listing_shows_references() {
    let mut h = Harness::new();
    h.commit(&[put("d.v", "1"), put("d.sub.x", "2"), symlink("d.l", None, "t"), put("d.big", &"x".repeat(55))])
        .unwrap();
    let answer = h.rpc("kvs.lookup", json!({"namespace": "primary", "key": "d", "flags": 1})).unwrap();
    let kinds: Vec<_> =
        ["big", "l", "sub", "v"].iter().map(|name| answer["val"]["data"][name]["type"].clone()).collect();
    assert_eq!(kinds, ["valref", "symlink", "dirref", "val"]);
    // A grafted reference shows the same directory.
    let sub = answer["val"]["data"]["sub"].clone();
    h.commit(&[op("copy", 0, sub), unlink("d")]).unwrap();
    assert_eq!(h.get("copy.x").unwrap(), "2");
    let mut h = h.crash();
    assert_eq!(h.get("copy.x").unwrap(), "2");
    assert_eq!(h.get("d.v"), Err(Errno::ENOENT));
    h.finish();
}

/// Recorded from flux-core 0.88: `flux kvs getroot -b` after the same puts into a new namespace.
#[test]
fn references_are_those_of_flux_core() {
    let mut h = Harness::new();
    let create = json!({"namespace": "t", "rootref": h.rootref(), "owner": -1, "flags": 0});
    h.rpc("kvs.namespace-create", create).unwrap();
    let rows = [
        (mkdir("unused"), ""),
        (unlink("unused"), "c0a9faf907dda6216fd73bf81d0b3b21a1a8cb91"),
        (put("a.b", "1"), "366ab28080ba1017a788d8dfb1c3c31b2fa599a2"),
        (put("big", &"x".repeat(54)), "7265b71900aa2de899e5ae82dc3940505d44ba67"),
        (put("big", &"x".repeat(55)), "5a41220e0933f86312f47ac3c275381440bb52e4"),
        (symlink("l", None, "a.b"), "eb004ffb110009024383187b60694ea5223fe79d"),
        (symlink("l2", Some("other"), "x.y"), "82ec650791e89008c8e47fae9dc9a0464d88c652"),
        (mkdir("d.e"), "0f32577f3fd353ea407dd26138678c6a480aa4bc"),
        (append("log", "one"), "f1c730c9dc3df7f3a055c9b19cf1642d002f0280"),
        (append("log", "two"), "344d523c083c3afa5fb2ed899cba143cee1414ac"),
        (append("big", "two"), "cb54bca14e30697aa6ffe54f7c26c3a16082d1f9"),
        (put("a.b.c", "2"), "d77ec9f3a791cc1a95c09da0c58f454647f7678b"),
        (put("é\"\\q", "1"), "d7b6c00d7799a4c00c0bac797b2107a71bd0a8c5"),
        (unlink("a.b.c"), "76f9ee8d02dff9dd3d10829c8f3d4d8a8a3a4cb1"),
        (put("e", ""), "b0c7bc0b6e857b1c84022802a1269ec57ae6d6f7"),
    ];
    for (op, want) in rows {
        let answer = h.rpc("kvs.commit", json!({"namespace": "t", "flags": 0, "ops": [op]})).unwrap();
        if !want.is_empty() {
            assert_eq!(answer["rootref"], format!("sha1-{want}"), "{op}");
        }
    }
    h.finish();
}

#[test]
fn a_commit_asks_for_all_that_it_needs_at_once() {
    let mut h = Harness::new();
    let key = |at: usize| format!("a.{at}.k");
    // Directories that differ: equal ones would be one blob.
    let ops: Vec<Value> = (0..50).map(|at| put(&key(at), &format!("{at}:"))).collect();
    h.commit(&ops).unwrap();
    h = Harness::on(h.finish());
    h.slow = true;
    let ops: Vec<Value> = (0..50).map(|at| append(&key(at), "2")).collect();
    let body = json!({"namespace": "primary", "flags": 0, "ops": ops});
    let tag = h.send("kvs.commit", body);
    let mut most = 0;
    while !h.pending.is_empty() {
        most = most.max(h.pending.iter().filter(|(_, op)| matches!(op, StoreOp::Get { .. })).count());
        h.work_one();
    }
    assert!(h.answers(tag)[0].is_ok());
    assert_eq!(most, 50, "the fifty directories, not one after the other");
    h.slow = false;
    assert_eq!(h.get(&key(49)), Ok("49:2".to_owned()));
}
