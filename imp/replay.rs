//! A signed request starts one job. What was started is recorded by the SHA-256 of J in a directory that root alone can write:
//! the same J for another job is refused, and on one broker it runs once at a time.

use crate::config::open_trusted;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::Mode;
use sodiumoxide::crypto::hash::sha256;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// The lock is held while the job runs: it is released when this value is dropped, or by the kernel.
pub(crate) type Claim = Flock<File>;

/// Claims J for a job on a broker. `state` is a directory; `job` and `rank` are the caller's word, which it may give once for a J.
///
/// # Errors
/// A text, if J is another job's or is running, or the directory is not root's alone.
pub(crate) fn claim(state: &Path, j: &str, job: &str, rank: &str) -> Result<Claim, String> {
    let fail = |error: Errno| format!("{}: {error}", state.display());
    let directory = open_trusted(state)?;
    let (job, rank) = (sanitized(job)?, sanitized(rank)?);
    let hash: String = sha256::hash(j.as_bytes()).0.iter().map(|byte| format!("{byte:02x}")).collect();
    let open = |name: &str, arg: FlockArg| {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = File::from(openat(&directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(fail)?);
        let running =
            |error| if error == Errno::EWOULDBLOCK { "this request is running here".into() } else { fail(error) };
        Flock::lock(file, arg).map_err(|(_, error)| running(error))
    };
    let manner =
        if enforced!("replay-running") { FlockArg::LockExclusiveNonblock } else { FlockArg::LockSharedNonblock };
    let claim = open(&format!("{hash}.{rank}"), manner)?;
    let mut record = open(&hash, FlockArg::LockExclusive)?;
    let mut known = String::new();
    (&mut *record).take(64).read_to_string(&mut known).map_err(|error| error.to_string())?;
    if known.is_empty() {
        record.write_all(job.as_bytes()).and_then(|()| record.sync_all()).map_err(|error| error.to_string())?;
    } else if known != job && enforced!("replay-job") {
        return Err(format!("replay: this request was that of job {known}"));
    }
    Ok(claim)
}

fn sanitized(text: &str) -> Result<&str, String> {
    let plain = !text.is_empty() && text.len() <= 32 && text.chars().all(|c| c.is_alphanumeric());
    if plain || !enforced!("replay-name") { Ok(text) } else { Err("the job id or rank is missing or malformed".into()) }
}
