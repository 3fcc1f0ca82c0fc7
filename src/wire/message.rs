//! The message in memory (RFC 3).

use std::fmt;
use std::sync::Arc;

use crate::{Errno, Payload, PayloadError};

/// The method that tells a service that a client is gone (RFC 6).
const DISCONNECT: &str = "disconnect";

/// A broker's rank in its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank(pub u32);

impl Rank {
    /// RFC 3 nodeid-any; never stored in a `Rank`.
    pub const ANY_ON_WIRE: u32 = 0xffff_ffff;
    pub const ROOT: Rank = Rank(0);

    pub fn is_root(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The type octet of the PROTO frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Request = 1,
    Response = 2,
    Event = 4,
    Control = 8,
}

/// Flag bits of the PROTO frame that are not derived from the frames themselves.
///
/// TOPIC (0x01), PAYLOAD (0x02) and ROUTE (0x08) follow from the message's fields, UPSTREAM (0x10) from its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    pub const NONE: Flags = Flags(0);
    pub const TOPIC: u8 = 0x01;
    pub const PAYLOAD: u8 = 0x02;
    pub const NORESPONSE: u8 = 0x04;
    pub const ROUTE: u8 = 0x08;
    pub const UPSTREAM: u8 = 0x10;
    pub const PRIVATE: u8 = 0x20;
    pub const STREAMING: u8 = 0x40;
    pub const USER1: u8 = 0x80;
    /// Those that `Message::flags` may hold.
    pub const KEPT: u8 = Self::NORESPONSE | Self::PRIVATE | Self::STREAMING | Self::USER1;

    pub fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

/// Role bits of RFC 12.
pub mod role {
    pub const NONE: u32 = 0;
    pub const OWNER: u32 = 1;
    pub const USER: u32 = 2;
    pub const LOCAL: u32 = 4;
    pub const ADMIN: u32 = 8;
    /// Any authenticated sender.
    pub const ALL: u32 = 0xffff_ffff;
}

/// Who sent a message, as the first broker that received it established (RFC 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cred {
    /// `UNKNOWN_USER` until a broker filled it in.
    pub userid: u32,
    pub rolemask: u32,
}

impl Cred {
    pub const UNKNOWN_USER: u32 = 0xffff_ffff;
    pub const UNKNOWN: Cred = Cred { userid: Self::UNKNOWN_USER, rolemask: role::NONE };

    pub fn is_owner(self) -> bool {
        self.rolemask & role::OWNER != 0
    }

    /// May this sender act on what `userid` owns? RFC 12: the instance owner, or that user itself.
    pub fn authorize(self, userid: u32) -> bool {
        self.is_owner() || (self.rolemask & role::USER != 0 && self.userid == userid && userid != Self::UNKNOWN_USER)
    }
}

/// One hop of a route stack: the UUID of a client, module or broker.
pub type RouteId = Arc<str>;
/// A topic string, `service.method`.
pub type Topic = Arc<str>;

/// Where a request is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The nearest broker, from here towards the root, that offers the service.
    Any,
    /// That broker only.
    Rank(Rank),
    /// As `Any`, but starting above the broker named: the sender (the UPSTREAM flag).
    UpstreamOf(Rank),
}

/// The part of a message that differs by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Request {
        target: Target,
        matchtag: u32,
    },
    /// `errnum` 0 is success.
    Response {
        errnum: i32,
        matchtag: u32,
    },
    Event {
        seq: u32,
    },
    Control {
        kind: u32,
        status: u32,
    },
}

/// An RFC 3 message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub body: Body,
    pub flags: Flags,
    pub cred: Cred,
    /// Hops, the most recently pushed last. `None`: the message has no route frames at all.
    pub route: Option<Vec<RouteId>>,
    pub topic: Option<Topic>,
    pub payload: Payload,
}

impl Message {
    fn new(body: Body, topic: Option<Topic>, payload: Payload) -> Message {
        Message { body, flags: Flags::NONE, cred: Cred::UNKNOWN, route: None, topic, payload }
    }

    pub fn request(topic: impl Into<Topic>, target: Target, matchtag: u32, payload: Payload) -> Message {
        Message::new(Body::Request { target, matchtag }, Some(topic.into()), payload)
    }

    pub fn event(topic: impl Into<Topic>, payload: Payload) -> Message {
        Message::new(Body::Event { seq: 0 }, Some(topic.into()), payload)
    }

    pub fn control(kind: u32, status: u32) -> Message {
        Message::new(Body::Control { kind, status }, None, Payload::None)
    }

    /// The successful answer to this request. Credentials are left to whoever sends it (RFC 12).
    pub fn response(&self, payload: Payload) -> Message {
        let Body::Request { matchtag, .. } = self.body else {
            panic!("only a request is answered, not {:?}", self.body)
        };
        let flags = Flags(self.flags.0 & (Flags::STREAMING | Flags::USER1));
        Message {
            body: Body::Response { errnum: 0, matchtag },
            flags,
            cred: Cred::UNKNOWN,
            route: self.route.clone(),
            topic: self.topic.clone(),
            payload,
        }
    }

