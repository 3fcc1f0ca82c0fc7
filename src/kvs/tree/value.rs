//! Values in pieces: what was appended stays a piece of its own until it is stored, so that appending copies nothing.

use std::sync::Arc;

use super::{Blobs, Stop};
use crate::digest::Digest;
use crate::limits::JOINED_BLOB_LEN_MAX;

/// A piece of a value. At least one of the two is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chunk {
    pub hash: Option<Digest>,
    pub data: Option<Arc<[u8]>>,
}

/// The pieces of a *valref*, in order; never empty.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chunks(pub Vec<Chunk>);

impl Chunks {
    pub(crate) fn of(data: Arc<[u8]>) -> Chunks {
        Chunks(vec![Chunk { hash: None, data: Some(data) }])
    }

    pub(crate) fn refs(refs: Vec<Digest>) -> Chunks {
        Chunks(refs.into_iter().map(|hash| Chunk { hash: Some(hash), data: None }).collect())
    }

    pub(crate) fn push(&mut self, data: Arc<[u8]>) {
        self.0.push(Chunk { hash: None, data: Some(data) });
    }

    /// Takes back the last `count` bytes that were appended; pieces may have been joined since.
    pub(crate) fn take_back(&mut self, mut count: usize, blobs: &Blobs<'_>) -> Result<(), Stop> {
        if count == 0 && self.0.last().and_then(|last| last.data.as_ref()).is_some_and(|data| data.is_empty()) {
            self.0.pop();
        }
        while count > 0 {
            let last = self.0.last_mut().expect("no more is taken back than was appended");
            let data = last.bytes(blobs)?.clone();
            if data.len() > count {
                *last = Chunk { hash: None, data: Some(data[..data.len() - count].into()) };
                return Ok(());
            }
            count -= data.len();
            self.0.pop();
        }
        if self.0.is_empty() {
            self.push([].into());
        }
        Ok(())
    }

    /// Gets all bytes into memory.
    pub(crate) fn load(&mut self, blobs: &Blobs<'_>) -> Result<(), Stop> {
        let mut missing = Vec::new();
        for chunk in &mut self.0 {
            match chunk.bytes(blobs) {
                Ok(_) => {}
                Err(Stop::Need(digests)) => missing.extend(digests),
                Err(stop) => return Err(stop),
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(Stop::Need(missing)) }
    }

    /// All bytes, after `load`.
    pub(crate) fn concat(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len());
        for chunk in &self.0 {
            all.extend_from_slice(chunk.data.as_deref().unwrap_or(&[]));
        }
        all
    }

    /// Bytes in memory; the length of the value after `load`.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().filter_map(|chunk| chunk.data.as_ref()).map(|data| data.len()).sum()
    }

    /// Joins pieces that nobody has a reference to yet: an eventlog costs the store one blob, not one an event.
    pub(crate) fn join_new(&mut self) {
        let new = |chunk: &Chunk| chunk.hash.is_none();
        if self.0.iter().filter(|chunk| new(chunk)).count() < 2 {
            return;
        }
        let mut joined: Vec<Chunk> = Vec::with_capacity(self.0.len());
        let mut run: Vec<u8> = Vec::new();
        let flush = |run: &mut Vec<u8>, joined: &mut Vec<Chunk>| {
            if !run.is_empty() {
                joined.push(Chunk { hash: None, data: Some(std::mem::take(run).into()) });
            }
        };
        for chunk in self.0.drain(..) {
            match &chunk.data {
                Some(data) if new(&chunk) && data.len() < JOINED_BLOB_LEN_MAX => {
                    if run.len() + data.len() > JOINED_BLOB_LEN_MAX {
                        flush(&mut run, &mut joined);
                    }
                    run.extend_from_slice(data);
                }
                _ => {
                    flush(&mut run, &mut joined);
                    joined.push(chunk);
                }
            }
        }
        flush(&mut run, &mut joined);
        if joined.is_empty() {
            joined.push(Chunk { hash: None, data: Some([].into()) });
        }
        self.0 = joined;
    }
}

impl Chunk {
    fn bytes(&mut self, blobs: &Blobs<'_>) -> Result<&Arc<[u8]>, Stop> {
        if self.data.is_none() {
            let hash = self.hash.expect("a piece without data has a reference");
            self.data = Some(blobs.get(&hash).ok_or_else(|| Stop::Need(vec![hash]))?.clone());
        }
        Ok(self.data.as_ref().expect("set above"))
    }
}
