//! Many lookups in the primary namespace at once, as a service that reads a great deal makes them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flux_wire::{Errno, Local, Message, Payload, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Cx, Fault, Tag};

/// One key, and whether the names of the directories in it are wanted instead of its value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Look {
    pub key: String,
    pub dir: bool,
}

/// The body of `kvs.lookup-many`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Looks {
    pub looks: Vec<Look>,
}

/// What one key has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Value(Arc<[u8]>),
    /// In byte order.
    Names(Vec<String>),
    Failed(Errno),
}

/// The answer: as many as were asked for, in that order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundAll(pub Vec<Found>);

impl Looks {
    /// Sends it; the answer comes with this tag.
    pub fn send(self, cx: &mut Cx<'_>) -> Tag {
        cx.request("kvs.lookup-many", Target::Any, Payload::local(self))
    }
}

impl Local for Looks {
    fn to_json(&self) -> Value {
        let looks = self.looks.iter().map(|look| json!({"key": look.key, "dir": look.dir}));
        json!({"looks": looks.collect::<Vec<Value>>()})
    }
}

impl FoundAll {
    /// What a reply says.
    ///
    /// # Errors
    /// The request's own failure; EPROTO for what is no such answer.
    pub fn of(reply: &Message) -> Result<FoundAll, Fault> {
        if let Some(fault) = Fault::of(reply) {
            return Err(fault);
        }
        if let Some(all) = reply.payload.as_local::<FoundAll>() {
            return Ok(all.clone());
        }
        let body = reply.payload.value()?;
        let found = body.get("found").and_then(Value::as_array).map(|found| found.iter().map(Found::read).collect());
        found.flatten().map(FoundAll).ok_or_else(|| Fault::new(Errno::EPROTO, "malformed answer of kvs.lookup-many"))
    }
}

impl Found {
    fn read(body: &Value) -> Option<Found> {
        if let Some(data) = body.get("data") {
            return Some(Found::Value(BASE64.decode(data.as_str()?).ok()?.into()));
        }
        if let Some(names) = body.get("names") {
            let names = names.as_array()?.iter().map(|name| name.as_str().map(str::to_owned));
            return Some(Found::Names(names.collect::<Option<_>>()?));
        }
        Some(Found::Failed(Errno(i32::try_from(body.get("errno")?.as_i64()?).ok()?)))
    }

    fn to_json(&self) -> Value {
        match self {
            Found::Value(bytes) => json!({"data": BASE64.encode(bytes)}),
            Found::Names(names) => json!({"names": names}),
            Found::Failed(errno) => json!({"errno": errno.0}),
        }
    }
}

impl Local for FoundAll {
    fn to_json(&self) -> Value {
        json!({"found": self.0.iter().map(Found::to_json).collect::<Vec<Value>>()})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_and_found_reads_the_same_as_json() {
        let looks =
            Looks { looks: vec![Look { key: "job".into(), dir: true }, Look { key: "a.b".into(), dir: false }] };
        let read: Looks = serde_json::from_value(looks.to_json()).unwrap();
        assert_eq!(read, looks);
        let all = FoundAll(vec![
            Found::Value((*b"\0x").into()),
            Found::Names(vec!["0000".into(), "0001".into()]),
            Found::Failed(Errno::ENOENT),
        ]);
        let request = Message::request("kvs.lookup-many", Target::Any, 1, Payload::None);
        let as_json = request.response(Payload::Json(Arc::new(all.to_json())));
        assert_eq!(FoundAll::of(&as_json).unwrap(), all);
        assert_eq!(FoundAll::of(&request.response(Payload::local(all.clone()))).unwrap(), all);
        let other = request.response(json!({"found": [{}]}).into());
        assert_eq!(FoundAll::of(&other).unwrap_err().errno, Errno::EPROTO);
    }
}
