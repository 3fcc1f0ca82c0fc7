//! Jobs: none that was acknowledged is lost, and the eventlog of each is a walk through the states of RFC 21.

use std::collections::BTreeMap;
use std::time::Duration;

use flux_types::JobId;
use serde_json::Value;

use super::exec::Exec;
use crate::deeds::time_of;
use crate::world::WALL_START;

#[derive(Debug, Default)]
struct Job {
    eventlog: Option<String>,
    over: bool,
    output: Option<String>,
    userid: u32,
    /// What it waits for, and how.
    after: Option<(JobId, &'static str)>,
    /// Orders that were acknowledged, as the events that they made.
    orders: BTreeMap<&'static str, usize>,
}

#[derive(Debug, Default)]
pub(crate) struct Jobs {
    /// Who submitted it, and what it waits for.
    submits: Vec<(u32, Option<(JobId, &'static str)>)>,
    jobs: BTreeMap<JobId, Job>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Begin,
    New,
    Depend,
    Priority,
    Sched,
    Run,
    Cleanup,
    Inactive,
}

/// RFC 21, "State Diagram": what leads from where to where. Events that may come anywhere are handled apart.
const STEPS: &[(State, &str, State)] = &[
    (State::Begin, "submit", State::New),
    (State::New, "validate", State::Depend),
    (State::Depend, "depend", State::Priority),
    (State::Priority, "priority", State::Sched),
    (State::Sched, "priority", State::Sched),
    (State::Sched, "flux-restart", State::Priority),
    (State::Priority, "flux-restart", State::Priority),
    (State::Sched, "alloc", State::Run),
    (State::Run, "start", State::Run),
    (State::Run, "finish", State::Cleanup),
    (State::Cleanup, "start", State::Cleanup),
    (State::Cleanup, "finish", State::Cleanup),
    (State::Cleanup, "release", State::Cleanup),
    (State::Run, "release", State::Run),
    (State::Cleanup, "free", State::Cleanup),
    (State::Cleanup, "clean", State::Inactive),
];

/// Events that change no state (RFC 21), in any state but the last.
const ANYWHERE: &[&str] = &[
    "annotations",
    "memo",
    "urgency",
    "debug",
    "jobspec-update",
    "resource-update",
    "set-flags",
    "dependency-add",
    "dependency-remove",
    "prolog-start",
    "prolog-finish",
    "epilog-start",
    "epilog-finish",
];
/// These happen once at most.
const ONCE: &[&str] = &["submit", "validate", "depend", "alloc", "start", "finish", "free", "clean"];

/// What an eventlog tells.
#[derive(Debug, Default)]
struct Story {
    counts: BTreeMap<String, usize>,
    fatal: bool,
    /// A fatal exception came first, or the job had no success.
    failed: bool,
    status: Option<i64>,
    released: bool,
    outside: bool,
    /// Prologs and epilogs that have begun and not ended.
    perilogs: i64,
}

fn walk(log: &str) -> Result<(State, Story), String> {
    let (mut state, mut story, mut last) = (State::Begin, Story::default(), 0.0);
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).map_err(|error| format!("{line:?} is no entry: {error}"))?;
        let name = entry["name"].as_str().ok_or_else(|| format!("{line:?} has no name"))?;
        let stamp = entry["timestamp"].as_f64().ok_or_else(|| format!("{line:?} has no timestamp"))?;
        if state == State::Inactive {
            return Err(format!("{name} comes after clean"));
        }
        if stamp + 1e-6 < last {
            return Err(format!("{name} is older than what stands before it"));
        }
        last = stamp;
        let count = story.counts.entry(name.to_owned()).or_default();
        *count += 1;
        if *count > 1 && ONCE.contains(&name) {
            return Err(format!("{name} comes twice"));
        }
        let context = &entry["context"];
        if name == "exception" {
            let kind = context["type"].as_str().unwrap_or("");
            *story.counts.entry(format!("exception:{kind}")).or_default() += 1;
        }
        match name {
            "exception" if context["note"].as_str().is_some_and(|note| note.starts_with("the scheduler erred")) => {
                return Err("the scheduler gave what another job has; only the resource service noticed".into());
            }
            "exception" if context["severity"] == 0 => {
                // Its resources are not the scheduler's: there is nothing to be given back.
                story.outside |= context["type"] == "scheduler-restart";
                story.fatal = true;
                story.failed |= story.status.is_none();
                state = State::Cleanup;
            }
            "exception" => {}
            _ if ANYWHERE.contains(&name) || name.starts_with("debug.") => {}
            "finish" if !story.counts.contains_key("start") && !story.fatal => {
                return Err("finish without start".into());
            }
            _ => {
                let step = STEPS.iter().find(|(from, event, _)| *from == state && *event == name);
                let Some((_, _, to)) = step else { return Err(format!("{name} cannot come in state {state:?}")) };
                state = *to;
            }
        }
        match name {
            "prolog-start" | "epilog-start" => story.perilogs += 1,
            "prolog-finish" | "epilog-finish" => story.perilogs -= 1,
            "start" if story.perilogs > 0 && state == State::Run => return Err("start during a prolog".into()),
            "free" if story.perilogs > 0 => return Err("free during an epilog".into()),
            "finish" => story.status = context["status"].as_i64(),
            "release" => story.released |= context["final"] == true,
            "free" if !story.counts.contains_key("alloc") => return Err("free without alloc".into()),
            "clean" if story.counts.contains_key("alloc") && !story.counts.contains_key("free") && !story.outside => {
                return Err("clean before the resources are free".into());
            }
            "free" if story.counts.contains_key("start") && !story.released => {
                return Err("free before the last release".into());
            }
            _ => {}
        }
    }
    Ok((state, story))
}

/// When the first event of that name happened.
fn first(log: &str, name: &str) -> Option<f64> {
    let entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    entries.into_iter().find(|entry| entry["name"] == name)?["timestamp"].as_f64()
}

impl Jobs {
    pub(crate) fn begin_submit(&mut self, userid: u32, after: Option<(JobId, &'static str)>) -> usize {
        self.submits.push((userid, after));
        self.submits.len() - 1
    }

    pub(crate) fn submitted(&mut self, submit: usize, id: Option<JobId>) {
        let (userid, after) = self.submits[submit];
        if let Some(id) = id {
            self.jobs.insert(id, Job { userid, after, ..Job::default() });
        }
    }

    /// Jobs that this user may not look at.
    pub(crate) fn of_others(&self, userid: u32) -> Vec<JobId> {
        self.jobs.iter().filter(|(_, job)| job.userid != userid).map(|(id, _)| *id).collect()
    }

    pub(super) fn final_log(&self, id: JobId) -> Option<&str> {
        self.jobs.get(&id).filter(|job| job.over)?.eventlog.as_deref()
    }

    /// When jobs got their resources.
    pub(super) fn grants(&self) -> Vec<(JobId, Duration)> {
        let of = |id: &JobId| Some((*id, time_of(first(self.final_log(*id)?, "alloc")?, WALL_START)));
        self.jobs.keys().filter_map(of).collect()
    }

    /// Jobs that wait for others begin when those are where they should be (flux-submit(1), DEPENDENCIES).
    pub(super) fn judge_order(&self, exec: &Exec) -> Vec<String> {
        let mut wrong = Vec::new();
        for (id, job) in &self.jobs {
            let Some((first_id, scheme)) = job.after else { continue };
            let (Some(log), Some(other)) = (self.final_log(*id), self.final_log(first_id)) else { continue };
            let Some(begun) = first(log, "depend").filter(|_| !exec.uncertain.contains(&first_id)) else { continue };
            let Ok((_, story)) = walk(other) else { continue };
            let good = story.status == Some(0) && !story.failed;
            let (event, fits) = match scheme {
                "after" => ("start", true),
                "afterok" => ("clean", good),
                "afternotok" => ("clean", !good),
                _ => ("clean", true),
            };
            let at = first(other, event);
            // A job that ended before it started satisfies none that waits for its start, and fails it.
            if !fits || at.is_none_or(|at| begun + 1e-6 < at) {
                wrong.push(format!("job {id} went on ({scheme} {first_id}): {log} but the other: {other}"));
            }
        }
        wrong
    }

    pub(crate) fn acked(&self) -> Vec<JobId> {
        self.jobs.keys().copied().collect()
    }

    /// Jobs that are not known to be over.
    pub(crate) fn open(&self) -> Vec<JobId> {
        self.jobs.iter().filter(|(_, job)| !job.over).map(|(id, _)| *id).collect()
    }

    pub(crate) fn eventlog_of(&self, id: JobId) -> &str {
        self.jobs[&id].eventlog.as_deref().unwrap_or("")
    }

    pub(crate) fn state_of(&self, id: JobId) -> String {
        let log = self.jobs[&id].eventlog.as_deref().unwrap_or("");
        match walk(log) {
            Ok((state, _)) => format!("{state:?}"),
            Err(why) => why,
        }
    }

    /// What was acknowledged is in the log, whatever happens next.
    pub(crate) fn ordered(&mut self, id: JobId, event: &'static str) {
        if let Some(job) = self.jobs.get_mut(&id) {
            *job.orders.entry(event).or_default() += 1;
        }
    }

    pub(crate) fn eventlog(&mut self, id: JobId, log: Option<&str>) -> Result<(), String> {
        let log = log.ok_or_else(|| format!("job {id} was acknowledged and is not there"))?;
        let (state, story) = walk(log).map_err(|why| format!("the eventlog of {id}: {why}: {log}"))?;
        let job = self.jobs.get_mut(&id).expect("it was asked for");
        for (event, orders) in &job.orders {
            let there = story.counts.get(*event).copied().unwrap_or(0);
            if there < *orders {
                return Err(format!(
                    "{orders} orders of {id} for {event} were acknowledged, {there} are in its log: {log}"
                ));
            }
        }
        job.over = state == State::Inactive;
        job.eventlog = Some(log.to_owned());
        Ok(())
    }

    pub(crate) fn output(&mut self, id: JobId, text: Option<&str>) {
        self.jobs.get_mut(&id).expect("it was asked for").output = text.map(str::to_owned);
    }

    pub(crate) fn judge(&self, exec: &Exec) -> Vec<String> {
        let mut wrong = Vec::new();
        for (id, job) in &self.jobs {
            let Some(log) = &job.eventlog else { continue };
            let Ok((_, story)) = walk(log) else { continue };
            wrong.extend(judge_end(*id, &story, exec).map(|text| format!("job {id}: {text}: {log}")));
            wrong.extend(judge_output(*id, job, &story, exec).map(|text| format!("job {id}: {text}")));
        }
        wrong
    }
}

/// The end that the eventlog tells is the one that the shells had.
fn judge_end(id: JobId, story: &Story, exec: &Exec) -> Option<String> {
    let shells = exec.shells_of(id);
    let ends: Vec<i32> = exec.finished.range((id, 0)..=(id, u32::MAX)).map(|(_, status)| *status).collect();
    let status = story.status?;
    if shells == 0 || exec.uncertain.contains(&id) {
        return None; // It ran on a clock only, or was ended before it ran.
    }
    let greatest = ends.iter().copied().max().unwrap_or(0);
    if status == 0 && (greatest != 0 || ends.len() < shells) {
        return Some(format!("it counts as a success, but its shells ended with {ends:?} of {shells}"));
    }
    if !story.fatal && (ends.len() < shells || i64::from(greatest) != status) {
        return Some(format!(
            "it ended with status {status} and no exception, but its shells with {ends:?} of {shells}"
        ));
    }
    None
}

/// Each line that a task printed is there once, in its order; all of them if nothing ended the job early.
fn judge_output(id: JobId, job: &Job, story: &Story, exec: &Exec) -> Option<String> {
    let mut next: BTreeMap<u32, u64> = BTreeMap::new();
    for line in job.output.as_deref().unwrap_or("").lines() {
        let Ok(entry) = serde_json::from_str::<Value>(line) else { return Some(format!("its output has {line:?}")) };
        if entry["name"] != "data" {
            continue;
        }
        let text = entry["context"]["data"].as_str().unwrap_or("").trim();
        let (rank, number) = text.split_once(':')?;
        let (rank, number): (u32, u64) = (rank.parse().ok()?, number.parse().ok()?);
        let want = next.entry(rank).or_insert(0);
        *want += 1;
        if number != *want && !exec.uncertain.contains(&id) {
            return Some(format!("line {number} of shell {rank} stands where {want} was next"));
        }
    }
    if story.fatal || story.status.is_none() || exec.uncertain.contains(&id) {
        return None;
    }
    for ((_, rank), printed) in exec.printed.range((id, 0)..=(id, u32::MAX)) {
        let there = next.get(rank).copied().unwrap_or(0);
        if there != *printed {
            return Some(format!("shell {rank} printed {printed} lines and {there} are there"));
        }
    }
    None
}
