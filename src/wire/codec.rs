//! RFC 3 messages to bytes and back.

use std::fmt;

use crate::limits::{ROUTE_LEN_MAX, ROUTES_MAX, TOPIC_LEN_MAX};
use crate::message::{Body, Cred, Flags, Kind, Message, Rank, RouteId, Target, Topic};
use crate::{Errno, Payload};

/// Octets of the PROTO frame.
pub const PROTO_LEN: usize = 20;
const PROTO_MAGIC: u8 = 0x8e;
const PROTO_VERSION: u8 = 1;
/// A frame length of one octet, or this and four more in network order.
const LONG_FRAME: u8 = 0xff;

/// Why bytes are not a message. Any peer can cause these.
#[derive(Debug, PartialEq, Eq)]
pub enum DecodeError {
    Truncated,
    NoProto,
    BadMagic {
        got: u8,
    },
    BadVersion {
        got: u8,
    },
    BadKind {
        got: u8,
    },
    BadFlags {
        got: u8,
    },
    TooManyRoutes {
        max: usize,
    },
    RouteNotText,
    TopicNotText,
    TopicTooLong {
        len: usize,
        max: usize,
    },
    /// A frame the flags promise is absent, or one stands that no flag names.
    FramesDoNotMatchFlags {
        flags: u8,
    },
}

