//! The way of a request from its submission to the manager: changed, then checked (flux-config-ingest(5)).
//!
//! What is built in happens at once; a request that is put to a program or to the scheduler waits for the answer, and others may
//! overtake it.

use std::collections::BTreeMap;
use std::sync::Arc;

use flux_service::{Completion, Cx, Fault, Outcome, Tag};
use flux_wire::{Errno, Message, Target};
use serde_json::{Value, json};

use super::access::{Access, Known};
use super::rules::{self, Step};
use super::worker::Worker;
use super::{Checked, JobIngest, defaults, spec};
use crate::state::JobFlags;

/// A request between two steps.
#[derive(Debug)]
struct Under {
    job: Checked,
    /// The step whose answer it waits for.
    at: usize,
}

#[derive(Debug, Default)]
pub(super) struct Pipeline {
    steps: Vec<Step>,
    /// The last jobspec that was found valid: jobs come in rows of equal ones.
    valid: Option<Arc<Value>>,
    access: Access,
    known: Known,
    /// Requests by the user who has to be looked up.
    unknown: BTreeMap<u32, Vec<u64>>,
    /// By the place of their step.
    workers: BTreeMap<usize, Worker>,
    /// Programs of an earlier configuration, until they have answered.
    leaving: Vec<Worker>,
    under: BTreeMap<u64, Under>,
    last: u64,
    /// Questions to the scheduler.
    feasibility: BTreeMap<Tag, u64>,
}

impl Pipeline {
    pub(super) fn len(&self) -> usize {
        self.under.len()
    }

    /// Takes over the configuration; requests that are under way finish as they began.
    pub(super) fn configure(&mut self, cx: &mut Cx<'_>, steps: Vec<Step>) {
        self.access = Access::read(&cx.node.config);
        self.known.forget();
        if steps == self.steps {
            return;
        }
        for (_, mut worker) in std::mem::take(&mut self.workers) {
            worker.send(cx);
            worker.close(cx);
            self.leaving.push(worker);
        }
        let program = |(at, step): (usize, &Step)| match step {
            Step::Program { argv, .. } => Some((at, Worker::new(argv.clone()))),
            _ => None,
        };
        self.workers = steps.iter().enumerate().filter_map(program).collect();
        self.steps = steps;
        self.valid = None;
        // What waited for a step of before goes through all of now.
        self.under.values_mut().for_each(|under| under.at = usize::MAX);
    }

    pub(super) fn send(&mut self, cx: &mut Cx<'_>) {
        self.workers.values_mut().for_each(|worker| worker.send(cx));
    }

    pub(super) fn close(&mut self, cx: &mut Cx<'_>) {
        self.workers.values_mut().for_each(|worker| worker.close(cx));
    }
}

impl JobIngest {
    /// A new request enters.
    pub(super) fn enter(&mut self, cx: &mut Cx<'_>, job: Checked) {
        self.go_on(cx, job, 0);
    }

    /// As far as it goes without waiting.
    fn go_on(&mut self, cx: &mut Cx<'_>, mut job: Checked, mut at: usize) {
        while at < self.pipeline.steps.len() {
            match self.step(cx, job, at) {
                Err((request, fault)) => return cx.respond_error(&request, &fault),
                Ok(None) => return,
                Ok(Some(same)) => job = same,
            }
            at += 1;
        }
        self.waiting.push_back(job);
    }

