//! `job-exec`: has shells started on the nodes of a job, keeps what they tell, and ends them (RFCs 32, 50; ADR 1).
//!
//! The service runs on every rank. On rank 0 it is the *leader* too: it answers the job manager and writes the eventlogs. The
//! leader asks the service on each *node* of a job (its own among them) to `launch` a shell; that answers with what becomes of the
//! shell, and passes its events on. Orders go the other way with `job-exec.order`.

mod absent;
mod begun;
mod config;
mod guest;
mod job;
mod kill;
mod late;
mod leader;
mod mock;
mod node;
mod reattach;
mod record;
mod recover;
mod relay;
mod tables;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use flux_service::{Completion, Cx, Fault, Handler, LogLevel, Mono, Outcome, Service, SpawnSpec, Tag};
use flux_types::{Idset, JobId};
use flux_wire::{Errno, Message, Target};
use serde_json::{Value, json};

use config::Config;
use job::Job;
use node::Shell;
use relay::Relay;

/// Before a commit that failed, or a hello that found no manager, is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// A shell that a restarted broker found alive has this long to say hello.
const HELLO_WAIT: Duration = Duration::from_secs(60);

/// What a request or operation was for.
#[derive(Debug)]
enum Pending {
    ManagerHello,
    Commit(Box<record::Commit>),
    /// The ends of these jobs come to disk.
    Sync(Vec<JobId>),
    /// What was of use until they ended is forgotten.
    Unlink,
    /// The stream of these shells of a job.
    Launch(JobId, Idset),
    /// The same, where this broker passes on what comes.
    Relay(relay::RelayKey, Idset),
    /// After a restart: the job's exec eventlog, then what was taken of its shells.
    LookLog(JobId),
    LookTaken(JobId),
    /// A guest's J.
    Signed(JobId),
    Namespace,
    Drain,
    /// A node's claim on a job that the leader does not have: its eventlog.
    Claimed(Message),
    /// This node's claim.
    Claim(JobId),
    /// The record of a job is made, for a shell.
    Node(JobId, Box<SpawnSpec>),
    Recover(recover::Step),
    /// The mark of a job that is begun.
    Begun(JobId),
}

/// The service.
#[derive(Debug, Default)]
pub struct JobExec {
    config: Config,
    pending: BTreeMap<Tag, Pending>,
    /// The leader's.
    jobs: BTreeMap<JobId, Job>,
    /// Those with lines to store.
    dirty: BTreeSet<JobId>,
    committing: bool,
    retry_at: Option<Mono>,
    manager_at: Option<Mono>,
    /// When nodes that were not there are asked again.
    absent_at: Option<Mono>,
    /// When the leader is asked again about shells of this node.
    claims_at: Option<Mono>,
    /// When the ends of jobs are brought to disk if the manager has not told by then that they are.
    syncs_at: Option<Mono>,
    /// This node's.
    shells: BTreeMap<JobId, Shell>,
    processes: BTreeMap<Tag, JobId>,
    gpu_devices: Vec<Vec<String>>,
    /// Groups of guests' jobs that are over, and when what is left in them is killed.
    leavings: VecDeque<(Mono, String)>,
    /// Launches for brokers below, passed on.
    relays: BTreeMap<relay::RelayKey, Relay>,
    relays_made: u64,
    recovery: recover::Recovery,
    /// Until then shells may say hello of which this instance of the service knows nothing yet.
    known_by: Option<Mono>,
    stopping: bool,
    /// This is rank 0.
    leads: bool,
}

impl JobExec {
    pub fn new() -> JobExec {
        JobExec::default()
    }

    /// On a node whose GPUs have these device files, by the GPUs' ids.
    pub fn with_gpus(gpu_devices: Vec<Vec<String>>) -> JobExec {
        JobExec { gpu_devices, ..JobExec::default() }
    }

    fn hello_manager(&mut self, cx: &mut Cx<'_>) {
        self.manager_at = None;
        let tag = cx.request("job-manager.exec-hello", Target::Any, json!({"service": "job-exec"}));
        self.pending.insert(tag, Pending::ManagerHello);
    }

    /// There is another job manager.
    fn hello_again(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if self.leads && !self.stopping {
            self.hello_manager(cx);
        }
        cx.respond_empty(request);
        Ok(())
    }

    fn on_answer(&mut self, cx: &mut Cx<'_>, pending: Option<Pending>, reply: &Message) {
        match pending {
            Some(Pending::ManagerHello) => self.on_manager_hello(cx, reply),
            Some(Pending::Commit(commit)) => self.on_commit(cx, *commit, reply),
            Some(Pending::Sync(ids)) => self.on_synced(cx, &ids, reply),
            Some(Pending::LookLog(id)) => self.on_log_found(cx, id, reply),
            Some(Pending::LookTaken(id)) => self.on_taken_found(cx, id, reply),
            Some(Pending::Signed(id)) => self.on_signed(cx, id, reply),
            Some(Pending::Claimed(request)) => self.on_claimed_log(cx, &request, reply),
            Some(Pending::Claim(id)) => self.on_claim(cx, id, reply),
            Some(Pending::Drain) => {
                if let Some(fault) = Fault::of(reply) {
                    cx.log(LogLevel::Err, format!("job-exec: draining nodes failed: {fault}"));
                }
            }
            _ => {}
        }
    }

    fn on_manager_hello(&mut self, cx: &mut Cx<'_>, reply: &Message) {
        if let Some(fault) = Fault::of(reply)
            && !self.stopping
        {
            let level = if fault.errno == Errno::ENOSYS { LogLevel::Debug } else { LogLevel::Err };
            cx.log(level, format!("job-exec: the job manager does not answer: {fault}"));
            self.manager_at = Some(cx.now.mono.after(RETRY_PAUSE));
        }
    }
}

