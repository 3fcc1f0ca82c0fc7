//! The job services wired together, with a KVS, a scheduler and an exec service made for tests, in virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flux_service::{
    AnyService, Completion, Cx, Effect, FileOp, Mono, NodeInfo, Now, Outbox, ProcessEvent, ProcessOp, Rng, Tag, Wall,
};
use flux_types::eventlog::{self, Entry};
use flux_types::{JobId, JobIdForm};
use flux_wire::{Body, Cred, Errno, Flags, Kind, Message, Payload, Target, role};
use serde_json::{Value, json};

use crate::{JobInfo, JobIngest, JobList, JobManager};

mod kvs;
pub(crate) use self::kvs::{Commits, Kvs};

pub(crate) const OWNER: u32 = 1000;

/// Gives every job one of its slots.
#[derive(Debug)]
pub(crate) struct Sched {
    pub(crate) free: usize,
    pub(crate) waiting: Vec<(JobId, Message)>,
    pub(crate) allocated: BTreeSet<JobId>,
    pub(crate) deny: Option<&'static str>,
    /// Answer nothing until told.
    pub(crate) hold: bool,
    /// The last `sched.prioritize`.
    pub(crate) prioritized: Value,
    /// The ranks that every job gets.
    pub(crate) ranks: &'static str,
    /// R and finality of what was given back.
    pub(crate) freed: Vec<(String, bool)>,
    /// What `sched.resource-status` says.
    pub(crate) status: Option<Value>,
}

/// Starts shells, which outlive it.
#[derive(Debug, Default)]
pub(crate) struct Exec {
    pub(crate) requests: BTreeMap<JobId, Message>,
    pub(crate) shells: BTreeSet<JobId>,
    pub(crate) starts: BTreeMap<JobId, usize>,
    /// How shells ended: kept, as whoever asks again must be told again.
    records: BTreeMap<JobId, i32>,
    /// Say nothing when asked to start, until told.
    pub(crate) hold: bool,
    /// Do not end jobs when they have exceptions.
    pub(crate) stubborn: bool,
}

struct Slot {
    service: Box<dyn AnyService>,
    outbox: Outbox,
}

/// Everything, and what clients have heard.
pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) node: NodeInfo,
    rng: Rng,
    slots: BTreeMap<&'static str, Slot>,
    pub(crate) kvs: Kvs,
    pub(crate) sched: Sched,
    pub(crate) exec: Exec,
    /// Commands that run on nodes: `rexec.exec` requests.
    pub(crate) commands: Vec<Message>,
    /// Signals sent to them: rank and number.
    pub(crate) signals: Vec<(u32, i64)>,
    /// What was asked of child processes.
    pub(crate) processes: Vec<(String, Tag, ProcessOp)>,
    /// Files that can be read.
    pub(crate) files: BTreeMap<String, String>,
    completions: VecDeque<(String, Tag, Completion)>,
    /// `resource.drain` requests.
    /// What the resource service says against all that the scheduler gives out.
    pub(crate) overlap: Option<&'static str>,
    pub(crate) drains: Vec<Value>,
    queue: VecDeque<Message>,
    next_tag: u32,
    /// Answers to clients, by matchtag.
    pub(crate) answers: BTreeMap<u32, Vec<Message>>,
    pub(crate) published: Vec<Message>,
    pub(crate) log: Vec<String>,
    /// Steps until the broker dies; a step is a message or the end of a batch.
    pub(crate) fuse: Option<usize>,
    pub(crate) dead: bool,
    /// Look at the services' invariants after every step: slow with many jobs.
    pub(crate) checked: bool,
}

impl World {
    pub(crate) fn new() -> World {
        World::with_config(json!({}))
    }

