//! Exceptions (RFC 21): `job-manager.raise`, `raiseall`, and those the manager raises itself.

use std::collections::VecDeque;

use flux_service::{Cx, Fault, Outcome, enforced};
use flux_types::{JobId, StateSet};
use flux_wire::{Cred, Errno, Message, Payload};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::JobManager;
use super::job::Job;
use crate::body::{WireId, WireUser, truth};
use crate::limits::{EXCEPTION_NOTE_LEN_MAX, EXCEPTION_TYPE_LEN_MAX, RAISES_PER_TURN_MAX, RAISINGS_MAX};

const OWN_JOBS: &str = "guests can only raise exceptions on their own jobs";

#[derive(Deserialize)]
struct Raise {
    id: WireId,
    severity: i64,
    #[serde(rename = "type")]
    kind: String,
    note: Option<String>,
    wait_status: Option<i32>,
}

#[derive(Deserialize)]
struct RaiseAll {
    #[serde(deserialize_with = "truth")]
    dry_run: bool,
    userid: WireUser,
    states: u32,
    severity: i64,
    #[serde(rename = "type")]
    kind: String,
    note: Option<String>,
}

/// A `raiseall` under way: a portion a turn, so that a hundred thousand cancels are never in memory at once.
#[derive(Debug)]
pub(super) struct Raising {
    request: Message,
    ids: VecDeque<JobId>,
    /// How many there were.
    count: usize,
    kind: String,
    severity: i64,
    note: String,
}

/// An exception on its way (RFC 21).
#[derive(Clone, Copy, Debug)]
pub(super) struct Exception<'a> {
    pub(super) kind: &'a str,
    pub(super) severity: i64,
    pub(super) note: &'a str,
    /// Who raised it, if a user did.
    pub(super) userid: Option<u32>,
    /// Of the task that caused it.
    pub(super) wait_status: Option<i32>,
}

impl<'a> Exception<'a> {
    pub(super) fn new(kind: &'a str, severity: i64, note: &'a str) -> Exception<'a> {
        Exception { kind, severity, note, userid: None, wait_status: None }
    }
}

fn check(severity: i64, kind: &str, note: Option<&str>) -> Result<(), Fault> {
    if !(0..=7).contains(&severity) {
        return Err(Fault::new(Errno::EPROTO, "invalid exception severity"));
    }
    let bad = |c: char| c.is_whitespace() || c == '=';
    if kind.is_empty() || kind.len() > EXCEPTION_TYPE_LEN_MAX || kind.contains(bad) {
        return Err(Fault::new(Errno::EPROTO, "invalid exception type"));
    }
    if note.is_some_and(|note| note.len() > EXCEPTION_NOTE_LEN_MAX) {
        return Err(Fault::new(
            Errno::EMSGSIZE,
            format!("the note is over the limit of {EXCEPTION_NOTE_LEN_MAX} bytes"),
        ));
    }
    Ok(())
}

impl JobManager {
    pub(super) fn raise_request(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Raise = request.decode()?;
        check(body.severity, &body.kind, body.note.as_deref())?;
        let id = body.id.id();
        let job = self.active(id, Errno::ENOENT)?;
        authorize(request.cred, job.userid, OWN_JOBS)?;
        let note = body.note.unwrap_or_default();
        let wait_status = body.wait_status.filter(|status| *status >= 0);
        let userid = Some(request.cred.userid);
        let exception = Exception { userid, wait_status, ..Exception::new(&body.kind, body.severity, &note) };
        self.raise(cx, id, &exception);
        self.ordered(cx, request, Payload::None);
        Ok(())
    }

