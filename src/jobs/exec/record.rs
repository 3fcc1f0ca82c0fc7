//! The eventlogs of jobs: collected over a turn, and appended for all jobs in one commit (ADR 2).

use std::collections::BTreeMap;
use std::time::Duration;

use flux_service::{Cx, Fault, LogLevel, Mono, Outcome, Plant, TxnOp, planted};
use flux_types::{Idset, JobId};
use flux_wire::Message;
use serde::Deserialize;
use serde_json::{Value, json};

use super::job::{Job, Lines, Part, Phase};
use super::{JobExec, Pending, RETRY_PAUSE};
use crate::kvs;

/// A commit under way: what it holds, to be put back if it fails.
#[derive(Debug)]
pub(super) struct Commit {
    jobs: Vec<(JobId, Lines)>,
    begun: Mono,
    /// Shells' numbers up to which events are in it.
    taken: Vec<(JobId, Vec<u64>)>,
}

/// Bytes of output in one commit from which on a job is paced.
const PACED_BYTES_MIN: usize = 64 << 10;
/// How many times as long as its last output took a job pauses.
const PAUSE_FACTOR: u32 = 3;
const PRINTED_PER_SECOND_MAX: f64 = 64e6;
const PACE_MAX: Duration = Duration::from_secs(1);

/// How long the manager may take to store an end until it is synced without it.
const SYNC_WAIT: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Ended {
    ids: Vec<u64>,
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
        let recoverable = cx.node.statedir.is_some() || self.stopping;
        let mut commit = Commit { jobs: Vec::new(), begun: cx.now.mono, taken: Vec::new() };
        let (mut ops, mut ends) = (Vec::new(), Vec::new());
        for id in std::mem::take(&mut self.dirty) {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            let lines = std::mem::take(&mut job.lines);
            operations(job, &lines, recoverable, &mut ops);
            commit.taken.push((id, job.parts.iter().map(|part| part.taken).collect()));
            commit.jobs.push((id, lines));
            if job.phase == Phase::Ending {
                job.phase = Phase::Syncing;
                ends.push((id, job.status(), std::mem::replace(&mut job.end_told, true)));
            }
        }
        if ops.is_empty() {
            return self.committed(cx, &commit);
        }
        let tag = kvs::commit(cx, ops, kvs::Durability::Written);
        self.committing = true;
        self.pending.insert(tag, Pending::Commit(Box::new(commit)));
        // What the manager makes of it reaches the log after the commit, so that no log has the one without the other.
        for (id, status, told) in ends {
            if !told {
                self.tell_end(cx, id, status);
            }
            if cx.node.statedir.is_some() {
                self.syncs_at.get_or_insert(cx.now.mono.after(SYNC_WAIT));
            }
        }
    }

    /// Brings the ends of jobs to disk, and forgets what was only of use until then.
    pub(super) fn sync_ends(&mut self, cx: &mut Cx<'_>) {
        let ended: Vec<&Job> = self.jobs.values().filter(|job| job.phase == Phase::Syncing && !job.syncing).collect();
        let ops: Vec<TxnOp> = ended.iter().map(|job| TxnOp::unlink(job.guest_key("exec.taken"))).collect();
        let ids: Vec<JobId> = ended.iter().map(|job| job.id).collect();
        if ids.is_empty() {
            return;
        }
        for id in &ids {
            self.jobs.get_mut(id).expect("just seen").syncing = true;
        }
        let tag = kvs::commit(cx, ops, kvs::Durability::Synced);
        self.pending.insert(tag, Pending::Sync(ids));
    }

    /// A shell's last event is acknowledged when the disk has it, as the shell is gone thereafter.
    pub(super) fn on_synced(&mut self, cx: &mut Cx<'_>, ids: &[JobId], reply: &Message) {
        for id in ids {
            if let Some(job) = self.jobs.get_mut(id) {
                job.syncing = false;
            }
        }
        match Fault::of(reply) {
            None => drop(self.settle_stored(cx, ids)),
            Some(fault) => {
                cx.log(LogLevel::Err, format!("job-exec: ended jobs wait until their ends are on disk: {fault}"));
                self.syncs_at = Some(cx.now.mono.after(RETRY_PAUSE));
            }
        }
    }

    /// The manager's records of these ends are on disk, and with them all that the store was given before: also ours.
    pub(super) fn ended(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Ended = request.decode()?;
        let of = |id: &JobId| self.jobs.get(id).is_some_and(|job| job.phase == Phase::Syncing && !job.syncing);
        let ids: Vec<JobId> = body.ids.into_iter().map(JobId).filter(of).collect();
        let ops = self.settle_stored(cx, &ids);
        if !ops.is_empty() {
            let tag = kvs::commit(cx, ops, kvs::Durability::Written);
            self.pending.insert(tag, Pending::Unlink);
        }
        Ok(())
    }

    /// Acknowledges the last events of these shells and forgets the jobs, but for those with lines that could not be stored the
    /// first time. Answers what is of no use any more.
    fn settle_stored(&mut self, cx: &mut Cx<'_>, ids: &[JobId]) -> Vec<TxnOp> {
        let mut useless = Vec::new();
        for id in ids {
            let Some(job) = self.jobs.get_mut(id) else { continue };
            if !job.is_stored() {
                self.syncs_at = Some(cx.now.mono.after(RETRY_PAUSE));
                continue;
            }
            useless.push(TxnOp::unlink(job.guest_key("exec.taken")));
            let acked: Vec<u64> = job.parts.iter().map(|part| part.stored).collect();
            job.acknowledge(cx, &acked);
            self.settled(cx, *id);
        }
        useless
    }

    pub(super) fn on_commit(&mut self, cx: &mut Cx<'_>, commit: Commit, reply: &Message) {
        self.committing = false;
        let Some(fault) = Fault::of(reply) else { return self.committed(cx, &commit) };
        cx.log(LogLevel::Err, format!("job-exec: events wait in the shells until they can be stored: {fault}"));
        self.retry_at = Some(cx.now.mono.after(RETRY_PAUSE));
        for (id, lines) in commit.jobs {
            if let Some(job) = self.jobs.get_mut(&id) {
                if planted(Plant::ShellEventsTwice) {
                    job.lines.put_back(lines.clone());
                }
                job.lines.put_back(lines);
                if job.phase == Phase::Syncing {
                    job.phase = Phase::Ending;
                }
                self.dirty.insert(id);
            }
        }
    }

    /// The store has it: the shells may forget it. Of those that have ended they hear when the disk has it too.
    fn committed(&mut self, cx: &mut Cx<'_>, commit: &Commit) {
        let recoverable = cx.node.statedir.is_some();
        for ((id, taken), (_, lines)) in commit.taken.iter().zip(&commit.jobs) {
            let Some(job) = self.jobs.get_mut(id) else { continue };
            let syncing = job.phase == Phase::Syncing;
            for (part, taken) in job.parts.iter_mut().zip(taken) {
                part.stored = *taken;
            }
            if !syncing && job.ack_at.is_none() {
                job.ack_at = pace(lines.output.len(), commit.begun, cx.now.mono);
            }
            if !(recoverable && syncing) && (syncing || job.ack_at.is_none()) {
                job.acknowledge_stored(cx);
            }
            if syncing && !recoverable {
                self.settled(cx, *id);
            }
        }
    }
}

