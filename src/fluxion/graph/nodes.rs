//! Nodes by name and by property: what constraints ask for (RFC 31).

use super::{EdgeId, Graph, VertexId};
use crate::intern::{Subsystem, TypeId};
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// Made when a constraint first asks, and dropped when nodes or properties change.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeIndex {
    pub(crate) by_name: IndexMap<Box<str>, Vec<VertexId>>,
    pub(crate) by_property: BTreeMap<String, Vec<VertexId>>,
}

/// The few nodes a constraint may allow.
#[derive(Clone, Debug)]
pub(crate) struct Near {
    pub(crate) nodes: Vec<VertexId>,
    edges: BTreeMap<VertexId, Vec<EdgeId>>,
}

impl Near {
    /// Edges from `parent` to such nodes, and to what is above them.
    pub(crate) fn edges(&self, parent: VertexId) -> &[EdgeId] {
        self.edges.get(&parent).map_or(&[], Vec::as_slice)
    }
}

/// Looking at a part of the nodes pays if it is smaller than all by this factor.
const NEAR_FACTOR: usize = 4;

impl Graph {
    fn constrained_nodes(&self) -> impl Iterator<Item = VertexId> + '_ {
        [TypeId::NODE, TypeId::STORAGE_NODE].into_iter().flat_map(|kind| self.of_type(kind)).copied()
    }

    /// Lends the index of nodes; `put_node_index` gives it back.
    pub(crate) fn take_node_index(&mut self) -> Box<NodeIndex> {
        self.node_index.take().unwrap_or_else(|| {
            let mut index = NodeIndex::default();
            for at in self.constrained_nodes() {
                let vertex = self.vertex(at);
                index.by_name.entry(vertex.name.clone()).or_default().push(at);
                for (key, _) in vertex.properties() {
                    index.by_property.entry(key.to_string()).or_default().push(at);
                }
            }
            Box::new(index)
        })
    }

    pub(crate) fn put_node_index(&mut self, index: Box<NodeIndex>) {
        self.node_index = Some(index);
    }

    /// Sets a property of a vertex.
    pub fn set_property(&mut self, at: VertexId, key: &str, value: &str) {
        self.vertex_mut(at).set_property(key, value);
        self.node_index = None;
        self.clear_rankings();
        self.is_scored = false;
    }

    /// True if the property was there.
    pub fn remove_property(&mut self, at: VertexId, key: &str) -> bool {
        self.node_index = None;
        self.is_scored = false;
        self.clear_rankings();
        self.vertex_mut(at).remove_property(key)
    }

    /// A way to look at these nodes only; `None` if they are so many that it does not pay.
    pub(crate) fn near(&self, mut nodes: Vec<VertexId>, subsystem: Subsystem) -> Option<Near> {
        nodes.sort_unstable();
        nodes.dedup();
        if nodes.len().saturating_mul(NEAR_FACTOR) > self.of_type(TypeId::NODE).len() {
            return None;
        }
        let mut edges: BTreeMap<VertexId, Vec<EdgeId>> = BTreeMap::new();
        for node in &nodes {
            let mut at = *node;
            while let Some(edge) = self.parent_edge(at, subsystem) {
                at = self.edge(edge).source;
                let list = edges.entry(at).or_default();
                // The way on from here is known if something else came by it.
                let is_known = !list.is_empty();
                if list.last() != Some(&edge) {
                    list.push(edge);
                }
                if is_known {
                    break;
                }
            }
        }
        for list in edges.values_mut() {
            list.sort_unstable();
            list.dedup();
        }
        Some(Near { nodes, edges })
    }
}
