//! Commits to the key-value store as the services of a broker make them (RFCs 11, 16).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flux_wire::{Local, Payload, Target};
use serde_json::{Map, Value, json};

use crate::{Cx, Tag};

/// Flag of an operation: the value is appended.
const APPEND: u32 = 32;

/// How long a commit is waited for (ADR 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Until the disk has it.
    Synced,
    /// Until it is in the log: a crash of the broker does not lose it, one of the machine may.
    Written,
}

/// What is done to a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Put(Arc<[u8]>),
    Append(Arc<[u8]>),
    /// An RFC 11 tree object takes the key's place.
    Object(Value),
    Unlink,
}

/// One operation of a commit.
#[derive(Clone, Debug, PartialEq)]
pub struct TxnOp {
    pub key: String,
    pub change: Change,
}

impl TxnOp {
    pub fn put(key: String, bytes: impl Into<Arc<[u8]>>) -> TxnOp {
        TxnOp { key, change: Change::Put(bytes.into()) }
    }

    /// The value that it puts there.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.change {
            Change::Put(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub fn append(key: String, bytes: impl Into<Arc<[u8]>>) -> TxnOp {
        TxnOp { key, change: Change::Append(bytes.into()) }
    }

    pub fn object(key: String, treeobj: Value) -> TxnOp {
        TxnOp { key, change: Change::Object(treeobj) }
    }

    pub fn unlink(key: String) -> TxnOp {
        TxnOp { key, change: Change::Unlink }
    }

    fn to_json(&self) -> Value {
        let val = |bytes: &[u8]| json!({"data": BASE64.encode(bytes), "type": "val", "ver": 1});
        let (flags, dirent) = match &self.change {
            Change::Put(bytes) => (0, val(bytes)),
            Change::Append(bytes) => (APPEND, val(bytes)),
            Change::Object(treeobj) => (0, treeobj.clone()),
            Change::Unlink => (0, Value::Null),
        };
        json!({"key": self.key, "flags": flags, "dirent": dirent})
    }
}

/// A `kvs.commit` to the primary namespace. The store of the same broker takes it as it is: nothing is encoded or copied.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    pub ops: Vec<TxnOp>,
    pub durability: Durability,
}

impl Transaction {
    /// Sends it; the answer comes with this tag.
    pub fn commit(self, cx: &mut Cx<'_>) -> Tag {
        cx.request("kvs.commit", Target::Any, Payload::local(self))
    }
}

impl Local for Transaction {
    fn to_json(&self) -> Value {
        let mut body = Map::with_capacity(4);
        body.insert("ops".into(), self.ops.iter().map(TxnOp::to_json).collect());
        body.insert("namespace".into(), "primary".into());
        body.insert("flags".into(), 0.into());
        if self.durability == Durability::Written {
            body.insert("durability".into(), "written".into());
        }
        Value::Object(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_elsewhere_get_the_request_of_rfc_11() {
        let ops = vec![
            TxnOp::put("a".into(), *b"x"),
            TxnOp::append("b.c".into(), *b"\n"),
            TxnOp::object("d".into(), json!({"type": "dir", "ver": 1, "data": {}})),
            TxnOp::unlink("e".into()),
        ];
        let payload = Payload::local(Transaction { ops, durability: Durability::Written });
        let text = r#"{"ops":[{"key":"a","flags":0,"dirent":{"data":"eA==","type":"val","ver":1}},{"key":"b.c","flags":32,"dirent":{"data":"Cg==","type":"val","ver":1}},{"key":"d","flags":0,"dirent":{"type":"dir","ver":1,"data":{}}},{"key":"e","flags":0,"dirent":null}],"namespace":"primary","flags":0,"durability":"written"}"#;
        assert_eq!(payload.to_wire().unwrap().strip_suffix(b"\0"), Some(text.as_bytes()));
        assert_eq!(payload.as_local::<Transaction>().unwrap().ops.len(), 4);
    }
}
