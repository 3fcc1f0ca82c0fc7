//! The key-value store as commands use it: lookups, directories, transactions (RFC 11).

use std::collections::BTreeMap;

use flux_client::{ClientError, Errno, Fault, Handle, Target, Ticket};
use flux_types::Treeobj;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::frame::context::Context;

/// Lookup flags of `kvs.lookup` and `kvs-watch.lookup`.
pub mod flag {
    pub const READDIR: u32 = 1;
    pub const READLINK: u32 = 2;
    pub const WATCH: u32 = 4;
    pub const WAITCREATE: u32 = 8;
    pub const TREEOBJ: u32 = 16;
    /// Of a put: add to what is there.
    pub const APPEND: u32 = 32;
    pub const WATCH_FULL: u32 = 64;
    pub const WATCH_UNIQ: u32 = 128;
    pub const WATCH_APPEND: u32 = 256;
    pub const STREAM: u32 = 512;
    /// Of a commit: keep it apart from others.
    pub const NO_MERGE: u32 = 1;
    /// Of a commit: answer when it is on disk.
    pub const SYNC: u32 = 4;
}

/// The namespace of a command: its option, the environment, or the primary one.
pub fn namespace(option: Option<&str>, cx: &Context) -> String {
    option.map(str::to_owned).or_else(|| cx.var("FLUX_KVS_NAMESPACE")).unwrap_or_else(|| "primary".to_owned())
}

/// Where a lookup starts.
#[derive(Clone, Debug)]
pub enum Root {
    Namespace(String),
    /// A directory as a tree object: a snapshot.
    At(Value),
}

/// A namespace's root, or what a commit made it.
#[derive(Clone, Debug, Deserialize)]
pub struct RootInfo {
    pub rootref: String,
    pub rootseq: i64,
    #[serde(default)]
    pub owner: u32,
}

impl RootInfo {
    /// The root as a tree object.
    pub fn treeobj(&self) -> String {
        format!(r#"{{"data":["{}"],"type":"dirref","ver":1}}"#, self.rootref)
    }
}

/// Sends a lookup. Those that wait or stream go to the watch service.
pub fn send_lookup(flux: &mut Handle, root: &Root, key: &str, flags: u32) -> Result<Ticket, ClientError> {
    let waits = flags & (flag::WATCH | flag::WAITCREATE | flag::STREAM) != 0;
    let streaming = flags & (flag::WATCH | flag::STREAM) != 0;
    let topic = if waits { "kvs-watch.lookup" } else { "kvs.lookup" };
    let request = match root {
        Root::Namespace(namespace) => json!({"key": key, "namespace": namespace, "flags": flags}),
        Root::At(_) if waits => return Err(ClientError::Answer(Fault::from(Errno::EINVAL))),
        Root::At(dir) => json!({"key": key, "flags": flags, "rootdir": dir}),
    };
    flux.send(topic, Target::Any, request, streaming)
}

/// The tree object in an answer to a lookup.
pub fn answer_of(message: &flux_client::Message) -> Result<Treeobj, ClientError> {
    if let Some(fault) = Fault::of(message) {
        return Err(ClientError::Answer(fault));
    }
    let answer: Value = message.decode()?;
    object(&answer["val"])
}

fn object(value: &Value) -> Result<Treeobj, ClientError> {
    Treeobj::from_value(value)
        .map_err(|error| ClientError::Answer(Fault::new(Errno(error.errno()), format!("the store answered: {error}"))))
}

/// One lookup, answered once.
///
/// # Errors
/// ENOENT, EISDIR, ENOTDIR and the like as the service answers them.
pub fn lookup(flux: &mut Handle, root: &Root, key: &str, flags: u32) -> Result<Treeobj, ClientError> {
    let ticket = send_lookup(flux, root, key, flags)?;
    let message = flux.wait(ticket, None)?.ok_or(ClientError::Lost)?;
    answer_of(&message)
}

/// The bytes of a value.
///
/// # Errors
/// As [`lookup`]; EINVAL if the answer is no value.
pub fn value(flux: &mut Handle, root: &Root, key: &str) -> Result<Vec<u8>, ClientError> {
    bytes_of(lookup(flux, root, key, 0)?)
}

/// The bytes of an answer that is a value.
pub fn bytes_of(object: Treeobj) -> Result<Vec<u8>, ClientError> {
    match object {
        Treeobj::Val(bytes) => Ok(bytes),
        _ => Err(ClientError::Answer(Fault::from(Errno::EINVAL))),
    }
}

/// The entries of a directory.
///
/// # Errors
/// As [`lookup`]; ENOTDIR.
pub fn entries(flux: &mut Handle, root: &Root, key: &str) -> Result<BTreeMap<String, Treeobj>, ClientError> {
    match lookup(flux, root, key, flag::READDIR)? {
        Treeobj::Dir(entries) => Ok(entries),
        _ => Err(ClientError::Answer(Fault::from(Errno::ENOTDIR))),
    }
}

/// The current root of a namespace.
///
/// # Errors
/// Those of the call.
pub fn root(flux: &mut Handle, namespace: &str) -> Result<RootInfo, ClientError> {
    flux.call_as("kvs.getroot", Target::Any, json!({"namespace": namespace, "flags": 0}))
}

/// A key below a directory.
pub fn below(dir: &str, name: &str) -> String {
    if dir == "." { name.to_owned() } else { format!("{dir}.{name}") }
}

/// Changes that are made together or not at all.
#[derive(Debug, Default)]
pub struct Transaction {
    ops: Vec<Value>,
}

impl Transaction {
    /// # Errors
    /// EINVAL where there is no key.
    pub fn put(&mut self, key: &str, object: &Treeobj, append: bool) -> Result<(), ClientError> {
        self.push(key, object.to_value(), if append { flag::APPEND } else { 0 })
    }

    /// # Errors
    /// EINVAL where there is no key.
    pub fn unlink(&mut self, key: &str) -> Result<(), ClientError> {
        self.push(key, Value::Null, 0)
    }

    fn push(&mut self, key: &str, dirent: Value, flags: u32) -> Result<(), ClientError> {
        if key.is_empty() {
            return Err(ClientError::Answer(Fault::new(Errno::EINVAL, "the key is empty")));
        }
        self.ops.push(json!({"key": normalized(key), "flags": flags, "dirent": dirent}));
        Ok(())
    }

    /// # Errors
    /// Those of the service; nothing was changed then.
    pub fn commit(self, flux: &mut Handle, namespace: &str, flags: u32) -> Result<RootInfo, ClientError> {
        let request = json!({"namespace": namespace, "flags": flags, "ops": self.ops});
        flux.call_as("kvs.commit", Target::Any, request)
    }
}

/// Separators once, none at either end; the root stays `.`.
fn normalized(key: &str) -> String {
    let words: Vec<&str> = key.split('.').filter(|word| !word.is_empty()).collect();
    if words.is_empty() { ".".to_owned() } else { words.join(".") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_normalized_before_they_are_sent() {
        let rows = [("a.b", "a.b"), ("a..b", "a.b"), (".a.b.", "a.b"), (".", "."), ("..", ".")];
        for (key, want) in rows {
            assert_eq!(normalized(key), want, "{key}");
        }
    }
}
