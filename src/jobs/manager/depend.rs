//! Dependencies (RFC 26): `after*`, `begin-time` and `singleton`.

use std::collections::{BTreeMap, BTreeSet};

use flux_service::{Cx, Fault, Now};
use flux_types::{At, JobId, JobResult};
use flux_wire::Errno;
use serde_json::{Value, json};

use super::JobManager;
use super::event::context;
use super::job::Job;
use super::raise::Exception;
use crate::limits::DEPENDENCIES_MAX;
use crate::state::EndEvent;

/// What a job waits for in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum After {
    Start,
    Any,
    Ok,
    NotOk,
    Except,
}

impl After {
    fn of(scheme: &str) -> Option<After> {
        match scheme {
            "after" | "afterstart" => Some(After::Start),
            "afterany" => Some(After::Any),
            "afterok" => Some(After::Ok),
            "afternotok" => Some(After::NotOk),
            "afterexcept" => Some(After::Except),
            _ => None,
        }
    }

    /// The name that stands in descriptions.
    const fn name(self) -> &'static str {
        match self {
            After::Start => "after-start",
            After::Any => "after-finish",
            After::Ok => "after-success",
            After::NotOk => "after-failure",
            After::Except => "after-except",
        }
    }

    /// Whether an inactive job that ended so satisfies this; else why it never will.
    fn satisfied_by(self, target: &Ended, name: &str) -> Result<(), String> {
        let good = target.result == JobResult::Completed;
        match self {
            After::Any => Ok(()),
            After::Start if !target.started => Err(format!("dependency: after: {name} never started")),
            After::Ok if !good => Err(format!("dependency: afterok: job {name} failed or was canceled")),
            After::NotOk if good => Err(format!("dependency: afternotok: job {name} succeeded")),
            After::Except if !target.exception => Err(format!("dependency: afterexcept: job {name}: no exception")),
            _ => Ok(()),
        }
    }
}

/// How an inactive job ended, as far as others may depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) result: JobResult,
    pub(super) started: bool,
    /// A fatal exception ended it.
    pub(super) exception: bool,
}

impl Ended {
    pub(super) fn of(job: &Job) -> Ended {
        let result = job.end.as_ref().map_or(JobResult::Failed, EndEvent::result);
        let exception = matches!(job.end, Some(EndEvent::Exception { .. }));
        Ended { result, started: job.started, exception }
    }
}

#[derive(Debug)]
struct Waiting {
    job: JobId,
    after: After,
    description: Box<str>,
}

/// Who waits for what. Everything in here is in some job's `dependencies` too.
#[derive(Debug, Default)]
pub(super) struct Depend {
    after: BTreeMap<JobId, Vec<Waiting>>,
    /// Wall clock microseconds, by which timers are set.
    times: BTreeSet<(u64, JobId, Box<str>)>,
    /// Jobs that must be alone among those of their name and user.
    singletons: BTreeSet<JobId>,
}

impl Depend {
    /// The job is gone; nothing of it waits.
    pub(super) fn forget(&mut self, id: JobId) {
        if self.is_empty() {
            return;
        }
        self.after.values_mut().for_each(|list| list.retain(|waiting| waiting.job != id));
        self.after.retain(|_, list| !list.is_empty());
        self.times.retain(|(_, job, _)| *job != id);
        self.singletons.remove(&id);
    }

    fn is_empty(&self) -> bool {
        self.after.is_empty() && self.times.is_empty() && self.singletons.is_empty()
    }

    /// When the next `begin-time` comes.
    pub(super) fn next_time_us(&self) -> Option<u64> {
        self.times.first().map(|(at, _, _)| *at)
    }
}

/// One dependency that was asked for, understood.
enum Wanted {
    /// `asked` is the scheme and the id, as they were given.
    After {
        target: JobId,
        after: After,
        description: String,
        asked: String,
    },
    Time {
        at_us: u64,
        description: String,
    },
    Singleton,
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Errno::EINVAL, text)
}

