//! A guest's job: the IMP hands over the jobspec as its user signed it, and nothing that the instance's owner says may steer what
//! runs as that user (RFC 15).

use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Read};
use std::os::fd::RawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flux_shell::Bundle;
use flux_shell::limits::BUNDLE_LEN_MAX;

/// Set by the IMP: the descriptor from which the signed jobspec is read.
const VARIABLE: &str = "FLUX_IMP_JOBSPEC_FD";

/// A directory of the user's own, removed when this is dropped, and locked until then.
#[derive(Debug)]
pub(crate) struct Private {
    path: PathBuf,
    _lock: File,
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path); // What stays is the user's own.
    }
}

/// How old a directory is that its shell has certainly locked, if it lives.
const SETTLED: Duration = Duration::from_secs(60);

/// Takes the signed jobspec, where there is one, in place of the bundle's, and whatever else the instance's owner could use:
/// directories, records, variables. `None`: the shell runs for that owner, who need not be distrusted.
///
/// # Errors
/// A text.
pub(crate) fn take(bundle: &mut Bundle) -> Result<Option<Private>, String> {
    let Some(number) = std::env::var_os(VARIABLE) else { return Ok(None) };
    let number: Option<RawFd> = number.to_str().and_then(|number| number.parse().ok());
    let fd = number.ok_or_else(|| format!("{VARIABLE} is no descriptor"))?;
    let fd = flux_sys::fd::take_inherited(fd).map_err(|error| format!("{VARIABLE}: {error}"))?;
    let mut text = Vec::new();
    let read = File::from(fd).take(BUNDLE_LEN_MAX as u64).read_to_end(&mut text);
    read.map_err(|error| format!("reading the signed jobspec: {error}"))?;
    bundle.jobspec = serde_json::from_slice(&text).map_err(|error| format!("the signed jobspec: {error}"))?;
    bundle.env = std::env::vars().filter(|(name, _)| name != VARIABLE).collect();
    bundle.record = None;
    let private = private(&home())?;
    // The owner could exchange what lies below a directory of its own.
    bundle.rundir = private.path.display().to_string();
    bundle.tmpdir = Some(bundle.rundir.clone());
    Ok(Some(private))
}

/// Where this user's directories are: in one that nobody else can enter or exchange, below one that all can write.
fn home() -> PathBuf {
    let uid = flux_sys::ids::Ids::current().euid;
    let own = PathBuf::from(format!("/tmp/flux-{uid}"));
    let _ = DirBuilder::new().mode(0o700).create(&own); // It may be there, and may be another user's.
    let ours = |found: &std::fs::Metadata| found.is_dir() && found.uid() == uid && found.mode() & 0o077 == 0;
    if own.symlink_metadata().is_ok_and(|found| ours(&found)) { own } else { PathBuf::from("/tmp") }
}

/// A new directory that only this user can enter. What shells of this user have left that were killed is removed first.
fn private(home: &Path) -> Result<Private, String> {
    if home != Path::new("/tmp") {
        remove_abandoned(home);
    }
    for _ in 0..16 {
        let number = flux_sys::random::u64().map_err(|error| format!("a random name: {error}"))?;
        let path = home.join(format!("flux-job-{number:016x}"));
        let fail = |error: std::io::Error| format!("{}: {error}", path.display());
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {
                let lock = File::open(&path).map_err(fail)?;
                lock.try_lock().map_err(|error| fail(error.into()))?;
                return Ok(Private { path, _lock: lock });
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(fail(error)),
        }
    }
    Err(format!("cannot make a directory in {}", home.display()))
}

/// Removes directories of shells that are no more: nobody holds their locks.
fn remove_abandoned(home: &Path) {
    for entry in std::fs::read_dir(home).into_iter().flatten().flatten() {
        let age = entry.metadata().ok().and_then(|found| found.modified().ok()?.elapsed().ok());
        let settled = age.is_some_and(|age| age >= SETTLED);
        if settled && File::open(entry.path()).is_ok_and(|dir| dir.try_lock().is_ok()) {
            let _ = std::fs::remove_dir_all(entry.path()); // What cannot be removed is the user's to look after.
        }
    }
}

#[cfg(test)]
#[path = "tests/signed.rs"]
mod tests;
