//! `job-list`: what `flux jobs` shows (RFC 43), fed by the manager's journal.

mod attrs;
mod filter;
mod line;
mod record;
mod stats;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flux_service::{Cx, Fault, Handler, LogLevel, Mono, Outcome, Service, Tag, enforced};
use flux_types::{JobId, JobState, StateSet};
use flux_wire::{Cred, Errno, Local, Message, Payload, Target, role};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::body::WireId;
use crate::finished::Finished;
use crate::inside::Told;
use crate::limits::{LIST_CHUNK, LIST_DEFERRED_MAX, LIST_WAITERS_MAX, WATCHERS_MAX};
use attrs::Wanted;
use filter::{Filter, Match};
pub(crate) use line::Lines;
use record::{Outlines, Pool, Record};
use stats::Stats;

/// Changes of the statistics are told together.
const STATS_PERIOD: Duration = Duration::from_millis(100);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A request for one job that waits for its state.
#[derive(Debug)]
struct Waiting {
    request: Message,
    states: u32,
    wanted: Wanted,
}

/// The job-list service.
#[derive(Debug, Default)]
pub struct JobList {
    /// Boxed: a tree whose keys only grow is half empty.
    jobs: BTreeMap<JobId, Box<Record>>,
    /// Highest priority first, then oldest.
    pending: BTreeSet<(Reverse<i64>, JobId)>,
    /// Last started first, then newest.
    running: BTreeSet<(Reverse<u64>, Reverse<JobId>)>,
    /// Last ended first, then newest.
    inactive: BTreeSet<(Reverse<u64>, Reverse<JobId>)>,
    pool: Pool,
    outlines: Outlines,
    stats: Stats,
    watchers: Vec<Message>,
    stats_due: Option<Mono>,
    waiting: BTreeMap<JobId, Vec<Waiting>>,
    waiting_len: usize,
    journal: Option<Tag>,
    ask_again_at: Option<Mono>,
    /// The journal was asked for, and has not answered yet.
    begins: bool,
    /// The past has been told.
    ready: bool,
    deferred: Vec<Message>,
    private: bool,
    comparisons_max: u64,
    parents: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct List {
    max_entries: i64,
    attrs: Value,
    #[serde(default)]
    since: f64,
    constraint: Option<Value>,
    // What clients sent before there were constraints.
    userid: Option<i64>,
    states: Option<u32>,
    results: Option<u32>,
    name: Option<String>,
    queue: Option<String>,
}

#[derive(Deserialize)]
struct ListId {
    id: WireId,
    attrs: Value,
    #[serde(default)]
    state: u32,
}

#[derive(Deserialize)]
struct Purged {
    jobs: Vec<u64>,
}

fn malformed(error: impl std::fmt::Display) -> Fault {
    Fault::new(Errno::EPROTO, format!("invalid payload: {error}"))
}

impl Service for JobList {
    const NAME: &'static str = "job-list";
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::user("job-list.list", |list, cx, request| list.when_ready(cx, request, JobList::list)),
        Handler::user("job-list.list-id", |list, cx, request| list.when_ready(cx, request, JobList::list_id)),
        Handler::user("job-list.list-attrs", JobList::list_attrs),
        Handler::user("job-list.job-stats", |list, cx, request| list.when_ready(cx, request, JobList::job_stats)),
        Handler::all("job-list.disconnect", JobList::disconnect),
        Handler::event("job-purge-inactive", JobList::on_purge),
    ];

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.configure(cx)?;
        self.ask(cx);
        Ok(())
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        let waiting = std::mem::take(&mut self.waiting).into_values().flatten().map(|waiting| waiting.request);
        let watchers = std::mem::take(&mut self.watchers).into_iter();
        for request in waiting.chain(watchers).chain(std::mem::take(&mut self.deferred)) {
            cx.respond_error(&request, &Fault::new(Errno::ENOSYS, "job-list is going away"));
        }
        self.waiting_len = 0;
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        if self.journal != Some(tag) {
            return;
        }
        if let Some(fault) = Fault::of(reply) {
            // The job manager may be away for a while.
            let expected = matches!(fault.errno, Errno::ENODATA | Errno::ENOSYS);
            let level = if expected { LogLevel::Debug } else { LogLevel::Err };
            cx.log(level, format!("job-manager.events-journal: {fault}"));
            self.journal = None;
            self.ask_again_at = Some(cx.now.mono.after(ASK_AGAIN_AFTER));
            return;
        }
        if std::mem::take(&mut self.begins) {
            self.forget();
        }
        if let Some(finished) = reply.payload.as_local::<Finished>() {
            return self.on_finished(cx, &finished.0);
        }
        if let Some(told) = reply.payload.as_local::<Told>() {
            return self.on_told(cx, told);
        }
        match reply.payload.value() {
            Ok(body) => match Told::read(&body) {
                Some(told) => self.on_told(cx, &told),
                None => cx.log(LogLevel::Err, "job-manager.events-journal: malformed response"),
            },
            Err(error) => cx.log(LogLevel::Err, format!("job-manager.events-journal: {error}")),
        }
    }

    fn next_timer(&self) -> Option<Mono> {
        let stats = self.stats_due.filter(|_| !self.watchers.is_empty());
        [stats, self.ask_again_at].into_iter().flatten().min()
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        if self.stats_due.is_some_and(|at| at <= cx.now.mono) {
            self.stats_due = None;
            let stats: Payload = self.stats.encode().into();
            self.watchers.iter().for_each(|watcher| cx.respond(watcher, stats.clone()));
        }
        if self.ask_again_at.is_some_and(|at| at <= cx.now.mono) {
            self.ask_again_at = None;
            self.ask(cx);
        }
    }

    fn on_config(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.configure(cx)
    }

    fn stats(&self) -> Value {
        json!({"jobs": {"pending": self.pending.len(), "running": self.running.len(), "inactive": self.inactive.len()},
               "idsync": {"lookups": 0, "waits": self.waiting_len}, "stats_watchers": self.watchers.len()})
    }

    fn check(&self) {
        let listed = self.pending.len() + self.running.len() + self.inactive.len();
        let expected = self.jobs.values().filter(|job| job.state != JobState::New).count();
        assert_eq!(listed, expected, "every job stands in one list");
        assert_eq!(self.waiting_len, self.waiting.values().map(Vec::len).sum::<usize>());
    }
}

