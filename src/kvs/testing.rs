//! A node for one service: a store on a disk that can fail and lose power, and clients.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_service::{
    AnyService, Completion, Cx, Effect, Fault, LogPosition, NodeInfo, Now, Outbox, Recovered, Rng, StoreOp, Tag,
};
use flux_wire::{Cred, Errno, Flags, Message, Payload, Target, role};
use serde_json::{Value, json};

use crate::{Algorithm, Kvs};

pub(crate) const OWNER: u32 = 1000;

/// What survives a crash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub records: Vec<(LogPosition, Arc<[u8]>)>,
    pub end: u64,
    pub blobs: BTreeMap<Arc<[u8]>, Arc<[u8]>>,
    pub checkpoints: BTreeMap<String, Value>,
}

/// One service on one node, and everything it sent.
pub(crate) struct Harness {
    pub kvs: Kvs,
    pub disk: Disk,
    pub now: Now,
    node: NodeInfo,
    rng: Rng,
    out: Outbox,
    /// Store operations that have not been done yet.
    pub pending: VecDeque<(Tag, StoreOp)>,
    /// Messages of the service, oldest first.
    pub sent: VecDeque<Message>,
    /// The errno that the next appends (transactions) fail with.
    pub append_errno: Option<Errno>,
    pub put_errno: Option<Errno>,
    /// Store operations wait until `work` is called.
    pub slow: bool,
    pub synced: u64,
    next_tag: u32,
}

impl Harness {
    pub(crate) fn new() -> Harness {
        Harness::on(Disk::default())
    }

    /// A node that starts over this disk.
    pub(crate) fn on(disk: Disk) -> Harness {
        let recovered = Recovered { checkpoints: disk.checkpoints.clone(), records: disk.records.clone() };
        let node = NodeInfo { owner: OWNER, ..NodeInfo::sample() };
        let mut harness = Harness {
            kvs: Kvs::new(Algorithm::Sha1, recovered),
            disk,
            now: Now::default(),
            node,
            rng: Rng::new(1),
            out: Outbox::default(),
            pending: VecDeque::new(),
            sent: VecDeque::new(),
            append_errno: None,
            put_errno: None,
            slow: false,
            synced: 0,
            next_tag: 0,
        };
        harness.turn(|kvs, cx| AnyService::start(kvs, cx).expect("the store is sound"));
        harness
    }

    /// The broker is killed and started again: what the disk has is all that is left.
    pub(crate) fn crash(self) -> Harness {
        Harness::on(self.disk)
    }

