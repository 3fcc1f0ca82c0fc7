//! A restart: the jobs of the earlier life are read from the KVS and replayed (RFC 21), active ones go on where they were.
//!
//! The walk goes through `job.A.B.C.D` directory by directory with a bounded number of lookups under way. Requests that come
//! meanwhile wait. Jobs that cannot be read are logged and moved to `job-lost+found`, as flux-core does.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use flux_service::{Cx, Fault, LogLevel, Mono, TxnOp, Wall};
use flux_types::{JobId, JobState, StateSet, eventlog};
use flux_wire::{Errno, Message, Payload};
use serde_json::{Value, json};

use super::index::Reading;
use super::job::{Birth, Job, redact};
use super::lookup::parse_redacted;
use super::{JobManager, Pending};
use crate::finished::{self, Finished};
use crate::kvs::{self, Durability};
use crate::limits::LOAD_WINDOW;
use crate::state::{EndEvent, JobFlags, priority};

const CHECKPOINT: &str = "checkpoint.job-manager";
/// The KVS may come up after us.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// A lookup of the walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Checkpoint,
    /// Which texts of finished jobs there are, which jobs of them were purged, and a text.
    Index,
    Gone,
    Finished(u64),
    Directory(String),
    Eventlog(JobId),
    /// As `Eventlog`, of a job that may never have been stored.
    Open(JobId),
    Jobspec(JobId),
    Resources(JobId),
}

/// The parts of a job that have been read.
#[derive(Debug, Default)]
struct Parts {
    eventlog: String,
    jobspec: Option<Value>,
}

#[derive(Debug, Default)]
pub(super) struct Loader {
    pub(super) todo: VecDeque<Step>,
    under_way: usize,
    parts: BTreeMap<JobId, Parts>,
    pub(super) parked: Vec<Message>,
    retry: Vec<Step>,
    pub(super) retry_at: Option<Mono>,
    pub(super) loaded: usize,
    pub(super) index: Reading,
    /// Inactive jobs up to this id are known.
    pub(super) after: Option<JobId>,
}

/// Reading all inactive jobs again for a listener that wants the past.
#[derive(Debug)]
pub(super) struct Retelling {
    request: Message,
    ids: VecDeque<JobId>,
    /// Texts with lines, for a listener that takes these.
    texts: VecDeque<u64>,
    under_way: usize,
}

/// One inactive job on its way to a listener.
#[derive(Debug)]
pub(super) struct Told {
    listener: usize,
    id: JobId,
    eventlog: Option<String>,
    jobspec: Option<Value>,
}

impl JobManager {
    pub(super) fn start_loading(&mut self, cx: &mut Cx<'_>) {
        let mut loader = self.loader.take().unwrap_or_default();
        loader.todo.push_back(Step::Checkpoint);
        loader.todo.push_back(Step::Index);
        self.loader = Some(loader);
        self.load_more(cx);
    }

    fn load_more(&mut self, cx: &mut Cx<'_>) {
        let Some(loader) = &mut self.loader else { return };
        while loader.under_way < LOAD_WINDOW {
            // Jobs before directories: what is begun is finished first, and little is held at a time.
            let Some(step) = loader.todo.pop_front() else { break };
            let tag = match &step {
                Step::Checkpoint => kvs::lookup(cx, CHECKPOINT, 0),
                Step::Index => kvs::lookup(cx, finished::DIRECTORY, kvs::READDIR),
                Step::Gone => kvs::lookup(cx, finished::GONE, 0),
                Step::Finished(text) => kvs::lookup(cx, &finished::key(*text), 0),
                Step::Directory(key) => kvs::lookup(cx, key, kvs::READDIR),
                Step::Eventlog(id) | Step::Open(id) => kvs::lookup(cx, &kvs::job_key(*id, "eventlog"), 0),
                Step::Jobspec(id) => kvs::lookup(cx, &kvs::job_key(*id, "jobspec"), 0),
                Step::Resources(id) => kvs::lookup(cx, &kvs::job_key(*id, "R"), 0),
            };
            loader.under_way += 1;
            self.pending.insert(tag, Pending::Load(step));
        }
        let loader = self.loader.as_ref().expect("just used");
        if loader.under_way == 0 && loader.todo.is_empty() && loader.retry.is_empty() {
            self.finish_loading(cx);
        }
    }

