//! Simulated clients: they write and read keys, publish and hear events, submit, cancel and watch jobs, and ask brokers.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flux_broker::ConnId;
use flux_types::JobId;
use flux_wire::{Flags, Kind, Message, Rank, Target};
use serde_json::{Value, json};

use crate::audit::Question;
use crate::check::{Switch, Table};
use crate::deeds::GUESTS;
use crate::host::{OWNER, Peer};
use crate::modules::Phase;
use crate::scenario::{Fault, between_us, percent};
use crate::world::{Action, World};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Connect,
    Work,
    /// The auditor looks again.
    Audit,
    /// The scout begins again to read the journal.
    Scout,
    /// The operator of a broker goes on with a module.
    Operate,
}

/// What a request was for.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Subscribe,
    /// A write of the history.
    Write(usize),
    Read(usize),
    /// Before a read elsewhere than on rank 0: which version must it see; and then: has that come?
    Version {
        read: usize,
        key: String,
    },
    Reached {
        read: usize,
        key: String,
    },
    WaitVersion {
        seq: i64,
        key: String,
    },
    Publish(usize),
    Submit(usize),
    /// An event is wanted in the log of a job.
    Order(JobId, &'static str),
    Ping,
    /// Nothing is made of its answer.
    Other,
    CreateSpace(usize),
    RemoveSpace(usize),
    /// A write of the history, in a namespace.
    WriteSpace(usize, usize),
    ReadSpace(usize, usize),
    /// Something is turned on or off.
    Turn(Switch, bool),
    /// Must be refused.
    Forbidden,
    ForbiddenStream,
    /// A stream of the values of a key.
    Watch {
        key: String,
    },
    /// A stream of the events of a job.
    Follow(JobId),
    /// A stream that only its listener ends: the table that it is in, and on which rank.
    Stream(Table, u32),
    /// The journal of the job manager, as the scout reads it.
    Scout,
    Audit(Question),
    /// A module is taken out, or loaded again.
    Module(Phase),
}

impl Call {
    pub(crate) fn is_stream(&self) -> bool {
        self.is_endless() || matches!(self, Call::Follow(_) | Call::ForbiddenStream)
    }

    /// Nobody need end it.
    pub(crate) fn is_endless(&self) -> bool {
        matches!(self, Call::Watch { .. } | Call::Stream(..) | Call::Scout)
    }
}

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) host: usize,
    pub(crate) conn: Option<ConnId>,
    last_tag: u32,
    pub(crate) calls: BTreeMap<u32, (Call, Duration)>,
    /// The highest version it was told of.
    version: i64,
    jobs: Vec<JobId>,
    pub(crate) duty: Duty,
    pub(crate) userid: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// One of those whose work is simulated.
    Work,
    Audit,
    Scout,
    /// Takes out modules of its broker, and loads them again.
    Operate,
}

/// Keys that all clients write to.
pub(crate) const KEYS: u64 = 6;
const CALLS_MAX: usize = 6;

pub(crate) fn val(text: &str) -> Value {
    json!({"ver": 1, "type": "val", "data": BASE64.encode(text)})
}

/// The text that a `kvs.lookup` answered with.
pub(crate) fn value_of(body: &Value) -> Option<String> {
    let bytes = BASE64.decode(body["val"]["data"].as_str()?).ok()?;
    String::from_utf8(bytes).ok()
}

impl World {
    pub(crate) fn begin_clients(&mut self) {
        for client in 0..self.scenario.clients as usize {
            let host = self.rng.below(self.hosts.len() as u64) as usize;
            self.add_client(host, Duty::Work, OWNER);
            let span = between_us(&mut self.rng, 0, 2_000_000);
            self.after(span, Action::Client { client, step: Step::Connect });
        }
        let guests: &[u32] = if self.scenario.guests { &GUESTS } else { &[] };
        for userid in guests.iter().copied() {
            let host = self.rng.below(self.hosts.len() as u64) as usize;
            let client = self.add_client(host, Duty::Work, userid);
            let span = between_us(&mut self.rng, 0, 2_000_000);
            self.after(span, Action::Client { client, step: Step::Connect });
        }
        if self.scenario.is_judged {
            let client = self.add_client(0, Duty::Scout, OWNER);
            self.after(Duration::ZERO, Action::Client { client, step: Step::Connect });
        }
    }

