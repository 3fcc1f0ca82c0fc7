//! Resource sets, *R* (RFC 20 version 1): which cores and GPUs of which nodes.
//!
//! A set is a table of nodes by rank. Every operation keeps two rules: no node is empty, and properties name only
//! ranks that are there. Sets made from others (`diff`, `copy_ranks`, ...) carry no times and no slot count, as in
//! flux-core: those belong to an allocation, and whoever makes one sets them.

mod error;
mod json;
mod node;
mod ops;
mod ranks;
mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::constraint::Subject;
use crate::hostlist::Hostlist;
use crate::idset::{Idset, IdsetFormat};
use crate::limits::{RESOURCE_PROPERTIES_MAX, RESOURCE_RANKS_MAX};

pub use error::ResourceError;
pub use node::Node;
pub use verify::{Verdict, VerifyConfig, VerifyMode};

/// A set of resources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceSet {
    nodes: BTreeMap<u32, Node>,
    properties: BTreeMap<String, Idset>,
    /// Slots of an allocation; absent from inventories.
    pub nslots: Option<u32>,
    /// Seconds since the epoch; 0 is unset.
    pub starttime: f64,
    /// Seconds since the epoch; 0 is unset.
    pub expiration: f64,
    /// The scheduler's own part: carried along, never read.
    pub scheduling: Option<Arc<Value>>,
}

impl ResourceSet {
    /// The empty set.
    pub fn new() -> ResourceSet {
        ResourceSet::default()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds a node, or adds to the node that has this rank. An empty node adds nothing.
    ///
    /// # Errors
    /// `Overlap` if some of it is there already; `TooManyRanks`.
    pub fn insert(&mut self, rank: u32, node: Node) -> Result<(), ResourceError> {
        if node.is_empty() {
            return Ok(());
        }
        if let Some(present) = self.nodes.get_mut(&rank) {
            return present.absorb(node).map_err(|ids| ResourceError::Overlap { rank, ids });
        }
        if self.nodes.len() >= RESOURCE_RANKS_MAX {
            return Err(ResourceError::TooManyRanks { max: RESOURCE_RANKS_MAX });
        }
        self.nodes.insert(rank, node);
        Ok(())
    }

    pub fn get(&self, rank: u32) -> Option<&Node> {
        self.nodes.get(&rank)
    }

    /// The nodes by ascending rank.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, &Node)> + ExactSizeIterator {
        self.nodes.iter().map(|(rank, node)| (*rank, node))
    }

    pub fn ranks(&self) -> Idset {
        let mut ranks = Idset::new();
        self.nodes.keys().for_each(|rank| {
            ranks.insert(*rank);
        });
        ranks
    }

    /// The host names by ascending rank; `None` if a node has no name.
    pub fn nodelist(&self) -> Option<Hostlist> {
        let mut hosts = Hostlist::new();
        for node in self.nodes.values() {
            hosts.push(node.host.as_deref()?).ok()?;
        }
        Some(hosts)
    }

    pub fn nnodes(&self) -> usize {
        self.nodes.len()
    }
    pub fn ncores(&self) -> usize {
        self.nodes.values().map(|node| node.cores.count()).sum()
    }
    pub fn ngpus(&self) -> usize {
        self.nodes.values().map(|node| node.gpus.count()).sum()
    }

    /// How many of a type there are: `node` (or `rank`), `core`, `gpu`, or another child type.
    pub fn count(&self, kind: &str) -> usize {
        match kind {
            "node" | "rank" | "ranks" => self.nnodes(),
            _ => self.nodes.values().filter_map(|node| node.child(kind)).map(Idset::count).sum(),
        }
    }

    /// Property names and the ranks that have them, by name.
    pub fn properties(&self) -> &BTreeMap<String, Idset> {
        &self.properties
    }

    pub fn has_property(&self, rank: u32, name: &str) -> bool {
        self.properties.get(name).is_some_and(|ranks| ranks.contains(rank))
    }

    /// Gives `ranks` the property `name`; giving it twice is fine.
    ///
    /// # Errors
    /// `BadProperty` for a name RFC 20 forbids, `UnknownRanks` if a rank is not in the set; then nothing changes.
    pub fn set_property(&mut self, name: &str, ranks: &Idset) -> Result<(), ResourceError> {
        json::check_property(name)?;
        let unknown = ranks.subtract(&self.ranks());
        if !unknown.is_empty() {
            return Err(ResourceError::UnknownRanks { ranks: unknown });
        }
        if ranks.is_empty() {
            return Ok(());
        }
        if !self.properties.contains_key(name) && self.properties.len() >= RESOURCE_PROPERTIES_MAX {
            return Err(ResourceError::TooManyProperties { max: RESOURCE_PROPERTIES_MAX });
        }
        self.properties.entry(name.to_owned()).or_default().extend_from(ranks);
        Ok(())
    }

    /// Takes the property `name` from `ranks`.
    pub fn clear_property(&mut self, name: &str, ranks: &Idset) {
        if let Some(present) = self.properties.get_mut(name) {
            present.remove_all(ranks);
            if present.is_empty() {
                self.properties.remove(name);
            }
        }
    }

    /// Drops instance-local properties, those with a leading `+`: RFC 20 keeps them out of what jobs are given.
    pub fn drop_local_properties(&mut self) {
        self.properties.retain(|name, _| !name.starts_with('+'));
    }

    /// The short form for people: `rank[0-3]/core[0-7],gpu[0-1] rank4/core0`.
    pub fn dumps(&self) -> String {
        let groups = self.folded().into_iter();
        let text = |(ranks, node): (Idset, &Node)| {
            format!("rank{}/{}", ranks.encode(IdsetFormat::RANGE_BRACKETS), node.dumps())
        };
        groups.map(text).collect::<Vec<_>>().join(" ")
    }

    /// Ranks whose nodes have equal children, in the order of each group's first rank.
    fn folded(&self) -> Vec<(Idset, &Node)> {
        let mut groups: Vec<(Idset, &Node)> = Vec::new();
        let mut by_children: BTreeMap<String, usize> = BTreeMap::new();
        let mut last = 0;
        for (rank, node) in &self.nodes {
            // Most machines are uniform: look at the last node's group before encoding anything.
            let same = groups.get(last).is_some_and(|(_, first)| first.same_children(node));
            let at = if same { last } else { *by_children.entry(node.dumps()).or_insert(groups.len()) };
            match groups.get_mut(at) {
                Some((ranks, _)) => {
                    ranks.insert(*rank);
                }
                None => groups.push((Idset::range(*rank, *rank), node)),
            }
            last = at;
        }
        groups
    }

    /// One node as a constraint sees it.
    pub fn subject(&self, rank: u32) -> Option<NodeView<'_>> {
        Some(NodeView { rank, node: self.nodes.get(&rank)?, set: self })
    }
}

/// One node of a set, for [`crate::constraint::Constraint::matches`].
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'a> {
    pub rank: u32,
    pub node: &'a Node,
    set: &'a ResourceSet,
}

impl Subject for NodeView<'_> {
    fn rank(&self) -> u32 {
        self.rank
    }
    fn hostname(&self) -> Option<&str> {
        self.node.host.as_deref()
    }
    fn has_property(&self, name: &str) -> bool {
        self.set.has_property(self.rank, name)
    }
}

#[cfg(test)]
mod tests;
