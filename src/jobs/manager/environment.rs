//! The environment of a job until it starts.
//!
//! It is most of a jobspec's bulk, and it is needed once: with the start. Jobs that wait share equal ones up to a limit; for the
//! others, and after a restart, it is read from the signed request `J`, which has the only copy on disk.

use std::collections::BTreeSet;
use std::sync::Arc;

use flux_service::{Cx, Fault};
use flux_types::At;
use flux_types::JobId;
use flux_wire::{Errno, Message};
use serde_json::Value;

use super::raise::Exception;
use super::{JobManager, Pending};
use crate::kvs;
use crate::limits::ENVIRONMENTS_LEN_MAX;

/// Where a job's environment is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Environment {
    /// The job has none.
    #[default]
    Absent,
    /// As JSON text.
    Here(Arc<str>),
    /// In `J`.
    Stored,
    /// `J` is being read.
    Asked,
}

/// Equal environments are kept once.
#[derive(Debug, Default)]
pub(super) struct Environments {
    texts: BTreeSet<Arc<str>>,
    len: usize,
}

impl Environments {
    pub(super) fn keep(&mut self, jobspec: &Value) -> Environment {
        let Some(environment) = jobspec.at("/attributes/system/environment") else { return Environment::Absent };
        self.keep_text(&environment.to_string())
    }

    pub(super) fn keep_text(&mut self, text: &str) -> Environment {
        if let Some(known) = self.texts.get(text) {
            return Environment::Here(known.clone());
        }
        if self.len + text.len() > ENVIRONMENTS_LEN_MAX {
            return Environment::Stored;
        }
        let text: Arc<str> = text.into();
        self.len += text.len();
        self.texts.insert(text.clone());
        Environment::Here(text)
    }

    /// The job does not need it any more.
    pub(super) fn release(&mut self, environment: Environment) {
        let Environment::Here(text) = environment else { return };
        // One reference is ours, one the caller's.
        if Arc::strong_count(&text) == 2 && self.texts.remove(&text) {
            self.len -= text.len();
        }
    }
}

impl JobManager {
    /// The jobspec with its environment; `None` while that is being read: then the job is looked at again when it is there.
    pub(super) fn whole_jobspec(&mut self, cx: &mut Cx<'_>, id: JobId) -> Option<Value> {
        let job = self.jobs.get_mut(&id)?;
        let environment = match &job.environment {
            Environment::Absent => return Some(job.jobspec_value()),
            Environment::Here(text) => serde_json::from_str(text).expect("what was written from a value reads as one"),
            Environment::Stored => {
                job.environment = Environment::Asked;
                let tag = kvs::lookup(cx, &kvs::job_key(id, "J"), 0);
                self.pending.insert(tag, Pending::Environment { id });
                return None;
            }
            Environment::Asked => return None,
        };
        let mut jobspec = job.jobspec_value();
        if let Some(Value::Object(system)) = jobspec.pointer_mut("/attributes/system") {
            system.insert("environment".into(), environment);
        }
        Some(jobspec)
    }

    pub(super) fn on_environment(&mut self, cx: &mut Cx<'_>, id: JobId, reply: &Message) {
        let read = kvs::text(reply).and_then(|signed| environment_in(&signed));
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match read {
            Ok(environment) => {
                job.environment = environment;
                self.act(cx, id);
            }
            Err(fault) => {
                job.environment = Environment::Absent;
                let note = format!("the job's environment cannot be read: {fault}");
                self.raise(cx, id, &Exception::new("start", 0, &note));
            }
        }
    }

    /// The job has started, or never will.
    pub(super) fn release_environment(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get_mut(&id) {
            let environment = std::mem::take(&mut job.environment);
            self.environments.release(environment);
        }
    }
}

fn environment_in(signed: &str) -> Result<Environment, Fault> {
    let unwrapped =
        flux_sign::parse(signed).map_err(|error| Fault::new(Errno(flux_sign::errno(&error)), error.to_string()))?;
    let jobspec: Value = serde_json::from_slice(&unwrapped.payload)
        .map_err(|error| Fault::new(Errno::EINVAL, format!("jobspec: invalid JSON: {error}")))?;
    let environment = jobspec.at("/attributes/system/environment");
    Ok(environment.map_or(Environment::Absent, |environment| Environment::Here(environment.to_string().into())))
}
