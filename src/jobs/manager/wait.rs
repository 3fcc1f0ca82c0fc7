//! Waiting: for one job or any (`job-manager.wait`), for all to be gone (`drain`), for none to run (`idle`).

use std::collections::BTreeMap;

use flux_service::{Cx, Fault, Outcome};
use flux_types::{JobId, JobResult};
use flux_wire::{Errno, Message, Payload};
use serde::Deserialize;
use serde_json::{Value, json};

use super::JobManager;
use super::job::Job;
use crate::body::WireId;
use crate::limits::{DRAIN_WAITERS_MAX, WAITERS_MAX};
use crate::state::EndEvent;

#[derive(Debug, Default)]
pub(super) struct Wait {
    /// Waitable jobs that are inactive and that nobody has waited for yet: what `wait` will answer.
    zombies: BTreeMap<JobId, Value>,
    /// Requests for any job, oldest first.
    any: Vec<Message>,
    /// Requests for one active job.
    waiters: usize,
    /// Waitable jobs that are active.
    pub(super) waitables: usize,
    drain: Vec<Message>,
    idle: Vec<Message>,
}

#[derive(Deserialize)]
struct WaitFor {
    id: WireId,
}

fn no_child(text: &str) -> Fault {
    Fault::new(Errno::ECHILD, text)
}

fn answer(id: JobId, end: Option<&EndEvent>) -> Value {
    let success = end.is_some_and(|end| end.result() == JobResult::Completed);
    json!({"id": id.0, "success": success, "errstr": end.map(EndEvent::describe).unwrap_or_default()})
}

impl JobManager {
    pub(super) fn wait(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: WaitFor = request.decode()?;
        if self.wait.any.len() + self.wait.waiters >= WAITERS_MAX {
            return Err(Fault::new(Errno::EAGAIN, format!("more than {WAITERS_MAX} requests wait for jobs")));
        }
        if body.id.0 == WireId::ANY {
            match self.wait.zombies.pop_first() {
                Some((_, answer)) => cx.respond(request, answer),
                None => self.wait.any.push(request.clone()),
            }
        } else {
            self.wait_for(cx, request, body.id.id())?;
        }
        self.refuse_surplus(cx);
        Ok(())
    }

    fn wait_for(&mut self, cx: &mut Cx<'_>, request: &Message, id: JobId) -> Outcome {
        if let Some(answer) = self.wait.zombies.remove(&id) {
            cx.respond(request, answer);
            return Ok(());
        }
        let job = self.jobs.get_mut(&id);
        let job = job.ok_or_else(|| no_child("invalid job id, or job may be inactive and not waitable"))?;
        if job.waiter.is_some() {
            return Err(no_child("job id already has a waiter"));
        }
        if !job.is_waitable() {
            return Err(no_child("job was not submitted with FLUX_JOB_WAITABLE"));
        }
        job.waiter = Some(Box::new(request.clone()));
        self.wait.waiters += 1;
        Ok(())
    }

    /// More wait than there are jobs to wait for: the latest who wait for any are told so.
    fn refuse_surplus(&mut self, cx: &mut Cx<'_>) {
        while self.wait.any.len() + self.wait.waiters > self.wait.waitables {
            let Some(request) = self.wait.any.pop() else { break };
            cx.respond_error(&request, &no_child("there are no more waitable jobs"));
        }
    }

    pub(super) fn wait_on_inactive(&mut self, cx: &mut Cx<'_>, job: &mut Job) {
        if !job.is_waitable() {
            return;
        }
        self.wait.waitables = self.wait.waitables.saturating_sub(1);
        let answer = answer(job.id, job.end.as_ref());
        if let Some(waiter) = job.waiter.take() {
            self.wait.waiters -= 1;
            cx.respond(&waiter, answer);
        } else if !self.wait.any.is_empty() {
            let request = self.wait.any.remove(0);
            cx.respond(&request, answer);
        } else {
            self.wait.zombies.insert(job.id, answer);
        }
    }

    pub(super) fn wait_disconnect(&mut self, request: &Message) {
        self.wait.any.retain(|waiter| !request.same_sender(waiter));
        self.wait.drain.retain(|waiter| !request.same_sender(waiter));
        self.wait.idle.retain(|waiter| !request.same_sender(waiter));
        if self.wait.waiters == 0 {
            return;
        }
        for job in self.jobs.values_mut() {
            if job.waiter.as_ref().is_some_and(|waiter| request.same_sender(waiter)) {
                job.waiter = None;
                self.wait.waiters -= 1;
            }
        }
    }

    pub(super) fn drain(&mut self, _cx: &mut Cx<'_>, request: &Message) -> Outcome {
        bound(&self.wait.drain)?;
        self.wait.drain.push(request.clone());
        self.check_drain();
        Ok(())
    }

    pub(super) fn idle(&mut self, _cx: &mut Cx<'_>, request: &Message) -> Outcome {
        bound(&self.wait.idle)?;
        self.wait.idle.push(request.clone());
        self.check_drain();
        Ok(())
    }

    /// Answers those who wait for the end of all jobs, or of all that run, once everything is stored.
    pub(super) fn check_drain(&mut self) {
        if self.jobs.is_empty() {
            for request in std::mem::take(&mut self.wait.drain) {
                self.answer_after_commit(request.response(Payload::None));
            }
        }
        if self.alloc.sent_len() == 0 && self.running == 0 {
            let pending = self.jobs.len();
            for request in std::mem::take(&mut self.wait.idle) {
                self.answer_after_commit(request.response(json!({"pending": pending}).into()));
            }
        }
    }

    /// Nobody will get an answer any more.
    pub(super) fn refuse_waiters(&mut self, cx: &mut Cx<'_>) {
        let fault = Fault::new(Errno::ENOSYS, "job-manager is unloading");
        let mut all = std::mem::take(&mut self.wait.any);
        all.append(&mut self.wait.drain);
        all.append(&mut self.wait.idle);
        all.extend(self.jobs.values_mut().filter_map(|job| job.waiter.take()).map(|waiter| *waiter));
        self.wait.waiters = 0;
        all.iter().for_each(|request| cx.respond_error(request, &fault));
    }
}

fn bound(list: &[Message]) -> Result<(), Fault> {
    if list.len() < DRAIN_WAITERS_MAX {
        return Ok(());
    }
    Err(Fault::new(Errno::EAGAIN, format!("more than {DRAIN_WAITERS_MAX} requests wait")))
}
