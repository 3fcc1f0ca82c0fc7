use std::sync::Arc;
use std::time::Duration;

use flux_service::{AnyService, Effect, Mono, NodeInfo, Now, Outbox, Rng, Wall};
use flux_types::resource_set::Node;
use flux_wire::{Body, Cred, Flags, Payload};

use super::*;

struct Bench {
    service: Resource,
    out: Outbox,
    node: NodeInfo,
    now: Now,
}

impl Bench {
    /// A cluster of four nodes, of which this broker is rank 0; `old_log` is the eventlog of an earlier run.
    fn new(config: Value, old_log: Option<&str>) -> Bench {
        let mut set = ResourceSet::new();
        for rank in 0..4 {
            set.insert(rank, Node::new(&format!("n{rank}"), Idset::below(2), Idset::new())).unwrap();
        }
        let node = NodeInfo { size: 4, hostname: "n0".into(), config: Arc::new(config), ..NodeInfo::sample() };
        let service = Resource::new(Inventory::new(set, Method::DynamicDiscovery), 1);
        let now = Now { mono: Mono::default(), wall: Wall(Duration::from_secs(100)) };
        let mut bench = Bench { service, out: Outbox::default(), node, now };
        let effects = bench.run(|service, cx| Service::start(service, cx).unwrap());
        let [Effect::Send(lookup)] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(lookup.topic(), "kvs.lookup");
        let reply = match old_log {
            Some(text) => lookup.response(json!({"val": {"data": STANDARD.encode(text)}}).into()),
            None => lookup.error_response(Errno::ENOENT, ""),
        };
        let tag = Tag(lookup.matchtag());
        bench.run(|service, cx| Service::on_reply(service, cx, tag, &reply));
        assert!(bench.service.ready);
        bench
    }

