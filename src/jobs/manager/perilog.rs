//! Prolog and epilog: commands of the site around every job, on rank 0 or on all nodes of the job (flux-config-job-manager(5)).
//!
//! The prolog begins with the RUN state, and the shells start when it has succeeded everywhere; the epilog begins with the
//! `finish` event, or when the prolog has failed, and resources go back when it is over. After a restart what was under way
//! is run again: nobody knows how far it came.

mod conf;
mod run;

use std::collections::BTreeMap;

use flux_service::{Cx, Fault, LogLevel, Mono, Tag};
use flux_types::{Idset, JobId, JobState, ResourceSet};
use flux_wire::{Message, Payload, Target};
use serde_json::{Map, Value, json};

pub(super) use self::conf::{Conf, imp};
use self::run::{Kind, Run};
use super::bulk::{Bulk, Command, hosts};
use super::event::context;
use super::raise::Exception;
use super::{JobManager, Pending};

const SIGTERM: i32 = 15;
/// The broker's state CLEANUP, as `state-machine.monitor` counts.
const BROKER_CLEANUP: u64 = 7;

/// How far a job's prolog or epilog is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    None,
    Open,
    Done,
}

/// All prologs and epilogs that run.
#[derive(Debug, Default)]
pub(super) struct Perilog {
    conf: Conf,
    running: BTreeMap<JobId, Run>,
    monitor: Option<Tag>,
    /// Epilogs would hold the shutdown up.
    shutting_down: bool,
}

impl Perilog {
    pub(super) fn set_conf(&mut self, conf: Conf) {
        self.conf = conf;
    }

    /// Does a prolog or epilog of this job run?
    pub(super) fn busy(&self, id: JobId) -> bool {
        self.running.contains_key(&id)
    }

    pub(super) fn next_timer(&self) -> Option<Mono> {
        self.running.values().filter_map(Run::next_timer).min()
    }

    /// For `flux jobtap query perilog.so`.
    pub(super) fn query(&self, now: Mono) -> Value {
        let procs: Map<String, Value> =
            self.running.iter().map(|(id, run)| (id.to_string(), run.describe(now))).collect();
        json!({"conf": self.conf.describe(), "procs": procs})
    }
}

impl JobManager {
    /// Listens for the end of the instance, once there is an epilog.
    pub(super) fn watch_broker(&mut self, cx: &mut Cx<'_>) {
        if self.perilog.monitor.is_none() && self.perilog.conf.of(Kind::Epilog).is_some() {
            let tag = cx.request_stream("state-machine.monitor", Target::Any, json!({"final": BROKER_CLEANUP}));
            self.perilog.monitor = Some(tag);
            self.pending.insert(tag, Pending::BrokerState);
        }
    }

    pub(super) fn on_broker_state(&mut self, tag: Tag, reply: &Message) {
        let state = reply.payload.value().ok().and_then(|body| body.get("state")?.as_u64());
        self.perilog.shutting_down |= state.is_some_and(|state| state >= BROKER_CLEANUP);
        if Fault::of(reply).is_none() {
            self.pending.insert(tag, Pending::BrokerState);
        }
    }

    /// The job is in RUN: begins its prolog if there is one and it has not been. `false` if nothing holds the start back.
    pub(super) fn begin_prolog(&mut self, cx: &mut Cx<'_>, id: JobId) -> bool {
        if self.perilog.busy(id) {
            return true;
        }
        let Some(job) = self.jobs.get(&id) else { return false };
        let due = job.prolog == Stage::None && !job.started && !job.shells;
        if !due || self.perilog.conf.of(Kind::Prolog).is_none() {
            return false;
        }
        self.begin(cx, id, Kind::Prolog);
        true
    }

    /// The job's processes are gone: begins its epilog if there is one.
    pub(super) fn begin_epilog(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let due = self.jobs.get(&id).is_some_and(|job| job.epilog == Stage::None) && !self.perilog.busy(id);
        if due && !self.perilog.shutting_down && self.perilog.conf.of(Kind::Epilog).is_some() {
            self.begin(cx, id, Kind::Epilog);
        }
    }

