//! What the store tells others when a namespace changes: events, watchers, waiting versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use flux_service::{Cx, Plant, planted};
use flux_wire::Errno;
use serde_json::{Map, Value, json};

use crate::key::{self, ROOT};
use crate::mutate::{Mutation, Undone};
use crate::record::{Item, NewBody};
use crate::service::{Gathered, Kvs};
use crate::space::PRIMARY;
use crate::tree::Change;
use crate::txn::Op;

/// Keys of one tree that commits named since watchers were told; `true`: not by appending only.
pub(crate) type Keys = BTreeMap<Box<str>, bool>;

/// What was changed since watchers were told, by tree.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    trees: BTreeMap<Arc<str>, Keys>,
    /// Names of the transactions, where anybody wants to know them.
    names: BTreeMap<Arc<str>, Vec<String>>,
}

impl Touched {
    pub(crate) fn note(&mut self, tree: &Arc<str>, base: &str, ops: &[Op]) {
        if !self.trees.contains_key(tree) {
            self.trees.insert(tree.clone(), Keys::new());
        }
        let keys = self.trees.get_mut(tree).expect("inserted above");
        for op in ops {
            let set = !matches!(op.change, Change::Append(_));
            *keys.entry(key::join(base, &op.key).into()).or_default() |= set;
        }
    }
}

impl Kvs {
    /// Does anybody listen to events of namespaces?
    pub(crate) fn publishes(&self) -> bool {
        const PREFIX: &str = "kvs.namespace-";
        let hears = |prefix: &String| PREFIX.starts_with(prefix.as_str()) || prefix.starts_with(PREFIX);
        self.listeners.as_ref().is_none_or(|prefixes| prefixes.iter().any(hears))
    }

    fn listens(&self, topic: &str) -> bool {
        let hears = |prefix: &String| topic.starts_with(prefix.as_str());
        self.listeners.as_ref().is_none_or(|prefixes| prefixes.iter().any(hears))
    }

    fn publish(&self, cx: &mut Cx<'_>, space: &str, what: &str, payload: Value) {
        let topic = format!("kvs.namespace-{space}-{what}");
        if self.listens(&topic) {
            let owner = cx.node.owner;
            cx.publish_private(topic, payload, owner);
        }
    }

    /// A mutation was applied: namespaces that came or went are told at once, commits with the batch.
    pub(crate) fn announce(&mut self, cx: &mut Cx<'_>, mutation: &Mutation, undone: &Undone) {
        match (&mutation.item, undone) {
            (Item::Commit { tree, .. }, _) => {
                if let Some(name) = &mutation.name {
                    self.touched.names.entry(tree.clone()).or_default().push(name.clone());
                }
            }
            (Item::Create { name, owner, body, .. }, _) => {
                let digest = match body {
                    NewBody::Root(digest) => Some(*digest),
                    NewBody::Alias(_) if !self.publishes() => None,
                    NewBody::Alias(_) => self.root_of(name, &Gathered::new()).ok().map(|(digest, _)| digest),
                };
                let rootref = digest.map(|digest| digest.to_string());
                let payload = json!({
                    "namespace": **name, "rootseq": self.spaces.seq(name), "rootref": rootref, "owner": owner
                });
                self.publish(cx, name, "created", payload);
                self.watch_created(cx, name);
                self.tell_followers(cx, name);
            }
            (Item::Remove { name }, Undone::Remove { .. }) => {
                self.publish(cx, name, "removed", json!({"namespace": **name}));
                self.setroot_paused.remove(name);
                self.watch_removed(cx, name);
                self.tell_followers(cx, name);
                self.wake_versions(cx);
            }
            _ => {}
        }
    }

    pub(crate) fn publish_error(&mut self, cx: &mut Cx<'_>, mutation: &Mutation, errno: Errno) {
        let Item::Commit { tree, .. } = &mutation.item else { return };
        let names: Vec<&String> = mutation.name.iter().collect();
        self.publish(cx, tree, "error", json!({"namespace": **tree, "names": names, "errnum": errno.0}));
    }

    /// The turn is over: tell what changed, log it, and see to the database.
    pub(crate) fn settle_all(&mut self, cx: &mut Cx<'_>) {
        if self.is_recovering() {
            return;
        }
        self.settle(cx);
        self.close_batch(cx);
        self.progress_store(cx);
    }

    /// Tells watchers, subscribers and waiting requests what changed. They see it before the disk does (ADR 2).
    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>) {
        if self.touched.trees.is_empty() {
            return;
        }
        let mut touched = std::mem::take(&mut self.touched);
        for (name, keys) in &touched.trees {
            if let Some(tree) = self.spaces.tree(name) {
                tree.seq_is_open = false;
            }
            if planted(Plant::WatchMissesCommit) && self.spaces.seq(name) % 8 == 7 {
                continue;
            }
            self.watch_touched(cx, name, keys);
            self.tell_touched(cx, name, keys);
        }
        self.follows.rolled_back = false;
        if self.publishes() {
            for (name, keys) in &touched.trees {
                let names = touched.names.remove(name).unwrap_or_default();
                self.publish_setroots(cx, name, keys, &names);
            }
        }
        self.wake_versions(cx);
    }

    fn publish_setroots(&mut self, cx: &mut Cx<'_>, tree: &Arc<str>, keys: &Keys, names: &[String]) {
        let mut spaces: BTreeMap<Arc<str>, Map<String, Value>> = BTreeMap::new();
        for key in keys.keys() {
            spaces.entry(tree.clone()).or_default().insert(key.to_string(), Value::Null);
            if **tree == *PRIMARY {
                for (alias, rest) in self.spaces.aliases_above(key) {
                    spaces.entry(alias.clone()).or_default().insert(rest.to_owned(), Value::Null);
                }
            }
        }
        for (space, keys) in spaces {
            if !self.setroot_paused.contains(&space) {
                self.publish_setroot(cx, &space, keys, names);
            }
        }
    }

    fn publish_setroot(&mut self, cx: &mut Cx<'_>, space: &Arc<str>, keys: Map<String, Value>, names: &[String]) {
        if !self.listens(&format!("kvs.namespace-{space}-setroot")) {
            return;
        }
        let Ok(owner) = self.spaces.get(space).map(|space| space.owner) else { return };
        let Ok((digest, seq)) = self.root_of(space, &Gathered::new()) else { return };
        let rootref = digest.to_string();
        let payload = json!({
            "namespace": **space, "rootseq": seq, "rootref": rootref, "names": names, "keys": keys, "owner": owner
        });
        self.publish(cx, space, "setroot", payload);
    }

    /// What was held back while the namespace was paused, in one event.
    pub(crate) fn publish_setroot_now(&mut self, cx: &mut Cx<'_>, space: &str) {
        self.publish_setroot(cx, &Arc::from(space), Map::new(), &[]);
    }

    /// The key as watchers of any namespace are filed: in its tree, from the root.
    pub(crate) fn absolute(&self, space: &str, key: &str) -> Option<(Arc<str>, Box<str>)> {
        let (tree, base) = self.spaces.place(space).ok()?;
        Some((tree, if key == ROOT { base.to_string().into() } else { key::join(&base, key).into() }))
    }
}
