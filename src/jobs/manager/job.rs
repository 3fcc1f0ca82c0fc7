//! One active job, and what each event does to it (RFC 21).

use std::collections::BTreeMap;
use std::sync::Arc;

use flux_service::{Fault, Plant, planted};
use flux_types::eventlog::Entry;
use flux_types::{At, JobId, JobState, StateSet};
use flux_wire::{Errno, Message};
use serde_json::{Map, Value};

use super::environment::Environment;
use super::lookup::parse_redacted;
use super::perilog::Stage;
use crate::limits::{PERILOGS_MAX, SPECS_KEPT};
use crate::state::{EndEvent, JobFlags, merge, priority, set_path};

/// A job that is not inactive. Bytes count: a hundred thousand of these may wait.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) userid: u32,
    pub(super) urgency: i64,
    pub(super) flags: JobFlags,
    /// `priority::NONE` until one is given.
    pub(super) priority: i64,
    pub(super) t_submit: f64,
    pub(super) state: JobState,
    /// The jobspec without its environment, as text: a parsed one would take ten times the memory.
    pub(super) jobspec: Arc<str>,
    /// As a value, until listeners have heard of the job.
    pub(super) told: Option<Arc<Value>>,
    /// As the user gave it; empty if not.
    pub(super) name: Box<str>,
    pub(super) queue: Option<Arc<str>>,
    pub(super) environment: Environment,
    /// R without its `scheduling` part.
    pub(super) resources: Option<Arc<Value>>,
    /// The eventlog so far, as in the KVS.
    pub(super) eventlog: String,
    pub(super) annotations: Map<String, Value>,
    pub(super) dependencies: Vec<Box<str>>,
    /// Dependencies that were there and are satisfied: RFC 26 refuses them a second time.
    pub(super) satisfied: Vec<Box<str>>,
    pub(super) end: Option<EndEvent>,
    pub(super) waiter: Option<Box<Message>>,
    pub(super) perilogs: u32,
    pub(super) prolog: Stage,
    pub(super) epilog: Stage,
    /// `submit` came; nothing may come before it.
    pub(super) submitted: bool,
    pub(super) has_resources: bool,
    /// The scheduler could not take over all that it has: it is ended, and nothing is said of it in the log. What the
    /// scheduler could take over is its own until then.
    pub(super) forsaken: bool,
    pub(super) alloc_queued: bool,
    pub(super) alloc_pending: bool,
    /// The exec service that is there now owes responses.
    pub(super) start_pending: bool,
    /// Shells may exist: the start was asked for, and the last resources are not released yet.
    pub(super) shells: bool,
    /// It was in RUN when an earlier manager ended, which may have asked for its start.
    pub(super) revived: bool,
    /// The `start` event came.
    pub(super) started: bool,
    pub(super) free_posted: bool,
    pub(super) depend_posted: bool,
    pub(super) clean_posted: bool,
    /// The submit is not on disk yet; its requester has no answer.
    pub(super) unacknowledged: bool,
    /// The submit could not be stored, but the job runs already: it is ended, and none of it is logged.
    pub(super) phantom: bool,
}

/// What is known of a job as it comes in or is read again.
#[derive(Debug)]
pub(super) struct Birth {
    pub(super) id: JobId,
    pub(super) userid: u32,
    pub(super) urgency: i64,
    pub(super) flags: JobFlags,
    pub(super) t_submit: f64,
}

impl Job {
    /// `text` is what [`redact`] makes of the jobspec.
    pub(super) fn new(birth: &Birth, jobspec: &Value, text: Arc<str>) -> Job {
        let system = jobspec.get("attributes").and_then(|attributes| attributes.get("system"));
        let queue = system.and_then(|system| system.get("queue")?.as_str()).map(Arc::from);
        Job {
            id: birth.id,
            userid: birth.userid,
            urgency: birth.urgency,
            flags: birth.flags,
            priority: priority::NONE,
            t_submit: birth.t_submit,
            state: JobState::New,
            jobspec: text,
            told: None,
            name: name_of(jobspec).into(),
            queue,
            environment: Environment::Stored,
            resources: None,
            eventlog: String::new(),
            annotations: Map::new(),
            dependencies: Vec::new(),
            satisfied: Vec::new(),
            end: None,
            waiter: None,
            perilogs: 0,
            prolog: Stage::None,
            epilog: Stage::None,
            submitted: false,
            has_resources: false,
            forsaken: false,
            alloc_queued: false,
            alloc_pending: false,
            start_pending: false,
            shells: false,
            revived: false,
            started: false,
            free_posted: false,
            depend_posted: false,
            clean_posted: false,
            unacknowledged: false,
            phantom: false,
        }
    }