    pub(crate) fn add_client(&mut self, host: usize, duty: Duty, userid: u32) -> usize {
        self.clients.push(Client {
            host,
            conn: None,
            last_tag: 0,
            calls: BTreeMap::new(),
            version: 0,
            jobs: Vec::new(),
            duty,
            userid,
        });
        self.clients.len() - 1
    }

    pub(crate) fn client_step(&mut self, at: usize, step: Step) {
        match step {
            Step::Connect => self.client_connects(at),
            Step::Work => self.client_works(at),
            Step::Audit => self.audit(at),
            Step::Scout => self.scout(at),
            Step::Operate => self.work_on_module(at),
        }
    }

    fn client_connects(&mut self, at: usize) {
        if self.clients[at].conn.is_some() {
            return;
        }
        let host = self.clients[at].host;
        let Some(conn) = self.connect(host, Peer::Client(at)) else {
            let pause = between_us(&mut self.rng, 20_000, 500_000);
            return self.after(pause, Action::Client { client: at, step: Step::Connect });
        };
        self.clients[at].conn = Some(conn);
        self.note_joins();
        let first = match self.clients[at].duty {
            Duty::Work => Step::Work,
            Duty::Audit => Step::Audit,
            Duty::Scout => Step::Scout,
            Duty::Operate => Step::Operate,
        };
        if first != Step::Work {
            return self.after(Duration::ZERO, Action::Client { client: at, step: first });
        }
        self.call(at, Call::Subscribe, "event.subscribe", Target::Any, json!({"topic": "sim."}));
        self.after(Duration::ZERO, Action::Client { client: at, step: Step::Work });
    }

    pub(crate) fn call(&mut self, at: usize, call: Call, topic: &str, target: Target, body: Value) {
        let now = self.now;
        let client = &mut self.clients[at];
        let Some(conn) = client.conn else { return };
        client.last_tag += 1;
        let mut message = Message::request(topic, target, client.last_tag, body.into());
        if call.is_stream() {
            message.flags = Flags(Flags::STREAMING);
        }
        self.trace.say(now, || format!("client {at} asks {}", crate::host::named(&message)));
        client.calls.insert(client.last_tag, (call, now));
        let host = client.host;
        if let Some((Call::Follow(id), _)) = client.calls.get(&client.last_tag) {
            self.history.streams.begin((conn, client.last_tag), *id);
        }
        self.say_to_broker(host, conn, &message);
    }

    /// The client's process is gone.
    pub(crate) fn lose_a_client(&mut self) {
        let at = self.rng.below(self.clients.len() as u64) as usize;
        let host = self.clients[at].host;
        let Some(conn) = self.clients[at].conn.filter(|_| self.clients[at].duty != Duty::Operate) else { return };
        self.count(Fault::ClientGone);
        self.disconnect(host, conn);
        self.client_lost(at);
    }

    /// The connection is over: nobody knows what became of what it asked.
    fn client_lost(&mut self, at: usize) {
        self.trace.note(self.now, at as u64, || format!("client {at} is cut off"));
        let client = &mut self.clients[at];
        let conn = client.conn.take();
        for (call, _) in std::mem::take(&mut client.calls).into_values() {
            self.history.unknown(&call, self.now);
        }
        if self.clients[at].duty == Duty::Scout {
            self.history.ledger.begin(); // Until it is back nothing is known.
        }
        if let Some(conn) = conn {
            self.history.subscriber_gone(conn);
        }
        if self.clients[at].duty == Duty::Operate {
            return self.operator_lost(at);
        }
        let pause = between_us(&mut self.rng, 1_000, 1_000_000);
        self.after(pause, Action::Client { client: at, step: Step::Connect });
    }

