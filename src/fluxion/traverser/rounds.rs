//! Requests that one walk cannot tell apart, side by side: two of one type, or a slot beside anything else. They are
//! looked for one after the other, and what one has taken no other gets (RFC 14).

use super::request::Request;
use super::score::{Group, Offers, Scores};
use super::select::Search;
use crate::graph::{EdgeId, Graph, Mark, VertexId};
use crate::intern::{Subsystem, TypeId};
use std::collections::{BTreeMap, BTreeSet};

/// Orders in which rounds are tried: all of four rounds, the first of more.
const ROUND_ORDER_COUNT_MAX: usize = 24;

/// What the rounds of one match have taken so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken {
    pub(super) vertices: BTreeSet<VertexId>,
    /// All above them.
    pub(super) above: BTreeSet<VertexId>,
    /// Some request is looked for in rounds: vertices may be visited more than once.
    pub(super) is_used: bool,
}

impl Taken {
    fn add(&mut self, graph: &Graph, at: VertexId, dominant: Subsystem) {
        self.vertices.insert(at);
        let mut at = at;
        while let Some(parent) = graph.parent(at, dominant)
            && self.above.insert(parent)
        {
            at = parent;
        }
    }

    pub(super) fn holds(&self, at: VertexId) -> bool {
        self.is_used && self.vertices.contains(&at)
    }

    pub(super) fn holds_below(&self, at: VertexId) -> bool {
        self.is_used && self.above.contains(&at)
    }
}

/// Divides requests into rounds; empty if one walk will do. `is_flexible`: slots side by side are alternatives.
pub(super) fn divide(list: &[Request], is_flexible: bool) -> Vec<Vec<Request>> {
    let is_slot = |request: &Request| request.kind == TypeId::SLOT;
    let mut rounds: Vec<Vec<Request>> = Vec::new();
    for request in list {
        let fits = |round: &&mut Vec<Request>| match is_slot(request) {
            true => is_flexible && round.iter().all(is_slot),
            false => !round.iter().any(|other| is_slot(other) || other.kind == request.kind),
        };
        match rounds.iter_mut().find(fits) {
            Some(round) => round.push(request.clone()),
            None => rounds.push(vec![request.clone()]),
        }
    }
    if rounds.len() <= 1 { Vec::new() } else { rounds }
}

/// The orders of `count` rounds, as given first.
pub(super) fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..count {
        let mut longer = Vec::new();
        for order in &all {
            for next in (0..count).filter(|next| !order.contains(next)) {
                longer.push(order.iter().copied().chain([next]).collect());
            }
        }
        longer.truncate(ROUND_ORDER_COUNT_MAX);
        all = longer;
    }
    // Cut short: the order from behind is worth a try.
    if count > 4
        && let Some(last) = all.last_mut()
    {
        *last = (0..count).rev().collect();
    }
    all
}

/// Where rounds are filled.
pub(super) enum Place {
    /// In the whole graph, from its root.
    Whole(VertexId),
    /// Below a vertex that matches, and whether that is taken exclusively.
    Below(VertexId, bool),
}

/// What stands in the marks of all rounds of the whole graph.
#[derive(Default)]
pub(super) struct Kept {
    edges: BTreeMap<EdgeId, Mark>,
    root: Option<Mark>,
    labels: Vec<(VertexId, String)>,
}

fn join(old: Mark, new: Mark) -> Mark {
    Mark { needs: old.needs.max(new.needs), is_exclusive: old.is_exclusive || new.is_exclusive }
}

