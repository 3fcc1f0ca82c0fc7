//! Brokers above rank 0, each with the one below it, and rank 0 with its disk.

use std::collections::VecDeque;
use std::time::Duration;

use flux_service::{AnyService, Cx, Effect, NodeInfo, Now, Outbox, Rng};
use flux_wire::{Cred, Errno, Flags, Kind, Message, Payload, Rank, Target, role};
use serde_json::{Value, json};

use crate::testing::{Harness, OWNER, append, put, text_of};
use crate::{Algorithm, KvsFollower};

/// A broker that is not rank 0.
struct Below {
    service: KvsFollower,
    node: NodeInfo,
    rng: Rng,
    out: Outbox,
    now: Now,
    /// What it asked the broker above.
    asks: VecDeque<Message>,
    /// What it answered: clients, and the broker below.
    answers: VecDeque<Message>,
}

impl Below {
    fn new(rank: u32) -> Below {
        let node = NodeInfo {
            rank: Rank(rank),
            size: 3,
            owner: OWNER,
            uuid: format!("broker-{rank}").into(),
            ..NodeInfo::sample()
        };
        Below {
            service: KvsFollower::new(Algorithm::Sha256),
            node,
            rng: Rng::new(1),
            out: Outbox::default(),
            now: Now::default(),
            asks: VecDeque::new(),
            answers: VecDeque::new(),
        }
    }

    fn call(&mut self, f: impl FnOnce(&mut KvsFollower, &mut Cx<'_>)) {
        let mut cx = Cx { now: self.now, node: &self.node, rng: &mut self.rng, out: &mut self.out };
        f(&mut self.service, &mut cx);
        for effect in self.out.effects.drain(..) {
            match effect {
                Effect::Send(mut message) if message.kind() == Kind::Request => {
                    message.push_route(self.node.uuid.clone());
                    self.asks.push_back(message);
                }
                Effect::Send(message) => self.answers.push_back(message),
                other => panic!("a follower has no business with {other:?}"),
            }
        }
        AnyService::check(&self.service);
    }

    fn deliver(&mut self, message: &Message) {
        self.call(|service, cx| assert!(AnyService::dispatch(service, cx, message), "{}", message.topic()));
    }
}

/// A chain of three brokers.
struct Chain {
    root: Harness,
    below: [Below; 2],
    last_tag: u32,
}

impl Chain {
    fn new() -> Chain {
        Chain { root: Harness::new(), below: [Below::new(1), Below::new(2)], last_tag: 100 }
    }

    /// Messages go where they are to go, until there are none.
    fn settle(&mut self) {
        loop {
            if let Some(message) = self.below[1].asks.pop_front() {
                self.below[0].deliver(&message);
            } else if let Some(message) = self.below[0].asks.pop_front() {
                self.root.deliver(&message);
            } else if !self.answer_one() {
                return;
            }
        }
    }

    fn answer_one(&mut self) -> bool {
        let to =
            |rank: usize| move |message: &Message| message.sender().is_some_and(|id| **id == format!("broker-{rank}"));
        for rank in [1, 2] {
            let from = if rank == 1 { &mut self.root.sent } else { &mut self.below[0].answers };
            if let Some(at) = from.iter().position(to(rank)) {
                let reply = from.remove(at).expect("just found");
                let tag = flux_service::Tag(reply.matchtag());
                self.below[rank - 1].call(|service, cx| AnyService::on_reply(service, cx, tag, &reply));
                return true;
            }
        }
        false
    }

    fn ask_as(&mut self, userid: u32, rank: usize, topic: &str, body: Value, flags: u8) -> u32 {
        self.last_tag += 1;
        let mut message =
            Message::request(topic, Target::Any, self.last_tag, Payload::Raw(format!("{body}\0").into_bytes().into()));
        let rolemask = if userid == OWNER { role::OWNER } else { role::USER };
        message.cred = Cred { userid, rolemask };
        message.flags = Flags(flags);
        message.push_route("client".into());
        self.below[rank - 1].deliver(&message);
        self.settle();
        self.last_tag
    }

    fn ask(&mut self, rank: usize, topic: &str, body: Value) -> Result<Value, Errno> {
        let tag = self.ask_as(OWNER, rank, topic, body, 0);
        let mut answers = self.answers(rank, tag);
        assert_eq!(answers.len(), 1, "{topic} is answered once");
        answers.remove(0)
    }

