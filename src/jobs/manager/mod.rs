//! `job-manager`: one state machine per job (RFC 21), and the talks with everybody who moves it.
//!
//! Every change is an event (`event.rs`) that [`job`] applies and the eventlog keeps; each noun has its file. The handler table
//! below is the index.

mod alloc;
mod allocated;
mod annotate;
mod archive;
mod bulk;
mod claim;
mod conf;
mod depend;
mod environment;
mod event;
mod explain;
mod history;
mod housekeeping;
mod index;
mod job;
mod jobtap;
mod journal;
mod kill;
mod limit;
mod lookup;
mod perilog;
mod queue;
mod raise;
mod restart;
mod start;
mod submit;
mod update;
mod urgency;
mod wait;

pub(crate) use job::Values;

use std::collections::BTreeMap;

use flux_service::{Completion, Cx, Fault, Handler, Mono, Now, Outcome, Service, Tag};
use flux_types::JobId;
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::limits::PARKED_REQUESTS_MAX;

/// Requests made, by what their answer is for.
#[derive(Debug)]
enum Pending {
    Commit(Box<event::Batch>),
    Claim(Box<claim::Claim>),
    Load(restart::Step),
    Lost { id: JobId },
    Tell(Box<restart::Told>),
    TellLines(usize),
    Fetch(Box<lookup::Fetch>),
    Purge { request: Option<Box<Message>>, count: usize },
    Expiration { id: JobId },
    Environment { id: JobId },
    Update(Box<update::Asked>),
    Explain(Box<explain::Asked>),
    Perilog { id: JobId, rank: u32 },
    PerilogDrain { id: JobId },
    BrokerState,
    Housekeeping { id: JobId, rank: u32 },
    Ignore,
}

/// The job manager. See the module's text.
#[derive(Debug)]
pub struct JobManager {
    /// Boxed: a tree whose keys only grow is half empty.
    jobs: BTreeMap<JobId, Box<job::Job>>,
    archive: archive::Archive,
    index: index::Index,
    max_id: JobId,
    /// Jobs in RUN or CLEANUP.
    running: usize,
    events: event::Events,
    alloc: alloc::Alloc,
    start: start::Start,
    queues: queue::Queues,
    journal: journal::Journal,
    wait: wait::Wait,
    depend: depend::Depend,
    environments: environment::Environments,
    texts: job::Texts,
    conf: conf::Conf,
    policy: limit::Policy,
    perilog: perilog::Perilog,
    housekeeping: housekeeping::Housekeeping,
    jobtap: jobtap::Jobtap,
    pending: BTreeMap<Tag, Pending>,
    /// While the jobs of an earlier life are read.
    loader: Option<restart::Loader>,
    retellings: BTreeMap<usize, restart::Retelling>,
    last_retelling: usize,
    /// When both clocks were last read: `begin-time`s are wall clock, timers are not.
    now: Now,
    purged_at: Mono,
    /// `raiseall` requests under way.
    raisings: std::collections::VecDeque<raise::Raising>,
}

impl Default for JobManager {
    fn default() -> Self {
        JobManager {
            jobs: BTreeMap::new(),
            archive: archive::Archive::default(),
            index: index::Index::default(),
            max_id: JobId(0),
            running: 0,
            events: event::Events::default(),
            alloc: alloc::Alloc::default(),
            start: start::Start::default(),
            queues: queue::Queues::default(),
            journal: journal::Journal::default(),
            wait: wait::Wait::default(),
            depend: depend::Depend::default(),
            environments: environment::Environments::default(),
            texts: job::Texts::default(),
            conf: conf::Conf::default(),
            policy: limit::Policy::default(),
            perilog: perilog::Perilog::default(),
            housekeeping: housekeeping::Housekeeping::default(),
            jobtap: jobtap::Jobtap::default(),
            pending: BTreeMap::new(),
            loader: None,
            retellings: BTreeMap::new(),
            last_retelling: 0,
            now: Now::default(),
            purged_at: Mono::default(),
            raisings: Default::default(),
        }
    }
}

/// How often inactive jobs are looked at for the configured limits: flux-core's heartbeat.
const PURGE_PERIOD: std::time::Duration = std::time::Duration::from_secs(2);

/// A row whose request waits while jobs are being read.
macro_rules! row {
    ($who:ident $topic:literal $method:ident) => {
        Handler::$who($topic, |manager, cx, request| manager.gate(cx, request, JobManager::$method))
    };
}

