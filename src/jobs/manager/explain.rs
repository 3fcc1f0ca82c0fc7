//! `job-manager.explain`: one sentence on why a job does not run, and the facts behind it.
//!
//! What the manager knows itself (dependencies, holds, queues, the line) it says at once; for jobs that the scheduler has, it asks
//! for `sched.resource-status` first, which every scheduler answers, and compares with what the job needs.

mod need;

use std::collections::BTreeMap;

use flux_service::{Cx, Fault, Outcome};
use flux_types::{At, JobId, JobResult, JobState, format_fsd_listing};
use flux_wire::{Errno, Message, Target};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::need::{Need, Room};
use super::job::Job;
use super::{JobManager, Pending};
use crate::body::WireId;
use crate::limits::{EXPLAIN_AHEAD_MAX, EXPLAIN_IDS_MAX};
use crate::state::priority;

#[derive(Deserialize)]
struct Explain {
    ids: Vec<WireId>,
}

/// A request that waits for the scheduler's word on resources.
#[derive(Debug)]
pub(super) struct Asked {
    request: Message,
    ids: Vec<JobId>,
}

/// A reason, by a word for programs and a sentence for people.
struct Why {
    reason: &'static str,
    text: String,
    more: Map<String, Value>,
}

impl Why {
    fn new(reason: &'static str, text: impl Into<String>) -> Why {
        Why { reason, text: text.into(), more: Map::new() }
    }

    fn with(mut self, key: &str, value: Value) -> Why {
        self.more.insert(key.to_owned(), value);
        self
    }

    fn value(self, id: JobId, state: JobState) -> Value {
        let mut out = Map::new();
        out.insert("id".into(), id.0.into());
        out.insert("state".into(), state.bit().into());
        out.insert("reason".into(), self.reason.into());
        out.insert("text".into(), self.text.into());
        out.extend(self.more);
        Value::Object(out)
    }
}

/// Who stands before a job in line: how many of its queue, and the first of them.
#[derive(Default)]
struct Ahead {
    count: usize,
    first: Vec<JobId>,
}

/// What a dependency (RFC 26) waits for, in words.
fn dependency(description: &str, now: f64) -> String {
    let (scheme, value) = description.split_once('=').unwrap_or((description, ""));
    match scheme {
        "after-start" => format!("job {value} to start"),
        "after-finish" => format!("job {value} to end"),
        "after-success" => format!("job {value} to succeed"),
        "after-failure" => format!("job {value} to fail"),
        "after-except" => format!("job {value} to end with an exception"),
        "singleton" => "older jobs of its name and user to end".to_owned(),
        "begin-time" => match value.parse::<f64>() {
            Ok(at) if at > now => format!("its begin time, in {}", format_fsd_listing(at - now)),
            _ => "its begin time".to_owned(),
        },
        _ => format!("the dependency {description}"),
    }
}

/// `a, b and c`
fn list(parts: &[String]) -> String {
    match parts.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

fn jobs(count: usize) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") }
}

/// What is the same for all jobs of one request.
struct Moment<'a> {
    /// Seconds since the epoch.
    now: f64,
    room: Option<&'a Room>,
    /// The job whose time is up first, and when.
    end: Option<(JobId, f64)>,
}

impl Ahead {
    fn text(&self) -> String {
        if self.count == 0 {
            return "first in line".to_owned();
        }
        if self.first.is_empty() {
            return format!("behind {}", jobs(self.count));
        }
        let mut names: Vec<String> = self.first.iter().map(JobId::to_string).collect();
        if self.count > names.len() {
            names.push("others".to_owned());
        }
        format!("behind {} ({})", jobs(self.count), list(&names))
    }
}

