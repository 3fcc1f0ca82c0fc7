//! Standing between the instance's owner, who may signal us, and a process of another user, whom the owner may not.

use crate::policy::Plan;
use crate::privileged;
use nix::errno::Errno;
use nix::poll::PollTimeout;
use nix::sys::signal::Signal::*;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Signals passed on to the process (RFC 15, "Signal Handling").
const FORWARDED: &[Signal] =
    &[SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGALRM, SIGUSR2, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH];

/// How often a cgroup that is not yet empty is looked at.
const LINGER_MS: u16 = 100;

/// Files that the process gets, each at its descriptor.
pub(crate) type Files = Vec<(OwnedFd, i32)>;

/// Starts the process of a plan, passes signals on, and waits until it and its cgroup have ended. Answers its exit code, 128 and
/// the signal that ended it, or 126 or 127 if it could not be started.
///
/// # Errors
/// A text.
pub(crate) fn supervise(plan: &Plan, files: Files) -> Result<u8, String> {
    let fail = |what: &'static str| move |error: Errno| format!("{what}: {error}");
    let cgroup = own_cgroup();
    let mut watched = SigSet::empty();
    [SIGCHLD, SIGUSR1].iter().chain(FORWARDED).for_each(|signal| watched.add(*signal));
    watched.thread_block().map_err(fail("blocking signals"))?;
    let signals =
        SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(fail("signalfd"))?;
    let child = privileged::fork(|| start(plan, files)).map_err(fail("fork"))?;
    enforced!("capabilities")
        .then(|| privileged::keep_only(&[caps::Capability::CAP_KILL]))
        .transpose()
        .map_err(|error| format!("capabilities: {error}"))?;
    let mut code = None;
    loop {
        let lingering = code.is_some();
        if lingering && cgroup.as_deref().is_none_or(|path| others_in(path).is_empty()) {
            return Ok(code.unwrap_or(1));
        }
        let timeout = if lingering { PollTimeout::from(LINGER_MS) } else { PollTimeout::NONE };
        privileged::readable(&signals, timeout).map_err(fail("poll"))?;
        while let Ok(Some(info)) = signals.read_signal() {
            match i32::try_from(info.ssi_signo).map(Signal::try_from) {
                Ok(Ok(SIGCHLD)) => code = code.or(reap(child)),
                Ok(Ok(SIGUSR1)) => kill_all(cgroup.as_deref(), code.is_none().then_some(child)),
                Ok(Ok(signal)) if code.is_none() => {
                    let _ = kill(child, signal); // It may be ending just now.
                }
                _ => {}
            }
        }
    }
}

/// In the child: the last steps before it is another program.
fn start(plan: &Plan, files: Files) -> u8 {
    // A session of its own: it cannot push input into the terminal of the caller.
    let prepared = enforced!("session").then(nix::unistd::setsid).transpose().and_then(|_| {
        files.into_iter().try_for_each(|(fd, number)| privileged::place(fd, number))?;
        if plan.become_user.is_none() { privileged::become_root() } else { Ok(()) }
    });
    let error = match prepared {
        Err(error) => error.into(),
        Ok(()) => {
            privileged::execute(plan.become_user.as_ref(), &plan.path, &plan.args, &plan.environment, plan.no_new_privs)
        }
    };
    let _ = writeln!(std::io::stderr(), "flux-imp: {}: {error}", plan.path);
    if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }
}

/// The exit code of the child, if it has ended.
fn reap(child: Pid) -> Option<u8> {
    match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => Some(u8::try_from(code).unwrap_or(1)),
        Ok(WaitStatus::Signaled(_, signal, _)) => Some(128 + signal as i32 as u8),
        _ => None,
    }
}

/// The directory of our cgroup, if it was made for this job alone (its name begins with `imp-shell`).
fn own_cgroup() -> Option<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let ours = Path::new(path).file_name()?.to_str()?.starts_with("imp-shell");
    ours.then(|| Path::new("/sys/fs/cgroup").join(path))
}

/// Processes in a cgroup beside this one; none if it cannot be read.
fn others_in(cgroup: &Path) -> Vec<Pid> {
    let text = std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let pids = text.lines().filter_map(|line| line.parse().ok()).map(Pid::from_raw);
    pids.filter(|pid| pid.as_raw() > 0 && *pid != Pid::this()).collect()
}

/// SIGUSR1 stands for SIGKILL: to all of the cgroup, or to the child alone.
fn kill_all(cgroup: Option<&Path>, child: Option<Pid>) {
    let targets = cgroup.map(others_in).unwrap_or_default().into_iter().chain(child);
    targets.for_each(|pid| {
        let _ = kill(pid, SIGKILL); // One that ended meanwhile is no error.
    });
}
