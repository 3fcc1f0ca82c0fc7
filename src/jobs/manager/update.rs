//! `job-manager.update`: changes of a job's request after it was submitted.
//!
//! `attributes.system.duration` may change while the job waits or runs, and `attributes.system.queue` while it waits; plugins may
//! allow more. What could make a job impossible is put to the scheduler first (`feasibility.check`), and so is the new time limit
//! of a running job (RFC 27 `sched.expiration`); a scheduler that does not know the request has nothing against it.

use flux_service::{Cx, Fault, LogLevel, Outcome, enforced};
use flux_types::{At, JobId, JobState, StateSet};
use flux_wire::{Errno, Message, Payload, Target};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::event::context;
use super::job::Job;
use super::raise::authorize;
use super::{JobManager, Pending};
use crate::body::WireId;
use crate::ingest::defaults::move_constraints;
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
    /// What is to be asked next, if the first question was whether the job is feasible.
    expiration: Option<f64>,
    expiration_asked: bool,
}

const DURATION: &str = "attributes.system.duration";
const QUEUE: &str = "attributes.system.queue";
const CONSTRAINTS: &str = "attributes.system.constraints";

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Errno::EINVAL, text)
}

impl JobManager {
    pub(super) fn update(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Update = request.decode()?;
        let id = body.id.id();
        let job = self.active(id, Errno::ENOENT)?;
        authorize(request.cred, job.userid, "guests may only update their own jobs")?;
        if job.flags.has(JobFlags::IMMUTABLE) && !request.cred.is_owner() && enforced("immutable") {
            return Err(Fault::new(Errno::EPERM, "job is immutable due to previous instance owner update"));
        }
        if body.updates.is_empty() {
            return Err(invalid("there is nothing to update"));
        }
        let (mut updates, mut feasibility, mut validated) = (body.updates, false, request.cred.is_owner());
        let owner = request.cred.is_owner();
        let asked: Vec<(String, Value)> = updates.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        for (key, value) in asked {
            let job = &self.jobs[&id];
            match key.as_str() {
                DURATION => check_duration(request, job, &value)?,
                QUEUE => {
                    self.check_queue(job, &value)?;
                    updates.extend(self.queue_constraints(cx, job, &value));
                    feasibility = true;
                }
                key if self.handles_topic(&format!("job.update.{key}")) => {}
                _ => return Err(invalid(format!("update of {key} not supported"))),
            }
            if !self.jobtap.is_empty() {
                let said = self.tap(cx, id, &format!("job.update.{key}"), json!({"updates": updates}));
                if let Some(why) = said.refused {
                    return Err(invalid(why));
                }
                let flag = |key: &str| said.out.get(key).is_some_and(|value| *value == true || *value == 1);
                feasibility |= flag("feasibility");
                validated |= flag("validated");
                updates.extend(said.out.get("updates").and_then(Value::as_object).cloned().unwrap_or_default());
            }
        }
        let Some(job) = self.jobs.get(&id) else { return Err(Fault::new(Errno::ENOENT, "job is inactive")) };
        if !owner && !validated {
            self.check_limits(job, &updates)?;
        }
        let running = job.state == JobState::Run;
        let expiration = match updates.get(DURATION).filter(|_| running) {
            None => None,
            Some(duration) => Some(expiration_of(cx, job, duration.as_f64().unwrap_or(0.0))?),
        };
        let jobspec = updated(job, &updates)?;
        let asked = Asked { request: request.clone(), id, updates, expiration, expiration_asked: false };
        if feasibility {
            let tag = cx.request("feasibility.check", Target::Any, json!({"jobspec": jobspec}));
            self.pending.insert(tag, Pending::Update(Box::new(asked)));
        } else {
            self.ask_expiration(cx, asked);
        }
        Ok(())
    }

