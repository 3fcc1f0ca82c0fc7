//! The service between a resource service and a job manager that are played here.

use super::*;
use flux_service::{AnyService, Effect, NodeInfo, Now, Outbox, Rng};
use flux_wire::{Body, Cred, Rank};
use std::sync::Arc;

struct Bench {
    sched: SchedFluxion,
    out: Outbox,
    node: NodeInfo,
}

fn r(ranks: &str, hosts: &str) -> Value {
    json!({"version": 1, "execution": {"R_lite": [{"rank": ranks, "children": {"core": "0-3"}}], "nodelist": [hosts],
        "starttime": 0, "expiration": 0}})
}

fn sent(effects: &[Effect], topic: &str) -> Message {
    let found = effects.iter().find_map(|effect| match effect {
        Effect::Send(message) if message.topic() == topic => Some(message.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{topic} in {effects:?}"))
}

impl Bench {
    /// A scheduler over two nodes that has shaken hands; `running` are the jobs it is told of, with their R.
    fn new(config: Value, running: &[(u64, Value)]) -> (Bench, Vec<Effect>) {
        let node = NodeInfo {
            rank: Rank(0),
            size: 1,
            hostname: "n0".into(),
            owner: 1000,
            uuid: "u".into(),
            rundir: "/run".into(),
            statedir: None,
            attrs: [].into(),
            config: Arc::new(config),
        };
        let mut bench = Bench { sched: SchedFluxion::new(), out: Outbox::default(), node };
        let acquire = sent(&bench.run(|sched, cx| Service::start(sched, cx).unwrap()), "resource.acquire");
        let body = json!({"resources": r("0-1", "n[0-1]"), "up": "0-1"});
        let hello = sent(&bench.reply(&acquire, body), "job-manager.sched-hello");
        let mut raised = Vec::new();
        for (id, r) in running {
            let lookup = sent(&bench.reply(&hello, json!({"id": id})), "kvs.lookup");
            raised.extend(bench.reply(&lookup, json!({"val": {"data": STANDARD.encode(r.to_string())}})));
        }
        let end = hello.error_response(Errno::ENODATA, "");
        let effects = bench.run(|sched, cx| Service::on_reply(sched, cx, Tag(hello.matchtag()), &end));
        let ready = sent(&effects, "job-manager.sched-ready");
        bench.reply(&ready, json!({"count": 0}));
        assert!(bench.sched.ready);
        (bench, raised)
    }

    fn run(&mut self, f: impl FnOnce(&mut SchedFluxion, &mut Cx<'_>)) -> Vec<Effect> {
        let mut rng = Rng::new(1);
        let mut cx = Cx { now: Now::default(), node: &self.node, rng: &mut rng, out: &mut self.out };
        f(&mut self.sched, &mut cx);
        Service::on_batch_end(&mut self.sched, &mut cx);
        Service::check(&self.sched);
        std::mem::take(&mut self.out.effects)
    }

    fn reply(&mut self, request: &Message, body: Value) -> Vec<Effect> {
        let reply = request.response(body.into());
        self.run(|sched, cx| Service::on_reply(sched, cx, Tag(request.matchtag()), &reply))
    }

    /// Bodies of all answers that a request brings about.
    fn request(&mut self, topic: &str, body: Value) -> Vec<Value> {
        let mut message = Message::request(topic, Target::Any, 5, body.into());
        message.cred = Cred { userid: 1000, rolemask: 5 };
        let effects = self.run(|sched, cx| assert!(sched.dispatch(cx, &message)));
        let answer = |effect: Effect| match effect {
            Effect::Send(Message { body: Body::Response { errnum: 0, .. }, payload, .. }) if !payload.is_none() => {
                Some((*payload.value().unwrap()).clone())
            }
            _ => None,
        };
        effects.into_iter().filter_map(answer).collect()
    }

    /// Ids and types of the answers to `sched.alloc`.
    fn told(&mut self, topic: &str, body: Value) -> Vec<(u64, u64)> {
        let answers = self.request(topic, body);
        answers.iter().filter_map(|body| Some((body["id"].as_u64()?, body["type"].as_u64()?))).collect()
    }

    fn alloc(&mut self, id: u64, priority: u64, cores: u32) -> Vec<(u64, u64)> {
        let jobspec = json!({"version": 1,
            "resources": [{"type": "slot", "count": cores, "label": "task", "with": [{"type": "core", "count": 1}]}],
            "tasks": [{"command": ["true"], "slot": "task", "count": {"per_slot": 1}}],
            "attributes": {"system": {"duration": 60}}});
        self.told("sched.alloc", json!({"id": id, "priority": priority, "jobspec": jobspec}))
    }
}

#[test]
fn jobs_start_by_priority_and_what_cannot_be_is_denied() {
    let (mut bench, _) = Bench::new(json!({}), &[]);
    assert_eq!(bench.alloc(1, 16, 8), [(1, 0)]);
    assert_eq!(bench.alloc(2, 16, 1), []);
    assert_eq!(bench.alloc(3, 31, 8), []);
    assert_eq!(bench.alloc(4, 40, 9), [(4, 2)]);
    assert_eq!(bench.told("sched.free", json!({"id": 1, "R": r("1", "n1")})), [], "half is not enough for the first");
    assert_eq!(bench.told("sched.free", json!({"id": 1, "R": r("0", "n0"), "final": true})), [(3, 0)]);
    assert_eq!(bench.told("sched.cancel", json!({"id": 2})), [(2, 3)]);
}

#[test]
fn backfilling_tells_when_the_first_will_start() {
    let (mut bench, _) = Bench::new(json!({"sched-fluxion-qmanager": {"queue-policy": "easy"}}), &[]);
    assert_eq!(bench.alloc(1, 16, 5), [(1, 0)]);
    let told = bench.alloc(2, 16, 8);
    assert_eq!(told, [(2, 1)]);
    assert_eq!(bench.alloc(3, 16, 3), [(3, 0)], "it ends no later than the first");
    assert_eq!(bench.told("sched.cancel", json!({"id": 2})), [(2, 3)]);
    assert_eq!(bench.sched.fluxion.as_ref().and_then(|fluxion| fluxion.job(2)), None, "no reservation is left");
}

#[test]
fn jobs_that_run_at_the_start_keep_their_resources() {
    let (mut bench, raised) = Bench::new(json!({}), &[(7, r("0", "n0"))]);
    assert_eq!(raised, []);
    assert_eq!(bench.alloc(1, 16, 5), [], "rank 0 is taken");
    let status = bench.request("sched.resource-status", json!({}));
    assert_eq!(status[0]["allocated"]["execution"]["R_lite"][0]["rank"], "0");
    let (_, raised) = Bench::new(json!({}), &[(7, r("5", "n5"))]);
    let raise = sent(&raised, "job-manager.raise");
    assert_eq!(raise.payload.value().unwrap()["type"], "scheduler-restart");
}

#[test]
fn the_graph_can_be_asked_and_changed() {
    let (mut bench, _) = Bench::new(json!({"sched-fluxion-resource": {"match-policy": "lonode"}}), &[]);
    let path = "/cluster0/n1";
    bench.request("sched-fluxion-resource.set_property", json!({"sp_resource_path": path, "sp_keyval": "a=b"}));
    let got = bench.request("sched-fluxion-resource.get_property", json!({"gp_resource_path": path, "gp_key": "a"}));
    assert_eq!(got, [json!({"values": ["b"]})]);
    let found = bench.request("sched-fluxion-resource.find", json!({"criteria": "property=a", "format": "simple"}));
    assert_eq!(found[0]["R"], "      ------n1[1:x]\n      ---cluster0[1:x]\n");
    bench.request("sched-fluxion-resource.set_status", json!({"resource_path": path, "status": "down"}));
    assert_eq!(bench.alloc(1, 16, 5), []);
    let up = json!({"resource_path": path, "status": "up"});
    assert_eq!(bench.told("sched-fluxion-resource.set_status", up), [(1, 0)]);
}
