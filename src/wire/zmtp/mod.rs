//! ZMTP 3.1 (ZeroMQ's RFC 37) as a state machine: bytes in, messages out, and the other way round.
//!
//! It speaks the mechanisms CURVE (RFC 26) and, for tests, NULL. It owns no socket and reads no randomness: a connection is
//! given a seed.

mod curve;
mod error;
mod frame;
mod metadata;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use self::error::ZmtpError;

use self::curve::Curve;
use self::frame::{Frame, Frames};
use crate::crypto::{KEY_LEN, KeyPair, PublicKey};
use crate::limits::ZMTP_PARTS_MAX;

const GREETING_LEN: usize = 64;
const MECHANISM_LEN: usize = 20;

/// What kind of ZeroMQ socket this end says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketType {
    Router,
    Dealer,
}

impl SocketType {
    fn name(self) -> &'static str {
        match self {
            Self::Router => "ROUTER",
            Self::Dealer => "DEALER",
        }
    }
}

/// Who may connect.
#[derive(Clone, Debug)]
pub enum Allowed {
    /// Any key: for tests.
    Anybody,
    Keys(Arc<BTreeSet<PublicKey>>),
}

/// How the ends make sure of each other.
#[derive(Clone, Debug)]
pub enum Security {
    Null,
    /// The end that connects; it knows whom it wants to reach.
    CurveClient {
        own: KeyPair,
        server: PublicKey,
        seed: [u8; KEY_LEN],
    },
    CurveServer {
        own: KeyPair,
        allowed: Allowed,
        seed: [u8; KEY_LEN],
    },
}

/// What came of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The handshake is over: messages may be sent. The key is the peer's, proved; `None` without CURVE.
    Ready {
        peer: Option<PublicKey>,
    },
    Message(Vec<Vec<u8>>),
}

enum Phase {
    Greeting,
    /// NULL: the peer's READY is to come.
    Null,
    Curve(Box<Curve>),
    Open,
    Secure(Box<curve::Session>),
    Failed,
}

/// One end of a connection.
pub struct Connection {
    socket: SocketType,
    security: Security,
    phase: Phase,
    input: Frames,
    output: Vec<u8>,
    parts: Vec<Vec<u8>>,
    parts_len: usize,
}

impl Connection {
    /// The greeting is in the output already.
    pub fn new(socket: SocketType, security: Security) -> Connection {
        let (mechanism, as_server) = match security {
            Security::Null => ("NULL", false),
            Security::CurveClient { .. } => ("CURVE", false),
            Security::CurveServer { .. } => ("CURVE", true),
        };
        Connection {
            socket,
            security,
            phase: Phase::Greeting,
            input: Frames::default(),
            output: greeting(mechanism, as_server),
            parts: Vec::new(),
            parts_len: 0,
        }
    }

