//! The modules between a resource service and a job manager that are played here.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_service::{Completion, Effect, Errand, NodeInfo, Now, Outbox, Rng, Tag};
use flux_wire::{Body, Cred, Message, Target};
use serde_json::json;
use std::sync::Arc;

/// The matchtag of what is asked from outside.
const OUTSIDE: u32 = 5_000;

pub(super) struct Bench {
    pub(super) graph: Parking<FluxionResource>,
    pub(super) sched: Parking<FluxionQmanager>,
    outs: [Outbox; 2],
    node: NodeInfo,
    /// What a thread is to do.
    pub(super) errands: Vec<(Tag, Errand)>,
    /// Since the epoch, and since the start.
    pub(super) seconds: u64,
    /// What the resource service was asked.
    pub(super) acquire: Message,
}

pub(super) fn r(ranks: &str, hosts: &str) -> Value {
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

fn node(config: Value) -> NodeInfo {
    NodeInfo { hostname: "n0".into(), config: Arc::new(config), ..NodeInfo::sample() }
}

/// The two that share a graph.
pub(super) fn modules() -> (Parking<FluxionResource>, Parking<FluxionQmanager>) {
    let shared = Shared::default();
    (Parking::new(FluxionResource::new(shared.clone())), Parking::new(FluxionQmanager::new(shared)))
}

/// The body of an answer.
fn answer_of(effect: &Effect) -> Option<Value> {
    match effect {
        Effect::Send(Message { body: Body::Response { errnum: 0, .. }, payload, .. }) if !payload.is_none() => {
            Some((*payload.value().unwrap()).clone())
        }
        _ => None,
    }
}

impl Bench {
    /// Modules over two nodes that have shaken hands; `running` are the jobs they are told of, with their R.
    pub(super) fn new(config: Value, running: &[(u64, Value)]) -> (Bench, Vec<Effect>) {
        let (graph, sched) = modules();
        let acquire = Message::request("none", Target::Any, 0, json!({}).into());
        let mut bench = Bench {
            graph,
            sched,
            outs: Default::default(),
            node: node(config),
            errands: Vec::new(),
            seconds: 0,
            acquire,
        };
        let raised = bench.shake_hands(running);
        (bench, raised)
    }

    /// Starts both modules, which are new, and plays what they hear at first.
    pub(super) fn shake_hands(&mut self, running: &[(u64, Value)]) -> Vec<Effect> {
        let bench = self;
        let acquire = sent(&bench.on_graph(|graph, cx| AnyService::start(graph, cx).unwrap()), "resource.acquire");
        bench.acquire = acquire.clone();
        let effects = bench.on_sched(|sched, cx| AnyService::start(sched, cx).unwrap());
        assert_eq!(effects, [], "the notify request went to the graph's module");
        let body = json!({"resources": r("0-1", "n[0-1]"), "up": "0-1"});
        let reply = acquire.response(body.into());
        let hello = bench.on_graph(|graph, cx| AnyService::on_reply(graph, cx, Tag(acquire.matchtag()), &reply));
        let hello = sent(&hello, "job-manager.sched-hello");
        let mut raised = Vec::new();
        for (id, r) in running {
            let lookup = sent(&bench.reply(&hello, json!({"id": id})), "kvs.lookup");
            raised.extend(bench.reply(&lookup, json!({"val": {"data": STANDARD.encode(r.to_string())}})));
        }
        let end = hello.error_response(Errno::ENODATA, "");
        let effects = bench.on_sched(|sched, cx| AnyService::on_reply(sched, cx, Tag(hello.matchtag()), &end));
        let ready = sent(&effects, "job-manager.sched-ready");
        bench.reply(&ready, json!({"count": 0}));
        assert!(AnyService::is_ready(&bench.sched) && AnyService::is_ready(&bench.graph));
        raised
    }

    fn now(&self) -> Now {
        let time = std::time::Duration::from_secs(self.seconds);
        Now { mono: flux_service::Mono(time), wall: flux_service::Wall(time) }
    }

    pub(super) fn on_graph(&mut self, f: impl FnOnce(&mut Parking<FluxionResource>, &mut Cx<'_>)) -> Vec<Effect> {
        let mut rng = Rng::new(1);
        let mut cx = Cx { now: self.now(), node: &self.node, rng: &mut rng, out: &mut self.outs[0] };
        f(&mut self.graph, &mut cx);
        AnyService::check(&self.graph);
        let effects = std::mem::take(&mut self.outs[0].effects);
        self.deliver(effects)
    }

    pub(super) fn on_sched(&mut self, f: impl FnOnce(&mut Parking<FluxionQmanager>, &mut Cx<'_>)) -> Vec<Effect> {
        let mut rng = Rng::new(1);
        let mut cx = Cx { now: self.now(), node: &self.node, rng: &mut rng, out: &mut self.outs[1] };
        f(&mut self.sched, &mut cx);
        AnyService::on_batch_end(&mut self.sched, &mut cx);
        AnyService::check(&self.sched);
        let effects = std::mem::take(&mut self.outs[1].effects);
        self.deliver(effects)
    }

    /// What the modules say to one another reaches them; the rest is returned.
    fn deliver(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let mut rest = Vec::new();
        for effect in effects {
            match effect {
                Effect::Send(message) if message.topic() == "sched-fluxion-resource.notify" => {
                    rest.extend(match &message.body {
                        Body::Request { .. } => self.on_graph(|graph, cx| _ = graph.dispatch(cx, &message)),
                        _ => self
                            .on_sched(|sched, cx| AnyService::on_reply(sched, cx, Tag(message.matchtag()), &message)),
                    });
                }
                Effect::Compute { tag, errand } => self.errands.push((tag, errand)),
                effect => rest.push(effect),
            }
        }
        rest.extend(self.on_timers());
        rest
    }

    fn on_timers(&mut self) -> Vec<Effect> {
        let now = self.now().mono;
        let mut rest = Vec::new();
        if self.graph.next_timer().is_some_and(|at| at <= now) {
            rest.extend(self.on_graph(|graph, cx| graph.on_timer(cx)));
        }
        if self.sched.next_timer().is_some_and(|at| at <= now) {
            rest.extend(self.on_sched(|sched, cx| sched.on_timer(cx)));
        }
        rest
    }

    /// The thread has done what it was given.
    pub(super) fn compute(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (tag, errand) in std::mem::take(&mut self.errands) {
            errand.run();
            effects.extend(self.on_sched(|sched, cx| sched.on_completion(cx, tag, Completion::Done)));
        }
        effects
    }

    fn reply(&mut self, request: &Message, body: Value) -> Vec<Effect> {
        let reply = request.response(body.into());
        self.on_sched(|sched, cx| AnyService::on_reply(sched, cx, Tag(request.matchtag()), &reply))
    }

    pub(super) fn ask(&mut self, topic: &str, body: Value) -> Vec<Effect> {
        let mut message = Message::request(topic, Target::Any, OUTSIDE, body.into());
        message.cred = Cred { userid: 1000, rolemask: 5 };
        if topic.ends_with("match_multi") {
            message.flags = flux_wire::Flags(flux_wire::Flags::STREAMING);
        }
        if topic.starts_with("sched-fluxion-resource.") {
            self.on_graph(|graph, cx| assert!(graph.dispatch(cx, &message)))
        } else {
            self.on_sched(|sched, cx| assert!(sched.dispatch(cx, &message)))
        }
    }

    /// Bodies of all answers that a request brings about.
    pub(super) fn request(&mut self, topic: &str, body: Value) -> Vec<Value> {
        self.ask(topic, body).iter().filter_map(answer_of).collect()
    }

    /// The errno a request is refused with.
    fn refusal(&mut self, topic: &str, body: Value) -> Option<i32> {
        self.ask(topic, body).into_iter().find_map(|effect| match effect {
            Effect::Send(Message { body: Body::Response { errnum, .. }, .. }) if errnum != 0 => Some(errnum),
            _ => None,
        })
    }

    /// Ids and types of the answers to `sched.alloc`.
    fn told(&mut self, topic: &str, body: Value) -> Vec<(u64, u64)> {
        let answers = self.request(topic, body);
        answers.iter().filter_map(|body| Some((body["id"].as_u64()?, body["type"].as_u64()?))).collect()
    }

    pub(super) fn alloc(&mut self, id: u64, priority: u64, cores: u32) -> Vec<(u64, u64)> {
        self.told("sched.alloc", json!({"id": id, "priority": priority, "jobspec": jobspec(cores)}))
    }

    fn holds(&self, id: u64) -> bool {
        self.sched.module.shared.graph().expect("resources").job(id).is_some()
    }
}

pub(super) fn jobspec(cores: u32) -> Value {
    json!({"version": 1,
        "resources": [{"type": "slot", "count": cores, "label": "task", "with": [{"type": "core", "count": 1}]}],
        "tasks": [{"command": ["true"], "slot": "task", "count": {"per_slot": 1}}],
        "attributes": {"system": {"duration": 60}}})
}

#[test]
fn jobs_start_by_priority_and_what_cannot_be_is_denied() {
    let (mut bench, _) = Bench::new(json!({}), &[]);
    assert_eq!(bench.alloc(1, 16, 8), [(1, 0)]);
    assert_eq!(bench.alloc(2, 16, 1), []);
    assert_eq!(bench.alloc(3, 31, 8), []);
    assert_eq!(bench.alloc(4, 40, 9), [(4, 2)]);
    assert_eq!(bench.told("sched.free", json!({"id": 1, "R": r("1", "n1")})), [], "half is not enough for the first");
    assert_eq!(bench.request("sched-fluxion-qmanager.why", json!({"id": 2}))[0]["reason"], "behind");
    assert_eq!(bench.told("sched.free", json!({"id": 1, "R": r("0", "n0"), "final": true})), [(3, 0)]);
    assert_eq!(bench.told("sched.cancel", json!({"id": 2})), [(2, 3)]);
    let stats = AnyService::stats(&bench.sched);
    let counts = &stats["queues"]["default"]["action_counts"];
    assert_eq!((&counts["running"], &counts["rejected"], &counts["cancelled"]), (&json!(2), &json!(1), &json!(1)));
}

#[test]
fn backfilling_tells_when_the_first_will_start() {
    let (mut bench, _) = Bench::new(json!({"sched-fluxion-qmanager": {"queue-policy": "easy"}}), &[]);
    assert_eq!(bench.alloc(1, 16, 5), [(1, 0)]);
    let told = bench.alloc(2, 16, 8);
    assert_eq!(told, [(2, 1)]);
    assert_eq!(bench.alloc(3, 16, 3), [(3, 0)], "it ends no later than the first");
    assert_eq!(bench.told("sched.cancel", json!({"id": 2})), [(2, 3)]);
    assert!(!bench.holds(2), "no reservation is left");
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
fn a_job_that_lost_a_node_keeps_the_others_until_it_is_freed() {
    let (mut bench, raised) = Bench::new(json!({}), &[(7, r("0,5", "n[0,5]"))]);
    sent(&raised, "job-manager.raise");
    assert!(bench.holds(7), "its shells may still run on rank 0");
    assert_eq!(bench.told("sched.free", json!({"id": 7, "R": r("0,5", "n[0,5]"), "final": true})), []);
    assert!(!bench.holds(7));
}

#[test]
fn the_graph_can_be_asked_and_changed() {
    let (mut bench, _) = Bench::new(json!({"sched-fluxion-resource": {"match-policy": "lonode"}}), &[]);
    let path = "/cluster0/n1";
    bench.request("sched-fluxion-resource.set_property", json!({"sp_resource_path": [path], "sp_keyval": "a=b"}));
    let got = bench.request("sched-fluxion-resource.get_property", json!({"gp_resource_path": path, "gp_key": "a"}));
    assert_eq!(got, [json!({"values": ["b"]})]);
    let found = bench.request("sched-fluxion-resource.find", json!({"criteria": "property=a", "format": "simple"}));
    assert_eq!(found[0]["R"], "      ------n1[1:x]\n      ---cluster0[1:x]\n");
    bench.request("sched-fluxion-resource.set_status", json!({"resource_path": path, "status": "down"}));
    assert_eq!(bench.alloc(1, 16, 5), []);
    let up = json!({"resource_path": path, "status": "up"});
    assert_eq!(bench.told("sched-fluxion-resource.set_status", up), [(1, 0)]);
    let params = bench.request("sched-fluxion-resource.params", json!({}));
    assert_eq!(params[0]["params"]["match-policy"], "lonode");
}

#[test]
fn others_may_match_and_give_back() {
    let (mut bench, _) = Bench::new(json!({}), &[]);
    let body = |cmd: &str, id: u64, cores| json!({"cmd": cmd, "jobid": id, "jobspec": jobspec(cores).to_string()});
    let got = bench.request("sched-fluxion-resource.match", body("allocate", 1, 8));
    assert_eq!((&got[0]["status"], &got[0]["jobid"]), (&json!("ALLOCATED"), &json!(1)));
    let r_text = got[0]["R"].as_str().unwrap().to_string();
    assert_eq!(bench.refusal("sched-fluxion-resource.match", body("allocate", 2, 1)), Some(16));
    assert_eq!(bench.refusal("sched-fluxion-resource.match", body("allocate_with_satisfiability", 2, 9)), Some(19));
    let got = bench.request("sched-fluxion-resource.match", body("allocate_orelse_reserve", 3, 1));
    assert_eq!((&got[0]["status"], &got[0]["at"]), (&json!("RESERVED"), &json!(60)));
    assert_eq!(bench.alloc(10, 16, 2), [], "what others have is not given out");
    let same = json!({"jobid": 1, "R": r_text});
    assert_eq!(bench.request("sched-fluxion-resource.update", same)[0]["status"], "ALLOCATED");
    let other = json!({"jobid": 1, "R": r("1", "n1").to_string()});
    assert_eq!(bench.refusal("sched-fluxion-resource.update", other), Some(22));
    assert_eq!(bench.request("sched-fluxion-resource.next_jobid", json!({})), [json!({"jobid": 4})]);
    let half = json!({"jobid": 1, "R": r("1", "n1").to_string()});
    let told = bench.request("sched-fluxion-resource.partial-cancel", half);
    assert_eq!((&told[0], &told[1]["id"]), (&json!({"full-removal": 0}), &json!(10)), "the queue hears of the room");
    assert_eq!(bench.request("sched-fluxion-resource.info", json!({"jobid": 3}))[0]["status"], "RESERVED");
    bench.request("sched-fluxion-resource.cancel", json!({"jobid": 3}));
    assert_eq!(bench.refusal("sched-fluxion-resource.info", json!({"jobid": 3})), Some(2));
    let stats = bench.request("sched-fluxion-resource.stats-get", json!({}));
    assert_eq!((&stats[0]["V"], &stats[0]["by_rank"]), (&json!(11), &json!({"[0-1]": 5})));
    assert_eq!(stats[0]["match"]["succeeded"]["njobs"], 3);
}

#[test]
fn many_match_until_one_does_not() {
    let (mut bench, _) = Bench::new(json!({}), &[]);
    let jobs: Vec<Value> = (1..4).map(|id| json!({"jobid": id, "jobspec": jobspec(4)})).collect();
    let got = bench.request("sched-fluxion-resource.match_multi", json!({"cmd": "allocate", "jobs": jobs}));
    assert_eq!(got.iter().map(|body| body["jobid"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_scheduler_that_goes_leaves_nothing_behind() {
    let (mut bench, _) = Bench::new(json!({"sched-fluxion-qmanager": {"queue-policy": "easy"}}), &[]);
    assert_eq!((bench.alloc(1, 16, 8).len(), bench.alloc(2, 16, 8).len()), (1, 1));
    bench.on_sched(AnyService::stop);
    assert!(!bench.holds(1) && !bench.holds(2), "the next one is told of what runs");
}

#[test]
fn tables_set_queues_apart() {
    let rows = [
        (json!({"queue-policy": "easy", "queues": {"debug": {"queue-policy": "fcfs"}}}), "easy", "fcfs"),
        (json!({"queue-policy-per-queue": "debug:hybrid batch:easy"}), "fcfs", "hybrid"),
        (json!({"queues": "debug batch", "queue-policy": "conservative"}), "conservative", "conservative"),
    ];
    for (table, batch, debug) in rows {
        let config = QmanagerConfig::from_table(table.as_object().unwrap()).expect("a good table");
        assert_eq!((config.of("x").policy.name(), config.of("debug").policy.name()), (batch, debug), "{table}");
    }
    let params = json!({"queue-params-per-queue": "debug:queue-depth=4,max-queue-depth=3"});
    let config = QmanagerConfig::from_table(params.as_object().unwrap()).expect("a good table");
    assert_eq!((config.of("debug").queue_depth, config.of("x").queue_depth), (3, 32));
    for bad in [json!({"queue-polic": 1}), json!({"queues": 1}), json!({"queue-policy-per-queue": "debug"})] {
        assert!(QmanagerConfig::from_table(bad.as_object().unwrap()).is_err(), "{bad}");
    }
}

#[test]
fn what_is_in_use_is_refused_rather_than_given_twice() {
    let (mut bench, _) = Bench::new(json!({}), &[]);
    // The graph does not know of this job: a bug, played.
    bench.sched.module.handshake.retake(99, &r("0-1", "n[0-1]")).expect("nobody else runs");
    assert_eq!(bench.alloc(1, 16, 2), [(1, 2)], "denied");
    let (_, raised) = Bench::new(json!({}), &[(7, r("0", "n0")), (8, r("0", "n0"))]);
    assert_eq!(sent(&raised, "job-manager.raise").payload.value().unwrap()["id"], 8);
}

#[test]
fn what_is_asked_while_the_graph_is_lent_waits_for_it() {
    let config = json!({"sched-fluxion-qmanager": {"match-in-loop-vertices": 0}});
    let (mut bench, _) = Bench::new(config, &[]);
    assert_eq!(bench.alloc(1, 16, 2), [], "the match is made elsewhere");
    assert_eq!(bench.alloc(2, 16, 2), []);
    assert_eq!(bench.request("sched-fluxion-resource.info", json!({"jobid": 1})).len(), 0);
    assert!(bench.graph.is_ready(), "it is there, though lent");
    let effects = bench.compute();
    let told: Vec<Value> = effects.iter().filter_map(answer_of).collect();
    assert_eq!(told[0]["id"], 1, "{told:?}");
    assert_eq!(told[1]["status"], "ALLOCATED", "{told:?}");
    let told: Vec<Value> = bench.compute().iter().filter_map(answer_of).collect();
    assert_eq!(told[0]["id"], 2, "the job that came meanwhile has the next turn: {told:?}");
    // A configuration does not wait: the turn ends, and then it holds.
    assert_eq!(bench.alloc(3, 16, 2), []);
    let effects = bench.on_sched(|sched, cx| sched.on_config(cx).expect("a good one"));
    assert!(effects.iter().filter_map(answer_of).any(|body| body["id"] == 3), "{effects:?}");
    assert!(bench.compute().is_empty(), "its end is no news any more");
}

#[test]
fn what_changes_while_the_graph_is_read_from_a_file_holds() {
    let config = json!({"sched-fluxion-resource": {"load-file": "/r.json", "load-format": "rv1exec"}});
    let (graph, sched) = modules();
    let acquire = Message::request("none", Target::Any, 0, json!({}).into());
    let (outs, node) = (Default::default(), node(config));
    let mut bench = Bench { graph, sched, outs, node, errands: Vec::new(), seconds: 0, acquire };
    let acquire = sent(&bench.on_graph(|graph, cx| graph.start(cx).expect("a good configuration")), "resource.acquire");
    let tell = |bench: &mut Bench, body: Value| {
        let reply = acquire.response(body.into());
        bench.on_graph(|graph, cx| graph.on_reply(cx, Tag(acquire.matchtag()), &reply))
    };
    let effects = tell(&mut bench, json!({"resources": r("0-1", "n[0-1]"), "up": "0-1"}));
    let [Effect::File { tag, .. }] = effects[..] else { panic!("{effects:?}") };
    tell(&mut bench, json!({"down": "1", "expiration": 5000.0}));
    let bytes = r("0-1", "n[0-1]").to_string().into_bytes().into();
    bench.on_graph(|graph, cx| graph.on_completion(cx, tag, Completion::File(bytes)));
    let status = bench.request("sched-fluxion-resource.status", json!({}));
    assert_eq!(status[0]["down"]["execution"]["R_lite"][0]["rank"], "1", "{status:?}");
    assert_eq!(bench.graph.module.shared.graph().expect("it was read").engine().graph_end, 5000);
}
