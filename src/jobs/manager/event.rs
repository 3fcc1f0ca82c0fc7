//! Posting events: every change of a job is an event that is applied, logged, told to listeners, and acted upon.
//!
//! Events that an action posts wait their turn, so that listeners see them in the order of the log. All events of one
//! turn of the loop go to the KVS in one commit (ADR 2: synced with a `submit` or `finish` among them, else written).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use flux_service::{Cx, Fault, LogLevel, Mono, Plant, TxnOp, planted};
use flux_types::eventlog::Entry;
use flux_types::{JobId, JobState, StateSet};
use flux_wire::{Message, Payload, Target};
use serde_json::{Map, Value, json};

use super::index::{Index, Part};
use super::raise::Exception;
use super::restart::CHECKPOINT;
use super::{JobManager, Pending};
use crate::kvs::{self, Durability};
use crate::limits::{HELD_COMMITS_MAX, HELD_JOBS_MIN};

/// How long a commit that failed (a full disk, usually) waits for its next attempt.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// An event on its way.
#[derive(Debug)]
pub(super) struct Posted {
    id: JobId,
    entry: Arc<Entry>,
    /// Into the eventlog; otherwise only listeners hear of it.
    logged: bool,
}

/// What goes into the next commit, and what waits for it.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Whole values: J, jobspec, checkpoints.
    pub(super) puts: Vec<TxnOp>,
    /// Lines to append, by job.
    pub(super) lines: BTreeMap<JobId, String>,
    /// Logs that are written whole, because a commit with lines of theirs was lost.
    whole: BTreeSet<JobId>,
    /// Logs of jobs that became inactive: kept until they are safe.
    pub(super) closed: BTreeMap<JobId, String>,
    pub(super) synced: bool,
    /// Answers that promise what this batch holds.
    pub(super) answers: Vec<Message>,
    /// Orders of users that this batch holds, and what they are answered.
    orders: Vec<(Message, Payload)>,
    /// Jobs whose `finish` is in it.
    ended: Vec<JobId>,
    /// `job-manager.submit` requests with the jobs that they brought in and those refused.
    pub(super) submits: Vec<Submitted>,
    /// Lines of finished jobs.
    index: Vec<Part>,
}

/// One `job-manager.submit` request that waits for its commit.
#[derive(Debug)]
pub(super) struct Submitted {
    pub(super) request: Message,
    pub(super) accepted: Vec<JobId>,
    pub(super) errors: Vec<Value>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.puts.is_empty()
            && self.lines.is_empty()
            && self.whole.is_empty()
            && self.answers.is_empty()
            && self.orders.is_empty()
            && self.submits.is_empty()
    }

    /// Takes what a later batch holds. Answers its lines of finished jobs.
    fn absorb(&mut self, later: Batch) -> Vec<Part> {
        self.puts.extend(later.puts);
        for (id, lines) in later.lines {
            self.lines.entry(id).or_default().push_str(&lines);
        }
        self.whole.extend(later.whole);
        self.closed.extend(later.closed);
        self.synced |= later.synced;
        self.answers.extend(later.answers);
        self.orders.extend(later.orders);
        self.ended.extend(later.ended);
        self.submits.extend(later.submits);
        later.index
    }
}

/// All that is on the way to listeners and the KVS.
#[derive(Debug, Default)]
pub(super) struct Events {
    posted: VecDeque<Posted>,
    busy: bool,
    pub(super) batch: Batch,
    /// Batches before that one, of many jobs that were cancelled at once: stored one after another.
    pub(super) held: VecDeque<Batch>,
    /// Logs that a failed commit left behind the truth: written again as a whole.
    stale: BTreeSet<JobId>,
    /// Logs of jobs that are gone already, of a failed commit.
    orphans: BTreeMap<JobId, String>,
    lost_puts: Vec<TxnOp>,
    /// Among them was the checkpoint, of which only the newest counts: a later one may be stored already.
    checkpoint_lost: bool,
    pub(super) retry_at: Option<Mono>,
    /// The newest time stamp, in microseconds since the epoch.
    last_us: u64,
    pub(super) in_flight: usize,
    pub(super) count: u64,
}

