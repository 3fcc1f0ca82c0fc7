//! The signed request `J` (RFC 39): `HEADER.PAYLOAD.SIGNATURE`, the header in RFC 38's KV encoding.
//!
//! Ingest reads it; the IMP of each node verifies a signature again before it runs anything as another user.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flux_wire::Errno;

use crate::limits::{SIGNED_HEADER_ENTRIES_MAX, SIGNED_REQUEST_LEN_MAX};

/// Why a signed request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignError {
    TooLong { len: usize, max: usize },
    NotThreeParts,
    BadBase64 { part: &'static str },
    BadHeader,
    MissingHeader { key: &'static str },
    Version { got: i64 },
    BadSignature,
    UnknownMechanism { name: String },
}

impl SignError {
    pub fn errno(&self) -> Errno {
        match self {
            Self::TooLong { .. } => Errno::EMSGSIZE,
            Self::UnknownMechanism { .. } => Errno::ENOTSUP,
            _ => Errno::EINVAL,
        }
    }
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, max } => write!(f, "signed request of {len} bytes is over the limit of {max}"),
            Self::NotThreeParts => f.write_str("signed request is not HEADER.PAYLOAD.SIGNATURE"),
            Self::BadBase64 { part } => write!(f, "signed request: {part} is not base64"),
            Self::BadHeader => f.write_str("signed request: malformed header"),
            Self::MissingHeader { key } => write!(f, "signed request: header has no {key}"),
            Self::Version { got } => write!(f, "signed request: unknown header version {got}"),
            Self::BadSignature => f.write_str("signed request: signature does not match sign-type"),
            Self::UnknownMechanism { name } => write!(f, "sign-type={name} is not supported"),
        }
    }
}

impl std::error::Error for SignError {}

/// How a request is signed. `munge` and `curve` come with the multi-user instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Not at all: the sender's authenticated user id has to do.
    None,
}

/// A request with its outer shell off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwrapped {
    pub mechanism: Mechanism,
    /// Who it says has signed it.
    pub userid: i64,
    pub payload: Vec<u8>,
}

/// Takes a signed request apart, and checks what can be checked without keys.
///
/// # Errors
/// Any [`SignError`].
pub fn unwrap(signed: &str) -> Result<Unwrapped, SignError> {
    if signed.len() > SIGNED_REQUEST_LEN_MAX {
        return Err(SignError::TooLong { len: signed.len(), max: SIGNED_REQUEST_LEN_MAX });
    }
    let mut parts = signed.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SignError::NotThreeParts);
    };
    let header = BASE64.decode(header).map_err(|_| SignError::BadBase64 { part: "HEADER" })?;
    let header = Header::parse(&header).ok_or(SignError::BadHeader)?;
    let version = header.integer("version").ok_or(SignError::MissingHeader { key: "version" })?;
    if version != 1 {
        return Err(SignError::Version { got: version });
    }
    let mechanism = match header.string("mechanism").ok_or(SignError::MissingHeader { key: "mechanism" })? {
        "none" => Mechanism::None,
        other => return Err(SignError::UnknownMechanism { name: other.chars().take(32).collect() }),
    };
    let userid = header.integer("userid").ok_or(SignError::MissingHeader { key: "userid" })?;
    if mechanism == Mechanism::None && signature != "none" {
        return Err(SignError::BadSignature);
    }
    let payload = BASE64.decode(payload).map_err(|_| SignError::BadBase64 { part: "PAYLOAD" })?;
    Ok(Unwrapped { mechanism, userid, payload })
}

/// RFC 38: `KEY NUL TYPE VALUE NUL`, again and again; the type is one letter.
struct Header<'a>(Vec<(&'a str, u8, &'a str)>);

impl<'a> Header<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Header<'a>> {
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\0')?;
        let mut entries = Vec::new();
        let mut parts = text.split('\0');
        while let Some(key) = parts.next() {
            let (kind, value) = parts.next()?.split_at_checked(1)?;
            if key.is_empty() || entries.len() >= SIGNED_HEADER_ENTRIES_MAX || !"sidbt".contains(kind) {
                return None;
            }
            entries.push((key, kind.as_bytes()[0], value));
        }
        Some(Header(entries))
    }

    fn get(&self, key: &str, kind: u8) -> Option<&'a str> {
        self.0.iter().find(|(known, type_, _)| *known == key && *type_ == kind).map(|(_, _, value)| *value)
    }

    fn string(&self, key: &str) -> Option<&'a str> {
        self.get(key, b's')
    }

    fn integer(&self, key: &str) -> Option<i64> {
        self.get(key, b'i')?.parse().ok()
    }
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
