//! Following many jobs at once, without doing it: their events come in, requests and output go out.

use std::collections::BTreeMap;

use flux_types::JobId;
use flux_types::eventlog::Entry;
use serde_json::Value;

use super::progress::{Counts, Phase};
use super::sinks::Sink;
use crate::job::attach::{Log, decode_data};
use crate::jobid::shown;

/// What is wanted of every job.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// Print output.
    pub(crate) output: bool,
    pub(crate) label_io: bool,
    /// Print every event.
    pub(crate) log_events: bool,
    /// Print how each job ended.
    pub(crate) log_status: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    Watch(JobId, Log),
    Stop(JobId, Log),
    Print(Sink, Vec<u8>),
}

#[derive(Debug)]
struct Job {
    /// The event after which the job is of no more interest; `None`: the end of its log.
    until: Option<String>,
    out: Sink,
    err: Sink,
    phase: Phase,
    started: bool,
    watching: Vec<Log>,
}

/// All jobs under watch.
#[derive(Debug)]
pub(crate) struct Watcher {
    wishes: Wishes,
    jobs: BTreeMap<JobId, Job>,
    /// When the first job was submitted, as far as is known.
    zero: Option<f64>,
    exit_code: u8,
    pub(crate) counts: Counts,
}

impl Watcher {
    pub(crate) fn new(wishes: Wishes) -> Watcher {
        Watcher { wishes, jobs: BTreeMap::new(), zero: None, exit_code: 0, counts: Counts::default() }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// Jobs that are still of interest.
    pub(crate) fn active(&self) -> usize {
        self.jobs.len()
    }

    pub(crate) fn add(&mut self, id: JobId, until: Option<String>, out: Sink, err: Sink, effects: &mut Vec<Effect>) {
        let job = Job { until, out, err, phase: Phase::Pending, started: false, watching: vec![Log::Main] };
        self.jobs.insert(id, job);
        self.counts.added();
        effects.push(Effect::Watch(id, Log::Main));
    }

    /// Lines of one of a job's logs.
    pub(crate) fn on_event(&mut self, id: JobId, log: Log, text: &str, effects: &mut Vec<Effect>) {
        for line in text.lines() {
            let Some(job) = self.jobs.get(&id).filter(|job| job.watching.contains(&log)) else { return };
            let (out, err) = (job.out, job.err);
            match (log, Entry::parse(line)) {
                (Log::Main, Ok(entry)) => self.on_main(id, &entry, effects),
                (Log::Exec, Ok(entry)) => self.on_exec(id, &entry, effects),
                (Log::Output, Ok(entry)) => self.on_output(id, &entry, out, err, effects),
                (_, Err(error)) => effects.push(Effect::Print(err, format!("{}: {error}\n", shown(id)).into_bytes())),
            }
        }
    }

    /// One of a job's logs has ended, or cannot be read (`why`).
    pub(crate) fn on_end(&mut self, id: JobId, log: Log, why: Option<&str>, effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.watching.retain(|known| *known != log);
        if let (Log::Main, Some(why)) = (log, why) {
            effects.push(Effect::Print(job.err, format!("{}: {why}\n", shown(id)).into_bytes()));
            self.exit_code = self.exit_code.max(1);
        }
        self.forget_if_done(id);
    }

    fn forget_if_done(&mut self, id: JobId) {
        if self.jobs.get(&id).is_some_and(|job| job.watching.is_empty()) {
            self.jobs.remove(&id);
            self.counts.done();
        }
    }

    fn watch(&mut self, id: JobId, log: Log, effects: &mut Vec<Effect>) {
        if let Some(job) = self.jobs.get_mut(&id).filter(|job| !job.watching.contains(&log)) {
            job.watching.push(log);
            effects.push(Effect::Watch(id, log));
        }
    }

    /// Gives up the logs named; the job stays while others are followed.
    fn stop(&mut self, id: JobId, logs: &[Log], effects: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        for log in logs {
            if job.watching.contains(log) {
                effects.push(Effect::Stop(id, *log));
            }
        }
        job.watching.retain(|log| !logs.contains(log));
        self.forget_if_done(id);
    }

    fn say(&self, id: JobId, at: f64, text: &str, effects: &mut Vec<Effect>) {
        if let Some(job) = self.jobs.get(&id) {
            let since = at - self.zero.unwrap_or(at);
            effects.push(Effect::Print(job.err, format!("{}: {since:.3}s: {text}\n", shown(id)).into_bytes()));
        }
    }

    fn log_event(&self, id: JobId, prefix: &str, entry: &Entry, effects: &mut Vec<Effect>) {
        if self.wishes.log_events {
            let context = entry.context.as_ref().map(|context| sorted(context).to_string()).unwrap_or_default();
            self.say(id, entry.timestamp, &format!("{prefix}{} {context}", entry.name), effects);
        }
    }

    fn on_main(&mut self, id: JobId, entry: &Entry, effects: &mut Vec<Effect>) {
        if self.zero.is_none_or(|zero| entry.timestamp < zero) {
            self.zero = Some(entry.timestamp);
        }
        self.log_event(id, "", entry, effects);
        match entry.name.as_str() {
            "exception" => self.on_exception(id, entry, effects),
            "alloc" => self.enter(id, Phase::Running),
            "start" => {
                let Some(job) = self.jobs.get_mut(&id) else { return };
                job.started = true;
                let of_shell = job.until.as_deref().is_some_and(|until| until.starts_with("exec."));
                if self.wishes.output || of_shell {
                    self.watch(id, Log::Exec, effects);
                }
            }
            "finish" => self.on_finish(id, entry, effects),
            _ => {}
        }
        if self.jobs.get(&id).is_some_and(|job| job.until.as_deref() == Some(entry.name.as_str())) {
            self.stop(id, &[Log::Main], effects);
        }
    }

    fn enter(&mut self, id: JobId, phase: Phase) {
        if let Some(job) = self.jobs.get_mut(&id) {
            self.counts.moved(job.phase, phase);
            job.phase = phase;
        }
    }

    fn on_exception(&mut self, id: JobId, entry: &Entry, effects: &mut Vec<Effect>) {
        if entry.get("severity").and_then(Value::as_i64) != Some(0) {
            return;
        }
        let Some(job) = self.jobs.get(&id) else { return };
        let text = |key| entry.get(key).and_then(Value::as_str).unwrap_or("");
        let line = format!("job.exception: type={} severity=0 {}\n", text("type"), text("note"));
        effects.push(Effect::Print(job.err, line.into_bytes()));
        if !job.started {
            self.exit_code = self.exit_code.max(1);
            self.enter(id, Phase::Failed);
        }
    }

    fn on_finish(&mut self, id: JobId, entry: &Entry, effects: &mut Vec<Effect>) {
        let status = entry.get("status").and_then(Value::as_i64).unwrap_or(0);
        let (code, _) = crate::job::attach::exit_of_status(status as i32);
        self.exit_code = self.exit_code.max(code);
        let (phase, word) = if status == 0 { (Phase::Complete, "complete") } else { (Phase::Failed, "failed") };
        self.enter(id, phase);
        if self.wishes.log_status {
            self.say(id, entry.timestamp, &format!("{word}: status={status}"), effects);
        }
    }

    fn on_exec(&mut self, id: JobId, entry: &Entry, effects: &mut Vec<Effect>) {
        self.log_event(id, "exec.", entry, effects);
        let until = self.jobs.get(&id).and_then(|job| job.until.as_deref()?.strip_prefix("exec.")).map(str::to_owned);
        if self.wishes.output && entry.name == "shell.init" {
            self.watch(id, Log::Output, effects);
            if until.is_none() {
                self.stop(id, &[Log::Exec], effects);
            }
        }
        if until.as_deref() == Some(entry.name.as_str()) {
            self.stop(id, &[Log::Exec, Log::Main], effects);
        }
    }

    fn on_output(&mut self, id: JobId, entry: &Entry, out: Sink, err: Sink, effects: &mut Vec<Effect>) {
        let text = |key| entry.get(key).and_then(Value::as_str);
        let number = |key| entry.get(key).and_then(Value::as_i64);
        match entry.name.as_str() {
            "data" => {
                let Some(data) = entry.context.as_ref().and_then(decode_data) else { return };
                if data.bytes.is_empty() {
                    return;
                }
                let sink = if data.stream == "stdout" { out } else { err };
                let bytes = match self.wishes.label_io {
                    true => labelled(&format!("{}: {}: ", shown(id), data.rank), &data.bytes),
                    false => data.bytes.into_owned(),
                };
                effects.push(Effect::Print(sink, bytes));
            }
            "redirect" => {
                let to = text("path").map(|path| format!(" to {path}")).unwrap_or_default();
                let (rank, stream) = (text("rank").unwrap_or("?"), text("stream").unwrap_or("?"));
                effects.push(Effect::Print(err, format!("{rank}: {stream} redirected{to}\n").into_bytes()));
            }
            "log" => {
                const LEVELS: [&str; 8] = ["FATAL", "FATAL", "FATAL", "ERROR", " WARN", "", "DEBUG", "TRACE"];
                let level = number("level").and_then(|level| usize::try_from(level).ok());
                let level = level.and_then(|level| LEVELS.get(level)).copied().unwrap_or("");
                let mut line = "flux-shell".to_owned();
                if let Some(rank) = number("rank") {
                    line.push_str(&format!("[{rank}]"));
                }
                for part in [level, text("component").unwrap_or(""), text("message").unwrap_or("")] {
                    if !part.is_empty() {
                        line.push_str(&format!(": {part}"));
                    }
                }
                effects.push(Effect::Print(err, format!("{line}\n").into_bytes()));
            }
            _ => {}
        }
    }
}

/// The label before each line; the last line is ended if it was not.
fn labelled(label: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + label.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(label.as_bytes());
        out.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            out.push(b'\n');
        }
    }
    out
}

/// Events are logged with their keys in order.
fn sorted(context: &serde_json::Map<String, Value>) -> Value {
    let ordered: BTreeMap<_, _> = context.iter().collect();
    ordered.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect::<serde_json::Map<_, _>>().into()
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
