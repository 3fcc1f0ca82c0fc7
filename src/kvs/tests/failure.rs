//! Full disks and slow ones.

use std::time::Duration;

use flux_service::AnyService;
use flux_wire::{Errno, Payload};
use serde_json::json;

use crate::testing::*;

fn commit(h: &mut Harness, ops: &[serde_json::Value]) -> u32 {
    h.send("kvs.commit", json!({"namespace": "primary", "flags": 0, "ops": ops}))
}

#[test]
fn a_commit_that_cannot_be_logged_is_undone_and_those_after_it_are_kept() {
    let mut h = Harness::new();
    h.commit(&[put("a", "old"), append("log", "1"), put("d.x", "1"), put("gone", "here")]).unwrap();
    h.slow = true;
    let lost =
        commit(&mut h, &[put("a", "lost"), append("log", "2"), put("d.e.f", "2"), unlink("gone"), put("n.m", "")]);
    let kept = commit(&mut h, &[append("log", "3"), put("d.y", "3")]);
    assert_eq!(h.get("a"), Ok("lost".into()), "watchers and readers see it before the disk");
    h.append_errno = Some(Errno::ENOSPC);
    assert!(h.work_one());
    h.append_errno = None;
    h.work();
    assert_eq!(h.answers(lost), [Err(Errno::ENOSPC)]);
    let kept = h.answers(kept);
    h.slow = false;
    for _ in 0..2 {
        assert_eq!(h.get("a").unwrap(), "old");
        assert_eq!(h.get("log").unwrap(), "13");
        assert_eq!(h.get("d.x").unwrap(), "1");
        assert_eq!(h.get("d.y").unwrap(), "3");
        assert_eq!(h.get("gone").unwrap(), "here");
        assert_eq!(h.get("d.e.f"), Err(Errno::ENOENT));
        assert_eq!(h.get("n"), Err(Errno::ENOENT));
        assert_eq!(Ok(json!(h.rootref())), kept[0].clone().map(|answer| answer["rootref"].clone()));
        h = h.crash();
    }
    h.finish();
}

#[test]
fn an_append_watcher_goes_on_after_an_undone_append() {
    let mut h = Harness::new();
    h.commit(&[append("log", "1")]).unwrap();
    let tag = h.stream("kvs-watch.lookup", json!({"namespace": "primary", "key": "log", "flags": 4 | 256}));
    h.append_errno = Some(Errno::ENOSPC);
    assert_eq!(h.commit(&[append("log", "lost")]), Err(Errno::ENOSPC));
    h.append_errno = None;
    h.commit(&[append("log", "2")]).unwrap();
    assert_eq!(seen(&mut h, tag), ["1", "lost"], "the lost one may come again");
    h.sleep(Duration::from_secs(10));
    h.commit(&[append("log", "3")]).unwrap();
    assert_eq!(seen(&mut h, tag), ["2", "3"]);
    h.finish();
}

#[test]
fn a_database_that_cannot_be_written_costs_nothing_but_time() {
    let mut h = Harness::new();
    h.put("a", "1");
    h.put_errno = Some(Errno::ENOSPC);
    h.sleep(Duration::from_secs(61));
    assert_eq!(h.disk.records.len(), 1, "the log is kept");
    let sync = json!({"namespace": "primary", "flags": 4, "ops": []});
    let tag = h.send("kvs.commit", sync);
    h.sleep(Duration::from_secs(6));
    assert_eq!(h.answers(tag), [Err(Errno::ENOSPC)]);
    assert_eq!(h.get("a").unwrap(), "1");
    h.put_errno = None;
    h.sleep(Duration::from_secs(6));
    assert_eq!(h.disk.records, []);
    h.finish();
}

#[test]
fn a_checkpoint_waits_for_the_log_and_is_dropped_with_it() {
    let mut h = Harness::new();
    h.slow = true;
    let tag = h.send("kvs.commit", json!({"namespace": "primary", "flags": 4, "ops": [put("a", "1")]}));
    h.turn(AnyService::stop);
    assert_eq!(h.pending.len(), 1, "only the record is on its way: {:?}", h.pending);
    h.append_errno = Some(Errno::EIO);
    h.work();
    assert_eq!(h.answers(tag), [Err(Errno::EIO)]);
    // The checkpoint that the stop made after all is that of the empty root.
    let checkpoint = &h.disk.checkpoints["kvs-primary"];
    assert_eq!(checkpoint["rootref"], "sha1-c0a9faf907dda6216fd73bf81d0b3b21a1a8cb91");
}

#[test]
fn commits_wait_for_what_is_read_back_and_keep_their_order() {
    let mut h = Harness::new();
    h.commit(&[put("old.job.log", "1"), put("other", "x")]).unwrap();
    let disk = h.finish();
    let mut h = Harness::on(disk);
    h.slow = true;
    let first = commit(&mut h, &[append("old.job.log", "2")]);
    let second = commit(&mut h, &[append("old.job.log", "3")]);
    let lookup = h.send("kvs.lookup", json!({"namespace": "primary", "key": "other", "flags": 0}));
    h.work();
    assert_eq!(h.answers(lookup).len(), 1);
    assert!(h.answers(first)[0].is_ok() && h.answers(second)[0].is_ok());
    h.slow = false;
    assert_eq!(h.get("old.job.log").unwrap(), "123");
    h.finish();
}