fn wanted(object: &Value) -> Result<(String, Wanted), Fault> {
    let field = |key: &str| object.get(key).and_then(Value::as_str);
    let scheme = field("scheme").ok_or_else(|| invalid("dependency: scheme is missing"))?;
    let value = field("value").ok_or_else(|| invalid(format!("dependency: {scheme}: value is missing")))?;
    let wanted = match (After::of(scheme), scheme) {
        (Some(after), _) => {
            let target = JobId::parse(value)
                .map_err(|_| invalid(format!("dependency: {scheme}: \"{value}\" is not a valid jobid")))?;
            let asked = format!("{scheme}: id {value}");
            Wanted::After { target, after, description: format!("{}={value}", after.name()), asked }
        }
        (None, "begin-time") => {
            let at: f64 = value
                .parse()
                .ok()
                .filter(|at: &f64| at.is_finite() && *at >= 0.0)
                .ok_or_else(|| invalid(format!("Invalid begin-time={value}")))?;
            Wanted::Time { at_us: (at * 1e6) as u64, description: format!("begin-time={at:.3}") }
        }
        (None, "singleton") => Wanted::Singleton,
        (None, _) => return Err(invalid(format!("dependency scheme \"{scheme}\" not supported"))),
    };
    Ok((scheme.to_owned(), wanted))
}

impl JobManager {
    /// Posts `dependency-add` for what the new job waits for. What is satisfied already adds nothing.
    ///
    /// # Errors
    /// A dependency makes no sense, or can never be satisfied: the submission is refused.
    pub(super) fn depend_on_submit(&mut self, cx: &mut Cx<'_>, id: JobId, jobspec: &Value) -> Result<(), Fault> {
        let Some(list) = jobspec.at("/attributes/system/dependencies").and_then(Value::as_array) else {
            return Ok(());
        };
        if list.len() > DEPENDENCIES_MAX {
            return Err(invalid(format!("more than {DEPENDENCIES_MAX} dependencies")));
        }
        for object in list {
            if self.depend_on_plugin(cx, id, object)? {
                continue;
            }
            let (scheme, wanted) = wanted(object)?;
            if let Some(description) = self.watch(cx, id, wanted)? {
                self.post(cx, id, "dependency-add", context([("description", description.into())]));
            }
            if scheme == "after" {
                let note = "dependency scheme 'after' is deprecated, use 'afterstart'";
                self.raise_dependency(cx, id, 3, note);
            }
        }
        Ok(())
    }

    /// A scheme that a plugin knows. `false`: none does.
    fn depend_on_plugin(&mut self, cx: &mut Cx<'_>, id: JobId, object: &Value) -> Result<bool, Fault> {
        let Some(scheme) = object.get("scheme").and_then(Value::as_str) else { return Ok(false) };
        if self.jobtap.is_empty() {
            return Ok(false);
        }
        let said = self.tap(cx, id, &format!("job.dependency.{scheme}"), json!({"dependency": object}));
        match said.refused {
            Some(why) => Err(invalid(why)),
            None => Ok(said.handled),
        }
    }

    /// After a restart: watches again for what the eventlog says is still missing.
    pub(super) fn depend_on_restart(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        if job.dependencies.is_empty() {
            return;
        }
        let open: BTreeSet<Box<str>> = job.dependencies.iter().cloned().collect();
        let jobspec = job.jobspec_value();
        let list = jobspec.at("/attributes/system/dependencies").and_then(Value::as_array);
        for object in list.into_iter().flatten() {
            match self.depend_on_plugin(cx, id, object) {
                Ok(true) => continue,
                Ok(false) => {}
                Err(fault) => self.raise_dependency(cx, id, 0, &fault.message()),
            }
            let Ok((_, wanted)) = wanted(object) else { continue };
            let description = match &wanted {
                Wanted::After { description, .. } | Wanted::Time { description, .. } => description.clone(),
                Wanted::Singleton => "singleton".to_owned(),
            };
            if !open.contains(&*description) {
                continue;
            }
            match self.watch(cx, id, wanted) {
                Ok(Some(_)) => {}
                Ok(None) => self.satisfy(cx, id, &description),
                Err(fault) => self.raise_dependency(cx, id, 0, &fault.message()),
            }
        }
    }

    /// Waits for something; `None` if there is nothing to wait for.
    fn watch(&mut self, cx: &mut Cx<'_>, id: JobId, wanted: Wanted) -> Result<Option<String>, Fault> {
        match wanted {
            Wanted::After { target, after, description, asked } => {
                let satisfied = self.is_after(id, target, after, &asked)?;
                if !satisfied {
                    let waiting = Waiting { job: id, after, description: description.as_str().into() };
                    self.depend.after.entry(target).or_default().push(waiting);
                }
                Ok((!satisfied).then_some(description))
            }
            Wanted::Time { at_us, description } => {
                if at_us <= wall_us(cx.now) {
                    return Ok(None);
                }
                self.depend.times.insert((at_us, id, description.as_str().into()));
                Ok(Some(description))
            }
            Wanted::Singleton if self.jobs[&id].name.is_empty() => Err(invalid("singleton jobs require a job name")),
            Wanted::Singleton => {
                let wait = self.namesake_before(id);
                if wait {
                    self.depend.singletons.insert(id);
                }
                Ok(wait.then(|| "singleton".to_owned()))
            }
        }
    }

