//! RFC 18 event logs: one JSON object per line, appended only.
//!
//! [`entries`] walks a log without copying it; [`Entry`] owns one event and writes it. Keys go out in the order
//! `timestamp`, `name`, `context`, compact, which is what every known writer does.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::limits::{EVENT_LEN_MAX, EVENT_NAME_LEN_MAX};

/// Why a line, or a value, is no RFC 18 event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventlogError {
    /// The text ends inside a line: an event is whole only with its newline.
    NoNewline,
    /// A single entry holds a newline before its end.
    EmbeddedNewline,
    TooLong {
        len: usize,
        max: usize,
    },
    /// Not JSON, or a required key is absent or of another type.
    Malformed {
        reason: String,
    },
    EmptyName,
    NameTooLong {
        len: usize,
        max: usize,
    },
    /// RFC 18 asks for seconds since the epoch: never negative, infinite or NaN.
    BadTimestamp,
    ContextNotObject,
}

impl EventlogError {
    /// The Linux errno for the peer: 90 is EMSGSIZE, 22 is EINVAL.
    pub const fn errno(&self) -> i32 {
        match self {
            Self::TooLong { .. } => 90,
            _ => 22,
        }
    }
}

impl fmt::Display for EventlogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNewline => write!(f, "eventlog: entry does not end with a newline"),
            Self::EmbeddedNewline => write!(f, "eventlog: entry holds more than one line"),
            Self::TooLong { len, max } => write!(f, "eventlog: entry of {len} bytes is over the limit of {max}"),
            Self::Malformed { reason } => write!(f, "eventlog: malformed entry: {reason}"),
            Self::EmptyName => write!(f, "eventlog: event name is empty"),
            Self::NameTooLong { len, max } => {
                write!(f, "eventlog: event name of {len} bytes is over the limit of {max}")
            }
            Self::BadTimestamp => write!(f, "eventlog: timestamp must be a finite number, zero or greater"),
            Self::ContextNotObject => write!(f, "eventlog: context must be an object"),
        }
    }
}

impl std::error::Error for EventlogError {}

/// One event that borrows from the log it was read from.
#[derive(Debug, Deserialize)]
pub struct EntryRef<'a> {
    /// Seconds since the Unix epoch.
    pub timestamp: f64,
    /// Borrowed unless the name was written with escapes.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The context as it stands in the log; always an object.
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
}

impl<'a> EntryRef<'a> {
    /// The context's JSON text, an object; `None` when the event has no context.
    pub fn context_json(&self) -> Option<&'a str> {
        self.context.map(RawValue::get)
    }

    /// Reads the context into a type of the caller's; an absent context reads as an empty object.
    ///
    /// # Errors
    /// `Malformed` if the context does not have the fields asked for.
    pub fn context_as<T: Deserialize<'a>>(&self) -> Result<T, EventlogError> {
        let text: &'a str = self.context_json().unwrap_or("{}");
        serde_json::from_str(text).map_err(|e| EventlogError::Malformed { reason: e.to_string() })
    }

    /// Copies everything out of the log.
    ///
    /// # Errors
    /// `Malformed` if the context, of which only the outline was checked so far, is no valid object.
    pub fn to_entry(&self) -> Result<Entry, EventlogError> {
        let context = match self.context {
            Some(_) => Some(self.context_as::<Map<String, Value>>()?),
            None => None,
        };
        Ok(Entry { timestamp: self.timestamp, name: self.name.clone().into_owned(), context })
    }

    fn check(self) -> Result<Self, EventlogError> {
        check_timestamp(self.timestamp)?;
        check_name(&self.name)?;
        match self.context {
            Some(raw) if !raw.get().starts_with('{') => Err(EventlogError::ContextNotObject),
            _ => Ok(self),
        }
    }
}

/// One event that owns its parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Seconds since the Unix epoch.
    pub timestamp: f64,
    pub name: String,
    pub context: Option<Map<String, Value>>,
}

impl Entry {
    /// An event without context. The time is an argument: types never read a clock.
    pub fn new(timestamp: f64, name: impl Into<String>) -> Entry {
        Entry { timestamp, name: name.into(), context: None }
    }

    /// An event with a context whose keys keep the order given.
    pub fn with_context<K: Into<String>>(
        timestamp: f64,
        name: impl Into<String>,
        context: impl IntoIterator<Item = (K, Value)>,
    ) -> Entry {
        let context = context.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Entry { timestamp, name: name.into(), context: Some(context) }
    }

