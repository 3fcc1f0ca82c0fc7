//! Transactions as clients send them.

use std::sync::Arc;

use flux_service::{self as service, Fault, Plant, TxnOp, enforced, planted};
use flux_wire::{Cred, Errno};
use serde::Deserialize;
use serde_json::Value;

use crate::digest::Algorithm;
use crate::key;
use crate::limits::{BLOB_LEN_MAX, TXN_OPS_MAX};
use crate::tree::{Change, Entry, entry_from_json};

/// `flux_kvs_commit(3)`: must not share a sequence number with other commits.
pub(crate) const NO_MERGE: i64 = 1;
/// Answered when a checkpoint has it; primary namespace only.
pub(crate) const SYNC: i64 = 4;
/// Flag of one operation: the value is appended.
const APPEND: i64 = 32;

/// One operation, its key normalized.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Op {
    pub key: Box<str>,
    pub change: Change,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOp {
    key: String,
    flags: i64,
    dirent: Value,
}

/// The operations of a commit.
///
/// # Errors
/// EPROTO for what is no operation, EINVAL for a bad key or tree object, EPERM for what guests may not commit.
pub(crate) fn parse_ops(alg: Algorithm, ops: Vec<Value>, cred: Cred) -> Result<Arc<[Op]>, Fault> {
    if ops.len() > TXN_OPS_MAX {
        return Err(Fault::new(Errno::E2BIG, format!("a commit has at most {TXN_OPS_MAX} operations")));
    }
    ops.into_iter().map(|op| parse_op(alg, op, cred)).collect()
}

/// The operations of a commit that a service of this broker makes.
///
/// # Errors
/// As [`parse_ops`].
pub(crate) fn take_ops(alg: Algorithm, ops: &[TxnOp]) -> Result<Arc<[Op]>, Fault> {
    if ops.len() > TXN_OPS_MAX {
        return Err(Fault::new(Errno::E2BIG, format!("a commit has at most {TXN_OPS_MAX} operations")));
    }
    ops.iter().map(|op| take_op(alg, op)).collect()
}

fn take_op(alg: Algorithm, op: &TxnOp) -> Result<Op, Fault> {
    let key: Box<str> = key::normalize(&op.key)?.into();
    if &*key == key::ROOT {
        return Err(Errno::EINVAL.into());
    }
    let change = match &op.change {
        service::Change::Put(bytes) | service::Change::Append(bytes) if bytes.len() > BLOB_LEN_MAX => {
            return Err(Errno::EFBIG.into());
        }
        service::Change::Append(bytes) if op.key.contains('.') || !planted(Plant::AppendOverwrites) => {
            Change::Append(bytes.clone())
        }
        service::Change::Put(bytes) | service::Change::Append(bytes) => Change::Set(Entry::Val(bytes.clone())),
        service::Change::Object(treeobj) => Change::Set(entry_from_json(alg, treeobj)?),
        service::Change::Unlink => Change::Remove,
    };
    Ok(Op { key, change })
}

fn parse_op(alg: Algorithm, op: Value, cred: Cred) -> Result<Op, Fault> {
    let op = RawOp::deserialize(op).map_err(|_| Fault::new(Errno::EPROTO, "could not decode commit operation"))?;
    let key: Box<str> = key::normalize(&op.key)?.into();
    if &*key == key::ROOT {
        return Err(Errno::EINVAL.into());
    }
    if op.dirent.is_null() {
        return Ok(Op { key, change: Change::Remove });
    }
    let entry = entry_from_json(alg, &op.dirent)?;
    if !cred.is_owner() && enforced("references") {
        check_guest(&entry)?;
    }
    let appends = op.flags & APPEND != 0 && (op.key.contains('.') || !planted(Plant::AppendOverwrites));
    match (appends, entry) {
        (false, entry) => Ok(Op { key, change: Change::Set(entry) }),
        (true, Entry::Val(data)) => Ok(Op { key, change: Change::Append(data) }),
        (true, _) => Err(Errno::EPROTO.into()),
    }
}

/// Guests may not refer to content, nor to other namespaces: they could read what is not theirs.
fn check_guest(entry: &Entry) -> Result<(), Fault> {
    let kind = match entry {
        Entry::Val(_) => return Ok(()),
        Entry::Dir(dir) if dir.entries.is_empty() => return Ok(()),
        Entry::Dir(_) => "non-empty dir",
        Entry::Pieces(_) => "valref",
        Entry::DirRef(_) | Entry::DirRefs(_) => "dirref",
        Entry::Link(_) => "symlink",
    };
    Err(Fault::new(Errno::EPERM, format!("guests may not commit {kind} objects")))
}
