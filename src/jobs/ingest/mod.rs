//! `job-ingest`: what users submit is checked here, gets an id, and goes to the manager.
//!
//! All that came in one turn goes as one request, and so one commit stores it (ADR 2). The user has the id when it is on disk.

mod access;
pub(crate) mod defaults;
mod pipeline;
mod rules;
mod spec;
mod worker;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use flux_service::{Completion, Cx, Fault, Handler, LogLevel, Mono, Outcome, Service, Tag, enforced};
use flux_types::{FluidError, FluidGenerator, JobId, Urgency};
use flux_wire::{Errno, Message, Payload, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::inside::{NewJob, NewJobs};
use crate::limits::{SUBMIT_BATCH_MAX, SUBMITS_WAITING_MAX};
use crate::state::JobFlags;
use flux_sign::Mechanism;

/// The manager may come up after us.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A submission that is good so far.
#[derive(Debug)]
struct Checked {
    request: Message,
    urgency: i64,
    flags: u32,
    t_submit: f64,
    /// Without its environment.
    jobspec: Arc<Value>,
    /// As JSON text.
    environment: Option<Box<str>>,
    signed: Arc<str>,
}

/// Where ids come from.
#[derive(Debug)]
struct Ids {
    generator: FluidGenerator,
    /// The generator's time at `started`.
    base_ms: u64,
    started: Mono,
}

impl Ids {
    fn now_ms(&self, now: Mono) -> u64 {
        self.base_ms + now.since(self.started).as_millis() as u64
    }
}

/// The ingest service of one broker.
#[derive(Debug, Default)]
pub struct JobIngest {
    ids: Option<Ids>,
    asked: Option<Tag>,
    ask_again_at: Option<Mono>,
    waiting: VecDeque<Checked>,
    /// No id can be made before; only after a thousand submissions in one millisecond.
    ids_from: Option<Mono>,
    /// Requests to the manager: who gets the ids.
    sent: BTreeMap<Tag, Vec<(JobId, Message)>>,
    sent_len: usize,
    pipeline: pipeline::Pipeline,
    stopping: bool,
}

#[derive(Deserialize)]
struct Submit {
    #[serde(rename = "J")]
    signed: String,
    urgency: i64,
    flags: i64,
}

#[derive(Deserialize)]
struct Info {
    max_jobid: u64,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    errors: Vec<(u64, String)>,
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Errno::EINVAL, text)
}

impl Service for JobIngest {
    const NAME: &'static str = "job-ingest";
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::user("job-ingest.submit", JobIngest::submit),
        Handler::owner("job-ingest.getinfo", JobIngest::getinfo),
        Handler::user("job-ingest.frobnicate", JobIngest::frobnicate),
    ];

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.configure(cx)?;
        // Elsewhere most brokers never make an id.
        if cx.node.rank.is_root() {
            self.ask(cx);
        }
        Ok(())
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.stopping = true;
        self.pipeline.send(cx);
        self.pipeline.close(cx);
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_empty() && self.pipeline.len() == 0
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        if self.asked == Some(tag) {
            self.asked = None;
            self.on_info(cx, reply);
        } else if let Some(jobs) = self.sent.remove(&tag) {
            self.sent_len -= jobs.len();
            on_submitted(cx, &jobs, reply);
        } else {
            self.on_feasibility(cx, tag, reply);
        }
    }

    fn on_completion(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: Completion) {
        if !self.on_user(cx, tag, &completion) {
            self.on_worker(cx, tag, completion);
        }
    }

    fn on_batch_end(&mut self, cx: &mut Cx<'_>) {
        self.pipeline.send(cx);
        self.send(cx);
    }

    fn next_timer(&self) -> Option<Mono> {
        let ids = self.ids_from.filter(|_| !self.waiting.is_empty());
        [ids, self.ask_again_at].into_iter().flatten().min()
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        if self.ask_again_at.is_some_and(|at| at <= cx.now.mono) {
            self.ask_again_at = None;
            self.ask(cx);
        }
    }

    fn on_config(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.configure(cx)
    }

    fn stats(&self) -> Value {
        json!({"pipeline": {"waiting": self.waiting.len(), "sent": self.sent_len, "checked": self.pipeline.len()}})
    }

    fn check(&self) {
        assert_eq!(self.sent_len, self.sent.values().map(Vec::len).sum::<usize>());
    }
}

impl JobIngest {
    fn configure(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        crate::policy::check(&cx.node.config)?;
        let steps = rules::steps(&cx.node.config)?;
        self.pipeline.configure(cx, steps);
        Ok(())
    }