    pub(super) fn on_loaded(&mut self, cx: &mut Cx<'_>, step: Step, reply: &Message) {
        let Some(loader) = &mut self.loader else { return };
        loader.under_way -= 1;
        let fault = Fault::of(reply);
        if fault.as_ref().is_some_and(|fault| matches!(fault.errno, Errno::ENOSYS | Errno::EAGAIN)) {
            loader.retry.push(step);
            loader.retry_at.get_or_insert(cx.now.mono.after(RETRY_AFTER));
            return;
        }
        match step {
            Step::Checkpoint => self.load_checkpoint(cx, reply),
            Step::Index => self.load_index(reply),
            Step::Gone => self.load_gone(reply),
            Step::Finished(text) => self.load_finished(cx, text, reply),
            Step::Directory(key) => self.load_directory(cx, &key, reply),
            Step::Open(_) if fault.is_some_and(|fault| fault.errno == Errno::ENOENT) => {}
            Step::Eventlog(id) | Step::Open(id) => match kvs::text(reply) {
                Ok(log) => self.load_eventlog(cx, id, log),
                Err(fault) => self.lost(cx, id, &fault),
            },
            Step::Jobspec(id) => {
                match kvs::text(reply).and_then(|text| parse_redacted("jobspec", &text)) {
                    Ok(jobspec) => {
                        loader.parts.entry(id).or_default().jobspec = Some(jobspec);
                        loader.todo.push_front(Step::Resources(id));
                    }
                    Err(fault) => self.lost(cx, id, &fault),
                };
            }
            Step::Resources(id) => {
                let parts = loader.parts.remove(&id).unwrap_or_default();
                let resources = kvs::text(reply).and_then(|text| parse_redacted("R", &text)).ok();
                match replay(id, &parts.eventlog, parts.jobspec.as_ref(), resources) {
                    Ok((job, _)) => self.revive(cx, job),
                    Err(fault) => self.lost(cx, id, &fault),
                }
            }
        }
        self.load_more(cx);
    }

    pub(super) fn retry_loading(&mut self, cx: &mut Cx<'_>) {
        let Some(loader) = &mut self.loader else { return };
        if loader.retry_at.is_some_and(|at| at <= cx.now.mono) {
            loader.retry_at = None;
            loader.todo.extend(std::mem::take(&mut loader.retry));
            self.load_more(cx);
        }
    }

    fn load_checkpoint(&mut self, cx: &mut Cx<'_>, reply: &Message) {
        let value = kvs::text(reply).and_then(|text| {
            serde_json::from_str::<Value>(&text).map_err(|error| Fault::new(Errno::EINVAL, error.to_string()))
        });
        match value {
            Ok(value) => {
                let id = value.get("max_jobid").and_then(Value::as_u64).map(JobId);
                self.max_id = self.max_id.max(id.unwrap_or_default());
                self.queues.restore(value.get("queue").unwrap_or(&Value::Null));
                self.housekeeping.remember(value.get("housekeeping").unwrap_or(&Value::Null));
            }
            Err(fault) if fault.errno == Errno::ENOENT => {}
            Err(fault) => cx.log(LogLevel::Err, format!("restart: {CHECKPOINT}: {fault}")),
        }
        if self.conf.stop_queues_on_restart {
            self.queues.stop_all("Automatically stopped due to restart");
        }
    }

    fn load_directory(&mut self, cx: &mut Cx<'_>, key: &str, reply: &Message) {
        let names = match kvs::directories(reply) {
            Ok(names) => names,
            Err(fault) if fault.errno == Errno::ENOENT => return,
            Err(fault) => return cx.log(LogLevel::Err, format!("restart: {key}: {fault}")),
        };
        let loader = self.loader.as_mut().expect("a step is part of the walk");
        for name in names.iter().rev() {
            let path = format!("{key}.{name}");
            if loader.after.is_some_and(|after| last_below(&path).is_some_and(|last| last <= after)) {
                continue;
            }
            let depth = path.bytes().filter(|byte| *byte == b'.').count();
            let step = match JobId::parse(&path) {
                Ok(id) if depth == 4 && self.archive.has(id) => continue,
                Ok(id) if depth == 4 => Step::Eventlog(id),
                _ if depth < 4 => Step::Directory(path),
                _ => {
                    cx.log(LogLevel::Err, format!("restart: {path} is no job"));
                    continue;
                }
            };
            loader.todo.push_front(step);
        }
    }

    fn load_eventlog(&mut self, cx: &mut Cx<'_>, id: JobId, log: String) {
        match replay(id, &log, None, None) {
            Ok((job, clean)) if job.state == JobState::Inactive => {
                self.max_id_seen(cx, id);
                self.archive.add(clean, &job);
                self.index.found(id);
                self.loader.as_mut().expect("loading").loaded += 1;
            }
            Ok(_) => {
                let loader = self.loader.as_mut().expect("loading");
                loader.parts.entry(id).or_default().eventlog = log;
                loader.todo.push_front(Step::Jobspec(id));
            }
            Err(fault) => self.lost(cx, id, &fault),
        }
    }

