//! The policy `locality` takes from the highest run of adjacent scores. What every place offers is known from matches
//! before; only places where something has changed are looked at again. The choice is meant to be that of a search of everything (`invariant/runs.rs`).

use super::request::Request;
use super::score::Scores;
use super::select::Search;
use crate::graph::{Lot, RankKey, RunKey, VertexId};
use crate::intern::TypeId;
use std::collections::BTreeMap;

impl Search<'_> {
    /// Finds candidates for a request below `root`; false if everything must be looked at.
    pub(super) fn expand_runs(&mut self, root: VertexId, requests: &[Request], here: &mut Scores) -> bool {
        let [request] = requests else { return false };
        let is_wanted = self.has_runs(request) && self.graph.root(self.dominant()) == Some(root);
        if !is_wanted || self.graph.is_overbooked(self.meta.at) {
            return false;
        }
        let constraint = self.meta.constraint;
        let dominant = self.dominant();
        let index = self.graph.known_runs(request, constraint).or_else(|| {
            let kinds = match request.kind {
                TypeId::SLOT => RankKey::Holding(request.with.iter().map(|with| with.kind).collect()),
                kind => RankKey::Kind(kind),
            };
            let key = RunKey { request: request.clone(), constraint: constraint.cloned(), kinds };
            self.graph.make_runs(key, dominant)
        });
        let Some(index) = index else { return false };
        self.is_inside = true;
        self.refresh_runs(index, root, requests);
        self.begin_again(root);
        let is_found = self.visit_runs(index, root, request, requests, here);
        self.is_inside = false;
        if is_found {
            self.runs = Some(index);
        } else {
            *here = Scores::default();
            self.begin_again(root);
        }
        is_found
    }

    /// Whether what a place offers is a matter of the place alone.
    fn has_runs(&self, request: &Request) -> bool {
        fn is_one_walk(request: &Request) -> bool {
            request.rounds.is_empty() && request.with.iter().all(is_one_walk)
        }
        self.policy.ranks_runs()
            && !self.policy.is_scripted
            && !self.is_exhaustive
            && !self.is_inside
            && self.subsystems.len() == 1
            && !self.is_flexible
            && request.kind != TypeId::XOR_SLOT
            && self.meta.is_now
            && !self.meta.ignores_status
            && self.near.is_none()
            && !self.taken.is_used
            && is_one_walk(request)
    }

    /// Nothing but the root has been visited.
    fn begin_again(&mut self, root: VertexId) {
        self.labels.clear();
        self.graph.begin_marks();
        self.graph.marks.see(root);
    }

    fn refresh_runs(&mut self, index: usize, root: VertexId, requests: &[Request]) {
        for at in self.graph.runs_mut(index).take_dirty_above() {
            // What filters count is not asked: they make a search shorter, never different.
            let is_open = self.may_enter(at, false, &[], true);
            let is_reserved = self.graph.vertex(at).reservation_count > 0;
            let runs = self.graph.runs_mut(index);
            let Some(above) = runs.above_mut(at) else { continue };
            let was_open = std::mem::replace(&mut above.is_open, is_open);
            let above = *above;
            if was_open != is_open || is_reserved {
                runs.soil(above);
            }
        }
        for position in self.graph.runs_mut(index).take_dirty() {
            let position = position as usize;
            let place = self.graph.runs_at(index).place(position);
            let (lots, is_timely) = self.look_at_place(place, root, requests);
            self.graph.runs_mut(index).set(position, lots, is_timely);
        }
    }

    /// What a place offers now, and whether that depends on the time.
    fn look_at_place(&mut self, place: VertexId, root: VertexId, requests: &[Request]) -> (Vec<Lot>, bool) {
        let dominant = self.dominant();
        let mut is_timely = self.graph.vertex(place).waiting_count > 0;
        let (mut is_open, mut above) = (true, self.graph.parent(place, dominant));
        while let Some(at) = above.filter(|at| *at != root) {
            is_open = is_open && self.may_enter(at, false, &[], true);
            is_timely |= self.graph.vertex(at).reservation_count > 0;
            above = self.graph.parent(at, dominant);
        }
        let mut found = Scores::default();
        if let Some(edge) = self.graph.parent_edge(place, dominant).filter(|_| is_open) {
            self.try_child(edge, requests, true, false, &mut found);
        }
        (self.lots_of(&found, requests, 0), is_timely)
    }

    fn lots_of(&self, found: &Scores, requests: &[Request], from: usize) -> Vec<Lot> {
        let kind = requests.first().map_or(TypeId::NONE, |request| request.kind);
        let groups = found.get(self.dominant(), kind).and_then(|candidates| candidates.groups.get(from..));
        groups.into_iter().flatten().map(|group| (group.score, group.count)).collect()
    }

    /// Visits the places that will be taken from; false if what is there is not what was known of it.
    fn visit_runs(
        &mut self,
        index: usize,
        root: VertexId,
        request: &Request,
        requests: &[Request],
        here: &mut Scores,
    ) -> bool {
        let Some(picked) = self.graph.runs_at(index).pick(request.count.best_of_all()) else { return false };
        let mut may_pass: BTreeMap<VertexId, bool> = BTreeMap::new();
        for position in picked {
            let place = self.graph.runs_at(index).place(position);
            let from = here.get(self.dominant(), request.kind).map_or(0, |candidates| candidates.groups.len());
            if let Some(edge) = self.way_from(root, place, requests, &mut may_pass) {
                self.try_child(edge, requests, true, false, here);
            }
            if self.lots_of(here, requests, from) != self.graph.runs_at(index).lots(position) {
                self.graph.drop_runs(index);
                return false;
            }
        }
        true
    }
}
