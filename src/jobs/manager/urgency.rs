//! `job-manager.urgency` (RFC 30): who may go first.

use flux_service::{Cx, Fault, Outcome, enforced};
use flux_types::{JobId, JobState, Urgency};
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::{Value, json};

use super::JobManager;
use super::event::context;
use super::job::Job;
use super::jobtap::Said;
use super::raise::authorize;
use crate::body::WireId;
use crate::state::priority;

/// RFC 30.
const HOLD: i64 = Urgency::HOLD.get() as i64;
const DEFAULT: i64 = Urgency::DEFAULT.get() as i64;
const EXPEDITE: i64 = Urgency::EXPEDITE.get() as i64;

/// The priority that an urgency gives: hold and expedite are the ends, else it is the urgency itself.
pub(super) fn priority_of(urgency: i64) -> i64 {
    match urgency {
        HOLD => priority::MIN,
        EXPEDITE => priority::MAX,
        other => other,
    }
}

#[derive(Deserialize)]
struct Change {
    id: WireId,
    urgency: i64,
}

impl JobManager {
    /// RFC 30: hold and expedite override; else a plugin decides, and without one the urgency is the priority.
    pub(super) fn priority_for(&self, job: &Job, said: &Said) -> Option<i64> {
        if matches!(job.urgency, HOLD | EXPEDITE) {
            return Some(priority_of(job.urgency));
        }
        let given = said.out.get("priority").and_then(Value::as_i64);
        match given.filter(|given| (priority::MIN..=priority::MAX).contains(given)) {
            Some(given) => Some(given),
            None if said.out.get("priority_unavailable") == Some(&json!(true)) => None,
            None => self.jobtap.has_default_priority().then(|| priority_of(job.urgency)),
        }
    }

    /// Another priority for a job that waits.
    ///
    /// # Errors
    /// A sentence, if it does not wait or there is no such priority.
    pub(super) fn set_priority(&mut self, cx: &mut Cx<'_>, id: JobId, value: i64) -> Result<(), String> {
        let Some(job) = self.jobs.get(&id) else { return Err("there is no such active job".to_owned()) };
        if !(priority::MIN..=priority::MAX).contains(&value) {
            return Err(format!("{value} is no priority"));
        }
        let value = if matches!(job.urgency, HOLD | EXPEDITE) { priority_of(job.urgency) } else { value };
        match job.state {
            JobState::Sched if job.priority == value => Ok(()),
            JobState::Sched | JobState::Priority => {
                self.post(cx, id, "priority", context([("priority", value.into())]));
                Ok(())
            }
            state => Err(format!("its priority cannot change in state {}", state.name())),
        }
    }

    /// Asks the plugins again for the priorities of all jobs that wait.
    pub(super) fn reprioritize_all(&mut self, cx: &mut Cx<'_>) {
        let waits = |job: &Job| matches!(job.state, JobState::Priority | JobState::Sched);
        let ids: Vec<JobId> = self.jobs.values().filter(|job| waits(job)).map(|job| job.id).collect();
        for id in ids {
            let said = self.tap(cx, id, "job.priority.get", json!({}));
            if let Some(value) = self.jobs.get(&id).and_then(|job| self.priority_for(job, &said)) {
                let _ = self.set_priority(cx, id, value);
            }
        }
    }

    pub(super) fn urgency(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Change = request.decode()?;
        if !(HOLD..=EXPEDITE).contains(&body.urgency) {
            return Err(Fault::new(Errno::EINVAL, "urgency value is out of range"));
        }
        let id = body.id.id();
        let unknown = |fault| if self.archive.has(id) { fault } else { Fault::new(Errno::EINVAL, "unknown job") };
        let job = self.active(id, Errno::EINVAL).map_err(unknown)?;
        authorize(request.cred, job.userid, "guests can only reprioritize their own jobs")?;
        if !request.cred.is_owner() && body.urgency > DEFAULT.max(job.urgency) && enforced("urgency") {
            return Err(Fault::new(Errno::EPERM, "guests can only adjust urgency <= default"));
        }
        if job.has_resources {
            return Err(Fault::new(Errno::EINVAL, "urgency cannot be changed once resources are allocated"));
        }
        let old = job.urgency;
        let change = [("userid", json!(request.cred.userid)), ("urgency", json!(body.urgency))];
        self.post(cx, id, "urgency", context(change));
        self.ordered(cx, request, json!({"old_urgency": old}));
        Ok(())
    }
}
