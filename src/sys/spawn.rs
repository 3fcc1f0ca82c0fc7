//! Starting processes, with everything a job shell or a broker must set before the program runs.
//!
//! A broker is large and starts thousands of processes: the child shares its memory until it executes (`CLONE_VM |
//! CLONE_VFORK`), so no page table is copied and the cost does not grow with the broker. The child therefore runs only the
//! few system calls in [`child`], on a stack of its own, and allocates nothing; all it needs is prepared in a [`Plan`].
//! What fails there is reported with the step and the errno.

mod child;
mod plan;

use crate::affinity::CpuSet;
use crate::process::{Child, Pid};
use nix::sys::resource::Resource;
use plan::Plan;
use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What the child was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Clone,
    Session,
    ParentDeath,
    Cgroup,
    Rlimit,
    Affinity,
    Descriptors,
    Terminal,
    Trace,
    Directory,
    SignalMask,
    Execute,
}

impl Step {
    const fn phrase(self) -> &'static str {
        match self {
            Step::Clone => "create a process",
            Step::Session => "start a new session or process group",
            Step::ParentDeath => "tie the process to its parent",
            Step::Cgroup => "join the control group",
            Step::Rlimit => "set a resource limit",
            Step::Affinity => "bind to processors",
            Step::Descriptors => "set up file descriptors",
            Step::Terminal => "take the controlling terminal",
            Step::Trace => "stop in exec for a debugger",
            Step::Directory => "enter the working directory",
            Step::SignalMask => "set the signal mask",
            Step::Execute => "execute the program",
        }
    }
}

/// Why no process was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// The step that failed, and its errno. For [`Step::Execute`], ENOENT means the program was not found.
    Failed { step: Step, errno: i32, program: OsString },
    /// An argument, variable or path has a zero byte in it.
    ZeroByte,
    /// No argument vector was given.
    NoProgram,
    /// More file descriptors than [`crate::limits::SPAWN_FDS_MAX`].
    TooManyFds,
}

impl SpawnError {
    /// The Linux errno of the failure.
    pub const fn errno(&self) -> i32 {
        match self {
            SpawnError::Failed { errno, .. } => *errno,
            SpawnError::ZeroByte | SpawnError::NoProgram => libc::EINVAL,
            SpawnError::TooManyFds => libc::EMFILE,
        }
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::Failed { step, errno, program } => {
                let what = io::Error::from_raw_os_error(*errno);
                write!(f, "{}: could not {}: {what}", program.display(), step.phrase())
            }
            SpawnError::ZeroByte => write!(f, "an argument, variable or path contains a zero byte"),
            SpawnError::NoProgram => write!(f, "no program was named"),
            SpawnError::TooManyFds => write!(f, "too many file descriptors for one process"),
        }
    }
}

impl std::error::Error for SpawnError {}

impl From<SpawnError> for io::Error {
    fn from(error: SpawnError) -> io::Error {
        io::Error::from_raw_os_error(error.errno())
    }
}

/// To which session and process group the child belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Session {
    /// Those of the parent.
    #[default]
    Inherit,
    /// A process group of its own, so that it can be signalled with all its children.
    NewGroup,
    /// A session of its own, without a terminal.
    NewSession,
    /// A session of its own, whose controlling terminal becomes the child's file descriptor 0.
    NewSessionWithTerminal,
}

/// A process to be started. Its environment is exactly what is given here; its file descriptors are 0, 1 and 2 of the parent
/// and those given with [`Spawn::fd`], and no others; its signal mask is empty and every signal has its default action.
#[derive(Debug, Default)]
pub struct Spawn<'fd> {
    argv: Vec<OsString>,
    program: Option<PathBuf>,
    env: Vec<OsString>,
    cwd: Option<PathBuf>,
    fds: Vec<(BorrowedFd<'fd>, RawFd)>,
    session: Session,
    cgroup_procs: Option<BorrowedFd<'fd>>,
    affinity: Option<CpuSet>,
    rlimits: Vec<(Resource, u64, u64)>,
    parent_death_signal: Option<i32>,
    umask: Option<u32>,
    trace_exec: bool,
}

