//! A KVS made for tests.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flux_service::{Found, FoundAll, Look, Looks};
use flux_wire::{Errno, Message, Payload};
use serde::Deserialize;
use serde_json::json;

/// How the KVS answers commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commits {
    AtOnce,
    /// Not before [`World::release_commits`].
    Held,
    Fail(Errno),
}

/// A flat key-value store; directories are what keys have in front of dots.
#[derive(Debug)]
pub(crate) struct Kvs {
    pub(crate) keys: BTreeMap<String, Vec<u8>>,
    pub(crate) mode: Commits,
    pub(super) held: Vec<Message>,
    pub(super) watchers: Vec<Watcher>,
    /// Whether each commit was synced.
    pub(crate) commits: Vec<bool>,
    /// The keys that were looked up.
    pub(crate) looked_up: Vec<String>,
    /// Lookups, however many keys each was for.
    pub(crate) requests: usize,
}

#[derive(Debug)]
pub(super) struct Watcher {
    request: Message,
    key: String,
    delivered: usize,
}

impl Kvs {
    /// `kvs-watch.lookup` with WATCH and WATCH_APPEND, and its cancel.
    pub(super) fn watch(&mut self, message: &Message) -> Vec<Message> {
        let body = message.payload.value().expect("watch body");
        if message.topic() == "kvs-watch.cancel" {
            let at =
                self.watchers.iter().position(|w| Some(u64::from(w.request.matchtag())) == body["matchtag"].as_u64());
            let gone = at.map(|at| self.watchers.remove(at).request.error_response(Errno::ENODATA, ""));
            return gone.into_iter().collect();
        }
        let key = body["key"].as_str().expect("key").to_owned();
        let flags = body["flags"].as_u64().expect("flags");
        assert_eq!(flags & 260, 260, "watched for appends");
        if !self.keys.contains_key(&key) && flags & 8 == 0 {
            return vec![message.error_response(Errno::ENOENT, "")];
        }
        self.watchers.push(Watcher { request: message.clone(), key, delivered: 0 });
        self.notify()
    }

    pub(super) fn notify(&mut self) -> Vec<Message> {
        let mut out = Vec::new();
        for watcher in &mut self.watchers {
            let Some(value) = self.keys.get(&watcher.key) else { continue };
            if value.len() > watcher.delivered {
                let new = json!({"data": BASE64.encode(&value[watcher.delivered..]), "type": "val", "ver": 1});
                watcher.delivered = value.len();
                out.push(watcher.request.response(json!({"val": new}).into()));
            }
        }
        out
    }

    pub(super) fn handle(&mut self, message: &Message) -> Option<Message> {
        self.requests += usize::from(message.topic() != "kvs.commit");
        match message.topic() {
            "kvs.commit" => match self.mode {
                Commits::Fail(errno) => Some(message.error_response(errno, "")),
                Commits::Held => {
                    self.held.push(message.clone());
                    None
                }
                Commits::AtOnce => Some(self.commit(message)),
            },
            "kvs.lookup" => {
                let body = message.payload.value().expect("lookup body");
                self.looked_up.push(body["key"].as_str().expect("key").to_owned());
                Some(self.lookup(message))
            }
            "kvs.lookup-many" => {
                let looks = message.payload.value().expect("lookup body");
                let looks: Looks = Looks::deserialize(&*looks).expect("many lookups");
                self.looked_up.extend(looks.looks.iter().map(|look| look.key.clone()));
                let found = looks.looks.iter().map(|look| self.look(look)).collect();
                Some(message.response(Payload::local(FoundAll(found))))
            }
            other => panic!("the KVS knows no {other}"),
        }
    }

    pub(super) fn commit(&mut self, message: &Message) -> Message {
        let body = message.payload.value().expect("commit body");
        self.commits.push(body.get("durability").is_none());
        for op in body["ops"].as_array().expect("ops") {
            let key = op["key"].as_str().expect("key");
            if op["dirent"].is_null() {
                let below = format!("{key}.");
                self.keys.retain(|known, _| known != key && !known.starts_with(&below));
            } else if op["dirent"]["type"] == "dir" {
                self.keys.insert(key.to_owned(), b"moved".to_vec());
            } else {
                let bytes = BASE64.decode(op["dirent"]["data"].as_str().expect("data")).expect("base64");
                match op["flags"].as_u64() {
                    Some(32) => self.keys.entry(key.to_owned()).or_default().extend(bytes),
                    _ => drop(self.keys.insert(key.to_owned(), bytes)),
                }
            }
        }
        message.response(json!({"rootref": "sha1-0", "rootseq": self.commits.len()}).into())
    }

    /// The names in the directory `key`.
    fn names(&self, key: &str) -> BTreeSet<&str> {
        let below = format!("{key}.");
        let keys = self.keys.range(below.clone()..).take_while(|(known, _)| known.starts_with(&below));
        keys.map(|(known, _)| known[below.len()..].split('.').next().expect("a name")).collect()
    }

    fn look(&self, look: &Look) -> Found {
        match (self.keys.get(&look.key), look.dir) {
            (Some(bytes), false) => Found::Value(bytes.as_slice().into()),
            (None, true) if !self.names(&look.key).is_empty() => {
                let is_dir = |name: &&&str| !self.keys.contains_key(&format!("{}.{name}", look.key));
                Found::Names(self.names(&look.key).iter().filter(is_dir).map(|name| (*name).to_owned()).collect())
            }
            _ => Found::Failed(Errno::ENOENT),
        }
    }

    fn lookup(&self, message: &Message) -> Message {
        let body = message.payload.value().expect("lookup body");
        let key = body["key"].as_str().expect("key");
        let below = format!("{key}.");
        let names = self.names(key);
        let object = match (self.keys.get(key), body["flags"].as_u64()) {
            (Some(bytes), Some(0)) => json!({"data": BASE64.encode(bytes), "type": "val", "ver": 1}),
            (None, Some(1 | 16)) if !names.is_empty() => {
                let entry = |name: &&str| {
                    let leaf = self.keys.contains_key(&format!("{below}{name}"));
                    ((*name).to_owned(), json!({"data": [], "type": if leaf { "valref" } else { "dirref" }, "ver": 1}))
                };
                json!({"data": names.iter().map(entry).collect::<serde_json::Map<_, _>>(), "type": "dir", "ver": 1})
            }
            _ => return message.error_response(Errno::ENOENT, ""),
        };
        message.response(json!({"val": object}).into())
    }
}
