//! What is listed of one job, fed by its events (RFCs 21, 43).

use std::collections::BTreeSet;
use std::sync::Arc;

use flux_types::eventlog::Entry;
use flux_types::jobspec::{Summary, TasksPer};
use flux_types::{At, IdsetFormat, JobId, JobResult, JobState, Jobspec, ResourceSet, StateSet};
use serde_json::{Map, Value};

use crate::state::merge;

/// Texts that many jobs share are kept once.
#[derive(Debug, Default)]
pub(super) struct Pool(BTreeSet<Arc<str>>);

impl Pool {
    pub(super) fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.0.insert(new.clone());
        new
    }

    fn maybe(&mut self, text: Option<&str>) -> Option<Arc<str>> {
        text.map(|text| self.get(text))
    }

    /// Drops what no job uses any more.
    pub(super) fn sweep(&mut self) {
        self.0.retain(|text| Arc::strong_count(text) > 1);
    }
}

/// What a jobspec says as a whole; nothing if it is none.
#[derive(Debug, Default)]
pub(super) struct Outline {
    name: Option<Box<str>>,
    duration: f64,
    summary: Option<Summary>,
}

/// The last outline: equal jobs come one after another.
#[derive(Debug, Default)]
pub(super) struct Outlines {
    of: Option<Arc<Value>>,
    outline: Outline,
}

impl Outlines {
    pub(super) fn of(&mut self, jobspec: &Arc<Value>) -> &Outline {
        if !self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, jobspec)) {
            self.outline = Outline::read(jobspec);
            self.of = Some(jobspec.clone());
        }
        &self.outline
    }
}

impl Outline {
    fn read(jobspec: &Value) -> Outline {
        let Ok(parsed) = Jobspec::from_value(jobspec.clone()) else { return Outline::default() };
        Outline {
            name: Some(parsed.name().into()),
            duration: parsed.duration().unwrap_or(0.0),
            summary: parsed.summary().ok(),
        }
    }
}

/// When a state was first entered, in microseconds since the epoch; 0 is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) submit: u64,
    pub(super) depend: u64,
    pub(super) priority: u64,
    pub(super) sched: u64,
    pub(super) run: u64,
    pub(super) cleanup: u64,
    pub(super) inactive: u64,
}

/// The worst exception so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exception {
    pub(super) severity: i64,
    pub(super) kind: Box<str>,
    pub(super) note: Box<str>,
}

/// A job as it is listed. Numbers that are not known yet are `None`.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: JobId,
    pub(super) userid: u32,
    pub(super) urgency: u8,
    pub(super) priority: i64,
    pub(super) state: JobState,
    /// States that the job has been in.
    pub(super) seen: StateSet,
    pub(super) times: Times,
    pub(super) name: Option<Arc<str>>,
    pub(super) cwd: Option<Arc<str>>,
    pub(super) queue: Option<Arc<str>>,
    pub(super) project: Option<Arc<str>>,
    pub(super) bank: Option<Arc<str>>,
    pub(super) ranks: Option<Arc<str>>,
    pub(super) nodelist: Option<Arc<str>>,
    pub(super) ntasks: Option<u32>,
    pub(super) ncores: Option<u32>,
    pub(super) nnodes: Option<u32>,
    pub(super) duration: Option<f64>,
    pub(super) expiration: Option<f64>,
    pub(super) wait_status: Option<i32>,
    pub(super) success: bool,
    pub(super) exception: Option<Box<Exception>>,
    pub(super) annotations: Option<Box<Map<String, Value>>>,
    /// `Some` once there was a dependency, also when none is left.
    pub(super) dependencies: Option<Vec<Box<str>>>,
    /// How the number of tasks follows from the allocation, where it does.
    tasks_per: Option<TasksPer>,
}

impl Record {
    pub(super) fn new(id: JobId) -> Record {
        Record {
            id,
            userid: u32::MAX,
            urgency: 0,
            priority: 0,
            state: JobState::New,
            seen: StateSet::of(&[JobState::New]),
            times: Times::default(),
            name: None,
            cwd: None,
            queue: None,
            project: None,
            bank: None,
            ranks: None,
            nodelist: None,
            ntasks: None,
            ncores: None,
            nnodes: None,
            duration: None,
            expiration: None,
            wait_status: None,
            success: false,
            exception: None,
            annotations: None,
            dependencies: None,
            tasks_per: None,
        }
    }

    /// Takes the request over: what is listed of it.
    pub(super) fn set_jobspec(&mut self, pool: &mut Pool, outline: &Outline, jobspec: &Value) {
        let system = |key: &str| jobspec.at("/attributes/system")?.get(key)?.as_str();
        self.cwd = pool.maybe(system("cwd"));
        self.queue = pool.maybe(system("queue"));
        self.project = pool.maybe(system("project"));
        self.bank = pool.maybe(system("bank"));
        if let Some(name) = &outline.name {
            self.name = Some(pool.get(name));
            self.duration = Some(outline.duration);
            if let Some(summary) = &outline.summary {
                (self.ntasks, self.nnodes, self.ncores) = (summary.ntasks, summary.nnodes, summary.ncores);
                self.tasks_per = summary.tasks_per;
            }
        }
    }