    fn begin(&mut self, cx: &mut Cx<'_>, id: JobId, kind: Kind) {
        if !self.run_perilog(cx, id, kind) {
            let note = format!("failed to start job {}", kind.name());
            self.raise(cx, id, &Exception::new(kind.name(), 0, &note));
            return;
        }
        self.post(cx, id, kind.start_event(), context([("description", kind.description().into())]));
    }

    /// Starts the processes. `false` if R is not there.
    fn run_perilog(&mut self, cx: &mut Cx<'_>, id: JobId, kind: Kind) -> bool {
        let Some(proc) = self.perilog.conf.of(kind) else { return false };
        let Some(job) = self.jobs.get(&id) else { return false };
        let set = job.resources.as_deref().and_then(|r| ResourceSet::from_value(r).ok());
        let Some(job_ranks) = set.map(|set| set.ranks()).filter(|ranks| !ranks.is_empty()) else { return false };
        let command = Command {
            argv: proc.argv.clone(),
            env: vec![
                ("FLUX_JOB_ID", id.to_string()),
                ("FLUX_JOB_RANKS", job_ranks.to_string()),
                ("FLUX_JOB_USERID", job.userid.to_string()),
            ],
        };
        let ranks = if proc.per_rank { job_ranks } else { Idset::below(1) };
        let pending = &mut self.pending;
        let bulk = Bulk::start(cx, &ranks, &command, |tag, rank| {
            pending.insert(tag, Pending::Perilog { id, rank });
        });
        self.perilog.running.insert(id, Run::new(cx.now.mono, kind, proc, bulk));
        true
    }

    pub(super) fn on_perilog(&mut self, cx: &mut Cx<'_>, tag: Tag, id: JobId, rank: u32, reply: &Message) {
        let Some(run) = self.perilog.running.get_mut(&id) else { return };
        let Some(step) = run.bulk.on_reply(cx, tag, rank, reply) else { return };
        let name = run.kind.name();
        let ended = step.ended.is_some();
        if !ended {
            self.pending.insert(tag, Pending::Perilog { id, rank });
        }
        let host = hosts(cx, &Idset::range(rank, rank));
        for (is_error, line) in step.lines.iter().filter(|(_, line)| !self.perilog.conf.ignores(line)) {
            let (level, stream) = if *is_error { (LogLevel::Err, "stderr") } else { (LogLevel::Info, "stdout") };
            cx.log(level, format!("{id}: {name}: {host} (rank {rank}): {stream}: {line}"));
        }
        if let Some(fault) = &step.error {
            cx.log(LogLevel::Err, format!("{id}: {name}: {host} (rank {rank}): {}", fault.message()));
        }
        let run = self.perilog.running.get_mut(&id).expect("just used");
        if ended && run.bulk.active() == 0 && !run.over {
            run.over = true;
            run.failed = run.bulk.failed_ranks();
            let drain = run.per_rank && !run.canceled && run.bulk.status() != 0;
            self.drain_and_finish(cx, id, drain);
        }
    }

    /// Takes the nodes that failed out of service first, so that no other job gets them in between.
    fn drain_and_finish(&mut self, cx: &mut Cx<'_>, id: JobId, drain: bool) {
        let Some(run) = self.perilog.running.get_mut(&id) else { return };
        run.settle();
        if !drain || run.failed.is_empty() {
            return self.finish_perilog(cx, id);
        }
        let how = match (run.canceled, run.timed_out) {
            (true, _) => "canceled then timed out",
            (false, true) => "timed out",
            (false, false) => "failed",
        };
        let reason = format!("{} {how} for job {id}", run.kind.name());
        let body = json!({"targets": run.failed.to_string(), "reason": reason, "mode": "update"});
        let tag = cx.request("resource.drain", Target::Any, body);
        self.pending.insert(tag, Pending::PerilogDrain { id });
    }

