//! Counting what exists below every vertex.

use super::{Edge, Graph, PruneTypes, VertexId};
use crate::error::GraphError;
use crate::intern::{Subsystem, TypeId};
use crate::limits::GRAPH_DEPTH_MAX;
use crate::planner::Multi;

/// Amounts by type; few enough for a list.
pub(super) type Amounts = Vec<(TypeId, i64)>;

/// Adds to one entry of a list of amounts.
pub(super) fn add_amount(amounts: &mut Amounts, kind: TypeId, by: i64) {
    match amounts.iter_mut().find(|(of, _)| *of == kind) {
        Some(entry) => entry.1 = entry.1.saturating_add(by),
        None => amounts.push((kind, by)),
    }
}

impl Graph {
    /// Counts the subtree of every vertex in a subsystem and installs the counts as pruning filters. Types of leaves
    /// that no filter names are counted at clusters. Use that is already planned stays.
    ///
    /// # Errors
    /// `Missing` if the subsystem has no root, `TooDeep` if it nests too deeply or is no tree.
    pub fn prime(&mut self, subsystem: Subsystem, prune: &mut PruneTypes) -> Result<(), GraphError> {
        let Some(root) = self.root(subsystem) else {
            return Err(GraphError::Missing(format!(
                "the graph has no subsystem {}",
                self.names.subsystem_name(subsystem)
            )));
        };
        self.begin_marks();
        self.kinds_above_nodes.clear();
        let mut total = Amounts::new();
        self.prime_below(subsystem, prune, root, 1, &mut total)?;
        let is_lost = |edge: &Edge| edge.subsystem == subsystem && !self.marks.is_seen(edge.source);
        match self.edges().find(|(_, edge)| is_lost(edge)) {
            None => Ok(()),
            Some((_, edge)) => {
                let name = &self.vertex(edge.source).name;
                Err(GraphError::Malformed(format!("{name} cannot be come to from the root of its subsystem")))
            }
        }
    }

    fn prime_below(
        &mut self,
        subsystem: Subsystem,
        prune: &mut PruneTypes,
        at: VertexId,
        depth: usize,
        up: &mut Amounts,
    ) -> Result<(), GraphError> {
        if depth > GRAPH_DEPTH_MAX {
            return Err(GraphError::TooDeep);
        }
        self.marks.see(at);
        let (kind, size) = (self.vertex(at).kind, i64::from(self.vertex(at).size));
        if prune.has(kind) {
            add_amount(up, kind, size);
        }
        if self.vertex(at).out.is_empty() {
            if !prune.has(kind) {
                prune.add(Some(TypeId::CLUSTER), kind);
                add_amount(up, kind, size);
            }
            return Ok(());
        }
        let mut below = Amounts::new();
        let mut leads_to_nodes = true;
        for index in 0..self.vertex(at).out.len() {
            let id = self.vertex(at).out[index];
            let edge = self.edge(id);
            if edge.subsystem == subsystem && !self.marks.is_seen(edge.target) {
                // The first way to a vertex is the one all walks take.
                let into = &mut self.vertex_mut(edge.target).into;
                if let Some(place) = into.iter().position(|other| *other == id) {
                    into[..=place].rotate_right(1);
                }
                self.prime_below(subsystem, prune, edge.target, depth + 1, &mut below)?;
            }
            leads_to_nodes &= edge.subsystem == subsystem && self.vertex(edge.target).leads_to_nodes;
        }
        self.vertex_mut(at).leads_to_nodes = leads_to_nodes || kind == TypeId::NODE;
        if self.vertex(at).is_above_nodes() && !self.kinds_above_nodes.contains(&kind) {
            self.kinds_above_nodes.push(kind);
        }
        for (kind, amount) in &below {
            if prune.has(*kind) {
                add_amount(up, *kind, *amount);
            }
        }
        let count = |kind: TypeId| below.iter().find(|(of, _)| *of == kind).map_or(0, |(_, amount)| *amount);
        let counted: Vec<(TypeId, i64)> = prune.counted_at(kind).into_iter().map(|kind| (kind, count(kind))).collect();
        if !counted.is_empty() {
            match &mut self.vertex_mut(at).below {
                Some(multi) => multi.set_totals(counted),
                none => *none = Some(Box::new(Multi::new(counted))),
            }
        }
        Ok(())
    }
}