    /// The newest id there is: ours must come after it.
    fn ask(&mut self, cx: &mut Cx<'_>) {
        self.asked = Some(cx.request("job-manager.getinfo", Target::Any, json!({})));
    }

    fn on_info(&mut self, cx: &mut Cx<'_>, reply: &Message) {
        let info = match Fault::of(reply) {
            None => reply.decode::<Info>().map_err(Fault::from),
            Some(fault) => Err(fault),
        };
        let made = info.and_then(|info| {
            let base_ms = if info.max_jobid == 0 { 0 } else { JobId(info.max_jobid).timestamp_ms() + 1 };
            let generator = FluidGenerator::new(cx.node.rank.0, base_ms).map_err(fluid_fault)?;
            Ok(Ids { generator, base_ms, started: cx.now.mono })
        });
        match made {
            Ok(ids) => self.ids = Some(ids),
            // Those who wait here may try another broker; nothing is asked again before somebody submits.
            Err(fault) if !cx.node.rank.is_root() => self.refuse_waiting(cx, &fault),
            Err(fault) => {
                cx.log(LogLevel::Err, format!("job-manager.getinfo: {fault}"));
                self.ask_again_at = Some(cx.now.mono.after(ASK_AGAIN_AFTER));
            }
        }
    }

    fn refuse_waiting(&mut self, cx: &mut Cx<'_>, fault: &Fault) {
        for checked in std::mem::take(&mut self.waiting) {
            cx.respond_error(&checked.request, fault);
        }
    }

    fn getinfo(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let ids = self.ids.as_ref().ok_or_else(|| Fault::new(Errno::EAGAIN, "job ids are not known yet"))?;
        cx.respond(request, json!({"timestamp": ids.generator.timestamp_ms()}));
        Ok(())
    }

    fn submit(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if self.stopping {
            return Err(Fault::new(Errno::ENOSYS, "job-ingest is shutting down"));
        }
        if self.waiting.len() + self.sent_len + self.pipeline.len() >= SUBMITS_WAITING_MAX {
            return Err(Fault::new(Errno::EAGAIN, format!("more than {SUBMITS_WAITING_MAX} submissions wait")));
        }
        let malformed = |error| Fault::new(Errno::EPROTO, format!("error decoding job request: {error}"));
        let body: Submit = request.decode().map_err(malformed)?;
        let flags = check_rights(request, &body)?;
        let (jobspec, environment) = unwrap(cx, request, &body.signed)?;
        let job = Checked {
            // Only who asks is needed from here on, not what.
            request: Message { payload: Payload::None, ..request.clone() },
            urgency: body.urgency,
            flags,
            t_submit: cx.now.wall.timestamp(),
            jobspec: Arc::new(jobspec),
            environment,
            signed: body.signed.into(),
        };
        self.enter(cx, job);
        Ok(())
    }

    /// Gives ids to all that waits and sends it to the manager.
    fn send(&mut self, cx: &mut Cx<'_>) {
        self.ids_from = None;
        while !self.waiting.is_empty() && self.ids_from.is_none() {
            if self.ids.is_none() {
                if self.asked.is_none() && self.ask_again_at.is_none() {
                    self.ask(cx);
                }
                return;
            }
            let (mut jobs, mut who) = (Vec::new(), Vec::new());
            while jobs.len() < SUBMIT_BATCH_MAX {
                let Some((id, checked)) = self.next_job(cx) else { break };
                who.push((id, checked.request.clone()));
                jobs.push(new_job(id, checked));
            }
            if !jobs.is_empty() {
                self.sent_len += who.len();
                let tag = cx.request("job-manager.submit", Target::Any, Payload::local(NewJobs(jobs)));
                self.sent.insert(tag, who);
            }
        }
    }

    /// The next submission with its id; `None` if none waits, or ids are used up for this millisecond.
    fn next_job(&mut self, cx: &mut Cx<'_>) -> Option<(JobId, Checked)> {
        let ids = self.ids.as_mut()?;
        let now_ms = ids.now_ms(cx.now.mono);
        while !self.waiting.is_empty() {
            match ids.generator.generate(now_ms) {
                Ok(id) => return self.waiting.pop_front().map(|checked| (id, checked)),
                Err(FluidError::Busy { retry_at_ms }) => {
                    let ahead = Duration::from_millis(retry_at_ms.saturating_sub(now_ms).max(1));
                    self.ids_from = Some(cx.now.mono.after(ahead));
                    return None;
                }
                Err(error) => {
                    let checked = self.waiting.pop_front()?;
                    cx.respond_error(&checked.request, &fluid_fault(error));
                }
            }
        }
        None
    }
}

