//! The signed request `J` (RFC 39): `HEADER.PAYLOAD.SIGNATURE`, the header in RFC 38's encoding, the first two in base64.

use crate::kv::Kv;
use crate::limits::{HEADER_LEN_MAX, SIGNED_REQUEST_LEN_MAX};
use std::fmt;

/// How a request is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Not at all: it must be otherwise known who sends it.
    None,
    /// By the user's Ed25519 key.
    Curve,
    /// By munged.
    Munge,
}

impl Mechanism {
    const NAMES: [(Mechanism, &str); 3] =
        [(Mechanism::None, "none"), (Mechanism::Curve, "curve"), (Mechanism::Munge, "munge")];

    pub fn name(self) -> &'static str {
        Mechanism::NAMES[self as usize].1
    }

    pub fn from_name(name: &str) -> Option<Mechanism> {
        Mechanism::NAMES.into_iter().find(|(_, known)| *known == name).map(|(known, _)| known)
    }
}

/// Why a signed request was refused. `Malformed` says what it is not. `NotTheKey`: the signature is good, but nothing says that the
/// key is this user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignError {
    TooLong { len: usize, max: usize },
    Malformed(String),
    BadSignature,
    UnknownMechanism { name: String },
    NotAllowed { mechanism: Mechanism },
    NotCaller { id: u32, caller: u32 },
    Expired,
    FromTheFuture,
    NotTheKey { of: u32, why: String },
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, max } => write!(f, "signed request of {len} bytes is over the limit of {max}"),
            Self::Malformed(what) => write!(f, "signed request: {what}"),
            Self::BadSignature => f.write_str("signed request: signature does not match sign-type"),
            Self::UnknownMechanism { name } => write!(f, "sign-type={name} is not supported"),
            Self::NotAllowed { mechanism } => write!(f, "sign-type={} is not allowed here", mechanism.name()),
            Self::NotCaller { id, caller } => write!(f, "sign-type=none of user {id}, but user {caller} calls"),
            Self::Expired => f.write_str("signed request has expired"),
            Self::FromTheFuture => f.write_str("signed request is from the future"),
            Self::NotTheKey { of, why } => write!(f, "signed request: not known as the key of user {of}: {why}"),
        }
    }
}

impl std::error::Error for SignError {}

/// A request with its outer shell off. Nothing in it is verified yet, except that a `none` request says `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// `HEADER.PAYLOAD`, what the signature is over.
    pub signed_part: &'a str,
    pub header: Kv,
    pub payload: Vec<u8>,
    pub signature: &'a str,
    pub mechanism: Mechanism,
    /// Who it says has signed it.
    pub userid: u32,
}

/// Takes a signed request apart, strictly: three parts, canonical base64 (which `base64` decodes), a well-formed header of version 1.
///
/// # Errors
/// The first of [`SignError`] that applies.
pub fn parse(signed: &str, base64: fn(&str) -> Option<Vec<u8>>) -> Result<Signed<'_>, SignError> {
    let malformed = |what: &str| SignError::Malformed(what.into());
    let (len, max) = (signed.len(), SIGNED_REQUEST_LEN_MAX);
    refuse!(len > max, SignError::TooLong { len, max });
    let mut parts = signed.split('.');
    let (Some(header), Some(payload), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(malformed("it is not HEADER.PAYLOAD.SIGNATURE"));
    };
    refuse!(parts.next().is_some() && enforced!("three-parts"), malformed("it is not HEADER.PAYLOAD.SIGNATURE"));
    let decode = |part, text| base64(text).ok_or_else(|| malformed(&format!("{part} is not base64")));
    refuse!(header.len() > HEADER_LEN_MAX * 4 / 3, malformed("malformed header"));
    let signed_part = &signed[..header.len() + 1 + payload.len()];
    let header = Kv::decode(&decode("HEADER", header)?).ok_or(malformed("malformed header"))?;
    let missing = |key| malformed(&format!("header has no {key}"));
    let version = header.integer("version").ok_or_else(|| missing("version"))?;
    refuse!(version != 1 && enforced!("version"), malformed(&format!("unknown header version {version}")));
    let name = header.text("mechanism").ok_or_else(|| missing("mechanism"))?;
    let unknown = || SignError::UnknownMechanism { name: name.chars().take(32).collect() };
    let mechanism = Mechanism::from_name(name).ok_or_else(unknown)?;
    let userid = header.integer("userid").ok_or_else(|| missing("userid"))?;
    let userid = u32::try_from(userid)
        .ok()
        .filter(|id| *id != u32::MAX)
        .ok_or_else(|| malformed(&format!("{userid} is no user id")))?;
    refuse!(
        (mechanism == Mechanism::None) != (signature == "none") && enforced!("none-signature"),
        SignError::BadSignature,
    );
    let payload = decode("PAYLOAD", payload)?;
    Ok(Signed { signed_part, header, payload, signature, mechanism, userid })
}

#[cfg(test)]
#[path = "j_tests.rs"]
mod tests;
