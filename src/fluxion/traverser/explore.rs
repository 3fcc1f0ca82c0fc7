//! Looking at the children of a vertex.

use super::request::Request;
use super::score::{Group, Offer, Offers, Scores};
use super::select::{Found, Search};
use crate::graph::{EdgeId, Near, VertexId};
use crate::intern::{Subsystem, TypeId};

/// How far the children seen so far go towards whole shares of one type.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) per_share: u32,
    seen: u32,
    open: u32,
    pub(super) shares: u32,
}

impl Tally {
    pub(super) fn new(per_share: u32) -> Tally {
        Tally { per_share, ..Tally::default() }
    }

    /// A bundle is not divided: what is over when a share is full backs that share only.
    pub(super) fn add(&mut self, units: u32) {
        self.open = self.open.saturating_add(units);
        if self.per_share > 0 && self.open >= self.per_share {
            self.shares += 1;
            self.open = 0;
        }
    }

    pub(super) fn catch_up(&mut self, total: u32) {
        if total > self.seen {
            self.add(total - self.seen);
            self.seen = total;
        }
    }

    pub(super) fn is_met(&self, shares: u32) -> bool {
        self.per_share == 0 || self.shares >= shares
    }
}

impl<'s> Search<'s> {
    /// Searches the children in every subsystem: downwards in the dominant one, sideways in the others.
    pub(super) fn expand(
        &mut self,
        at: VertexId,
        requests: &[Request],
        is_pristine: bool,
        is_exclusive: bool,
        here: &mut Scores,
    ) {
        self.explore(at, requests, is_pristine, is_exclusive, here, 1);
        for index in 1..self.subsystems.len() {
            let subsystem = self.subsystems[index];
            self.explore_sideways(at, subsystem, requests, is_exclusive, here);
        }
    }

    /// Searches the children in the dominant subsystem for `shares` times the requests.
    pub(super) fn explore(
        &mut self,
        at: VertexId,
        requests: &[Request],
        is_pristine: bool,
        is_exclusive: bool,
        here: &mut Scores,
        shares: u32,
    ) {
        if self.policy.stops_early {
            return self.explore_until_enough(at, requests, is_pristine, is_exclusive, here, shares);
        }
        if !is_pristine && self.is_direct(at, requests) {
            return self.explore_by_preference(at, requests, is_exclusive, here, shares);
        }
        if let Some(edges) = self.near_edges(at, requests) {
            for edge in edges {
                self.try_child(*edge, requests, is_pristine, is_exclusive, here);
            }
            return;
        }
        for index in 0..self.graph.out_edges(at).len() {
            let edge = self.graph.out_edges(at)[index];
            self.try_child(edge, requests, is_pristine, is_exclusive, here);
        }
    }

    /// The edges worth following from a vertex that has only nodes below it, if a constraint allows few of them.
    pub(super) fn near_edges(&self, at: VertexId, requests: &[Request]) -> Option<&'s [EdgeId]> {
        let vertex = self.graph.vertex(at);
        let is_above = |kind: TypeId| self.graph.kinds_above_nodes.contains(&kind);
        let is_asked = |request: &Request| match request.kind {
            TypeId::SLOT => request.with.iter().any(|with| is_above(with.kind)),
            kind => is_above(kind),
        };
        let is_near =
            |_: &&Near| vertex.has_only_nodes() || (vertex.is_above_nodes() && !requests.iter().any(is_asked));
        self.near.filter(is_near).map(|near| near.edges(at))
    }

    fn explore_until_enough(
        &mut self,
        at: VertexId,
        requests: &[Request],
        is_pristine: bool,
        is_exclusive: bool,
        here: &mut Scores,
        shares: u32,
    ) {
        if self.graph.out_edges(at).is_empty() {
            return;
        }
        let dominant = self.dominant();
        let mut tallies: Vec<(TypeId, Tally)> =
            requests.iter().map(|request| (request.kind, Tally::new(request.count.best_of_all()))).collect();
        let near = self.near_edges(at, requests).map(|edges| self.graph.ordered(edges));
        let order = if near.is_some() { Vec::new() } else { self.graph.take_order(at) };
        for edge in near.as_ref().unwrap_or(&order) {
            let kind = self.graph.vertex(self.graph.edge(*edge).target).kind;
            if tallies.iter().any(|(of, tally)| *of == kind && tally.is_met(shares)) {
                continue;
            }
            if self.try_child(*edge, requests, is_pristine, is_exclusive, here) {
                tallies.iter_mut().for_each(|(kind, tally)| tally.catch_up(here.total(dominant, *kind)));
                if tallies.iter().all(|(_, tally)| tally.is_met(shares)) {
                    break;
                }
            }
        }
        if near.is_none() {
            self.graph.put_order(at, order);
        }
    }

    /// Visits the target of an edge and keeps it as a candidate if it matches.
    pub(super) fn try_child(
        &mut self,
        edge: EdgeId,
        requests: &[Request],
        is_pristine: bool,
        is_exclusive: bool,
        here: &mut Scores,
    ) -> bool {
        let (target, subsystem) = (self.graph.edge(edge).target, self.graph.edge(edge).subsystem);
        if subsystem != self.dominant() || self.graph.marks.is_seen(target) || !self.graph.is_tree_edge(edge) {
            return false;
        }
        let Some(found) = self.visit(target, requests, is_pristine, is_exclusive, here) else { return false };
        self.keep(subsystem, edge, target, found, here);
        true
    }

    pub(super) fn keep(&self, subsystem: Subsystem, edge: EdgeId, target: VertexId, found: Found, here: &mut Scores) {
        let offer = Offer { edge, needs: found.free, is_exclusive: found.is_exclusive };
        let group = Group { score: found.score, count: found.free, offers: Offers::One(offer) };
        here.add(subsystem, self.graph.vertex(target).kind, group);
    }

    /// Looks at the vertices an auxiliary subsystem relates to this one. They are seen, but what a job takes of them is
    /// not planned: a match in an auxiliary subsystem only counts with what the dominant one has found.
    fn explore_sideways(
        &mut self,
        at: VertexId,
        subsystem: Subsystem,
        requests: &[Request],
        is_exclusive: bool,
        here: &mut Scores,
    ) {
        for index in 0..self.graph.out_edges(at).len() {
            let edge_id = self.graph.out_edges(at)[index];
            let edge = self.graph.edge(edge_id);
            if edge.subsystem == subsystem && self.may_enter(edge.target, is_exclusive, requests, false) {
                let (free, score) = here.last;
                self.keep(subsystem, edge_id, edge.target, Found { free, score, is_exclusive }, here);
            }
        }
    }
}
