//! When: now, or at the first time something can be had.

use super::request::Requests;
use super::rounds::Taken;
use super::select::Search;
use crate::engine::Engine;
use crate::error::MatchError;
use crate::graph::{Near, VertexId};
use crate::intern::TypeId;
use crate::jobspec::{Constraint, Jobspec, Resource, has_or_slot, variants_of};
use crate::limits::GRAPH_DURATION_MAX;
use crate::planner::PLAN_END;

/// What is asked of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    /// Now or not.
    Allocate,
    /// Now or not, and if not, whether ever.
    AllocateWithSatisfiability,
    /// Now or as early as possible.
    AllocateOrElseReserve,
    /// Whether ever, if the graph were empty and all of it up.
    Satisfiability,
    /// As `Allocate`, but nothing is taken.
    WithoutAllocating,
    /// As `AllocateOrElseReserve`, but nothing is taken.
    WithoutAllocatingFuture,
}

const OPS: &[(&str, MatchOp)] = &[
    ("allocate", MatchOp::Allocate),
    ("allocate_orelse_reserve", MatchOp::AllocateOrElseReserve),
    ("allocate_with_satisfiability", MatchOp::AllocateWithSatisfiability),
    ("satisfiability", MatchOp::Satisfiability),
    ("without_allocating", MatchOp::WithoutAllocating),
    ("without_allocating_future", MatchOp::WithoutAllocatingFuture),
];

impl MatchOp {
    pub fn from_name(name: &str) -> Option<MatchOp> {
        OPS.iter().find(|(of, _)| *of == name).map(|(_, op)| *op)
    }

    /// Whether a success leaves something taken.
    pub fn takes(self) -> bool {
        !matches!(self, Self::WithoutAllocating | Self::WithoutAllocatingFuture | Self::Satisfiability)
    }
}

/// When and for whom a walk chooses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta<'a> {
    pub at: i64,
    /// Seconds, at least 1.
    pub duration: i64,
    /// The match is for this very moment: jobs that overrun are in the way.
    pub is_now: bool,
    /// Down resources count too.
    pub ignores_status: bool,
    pub constraint: Option<&'a Constraint>,
}

/// A choice that stands in the marks of the graph.
#[derive(Clone, Debug)]
pub struct Matched {
    pub at: i64,
    pub duration: i64,
    pub(crate) is_reserved: bool,
    pub(crate) labels: Vec<(VertexId, String)>,
}

impl Engine {
    /// Chooses resources for a jobspec and leaves them marked. `now` is in seconds since the epoch of the graph.
    ///
    /// # Errors
    /// `Busy`, `Unsatisfiable` (where the operation tells them apart) or `Invalid`.
    pub(crate) fn choose(&mut self, op: MatchOp, jobspec: &Jobspec, now: i64) -> Result<Matched, MatchError> {
        let duration = duration_of(jobspec)?;
        if jobspec.resources.is_empty() {
            return Err(MatchError::Invalid("the jobspec asks for nothing".into()));
        }
        self.score_all();
        let constraint = jobspec.constraint.as_ref();
        self.near = constraint.and_then(|constraint| self.near_of(constraint));
        let meta = Meta { at: now, duration, is_now: true, ignores_status: false, constraint };
        let matched = match variants_of(&jobspec.resources) {
            None => self.choose_resources(op, &jobspec.resources, meta),
            Some(variants) => self.choose_variant(op, &variants, meta),
        }?;
        if op == MatchOp::Satisfiability {
            return Ok(matched);
        }
        if matched.at >= self.graph_end {
            return Err(MatchError::Beyond);
        }
        Ok(Matched { duration: duration.min(self.graph_end - matched.at), ..matched })
    }

