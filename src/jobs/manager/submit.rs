//! `job-manager.submit`: jobs that ingest has checked come in here, one request for all of a turn.
//!
//! A request's jobs may carry the signed request `J`; then nothing of them is in the KVS yet, and one commit stores J, jobspec and
//! the first events together (ADR 2). Without `J` the sender has stored both. The answer waits for the commit.

use flux_service::{Cx, Fault, LogLevel, Outcome, TxnOp};
use flux_types::{At, JobId, ResourceSet};
use flux_wire::{Errno, Message, Payload};
use serde_json::{Value, json};

use super::JobManager;
use super::event::{Submitted, context};
use super::job::{Birth, Job};
use crate::inside::{NewJob, NewJobs};
use crate::kvs;
use crate::limits::{ACTIVE_JOBS_MAX, SUBMIT_BATCH_MAX};
use crate::state::JobFlags;

impl JobManager {
    pub(super) fn submit(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let read;
        let NewJobs(jobs) = match request.payload.as_local::<NewJobs>() {
            Some(jobs) => jobs,
            None => {
                read = NewJobs::read(&*request.payload.value()?)?;
                &read
            }
        };
        if jobs.len() > SUBMIT_BATCH_MAX {
            return Err(Fault::new(Errno::E2BIG, format!("more than {SUBMIT_BATCH_MAX} jobs in one request")));
        }
        let request = Message { payload: Payload::None, ..request.clone() };
        let mut submitted = Submitted { request, accepted: Vec::new(), errors: Vec::new() };
        for new in jobs {
            let id = new.id;
            match self.accept(cx, new) {
                Ok(()) => submitted.accepted.push(id),
                Err(fault) => submitted.errors.push(json!([id.0, fault.message()])),
            }
        }
        self.events.batch.submits.push(submitted);
        Ok(())
    }

    fn accept(&mut self, cx: &mut Cx<'_>, new: &NewJob) -> Result<(), Fault> {
        let id = new.id;
        if self.jobs.len() >= ACTIVE_JOBS_MAX {
            return Err(Fault::new(Errno::EAGAIN, format!("more than {ACTIVE_JOBS_MAX} jobs are active")));
        }
        if self.jobs.contains_key(&id) || self.archive.has(id) {
            return Err(Fault::new(Errno::EEXIST, "the job id is in use"));
        }
        let queue = new.jobspec.at("/attributes/system/queue").and_then(Value::as_str);
        self.queues.may_submit(queue)?;
        self.policy.check(&new.jobspec, queue)?;
        let flags = JobFlags(new.flags);
        let birth = Birth { id, userid: new.userid, urgency: new.urgency, flags, t_submit: new.t_submit };
        let mut job = Job::new(&birth, &new.jobspec, self.texts.of(&new.jobspec));
        job.unacknowledged = true;
        job.environment = match &new.environment {
            Some(text) => self.environments.keep_text(text),
            None => self.environments.keep(&new.jobspec),
        };
        // Listeners get the value that is at hand, unless the environment is in it.
        job.told = new.environment.is_some().then(|| new.jobspec.clone());
        self.jobs.insert(id, Box::new(job));
        let first = context([
            ("userid", new.userid.into()),
            ("urgency", new.urgency.into()),
            ("flags", new.flags.into()),
            ("version", 1.into()),
        ]);
        self.post_at(cx, id, new.t_submit, "submit", first);
        if let Err(fault) = self.admit(cx, id, &new.jobspec) {
            self.discard(cx, id);
            if new.signed.is_none() {
                self.events.batch.puts.push(TxnOp::unlink(kvs::job_key(id, "")));
            }
            return Err(fault);
        }
        if let (Some(signed), Some(job)) = (&new.signed, self.jobs.get(&id)) {
            // The environment is in J already.
            self.events.batch.puts.push(TxnOp::put(kvs::job_key(id, "J"), signed.clone()));
            self.events.batch.puts.push(TxnOp::put(kvs::job_key(id, "jobspec"), job.jobspec.clone()));
        }
        self.max_id = self.max_id.max(id);
        self.index_late(id);
        self.wait.waitables += usize::from(flags.has(JobFlags::WAITABLE));
        self.post(cx, id, "validate", None);
        Ok(())
    }

    /// What rules and plugins say of a new job.
    ///
    /// # Errors
    /// Why it is refused.
    fn admit(&mut self, cx: &mut Cx<'_>, id: JobId, jobspec: &Value) -> Result<(), Fault> {
        let invalid = |text: String| Fault::new(Errno::EINVAL, text);
        if self.jobtap.allows_bypass()
            && let Some(resources) = jobspec.at("/attributes/system/alloc-bypass/R")
        {
            if self.jobs[&id].userid != cx.node.owner {
                return Err(invalid("Guest user cannot use alloc bypass".into()));
            }
            ResourceSet::from_value(resources).map_err(|error| invalid(format!("alloc-bypass: invalid R: {error}")))?;
            self.post(cx, id, "set-flags", context([("flags", json!(["alloc-bypass"]))]));
        }
        if self.jobtap.is_empty() {
            return self.depend_on_submit(cx, id, jobspec);
        }
        for topic in ["job.create", "job.validate"] {
            if let Some(why) = self.tap(cx, id, topic, json!({})).refused {
                return Err(invalid(why));
            }
        }
        self.depend_on_submit(cx, id, jobspec)?;
        match self.tap(cx, id, "job.new", json!({})).refused {
            Some(why) => Err(invalid(why)),
            None => Ok(()),
        }
    }

    /// The newest id, so that ingest makes none twice.
    pub(super) fn getinfo(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if self.restricted(request.cred) {
            return Err(Errno::EPERM.into());
        }
        cx.respond(request, json!({"max_jobid": self.max_id.0}));
        Ok(())
    }

    pub(super) fn max_id_seen(&mut self, cx: &mut Cx<'_>, id: JobId) {
        if id > self.max_id {
            cx.log(LogLevel::Debug, format!("max_jobid={id}"));
            self.max_id = id;
        }
    }
}