    /// The redacted jobspec as a value.
    pub(super) fn jobspec_value(&self) -> Value {
        serde_json::from_str(&self.jobspec).expect("what was written from a value reads as one")
    }

    pub(super) fn is_debug(&self) -> bool {
        self.flags.has(JobFlags::DEBUG)
    }

    /// It has its resources without the scheduler.
    pub(super) fn bypasses(&self) -> bool {
        self.flags.has(JobFlags::ALLOC_BYPASS)
    }

    pub(super) fn is_waitable(&self) -> bool {
        self.flags.has(JobFlags::WAITABLE)
    }

    /// Nothing holds a start back (RFC 21: prologs do).
    pub(super) fn may_start(&self) -> bool {
        self.state == JobState::Run && self.perilogs == 0
    }

    /// Resources may go back: nothing runs on them any more and no epilog holds them.
    pub(super) fn may_free(&self) -> bool {
        let shells = self.shells && !(planted(Plant::FreeBeforeRelease) && self.id.0.is_multiple_of(3));
        self.has_resources && !shells && self.perilogs == 0 && !self.free_posted
    }

    /// Nothing is left to do in CLEANUP.
    pub(super) fn may_clean(&self) -> bool {
        !self.alloc_queued && !self.alloc_pending && !self.shells && !self.has_resources && self.perilogs == 0
    }

    /// Takes one event: changes the state as RFC 21 says, and what else the event tells. Also how an eventlog is replayed.
    ///
    /// # Errors
    /// The event's context is not what RFC 21 requires, or it cannot come in this state. Then nothing has changed.
    pub(super) fn apply(&mut self, entry: &Entry) -> Result<(), Fault> {
        if !self.submitted && entry.name != "submit" {
            return Err(Fault::new(Errno::EINVAL, "the first event is not submit"));
        }
        let fatal = entry.name == "exception" && integer(entry, "severity")? == 0;
        if fatal && self.state == JobState::New {
            return Err(Fault::new(Errno::EINVAL, "a fatal exception cannot come before the job is valid"));
        }
        let context = entry.context.as_ref();
        match entry.name.as_str() {
            "submit" => self.apply_submit(entry)?,
            "jobspec-update" => self.update_jobspec(context)?,
            "resource-update" => self.update_resources(entry)?,
            "dependency-add" => self.add_dependency(text(entry, "description")?),
            "dependency-remove" => self.remove_dependency(text(entry, "description")?),
            "set-flags" => self.set_flags(entry)?,
            "memo" => self.memo(context),
            "priority" if StateSet::of(&[JobState::Priority, JobState::Sched]).contains(self.state) => {
                self.priority = integer(entry, "priority")?;
            }
            "urgency" => self.urgency = integer(entry, "urgency")?,
            "exception" => self.apply_exception(entry, fatal)?,
            "alloc" => self.has_resources = true,
            "start" => (self.started, self.shells) = (true, true),
            "release" => self.shells &= !final_release(entry)?,
            "free" => self.has_resources = false,
            "finish" if self.state == JobState::Run => {
                let status = i32::try_from(integer(entry, "status")?).map_err(|_| bad("status"))?;
                self.end.get_or_insert(EndEvent::Finish { status });
            }
            "prolog-start" | "epilog-start" => {
                self.perilogs = (self.perilogs + 1).min(PERILOGS_MAX);
                self.perilog_stage(entry, Stage::Open);
            }
            "prolog-finish" | "epilog-finish" => {
                self.perilogs = self.perilogs.saturating_sub(1);
                self.perilog_stage(entry, Stage::Done);
            }
            _ => {}
        }
        let severity = if fatal { 0 } else { 1 };
        // An event that RFC 21 does not know in this state changes nothing: older logs have such.
        self.state = self.state.next(&entry.name, Some(severity)).unwrap_or(self.state);
        Ok(())
    }

