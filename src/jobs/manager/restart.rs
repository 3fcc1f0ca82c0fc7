//! A restart: the jobs of the earlier life are read from the KVS and replayed (RFC 21), active ones go on where they were.
//!
//! The walk goes through `job.A.B.C.D`; many directories and jobs are read with one request, and a bounded number of these is under
//! way. Requests that come meanwhile wait. Jobs that cannot be read are logged and moved to `job-lost+found`, as flux-core does.

use std::collections::VecDeque;
use std::time::Duration;

use flux_service::{Cx, Fault, Found, FoundAll, LogLevel, Look, Looks, Mono, TxnOp, Wall};
use flux_types::{JobId, JobState, StateSet, eventlog};
use flux_wire::{Errno, Message, Payload, Target};
use serde_json::{Value, json};

use super::index::Reading;
use super::job::{Birth, Job, Spec, Specs};
use super::lookup::parse_redacted;
use super::{JobManager, Pending};
use crate::finished::{self, Finished};
use crate::kvs::{self, Durability};
use crate::limits::{LOAD_BATCH, LOAD_WINDOW, LOADS_MAX};
use crate::state::{EndEvent, JobFlags, priority};

pub(super) const CHECKPOINT: &str = "checkpoint.job-manager";
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
    /// Of the walk: read together with others of its kind.
    Part(Part),
    Parts(Vec<Part>),
}

/// What many are read of at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Directory(String),
    Job(JobId),
    /// A job that may never have been stored.
    Open(JobId),
}

/// The keys of a job that are read.
const JOB_KEYS: [&str; 3] = ["eventlog", "jobspec", "R"];