    pub(crate) fn with_config(config: Value) -> World {
        let node = NodeInfo { owner: OWNER, uuid: "node".into(), config: Arc::new(config), ..NodeInfo::sample() };
        let wall = Wall(Duration::from_secs(1_700_000_000));
        let mut world = World {
            now: Now { mono: Mono(Duration::from_secs(1)), wall },
            node,
            rng: Rng::new(1),
            slots: BTreeMap::new(),
            kvs: Kvs {
                keys: BTreeMap::new(),
                mode: Commits::AtOnce,
                held: Vec::new(),
                watchers: Vec::new(),
                commits: Vec::new(),
                looked_up: Vec::new(),
                requests: 0,
            },
            sched: Sched {
                free: 2,
                waiting: Vec::new(),
                allocated: BTreeSet::new(),
                deny: None,
                hold: false,
                status: None,
                ranks: "0",
                prioritized: Value::Null,
                freed: Vec::new(),
            },
            exec: Exec::default(),
            commands: Vec::new(),
            signals: Vec::new(),
            drains: Vec::new(),
            overlap: None,
            files: BTreeMap::new(),
            processes: Vec::new(),
            completions: VecDeque::new(),
            queue: VecDeque::new(),
            next_tag: 0,
            answers: BTreeMap::new(),
            published: Vec::new(),
            log: Vec::new(),
            fuse: None,
            dead: false,
            checked: true,
        };
        world.boot();
        world.sched_up();
        world.exec_up();
        world
    }

    /// New services, as after a start of the broker; the KVS stays. Scheduler and exec service are not there yet.
    pub(crate) fn boot(&mut self) {
        (self.fuse, self.dead) = (None, false);
        self.queue.clear();
        self.kvs.held.clear();
        self.kvs.watchers.clear();
        self.kvs.mode = Commits::AtOnce;
        self.slots.clear();
        self.insert("job-manager", JobManager::default());
        self.insert("job-ingest", JobIngest::default());
        self.insert("job-list", JobList::default());
        self.insert("job-info", JobInfo::default());
        for name in ["job-manager", "job-ingest", "job-list", "job-info"] {
            self.call(name, |service, cx| service.start(cx).expect("start"));
        }
        self.run();
    }

    fn insert(&mut self, name: &'static str, service: impl AnyService + 'static) {
        self.slots.insert(name, Slot { service: Box::new(service), outbox: Outbox::default() });
    }

    /// The configuration changes, for the ingest service only.
    pub(crate) fn configure_ingest(&mut self, config: Value) {
        self.node.config = Arc::new(config);
        self.call("job-ingest", |service, cx| service.on_config(cx).expect("a good configuration"));
        self.run();
    }

    /// The configuration changes.
    pub(crate) fn configure(&mut self, config: Value) {
        self.node.config = Arc::new(config);
        self.call("job-manager", |service, cx| service.on_config(cx).expect("a good configuration"));
        self.run();
    }

    /// The broker dies and starts again: scheduler and exec service die with it, shells do not.
    pub(crate) fn crash(&mut self) {
        self.sched.waiting.clear();
        self.exec.requests.clear();
        self.now.mono = self.now.mono.after(Duration::from_millis(10));
        self.now.wall.0 += Duration::from_millis(10);
        self.boot();
    }

    /// One more step. `true`: it is not taken, the broker is dead.
    fn dies(&mut self) -> bool {
        if let Some(left) = &mut self.fuse {
            self.dead |= *left == 0;
            *left = left.saturating_sub(1);
        }
        if self.dead {
            self.queue.clear();
        }
        self.dead
    }

    /// The scheduler is gone, and with it what it knew.
    pub(crate) fn sched_down(&mut self) {
        self.sched.waiting.clear();
        let owner = Cred { userid: OWNER, rolemask: role::OWNER };
        self.send_cred("sched", "job-manager.disconnect", json!({}), Flags::NORESPONSE, owner);
        self.run();
    }

    /// The exec service is gone; shells are not.
    pub(crate) fn exec_down(&mut self) {
        self.exec.requests.clear();
        let owner = Cred { userid: OWNER, rolemask: role::OWNER };
        self.send_cred("job-exec", "job-manager.disconnect", json!({}), Flags::NORESPONSE, owner);
        self.run();
    }