impl Search<'_> {
    /// Marks what all rounds get together; false if one of them gets nothing however they share.
    pub(super) fn select_rounds(&mut self, root: VertexId, rounds: &[Vec<Request>]) -> bool {
        let Some(kept) = self.fill_rounds(&Place::Whole(root), rounds) else { return false };
        self.graph.begin_marks();
        for (edge, mark) in kept.edges {
            self.graph.marks.set(edge, mark);
        }
        if let Some(mark) = kept.root {
            self.graph.marks.set_root(mark);
        }
        self.labels = kept.labels;
        true
    }

    /// One round at a place; what it gets is noted as taken.
    pub(super) fn try_round(&mut self, place: &Place, round: &[Request], kept: &mut Kept) -> bool {
        match *place {
            Place::Whole(root) => {
                let is_found = self.select(root, round);
                if is_found {
                    self.keep_round(root, kept);
                }
                is_found
            }
            Place::Below(at, is_exclusive) => self.fill_round(at, round, is_exclusive),
        }
    }

    /// Remembers all that can be come to by marks from the root.
    fn keep_round(&mut self, root: VertexId, kept: &mut Kept) {
        let dominant = self.dominant();
        let chosen = self.graph.chosen_edges();
        let mut next = vec![root];
        while let Some(at) = next.pop() {
            let from = chosen.partition_point(|(source, _)| *source < at);
            for (_, edge) in chosen[from..].iter().take_while(|(source, _)| *source == at) {
                let Some(mark) = self.graph.marks.get(*edge) else { continue };
                let known = kept.edges.get(edge).map_or(mark, |old| join(*old, mark));
                kept.edges.insert(*edge, known);
                let edge = self.graph.edge(*edge);
                if edge.subsystem == dominant {
                    next.push(edge.target);
                }
            }
        }
        let mark = self.graph.marks.root();
        kept.root = kept.root.map_or(mark, |old| mark.map(|new| join(old, new)));
        kept.labels.append(&mut self.labels);
    }

    /// Notes what the chosen candidates are, so that no later round gets them.
    pub(super) fn note_taken(&mut self, scores: &Scores) {
        if !self.taken.is_used {
            return;
        }
        let dominant = self.dominant();
        for (_, _, candidates) in scores.entries().filter(|(subsystem, ..)| *subsystem == dominant) {
            for offer in candidates.groups[..candidates.chosen].iter().flat_map(|group| group.offers.as_slice()) {
                self.taken.add(self.graph, self.graph.edge(offer.edge).target, dominant);
            }
        }
    }

    /// Fills the requests below a vertex that matches, in rounds.
    pub(super) fn expand_rounds(
        &mut self,
        at: VertexId,
        rounds: &[Vec<Request>],
        is_exclusive: bool,
        here: &mut Scores,
    ) -> bool {
        let before = self.taken.clone();
        let is_filled = self.fill_rounds(&Place::Below(at, is_exclusive), rounds).is_some();
        here.is_bound |= is_filled;
        // Whether this vertex is chosen is not known yet; if it is, nobody comes here again.
        self.taken = before;
        is_filled
    }

    fn fill_round(&mut self, at: VertexId, round: &[Request], is_exclusive: bool) -> bool {
        let dominant = self.dominant();
        self.graph.forget_seen_below(at, dominant);
        let mut found = Scores::default();
        match self.slots_at(at, round) {
            Some((slots, count)) => self.fill_slots(at, slots, count, &mut found),
            None => self.expand(at, round, false, is_exclusive, &mut found),
        }
        for request in round {
            let count = request.count.best(found.qualified(dominant, request.kind));
            if count == 0 {
                return false;
            }
            found.choose(dominant, request.kind, count, self.equals, |a, b| self.policy.compare(a, b));
        }
        self.mark_chosen(&found, at);
        self.note_taken(&found);
        true
    }

    /// Makes slots that hold more than one request of one type, one slot after the other.
    pub(super) fn fill_slots_in_rounds(
        &mut self,
        at: VertexId,
        rounds: &[Vec<Request>],
        count: u32,
        here: &mut Scores,
    ) {
        let before = self.taken.clone();
        self.taken.is_used = true;
        let dominant = self.dominant();
        for _ in 0..count {
            let last = self.taken.clone();
            let mut made = None;
            for order in orders(rounds.len()) {
                self.taken = last.clone();
                let groups: Option<Vec<Group>> =
                    order.iter().map(|index| self.take_round(at, &rounds[*index])).collect();
                made = groups;
                if made.is_some() {
                    break;
                }
            }
            let Some(groups) = made else { break };
            let score = groups.iter().fold(1i64, |sum, group| sum.saturating_add(group.score - 1));
            let offers = groups.iter().flat_map(|group| group.offers.as_slice().to_vec()).collect();
            here.add(dominant, TypeId::SLOT, Group { score, count: 1, offers: Offers::Many(offers) });
        }
        // Which of the slots are chosen is not known yet.
        self.taken = before;
    }

    /// One round of one slot.
    fn take_round(&mut self, at: VertexId, round: &[Request]) -> Option<Group> {
        let dominant = self.dominant();
        self.graph.forget_seen_below(at, dominant);
        let mut found = Scores::default();
        self.explore(at, round, false, true, &mut found, 1);
        found.choose_all(dominant, self.equals, |a, b| self.policy.compare_in_slot(a, b));
        let group = self.take_one_slot(round, &found)?;
        for offer in group.offers.as_slice() {
            self.taken.add(self.graph, self.graph.edge(offer.edge).target, dominant);
        }
        Some(group)
    }

    /// A vertex that no round has taken, nor anything below, begins anew when it is visited again.
    pub(super) fn forget_visit(&mut self, at: VertexId) {
        if self.taken.is_used && !self.taken.holds_below(at) {
            self.graph.unmark_below(at, self.dominant());
        }
    }
}

impl Graph {
    /// Takes all marks off the edges below a vertex.
    pub(super) fn unmark_below(&mut self, at: VertexId, subsystem: Subsystem) {
        for vertex in self.subtree(at, subsystem) {
            for index in 0..self.out_edges(vertex).len() {
                let edge = self.out_edges(vertex)[index];
                self.marks.unset(edge);
            }
        }
    }

    /// All below a vertex may be visited again.
    fn forget_seen_below(&mut self, at: VertexId, subsystem: Subsystem) {
        for vertex in self.subtree(at, subsystem).into_iter().skip(1) {
            self.marks.forget(vertex);
        }
    }
}
