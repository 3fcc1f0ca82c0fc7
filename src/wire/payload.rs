//! The payload: what a process says to itself stays a value, and becomes text at its edge.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What a message carries.
#[derive(Clone, Debug, Default)]
pub enum Payload {
    #[default]
    None,
    /// Bytes as on the wire; JSON text among them ends in its NUL (RFC 3).
    Raw(Arc<[u8]>),
    /// A JSON object that has not been made text yet.
    Json(Arc<Value>),
    /// What has not even been made JSON yet.
    Local(Arc<dyn Local>),
}

/// What one service of a broker says to another of the same broker: who knows the type takes it as it is, all others see JSON.
pub trait Local: fmt::Debug + Send + Sync + Any {
    /// The JSON object that says the same.
    fn to_json(&self) -> Value;

    /// That as text, for those who have it at hand.
    fn to_text(&self) -> Vec<u8> {
        serde_json::to_vec(&self.to_json()).expect("a JSON value is writable")
    }
}

/// Why a payload was not what the receiver needs: always the sender's fault, EPROTO.
#[derive(Debug, PartialEq, Eq)]
pub enum PayloadError {
    Missing,
    NotTerminated,
    NotAnObject,
    Json(String),
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the message has no payload"),
            Self::NotTerminated => f.write_str("the JSON payload does not end in NUL"),
            Self::NotAnObject => f.write_str("the payload is not a JSON object"),
            Self::Json(why) => write!(f, "malformed payload: {why}"),
        }
    }
}

impl std::error::Error for PayloadError {}

impl Payload {
    /// JSON of anything that serializes to an object.
    ///
    /// # Panics
    /// If `body` cannot be JSON (a map with keys that are not strings): a bug of the caller.
    pub fn json<T: Serialize>(body: &T) -> Payload {
        Payload::Json(Arc::new(serde_json::to_value(body).expect("payload types serialize to JSON")))
    }

    /// A plain string with its NUL: the text of an error response.
    pub fn text(text: &str) -> Payload {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        Payload::Raw(bytes.into())
    }

    pub fn raw(bytes: impl Into<Arc<[u8]>>) -> Payload {
        let bytes = bytes.into();
        if bytes.is_empty() { Payload::None } else { Payload::Raw(bytes) }
    }

    /// A value for services of this broker that know its type.
    pub fn local(body: impl Local) -> Payload {
        Payload::Local(Arc::new(body))
    }

    /// What [`Payload::local`] was given, if it was of this type.
    pub fn as_local<T: Local>(&self) -> Option<&T> {
        let Payload::Local(body) = self else { return None };
        let body: &dyn Any = &**body;
        body.downcast_ref()
    }

    /// Did it come from a service of this broker, and never was text?
    pub fn is_inside(&self) -> bool {
        matches!(self, Payload::Json(_) | Payload::Local(_))
    }

    pub fn is_none(&self) -> bool {
        matches!(self, Payload::None)
    }

    /// The JSON object carried, whichever form it has.
    pub fn value(&self) -> Result<Arc<Value>, PayloadError> {
        match self {
            Payload::Json(value) => Ok(value.clone()),
            Payload::Local(body) => Ok(Arc::new(body.to_json())),
            Payload::Raw(_) => {
                let value: Value = serde_json::from_slice(self.json_text()?).map_err(json_error)?;
                if value.is_object() { Ok(Arc::new(value)) } else { Err(PayloadError::NotAnObject) }
            }
            Payload::None => Err(PayloadError::Missing),
        }
    }

    /// Reads the JSON object into a type of the caller's.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        match self {
            Payload::Json(value) => T::deserialize(&**value).map_err(json_error),
            Payload::Local(body) => T::deserialize(body.to_json()).map_err(json_error),
            Payload::Raw(_) => {
                let text = self.json_text()?;
                if text.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
                    return Err(PayloadError::NotAnObject);
                }
                serde_json::from_slice(text).map_err(json_error)
            }
            Payload::None => Err(PayloadError::Missing),
        }
    }

    /// The text of an error response, without its NUL; `None` if absent or not UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        let Payload::Raw(bytes) = self else { return None };
        std::str::from_utf8(bytes.strip_suffix(&[0])?).ok()
    }

    /// Raw bytes; empty where there is no payload, `None` where the payload is a JSON value.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Payload::None => Some(&[]),
            Payload::Raw(bytes) => Some(bytes),
            Payload::Json(_) | Payload::Local(_) => None,
        }
    }

    /// The payload as it goes on the wire; `None` where there is no payload frame.
    pub fn to_wire(&self) -> Option<Arc<[u8]>> {
        match self {
            Payload::None => None,
            Payload::Raw(bytes) => Some(bytes.clone()),
            Payload::Json(value) => Some(terminated(serde_json::to_vec(&**value).expect("a JSON value is writable"))),
            Payload::Local(body) => Some(terminated(body.to_text())),
        }
    }

    fn json_text(&self) -> Result<&[u8], PayloadError> {
        let Payload::Raw(bytes) = self else { return Err(PayloadError::Missing) };
        bytes.strip_suffix(&[0]).ok_or(PayloadError::NotTerminated)
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Payload) -> bool {
        match (self, other) {
            (Payload::Json(a), Payload::Json(b)) => a == b,
            _ => self.to_wire() == other.to_wire(),
        }
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Payload {
        Payload::Json(Arc::new(value))
    }
}

fn terminated(mut text: Vec<u8>) -> Arc<[u8]> {
    text.push(0);
    text.into()
}

fn json_error(error: serde_json::Error) -> PayloadError {
    PayloadError::Json(error.to_string())
}
