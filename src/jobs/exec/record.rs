//! The eventlogs of jobs: collected over a turn, and appended for all jobs in one commit (ADR 2).

use flux_service::{Cx, Fault, LogLevel};
use flux_types::JobId;
use flux_wire::{Message, Target};
use serde_json::{Value, json};

use super::job::{Job, Lines, Phase};
use super::{JobExec, Pending, RETRY_PAUSE};
use crate::kvs;

/// A commit under way: what it holds, to be put back if it fails.
#[derive(Debug)]
pub(super) struct Commit {
    jobs: Vec<(JobId, Lines)>,
    /// Jobs whose end is in it, and shells' numbers up to which events are.
    ends: Vec<JobId>,
    taken: Vec<(JobId, Vec<u64>)>,
}

/// One line for an eventlog (RFC 18).
pub(super) fn entry(timestamp: f64, name: &str, context: Option<Value>) -> String {
    match context {
        Some(context) => format!("{{\"timestamp\":{timestamp:?},\"name\":\"{name}\",\"context\":{context}}}\n"),
        None => format!("{{\"timestamp\":{timestamp:?},\"name\":\"{name}\"}}\n"),
    }
}

impl JobExec {
    /// Adds an entry of our own to a job's exec eventlog (RFC 50).
    pub(super) fn note(&mut self, cx: &Cx<'_>, id: JobId, name: &str, context: Option<Value>) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.lines.exec.push_str(&entry(cx.now.wall.timestamp(), name, context));
            self.dirty.insert(id);
        }
    }

    /// Once per turn. One commit is under way at a time: lines of a job stay in order even if one fails.
    pub(super) fn commit_lines(&mut self, cx: &mut Cx<'_>) {
        if self.committing || self.dirty.is_empty() || self.retry_at.is_some_and(|at| cx.now.mono < at) {
            return;
        }
        self.retry_at = None;
        let recoverable = cx.node.statedir.is_some();
        let mut commit = Commit { jobs: Vec::new(), ends: Vec::new(), taken: Vec::new() };
        let mut ops = Vec::new();
        for id in std::mem::take(&mut self.dirty) {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let ends = job.end_due && job.phase == Phase::Ending;
            let lines = std::mem::take(&mut job.lines);
            operations(job, &lines, ends, recoverable, &mut ops);
            commit.taken.push((id, job.parts.iter().map(|part| part.taken).collect()));
            commit.jobs.push((id, lines));
            if ends {
                job.end_due = false;
                commit.ends.push(id);
            }
        }
        if ops.is_empty() {
            return self.committed(cx, &commit);
        }
        let durability = if commit.ends.is_empty() { kvs::Durability::Written } else { kvs::Durability::Synced };
        let tag = kvs::commit(cx, ops, durability);
        self.committing = true;
        self.pending.insert(tag, Pending::Commit(Box::new(commit)));
    }

    pub(super) fn on_commit(&mut self, cx: &mut Cx<'_>, commit: Commit, reply: &Message) {
        self.committing = false;
        let Some(fault) = Fault::of(reply) else { return self.committed(cx, &commit) };
        cx.log(LogLevel::Err, format!("job-exec: events wait in the shells until they can be stored: {fault}"));
        self.retry_at = Some(cx.now.mono.after(RETRY_PAUSE));
        for (id, lines) in commit.jobs {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.lines.put_back(lines);
                self.dirty.insert(id);
            }
        }
        for id in commit.ends {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.end_due = true;
            }
        }
    }

    /// The store has it: the shells may forget it.
    fn committed(&mut self, cx: &mut Cx<'_>, commit: &Commit) {
        for (id, taken) in &commit.taken {
            let ends = commit.ends.contains(id);
            let Some(job) = self.jobs.get_mut(id) else { continue };
            for (part, taken) in job.parts.iter_mut().zip(taken) {
                part.stored = *taken;
                // A shell's last event is acknowledged when the disk has it, as the shell is gone thereafter.
                let acked =
                    if ends { part.stored } else { part.stored.min(part.last.map_or(u64::MAX, |last| last - 1)) };
                if acked > part.told && part.launch.is_some() {
                    part.told = acked;
                    let command = json!({"type": "acked", "seq": acked});
                    let body = json!({"id": id.0, "command": command});
                    cx.notify("job-exec.order", Target::Rank(part.rank), body);
                }
            }
            if ends {
                self.settled(cx, *id);
            }
        }
    }
}

/// Appends to the job's eventlogs. With them, in the same commit, goes what must be known to take no event twice after a restart.
fn operations(job: &Job, lines: &Lines, ends: bool, recoverable: bool, ops: &mut Vec<Value>) {
    for (name, text) in [("exec.eventlog", &lines.exec), ("output", &lines.output), ("input", &lines.input)] {
        if !text.is_empty() {
            ops.push(kvs::append(job.guest_key(name), text.as_bytes()));
        }
    }
    let taken: Vec<u64> = job.parts.iter().map(|part| part.taken).collect();
    if recoverable && taken.iter().any(|taken| *taken > 0) {
        let key = job.guest_key("exec.taken");
        ops.push(if ends { kvs::unlink(key) } else { kvs::put(key, json!(taken).to_string().as_bytes()) });
    }
}