#[test]
fn durability_decides_what_waits_for_the_disk() {
    let mut h = Harness::new();
    let body = |durability: &str| json!({"namespace": "primary", "flags": 0, "durability": durability, "ops": [append("log", "x")]});
    assert_eq!(h.rpc("kvs.commit", body("written")).unwrap(), json!({"rootseq": 1}));
    assert_eq!(h.synced, 0);
    assert_eq!(h.rpc("kvs.commit", body("synced")).unwrap(), json!({"rootseq": 2}));
    assert_eq!(h.synced, 1);
    // A service of the same broker needs no reference, whatever durability it needs.
    let mut message = h.message("kvs.commit", OWNER, Payload::None);
    message.payload = json!({"namespace": "primary", "flags": 0, "ops": [append("log", "x")]}).into();
    h.deliver(&message);
    assert_eq!(h.answers(message.matchtag()), [Ok(json!({"rootseq": 3}))]);
    assert_eq!(h.synced, 2);
    assert_eq!(h.rpc("kvs.commit", body("maybe")), Err(Errno::EPROTO));
    h.finish();
}

/// What an append watcher of a key is sent: text, or the number of the error that ends it.
fn seen(h: &mut Harness, tag: u32) -> Vec<String> {
    let text = |answer: Result<serde_json::Value, Errno>| match answer {
        Ok(body) => text_of(&body["val"]),
        Err(errno) => errno.0.to_string(),
    };
    h.answers(tag).into_iter().map(text).collect()
}

#[test]
fn a_log_that_a_full_disk_took_back_goes_on_when_it_is_written_again() {
    // How the writer puts things right: with the whole log, or with the same lines once more.
    let repairs = [vec![put("log", "abc")], vec![append("log", "b"), append("log", "c")]];
    for repair in repairs {
        for known in [true, false] {
            let mut h = Harness::new();
            if known {
                h.put("log", "a");
            }
            let body = json!({"namespace": "primary", "key": "log", "flags": 4 | 8 | 256});
            let tag = h.stream("kvs-watch.lookup", body);
            h.append_errno = Some(Errno::ENOSPC);
            let lost = if known { append("log", "b") } else { append("log", "ab") };
            assert_eq!(h.commit(&[lost]), Err(Errno::ENOSPC));
            h.append_errno = None;
            if !known {
                h.commit(&[append("log", "a")]).unwrap();
            }
            h.commit(&repair).unwrap();
            h.commit(&[append("log", "d")]).unwrap();
            h.sleep(Duration::from_secs(20));
            assert_eq!(seen(&mut h, tag).concat(), "abcd", "{repair:?}, known before: {known}");
            h.finish();
        }
    }
}

#[test]
fn what_was_kept_of_later_commits_comes_once_when_all_is_written_again() {
    let mut h = Harness::new();
    h.put("log", "a");
    let tag = h.stream("kvs-watch.lookup", json!({"namespace": "primary", "key": "log", "flags": 4 | 256}));
    h.append_errno = Some(Errno::ENOSPC);
    assert_eq!(h.commit(&[append("log", "b")]), Err(Errno::ENOSPC));
    h.append_errno = None;
    h.commit(&[append("log", "c")]).unwrap();
    h.commit(&[put("log", "abcd")]).unwrap();
    assert_eq!(seen(&mut h, tag).concat(), "abcd");
    h.finish();
}

#[test]
fn a_value_set_to_something_else_ends_its_append_watchers_also_after_a_full_disk() {
    let mut h = Harness::new();
    h.put("log", "a");
    let tag = h.stream("kvs-watch.lookup", json!({"namespace": "primary", "key": "log", "flags": 4 | 256}));
    h.append_errno = Some(Errno::ENOSPC);
    assert_eq!(h.commit(&[append("log", "b")]), Err(Errno::ENOSPC));
    h.append_errno = None;
    h.put("log", "other");
    assert_eq!(seen(&mut h, tag), ["a".to_owned(), "b".to_owned(), Errno::EINVAL.0.to_string()]);
    h.finish();
}

#[test]
fn several_commits_that_a_full_disk_took_back_come_once() {
    let mut h = Harness::new();
    h.put("log", "a\n");
    let tag = h.stream("kvs-watch.lookup", json!({"namespace": "primary", "key": "log", "flags": 4 | 256}));
    h.slow = true;
    h.append_errno = Some(Errno::ENOSPC);
    for line in ["1b\n", "1c\n", "1d\n"] {
        let body = json!({"namespace": "primary", "flags": 0, "ops": [append("log", line)]});
        h.send("kvs.commit", body);
    }
    h.work();
    for whole in ["a\n1b\n1c\n1d\n", "a\n1b\n1c\n1d\n1e\n", "a\n1b\n1c\n1d\n1e\n1f\n"] {
        let body = json!({"namespace": "primary", "flags": 0, "ops": [put("log", whole)]});
        h.send("kvs.commit", body);
        h.work();
    }
    (h.append_errno, h.slow) = (None, false);
    h.put("log", "a\n1b\n1c\n1d\n1e\n1f\n1g\n");
    h.work();
    assert_eq!(seen(&mut h, tag).concat(), "a\n1b\n1c\n1d\n1e\n1f\n1g\n");
    h.finish();
}
