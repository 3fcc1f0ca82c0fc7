//! Dense storage and the indices over it.

use super::vertex::{Status, Vertex};
use super::{Marks, holders::Holders, nodes::NodeIndex, order::Orders, rank::Ranking, runs::RunIndex};
use crate::intern::{Names, Subsystem, TypeId};
use std::collections::{BTreeMap, BTreeSet};

/// Index of a vertex. Indices of removed vertices are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VertexId(pub u32);

/// Index of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EdgeId(pub u32);

/// A relation of two vertices in one subsystem.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    pub source: VertexId,
    pub target: VertexId,
    pub subsystem: Subsystem,
}

/// Vertices, edges and their indices.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    pub names: Names,
    pub(super) vertices: Vec<Vertex>,
    pub(super) edges: Vec<Edge>,
    pub(super) roots: BTreeMap<Subsystem, VertexId>,
    pub(super) by_type: BTreeMap<TypeId, Vec<VertexId>>,
    pub(super) by_rank: BTreeMap<i32, Vec<VertexId>>,
    /// All (path, vertex), sorted; made when a path is first looked for and dropped when the graph changes.
    pub(super) by_path: Option<Vec<(Subsystem, VertexId)>>,
    /// Nodes that are up: what can be scheduled at all.
    pub nodes_up: i64,
    pub marks: Marks,
    pub orders: Orders,
    pub(super) rankings: Vec<Ranking>,
    pub(super) holders: Vec<Holders>,
    pub(super) runs: Vec<RunIndex>,
    /// Vertices of which more was planned than there is, since a job was given longer than a reservation expected.
    pub(super) overbooked: BTreeSet<VertexId>,
    /// All vertices have the score that a match policy in Lua makes of them.
    pub(crate) is_scored: bool,
    /// Types of vertices that nothing but nodes is below.
    pub(crate) kinds_above_nodes: Vec<TypeId>,
    pub(super) node_index: Option<Box<NodeIndex>>,
}

impl Graph {
    pub fn vertex(&self, at: VertexId) -> &Vertex {
        &self.vertices[at.0 as usize]
    }

    pub fn vertex_mut(&mut self, at: VertexId) -> &mut Vertex {
        &mut self.vertices[at.0 as usize]
    }

    pub fn edge(&self, at: EdgeId) -> Edge {
        self.edges[at.0 as usize]
    }

    pub fn vertex_count(&self) -> usize {
        self.vertices.len()
    }

    pub fn edge_count(&self) -> usize {
        self.edges.len()
    }

