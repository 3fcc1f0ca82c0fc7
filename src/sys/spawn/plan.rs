//! All that the child needs, allocated before there is a child.

use super::{Session, Spawn, SpawnError, Step, c_string, candidates, raw};
use crate::process::{OWN_PROGRAM_LINK, executed_path};
use nix::sys::resource::Resource;
use std::cell::Cell;
use std::ffi::{CString, OsStr};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// One descriptor to be placed: from where, to where, and where it waits meanwhile.
pub(super) struct Move {
    pub source: RawFd,
    pub target: RawFd,
    pub parked: Cell<RawFd>,
}

/// The arguments of a spawn in the form the child's system calls take them.
pub(super) struct Plan<'fd> {
    _strings: Vec<CString>,
    _fds: Vec<BorrowedFd<'fd>>,
    pub argv: Vec<*const libc::c_char>,
    pub envp: Vec<*const libc::c_char>,
    /// `/bin/sh`, the script, its arguments: for files without a `#!` line. The second place is filled in by the child.
    pub shell_argv: Vec<Cell<*const libc::c_char>>,
    pub candidates: Vec<CString>,
    pub cwd: Option<CString>,
    pub moves: Vec<Move>,
    /// Above every target: descriptors wait here while the targets are filled.
    pub park_above: RawFd,
    pub session: Session,
    pub cgroup_procs: Option<RawFd>,
    pub affinity: Option<Vec<u64>>,
    pub rlimits: Vec<(Resource, libc::rlimit)>,
    pub parent_death_signal: Option<i32>,
    pub parent_pid: i32,
    pub umask: Option<u32>,
    pub trace_exec: bool,
    failure: Cell<Option<(Step, i32)>>,
}

impl<'fd> Plan<'fd> {
    pub(super) fn new(spawn: Spawn<'fd>) -> Result<Plan<'fd>, SpawnError> {
        if spawn.fds.len() > crate::limits::SPAWN_FDS_MAX {
            return Err(SpawnError::TooManyFds);
        }
        let first = spawn.argv.first().ok_or(SpawnError::NoProgram)?;
        let path = spawn.env.iter().find_map(|pair| pair.as_bytes().strip_prefix(b"PATH=")).map(OsStr::from_bytes);
        let candidates = match &spawn.program {
            Some(program) => program_files(program)?,
            None => candidates(first, path)?,
        };
        let strings =
            |texts: &[std::ffi::OsString]| texts.iter().map(|text| c_string(text)).collect::<Result<Vec<_>, _>>();
        let (args, vars) = (strings(&spawn.argv)?, strings(&spawn.env)?);
        let argv = pointers(&args);
        let shell = [c"/bin/sh".as_ptr(), std::ptr::null()].into_iter().chain(argv.iter().skip(1).copied());
        Ok(Plan {
            shell_argv: shell.map(Cell::new).collect(),
            argv,
            envp: pointers(&vars),
            _strings: args.into_iter().chain(vars).collect(),
            candidates,
            cwd: spawn.cwd.as_ref().map(|dir| c_string(dir.as_os_str())).transpose()?,
            moves: spawn.fds.iter().map(|(fd, target)| to_move(*fd, *target)).collect(),
            park_above: spawn.fds.iter().map(|(_, target)| target + 1).max().unwrap_or(0).max(3),
            _fds: spawn.fds.iter().map(|(fd, _)| *fd).chain(spawn.cgroup_procs).collect(),
            session: spawn.session,
            cgroup_procs: spawn.cgroup_procs.map(raw),
            affinity: spawn.affinity.map(|cpus| cpus.words().to_vec()),
            rlimits: spawn.rlimits.iter().map(|(what, soft, hard)| (*what, to_rlimit(*soft, *hard))).collect(),
            parent_death_signal: spawn.parent_death_signal,
            parent_pid: nix::unistd::getpid().as_raw(),
            umask: spawn.umask,
            trace_exec: spawn.trace_exec,
            failure: Cell::new(None),
        })
    }

    /// What the child reported. Read only after the child has executed or left.
    pub(super) fn failure(&self) -> Option<(Step, i32)> {
        self.failure.get()
    }

    pub(super) fn fail(&self, step: Step, errno: i32) {
        self.failure.set(Some((step, errno)));
    }
}

/// The file itself; for our own program also the path we were executed by, as a bare root directory has no `/proc`.
fn program_files(program: &Path) -> Result<Vec<CString>, SpawnError> {
    let mut files = vec![c_string(program.as_os_str())?];
    if program == Path::new(OWN_PROGRAM_LINK)
        && let Some(path) = executed_path()
    {
        files.push(c_string(path.as_os_str())?);
    }
    Ok(files)
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

fn to_move(fd: BorrowedFd<'_>, target: RawFd) -> Move {
    Move { source: raw(fd), target, parked: Cell::new(-1) }
}

fn to_rlimit(soft: u64, hard: u64) -> libc::rlimit {
    libc::rlimit { rlim_cur: soft, rlim_max: hard }
}
