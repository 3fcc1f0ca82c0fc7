//! One node of a resource set.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::idset::{Idset, IdsetFormat};

/// What a set holds of one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub host: Option<Arc<str>>,
    /// Logical core ids.
    pub cores: Idset,
    /// Logical GPU ids.
    pub gpus: Idset,
    /// Child types RFC 20 does not know, kept for who does; never with an empty set.
    pub others: BTreeMap<String, Idset>,
}

impl Node {
    pub fn new(host: &str, cores: Idset, gpus: Idset) -> Node {
        Node { host: Some(host.into()), cores, gpus, others: BTreeMap::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.cores.is_empty() && self.gpus.is_empty() && self.others.values().all(Idset::is_empty)
    }

    /// The ids of one child type.
    pub fn child(&self, kind: &str) -> Option<&Idset> {
        match kind {
            "core" => Some(&self.cores),
            "gpu" => Some(&self.gpus),
            _ => self.others.get(kind),
        }
    }

    pub(super) fn child_mut(&mut self, kind: &str) -> &mut Idset {
        match kind {
            "core" => &mut self.cores,
            "gpu" => &mut self.gpus,
            _ => self.others.entry(kind.to_owned()).or_default(),
        }
    }

    /// Child types and ids, cores first, empty ones left out.
    pub fn children(&self) -> impl Iterator<Item = (&str, &Idset)> {
        let known = [("core", &self.cores), ("gpu", &self.gpus)];
        let others = self.others.iter().map(|(kind, ids)| (kind.as_str(), ids));
        known.into_iter().chain(others).filter(|(_, ids)| !ids.is_empty())
    }

    pub(super) fn same_children(&self, other: &Node) -> bool {
        self.cores == other.cores && self.gpus == other.gpus && self.others == other.others
    }

    /// `core[0-3],gpu0`
    pub(super) fn dumps(&self) -> String {
        let text = |(kind, ids): (&str, &Idset)| format!("{kind}{}", ids.encode(IdsetFormat::RANGE_BRACKETS));
        self.children().map(text).collect::<Vec<_>>().join(",")
    }

    /// Takes `more` in; if some of it is here already, changes nothing and says what.
    pub(super) fn absorb(&mut self, more: Node) -> Result<(), String> {
        let overlap = self.intersect(&more);
        if !overlap.is_empty() {
            return Err(overlap.dumps());
        }
        self.merge(&more);
        Ok(())
    }

    /// Adds all of `more`.
    pub(super) fn merge(&mut self, more: &Node) {
        for (kind, ids) in more.children() {
            self.child_mut(kind).extend_from(ids);
        }
        if self.host.is_none() {
            self.host = more.host.clone();
        }
    }

    /// What is in both; the host is this one's.
    pub(super) fn intersect(&self, other: &Node) -> Node {
        self.combine(other, Idset::intersect)
    }

    /// What is here but not in `other`.
    pub(super) fn subtract(&self, other: &Node) -> Node {
        self.combine(other, Idset::subtract)
    }

    fn combine(&self, other: &Node, op: fn(&Idset, &Idset) -> Idset) -> Node {
        let none = Idset::new();
        let others = self.others.iter().map(|(kind, ids)| {
            let theirs = other.others.get(kind).unwrap_or(&none);
            (kind.clone(), op(ids, theirs))
        });
        Node {
            host: self.host.clone(),
            cores: op(&self.cores, &other.cores),
            gpus: op(&self.gpus, &other.gpus),
            others: others.filter(|(_, ids)| !ids.is_empty()).collect(),
        }
    }

    /// Renumbers children from 0. GPUs keep their ids: the device order is not ours to change.
    pub(super) fn remap(&mut self) {
        for ids in std::iter::once(&mut self.cores).chain(self.others.values_mut()) {
            *ids = Idset::below(ids.count() as u32);
        }
    }
}
