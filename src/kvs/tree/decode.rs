//! Tree objects from JSON (RFC 11), as clients send them and as blobs hold them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_wire::Errno;
use serde_json::{Map, Value};

use super::{Chunks, Dir, Entry, Link};
use crate::digest::{Algorithm, Digest};
use crate::limits::{BLOB_LEN_MAX, KEY_LEN_MAX};

/// The directory that a blob holds; EINVAL if it is not the text of a *dir*.
pub(crate) fn decode_dir(alg: Algorithm, bytes: &[u8]) -> Result<Dir, Errno> {
    let value: Value = serde_json::from_slice(bytes).map_err(|_| Errno::EINVAL)?;
    match entry_from_json(alg, &value)? {
        Entry::Dir(dir) => Ok(*dir),
        _ => Err(Errno::EINVAL),
    }
}

/// Any tree object. EINVAL if it is none; EFBIG if it is a value over the limit.
///
/// The recursion is bounded by serde_json's limit of 128 levels: this value has been JSON text.
pub(crate) fn entry_from_json(alg: Algorithm, value: &Value) -> Result<Entry, Errno> {
    let object = value.as_object().filter(|object| object.len() == 3).ok_or(Errno::EINVAL)?;
    let field = |name: &str| object.get(name).ok_or(Errno::EINVAL);
    if field("ver")?.as_i64() != Some(1) {
        return Err(Errno::EINVAL);
    }
    let data = field("data")?;
    match field("type")?.as_str().ok_or(Errno::EINVAL)? {
        "val" => {
            let text = data.as_str().ok_or(Errno::EINVAL)?;
            if text.len() > BLOB_LEN_MAX / 3 * 4 {
                return Err(Errno::EFBIG);
            }
            Ok(Entry::Val(STANDARD.decode(text).map_err(|_| Errno::EINVAL)?.into()))
        }
        "valref" => Ok(Entry::Pieces(Box::new(Chunks::refs(refs(alg, data)?)))),
        "dirref" => match refs(alg, data)?[..] {
            [digest] => Ok(Entry::DirRef(digest)),
            ref digests => Ok(Entry::DirRefs(digests.into())),
        },
        "dir" => {
            let entries: Result<BTreeMap<Box<str>, Entry>, Errno> = data
                .as_object()
                .ok_or(Errno::EINVAL)?
                .iter()
                .map(|(name, entry)| Ok((name.as_str().into(), entry_from_json(alg, entry)?)))
                .collect();
            Ok(Entry::Dir(Box::new(Dir { entries: entries?, hash: None, used: 0 })))
        }
        "symlink" => link(data.as_object().ok_or(Errno::EINVAL)?),
        _ => Err(Errno::EINVAL),
    }
}

fn refs(alg: Algorithm, data: &Value) -> Result<Vec<Digest>, Errno> {
    let list = data.as_array().filter(|list| !list.is_empty()).ok_or(Errno::EINVAL)?;
    list.iter().map(|text| text.as_str().and_then(|text| alg.parse_blobref(text)).ok_or(Errno::EINVAL)).collect()
}

fn link(data: &Map<String, Value>) -> Result<Entry, Errno> {
    let target = data.get("target").and_then(Value::as_str).ok_or(Errno::EINVAL)?;
    let namespace = match data.get("namespace") {
        None => None,
        Some(name) => Some(name.as_str().ok_or(Errno::EINVAL)?.into()),
    };
    if target.len() > KEY_LEN_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    Ok(Entry::Link(Box::new(Link { namespace, target: target.into() })))
}