impl Events {
    /// A value that is not on its way to the KVS yet: it could not be stored so far, or waits for its turn.
    pub(super) fn unstored(&self, key: &str) -> Option<Value> {
        let waiting = self.held.iter().chain([&self.batch]).flat_map(|batch| &batch.puts);
        let op = self.lost_puts.iter().chain(waiting).find(|op| op.key == key)?;
        serde_json::from_slice(op.bytes()?).ok()
    }
}

/// An event's context with keys in the order given.
pub(super) fn context<const N: usize>(pairs: [(&str, Value); N]) -> Option<Map<String, Value>> {
    Some(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

impl JobManager {
    /// Posts an event with the time of now.
    pub(super) fn post(&mut self, cx: &mut Cx<'_>, id: JobId, name: &str, context: Option<Map<String, Value>>) {
        let entry = Arc::new(Entry { timestamp: self.stamp(cx), name: name.to_owned(), context });
        self.post_entry(cx, Posted { id, entry, logged: true });
    }

    /// The time of now, but after every stamp given before: events of one turn are told apart, and sort as they happened.
    fn stamp(&mut self, cx: &Cx<'_>) -> f64 {
        let now_us = cx.now.wall.0.as_micros() as u64;
        self.events.last_us = now_us.max(self.events.last_us + 1);
        self.events.last_us as f64 / 1e6
    }

    /// As `post`, for listeners only: the event is not part of the job's log.
    pub(super) fn post_volatile(
        &mut self,
        cx: &mut Cx<'_>,
        id: JobId,
        name: &str,
        context: Option<Map<String, Value>>,
    ) {
        let entry = Arc::new(Entry { timestamp: self.stamp(cx), name: name.to_owned(), context });
        self.post_entry(cx, Posted { id, entry, logged: false });
    }

    /// As `post`, with a time stamp of its own: `submit` carries the time of ingest.
    pub(super) fn post_at(
        &mut self,
        cx: &mut Cx<'_>,
        id: JobId,
        timestamp: f64,
        name: &str,
        context: Option<Map<String, Value>>,
    ) {
        let given_us = (timestamp.clamp(0.0, cx.now.wall.timestamp()) * 1e6).round() as u64;
        self.events.last_us = self.events.last_us.max(given_us);
        let entry = Arc::new(Entry { timestamp, name: name.to_owned(), context });
        self.post_entry(cx, Posted { id, entry, logged: true });
    }

    fn post_entry(&mut self, cx: &mut Cx<'_>, posted: Posted) {
        self.events.posted.push_back(posted);
        if self.events.busy {
            return; // The call below us on the stack goes on with it.
        }
        self.events.busy = true;
        while let Some(next) = self.events.posted.pop_front() {
            self.process(cx, next);
        }
        self.events.busy = false;
    }

    fn process(&mut self, cx: &mut Cx<'_>, posted: Posted) {
        let Posted { id, entry, logged } = posted;
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let (before, priority) = (job.state, job.priority);
        if let Err(fault) = job.apply(&entry) {
            cx.log(LogLevel::Err, format!("{id}: event {} is refused: {fault}", entry.name));
            return;
        }
        let after = job.state;
        if logged && !job.phantom {
            let line = entry.encode();
            job.eventlog.push_str(&line);
            self.events.batch.lines.entry(id).or_default().push_str(&line);
            self.events.batch.synced |=
                matches!(entry.name.as_str(), "submit" | "finish") && !planted(Plant::SubmitsNotSynced);
        }
        if logged && entry.name == "finish" {
            self.events.batch.ended.push(id);
        }
        self.events.count += 1;
        self.tell_journal(cx, id, &entry);
        let was_running = StateSet::RUNNING.contains(before);
        match (was_running, StateSet::RUNNING.contains(after)) {
            (false, true) => self.running += 1,
            (true, false) => self.running -= 1,
            _ => {}
        }
        match entry.name.as_str() {
            "start" => self.depend_on_start(cx, id),
            "resource-update" => self.send_expiration(cx, id),
            "finish" => self.begin_epilog(cx, id),
            "exception" if entry.get("severity") == Some(&json!(0)) => self.perilog_on_exception(cx, id),
            _ => {}
        }
        if entry.name == "priority" && after == JobState::Sched {
            self.reorder(cx, id, priority);
        }
        if !self.jobtap.is_empty() {
            self.tap_event(cx, id, &entry.name, entry.to_value());
        }
        if before != after && after == JobState::Priority {
            let value = if self.jobtap.is_empty() { Value::Null } else { entry.to_value() };
            if self.prioritize(cx, id, before, value) {
                return; // The event that follows decides about its place in line.
            }
        } else if before != after && !self.jobtap.is_empty() {
            let said = self.tap_state(cx, id, before, entry.to_value());
            if let (JobState::Sched, Some(resources)) = (after, said.out.get("R")) {
                self.bypass_with(cx, id, resources.clone());
            }
        }
        // What a plugin posted (a prolog, say) comes before what the state asks for.
        if !self.jobtap.is_empty() && self.events.posted.iter().any(|posted| posted.id == id && posted.logged) {
            return;
        }
        self.act(cx, id);
    }

    /// Does what the job's state asks for now. Doing it twice does no harm.
    pub(super) fn act(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match job.state {
            JobState::New => {}
            JobState::Depend => {
                let is_free = job.dependencies.is_empty() || planted(Plant::DependenciesIgnored);
                if is_free && !job.depend_posted {
                    job.depend_posted = true;
                    self.post(cx, id, "depend", None);
                }
            }
            JobState::Priority => {
                if job.alloc_pending {
                    self.cancel_alloc(cx, id, false);
                }
                self.dequeue(id);
            }
            JobState::Sched => self.enqueue(cx, id),
            JobState::Run => {
                if job.may_start() && (!self.begin_prolog(cx, id) || planted(Plant::PrologsNotAwaited)) {
                    self.send_start(cx, id);
                }
            }
            JobState::Cleanup => self.clean_up(cx, id),
            JobState::Inactive => self.retire(cx, id),
        }
    }

    fn clean_up(&mut self, cx: &mut Cx<'_>, id: JobId) {
        self.cancel_alloc(cx, id, true);
        self.dequeue(id);
        let busy = self.perilog.busy(id);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.shells && !job.start_pending {
            // Without R, which a full disk kept from being stored, nobody can be asked: the nodes end such shells themselves.
            if job.resources.is_none() && self.start.is_online() {
                return self.post(cx, id, "release", context([("ranks", "all".into()), ("final", true.into())]));
            }
            self.send_start(cx, id);
            return;
        }
        if job.may_free() && !busy {
            job.free_posted = true;
            self.give_back(cx, id);
            self.post(cx, id, "free", None);
            return;
        }
        if job.may_clean() && !busy && !job.clean_posted {
            job.clean_posted = true;
            if job.forsaken {
                self.send_free(cx, id);
            }
            self.post(cx, id, "clean", None);
        }
    }

    /// Gives the job its priority. `false`: a plugin has none for it yet, and it stays in the PRIORITY state.
    pub(super) fn prioritize(&mut self, cx: &mut Cx<'_>, id: JobId, before: JobState, entry: Value) -> bool {
        let said = match self.jobtap.is_empty() {
            true => super::jobtap::Said::default(),
            false => self.tap_state(cx, id, before, entry),
        };
        let value = self.jobs.get(&id).and_then(|job| self.priority_for(job, &said));
        if let Some(value) = value {
            self.post(cx, id, "priority", context([("priority", value.into())]));
        }
        value.is_some()
    }

    /// The job is inactive: out of the table of active jobs, into the index of the others.
    fn retire(&mut self, cx: &mut Cx<'_>, id: JobId) {
        self.release_environment(id);
        if !self.jobtap.is_empty() {
            self.tap(cx, id, "job.inactive-add", json!({}));
            self.tap(cx, id, "job.destroy", json!({}));
            self.untap(id);
        }
        let Some(mut job) = self.jobs.remove(&id) else { return };
        self.wait_on_inactive(cx, &mut job);
        if !job.phantom {
            self.archive.add(cx.now.wall, &job);
            self.index(&job);
            self.events.batch.closed.insert(id, std::mem::take(&mut job.eventlog));
        }
        self.depend_on_inactive(cx, &job);
        self.check_drain();
    }

    /// Once per turn: everything that happened goes to the KVS as one commit.
    pub(super) fn commit_batch(&mut self, cx: &mut Cx<'_>) {
        self.rewrite_stale(cx);
        // After a failure all waits for the next attempt: what is stored is always a beginning of what happened, so that
        // no resources look held by a job that gave them back and by the one that got them next.
        if self.events.retry_at.is_some() {
            return;
        }
        // While many jobs are cancelled a portion a turn, what comes of them waits: storing takes longer, and nobody waits for it.
        if !self.raisings.is_empty() {
            if self.events.batch.lines.len() >= HELD_JOBS_MIN {
                let batch = self.take_batch();
                self.events.held.push_back(batch);
            }
            return;
        }
        if !self.events.held.is_empty() {
            if self.events.in_flight < HELD_COMMITS_MAX
                && let Some(batch) = self.events.held.pop_front()
            {
                self.store(cx, batch);
            }
            return;
        }
        if !self.events.batch.is_empty() || !self.index.is_written() {
            let batch = self.take_batch();
            self.store(cx, batch);
        }
    }

    fn take_batch(&mut self) -> Batch {
        Batch { index: self.index.take(), ..std::mem::take(&mut self.events.batch) }
    }

    /// What was held goes on as one: something before it could not be stored.
    fn unhold(&mut self) {
        let last = std::mem::take(&mut self.events.batch);
        let held = std::mem::take(&mut self.events.held).into_iter().chain([last]);
        let lines: Vec<Vec<Part>> = held.map(|batch| self.events.batch.absorb(batch)).collect();
        lines.into_iter().rev().for_each(|parts| self.index.put_back(parts));
    }

    fn store(&mut self, cx: &mut Cx<'_>, batch: Batch) {
        let mut ops = batch.puts.clone();
        for id in &batch.whole {
            let active = self.jobs.get(id).filter(|job| !job.phantom);
            let log = active.map(|job| &job.eventlog).or_else(|| batch.closed.get(id));
            ops.extend(log.map(|log| TxnOp::put(kvs::job_key(*id, "eventlog"), log.as_bytes())));
        }
        ops.extend(
            batch.lines.iter().map(|(id, lines)| TxnOp::append(kvs::job_key(*id, "eventlog"), lines.as_bytes())),
        );
        ops.extend(batch.index.iter().map(Index::op));
        if ops.is_empty() {
            self.batch_done(cx, batch);
            return;
        }
        let durability = if batch.synced { Durability::Synced } else { Durability::Written };
        let tag = kvs::commit(cx, ops, durability);
        self.events.in_flight += 1;
        self.pending.insert(tag, Pending::Commit(Box::new(batch)));
    }

    pub(super) fn on_commit(&mut self, cx: &mut Cx<'_>, batch: Batch, reply: &Message) {
        self.events.in_flight -= 1;
        match Fault::of(reply) {
            None => self.batch_done(cx, batch),
            Some(fault) => self.batch_failed(cx, batch, &fault),
        }
    }

    fn batch_done(&mut self, cx: &mut Cx<'_>, batch: Batch) {
        self.index.stored(&batch.index);
        for submitted in batch.submits {
            for id in &submitted.accepted {
                if let Some(job) = self.jobs.get_mut(id) {
                    job.unacknowledged = false;
                }
            }
            cx.respond(&submitted.request, json!({"errors": submitted.errors}));
        }
        batch.answers.into_iter().for_each(|answer| cx.send(answer));
        batch.orders.into_iter().for_each(|(order, answer)| cx.respond(&order, answer));
        if !batch.ended.is_empty() && cx.node.statedir.is_some() {
            // What the exec service stored of them lies before it in the log: its shells need not wait for a sync of their own.
            let ids: Vec<u64> = batch.ended.iter().map(|id| id.0).collect();
            cx.notify("job-exec.ended", Target::Any, json!({"ids": ids}));
        }
    }

    /// Nothing of the batch was stored. New jobs are refused; the events of the others are kept and written later.
    fn batch_failed(&mut self, cx: &mut Cx<'_>, batch: Batch, fault: &Fault) {
        cx.log(LogLevel::Err, format!("eventlogs cannot be written: {fault}; trying again"));
        self.unhold();
        let refused: BTreeSet<JobId> = batch.submits.iter().flat_map(|s| s.accepted.iter().copied()).collect();
        for submitted in &batch.submits {
            cx.respond_error(&submitted.request, fault);
            submitted.accepted.iter().for_each(|id| self.forget(cx, *id));
        }
        let undone = Fault::new(fault.errno, format!("done, but it cannot be stored for now: {}", fault.message()));
        batch.orders.iter().for_each(|(order, _)| cx.respond_error(order, &undone));
        self.events.stale.extend(batch.lines.keys().chain(&batch.whole).filter(|id| !refused.contains(id)));
        self.events.orphans.extend(batch.closed.into_iter().filter(|(id, _)| !refused.contains(id)));
        let of_refused = |op: &TxnOp| refused.iter().any(|id| op.key.starts_with(&kvs::job_key(*id, "")));
        let (checkpoints, puts): (Vec<TxnOp>, Vec<TxnOp>) = batch.puts.into_iter().partition(|op| op.key == CHECKPOINT);
        self.events.checkpoint_lost |= !checkpoints.is_empty();
        self.events.lost_puts.extend(puts.into_iter().filter(|op| !of_refused(op)));
        self.index.put_back(batch.index);
        self.events.batch.answers.extend(batch.answers);
        self.events.retry_at.get_or_insert(cx.now.mono.after(RETRY_AFTER));
    }

    /// Nothing can be stored at the moment: nothing new is begun.
    pub(super) fn storing_fails(&self) -> bool {
        self.events.retry_at.is_some()
    }

    /// When what was lost is written again; while commits are under way their answers come first.
    pub(super) fn next_retry(&self) -> Option<Mono> {
        self.events.retry_at.filter(|_| self.events.in_flight == 0)
    }

    /// Whole logs instead of appends for those of which a commit was lost, so that no line is missing or twice.
    fn rewrite_stale(&mut self, cx: &mut Cx<'_>) {
        // What is under way may still fail: rewriting waits for the last answer.
        if self.next_retry().is_none_or(|at| cx.now.mono < at) {
            return;
        }
        self.events.retry_at = None;
        let lost = std::mem::take(&mut self.events.lost_puts);
        self.events.batch.puts.splice(..0, lost);
        if std::mem::take(&mut self.events.checkpoint_lost) {
            let newest = self.checkpoint_op();
            self.events.batch.puts.push(newest);
        }
        let orphans = std::mem::take(&mut self.events.orphans);
        self.events.batch.closed.extend(orphans);
        self.events.batch.whole = std::mem::take(&mut self.events.stale);
        for id in &self.events.batch.whole {
            self.events.batch.lines.remove(id);
        }
    }

    /// A job whose submit could not be stored was never there; what it may have got already is taken back.
    fn forget(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        self.events.stale.remove(&id);
        self.events.batch.lines.remove(&id);
        // A later commit, under way already, may have stored something of it.
        self.events.batch.puts.push(TxnOp::unlink(kvs::job_key(id, "")));
        if job.shells || job.has_resources {
            job.phantom = true;
            self.raise(cx, id, &Exception::new("submit", 0, "the job could not be stored"));
            return;
        }
        self.cancel_alloc(cx, id, true);
        self.discard(cx, id);
    }

    /// Removes a job that was never valid, and tells listeners (RFC 21 `invalidate`).
    pub(super) fn discard(&mut self, cx: &mut Cx<'_>, id: JobId) {
        self.unhold();
        self.dequeue(id);
        let entry = Arc::new(Entry::new(cx.now.wall.timestamp(), "invalidate"));
        self.tell_journal(cx, id, &entry);
        self.events.batch.lines.remove(&id);
        self.release_environment(id);
        self.jobs.remove(&id);
        self.depend_on_forgotten(cx, id);
        self.check_drain();
    }

    /// An answer that is sent once everything that has happened so far is stored.
    pub(super) fn answer_after_commit(&mut self, answer: Message) {
        self.events.batch.answers.push(answer);
    }

    /// An order of a user is carried out at once, and answered when the disk has it: no crash takes back what was acknowledged.
    pub(super) fn ordered(&mut self, cx: &mut Cx<'_>, order: &Message, answer: impl Into<Payload>) {
        if planted(Plant::OrdersNotStored) {
            return cx.respond(order, answer);
        }
        if order.wants_response() {
            self.events.batch.synced = true;
            self.events.batch.orders.push((order.clone(), answer.into()));
        }
    }
}
