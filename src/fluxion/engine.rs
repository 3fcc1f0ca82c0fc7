//! The graph with its policy and the jobs on it.

use crate::error::{GraphError, MatchError};
use crate::graph::{Graph, Near, PruneTypes, Status, VertexId};
use crate::intern::{Subsystem, TypeId};
use crate::jobspec::Jobspec;
use crate::limits::{GRAPH_DURATION_MAX, JOB_COUNT_MAX};
use crate::matcher::{MatchPolicy, Script, subsystems_of};
use crate::reader::Reader;
use crate::traverser::{Equals, Hold, JobHold, JobTable, MatchOp, Matched, Release, Take};
use crate::writer::Writer;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How an engine is set up.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    pub policy: MatchPolicy,
    /// Name of the matcher: which subsystems are walked (`CA`, `C+PA`, ...).
    pub matcher: String,
    /// `HIGH:LOW[,HIGH:LOW...]`, empty for none.
    pub prune_filters: String,
    /// Slots side by side are alternatives.
    pub is_flexible: bool,
    /// A policy in Lua, which goes before `policy`.
    pub script: Option<Arc<Script>>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            policy: MatchPolicy::FIRST,
            matcher: "CA".into(),
            prune_filters: "ALL:core,ALL:node".into(),
            is_flexible: false,
            script: None,
        }
    }
}

/// Matches jobspecs on one graph and keeps what every job holds.
#[derive(Clone, Debug)]
pub struct Engine {
    pub graph: Graph,
    pub jobs: JobTable,
    pub(crate) policy: MatchPolicy,
    pub(crate) script: Option<Arc<Script>>,
    pub(crate) subsystems: Vec<Subsystem>,
    pub(crate) prune: PruneTypes,
    pub(crate) is_flexible: bool,
    pub(crate) exclusive_types: BTreeSet<TypeId>,
    /// Vertices visited by all searches so far.
    pub visit_count: u64,
    /// The nodes that the constraint of the job being matched may allow, if they are few.
    pub(crate) near: Option<Near>,
    /// Every candidate is looked at, as the oracle of searches that do not.
    pub(crate) is_exhaustive: bool,
    pub(crate) equals: Equals,
    /// When the graph ends, in seconds since its epoch: nothing is planned beyond.
    pub graph_end: i64,
}

impl Engine {
    /// # Errors
    /// `Missing` if the graph lacks a subsystem the matcher walks, `Malformed` for a bad filter or matcher.
    pub fn new(mut graph: Graph, config: &EngineConfig) -> Result<Engine, GraphError> {
        let names = subsystems_of(&config.matcher);
        let names = names.ok_or_else(|| GraphError::Malformed(format!("unknown matcher '{}'", config.matcher)))?;
        let mut subsystems = Vec::new();
        for name in names {
            subsystems.push(graph.names.intern_subsystem(name).ok_or(GraphError::TooLarge("subsystems"))?);
        }
        let prune = match config.prune_filters.as_str() {
            "" => PruneTypes::default(),
            spec => PruneTypes::parse(spec, &mut graph.names).map_err(GraphError::Malformed)?,
        };
        let mut engine = Engine {
            graph,
            jobs: JobTable::new(),
            policy: config.script.as_ref().map_or(config.policy, |script| script.policy()),
            script: config.script.clone(),
            subsystems,
            prune,
            is_flexible: config.is_flexible,
            exclusive_types: BTreeSet::new(),
            visit_count: 0,
            near: None,
            is_exhaustive: false,
            equals: Equals::default(),
            graph_end: GRAPH_DURATION_MAX,
        };
        engine.exclusive_types = engine.base_exclusive_types();
        engine.prime()?;
        Ok(engine)
    }

    pub fn dominant(&self) -> Subsystem {
        self.subsystems[0]
    }

    /// Counts the graph anew after it has changed.
    ///
    /// # Errors
    /// As `new`.
    pub fn prime(&mut self) -> Result<(), GraphError> {
        for subsystem in &self.subsystems[1..] {
            if self.graph.root(*subsystem).is_none() {
                let name = self.graph.names.subsystem_name(*subsystem);
                return Err(GraphError::Missing(format!("the graph has no subsystem {name}")));
            }
        }
        self.graph.prime(self.subsystems[0], &mut self.prune)
    }

    /// Asks the script for the scores of all vertices, if something has changed since it was last asked.
    pub(crate) fn score_all(&mut self) {
        let Some(script) = self.script.clone().filter(|_| !self.policy.is_live && !self.graph.is_scored) else {
            return;
        };
        let dominant = self.dominant();
        let all: Vec<VertexId> = self.graph.vertex_ids().collect();
        for at in all {
            self.graph.vertex_mut(at).script_score = script.score(&self.graph, at, dominant, None);
        }
        self.graph.is_scored = true;
        self.graph.forget_rankings();
    }

    /// What the match policy in Lua has failed at since this was last asked.
    pub fn take_trouble(&self) -> Option<String> {
        self.script.as_ref().and_then(|script| script.take_trouble())
    }

    pub(crate) fn base_exclusive_types(&self) -> BTreeSet<TypeId> {
        self.policy.is_node_exclusive.then_some(TypeId::NODE).into_iter().collect()
    }