#[derive(Deserialize)]
struct Frobnicate {
    jobspec: Value,
    plugins: Vec<String>,
}

impl JobIngest {
    /// Shows what the built-in changes make of a jobspec (`flux job-frobnicator`).
    fn frobnicate(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Frobnicate = request.decode()?;
        let mut jobspec = body.jobspec;
        for plugin in &body.plugins {
            jobspec = match plugin.as_str() {
                "defaults" => defaults::apply(&cx.node.config, jobspec)?,
                "constraints" => defaults::constrain_to_queue(&cx.node.config, jobspec)?,
                other => return Err(invalid(format!("unknown frobnicator {other}"))),
            };
        }
        cx.respond(request, json!({"jobspec": jobspec}));
        Ok(())
    }
}

/// What the manager is told.
fn new_job(id: JobId, checked: Checked) -> NewJob {
    NewJob {
        id,
        userid: checked.request.cred.userid,
        urgency: checked.urgency,
        t_submit: checked.t_submit,
        flags: checked.flags,
        jobspec: checked.jobspec,
        environment: checked.environment,
        signed: Some(checked.signed),
    }
}

fn on_submitted(cx: &mut Cx<'_>, jobs: &[(JobId, Message)], reply: &Message) {
    let refused = match Fault::of(reply) {
        None => reply.decode::<Refused>().map_err(Fault::from),
        Some(fault) => Err(fault),
    };
    match refused {
        Err(fault) => jobs.iter().for_each(|(_, request)| cx.respond_error(request, &fault)),
        Ok(refused) => {
            let refused: BTreeMap<u64, String> = refused.errors.into_iter().collect();
            for (id, request) in jobs {
                match refused.get(&id.0) {
                    None => cx.respond(request, json!({"id": id.0})),
                    Some(text) => cx.respond_error(request, &invalid(text.as_str())),
                }
            }
        }
    }
}

/// What a submitter may ask for (RFC 30 for urgencies).
fn check_rights(request: &Message, body: &Submit) -> Result<u32, Fault> {
    let owner = request.cred.is_owner();
    let flags = u32::try_from(body.flags).ok().filter(|flags| flags & !JobFlags::SUBMITTED == 0);
    let flags = flags.ok_or_else(|| Fault::new(Errno::EPROTO, "invalid job flags"))?;
    if !owner && flags & JobFlags::NOVALIDATE != 0 && enforced("submit-flags") {
        return Err(Fault::new(Errno::EPERM, "only the instance owner can submit with FLUX_JOB_NOVALIDATE"));
    }
    let (min, max) = (i64::from(Urgency::HOLD.get()), i64::from(Urgency::EXPEDITE.get()));
    if !(min..=max).contains(&body.urgency) {
        return Err(invalid(format!("urgency range is [{min}:{max}]")));
    }
    let guest_max = i64::from(Urgency::GUEST_MAX.get());
    if !owner && body.urgency > guest_max && enforced("submit-urgency") {
        return Err(invalid(format!("only the instance owner can submit with urgency >{guest_max}")));
    }
    if !owner && flags & JobFlags::WAITABLE != 0 {
        return Err(invalid("only the instance owner can submit with FLUX_JOB_WAITABLE"));
    }
    Ok(flags)
}

/// The jobspec inside a signed request, if its signer is who sent it.
fn unwrap(cx: &Cx<'_>, request: &Message, signed: &str) -> Result<(Value, Option<Box<str>>), Fault> {
    let now = i64::try_from(cx.now.wall.0.as_secs()).unwrap_or(i64::MAX);
    let unwrapped = flux_sign::check_sent(signed, now)
        .map_err(|error| Fault::new(Errno(flux_sign::errno(&error)), error.to_string()))?;
    let requestor = request.cred.userid;
    if unwrapped.userid != requestor && enforced("signer") {
        let text = format!("signer={} != requestor={requestor}", unwrapped.userid);
        return Err(Fault::new(Errno::EPERM, text));
    }
    if unwrapped.mechanism == Mechanism::None && !request.cred.is_owner() && enforced("unsigned") {
        return Err(Fault::new(Errno::EPERM, "only instance owner can use sign-type=none"));
    }
    if cx.node.owner != 0 && requestor == 0 {
        return Err(invalid("submission of jobs as user root not supported"));
    }
    spec::read(&unwrapped.payload).map_err(|error| invalid(format!("jobspec: invalid JSON: {error}")))
}

fn fluid_fault(error: FluidError) -> Fault {
    Fault::new(Errno(error.errno()), error.to_string())
}

#[cfg(test)]
mod tests;
