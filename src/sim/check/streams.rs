//! Streams of eventlogs: each event once, in its order, and all of them.

use std::collections::{BTreeMap, BTreeSet};

use flux_broker::ConnId;
use flux_types::JobId;

#[derive(Debug)]
struct Stream {
    job: JobId,
    lines: Vec<String>,
    known: BTreeSet<String>,
    /// It ended as it should, in that life of rank 0.
    complete: Option<u32>,
}

#[derive(Debug, Default)]
pub(crate) struct Streams {
    all: BTreeMap<(ConnId, u32), Stream>,
}

impl Streams {
    pub(crate) fn begin(&mut self, stream: (ConnId, u32), job: JobId) {
        let new = Stream { job, lines: Vec::new(), known: BTreeSet::new(), complete: None };
        self.all.insert(stream, new);
    }

    /// Answers what is wrong with it.
    pub(crate) fn heard(&mut self, stream: (ConnId, u32), line: &str) -> Option<String> {
        let known = self.all.get_mut(&stream)?;
        known.lines.push(line.to_owned());
        (!known.known.insert(line.to_owned())).then(|| format!("the stream of job {} tells twice: {line}", known.job))
    }

    /// It ended as it should, in that life of rank 0.
    pub(crate) fn ended(&mut self, stream: (ConnId, u32), life: u32) {
        if let Some(known) = self.all.get_mut(&stream) {
            known.complete = Some(life);
        }
    }

    /// `log` finds the eventlog of a job as it is in the end. What was told before the last life of rank 0 may have been lost
    /// with it: watchers do not wait for the disk (ADR 2).
    pub(super) fn judge<'a>(&self, life: u32, log: impl Fn(JobId) -> Option<&'a str>) -> Vec<String> {
        let mut wrong = Vec::new();
        for stream in self.all.values().filter(|stream| stream.complete == Some(life)) {
            let Some(log) = log(stream.job) else { continue };
            let told = stream.lines.concat();
            if told != log {
                wrong.push(format!("the stream of job {} told {told:?}, but its eventlog is {log:?}", stream.job));
            }
        }
        wrong
    }
}
