//! Finding an entry by its path.

use super::{Blobs, Dir, Entry, Stop};
use crate::key::ROOT;

/// Where a walk in one tree ends.
pub(crate) enum Step<'d> {
    /// There is no such entry.
    Missing,
    Root(&'d mut Dir),
    Entry(&'d mut Entry),
    /// At a symbolic link: to go on at `target`, then at `rest` below it.
    Link {
        namespace: Option<String>,
        target: String,
        rest: String,
    },
}

/// Walks along a normalized path. The last component may be a link that is not to be followed.
pub(crate) fn walk<'d>(root: &'d mut Dir, path: &str, follow_last: bool, blobs: &Blobs<'_>) -> Result<Step<'d>, Stop> {
    root.used = blobs.epoch;
    if path == ROOT {
        return Ok(Step::Root(root));
    }
    let (mut dir, mut rest) = (root, path);
    loop {
        dir.used = blobs.epoch;
        let (name, below) = match rest.split_once('.') {
            Some((name, below)) => (name, Some(below)),
            None => (rest, None),
        };
        let Some(entry) = dir.entries.get_mut(name) else { return Ok(Step::Missing) };
        if let Entry::Link(link) = &*entry
            && (below.is_some() || follow_last)
        {
            return Ok(Step::Link {
                namespace: link.namespace.as_deref().map(str::to_owned),
                target: link.target.to_string(),
                rest: below.unwrap_or(ROOT).to_owned(),
            });
        }
        let Some(below) = below else { return Ok(Step::Entry(entry)) };
        if !blobs.open(entry)? {
            return Ok(Step::Missing);
        }
        let Entry::Dir(child) = entry else { unreachable!("opened above") };
        dir = child;
        rest = below;
    }
}

/// The directory at `path`, links not followed; `None` if there is none.
pub(crate) fn dir_at<'d>(root: &'d mut Dir, path: &str, blobs: &Blobs<'_>) -> Result<Option<&'d mut Dir>, Stop> {
    match walk(root, path, false, blobs)? {
        Step::Root(dir) => Ok(Some(dir)),
        Step::Entry(entry) => {
            if !blobs.open(entry)? {
                return Ok(None);
            }
            match entry {
                Entry::Dir(dir) => Ok(Some(dir)),
                _ => unreachable!("opened above"),
            }
        }
        Step::Missing | Step::Link { .. } => Ok(None),
    }
}