    fn client_works(&mut self, at: usize) {
        if self.clients[at].conn.is_none() || self.calm_since.is_some() {
            return;
        }
        if self.clients[at].calls.values().filter(|(call, _)| !call.is_stream()).count() < CALLS_MAX {
            self.choose(at);
        }
        let think = between_us(&mut self.rng, 5_000, 400_000);
        self.after(think, Action::Client { client: at, step: Step::Work });
    }

    fn choose(&mut self, at: usize) {
        if self.clients[at].userid != OWNER {
            return self.choose_as_guest(at);
        }
        if percent(&mut self.rng, 16) {
            return match self.rng.below(6) {
                0 => self.use_space(at),
                1 => self.submit_after(at),
                2 => self.update(at),
                3 | 4 => self.listen(at),
                _ => self.operate(at),
            };
        }
        let key = format!("k{}", self.rng.below(KEYS));
        match self.rng.below(100) {
            0..20 => self.put(at, &key),
            20..45 => self.get(at, &key),
            45..52 => self.append(at),
            52..58 => self.read_own_write(at, key),
            58..70 => self.publish(at),
            70..80 => self.submit(at),
            80..84 => self.cancel(at),
            84..87 => self.follow(at),
            87..90 => self.watch(at, key),
            90..93 => self.get(at, "log"),
            _ => {
                let rank = self.rng.below(self.hosts.len() as u64) as u32;
                self.call(at, Call::Ping, "broker.ping", Target::Rank(Rank(rank)), json!({"seq": 1}));
            }
        }
    }

    pub(crate) fn put(&mut self, at: usize, key: &str) {
        let (write, value) = self.history.kvs.begin_write(key, at, self.now);
        // Now and then the value is longer than what is kept inline.
        let ops = json!([{"key": key, "flags": 0, "dirent": val(&value)}]);
        self.call(at, Call::Write(write), "kvs.commit", Target::Any, commit(ops));
    }

    fn append(&mut self, at: usize) {
        let (write, value) = self.history.kvs.begin_write("log", at, self.now);
        let ops = json!([{"key": "log", "flags": 32, "dirent": val(&format!("{value}\n"))}]);
        self.call(at, Call::Write(write), "kvs.commit", Target::Any, commit(ops));
    }

    fn get(&mut self, at: usize, key: &str) {
        let read = self.history.kvs.begin_read(key, self.now);
        if self.clients[at].host == 0 {
            return self.look(at, read, key);
        }
        // Elsewhere a broker answers with what it has heard of; who must not miss anything asks rank 0 for the version.
        let call = Call::Version { read, key: key.to_owned() };
        self.call(at, call, "kvs.getroot", Target::Rank(Rank(0)), json!({"namespace": "primary"}));
    }

    fn look(&mut self, at: usize, read: usize, key: &str) {
        let body = json!({"namespace": "primary", "key": key, "flags": 0});
        self.call(at, Call::Read(read), "kvs.lookup", Target::Any, body);
    }

    /// Waits for the version that its last write made, then reads.
    fn read_own_write(&mut self, at: usize, key: String) {
        let seq = self.clients[at].version;
        let body = json!({"namespace": "primary", "rootseq": seq});
        self.call(at, Call::WaitVersion { seq, key }, "kvs.wait-version", Target::Any, body);
    }

    fn watch(&mut self, at: usize, key: String) {
        const WATCH: i64 = 4;
        const WAITCREATE: i64 = 8;
        if self.is_reloaded(self.clients[at].host, "kvs") {
            return; // It must be known where it is listened for.
        }
        let body = json!({"namespace": "primary", "key": key, "flags": WATCH | WAITCREATE});
        self.call(at, Call::Watch { key }, "kvs-watch.lookup", Target::Any, body);
    }

