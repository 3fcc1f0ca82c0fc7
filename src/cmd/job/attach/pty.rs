//! This terminal joined to a terminal of the job's: keys go there, what it shows comes here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flux_client::{Errno, Fault, Message};
use flux_sys::terminal::{self, RawMode};
use serde_json::{Value, json};

/// Ctrl-] as the first key of a batch leaves the terminal without ending what runs in it.
const DETACH_KEY: u8 = 0x1d;

/// How a session at a terminal ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ended {
    /// It had begun at all.
    pub(super) attached: bool,
    /// Wait status of what ran there.
    pub(super) status: i64,
}

/// One session.
#[derive(Debug)]
pub(super) struct Pty {
    rank: u32,
    topic: String,
    raw: Option<RawMode>,
    attached: bool,
    status: i64,
    message: Option<String>,
    ended: bool,
}

impl Pty {
    /// A session with the terminal service `topic`, and the request that begins it.
    pub(super) fn begin(rank: u32, topic: &str) -> (Pty, Value) {
        let body = json!({"type": "attach", "mode": "rw", "winsize": winsize()});
        let topic = topic.to_owned();
        (Pty { rank, topic, raw: None, attached: false, status: 0, message: None, ended: false }, body)
    }

    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended.then_some(Ended { attached: self.attached, status: self.status })
    }

    /// Whether keys are wanted.
    pub(super) fn is_attached(&self) -> bool {
        self.attached && !self.ended
    }

    /// What the other end says. Answers a request to send, if there is one.
    pub(super) fn on_response(
        &mut self,
        message: &Message,
        fault: Option<Fault>,
        out: &mut Vec<u8>,
    ) -> Option<Request> {
        if let Some(fault) = fault {
            self.on_end(&fault, out);
            return None;
        }
        let body = message.payload.value().ok()?;
        match body.get("type").and_then(Value::as_str) {
            Some("attach") => {
                self.raw = RawMode::new(std::io::stdin()).ok();
                self.attached = true;
            }
            Some("data") => {
                if let Some(text) = body.get("data").and_then(Value::as_str) {
                    match body.get("encoding").and_then(Value::as_str) {
                        Some("base64") => out.extend(STANDARD.decode(text).unwrap_or_default()),
                        _ => out.extend_from_slice(text.as_bytes()),
                    }
                }
            }
            Some("resize") => return Some(self.resize()),
            Some("exit") => {
                self.status = body.get("status").and_then(Value::as_i64).unwrap_or(0);
                self.message = body.get("message").and_then(Value::as_str).map(str::to_owned);
            }
            _ => {}
        }
        None
    }

    fn on_end(&mut self, fault: &Fault, out: &mut Vec<u8>) {
        match fault.errno {
            Errno::ENODATA => {}
            Errno::ENOSYS => self.give_up("No such session".to_owned()),
            _ => self.give_up(fault.message()),
        }
        if self.attached {
            let why = self.message.as_deref().unwrap_or("unknown reason");
            out.extend_from_slice(format!("\x1b[999H[detached: {why}]\x1b[K\n\r").as_bytes());
        }
        self.ended = true;
    }

    fn give_up(&mut self, why: String) {
        self.status = 1 << 8;
        self.message = Some(why);
    }

    /// The request for bytes that were typed; none of them is the end of the input.
    pub(super) fn keys(&self, bytes: &[u8]) -> Request {
        let body = match (bytes.first(), std::str::from_utf8(bytes)) {
            (None | Some(&DETACH_KEY), _) => json!({"type": "detach"}),
            (_, Ok(text)) => json!({"type": "data", "data": text}),
            (_, Err(_)) => json!({"type": "data", "data": STANDARD.encode(bytes), "encoding": "base64"}),
        };
        (self.rank, self.topic.clone(), body)
    }

    /// The request that tells the other end how large this terminal is.
    pub(super) fn resize(&self) -> Request {
        (self.rank, self.topic.clone(), json!({"type": "resize", "winsize": winsize()}))
    }
}

/// Rank, topic and payload.
pub(super) type Request = (u32, String, Value);

fn winsize() -> Value {
    let size = terminal::size(std::io::stdin()).ok();
    let (rows, cols) = size.map_or((24, 80), |size| (size.rows.max(1), size.columns.max(1)));
    json!({"rows": rows, "cols": cols})
}

#[cfg(test)]
mod tests {
    use super::*;
    use flux_client::Target;

    fn answer(body: Value) -> Message {
        Message::request("x.y", Target::Any, 1, flux_client::Payload::None).response(body.into())
    }

    #[test]
    fn a_session_shows_data_and_ends_with_a_status() {
        let (mut pty, body) = Pty::begin(3, "1-shell-f1.pty");
        assert_eq!((body["type"].as_str(), body["mode"].as_str()), (Some("attach"), Some("rw")));
        let mut out = Vec::new();
        assert!(!pty.is_attached());
        pty.on_response(&answer(json!({"type": "attach"})), None, &mut out);
        assert!(pty.is_attached());
        pty.on_response(&answer(json!({"type": "data", "data": "hi"})), None, &mut out);
        pty.on_response(&answer(json!({"type": "data", "data": "/w==", "encoding": "base64"})), None, &mut out);
        assert_eq!(out, b"hi\xff");
        let (rank, topic, resize) = pty.on_response(&answer(json!({"type": "resize"})), None, &mut out).unwrap();
        assert_eq!((rank, &*topic, resize["type"].as_str()), (3, "1-shell-f1.pty", Some("resize")));
        assert_eq!(pty.keys(b"ls\r").2, json!({"type": "data", "data": "ls\r"}));
        assert_eq!(pty.keys(b"\x1d").2, json!({"type": "detach"}));
        pty.on_response(&answer(json!({"type": "exit", "message": "bye", "status": 256})), None, &mut out);
        assert_eq!(pty.ended(), None);
        out.clear();
        pty.on_response(&answer(Value::Null), Some(Errno::ENODATA.into()), &mut out);
        assert_eq!(pty.ended(), Some(Ended { attached: true, status: 256 }));
        assert_eq!(String::from_utf8_lossy(&out), "\x1b[999H[detached: bye]\x1b[K\n\r");
    }

    #[test]
    fn a_terminal_that_is_not_there_ends_before_it_begins() {
        let (mut pty, _) = Pty::begin(0, "x.pty");
        pty.on_response(&answer(Value::Null), Some(Errno::ENOSYS.into()), &mut Vec::new());
        assert_eq!(pty.ended().map(|ended| ended.attached), Some(false));
    }
}
