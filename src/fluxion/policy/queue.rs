//! The jobs that wait.

use super::{QueueConfig, QueuePolicy};
use crate::error::MatchError;
use crate::jobspec::{Jobspec, Resource};
use crate::limits::PENDING_COUNT_MAX;
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Higher priority first, then who came first (RFC 30).
pub(super) type Place = (Reverse<u32>, u64, u64);

/// Why a job waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nobody has looked yet: it is new, or deeper in the queue than is looked at.
    NotLookedAt,
    /// What it needs is in use, and it may not have a reservation.
    Busy,
    /// It begins then, in seconds since the epoch, or earlier.
    Reserved { at: i64 },
    /// It cannot begin as long as some resources are down.
    Blocked,
    /// The one ahead of it waits (policy `fcfs`).
    BehindAnother,
}

#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) jobspec: Arc<Jobspec>,
    pub(super) place: Place,
    pub(super) why: Why,
    /// It had a reservation before: when it starts, it starts from that.
    pub(super) was_reserved: bool,
    /// It could start if everything were up and free.
    pub(super) is_satisfiable: bool,
}

/// One queue. It decides over a scheduler that it is given and may share with other queues.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) config: QueueConfig,
    pub(super) jobs: BTreeMap<u64, Pending>,
    /// Jobs to look at, in order.
    pub(super) order: BTreeSet<(Place, u64)>,
    /// Jobs that wait for resources to come up.
    pub(super) blocked: BTreeSet<u64>,
    pub(super) reserved: BTreeSet<u64>,
    /// Jobs that were started and may still be put back.
    pub(super) started: BTreeMap<u64, Pending>,
    /// Jobs of which nobody has looked whether they can ever start.
    pub(super) fresh: BTreeSet<u64>,
    /// The last request of which that was found to be so.
    pub(super) satisfiable: Option<Arc<Jobspec>>,
    pub(super) is_due: bool,
    /// Where the last cycle has stopped for others to have their turn.
    pub(super) stopped_at: Option<Progress>,
}

/// How far a cycle has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) next: Option<(Place, u64)>,
    pub(super) looked_at: usize,
    pub(super) reservations: usize,
    pub(super) has_started: bool,
}

/// How much a request takes at least: what is at its leaves, multiplied out.
fn size_of(resources: &[Resource]) -> u64 {
    let sizes = resources.iter().map(|resource| {
        let below = if resource.with.is_empty() { 1 } else { size_of(&resource.with) };
        u64::from(resource.count.min()).saturating_mul(below)
    });
    sizes.fold(0, u64::saturating_add)
}

impl Queue {
    pub fn new(config: QueueConfig) -> Queue {
        Queue {
            config,
            jobs: BTreeMap::new(),
            order: BTreeSet::new(),
            blocked: BTreeSet::new(),
            reserved: BTreeSet::new(),
            started: BTreeMap::new(),
            fresh: BTreeSet::new(),
            satisfiable: None,
            is_due: false,
            stopped_at: None,
        }
    }

    /// Changes the rules from the next cycle on. Jobs keep their places.
    pub fn configure(&mut self, config: QueueConfig) {
        self.config = config;
        self.stopped_at = None;
        self.is_due = true;
    }