impl<'fd> Spawn<'fd> {
    /// A process that runs `argv`. Unless [`Spawn::program`] says otherwise, `argv[0]` is looked up in the `PATH` of the
    /// *child's* environment if it has no slash.
    pub fn new<A: Into<OsString>>(argv: impl IntoIterator<Item = A>) -> Spawn<'fd> {
        Spawn { argv: argv.into_iter().map(Into::into).collect(), ..Spawn::default() }
    }

    /// Executes this file, whatever `argv[0]` is. [`crate::process::OWN_PROGRAM_LINK`] names our own program.
    pub fn program(mut self, path: impl Into<PathBuf>) -> Self {
        self.program = Some(path.into());
        self
    }

    /// Adds `name=value` to the environment, which starts empty. The caller takes care not to repeat names.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let mut pair = name.as_ref().to_os_string();
        pair.push("=");
        pair.push(value.as_ref());
        self.env.push(pair);
        self
    }

    /// Adds many variables; see [`Spawn::env`].
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(mut self, vars: impl IntoIterator<Item = (K, V)>) -> Self {
        for (name, value) in vars {
            self = self.env(name, value);
        }
        self
    }

    /// The working directory; that of the parent otherwise.
    pub fn cwd(mut self, path: impl Into<PathBuf>) -> Self {
        self.cwd = Some(path.into());
        self
    }

    /// Gives the child `source` as its file descriptor `target`. Sources and targets may overlap in any way.
    pub fn fd(mut self, source: BorrowedFd<'fd>, target: RawFd) -> Self {
        self.fds.push((source, target));
        self
    }

    /// As [`Spawn::fd`] for the three standard streams.
    pub fn stdio(self, stdin: BorrowedFd<'fd>, stdout: BorrowedFd<'fd>, stderr: BorrowedFd<'fd>) -> Self {
        self.fd(stdin, 0).fd(stdout, 1).fd(stderr, 2)
    }

    pub fn session(mut self, session: Session) -> Self {
        self.session = session;
        self
    }

    /// Joins a control group before the program runs: `procs` is its `cgroup.procs`, open for writing.
    pub fn cgroup(mut self, procs: BorrowedFd<'fd>) -> Self {
        self.cgroup_procs = Some(procs);
        self
    }

    /// Binds the child to these processors.
    pub fn affinity(mut self, cpus: CpuSet) -> Self {
        self.affinity = Some(cpus);
        self
    }

    /// Sets a limit: soft, hard.
    pub fn rlimit(mut self, resource: Resource, soft: u64, hard: u64) -> Self {
        self.rlimits.push((resource, soft, hard));
        self
    }

    /// The signal the child gets when the *thread* that started it ends.
    pub fn parent_death_signal(mut self, signal: i32) -> Self {
        self.parent_death_signal = Some(signal);
        self
    }

    pub fn umask(mut self, mask: u32) -> Self {
        self.umask = Some(mask);
        self
    }

    /// The child stops with SIGTRAP at its first instruction, traced by us, for a parallel debugger.
    pub fn trace_exec(mut self) -> Self {
        self.trace_exec = true;
        self
    }

    /// Starts the process. When this returns, the child has executed its program.
    ///
    /// # Errors
    /// See [`SpawnError`]. After an error no process is left behind.
    pub fn start(self) -> Result<Child, SpawnError> {
        let shown = self.shown();
        let mut plan = Plan::new(self)?;
        let outcome = run(&mut plan);
        outcome.map_err(|(step, errno)| SpawnError::Failed { step, errno, program: shown })
    }

    fn shown(&self) -> OsString {
        let named = self.program.as_ref().map(|path| path.clone().into_os_string());
        named.or_else(|| self.argv.first().cloned()).unwrap_or_default()
    }
}