    fn run(&mut self, f: impl FnOnce(&mut Resource, &mut Cx<'_>)) -> Vec<Effect> {
        let mut rng = Rng::new(1);
        let mut cx = Cx { now: self.now, node: &self.node, rng: &mut rng, out: &mut self.out };
        f(&mut self.service, &mut cx);
        Service::check(&self.service);
        std::mem::take(&mut self.out.effects)
    }

    fn request(&mut self, topic: &str, tag: u32, body: Value) -> Vec<Effect> {
        let mut message = Message::request(topic, Target::Any, tag, body.into());
        let streaming = ["resource.acquire", "resource.journal"].contains(&topic);
        message.flags = Flags(if streaming { Flags::STREAMING } else { 0 });
        message.cred = Cred { userid: 1000, rolemask: 5 };
        message.push_route("client".into());
        self.run(|service, cx| assert!(service.dispatch(cx, &message), "{topic}"))
    }

    fn status(&mut self) -> Value {
        let effects = self.request("resource.status", 1, json!({}));
        responses(&effects).remove(0).1
    }
}

/// Matchtag and body of the responses; errors are their errno.
fn responses(effects: &[Effect]) -> Vec<(u32, Value)> {
    let body = |effect: &Effect| match effect {
        Effect::Send(Message { body: Body::Response { errnum, matchtag }, payload, .. }) => Some((
            *matchtag,
            match (errnum, payload) {
                (0, Payload::None) => Value::Null,
                (0, payload) => (*payload.value().unwrap()).clone(),
                (errnum, _) => (*errnum).into(),
            },
        )),
        _ => None,
    };
    effects.iter().filter_map(body).collect()
}

#[test]
fn the_scheduler_hears_of_drains_and_the_kvs_keeps_them() {
    let mut bench = Bench::new(json!({}), None);
    let first = responses(&bench.request("resource.acquire", 7, json!({})));
    assert_eq!(first[0].1["up"], "0");
    assert_eq!(bench.request("resource.acquire", 8, json!({})).len(), 1, "the second is refused");
    let effects = bench.request("resource.drain", 9, json!({"targets": "0,2", "reason": "disk"}));
    assert_eq!(responses(&effects), [(7, json!({"down": "0"}))], "2 was not up; the answer waits for the KVS");
    let commit = effects.iter().find_map(|effect| match effect {
        Effect::Send(message) if message.topic() == "kvs.commit" => Some(message.clone()),
        _ => None,
    });
    let commit = commit.expect("the event is kept");
    let data = commit.payload.value().unwrap()["ops"][0]["dirent"]["data"].as_str().unwrap().to_owned();
    let event = String::from_utf8(STANDARD.decode(data).unwrap()).unwrap();
    let want = "\"name\":\"drain\",\"context\":{\"idset\":\"0,2\",\"nodelist\":\"n[0,2]\",\"reason\":\"disk\",\"overwrite\":0}}\n";
    assert!(event.ends_with(want), "{event}");
    let reply = commit.response(json!({}).into());
    let answered = bench.run(|service, cx| Service::on_reply(service, cx, Tag(commit.matchtag()), &reply));
    assert_eq!(responses(&answered), [(9, Value::Null)]);
    assert_eq!(responses(&bench.request("resource.undrain", 10, json!({"targets": "n0"}))), [(7, json!({"up": "0"}))]);
    assert_eq!(bench.status()["drain"], json!({"2": {"timestamp": 100.0, "reason": "disk"}}));
}

#[test]
fn drains_outlive_a_restart_and_exclusion_ends_them() {
    let old = "{\"timestamp\":5.0,\"name\":\"drain\",\"context\":{\"idset\":\"1-3\",\"nodelist\":\"n[1-3]\",\"overwrite\":0}}\n\
               {\"timestamp\":6.0,\"name\":\"undrain\",\"context\":{\"idset\":\"3\",\"nodelist\":\"n3\"}}\n\
               nonsense\n";
    let mut bench = Bench::new(json!({"resource": {"exclude": "n2"}}), Some(old));
    let status = bench.status();
    assert_eq!(status["drain"], json!({"1": {"timestamp": 5.0, "reason": ""}}));
    assert_eq!(status["exclude"], "2");
}

#[test]
fn a_drain_waits_for_a_node_that_comes_later() {
    let mut bench = Bench::new(json!({}), None);
    bench.service.size = 6;
    let old = "{\"timestamp\":5.0,\"name\":\"drain\",\"context\":{\"idset\":\"1,4-5\",\"reason\":\"disk\",\"overwrite\":0}}\n\
               {\"timestamp\":6.0,\"name\":\"undrain\",\"context\":{\"idset\":\"5\"}}\n";
    bench.run(|service, cx| service.replay(cx, old));
    let drained = json!({"timestamp": 5.0, "reason": "disk"});
    assert_eq!(bench.status()["drain"], json!({"1": drained}));
    for rank in [4, 5] {
        let node = Node::new(&format!("n{rank}"), Idset::below(2), Idset::new());
        bench.service.late.insert(rank, node).unwrap();
    }
    bench.service.grow_at = Some(bench.now.mono);
    bench.run(|service, cx| service.grow(cx));
    assert_eq!(bench.status()["drain"], json!({"1,4": drained}));
}

#[test]
fn bad_targets_are_refused_with_a_reason() {
    let mut bench = Bench::new(json!({}), None);
    bench.request("resource.drain", 1, json!({"targets": "1", "reason": "disk"}));
    let rows = [
        ("resource.drain", json!({"targets": "9"}), 22),
        ("resource.drain", json!({"targets": "zz"}), 22),
        ("resource.drain", json!({"targets": "[[["}), 22),
        ("resource.drain", json!({"targets": "1"}), 17),
        ("resource.drain", json!({"targets": "1", "mode": "what"}), 22),
        ("resource.undrain", json!({"targets": "0"}), 17),
        ("resource.undrain", json!({}), 71),
        ("resource.undrain", json!({"targets": "1", "mode": "what"}), 22),
    ];
    for (topic, body, errno) in rows {
        assert_eq!(responses(&bench.request(topic, 2, body.clone())), [(2, json!(errno))], "{topic} {body}");
    }
}

#[test]
fn undraining_what_is_not_drained_is_fine_if_asked_for() {
    for (mode, overwrite) in [("update", 0), ("overwrite", 1), ("force-overwrite", 2)] {
        let mut bench = Bench::new(json!({}), None);
        let effects = bench.request("resource.undrain", 3, json!({"targets": "0", "mode": mode}));
        assert_eq!(responses(&effects), [], "{mode}: answered when the event is stored");
        let journal = responses(&bench.request("resource.journal", 4, json!({})));
        let last = journal[0].1["events"].as_array().unwrap().last().unwrap();
        assert_eq!((&last["name"], &last["context"]["overwrite"]), (&json!("undrain"), &json!(overwrite)));
    }
}

#[test]
fn the_journal_begins_with_the_past_and_a_sentinel() {
    let mut bench = Bench::new(json!({}), None);
    let got = responses(&bench.request("resource.journal", 3, json!({})));
    let names: Vec<&Value> = got[0].1["events"].as_array().unwrap().iter().map(|event| &event["name"]).collect();
    assert_eq!(names, ["restart", "resource-define", "online"]);
    assert_eq!(got[1], (3, json!({"events": []})));
    let more = responses(&bench.request("resource.monitor-force-down", 4, json!({"ranks": "0"})));
    assert_eq!((more[0].0, &more[0].1["events"][0]["context"]), (3, &json!({"idset": "0"})));
}

/// What the scheduler is told of when an instance of two brokers comes up again and only rank 0 is there.
fn found_again(stored_hosts: &str) -> Option<Value> {
    let mut bench = Bench::new(json!({}), None);
    bench.node.size = 2;
    bench.node.attrs =
        [("hostlist".to_owned(), "n[0-1]".to_owned()), ("broker.quorum".to_owned(), "1".to_owned())].into();
    let mut found = ResourceSet::new();
    found.insert(0, Node::new("n0", Idset::below(2), Idset::new())).unwrap();
    bench.service = Resource::new(Inventory::new(found, Method::DynamicDiscovery), 2);
    let effects = bench.run(|service, cx| Service::start(service, cx).unwrap());
    bench.request("resource.acquire", 9, json!({}));
    let lookup_of = |effects: &[Effect]| match effects.iter().rev().find_map(|effect| match effect {
        Effect::Send(message) if message.topic() == "kvs.lookup" => Some(message.clone()),
        _ => None,
    }) {
        Some(message) => message,
        None => panic!("{effects:?}"),
    };
    let execution = json!({"R_lite": [{"rank": "0-1", "children": {"core": "0-1"}}], "nodelist": [stored_hosts],
        "starttime": 0, "expiration": 0});
    let stored = json!({"version": 1, "execution": execution}).to_string();
    let lookup = lookup_of(&effects);
    assert_eq!(lookup.payload.value().unwrap()["key"], "resource.R");
    let reply = lookup.response(json!({"val": {"data": STANDARD.encode(stored)}}).into());
    let effects = bench.run(|service, cx| Service::on_reply(service, cx, Tag(lookup.matchtag()), &reply));
    if bench.service.gather_until.is_some() {
        return None;
    }
    let lookup = lookup_of(&effects);
    let reply = lookup.error_response(Errno::ENOENT, "");
    let effects = bench.run(|service, cx| Service::on_reply(service, cx, Tag(lookup.matchtag()), &reply));
    Some(responses(&effects).remove(0).1)
}

#[test]
fn a_node_that_is_away_at_a_restart_keeps_its_resources() {
    let told = found_again("n[0-1]").expect("nobody is waited for");
    assert_eq!(told["resources"]["execution"]["R_lite"], json!([{"rank": "0-1", "children": {"core": "0-1"}}]));
    assert_eq!(told["up"], "", "it is not up, and rank 0 has not been told of yet");
    assert_eq!(found_again("n[0,7]"), None, "another host had rank 1: the new one is waited for");
}

#[test]
fn what_one_job_runs_on_no_other_may_claim() {
    let mut bench = Bench::new(json!({}), None);
    let r = |ranks: &str, cores: &str| {
        json!({"version": 1, "execution": {"R_lite": [{"rank": ranks, "children": {"core": cores}}],
            "nodelist": ["n[0-3]"], "starttime": 0, "expiration": 0}})
    };
    let mut claim = |tag: u32, body: Value| responses(&bench.request("resource.claim", tag, body)).remove(0).1;
    assert_eq!(claim(1, json!({"id": 1, "R": r("0-3", "0")})), json!({}));
    assert_eq!(claim(2, json!({"id": 2, "R": r("0-3", "0-1")})), 17, "EEXIST");
    assert_eq!(claim(3, json!({"id": 3, "R": r("0-3", "1")})), json!({}), "what was refused left nothing");
    assert_eq!(claim(4, json!({"id": 4, "R": {}})), 71, "EPROTO");
    bench.request("resource.release", 5, json!({"id": 1, "ranks": "0-2"}));
    let mut claim = |tag: u32, body: Value| responses(&bench.request("resource.claim", tag, body)).remove(0).1;
    assert_eq!(claim(6, json!({"id": 5, "R": r("0-3", "0")})), 17, "one rank is still in use");
    assert_eq!(claim(7, json!({"id": 5, "R": r("0-3", "0"), "freed": "3"})), json!({}));
    bench.request("resource.release", 8, json!({"id": 1}));
    let mut claim = |tag: u32, body: Value| responses(&bench.request("resource.claim", tag, body)).remove(0).1;
    assert_eq!(claim(9, json!({"id": 5, "R": r("0-3", "0")})), json!({}), "its own does not count");
}

#[test]
fn a_drain_that_cannot_be_stored_leaves_the_node_as_it_was() {
    let mut bench = Bench::new(json!({}), None);
    let fails = |bench: &mut Bench, topic: &str, body: Value| {
        let effects = bench.request(topic, 7, body);
        let commit = effects.iter().find_map(|effect| match effect {
            Effect::Send(message) if message.topic() == "kvs.commit" => Some(message.clone()),
            _ => None,
        });
        let commit = commit.expect("the event is stored");
        let reply = commit.error_response(Errno::ENOSPC, "");
        let effects = bench.run(|service, cx| Service::on_reply(service, cx, Tag(commit.matchtag()), &reply));
        assert_eq!(responses(&effects)[0], (7, json!(Errno::ENOSPC.0)), "{topic}");
    };
    fails(&mut bench, "resource.drain", json!({"targets": "1-2"}));
    assert_eq!(bench.status()["drain"], json!({}));
    bench.request("resource.drain", 8, json!({"targets": "1", "reason": "hot"}));
    fails(&mut bench, "resource.undrain", json!({"targets": "1"}));
    assert_eq!(bench.status()["drain"]["1"]["reason"], "hot");
}
