//! `module.trace` and `overlay.trace`: streams of what goes to and from modules, and over the links to other brokers.

use flux_service::Fault;
use flux_types::glob;
use flux_wire::{Body, Errno, Kind, Message, Payload};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::{Answer, end_streams};
use crate::limits::WAITERS_MAX;
use crate::node::{Node, Owner};

/// Which way a traced message goes, as the module or the overlay names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Sent,
    Received,
}

/// Who asked, and for what is said in the request.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    modules: Vec<Message>,
    overlay: Vec<Message>,
}

#[derive(Deserialize)]
struct Wanted {
    typemask: i64,
    topic_glob: String,
    /// The peer; -1 is any.
    #[serde(default = "any")]
    nodeid: i64,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    full: bool,
}

fn any() -> i64 {
    -1
}

/// Where a message was seen.
enum Place<'a> {
    Module(&'a str),
    /// The peer; `None` is all below.
    Peer(Option<u32>),
}

/// Following a trace must not make more of it.
const OWN: &[&str] = &["module.trace", "overlay.trace"];

impl Wanted {
    fn wants(&self, place: &Place<'_>, message: &Message) -> bool {
        let here = match place {
            Place::Module(name) => self.names.is_empty() || self.names.iter().any(|wanted| wanted == name),
            Place::Peer(rank) => self.nodeid == -1 || rank.is_none_or(|rank| i64::from(rank) == self.nodeid),
        };
        here && self.typemask & message.kind() as i64 != 0
            && (message.kind() == Kind::Control || glob::matches(&self.topic_glob, message.topic()))
    }
}

fn told(place: &Place<'_>, way: Way, message: &Message, full: bool, timestamp: f64) -> Value {
    let errno = message.errno().map_or(0, |errno| errno.0);
    let size = if errno > 0 { 0 } else { message.payload.to_wire().map_or(0, |bytes| bytes.len()) };
    let topic = match message.body {
        Body::Control { kind, status } => {
            let name = match kind {
                0 => "heartbeat",
                1 => "status",
                2 => "goodbye",
                3 => "disconnect",
                _ => "unknown",
            };
            format!("{name} {status}")
        }
        _ => message.topic().to_owned(),
    };
    let (rank, name) = match place {
        Place::Module(name) => (-1, Some(*name)),
        Place::Peer(rank) => (rank.map_or(-1, i64::from), None),
    };
    let payload =
        message.payload.value().ok().filter(|_| full && errno == 0 && !matches!(message.payload, Payload::None));
    let errstr = Fault::of(message).filter(|_| full).map(|fault| fault.text.to_string()).unwrap_or_default();
    let prefix = if way == Way::Sent { "tx" } else { "rx" };
    json!({
        "timestamp": timestamp, "prefix": prefix, "rank": rank, "name": name, "type": message.kind() as i64, "topic": topic,
        "payload_size": size, "payload": payload.as_deref(), "errnum": errno, "errstr": errstr
    })
}

impl Node {
    pub(crate) fn module_trace(&mut self, request: &Message) -> Answer {
        check(request, &self.core.traces.modules)?;
        self.core.traces.modules.push(request.clone());
        Ok(None)
    }

    pub(crate) fn overlay_trace(&mut self, request: &Message) -> Answer {
        check(request, &self.core.traces.overlay)?;
        self.core.traces.overlay.push(request.clone());
        Ok(None)
    }

    /// The client has had enough, or is gone.
    pub(crate) fn end_traces(&mut self, request: &Message) {
        end_streams(&mut self.core.traces.modules, request);
        end_streams(&mut self.core.traces.overlay, request);
    }

    pub(crate) fn trace_module(&mut self, owner: Owner, way: Way, message: &Message) {
        if self.core.traces.modules.is_empty() {
            return;
        }
        let Some(name) = self.slots.get(&owner).map(|slot| slot.name_for(message)) else { return };
        self.tell_traced(&Place::Module(&name), way, message);
    }

    pub(crate) fn trace_link(&mut self, rank: Option<u32>, way: Way, message: &Message) {
        if !self.core.traces.overlay.is_empty() {
            self.tell_traced(&Place::Peer(rank), way, message);
        }
    }

    fn tell_traced(&mut self, place: &Place<'_>, way: Way, message: &Message) {
        if OWN.contains(&message.topic()) {
            return;
        }
        let traces = &self.core.traces;
        let list = if matches!(place, Place::Module(_)) { &traces.modules } else { &traces.overlay };
        for request in list.clone() {
            let Ok(wanted) = request.decode::<Wanted>() else { continue };
            if wanted.wants(place, message) {
                let body = told(place, way, message, wanted.full, self.now.wall.timestamp());
                self.answer(&request, Ok(body.into()));
            }
        }
    }
}

fn check(request: &Message, list: &[Message]) -> Result<(), Fault> {
    request.decode::<Wanted>()?;
    if !request.is_streaming() {
        return Err(Fault::from(Errno::EPROTO));
    }
    if list.len() >= WAITERS_MAX { Err(Fault::from(Errno::EAGAIN)) } else { Ok(()) }
}
