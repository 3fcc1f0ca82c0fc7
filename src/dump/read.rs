//! Reading an archive into the blobs of a hash tree (RFC 11).

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use flux_types::{Blobref, Treeobj};
use tar::{Archive, Entry, EntryType};

use crate::DumpError;
use crate::limits::{INLINE_BASE64_MAX, KEY_COMPONENTS_MAX, KEYS_MAX, VALUE_LEN_MAX};

/// Takes the blobs of the tree that is built.
pub trait Sink {
    type Error;

    /// # Errors
    /// Why it could not be stored; ends the restoration.
    fn store(&mut self, blob: &[u8]) -> Result<Blobref, Self::Error>;

    /// A key was read: its path as in the archive, and the target of a link. `None` for the size: it was left out.
    fn key(&mut self, path: &str, what: Key<'_>) {
        let _ = (path, what);
    }
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    Value,
    Link(&'a str),
    /// Its size, in bytes, is over the limit that was asked for.
    LeftOut(u64),
}

/// The tree that was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    pub root: Blobref,
    /// The latest modification time in the archive, in seconds since 1970.
    pub mtime: u64,
    pub keys: usize,
}

enum Node {
    Leaf(Treeobj),
    Dir(BTreeMap<String, Node>),
}

/// Reads an archive, gives its blobs to `sink`, children before their parents, and tells the root.
///
/// Values over `size_max` bytes are left out.
///
/// # Errors
/// See [`DumpError`]. Blobs may have been stored by then.
pub fn restore<S: Sink>(
    input: impl Read,
    size_max: Option<u64>,
    sink: &mut S,
) -> Result<Restored, DumpError<S::Error>> {
    let mut input = BufReader::new(input);
    let is_gzip = input.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    let plain: Box<dyn Read + '_> = if is_gzip { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) };
    let mut root = BTreeMap::new();
    let (mut keys, mut mtime) = (0, 0);
    let mut archive = Archive::new(plain);
    for entry in archive.entries()? {
        let mut entry = entry?;
        mtime = mtime.max(entry.header().mtime()?);
        let path = path_of(&entry)?;
        let Some(leaf) = leaf(&mut entry, &path, size_max, sink)? else { continue };
        keys += 1;
        if keys > KEYS_MAX {
            return Err(DumpError::TooMany);
        }
        insert(&mut root, &path, leaf)?;
    }
    let root = store_dir(root, sink).map_err(DumpError::Sink)?;
    Ok(Restored { root, mtime, keys })
}

fn path_of<E>(entry: &Entry<'_, impl Read>) -> Result<String, DumpError<E>> {
    let bytes = entry.path_bytes();
    let text = std::str::from_utf8(&bytes);
    let text = text.map_err(|_| DumpError::BadKey { path: String::from_utf8_lossy(&bytes).into_owned() })?;
    Ok(text.strip_prefix("./").unwrap_or(text).to_owned())
}

/// The tree object of an entry; `None` for what is no key.
fn leaf<S: Sink>(
    entry: &mut Entry<'_, impl Read>,
    path: &str,
    size_max: Option<u64>,
    sink: &mut S,
) -> Result<Option<Treeobj>, DumpError<S::Error>> {
    match entry.header().entry_type() {
        EntryType::Directory => Ok(None),
        EntryType::Symlink => {
            let target = entry.link_name_bytes().unwrap_or_default().into_owned();
            let target = String::from_utf8(target).map_err(|_| DumpError::BadKey { path: path.to_owned() })?;
            sink.key(path, Key::Link(&target));
            let (namespace, target) = match target.split_once("::") {
                Some((namespace, target)) => (Some(namespace.to_owned()), target.to_owned()),
                None => (None, target),
            };
            Ok(Some(Treeobj::Symlink { namespace, target }))
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let size = entry.size();
            if size_max.is_some_and(|max| size > max) {
                sink.key(path, Key::LeftOut(size));
                return Ok(None);
            }
            let value = read_value(entry, path, size)?;
            sink.key(path, Key::Value);
            if value.len().div_ceil(3) * 4 <= INLINE_BASE64_MAX {
                return Ok(Some(Treeobj::Val(value)));
            }
            Ok(Some(Treeobj::Valref(vec![sink.store(&value).map_err(DumpError::Sink)?])))
        }
        _ => Err(DumpError::BadType { path: path.to_owned() }),
    }
}

/// Memory grows with what is there, not with what the header says.
fn read_value<E>(entry: &mut Entry<'_, impl Read>, path: &str, size: u64) -> Result<Vec<u8>, DumpError<E>> {
    if size > VALUE_LEN_MAX {
        return Err(DumpError::TooLarge { path: path.to_owned(), size });
    }
    let mut value = Vec::new();
    entry.read_to_end(&mut value)?;
    if value.len() as u64 != size {
        return Err(DumpError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(value)
}

fn insert<E>(root: &mut BTreeMap<String, Node>, path: &str, leaf: Treeobj) -> Result<(), DumpError<E>> {
    let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    let Some((last, dirs)) = words.split_last().filter(|_| words.len() <= KEY_COMPONENTS_MAX) else {
        return Err(DumpError::BadKey { path: path.chars().take(256).collect() });
    };
    let conflict = || DumpError::Conflict { path: path.to_owned() };
    let mut dir = root;
    for word in dirs {
        let node = dir.entry((*word).to_owned()).or_insert_with(|| Node::Dir(BTreeMap::new()));
        let Node::Dir(next) = node else { return Err(conflict()) };
        dir = next;
    }
    match dir.insert((*last).to_owned(), Node::Leaf(leaf)) {
        Some(Node::Dir(_)) => Err(conflict()),
        _ => Ok(()),
    }
}

fn store_dir<S: Sink>(dir: BTreeMap<String, Node>, sink: &mut S) -> Result<Blobref, S::Error> {
    let mut entries = BTreeMap::new();
    for (name, node) in dir {
        let object = match node {
            Node::Leaf(object) => object,
            Node::Dir(below) => Treeobj::Dirref(vec![store_dir(below, sink)?]),
        };
        entries.insert(name, object);
    }
    sink.store(Treeobj::Dir(entries).encode().as_bytes())
}