    pub(crate) fn publish(&mut self, at: usize) {
        let life = self.hosts[0].life;
        let event = self.history.events.begin(at, life, self.now);
        let payload = format!("{}\0", json!({"n": event}));
        let body = json!({"topic": format!("sim.{}", event % 3), "flags": 0, "payload": BASE64.encode(payload)});
        self.call(at, Call::Publish(event), "event.publish", Target::Any, body);
    }

    fn submit(&mut self, at: usize) {
        let rng = &mut self.rng;
        let nodes = 1 + if percent(rng, 30) { rng.below(self.scenario.size as u64) } else { 0 };
        let cores = 1 + rng.below(u64::from(self.scenario.cores));
        let ms = [20, 200, 1_500, 6_000][rng.below(4) as usize] + rng.below(500);
        let code = if percent(rng, 15) { 1 + rng.below(3) } else { 0 };
        let sim = json!({"ms": ms, "code": code, "lines": rng.below(6), "stubborn": percent(rng, 10)});
        let mut system = json!({"duration": 0, "cwd": "/", "environment": {}});
        if percent(rng, 20) {
            let span = format!("{}s", ms as f64 / 1000.0);
            system["exec"] = json!({"test": {"run_duration": span}});
        }
        let urgency = if percent(rng, 20) { rng.below(31) + 1 } else { 16 };
        self.submit_spec(at, jobspec(nodes, cores, system, sim), urgency, None);
    }

    /// A short job on all nodes.
    pub(crate) fn submit_wide(&mut self, at: usize, nodes: u32) {
        let system = json!({"duration": 0, "cwd": "/", "environment": {}});
        let sim = json!({"ms": 100, "code": 0, "lines": 0, "stubborn": false});
        self.submit_spec(at, jobspec(u64::from(nodes), 1, system, sim), 16, None);
    }