    fn choose_resources(&mut self, op: MatchOp, resources: &[Resource], meta: Meta) -> Result<Matched, MatchError> {
        let root = self.graph.root(self.dominant()).ok_or_else(|| MatchError::NotFound("the graph is empty".into()))?;
        let is_flexible = self.is_flexible || has_or_slot(resources);
        let Ok(mut requests) = Requests::compile(resources, &self.graph.names, is_flexible) else {
            // A type no vertex has.
            let is_for_now = matches!(op, MatchOp::Allocate | MatchOp::WithoutAllocating);
            return Err(if is_for_now { MatchError::Busy } else { MatchError::Unsatisfiable });
        };
        let is_always_flexible = std::mem::replace(&mut self.is_flexible, is_flexible);
        requests.sum_up(&self.prune, is_flexible);
        self.exclusive_types = self.base_exclusive_types();
        self.exclusive_types.extend(&requests.exclusive_types);
        let matched = match op {
            MatchOp::Satisfiability => self.choose_ever(root, &requests, meta).ok_or(MatchError::Unsatisfiable),
            _ => self.choose_when(op, root, &requests, meta),
        };
        self.is_flexible = is_always_flexible;
        matched
    }

    /// The first variant that can be had now, or the one that can be had first.
    fn choose_variant(&mut self, op: MatchOp, all: &[Vec<Resource>], meta: Meta) -> Result<Matched, MatchError> {
        let mut best: Option<(usize, i64)> = None;
        let mut failure = MatchError::Unsatisfiable;
        for (index, resources) in all.iter().enumerate() {
            match self.choose_resources(op, resources, meta) {
                Ok(matched) if matched.at <= meta.at || op == MatchOp::Satisfiability => return Ok(matched),
                Ok(matched) if best.is_none_or(|(_, at)| matched.at < at) => best = Some((index, matched.at)),
                Ok(_) => {}
                Err(MatchError::Unsatisfiable) => {}
                Err(error) => failure = error,
            }
        }
        match best {
            Some((index, _)) => self.choose_resources(op, &all[index], meta),
            None => Err(failure),
        }
    }

    /// The first type in a jobspec that the graph has never seen.
    pub fn unknown_type(&self, jobspec: &Jobspec) -> Option<String> {
        Requests::compile(&jobspec.resources, &self.graph.names, false).err()
    }

    fn near_of(&mut self, constraint: &Constraint) -> Option<Near> {
        if matches!(constraint, Constraint::Any) || self.is_exhaustive {
            return None;
        }
        let index = self.graph.take_node_index();
        let nodes = constraint.candidates(&self.graph, &index);
        self.graph.put_node_index(index);
        self.graph.near(nodes?, self.dominant())
    }

    fn choose_when(
        &mut self,
        op: MatchOp,
        root: VertexId,
        requests: &Requests,
        meta: Meta,
    ) -> Result<Matched, MatchError> {
        self.check_feasible(op, requests, meta)?;
        if let Some(matched) = self.choose_at(root, requests, meta, false) {
            return Ok(matched);
        }
        match op {
            MatchOp::AllocateOrElseReserve | MatchOp::WithoutAllocatingFuture => {
                if let Some(matched) = self.choose_later(root, requests, meta) {
                    return Ok(matched);
                }
            }
            MatchOp::AllocateWithSatisfiability => {}
            _ => return Err(MatchError::Busy),
        }
        let is_satisfiable = self.choose_ever(root, requests, meta).is_some();
        Err(if is_satisfiable { MatchError::Busy } else { MatchError::Unsatisfiable })
    }

