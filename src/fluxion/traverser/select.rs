//! Choosing: a depth-first walk over the dominant subsystem that marks the best resources.

use super::equals::Equals;
use super::fit::Fit;
use super::request::Request;
use super::rounds::Taken;
use super::schedule::Meta;
use super::score::{Group, Offers, Scores};
use crate::graph::{Graph, Mark, Near, VertexId};
use crate::intern::Subsystem;
use crate::matcher::{MatchPolicy, Script};

/// One walk.
pub(super) struct Search<'a> {
    pub(super) graph: &'a mut Graph,
    pub(super) policy: &'a MatchPolicy,
    /// The dominant one first.
    pub(super) subsystems: &'a [Subsystem],
    pub(super) is_flexible: bool,
    pub(super) meta: Meta<'a>,
    /// What the ancestors of the vertex being visited add to its score.
    pub(super) above: i64,
    /// Labels of requests and the vertices that matched them.
    pub(super) labels: Vec<(VertexId, String)>,
    pub(super) visit_count: u64,
    /// The nodes that the constraint may allow, if they are few.
    pub(super) near: Option<&'a Near>,
    /// Every candidate is looked at.
    pub(super) is_exhaustive: bool,
    pub(super) equals: Equals,
    /// The search is below the root.
    pub(super) is_inside: bool,
    pub(super) taken: Taken,
    /// What knows the runs of the scores of all candidates.
    pub(super) runs: Option<usize>,
    /// A policy that is asked at every visit.
    pub(super) script: Option<&'a Script>,
}

/// A vertex that matches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) free: u32,
    pub(super) score: i64,
    pub(super) is_exclusive: bool,
}