/// When a job that has printed so much hears of it; `None`: at once.
///
/// Its shells have a window of so many bytes that are not acknowledged, so this decides how fast it prints. The longer the store took
/// with what was printed and with all else in that time, the longer the others have their turn.
fn pace(printed: usize, begun: Mono, now: Mono) -> Option<Mono> {
    if printed < PACED_BYTES_MIN {
        return None;
    }
    let least = Duration::from_secs_f64(printed as f64 / PRINTED_PER_SECOND_MAX);
    Some(now.after((now.since(begun) * PAUSE_FACTOR).clamp(least, PACE_MAX)))
}

impl Job {
    /// Acknowledges what is in the store; the last event of a shell when the disk has it, elsewhere.
    pub(super) fn acknowledge_stored(&mut self, cx: &mut Cx<'_>) {
        let recoverable = cx.node.statedir.is_some();
        let acked = |part: &Part| match part.last {
            Some(last) if recoverable => part.stored.min(last - 1),
            _ => part.stored,
        };
        let acked: Vec<u64> = self.parts.iter().map(acked).collect();
        self.acknowledge(cx, &acked);
    }

    /// Tells each shell that events up to its number are stored, unless it knows.
    fn acknowledge(&mut self, cx: &mut Cx<'_>, acked: &[u64]) {
        let mut acks: BTreeMap<u64, Idset> = BTreeMap::new();
        for (part, acked) in self.parts.iter_mut().zip(acked) {
            if *acked > part.told && part.launch.is_some() {
                part.told = *acked;
                acks.entry(*acked).or_default().insert(part.rank.0);
            }
        }
        let ranks = acks.values().fold(Idset::default(), |all, of| all.union(of));
        if !ranks.is_empty() {
            let acks: Vec<Value> = acks.iter().map(|(acked, of)| json!([of.to_string(), acked])).collect();
            self.order(cx, &ranks, json!({"id": self.id.0, "acks": acks}));
        }
    }
}

/// Appends to the job's eventlogs. With them, in the same commit, goes what must be known to take no event twice after a restart.
fn operations(job: &Job, lines: &Lines, recoverable: bool, ops: &mut Vec<TxnOp>) {
    for (name, text) in [("exec.eventlog", &lines.exec), ("output", &lines.output), ("input", &lines.input)] {
        if !text.is_empty() {
            ops.push(TxnOp::append(job.guest_key(name), text.as_bytes()));
        }
    }
    // A shell's last event counts when the job's end is stored: a leader that restarts before has to hear of it again.
    let known = |part: &Part| part.last.map_or(part.taken, |last| part.taken.min(last - 1));
    let taken: Vec<u64> = job.parts.iter().map(known).collect();
    if recoverable && taken.iter().any(|taken| *taken > 0) && !planted(Plant::TakenNotStored) {
        let key = job.guest_key("exec.taken");
        ops.push(TxnOp::put(key, json!(taken).to_string().into_bytes()));
    }
}
