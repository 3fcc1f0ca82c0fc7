//! Standing between the instance's owner, who may signal us, and a process of another user, whom the owner may not.

use crate::config::open_trusted;
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

/// Where the tree of cgroups is, and where it is beside those of version 1.
const CGROUP_MOUNTS: &[&str] = &["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// How often a cgroup that is not yet empty is looked at.
const LINGER_MS: u16 = 100;

/// Files that the process gets, each at its descriptor.
pub type Files = Vec<(OwnedFd, i32)>;

/// Starts the process of a plan, passes signals on, and waits until it and its cgroup have ended. Answers its exit code, 128 and
/// the signal that ended it, or 126 or 127 if it could not be started. With `shed`, this process gives up all rights but to signal.
///
/// # Errors
/// A text.
pub fn supervise(plan: &Plan, files: Files, cgroup: Option<&Path>, shed: bool) -> Result<u8, String> {
    let fail = |what: &'static str| move |error: Errno| format!("{what}: {error}");
    let root = plan.become_user.is_none() && enforced!("run-trusted");
    root.then(|| open_trusted(Path::new(&plan.path))).transpose()?;
    let mut watched = SigSet::empty();
    [SIGCHLD, SIGUSR1].iter().chain(FORWARDED).for_each(|signal| watched.add(*signal));
    watched.thread_block().map_err(fail("blocking signals"))?;
    let signals =
        SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(fail("signalfd"))?;
    let child = privileged::fork(|| start(plan, files)).map_err(fail("fork"))?;
    (shed && enforced!("capabilities"))
        .then(|| privileged::keep_only(&[caps::Capability::CAP_KILL]))
        .transpose()
        .map_err(|error| format!("capabilities: {error}"))?;
    // What has opened a session must close it: it kills the shell itself.
    let last = if plan.opens_session { SIGUSR1 } else { SIGKILL };
    let (mut code, mut killing) = (None, false);
    loop {
        if killing {
            let others = cgroup.map(others_in).unwrap_or_default().into_iter().filter(|pid| *pid != child);
            let is_here = |pid: Pid| cgroup.is_some_and(|path| others_in(path).contains(&pid));
            // Those that ended meanwhile are no error; the child is ours, and not yet waited for.
            others.for_each(|pid| privileged::kill_if(pid, || is_here(pid)).unwrap_or(()));
            code.is_none().then(|| kill(child, last).unwrap_or(()));
        }
        let empty = || cgroup.is_none_or(|path| others_in(path).is_empty());
        if let Some(code) = code.filter(|_| empty()) {
            return Ok(code);
        }
        let timeout = if killing || code.is_some() { PollTimeout::from(LINGER_MS) } else { PollTimeout::NONE };
        privileged::readable(&signals, timeout).map_err(fail("poll"))?;
        while let Ok(Some(info)) = signals.read_signal() {
            match i32::try_from(info.ssi_signo).map(Signal::try_from) {
                Ok(Ok(SIGCHLD)) => code = code.or_else(|| reap(child)),
                Ok(Ok(SIGUSR1)) => killing = true,
                Ok(Ok(signal)) if code.is_none() => kill(child, signal).unwrap_or(()), // It may be ending just now.
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
pub(crate) fn own_cgroup() -> Option<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let ours = Path::new(path).file_name()?.to_str()?.starts_with("imp-shell");
    let mut places = CGROUP_MOUNTS.iter().map(|mount| Path::new(mount).join(path));
    ours.then(|| places.find(|path| path.is_dir())).flatten()
}

/// Processes in a cgroup beside this one; none if it cannot be read.
pub(crate) fn others_in(cgroup: &Path) -> Vec<Pid> {
    let text = std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    let pids = text.lines().filter_map(|line| line.parse().ok()).map(Pid::from_raw);
    pids.filter(|pid| pid.as_raw() > 0 && *pid != Pid::this()).collect()
}
