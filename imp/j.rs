//! The signed request `J` (RFC 39): `HEADER.PAYLOAD.SIGNATURE`, the header in RFC 38's encoding, the first two in base64.

use crate::kv::Kv;
use crate::limits::{HEADER_LEN_MAX, SIGNED_REQUEST_LEN_MAX};
use sodiumoxide::base64::{self, Variant};
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
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::None => "none",
            Mechanism::Curve => "curve",
            Mechanism::Munge => "munge",
        }
    }

    pub fn from_name(name: &str) -> Option<Mechanism> {
        [Mechanism::None, Mechanism::Curve, Mechanism::Munge].into_iter().find(|known| known.name() == name)
    }
}

/// Why a signed request was refused. `NotTheKey`: the signature is good, but nothing says that the key is this user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignError {
    TooLong { len: usize, max: usize },
    NotThreeParts,
    BadBase64 { part: &'static str },
    BadHeader,
    MissingHeader { key: &'static str },
    Version { got: i64 },
    UserId { got: i64 },
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
            Self::NotThreeParts => f.write_str("signed request is not HEADER.PAYLOAD.SIGNATURE"),
            Self::BadBase64 { part } => write!(f, "signed request: {part} is not base64"),
            Self::BadHeader => f.write_str("signed request: malformed header"),
            Self::MissingHeader { key } => write!(f, "signed request: header has no {key}"),
            Self::Version { got } => write!(f, "signed request: unknown header version {got}"),
            Self::UserId { got } => write!(f, "signed request: {got} is no user id"),
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

/// Takes a signed request apart, strictly: three parts, canonical base64, a well-formed header of version 1.
///
/// # Errors
/// The first of [`SignError`] that applies.
pub fn parse(signed: &str) -> Result<Signed<'_>, SignError> {
    refuse!(
        signed.len() > SIGNED_REQUEST_LEN_MAX,
        SignError::TooLong { len: signed.len(), max: SIGNED_REQUEST_LEN_MAX },
    );
    let mut parts = signed.split('.');
    let (Some(header), Some(payload), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(SignError::NotThreeParts);
    };
    refuse!(parts.next().is_some() && enforced!("three-parts"), SignError::NotThreeParts);
    let decode = |part, text: &str| base64::decode(text, Variant::Original).map_err(|()| SignError::BadBase64 { part });
    refuse!(header.len() > HEADER_LEN_MAX * 4 / 3, SignError::BadHeader);
    let signed_part = &signed[..header.len() + 1 + payload.len()];
    let header = Kv::decode(&decode("HEADER", header)?).ok_or(SignError::BadHeader)?;
    let missing = |key| SignError::MissingHeader { key };
    let version = header.integer("version").ok_or(missing("version"))?;
    refuse!(version != 1 && enforced!("version"), SignError::Version { got: version });
    let name = header.text("mechanism").ok_or(missing("mechanism"))?;
    let unknown = || SignError::UnknownMechanism { name: name.chars().take(32).collect() };
    let mechanism = Mechanism::from_name(name).ok_or_else(unknown)?;
    let userid = header.integer("userid").ok_or(missing("userid"))?;
    let userid = u32::try_from(userid).ok().filter(|id| *id != u32::MAX).ok_or(SignError::UserId { got: userid })?;
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
