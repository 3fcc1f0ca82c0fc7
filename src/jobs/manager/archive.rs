//! Inactive jobs: a few bytes each in memory, all else is in the KVS. Purging them (`job-manager.purge`, `purge-id`).

use std::collections::{BTreeMap, BTreeSet};

use flux_service::{Cx, Fault, LogLevel, Outcome, TxnOp, Wall};
use flux_types::{JobId, JobResult};
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::json;

use super::depend::Ended;
use super::job::Job;
use super::{JobManager, Pending};
use crate::body::{WireId, truth};
use crate::finished::{self, Core};
use crate::kvs::{self, Durability};
use crate::limits::PURGE_BATCH_MAX;

/// What stays in memory of an inactive job: 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Finished {
    clean_us: u64,
    pub(super) userid: u32,
    /// The result's bit, and those below.
    bits: u8,
}

const STARTED: u8 = 16;
const EXCEPTION: u8 = 32;
const _: () = assert!(size_of::<Finished>() == 16);

impl Finished {
    /// When it became inactive, and how it ended, as they are stored.
    pub(super) fn core(&self) -> (u64, u8) {
        (self.clean_us, self.bits)
    }

    pub(super) fn ended(&self) -> Ended {
        let result = JobResult::from_bit(u32::from(self.bits & 15)).expect("stored by add");
        Ended { result, started: self.bits & STARTED != 0, exception: self.bits & EXCEPTION != 0 }
    }
}

/// The inactive jobs by id, and by age.
#[derive(Debug, Default)]
pub(super) struct Archive {
    jobs: BTreeMap<JobId, Finished>,
    by_age: BTreeSet<(u64, JobId)>,
}

impl Archive {
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    pub(super) fn has(&self, id: JobId) -> bool {
        self.jobs.contains_key(&id)
    }

    pub(super) fn get(&self, id: JobId) -> Option<&Finished> {
        self.jobs.get(&id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = JobId> + '_ {
        self.jobs.keys().copied()
    }

    pub(super) fn ids_of(&self, userid: u32) -> impl Iterator<Item = JobId> + '_ {
        self.jobs.iter().filter(move |(_, finished)| finished.userid == userid).map(|(id, _)| *id)
    }

    /// `clean` is when the job became inactive.
    pub(super) fn add(&mut self, clean: Wall, job: &Job) {
        let ended = Ended::of(job);
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let bits = ended.result.bit() as u8 | bit(ended.started, STARTED) | bit(ended.exception, EXCEPTION);
        let clean_us = clean.0.as_micros() as u64;
        self.jobs.insert(job.id, Finished { clean_us, userid: job.userid, bits });
        self.by_age.insert((clean_us, job.id));
    }

    /// A job of an earlier life.
    pub(super) fn add_known(&mut self, core: &Core) {
        let id = JobId(core.id);
        self.remove(id); // The same line twice is no harm.
        let bits = if JobResult::from_bit(u32::from(core.bits & 15)).is_some() {
            core.bits
        } else {
            JobResult::Failed.bit() as u8
        };
        self.jobs.insert(id, Finished { clean_us: core.clean, userid: core.userid, bits });
        self.by_age.insert((core.clean, id));
    }

    fn remove(&mut self, id: JobId) {
        if let Some(finished) = self.jobs.remove(&id) {
            self.by_age.remove(&(finished.clean_us, id));
        }
    }

    /// The oldest jobs over a limit: older than `age_limit` seconds, or beyond the newest `num_limit`; `max` of them.
    fn eligible(&self, now: Wall, limits: Limits, max: usize) -> Vec<JobId> {
        let now_us = now.0.as_micros() as u64;
        let over = |index: usize, clean_us: u64| {
            let age = now_us.saturating_sub(clean_us) as f64 / 1e6;
            limits.age.is_some_and(|limit| age > limit) || limits.count.is_some_and(|limit| self.len() - index > limit)
        };
        let oldest = self.by_age.iter().enumerate().take(max);
        oldest.take_while(|(index, (clean_us, _))| over(*index, *clean_us)).map(|(_, (_, id))| *id).collect()
    }
}

/// When inactive jobs go; `None` never.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Limits {
    /// Seconds since the job became inactive.
    pub(super) age: Option<f64>,
    /// Inactive jobs that are kept.
    pub(super) count: Option<usize>,
}

