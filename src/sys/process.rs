//! Processes we started, or that became our children: waiting, signalling, and what they used.

use std::ffi::{CStr, OsStr};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

/// A process id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub i32);

impl Pid {
    /// This process.
    pub fn own() -> Pid {
        Pid(nix::unistd::getpid().as_raw())
    }

    /// Its parent. Changes when the parent ends.
    pub fn parent() -> Pid {
        Pid(nix::unistd::getppid().as_raw())
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a process ended, encoded as wait(2) does and as Flux eventlogs carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitStatus(pub i32);

impl WaitStatus {
    /// The code given to exit(2), if the process ended so.
    pub fn exit_code(self) -> Option<i32> {
        (self.0 & 0x7f == 0).then_some((self.0 >> 8) & 0xff)
    }

    /// The signal that ended the process, if one did.
    pub fn signal(self) -> Option<i32> {
        let signal = self.0 & 0x7f;
        (signal != 0 && signal != 0x7f).then_some(signal)
    }

    /// Whether a core image was asked of the kernel.
    pub fn core_dumped(self) -> bool {
        self.signal().is_some() && self.0 & 0x80 != 0
    }
}

/// What a process used, from getrusage(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub user: Duration,
    pub system: Duration,
    /// The greatest resident set, in KiB.
    pub resident_kib_max: u64,
}

/// A child process and the descriptor that names it even after its id was given to another process.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Child {
    pub(crate) fn new(pid: Pid, pidfd: OwnedFd) -> Child {
        Child { pid, pidfd }
    }

    /// A child that another process made for us ([`crate::fork::sibling`]) and that nobody has collected.
    ///
    /// # Errors
    /// ESRCH when there is no such process.
    pub fn adopt(pid: Pid) -> io::Result<Child> {
        Ok(Child::new(pid, pidfd_open(pid)?))
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until the child ends and collects it.
    ///
    /// # Errors
    /// ECHILD when it was collected before.
    pub fn wait(&self) -> io::Result<(WaitStatus, Usage)> {
        loop {
            match wait_pidfd(self.pidfd.as_fd(), 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
                Ok(ended) => return Ok(ended.expect("a wait that blocks answers only when a child ended")),
            }
        }
    }

    /// Collects the child if it has ended.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn try_wait(&self) -> io::Result<Option<(WaitStatus, Usage)>> {
        wait_pidfd(self.pidfd.as_fd(), libc::WNOHANG)
    }

    /// Whether the child was stopped by a signal since this was last asked. A stop is announced by SIGCHLD only.
    pub fn take_stop(&self) -> bool {
        use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
        let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG;
        matches!(waitid(Id::PIDFd(self.pidfd.as_fd()), flags), Ok(WaitStatus::Stopped(..)))
    }

    /// Sends a signal to the child alone, and never to a stranger that got its id.
    ///
    /// # Errors
    /// ESRCH when it has ended and was collected.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        pidfd_signal(self.pidfd.as_fd(), signal)
    }

    /// The descriptor: readable (for poll) once the child has ended.
    pub fn into_pidfd(self) -> OwnedFd {
        self.pidfd
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// A descriptor for any process, ours or not; readable (for poll) once that process has ended.
///
/// # Errors
/// ESRCH when there is no such process.
pub fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: takes integers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.0, 0) };
    let fd = crate::checked_long(fd)?;
    // SAFETY: the kernel just made this descriptor for us; pidfds are close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Sends a signal to the process that `pidfd` names.
///
/// # Errors
/// ESRCH when it has ended, EPERM when it is not ours, EINVAL for a number that is no signal.
pub fn pidfd_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a null siginfo means "as kill(2)"; the rest are integers.
    let ret = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0)
    };
    crate::checked_long(ret).map(drop)
}

/// Collects the child that `pidfd` names. With WNOHANG in `flags`, `None` means it still runs.
///
/// # Errors
/// ECHILD when it is not our child or was collected before.
pub fn wait_pidfd(pidfd: BorrowedFd<'_>, flags: i32) -> io::Result<Option<(WaitStatus, Usage)>> {
    let ended = wait_id(libc::P_PIDFD, pidfd.as_raw_fd(), flags)?;
    Ok(ended.map(|(_, status, usage)| (status, usage)))
}

/// Collects any child that has ended, for a subreaper that inherits strangers. `None`: none has.
///
/// # Errors
/// ECHILD when there are no children.
pub fn reap_any() -> io::Result<Option<(Pid, WaitStatus, Usage)>> {
    wait_id(libc::P_ALL, 0, libc::WNOHANG)
}

