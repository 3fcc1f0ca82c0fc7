use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_service::{AnyService, Effect, NodeInfo, Now, Outbox, Rng};
use flux_types::resource_set::Node;
use flux_wire::{Body, Cred};

use super::*;

struct Bench {
    sched: SchedSimple,
    out: Outbox,
    node: NodeInfo,
}

fn resources(nodes: u32, cores: u32) -> ResourceSet {
    let mut set = ResourceSet::new();
    for rank in 0..nodes {
        set.insert(rank, Node::new(&format!("n{rank}"), Idset::below(cores), Idset::new())).unwrap();
    }
    set
}

impl Bench {
    /// A scheduler that has shaken hands; `running` are the jobs it is told of, with their R.
    fn new(nodes: u32, cores: u32, running: &[(u64, ResourceSet)]) -> (Bench, Vec<Effect>) {
        let node = NodeInfo { hostname: "n0".into(), ..NodeInfo::sample() };
        let mut bench = Bench { sched: SchedSimple::new(FitMode::First), out: Outbox::default(), node };
        let acquire = sent(&bench.run(|sched, cx| Service::start(sched, cx).unwrap()), "resource.acquire");
        let set = resources(nodes, cores);
        let up = set.ranks().to_string();
        let body = json!({"resources": set.to_value(), "up": up});
        let hello = sent(&bench.reply(&acquire, body), "job-manager.sched-hello");
        let mut raised = Vec::new();
        for (id, set) in running {
            let job = json!({"id": id, "priority": 16, "userid": 1000, "t_submit": 1.0});
            let lookup = sent(&bench.reply(&hello, job), "kvs.lookup");
            let val = json!({"val": {"data": STANDARD.encode(set.encode())}});
            raised.extend(bench.reply(&lookup, val));
        }
        let end = hello.error_response(Errno::ENODATA, "");
        let effects = bench.run(|sched, cx| Service::on_reply(sched, cx, Tag(hello.matchtag()), &end));
        let ready = sent(&effects, "job-manager.sched-ready");
        bench.reply(&ready, json!({"count": 0}));
        assert!(bench.sched.handshake.is_ready());
        (bench, raised)
    }

    fn run(&mut self, f: impl FnOnce(&mut SchedSimple, &mut Cx<'_>)) -> Vec<Effect> {
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

    /// Bodies of the answers to `sched.alloc` requests that this one brings about.
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
        effects.into_iter().filter_map(answer).filter(|body| body.get("type").is_some()).collect()
    }

    fn alloc(&mut self, id: u64, priority: u64, slots: u32) -> Vec<(u64, u64)> {
        let answers = self.request("sched.alloc", json!({"id": id, "priority": priority, "jobspec": jobspec(slots)}));
        ids(&answers)
    }
}

fn ids(answers: &[Value]) -> Vec<(u64, u64)> {
    answers.iter().map(|body| (body["id"].as_u64().unwrap(), body["type"].as_u64().unwrap())).collect()
}

fn jobspec(slots: u32) -> Value {
    json!({"version": 1,
        "resources": [{"type": "slot", "count": slots, "label": "task", "with": [{"type": "core", "count": 1}]}],
        "tasks": [{"command": ["true"], "slot": "task", "count": {"per_slot": 1}}],
        "attributes": {"system": {"duration": 0}}})
}

fn sent(effects: &[Effect], topic: &str) -> Message {
    let found = effects.iter().find_map(|effect| match effect {
        Effect::Send(message) if message.topic() == topic => Some(message.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{topic} in {effects:?}"))
}

#[test]
fn the_queue_is_served_by_priority_then_age_and_never_past_its_head() {
    let (mut bench, _) = Bench::new(1, 4, &[]);
    assert_eq!(bench.alloc(1, 16, 4), [(1, 0)]);
    assert_eq!(bench.alloc(2, 16, 1), []);
    assert_eq!(bench.alloc(3, 31, 4), [], "ahead of 2, and too large for now");
    let free = json!({"id": 1, "R": resources(1, 4).to_value()});
    assert_eq!(ids(&bench.request("sched.free", free.clone())), [(3, 0)]);
    assert_eq!(bench.alloc(4, 16, 1), []);
    assert_eq!(ids(&bench.request("sched.prioritize", json!({"jobs": [[4, 20]]}))), []);
    let answers = ids(&bench.request("sched.free", json!({"id": 3, "R": resources(1, 4).to_value()})));
    assert_eq!(answers, [(4, 0), (2, 0)]);
}

#[test]
fn what_cannot_be_is_denied_and_what_is_cancelled_is_answered() {
    let (mut bench, _) = Bench::new(1, 2, &[]);
    assert_eq!(bench.alloc(1, 16, 3), [(1, 2)]);
    assert_eq!(bench.alloc(2, 16, 2), [(2, 0)]);
    assert_eq!(bench.alloc(3, 16, 2), []);
    assert_eq!(bench.alloc(4, 16, 1), []);
    assert_eq!(ids(&bench.request("sched.cancel", json!({"id": 3}))), [(3, 3)]);
    let bad = json!({"id": 9, "priority": 1, "jobspec": {"version": 1}});
    assert_eq!(ids(&bench.request("sched.alloc", bad)), [(9, 2)]);
}

#[test]
fn jobs_that_run_at_the_start_keep_their_resources() {
    let (mut bench, raised) = Bench::new(2, 2, &[(7, resources(1, 2))]);
    assert_eq!(raised, []);
    assert_eq!(bench.alloc(1, 16, 3), [], "rank 0 is taken");
    let (_, raised) = Bench::new(1, 1, &[(7, resources(2, 2))]);
    let raise = sent(&raised, "job-manager.raise");
    assert_eq!(raise.payload.value().unwrap()["type"], "scheduler-restart");
}

#[test]
fn a_job_that_lost_a_node_keeps_the_others_until_it_is_freed() {
    let (mut bench, raised) = Bench::new(1, 2, &[(7, resources(2, 2))]);
    let raise = sent(&raised, "job-manager.raise");
    let note = raise.payload.value().unwrap()["note"].as_str().unwrap().to_owned();
    assert_eq!(note, "failed to reallocate R for running job: ranks 1 are not among the resources");
    assert_eq!(bench.alloc(1, 16, 2), [], "its shells may still run on rank 0");
    let free = json!({"id": 7, "R": resources(2, 2).to_value(), "final": true});
    assert_eq!(ids(&bench.request("sched.free", free.clone())), [(1, 0)]);
    assert_eq!(bench.alloc(2, 16, 2), []);
    assert_eq!(ids(&bench.request("sched.free", free)), [], "what it has no more it cannot give back");
}
