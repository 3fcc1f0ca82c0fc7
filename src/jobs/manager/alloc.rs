//! The talk with the scheduler (RFC 27).
//!
//! The scheduler is whoever answers for the service `sched`. Responses name their job; an error response means that it is gone.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use flux_service::{Cx, Fault, LogLevel, Outcome, Plant, TxnOp, planted};
use flux_types::{At, JobId, JobState, ResourceSet};
use flux_wire::{Errno, Message, RouteId, Target};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::claim::Claim;
use super::event::context;
use super::job::Job;
use super::raise::Exception;
use super::{JobManager, Pending};
use crate::body::{WireId, truth};
use crate::kvs;
use crate::limits::ALLOC_PER_TURN_MAX;
use crate::state::priority;

/// Highest priority first; among equals the oldest job.
type Rank = (Reverse<i64>, JobId);

#[derive(Debug, Default)]
pub(super) struct Alloc {
    /// Jobs that wait for a request to be made.
    queue: BTreeSet<Rank>,
    /// Jobs whose request the scheduler has.
    sent: BTreeSet<Rank>,
    /// Of those, the ones it was asked to drop while the job stays in line.
    canceling: BTreeSet<JobId>,
    /// Of those, the ones whose priority has changed: the scheduler is told of all at once.
    reordered: BTreeSet<JobId>,
    pub(super) online: bool,
    /// What was given back since a scheduler asked who holds what: it is told when it has put all that in its place. `None`: none asks.
    late: Option<Vec<Value>>,
    /// Requests at a time; `None` is no limit.
    limit: Option<usize>,
    sender: Option<RouteId>,
}

impl Alloc {
    pub(super) fn sent_len(&self) -> usize {
        self.sent.len()
    }