    fn answers(&mut self, rank: usize, tag: u32) -> Vec<Result<Value, Errno>> {
        let (mine, rest): (Vec<Message>, Vec<Message>) =
            self.below[rank - 1].answers.drain(..).partition(|message| message.matchtag() == tag);
        self.below[rank - 1].answers = rest.into();
        let value = |message: &Message| match message.errno() {
            Some(errno) => Err(errno),
            None => Ok(message.payload.value().map_or(Value::Null, |value| (*value).clone())),
        };
        mine.iter().map(value).collect()
    }

    fn get(&mut self, rank: usize, namespace: &str, key: &str) -> Result<String, Errno> {
        let body = json!({"namespace": namespace, "key": key, "flags": 0});
        self.ask(rank, "kvs.lookup", body).map(|answer| text_of(&answer["val"]))
    }

    fn put(&mut self, rank: usize, key: &str, text: &str) -> i64 {
        let body = json!({"namespace": "primary", "flags": 0, "ops": [put(key, text)]});
        self.ask(rank, "kvs.commit", body).expect("it can be written")["rootseq"].as_i64().expect("a version")
    }

    fn stat(&mut self, rank: usize, path: &str) -> i64 {
        let stats = self.ask(rank, "kvs.stats-get", json!({})).expect("there are statistics");
        stats.pointer(path).and_then(Value::as_i64).expect("a number")
    }
}

#[test]
fn what_is_written_on_one_broker_is_read_on_the_others() {
    let mut chain = Chain::new();
    chain.root.put("a.b", "1");
    assert_eq!(chain.get(2, "primary", "a.b"), Ok("1".into()));
    for (rank, text) in [(2, "2"), (1, "3"), (2, &*"long".repeat(50))] {
        let seq = chain.put(rank, "a.b", text);
        assert_eq!(chain.get(rank, "primary", "a.b").as_deref(), Ok(text), "who wrote it reads it at once");
        let other = 3 - rank;
        let reached = chain.ask(other, "kvs.wait-version", json!({"namespace": "primary", "rootseq": seq})).unwrap();
        assert!(reached["rootseq"].as_i64() >= Some(seq));
        assert_eq!(chain.get(other, "primary", "a.b").as_deref(), Ok(text));
    }
    assert_eq!(chain.get(2, "primary", "nothing"), Err(Errno::ENOENT));
    assert_eq!(chain.get(2, "nowhere", "a"), Err(Errno::ENOTSUP));
}

#[test]
fn what_has_been_read_is_answered_without_asking() {
    let mut chain = Chain::new();
    let long = "x".repeat(500);
    chain.root.put("d.key", &long);
    assert_eq!(chain.get(2, "primary", "d.key").as_ref(), Ok(&long));
    let faults = chain.stat(1, "/cache/#faults");
    assert!(faults >= 3, "root, directory and value: {faults}");
    for _ in 0..3 {
        assert_eq!(chain.get(2, "primary", "d.key").as_ref(), Ok(&long));
    }
    assert_eq!(chain.stat(1, "/cache/#faults"), faults);
    assert!(chain.stat(2, "/cache/#hits") >= 3);
    chain.ask(2, "content.dropcache", Value::Null).unwrap();
    assert_eq!(chain.ask(2, "content.stats-get", Value::Null).unwrap()["count"], 0);
    assert_eq!(chain.get(2, "primary", "d.key").as_ref(), Ok(&long));
    assert_eq!(chain.stat(1, "/cache/#faults"), faults, "the broker between has it still");
}

#[test]
fn a_watcher_far_from_rank_0_sees_each_value_and_the_end() {
    const WATCH: i64 = 4;
    const APPEND: i64 = 256;
    let mut chain = Chain::new();
    chain.root.put("k", "1");
    chain.root.commit(&[append("log", "a")]).unwrap();
    let body = |key: &str, flags: i64| json!({"namespace": "primary", "key": key, "flags": flags});
    let key = chain.ask_as(OWNER, 2, "kvs-watch.lookup", body("k", WATCH), Flags::STREAMING);
    let log = chain.ask_as(OWNER, 2, "kvs-watch.lookup", body("log", WATCH | APPEND), Flags::STREAMING);
    chain.root.put("k", "2");
    chain.settle();
    chain.root.commit(&[append("log", "b")]).unwrap();
    chain.settle();
    chain.root.put("other", "x");
    chain.settle();
    let text = |answers: Vec<Result<Value, Errno>>| -> Vec<Result<String, Errno>> {
        answers.into_iter().map(|answer| answer.map(|value| text_of(&value["val"]))).collect()
    };
    assert_eq!(text(chain.answers(2, key)), [Ok("1".into()), Ok("2".into())]);
    assert_eq!(text(chain.answers(2, log)), [Ok("a".into()), Ok("b".into())]);
    // An append that the disk refuses is taken back also where it was seen.
    chain.root.append_errno = Some(Errno::ENOSPC);
    assert!(chain.root.commit(&[append("log", "c")]).is_err());
    chain.root.append_errno = None;
    chain.settle();
    chain.root.commit(&[append("log", "d")]).unwrap();
    chain.settle();
    assert_eq!(text(chain.answers(2, log)).last(), Some(&Ok("d".into())));
    chain.ask_as(OWNER, 2, "kvs-watch.cancel", json!({"matchtag": key}), Flags::NORESPONSE);
    assert_eq!(chain.answers(2, key), [Err(Errno::ENODATA)]);
}

#[test]
fn namespaces_come_and_go_on_every_broker_and_keep_their_owner() {
    const GUEST: u32 = 2000;
    let mut chain = Chain::new();
    let wait = json!({"namespace": "ns", "key": "k", "flags": 4 | 8});
    let watch = chain.ask_as(OWNER, 2, "kvs-watch.lookup", wait, Flags::STREAMING);
    chain.ask(2, "kvs.namespace-create", json!({"namespace": "ns", "owner": GUEST, "flags": 0})).unwrap();
    let commit = json!({"namespace": "ns", "flags": 0, "ops": [put("k", "v")]});
    chain.ask_as(GUEST, 1, "kvs.commit", commit, 0);
    assert_eq!(chain.get(2, "ns", "k"), Ok("v".into()));
    let lookup = json!({"namespace": "ns", "key": "k", "flags": 0});
    for (userid, allowed) in [(GUEST, true), (GUEST + 1, false)] {
        let tag = chain.ask_as(userid, 2, "kvs.lookup", lookup.clone(), 0);
        assert_eq!(chain.answers(2, tag)[0].is_ok(), allowed, "{userid}");
    }
    let listed = chain.ask(2, "kvs.namespace-list", Value::Null).unwrap();
    assert_eq!(listed["namespaces"].as_array().map(Vec::len), Some(2));
    // A link into another namespace, which nobody has used here yet.
    let link = crate::testing::symlink("link", Some("ns"), "k");
    chain.root.commit(&[link]).unwrap();
    assert_eq!(chain.get(1, "primary", "link"), Ok("v".into()));
    chain.ask(1, "kvs.namespace-remove", json!({"namespace": "ns"})).unwrap();
    chain.settle();
    assert_eq!(chain.get(2, "ns", "k"), Err(Errno::ENOTSUP));
    assert_eq!(chain.answers(2, watch).last(), Some(&Err(Errno::ENOTSUP)));
}

#[test]
fn a_directory_shown_as_a_namespace_follows_what_is_below_it() {
    let mut chain = Chain::new();
    chain.root.put("job.one.guest.k", "1");
    let body = json!({"namespace": "job-1", "owner": OWNER, "flags": 0, "alias": "job.one.guest"});
    chain.root.rpc("kvs.namespace-create", body).unwrap();
    assert_eq!(chain.get(2, "job-1", "k"), Ok("1".into()));
    chain.root.put("job.one.guest.k", "2");
    chain.root.put("job.two.guest.k", "3");
    chain.settle();
    assert_eq!(chain.get(2, "job-1", "k"), Ok("2".into()));
    chain.root.commit(&[crate::testing::unlink("job.one")]).unwrap();
    chain.settle();
    assert_eq!(chain.get(2, "job-1", "k"), Err(Errno::ENOENT));
}

#[test]
fn a_paused_namespace_stays_as_it_was_until_it_goes_on() {
    let mut chain = Chain::new();
    chain.root.put("k", "old");
    assert_eq!(chain.get(2, "primary", "k"), Ok("old".into()));
    chain.ask(2, "kvs.setroot-pause", json!({"namespace": "primary"})).unwrap();
    chain.put(1, "k", "new");
    assert_eq!(chain.get(2, "primary", "k"), Ok("old".into()));
    assert_eq!(chain.get(1, "primary", "k"), Ok("new".into()));
    chain.put(2, "k", "newer");
    chain.ask(2, "kvs.setroot-unpause", json!({"namespace": "primary"})).unwrap();
    chain.settle();
    assert_eq!(chain.get(2, "primary", "k"), Ok("newer".into()));
}

#[test]
fn what_nobody_uses_is_followed_no_more() {
    let mut chain = Chain::new();
    chain.root.put("k", "1");
    assert_eq!(chain.get(2, "primary", "k"), Ok("1".into()));
    for _ in 0..20 {
        for below in &mut chain.below {
            below.now.mono = below.now.mono.after(Duration::from_secs(30));
            below.call(AnyService::on_timer);
        }
        chain.settle();
    }
    assert!(chain.below.iter().all(|below| AnyService::next_timer(&below.service).is_none()), "nothing is left to do");
    chain.root.put("k", "2");
    chain.settle();
    assert!(chain.root.sent.iter().all(|message| message.kind() != Kind::Response), "nobody below is told");
    assert_eq!(chain.get(2, "primary", "k"), Ok("2".into()));
}

#[test]
fn what_is_cancelled_before_its_namespace_is_known_is_watched_no_more() {
    let mut chain = Chain::new();
    chain.root.put("k", "1");
    let request = |topic: &str, tag: u32, body: Value| {
        let mut message = Message::request(topic, Target::Any, tag, body.into());
        message.cred = Cred { userid: OWNER, rolemask: role::OWNER };
        message.flags = Flags(if tag == 0 { Flags::NORESPONSE } else { Flags::STREAMING });
        message.push_route("client".into());
        message
    };
    // The broker above does not answer yet.
    let watch = json!({"namespace": "primary", "key": "k", "flags": 4});
    chain.below[1].deliver(&request("kvs-watch.lookup", 7, watch));
    chain.below[1].deliver(&request("kvs-watch.cancel", 0, json!({"matchtag": 7})));
    chain.settle();
    assert_eq!(chain.answers(2, 7), [Err(Errno::ENODATA)]);
    let stats = chain.ask(2, "kvs-watch.stats-get", json!({})).unwrap();
    assert_eq!(stats["watchers"], 0, "{stats}");
}

#[test]
fn a_lost_parent_ends_what_waits() {
    let mut chain = Chain::new();
    chain.root.put("k", "1");
    let body = json!({"namespace": "primary", "key": "k", "flags": 4});
    let watch = chain.ask_as(OWNER, 1, "kvs-watch.lookup", body, Flags::STREAMING);
    let version = chain.ask_as(OWNER, 1, "kvs.wait-version", json!({"namespace": "primary", "rootseq": 99}), 0);
    // The node answers what was asked over the link (EHOSTUNREACH).
    let tags: Vec<_> = (1..50).map(flux_service::Tag).collect();
    for tag in tags {
        let mut lost = Message::request("x", Target::Any, tag.0, Payload::None);
        lost.push_route("broker-1".into());
        let lost = lost.error_response(Errno::EHOSTUNREACH, "");
        chain.below[0].call(|service, cx| AnyService::on_reply(service, cx, tag, &lost));
    }
    assert_eq!(chain.answers(1, watch).last(), Some(&Err(Errno::EHOSTUNREACH)));
    assert_eq!(chain.answers(1, version), [Err(Errno::EHOSTUNREACH)]);
    let gone = Message::gone("kvs", "broker-1".into(), Cred { userid: OWNER, rolemask: role::OWNER });
    chain.root.turn(|kvs, cx| assert!(kvs.dispatch(cx, &gone)));
    chain.root.put("k", "2");
    assert!(chain.root.sent.iter().all(|message| message.kind() != Kind::Response));
    assert_eq!(chain.get(1, "primary", "k"), Ok("2".into()), "it asks again");
}
