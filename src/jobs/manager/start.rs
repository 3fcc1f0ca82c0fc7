//! The talk with the exec service (RFC 32).
//!
//! A job's shells may outlive the exec service and this broker (ADR 1). `Job::shells` says that they may be there; resources go
//! back only when the exec service has released the last of them. After a restart, or when the exec service comes back, it is
//! asked with `reattach` for every such job, also for those in CLEANUP: those are then told again why they end.

use flux_service::{Cx, Fault, LogLevel, Outcome, Plant, planted};
use flux_types::{At, JobId, JobState, StateSet};
use flux_wire::{Errno, Message, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use super::event::context;
use super::raise::Exception;
use super::{JobManager, Pending};
use crate::body::WireId;
use crate::state::EndEvent;

#[derive(Debug, Default)]
pub(super) struct Start {
    service: Option<String>,
    /// The request that registered the service: who sent it, if it disconnects.
    hello: Option<Message>,
}

impl Start {
    /// Nobody is there to execute jobs.
    pub(super) fn is_offline(&self) -> bool {
        self.service.is_none()
    }

    pub(super) fn is_online(&self) -> bool {
        self.service.is_some()
    }

    pub(super) fn is_topic(&self, topic: &str) -> bool {
        topic.strip_suffix(".start").is_some_and(|service| Some(service) == self.service.as_deref())
    }
}

#[derive(Deserialize)]
struct Hello {
    service: String,
}

#[derive(Deserialize)]
struct StartReply {
    id: WireId,
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

#[derive(Deserialize)]
struct ExceptionData {
    severity: i64,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    note: Option<String>,
    /// An earlier manager was told of it, and may have gone before it could store it.
    #[serde(default)]
    again: bool,
}

impl JobManager {
    pub(super) fn exec_hello(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let hello: Hello = request.decode()?;
        if hello.service.is_empty() {
            return Err(Fault::new(Errno::EPROTO, "the service has no name"));
        }
        self.stop_start(cx, "another exec service registered");
        self.start.service = Some(hello.service);
        self.start.hello = Some(request.clone());
        cx.respond_empty(request);
        let waiting: Vec<JobId> =
            self.jobs.values().filter(|job| StateSet::RUNNING.contains(job.state)).map(|job| job.id).collect();
        for id in waiting {
            self.act(cx, id);
        }
        Ok(())
    }

    /// Asks the exec service to start the job, or to look after its shells again. Does nothing while it has such a request.
    pub(super) fn send_start(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(service) = &self.start.service else { return };
        let topic = format!("{service}.start");
        let job = self.jobs.get(&id).expect("the caller holds an active job");
        if job.start_pending || job.resources.is_none() {
            return;
        }
        let (reattach, look) = (job.shells, job.revived);
        let jobspec = if reattach { Some(job.jobspec_value()) } else { self.whole_jobspec(cx, id) };
        let Some(jobspec) = jobspec else { return };
        self.release_environment(id);
        let job = self.jobs.get_mut(&id).expect("still active");
        let mut body = json!({"id": id.0, "userid": job.userid, "jobspec": jobspec,
                          "reattach": reattach, "R": job.resources.as_deref()});
        if look && !reattach {
            body["look"] = true.into();
        }
        (job.start_pending, job.shells) = (true, true);
        let end = (job.state == JobState::Cleanup).then(|| job.end.clone()).flatten();
        let debug = job.is_debug();
        cx.request_stream(topic, Target::Any, body);
        if let Some(EndEvent::Exception { kind, .. }) = end {
            // The exec service that was told of the exception is gone.
            self.publish_exception(cx, id, &Exception::new(&kind, 0, ""));
        }
        if debug {
            self.post(cx, id, if reattach { "debug.exec-reattach-start" } else { "debug.start-request" }, None);
        }
    }

    pub(super) fn on_start_reply(&mut self, cx: &mut Cx<'_>, reply: &Message) {
        if let Some(fault) = Fault::of(reply) {
            return self.stop_start(cx, &format!("start response error: {}", fault.message()));
        }
        if let Err(fault) = self.start_reply(cx, reply) {
            cx.log(LogLevel::Err, format!("start response: {fault}"));
        }
    }

    fn start_reply(&mut self, cx: &mut Cx<'_>, reply: &Message) -> Result<(), Fault> {
        let reply: StartReply = reply.decode()?;
        let id = reply.id.id();
        let malformed = || Fault::new(Errno::EPROTO, format!("{id}: {} has malformed data", reply.kind));
        let Some(job) = self.jobs.get_mut(&id) else {
            return Err(Fault::new(Errno::EINVAL, format!("{id} is not active")));
        };
        match reply.kind.as_str() {
            "start" if job.started => {} // The exec service's own log of it was lost with the power.
            "start" => {
                if planted(Plant::GivenBackEarly) && id.0.is_multiple_of(3) {
                    self.send_free(cx, id);
                }
                self.post(cx, id, "start", None);
            }
            // The log that tells of the start was lost with the power.
            "reattached" if !job.started && job.state == JobState::Run => self.post(cx, id, "start", None),
            "reattached" if job.is_debug() => self.post(cx, id, "debug.exec-reattach-finish", None),
            "reattached" => {}
            "release" => {
                let ranks = reply.data.get("ranks").and_then(Value::as_str).ok_or_else(malformed)?;
                let last = reply.data.get("final").and_then(Value::as_bool).ok_or_else(malformed)?;
                job.start_pending &= !last;
                self.post(cx, id, "release", context([("ranks", ranks.into()), ("final", last.into())]));
            }
            "exception" => {
                let data = ExceptionData::deserialize(&reply.data).map_err(|_| malformed())?;
                if data.again && job.end.is_some() {
                    return Ok(());
                }
                let note = data.note.unwrap_or_default();
                let owner = cx.node.owner;
                let body = [
                    ("type", json!(data.kind)),
                    ("severity", json!(data.severity)),
                    ("note", json!(note)),
                    ("userid", json!(owner)),
                ];
                self.post(cx, id, "exception", context(body));
            }
            "finish" => {
                let status = reply.data.get("status").and_then(Value::as_i64).ok_or_else(malformed)?;
                self.post(cx, id, "finish", context([("status", status.into())]));
            }
            _ => return Err(Fault::new(Errno::EPROTO, format!("{id}: unknown response type '{}'", reply.kind))),
        }
        Ok(())
    }

    /// The exec service is gone: nothing is started until another registers. Shells stay.
    pub(super) fn stop_start(&mut self, cx: &mut Cx<'_>, why: &str) {
        if self.start.service.take().is_none() {
            return;
        }
        self.start.hello = None;
        cx.log(LogLevel::Debug, format!("start: stop due to {why}"));
        let pending: Vec<JobId> = self.jobs.values().filter(|job| job.start_pending).map(|job| job.id).collect();
        for id in pending {
            let job = self.jobs.get_mut(&id).expect("just found");
            job.start_pending = false;
            if job.is_debug() {
                self.post(cx, id, "debug.start-lost", context([("note", why.into())]));
            }
        }
    }

    pub(super) fn exec_disconnect(&mut self, cx: &mut Cx<'_>, request: &Message) {
        if self.start.hello.as_ref().is_some_and(|hello| request.same_sender(hello)) {
            self.stop_start(cx, "disconnect");
        }
    }

    /// Tells the exec service when the job's time is up now.
    pub(super) fn send_expiration(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let (Some(service), Some(job)) = (&self.start.service, self.jobs.get(&id)) else { return };
        let expiration = job.resources.as_ref().and_then(|r| r.at("/execution/expiration"));
        let (true, Some(expiration)) = (job.shells, expiration) else { return };
        let body = json!({"id": id.0, "expiration": expiration});
        let tag = cx.request(format!("{service}.expiration"), Target::Any, body);
        self.pending.insert(tag, Pending::Expiration { id });
    }

    pub(super) fn on_expiration(&mut self, cx: &mut Cx<'_>, id: JobId, reply: &Message) {
        if Fault::of(reply).is_some() {
            let note =
                "failed to send expiration update to exec system: job termination may not coincide with expiration";
            self.raise(cx, id, &Exception::new("exec", 1, note));
        }
    }
}
