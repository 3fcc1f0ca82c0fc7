//! What the job services say to the KVS (RFCs 11, 16): operations of a commit, and what lookups answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flux_service::{Cx, Fault, Tag, Transaction, TxnOp};
use flux_types::{JobId, JobIdForm};
use flux_wire::{Errno, Message, Target};
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) const READDIR: u32 = 1;
pub(crate) const TREEOBJ: u32 = 16;

/// The key of a job's directory, or with `name` of a key in it (RFC 16).
pub(crate) fn job_key(id: JobId, name: &str) -> String {
    let mut key = id.encode(JobIdForm::Kvs);
    if !name.is_empty() {
        key.push('.');
        key.push_str(name);
    }
    key
}

pub(crate) use flux_service::Durability;

/// Commits `ops` to the primary namespace.
pub(crate) fn commit(cx: &mut Cx<'_>, ops: Vec<TxnOp>, durability: Durability) -> Tag {
    Transaction { ops, durability }.commit(cx)
}

pub(crate) fn lookup(cx: &mut Cx<'_>, key: &str, flags: u32) -> Tag {
    cx.request("kvs.lookup", Target::Any, json!({"key": key, "flags": flags, "namespace": "primary"}))
}

#[derive(Deserialize)]
struct LookupReply {
    val: Value,
}

/// The object that a lookup answered with.
pub(crate) fn treeobj(reply: &Message) -> Result<Value, Fault> {
    match Fault::of(reply) {
        Some(fault) => Err(fault),
        None => Ok(reply.decode::<LookupReply>()?.val),
    }
}

/// The bytes of a value that a lookup answered with.
pub(crate) fn bytes(reply: &Message) -> Result<Vec<u8>, Fault> {
    decode_val(&treeobj(reply)?).ok_or_else(|| Fault::new(Errno::EPROTO, "the KVS answered with no value"))
}

pub(crate) fn decode_val(object: &Value) -> Option<Vec<u8>> {
    if object.get("type")?.as_str()? != "val" {
        return None;
    }
    BASE64.decode(object.get("data")?.as_str()?).ok()
}

/// As [`bytes`], for text.
pub(crate) fn text(reply: &Message) -> Result<String, Fault> {
    String::from_utf8(bytes(reply)?).map_err(|_| Fault::new(Errno::EINVAL, "the value is not UTF-8"))
}