    /// The scheduler says hello and is ready; it takes over what the manager says is allocated.
    pub(crate) fn sched_up(&mut self) {
        let total = self.sched.free + self.sched.allocated.len();
        let hello = self.send_as("sched", "job-manager.sched-hello", json!({}), Flags::STREAMING);
        self.run();
        if self.dead {
            return;
        }
        let answers = self.answers.remove(&hello).expect("hello is answered");
        let (last, jobs) = answers.split_last().expect("a stream ends");
        assert_eq!(last.errno(), Some(Errno::ENODATA));
        self.sched.allocated =
            jobs.iter().map(|job| JobId(job.payload.value().unwrap()["id"].as_u64().unwrap())).collect();
        self.sched.free = total.checked_sub(self.sched.allocated.len()).expect("no more is allocated than there is");
        self.send_as("sched", "job-manager.sched-ready", json!({"mode": "unlimited"}), 0);
        self.run();
    }

    pub(crate) fn exec_up(&mut self) {
        self.send_as("job-exec", "job-manager.exec-hello", json!({"service": "job-exec"}), 0);
        self.run();
    }

    fn call<T>(&mut self, name: &str, run: impl FnOnce(&mut dyn AnyService, &mut Cx<'_>) -> T) -> Option<T> {
        let Slot { service, outbox } = self.slots.get_mut(name)?;
        let mut cx = Cx { now: self.now, node: &self.node, rng: &mut self.rng, out: outbox };
        let result = run(service.as_mut(), &mut cx);
        if self.checked {
            service.check();
        }
        for effect in std::mem::take(&mut outbox.effects) {
            match effect {
                Effect::Send(mut message) => {
                    if message.kind() == Kind::Request {
                        message.push_route(name.into());
                    }
                    self.queue.push_back(message);
                }
                Effect::Log { text, .. } => self.log.push(text),
                Effect::Subscribe { .. } | Effect::Unsubscribe { .. } => {}
                Effect::File { tag, op: FileOp::Read { path } } => {
                    let missing = || Completion::Failed(Errno::ENOENT.into());
                    let text = self.files.get(&path);
                    let found = text.map_or_else(missing, |text| Completion::File(text.as_bytes().into()));
                    self.completions.push_back((name.to_owned(), tag, found));
                }
                Effect::Process { tag, op } => self.processes.push((name.to_owned(), tag, op)),
                other => panic!("{name} wants {other:?}"),
            }
        }
        Some(result)
    }

    /// Delivers until nothing moves.
    pub(crate) fn run(&mut self) {
        for _ in 0..100_000 {
            if !self.turn() {
                return;
            }
        }
        panic!("the services never come to rest");
    }

    /// One turn of the loop: what has come is delivered, then everyone hears that it was the last. `false`: all is at rest.
    pub(crate) fn turn(&mut self) -> bool {
        let mut moved = false;
        while let Some((name, tag, completion)) = self.completions.pop_front() {
            moved = true;
            self.call(&name, |service, cx| service.on_completion(cx, tag, completion));
        }
        while let Some(message) = self.queue.pop_front() {
            if self.dies() {
                return false;
            }
            moved = true;
            self.deliver(message);
        }
        if self.dies() {
            return false;
        }
        let names: Vec<&'static str> = self.slots.keys().copied().collect();
        for name in &names {
            self.call(name, |service, cx| service.on_batch_end(cx));
        }
        for name in &names {
            let now = self.now.mono;
            if self.slots[name].service.next_timer().is_some_and(|at| at <= now) {
                moved = true;
                self.call(name, |service, cx| service.on_timer(cx));
            }
        }
        moved || !self.queue.is_empty()
    }

    pub(crate) fn advance(&mut self, span: Duration) {
        let end = self.now.mono.after(span);
        loop {
            let next = self.slots.values().filter_map(|slot| slot.service.next_timer()).min();
            let at = next.filter(|at| *at <= end).unwrap_or(end).max(self.now.mono);
            self.now.wall.0 += at.since(self.now.mono);
            self.now.mono = at;
            self.run();
            if at == end || self.dead {
                return;
            }
        }
    }

    fn deliver(&mut self, mut message: Message) {
        match message.kind() {
            Kind::Event => {
                if message.topic() == "job-exception" {
                    self.on_exception(&message);
                }
                let names: Vec<&'static str> = self.slots.keys().copied().collect();
                for name in names {
                    self.call(name, |service, cx| service.dispatch(cx, &message));
                }
                self.published.push(message);
            }
            Kind::Response => {
                let hop = message.pop_route().expect("a response knows its way");
                let tag = Tag(message.matchtag());
                if self.call(&hop, |service, cx| service.on_reply(cx, tag, &message)).is_none() {
                    self.answers.entry(tag.0).or_default().push(message);
                }
            }
            _ => match message.service() {
                "kvs" => {
                    let answer = self.kvs.handle(&message);
                    self.queue.extend(answer);
                    self.queue.extend(self.kvs.notify());
                }
                "kvs-watch" => {
                    let answers = self.kvs.watch(&message);
                    self.queue.extend(answers);
                }
                // These say hello by themselves (`sched_up`, `exec_up`).
                _ if message.topic().ends_with(".hello-again") => {}
                "sched" => self.on_sched(&message),
                "job-exec" => self.on_exec(&message),
                "rexec" => self.on_rexec(&message),
                "resource" if message.topic() == "resource.claim" => self.queue.push_back(match self.overlap {
                    Some(note) => message.error_response(Errno::EEXIST, note),
                    None => message.response(Payload::None),
                }),
                "resource" if matches!(message.topic(), "resource.release" | "resource.forget-claims") => {}
                "resource" => {
                    self.drains.push((*message.payload.value().expect("body")).clone());
                    self.queue.push_back(message.response(Payload::None));
                }
                "state-machine" => {}
                "feasibility" => {
                    let answer = match self.sched.deny {
                        Some(note) => message.error_response(Errno::EINVAL, note),
                        None => message.response(Payload::None),
                    };
                    self.queue.push_back(answer);
                }
                service => {
                    // As the node does for plugins.
                    let above = service.rsplit_once('.').map(|(above, _)| above);
                    let service = above.filter(|_| !self.slots.contains_key(service)).unwrap_or(service).to_owned();
                    let found = self.call(&service, |service, cx| service.dispatch(cx, &message));
                    assert_eq!(found, Some(true), "nobody handles {}", message.topic());
                }
            },
        }
    }

    pub(crate) fn hold_commits(&mut self) {
        self.kvs.mode = Commits::Held;
    }

    pub(crate) fn release_commits(&mut self) {
        self.kvs.mode = Commits::AtOnce;
        for message in std::mem::take(&mut self.kvs.held) {
            let answer = self.kvs.commit(&message);
            self.queue.push_back(answer);
            self.queue.extend(self.kvs.notify());
        }
        self.run();
    }

    /// Somebody appends to a key.
    pub(crate) fn append(&mut self, id: JobId, name: &str, text: &str) {
        let key = format!("{}.{name}", id.encode(JobIdForm::Kvs));
        self.kvs.keys.entry(key).or_default().extend(text.as_bytes());
        self.queue.extend(self.kvs.notify());
        self.run();
    }

    // --- commands on nodes ---

    fn on_rexec(&mut self, message: &Message) {
        let body = message.payload.value().expect("body");
        let rank = rank_of(message);
        match message.topic() {
            "rexec.exec" => {
                self.queue.push_back(message.response(json!({"type": "started", "pid": 100 + rank}).into()));
                self.commands.push(message.clone());
            }
            "rexec.kill" => self.signals.push((rank, body["signum"].as_i64().expect("a signal"))),
            other => panic!("the subprocess server knows no {other}"),
        }
    }

    /// The oldest command on this rank writes a line and ends.
    pub(crate) fn command_ends(&mut self, rank: u32, line: &str, status: i32) {
        let at = self.commands.iter().position(|message| rank_of(message) == rank).expect("a command runs there");
        let request = self.commands.remove(at);
        let io = json!({"stream": "stderr", "rank": "0", "data": format!("{line}\n")});
        for body in [json!({"type": "output", "io": io}), json!({"type": "finished", "status": status})] {
            self.queue.push_back(request.response(body.into()));
        }
        self.queue.push_back(request.error_response(Errno::ENODATA, ""));
        self.run();
    }

    /// A child process of a service says something, or ends.
    pub(crate) fn process_says(&mut self, service: &str, tag: Tag, event: ProcessEvent) {
        self.completions.push_back((service.to_owned(), tag, Completion::Process(event)));
        self.run();
    }

    // --- scheduler ---

    pub(crate) fn resources(id: JobId) -> Value {
        World::resources_on(id, "0")
    }

    pub(crate) fn resources_on(id: JobId, ranks: &str) -> Value {
        json!({"version": 1, "execution": {"R_lite": [{"rank": ranks, "children": {"core": (id.0 % 97).to_string()}}],
               "nodelist": [if ranks == "0" { "host" } else { "host[0-1]" }], "starttime": 1_700_000_000.0, "expiration": 0.0}})
    }

    fn on_sched(&mut self, message: &Message) {
        let body = message.payload.value().expect("body");
        let id = JobId(body["id"].as_u64().unwrap_or(0));
        match message.topic() {
            "sched.alloc" => {
                assert!(body["jobspec"]["attributes"]["system"].get("environment").is_none(), "redacted");
                self.sched.waiting.push((id, message.clone()));
                self.schedule();
            }
            "sched.cancel" => {
                if let Some(at) = self.sched.waiting.iter().position(|(waiting, _)| *waiting == id) {
                    let (_, request) = self.sched.waiting.remove(at);
                    self.queue.push_back(request.response(json!({"id": id.0, "type": 3}).into()));
                }
            }
            "sched.free" => {
                let set = flux_types::ResourceSet::from_value(&body["R"]).expect("R");
                let last = body["final"].as_bool().expect("final");
                self.sched.freed.push((set.ranks().to_string(), last));
                if last {
                    assert!(self.sched.allocated.remove(&id), "{id}: freed what it had");
                    self.sched.free += 1;
                    self.schedule();
                }
            }
            "sched.expiration" => self.queue.push_back(message.response(Payload::None)),
            "sched.prioritize" => {
                self.sched.prioritized = (*body).clone();
                self.queue.push_back(message.response(Payload::None));
            }
            "sched.resource-status" => {
                let status = self.sched.status.clone().unwrap_or(json!({}));
                self.queue.push_back(message.response(status.into()));
            }
            other => panic!("the scheduler knows no {other}"),
        }
    }

    pub(crate) fn schedule(&mut self) {
        while !self.sched.hold && !self.sched.waiting.is_empty() {
            if let Some(note) = self.sched.deny {
                let (id, request) = self.sched.waiting.remove(0);
                self.queue.push_back(request.response(json!({"id": id.0, "type": 2, "note": note}).into()));
                continue;
            }
            if self.sched.free == 0 {
                return;
            }
            self.sched.free -= 1;
            let (id, request) = self.sched.waiting.remove(0);
            self.sched.allocated.insert(id);
            let r = World::resources_on(id, self.sched.ranks);
            let body =
                json!({"id": id.0, "type": 0, "R": r, "annotations": {"sched": {"resource_summary": "rank0/core0"}}});
            self.queue.push_back(request.response(body.into()));
        }
    }

    pub(crate) fn sched_says(&mut self, id: JobId, body: Value) {
        let (_, request) = self.sched.waiting.iter().find(|(waiting, _)| *waiting == id).expect("it waits").clone();
        self.queue.push_back(request.response(body.into()));
        self.run();
    }

    // --- exec service ---

    fn on_exec(&mut self, message: &Message) {
        let body = message.payload.value().expect("body");
        let id = JobId(body["id"].as_u64().expect("id"));
        if message.topic() == "job-exec.expiration" {
            self.queue.push_back(message.response(Payload::None));
            return;
        }
        assert_eq!(message.topic(), "job-exec.start");
        assert!(self.exec.requests.insert(id, message.clone()).is_none(), "{id}: one start request at a time");
        let reattach = body["reattach"].as_bool().expect("reattach");
        let home = &body["jobspec"]["attributes"]["system"]["environment"]["HOME"];
        assert!(reattach || home == "/root", "{id}: is started with its environment");
        match reattach {
            true if self.exec.shells.contains(&id) => self.exec_says(id, "reattached", json!({})),
            _ if self.exec.records.contains_key(&id) => {
                let status = self.exec.records[&id];
                self.exec_says(id, "finish", json!({"status": status}));
                self.release(id);
            }
            // The manager died before it heard that the job had started: its shell is there.
            false if self.exec.shells.contains(&id) => self.exec_says(id, "start", json!({})),
            true => {
                self.exec_says(id, "exception", json!({"severity": 0, "type": "exec", "note": "no record"}));
                self.release(id);
            }
            false if self.exec.hold => {}
            false => self.start(id),
        }
    }

    pub(crate) fn start(&mut self, id: JobId) {
        assert!(self.exec.shells.insert(id), "{id}: runs only once");
        *self.exec.starts.entry(id).or_default() += 1;
        self.exec_says(id, "start", json!({}));
    }

    pub(crate) fn exec_says(&mut self, id: JobId, kind: &str, data: Value) {
        let request = &self.exec.requests[&id];
        self.queue.push_back(request.response(json!({"id": id.0, "type": kind, "data": data}).into()));
    }

    fn release(&mut self, id: JobId) {
        self.exec_says(id, "release", json!({"ranks": "all", "final": true}));
        self.exec.requests.remove(&id);
        self.exec.shells.remove(&id);
    }

    /// The job's tasks end.
    pub(crate) fn finish(&mut self, id: JobId, status: i32) {
        self.end(id, status);
        self.run();
    }

    fn end(&mut self, id: JobId, status: i32) {
        self.exec.shells.remove(&id);
        self.exec.records.insert(id, status);
        if self.exec.requests.contains_key(&id) {
            self.exec_says(id, "finish", json!({"status": status}));
            self.release(id);
        }
    }

    fn on_exception(&mut self, event: &Message) {
        let body = event.payload.value().expect("body");
        let id = JobId(body["id"].as_u64().expect("id"));
        if body["severity"] == 0 && !self.exec.stubborn && self.exec.requests.contains_key(&id) {
            if self.exec.shells.contains(&id) {
                self.end(id, 15);
            } else {
                self.release(id);
            }
        }
    }

    // --- clients ---

    fn send_as(&mut self, who: &str, topic: &str, body: Value, flags: u8) -> u32 {
        self.send_cred(who, topic, body, flags, Cred { userid: OWNER, rolemask: role::OWNER })
    }

    pub(crate) fn send_cred(&mut self, who: &str, topic: &str, body: Value, flags: u8, cred: Cred) -> u32 {
        self.next_tag += 1;
        let mut message = Message::request(topic, Target::Any, self.next_tag, body.into());
        (message.flags, message.cred) = (Flags(flags), cred);
        message.push_route(who.into());
        self.queue.push_back(message);
        self.next_tag
    }

    /// Asks as the owner; the answers come when [`World::run`] does.
    pub(crate) fn ask(&mut self, topic: &str, body: Value) -> u32 {
        self.send_as("client", topic, body, 0)
    }

    pub(crate) fn stream(&mut self, topic: &str, body: Value) -> u32 {
        self.send_as("client", topic, body, Flags::STREAMING)
    }

    /// Asks and waits; the one answer.
    pub(crate) fn rpc(&mut self, topic: &str, body: Value) -> Result<Value, (Errno, String)> {
        self.rpc_as(topic, body, Cred { userid: OWNER, rolemask: role::OWNER })
    }

    pub(crate) fn rpc_as(&mut self, topic: &str, body: Value, cred: Cred) -> Result<Value, (Errno, String)> {
        let tag = self.send_cred("client", topic, body, 0, cred);
        self.run();
        self.answer(tag).unwrap_or_else(|| panic!("{topic} is not answered"))
    }

    pub(crate) fn answer(&mut self, tag: u32) -> Option<Result<Value, (Errno, String)>> {
        let answers = self.answers.remove(&tag)?;
        let [answer] = &answers[..] else { panic!("one answer, not {answers:?}") };
        Some(result(answer))
    }

    pub(crate) fn submit_body(jobspec: &Value, urgency: i64, flags: u32) -> Value {
        let header = BASE64.encode(format!("version\0i1\0mechanism\0snone\0userid\0i{OWNER}\0"));
        let signed = format!("{header}.{}.none", BASE64.encode(jobspec.to_string()));
        json!({"J": signed, "urgency": urgency, "flags": flags})
    }

    pub(crate) fn submit_with(&mut self, jobspec: &Value, urgency: i64, flags: u32) -> Result<JobId, (Errno, String)> {
        let answer = self.rpc("job-ingest.submit", World::submit_body(jobspec, urgency, flags))?;
        Ok(JobId(answer["id"].as_u64().expect("an id")))
    }

    pub(crate) fn submit(&mut self) -> JobId {
        self.submit_with(&jobspec(), 16, 0).expect("a good job")
    }

    pub(crate) fn cancel(&mut self, id: JobId) {
        self.rpc("job-manager.raise", json!({"id": id.0, "severity": 0, "type": "cancel", "note": "enough"}))
            .expect("raise");
    }

    // --- what can be seen ---

    pub(crate) fn key(&self, id: JobId, name: &str) -> Option<String> {
        let key = format!("{}.{name}", id.encode(JobIdForm::Kvs));
        self.kvs.keys.get(&key).map(|bytes| String::from_utf8(bytes.clone()).expect("UTF-8"))
    }

    pub(crate) fn eventlog(&self, id: JobId) -> Vec<Entry> {
        eventlog::decode(&self.key(id, "eventlog").unwrap_or_default()).expect("a good eventlog")
    }

    /// The names of a job's events, in one line.
    pub(crate) fn events(&self, id: JobId) -> String {
        let names: Vec<String> = self.eventlog(id).into_iter().map(|entry| entry.name).collect();
        names.join(" ")
    }

    /// What a stream has told since it was last looked at, and whether it has ended.
    pub(crate) fn told(&mut self, tag: u32) -> (Vec<Value>, Option<Errno>) {
        let mut answers = self.answers.remove(&tag).unwrap_or_default();
        let end = answers.last().and_then(Message::errno);
        if end.is_some() {
            answers.pop();
        }
        (answers.iter().map(|answer| result(answer).expect("only the last fails")).collect(), end)
    }

    pub(crate) fn manager(&mut self) -> &mut dyn AnyService {
        self.slots.get_mut("job-manager").expect("there").service.as_mut()
    }

    /// Effects of stopping the services in good order.
    pub(crate) fn stop(&mut self) {
        for name in ["job-ingest", "job-manager"] {
            self.call(name, |service, cx| service.stop(cx));
        }
        self.run();
    }
}

fn rank_of(message: &Message) -> u32 {
    match message.body {
        Body::Request { target: Target::Rank(rank), .. } => rank.0,
        _ => panic!("a command goes to one rank"),
    }
}

pub(crate) fn result(answer: &Message) -> Result<Value, (Errno, String)> {
    match answer.body {
        Body::Response { errnum: 0, .. } if answer.payload.is_none() => Ok(Value::Null),
        Body::Response { errnum: 0, .. } => Ok((*answer.payload.value().expect("JSON")).clone()),
        _ => Err((answer.errno().expect("an error"), answer.payload.as_text().unwrap_or("").to_owned())),
    }
}

/// A request for one core.
pub(crate) fn jobspec() -> Value {
    json!({"resources": [{"type": "slot", "count": 1, "label": "task", "with": [{"type": "core", "count": 1}]}],
           "tasks": [{"command": ["/bin/app", "arg"], "slot": "task", "count": {"per_slot": 1}}],
           "attributes": {"system": {"duration": 0, "cwd": "/tmp", "environment": {"HOME": "/root"}}},
           "version": 1})
}

/// As [`jobspec`], with one more attribute of the system.
pub(crate) fn jobspec_with(key: &str, value: Value) -> Value {
    let mut jobspec = jobspec();
    jobspec["attributes"]["system"][key] = value;
    jobspec
}

pub(crate) fn guest(userid: u32) -> Cred {
    Cred { userid, rolemask: role::USER }
}
