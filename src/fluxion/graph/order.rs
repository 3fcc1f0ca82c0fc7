//! The order in which a search that stops early looks at the children of a vertex: fullest hands first.

use super::{EdgeId, Graph, VertexId};
use crate::matcher::MatchPolicy;
use std::cmp::Reverse;

/// Out edges by falling weight, then falling number of the target. An edge that was never chosen weighs most.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    weights: Vec<u64>,
    /// By vertex; empty until first asked for.
    lists: Vec<Vec<EdgeId>>,
}

/// The weight of an edge nothing was ever taken from.
const UNTOUCHED: u64 = u64::MAX;

impl Orders {
    pub(super) fn forget(&mut self, at: VertexId) {
        if let Some(list) = self.lists.get_mut(at.0 as usize) {
            *list = Vec::new();
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.lists.clear();
    }

    fn weight(&self, at: EdgeId) -> u64 {
        self.weights.get(at.0 as usize).copied().unwrap_or(UNTOUCHED)
    }
}

impl Graph {
    fn order_key(&self, at: EdgeId) -> (Reverse<u64>, Reverse<i64>) {
        (Reverse(self.orders.weight(at)), Reverse(self.vertex(self.edge(at).target).uniq_id))
    }

    /// Lends the out edges of a vertex in their order; `put_order` gives them back.
    pub fn take_order(&mut self, at: VertexId) -> Vec<EdgeId> {
        if self.orders.lists.len() < self.vertices.len() {
            self.orders.lists.resize(self.vertices.len(), Vec::new());
        }
        let list = std::mem::take(&mut self.orders.lists[at.0 as usize]);
        if list.len() == self.vertex(at).out.len() {
            return list;
        }
        let mut list = self.vertex(at).out.clone();
        list.sort_by_key(|edge| self.order_key(*edge));
        list
    }

    /// Some out edges of one vertex in their order.
    pub(crate) fn ordered(&self, edges: &[EdgeId]) -> Vec<EdgeId> {
        let mut list = edges.to_vec();
        list.sort_by_key(|edge| self.order_key(*edge));
        list
    }

    /// Lends the out edges of a vertex in the order a policy prefers their targets.
    pub(crate) fn take_preference(&mut self, at: VertexId, policy: &MatchPolicy) -> Vec<EdgeId> {
        if self.orders.lists.len() < self.vertices.len() {
            self.orders.lists.resize(self.vertices.len(), Vec::new());
        }
        let list = std::mem::take(&mut self.orders.lists[at.0 as usize]);
        if list.len() == self.vertex(at).out.len() {
            return list;
        }
        let mut list = self.vertex(at).out.clone();
        let score = |edge: &EdgeId| policy.score(self.vertex(self.edge(*edge).target), 0);
        list.sort_by(|a, b| policy.compare(score(a), score(b)));
        list
    }

    /// Some out edges of one vertex in the order a policy prefers their targets.
    pub(crate) fn preferred(&self, edges: &[EdgeId], policy: &MatchPolicy) -> Vec<EdgeId> {
        let mut list = edges.to_vec();
        let score = |edge: &EdgeId| policy.score(self.vertex(self.edge(*edge).target), 0);
        list.sort_by(|a, b| policy.compare(score(a), score(b)));
        list
    }

    pub(crate) fn put_order(&mut self, at: VertexId, list: Vec<EdgeId>) {
        self.orders.lists[at.0 as usize] = list;
    }

    /// Moves an edge to where its new weight belongs.
    pub fn set_weight(&mut self, at: EdgeId, weight: u64) {
        let source = self.edge(at).source;
        let mut list = self.take_order(source);
        let old = self.order_key(at);
        let from = list.partition_point(|edge| self.order_key(*edge) < old);
        let from =
            (from..list.len()).find(|index| list[*index] == at).expect("an out edge is in the order of its source");
        if self.orders.weights.len() < self.edges.len() {
            self.orders.weights.resize(self.edges.len(), UNTOUCHED);
        }
        self.orders.weights[at.0 as usize] = weight;
        let new = self.order_key(at);
        // The list without `at` is sorted: find the place by halves, then turn the stretch between by one.
        if new < old {
            let to = list[..from].partition_point(|edge| self.order_key(*edge) < new);
            list[to..=from].rotate_right(1);
        } else {
            let to = from + list[from + 1..].partition_point(|edge| self.order_key(*edge) < new);
            list[from..=to].rotate_left(1);
        }
        self.put_order(source, list);
    }
}
