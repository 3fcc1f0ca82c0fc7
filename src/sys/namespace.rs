//! Namespaces, as far as tests and containment need them.

use nix::sched::{CloneFlags, setns, unshare};
use std::io;
use std::os::fd::AsFd;

pub use nix::sched::CloneFlags as Namespaces;

/// Moves this process into new namespaces of the given kinds.
///
/// # Errors
/// EPERM without the right, EINVAL for flags that are not namespaces or from a threaded process.
pub fn enter_new(kinds: CloneFlags) -> io::Result<()> {
    Ok(unshare(kinds)?)
}

/// Joins the namespace that `file` (of `/proc/PID/ns`) refers to.
///
/// # Errors
/// EPERM without the right, EINVAL when the file is not a namespace of that kind.
pub fn join(file: impl AsFd, kind: CloneFlags) -> io::Result<()> {
    Ok(setns(file, kind)?)
}
