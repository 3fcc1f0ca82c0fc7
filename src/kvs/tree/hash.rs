//! Hashing what changed, and dropping what has not been used.

use std::sync::Arc;

use super::encode::is_inline;
use super::{Chunk, Chunks, Dir, Entry, encode_dir};
use crate::digest::{Algorithm, Digest};

/// Takes the blobs that hashing makes.
pub(crate) trait BlobSink {
    fn add(&mut self, digest: Digest, bytes: &Arc<[u8]>);
}

/// The digest of a directory; hashes all that changed below it. With `join`, appended pieces are joined first.
///
/// The recursion is bounded by `KEY_COMPONENTS_MAX` and the depth of one tree object.
pub(crate) fn hash_dir(alg: Algorithm, dir: &mut Dir, join: bool, sink: &mut impl BlobSink) -> Digest {
    if let Some(digest) = dir.hash {
        return digest;
    }
    for entry in dir.entries.values_mut() {
        hash_entry(alg, entry, join, sink);
    }
    let bytes: Arc<[u8]> = encode_dir(dir).into();
    let digest = alg.hash(&bytes);
    sink.add(digest, &bytes);
    dir.hash = Some(digest);
    digest
}

/// Hashes what an entry refers to. A value too long to stand in its directory becomes a *valref*.
pub(crate) fn hash_entry(alg: Algorithm, entry: &mut Entry, join: bool, sink: &mut impl BlobSink) {
    match entry {
        Entry::Val(data) if !is_inline(data) => {
            let mut chunks = Chunks::of(data.clone());
            hash_chunks(alg, &mut chunks, sink);
            *entry = Entry::Pieces(Box::new(chunks));
        }
        Entry::Pieces(chunks) => {
            if join {
                chunks.join_new();
            }
            hash_chunks(alg, chunks, sink);
        }
        Entry::Dir(dir) => {
            hash_dir(alg, dir, join, sink);
        }
        Entry::Val(_) | Entry::DirRef(_) | Entry::DirRefs(_) | Entry::Link(_) => {}
    }
}

fn hash_chunks(alg: Algorithm, chunks: &mut Chunks, sink: &mut impl BlobSink) {
    // What was hashed is a prefix: appending never changes it.
    for Chunk { hash, data } in chunks.0.iter_mut().rev() {
        if hash.is_some() {
            break;
        }
        let data = data.as_ref().expect("a piece without a reference has data");
        let digest = alg.hash(data);
        sink.add(digest, data);
        *hash = Some(digest);
    }
}

/// Drops hashed directories that no walk has used since epoch `since`, and bytes of values that can be read back.
/// Returns the number of directories that stay.
pub(crate) fn evict(dir: &mut Dir, since: u32) -> usize {
    let mut kept = 1;
    for entry in dir.entries.values_mut() {
        match entry {
            Entry::Dir(child) => match child.hash {
                Some(digest) if child.used < since => *entry = Entry::DirRef(digest),
                _ => kept += evict(child, since),
            },
            Entry::Pieces(chunks) => {
                chunks.0.iter_mut().filter(|chunk| chunk.hash.is_some()).for_each(|chunk| chunk.data = None);
            }
            _ => {}
        }
    }
    kept
}