#[derive(Debug, Default)]
pub(super) struct Loader {
    pub(super) todo: VecDeque<Step>,
    under_way: usize,
    specs: Specs,
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

impl Part {
    fn looks(&self) -> Vec<Look> {
        match self {
            Part::Directory(key) => vec![Look { key: key.clone(), dir: true }],
            Part::Job(id) | Part::Open(id) => {
                JOB_KEYS.map(|name| Look { key: kvs::job_key(*id, name), dir: false }).into()
            }
        }
    }
}

impl Loader {
    /// What is read next: as many parts together as come one after another.
    fn next(&mut self) -> Option<Step> {
        let mut parts = Vec::new();
        while parts.len() < LOAD_BATCH {
            match self.todo.pop_front() {
                Some(Step::Part(part)) => parts.push(part),
                Some(other) if parts.is_empty() => return Some(other),
                Some(other) => {
                    self.todo.push_front(other);
                    break;
                }
                None => break,
            }
        }
        (!parts.is_empty()).then_some(Step::Parts(parts))
    }
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
        while loader.under_way < LOADS_MAX {
            // Jobs before directories: what is begun is finished first, and little is held at a time.
            let Some(step) = loader.next() else { break };
            let tag = match &step {
                Step::Checkpoint => kvs::lookup(cx, CHECKPOINT, 0),
                Step::Index => kvs::lookup(cx, finished::DIRECTORY, kvs::READDIR),
                Step::Gone => kvs::lookup(cx, finished::GONE, 0),
                Step::Finished(text) => kvs::lookup(cx, &finished::key(*text), 0),
                Step::Part(_) => unreachable!("next makes one of many"),
                Step::Parts(parts) => Looks { looks: parts.iter().flat_map(Part::looks).collect() }.send(cx),
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
            Step::Part(_) => unreachable!("next makes one of many"),
            Step::Parts(parts) => self.load_parts(cx, &parts, reply),
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

    fn load_parts(&mut self, cx: &mut Cx<'_>, parts: &[Part], reply: &Message) {
        let all = match FoundAll::of(reply) {
            Ok(FoundAll(all)) => all,
            Err(fault) => {
                let all = parts.iter().flat_map(Part::looks).map(|_| Found::Failed(fault.errno));
                all.collect()
            }
        };
        let mut all = all.into_iter();
        for part in parts {
            let mut next = || all.next().unwrap_or(Found::Failed(Errno::EPROTO));
            match part {
                Part::Directory(key) => {
                    let found = next();
                    self.load_directory(cx, key, found);
                }
                Part::Job(id) | Part::Open(id) => {
                    let [log, jobspec, resources] = JOB_KEYS.map(|_| text(next()));
                    if matches!(part, Part::Open(_)) && log.as_ref().is_err_and(|fault| fault.errno == Errno::ENOENT) {
                        continue;
                    }
                    let loaded = log.and_then(|log| self.load_job(cx, *id, &log, jobspec, resources));
                    if let Err(fault) = loaded {
                        self.lost(cx, *id, &fault);
                    }
                }
            }
        }
    }

    fn load_directory(&mut self, cx: &mut Cx<'_>, key: &str, found: Found) {
        let names = match found {
            Found::Names(names) => names,
            Found::Failed(Errno::ENOENT) => return,
            Found::Failed(errno) => return cx.log(LogLevel::Err, format!("restart: {key}: {}", Fault::from(errno))),
            Found::Value(_) => return cx.log(LogLevel::Err, format!("restart: {key} is no directory")),
        };
        let loader = self.loader.as_mut().expect("a step is part of the walk");
        for name in names.iter().rev() {
            let path = format!("{key}.{name}");
            if loader.after.is_some_and(|after| last_below(&path).is_some_and(|last| last <= after)) {
                continue;
            }
            let depth = path.bytes().filter(|byte| *byte == b'.').count();
            let part = match JobId::parse(&path) {
                Ok(id) if depth == 4 && self.archive.has(id) => continue,
                Ok(id) if depth == 4 => Part::Job(id),
                _ if depth < 4 => Part::Directory(path),
                _ => {
                    cx.log(LogLevel::Err, format!("restart: {path} is no job"));
                    continue;
                }
            };
            loader.todo.push_front(Step::Part(part));
        }
    }

    /// Takes over what was read of a job.
    fn load_job(
        &mut self,
        cx: &mut Cx<'_>,
        id: JobId,
        log: &str,
        jobspec: Result<String, Fault>,
        resources: Result<String, Fault>,
    ) -> Result<(), Fault> {
        let loader = self.loader.as_mut().expect("loading");
        let spec = jobspec.and_then(|text| loader.specs.of(text));
        let resources = resources.and_then(|text| parse_redacted("R", &text)).ok();
        let (job, clean) = replay(id, log, spec.as_ref().ok(), resources)?;
        if job.state == JobState::Inactive {
            loader.loaded += 1;
            self.max_id_seen(cx, id);
            self.archive.add(clean, &job);
            self.index.found(id);
            return Ok(());
        }
        spec?;
        self.revive(cx, job);
        Ok(())
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
        self.greet(cx, &loader.parked);
        let ids: Vec<JobId> = self.jobs.keys().copied().collect();
        for id in ids {
            self.resume(cx, id);
        }
        self.resume_housekeeping(cx);
        for request in loader.parked {
            self.rerun(cx, &request);
        }
    }

    /// Those that knew an earlier manager of this broker (`flux module reload`) begin anew; who waits to say hello does so anyway,
    /// and who is not there yet will.
    fn greet(&self, cx: &mut Cx<'_>, parked: &[Message]) {
        cx.notify("resource.forget-claims", Target::Any, json!({}));
        for (hello, again) in
            [("job-manager.sched-hello", "sched.hello-again"), ("job-manager.exec-hello", "job-exec.hello-again")]
        {
            if !parked.iter().any(|request| request.topic() == hello) {
                cx.notify(again, Target::Any, json!({}));
            }
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

/// A value that was read, as text.
fn text(found: Found) -> Result<String, Fault> {
    match found {
        Found::Value(bytes) => {
            String::from_utf8(bytes.to_vec()).map_err(|_| Fault::new(Errno::EINVAL, "the value is not UTF-8"))
        }
        Found::Names(_) => Err(Errno::EISDIR.into()),
        Found::Failed(errno) => Err(errno.into()),
    }
}

/// The job that an eventlog tells of, and when it became inactive (or the last thing happened).
///
/// # Errors
/// EINVAL and what is wrong with the log.
fn replay(id: JobId, log: &str, spec: Option<&Spec>, resources: Option<Value>) -> Result<(Job, Wall), Fault> {
    let birth = Birth { id, userid: 0, urgency: 0, flags: JobFlags(0), t_submit: 0.0 };
    let mut job = match spec {
        Some(spec) => Job::new(&birth, &spec.value, spec.text.clone()),
        None => Job::new(&birth, &json!({}), "{}".into()),
    };
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
