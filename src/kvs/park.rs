//! Requests that wait for blobs: each is run again from the start when all it asked for has come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flux_service::{Cx, Fault};
use flux_wire::{Errno, Message};

use crate::content::Waiter;
use crate::digest::Digest;
use crate::event::Keys;
use crate::limits::PENDING_MAX;

use crate::lookup::Lookup;
use crate::many::Many;
use crate::mirror::Waiting;
use crate::service::{Gathered, Kvs};
use crate::tree::Stop;

/// What is to be done with the blobs.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    Lookup(Box<Lookup>),
    Many(Box<Many>),
    /// `content.load` and `validate`; the latter answers without the bytes.
    Load {
        request: Message,
        digest: Digest,
        validate: bool,
    },
    Getroot {
        request: Message,
        space: Arc<str>,
    },
    WaitVersion {
        request: Message,
        space: Arc<str>,
    },
    Follow {
        request: Message,
        space: Arc<str>,
    },
    /// Followers of the namespace are told its root, and what was committed to.
    Tell {
        space: Arc<str>,
        keys: Keys,
    },
    Watch(u64),
}

impl Job {
    pub(crate) fn request(&self) -> Option<&Message> {
        match self {
            Job::Lookup(lookup) => Some(&lookup.request),
            Job::Many(many) => Some(&many.request),
            Job::Load { request, .. }
            | Job::Getroot { request, .. }
            | Job::WaitVersion { request, .. }
            | Job::Follow { request, .. } => Some(request),
            Job::Watch(_) | Job::Tell { .. } => None,
        }
    }
}

#[derive(Debug)]
struct Parked {
    job: Job,
    gathered: Gathered,
    missing: usize,
    failed: Option<Errno>,
}

#[derive(Debug, Default)]
pub(crate) struct Parking {
    parked: BTreeMap<u64, Parked>,
    last: u64,
}

impl Parking {
    pub(crate) fn len(&self) -> usize {
        self.parked.len()
    }

    pub(crate) fn disconnect(&mut self, request: &Message) {
        self.parked.retain(|_, parked| !parked.job.request().is_some_and(|waiting| request.same_sender(waiting)));
    }

    pub(crate) fn take_all(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.parked).into_values().map(|parked| parked.job).collect()
    }

    pub(crate) fn check(&self) {
        assert!(self.parked.len() <= PENDING_MAX);
        assert!(self.parked.values().all(|parked| parked.missing > 0), "what misses nothing has run");
    }
}

impl Kvs {
    /// Does `job` now, or parks it until the blobs it needs are there.
    pub(crate) fn run(&mut self, cx: &mut Cx<'_>, mut job: Job, gathered: Gathered) {
        match self.attempt(cx, &mut job, &gathered) {
            Ok(()) => self.counters.hits += u64::from(gathered.is_empty()),
            Err(Stop::Need(digests)) if self.parking.len() < PENDING_MAX => {
                let digests: BTreeSet<Digest> = digests.into_iter().collect();
                self.parking.last += 1;
                let id = self.parking.last;
                for digest in &digests {
                    self.content.read(cx, *digest, Waiter::Parked(id));
                }
                self.parking.parked.insert(id, Parked { job, gathered, missing: digests.len(), failed: None });
            }
            Err(Stop::Need(_)) => self.job_failed(cx, &job, &Errno::EAGAIN.into()),
            Err(Stop::Space(space)) => self.await_space(cx, &space, Waiting::Job(job)),
            Err(Stop::Fault(errno)) => self.job_failed(cx, &job, &errno.into()),
        }
    }

    fn attempt(&mut self, cx: &mut Cx<'_>, job: &mut Job, gathered: &Gathered) -> Result<(), Stop> {
        match job {
            Job::Lookup(lookup) => self.try_lookup(cx, lookup, gathered),
            Job::Many(many) => self.try_many(cx, many, gathered),
            Job::Load { request, digest, validate } => self.try_load(cx, request, digest, *validate, gathered),
            Job::Getroot { request, space } => self.try_getroot(cx, request, space, gathered),
            Job::WaitVersion { request, space } => self.try_wait_version(cx, request, space, gathered),
            Job::Follow { request, space } => self.try_follow(cx, request, space, gathered),
            Job::Tell { space, keys } => self.try_tell(cx, space, keys, gathered),
            Job::Watch(id) => self.try_watch(cx, *id, gathered),
        }
    }

    pub(crate) fn job_failed(&mut self, cx: &mut Cx<'_>, job: &Job, fault: &Fault) {
        match job {
            Job::Watch(id) => self.watch_failed(cx, *id, fault),
            Job::Tell { space, .. } => self.unfollow(cx, space, fault),
            _ => cx.respond_error(job.request().expect("the others have one"), fault),
        }
    }

    pub(crate) fn unpark(&mut self, cx: &mut Cx<'_>, id: u64, digest: Digest, blob: &Result<Arc<[u8]>, Errno>) {
        let Some(parked) = self.parking.parked.get_mut(&id) else { return };
        match (blob, &mut parked.job) {
            (Ok(bytes), _) => drop(parked.gathered.insert(digest, bytes.clone())),
            (Err(errno), Job::Many(many)) => drop(many.unreadable.insert(digest, *errno)),
            (Err(errno), _) => parked.failed = Some(*errno),
        }
        parked.missing -= 1;
        if parked.missing > 0 {
            return;
        }
        let parked = self.parking.parked.remove(&id).expect("found above");
        match parked.failed {
            None => self.run(cx, parked.job, parked.gathered),
            Some(errno) => self.job_failed(cx, &parked.job, &errno.into()),
        }
    }
}