impl Search<'_> {
    pub(super) fn dominant(&self) -> Subsystem {
        self.subsystems[0]
    }

    /// Marks what the requests get at the time of `meta`; false if they get nothing.
    pub(super) fn select(&mut self, root: VertexId, requests: &[Request]) -> bool {
        self.graph.begin_marks();
        self.graph.trim_rankings();
        self.above = 0;
        self.runs = None;
        self.labels.clear();
        let kind = self.graph.vertex(root).kind;
        let is_exclusive = requests.iter().any(|request| request.kind == kind && request.exclusive == Some(true));
        let mut top = Scores::default();
        let Some(found) = self.visit(root, requests, true, is_exclusive, &mut top) else { return false };
        let dominant = self.dominant();
        top.add(dominant, kind, Group { score: found.score, count: found.free, offers: Offers::Root });
        for request in requests {
            let count = request.count.best(top.qualified(dominant, request.kind));
            if count == 0 {
                return false;
            }
            self.choose_for_graph(&mut top, request, count);
        }
        let mut root_needs = 1;
        for request in requests.iter().filter(|request| request.kind == kind) {
            root_needs = request.count.best(found.free);
            if root_needs == 0 {
                return false;
            }
        }
        if top.entries().any(|(_, _, candidates)| !candidates.groups.is_empty() && candidates.qualified == 0) {
            return false;
        }
        self.mark_chosen(&top, root);
        self.note_taken(&top);
        self.graph.marks.set_root(Mark { needs: root_needs, is_exclusive: found.is_exclusive });
        true
    }

    fn choose_for_graph(&self, top: &mut Scores, request: &Request, count: u32) {
        let dominant = self.dominant();
        if !self.policy.ranks_runs() {
            return top.choose(dominant, request.kind, count, self.equals, |a, b| self.policy.compare(a, b));
        }
        if let Some(index) = self.runs {
            let runs = self.graph.runs_at(index);
            return top.choose(dominant, request.kind, count, self.equals, |a, b| {
                runs.first_of_run(b).cmp(&runs.first_of_run(a))
            });
        }
        let scores =
            top.get(dominant, request.kind).map(|candidates| candidates.groups.iter().map(|group| group.score));
        let mut scores: Vec<i64> = scores.into_iter().flatten().collect();
        scores.sort_unstable();
        scores.dedup();
        let mut starts: Vec<i64> = Vec::new();
        for (at, score) in scores.iter().enumerate() {
            let continues = at > 0 && scores[at - 1] + 1 == *score;
            starts.push(if continues { starts[at - 1] } else { *score });
        }
        let start_of = |score: i64| scores.binary_search(&score).map_or(score, |at| starts[at]);
        top.choose(dominant, request.kind, count, self.equals, |a, b| start_of(b).cmp(&start_of(a)));
    }

    /// Visits a vertex and all that can match below it. Candidates it finds but does not use go into `up`.
    pub(super) fn visit(
        &mut self,
        at: VertexId,
        requests: &[Request],
        is_pristine: bool,
        is_exclusive: bool,
        up: &mut Scores,
    ) -> Option<Found> {
        self.visit_count += 1;
        let kind = self.graph.vertex(at).kind;
        let asks = requests.iter().any(|request| request.kind == kind && request.exclusive == Some(true));
        let is_exclusive = is_exclusive || asks;
        let fit = self.fit(at, requests, is_pristine)?;
        if !self.may_enter(at, is_exclusive, requests, true) {
            return None;
        }
        self.graph.marks.see(at);
        if let Some(script) = self.script {
            let time = (self.meta.at, self.meta.duration);
            self.graph.vertex_mut(at).script_score = script.score(self.graph, at, self.dominant(), Some(time));
        }
        if self.policy.is_scripted && self.graph.vertex(at).script_score == 0 {
            return None;
        }
        self.forget_visit(at);
        let factor = self.policy.factor(self.graph.vertex(at));
        self.above = self.above.saturating_add(factor);
        let mut here = Scores::default();
        let is_complete = match fit {
            Fit::Rounds(rounds) => Some(self.expand_rounds(at, rounds, is_exclusive, &mut here)),
            _ => None,
        };
        match fit {
            Fit::Rounds(_) => {}
            Fit::Slots(slots, count) => self.fill_slots(at, slots, count, &mut here),
            Fit::Resource(with) => self.expand(at, with, false, is_exclusive, &mut here),
            Fit::Above => match self.is_ranked(requests).filter(|_| !self.is_inside) {
                Some(request) => self.expand_ranked(at, request, requests, &mut here),
                None if self.expand_runs(at, requests, &mut here) => {}
                None => self.expand(at, requests, true, is_exclusive, &mut here),
            },
        }
        self.above = self.above.saturating_sub(factor);
        let found = match is_complete {
            Some(false) => return None,
            Some(true) => self.found_at(at, is_exclusive)?,
            None => self.finish(at, requests, is_exclusive, &mut here)?,
        };
        if found.score > 0 {
            if here.is_bound {
                self.mark_chosen(&here, at);
            } else {
                up.merge(here);
            }
        }
        up.last = (found.free, found.score);
        let labelled = requests.iter().filter(|request| request.kind == kind);
        for label in labelled.filter_map(|request| request.label.as_ref()) {
            self.labels.push((at, label.clone()));
        }
        Some(found)
    }

    /// Chooses the children a matching vertex needs and scores it.
    fn finish(&self, at: VertexId, requests: &[Request], is_exclusive: bool, here: &mut Scores) -> Option<Found> {
        let vertex = self.graph.vertex(at);
        let dominant = self.dominant();
        for request in requests.iter().filter(|request| request.kind == vertex.kind) {
            for with in &request.with {
                let count = with.count.best(here.qualified(dominant, with.kind));
                if count == 0 {
                    return None;
                }
                here.choose(dominant, with.kind, count, self.equals, |a, b| self.policy.compare(a, b));
            }
        }
        self.found_at(at, is_exclusive)
    }

    fn found_at(&self, at: VertexId, is_exclusive: bool) -> Option<Found> {
        let vertex = self.graph.vertex(at);
        Some(Found { free: self.free(vertex)?, score: self.policy.score(vertex, self.above), is_exclusive })
    }

    /// Marks the edges of chosen candidates and the way down to them from `at`.
    pub(super) fn mark_chosen(&mut self, scores: &Scores, at: VertexId) {
        let dominant = self.dominant();
        let graph = &mut *self.graph;
        // A type that was asked for is chosen by its own mark or not at all.
        let is_bound = |kind| scores.get(dominant, kind).is_some_and(|candidates| candidates.chosen > 0);
        for (subsystem, _, candidates) in scores.entries() {
            for offer in candidates.groups[..candidates.chosen].iter().flat_map(|group| group.offers.as_slice()) {
                graph.marks.set(offer.edge, Mark { needs: offer.needs, is_exclusive: offer.is_exclusive });
                let source = graph.edge(offer.edge).source;
                if subsystem == dominant && source != at {
                    graph.mark_way(at, source, dominant, is_bound);
                }
            }
        }
    }
}