    /// An active job is back. What it did not get to before is done when all are back.
    fn revive(&mut self, cx: &mut Cx<'_>, mut job: Job) {
        self.max_id_seen(cx, job.id);
        // The log tells when all shells had started, but not whether a start was asked for just before the end: the exec service
        // is asked to look. It starts a job that had not started; in CLEANUP it answers for it with the last release.
        let held = (job.has_resources || job.forsaken) && job.resources.is_some();
        job.shells |= job.state == JobState::Cleanup && held && !released(&job);
        job.revived = job.state == JobState::Run;
        self.running += usize::from(StateSet::RUNNING.contains(job.state));
        self.wait.waitables += usize::from(job.is_waitable());
        self.loader.as_mut().expect("loading").loaded += 1;
        self.jobs.insert(job.id, Box::new(job));
    }

    fn lost(&mut self, cx: &mut Cx<'_>, id: JobId, fault: &Fault) {
        cx.log(LogLevel::Err, format!("job {id} not replayed: {fault}"));
        if let Some(loader) = &mut self.loader {
            loader.parts.remove(&id);
        }
        self.max_id_seen(cx, id);
        let tag = kvs::lookup(cx, &kvs::job_key(id, ""), kvs::TREEOBJ);
        self.pending.insert(tag, Pending::Lost { id });
    }

    /// The unreadable job's directory moves aside, for somebody to look at.
    pub(super) fn on_lost(&mut self, cx: &mut Cx<'_>, id: JobId, reply: &Message) {
        let Ok(object) = kvs::treeobj(reply) else { return };
        let aside = TxnOp::object(format!("job-lost+found.job.{id}"), object);
        let tag = kvs::commit(cx, vec![aside, TxnOp::unlink(kvs::job_key(id, ""))], Durability::Synced);
        self.pending.insert(tag, Pending::Ignore);
    }

    fn finish_loading(&mut self, cx: &mut Cx<'_>) {
        let loader = self.loader.take().expect("only called while loading");
        cx.log(LogLevel::Info, format!("restart: {} jobs", loader.loaded));
        cx.log(LogLevel::Info, format!("restart: {} running jobs", self.running));
        let ids: Vec<JobId> = self.jobs.keys().copied().collect();
        for id in ids {
            self.resume(cx, id);
        }
        self.resume_housekeeping(cx);
        for request in loader.parked {
            self.rerun(cx, &request);
        }
    }

    fn resume(&mut self, cx: &mut Cx<'_>, id: JobId) {
        if !self.jobtap.is_empty() {
            self.introduce(cx, id, None);
        }
        self.claim_again(cx, id);
        self.depend_on_restart(cx, id);
        self.perilog_on_restart(cx, id);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match job.state {
            // The submit was stored, its validation was not.
            JobState::New => self.post(cx, id, "validate", None),
            JobState::Sched => {
                job.priority = priority::NONE;
                self.post(cx, id, "flux-restart", None);
            }
            JobState::Priority => _ = self.prioritize(cx, id, JobState::Depend, Value::Null),
            _ => self.act(cx, id),
        }
    }

    pub(super) fn checkpoint_op(&self) -> TxnOp {
        let mut value = json!({"version": 1, "max_jobid": self.max_id.0, "queue": self.queues.save()});
        if let Some(held) = self.housekeeping.save() {
            value["housekeeping"] = held;
        }
        TxnOp::put(CHECKPOINT.to_owned(), value.to_string().into_bytes())
    }

    /// Stores the queues' states and the newest id with the next commit.
    pub(super) fn save_checkpoint(&mut self) {
        let op = self.checkpoint_op();
        self.events.batch.puts.push(op);
        self.events.batch.synced = true;
    }

    /// Reads all inactive jobs for a listener of the journal.
    pub(super) fn tell_archive(&mut self, cx: &mut Cx<'_>, request: &Message, lines: bool) {
        let (ids, texts) = match lines {
            true => (self.index.open().filter(|id| self.archive.has(*id)).collect(), self.index.texts().collect()),
            false => (self.archive.ids().collect(), VecDeque::new()),
        };
        self.last_retelling += 1;
        let key = self.last_retelling;
        self.retellings.insert(key, Retelling { request: request.clone(), ids, texts, under_way: 0 });
        self.tell_more(cx, key);
    }

    fn tell_more(&mut self, cx: &mut Cx<'_>, key: usize) {
        let Some(retelling) = self.retellings.get_mut(&key) else { return };
        while retelling.under_way < LOAD_WINDOW {
            if let Some(text) = retelling.texts.pop_front() {
                retelling.under_way += 1;
                let tag = kvs::lookup(cx, &finished::key(text), 0);
                self.pending.insert(tag, Pending::TellLines(key));
                continue;
            }
            let Some(id) = retelling.ids.pop_front() else { break };
            retelling.under_way += 1;
            let tag = kvs::lookup(cx, &kvs::job_key(id, "eventlog"), 0);
            let told = Told { listener: key, id, eventlog: None, jobspec: None };
            self.pending.insert(tag, Pending::Tell(Box::new(told)));
        }
        if retelling.under_way == 0 {
            let retelling = self.retellings.remove(&key).expect("just seen");
            self.tell_past_end(cx, &retelling.request);
        }
    }