    pub(crate) fn submit_spec(
        &mut self,
        at: usize,
        jobspec: Value,
        urgency: u64,
        after: Option<(JobId, &'static str)>,
    ) {
        let userid = self.clients[at].userid;
        let mut signed = flux_sign::wrap_none(userid, jobspec.to_string().as_bytes());
        if userid != OWNER {
            signed = as_munge(&signed);
        }
        let submit = self.history.jobs.begin_submit(userid, after);
        let body = json!({"J": signed, "urgency": urgency, "flags": 0});
        self.call(at, Call::Submit(submit), "job-ingest.submit", Target::Any, body);
    }

    pub(crate) fn one_of_its_jobs(&mut self, at: usize) -> Option<JobId> {
        let count = self.clients[at].jobs.len() as u64;
        (count > 0).then(|| self.clients[at].jobs[self.rng.below(count) as usize])
    }

    pub(crate) fn cancel(&mut self, at: usize) {
        let Some(id) = self.one_of_its_jobs(at) else { return };
        let body = json!({"id": id.0, "severity": 0, "type": "cancel", "note": ""});
        self.call(at, Call::Order(id, "exception:cancel"), "job-manager.raise", Target::Any, body);
    }

    pub(crate) fn follow(&mut self, at: usize) {
        let Some(id) = self.one_of_its_jobs(at) else { return };
        let body = json!({"id": id.0, "path": "eventlog", "flags": 0});
        let target = if percent(&mut self.rng, 40) { Target::Rank(Rank(0)) } else { Target::Any };
        self.call(at, Call::Follow(id), "job-info.eventlog-watch", target, body);
    }

    pub(crate) fn client_hears(&mut self, at: usize, conn: ConnId, message: Option<Message>) {
        if self.clients[at].conn != Some(conn) {
            return;
        }
        let Some(message) = message else { return self.client_lost(at) };
        let sum = u64::from(message.matchtag());
        self.trace.note(self.now, sum, || format!("client {at} hears {}", crate::host::named(&message)));
        if message.kind() == Kind::Event {
            let wrong = self.history.events.heard(conn, &message);
            return wrong.into_iter().for_each(|text| self.violated("events", format!("client {at}: {text}")));
        }
        let tag = message.matchtag();
        let Some((call, began)) = self.clients[at].calls.get(&tag).cloned() else {
            let text =
                format!("client {at} gets an answer that it waits for no more: {}", crate::host::named(&message));
            return self.violated("rpc", text);
        };
        if !call.is_stream() || message.errno().is_some() {
            self.clients[at].calls.remove(&tag);
        }
        if !self.answered_deed(at, (conn, tag), &call, began, &message) {
            self.answered(at, (conn, tag), call, &message);
        }
    }

    fn answered(&mut self, at: usize, (conn, tag): (ConnId, u32), call: Call, message: &Message) {
        let now = self.now;
        let failed = message.errno().is_some();
        let body = message.payload.value().map(|value| (*value).clone()).unwrap_or(Value::Null);
        match call {
            Call::Subscribe => self.history.events.subscribed(conn, now),
            Call::Write(write) => {
                let seq = (!failed).then(|| body["rootseq"].as_i64().expect("a commit answers with a version"));
                self.clients[at].version = self.clients[at].version.max(seq.unwrap_or(0));
                self.history.kvs.written(write, now, seq);
            }
            Call::Read(read) => {
                const ENOENT: i32 = 2;
                let nothing = message.errno().is_some_and(|errno| errno.0 == ENOENT);
                if !failed || nothing {
                    self.history.kvs.read(read, now, value_of(&body));
                }
            }
            Call::Version { read, key } if !failed => {
                let wait = json!({"namespace": "primary", "rootseq": body["rootseq"]});
                self.call(at, Call::Reached { read, key }, "kvs.wait-version", Target::Any, wait);
            }
            Call::Reached { read, key } if !failed => self.look(at, read, &key),
            Call::Version { .. } | Call::Reached { .. } => {}
            Call::WaitVersion { seq, key } => {
                if !failed && body["rootseq"].as_i64().is_none_or(|found| found < seq) {
                    self.violated("kvs", format!("client {at} waited for version {seq} and got {}", body["rootseq"]));
                }
                if !failed {
                    self.get(at, &key);
                }
            }
            Call::Publish(event) => {
                let life = self.hosts[0].life;
                self.history.events.published(event, life, body["seq"].as_u64().filter(|_| !failed));
            }
            Call::Submit(submit) => {
                let id = body["id"].as_u64().filter(|_| !failed).map(JobId);
                self.clients[at].jobs.extend(id);
                self.history.jobs.submitted(submit, id);
            }
            Call::Watch { key } if !failed => {
                if let Some(text) = value_of(&body) {
                    self.history.kvs.watched((conn, tag), &key, text, now);
                }
            }
            Call::Watch { .. } => self.history.kvs.watch_ended((conn, tag)),
            Call::Audit(question) => self.audited(question, message, &body),
            Call::Scout => self.scout_hears(at, message, &body),
            Call::Module(phase) => self.module_answered(at, phase, message),
            _ => {} // Seen to elsewhere.
        }
    }
}

/// What is signed by nobody, as if munge had signed it: the connection vouches for the user, and only the IMP asks munge.
fn as_munge(signed: &str) -> String {
    let mut parts = signed.split('.');
    let (header, payload) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let header = BASE64.decode(header).expect("a header is base64");
    let header = String::from_utf8(header).expect("a header is text").replace("\0snone\0", "\0smunge\0");
    format!("{}.{payload}.MUNGE:sim:", BASE64.encode(header))
}

pub(crate) fn jobspec(nodes: u64, cores: u64, system: Value, sim: Value) -> Value {
    let slot = json!({"type": "slot", "count": 1, "label": "task", "with": [{"type": "core", "count": cores}]});
    json!({"version": 1, "resources": [{"type": "node", "count": nodes, "with": [slot]}],
        "tasks": [{"command": ["sim"], "slot": "task", "count": {"per_slot": 1}}],
        "attributes": {"system": system, "user": {"sim": sim}}})
}

pub(crate) fn commit(ops: Value) -> Value {
    json!({"namespace": "primary", "flags": 0, "ops": ops})
}