    fn call<R>(&mut self, f: impl FnOnce(&mut Kvs, &mut Cx<'_>) -> R) -> R {
        let mut cx = Cx { now: self.now, node: &self.node, rng: &mut self.rng, out: &mut self.out };
        let result = f(&mut self.kvs, &mut cx);
        for effect in self.out.effects.drain(..) {
            match effect {
                Effect::Send(message) => self.sent.push_back(message),
                Effect::Store { tag, op } => self.pending.push_back((tag, op)),
                Effect::Log { .. } => {}
                other => panic!("the KVS has no business with {other:?}"),
            }
        }
        result
    }

    /// One turn of the loop: `f`, the end of the batch, and then what the disk answers.
    pub(crate) fn turn(&mut self, f: impl FnOnce(&mut Kvs, &mut Cx<'_>)) {
        self.call(f);
        self.call(AnyService::on_batch_end);
        if !self.slow {
            self.work();
        }
        AnyService::check(&self.kvs);
    }

    /// Does all store operations.
    pub(crate) fn work(&mut self) {
        while self.work_one() {}
    }

    /// Does one store operation, the oldest; `false` if there is none.
    pub(crate) fn work_one(&mut self) -> bool {
        let Some((tag, op)) = self.pending.pop_front() else { return false };
        if let Some(completion) = self.perform(op) {
            self.call(|kvs, cx| AnyService::on_completion(kvs, cx, tag, completion));
            self.call(AnyService::on_batch_end);
        }
        true
    }

    fn perform(&mut self, op: StoreOp) -> Option<Completion> {
        let failed = |errno: Errno| Some(Completion::Failed(Fault::from(errno)));
        match op {
            StoreOp::Append { record, sync } => {
                if let Some(errno) = self.append_errno {
                    return failed(errno);
                }
                self.synced += u64::from(sync);
                self.disk.end += record.len() as u64 + 8;
                let position = LogPosition(self.disk.end);
                self.disk.records.push((position, record));
                Some(Completion::Logged { position })
            }
            StoreOp::Trim { before } => {
                self.disk.records.retain(|(end, _)| *end > before);
                None
            }
            StoreOp::Put { blobs, checkpoints } => {
                if let Some(errno) = self.put_errno {
                    return failed(errno);
                }
                self.disk.blobs.extend(blobs);
                self.disk.checkpoints.extend(checkpoints.into_iter().map(|(key, value)| (key, (*value).clone())));
                Some(Completion::Stored)
            }
            StoreOp::Get { hash } => Some(Completion::Blob(self.disk.blobs.get(&hash).cloned())),
            StoreOp::Horizon { .. } | StoreOp::Mark { .. } | StoreOp::Sweep { .. } => {
                panic!("garbage is collected in the runtime's tests")
            }
        }
    }

    /// A request of a client that is connected as `userid`.
    pub(crate) fn message(&mut self, topic: &str, userid: u32, payload: impl Into<Payload>) -> Message {
        self.next_tag += 1;
        // Clients send text; only services of the same broker hand over JSON as it is.
        let payload = payload.into().to_wire().map_or(Payload::None, Payload::Raw);
        let mut message = Message::request(topic, Target::Any, self.next_tag, payload);
        let roles = if userid == OWNER { role::OWNER } else { role::USER };
        message.cred = Cred { userid, rolemask: roles };
        message.push_route(format!("client-{userid}").as_str().into());
        message
    }

    pub(crate) fn deliver(&mut self, message: &Message) {
        self.turn(|kvs, cx| assert!(AnyService::dispatch(kvs, cx, message), "{} has a handler", message.topic()));
    }

    /// Sends a request and returns its matchtag; answers wait in `sent`.
    pub(crate) fn send(&mut self, topic: &str, payload: Value) -> u32 {
        let message = self.message(topic, OWNER, payload);
        self.deliver(&message);
        message.matchtag()
    }

    /// As `send`, for a stream of answers.
    pub(crate) fn stream(&mut self, topic: &str, payload: Value) -> u32 {
        let mut message = self.message(topic, OWNER, payload);
        message.flags = Flags(Flags::STREAMING);
        self.deliver(&message);
        message.matchtag()
    }

    /// Answers to the request with this matchtag so far; events and other answers stay.
    pub(crate) fn answers(&mut self, matchtag: u32) -> Vec<Result<Value, Errno>> {
        let (mine, rest): (Vec<Message>, Vec<Message>) =
            self.sent.drain(..).partition(|message| message.matchtag() == matchtag);
        self.sent = rest.into();
        mine.iter().map(answer).collect()
    }

    /// One request as `userid`, and its one answer.
    pub(crate) fn rpc_as(&mut self, userid: u32, topic: &str, payload: impl Into<Payload>) -> Result<Value, Errno> {
        let message = self.message(topic, userid, payload);
        self.deliver(&message);
        let mut answers = self.answers(message.matchtag());
        assert_eq!(answers.len(), 1, "{topic} is answered once, not {answers:?}");
        answers.remove(0)
    }

    pub(crate) fn rpc(&mut self, topic: &str, payload: Value) -> Result<Value, Errno> {
        self.rpc_as(OWNER, topic, payload)
    }

    /// Commits to the primary namespace.
    pub(crate) fn commit(&mut self, ops: &[Value]) -> Result<Value, Errno> {
        self.rpc("kvs.commit", json!({"namespace": "primary", "flags": 0, "ops": ops}))
    }

    pub(crate) fn put(&mut self, key: &str, data: &str) {
        self.commit(&[put(key, data)]).expect("a value can be put");
    }

    /// The text of a value.
    pub(crate) fn get(&mut self, key: &str) -> Result<String, Errno> {
        self.get_in("primary", key)
    }

    pub(crate) fn get_in(&mut self, namespace: &str, key: &str) -> Result<String, Errno> {
        let answer = self.rpc("kvs.lookup", json!({"namespace": namespace, "key": key, "flags": 0}))?;
        Ok(text_of(&answer["val"]))
    }

    pub(crate) fn rootref(&mut self) -> String {
        let answer = self.rpc("kvs.getroot", json!({"namespace": "primary"})).expect("there is a root");
        answer["rootref"].as_str().expect("a blobref").to_owned()
    }

    /// Time passes.
    pub(crate) fn sleep(&mut self, span: Duration) {
        self.now.mono = self.now.mono.after(span);
        self.now.wall.0 += span;
        while AnyService::next_timer(&self.kvs).is_some_and(|at| at <= self.now.mono) {
            self.turn(AnyService::on_timer);
        }
    }

    /// Says that somebody (or nobody) listens to events.
    pub(crate) fn subscribers(&mut self, prefixes: &[&str]) {
        let prefixes: Vec<String> = prefixes.iter().map(|prefix| prefix.to_string()).collect();
        self.turn(|kvs, cx| AnyService::on_subscribers(kvs, cx, &prefixes));
    }

    /// Events published so far.
    pub(crate) fn events(&mut self) -> Vec<(String, Value)> {
        let (events, rest): (Vec<Message>, Vec<Message>) =
            self.sent.drain(..).partition(|message| message.kind() == flux_wire::Kind::Event);
        self.sent = rest.into();
        let value = |message: &Message| (*message.payload.value().expect("events carry JSON")).clone();
        events.iter().map(|message| (message.topic().to_owned(), value(message))).collect()
    }

    /// Ends a test: nothing is left over.
    pub(crate) fn finish(mut self) -> Disk {
        self.turn(AnyService::stop);
        self.work();
        assert!(AnyService::is_idle(&self.kvs), "everything has been stored");
        self.disk
    }
}

fn answer(message: &Message) -> Result<Value, Errno> {
    match message.errno() {
        Some(errno) => Err(errno),
        None if message.payload.is_none() => Ok(Value::Null),
        None => match &message.payload {
            Payload::Json(value) => Ok((**value).clone()),
            Payload::Local(body) => Ok(body.to_json()),
            other => Ok(json!(other.as_bytes().expect("bytes or JSON").to_vec())),
        },
    }
}

/// An operation that sets a value.
pub(crate) fn put(key: &str, data: &str) -> Value {
    op(key, 0, val(data))
}

pub(crate) fn append(key: &str, data: &str) -> Value {
    op(key, 32, val(data))
}

pub(crate) fn unlink(key: &str) -> Value {
    op(key, 0, Value::Null)
}

pub(crate) fn mkdir(key: &str) -> Value {
    op(key, 0, json!({"ver": 1, "type": "dir", "data": {}}))
}

pub(crate) fn symlink(key: &str, namespace: Option<&str>, target: &str) -> Value {
    let data = match namespace {
        Some(namespace) => json!({"namespace": namespace, "target": target}),
        None => json!({"target": target}),
    };
    op(key, 0, json!({"ver": 1, "type": "symlink", "data": data}))
}

pub(crate) fn op(key: &str, flags: i64, dirent: Value) -> Value {
    json!({"key": key, "flags": flags, "dirent": dirent})
}

pub(crate) fn val(data: &str) -> Value {
    json!({"ver": 1, "type": "val", "data": STANDARD.encode(data)})
}

pub(crate) fn text_of(val: &Value) -> String {
    assert_eq!(val["type"], "val", "{val}");
    let bytes = STANDARD.decode(val["data"].as_str().expect("text")).expect("base64");
    String::from_utf8(bytes).expect("UTF-8")
}