    /// The failed answer to this request. An empty `text` sends no payload: clients then print strerror(errno).
    pub fn error_response(&self, errno: Errno, text: &str) -> Message {
        let mut response = self.response(if text.is_empty() { Payload::None } else { Payload::text(text) });
        let Body::Response { errnum, .. } = &mut response.body else { unreachable!("response() makes responses") };
        *errnum = errno.0;
        response
    }

    pub fn kind(&self) -> Kind {
        match self.body {
            Body::Request { .. } => Kind::Request,
            Body::Response { .. } => Kind::Response,
            Body::Event { .. } => Kind::Event,
            Body::Control { .. } => Kind::Control,
        }
    }

    /// The topic, or "" where there is none.
    pub fn topic(&self) -> &str {
        self.topic.as_deref().unwrap_or("")
    }

    /// The topic up to its last dot: the service a request is for.
    pub fn service(&self) -> &str {
        let topic = self.topic();
        topic.rsplit_once('.').map_or(topic, |(service, _)| service)
    }

    pub fn matchtag(&self) -> u32 {
        match self.body {
            Body::Request { matchtag, .. } | Body::Response { matchtag, .. } => matchtag,
            _ => 0,
        }
    }

    /// The errno of a response; `None` for success and for other kinds.
    pub fn errno(&self) -> Option<Errno> {
        match self.body {
            Body::Response { errnum, .. } if errnum != 0 => Some(Errno(errnum)),
            _ => None,
        }
    }

    pub fn wants_response(&self) -> bool {
        matches!(self.body, Body::Request { .. }) && !self.flags.has(Flags::NORESPONSE)
    }

    pub fn is_streaming(&self) -> bool {
        self.flags.has(Flags::STREAMING)
    }

    pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, PayloadError> {
        self.payload.decode()
    }

    pub fn push_route(&mut self, id: RouteId) {
        self.route.get_or_insert_with(Vec::new).push(id);
    }

    pub fn pop_route(&mut self) -> Option<RouteId> {
        self.route.as_mut().and_then(Vec::pop)
    }

    /// The hop pushed first: who made the request (RFC 6, "disconnect" matches on it).
    pub fn sender(&self) -> Option<&RouteId> {
        self.route.as_ref().and_then(|route| route.first())
    }

    /// Is the broker, module or client `id` on the way that this request came?
    pub fn came_over(&self, id: &str) -> bool {
        self.route.iter().flatten().any(|hop| **hop == *id)
    }

    /// Is `self` (a disconnect or cancel) from the sender of `request`, or from one who may act for it?
    ///
    /// [`Message::gone`] is from all whose requests came over the broker that is gone.
    pub fn same_sender(&self, request: &Message) -> bool {
        let same = match self.gone_broker() {
            Some(broker) => request.came_over(broker),
            None => self.sender() == request.sender(),
        };
        same && self.cred.authorize(request.cred.userid)
    }

    /// The disconnect (RFC 6) of all who asked `service` over a broker that is gone without a word: its id is the only hop, where
    /// a client has the hops of its broker after its own.
    pub fn gone(service: &str, broker: RouteId, cred: Cred) -> Message {
        let mut message = Message::request(format!("{service}.{DISCONNECT}"), Target::Any, 0, Payload::None);
        message.flags = Flags(Flags::NORESPONSE);
        message.cred = cred;
        message.push_route(broker);
        message
    }

    /// The broker that is gone, if this is such a message.
    pub fn gone_broker(&self) -> Option<&RouteId> {
        match self.route.as_deref() {
            Some([broker]) if self.topic().rsplit('.').next() == Some(DISCONNECT) => Some(broker),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asked_over_a_broker_that_is_gone_is_gone_with_it() {
        let asked = |route: &[&str], userid: u32| {
            let mut message = Message::request("a.b", Target::Any, 1, Payload::None);
            message.cred = Cred { userid, rolemask: role::USER };
            message.route = Some(route.iter().map(|hop| (*hop).into()).collect());
            message
        };
        let (owner, guest) = (Cred { userid: 1, rolemask: role::OWNER }, Cred { userid: 2, rolemask: role::USER });
        let gone = |cred| Message::gone("a", "broker".into(), cred);
        let client = |cred: Cred| {
            let mut message = gone(cred);
            message.route = asked(&["client", "connector", "broker"], 1).route;
            message
        };
        let rows: &[(Message, &[&str], u32, bool)] = &[
            (gone(owner), &["client", "connector", "broker", "above"], 2, true),
            (gone(owner), &["broker"], 1, true),
            (gone(owner), &["client", "connector", "other"], 2, false),
            (gone(guest), &["client", "connector", "broker"], 1, false),
            (client(owner), &["client", "connector", "broker"], 1, true),
            (client(owner), &["another", "connector", "broker"], 1, false),
        ];
        for (message, route, userid, ends) in rows {
            assert_eq!(message.same_sender(&asked(route, *userid)), *ends, "{route:?} of {userid}: {message:?}");
        }
        assert_eq!(gone(owner).topic(), "a.disconnect");
        assert!(!gone(owner).wants_response());
    }
}