#[derive(Deserialize)]
struct Purge {
    age_limit: f64,
    num_limit: i64,
    batch: i64,
    #[serde(deserialize_with = "truth")]
    force: bool,
}

#[derive(Deserialize)]
struct PurgeId {
    id: WireId,
    #[serde(deserialize_with = "truth")]
    force: bool,
}

impl JobManager {
    pub(super) fn purge(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Purge = request.decode()?;
        let invalid = |text: String| Fault::new(Errno::EINVAL, text);
        let age = (body.age_limit != -1.0).then_some(body.age_limit);
        if age.is_some_and(|age| age.is_nan() || age < 0.0) {
            return Err(invalid("if set, age limit must be >= 0".into()));
        }
        if body.num_limit < -1 {
            return Err(invalid("if set, num limit must be >= 0".into()));
        }
        let batch = usize::try_from(body.batch).ok().filter(|batch| (1..=PURGE_BATCH_MAX).contains(batch));
        let batch = batch.ok_or_else(|| invalid(format!("batch must be >= 1 and <= {PURGE_BATCH_MAX}")))?;
        let limits = Limits { age, count: usize::try_from(body.num_limit).ok() };
        let max = if body.force { batch } else { usize::MAX };
        let ids = self.archive.eligible(cx.now.wall, limits, max);
        if !body.force || ids.is_empty() {
            cx.respond(request, json!({"count": ids.len()}));
            return Ok(());
        }
        self.remove_inactive(cx, &ids, Some(request));
        Ok(())
    }

    pub(super) fn purge_id(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: PurgeId = request.decode()?;
        let id = body.id.id();
        if body.id.0 == WireId::ANY {
            return Err(Errno::EINVAL.into());
        }
        if self.jobs.contains_key(&id) {
            return Err(Fault::new(Errno::EINVAL, "cannot purge active job"));
        }
        if !self.archive.has(id) {
            return Err(Fault::new(Errno::ENOENT, "id not found"));
        }
        if body.force {
            self.remove_inactive(cx, &[id], Some(request));
        } else {
            cx.respond(request, json!({"count": 1}));
        }
        Ok(())
    }

    /// Purges what `job-manager.inactive-{age,num}-limit` say, a batch at a time.
    pub(super) fn purge_by_config(&mut self, cx: &mut Cx<'_>) {
        let ids = self.archive.eligible(cx.now.wall, self.conf.purge, PURGE_BATCH_MAX);
        if !ids.is_empty() {
            self.remove_inactive(cx, &ids, None);
        }
    }

    fn remove_inactive(&mut self, cx: &mut Cx<'_>, ids: &[JobId], request: Option<&Message>) {
        let mut ops: Vec<TxnOp> = ids.iter().map(|id| TxnOp::unlink(kvs::job_key(*id, ""))).collect();
        if ids.contains(&self.max_id) {
            // The id is known from nowhere else afterwards, and must not be given out again.
            ops.push(self.checkpoint_op());
        }
        self.tap_purged(cx, ids);
        let gone: String = ids.iter().map(|id| format!("{}\n", id.0)).collect();
        ops.push(TxnOp::append(finished::GONE.to_owned(), gone.into_bytes()));
        for id in ids {
            self.archive.remove(*id);
            self.index.forget(*id);
        }
        let tag = kvs::commit(cx, ops, Durability::Synced);
        let jobs: Vec<u64> = ids.iter().map(|id| id.0).collect();
        cx.publish("job-purge-inactive", json!({"jobs": jobs}));
        self.pending.insert(tag, Pending::Purge { request: request.cloned().map(Box::new), count: ids.len() });
    }

    pub(super) fn on_purged(&mut self, cx: &mut Cx<'_>, request: Option<Box<Message>>, count: usize, reply: &Message) {
        match (Fault::of(reply), request) {
            (Some(fault), Some(request)) => cx.respond_error(&request, &fault),
            (Some(fault), None) => cx.log(LogLevel::Err, format!("error committing purge KVS transaction: {fault}")),
            (None, Some(request)) => cx.respond(&request, json!({"count": count})),
            (None, None) => cx.log(LogLevel::Debug, format!("purged {count} inactive jobs")),
        }
    }

    /// Asserts that both indexes hold the same jobs.
    pub(super) fn check_archive(&self) {
        assert_eq!(self.archive.jobs.len(), self.archive.by_age.len());
        for id in self.archive.jobs.keys() {
            assert!(!self.jobs.contains_key(id), "{id}: active and inactive");
        }
    }
}
