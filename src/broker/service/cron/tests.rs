use std::time::Duration;

use flux_service::{Effect, NodeInfo, Now, Outbox, Rng, Wall};
use flux_wire::{Body, Cred, Flags};

use super::*;

const START: f64 = 1_700_000_000.0; // 2023-11-14T22:13:20Z

type Step<'a> = Box<dyn FnOnce(&mut Cron, &mut Cx<'_>) + 'a>;

struct Bench {
    cron: Cron,
    out: Outbox,
    node: NodeInfo,
    now: Now,
    /// Commands that were run: tag and command line.
    runs: Vec<(Tag, String)>,
    logs: Vec<String>,
}

impl Bench {
    fn new() -> Bench {
        let node = NodeInfo::sample();
        let now = Now { mono: Mono(Duration::ZERO), wall: Wall(Duration::from_secs_f64(START)) };
        let cron = Cron { sync_event: None, ..Cron::default() };
        Bench { cron, out: Outbox::default(), node, now, runs: Vec::new(), logs: Vec::new() }
    }

    /// Runs `f`; answers the bodies of responses, an error as its number.
    fn run(&mut self, f: impl FnOnce(&mut Cron, &mut Cx<'_>)) -> Vec<Value> {
        self.run_boxed(Box::new(f))
    }

    fn run_boxed(&mut self, f: Step<'_>) -> Vec<Value> {
        let mut rng = Rng::new(1);
        let mut cx = Cx { now: self.now, node: &self.node, rng: &mut rng, out: &mut self.out };
        f(&mut self.cron, &mut cx);
        let mut answers = Vec::new();
        let mut zone = None;
        for effect in std::mem::take(&mut self.out.effects) {
            match effect {
                Effect::Send(Message { body: Body::Response { errnum, .. }, payload, .. }) => {
                    answers.push(match errnum {
                        0 => payload.value().map_or(Value::Null, |value| (*value).clone()),
                        errnum => errnum.into(),
                    })
                }
                Effect::Send(message) if message.topic() == "rexec.exec" => {
                    let body: Value = message.decode().unwrap();
                    let command = body["cmd"]["cmdline"][2].as_str().unwrap().to_owned();
                    self.runs.push((Tag(message.matchtag()), command));
                }
                Effect::Log { text, .. } => self.logs.push(text),
                Effect::File { tag, .. } => zone = Some(tag),
                _ => {}
            }
        }
        if let Some(tag) = zone {
            let read = Completion::Failed(Fault::from(Errno::ENOENT));
            answers.extend(self.run_boxed(Box::new(move |cron, cx| Service::on_completion(cron, cx, tag, read))));
        }
        answers
    }

    fn ask(&mut self, topic: &str, body: Value) -> Value {
        let mut message = Message::request(topic, Target::Any, 7, body.into());
        message.flags = Flags(0);
        message.cred = Cred { userid: 1000, rolemask: 5 };
        message.push_route("client".into());
        self.run(|cron, cx| assert!(flux_service::AnyService::dispatch(cron, cx, &message))).remove(0)
    }

    fn create(&mut self, kind: &str, args: Value, more: Value) -> Value {
        let mut body = json!({"type": kind, "name": "n", "command": "c", "args": args});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ask("cron.create", body)
    }

    /// Lets `secs` pass, timer by timer; answers when commands ran.
    fn pass(&mut self, secs: f64) -> Vec<f64> {
        let end = self.now.mono.after(Duration::from_secs_f64(secs));
        let mut ran = Vec::new();
        while let Some(at) = Service::next_timer(&self.cron).filter(|at| *at <= end) {
            let step = at.since(self.now.mono);
            self.now = Now { mono: at, wall: Wall(self.now.wall.0 + step) };
            self.run(Service::on_timer);
            while !self.runs.is_empty() {
                ran.push(self.now.mono.0.as_secs_f64());
                self.end_first(0);
            }
        }
        let step = end.since(self.now.mono);
        self.now = Now { mono: end, wall: Wall(self.now.wall.0 + step) };
        ran
    }

    fn end_first(&mut self, status: i32) {
        let (tag, _) = self.runs.remove(0);
        let answer = |body: Value| {
            let request = Message::request("rexec.exec", Target::Any, tag.0, Value::Null.into());
            request.response(body.into())
        };
        for body in [
            json!({"type": "started", "pid": 5}),
            json!({"type": "output", "pid": 5, "io": {"stream": "stdout", "rank": "0", "data": "x\ny"}}),
            json!({"type": "output", "pid": 5, "io": {"stream": "stdout", "rank": "0", "eof": true}}),
            json!({"type": "finished", "status": status}),
        ] {
            self.run(|cron, cx| Service::on_reply(cron, cx, tag, &answer(body)));
        }
        let request = Message::request("rexec.exec", Target::Any, tag.0, Value::Null.into());
        self.run(|cron, cx| Service::on_reply(cron, cx, tag, &request.error_response(Errno::ENODATA, "")));
    }

    fn event(&mut self, topic: &str) -> usize {
        let message = Message::event(topic, Value::Null.into());
        self.run(|cron, cx| Service::on_event(cron, cx, &message));
        let count = self.runs.len();
        (0..count).for_each(|_| self.end_first(0));
        count
    }
}

#[test]
fn intervals_come_round_until_their_count_is_full() {
    let mut bench = Bench::new();
    let made = bench.create("interval", json!({"interval": 2.0, "after": 0.5}), json!({"repeat": 3}));
    assert_eq!((&made["id"], &made["typedata"]["next_wakeup"]), (&json!(1), &json!(START + 0.5)));
    assert_eq!(bench.pass(20.0), [0.5, 2.5, 4.5]);
    let listed = bench.ask("cron.list", json!({}));
    let entry = &listed["entries"][0];
    assert_eq!((&entry["stopped"], &entry["stats"]["success"]), (&json!(true), &json!(3)));
    assert_eq!((&entry["tasks"][0]["state"], entry["tasks"].as_array().unwrap().len()), (&json!("Exited"), 1));
    assert_eq!(bench.logs[..2], ["cron-1[n]: rank=0: command=\"c\": \"x\"", "cron-1[n]: rank=0: command=\"c\": \"y\""]);
    bench.ask("cron.start", json!({"id": 1}));
    assert_eq!(bench.pass(3.0), [20.5, 22.5]);
    bench.ask("cron.delete", json!({"id": 1}));
    assert_eq!(bench.pass(10.0), [0.0; 0]);
    assert_eq!(bench.ask("cron.stop", json!({"id": 1})), Errno::ENOENT.0);
}

#[test]
fn events_are_counted_and_kept_apart() {
    let mut bench = Bench::new();
    bench.create("event", json!({"topic": "a.b", "nth": 2, "after": 3}), json!({}));
    let ran: Vec<usize> = (0..8).map(|_| bench.event("a.b")).collect();
    assert_eq!(ran, [0, 0, 1, 0, 1, 0, 1, 0]);
    assert_eq!(bench.event("a.bc"), 0);
    bench.create("event", json!({"topic": "x.*", "min_interval": 10.0}), json!({}));
    assert_eq!((bench.event("x.1"), bench.event("x.2")), (1, 0));
    assert_eq!(bench.pass(30.0), [10.0], "what was too early is made up for");
}

#[test]
fn dates_are_kept_and_end_by_themselves() {
    let mut bench = Bench::new();
    let made = bench.create("datetime", json!({"second": 0, "minute": "*/30", "hour": "*"}), json!({}));
    assert_eq!(made["typedata"]["next_wakeup"], json!(START + 1000.0));
    assert_eq!(bench.pass(3600.0), [1000.0, 2800.0]);
    let once = json!({"second": 0, "minute": 0, "hour": 0, "mday": 15, "month": 10, "year": 123});
    bench.create("datetime", once, json!({"repeat": 1}));
    bench.ask("cron.delete", json!({"id": 1}));
    assert_eq!(bench.pass(86400.0), [6400.0]);
    assert_eq!(bench.ask("cron.list", json!({}))["entries"][0]["stopped"], json!(true));
}

#[test]
fn tasks_wait_for_the_sync_event() {
    let mut bench = Bench::new();
    bench.ask("cron.sync", json!({"topic": "pulse", "sync_epsilon": 0.5}));
    bench.create("interval", json!({"interval": 1.0}), json!({}));
    assert_eq!(bench.pass(2.5), [0.0; 0]);
    assert_eq!(bench.event("pulse"), 1);
    assert_eq!(bench.pass(0.4), [0.0; 0]);
    bench.pass(1.0);
    assert_eq!(bench.ask("cron.sync", json!({"disable": true})), json!({"sync_disabled": true}));
    assert_eq!(bench.runs.len(), 1, "nobody would ever wake it");
}

#[test]
fn failures_stop_an_entry_and_timeouts_end_a_task() {
    let mut bench = Bench::new();
    bench.create("event", json!({"topic": "e"}), json!({"stop-on-failure": 2, "timeout": 3.0}));
    for _ in 0..2 {
        let message = Message::event("e", Value::Null.into());
        bench.run(|cron, cx| Service::on_event(cron, cx, &message));
        bench.end_first(256);
    }
    let entry = bench.ask("cron.list", json!({}))["entries"][0].clone();
    assert_eq!((&entry["stopped"], &entry["tasks"][0]["code"]), (&json!(true), &json!(1)));
    assert_eq!(bench.event("e"), 0);
    bench.ask("cron.start", json!({"id": 1}));
    let message = Message::event("e", Value::Null.into());
    bench.run(|cron, cx| Service::on_event(cron, cx, &message));
    let tag = bench.runs[0].0;
    let request = Message::request("rexec.exec", Target::Any, tag.0, Value::Null.into());
    let started = request.response(json!({"type": "started", "pid": 5}).into());
    bench.run(|cron, cx| Service::on_reply(cron, cx, tag, &started));
    bench.runs.clear();
    bench.pass(3.5);
    assert_eq!(bench.ask("cron.list", json!({}))["entries"][0]["tasks"][0]["timedout"], json!(true));
}

#[test]
fn malformed_requests_are_refused() {
    let mut bench = Bench::new();
    let rows = [
        ("interval", json!({}), Errno::EPROTO),
        ("interval", json!({"interval": 0}), Errno::EINVAL),
        ("interval", json!({"interval": -1}), Errno::EINVAL),
        ("event", json!({}), Errno::EPROTO),
        ("datetime", json!({"hour": "25"}), Errno::EINVAL),
        ("moon", json!({}), Errno::ENOSYS),
    ];
    for (kind, args, errno) in rows {
        assert_eq!(bench.create(kind, args.clone(), json!({})), errno.0, "{kind} {args}");
    }
    assert_eq!(bench.ask("cron.list", json!({})), json!({"entries": []}));
}