impl JobManager {
    pub(super) fn explain(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Explain = request.decode()?;
        if body.ids.len() > EXPLAIN_IDS_MAX {
            return Err(Fault::new(Errno::E2BIG, format!("more than {EXPLAIN_IDS_MAX} jobs in one request")));
        }
        let ids: Vec<JobId> = body.ids.iter().map(|id| id.id()).collect();
        let asks = |id: &JobId| self.jobs.get(id).is_some_and(|job| job.alloc_pending);
        if self.alloc.online && ids.iter().any(asks) {
            let tag = cx.request("sched.resource-status", Target::Any, json!({}));
            let asked = Asked { request: request.clone(), ids };
            self.pending.insert(tag, Pending::Explain(Box::new(asked)));
        } else {
            self.answer_explain(cx, request, &ids, None);
        }
        Ok(())
    }

    pub(super) fn on_explain(&mut self, cx: &mut Cx<'_>, asked: Asked, reply: &Message) {
        let status =
            if Fault::of(reply).is_none() { reply.payload.value().ok().as_deref().and_then(Room::read) } else { None };
        self.answer_explain(cx, &asked.request, &asked.ids, status.as_ref());
    }

    fn answer_explain(&self, cx: &mut Cx<'_>, request: &Message, ids: &[JobId], room: Option<&Room>) {
        let now = cx.now.wall.timestamp();
        let end = self.next_end(now);
        let mut ahead = self.ahead(ids);
        let private = self.restricted(request.cred);
        if private {
            ahead.values_mut().for_each(|ahead| ahead.first.clear()); // Others' jobs are nobody's business.
        }
        let may_see = |userid: u32| !private || userid == request.cred.userid;
        let explain = |id: &JobId| match (self.jobs.get(id), self.archive.get(*id)) {
            (Some(job), _) if may_see(job.userid) => {
                let end = end.filter(|_| !private);
                self.why(job, &Moment { now, room, end }, ahead.get(id)).value(*id, job.state)
            }
            (None, Some(finished)) if may_see(finished.userid) => {
                ended(finished.ended().result).value(*id, JobState::Inactive)
            }
            _ => json!({"id": id.0, "errno": Errno::ENOENT.0, "text": "unknown job id"}),
        };
        let jobs: Vec<Value> = ids.iter().map(explain).collect();
        cx.respond(request, json!({"jobs": jobs}));
    }

    /// Who stands before each of these jobs in line. One walk along the line, however many are asked about.
    fn ahead(&self, ids: &[JobId]) -> BTreeMap<JobId, Ahead> {
        let mut out: BTreeMap<JobId, Ahead> = ids.iter().map(|id| (*id, Ahead::default())).collect();
        let mut seen: BTreeMap<Option<&str>, Ahead> = BTreeMap::new();
        for id in self.alloc.sent().chain(self.alloc.queued()) {
            let line = seen.entry(self.jobs[&id].queue.as_deref()).or_default();
            if let Some(asked) = out.get_mut(&id) {
                *asked = Ahead { count: line.count, first: line.first.clone() };
            }
            line.count += 1;
            if line.first.len() < EXPLAIN_AHEAD_MAX {
                line.first.push(id);
            }
        }
        out
    }

    fn why(&self, job: &Job, moment: &Moment<'_>, ahead: Option<&Ahead>) -> Why {
        match job.state {
            JobState::New => Why::new("new", "is being checked"),
            JobState::Depend => {
                let parts: Vec<String> = job.dependencies.iter().map(|text| dependency(text, moment.now)).collect();
                if parts.is_empty() {
                    return Why::new("dependency", "has no dependencies left");
                }
                Why::new("dependency", format!("waits for {}", list(&parts)))
                    .with("dependencies", json!(job.dependencies))
            }
            JobState::Priority => Why::new("priority", "waits for a priority"),
            JobState::Sched => self.why_sched(job, moment, ahead),
            JobState::Run if job.perilogs > 0 => Why::new("prolog", "waits for its prolog to finish"),
            JobState::Run if !job.started && self.start.is_offline() => {
                Why::new("exec", "has its resources, but no service to execute it is loaded")
            }
            JobState::Run if !job.started => Why::new("starting", "has its resources and is being started"),
            JobState::Run => Why::new("running", "is running"),
            JobState::Cleanup if job.shells => Why::new("cleanup", "is ending: its processes are not all gone"),
            JobState::Cleanup if job.perilogs > 0 => Why::new("epilog", "has ended and waits for its epilog to finish"),
            JobState::Cleanup => Why::new("cleanup", "has ended and gives its resources back"),
            JobState::Inactive => Why::new("inactive", "has ended"),
        }
    }

