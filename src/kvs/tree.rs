//! The hash tree in memory (RFC 11). What was changed lately is kept as plain structures and hashed only when somebody
//! needs a reference; what is in the content store may be dropped and is read back on demand.

mod decode;
mod edit;
mod encode;
mod hash;
#[cfg(test)]
mod tests;
mod value;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

use flux_wire::Errno;

pub(crate) use decode::{decode_dir, entry_from_json};
pub(crate) use edit::{Change, Place, Undo, apply, undo};
pub(crate) use encode::{dirref_json, encode_dir, entry_json, val_json};
pub(crate) use hash::{BlobSink, evict, hash_dir, hash_entry};
pub(crate) use value::{Chunk, Chunks};
pub(crate) use walk::{Step, dir_at, walk};

use crate::cache::Cache;
use crate::digest::{Algorithm, Digest};

/// What a name in a directory stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    /// A value kept whole: a *val*, or one that has not become a *valref* yet.
    Val(Arc<[u8]>),
    /// A *valref*: pieces that are blobs of their own, or will be.
    Pieces(Box<Chunks>),
    Dir(Box<Dir>),
    /// A *dirref* whose directory is not in memory.
    DirRef(Digest),
    /// A *dirref* of not exactly one blob: valid to store, of no use otherwise (RFC 11).
    DirRefs(Box<[Digest]>),
    Link(Box<Link>),
}

/// A *symlink*.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Link {
    pub namespace: Option<Box<str>>,
    pub target: Box<str>,
}

/// A *dir* in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Dir {
    /// In byte order, which is the order of RFC 11's encoding too.
    pub entries: BTreeMap<Box<str>, Entry>,
    /// Its blob's digest, as long as nothing below it changed.
    pub hash: Option<Digest>,
    /// The epoch it was last walked in.
    pub used: u32,
}

impl Dir {
    pub(crate) fn fresh(used: u32) -> Dir {
        Dir { entries: BTreeMap::new(), hash: None, used }
    }
}

/// Why a walk or a change could not be completed now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stop {
    /// These blobs must be read first; then it is tried again from the start.
    Need(Vec<Digest>),
    /// This namespace is to be asked for first, from the broker above.
    Space(Arc<str>),
    Fault(Errno),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Stop {
        Stop::Fault(errno)
    }
}

/// Linux ENOTRECOVERABLE: what the store holds is not what the tree says it is.
pub(crate) const ENOTRECOVERABLE: Errno = Errno(131);

/// Where blobs come from that are not in the tree: those not stored yet, and those a waiting request gathered.
#[derive(Clone, Copy)]
pub(crate) struct Blobs<'a> {
    pub alg: Algorithm,
    pub unstored: &'a BTreeMap<Digest, Arc<[u8]>>,
    pub gathered: &'a BTreeMap<Digest, Arc<[u8]>>,
    pub cache: &'a Cache,
    pub epoch: u32,
}

impl Blobs<'_> {
    pub(crate) fn get(&self, digest: &Digest) -> Option<&Arc<[u8]>> {
        self.gathered.get(digest).or_else(|| self.unstored.get(digest)).or_else(|| self.cache.get(digest))
    }

    /// Reads the directory behind a *dirref* into memory, in its place. `false`: the entry is not a directory at all.
    pub(crate) fn open(&self, entry: &mut Entry) -> Result<bool, Stop> {
        match entry {
            Entry::Dir(_) => Ok(true),
            Entry::DirRef(digest) => {
                let mut dir = self.load_dir(digest).map_err(|stop| match stop {
                    Stop::Fault(Errno::EINVAL) => Stop::Fault(ENOTRECOVERABLE),
                    stop => stop,
                })?;
                dir.used = self.epoch;
                *entry = Entry::Dir(Box::new(dir));
                Ok(true)
            }
            Entry::DirRefs(_) => Err(ENOTRECOVERABLE.into()),
            _ => Ok(false),
        }
    }

    /// The directory in blob `digest`; EINVAL if the blob is something else.
    pub(crate) fn load_dir(&self, digest: &Digest) -> Result<Dir, Stop> {
        let bytes = self.get(digest).ok_or_else(|| Stop::Need(vec![*digest]))?;
        let mut dir = decode_dir(self.alg, bytes)?;
        dir.hash = Some(*digest);
        dir.used = self.epoch;
        Ok(dir)
    }
}
