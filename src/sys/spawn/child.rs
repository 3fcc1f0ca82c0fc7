//! The child between `clone` and `execve`. It runs in the parent's memory while the parent's thread waits: it may make system
//! calls, read the plan and write its cells, and nothing else. No allocation, no locks, no panics, no return.

use super::plan::Plan;
use super::{Session, Step};

type Outcome = Result<(), (Step, i32)>;

/// The highest signal number of Linux, real-time ones included.
const SIGNAL_MAX: libc::c_int = 64;

pub(super) extern "C" fn child_main(plan: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `run` passes its plan, which lives until this child has executed or left; nobody writes to it meanwhile.
    let plan: &Plan<'_> = unsafe { &*plan.cast() };
    if let Err((step, errno)) = prepare(plan).and_then(|()| execute(plan)) {
        plan.fail(step, errno);
    }
    // SAFETY: leaves without running any code of the parent.
    unsafe { libc::_exit(127) }
}

fn prepare(plan: &Plan<'_>) -> Outcome {
    reset_signal_actions();
    enter_session(plan)?;
    tie_to_parent(plan)?;
    join_cgroup(plan)?;
    set_limits(plan)?;
    place_descriptors(plan)?;
    if plan.session == Session::NewSessionWithTerminal {
        // SAFETY: takes integers only.
        check(Step::Terminal, unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) })?;
    }
    if let Some(dir) = &plan.cwd {
        // SAFETY: the path is a live C string.
        check(Step::Directory, unsafe { libc::chdir(dir.as_ptr()) })?;
    }
    if plan.trace_exec {
        // SAFETY: PTRACE_TRACEME ignores its other arguments.
        let ret =
            unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, std::ptr::null_mut::<u8>(), std::ptr::null_mut::<u8>()) };
        check(Step::Trace, ret as libc::c_int)?;
    }
    clear_signal_mask()
}

/// Every signal gets its default action, also those the parent ignores (Rust programs ignore SIGPIPE). The table of actions is
/// not shared with the parent.
fn reset_signal_actions() {
    for signal in 1..=SIGNAL_MAX {
        // SAFETY: SIG_DFL installs no code; numbers that cannot be changed (SIGKILL, glibc's own) are refused harmlessly.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

fn enter_session(plan: &Plan<'_>) -> Outcome {
    match plan.session {
        Session::Inherit => Ok(()),
        // SAFETY: takes integers only.
        Session::NewGroup => check(Step::Session, unsafe { libc::setpgid(0, 0) }),
        // SAFETY: takes nothing.
        Session::NewSession | Session::NewSessionWithTerminal => check(Step::Session, unsafe { libc::setsid() }),
    }
}

fn tie_to_parent(plan: &Plan<'_>) -> Outcome {
    let Some(signal) = plan.parent_death_signal else { return Ok(()) };
    // SAFETY: takes integers only.
    check(Step::ParentDeath, unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) })?;
    // SAFETY: takes nothing and cannot fail.
    let parent = unsafe { libc::getppid() };
    // The parent may have been killed before the tie held.
    if parent == plan.parent_pid { Ok(()) } else { Err((Step::ParentDeath, libc::ESRCH)) }
}

fn join_cgroup(plan: &Plan<'_>) -> Outcome {
    let Some(procs) = plan.cgroup_procs else { return Ok(()) };
    // "0" means: the process that writes.
    // SAFETY: pointer and length describe a static string.
    let written = unsafe { libc::write(procs, b"0".as_ptr().cast(), 1) };
    check(Step::Cgroup, written as libc::c_int)
}

fn set_limits(plan: &Plan<'_>) -> Outcome {
    if let Some(mask) = plan.umask {
        // SAFETY: takes an integer and cannot fail.
        unsafe { libc::umask(mask) };
    }
    for (resource, limit) in &plan.rlimits {
        // SAFETY: the limit is a live struct that is only read.
        check(Step::Rlimit, unsafe { libc::setrlimit(*resource as _, limit) })?;
    }
    if let Some(words) = &plan.affinity {
        // SAFETY: pointer and length describe one live slice that is only read.
        let ret = unsafe { libc::sched_setaffinity(0, size_of_val(&words[..]), words.as_ptr().cast()) };
        check(Step::Affinity, ret)?;
    }
    Ok(())
}

/// First everything is parked above all targets, then dropped into place: sources and targets may overlap.
fn place_descriptors(plan: &Plan<'_>) -> Outcome {
    // SAFETY: takes integers only. It marks all descriptors but the standard ones to be closed by execve.
    let marked = unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    check(Step::Descriptors, marked as libc::c_int)?;
    for entry in &plan.moves {
        // SAFETY: takes integers only.
        let parked = unsafe { libc::fcntl(entry.source, libc::F_DUPFD_CLOEXEC, plan.park_above) };
        check(Step::Descriptors, parked)?;
        entry.parked.set(parked);
    }
    for entry in &plan.moves {
        // SAFETY: takes integers only. The duplicate is not marked close-on-exec.
        check(Step::Descriptors, unsafe { libc::dup2(entry.parked.get(), entry.target) })?;
    }
    Ok(())
}

fn clear_signal_mask() -> Outcome {
    let mut empty = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: initializes the set it is given.
    unsafe { libc::sigemptyset(empty.as_mut_ptr()) };
    // SAFETY: the set was initialized just above and is only read.
    check(Step::SignalMask, unsafe { libc::sigprocmask(libc::SIG_SETMASK, empty.as_ptr(), std::ptr::null_mut()) })
}

/// Tries the candidates as execvp(3) does; returns only with the error that tells most.
fn execute(plan: &Plan<'_>) -> Outcome {
    let mut told = libc::ENOENT;
    for path in &plan.candidates {
        // SAFETY: three live C strings and zero-terminated arrays of such; on success nothing of ours is left to break.
        unsafe { libc::execve(path.as_ptr(), plan.argv.as_ptr(), plan.envp.as_ptr()) };
        match errno() {
            libc::ENOENT | libc::ENOTDIR => (),
            libc::EACCES => told = libc::EACCES,
            libc::ENOEXEC => return execute_script(plan, path),
            other => return Err((Step::Execute, other)),
        }
    }
    Err((Step::Execute, told))
}

/// An executable file that is no program: a shell script without its first line.
fn execute_script(plan: &Plan<'_>, path: &std::ffi::CStr) -> Outcome {
    if let Some(place) = plan.shell_argv.get(1) {
        place.set(path.as_ptr());
    }
    let argv: *const *const libc::c_char = plan.shell_argv.as_ptr().cast(); // A Cell has the layout of what it holds.
    // SAFETY: as in `execute`.
    unsafe { libc::execve(c"/bin/sh".as_ptr(), argv, plan.envp.as_ptr()) };
    Err((Step::Execute, errno()))
}

fn check(step: Step, ret: libc::c_int) -> Outcome {
    if ret < 0 { Err((step, errno())) } else { Ok(()) }
}

fn errno() -> i32 {
    // SAFETY: the address of this thread's errno: the suspended parent's, which it does not use meanwhile.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: valid for the life of the thread.
    unsafe { *place }
}