    fn choose_at(&mut self, root: VertexId, requests: &Requests, meta: Meta, is_reserved: bool) -> Option<Matched> {
        // What the whole graph does not have, no part of it has.
        if let Some(below) = &self.graph.vertex(root).below
            && below.fits(meta.at, meta.duration, &requests.need).is_err()
        {
            return None;
        }
        let mut search = Search {
            graph: &mut self.graph,
            policy: &self.policy,
            subsystems: &self.subsystems,
            is_flexible: self.is_flexible,
            meta,
            above: 0,
            labels: Vec::new(),
            visit_count: 0,
            is_inside: false,
            runs: None,
            is_exhaustive: self.is_exhaustive,
            equals: self.equals,
            near: self.near.as_ref(),
            taken: Taken::default(),
            script: self.script.as_deref().filter(|_| self.policy.is_live),
        };
        let is_found = match requests.rounds.as_slice() {
            [] => search.select(root, &requests.list),
            rounds => search.select_rounds(root, rounds),
        };
        let labels = std::mem::take(&mut search.labels);
        self.visit_count += search.visit_count;
        is_found.then_some(Matched { at: meta.at, duration: meta.duration, is_reserved, labels })
    }

    /// Tries every time at which something that is planned begins or ends.
    fn choose_later(&mut self, root: VertexId, requests: &Requests, meta: Meta) -> Option<Matched> {
        let mut from = meta.at + 1;
        loop {
            let top = self.graph.vertex(root);
            let below = top.below.as_ref()?;
            let at = below.first_fit(&top.jobs, from, meta.duration, &requests.need)?;
            let later = Meta { at, is_now: false, ..meta };
            if let Some(matched) = self.choose_at(root, requests, later, true) {
                return Some(matched);
            }
            from = at + 1;
        }
    }

    /// Chooses at the end of all plans, whatever is up or down.
    fn choose_ever(&mut self, root: VertexId, requests: &Requests, meta: Meta) -> Option<Matched> {
        let at = PLAN_END - meta.duration - 1;
        self.choose_at(root, requests, Meta { at, is_now: false, ignores_status: true, ..meta }, false)
    }

    /// Whether enough nodes are there at all, before the walk.
    fn check_feasible(&self, op: MatchOp, requests: &Requests, meta: Meta) -> Result<(), MatchError> {
        let wanted = requests.need.iter().find(|(kind, _)| *kind == TypeId::NODE).map_or(0, |(_, wanted)| *wanted);
        let is_sat = op == MatchOp::AllocateWithSatisfiability;
        let failure = if is_sat { MatchError::Unsatisfiable } else { MatchError::Busy };
        if wanted > self.graph.nodes_up {
            return Err(failure);
        }
        let Some(constraint) = meta.constraint else { return Ok(()) };
        if self.graph.of_type(TypeId::NODE).is_empty() {
            return Ok(());
        }
        let nodes = self.near.as_ref().map_or(self.graph.of_type(TypeId::NODE), |near| &near.nodes);
        let is_for_now = matches!(op, MatchOp::Allocate | MatchOp::WithoutAllocating);
        let is_free = |node: &crate::graph::Vertex| match (is_for_now, is_sat) {
            (true, _) => node.free(meta.at, meta.duration) == Some(1),
            (false, true) => node.free(self.graph_end - 1, meta.duration) == Some(1),
            // What is reserved for ever from some time on may be free before.
            (false, false) => true,
        };
        let fitting = nodes.iter().map(|node| self.graph.vertex(*node)).filter(|node| {
            node.kind == TypeId::NODE
                && constraint.allows(node)
                && (is_sat || node.status == crate::graph::Status::Up)
                && is_free(node)
        });
        let enough = usize::try_from(wanted).unwrap_or(usize::MAX);
        if fitting.take(enough).count() < enough { Err(failure) } else { Ok(()) }
    }
}

/// Whole seconds, rounded up; 0 stands for all the time the graph has.
fn duration_of(jobspec: &Jobspec) -> Result<i64, MatchError> {
    let asked = jobspec.duration;
    if asked.is_nan() || asked < 0.0 || asked > GRAPH_DURATION_MAX as f64 {
        return Err(MatchError::Invalid(format!("duration {asked} is out of range")));
    }
    Ok(if asked == 0.0 { GRAPH_DURATION_MAX } else { asked.ceil() as i64 })
}