impl Service for JobExec {
    const NAME: &'static str = "job-exec";
    const HANDLERS: &'static [Handler<Self>] = &[
        // The leader's.
        Handler::owner("job-exec.start", JobExec::start_job),
        Handler::owner("job-exec.expiration", JobExec::set_expiration),
        Handler::owner("job-exec.ended", JobExec::ended),
        Handler::owner("job-exec.hello-again", JobExec::hello_again),
        Handler::user("job-exec.critical-ranks", JobExec::set_critical_ranks),
        Handler::user("job-exec.override", JobExec::override_mock),
        Handler::event("job-exception", JobExec::exception),
        // Each node's.
        Handler::owner("job-exec.launch", JobExec::launch),
        Handler::owner("job-exec.order", JobExec::order),
        Handler::user("job-exec.shell-hello", JobExec::shell_hello),
        Handler::user("job-exec.shell-events", JobExec::shell_events),
        Handler::event("shell-*.kill", JobExec::kill_event),
        Handler::owner("job-exec.claim", JobExec::claim),
        Handler::all("job-exec.disconnect", JobExec::disconnect),
    ];

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.config = Config::read(cx.node.config_at("exec"))?;
        self.known_by = Some(cx.now.mono.after(HELLO_WAIT));
        self.begin_recovery(cx);
        self.leads = cx.node.rank.is_root();
        if self.leads {
            self.hello_manager(cx);
        }
        Ok(())
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.stopping = true;
        self.kill_leavings(cx, |_| true);
        self.part(cx);
    }

    /// What was heard of jobs is in the store, or cannot be brought there.
    fn is_idle(&self) -> bool {
        !self.committing && self.dirty.is_empty() || self.retry_at.is_some()
    }

    /// Rank 0 must be ready for its manager to say which jobs go on; the others get no work while old shells may be unwanted.
    fn is_ready(&self) -> bool {
        self.leads || !self.recovery.is_busy() && self.claims_are_settled()
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        // Streams stay until their last answer.
        let pending = self.pending.remove(&tag);
        match &pending {
            Some(Pending::Launch(id, shells)) => self.on_launch_reply(cx, *id, shells, tag, reply),
            Some(Pending::Relay(key, shells)) => self.on_relay_reply(cx, *key, shells, reply),
            _ => return self.on_answer(cx, pending, reply),
        }
        if let Some(pending) = pending.filter(|_| reply.errno().is_none()) {
            self.pending.insert(tag, pending);
        }
    }

    fn on_completion(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: Completion) {
        if let Completion::Process(event) = completion {
            return self.on_process(cx, tag, event);
        }
        match self.pending.remove(&tag) {
            Some(Pending::Node(id, spec)) => self.on_node_step(cx, id, *spec, completion),
            Some(Pending::Begun(id)) => self.on_begun(cx, id, &completion),
            Some(Pending::Recover(step)) => self.on_recover_step(cx, step, completion),
            _ => {}
        }
    }

    fn on_batch_end(&mut self, cx: &mut Cx<'_>) {
        if self.claims_are_settled() {
            self.go_on(cx);
        }
        self.commit_lines(cx);
        self.flush_relays(cx);
    }

    fn next_timer(&self) -> Option<Mono> {
        let jobs = self.jobs.values().filter_map(Job::next_timer);
        let shells = self.shells.values().filter_map(|shell| shell.hello_by);
        let own = [self.retry_at, self.manager_at, self.syncs_at, self.absent_at, self.claims_at, self.next_flush()];
        let own = own.into_iter().chain([self.leavings.front().map(|(at, _)| *at)]);
        jobs.chain(shells).chain(own.flatten()).min()
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        if self.manager_at.is_some_and(|at| at <= now) {
            self.hello_manager(cx);
        }
        if self.syncs_at.take_if(|at| *at <= now).is_some() {
            self.sync_ends(cx);
        }
        self.ring_jobs(cx);
        self.kill_leavings(cx, |at| at <= now);
        self.ring_absent(cx);
        if self.claims_at.is_some_and(|at| at <= now) {
            self.claim_shells(cx);
        }
        self.ring_shells(cx);
        self.commit_lines(cx);
        self.flush_relays(cx);
    }

    fn on_config(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.config = Config::read(cx.node.config_at("exec"))?;
        Ok(())
    }

    fn stats(&self) -> Value {
        let jobs: serde_json::Map<String, Value> =
            self.jobs.values().map(|job| (job.plain_id(), job.stats())).collect();
        json!({
            "method": "bulk-exec",
            "kill-timeout": self.config.kill_timeout.as_secs_f64(),
            "term-signal": config::name(self.config.term_signal),
            "kill-signal": config::name(self.config.kill_signal),
            "max-kill-count": self.config.max_kill_count,
            "max-kill-timeout": self.config.max_kill_timeout.map_or(-1.0, |span| span.as_secs_f64()),
            "effective-max-kill-timeout": self.config.effective_max_kill_timeout().as_secs_f64(),
            "jobs": jobs,
            "shells": self.shells.len(),
            "relays": self.relays.len(),
            "config": self.config.stats(),
        })
    }

    fn check(&self) {
        for (id, job) in &self.jobs {
            assert_eq!(*id, job.id);
            assert!(!job.parts.is_empty(), "{id} has nodes");
            for part in &job.parts {
                assert!(part.told <= part.stored && part.stored <= part.taken, "{id}: {part:?}");
            }
        }
        for tag in self.pending.keys() {
            assert_ne!(tag.0, 0);
        }
    }
}

#[cfg(test)]
mod tests;