    /// The scheduler has to agree to another end of a running job.
    fn ask_expiration(&mut self, cx: &mut Cx<'_>, mut asked: Asked) {
        match asked.expiration {
            None => self.apply_update(cx, &asked.request, asked.id, asked.updates, None),
            Some(expiration) => {
                asked.expiration_asked = true;
                let body = json!({"id": asked.id.0, "expiration": expiration});
                let tag = cx.request("sched.expiration", Target::Any, body);
                self.pending.insert(tag, Pending::Update(Box::new(asked)));
            }
        }
    }

    pub(super) fn on_update_asked(&mut self, cx: &mut Cx<'_>, asked: Asked, reply: &Message) {
        match Fault::of(reply).filter(|fault| fault.errno != Errno::ENOSYS) {
            Some(fault) => {
                let text = match asked.expiration_asked {
                    true => "scheduler refused expiration update".to_owned(),
                    false => fault.message(),
                };
                cx.respond_error(&asked.request, &Fault::new(fault.errno, text));
            }
            None if asked.expiration_asked => {
                self.apply_update(cx, &asked.request, asked.id, asked.updates, asked.expiration);
            }
            None => self.ask_expiration(cx, asked),
        }
    }

    /// What moving to another queue changes besides its name.
    fn queue_constraints(&self, cx: &Cx<'_>, job: &Job, to: &Value) -> Option<(String, Value)> {
        let jobspec = job.jobspec_value();
        let before = jobspec.at("/attributes/system/constraints");
        let after = move_constraints(&cx.node.config, before, job.queue.as_deref(), to.as_str().unwrap_or(""));
        (before.unwrap_or(&json!({})) != &after).then(|| (CONSTRAINTS.to_owned(), after))
    }

    /// The instance ends at another time, and with it the running jobs that have no time limit of their own.
    pub(super) fn instance_expiration(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        #[derive(Deserialize)]
        struct Body {
            expiration: f64,
            before: f64,
        }
        let body: Body = request.decode()?;
        cx.log(
            LogLevel::Info,
            format!("resource expiration updated from {:.2} to {:.2}", body.before, body.expiration),
        );
        let unlimited = |job: &Job| {
            let jobspec = job.jobspec_value();
            let duration = jobspec.at("/attributes/system/duration").and_then(Value::as_f64);
            job.state == JobState::Run && duration.unwrap_or(0.0) == 0.0
        };
        let ids: Vec<JobId> = self.jobs.values().filter(|job| unlimited(job)).map(|job| job.id).collect();
        for id in ids {
            self.post(cx, id, "resource-update", context([("expiration", body.expiration.into())]));
        }
        cx.respond_empty(request);
        Ok(())
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
        if !self.jobtap.is_empty() {
            self.tap(cx, id, "job.update", json!({}));
        }
        if let Some(expiration) = expiration {
            self.post(cx, id, "resource-update", context([("expiration", expiration.into())]));
        }
        self.ordered(cx, request, Payload::None);
    }

    /// A user's job must keep to the limits of its queue, also of the one it moves to.
    fn check_limits(&self, job: &Job, updates: &Map<String, Value>) -> Result<(), Fault> {
        let jobspec = updated(job, updates)?;
        let queue = jobspec.at("/attributes/system/queue").and_then(Value::as_str);
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

/// The jobspec as it would be.
fn updated(job: &Job, updates: &Map<String, Value>) -> Result<Value, Fault> {
    let mut jobspec = job.jobspec_value();
    for (path, value) in updates {
        set_path(&mut jobspec, path, value.clone()).ok_or_else(|| invalid(format!("{path} cannot be set")))?;
    }
    Ok(jobspec)
}

/// When a job of that duration ends; 0 is never.
fn expiration_of(cx: &Cx<'_>, job: &Job, duration: f64) -> Result<f64, Fault> {
    if duration == 0.0 {
        return Ok(0.0);
    }
    let start = job.resources.as_ref().and_then(|r| r.at("/execution/starttime")).and_then(Value::as_f64);
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
    if StateSet::RUNNING.contains(job.state) && enforced("running-duration") {
        return Err(Fault::new(Errno::EPERM, "update of duration for running job requires instance owner"));
    }
    Ok(())
}