    pub(super) fn on_perilog_drained(&mut self, cx: &mut Cx<'_>, id: JobId, reply: &Message) {
        if let (Some(fault), Some(run)) = (Fault::of(reply), self.perilog.running.get(&id)) {
            let name = run.kind.name();
            cx.log(LogLevel::Err, format!("failed to drain ranks with failed {name} for {id}: {}", fault.message()));
        }
        self.finish_perilog(cx, id);
    }

    fn finish_perilog(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(run) = self.perilog.running.remove(&id) else { return };
        let kind = run.kind;
        let failed = run.canceled || run.timed_out || run.bulk.status() > 0;
        // What the prolog did may have to be undone. The start comes before the end of the prolog, so that the job does not
        // slip away between them.
        if kind == Kind::Prolog && failed {
            self.begin_epilog(cx, id);
        }
        let status = run.bulk.status();
        if (status != 0 && !run.canceled) || run.gave_up {
            let note = run.failure(&hosts(cx, &run.failed));
            let severity = if kind == Kind::Prolog { 0 } else { 2 };
            self.raise(cx, id, &Exception::new(kind.name(), severity, &note));
        }
        self.post_perilog_finish(cx, id, kind, status);
    }

    fn post_perilog_finish(&mut self, cx: &mut Cx<'_>, id: JobId, kind: Kind, status: i32) {
        let body = context([("description", kind.description().into()), ("status", status.into())]);
        self.post(cx, id, kind.finish_event(), body);
    }

    /// A fatal exception ends a prolog (or an epilog that is configured so).
    pub(super) fn perilog_on_exception(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(run) = self.perilog.running.get_mut(&id) else { return };
        if run.cancel_on_exception && !run.canceled && run.bulk.active() > 0 {
            run.canceled = true;
            run.terminate(cx);
        }
    }

    pub(super) fn perilog_on_timer(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let due = |run: &Run| run.next_timer().is_some_and(|at| at <= now);
        let ids: Vec<JobId> = self.perilog.running.iter().filter(|(_, run)| due(run)).map(|(id, _)| *id).collect();
        for id in ids {
            let run = self.perilog.running.get_mut(&id).expect("just found");
            if run.kill_at.is_none() {
                run.timed_out = true;
                run.terminate(cx);
                continue;
            }
            let name = run.kind.name();
            cx.log(LogLevel::Err, format!("{id}: timed out waiting for SIGTERM to terminate {name}"));
            (run.gave_up, run.over) = (true, true);
            run.failed = run.bulk.active_ranks();
            self.drain_and_finish(cx, id, true);
        }
    }

    /// After a restart: what was under way is run again, or declared over if it is not configured any more.
    pub(super) fn perilog_on_restart(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let (prolog, epilog, state) = (job.prolog == Stage::Open, job.epilog == Stage::Open, job.state);
        if prolog && state != JobState::Run {
            // It was being ended, and is gone with the broker.
            self.begin_epilog(cx, id);
            self.post_perilog_finish(cx, id, Kind::Prolog, SIGTERM);
        } else if prolog && !self.run_perilog(cx, id, Kind::Prolog) {
            self.post_perilog_finish(cx, id, Kind::Prolog, 0);
        }
        if epilog && !self.run_perilog(cx, id, Kind::Epilog) {
            self.post_perilog_finish(cx, id, Kind::Epilog, 0);
        }
    }

    /// What runs, and how it is configured.
    pub(super) fn perilog_query(&self, cx: &mut Cx<'_>, request: &Message, name: &str) {
        let mut body = json!({"name": name, "path": "builtin"});
        if let (Value::Object(body), Value::Object(more)) = (&mut body, self.perilog.query(cx.now.mono)) {
            body.extend(more);
        }
        cx.respond(request, Payload::from(body));
    }
}

#[cfg(test)]
mod tests;
