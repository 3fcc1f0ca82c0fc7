//! Blobs that came from the broker above: kept while somebody uses them, and bounded in bytes.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::digest::Digest;
use crate::limits::CACHE_BYTES_MAX;

#[derive(Debug)]
struct Cached {
    bytes: Arc<[u8]>,
    /// The round it was last asked for in.
    used: Cell<u32>,
}

/// Empty on rank 0, which has the database.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    blobs: BTreeMap<Digest, Cached>,
    bytes: usize,
    round: u32,
}

/// Rounds that a blob stays without being asked for.
const IDLE_ROUNDS_MAX: u32 = 2;

impl Cache {
    pub(crate) fn get(&self, digest: &Digest) -> Option<&Arc<[u8]>> {
        let cached = self.blobs.get(digest)?;
        cached.used.set(self.round);
        Some(&cached.bytes)
    }

    /// Keeps a blob; what was not used for longest goes if it gets too much.
    pub(crate) fn add(&mut self, digest: Digest, bytes: &Arc<[u8]>) {
        if bytes.len() > CACHE_BYTES_MAX / 2 {
            return;
        }
        if self.bytes + bytes.len() > CACHE_BYTES_MAX {
            self.shrink(CACHE_BYTES_MAX / 2);
        }
        let cached = Cached { bytes: bytes.clone(), used: Cell::new(self.round) };
        if self.blobs.insert(digest, cached).is_none() {
            self.bytes += bytes.len();
        }
    }

    fn shrink(&mut self, bytes_max: usize) {
        let mut by_age: Vec<(u32, Digest)> =
            self.blobs.iter().map(|(digest, cached)| (cached.used.get(), *digest)).collect();
        by_age.sort_unstable();
        for (_, digest) in by_age {
            if self.bytes <= bytes_max {
                return;
            }
            self.remove(&digest);
        }
    }

    fn remove(&mut self, digest: &Digest) {
        if let Some(gone) = self.blobs.remove(digest) {
            self.bytes -= gone.bytes.len();
        }
    }

    /// A round is over: what nobody asked for in the last ones goes.
    pub(crate) fn next_round(&mut self) {
        self.round += 1;
        let idle: Vec<Digest> = self
            .blobs
            .iter()
            .filter(|(_, cached)| cached.used.get() + IDLE_ROUNDS_MAX < self.round)
            .map(|(digest, _)| *digest)
            .collect();
        idle.iter().for_each(|digest| self.remove(digest));
    }

    pub(crate) fn clear(&mut self) {
        self.blobs.clear();
        self.bytes = 0;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.blobs.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn sizes(&self) -> impl Iterator<Item = usize> {
        self.blobs.values().map(|cached| cached.bytes.len())
    }

    pub(crate) fn check(&self) {
        assert_eq!(self.bytes, self.sizes().sum::<usize>());
        assert!(self.bytes <= CACHE_BYTES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;

    fn blob(at: usize, len: usize) -> (Digest, Arc<[u8]>) {
        let mut bytes = vec![0; len];
        bytes[..8].copy_from_slice(&at.to_be_bytes());
        (Algorithm::Sha1.hash(&bytes), bytes.into())
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let mut cache = Cache::default();
        let (kept, dropped) = (blob(1, 100), blob(2, 100));
        cache.add(kept.0, &kept.1);
        cache.add(dropped.0, &dropped.1);
        for _ in 0..=IDLE_ROUNDS_MAX {
            assert!(cache.get(&kept.0).is_some());
            cache.next_round();
        }
        cache.check();
        assert!(cache.get(&kept.0).is_some() && cache.get(&dropped.0).is_none());
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn no_more_is_kept_than_the_limit() {
        let mut cache = Cache::default();
        for at in 0..40 {
            let (digest, bytes) = blob(at, CACHE_BYTES_MAX / 16);
            cache.add(digest, &bytes);
            cache.next_round();
            cache.check();
        }
        let (digest, bytes) = blob(99, CACHE_BYTES_MAX);
        cache.add(digest, &bytes);
        assert!(cache.get(&digest).is_none(), "one blob does not push out all others");
    }
}