impl Service for JobManager {
    const NAME: &'static str = "job-manager";
    const ALSO: &'static [&'static str] = &["job-manager.history", "job-manager.post-event"];
    const HANDLERS: &'static [Handler<Self>] = &[
        row!(owner "job-manager.submit" submit),
        row!(user "job-manager.urgency" urgency),
        row!(user "job-manager.raise" raise_request),
        row!(user "job-manager.raiseall" raise_all),
        row!(user "job-manager.kill" kill),
        row!(user "job-manager.killall" kill_all),
        row!(owner "job-manager.wait" wait),
        row!(user "job-manager.getattr" getattr),
        row!(user "job-manager.getinfo" getinfo),
        row!(user "job-manager.explain" explain),
        row!(owner "job-manager.list" list),
        row!(user "job-manager.memo" memo),
        row!(user "job-manager.update" update),
        row!(owner "job-manager.drain" drain),
        row!(owner "job-manager.idle" idle),
        row!(owner "job-manager.instance-expiration" instance_expiration),
        row!(owner "job-manager.purge" purge),
        row!(owner "job-manager.purge-id" purge_id),
        row!(user "job-manager.queue-list" queue_list),
        row!(user "job-manager.queue-status" queue_status),
        row!(owner "job-manager.queue-enable" queue_enable),
        row!(owner "job-manager.queue-start" queue_start),
        row!(owner "job-manager.events-journal" events_journal),
        row!(owner "job-manager.events-journal-cancel" events_journal_cancel),
        row!(owner "job-manager.sched-hello" sched_hello),
        row!(owner "job-manager.sched-ready" sched_ready),
        row!(user "job-manager.alloc-query" alloc_query),
        row!(owner "job-manager.resource-status" resource_status),
        row!(owner "job-manager.exec-hello" exec_hello),
        row!(owner "job-manager.set-batch-timeout" set_batch_timeout),
        row!(owner "job-manager.housekeeping-kill" housekeeping_kill),
        row!(owner "job-manager.jobtap" jobtap),
        row!(owner "job-manager.jobtap-query" jobtap_query),
        row!(user "job-manager.history.get" history_get),
        row!(owner "job-manager.post-event.post" post_event),
        row!(all "job-manager.disconnect" disconnect),
        // Of plugins: job-manager.PLUGIN.METHOD.
        row!(owner "job-manager.*.*" plugin_request),
    ];

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.now = cx.now;
        self.configure(cx)?;
        if self.load_configured(cx)? {
            self.loader = Some(restart::Loader::default()); // Requests wait; the loading begins when the plugins are there.
        } else {
            self.start_loading(cx);
        }
        Ok(())
    }

    fn on_completion(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: Completion) {
        self.now = cx.now;
        self.on_plugin_text(cx, tag, completion);
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.refuse_waiters(cx);
        self.refuse_raisings(cx);
        self.end_journal(cx);
        if self.loader.is_none() {
            self.save_checkpoint();
        }
    }

    fn is_idle(&self) -> bool {
        self.events.in_flight == 0
            && self.events.held.is_empty()
            && self.events.batch.puts.is_empty()
            && self.events.batch.lines.is_empty()
            && self.index.is_written()
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        self.now = cx.now;
        match self.pending.remove(&tag) {
            Some(Pending::Commit(batch)) => self.on_commit(cx, *batch, reply),
            Some(Pending::Claim(claim)) => self.on_claimed(cx, *claim, reply),
            Some(Pending::Load(step)) => self.on_loaded(cx, step, reply),
            Some(Pending::Lost { id }) => self.on_lost(cx, id, reply),
            Some(Pending::Tell(told)) => self.on_told(cx, *told, reply),
            Some(Pending::TellLines(key)) => self.on_told_lines(cx, key, reply),
            Some(Pending::Fetch(fetch)) => self.on_fetched(cx, *fetch, reply),
            Some(Pending::Purge { request, count }) => self.on_purged(cx, request, count, reply),
            Some(Pending::Expiration { id }) => self.on_expiration(cx, id, reply),
            Some(Pending::Environment { id }) => self.on_environment(cx, id, reply),
            Some(Pending::Update(asked)) => self.on_update_asked(cx, *asked, reply),
            Some(Pending::Explain(asked)) => self.on_explain(cx, *asked, reply),
            Some(Pending::Perilog { id, rank }) => self.on_perilog(cx, tag, id, rank, reply),
            Some(Pending::PerilogDrain { id }) => self.on_perilog_drained(cx, id, reply),
            Some(Pending::BrokerState) => self.on_broker_state(tag, reply),
            Some(Pending::Housekeeping { id, rank }) => self.on_housekeeping(cx, tag, id, rank, reply),
            Some(Pending::Ignore) => {}
            // RFCs 27 and 32: these name their job themselves.
            None if reply.topic() == "sched.alloc" => self.on_alloc_reply(cx, reply),
            None if self.start.is_topic(reply.topic()) => self.on_start_reply(cx, reply),
            None => {} // Of a service that has been replaced.
        }
    }

    fn on_batch_end(&mut self, cx: &mut Cx<'_>) {
        self.now = cx.now;
        self.raise_more(cx);
        self.send_allocs(cx);
        self.commit_batch(cx);
    }

    fn next_timer(&self) -> Option<Mono> {
        let begin = self.depend.next_time_us().map(|at_us| {
            let ahead_us = at_us.saturating_sub(depend::wall_us(self.now));
            self.now.mono.after(std::time::Duration::from_micros(ahead_us))
        });
        let load = self.loader.as_ref().and_then(|loader| loader.retry_at);
        let purge = (self.conf.purge != archive::Limits::default() && self.archive.len() > 0)
            .then(|| self.purged_at.after(PURGE_PERIOD));
        let backlog = (self.alloc_backlog() || !self.raisings.is_empty()).then_some(self.now.mono);
        let commands = [self.perilog.next_timer(), self.housekeeping.next_timer(), self.tap_next_timer()];
        [begin, load, purge, backlog, self.next_retry()].into_iter().chain(commands).flatten().min()
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        self.now = cx.now;
        self.retry_loading(cx);
        self.depend_on_timer(cx);
        self.perilog_on_timer(cx);
        self.housekeeping_on_timer(cx);
        self.tap_on_timer(cx);
        if cx.now.mono >= self.purged_at.after(PURGE_PERIOD) {
            self.purged_at = cx.now.mono;
            self.purge_by_config(cx);
        }
    }

    fn on_config(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.tap_config(cx)?;
        self.configure(cx)?;
        self.apply_queues(cx);
        Ok(())
    }

    fn stats(&self) -> Value {
        json!({"journal": {"listeners": self.journal.listeners.len(), "events": self.events.count},
               "active_jobs": self.jobs.len(), "inactive_jobs": self.archive.len(), "max_jobid": self.max_id.0,
               "housekeeping": self.housekeeping.stats()})
    }

    fn check(&self) {
        self.jobs.values().for_each(|job| job.check());
        self.check_alloc();
        self.check_archive();
        let running = self.jobs.values().filter(|job| flux_types::StateSet::RUNNING.contains(job.state)).count();
        assert_eq!(running, self.running, "jobs in RUN or CLEANUP are counted");
    }
}

