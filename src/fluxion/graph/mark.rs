//! What one match has chosen: marks on edges that are void as soon as the next match begins.

use super::{EdgeId, Graph, VertexId};
use crate::intern::{Subsystem, TypeId};

/// How much of the target of an edge is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub needs: u32,
    pub is_exclusive: bool,
}

/// Edge marks and vertex visits of the running match. The epoch makes clearing free.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    epoch: u64,
    edges: Vec<(u64, Mark)>,
    seen: Vec<u64>,
    /// Edges marked in this epoch, each once.
    marked: Vec<EdgeId>,
    /// The root has no edge into it.
    root: Option<Mark>,
}

impl Marks {
    /// Forgets everything.
    pub fn begin(&mut self, vertex_count: usize, edge_count: usize) {
        self.epoch += 1;
        self.edges.resize(edge_count, (0, Mark { needs: 0, is_exclusive: false }));
        self.seen.resize(vertex_count, 0);
        self.marked.clear();
        self.root = None;
    }

    pub fn set(&mut self, at: EdgeId, mark: Mark) {
        let slot = &mut self.edges[at.0 as usize];
        if slot.0 != self.epoch {
            self.marked.push(at);
        }
        *slot = (self.epoch, mark);
    }

    /// Takes a mark back; the edge stays in the list of marked ones, where nothing is read of it.
    pub fn unset(&mut self, at: EdgeId) {
        if let Some(slot) = self.edges.get_mut(at.0 as usize).filter(|slot| slot.0 == self.epoch) {
            slot.0 = 0;
        }
    }

    pub fn get(&self, at: EdgeId) -> Option<Mark> {
        self.edges.get(at.0 as usize).filter(|(epoch, _)| *epoch == self.epoch).map(|(_, mark)| *mark)
    }

    pub fn set_root(&mut self, mark: Mark) {
        self.root = Some(mark);
    }

    pub fn root(&self) -> Option<Mark> {
        self.root
    }

    pub fn see(&mut self, at: VertexId) {
        self.seen[at.0 as usize] = self.epoch;
    }

    pub fn forget(&mut self, at: VertexId) {
        self.seen[at.0 as usize] = 0;
    }

    pub fn is_seen(&self, at: VertexId) -> bool {
        self.seen.get(at.0 as usize).is_some_and(|epoch| *epoch == self.epoch)
    }

    /// The marked edges in the order of their sources and then of their making: what a walk down needs.
    pub fn by_source(&mut self, graph_edge: impl Fn(EdgeId) -> VertexId) -> Vec<(VertexId, EdgeId)> {
        let marked = self.marked.iter().filter(|edge| self.get(**edge).is_some());
        let mut list: Vec<(VertexId, EdgeId)> = marked.map(|edge| (graph_edge(*edge), *edge)).collect();
        list.sort_unstable();
        list.dedup();
        list
    }
}

impl Graph {
    /// Starts a new choice.
    pub fn begin_marks(&mut self) {
        let (vertices, edges) = (self.vertices.len(), self.edges.len());
        self.marks.begin(vertices, edges);
    }

    /// The marked out edges of all vertices, sorted by source.
    pub fn chosen_edges(&mut self) -> Vec<(VertexId, EdgeId)> {
        let edges = &self.edges;
        self.marks.by_source(|edge| edges[edge.0 as usize].source)
    }

    /// Marks the edges from `top` down to `bottom`, shared, as far as they are not marked yet. A type that `is_bound`
    /// is passed over.
    pub fn mark_way(
        &mut self,
        top: VertexId,
        bottom: VertexId,
        subsystem: Subsystem,
        is_bound: impl Fn(TypeId) -> bool,
    ) {
        let mut at = bottom;
        while at != top
            && let Some(edge) = self.parent_edge(at, subsystem)
            && self.marks.get(edge).is_none()
        {
            let (kind, size) = (self.vertex(at).kind, self.vertex(at).size);
            if !is_bound(kind) {
                self.marks.set(edge, Mark { needs: size, is_exclusive: false });
            }
            at = self.edge(edge).source;
        }
    }
}
