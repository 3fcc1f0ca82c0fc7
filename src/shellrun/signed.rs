//! A guest's job: the IMP hands over the jobspec as its user signed it, and nothing that the instance's owner says may steer what
//! runs as that user (RFC 15).

use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Read};
use std::os::fd::RawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use flux_shell::Bundle;
use flux_shell::limits::BUNDLE_LEN_MAX;

/// Set by the IMP: the descriptor from which the signed jobspec is read.
const VARIABLE: &str = "FLUX_IMP_JOBSPEC_FD";

/// A directory of the user's own, removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Private(PathBuf);

impl Drop for Private {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // What stays is the user's own.
    }
}

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
    bundle.jobdir = None;
    let private = private()?;
    // The owner could exchange what lies below a directory of its own.
    bundle.rundir = private.0.display().to_string();
    Ok(Some(private))
}

/// A new directory that only this user can enter, below one where nobody else can exchange it.
fn private() -> Result<Private, String> {
    for _ in 0..16 {
        let number = flux_sys::random::u64().map_err(|error| format!("a random name: {error}"))?;
        let path = PathBuf::from(format!("/tmp/flux-job-{number:016x}"));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(Private(path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
    }
    Err("cannot make a directory in /tmp".to_owned())
}