    fn is_after(&self, id: JobId, target: JobId, after: After, asked: &str) -> Result<bool, Fault> {
        let userid = self.jobs[&id].userid;
        let (target_user, ended) = match (self.jobs.get(&target), self.archive.get(target)) {
            _ if target == id => return Err(invalid("dependency: a job cannot wait for itself")),
            (Some(job), _) => (job.userid, None),
            (None, Some(finished)) => (finished.userid, Some(finished.ended())),
            (None, None) => return Err(invalid(format!("dependency: {asked}: job not found"))),
        };
        if userid != target_user {
            return Err(Fault::new(Errno::EPERM, format!("dependency: Permission denied for job {target}")));
        }
        match ended {
            None => Ok(after == After::Start && self.jobs[&target].started),
            Some(ended) => after.satisfied_by(&ended, &target.to_string()).map(|()| true).map_err(invalid),
        }
    }

    /// Is there an older active job of the same user and name?
    fn namesake_before(&self, id: JobId) -> bool {
        let Some(job) = self.jobs.get(&id) else { return false };
        self.jobs.range(..id).any(|(_, other)| other.userid == job.userid && other.name == job.name)
    }

    fn raise_dependency(&mut self, cx: &mut Cx<'_>, id: JobId, severity: i64, note: &str) {
        let userid = Some(cx.node.owner);
        self.raise(cx, id, &Exception { userid, ..Exception::new("dependency", severity, note) });
    }

    fn satisfy(&mut self, cx: &mut Cx<'_>, id: JobId, description: &str) {
        self.post(cx, id, "dependency-remove", context([("description", description.into())]));
    }

    /// The job has started: those after its start may go on.
    pub(super) fn depend_on_start(&mut self, cx: &mut Cx<'_>, target: JobId) {
        let Some(list) = self.depend.after.get_mut(&target) else { return };
        let (ready, rest): (Vec<Waiting>, Vec<Waiting>) =
            std::mem::take(list).into_iter().partition(|waiting| waiting.after == After::Start);
        *list = rest;
        if list.is_empty() {
            self.depend.after.remove(&target);
        }
        for waiting in ready {
            self.satisfy(cx, waiting.job, &waiting.description);
        }
    }

    /// The job is inactive: those after its end go on, or never will.
    pub(super) fn depend_on_inactive(&mut self, cx: &mut Cx<'_>, target: &Job) {
        if self.depend.is_empty() {
            return;
        }
        self.depend.forget(target.id);
        let ended = Ended::of(target);
        for waiting in self.depend.after.remove(&target.id).unwrap_or_default() {
            match waiting.after.satisfied_by(&ended, &target.id.to_string()) {
                Ok(()) => self.satisfy(cx, waiting.job, &waiting.description),
                Err(_) => {
                    let why = if target.started { "can never be satisfied" } else { "job never started" };
                    let note = format!("dependency {} {why}", waiting.description);
                    self.raise_dependency(cx, waiting.job, 0, &note);
                }
            }
        }
        let freed: Vec<JobId> =
            self.depend.singletons.iter().copied().filter(|id| !self.namesake_before(*id)).collect();
        for id in freed {
            self.depend.singletons.remove(&id);
            self.satisfy(cx, id, "singleton");
        }
    }

    /// The job was never there: those after it wait for nothing.
    pub(super) fn depend_on_forgotten(&mut self, cx: &mut Cx<'_>, target: JobId) {
        self.depend.forget(target);
        for waiting in self.depend.after.remove(&target).unwrap_or_default() {
            let note = format!("dependency {} can never be satisfied", waiting.description);
            self.raise_dependency(cx, waiting.job, 0, &note);
        }
    }

    /// `begin-time`s that have come.
    pub(super) fn depend_on_timer(&mut self, cx: &mut Cx<'_>) {
        let now = wall_us(cx.now);
        while self.depend.times.first().is_some_and(|(at, _, _)| *at <= now) {
            let (_, id, description) = self.depend.times.pop_first().expect("just seen");
            self.satisfy(cx, id, &description);
        }
    }
}

pub(super) fn wall_us(now: Now) -> u64 {
    now.wall.0.as_micros() as u64
}
