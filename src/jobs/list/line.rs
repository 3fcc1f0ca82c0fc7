//! Finished jobs as lines of text, and back ([`crate::finished`]).

use std::sync::Arc;

use flux_types::{JobId, JobState, StateSet, eventlog};
use serde_json::Value;

use super::record::{Exception, Outlines, Pool, Record, Times};
use crate::finished::Line;
use crate::manager::Values;

/// Makes lines. Jobs that are alike come one after another.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    outlines: Outlines,
    values: Values,
}

impl Lines {
    /// A jobspec's text as a value.
    pub(crate) fn spec(&mut self, text: &Arc<str>) -> Arc<Value> {
        self.values.of(text)
    }

    /// What its eventlog, jobspec and R tell of a job that became inactive at `clean`.
    pub(crate) fn line(
        &mut self,
        id: JobId,
        jobspec: &Arc<Value>,
        resources: Option<&Value>,
        log: &str,
        (clean, bits): (u64, u8),
    ) -> String {
        let mut pool = Pool::default();
        let mut job = Record::new(id);
        job.set_jobspec(&mut pool, self.outlines.of(jobspec), jobspec);
        for entry in eventlog::entries(log).filter_map(|entry| entry.ok()?.to_entry().ok()) {
            if let (Some(resources), "alloc") = (resources, entry.name.as_str()) {
                job.set_resources(&mut pool, resources);
            }
            job.apply(&mut pool, &entry);
        }
        of_record(job, clean, bits).encode()
    }
}

fn of_record(job: Record, clean: u64, bits: u8) -> Line {
    let times = &job.times;
    Line {
        id: job.id.0,
        userid: job.userid,
        clean,
        bits,
        urgency: job.urgency,
        priority: job.priority,
        seen: job.seen.bits(),
        times: [times.submit, times.depend, times.priority, times.sched, times.run, times.cleanup, times.inactive],
        success: job.success,
        waitstatus: job.wait_status,
        name: job.name,
        cwd: job.cwd,
        queue: job.queue,
        project: job.project,
        bank: job.bank,
        ranks: job.ranks,
        nodelist: job.nodelist,
        ntasks: job.ntasks,
        ncores: job.ncores,
        nnodes: job.nnodes,
        duration: job.duration,
        expiration: job.expiration,
        exception: job.exception.map(|exception| (exception.severity, exception.kind, exception.note)),
        annotations: job.annotations.map(|annotations| *annotations),
        dependencies: job.dependencies,
    }
}

impl Record {
    /// `None` if the line is not of a finished job.
    pub(super) fn of_line(pool: &mut Pool, line: &str) -> Option<Record> {
        let line: Line = serde_json::from_str(line).ok()?;
        let mut shared = |text: Option<Arc<str>>| text.map(|text| pool.get(&text));
        let [submit, depend, priority, sched, run, cleanup, inactive] = line.times;
        let mut job = Record::new(JobId(line.id));
        job.userid = line.userid;
        (job.urgency, job.priority) = (line.urgency, line.priority);
        (job.state, job.seen) = (JobState::Inactive, StateSet::from_bits(line.seen)?);
        job.times = Times { submit, depend, priority, sched, run, cleanup, inactive };
        (job.success, job.wait_status) = (line.success, line.waitstatus);
        (job.name, job.cwd, job.queue) = (shared(line.name), shared(line.cwd), shared(line.queue));
        (job.project, job.bank) = (shared(line.project), shared(line.bank));
        (job.ranks, job.nodelist) = (shared(line.ranks), shared(line.nodelist));
        (job.ntasks, job.ncores, job.nnodes) = (line.ntasks, line.ncores, line.nnodes);
        (job.duration, job.expiration) = (line.duration, line.expiration);
        let exception = |(severity, kind, note)| Box::new(Exception { severity, kind, note });
        job.exception = line.exception.map(exception);
        job.annotations = line.annotations.map(Box::new);
        job.dependencies = line.dependencies;
        Some(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_job_is_listed_the_same_from_its_events_and_from_its_line() {
        let jobspec = Arc::new(crate::harness::jobspec_with("queue", json!("debug")));
        let r = json!({"version": 1, "execution": {"R_lite": [{"rank": "0-1", "children": {"core": "0-3"}}],
            "nodelist": ["n[0-1]"], "starttime": 0, "expiration": 99.0}});
        let mut log = String::new();
        let mut post = |name: &str, context: Value| {
            let at = 1.5 + log.len() as f64;
            log.push_str(&format!("{}\n", json!({"timestamp": at, "name": name, "context": context})));
        };
        post("submit", json!({"userid": 7, "urgency": 20, "flags": 0, "version": 1}));
        post("validate", json!({}));
        post("dependency-add", json!({"description": "after=1"}));
        post("dependency-remove", json!({"description": "after=1"}));
        post("depend", json!({}));
        post("priority", json!({"priority": 20}));
        post("alloc", json!({"annotations": {"sched": {"note": "x"}}}));
        post("start", json!({}));
        post("memo", json!({"uri": "local:///x"}));
        post("exception", json!({"type": "timeout", "severity": 0, "note": "late", "userid": 0}));
        post("finish", json!({"status": 9}));
        post("release", json!({"ranks": "all", "final": true}));
        post("free", json!({}));
        post("clean", json!({}));
        let mut pool = Pool::default();
        let mut direct = Record::new(JobId(3));
        direct.set_jobspec(&mut pool, Outlines::default().of(&jobspec), &jobspec);
        for entry in eventlog::entries(&log) {
            let entry = entry.unwrap().to_entry().unwrap();
            if entry.name == "alloc" {
                direct.set_resources(&mut pool, &r);
            }
            direct.apply(&mut pool, &entry);
        }
        let line = Lines::default().line(JobId(3), &jobspec, Some(&r), &log, (5, 2));
        let read = Record::of_line(&mut pool, &line).expect("a line");
        let all = super::super::attrs::Wanted::read(&json!(["all"])).unwrap();
        assert_eq!(all.of(&read), all.of(&direct), "{line}");
        assert_eq!((read.seen, read.times), (direct.seen, direct.times));
        assert!(Record::of_line(&mut pool, "{\"after\":1,\"open\":[]}").is_none());
    }
}
