//! Plays a trace: submits each job at its time, and hears from the job manager's journal what becomes of it.

use crate::instance::{Instance, since_start};
use crate::limits::{IDLE_TIMER_COUNT_MAX, SILENT_HOURS_MAX};
use crate::machine::{Machine, OWNER};
use crate::report::Report;
use crate::trace::TraceJob;
use flux_service::Fault;
use flux_types::JobId;
use flux_wire::{Flags, Message};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the journal has told of a job.
#[derive(Debug, Default)]
struct Fate {
    /// Its place in the trace, once its submission was answered.
    index: Option<usize>,
    /// It waits for nothing but resources.
    is_queued: bool,
    start: Option<i64>,
    r: Value,
    is_free: bool,
}

struct Play<'m, 't> {
    instance: Instance<'m>,
    jobs: &'t [TraceJob],
    /// Submissions that are not answered yet.
    asked: BTreeMap<u32, usize>,
    journal: u32,
    fates: BTreeMap<JobId, Fate>,
    running_count: usize,
    done_count: usize,
    report: Report,
}

/// Runs a trace to its end. Jobs that can never run are left out and listed. `told` hears now and then how many jobs are over.
///
/// # Errors
/// What is wrong with the machine or its configuration; or the instance fails.
pub fn simulate(machine: &Machine, jobs: &[TraceJob], told: &mut dyn FnMut(usize)) -> Result<Report, String> {
    let graph = machine.graph()?;
    let mut instance = Instance::boot(machine, machine.broker(&graph)?)?;
    let journal = follow(&mut instance);
    instance.settle()?;
    if !instance.complaints.is_empty() {
        return Err(instance.complaints.join("; "));
    }
    let report = Report::new(&graph, jobs);
    drop(graph);
    let (asked, fates) = (BTreeMap::new(), BTreeMap::new());
    let mut play = Play { instance, jobs, asked, journal, fates, running_count: 0, done_count: 0, report };
    play.run(told)?;
    Ok(play.end())
}

/// Asks for the journal: only what moves a job.
fn follow(instance: &mut Instance<'_>) -> u32 {
    let names = ["depend", "priority", "exception", "alloc", "free", "clean"];
    let allow: serde_json::Map<String, Value> = names.iter().map(|name| ((*name).into(), json!(1))).collect();
    instance.ask("job-manager.queue-start", 0, json!({"all": true, "start": true}));
    instance.ask("job-manager.events-journal", Flags::STREAMING, json!({"allow": allow}))
}

impl Play<'_, '_> {
    fn run(&mut self, told: &mut dyn FnMut(usize)) -> Result<(), String> {
        let mut order: Vec<usize> = (0..self.jobs.len()).collect();
        order.sort_by_key(|at| self.jobs[*at].submit);
        let due = |at: &usize| Duration::from_secs(u64::try_from(self.jobs[*at].submit).unwrap_or(0));
        let mut arrivals = order.iter().map(|at| (due(at), *at)).collect::<Vec<_>>().into_iter().peekable();
        let (mut silent_since, mut idle_count) = (Duration::ZERO, 0);
        loop {
            while let Some((_, index)) = arrivals.next_if(|(when, _)| *when <= self.instance.now()) {
                self.submit(index);
            }
            self.instance.settle()?;
            if self.hear() {
                told(self.done_count);
                (silent_since, idle_count) = (self.instance.now(), 0);
            }
            let next = arrivals.peek().map(|(when, _)| *when);
            let has_ended = next.is_none() && self.asked.is_empty() && self.done_count == self.fates.len();
            let silence = self.instance.now().saturating_sub(silent_since);
            idle_count += 1;
            if has_ended || (next.is_none() && self.is_stuck(silence, idle_count)) {
                return Ok(());
            }
            match next.into_iter().chain(self.instance.next_timer()).min() {
                Some(when) => self.instance.pass(when),
                None => return Ok(()),
            }
        }
    }

    /// Nothing runs, and what waits has waited long enough to wait for ever.
    fn is_stuck(&self, silence: Duration, idle_count: usize) -> bool {
        let is_long = silence > Duration::from_secs(SILENT_HOURS_MAX * 3600);
        let mut waiting = self.fates.values().filter(|fate| !fate.is_free);
        self.running_count == 0
            && (idle_count > IDLE_TIMER_COUNT_MAX || (is_long && waiting.all(|fate| fate.is_queued)))
    }

    fn submit(&mut self, index: usize) {
        let job = &self.jobs[index];
        let mut jobspec: Value = serde_json::from_str(&job.jobspec).unwrap_or_default();
        // It runs no shell, only a clock.
        jobspec["attributes"]["system"]["exec"] = json!({"test": {"run_duration": format!("{}s", job.run_time)}});
        let signed = flux_sign::wrap_none(OWNER, jobspec.to_string().as_bytes());
        let body = json!({"J": signed, "urgency": job.urgency, "flags": 0});
        let tag = self.instance.ask("job-ingest.submit", 0, body);
        self.asked.insert(tag, index);
    }

    /// Takes what the instance has said. Whether it was anything.
    fn hear(&mut self) -> bool {
        let heard = self.instance.hear();
        let is_news = !heard.is_empty();
        // Which job it is comes before what becomes of it.
        let (journal, answers): (Vec<_>, Vec<_>) = heard.into_iter().partition(|m| m.matchtag() == self.journal);
        for message in answers {
            if let Some(index) = self.asked.remove(&message.matchtag()) {
                self.answered(index, &message);
            }
        }
        for message in journal {
            self.journal_says(&message.decode().unwrap_or_default());
        }
        is_news
    }

    fn answered(&mut self, index: usize, message: &Message) {
        if let Some(fault) = Fault::of(message) {
            return self.report.reject(self.jobs[index].id, fault.message());
        }
        let body: Value = message.decode().unwrap_or_default();
        if let Some(id) = body["id"].as_u64() {
            self.fates.entry(JobId(id)).or_default().index = Some(index);
        }
    }

    fn journal_says(&mut self, body: &Value) {
        let Some(id) = body["id"].as_u64().map(JobId) else { return };
        let fate = self.fates.entry(id).or_default();
        for event in body["events"].as_array().into_iter().flatten() {
            let when = since_start(event["timestamp"].as_f64().unwrap_or(0.0));
            match event["name"].as_str() {
                Some("priority") => fate.is_queued = true,
                Some("alloc") => {
                    (fate.start, fate.r) = (Some(when), body["R"].clone());
                    self.running_count += 1;
                }
                Some("exception") if event["context"]["severity"] == 0 && fate.start.is_none() => {
                    let Some(index) = fate.index else { continue };
                    let note = event["context"]["note"].as_str().unwrap_or_default();
                    self.report.reject(self.jobs[index].id, note.to_owned());
                }
                Some("free") => {
                    self.running_count -= 1;
                    if let (Some(index), Some(start)) = (fate.index, fate.start) {
                        self.report.place(self.jobs[index].id, start, when, &fate.r.take());
                    }
                }
                Some("clean") => {
                    fate.is_free = true;
                    self.done_count += 1;
                }
                _ => {}
            }
        }
    }

    fn end(mut self) -> Report {
        let left = self.fates.values().filter(|fate| !fate.is_free).filter_map(|fate| fate.index);
        self.report.never_started = left.map(|index| self.jobs[index].id).collect();
        self.report
    }
}
