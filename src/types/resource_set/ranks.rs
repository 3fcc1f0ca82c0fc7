//! Ranks and host names: who is called what.

use std::collections::BTreeMap;

use super::{ResourceError, ResourceSet};
use crate::hostlist::Hostlist;
use crate::idset::Idset;

impl ResourceSet {
    /// Gives the nodes, by rising rank, the names of the list.
    ///
    /// # Errors
    /// `HostCount` if there are not as many names as nodes.
    pub fn name_nodes(&mut self, hosts: &Hostlist) -> Result<(), ResourceError> {
        if hosts.count() != self.nodes.len() {
            return Err(ResourceError::HostCount { hosts: hosts.count(), nodes: self.nodes.len() });
        }
        for (node, name) in self.nodes.values_mut().zip(hosts.iter()) {
            node.host = Some(name.into());
        }
        Ok(())
    }

    /// The ranks of the hosts named; a name that several nodes have stands for all of them.
    ///
    /// # Errors
    /// `UnknownHosts` with all names that are not here.
    pub fn hosts_to_ranks(&self, hosts: &Hostlist) -> Result<Idset, ResourceError> {
        let mut by_name: BTreeMap<&str, Idset> = BTreeMap::new();
        for (rank, node) in self.iter() {
            if let Some(host) = node.host.as_deref() {
                by_name.entry(host).or_default().insert(rank);
            }
        }
        let (mut out, mut unknown) = (Idset::new(), Hostlist::new());
        for name in hosts.iter() {
            match by_name.get(name.as_str()) {
                Some(ranks) => out.extend_from(ranks),
                None => drop(unknown.push(&name)),
            }
        }
        if unknown.is_empty() { Ok(out) } else { Err(ResourceError::UnknownHosts { hosts: unknown.encode() }) }
    }

    /// Renumbers ranks from 0, in order, and each node's children but GPUs: an instance's own view of what its
    /// parent gave it.
    pub fn remap(&mut self) {
        let old: Vec<u32> = self.nodes.keys().copied().collect();
        self.renumber(&old);
        self.nodes.values_mut().for_each(super::Node::remap);
    }

    /// Gives the nodes the ranks of their places in the list. The list must name every node once.
    ///
    /// # Errors
    /// `TooManyHosts`, `TooFewHosts` or `HostNotFound`; then nothing has changed.
    pub fn rerank(&mut self, hosts: &Hostlist) -> Result<(), ResourceError> {
        let (count, nodes) = (hosts.count(), self.nodes.len());
        if count > nodes {
            return Err(ResourceError::TooManyHosts { hosts: count, nodes });
        }
        if count < nodes {
            return Err(ResourceError::TooFewHosts { hosts: count, nodes });
        }
        // Of nodes with one name, as several brokers on a host make them, the lowest rank goes first.
        let mut by_name: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (rank, node) in self.iter().rev() {
            by_name.entry(node.host.as_deref().unwrap_or_default()).or_default().push(rank);
        }
        let mut old = Vec::with_capacity(nodes);
        for host in hosts.iter() {
            let rank = by_name.get_mut(host.as_str()).and_then(Vec::pop);
            old.push(rank.ok_or(ResourceError::HostNotFound { host })?);
        }
        self.renumber(&old);
        Ok(())
    }

    /// The node whose rank was `old[n]` becomes rank `n`; `old` names every node once.
    fn renumber(&mut self, old: &[u32]) {
        let places: BTreeMap<u32, u32> = old.iter().zip(0..).map(|(rank, place)| (*rank, place)).collect();
        assert_eq!(places.len(), self.nodes.len(), "a renumbering names every node once");
        let nodes = std::mem::take(&mut self.nodes);
        self.nodes = nodes.into_iter().map(|(rank, node)| (places[&rank], node)).collect();
        for ranks in self.properties.values_mut() {
            let mut moved: Vec<u32> = ranks.iter().map(|rank| places[&rank]).collect();
            moved.sort_unstable();
            *ranks = Idset::new();
            moved.into_iter().for_each(|rank| {
                ranks.insert(rank);
            });
        }
    }
}
