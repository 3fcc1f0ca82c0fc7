//! Set algebra.

use super::{Node, ResourceError, ResourceSet};
use crate::constraint::Constraint;
use crate::hostlist::Hostlist;
use crate::idset::Idset;

impl ResourceSet {
    /// Adds all of `other`, none of which may be here yet. Properties come along; the scheduler's part does if this
    /// set has none.
    ///
    /// # Errors
    /// `Overlap` or `TooManyRanks`; then nothing has changed.
    pub fn append(&mut self, other: &ResourceSet) -> Result<(), ResourceError> {
        for (rank, node) in other.iter() {
            if let Some(present) = self.get(rank) {
                let overlap = present.intersect(node);
                if !overlap.is_empty() {
                    return Err(ResourceError::Overlap { rank, ids: overlap.dumps() });
                }
            }
        }
        let max = crate::limits::RESOURCE_RANKS_MAX;
        if self.nnodes() + other.iter().filter(|(rank, _)| !self.nodes.contains_key(rank)).count() > max {
            return Err(ResourceError::TooManyRanks { max });
        }
        self.merge(other);
        Ok(())
    }

    /// Adds what of `other` is not here yet.
    ///
    /// # Errors
    /// `TooManyRanks`; then nothing has changed.
    pub fn add(&mut self, other: &ResourceSet) -> Result<(), ResourceError> {
        self.append(&other.diff(self))
    }

    /// Adds all of `other`, there or not.
    fn merge(&mut self, other: &ResourceSet) {
        for (rank, node) in &other.nodes {
            self.nodes.entry(*rank).or_default().merge(node);
        }
        for (name, ranks) in &other.properties {
            match self.properties.get_mut(name) {
                Some(present) => present.extend_from(ranks),
                None => drop(self.properties.insert(name.clone(), ranks.clone())),
            }
        }
        if self.scheduling.is_none() {
            self.scheduling.clone_from(&other.scheduling);
        }
    }

    /// What is in either set. Where both name a rank, this set's host name and scheduler's part win.
    ///
    /// # Errors
    /// `TooManyRanks`.
    pub fn union(&self, other: &ResourceSet) -> Result<ResourceSet, ResourceError> {
        let mut out = self.derive(self.nodes.iter().map(|(rank, node)| (*rank, node.clone())));
        out.add(other)?;
        Ok(out)
    }

    /// What is here but not in `other`.
    pub fn diff(&self, other: &ResourceSet) -> ResourceSet {
        self.derive(self.nodes.iter().map(|(rank, node)| match other.nodes.get(rank) {
            Some(theirs) => (*rank, node.subtract(theirs)),
            None => (*rank, node.clone()),
        }))
    }

    /// What is in both sets, without properties. Nodes of one rank but two host names have nothing in common.
    pub fn intersect(&self, other: &ResourceSet) -> ResourceSet {
        let mut out = self.derive(self.nodes.iter().filter_map(|(rank, node)| {
            let theirs = other.nodes.get(rank)?;
            let same = node.host.is_none() || theirs.host.is_none() || node.host == theirs.host;
            same.then(|| (*rank, node.intersect(theirs)))
        }));
        out.properties.clear();
        out
    }

    /// The nodes with these ranks; ranks that are not here are left out.
    pub fn copy_ranks(&self, ranks: &Idset) -> ResourceSet {
        let here = ranks.intersect(&self.ranks());
        self.derive(here.iter().filter_map(|rank| Some((rank, self.nodes.get(&rank)?.clone()))))
    }

    /// The nodes that satisfy a constraint.
    pub fn copy_constraint(&self, constraint: &Constraint) -> ResourceSet {
        self.copy_ranks(&self.matching(constraint))
    }

    /// The nodes whose host is in the list.
    ///
    /// # Errors
    /// `UnknownHosts` if a name of the list is not here.
    pub fn copy_hosts(&self, hosts: &Hostlist) -> Result<ResourceSet, ResourceError> {
        Ok(self.copy_ranks(&self.hosts_to_ranks(hosts)?))
    }

    /// The ranks that satisfy a constraint.
    pub fn matching(&self, constraint: &Constraint) -> Idset {
        let mut out = Idset::new();
        for rank in self.nodes.keys() {
            if self.subject(*rank).is_some_and(|subject| constraint.matches(&subject)) {
                out.insert(*rank);
            }
        }
        out
    }

    /// Takes out the nodes with these ranks; says how many there were.
    pub fn remove_ranks(&mut self, ranks: &Idset) -> usize {
        let before = self.nodes.len();
        if ranks.count() < before {
            ranks.iter().for_each(|rank| drop(self.nodes.remove(&rank)));
        } else {
            self.nodes.retain(|rank, _| !ranks.contains(*rank));
        }
        self.trim_properties();
        before - self.nodes.len()
    }

    /// A set of `nodes`, with what this set's properties say of them, and its scheduler's part unless it is empty.
    fn derive(&self, nodes: impl Iterator<Item = (u32, Node)>) -> ResourceSet {
        let mut out = ResourceSet {
            nodes: nodes.filter(|(_, node)| !node.is_empty()).collect(),
            properties: self.properties.clone(),
            ..ResourceSet::default()
        };
        out.trim_properties();
        if !out.is_empty() {
            out.scheduling.clone_from(&self.scheduling);
        }
        out
    }
}
