//! A broker between the leader and the nodes of a job: rank 1, with ranks 3 and 4 below it, of which 4 has rank 9 below.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flux_service::{AnyService, Cx, Effect, Mono, NodeInfo, Now, Outbox, Rng, Tag, Wall};
use flux_types::Idset;
use flux_wire::{Body, Cred, Errno, Flags, Message, Payload, Rank, Target, role};
use serde_json::{Value, json};

use super::JobExec;

const OWNER: u32 = 1000;

struct Relaying {
    exec: JobExec,
    node: NodeInfo,
    rng: Rng,
    out: Outbox,
    now: Duration,
    /// Launches that were passed on, by rank.
    launches: BTreeMap<u32, Message>,
    orders: Vec<(u32, Value)>,
    /// What the leader was told; `Err` is the end.
    told: Vec<Result<Value, Errno>>,
}

impl Relaying {
    /// With a launch of shells 1 to 4 on ranks 1, 3, 4 and 9.
    fn new() -> Relaying {
        let below = Arc::new(BTreeMap::from([(3, 3), (4, 4), (9, 4)]));
        let node = NodeInfo { rank: Rank(1), size: 10, owner: OWNER, below, ..NodeInfo::sample() };
        let mut world = Relaying {
            exec: JobExec::new(),
            node,
            rng: Rng::new(1),
            out: Outbox::default(),
            now: Duration::ZERO,
            launches: BTreeMap::new(),
            orders: Vec::new(),
            told: Vec::new(),
        };
        world.with(|exec, cx| AnyService::start(exec, cx).unwrap());
        let body = json!({"id": 7, "userid": OWNER, "shell_count": 5, "job": "\"jobspec\":{},\"R\":{}", "reattach": false,
            "taken": 0, "ranks": "1,3-4,9", "shells": "1-4"});
        world.request("job-exec.launch", Flags::STREAMING, body);
        world
    }