    /// One step. `None`: the request waits for an answer.
    fn step(&mut self, cx: &mut Cx<'_>, mut job: Checked, at: usize) -> Result<Option<Checked>, (Message, Fault)> {
        let step = &self.pipeline.steps[at];
        if rules::is_skipped(step, job.flags & JobFlags::NOVALIDATE != 0) {
            return Ok(Some(job));
        }
        let done: Outcome = match step {
            Step::Defaults | Step::Constraints => {
                let change = if *step == Step::Defaults { defaults::apply } else { defaults::constrain_to_queue };
                let jobspec = Arc::unwrap_or_clone(std::mem::take(&mut job.jobspec));
                change(&cx.node.config, jobspec).map(|jobspec| job.jobspec = Arc::new(jobspec))
            }
            Step::Jobspec { version } => {
                let version = *version;
                rules::check_environment(job.environment.as_deref()).and_then(|()| self.check(cx, &mut job, version))
            }
            Step::Access => {
                let uid = job.request.cred.userid;
                let (access, known) = (&self.pipeline.access, &mut self.pipeline.known);
                match known.check(access, &job.jobspec, uid, cx.now.mono) {
                    Some(checked) => checked,
                    None => {
                        known.ask(cx, uid);
                        let number = self.hold(job, at);
                        self.pipeline.unknown.entry(uid).or_default().push(number);
                        return Ok(None);
                    }
                }
            }
            Step::RequireInstance(min) => rules::check_instance(&job.jobspec, *min),
            Step::Feasibility => {
                let body = info(&job, (*job.jobspec).clone());
                let number = self.hold(job, at);
                let tag = cx.request("feasibility.check", Target::Any, body);
                self.pipeline.feasibility.insert(tag, number);
                return Ok(None);
            }
            Step::Program { .. } => {
                let line = info(&job, spec::whole(&job.jobspec, job.environment.as_deref()));
                let number = self.hold(job, at);
                self.pipeline.workers.entry(at).or_default().ask(number, &line);
                return Ok(None);
            }
        };
        done.map_err(|fault| (job.request.clone(), fault)).map(|()| Some(job))
    }

    /// RFC 14 and 25; what is equal to the last valid one is valid, and the same.
    fn check(&mut self, cx: &Cx<'_>, job: &mut Checked, version: Option<u32>) -> Outcome {
        match &self.pipeline.valid {
            Some(valid) if *valid == job.jobspec => job.jobspec = valid.clone(),
            _ => {
                let hosts = cx.node.attrs.get("hostlist");
                rules::check_jobspec(&job.jobspec, version, hosts.map(String::as_str))?;
                self.pipeline.valid = Some(job.jobspec.clone());
            }
        }
        Ok(())
    }

    fn hold(&mut self, job: Checked, at: usize) -> u64 {
        self.pipeline.last += 1;
        self.pipeline.under.insert(self.pipeline.last, Under { job, at });
        self.pipeline.last
    }

    /// `false`: the answer is of something else.
    pub(super) fn on_feasibility(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) -> bool {
        let Some(number) = self.pipeline.feasibility.remove(&tag) else { return false };
        // A scheduler that cannot tell has nothing against the job.
        match Fault::of(reply).filter(|fault| fault.errno != Errno::ENOSYS) {
            Some(fault) => self.answered(cx, number, Err(fault)),
            None => self.answered(cx, number, Ok(None)),
        }
        true
    }

    /// `false`: the answer is of something else.
    pub(super) fn on_user(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: &Completion) -> bool {
        let Some(uid) = self.pipeline.known.on_completion(cx.now.mono, tag, completion) else { return false };
        for number in self.pipeline.unknown.remove(&uid).unwrap_or_default() {
            if let Some(Under { job, at }) = self.pipeline.under.remove(&number) {
                // To the same step once more; after a change of the configuration to the first.
                self.go_on(cx, job, if at == usize::MAX { 0 } else { at });
            }
        }
        true
    }

    pub(super) fn on_worker(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: Completion) {
        let Completion::Process(event) = completion else { return };
        let all = self.pipeline.workers.values_mut().chain(&mut self.pipeline.leaving);
        let Some(worker) = all.into_iter().find(|worker| worker.owns(tag)) else { return };
        let answers = worker.on_event(cx, event);
        self.pipeline.leaving.retain(|worker| !worker.is_idle());
        for (number, answer) in answers {
            self.answered(cx, number, answer);
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, number: u64, answer: Result<Option<Value>, Fault>) {
        let Some(Under { mut job, at }) = self.pipeline.under.remove(&number) else { return };
        match answer {
            Err(fault) => cx.respond_error(&job.request, &fault),
            Ok(data) => {
                let changes = matches!(self.pipeline.steps.get(at), Some(Step::Program { changes: true, .. }));
                if let Some(jobspec) = data.filter(|_| changes) {
                    let mut jobspec = jobspec;
                    job.environment = spec::take_environment(&mut jobspec);
                    job.jobspec = Arc::new(jobspec);
                }
                self.go_on(cx, job, at.wrapping_add(1));
            }
        }
    }
}

/// A request as programs and the scheduler see it.
fn info(job: &Checked, jobspec: Value) -> Value {
    let userid = job.request.cred.userid;
    json!({"jobspec": jobspec, "userid": userid, "urgency": job.urgency, "flags": job.flags})
}
