//! The scheduler as a service uses it: R and jobspecs as JSON, ranks, seconds since the epoch.

mod counts;
mod status;
#[cfg(test)]
mod tests;

use crate::engine::{Engine, EngineConfig};
use crate::error::{GraphError, MatchError};
use crate::graph::Graph;
use crate::jobspec::Jobspec;
use crate::limits::GRAPH_DURATION_MAX;
use crate::matcher::{MatchPolicy, Script, parse_policy};
use crate::reader::Reader;
use crate::traverser::{Hold, MatchOp};
use crate::writer::{Format, Writer};
use flux_service::stopwatch;
use flux_types::ResourceSet;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) use counts::{Counts, Outcomes};

/// How the scheduler is set up; the defaults are those of `[sched-fluxion-resource]`.
#[derive(Clone, Debug)]
pub struct FluxionConfig {
    /// A named policy or a composition of one (`match-policy`).
    pub match_policy: String,
    /// A policy in Lua, which goes before `match_policy`: its path and its text.
    pub match_script: Option<(String, String)>,
    /// What R says beside the execution part (`match-format`).
    pub match_format: Format,
    /// `prune-filters`.
    pub prune_filters: String,
    /// The matcher by subsystems (`subsystems`).
    pub subsystems: String,
    /// `simple` or `flexible` (`traverser`).
    pub traverser: String,
    /// The reader of the inventory; `None` takes the graph in R's scheduling part if there is one (`load-format`).
    pub load_format: Option<Reader>,
    /// Types to load, empty for all (`load-allowlist`).
    pub load_allowlist: BTreeSet<String>,
}

impl Default for FluxionConfig {
    fn default() -> Self {
        FluxionConfig {
            match_policy: "first".into(),
            match_script: None,
            match_format: Format::Rv1Nosched,
            prune_filters: "ALL:core,ALL:node".into(),
            subsystems: "CA".into(),
            traverser: "simple".into(),
            load_format: None,
            load_allowlist: BTreeSet::new(),
        }
    }
}

/// What a job was given.
#[derive(Clone, Debug, PartialEq)]
pub struct Allocation {
    /// R in the configured format.
    pub r: Value,
    /// When it begins, in seconds since the epoch.
    pub at: i64,
    /// Whether that is in the future: resources are set aside, not given.
    pub is_reserved: bool,
    /// How long the jobspec asks for, in seconds; 0 for as long as there is.
    pub duration: f64,
    /// Seconds that the match took.
    pub overhead: f64,
}

/// A scheduler: one graph and the jobs on it.
#[derive(Clone, Debug)]
pub struct Fluxion {
    engine: Engine,
    format: Format,
    /// The instance itself ends: a job without a duration ends with it.
    has_expiration: bool,
    counts: Counts,
}

/// The part of R a reader wants, with that reader (RFC 20, RFC 40).
fn reader_of(r: &Value) -> Result<(Reader, String), GraphError> {
    match r.get("scheduling").filter(|scheduling| !scheduling.is_null()) {
        None => Ok((Reader::Rv1exec, r.to_string())),
        Some(scheduling) => {
            let writer = match scheduling.get("writer") {
                None => None,
                Some(Value::String(writer)) => Some(writer.as_str()),
                Some(_) => return Err(GraphError::Malformed("scheduling.writer is not a string".into())),
            };
            Ok((Reader::from_writer(writer)?, scheduling.to_string()))
        }
    }
}

/// Seconds of a number of R, cut to whole ones.
fn seconds(r: &Value, key: &str) -> i64 {
    let value = r["execution"][key].as_f64().filter(|value| value.is_finite() && *value > 0.0);
    value.map_or(0, |value| value.min(9e18) as i64)
}

impl Fluxion {
    /// A scheduler over the resources of R. `now` is in seconds since the epoch.
    ///
    /// # Errors
    /// What is wrong with R or the configuration.
    pub fn from_r(r: &Value, config: &FluxionConfig, now: i64) -> Result<Fluxion, GraphError> {
        let (reader, text) = match config.load_format {
            None => reader_of(r)?,
            Some(Reader::Rv1exec) => (Reader::Rv1exec, r.to_string()),
            Some(reader) => (reader, r["scheduling"].to_string()),
        };
        let mut fluxion = Fluxion::from_document(reader, &text, config)?;
        let expiration = seconds(r, "expiration");
        fluxion.set_expiration(expiration, now);
        Ok(fluxion)
    }

    /// A scheduler over the resources of any document, GRUG for instance (`load-file`).
    ///
    /// # Errors
    /// What is wrong with the document or the configuration.
    pub fn from_document(reader: Reader, text: &str, config: &FluxionConfig) -> Result<Fluxion, GraphError> {
        let mut graph = Graph::default();
        reader.load(&mut graph, text, &config.load_allowlist)?;
        let is_flexible = match config.traverser.as_str() {
            "simple" => false,
            "flexible" => true,
            other => return Err(GraphError::Malformed(format!("unknown traverser '{other}'"))),
        };
        let script = match &config.match_script {
            None => None,
            Some((path, text)) => Some(Arc::new(Script::load(path, text).map_err(GraphError::Malformed)?)),
        };
        let engine_config = EngineConfig {
            policy: match script {
                None => parse_policy(&config.match_policy).map_err(GraphError::Malformed)?,
                Some(_) => MatchPolicy::FIRST,
            },
            matcher: config.subsystems.clone(),
            prune_filters: config.prune_filters.clone(),
            is_flexible,
            script,
        };
        let engine = Engine::new(graph, &engine_config)?;
        Ok(Fluxion { engine, format: config.match_format, has_expiration: false, counts: Counts::default() })
    }

