use flux_wire::Errno;
use serde_json::{Value, json};

use crate::testing::*;

const WATCH: i64 = 4;
const WAITCREATE: i64 = 8;
const FULL: i64 = 64;
const UNIQ: i64 = 128;
const APPEND: i64 = 256;
const STREAM: i64 = 512;
const SENTINEL: i64 = 1024;

fn watch(h: &mut Harness, key: &str, flags: i64) -> u32 {
    h.stream("kvs-watch.lookup", json!({"namespace": "primary", "key": key, "flags": flags}))
}

/// Answers as text; a sentinel is "-", errors are their names.
fn texts(h: &mut Harness, tag: u32) -> Vec<String> {
    let text = |answer: Result<Value, Errno>| match answer {
        Ok(Value::Null) => "-".to_owned(),
        Ok(value) => text_of(&value["val"]),
        Err(errno) => flux_wire::errno_name(errno).expect("a known errno").to_owned(),
    };
    h.answers(tag).into_iter().map(text).collect()
}

#[test]
fn a_watcher_sees_each_value_until_the_key_is_removed() {
    let mut h = Harness::new();
    h.put("a", "1");
    let tag = watch(&mut h, "a", WATCH);
    h.put("a", "2");
    h.put("b", "other");
    h.put("a", "2");
    h.commit(&[unlink("a")]).unwrap();
    h.put("a", "3");
    assert_eq!(texts(&mut h, tag), ["1", "2", "2", "ENOENT"]);
    h.finish();
}

#[test]
fn flags_change_what_is_told() {
    let mut h = Harness::new();
    h.put("d.a", "1");
    let uniq = watch(&mut h, "d.a", WATCH | UNIQ);
    let full = watch(&mut h, "d.a", WATCH | FULL);
    let wait = watch(&mut h, "later", WAITCREATE);
    let wait_watch = watch(&mut h, "later", WATCH | WAITCREATE);
    h.put("d.a", "1");
    h.put("d.a", "2");
    h.put("unrelated", "x");
    h.put("d", "value instead of the directory");
    h.put("later", "1");
    h.put("later", "2");
    assert_eq!(texts(&mut h, uniq), ["1", "2"]);
    assert_eq!(texts(&mut h, full), ["1", "2", "ENOENT"]);
    assert_eq!(texts(&mut h, wait), ["1"]);
    assert_eq!(texts(&mut h, wait_watch), ["1", "2"]);
    h.finish();
}

#[test]
fn append_watchers_get_the_new_pieces_only() {
    let mut h = Harness::new();
    let early = watch(&mut h, "log", WATCH | WAITCREATE | APPEND | SENTINEL);
    h.commit(&[append("log", "a")]).unwrap();
    h.commit(&[append("log", "b"), append("log", "c")]).unwrap();
    let late = watch(&mut h, "log", WATCH | APPEND | SENTINEL);
    h.rpc("kvs.commit", json!({"namespace": "primary", "flags": 4, "ops": []})).unwrap(); // Pieces are joined.
    h.commit(&[append("log", "d")]).unwrap();
    h.put("log", "anew");
    let overwritten = "EINVAL";
    assert_eq!(texts(&mut h, early), ["-", "a", "b", "c", "d", overwritten]);
    assert_eq!(texts(&mut h, late), ["a", "b", "c", "-", "d", overwritten]);
    h.finish();
}

#[test]
fn a_stream_ends_after_the_last_piece() {
    let mut h = Harness::new();
    h.commit(&[append("log", "a"), append("log", "b"), put("val", "v"), mkdir("dir"), put("empty", "")]).unwrap();
    for (key, want) in [
        ("log", &["a", "b", "ENODATA"][..]),
        ("val", &["v", "ENODATA"]),
        ("dir", &["EISDIR"]),
        ("empty", &["", "ENODATA"]),
    ] {
        let tag = watch(&mut h, key, STREAM);
        assert_eq!(texts(&mut h, tag), want, "{key}");
    }
    h.finish();
}