impl DecodeError {
    pub const fn errno(&self) -> Errno {
        Errno::EPROTO
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("message ends inside a frame"),
            Self::NoProto => f.write_str("message has no PROTO frame"),
            Self::BadMagic { got } => write!(f, "PROTO magic is {got:#04x}, not {PROTO_MAGIC:#04x}"),
            Self::BadVersion { got } => write!(f, "message version is {got}, not {PROTO_VERSION}"),
            Self::BadKind { got } => write!(f, "message type {got} is unknown"),
            Self::BadFlags { got } => write!(f, "message flags {got:#04x} contradict each other"),
            Self::TooManyRoutes { max } => write!(f, "message has more than {max} routes"),
            Self::RouteNotText => f.write_str("route is not UTF-8 of 1 to 255 bytes"),
            Self::TopicNotText => f.write_str("topic is not UTF-8"),
            Self::TopicTooLong { len, max } => write!(f, "topic of {len} bytes is over the limit of {max}"),
            Self::FramesDoNotMatchFlags { flags } => write!(f, "frames do not match message flags {flags:#04x}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// The encoded message, without stream framing. Spec: RFC 3.
pub fn encode(message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    encode_into(message, &mut out);
    out
}

/// As `encode`, appended to `out`.
pub fn encode_into(message: &Message, out: &mut Vec<u8>) {
    let payload = message.payload.to_wire();
    if let Some(route) = &message.route {
        for id in route.iter().rev() {
            put_frame(out, id.as_bytes());
        }
        put_frame(out, b"");
    }
    if let Some(topic) = &message.topic {
        put_frame(out, topic.as_bytes());
    }
    if let Some(payload) = &payload {
        put_frame(out, payload);
    }
    put_frame(out, &proto(message, payload.is_some()));
}

fn put_frame(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() < LONG_FRAME as usize {
        out.push(bytes.len() as u8);
    } else {
        let len = u32::try_from(bytes.len()).expect("a frame fits the limit of its message");
        out.push(LONG_FRAME);
        out.extend_from_slice(&len.to_be_bytes());
    }
    out.extend_from_slice(bytes);
}

fn proto(message: &Message, has_payload: bool) -> [u8; PROTO_LEN] {
    let mut flags = message.flags.0 & Flags::KEPT;
    for (present, bit) in [
        (message.topic.is_some(), Flags::TOPIC),
        (has_payload, Flags::PAYLOAD),
        (message.route.is_some(), Flags::ROUTE),
    ] {
        flags |= if present { bit } else { 0 };
    }
    let (aux1, aux2) = match message.body {
        Body::Request { target, matchtag } => {
            let nodeid = match target {
                Target::Any => Rank::ANY_ON_WIRE,
                Target::Rank(rank) => rank.0,
                Target::UpstreamOf(rank) => {
                    flags |= Flags::UPSTREAM;
                    rank.0
                }
            };
            (nodeid, matchtag)
        }
        Body::Response { errnum, matchtag } => (errnum as u32, matchtag),
        Body::Event { seq } => (seq, 0),
        Body::Control { kind, status } => (kind, status),
    };
    let mut out = [0; PROTO_LEN];
    out[..4].copy_from_slice(&[PROTO_MAGIC, PROTO_VERSION, message.kind() as u8, flags]);
    for (slot, word) in [message.cred.userid, message.cred.rolemask, aux1, aux2].into_iter().enumerate() {
        out[4 + slot * 4..8 + slot * 4].copy_from_slice(&word.to_be_bytes());
    }
    out
}

/// Reads one encoded message (without stream framing) that fills `bytes` exactly.
pub fn decode(bytes: &[u8]) -> Result<Message, DecodeError> {
    let (kind, flags, words) = read_proto(bytes)?;
    let mut frames = Frames { rest: &bytes[..bytes.len() - 1 - PROTO_LEN] };
    let route = if flags & Flags::ROUTE != 0 { Some(read_route(&mut frames)?) } else { None };
    let topic = if flags & Flags::TOPIC != 0 { Some(read_topic(&mut frames, flags)?) } else { None };
    let payload = if flags & Flags::PAYLOAD != 0 {
        Payload::Raw(frames.next()?.ok_or(DecodeError::FramesDoNotMatchFlags { flags })?.into())
    } else {
        Payload::None
    };
    if !frames.rest.is_empty() {
        return Err(DecodeError::FramesDoNotMatchFlags { flags });
    }
    let [userid, rolemask, aux1, aux2] = words;
    let body = match kind {
        Kind::Request => Body::Request { target: read_target(aux1, flags), matchtag: aux2 },
        Kind::Response => Body::Response { errnum: aux1 as i32, matchtag: aux2 },
        Kind::Event => Body::Event { seq: aux1 },
        Kind::Control => Body::Control { kind: aux1, status: aux2 },
    };
    Ok(Message { body, flags: Flags(flags & Flags::KEPT), cred: Cred { userid, rolemask }, route, topic, payload })
}

fn read_target(nodeid: u32, flags: u8) -> Target {
    match nodeid {
        rank if flags & Flags::UPSTREAM != 0 => Target::UpstreamOf(Rank(rank)),
        Rank::ANY_ON_WIRE => Target::Any,
        rank => Target::Rank(Rank(rank)),
    }
}

/// The PROTO frame is always last and always 20 octets, so it is found from the end.
fn read_proto(bytes: &[u8]) -> Result<(Kind, u8, [u32; 4]), DecodeError> {
    let Some((head, proto)) = bytes.split_last_chunk::<PROTO_LEN>() else { return Err(DecodeError::NoProto) };
    if head.last() != Some(&(PROTO_LEN as u8)) {
        return Err(DecodeError::NoProto);
    }
    let [magic, version, kind, flags, words @ ..] = proto;
    if *magic != PROTO_MAGIC {
        return Err(DecodeError::BadMagic { got: *magic });
    }
    if *version != PROTO_VERSION {
        return Err(DecodeError::BadVersion { got: *version });
    }
    let kind = match kind {
        1 => Kind::Request,
        2 => Kind::Response,
        4 => Kind::Event,
        8 => Kind::Control,
        other => return Err(DecodeError::BadKind { got: *other }),
    };
    if flags & (Flags::NORESPONSE | Flags::STREAMING) == Flags::NORESPONSE | Flags::STREAMING {
        return Err(DecodeError::BadFlags { got: *flags });
    }
    let word = |slot: usize| {
        u32::from_be_bytes([words[slot * 4], words[slot * 4 + 1], words[slot * 4 + 2], words[slot * 4 + 3]])
    };
    Ok((kind, *flags, [word(0), word(1), word(2), word(3)]))
}

fn read_route(frames: &mut Frames<'_>) -> Result<Vec<RouteId>, DecodeError> {
    let mut route = Vec::new();
    loop {
        let frame = frames.next()?.ok_or(DecodeError::Truncated)?;
        if frame.is_empty() {
            route.reverse();
            return Ok(route);
        }
        if route.len() == ROUTES_MAX {
            return Err(DecodeError::TooManyRoutes { max: ROUTES_MAX });
        }
        if frame.len() > ROUTE_LEN_MAX {
            return Err(DecodeError::RouteNotText);
        }
        route.push(std::str::from_utf8(frame).map_err(|_| DecodeError::RouteNotText)?.into());
    }
}

fn read_topic(frames: &mut Frames<'_>, flags: u8) -> Result<Topic, DecodeError> {
    let frame = frames.next()?.ok_or(DecodeError::FramesDoNotMatchFlags { flags })?;
    if frame.len() > TOPIC_LEN_MAX {
        return Err(DecodeError::TopicTooLong { len: frame.len(), max: TOPIC_LEN_MAX });
    }
    Ok(std::str::from_utf8(frame).map_err(|_| DecodeError::TopicNotText)?.into())
}

struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    fn next(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let Some((&first, rest)) = self.rest.split_first() else { return Ok(None) };
        let (len, rest) = if first == LONG_FRAME {
            let (len, rest) = rest.split_first_chunk::<4>().ok_or(DecodeError::Truncated)?;
            (u32::from_be_bytes(*len) as usize, rest)
        } else {
            (first as usize, rest)
        };
        let (frame, rest) = rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests;