fn wait_id(kind: libc::idtype_t, id: i32, flags: i32) -> io::Result<Option<(Pid, WaitStatus, Usage)>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let flags = flags | libc::WEXITED;
    // The raw call, as only it tells what the child used.
    // SAFETY: both pointers are to live memory of the right type that the kernel fills.
    let ret = unsafe { libc::syscall(libc::SYS_waitid, kind, id, info.as_mut_ptr(), flags, usage.as_mut_ptr()) };
    crate::checked_long(ret)?;
    // SAFETY: zeroes are a valid siginfo, and the kernel filled it if a child ended.
    let info = unsafe { info.assume_init() };
    // SAFETY: likewise.
    let usage = unsafe { usage.assume_init() };
    // SAFETY: for waitid the kernel fills the child's fields; without a child they are zero.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as above.
    let value = unsafe { info.si_status() };
    let status = match info.si_code {
        _ if pid == 0 => return Ok(None),
        libc::CLD_EXITED => (value & 0xff) << 8,
        libc::CLD_DUMPED => value | 0x80,
        _ => value,
    };
    Ok(Some((Pid(pid), WaitStatus(status), to_usage(&usage))))
}

fn to_usage(raw: &libc::rusage) -> Usage {
    let span =
        |time: libc::timeval| Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64);
    Usage { user: span(raw.ru_utime), system: span(raw.ru_stime), resident_kib_max: raw.ru_maxrss as u64 }
}

/// What this process used so far.
pub fn own_usage() -> Usage {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to live memory of the right type that the kernel fills.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    // SAFETY: zeroes are a valid rusage, and the call, which cannot fail for ourselves, filled it.
    to_usage(&unsafe { usage.assume_init() })
}

/// Sends a signal to one process by its id. Prefer [`Child::signal`]: ids are used again.
///
/// # Errors
/// ESRCH, EPERM, EINVAL. Ids below 1 would mean groups or everybody and are refused with EINVAL.
pub fn kill(pid: Pid, signal: i32) -> io::Result<()> {
    send(pid.0, signal, 1)
}

/// Sends a signal to all processes of a group.
///
/// # Errors
/// As [`kill`]; group 1 and below are refused with EINVAL.
pub fn kill_group(group: Pid, signal: i32) -> io::Result<()> {
    send(group.0, signal, -1)
}

fn send(pid: i32, signal: i32, sign: i32) -> io::Result<()> {
    if pid < 1 || (sign < 0 && pid < 2) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: takes integers only.
    crate::checked(unsafe { libc::kill(sign * pid, signal) }).map(drop)
}

/// Whether a process of this id exists (a zombie does).
pub fn exists(pid: Pid) -> bool {
    match kill(pid, 0) {
        Ok(()) => true,
        Err(error) => error.raw_os_error() == Some(libc::EPERM),
    }
}

/// The process group of this process.
pub fn own_group() -> Pid {
    Pid(nix::unistd::getpgrp().as_raw())
}

/// Starts a new session for this process: no terminal, own process group.
///
/// # Errors
/// EPERM for a group leader.
pub fn new_session() -> io::Result<()> {
    nix::unistd::setsid()?;
    Ok(())
}

/// Asks for `signal` when our parent ends (0: none).
///
/// # Errors
/// EINVAL for a number that is no signal.
pub fn set_parent_death_signal(signal: i32) -> io::Result<()> {
    // SAFETY: takes integers only.
    crate::checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) }).map(drop)
}

/// Orphaned descendants become our children.
///
/// # Errors
/// Never in practice.
pub fn become_subreaper() -> io::Result<()> {
    // SAFETY: takes integers only.
    crate::checked(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// Whether other processes of this user may read our memory and attach to us.
///
/// # Errors
/// Never in practice.
pub fn set_dumpable(dumpable: bool) -> io::Result<()> {
    // SAFETY: takes integers only.
    crate::checked(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, i32::from(dumpable), 0, 0, 0) }).map(drop)
}