    fn why_sched(&self, job: &Job, moment: &Moment<'_>, ahead: Option<&Ahead>) -> Why {
        if job.priority == priority::MIN {
            return match job.urgency {
                0 => Why::new("hold", "is held: its urgency is 0 ('flux job urgency ID default' lets it go)"),
                _ => Why::new("hold", "is held: its priority is 0"),
            };
        }
        if let Some(text) = self.queues.stopped_text(job.queue.as_deref()) {
            return Why::new("queue", text);
        }
        if self.storing_fails() {
            return Why::new("storage", "waits until events can be stored again (is the disk full?)");
        }
        if !self.alloc.online {
            return Why::new("scheduler", "waits for a scheduler: none is loaded or ready");
        }
        let none = Ahead::default();
        let ahead = ahead.unwrap_or(&none);
        if job.alloc_queued {
            let limit = self.alloc.limit().map_or(String::new(), |limit| format!(", which takes {limit} at a time"));
            return Why::new("limit", format!("waits for its turn with the scheduler{limit}; {}", ahead.text()))
                .with("ahead", json!(ahead.count));
        }
        resources(job, moment, ahead)
    }

    /// Of the jobs that hold resources, the one whose time is up first, and when.
    fn next_end(&self, now: f64) -> Option<(JobId, f64)> {
        let holders = self.jobs.values().filter(|job| job.has_resources);
        let end = |job: &Job| job.resources.as_ref()?.at("/execution/expiration")?.as_f64();
        let ends = holders.filter_map(|job| Some((job.id, end(job).filter(|at| *at > now)?)));
        ends.min_by(|(_, a), (_, b)| a.total_cmp(b))
    }
}

/// Why a job that the scheduler has does not run yet.
fn resources(job: &Job, moment: &Moment<'_>, ahead: &Ahead) -> Why {
    let now = moment.now;
    let need = Need::of(&job.jobspec_value());
    let found = need.zip(moment.room).map(|(need, room)| need.compare(room));
    let enough = found.as_ref().is_some_and(|found| found.enough);
    let waits = ahead.count > 0;
    let mut text = match &found {
        Some(found) if enough && waits => format!("waits for its turn: {}, but it is {}", found.text, ahead.text()),
        Some(found) if enough => format!("is being considered by the scheduler: {}", found.text),
        Some(found) => format!("waits for resources: {}", found.text),
        None => "waits for resources".to_owned(),
    };
    if !enough && waits {
        text.push_str(&format!("; {}", ahead.text()));
    }
    let estimate = job.annotations.get("sched").and_then(|sched| sched.get("t_estimate")).and_then(Value::as_f64);
    match (estimate, moment.end) {
        (Some(at), _) if at > now => {
            text.push_str(&format!("; expected to start in {}", format_fsd_listing(at - now)));
        }
        (Some(_), _) => text.push_str("; expected to start now"),
        (None, Some((id, at))) if !enough => {
            text.push_str(&format!("; the next to end by its time limit is {id}, in {}", format_fsd_listing(at - now)));
        }
        _ => {}
    }
    let mut why = Why::new(if enough && waits { "line" } else { "resources" }, text);
    why = why.with("ahead", json!(ahead.count)).with("behind", json!(ahead.first));
    if let Some(at) = estimate {
        why = why.with("t_estimate", json!(at));
    }
    match found {
        Some(found) => why.with("resources", found.value),
        None => why,
    }
}

fn ended(result: JobResult) -> Why {
    Why::new(
        "inactive",
        match result {
            JobResult::Completed => "has completed",
            JobResult::Failed => "has failed",
            JobResult::Canceled => "was canceled",
            JobResult::Timeout => "ran out of time",
        },
    )
}

#[cfg(test)]
mod tests;
