//! A signed request starts one job. What was started is recorded by the SHA-256 of J in a directory that root alone can write:
//! the same J for another job is refused, and on one broker it runs once at a time.

use crate::config::open_trusted;
use crate::supervise::others_in;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::Mode;
use sodiumoxide::crypto::hash::sha256;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The lock is held while the job runs: it is released when this value is dropped, or by the kernel. Its file has the cgroup of the
/// job's last start, and how that ended.
pub(crate) struct Claim(Flock<File>);

impl Claim {
    /// Writes the exit record: the cgroup is empty.
    pub(crate) fn ended(mut self, code: u8) -> Result<(), String> {
        writeln!(self.0, "{code}").map_err(|error| format!("exit record: {error}"))
    }
}

/// Claims J for a job on a broker. `state` is a directory; `job` and `rank` are the caller's word, which it may give once for a J.
/// `cgroup` is where the job will be.
///
/// # Errors
/// A text, if J is another job's or is running, or the directory is not root's alone.
pub(crate) fn claim(state: &Path, j: &str, [job, rank]: [&str; 2], cgroup: Option<&Path>) -> Result<Claim, String> {
    let fail = |error: Errno| format!("{}: {error}", state.display());
    let directory = open_trusted(state)?;
    let plain = |text: &str| (1..=32).contains(&text.len()) && text.chars().all(|c| c.is_alphanumeric());
    let malformed = !(plain(job) && plain(rank)) && enforced!("replay-name");
    refuse!(malformed, "the job id or rank is missing or malformed");
    let hash: String = sha256::hash(j.as_bytes()).0.iter().map(|byte| format!("{byte:02x}")).collect();
    let open = |name: &str, arg: FlockArg| {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = File::from(openat(&directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(fail)?);
        let running =
            |error| if error == Errno::EWOULDBLOCK { "this request is running here".into() } else { fail(error) };
        Flock::lock(file, arg).map_err(|(_, error)| running(error))
    };
    let once = enforced!("replay-running");
    let manner = if once { FlockArg::LockExclusiveNonblock } else { FlockArg::LockSharedNonblock };
    let mut claim = open(&format!("{hash}.{rank}"), manner)?;
    let mut record = open(&hash, FlockArg::LockExclusive)?;
    let known = read(&record)?;
    let other = !["", job].contains(&known.as_str()) && enforced!("replay-job");
    refuse!(other, format!("replay: this request was that of job {known}"));
    let last = read(&claim)?;
    let populated = last.lines().next().is_some_and(|last| !others_in(Path::new(last)).is_empty());
    refuse!(populated && enforced!("replay-cgroup"), "processes of the last start of this request are still there");
    let written = record.rewind().and_then(|()| record.write_all(job.as_bytes())).and_then(|()| record.sync_all());
    let place = cgroup.unwrap_or(Path::new("")).display();
    let placed = claim.set_len(0).and_then(|()| claim.rewind()).and_then(|()| writeln!(claim, "{place}"));
    written.and(placed).map_err(|error| error.to_string())?;
    Ok(Claim(claim))
}

fn read(file: &File) -> Result<String, String> {
    let mut text = String::new();
    file.take(4096 + 64).read_to_string(&mut text).map(|_| text).map_err(|error| error.to_string())
}