/// Lets no program that we execute gain rights.
///
/// # Errors
/// Never in practice.
pub fn set_no_new_privileges() -> io::Result<()> {
    // SAFETY: takes integers only.
    crate::checked(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map(drop)
}

/// The name that `ps` and `/proc/self/comm` show; 15 bytes are kept. A zero byte ends it.
pub fn set_name(name: &str) {
    let mut bytes = [0u8; 16];
    let len = name.len().min(15);
    bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
    // SAFETY: 16 live bytes with a zero at the end, which the kernel copies.
    unsafe { libc::prctl(libc::PR_SET_NAME, bytes.as_ptr()) };
}

/// Sets the C library's allocator up for a process that lives long and makes many small objects: what is freed is joined with its
/// neighbours at once, not in rounds over everything, and memory is asked for and given back in larger pieces.
pub fn tune_allocator() {
    const GROW_BYTES: i32 = 1 << 20;
    const KEEP_BYTES: i32 = 16 << 20;
    for (parameter, value) in [(libc::M_MXFAST, 0), (libc::M_TOP_PAD, GROW_BYTES), (libc::M_TRIM_THRESHOLD, KEEP_BYTES)]
    {
        // SAFETY: takes integers only; a parameter that the library does not know changes nothing.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Gives the kernel back what the C library keeps of memory that was freed, if it is more than `spare` bytes. This looks at each freed
/// block: for moments in which nothing else is to be done. Answers whether it was as much.
pub fn return_memory(spare: usize) -> bool {
    // SAFETY: reads the allocator's own counters, under its lock.
    let free = unsafe { libc::mallinfo2() }.fordblks;
    if free <= spare {
        return false;
    }
    // SAFETY: takes an integer only.
    unsafe { libc::malloc_trim(0) };
    true
}

/// Lets the kernel take the program's own pages back: those that only the start needed never return, the others are read from memory
/// that is shared anyway.
pub fn forget_code() {
    unsafe extern "C" {
        // The linker's names for the beginning of the program and the end of its code.
        static __executable_start: u8;
        static etext: u8;
    }
    const PAGE: usize = 4096;
    let (start, end) = (&raw const __executable_start as usize, &raw const etext as usize & !(PAGE - 1));
    if start % PAGE == 0 && start < end {
        // SAFETY: code and constants, which nobody has written to: what is dropped is the file's.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// The kernel's link to the program we run: as the file of a new process it works even after an upgrade replaced the program.
pub const OWN_PROGRAM_LINK: &str = "/proc/self/exe";

/// The path of the program we run, for humans and for the `PATH` of others. `None` when nobody knows it.
///
/// Without `/proc` (in a bare root directory) it is the path this process was executed by.
pub fn own_program() -> Option<PathBuf> {
    std::fs::read_link(OWN_PROGRAM_LINK).ok().filter(|path| path.exists()).or_else(executed_path)
}

/// The path given to execve, made absolute. Ask before the working directory changes.
pub(crate) fn executed_path() -> Option<PathBuf> {
    // SAFETY: reads the auxiliary vector, which lives as long as the process.
    let name = unsafe { libc::getauxval(libc::AT_EXECFN) } as *const libc::c_char;
    if name.is_null() {
        return None;
    }
    // SAFETY: the kernel put a C string there, on the stack of the first thread, that lives as long as the process.
    let name = unsafe { CStr::from_ptr(name) };
    std::path::absolute(OsStr::from_bytes(name.to_bytes())).ok()
}

/// When a process started, in clock ticks since boot: with its id, this names it for ever. `None`: no such process.
pub fn start_time(pid: Pid) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = &stat[stat.rfind(')')? + 1..]; // The name may hold anything, also spaces and parentheses.
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_statuses_decode_as_wait2_says() {
        let rows = [
            (0x0000, Some(0), None, false),
            (0x0100, Some(1), None, false),
            (0xff00, Some(255), None, false),
            (0x0009, None, Some(9), false),
            (0x008b, None, Some(11), true),
        ];
        for (raw, code, signal, core) in rows {
            let status = WaitStatus(raw);
            assert_eq!((status.exit_code(), status.signal(), status.core_dumped()), (code, signal, core), "{raw:#x}");
        }
    }

    #[test]
    fn groups_and_everybody_are_not_signalled_by_accident() {
        for pid in [0, -1, -5] {
            assert_eq!(kill(Pid(pid), 0).unwrap_err().raw_os_error(), Some(libc::EINVAL), "{pid}");
        }
        assert_eq!(kill_group(Pid(1), 0).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn a_process_is_known_by_id_and_start_time() {
        assert!(exists(Pid::own()));
        assert!(start_time(Pid::own()).unwrap() > 0);
        assert_eq!(start_time(Pid(i32::MAX)), None);
        assert!(own_usage().resident_kib_max > 0);
    }

    #[test]
    fn our_own_program_is_found_with_and_without_proc() {
        let own = std::fs::canonicalize(own_program().unwrap()).unwrap();
        assert_eq!(own, std::env::current_exe().unwrap());
        assert_eq!(std::fs::canonicalize(executed_path().unwrap()).unwrap(), own);
    }

    #[test]
    fn a_pidfd_of_a_stranger_can_be_opened_but_not_waited_for() {
        let fd = pidfd_open(Pid::parent()).unwrap();
        pidfd_signal(fd.as_fd(), 0).unwrap();
        assert_eq!(wait_pidfd(fd.as_fd(), libc::WNOHANG).unwrap_err().raw_os_error(), Some(libc::ECHILD));
        assert_eq!(pidfd_open(Pid(i32::MAX)).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }
}