    /// When the instance ends, in seconds since the epoch; 0 for never. Nothing new is planned beyond it.
    pub fn set_expiration(&mut self, expiration: i64, now: i64) {
        self.has_expiration = expiration > 0;
        let never = now.saturating_add(GRAPH_DURATION_MAX);
        self.engine.graph_end = if self.has_expiration { expiration } else { never };
    }

    /// Matches the jobspec of job `id`; if the operation takes, the job holds what it got until it is cancelled.
    ///
    /// # Errors
    /// `Busy` (EBUSY): not now. `Unsatisfiable` (ENODEV): never, for the operations that tell. `Invalid` (EINVAL): the
    /// jobspec. `Exists` (EEXIST): the job holds something already.
    pub fn match_job(&mut self, op: MatchOp, id: u64, jobspec: &Value, now: i64) -> Result<Allocation, MatchError> {
        let jobspec = Jobspec::from_value(jobspec).map_err(|error| MatchError::Invalid(error.to_string()))?;
        self.match_jobspec(op, id, &jobspec, now)
    }

    /// As `match_job`, with a jobspec that is parsed once for many tries.
    ///
    /// # Errors
    /// As `match_job`.
    pub fn match_jobspec(
        &mut self,
        op: MatchOp,
        id: u64,
        jobspec: &Jobspec,
        now: i64,
    ) -> Result<Allocation, MatchError> {
        let mut writer = Writer::new(self.format);
        let (visits, began) = (self.engine.visit_count, stopwatch());
        let matched = self.engine.match_job(op, id, jobspec, now, &mut writer);
        let overhead = stopwatch() - began;
        if op != MatchOp::Satisfiability {
            self.counts.note(matched.is_ok(), id, self.engine.visit_count - visits, overhead);
        }
        if let Some(job) = self.engine.jobs.get_mut(&id) {
            job.overhead = overhead;
        }
        let matched = matched?;
        if jobspec.duration == 0.0 && !self.has_expiration {
            writer.times(matched.at, 0); // RFC 14: allocated without expiration.
        }
        let r = writer.finish().map_err(MatchError::Invalid)?.unwrap_or(Value::Null);
        Ok(Allocation { r, at: matched.at, is_reserved: matched.at > now, duration: jobspec.duration, overhead })
    }

    /// Whether the jobspec could run if everything were up and free.
    ///
    /// # Errors
    /// `Unsatisfiable` if not, `Invalid` for a bad jobspec.
    pub fn satisfiable(&mut self, jobspec: &Value, now: i64) -> Result<(), MatchError> {
        self.match_job(MatchOp::Satisfiability, 0, jobspec, now).map(|_| ())
    }

    /// Gives back all a job holds or has reserved.
    ///
    /// # Errors
    /// `NotFound` (ENOENT) if it holds nothing.
    pub fn cancel(&mut self, id: u64) -> Result<(), MatchError> {
        self.engine.cancel(id).map(|_| ())
    }

    /// Gives back what R names of what a job holds. True if nothing is left.
    ///
    /// # Errors
    /// `NotFound` if the job or a rank does not exist; `Invalid` if it only has a reservation.
    pub fn partial_cancel(&mut self, id: u64, r: &Value) -> Result<bool, MatchError> {
        let (reader, text) = reader_of(r)?;
        let release = reader.release(&mut self.engine.graph, &text)?;
        self.engine.partial_cancel(id, &release)
    }

    /// Puts a job back where its R says it is, as after a restart.
    ///
    /// # Errors
    /// `Exists` if it holds something already; a graph error if R names what is not there or not free.
    pub fn update(&mut self, id: u64, r: &Value, now: i64) -> Result<(), MatchError> {
        let (reader, text) = reader_of(r)?;
        let claim = reader.claim(&mut self.engine.graph, &text)?;
        let (start, end) = (seconds(r, "starttime"), seconds(r, "expiration"));
        let end = if end > start { end } else { self.engine.graph_end };
        let span = (Hold::Allocated, start, (end - start).max(1));
        self.engine.update_job(id, &claim, span, now, &mut Writer::new(Format::Rlite))
    }

    /// Whether the cores and GPUs that job `id` holds are exactly those of R.
    pub fn holds(&self, id: u64, r: &Value) -> bool {
        let found = self.find(&format!("jobid-alloc={id}"), Some(Format::Rv1Nosched), 0).ok().flatten();
        let lite = |r: &Value| ResourceSet::from_value(r).ok().map(|set| set.to_value()["execution"]["R_lite"].take());
        found.is_some_and(|found| lite(&found).is_some_and(|held| lite(r) == Some(held)))
    }

    /// Changes when a job that runs is expected to end, 0 for never. It keeps what it holds.
    ///
    /// # Errors
    /// `NotFound` if the job holds nothing.
    pub fn set_job_expiration(&mut self, id: u64, expiration: i64) -> Result<(), MatchError> {
        let end = if expiration > 0 { expiration } else { self.engine.graph_end };
        self.engine.set_job_end(id, end)
    }

    /// Jobs that hold resources now.
    pub fn running(&self) -> impl Iterator<Item = u64> + '_ {
        self.engine.jobs.iter().filter(|(_, job)| job.hold == Hold::Allocated).map(|(id, _)| *id)
    }

    /// What a job holds: from when to when, and whether it is only reserved.
    pub fn job(&self, id: u64) -> Option<(i64, i64, bool)> {
        let job = self.engine.jobs.get(&id)?;
        Some((job.at, job.at.saturating_add(job.duration), job.hold == Hold::Reserved))
    }

    /// Jobs that hold or have reserved something.
    pub fn job_ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.engine.jobs.keys().copied()
    }

    /// The graph and everything on it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}