    fn perilog_stage(&mut self, entry: &Entry, stage: Stage) {
        match entry.get("description").and_then(Value::as_str) {
            Some("job-manager.prolog") => self.prolog = stage,
            Some("job-manager.epilog") => self.epilog = stage,
            _ => {}
        }
    }

    fn apply_submit(&mut self, entry: &Entry) -> Result<(), Fault> {
        if self.submitted {
            return Err(Fault::new(Errno::EINVAL, "submit came twice"));
        }
        let userid = u32::try_from(integer(entry, "userid")?).map_err(|_| bad("userid"))?;
        let flags = u32::try_from(integer(entry, "flags")?).map_err(|_| bad("flags"))?;
        self.urgency = integer(entry, "urgency")?;
        (self.userid, self.flags, self.t_submit) = (userid, JobFlags(flags), entry.timestamp);
        self.submitted = true;
        Ok(())
    }

    fn apply_exception(&mut self, entry: &Entry, fatal: bool) -> Result<(), Fault> {
        let kind = text(entry, "type")?;
        if fatal && StateSet::ACTIVE.contains(self.state) {
            // The scheduler could not take the allocation over: there is nothing to give back, as the log tells it.
            if kind == "scheduler-restart" && self.has_resources {
                (self.has_resources, self.forsaken) = (false, true);
            }
            let note = entry.get("note").and_then(Value::as_str).unwrap_or("");
            self.end.get_or_insert_with(|| EndEvent::Exception { kind: kind.into(), note: note.into() });
        }
        Ok(())
    }

    fn update_jobspec(&mut self, context: Option<&Map<String, Value>>) -> Result<(), Fault> {
        let updates = context.ok_or_else(|| bad("context"))?;
        let mut jobspec = self.jobspec_value();
        for (path, value) in updates {
            set_path(&mut jobspec, path, value.clone()).ok_or_else(|| bad(path))?;
        }
        let queue = jobspec.at("/attributes/system/queue").and_then(Value::as_str);
        self.queue = queue.map(Arc::from);
        self.name = name_of(&jobspec).into();
        self.jobspec = redact(&jobspec).into();
        Ok(())
    }

    fn update_resources(&mut self, entry: &Entry) -> Result<(), Fault> {
        let expiration = entry.get("expiration").filter(|value| value.is_number()).ok_or_else(|| bad("expiration"))?;
        if let Some(resources) = &mut self.resources {
            let resources = Arc::make_mut(resources);
            set_path(resources, "execution.expiration", expiration.clone()).ok_or_else(|| bad("R"))?;
        }
        Ok(())
    }

    fn add_dependency(&mut self, description: &str) {
        if !self.dependencies.iter().any(|known| &**known == description) {
            self.dependencies.push(description.into());
        }
    }

    fn remove_dependency(&mut self, description: &str) {
        if let Some(at) = self.dependencies.iter().position(|known| &**known == description) {
            let gone = self.dependencies.remove(at);
            self.satisfied.push(gone);
        }
    }

    fn set_flags(&mut self, entry: &Entry) -> Result<(), Fault> {
        let names = entry.get("flags").and_then(Value::as_array).ok_or_else(|| bad("flags"))?;
        let bits: Option<Vec<u32>> = names.iter().map(|name| JobFlags::named(name.as_str()?)).collect();
        self.flags.0 |= bits.ok_or_else(|| bad("flags"))?.into_iter().fold(0, |all, bit| all | bit);
        Ok(())
    }

    fn memo(&mut self, context: Option<&Map<String, Value>>) {
        let Some(memo) = context else { return };
        let mut updates = Map::new();
        updates.insert("user".into(), Value::Object(memo.clone()));
        merge(&mut self.annotations, &updates);
    }

