//! Counts of jobs by state and result, for all and for each queue (`job-list.job-stats`).

use std::collections::BTreeMap;
use std::sync::Arc;

use flux_types::{JobResult, JobState};
use serde_json::{Map, Value, json};

use super::record::Record;

/// One set of counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// By the position of a state's bit.
    states: [u64; 7],
    results: [u64; 4],
    purged: u64,
}

impl Counts {
    fn add(&mut self, job: &Record, up: bool) {
        if job.state == JobState::New {
            return;
        }
        step(&mut self.states[job.state.bit().trailing_zeros() as usize], up);
        if job.state == JobState::Inactive {
            step(&mut self.results[job.result().bit().trailing_zeros() as usize], up);
        }
    }

    fn result(&self, result: JobResult) -> u64 {
        self.results[result.bit().trailing_zeros() as usize]
    }

    fn encode(&self, name: Option<&str>) -> Value {
        let mut states = Map::new();
        for state in JobState::ALL.into_iter().skip(1) {
            let count = self.states[state.bit().trailing_zeros() as usize];
            states.insert(state.name().to_ascii_lowercase(), count.into());
        }
        states.insert("total".into(), self.states.iter().sum::<u64>().into());
        let mut out = json!({"job_states": states, "successful": self.result(JobResult::Completed),
                             "failed": self.result(JobResult::Failed), "canceled": self.result(JobResult::Canceled),
                             "timeout": self.result(JobResult::Timeout), "inactive_purged": self.purged});
        if let (Some(name), Some(object)) = (name, out.as_object_mut()) {
            object.insert("name".into(), name.into());
        }
        out
    }
}

fn step(count: &mut u64, up: bool) {
    *count = if up { *count + 1 } else { count.checked_sub(1).expect("what is taken away was counted") };
}

/// All counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stats {
    all: Counts,
    queues: BTreeMap<Arc<str>, Counts>,
}

impl Stats {
    /// Counts a job in its present state, queue and result.
    pub(super) fn add(&mut self, job: &Record) {
        self.all.add(job, true);
        if let Some(queue) = &job.queue {
            self.queues.entry(queue.clone()).or_default().add(job, true);
        }
    }

    /// Undoes `add` of the same job, unchanged since.
    pub(super) fn remove(&mut self, job: &Record) {
        self.all.add(job, false);
        if let Some(counts) = job.queue.as_ref().and_then(|queue| self.queues.get_mut(queue)) {
            counts.add(job, false);
        }
    }

    pub(super) fn purge(&mut self, job: &Record) {
        self.remove(job);
        self.all.purged += 1;
        if let Some(counts) = job.queue.as_ref().and_then(|queue| self.queues.get_mut(queue)) {
            counts.purged += 1;
        }
    }

    pub(super) fn encode(&self) -> Value {
        let mut out = self.all.encode(None);
        let queues: Vec<Value> = self.queues.iter().map(|(name, counts)| counts.encode(Some(name))).collect();
        out.as_object_mut().expect("an object").insert("queues".into(), Value::Array(queues));
        out
    }
}