    pub(super) fn raise_all(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: RaiseAll = request.decode()?;
        authorize(request.cred, body.userid.0, OWN_JOBS)?;
        check(body.severity, &body.kind, body.note.as_deref())?;
        let ids = self.matching(body.userid, |job| body.states & job.state.bit() != 0);
        if body.dry_run {
            cx.respond(request, json!({"count": ids.len(), "errors": 0}));
            return Ok(());
        }
        if self.raisings.len() >= RAISINGS_MAX {
            return Err(Fault::new(
                Errno::EAGAIN,
                format!("more than {RAISINGS_MAX} requests to raise exceptions wait"),
            ));
        }
        // Those that wait come first: what the others give back starts none of them.
        let runs = |id: &JobId| StateSet::RUNNING.contains(self.jobs[id].state);
        let (running, mut ids): (Vec<JobId>, Vec<JobId>) = ids.into_iter().partition(runs);
        ids.extend(running);
        let (count, note) = (ids.len(), body.note.unwrap_or_default());
        let request = request.clone();
        self.raisings.push_back(Raising {
            request,
            ids: ids.into(),
            count,
            kind: body.kind,
            severity: body.severity,
            note,
        });
        Ok(())
    }

    /// Once per turn: the next of those that `raiseall` meant.
    pub(super) fn raise_more(&mut self, cx: &mut Cx<'_>) {
        let Some(mut raising) = self.raisings.pop_front() else { return };
        let userid = Some(raising.request.cred.userid);
        let portion = raising.ids.len().min(RAISES_PER_TURN_MAX);
        for id in raising.ids.drain(..portion) {
            if self.jobs.contains_key(&id) {
                let exception = Exception { userid, ..Exception::new(&raising.kind, raising.severity, &raising.note) };
                self.raise(cx, id, &exception);
            }
        }
        if !raising.ids.is_empty() {
            return self.raisings.push_front(raising);
        }
        // So many may be meant that who asks does not wait until the disk has them all: a power cut may forget some.
        cx.respond(&raising.request, json!({"count": raising.count, "errors": 0}));
    }

    /// The service ends: nobody goes on with these.
    pub(super) fn refuse_raisings(&mut self, cx: &mut Cx<'_>) {
        let fault = Fault::new(Errno::ENOSYS, "job-manager is unloading");
        self.raisings.drain(..).for_each(|raising| cx.respond_error(&raising.request, &fault));
    }

    /// Active jobs of one user (or of all) that pass `test`.
    pub(super) fn matching(&self, userid: WireUser, test: impl Fn(&Job) -> bool) -> Vec<JobId> {
        let of_user = |job: &Job| userid.0 == Cred::UNKNOWN_USER || job.userid == userid.0;
        self.jobs.values().filter(|job| of_user(job) && test(job)).map(|job| job.id).collect()
    }

    /// Posts an exception and publishes it, so that the exec service ends the shells.
    pub(super) fn raise(&mut self, cx: &mut Cx<'_>, id: JobId, exception: &Exception<'_>) {
        let mut context = Map::new();
        context.insert("type".into(), exception.kind.into());
        context.insert("severity".into(), exception.severity.into());
        context.insert("note".into(), exception.note.into());
        if let Some(userid) = exception.userid {
            context.insert("userid".into(), userid.into());
        }
        if let Some(status) = exception.wait_status {
            context.insert("wait_status".into(), status.into());
        }
        self.post(cx, id, "exception", Some(context));
        self.publish_exception(cx, id, exception);
    }

    /// The `job-exception` event; notes may be private, so it goes to the owner's services only.
    pub(super) fn publish_exception(&mut self, cx: &mut Cx<'_>, id: JobId, exception: &Exception<'_>) {
        let mut body = json!({"id": id.0, "type": exception.kind, "severity": exception.severity});
        if let (Some(status), Value::Object(body)) = (exception.wait_status, &mut body) {
            body.insert("wait_status".into(), status.into());
        }
        cx.publish_private("job-exception", body, cx.node.owner);
    }

    /// The active job of that id; else ENOENT or whatever this request says, and why.
    pub(super) fn active(&self, id: JobId, errno: Errno) -> Result<&Job, Fault> {
        self.jobs
            .get(&id)
            .map(|job| &**job)
            .ok_or_else(|| Fault::new(errno, if self.archive.has(id) { "job is inactive" } else { "unknown job id" }))
    }
}

/// RFC 12: the instance owner, or the user whose job it is.
pub(super) fn authorize(cred: Cred, userid: u32, text: &str) -> Result<(), Fault> {
    if cred.authorize(userid) || !enforced("job-owner") { Ok(()) } else { Err(Fault::new(Errno::EPERM, text)) }
}