#[test]
fn flags_that_do_not_go_together_are_refused() {
    let mut h = Harness::new();
    let rows = [
        (WATCH, false, Errno::EPROTO),
        (STREAM, false, Errno::EPROTO),
        (WATCH | STREAM, true, Errno::EINVAL),
        (FULL, true, Errno::EINVAL),
        (WATCH | SENTINEL, true, Errno::EINVAL),
    ];
    for (flags, streaming, want) in rows {
        let body = json!({"namespace": "primary", "key": "a", "flags": flags});
        let tag = if streaming { h.stream("kvs-watch.lookup", body) } else { h.send("kvs-watch.lookup", body) };
        assert_eq!(h.answers(tag), [Err(want)], "flags {flags}");
    }
    h.finish();
}

#[test]
fn a_watcher_ends_when_it_is_canceled_or_its_client_goes() {
    let mut h = Harness::new();
    h.put("a", "1");
    let (first, second) = (watch(&mut h, "a", WATCH), watch(&mut h, "none", WATCH | WAITCREATE));
    let mut cancel = h.message("kvs-watch.cancel", OWNER, json!({"matchtag": first}));
    cancel.flags = flux_wire::Flags(flux_wire::Flags::NORESPONSE);
    h.deliver(&cancel);
    assert_eq!(texts(&mut h, first), ["1", "ENODATA"]);
    let mut disconnect = h.message("kvs-watch.disconnect", OWNER, flux_wire::Payload::None);
    disconnect.flags = flux_wire::Flags(flux_wire::Flags::NORESPONSE);
    h.deliver(&disconnect);
    h.put("none", "1");
    assert_eq!(texts(&mut h, second), [] as [&str; 0]);
    assert_eq!(h.rpc("kvs-watch.stats-get", json!({})).unwrap()["watchers"], 0);
    h.finish();
}

#[test]
fn watchers_wait_for_a_namespace_and_end_with_it() {
    let mut h = Harness::new();
    let body = json!({"namespace": "ns", "key": "a", "flags": WATCH | WAITCREATE});
    let waiting = h.stream("kvs-watch.lookup", body);
    let refused = h.stream("kvs-watch.lookup", json!({"namespace": "ns", "key": "a", "flags": WATCH}));
    let root = h.rootref();
    h.rpc("kvs.namespace-create", json!({"namespace": "ns", "rootref": root, "owner": -1, "flags": 0})).unwrap();
    h.rpc("kvs.commit", json!({"namespace": "ns", "flags": 0, "ops": [put("a", "1")]})).unwrap();
    h.rpc("kvs.namespace-remove", json!({"namespace": "ns"})).unwrap();
    assert_eq!(texts(&mut h, waiting), ["1", "ENOTSUP"]);
    assert_eq!(texts(&mut h, refused), ["ENOTSUP"]);
    h.finish();
}

#[test]
fn setroot_events_tell_keys_and_are_saved_where_nobody_listens() {
    let mut h = Harness::new();
    h.commit(&[put("a.b", "1"), put("c", "2")]).unwrap();
    let root = h.rootref();
    let events = h.events();
    let want = json!({
        "namespace": "primary", "rootseq": 1, "rootref": root, "names": ["transaction_req.0.1"],
        "keys": {"a.b": null, "c": null}, "owner": OWNER
    });
    assert_eq!(events, [("kvs.namespace-primary-setroot".to_owned(), want)]);
    h.subscribers(&["heartbeat."]);
    h.put("a", "1");
    assert_eq!(h.events(), []);
    h.subscribers(&["kvs.namespace-primary"]);
    h.put("a", "1");
    assert_eq!(h.events().len(), 1);
    h.rpc("kvs.setroot-pause", json!({"namespace": "primary"})).unwrap();
    h.put("a", "2");
    assert_eq!(h.events(), []);
    h.rpc("kvs.setroot-unpause", json!({"namespace": "primary"})).unwrap();
    assert_eq!(h.events().len(), 1);
    h.finish();
}
