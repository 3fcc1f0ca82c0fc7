//! Changing the tree, and changing it back.

use std::sync::Arc;

use flux_wire::Errno;

use super::{Blobs, Chunks, Dir, Entry, Stop};
use crate::key::{self, ROOT, check_depth};
use crate::limits::SYMLINK_DEPTH_MAX;

/// What one operation of a commit does to its key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Remove,
    Append(Arc<[u8]>),
    Set(Entry),
}

/// What restores the tree to the state before one operation.
#[derive(Debug)]
pub(crate) struct Undo {
    path: Box<str>,
    old: Old,
}

#[derive(Debug)]
enum Old {
    /// The entry that was replaced, removed, or (`None`) not there.
    Entry(Option<Entry>),
    Appended {
        bytes: usize,
        was_val: bool,
    },
}

/// Where a change takes place: links without a namespace start again at `base` (an alias's directory, or the root).
pub(crate) struct Place<'a> {
    pub base: &'a str,
    pub namespace: &'a str,
}

/// Applies one change to normalized `key` below `base`. `None`: there was nothing to do.
///
/// # Errors
/// Those of flux-core: EINVAL for the root or a link to another namespace, EISDIR or ENOTSUP for appending to what is
/// no value. The tree may have lost hashes then, but not its content.
pub(crate) fn apply(
    root: &mut Dir,
    place: &Place<'_>,
    key: &str,
    change: &Change,
    blobs: &Blobs<'_>,
) -> Result<Option<Undo>, Stop> {
    if key == ROOT {
        return Err(Errno::EINVAL.into());
    }
    let mut path = key::join(place.base, key).into_owned();
    for _ in 0..=SYMLINK_DEPTH_MAX {
        check_depth(&path)?;
        match try_path(root, place, &path, change, blobs)? {
            Tried::Done(undo) => return Ok(undo),
            Tried::Link(target) => path = target,
        }
    }
    Err(Errno::ELOOP.into())
}

enum Tried {
    Done(Option<Undo>),
    Link(String),
}

fn try_path(root: &mut Dir, place: &Place<'_>, path: &str, change: &Change, blobs: &Blobs<'_>) -> Result<Tried, Stop> {
    let mut dir = root;
    let mut made: Option<Undo> = None;
    let mut rest = path;
    while let Some((name, below)) = rest.split_once('.') {
        dir.hash = None;
        dir.used = blobs.epoch;
        let at = path.len() - below.len() - 1;
        let is_dir = match dir.entries.get_mut(name) {
            Some(Entry::Link(link)) => {
                if link.namespace.as_deref().is_some_and(|name| name != place.namespace) {
                    return Err(Errno::EINVAL.into());
                }
                let target = key::normalize(&link.target)?.into_owned();
                return Ok(Tried::Link(key::join(place.base, &key::join(&target, below)).into_owned()));
            }
            Some(entry) => blobs.open(entry)?,
            None => false,
        };
        if !is_dir {
            if *change == Change::Remove {
                return Ok(Tried::Done(None));
            }
            let old = dir.entries.insert(name.into(), Entry::Dir(Box::new(Dir::fresh(blobs.epoch))));
            made.get_or_insert_with(|| Undo { path: path[..at].into(), old: Old::Entry(old) });
        }
        let Some(Entry::Dir(child)) = dir.entries.get_mut(name) else { unreachable!("opened or made above") };
        dir = child;
        rest = below;
    }
    dir.hash = None;
    dir.used = blobs.epoch;
    match finish(dir, rest, change) {
        // The topmost directory that was made takes all below it away again.
        Ok(old) => Ok(Tried::Done(made.or(old.map(|old| Undo { path: path.into(), old })))),
        Err(errno) => {
            assert!(made.is_none(), "a new directory is empty, and an empty one takes every change");
            Err(errno.into())
        }
    }
}

fn finish(dir: &mut Dir, name: &str, change: &Change) -> Result<Option<Old>, Errno> {
    match change {
        Change::Remove => Ok(dir.entries.remove(name).map(|old| Old::Entry(Some(old)))),
        Change::Set(entry) => Ok(Some(Old::Entry(dir.entries.insert(name.into(), entry.clone())))),
        Change::Append(data) => match dir.entries.get_mut(name) {
            None => {
                dir.entries.insert(name.into(), Entry::Val(data.clone()));
                Ok(Some(Old::Entry(None)))
            }
            Some(Entry::Pieces(chunks)) => {
                chunks.push(data.clone());
                Ok(Some(Old::Appended { bytes: data.len(), was_val: false }))
            }
            Some(entry @ Entry::Val(_)) => {
                let Entry::Val(first) = &*entry else { unreachable!("matched above") };
                let mut chunks = Chunks::of(first.clone());
                chunks.push(data.clone());
                *entry = Entry::Pieces(Box::new(chunks));
                Ok(Some(Old::Appended { bytes: data.len(), was_val: true }))
            }
            Some(Entry::Link(_)) => Err(Errno::ENOTSUP),
            Some(Entry::Dir(_) | Entry::DirRef(_) | Entry::DirRefs(_)) => Err(Errno::EISDIR),
        },
    }
}

/// Takes a change back. Changes are taken back in the opposite order of their making.
///
/// # Errors
/// `Stop` if what the change touched has been dropped from memory since.
pub(crate) fn undo(root: &mut Dir, change: Undo, blobs: &Blobs<'_>) -> Result<(), Stop> {
    let mut dir = root;
    let mut rest = &*change.path;
    while let Some((name, below)) = rest.split_once('.') {
        dir.hash = None;
        let Some(entry) = dir.entries.get_mut(name) else { return Err(Errno::ENOENT.into()) };
        blobs.open(entry)?;
        let Entry::Dir(child) = entry else { return Err(Errno::ENOTDIR.into()) };
        dir = child;
        rest = below;
    }
    dir.hash = None;
    match change.old {
        Old::Entry(Some(old)) => {
            dir.entries.insert(rest.into(), old);
        }
        Old::Entry(None) => {
            dir.entries.remove(rest);
        }
        Old::Appended { bytes, was_val } => {
            let Some(entry) = dir.entries.get_mut(rest) else { return Err(Errno::ENOENT.into()) };
            let Entry::Pieces(chunks) = entry else { return Err(Errno::EINVAL.into()) };
            chunks.take_back(bytes, blobs)?;
            if was_val {
                chunks.load(blobs)?;
                let whole: Arc<[u8]> = chunks.concat().into();
                *entry = Entry::Val(whole);
            }
        }
    }
    Ok(())
}