impl JobList {
    /// Another job manager tells all that was: what is known goes.
    fn forget(&mut self) {
        self.ready = false;
        self.jobs.clear();
        self.pending.clear();
        self.running.clear();
        self.inactive.clear();
        self.stats = Stats::default();
    }

    /// Asks for all that was and will be.
    fn ask(&mut self, cx: &mut Cx<'_>) {
        self.begins = true;
        self.journal =
            Some(cx.request_stream("job-manager.events-journal", Target::Any, json!({"full": true, "lines": true})));
    }

    fn configure(&mut self, cx: &Cx<'_>) -> Result<(), Fault> {
        let invalid = |text: &str| Fault::new(Errno::EINVAL, text);
        let max = match cx.node.config_at("job-list.max_comparisons") {
            None => 0,
            Some(max) => max.as_u64().ok_or_else(|| invalid("job-list.max_comparisons must be >= 0"))?,
        };
        let private = match cx.node.config_at("access.private-mode") {
            None => false,
            Some(private) => private.as_bool().ok_or_else(|| invalid("access.private-mode must be a boolean"))?,
        };
        let queues = cx.node.config.get("queues").and_then(Value::as_object);
        let parent = |(name, queue): (&String, &Value)| Some((name.clone(), queue.get("parent")?.as_str()?.to_owned()));
        self.parents = queues.into_iter().flatten().filter_map(parent).collect();
        (self.comparisons_max, self.private) = (max, private);
        Ok(())
    }