    /// Jobs the scheduler has been asked for, in the order of the line.
    pub(super) fn sent(&self) -> impl Iterator<Item = JobId> + '_ {
        self.sent.iter().map(|(_, id)| *id)
    }

    /// How many requests the scheduler takes at a time; `None` is no limit.
    pub(super) fn limit(&self) -> Option<usize> {
        self.limit
    }

    pub(super) fn queued(&self) -> impl Iterator<Item = JobId> + '_ {
        self.queue.iter().map(|(_, id)| *id)
    }

    /// The next job to ask for. Held jobs come last, so that one at the head means that nothing is left to ask for.
    fn next(&self) -> Option<Rank> {
        let full = self.limit.is_some_and(|limit| self.sent.len() >= limit);
        if !self.online || full {
            return None;
        }
        self.queue.first().copied().filter(|(Reverse(priority), _)| *priority != priority::MIN)
    }

    /// A request already made that the head of the queue should go before; only where requests are limited.
    fn overtaken(&self) -> Option<JobId> {
        let limit = self.limit?;
        if !self.online || self.sent.len() < limit || !self.canceling.is_empty() {
            return None;
        }
        let (head, tail) = (self.queue.first()?, self.sent.last()?);
        (head < tail && head.0 != Reverse(priority::MIN)).then_some(tail.1)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct AllocReply {
    id: WireId,
    #[serde(rename = "type")]
    kind: i64,
    note: Option<String>,
    annotations: Option<Map<String, Value>>,
    #[serde(rename = "R")]
    resources: Option<Value>,
}

#[derive(Deserialize, Default)]
struct Hello {
    #[serde(default, rename = "partial-ok", deserialize_with = "truth")]
    partial_ok: bool,
}

#[derive(Deserialize)]
struct Ready {
    mode: String,
    limit: Option<i64>,
}

impl JobManager {
    /// Puts a job in SCHED state in line, unless it is held, its queue is stopped, or it stands there already.
    pub(super) fn enqueue(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.bypasses() {
            let asked = job.jobspec_value().at("/attributes/system/alloc-bypass/R").cloned();
            if let Some(resources) = asked.filter(|_| job.state == JobState::Sched && job.resources.is_none()) {
                self.bypass_with(cx, id, resources);
            }
            return;
        }
        let waits = job.state == JobState::Sched && !job.alloc_queued && !job.alloc_pending;
        if waits && job.priority != priority::MIN && self.queues.is_started(job.queue.as_deref()) {
            job.alloc_queued = true;
            // It may wait long.
            job.eventlog.shrink_to_fit();
            self.alloc.queue.insert((Reverse(job.priority), id));
        }
    }

    /// A job in line has another priority now than `old`.
    pub(super) fn reorder(&mut self, cx: &mut Cx<'_>, id: JobId, old: i64) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.priority != old) else { return };
        let (before, after) = ((Reverse(old), id), (Reverse(job.priority), id));
        if job.alloc_queued {
            self.alloc.queue.remove(&before);
            job.alloc_queued = job.priority != priority::MIN;
            if job.alloc_queued {
                self.alloc.queue.insert(after);
            }
        } else if job.alloc_pending {
            self.alloc.sent.remove(&before);
            self.alloc.sent.insert(after);
            if job.priority == priority::MIN {
                self.cancel_alloc(cx, id, false);
            } else {
                self.alloc.reordered.insert(id);
            }
        }
    }

    fn send_priorities(&mut self, cx: &mut Cx<'_>) {
        let ids = std::mem::take(&mut self.alloc.reordered);
        let pending = |id: &JobId| self.jobs.get(id).filter(|job| job.alloc_pending);
        let jobs: Vec<(u64, i64)> = ids.iter().filter_map(pending).map(|job| (job.id.0, job.priority)).collect();
        if !jobs.is_empty() {
            let tag = cx.request("sched.prioritize", Target::Any, json!({"jobs": jobs}));
            self.pending.insert(tag, Pending::Ignore);
        }
    }

    /// The job brings its resources along: R is stored with the event that says so.
    pub(super) fn bypass_with(&mut self, cx: &mut Cx<'_>, id: JobId, resources: Value) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let Err(error) = ResourceSet::from_value(&resources) {
            let note = format!("alloc-bypass: invalid R: {error}");
            return self.raise(cx, id, &Exception::new("alloc", 0, &note));
        }
        let known = job.bypasses();
        let text = resources.to_string();
        job.resources = Some(Arc::new(resources));
        self.events.batch.puts.push(TxnOp::put(kvs::job_key(id, "R"), text.into_bytes()));
        if !known {
            self.post(cx, id, "set-flags", context([("flags", json!(["alloc-bypass"]))]));
        }
        self.post(cx, id, "alloc", context([("bypass", true.into())]));
    }

    pub(super) fn dequeue(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.alloc_queued {
            job.alloc_queued = false;
            // The priority may have changed since: then the old place has to be looked for.
            if !self.alloc.queue.remove(&(Reverse(job.priority), id)) {
                self.alloc.queue.retain(|(_, queued)| *queued != id);
            }
        }
    }

    pub(super) fn unsend(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.alloc_pending = false;
        self.alloc.canceling.remove(&id);
        if !self.alloc.sent.remove(&(Reverse(job.priority), id)) {
            self.alloc.sent.retain(|(_, sent)| *sent != id);
        }
    }

    /// Takes a request back. With `finalize` the job does not wait for the scheduler's answer.
    pub(super) fn cancel_alloc(&mut self, cx: &mut Cx<'_>, id: JobId, finalize: bool) {
        if !self.jobs.get(&id).is_some_and(|job| job.alloc_pending) {
            return;
        }
        if self.alloc.canceling.insert(id) && !planted(Plant::CancelKeepsAlloc) {
            cx.notify("sched.cancel", Target::Any, json!({"id": id.0}));
        }
        if finalize {
            self.unsend(id);
            self.clear_annotations(cx, id, None);
        }
    }

    /// Once per turn: asks for whatever may be asked for.
    pub(super) fn send_allocs(&mut self, cx: &mut Cx<'_>) {
        self.send_priorities(cx);
        if self.storing_fails() {
            return;
        }
        for _ in 0..ALLOC_PER_TURN_MAX {
            let Some((rank, id)) = self.alloc.next() else { break };
            self.alloc.queue.remove(&(rank, id));
            self.alloc.sent.insert((rank, id));
            let job = self.jobs.get_mut(&id).expect("only active jobs are queued");
            (job.alloc_queued, job.alloc_pending) = (false, true);
            let body = json!({"id": id.0, "priority": job.priority, "userid": job.userid,
                              "t_submit": job.t_submit, "jobspec": job.jobspec_value()});
            let debug = job.is_debug();
            cx.request_stream("sched.alloc", Target::Any, body);
            if debug {
                self.post(cx, id, "debug.alloc-request", None);
            }
        }
        if let Some(id) = self.alloc.overtaken() {
            self.cancel_alloc(cx, id, false);
        }
    }

    /// There may be more to ask for than one turn allows.
    pub(super) fn alloc_backlog(&self) -> bool {
        !self.storing_fails() && self.alloc.next().is_some()
    }

    pub(super) fn on_alloc_reply(&mut self, cx: &mut Cx<'_>, reply: &Message) {
        if let Some(fault) = Fault::of(reply) {
            return self.stop_alloc(cx, &format!("alloc response error: {}", fault.message()));
        }
        let reply: AllocReply = match reply.decode() {
            Ok(reply) => reply,
            Err(error) => return self.stop_alloc(cx, &format!("alloc response error: {error}")),
        };
        let id = reply.id.id();
        let waits = self.jobs.get(&id).is_some_and(|job| job.alloc_pending);
        match reply.kind {
            0 => self.alloc_granted(cx, id, waits, reply),
            1 if waits => self.annotate(cx, id, reply.annotations.unwrap_or_default()),
            2 if waits => {
                self.clear_annotations(cx, id, None);
                self.unsend(id);
                let note = reply.note.unwrap_or_default();
                let owner = Some(cx.node.owner);
                self.raise(cx, id, &Exception { userid: owner, ..Exception::new("alloc", 0, &note) });
            }
            3 if waits => self.alloc_canceled(cx, id),
            1..=3 => {} // The job did not wait for this any more.
            other => self.stop_alloc(cx, &format!("alloc response error: type {other}")),
        }
    }

    fn alloc_granted(&mut self, cx: &mut Cx<'_>, id: JobId, waits: bool, mut reply: AllocReply) {
        let Some(mut resources) = reply.resources.take() else {
            return self.stop_alloc(cx, "alloc response error: there is no R");
        };
        let text = if waits { resources.to_string() } else { String::new() };
        if let Some(object) = resources.as_object_mut() {
            object.shift_remove("scheduling");
        }
        if !waits {
            // The job was cancelled while the scheduler answered: the resources go straight back.
            cx.notify("sched.free", Target::Any, json!({"id": id.0, "R": resources, "final": true}));
            return;
        }
        self.send_claim(cx, Claim { id, reply, resources, text });
    }

    /// The resource service has seen that nobody else is on them.
    pub(super) fn alloc_success(&mut self, cx: &mut Cx<'_>, claim: Claim) {
        let Claim { id, reply, resources, text } = claim;
        // In one commit with the event: neither ever stands without the other.
        self.events.batch.puts.push(TxnOp::put(kvs::job_key(id, "R"), text.into_bytes()));
        let job = self.jobs.get_mut(&id).expect("a job that waits is active");
        job.resources = Some(Arc::new(resources));
        // While it still counts as asked for, so that it is not put in line again.
        if let Some(annotations) = reply.annotations {
            self.annotate(cx, id, annotations);
        }
        self.unsend(id);
        let job = self.jobs.get(&id).expect("annotations end no job");
        let context = match job.annotations.is_empty() {
            true => None,
            false => context([("annotations", Value::Object(job.annotations.clone()))]),
        };
        self.post(cx, id, "alloc", context);
    }

    fn alloc_canceled(&mut self, cx: &mut Cx<'_>, id: JobId) {
        self.unsend(id);
        self.clear_annotations(cx, id, Some("sched"));
        self.act(cx, id);
        self.check_drain();
    }

    /// Gives the job's resources back, if there is a scheduler to take them; one that comes later is not told of them.
    pub(super) fn send_free(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get(&id).filter(|job| !job.bypasses()) else { return };
        if job.resources.is_some() {
            self.send_release(cx, id, None);
        }
        if let Some(resources) = &job.resources {
            let body = json!({"id": id.0, "R": **resources, "final": true});
            self.tell_free(cx, body);
        }
    }

    /// `sched.free`, to a scheduler that knows of what is given back.
    pub(super) fn tell_free(&mut self, cx: &mut Cx<'_>, body: Value) {
        match &mut self.alloc.late {
            // Between its hello and its being ready it is still learning who has what.
            Some(late) => late.push(body),
            None if self.alloc.online => cx.notify("sched.free", Target::Any, body),
            None => {}
        }
    }

    /// The scheduler is gone: jobs it was asked for go back in line until another says that it is ready.
    pub(super) fn stop_alloc(&mut self, cx: &mut Cx<'_>, why: &str) {
        if !self.alloc.online {
            return;
        }
        cx.log(LogLevel::Debug, format!("scheduler: stop due to {why}"));
        self.alloc.online = false;
        self.alloc.sender = None;
        self.alloc.canceling.clear();
        for (_, id) in std::mem::take(&mut self.alloc.sent) {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.alloc_pending = false;
            }
            self.clear_annotations(cx, id, Some("sched"));
            self.enqueue(cx, id);
        }
        self.check_drain();
    }

    pub(super) fn sched_hello(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let hello = if request.payload.is_none() { Hello::default() } else { request.decode()? };
        if !request.is_streaming() {
            return Err(Fault::new(Errno::EPROTO, "sched-hello is a streaming request"));
        }
        self.alloc.late = Some(Vec::new());
        let holds = |job: &Job| (job.has_resources || job.forsaken && job.shells) && !job.bypasses();
        for job in self.jobs.values().filter(|job| holds(job)) {
            if planted(Plant::HelloForgetsJobs) {
                break;
            }
            let mut body =
                json!({"id": job.id.0, "priority": job.priority, "userid": job.userid, "t_submit": job.t_submit});
            if let Some(r) = self.events.unstored(&kvs::job_key(job.id, "R")) {
                body["R"] = r;
            }
            cx.respond(request, body);
        }
        self.hello_housekeeping(cx, request, hello.partial_ok);
        cx.end_stream(request);
        Ok(())
    }

    pub(super) fn sched_ready(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let ready: Ready = request.decode()?;
        self.alloc.limit = match (ready.mode.as_str(), ready.limit) {
            ("unlimited", _) => None,
            ("limited", Some(limit)) if limit > 0 => Some(limit as usize),
            ("limited", _) => return Err(Fault::new(Errno::EPROTO, "mode limited needs a limit above 0")),
            (mode, _) => return Err(Fault::new(Errno::EPROTO, format!("unknown mode '{mode}'"))),
        };
        self.alloc.sender = request.sender().cloned();
        self.alloc.online = true;
        cx.log(LogLevel::Debug, format!("scheduler: ready {}", ready.mode));
        cx.respond(request, json!({"count": self.alloc.queue.len()}));
        for body in self.alloc.late.take().unwrap_or_default() {
            self.tell_free(cx, body);
        }
        Ok(())
    }

    pub(super) fn sched_disconnect(&mut self, cx: &mut Cx<'_>, request: &Message) {
        if self.alloc.sender.is_some() && self.alloc.sender.as_ref() == request.sender() {
            self.stop_alloc(cx, "disconnect");
        }
    }

    pub(super) fn alloc_query(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body = json!({"queue_length": self.alloc.queue.len(), "alloc_pending": self.alloc.sent.len(), "running": self.running});
        cx.respond(request, body);
        Ok(())
    }

    /// What is allocated, as one R (RFC 20).
    pub(super) fn resource_status(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let held = self.jobs.values().filter(|job| job.has_resources && !job.free_posted && !job.bypasses());
        let rests: Vec<Value> = self.housekeeping.rests().collect();
        let all = super::allocated::union(held.filter_map(|job| job.resources.as_deref()).chain(&rests));
        cx.respond(request, json!({"allocated": all}));
        Ok(())
    }

    /// Asserts that the queue and the jobs agree.
    pub(super) fn check_alloc(&self) {
        for (rank, id) in &self.alloc.queue {
            let job = &self.jobs[id];
            assert!(job.alloc_queued && rank.0 == job.priority, "{id}: stands in the queue at its priority");
        }
        for (_, id) in &self.alloc.sent {
            assert!(self.jobs[id].alloc_pending, "{id}: was asked for");
        }
        let count = |test: fn(&Job) -> bool| self.jobs.values().filter(|job| test(job)).count();
        assert_eq!(count(|job| job.alloc_queued), self.alloc.queue.len());
        assert_eq!(count(|job| job.alloc_pending), self.alloc.sent.len());
    }
}
