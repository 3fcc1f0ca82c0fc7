//! Tree objects from JSON (RFC 11), as clients send them and as blobs hold them.

use flux_types::{Blobref, Treeobj};
use flux_wire::Errno;
use serde_json::Value;

use super::{Chunks, Dir, Entry, Link};
use crate::digest::Algorithm;
use crate::limits::{BLOB_LEN_MAX, KEY_LEN_MAX};

/// The directory that a blob holds; EINVAL if it is not the text of a *dir*.
pub(crate) fn decode_dir(alg: Algorithm, bytes: &[u8]) -> Result<Dir, Errno> {
    match entry(alg, Treeobj::parse(bytes).map_err(|_| Errno::EINVAL)?)? {
        Entry::Dir(dir) => Ok(*dir),
        _ => Err(Errno::EINVAL),
    }
}

/// Any tree object. EINVAL if it is none; EFBIG if it is a value over the limit.
pub(crate) fn entry_from_json(alg: Algorithm, value: &Value) -> Result<Entry, Errno> {
    entry(alg, Treeobj::from_value(value).map_err(|_| Errno::EINVAL)?)
}

/// The recursion is bounded by serde_json's limit of 128 levels: this value has been JSON text.
fn entry(alg: Algorithm, object: Treeobj) -> Result<Entry, Errno> {
    Ok(match object {
        Treeobj::Val(data) if data.len() > BLOB_LEN_MAX => return Err(Errno::EFBIG),
        Treeobj::Val(data) => Entry::Val(data.into()),
        Treeobj::Valref(refs) => Entry::Pieces(Box::new(Chunks::refs(ours(alg, refs)?))),
        Treeobj::Dirref(refs) => match ours(alg, refs)?[..] {
            [digest] => Entry::DirRef(digest),
            ref digests => Entry::DirRefs(digests.into()),
        },
        Treeobj::Dir(entries) => {
            let entries: Result<_, Errno> =
                entries.into_iter().map(|(name, object)| Ok((name.into(), entry(alg, object)?))).collect();
            Entry::Dir(Box::new(Dir { entries: entries?, hash: None, used: 0 }))
        }
        Treeobj::Symlink { target, .. } if target.len() > KEY_LEN_MAX => return Err(Errno::ENAMETOOLONG),
        Treeobj::Symlink { namespace, target } => {
            Entry::Link(Box::new(Link { namespace: namespace.map(Into::into), target: target.into() }))
        }
    })
}

/// References by another algorithm than the instance's lead nowhere.
fn ours(alg: Algorithm, refs: Vec<Blobref>) -> Result<Vec<Blobref>, Errno> {
    if refs.iter().all(|digest| digest.kind() == alg) { Ok(refs) } else { Err(Errno::EINVAL) }
}
