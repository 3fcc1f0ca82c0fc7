//! The service alone, in virtual time: the test plays manager, KVS, node runtime and shell.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_service::{
    AnyService, Completion, Cx, Effect, FileOp, Mono, NodeInfo, Now, Outbox, ProcessEvent, ProcessOp, Rng, SpawnSpec,
    Tag, Wall,
};
use flux_types::JobId;
use flux_wire::{Body, Cred, Errno, Flags, Message, Payload, Rank, Target, role};
use serde_json::{Value, json};

use super::JobExec;

mod absent;
mod guests;
mod relays;

const OWNER: u32 = 1000;
const ID: u64 = 1234;

const FROM_OWNER: Cred = Cred { userid: OWNER, rolemask: role::OWNER };

fn request(topic: &str, flags: u8, body: Value) -> Message {
    let mut message = Message::request(topic, Target::Any, 7, body.into());
    (message.flags, message.cred) = (Flags(flags), FROM_OWNER);
    message
}

fn event(topic: &str, body: Value) -> Message {
    let mut message = Message::event(topic, body.into());
    message.cred = FROM_OWNER;
    message
}

/// The body of `job-exec.start`.
fn start_body((userid, reattach): (u32, bool), jobspec: Value, children: Value, expiration: f64) -> Value {
    let resources = json!({"version": 1, "execution": {"R_lite": [{"rank": "0", "children": children}],
                           "nodelist": ["node0"], "starttime": 0, "expiration": expiration}});
    json!({"id": ID, "userid": userid, "jobspec": jobspec, "R": resources, "reattach": reattach})
}

/// One node that is leader and node in one.
struct World {
    exec: JobExec,
    node: NodeInfo,
    rng: Rng,
    out: Outbox,
    now: Now,
    /// `[type, data]` of answers to the manager.
    manager: Vec<(String, Value)>,
    /// What the shell was told.
    shell: Vec<Value>,
    logs: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<u8>>,
    locked: bool,
    spawned: Vec<Tag>,
    specs: Vec<SpawnSpec>,
    killed: Vec<i32>,
    groups_killed: Vec<String>,
    synced: Vec<bool>,
    drained: Vec<Value>,
    commits_fail: bool,
    started: bool,
    /// What goes to rank 1, which is played by tests of jobs of two nodes.
    far: Vec<Message>,
}

impl World {
    fn new(statedir: bool) -> World {
        let node = NodeInfo {
            hostname: "node0".into(),
            owner: OWNER,
            statedir: statedir.then(|| "/state".into()),
            ..NodeInfo::sample()
        };
        let now = Now { mono: Mono(Duration::ZERO), wall: Wall(Duration::from_secs(1_700_000_000)) };
        let mut world = World {
            exec: JobExec::new(),
            node,
            rng: Rng::new(1),
            out: Outbox::default(),
            now,
            manager: Vec::new(),
            shell: Vec::new(),
            logs: BTreeMap::new(),
            files: BTreeMap::new(),
            locked: false,
            spawned: Vec::new(),
            specs: Vec::new(),
            killed: Vec::new(),
            groups_killed: Vec::new(),
            synced: Vec::new(),
            drained: Vec::new(),
            commits_fail: false,
            started: true,
            far: Vec::new(),
        };
        world.with(|exec, cx| AnyService::start(exec, cx).unwrap());
        world
    }

    /// The broker is killed: the service is gone, files and logs stay.
    fn restart(self) -> World {
        self.restart_hearing(&[])
    }

    /// As [`World::restart`]; the messages come before any file is read.
    fn restart_hearing(self, early: &[Message]) -> World {
        let mut next = World::new(self.node.statedir.is_some());
        let World { logs, files, locked, .. } = self;
        (next.logs, next.files, next.locked) = (logs, files, locked);
        next.exec = JobExec::new();
        next.with(|exec, cx| {
            AnyService::start(exec, cx).unwrap();
            early.iter().for_each(|message| assert!(AnyService::dispatch(exec, cx, message)));
        });
        next
    }