#[derive(Deserialize)]
struct BatchTimeout {
    timeout: f64,
}

impl JobManager {
    fn gate(
        &mut self,
        cx: &mut Cx<'_>,
        request: &Message,
        run: fn(&mut JobManager, &mut Cx<'_>, &Message) -> Outcome,
    ) -> Outcome {
        self.now = cx.now;
        match &mut self.loader {
            None => run(self, cx, request),
            Some(loader) if loader.parked.len() < PARKED_REQUESTS_MAX => {
                loader.parked.push(request.clone());
                Ok(())
            }
            Some(_) => Err(Fault::new(Errno::EAGAIN, "the jobs are still being read")),
        }
    }

    /// Runs a request that had to wait.
    fn rerun(&mut self, cx: &mut Cx<'_>, request: &Message) {
        let row = Self::HANDLERS.iter().find(|row| row.topic == request.topic()).expect("it came through the table");
        if let Err(fault) = (row.run)(self, cx, request) {
            cx.respond_error(request, &fault);
        }
    }

    /// flux-core's batches wait this long; ours are made of what is there, so there is nothing to set.
    fn set_batch_timeout(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: BatchTimeout = request.decode()?;
        if body.timeout.is_nan() || body.timeout < 0.0 {
            return Err(Fault::new(Errno::EINVAL, "the timeout is below 0"));
        }
        cx.respond_empty(request);
        Ok(())
    }

    fn disconnect(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.sched_disconnect(cx, request);
        self.exec_disconnect(cx, request);
        self.journal_disconnect(request);
        self.wait_disconnect(request);
        Ok(())
    }
}

#[cfg(test)]
mod job_tests;
#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod tests;