    /// Matches a jobspec at `now` (seconds) and, if the operation takes, records what job `id` holds. What was
    /// matched goes to the writer.
    ///
    /// # Errors
    /// `Busy`, `Unsatisfiable`, `Invalid`, or `Exists` if the job holds something already.
    pub fn match_job(
        &mut self,
        op: MatchOp,
        id: u64,
        jobspec: &Jobspec,
        now: i64,
        writer: &mut Writer,
    ) -> Result<Matched, MatchError> {
        if op.takes() && (self.jobs.contains_key(&id) || self.jobs.len() >= JOB_COUNT_MAX) {
            return Err(MatchError::Exists(id));
        }
        let matched = self.choose(op, jobspec, now);
        let result = matched.and_then(|matched| match op {
            MatchOp::Satisfiability => Ok(matched),
            _ => self.keep(op, id, matched, now, jobspec.queue.as_deref(), writer),
        });
        self.exclusive_types = self.base_exclusive_types();
        result
    }

    fn keep(
        &mut self,
        op: MatchOp,
        id: u64,
        matched: Matched,
        now: i64,
        queue: Option<&str>,
        writer: &mut Writer,
    ) -> Result<Matched, MatchError> {
        let hold = if matched.is_reserved { Hold::Reserved } else { Hold::Allocated };
        let job = JobHold { hold, at: matched.at, duration: matched.duration, overhead: 0.0, touches: Vec::new() };
        let take = if op.takes() { Take::All } else { Take::Nothing };
        let (is_taken, job) = self.take(&matched, job, take, now, writer);
        if let Some(queue) = queue {
            writer.attribute("queue", queue);
        }
        if take == Take::All && !job.touches.is_empty() {
            self.jobs.insert(id, job);
        }
        if is_taken { Ok(matched) } else { Err(MatchError::Invalid("the request takes nothing exclusively".into())) }
    }

    /// Marks all vertices at a path up or down. False if there is none.
    pub fn set_path_status(&mut self, path: &str, status: Status) -> bool {
        let found = self.graph.at_path(path);
        let dominant = self.dominant();
        for at in &found {
            self.graph.set_status(*at, status, dominant);
        }
        !found.is_empty()
    }

    /// Marks the resources of ranks up or down; ranks the graph does not have are passed over.
    pub fn set_rank_status(&mut self, ranks: impl IntoIterator<Item = i32>, status: Status) {
        let dominant = self.dominant();
        for rank in ranks {
            if let Some(top) = self.graph.rank_root(rank) {
                self.graph.set_status(top, status, dominant);
            }
        }
    }

    /// Adds what a document describes.
    ///
    /// # Errors
    /// As `Reader::grow`.
    pub fn grow(&mut self, reader: Reader, text: &str) -> Result<(), GraphError> {
        let (graph, prune) = (self.graph.clone(), self.prune.clone());
        let grown = reader.grow(&mut self.graph, text).and_then(|()| self.prime());
        if grown.is_err() {
            (self.graph, self.prune) = (graph, prune);
        }
        grown
    }

    /// Takes everything at and below a path out of the graph; jobs lose what they hold there.
    ///
    /// # Errors
    /// `Missing` if there is no such path.
    pub fn remove_path(&mut self, path: &str) -> Result<(), GraphError> {
        let found = self.graph.at_path(path);
        if found.is_empty() {
            return Err(GraphError::Missing(format!("no such path: {path}")));
        }
        self.shrink(&found)
    }

    /// Takes what ranks own out of the graph; jobs lose what they hold there.
    ///
    /// # Errors
    /// `Missing` if a rank owns nothing.
    pub fn remove_ranks(&mut self, ranks: &BTreeSet<i32>) -> Result<(), GraphError> {
        let mut tops = Vec::new();
        for rank in ranks {
            let top = self.graph.rank_root(*rank);
            tops.push(top.ok_or_else(|| GraphError::Missing(format!("{rank} not found in by_rank map")))?);
        }
        self.shrink(&tops)
    }

    fn shrink(&mut self, tops: &[VertexId]) -> Result<(), GraphError> {
        let gone: BTreeSet<VertexId> = tops.iter().flat_map(|top| self.graph.subtree(*top, self.dominant())).collect();
        let holds: Vec<(u64, Vec<VertexId>)> = self
            .jobs
            .iter()
            .map(|(id, job)| {
                let held = job.touches().iter().filter(|touch| touch.planned.is_some()).map(|touch| touch.at);
                (*id, held.filter(|at| gone.contains(at)).collect())
            })
            .collect();
        for (id, held) in holds.into_iter().filter(|(_, held): &(u64, Vec<VertexId>)| !held.is_empty()) {
            // A reservation is not kept in part: its owner will ask again.
            if self.partial_cancel(id, &Release::Vertices(held)).is_err() {
                _ = self.cancel(id);
            }
        }
        let gone: Vec<VertexId> = gone.into_iter().collect();
        self.graph.remove_vertices(&gone);
        if self.graph.root(self.dominant()).is_none() { Ok(()) } else { self.prime() }
    }
}