    /// A text of finished jobs; there may be none of that number.
    pub(super) fn on_told_lines(&mut self, cx: &mut Cx<'_>, key: usize, reply: &Message) {
        let Some(retelling) = self.retellings.get_mut(&key) else { return };
        retelling.under_way -= 1;
        let request = retelling.request.clone();
        if let Ok(text) = kvs::text(reply) {
            cx.respond(&request, Payload::local(Finished(self.finished_now(text))));
        }
        self.tell_more(cx, key);
    }

    pub(super) fn on_told(&mut self, cx: &mut Cx<'_>, mut told: Told, reply: &Message) {
        let text = kvs::text(reply);
        let next = match (&told.eventlog, &told.jobspec, text) {
            (None, _, Ok(log)) => {
                told.eventlog = Some(log);
                Some("jobspec")
            }
            (Some(_), None, text) => {
                let jobspec = text.and_then(|text| parse_redacted("jobspec", &text));
                told.jobspec = Some(jobspec.unwrap_or(Value::Null));
                Some("R")
            }
            (Some(log), Some(jobspec), text) => {
                let resources = text.and_then(|text| parse_redacted("R", &text)).ok();
                self.index_found(told.id, jobspec, resources.as_ref(), log);
                if let Some(retelling) = self.retellings.get(&told.listener) {
                    let jobspec = Some(jobspec.clone()).filter(|jobspec| !jobspec.is_null());
                    self.tell_past(cx, &retelling.request, told.id, log, jobspec, resources);
                }
                None
            }
            (None, _, Err(_)) => None, // Purged meanwhile.
        };
        if let Some(name) = next {
            let tag = kvs::lookup(cx, &kvs::job_key(told.id, name), 0);
            self.pending.insert(tag, Pending::Tell(Box::new(told)));
            return;
        }
        let key = told.listener;
        if let Some(retelling) = self.retellings.get_mut(&key) {
            retelling.under_way -= 1;
        }
        self.tell_more(cx, key);
    }
}

/// The largest id in a directory of jobs; `None` if it is not such a directory.
fn last_below(path: &str) -> Option<JobId> {
    let mut last = 0u64;
    let mut parts = path.strip_prefix("job.")?.split('.');
    for _ in 0..4 {
        let part = parts.next().map_or(Some(0xffff), |part| u64::from_str_radix(part, 16).ok())?;
        last = last << 16 | part;
    }
    Some(JobId(last))
}

fn released(job: &Job) -> bool {
    let mut entries = eventlog::entries(&job.eventlog).filter_map(Result::ok);
    entries.any(|entry| entry.name == "release" && entry.context_json().is_some_and(|text| text.contains("true")))
}

/// The job that an eventlog tells of, and when it became inactive (or the last thing happened).
///
/// # Errors
/// EINVAL and what is wrong with the log.
fn replay(id: JobId, log: &str, jobspec: Option<&Value>, resources: Option<Value>) -> Result<(Job, Wall), Fault> {
    let birth = Birth { id, userid: 0, urgency: 0, flags: JobFlags(0), t_submit: 0.0 };
    let empty = json!({});
    let mut job = Job::new(&birth, jobspec.unwrap_or(&empty), redact(jobspec.unwrap_or(&empty)).into());
    job.resources = resources.map(std::sync::Arc::new);
    let mut last = 0.0;
    for entry in eventlog::entries(log) {
        let entry = match entry.and_then(|entry| entry.to_entry()) {
            Ok(entry) => entry,
            // A power cut may leave half a line; what is before it is whole.
            Err(eventlog::EventlogError::NoNewline) => break,
            Err(error) => return Err(Fault::new(Errno::EINVAL, error.to_string())),
        };
        if entry.name == "alloc" {
            let annotations = entry.get("annotations").and_then(Value::as_object);
            job.annotations = annotations.cloned().unwrap_or_default();
        }
        last = entry.timestamp;
        job.apply(&entry)?;
    }
    if !job.submitted {
        return Err(Fault::new(Errno::EINVAL, "the eventlog is empty"));
    }
    if job.state == JobState::Inactive && job.end.is_none() {
        job.end = Some(EndEvent::Finish { status: 0 });
    }
    job.depend_posted = job.state != JobState::New && job.state != JobState::Depend;
    job.eventlog = log.to_owned();
    Ok((job, Wall(Duration::from_secs_f64(last.clamp(0.0, 1e11)))))
}