    /// Every vertex that is still part of the graph, in the order of its making.
    pub fn vertex_ids(&self) -> impl Iterator<Item = VertexId> + use<'_> {
        (0..self.vertices.len() as u32).map(VertexId).filter(|at| !self.vertex(*at).is_removed)
    }

    pub fn edges(&self) -> impl Iterator<Item = (EdgeId, Edge)> + use<'_> {
        let ids = (0..self.edges.len() as u32).map(EdgeId);
        ids.zip(self.edges.iter().copied())
            .filter(|(_, edge)| !self.vertex(edge.source).is_removed && !self.vertex(edge.target).is_removed)
    }

    pub fn out_edges(&self, at: VertexId) -> &[EdgeId] {
        &self.vertex(at).out
    }

    pub fn root(&self, subsystem: Subsystem) -> Option<VertexId> {
        self.roots.get(&subsystem).copied()
    }

    /// The edge into `at` in a subsystem; a vertex has at most one parent there.
    pub fn parent_edge(&self, at: VertexId, subsystem: Subsystem) -> Option<EdgeId> {
        self.vertex(at).into.iter().copied().find(|edge| self.edge(*edge).subsystem == subsystem)
    }

    /// Whether an edge is the one a walk down its subsystem follows: every vertex is come to from one parent.
    pub fn is_tree_edge(&self, at: EdgeId) -> bool {
        let edge = self.edge(at);
        self.parent_edge(edge.target, edge.subsystem) == Some(at)
    }

    /// The children of a vertex in a subsystem, with the edges to them.
    pub fn children(&self, at: VertexId, subsystem: Subsystem) -> impl Iterator<Item = (EdgeId, VertexId)> + '_ {
        let edges = self.out_edges(at).iter().copied().map(|id| (id, self.edge(id)));
        let edges = edges.filter(move |(id, edge)| edge.subsystem == subsystem && self.is_tree_edge(*id));
        edges.map(|(id, edge)| (id, edge.target))
    }

    pub fn parent(&self, at: VertexId, subsystem: Subsystem) -> Option<VertexId> {
        self.parent_edge(at, subsystem).map(|edge| self.edge(edge).source)
    }

    pub fn of_type(&self, kind: TypeId) -> &[VertexId] {
        self.by_type.get(&kind).map_or(&[], Vec::as_slice)
    }

    pub fn of_rank(&self, rank: i32) -> &[VertexId] {
        self.by_rank.get(&rank).map_or(&[], Vec::as_slice)
    }

    /// Ranks that own something.
    pub fn ranks(&self) -> impl Iterator<Item = i32> + use<'_> {
        self.by_rank.iter().filter(|(rank, owned)| **rank >= 0 && !owned.is_empty()).map(|(rank, _)| *rank)
    }

    /// The topmost vertex of a rank: the one with the shortest path.
    pub fn rank_root(&self, rank: i32) -> Option<VertexId> {
        let length = |at: &VertexId| self.vertex(*at).path(Subsystem::CONTAINMENT).map_or(usize::MAX, str::len);
        self.of_rank(rank).iter().copied().min_by_key(length)
    }

    /// The vertices at a path, in whichever subsystem, oldest first.
    pub fn at_path(&mut self, path: &str) -> Vec<VertexId> {
        let mut index = self.by_path.take().unwrap_or_else(|| self.index_paths());
        let key = |(subsystem, at): &(Subsystem, VertexId)| self.vertex(*at).path(*subsystem).unwrap_or("");
        let from = index.partition_point(|entry| key(entry) < path);
        let mut found: Vec<VertexId> =
            index[from..].iter().take_while(|entry| key(entry) == path).map(|(_, at)| *at).collect();
        found.sort_unstable();
        found.dedup();
        index.shrink_to_fit();
        self.by_path = Some(index);
        found
    }

    fn index_paths(&self) -> Vec<(Subsystem, VertexId)> {
        let mut index: Vec<(Subsystem, VertexId)> = self
            .vertex_ids()
            .flat_map(|at| self.vertex(at).paths().map(move |(subsystem, _)| (subsystem, at)))
            .collect();
        index.sort_by(|a, b| self.vertex(a.1).path(a.0).cmp(&self.vertex(b.1).path(b.0)));
        index
    }

    /// Sets the status of a vertex. What is below an own that is down cannot be reached either. True if it changed.
    pub fn set_status(&mut self, at: VertexId, status: Status, subsystem: Subsystem) -> bool {
        if self.vertex(at).status == status {
            return false;
        }
        let before = self.count_nodes_up(at, subsystem);
        self.vertex_mut(at).status = status;
        self.note_runs(at);
        self.nodes_up += self.count_nodes_up(at, subsystem) - before;
        true
    }

    /// Nodes at and below `at` that can be reached.
    fn count_nodes_up(&self, at: VertexId, subsystem: Subsystem) -> i64 {
        let mut above = Some(at);
        while let Some(vertex) = above {
            if self.vertex(vertex).status == Status::Down {
                return 0;
            }
            above = self.parent(vertex, subsystem);
        }
        let (mut count, mut next) = (0, vec![at]);
        while let Some(from) = next.pop() {
            let vertex = self.vertex(from);
            if vertex.status == Status::Up {
                count += i64::from(vertex.kind == TypeId::NODE);
                next.extend(self.children(from, subsystem).map(|(_, child)| child));
            }
        }
        count
    }

    /// All vertices below `at` in a subsystem, and `at` itself first.
    pub fn subtree(&self, at: VertexId, subsystem: Subsystem) -> Vec<VertexId> {
        let mut found = vec![at];
        let mut next = 0;
        while next < found.len() {
            let from = found[next];
            next += 1;
            found.extend(self.children(from, subsystem).map(|(_, child)| child));
            assert!(found.len() <= self.vertices.len(), "a walk comes to every vertex once");
        }
        found
    }
}
