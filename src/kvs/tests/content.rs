//! The content service (RFC 10).

use flux_service::{Found, FoundAll};
use flux_wire::{Errno, Payload};
use serde_json::{Value, json};

use crate::Algorithm;
use crate::limits::LOOKS_MAX;
use crate::testing::*;

fn bytes(answer: Result<Value, Errno>) -> Result<Vec<u8>, Errno> {
    answer.map(|value| serde_json::from_value(value).unwrap_or_default())
}

#[test]
fn what_is_stored_is_loaded_from_memory_log_and_database() {
    let mut h = Harness::new();
    for topic in ["content", "content-backing"] {
        for blob in [&b"hello"[..], b"", b"{\"data\":{}}"] {
            let stored = bytes(h.rpc_as(OWNER, &format!("{topic}.store"), Payload::raw(blob))).unwrap();
            assert_eq!(stored, Algorithm::Sha1.hash(blob).digest());
            h = h.crash();
            for _ in 0..2 {
                let load = |h: &mut Harness| h.rpc_as(OWNER, &format!("{topic}.load"), Payload::raw(stored.clone()));
                assert_eq!(bytes(load(&mut h)), Ok(blob.to_vec()));
                h.rpc("content.flush", json!({})).unwrap();
            }
            assert_eq!(h.rpc_as(OWNER, &format!("{topic}.validate"), Payload::raw(stored)), Ok(Value::Null));
        }
    }
    let unknown = Algorithm::Sha1.hash(b"unknown");
    assert_eq!(h.rpc_as(OWNER, "content.load", Payload::raw(unknown.digest())), Err(Errno::ENOENT));
    assert_eq!(h.rpc_as(OWNER, "content.validate", Payload::raw(unknown.digest())), Err(Errno::ENOENT));
    assert_eq!(h.rpc_as(OWNER, "content.load", Payload::raw(&b"short"[..])), Err(Errno::EPROTO));
    h.finish();
}

#[test]
fn a_value_may_refer_to_stored_content_even_after_a_crash() {
    let mut h = Harness::new();
    h.rpc_as(OWNER, "content.store", Payload::raw(&b"part one, "[..])).unwrap();
    h.rpc_as(OWNER, "content.store", Payload::raw(&b"part two"[..])).unwrap();
    let refs: Vec<String> =
        [&b"part one, "[..], b"part two"].iter().map(|part| Algorithm::Sha1.hash(part).to_string()).collect();
    h.commit(&[op("v", 0, json!({"ver": 1, "type": "valref", "data": refs}))]).unwrap();
    let mut h = h.crash();
    assert_eq!(h.get("v").unwrap(), "part one, part two");
    let dangling = Algorithm::Sha1.hash(b"nowhere").to_string();
    h.commit(&[op("w", 0, json!({"ver": 1, "type": "valref", "data": [dangling]}))]).unwrap();
    assert_eq!(h.get("w"), Err(Errno::ENOENT));
    h.commit(&[op("d", 0, json!({"ver": 1, "type": "dirref", "data": [dangling]}))]).unwrap();
    assert_eq!(h.commit(&[put("d.x", "1")]), Err(Errno::ENOENT));
    assert_eq!(h.get("d.x"), Err(Errno::ENOENT));
    h.finish();
}

#[test]
fn damaged_blobs_are_not_served() {
    let mut h = Harness::new();
    h.put("big", &"x".repeat(100));
    let mut disk = h.finish();
    let hash = Algorithm::Sha1.hash("x".repeat(100).as_bytes());
    disk.blobs.insert(hash.digest().into(), [b'y'; 100].into());
    let mut h = Harness::on(disk);
    assert_eq!(h.get("big"), Err(Errno::EIO));
    h.finish();
}

#[test]
fn without_its_root_nothing_is_served() {
    let mut h = Harness::new();
    h.put("a", "1");
    let mut disk = h.finish();
    disk.blobs.clear();
    let mut h = Harness::on(disk);
    assert_eq!(h.get("a"), Err(Errno::EIO));
    assert_eq!(h.commit(&[put("a", "2")]), Err(Errno::EIO));
}