    /// Takes the allocation over.
    pub(super) fn set_resources(&mut self, pool: &mut Pool, resources: &Value) {
        let Ok(set) = ResourceSet::from_value(resources) else { return };
        let (nnodes, ncores) = (set.nnodes() as u32, set.ncores() as u32);
        match self.tasks_per {
            Some(TasksPer::Node(count)) => self.ntasks = Some(nnodes.saturating_mul(count)),
            Some(TasksPer::Core(count)) => self.ntasks = Some(ncores.saturating_mul(count)),
            None => {}
        }
        (self.nnodes, self.ncores) = (Some(nnodes), Some(ncores));
        self.ranks = Some(pool.get(&set.ranks().encode(IdsetFormat::RANGE_BRACKETS)));
        self.nodelist = set.nodelist().map(|hosts| pool.get(&hosts.to_string()));
        self.expiration = Some(set.expiration);
    }

    /// Takes one event.
    pub(super) fn apply(&mut self, pool: &mut Pool, entry: &Entry) {
        let integer = |key: &str| entry.get(key).and_then(Value::as_i64);
        let severity = integer("severity").and_then(|severity| u32::try_from(severity).ok());
        match entry.name.as_str() {
            "submit" => {
                self.userid = integer("userid").and_then(|id| u32::try_from(id).ok()).unwrap_or(u32::MAX);
                self.urgency = integer("urgency").and_then(|urgency| u8::try_from(urgency).ok()).unwrap_or(0);
                self.times.submit = micros(entry.timestamp);
            }
            "urgency" => self.urgency = integer("urgency").and_then(|urgency| u8::try_from(urgency).ok()).unwrap_or(0),
            "priority" => self.priority = integer("priority").unwrap_or(0),
            "finish" => {
                self.wait_status = integer("status").and_then(|status| i32::try_from(status).ok());
                let fatal = self.exception.as_ref().is_some_and(|exception| exception.severity == 0);
                self.success = self.wait_status == Some(0) && !fatal;
            }
            "exception" => self.apply_exception(entry),
            "annotations" | "alloc" => {
                if let Some(annotations) = entry.get("annotations") {
                    self.annotations = annotations.as_object().map(|annotations| Box::new(annotations.clone()));
                }
            }
            "memo" => self.apply_memo(entry),
            "jobspec-update" => self.update_jobspec(pool, entry),
            "resource-update" => self.expiration = entry.get("expiration").and_then(Value::as_f64).or(self.expiration),
            "dependency-add" => {
                if let Some(description) = entry.get("description").and_then(Value::as_str) {
                    self.dependencies.get_or_insert_default().push(description.into());
                }
            }
            "dependency-remove" => {
                let description = entry.get("description").and_then(Value::as_str);
                if let Some(list) = &mut self.dependencies {
                    list.retain(|known| Some(&**known) != description);
                }
            }
            _ => {}
        }
        if let Some(next) = self.state.next(&entry.name, severity) {
            self.enter(next, entry.timestamp);
        }
    }

    fn enter(&mut self, state: JobState, timestamp: f64) {
        if state == self.state {
            return;
        }
        self.state = state;
        self.seen = self.seen.union(StateSet::of(&[state]));
        let at = match state {
            JobState::New => return,
            JobState::Depend => &mut self.times.depend,
            JobState::Priority => &mut self.times.priority,
            JobState::Sched => &mut self.times.sched,
            JobState::Run => &mut self.times.run,
            JobState::Cleanup => &mut self.times.cleanup,
            JobState::Inactive => &mut self.times.inactive,
        };
        if *at == 0 {
            *at = micros(timestamp);
        }
    }

    fn apply_exception(&mut self, entry: &Entry) {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or("").into();
        let severity = entry.get("severity").and_then(Value::as_i64).unwrap_or(0);
        // The first of the worst: what is listed is what ended the job.
        if self.exception.as_ref().is_none_or(|known| severity < known.severity) {
            self.exception = Some(Box::new(Exception { severity, kind: text("type"), note: text("note") }));
        }
    }

    fn apply_memo(&mut self, entry: &Entry) {
        let Some(memo) = &entry.context else { return };
        let mut updates = Map::new();
        updates.insert("user".into(), Value::Object(memo.clone()));
        let annotations = self.annotations.get_or_insert_default();
        merge(annotations, &updates);
        if annotations.is_empty() {
            self.annotations = None;
        }
    }

    /// RFC 21 `jobspec-update`, as far as it changes what is listed.
    fn update_jobspec(&mut self, pool: &mut Pool, entry: &Entry) {
        for (path, value) in entry.context.iter().flatten() {
            let text = || value.as_str();
            match path.as_str() {
                "attributes.system.duration" => self.duration = value.as_f64().or(self.duration),
                "attributes.system.job.name" => self.name = pool.maybe(text()).or(self.name.take()),
                "attributes.system.cwd" => self.cwd = pool.maybe(text()),
                "attributes.system.queue" => self.queue = pool.maybe(text()),
                "attributes.system.project" => self.project = pool.maybe(text()),
                "attributes.system.bank" => self.bank = pool.maybe(text()),
                _ => {}
            }
        }
    }

    /// How the job ended; known when it is inactive.
    pub(super) fn result(&self) -> JobResult {
        if self.success {
            return JobResult::Completed;
        }
        JobResult::of_job(None, self.exception.as_ref().map(|exception| &*exception.kind))
    }
}

/// Microseconds since the epoch.
pub(super) fn micros(timestamp: f64) -> u64 {
    (timestamp * 1e6).round() as u64
}

/// Seconds since the epoch, as eventlogs have them.
pub(super) fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