    /// Asserts what must hold between any two events.
    pub(super) fn check(&self) {
        assert!(!(self.alloc_queued && self.alloc_pending), "{}: queued and pending at once", self.id);
        assert!(self.shells || !self.start_pending, "{}: a start is pending, so shells may exist", self.id);
        assert!(!self.has_resources || self.state >= JobState::Run, "{}: resources in {:?}", self.id, self.state);
        assert!(self.state != JobState::Inactive, "{}: inactive among the active", self.id);
    }
}

fn bad(key: &str) -> Fault {
    Fault::new(Errno::EPROTO, format!("event context: {key} is missing or malformed"))
}

fn integer(entry: &Entry, key: &str) -> Result<i64, Fault> {
    entry.get(key).and_then(Value::as_i64).ok_or_else(|| bad(key))
}

fn text<'a>(entry: &'a Entry, key: &str) -> Result<&'a str, Fault> {
    entry.get(key).and_then(Value::as_str).ok_or_else(|| bad(key))
}

fn final_release(entry: &Entry) -> Result<bool, Fault> {
    entry.get("final").and_then(Value::as_bool).ok_or_else(|| bad("final"))
}

/// The last jobspec and its text: equal jobs come one after another, and share one.
#[derive(Debug, Default)]
pub(super) struct Texts(Option<(Arc<Value>, Arc<str>)>);

impl Texts {
    pub(super) fn of(&mut self, jobspec: &Arc<Value>) -> Arc<str> {
        if let Some((last, text)) = &self.0
            && Arc::ptr_eq(last, jobspec)
        {
            return text.clone();
        }
        let text: Arc<str> = redact(jobspec).into();
        self.0 = Some((jobspec.clone(), text.clone()));
        text
    }
}

/// A jobspec that was read: as a value, and as [`redact`] has it.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) value: Arc<Value>,
    pub(super) text: Arc<str>,
}

/// Equal jobspecs are parsed once and share their memory.
#[derive(Debug, Default)]
pub(super) struct Specs(pub(super) BTreeMap<Box<str>, Spec>);

impl Specs {
    /// # Errors
    /// EINVAL and what is wrong with the text.
    pub(super) fn of(&mut self, text: String) -> Result<Spec, Fault> {
        if let Some(spec) = self.0.get(&*text) {
            return Ok(spec.clone());
        }
        let value = parse_redacted("jobspec", &text)?;
        let spec = Spec { text: value.to_string().into(), value: Arc::new(value) };
        if self.0.len() >= SPECS_KEPT {
            self.0.clear();
        }
        self.0.insert(text.into(), spec.clone());
        Ok(spec)
    }
}

/// Values of texts: equal jobs come one after another, and share one.
#[derive(Debug, Default)]
pub(crate) struct Values(Option<(Arc<str>, Arc<Value>)>);

impl Values {
    /// `null` for what is no JSON.
    pub(crate) fn of(&mut self, text: &Arc<str>) -> Arc<Value> {
        if let Some((last, value)) = &self.0
            && Arc::ptr_eq(last, text)
        {
            return value.clone();
        }
        let value = Arc::new(serde_json::from_str(text).unwrap_or(Value::Null));
        self.0 = Some((text.clone(), value.clone()));
        value
    }
}

/// The jobspec as text, without `attributes.system.environment`.
pub(super) fn redact(jobspec: &Value) -> String {
    let has_environment = jobspec.at("/attributes/system/environment").is_some();
    if !has_environment {
        return jobspec.to_string();
    }
    let mut copy = Map::new();
    for (key, value) in jobspec.as_object().into_iter().flatten() {
        let value = if key == "attributes" { without_environment(value) } else { value.clone() };
        copy.insert(key.clone(), value);
    }
    Value::Object(copy).to_string()
}

fn without_environment(attributes: &Value) -> Value {
    let mut out = Map::new();
    for (key, value) in attributes.as_object().into_iter().flatten() {
        let value = match value {
            Value::Object(system) if key == "system" => {
                let kept = system.iter().filter(|(name, _)| *name != "environment");
                Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            other => other.clone(),
        };
        out.insert(key.clone(), value);
    }
    Value::Object(out)
}

/// The name that the user gave, or nothing.
fn name_of(jobspec: &Value) -> &str {
    jobspec.at("/attributes/system/job/name").and_then(Value::as_str).unwrap_or("")
}