    /// The shell lives on, and the manager says that the job goes on.
    fn restart_under_the_shell(mut self) -> World {
        self.files.insert("/run/jobs/fNH.0.1000".into(), vec![b'\n']);
        self.locked = true;
        let mut next = self.restart();
        next.start(true, Value::Null, 0.0);
        next
    }

    fn with(&mut self, run: impl FnOnce(&mut JobExec, &mut Cx<'_>)) {
        let mut cx = Cx { now: self.now, node: &self.node, rng: &mut self.rng, out: &mut self.out };
        run(&mut self.exec, &mut cx);
        self.settle();
    }

    /// Performs effects until there are none.
    fn settle(&mut self) {
        loop {
            let effects = std::mem::take(&mut self.out.effects);
            if effects.is_empty() {
                let mut cx = Cx { now: self.now, node: &self.node, rng: &mut self.rng, out: &mut self.out };
                AnyService::on_batch_end(&mut self.exec, &mut cx);
                AnyService::check(&self.exec);
                if self.out.effects.is_empty() {
                    return;
                }
                continue;
            }
            for effect in effects {
                self.perform(effect);
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send(message) => self.deliver(message),
            Effect::File { tag, op } => {
                let completion = self.file(op);
                self.complete(tag, completion);
            }
            Effect::Process { tag, op } => match op {
                ProcessOp::Spawn(spec) => {
                    assert!(spec.detached && spec.job_cgroup, "the launch contract");
                    self.spawned.push(tag);
                    self.specs.push(*spec);
                    let event = match self.started {
                        true => ProcessEvent::Started { pid: 42 },
                        false => ProcessEvent::NotStarted { errno: Errno::ENOMEM },
                    };
                    self.complete(tag, Completion::Process(event));
                }
                ProcessOp::Kill { signum, .. } => self.killed.push(signum),
                ProcessOp::KillGroup { name } => self.groups_killed.push(name),
                other => panic!("{other:?}"),
            },
            Effect::Log { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn complete(&mut self, tag: Tag, completion: Completion) {
        let mut cx = Cx { now: self.now, node: &self.node, rng: &mut self.rng, out: &mut self.out };
        AnyService::on_completion(&mut self.exec, &mut cx, tag, completion);
    }

    fn file(&mut self, op: FileOp) -> Completion {
        let missing = || Completion::Failed(Errno::ENOENT.into());
        match op {
            FileOp::Read { path } => {
                self.files.get(&path).map_or_else(missing, |bytes| Completion::File(bytes.clone().into()))
            }
            FileOp::Write { path, bytes, .. } => {
                self.files.insert(path, bytes.to_vec());
                Completion::Done
            }
            FileOp::MakeDir { .. } | FileOp::Create { .. } | FileOp::Mark { .. } => Completion::Done,
            FileOp::User { .. } => missing(),
            FileOp::Remove { path } => {
                self.files.retain(|known, _| !known.starts_with(&path));
                Completion::Done
            }
            FileOp::List { path } => {
                let names =
                    self.files.keys().filter_map(|known| known.strip_prefix(&format!("{path}/"))?.split('/').next());
                let mut names: Vec<String> = names.map(str::to_owned).collect();
                names.dedup();
                Completion::Names(names)
            }
            FileOp::IsLocked { path } if self.files.contains_key(&path) => Completion::Locked(self.locked),
            FileOp::IsLocked { .. } => missing(),
        }
    }

    fn deliver(&mut self, message: Message) {
        let answer = match (message.body, message.topic()) {
            (Body::Response { .. }, "job-exec.start") => {
                let body = message.payload.value().unwrap();
                assert_eq!(body["id"], ID);
                let ended = self.names("exec.eventlog").contains(&"done".to_owned());
                assert!(
                    body["type"] != "finish" || ended || self.commits_fail,
                    "the store hears of an end before the manager"
                );
                self.manager.push((body["type"].as_str().unwrap().to_owned(), body["data"].clone()));
                None
            }
            (Body::Response { errnum, .. }, "job-exec.shell-hello") => {
                let body = message.payload.value().map_or(json!(errnum), |value| (*value).clone());
                self.shell.push(body);
                None
            }
            (Body::Response { matchtag, .. }, "job-exec.launch") => {
                let mut cx = Cx { now: self.now, node: &self.node, rng: &mut self.rng, out: &mut self.out };
                AnyService::on_reply(&mut self.exec, &mut cx, Tag(matchtag), &message);
                None
            }
            (Body::Request { target: Target::Rank(Rank(1)), .. }, _) => {
                self.far.push(message);
                None
            }
            (Body::Request { .. }, "job-exec.launch" | "job-exec.order") => {
                let mut cx = Cx { now: self.now, node: &self.node, rng: &mut self.rng, out: &mut self.out };
                assert!(AnyService::dispatch(&mut self.exec, &mut cx, &message));
                None
            }
            (Body::Request { .. }, "kvs.commit") => Some(self.commit(&message)),
            (Body::Request { .. }, "kvs.lookup") => Some(self.lookup(&message)),
            (Body::Request { .. }, "resource.drain") => {
                self.drained.push((*message.payload.value().unwrap()).clone());
                Some(message.response(Payload::None))
            }
            (Body::Request { .. }, _) => Some(message.response(json!({}).into())),
            other => panic!("{other:?}"),
        };
        if let Some(answer) = answer {
            let tag = Tag(answer.matchtag());
            let mut cx = Cx { now: self.now, node: &self.node, rng: &mut self.rng, out: &mut self.out };
            AnyService::on_reply(&mut self.exec, &mut cx, tag, &answer);
        }
    }

    fn commit(&mut self, message: &Message) -> Message {
        if self.commits_fail {
            return message.error_response(Errno::ENOSPC, "");
        }
        let body = message.payload.value().unwrap();
        self.synced.push(body.get("durability").is_none_or(|it| it == "synced"));
        for op in body["ops"].as_array().unwrap() {
            let key = op["key"].as_str().unwrap().strip_prefix("job.0000.0000.0000.04d2.guest.").unwrap().to_owned();
            if op["dirent"].is_null() {
                self.logs.remove(&key);
                continue;
            }
            let text = STANDARD.decode(op["dirent"]["data"].as_str().unwrap()).unwrap();
            let text = String::from_utf8(text).unwrap();
            match op["flags"].as_u64() {
                Some(32) => self.logs.entry(key).or_default().push_str(&text),
                _ => drop(self.logs.insert(key, text)),
            }
        }
        message.response(json!({"rootseq": 1}).into())
    }

    fn lookup(&self, message: &Message) -> Message {
        let body = message.payload.value().unwrap();
        let key = body["key"].as_str().unwrap().strip_prefix("job.0000.0000.0000.04d2.").unwrap();
        let key = key.strip_prefix("guest.").unwrap_or(key);
        match self.logs.get(key) {
            Some(text) => {
                message.response(json!({"val": {"data": STANDARD.encode(text), "type": "val", "ver": 1}}).into())
            }
            None => message.error_response(Errno::ENOENT, ""),
        }
    }

    fn request(&mut self, topic: &str, flags: u8, body: Value) {
        let message = request(topic, flags, body);
        self.with(|exec, cx| assert!(AnyService::dispatch(exec, cx, &message)));
    }

    fn start(&mut self, reattach: bool, mock: Value, expiration: f64) {
        self.start_for(OWNER, reattach, mock, expiration);
    }

    fn start_for(&mut self, userid: u32, reattach: bool, mock: Value, expiration: f64) {
        let mut jobspec = json!({"attributes": {"system": {"duration": 0}}});
        if !mock.is_null() {
            jobspec["attributes"]["system"]["exec"] = json!({"test": mock});
        }
        self.request_start((userid, reattach), jobspec, json!({"core": "0"}), expiration);
    }

    /// A job that was given this of the node.
    fn start_with(&mut self, userid: u32, children: Value) {
        self.request_start((userid, false), json!({"attributes": {"system": {"duration": 0}}}), children, 0.0);
    }

    fn request_start(&mut self, who: (u32, bool), jobspec: Value, children: Value, expiration: f64) {
        self.request("job-exec.start", Flags::STREAMING, start_body(who, jobspec, children, expiration));
    }

    fn hello(&mut self) {
        let body = json!({"id": ID, "shell_rank": 0, "pid": 42, "next_seq": 1});
        self.request("job-exec.shell-hello", Flags::STREAMING, body);
    }

    fn tell(&mut self, first: u64, events: &[Value]) {
        self.tell_keeping(0, first, events);
    }

    /// The shell does not keep events up to `acked` any more.
    fn tell_keeping(&mut self, acked: u64, first: u64, events: &[Value]) {
        let events: Vec<Value> = events.iter().enumerate().map(|(n, event)| json!([first + n as u64, event])).collect();
        let body = json!({"id": ID, "shell_rank": 0, "acked": acked, "events": events});
        self.request("job-exec.shell-events", Flags::NORESPONSE, body);
    }

    fn event(&mut self, topic: &str, body: Value) {
        let message = event(topic, body);
        self.with(|exec, cx| assert!(AnyService::dispatch(exec, cx, &message)));
    }

    /// Time passes to the next timer.
    fn ring(&mut self) -> Duration {
        let at = AnyService::next_timer(&self.exec).expect("a timer").max(self.now.mono);
        let span = at.since(self.now.mono);
        self.now = Now { mono: at, wall: Wall(self.now.wall.0 + span) };
        self.with(AnyService::on_timer);
        span
    }

    /// Time passes until nothing waits for it.
    fn settle_down(&mut self) {
        while AnyService::next_timer(&self.exec).is_some() {
            self.ring();
        }
    }

    fn said(&self) -> Vec<&str> {
        self.manager.iter().map(|(kind, _)| kind.as_str()).collect()
    }

    fn names(&self, log: &str) -> Vec<String> {
        let text = self.logs.get(log).cloned().unwrap_or_default();
        flux_types::eventlog::decode(&text).unwrap().into_iter().map(|entry| entry.name).collect()
    }
}

fn line(name: &str) -> String {
    format!("{{\"timestamp\":1.0,\"name\":\"{name}\"}}\n")
}

fn output(name: &str) -> Value {
    json!({"type": "output", "entry": line(name)})
}

fn exec(name: &str) -> Value {
    json!({"type": "exec", "entry": line(name)})
}

fn finish(status: i32) -> Value {
    json!({"type": "finish", "status": status})
}

#[test]
fn a_job_starts_tells_and_ends_with_one_synced_commit() {
    for statedir in [false, true] {
        let mut world = World::new(statedir);
        world.start(false, Value::Null, 0.0);
        assert_eq!((world.said(), world.spawned.len()), (vec!["start"], 1));
        world.hello();
        world.tell(1, &[output("header"), exec("shell.init"), exec("shell.start")]);
        world.tell(4, &[output("data"), exec("shell.task-exit"), finish(256)]);
        assert_eq!(world.said(), ["start", "finish", "release"]);
        let told = |world: &World| world.shell.iter().filter_map(|it| it["seq"].as_u64()).max();
        if statedir {
            assert!(told(&world) < Some(6), "the last event is not acknowledged before the disk has it");
            world.ring();
        }
        assert_eq!(told(&world), Some(6));
        assert_eq!(world.manager[1].1, json!({"status": 256}));
        assert_eq!(world.manager[2].1, json!({"ranks": "all", "final": true}));
        let want =
            ["init", "starting", "shell.init", "shell.start", "shell.task-exit", "shell-exit", "complete", "done"];
        assert_eq!(world.names("exec.eventlog"), want);
        assert_eq!(world.names("output"), ["header", "data"]);
        assert_eq!(world.synced.iter().filter(|synced| **synced).count(), usize::from(statedir));
        assert!(!world.logs.contains_key("exec.taken"));
        assert_eq!(world.files.len(), 0, "the job directory is gone");
        assert!(world.exec.jobs.is_empty() && world.exec.shells.is_empty());
    }
}

#[test]
fn events_that_come_twice_count_once() {
    let mut world = World::new(true);
    world.start(false, Value::Null, 0.0);
    world.hello();
    world.tell(1, &[output("a"), output("b")]);
    world.tell(1, &[output("a"), output("b"), output("c")]);
    world.tell(7, &[output("gap")]);
    assert_eq!(world.names("output"), ["a", "b", "c"]);
}

/// Goal: what a shell has sent to a leader that is gone is not passed over. Method: to the next leader comes first what it
/// sent after that, then all that it keeps; or it does not keep it, as the power was lost before the disk had it.
#[test]
fn what_follows_events_that_an_earlier_leader_had_waits_for_them() {
    for is_kept in [true, false] {
        let mut world = World::new(true);
        world.start(false, Value::Null, 0.0);
        world.hello();
        world.tell(1, &[output("a"), output("b")]);
        let mut world = world.restart_under_the_shell();
        world.hello();
        world.tell_keeping(if is_kept { 2 } else { 3 }, 4, &[output("d"), output("e")]);
        let missing = ["a", "b"].into_iter().chain(["d", "e"].into_iter().filter(|_| !is_kept));
        assert_eq!(world.names("output"), missing.collect::<Vec<_>>());
        world.tell_keeping(2, 3, &[output("c"), output("d"), output("e"), output("f")]);
        let want: &[&str] = if is_kept { &["a", "b", "c", "d", "e", "f"] } else { &["a", "b", "d", "e", "f"] };
        assert_eq!(world.names("output"), want);
    }
}

#[test]
fn who_prints_much_is_acknowledged_later_and_who_prints_little_at_once() {
    let mut world = World::new(true);
    world.start(false, Value::Null, 0.0);
    world.hello();
    world.tell(1, &[output("a")]);
    let acked = |seq: u64| json!({"type": "acked", "seq": seq});
    assert_eq!(world.shell.last(), Some(&acked(1)));
    let much = |name: &str| {
        let context = json!({"data": "x".repeat(1_000_000)});
        json!({"type": "output", "entry": format!("{{\"timestamp\":1.0,\"name\":\"{name}\",\"context\":{context}}}\n")})
    };
    world.tell(2, &[much("b")]);
    world.tell(3, &[output("c")]);
    assert_eq!((world.names("output").len(), world.shell.last()), (3, Some(&acked(1))), "stored, and not said");
    let pause = world.ring();
    assert!(pause >= Duration::from_millis(15) && pause < Duration::from_secs(1), "{pause:?}");
    assert_eq!(world.shell.last(), Some(&acked(3)));
    world.tell(4, &[much("d"), finish(0)]);
    world.settle_down();
    assert_eq!((world.said().last(), world.shell.contains(&acked(5))), (Some(&"release"), true));
}

#[test]
fn a_restarted_leader_goes_on_where_the_store_is() {
    let mut world = World::new(true);
    world.start(false, Value::Null, 0.0);
    world.hello();
    world.tell(1, &[output("a"), output("b")]);
    let mut world = world.restart_under_the_shell();
    assert_eq!(world.said(), [""; 0], "nothing is said before the shell is there");
    world.hello();
    assert_eq!(world.shell, [json!({"acked": 2})]);
    assert_eq!(world.said(), ["reattached"]);
    world.tell(2, &[output("b"), output("c"), finish(0)]);
    world.ring();
    assert_eq!(world.names("output"), ["a", "b", "c"]);
    let want = ["init", "starting", "reattach", "shell-exit", "complete", "done"];
    assert_eq!(world.names("exec.eventlog"), want);
    assert_eq!(world.said(), ["reattached", "finish", "release"]);
    assert_eq!(world.spawned.len(), 0, "a job is started again by nobody");
}

#[test]
fn a_job_that_ended_meanwhile_ends_as_its_record_says() {
    let rows = [
        (Some("[3,{\"type\":\"finish\",\"status\":1792}]\n"), 1792, false),
        (None, 256, true), // Without a record it is never a success.
    ];
    for (exit, status, exception) in rows {
        let mut world = World::new(true);
        world.start(false, Value::Null, 0.0);
        world.hello();
        world.tell(1, &[output("a")]);
        world.files.insert("/run/jobs/fNH.0.1000".into(), vec![b'\n']);
        if let Some(exit) = exit {
            let spool =
                format!("[1,{}]\n[2,{}]\n[3,{{\"type\":\"finish\",\"status\":1792}}]\n", output("a"), output("b"));
            world.files.insert("/run/jobs/fNH.0.1000.left/exit".into(), exit.into());
            world.files.insert("/run/jobs/fNH.0.1000.left/spool".into(), spool.into());
        }
        let mut world = world.restart();
        world.start(true, Value::Null, 0.0);
        world.ring();
        let said = world.said();
        assert_eq!(said.contains(&"exception"), exception, "{said:?}");
        let (_, data) = world.manager.iter().find(|(kind, _)| kind == "finish").unwrap();
        assert_eq!(*data, json!({"status": status}));
        assert_eq!(*said.last().unwrap(), "release");
        assert_eq!(world.names("output"), if exit.is_some() { vec!["a", "b"] } else { vec!["a"] });
        assert!(world.files.is_empty(), "{:?}", world.files.keys());
    }
}

#[test]
fn a_restart_after_the_end_was_stored_only_tells_the_manager() {
    let mut world = World::new(true);
    world.start(false, Value::Null, 0.0);
    world.hello();
    world.tell(1, &[finish(0)]);
    world.ring();
    let before = world.logs.clone();
    let mut world = world.restart();
    world.start(true, Value::Null, 0.0);
    assert_eq!(world.said(), ["reattached", "finish", "release"]);
    assert_eq!(world.logs, before);
}

#[test]
fn a_job_whose_shell_never_ran_is_started_after_all() {
    // Killed before anything was stored, with and without a record.
    for record in [false, true] {
        let mut world = World::new(true);
        if record {
            world.files.insert("/run/jobs/fNH.0.1000".into(), vec![]); // Nobody has written in it.
        }
        let mut world = world.restart();
        world.start(true, Value::Null, 0.0);
        assert_eq!(world.spawned.len(), 1, "record {record}");
        assert_eq!(world.said(), ["start"]);
    }
}

#[test]
fn another_manager_hears_of_the_fatal_exception_too() {
    let mut world = World::new(true);
    world.start(false, Value::Null, 0.0);
    world.hello();
    world.with(|exec, cx| exec.raise(cx, JobId(ID), 0, "exec", "why", None));
    world.manager.clear();
    world.start(true, Value::Null, 0.0);
    let again = json!({"severity": 0, "type": "exec", "note": "why", "again": true});
    let told = [("reattached".to_owned(), json!({})), ("exception".to_owned(), again)];
    assert_eq!(world.manager, told);
}

#[test]
fn what_was_left_beside_a_record_that_is_gone_is_removed() {
    let mut world = World::new(true);
    world.files.insert("/run/jobs/f5.0.1000.left/spool".into(), vec![]);
    world.files.insert("/run/jobs/fNH.0.1000".into(), vec![0]);
    world.files.insert("/run/jobs/fNH.0.1000.left/spool".into(), vec![]);
    let world = world.restart();
    let left: Vec<&String> = world.files.keys().collect();
    assert_eq!(left, ["/run/jobs/fNH.0.1000", "/run/jobs/fNH.0.1000.left/spool"]);
}

#[test]
fn what_comes_before_the_service_knows_its_node_is_not_lost() {
    let jobspec = json!({"attributes": {"system": {"duration": 0}}});
    let reattach = start_body((OWNER, true), jobspec, json!({"core": "0"}), 0.0);
    let start = request("job-exec.start", Flags::STREAMING, reattach);
    let rows = [
        (event("job-exception", json!({"id": ID, "type": "cancel", "severity": 0})), 15),
        (event(&format!("shell-{ID}.kill"), json!({"signum": 10})), 10),
    ];
    for (early, signum) in rows {
        let mut world = World::new(true);
        world.start(false, Value::Null, 0.0);
        world.hello();
        world.tell(1, &[output("a")]);
        world.files.insert("/run/jobs/fNH.0.1000".into(), vec![0]);
        world.locked = true;
        let mut world = world.restart_hearing(&[start.clone(), early]);
        world.hello();
        while !world.shell.iter().any(|told| told["signum"].is_u64()) {
            world.ring();
        }
        let told = world.shell.iter().find_map(|told| told["signum"].as_u64());
        assert_eq!(told, Some(signum), "{:?}", world.shell);
    }
}

#[test]
fn a_cancelled_job_gets_term_then_kill_and_at_last_its_node_is_drained() {
    let mut world = World::new(false);
    world.start(false, Value::Null, 0.0);
    world.hello();
    world.event("job-exception", json!({"id": ID, "type": "cancel", "severity": 0}));
    let signals = |world: &World| -> Vec<i64> { world.shell.iter().filter_map(|it| it["signum"].as_i64()).collect() };
    assert_eq!(signals(&world), [15]);
    let mut spans = Vec::new();
    while world.drained.is_empty() {
        spans.push(world.ring().as_secs());
    }
    assert_eq!(signals(&world), [15, 9, 9, 9, 9]);
    assert_eq!(world.killed, [9; 8]);
    assert_eq!(spans, [5, 5, 5, 5, 5, 5, 10, 20, 40, 80, 160, 300]);
    assert_eq!(world.drained[0]["targets"], "0");
    world.settle_down();
    assert_eq!(world.said(), ["start", "finish", "release"]);
}

#[test]
fn a_time_limit_is_an_exception_and_sigalrm() {
    let mut world = World::new(false);
    world.start(false, Value::Null, 1_700_000_060.0);
    world.hello();
    assert_eq!(world.ring(), Duration::from_secs(60));
    let note = json!({"severity": 0, "type": "timeout", "note": "resource allocation expired"});
    assert_eq!(world.manager[1], ("exception".to_owned(), note));
    assert_eq!(world.shell.last().unwrap(), &json!({"type": "signal", "signum": 14}));
    world.tell(1, &[finish(142 << 8)]);
    assert_eq!(world.said(), ["start", "exception", "finish", "release"]);
}

#[test]
fn a_shell_that_dies_is_an_exception_and_never_a_success() {
    for status in [9, 0] {
        let mut world = World::new(false);
        world.start(false, Value::Null, 0.0);
        world.hello();
        let tag = world.spawned[0];
        world.files.insert("/run/jobtmp-0-ƒNH/left".into(), vec![]);
        world.with(|exec, cx| {
            AnyService::on_completion(exec, cx, tag, Completion::Process(ProcessEvent::Exited { status }));
        });
        assert!(world.files.is_empty(), "what the shell could not clean up is gone");
        assert_eq!(world.said(), ["start", "exception", "finish", "release"]);
        assert_ne!(world.manager[2].1["status"], 0);
    }
    let mut world = World::new(true);
    world.started = false;
    world.start(false, Value::Null, 0.0);
    world.ring();
    assert_eq!(world.said(), ["exception", "finish", "release"]);
}

#[test]
fn events_wait_in_the_shell_while_the_disk_is_full() {
    let mut world = World::new(true);
    world.start(false, Value::Null, 0.0);
    world.hello();
    world.commits_fail = true;
    world.tell(1, &[output("a")]);
    world.tell(2, &[output("b")]);
    assert!(world.shell.iter().all(|it| it.get("seq").is_none()), "nothing is acknowledged");
    world.commits_fail = false;
    world.ring();
    assert_eq!(world.names("output"), ["a", "b"]);
    assert_eq!(world.shell.last().unwrap()["seq"], 2);
}

#[test]
fn an_end_that_could_not_be_stored_at_once_is_told_once_and_acknowledged_when_it_is() {
    let mut world = World::new(true);
    world.start(false, Value::Null, 0.0);
    world.hello();
    world.commits_fail = true;
    world.tell(1, &[output("a"), finish(0)]);
    world.ring();
    assert!(world.shell.iter().all(|it| it.get("seq").is_none()), "nothing is acknowledged");
    world.commits_fail = false;
    world.settle_down();
    assert_eq!(world.shell.iter().filter_map(|it| it["seq"].as_u64()).max(), Some(2));
    assert_eq!(world.said(), ["start", "finish", "release"]);
    assert_eq!(world.names("exec.eventlog"), ["init", "starting", "shell-exit", "complete", "done"]);
    assert!(world.exec.jobs.is_empty());
}

#[test]
fn an_end_that_the_manager_has_on_disk_needs_no_sync_of_its_own() {
    let mut world = World::new(true);
    world.start(false, Value::Null, 0.0);
    world.hello();
    world.tell(1, &[output("a"), finish(0)]);
    assert!(!world.exec.jobs.is_empty(), "the shell's last event waits for the disk");
    world.request("job-exec.ended", Flags::NORESPONSE, json!({"ids": [ID, 99]}));
    assert_eq!(world.shell.iter().filter_map(|it| it["seq"].as_u64()).max(), Some(2));
    assert!(world.exec.jobs.is_empty() && !world.logs.contains_key("exec.taken"));
    assert_eq!(world.synced.iter().filter(|synced| **synced).count(), 0);
}

#[test]
fn mock_jobs_run_by_the_clock() {
    let rows = [
        (json!({"run_duration": "2s"}), 2, 0, vec!["start", "finish", "release"]),
        (json!({"run_duration": "2s", "wait_status": 256}), 2, 256, vec!["start", "finish", "release"]),
        (
            json!({"run_duration": "2s", "mock_exception": "run"}),
            0,
            15,
            vec!["start", "exception", "finish", "release"],
        ),
        (json!({"mock_exception": "init"}), 0, 15, vec!["exception", "finish", "release"]),
    ];
    for (mock, seconds, status, said) in rows {
        let mut world = World::new(true);
        world.start(false, mock.clone(), 0.0);
        if seconds > 0 {
            assert_eq!(world.ring().as_secs(), seconds);
        }
        world.settle_down();
        assert_eq!(world.said(), said, "{mock}");
        let (_, data) = world.manager.iter().find(|(kind, _)| kind == "finish").unwrap();
        assert_eq!(data["status"], status, "{mock}");
        assert_eq!(world.spawned.len(), 0);
    }
}

#[test]
fn signals_from_the_manager_wait_for_the_shell() {
    let mut world = World::new(false);
    world.start(false, Value::Null, 0.0);
    world.event(&format!("shell-{ID}.kill"), json!({"signum": 10}));
    world.event("shell-99.kill", json!({"signum": 10}));
    assert!(world.shell.is_empty());
    world.hello();
    assert_eq!(world.shell, [json!({"acked": 0}), json!({"type": "signal", "signum": 10})]);
    assert_eq!(JobId(ID).to_string(), "ƒNH");
}

#[test]
fn a_job_whose_start_was_not_stored_is_not_started_again() {
    let mut world = World::new(true);
    world.start(false, Value::Null, 0.0);
    world.hello();
    assert_eq!(world.spawned.len(), 1);
    world.logs.clear(); // The broker is killed before anything of it is in the log.
    world.files.insert("/run/begun/fNH".into(), vec![]);
    let mut world = world.restart();
    world.start(false, Value::Null, 0.0);
    assert_eq!(world.spawned.len(), 0);
    assert_eq!(world.said(), ["exception", "release"]);
    assert!(world.manager[0].1["note"].as_str().unwrap().contains("it is not started again"));
}

mod barriers;

#[test]
fn a_mock_job_in_override_mode_starts_and_ends_as_it_is_told() {
    let mut world = World::new(true);
    world.start(false, json!({"override": 1}), 0.0);
    assert!(world.said().is_empty());
    let tell = |world: &mut World, event: &str, status: i32| {
        world.request("job-exec.override", Flags::NORESPONSE, json!({"event": event, "jobid": ID, "status": status}));
    };
    tell(&mut world, "finish", 0);
    tell(&mut world, "nothing", 0);
    assert!(world.said().is_empty(), "it has not started");
    tell(&mut world, "start", 0);
    tell(&mut world, "start", 0);
    assert_eq!(world.said(), ["start"]);
    tell(&mut world, "finish", 256);
    world.settle_down();
    assert_eq!(world.said(), ["start", "finish", "release"]);
    let (_, data) = world.manager.iter().find(|(kind, _)| kind == "finish").unwrap();
    assert_eq!(data["status"], 256);
}