    fn when_ready(
        &mut self,
        cx: &mut Cx<'_>,
        request: &Message,
        run: fn(&mut JobList, &mut Cx<'_>, &Message) -> Outcome,
    ) -> Outcome {
        if self.ready {
            return run(self, cx, request);
        }
        if self.deferred.len() >= LIST_DEFERRED_MAX {
            return Err(Fault::new(Errno::EAGAIN, "the jobs are still being read"));
        }
        self.deferred.push(request.clone());
        Ok(())
    }

    fn on_told(&mut self, cx: &mut Cx<'_>, told: &Told) {
        let Some(id) = told.id else {
            self.ready = true;
            for request in std::mem::take(&mut self.deferred) {
                let row =
                    Self::HANDLERS.iter().find(|row| row.topic == request.topic()).expect("it came through the table");
                if let Err(fault) = (row.run)(self, cx, &request) {
                    cx.respond_error(&request, &fault);
                }
            }
            return;
        };
        let mut job = match self.jobs.remove(&id) {
            Some(job) => {
                self.unlist(&job);
                job
            }
            None => Box::new(Record::new(id)),
        };
        if let Some(jobspec) = &told.jobspec {
            job.set_jobspec(&mut self.pool, self.outlines.of(jobspec), jobspec);
        }
        for entry in &told.events {
            if entry.name == "invalidate" {
                return; // It was never there.
            }
            // In a backlog R comes along from the beginning, but it counts from the allocation on.
            if let (Some(resources), "alloc") = (&told.resources, entry.name.as_str()) {
                job.set_resources(&mut self.pool, resources);
            }
            job.apply(&mut self.pool, entry);
        }
        self.enlist(cx, job);
    }

    /// Jobs that ended in an earlier life, a line each.
    fn on_finished(&mut self, cx: &mut Cx<'_>, lines: &str) {
        for line in lines.lines() {
            match Record::of_line(&mut self.pool, line) {
                // What was told as it happened is not told again.
                Some(job) if self.jobs.contains_key(&job.id) => {}
                Some(job) => self.enlist(cx, Box::new(job)),
                None => cx.log(LogLevel::Err, "job-manager.events-journal: a line that is no job"),
            }
        }
    }

    fn unlist(&mut self, job: &Record) {
        self.stats.remove(job);
        self.pending.remove(&(Reverse(job.priority), job.id));
        self.running.remove(&(Reverse(job.times.run.max(job.times.cleanup_only())), Reverse(job.id)));
        self.inactive.remove(&(Reverse(job.times.inactive), Reverse(job.id)));
    }

    fn enlist(&mut self, cx: &mut Cx<'_>, job: Box<Record>) {
        self.stats.add(&job);
        let id = job.id;
        match job.state {
            JobState::New => {}
            state if StateSet::PENDING.contains(state) => drop(self.pending.insert((Reverse(job.priority), id))),
            JobState::Inactive => drop(self.inactive.insert((Reverse(job.times.inactive), Reverse(id)))),
            _ => drop(self.running.insert((Reverse(job.times.run.max(job.times.cleanup_only())), Reverse(id)))),
        }
        self.stats_due.get_or_insert(cx.now.mono.after(STATS_PERIOD));
        self.jobs.insert(id, job);
        self.answer_waiting(cx, id);
    }

    /// Answers those who waited for a state that the job has been in now, or never will be.
    fn answer_waiting(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let (Some(list), Some(job)) = (self.waiting.get_mut(&id), self.jobs.get(&id)) else { return };
        let due = |waiting: &Waiting| job.seen.bits() & waiting.states != 0 || job.state == JobState::Inactive;
        let before = list.len();
        list.retain(|waiting| {
            if due(waiting) {
                cx.respond(&waiting.request, json!({"job": waiting.wanted.of(job)}));
            }
            !due(waiting)
        });
        self.waiting_len -= before - list.len();
        if list.is_empty() {
            self.waiting.remove(&id);
        }
    }

    fn on_purge(&mut self, cx: &mut Cx<'_>, event: &Message) -> Outcome {
        let body: Purged = event.decode()?;
        for id in body.jobs.into_iter().map(JobId) {
            if let Some(job) = self.jobs.remove(&id) {
                self.inactive.remove(&(Reverse(job.times.inactive), Reverse(id)));
                self.stats.purge(&job);
            }
        }
        self.pool.sweep();
        self.stats_due.get_or_insert(cx.now.mono.after(STATS_PERIOD));
        Ok(())
    }

    /// In private mode guests see their own jobs only; the admin role lifts that (RFC 43).
    fn restricted(&self, cred: Cred) -> bool {
        self.private && !cred.is_owner() && cred.rolemask & role::ADMIN == 0 && enforced("private-list")
    }

    fn list(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: List = request.decode().map_err(malformed)?;
        let max = match usize::try_from(body.max_entries) {
            Err(_) => return Err(malformed("max_entries < 0 not allowed")),
            Ok(0) => usize::MAX,
            Ok(max) => max,
        };
        if body.since.is_nan() || body.since < 0.0 {
            return Err(malformed("since < 0.0 not allowed"));
        }
        let wanted = Wanted::read(&body.attrs)?;
        let size = cx.node.size as usize;
        let constraint = body.constraint.clone().unwrap_or_else(|| legacy(&body));
        let read = Filter::read(&constraint, size);
        let mut filter = read.map_err(|why| malformed(format!("constraint object invalid: {why}")))?;
        if self.restricted(request.cred) {
            filter = Filter::And(vec![filter, Filter::User(vec![request.cred.userid])]);
        }
        // RFC 43: a streamed listing comes in parts, and its first response has the version.
        let chunk = if request.is_streaming() { LIST_CHUNK } else { usize::MAX };
        let parts = self.find(&filter, record::micros(body.since), max, &wanted, chunk)?;
        if parts.is_empty() && !request.is_streaming() {
            cx.respond(request, json!({"jobs": []}));
        }
        parts.into_iter().for_each(|part| cx.respond(request, Payload::local(part)));
        if request.is_streaming() {
            cx.end_stream(request);
        }
        Ok(())
    }

    /// Jobs that match: pending, then running, then inactive ones that ended after `since`; in parts of `chunk`.
    fn find(&self, filter: &Filter, since: u64, max: usize, wanted: &Wanted, chunk: usize) -> Result<Vec<Rows>, Fault> {
        let states = filter.states();
        let within = |set: u32| states & set != 0;
        let pending = self.pending.iter().map(|(_, id)| id).filter(|_| within(StateSet::PENDING.bits()));
        let running = self.running.iter().map(|(_, Reverse(id))| id).filter(|_| within(StateSet::RUNNING.bits()));
        let recent =
            self.inactive.iter().take_while(|(Reverse(at), _)| *at > since && within(JobState::Inactive.bit()));
        let mut cx = Match { parents: &self.parents, comparisons: 0 };
        let mut out: Vec<Rows> = Vec::new();
        let mut found = 0;
        for id in pending.chain(running).chain(recent.map(|(_, Reverse(id))| id)) {
            let job = &self.jobs[id];
            if filter.matches(job, &mut cx) {
                if found % chunk == 0 {
                    out.push(Rows { text: Vec::new(), version: found == 0 && chunk != usize::MAX });
                }
                out.last_mut().expect("pushed with the first").push(wanted, job);
                found += 1;
            }
            if self.comparisons_max > 0 && cx.comparisons > self.comparisons_max {
                let text = "Excessive comparisons made, limit search via states or since parameters";
                return Err(Fault::new(Errno::EINVAL, text));
            }
            if found == max {
                break;
            }
        }
        Ok(out)
    }

    fn list_id(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: ListId = request.decode().map_err(malformed)?;
        let wanted = Wanted::read(&body.attrs)?;
        let valid = StateSet::ACTIVE.bits() | JobState::Inactive.bit();
        if body.state & !valid != 0 {
            return Err(malformed("invalid state specified"));
        }
        let id = body.id.id();
        let job = self.jobs.get(&id).filter(|job| !self.restricted(request.cred) || job.userid == request.cred.userid);
        let job = job.ok_or_else(|| Fault::from(Errno::ENOENT))?;
        let states = if body.state == 0 { valid } else { body.state };
        if job.seen.bits() & states != 0 || job.state == JobState::Inactive {
            cx.respond(request, json!({"job": wanted.of(job)}));
            return Ok(());
        }
        if self.waiting_len >= LIST_WAITERS_MAX {
            return Err(Fault::new(Errno::EAGAIN, format!("more than {LIST_WAITERS_MAX} requests wait")));
        }
        self.waiting.entry(id).or_default().push(Waiting { request: request.clone(), states, wanted });
        self.waiting_len += 1;
        Ok(())
    }

    fn list_attrs(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        cx.respond(request, json!({"attrs": attrs::names()}));
        Ok(())
    }

    fn job_stats(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if self.restricted(request.cred) {
            return Err(Errno::EPERM.into());
        }
        if request.is_streaming() {
            if self.watchers.len() >= WATCHERS_MAX {
                return Err(Fault::new(Errno::EAGAIN, format!("more than {WATCHERS_MAX} watchers")));
            }
            self.watchers.push(request.clone());
        }
        cx.respond(request, self.stats.encode());
        Ok(())
    }

    fn disconnect(&mut self, _cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.watchers.retain(|watcher| !request.same_sender(watcher));
        self.deferred.retain(|deferred| !request.same_sender(deferred));
        self.waiting.values_mut().for_each(|list| list.retain(|waiting| !request.same_sender(&waiting.request)));
        self.waiting.retain(|_, list| !list.is_empty());
        self.waiting_len = self.waiting.values().map(Vec::len).sum();
        Ok(())
    }
}

impl record::Times {
    /// The time of a job that came to CLEANUP without running: it is listed among the running too.
    fn cleanup_only(&self) -> u64 {
        if self.run == 0 { self.cleanup } else { 0 }
    }
}

/// Jobs of a listing, written as they go on the wire: a hundred thousand of them are asked for at once.
#[derive(Debug)]
struct Rows {
    /// JSON objects with commas between them.
    text: Vec<u8>,
    version: bool,
}

impl Rows {
    fn push(&mut self, wanted: &Wanted, job: &Record) {
        if !self.text.is_empty() {
            self.text.push(b',');
        }
        wanted.write(job, &mut self.text);
    }
}

impl Local for Rows {
    fn to_json(&self) -> Value {
        serde_json::from_slice(&self.to_text()).expect("it was written as JSON")
    }

    fn to_text(&self) -> Vec<u8> {
        let end: &[u8] = if self.version { b"],\"version\":1}" } else { b"]}" };
        [b"{\"jobs\":[", &*self.text, end].concat()
    }
}

/// The constraint that a request of before constraints amounts to.
fn legacy(body: &List) -> Value {
    let mut terms = Vec::new();
    if let Some(userid) = body.userid.filter(|userid| *userid != -1 && *userid != i64::from(u32::MAX)) {
        terms.push(json!({"userid": [userid]}));
    }
    if let Some(name) = &body.name {
        terms.push(json!({"name": [name]}));
    }
    if let Some(queue) = &body.queue {
        terms.push(json!({"queue": [queue]}));
    }
    for (op, mask) in [("states", body.states), ("results", body.results)] {
        if let Some(mask) = mask.filter(|mask| *mask != 0) {
            terms.push(json!({op: [mask]}));
        }
    }
    json!({"and": terms})
}

#[cfg(test)]
mod tests;