    /// Bytes for the peer. Whoever sends them takes them out.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Secure(_))
    }

    /// Takes bytes of the peer, and hands what they mean to `take`.
    ///
    /// # Errors
    /// The peer does not speak the protocol, or may not: the connection is of no further use. An ERROR for the peer may be
    /// in the output.
    pub fn receive(&mut self, bytes: &[u8], mut take: impl FnMut(Event)) -> Result<(), ZmtpError> {
        self.input.push(bytes);
        let outcome = self.advance(&mut take);
        if outcome.is_err() {
            self.phase = Phase::Failed;
        }
        outcome
    }

    /// Queues a message of one or more parts.
    ///
    /// # Panics
    /// Before the handshake is over, and without parts.
    pub fn send(&mut self, parts: &[&[u8]]) {
        let (last, head) = parts.split_last().expect("a message has at least one part");
        for (part, more) in head.iter().map(|part| (*part, true)).chain([(*last, false)]) {
            match &mut self.phase {
                Phase::Open => frame::put(&mut self.output, part, more, false),
                Phase::Secure(session) => session.put(&mut self.output, part, more, false),
                _ => panic!("nothing is sent before the handshake is over"),
            }
        }
    }

    fn advance(&mut self, take: &mut impl FnMut(Event)) -> Result<(), ZmtpError> {
        if let Phase::Greeting = self.phase {
            let Some(bytes) = self.input.take_exactly(GREETING_LEN)? else { return Ok(()) };
            self.greeted(&bytes)?;
        }
        loop {
            let handshake = !self.is_ready();
            let Some(raw) = self.input.next(handshake)? else { return Ok(()) };
            if handshake {
                let frame = raw.to_frame();
                self.handshake(&frame, take)?;
                continue;
            }
            let frame = match &mut self.phase {
                Phase::Secure(session) => match error_reason(raw.body) {
                    Some(reason) if raw.command => return Err(ZmtpError::Refused { reason }),
                    _ => session.open(raw.body)?,
                },
                _ => raw.to_frame(),
            };
            self.frame(frame, take)?;
        }
    }

    /// Checks the peer's greeting and begins the handshake.
    fn greeted(&mut self, bytes: &[u8]) -> Result<(), ZmtpError> {
        if bytes[0] != 0xff || bytes[9] & 1 == 0 {
            return Err(ZmtpError::NotZmtp);
        }
        if bytes[10] < 3 {
            return Err(ZmtpError::OldVersion { major: bytes[10] });
        }
        let field = &bytes[12..12 + MECHANISM_LEN];
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(MECHANISM_LEN);
        let wanted: &[u8] = if matches!(self.security, Security::Null) { b"NULL" } else { b"CURVE" };
        if &field[..end] != wanted {
            return Err(ZmtpError::WrongMechanism { got: String::from_utf8_lossy(&field[..end]).into_owned() });
        }
        let peer_is_server = bytes[32] & 1 == 1;
        self.phase = match &self.security {
            Security::Null => {
                let mut ready = b"\x05READY".to_vec();
                metadata::put(&mut ready, self.socket.name());
                frame::put(&mut self.output, &ready, false, true);
                Phase::Null
            }
            security => {
                // libzmq never says that it is the server (RFC 37 lets it); two clients find out with their first commands.
                if peer_is_server && matches!(security, Security::CurveServer { .. }) {
                    return Err(ZmtpError::SameRole);
                }
                Phase::Curve(Box::new(Curve::begin(security, self.socket.name(), &mut self.output)))
            }
        };
        Ok(())
    }

    fn handshake(&mut self, frame: &Frame, take: &mut impl FnMut(Event)) -> Result<(), ZmtpError> {
        if !frame.command {
            return Err(ZmtpError::Unexpected { what: "a message before the end of the handshake".into() });
        }
        if let Some(reason) = error_reason(&frame.body) {
            return Err(ZmtpError::Refused { reason });
        }
        match &mut self.phase {
            Phase::Null => {
                let rest = frame.body.strip_prefix(b"\x05READY").ok_or_else(|| ZmtpError::unexpected(&frame.body))?;
                metadata::check(rest)?;
                self.phase = Phase::Open;
                take(Event::Ready { peer: None });
            }
            Phase::Curve(curve) => {
                if let Some((session, peer)) = curve.step(&frame.body, &mut self.output)? {
                    self.phase = Phase::Secure(Box::new(session));
                    take(Event::Ready { peer: Some(peer) });
                }
            }
            _ => return Err(ZmtpError::Unexpected { what: "bytes after a failure".into() }),
        }
        Ok(())
    }

    fn frame(&mut self, Frame { body, more, command }: Frame, take: &mut impl FnMut(Event)) -> Result<(), ZmtpError> {
        if command {
            self.command(&body);
            return Ok(());
        }
        self.parts_len += body.len();
        if self.parts.len() >= ZMTP_PARTS_MAX || self.parts_len > crate::limits::ZMTP_FRAME_LEN_MAX {
            return Err(ZmtpError::TooLong { len: self.parts_len as u64 });
        }
        self.parts.push(body);
        if !more {
            self.parts_len = 0;
            take(Event::Message(std::mem::take(&mut self.parts)));
        }
        Ok(())
    }

    /// PING is answered (RFC 37); what we do not know means nothing to us.
    fn command(&mut self, body: &[u8]) {
        let Some(rest) = body.strip_prefix(b"\x04PING") else { return };
        let context = rest.get(2..).unwrap_or_default();
        let mut pong = b"\x04PONG".to_vec();
        pong.extend_from_slice(&context[..context.len().min(16)]);
        match &mut self.phase {
            Phase::Secure(session) => session.put(&mut self.output, &pong, false, true),
            _ => frame::put(&mut self.output, &pong, false, true),
        }
    }
}

/// RFC 37: signature, version 3.1, mechanism, as-server, filler.
fn greeting(mechanism: &str, as_server: bool) -> Vec<u8> {
    let mut out = vec![0; GREETING_LEN];
    out[0] = 0xff;
    out[9] = 0x7f;
    (out[10], out[11]) = (3, 1);
    out[12..12 + mechanism.len()].copy_from_slice(mechanism.as_bytes());
    out[32] = u8::from(as_server);
    out
}

fn error_reason(body: &[u8]) -> Option<String> {
    let rest = body.strip_prefix(b"\x05ERROR")?;
    let (len, rest) = rest.split_first()?;
    Some(String::from_utf8_lossy(rest.get(..usize::from(*len)).unwrap_or(rest)).into_owned())
}

#[cfg(test)]
mod tests;