/// Clones, waits until the child has executed or failed, and collects a child that failed.
fn run(plan: &mut Plan<'_>) -> Result<Child, (Step, i32)> {
    let stack = ChildStack::new().map_err(|error| (Step::Clone, errno_of(&error)))?;
    let mut pidfd: libc::c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let masked = AllSignalsBlocked::new();
    // SAFETY: the child runs on its own live stack, with signals blocked, while this thread is suspended (CLONE_VFORK); it only
    // reads the plan and writes its failure field, and leaves by execve or _exit. `pidfd` outlives the call.
    let pid =
        unsafe { libc::clone(child::child_main, stack.top(), flags, std::ptr::from_mut(plan).cast(), &raw mut pidfd) };
    let error = io::Error::last_os_error();
    drop(masked);
    if pid < 0 {
        return Err((Step::Clone, errno_of(&error)));
    }
    // SAFETY: CLONE_PIDFD made this descriptor for us; nobody else knows it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let child = Child::new(Pid(pid), pidfd);
    match plan.failure() {
        None => Ok(child),
        Some(failure) => {
            let _ = child.wait(); // It left with _exit: there is nothing else to learn.
            Err(failure)
        }
    }
}

fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// The child must not run a signal handler of ours in our memory: all signals wait until it has executed.
struct AllSignalsBlocked {
    former: nix::sys::signal::SigSet,
}

impl AllSignalsBlocked {
    fn new() -> AllSignalsBlocked {
        let all = nix::sys::signal::SigSet::all();
        let former = all.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_SETMASK);
        AllSignalsBlocked { former: former.expect("setting a signal mask fails only on bad arguments") }
    }
}

impl Drop for AllSignalsBlocked {
    fn drop(&mut self) {
        self.former.thread_set_mask().expect("setting a signal mask fails only on bad arguments");
    }
}

/// The memory the child runs on until it executes.
struct ChildStack {
    base: *mut libc::c_void,
}

impl ChildStack {
    fn new() -> io::Result<ChildStack> {
        let (prot, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK);
        // SAFETY: asks for new memory at an address of the kernel's choice; touches none of ours.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), crate::limits::SPAWN_STACK_BYTES, prot, flags, -1, 0) };
        if base == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(ChildStack { base }) }
    }

    fn top(&self) -> *mut libc::c_void {
        self.base.wrapping_byte_add(crate::limits::SPAWN_STACK_BYTES)
    }
}

impl Drop for ChildStack {
    fn drop(&mut self) {
        // SAFETY: exactly the mapping made in `new`; the child has left it (CLONE_VFORK) and nothing points into it.
        unsafe { libc::munmap(self.base, crate::limits::SPAWN_STACK_BYTES) };
    }
}

/// Where a program of this name would be found: the name itself if it has a slash, else each directory of `path`.
fn candidates(name: &OsStr, path: Option<&OsStr>) -> Result<Vec<CString>, SpawnError> {
    const DEFAULT_PATH: &str = "/bin:/usr/bin"; // What execvp(3) uses when PATH is not set.
    if name.as_bytes().contains(&b'/') || name.is_empty() {
        return Ok(vec![c_string(name)?]);
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let dirs = path.as_bytes().split(|byte| *byte == b':').take(crate::limits::SPAWN_PATH_DIRS_MAX);
    dirs.map(|dir| c_string(Path::new(OsStr::from_bytes(dir)).join(name).as_os_str())).collect()
}

fn c_string(text: &OsStr) -> Result<CString, SpawnError> {
    CString::new(text.as_bytes()).map_err(|_| SpawnError::ZeroByte)
}

fn raw(fd: BorrowedFd<'_>) -> RawFd {
    fd.as_raw_fd()
}

#[cfg(test)]
#[path = "spawn/tests.rs"]
mod tests;