    fn with(&mut self, run: impl FnOnce(&mut JobExec, &mut Cx<'_>)) {
        let now = Now { mono: Mono(self.now), wall: Wall(self.now) };
        let mut cx = Cx { now, node: &self.node, rng: &mut self.rng, out: &mut self.out };
        run(&mut self.exec, &mut cx);
        AnyService::on_batch_end(&mut self.exec, &mut cx);
        for effect in std::mem::take(&mut self.out.effects) {
            let Effect::Send(message) = effect else { continue };
            match message.body {
                Body::Response { errnum: 0, .. } => self.told.push(Ok((*message.payload.value().unwrap()).clone())),
                Body::Response { errnum, .. } => self.told.push(Err(Errno(errnum))),
                Body::Request { target: Target::Rank(rank), .. } if message.topic() == "job-exec.launch" => {
                    self.launches.insert(rank.0, message);
                }
                Body::Request { target: Target::Rank(rank), .. } => {
                    self.orders.push((rank.0, (*message.payload.value().unwrap()).clone()));
                }
                _ => {}
            }
        }
    }

    fn request(&mut self, topic: &str, flags: u8, body: Value) {
        let mut message = Message::request(topic, Target::Any, 7, body.into());
        message.flags = Flags(flags);
        message.cred = Cred { userid: OWNER, rolemask: role::OWNER };
        self.with(|exec, cx| assert!(AnyService::dispatch(exec, cx, &message)));
    }

    fn answer(&mut self, rank: u32, reply: impl FnOnce(&Message) -> Message) {
        let reply = reply(&self.launches[&rank]);
        let tag = Tag(reply.matchtag());
        self.with(|exec, cx| AnyService::on_reply(exec, cx, tag, &reply));
    }

    fn says(&mut self, rank: u32, body: Value) {
        self.answer(rank, |launch| launch.response(Payload::from(body)));
    }

    fn wait(&mut self, span: Duration) {
        self.now += span;
        self.with(AnyService::on_timer);
    }

    /// What was told of late: shells, number, and what.
    fn said(&mut self) -> Vec<Value> {
        let said = |told: Result<Value, Errno>| told.expect("the stream goes on")["said"].as_array().unwrap().clone();
        std::mem::take(&mut self.told).into_iter().flat_map(said).collect()
    }
}

fn step(number: u64, what: Value) -> Value {
    json!({"type": "events", "events": [[number, what]]})
}

#[test]
fn a_launch_is_passed_on_once_for_each_child() {
    let world = Relaying::new();
    assert_eq!(world.launches.keys().copied().collect::<Vec<_>>(), [1, 3, 4]);
    let body = |rank: u32| world.launches[&rank].payload.value().unwrap();
    assert_eq!(body(1)["shell_rank"], 1);
    assert_eq!(body(3)["shell_rank"], 2);
    assert_eq!((&body(4)["ranks"], &body(4)["shells"]), (&json!("4,9"), &json!("3-4")));
    assert!(body(3).get("ranks").is_none() && body(4).get("shell_rank").is_none());
}

#[test]
fn what_all_shells_say_is_told_once() {
    let mut world = Relaying::new();
    let started = || json!({"type": "started"});
    world.says(1, started());
    world.says(4, json!({"type": "said", "said": [["3-4", 0, started()]]}));
    assert_eq!(world.said(), [] as [Value; 0], "one shell is missing");
    world.says(3, started());
    assert_eq!(world.said(), [json!(["1-4", 0, {"type": "started"}])]);

    // The first shell is one event ahead of the others.
    let barrier = |data: Value| json!({"type": "barrier", "name": "init", "data": data});
    world.says(1, step(2, barrier(json!({"a": "1"}))));
    world.says(3, step(1, barrier(json!({"b": "2"}))));
    world.says(4, json!({"type": "said", "said": [["3-4", 1, barrier(json!({"c": "3"}))]]}));
    let both = [json!(["2-4", 1, barrier(json!({"b": "2", "c": "3"}))]), json!(["1", 2, barrier(json!({"a": "1"}))])];
    assert_eq!(world.said(), both);

    let finish = |status: i32| json!({"type": "finish", "status": status});
    world.says(1, step(3, finish(0)));
    world.says(3, step(2, finish(256)));
    world.says(4, json!({"type": "said", "said": [["3-4", 2, finish(0)]]}));
    assert_eq!(world.said(), [json!(["2", 2, finish(256)]), json!(["3-4", 2, finish(0)]), json!(["1", 3, finish(0)])]);
}

#[test]
fn nobody_is_held_up_by_who_is_late() {
    let mut world = Relaying::new();
    world.says(1, json!({"type": "started"}));
    world.says(1, step(1, json!({"type": "output", "entry": "x\n"})));
    assert_eq!(world.said(), [] as [Value; 0]);
    world.wait(Duration::from_millis(1));
    assert_eq!(world.said().len(), 2, "output, and what was before it");
    world.says(3, json!({"type": "started"}));
    world.wait(Duration::from_millis(20));
    assert_eq!(world.said(), [json!(["2", 0, {"type": "started"}])]);
    world.says(4, json!({"type": "said", "said": [["3-4", 0, {"type": "started"}]]}));
    assert_eq!(world.said(), [json!(["3-4", 0, {"type": "started"}])], "the last is not held at all");
    world.says(3, step(1, json!({"type": "exception", "severity": 0})));
    assert_eq!(world.said().len(), 1);
}

#[test]
fn a_broker_that_is_lost_takes_those_below_it_along() {
    let mut world = Relaying::new();
    world.says(4, json!({"type": "said", "said": [["3", 5, {"type": "finish", "status": 0}]]}));
    world.answer(4, |launch| launch.error_response(Errno::EHOSTUNREACH, "gone"));
    world.wait(Duration::from_millis(20));
    let lost = json!({"type": "unreachable", "errno": Errno::EHOSTUNREACH.0, "note": "gone"});
    let finish = json!({"type": "finish", "status": 0});
    assert_eq!(world.said(), [json!(["3", 5, finish]), json!(["4", u64::MAX, lost])]);
}

#[test]
fn orders_go_on_to_those_they_are_for() {
    let mut world = Relaying::new();
    world.request("job-exec.order", Flags::NORESPONSE, json!({"id": 7, "kill": 9, "ranks": "3,9"}));
    assert_eq!(world.orders, [(3, json!({"id": 7, "kill": 9})), (4, json!({"id": 7, "kill": 9, "ranks": "9"}))]);
    world.orders.clear();
    let acks = json!({"id": 7, "acks": [["1,4", 3], ["3,9", 2]], "ranks": "1,3-4,9"});
    world.request("job-exec.order", Flags::NORESPONSE, acks);
    let acked = |seq: u64| json!({"id": 7, "command": {"type": "acked", "seq": seq}});
    let below = json!({"id": 7, "acks": [["4", 3], ["9", 2]], "ranks": "4,9"});
    assert_eq!(world.orders, [(1, acked(3)), (3, acked(2)), (4, below)]);
}

#[test]
fn the_end_of_a_job_ends_the_stream_to_the_leader() {
    let mut world = Relaying::new();
    world.request("job-exec.order", Flags::NORESPONSE, json!({"id": 7, "done": true, "ranks": "1,3-4,9"}));
    assert_eq!(world.told, [Err(Errno::ENODATA)]);
    world.told.clear();
    world.answer(4, |launch| launch.error_response(Errno::ENODATA, ""));
    assert_eq!(world.told, []);
}

#[test]
fn a_leader_that_asks_again_is_told_from_then_on() {
    let mut world = Relaying::new();
    let former = world.launches.clone();
    let body = json!({"id": 7, "userid": OWNER, "shell_count": 5, "job": "", "reattach": true, "taken": 2,
        "ranks": "4,9", "shells": "3-4"});
    world.request("job-exec.launch", Flags::STREAMING, body);
    assert_ne!(world.launches[&4].matchtag(), former[&4].matchtag());
    let lost = former[&4].error_response(Errno::EHOSTUNREACH, "gone");
    world.with(|exec, cx| AnyService::on_reply(exec, cx, Tag(lost.matchtag()), &lost));
    world.wait(Duration::from_millis(20));
    assert_eq!(world.said(), [] as [Value; 0], "these shells are the new stream's");
}

#[test]
fn ranks_that_are_not_below_are_refused() {
    let mut world = Relaying::new();
    let before: Idset = world.launches.keys().copied().collect();
    let mut body = json!({"id": 8, "userid": OWNER, "shell_count": 5, "job": "", "reattach": true, "taken": 2,
        "ranks": "4,5", "shells": "3-4"});
    for (ranks, shells) in [("4,5", "3-4"), ("4,9", "3"), ("0-4294967290", "0-4294967290")] {
        (body["ranks"], body["shells"]) = (ranks.into(), shells.into());
        world.request("job-exec.launch", Flags::STREAMING, body.clone());
        assert_eq!(world.told.pop(), Some(Err(Errno::EPROTO)), "{ranks}");
    }
    assert_eq!(world.launches.keys().copied().collect::<Idset>(), before);
}