#[test]
fn checkpoints_are_listed_newest_first() {
    let mut h = Harness::new();
    assert_eq!(h.rpc("content.checkpoint-get", json!({})), Err(Errno::ENOENT));
    for n in 1..=7 {
        h.put("a", &n.to_string());
        // SYNC: answered when a checkpoint has it.
        let answer = h.rpc("kvs.commit", json!({"namespace": "primary", "flags": 4, "ops": []})).unwrap();
        let list = h.rpc("content-backing.checkpoint-get", json!({})).unwrap();
        assert_eq!(list["value"][0]["rootref"], answer["rootref"]);
        assert_eq!(list["value"][0]["sequence"], 2 * n);
    }
    let value = json!({"version": 1, "rootref": h.rootref(), "sequence": 99, "timestamp": 1.5});
    h.rpc("content.checkpoint-put", json!({"value": value})).unwrap();
    let list = h.rpc("content.checkpoint-get", json!({})).unwrap();
    assert_eq!(list["value"].as_array().unwrap().len(), 5);
    assert_eq!(list["value"][0], value);
    assert_eq!(h.rpc("kvs.commit", json!({"namespace": "no", "flags": 4, "ops": []})), Err(Errno::ENOTSUP));
    let disk = h.finish();
    let mut h = Harness::on(disk);
    assert_eq!(h.rpc("content.checkpoint-get", json!({})).unwrap()["value"].as_array().unwrap().len(), 5);
}

/// Goal: of many keys one that cannot be read costs no other, and what is not in memory is read in one round for all.
#[test]
fn many_keys_are_answered_together_and_each_for_itself() {
    let mut h = Harness::new();
    for at in 0..50 {
        h.put(&format!("dir.{at:02}.v"), &format!("{at:02}").repeat(50));
    }
    let mut disk = h.finish();
    let hash = Algorithm::Sha1.hash("07".repeat(50).as_bytes());
    disk.blobs.insert(hash.digest().into(), [b'y'; 100].into());
    let mut h = Harness::on(disk);
    let mut looks: Vec<Value> = (0..50).map(|at| json!({"key": format!("dir.{at:02}.v"), "dir": false})).collect();
    looks.extend(
        [("dir", true), ("dir.00", false), ("dir.00.v", true), ("dir.xx", true)]
            .map(|(key, dir)| json!({"key": key, "dir": dir})),
    );
    h.slow = true;
    h.send("kvs.lookup-many", json!({"looks": looks}));
    let mut rounds = 0;
    while !h.pending.is_empty() {
        rounds += 1;
        for _ in 0..h.pending.len() {
            assert!(h.work_one());
        }
    }
    assert!(rounds <= 4, "{rounds} rounds: the root, the directory, those in it, and their values");
    let FoundAll(found) = FoundAll::of(&h.sent.pop_back().unwrap()).unwrap();
    assert_eq!(found.len(), 54);
    for (at, found) in found.iter().take(50).enumerate() {
        let value = Found::Value(format!("{at:02}").repeat(50).as_bytes().into());
        assert_eq!(*found, if at == 7 { Found::Failed(Errno::EIO) } else { value }, "{at}");
    }
    assert_eq!(found[50], Found::Names((0..50).map(|at| format!("{at:02}")).collect()));
    let failures = [Errno::EISDIR, Errno::ENOTDIR, Errno::ENOENT].map(Found::Failed);
    assert_eq!(found[51..], failures);
    h.slow = false;
    let too_many = vec![json!({"key": "a", "dir": false}); LOOKS_MAX + 1];
    assert_eq!(h.rpc("kvs.lookup-many", json!({"looks": too_many})), Err(Errno::E2BIG));
    assert_eq!(h.rpc_as(OWNER + 1, "kvs.lookup-many", json!({"looks": []})), Err(Errno::EPERM));
    h.finish();
}