    /// A value of the context by key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.context.as_ref()?.get(key)
    }

    /// Reads one line, with or without its final newline.
    ///
    /// # Errors
    /// Any [`EventlogError`]; extra top-level keys are dropped, as RFC 18 defines none.
    pub fn parse(line: &str) -> Result<Entry, EventlogError> {
        parse_line(line.strip_suffix('\n').unwrap_or(line))?.to_entry()
    }

    /// Reads an entry that travels as a JSON value instead of a line.
    ///
    /// # Errors
    /// As [`Entry::parse`].
    pub fn from_value(value: Value) -> Result<Entry, EventlogError> {
        let malformed = |reason: &str| EventlogError::Malformed { reason: reason.to_owned() };
        let Value::Object(mut object) = value else { return Err(malformed("not an object")) };
        let timestamp =
            object.get("timestamp").and_then(Value::as_f64).ok_or(malformed("timestamp is not a number"))?;
        let Some(Value::String(name)) = object.shift_remove("name") else {
            return Err(malformed("name is not a string"));
        };
        let context = match object.shift_remove("context") {
            None => None,
            Some(Value::Object(context)) => Some(context),
            Some(_) => return Err(EventlogError::ContextNotObject),
        };
        check_timestamp(timestamp)?;
        check_name(&name)?;
        Ok(Entry { timestamp, name, context })
    }

    /// The entry as a JSON value, keys in the order of the log.
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        object.insert("timestamp".into(), real(self.timestamp));
        object.insert("name".into(), Value::from(self.name.as_str()));
        if let Some(context) = &self.context {
            object.insert("context".into(), Value::Object(context.clone()));
        }
        Value::Object(object)
    }

    /// Whether another reader would accept what [`Entry::encode`] writes.
    ///
    /// # Errors
    /// `BadTimestamp`, `EmptyName` or `NameTooLong`.
    pub fn validate(&self) -> Result<(), EventlogError> {
        check_timestamp(self.timestamp)?;
        check_name(&self.name)
    }

    /// The entry as a line, newline included. The timestamp is a JSON real with the fewest digits that read back
    /// as the same `f64`, which keeps microseconds exact until the year 2255.
    pub fn encode(&self) -> String {
        let mut out = String::with_capacity(96);
        self.encode_into(&mut out);
        out
    }

    /// Appends the line to `out`.
    pub fn encode_into(&self, out: &mut String) {
        use fmt::Write;
        assert!(self.timestamp.is_finite(), "an event is stamped with a time that passed Entry::validate");
        let name = Value::from(self.name.as_str());
        let _ = write!(out, "{{\"timestamp\":{},\"name\":{name}", real(self.timestamp));
        if let Some(context) = &self.context {
            out.push_str(",\"context\":");
            out.push_str(&serde_json::to_string(context).expect("a JSON map always encodes"));
        }
        out.push_str("}\n");
    }
}

fn real(seconds: f64) -> Value {
    Value::from(seconds)
}

fn check_timestamp(timestamp: f64) -> Result<(), EventlogError> {
    if timestamp.is_finite() && timestamp >= 0.0 { Ok(()) } else { Err(EventlogError::BadTimestamp) }
}

fn check_name(name: &str) -> Result<(), EventlogError> {
    if name.is_empty() {
        return Err(EventlogError::EmptyName);
    }
    if name.len() > EVENT_NAME_LEN_MAX {
        return Err(EventlogError::NameTooLong { len: name.len(), max: EVENT_NAME_LEN_MAX });
    }
    Ok(())
}

/// Reads one line, without its newline, into an entry that borrows from it.
///
/// # Errors
/// Any [`EventlogError`] but `NoNewline`.
pub fn parse_line(line: &str) -> Result<EntryRef<'_>, EventlogError> {
    if line.len() > EVENT_LEN_MAX {
        return Err(EventlogError::TooLong { len: line.len(), max: EVENT_LEN_MAX });
    }
    if line.contains('\n') {
        return Err(EventlogError::EmbeddedNewline);
    }
    if line.trim_start().starts_with('[') {
        // The derived reader would take the fields from an array, in order.
        return Err(EventlogError::Malformed { reason: "not an object".to_owned() });
    }
    let entry: EntryRef<'_> =
        serde_json::from_str(line).map_err(|e| EventlogError::Malformed { reason: e.to_string() })?;
    entry.check()
}

/// The events of a whole log, in order, borrowed from `log`. An empty log has none.
///
/// A bad line yields an error and the walk goes on behind it; a last line without newline is `NoNewline`.
pub fn entries(log: &str) -> Entries<'_> {
    Entries { rest: log }
}

/// See [`entries`].
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a str,
}

impl<'a> Entries<'a> {
    /// What has not been walked yet.
    pub fn rest(&self) -> &'a str {
        self.rest
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<EntryRef<'a>, EventlogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((line, rest)) = self.rest.split_once('\n') else {
            self.rest = "";
            return Some(Err(EventlogError::NoNewline));
        };
        self.rest = rest;
        Some(parse_line(line))
    }
}

/// Reads a whole log into owned entries; stops at the first bad line.
///
/// # Errors
/// Any [`EventlogError`].
pub fn decode(log: &str) -> Result<Vec<Entry>, EventlogError> {
    entries(log).map(|entry| entry?.to_entry()).collect()
}

/// Writes entries as a log.
pub fn encode<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let mut out = String::new();
    for entry in entries {
        entry.encode_into(&mut out);
    }
    out
}

#[cfg(test)]
#[path = "eventlog_tests.rs"]
mod tests;