    /// Jobs that wait for resources to come up.
    pub fn blocked(&self) -> impl Iterator<Item = u64> + '_ {
        self.blocked.iter().copied()
    }

    pub fn policy(&self) -> QueuePolicy {
        self.config.policy
    }

    /// Adds a job. `arrived`: whatever grows with time, for jobs of one priority.
    ///
    /// # Errors
    /// `Invalid` for a bad jobspec or a full queue, `Exists` if the job waits already.
    pub fn submit(&mut self, id: u64, priority: u32, arrived: u64, jobspec: &Value) -> Result<(), MatchError> {
        let jobspec = Jobspec::from_value(jobspec).map_err(|error| MatchError::Invalid(error.to_string()))?;
        self.submit_jobspec(id, priority, arrived, Arc::new(jobspec))
    }

    /// As `submit`, with a jobspec that is parsed.
    ///
    /// # Errors
    /// As `submit`.
    pub fn submit_jobspec(
        &mut self,
        id: u64,
        priority: u32,
        arrived: u64,
        jobspec: Arc<Jobspec>,
    ) -> Result<(), MatchError> {
        if self.jobs.contains_key(&id) {
            return Err(MatchError::Exists(id));
        }
        if self.jobs.len() >= PENDING_COUNT_MAX {
            return Err(MatchError::Invalid(format!("more than {PENDING_COUNT_MAX} jobs wait")));
        }
        let arrived = if self.config.packs { u64::MAX - size_of(&jobspec.resources) } else { arrived };
        let place = (Reverse(priority), arrived, id);
        self.jobs
            .insert(id, Pending { jobspec, place, why: Why::NotLookedAt, was_reserved: false, is_satisfiable: false });
        self.order.insert((place, id));
        self.fresh.insert(id);
        self.is_due = true;
        Ok(())
    }

    /// Moves a job that waits. False if it does not wait here.
    pub fn prioritize(&mut self, id: u64, priority: u32) -> bool {
        let Some(job) = self.jobs.get_mut(&id) else { return false };
        let old = job.place;
        let place = (Reverse(priority), old.1, id);
        job.place = place;
        if self.order.remove(&(old, id)) {
            self.order.insert((place, id));
        }
        self.is_due = true;
        true
    }

    /// Takes a job out that waits. False if it does not wait here. Its reservation, if it has one, goes with the next
    /// cycle.
    pub fn remove(&mut self, id: u64) -> bool {
        self.is_due |= self.jobs.contains_key(&id);
        self.take_out(id)
    }

    /// As `remove`, by the queue itself: that is no reason to look again.
    pub(super) fn take_out(&mut self, id: u64) -> bool {
        self.take(id).is_some()
    }

    pub(super) fn take(&mut self, id: u64) -> Option<Pending> {
        let job = self.jobs.remove(&id)?;
        self.order.remove(&(job.place, id));
        self.blocked.remove(&id);
        self.fresh.remove(&id);
        if self.order.is_empty() {
            self.stopped_at = None;
        }
        Some(job)
    }

    /// A job that a cycle has started cannot start after all: it has its place again. False if it is none of those since
    /// the last [`Queue::settle`].
    pub fn put_back(&mut self, id: u64) -> bool {
        let Some(job) = self.started.remove(&id) else { return false };
        self.order.insert((job.place, id));
        self.jobs.insert(id, Pending { why: Why::NotLookedAt, ..job });
        self.is_due = true;
        true
    }

    /// What was started stays started.
    pub fn settle(&mut self) {
        self.started.clear();
    }

    /// Resources were given back, or time has passed: there may be room.
    pub fn notice_room(&mut self) {
        self.is_due = true;
    }

    /// Resources came up, went down, were added or removed: what could not be reserved may be now.
    pub fn notice_status(&mut self) {
        self.jobs.values_mut().for_each(|job| job.is_satisfiable = false);
        self.fresh.extend(self.jobs.keys());
        self.satisfiable = None;
        self.stopped_at = None;
        for id in std::mem::take(&mut self.blocked) {
            if let Some(job) = self.jobs.get(&id) {
                self.order.insert((job.place, id));
            }
        }
        self.is_due = true;
    }

    /// Whether a cycle is under way that has stopped for others to have their turn.
    pub fn is_stopped(&self) -> bool {
        self.stopped_at.is_some()
    }

    /// Whether a cycle may change anything.
    pub fn is_due(&self) -> bool {
        (self.is_due || self.stopped_at.is_some()) && !self.order.is_empty()
    }

    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Why a job waits; `None` if it does not wait here.
    pub fn why(&self, id: u64) -> Option<Why> {
        self.jobs.get(&id).map(|job| job.why)
    }

    /// Jobs that wait, in the order in which they are looked at; blocked ones are not looked at.
    pub fn order(&self) -> impl Iterator<Item = u64> + '_ {
        self.order.iter().map(|(_, id)| *id)
    }
}
