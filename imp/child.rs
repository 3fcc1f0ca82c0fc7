//! Work that is done without privilege: a child becomes another user for good, and what it writes is read, bounded, here.

use crate::privileged::{self, Unprivileged};
use nix::errno::Errno;
use nix::poll::PollTimeout;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::io::Read;
use std::time::{Duration, Instant};

/// Runs `work` in a child that gave up root with `give_up` before, that can never get it back, and that has no capability in
/// its bounding set. Answers what it writes, if that is at most `max` bytes, in time (`ms_max`, -1 is for ever), and its exit code
/// is 0.
///
/// # Errors
/// A text.
pub(crate) fn collect(
    give_up: impl FnOnce() -> Result<Unprivileged, Errno>,
    max: u64,
    ms_max: i32,
    work: impl FnOnce(File) -> u8,
) -> Result<Vec<u8>, String> {
    let (reader, writer) =
        nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|error| format!("pipe: {error}"))?;
    // The child has the only end to write to: in the parent it is closed with this closure.
    let child = privileged::fork(move || {
        let prepared = (!enforced!("child-new-privs") || nix::sys::prctl::set_no_new_privs().is_ok())
            && privileged::clear_bounding_set().is_ok();
        if prepared && (!enforced!("child-user") || give_up().is_ok()) { work(File::from(writer)) } else { 126 }
    });
    let child = child.map_err(|error| format!("fork: {error}"))?;
    let mut out = Vec::new();
    let read = read_bounded(&mut File::from(reader), max, ms_max, &mut out);
    if read.is_err() {
        // It, and its group, if it leads one; it may have ended by itself, but is ours, and not yet waited for.
        [child, Pid::from_raw(-child.as_raw())].into_iter().for_each(|whom| kill(whom, Signal::SIGKILL).unwrap_or(()));
    }
    let status = waitpid(child, None).map_err(|error| format!("waitpid: {error}"))?;
    read?;
    if status == WaitStatus::Exited(child, 0) {
        Ok(out)
    } else {
        Err(format!("the unprivileged child failed: {status:?}"))
    }
}

fn read_bounded(from: &mut File, max: u64, ms_max: i32, out: &mut Vec<u8>) -> Result<(), String> {
    let deadline = u64::try_from(ms_max).ok().map(|ms| Instant::now() + Duration::from_millis(ms));
    let mut buffer = [0; 4096]; // No larger: each page of it is copied for each child.
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()).as_millis());
        let timeout = left.map_or(PollTimeout::NONE, |ms| PollTimeout::try_from(ms + 1).unwrap_or(PollTimeout::MAX));
        let ready = privileged::readable(&*from, timeout).map_err(|error| format!("poll: {error}"))?;
        refuse!(!ready, format!("no answer within {ms_max} ms"));
        match from.read(&mut buffer).map_err(|error| format!("read: {error}"))? {
            0 => return Ok(()),
            len if (out.len() + len) as u64 > max => return Err(format!("more than {max} bytes")),
            len => out.extend_from_slice(&buffer[..len]),
        }
    }
}

#[cfg(test)]
#[path = "child_tests.rs"]
mod tests;
