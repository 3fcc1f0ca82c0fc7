//! `job-manager.update`: changes of a job's request after it was submitted.
//!
//! `attributes.system.duration` may change while the job waits or runs, and `attributes.system.queue` while it waits. The new
//! time limit of a running job is put to the scheduler first (RFC 27 `sched.expiration`); one that does not know the request
//! has nothing against it.

use flux_service::{Cx, Fault, Outcome};
use flux_types::{JobId, JobState, StateSet};
use flux_wire::{Errno, Message, Target};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::event::context;
use super::job::Job;
use super::raise::authorize;
use super::{JobManager, Pending};
use crate::body::WireId;
use crate::state::{JobFlags, set_path};

#[derive(Deserialize)]
struct Update {
    id: WireId,
    updates: Map<String, Value>,
}

/// An update that waits for the scheduler's word.
#[derive(Debug)]
pub(super) struct Asked {
    request: Message,
    id: JobId,
    updates: Map<String, Value>,
    expiration: f64,
}

const DURATION: &str = "attributes.system.duration";
const QUEUE: &str = "attributes.system.queue";

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Errno::EINVAL, text)
}

impl JobManager {
    pub(super) fn update(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Update = request.decode()?;
        let id = body.id.id();
        let job = self.active(id, Errno::ENOENT)?;
        authorize(request.cred, job.userid, "guests may only update their own jobs")?;
        if job.flags.has(JobFlags::IMMUTABLE) && !request.cred.is_owner() {
            return Err(Fault::new(Errno::EPERM, "job is immutable due to previous instance owner update"));
        }
        if body.updates.is_empty() {
            return Err(invalid("there is nothing to update"));
        }
        for (key, value) in &body.updates {
            match key.as_str() {
                DURATION => check_duration(request, job, value)?,
                QUEUE => self.check_queue(job, value)?,
                _ => return Err(invalid(format!("update of {key} not supported"))),
            }
        }
        if !request.cred.is_owner() {
            self.check_limits(job, &body.updates)?;
        }
        let running = job.state == JobState::Run;
        match body.updates.get(DURATION).filter(|_| running) {
            None => self.apply_update(cx, request, id, body.updates, None),
            Some(duration) => {
                let expiration = expiration_of(cx, job, duration.as_f64().unwrap_or(0.0))?;
                let tag = cx.request("sched.expiration", Target::Any, json!({"id": id.0, "expiration": expiration}));
                let asked = Asked { request: request.clone(), id, updates: body.updates, expiration };
                self.pending.insert(tag, Pending::Update(Box::new(asked)));
            }
        }
        Ok(())
    }

    pub(super) fn on_expiration_asked(&mut self, cx: &mut Cx<'_>, asked: Asked, reply: &Message) {
        match Fault::of(reply) {
            Some(fault) if fault.errno != Errno::ENOSYS => {
                let fault = Fault::new(fault.errno, "scheduler refused expiration update");
                cx.respond_error(&asked.request, &fault);
            }
            _ => self.apply_update(cx, &asked.request, asked.id, asked.updates, Some(asked.expiration)),
        }
    }

    fn apply_update(
        &mut self,
        cx: &mut Cx<'_>,
        request: &Message,
        id: JobId,
        updates: Map<String, Value>,
        expiration: Option<f64>,
    ) {
        let Some(job) = self.jobs.get(&id) else {
            return cx.respond_error(request, &Fault::new(Errno::ENOENT, "job is inactive"));
        };
        if request.cred.is_owner() && request.cred.userid != job.userid {
            // What the owner allowed need not stand the checks that the user's own updates go through.
            self.post(cx, id, "set-flags", context([("flags", json!(["immutable"]))]));
        }
        self.post(cx, id, "jobspec-update", Some(updates));
        if let Some(expiration) = expiration {
            self.post(cx, id, "resource-update", context([("expiration", expiration.into())]));
        }
        cx.respond_empty(request);
    }

    /// A user's job must keep to the limits of its queue, also of the one it moves to.
    fn check_limits(&self, job: &Job, updates: &Map<String, Value>) -> Result<(), Fault> {
        let mut jobspec = job.jobspec_value();
        for (path, value) in updates {
            set_path(&mut jobspec, path, value.clone()).ok_or_else(|| invalid(format!("{path} cannot be set")))?;
        }
        let queue = jobspec.pointer("/attributes/system/queue").and_then(Value::as_str);
        self.policy.check(&jobspec, queue)
    }

    fn check_queue(&self, job: &Job, value: &Value) -> Result<(), Fault> {
        let name = value.as_str().ok_or_else(|| invalid(format!("{QUEUE} must be a string")))?;
        if StateSet::RUNNING.contains(job.state) {
            return Err(invalid("update of queue for running job not supported"));
        }
        if job.queue.as_deref() == Some(name) {
            return Err(invalid(format!("job queue is already set to {name}")));
        }
        self.queues.may_move(name)
    }
}

/// When a job of that duration ends; 0 is never.
fn expiration_of(cx: &Cx<'_>, job: &Job, duration: f64) -> Result<f64, Fault> {
    if duration == 0.0 {
        return Ok(0.0);
    }
    let start = job.resources.as_ref().and_then(|r| r.pointer("/execution/starttime")).and_then(Value::as_f64);
    let start = start.filter(|start| *start > 0.0).ok_or_else(|| invalid("unable to get job starttime"))?;
    let expiration = start + duration;
    if expiration <= cx.now.wall.timestamp() {
        return Err(invalid("requested duration places job expiration in the past"));
    }
    Ok(expiration)
}

fn check_duration(request: &Message, job: &Job, value: &Value) -> Result<(), Fault> {
    let good = value.as_f64().is_some_and(|duration| duration >= 0.0);
    if !good {
        return Err(invalid(format!("{DURATION} must be a number of seconds >= 0")));
    }
    if job.state == JobState::Cleanup {
        return Err(invalid("update of duration for a job in CLEANUP is not supported"));
    }
    if request.cred.is_owner() {
        return Ok(());
    }
    if StateSet::RUNNING.contains(job.state) {
        return Err(Fault::new(Errno::EPERM, "update of duration for running job requires instance owner"));
    }
    Ok(())
}
