//! The context of one call into a service: the time, the node's identity, and the list that effects go to.

use std::collections::BTreeMap;
use std::sync::Arc;

use flux_wire::{Cred, Errno, Flags, Message, Payload, Rank, RouteId, Target, Topic};
use serde_json::Value;

use crate::{Effect, Errand, Fault, FileOp, LogLevel, Now, ProcessOp, Rng, StoreOp};

/// Names a request or operation that a service waits for; also the matchtag of its requests. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u32);

/// What every service may know of its node. The node keeps it current; services only read it.
#[derive(Clone, Debug)]
pub struct NodeInfo {
    pub rank: Rank,
    pub size: u32,
    /// The ranks below this one in the tree of brokers, each with the child that leads there.
    pub below: Arc<BTreeMap<u32, u32>>,
    pub hostname: String,
    /// The instance owner's user id.
    pub owner: u32,
    pub uuid: RouteId,
    /// The directory of sockets and job directories; kept over a restart when there is a `statedir`.
    pub rundir: String,
    pub statedir: Option<String>,
    pub attrs: BTreeMap<String, String>,
    /// The TOML configuration as JSON; an empty object where there is none.
    pub config: Arc<Value>,
    /// The command of a run level that runs now.
    pub command: Option<RunLevelCommand>,
}

/// A process that the node runs for itself: `rc1`, the initial program (`rc2`), a command of the clean-up, `rc3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLevelCommand {
    pub pid: u32,
    pub program: String,
    pub label: &'static str,
}

impl NodeInfo {
    /// The only broker of an instance without a `statedir`: for tests, which say what is different with theirs.
    pub fn sample() -> NodeInfo {
        NodeInfo {
            rank: Rank::ROOT,
            size: 1,
            below: Arc::default(),
            hostname: "host".to_owned(),
            owner: 1000,
            uuid: "u".into(),
            rundir: "/run".to_owned(),
            statedir: None,
            attrs: BTreeMap::new(),
            config: Arc::new(Value::Object(serde_json::Map::new())),
            command: None,
        }
    }

    /// A configuration value by its dotted path.
    pub fn config_at(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&*self.config, |value, key| value.get(key))
    }

    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attrs.get(name).map(String::as_str)
    }
}

/// Effects of one service, in order, and the tags it has given out.
#[derive(Debug, Default)]
pub struct Outbox {
    pub effects: Vec<Effect>,
    last_tag: u32,
}

impl Outbox {
    /// A tag that was not given out before.
    pub fn next_tag(&mut self) -> Tag {
        // After 2^32 operations the counter comes round; what old tags named is long gone. 0 means "none" in RFC 6.
        self.last_tag = self.last_tag.checked_add(1).unwrap_or(1);
        Tag(self.last_tag)
    }
}

/// Handed to every call into a service.
pub struct Cx<'a> {
    pub now: Now,
    pub node: &'a NodeInfo,
    pub rng: &'a mut Rng,
    pub out: &'a mut Outbox,
}

impl Cx<'_> {
    pub fn send(&mut self, message: Message) {
        self.out.effects.push(Effect::Send(message));
    }

    /// Answers `request`, unless it wants no answer.
    pub fn respond(&mut self, request: &Message, payload: impl Into<Payload>) {
        if request.wants_response() {
            self.send(request.response(payload.into()));
        }
    }

    /// Answers `request` with success and nothing else.
    pub fn respond_empty(&mut self, request: &Message) {
        self.respond(request, Payload::None);
    }

    pub fn respond_error(&mut self, request: &Message, fault: &Fault) {
        if request.wants_response() {
            self.send(request.error_response(fault.errno, &fault.text));
        }
    }

    /// Ends a stream of responses (RFC 6: ENODATA is its end, not a failure).
    pub fn end_stream(&mut self, request: &Message) {
        self.respond_error(request, &Fault::from(Errno::ENODATA));
    }

    /// Asks a service; the answer comes to `on_reply` with this tag.
    pub fn request(&mut self, topic: impl Into<Topic>, target: Target, payload: impl Into<Payload>) -> Tag {
        let tag = self.out.next_tag();
        self.send(self.own(Message::request(topic, target, tag.0, payload.into())));
        tag
    }

    /// As `request`, for any number of answers up to and including an error (ENODATA at the regular end).
    pub fn request_stream(&mut self, topic: impl Into<Topic>, target: Target, payload: impl Into<Payload>) -> Tag {
        let tag = self.out.next_tag();
        let mut message = self.own(Message::request(topic, target, tag.0, payload.into()));
        message.flags = Flags(Flags::STREAMING);
        self.send(message);
        tag
    }

    /// A request that nobody answers.
    pub fn notify(&mut self, topic: impl Into<Topic>, target: Target, payload: impl Into<Payload>) {
        let mut message = self.own(Message::request(topic, target, 0, payload.into()));
        message.flags = Flags(Flags::NORESPONSE);
        self.send(message);
    }

    /// An event for the whole instance; rank 0 gives it its sequence number (RFC 3).
    pub fn publish(&mut self, topic: impl Into<Topic>, payload: impl Into<Payload>) {
        let message = self.own(Message::event(topic, payload.into()));
        self.send(message);
    }

    /// As `publish`, delivered to the instance owner and to `userid` only.
    pub fn publish_private(&mut self, topic: impl Into<Topic>, payload: impl Into<Payload>, userid: u32) {
        let mut message = self.own(Message::event(topic, payload.into()));
        message.flags = Flags(Flags::PRIVATE);
        message.cred.userid = userid;
        self.send(message);
    }

    pub fn store(&mut self, op: StoreOp) -> Tag {
        let tag = self.out.next_tag();
        self.out.effects.push(Effect::Store { tag, op });
        tag
    }

    pub fn process(&mut self, op: ProcessOp) -> Tag {
        let tag = self.out.next_tag();
        self.out.effects.push(Effect::Process { tag, op });
        tag
    }

    pub fn file(&mut self, op: FileOp) -> Tag {
        let tag = self.out.next_tag();
        self.out.effects.push(Effect::File { tag, op });
        tag
    }

    pub fn compute(&mut self, errand: Errand) -> Tag {
        let tag = self.out.next_tag();
        self.out.effects.push(Effect::Compute { tag, errand });
        tag
    }

    pub fn subscribe(&mut self, prefix: impl Into<String>) {
        self.out.effects.push(Effect::Subscribe { prefix: prefix.into() });
    }

    pub fn unsubscribe(&mut self, prefix: impl Into<String>) {
        self.out.effects.push(Effect::Unsubscribe { prefix: prefix.into() });
    }

    pub fn set_attr(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.out.effects.push(Effect::SetAttr { name: name.into(), value: value.into() });
    }

    pub fn log(&mut self, level: LogLevel, text: impl Into<String>) {
        self.out.effects.push(Effect::Log { level, text: text.into() });
    }

    fn own(&self, mut message: Message) -> Message {
        message.cred = Cred { userid: self.node.owner, rolemask: flux_wire::role::OWNER | flux_wire::role::LOCAL };
        message
    }
}
