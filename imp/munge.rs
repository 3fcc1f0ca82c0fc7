//! munged's protocol, as version 0.5 and its clients speak it over a local socket: a head of 11 bytes, then a body; numbers are
//! big-endian. Who speaks it here has no privilege: users who sign, and a child of the IMP that is nobody.

use sodiumoxide::crypto::hash::sha256;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Where munged listens unless the site says otherwise.
pub const SOCKET: &str = "/run/munge/munge.socket.2";

const MAGIC: u32 = 0x0060_6d4b;
const VERSION: u8 = 4;
const ENCODE: u8 = 2;
const DECODE: u8 = 4;
/// munged's words for a credential that was decoded before, or is older than its own time to live: our requests are decoded on
/// each node, and `max-ttl` rules (as in flux-security).
const EXPIRED: u8 = 15;
const REPLAYED: u8 = 17;
const ANSWER_LEN_MAX: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// What is put into a credential: the kind of hash (1 is SHA-256), and the hash of the header and the payload (RFC 39).
pub fn digest(signed_part: &str) -> Vec<u8> {
    [&[1], &sha256::hash(signed_part.as_bytes()).0[..]].concat()
}

/// What munged says of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    pub uid: u32,
    /// Seconds since 1970.
    pub encoded_at: u32,
    pub payload: Vec<u8>,
}

fn call(socket: &str, kind: u8, body: &[u8]) -> Result<Vec<u8>, String> {
    let fail = |error: std::io::Error| format!("munged at {socket}: {error}");
    let mut stream = UnixStream::connect(socket).map_err(fail)?;
    stream.set_read_timeout(Some(PATIENCE)).and_then(|()| stream.set_write_timeout(Some(PATIENCE))).map_err(fail)?;
    let len = u32::try_from(body.len()).map_err(|_| "too much for munged".to_string())?;
    let head = [&MAGIC.to_be_bytes()[..], &[VERSION, kind, 0], &len.to_be_bytes()].concat();
    stream.write_all(&[&head, body].concat()).map_err(fail)?;
    let mut head = [0; 11];
    stream.read_exact(&mut head).map_err(fail)?;
    let [m0, m1, m2, m3, version, answers, _, l0, l1, l2, l3] = head;
    let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    let known = u32::from_be_bytes([m0, m1, m2, m3]) == MAGIC && version == VERSION && answers == kind + 1;
    if !known || len > ANSWER_LEN_MAX {
        return Err(format!("munged at {socket}: an answer that nobody understands"));
    }
    let mut answer = vec![0; len];
    stream.read_exact(&mut answer).map_err(fail)?;
    Ok(answer)
}

/// The parts of an answer, one after the other.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A byte that says how long, then so many bytes.
    fn short(&mut self) -> Option<&'a [u8]> {
        let len = self.byte()?;
        self.take(len.into())
    }

    fn long(&mut self) -> Option<&'a [u8]> {
        let len = self.number()? as usize;
        self.take(len)
    }
}

fn refusal(code: u8, text: &[u8]) -> String {
    format!("munged: {} ({code})", String::from_utf8_lossy(text).trim_end_matches('\0'))
}

/// Has munged make a credential of this process's user.
///
/// # Errors
/// A text: munged is not there, or refuses.
pub fn encode(socket: &str, payload: &[u8]) -> Result<String, String> {
    // The daemon's own choice of cipher, hash and no compression; no realm; its own time to live; for everybody to decode.
    let anyone = u32::MAX.to_be_bytes();
    let len = u32::try_from(payload.len()).map_err(|_| "too much for munged".to_string())?;
    let body = [&[1, 1, 1, 0, 0, 0, 0, 0][..], &anyone, &anyone, &len.to_be_bytes(), payload].concat();
    let answer = call(socket, ENCODE, &body)?;
    let mut parts = Parts(&answer);
    let mut read = || Some((parts.byte()?, parts.short()?, parts.long()?));
    let (code, text, credential) = read().ok_or("munged: a short answer")?;
    if code != 0 {
        return Err(refusal(code, text));
    }
    let text = String::from_utf8(credential.to_vec()).map_err(|_| "munged: a credential that is no text")?;
    Ok(text.trim_end_matches('\0').to_string())
}

/// Has munged decode a credential.
///
/// # Errors
/// A text: munged is not there, or the credential is none of this site.
pub fn decode(socket: &str, credential: &str) -> Result<Vouched, String> {
    let credential = [credential.as_bytes(), b"\0"].concat();
    let len = u32::try_from(credential.len()).map_err(|_| "too much for munged".to_string())?;
    let answer = call(socket, DECODE, &[&len.to_be_bytes()[..], &credential].concat())?;
    parse_decoded(&answer)
}

/// Reads the body of an answer to a request to decode.
///
/// # Errors
/// As [`decode`].
pub fn parse_decoded(answer: &[u8]) -> Result<Vouched, String> {
    let short = || "munged: a short answer".to_string();
    let mut parts = Parts(answer);
    let mut head = || Some((parts.byte()?, parts.short()?));
    let (code, text) = head().ok_or_else(short)?;
    if ![0, EXPIRED, REPLAYED].contains(&code) {
        return Err(refusal(code, text));
    }
    let mut read = || {
        parts.take(3)?; // How it was encoded.
        parts.short()?; // The realm.
        parts.number()?; // Its own time to live.
        parts.short()?; // The address of the node.
        let (encoded_at, _, uid) = (parts.number()?, parts.number()?, parts.number()?);
        parts.take(12)?; // The group, and who may decode it.
        Some(Vouched { uid, encoded_at, payload: parts.long()?.to_vec() })
    };
    let vouched = read().ok_or_else(short)?;
    if parts.0.is_empty() { Ok(vouched) } else { Err("munged: an answer with more than belongs in it".into()) }
}

#[cfg(test)]
#[path = "munge_tests.rs"]
mod tests;
