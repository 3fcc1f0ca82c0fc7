//! Blobs that are not in the database yet, and the reading of those that are; above rank 0 from the broker above.

use std::collections::BTreeMap;
use std::sync::Arc;

use flux_service::{Cx, StoreOp, Tag};
use flux_wire::{Payload, Target};

use crate::cache::Cache;
use crate::digest::{self, Algorithm, Digest};
use crate::tree::{BlobSink, Blobs};

/// Who waits for a blob.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Waiter {
    /// The first mutation in the line.
    Queue,
    /// A parked request.
    Parked(u64),
}

/// Where blobs are read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Source {
    #[default]
    Database,
    /// The broker above.
    Upstream,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub alg: Algorithm,
    source: Source,
    pub cache: Cache,
    unstored: BTreeMap<Digest, Arc<[u8]>>,
    unstored_bytes: usize,
    reads: BTreeMap<Tag, Digest>,
    waiting: BTreeMap<Digest, Vec<Waiter>>,
    /// Blobs read from the database, or from above, for statistics.
    pub faults: u64,
}

impl Content {
    pub(crate) fn new(alg: Algorithm) -> Content {
        Content { alg, ..Content::default() }
    }

    /// The content of a broker that has no database.
    pub(crate) fn upstream(alg: Algorithm) -> Content {
        Content { alg, source: Source::Upstream, ..Content::default() }
    }

    pub(crate) fn is_upstream(&self) -> bool {
        self.source == Source::Upstream
    }

    pub(crate) fn blobs<'a>(&'a self, gathered: &'a BTreeMap<Digest, Arc<[u8]>>, epoch: u32) -> Blobs<'a> {
        Blobs { alg: self.alg, unstored: &self.unstored, gathered, cache: &self.cache, epoch }
    }

    pub(crate) fn unstored(&self) -> &BTreeMap<Digest, Arc<[u8]>> {
        &self.unstored
    }

    pub(crate) fn unstored_bytes(&self) -> usize {
        self.unstored_bytes
    }

    /// These are in the database now.
    pub(crate) fn stored(&mut self, digests: &[Digest]) {
        for digest in digests {
            if let Some(bytes) = self.unstored.remove(digest) {
                self.unstored_bytes -= bytes.len();
            }
        }
    }

    /// Reads a blob for `waiter`, unless somebody reads it already.
    pub(crate) fn read(&mut self, cx: &mut Cx<'_>, digest: Digest, waiter: Waiter) {
        let waiters = self.waiting.entry(digest).or_default();
        if waiters.is_empty() {
            let hash = digest::raw(&digest);
            let tag = match self.source {
                Source::Database => cx.store(StoreOp::Get { hash }),
                Source::Upstream => cx.request("content.load", Target::UpstreamOf(cx.node.rank), Payload::raw(hash)),
            };
            self.reads.insert(tag, digest);
            self.faults += 1;
        }
        waiters.push(waiter);
    }

    /// The read with this tag is over: what was read, and who waits for it.
    pub(crate) fn take_read(&mut self, tag: Tag) -> Option<(Digest, Vec<Waiter>)> {
        let digest = self.reads.remove(&tag)?;
        Some((digest, self.waiting.remove(&digest).unwrap_or_default()))
    }

    pub(crate) fn is_reading(&self, tag: Tag) -> bool {
        self.reads.contains_key(&tag)
    }

    pub(crate) fn reads_len(&self) -> usize {
        self.reads.len()
    }

    pub(crate) fn check(&self) {
        self.cache.check();
        assert_eq!(self.unstored_bytes, self.unstored.values().map(|bytes| bytes.len()).sum::<usize>());
        assert_eq!(self.reads.len(), self.waiting.len(), "each blob waited for is being read, once");
    }
}

impl BlobSink for Content {
    fn add(&mut self, digest: Digest, bytes: &Arc<[u8]>) {
        if self.unstored.insert(digest, bytes.clone()).is_none() {
            self.unstored_bytes += bytes.len();
        }
    }
}
