//! System calls that need privilege or that nix has no safe form of: one call per block. It decides nothing.

use crate::policy::User;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{Gid, Pid, Uid};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

type Checked = Result<(), Errno>;

/// Whom this process started for and what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) ruid: u32,
    pub(crate) euid: u32,
    pub(crate) suid: u32,
    pub(crate) rgid: u32,
    pub(crate) egid: u32,
    pub(crate) sgid: u32,
}

impl Ids {
    pub(crate) fn current() -> Ids {
        let (users, groups) = (nix::unistd::getresuid(), nix::unistd::getresgid());
        let (Ok(users), Ok(groups)) = (users, groups) else { std::process::abort() };
        let [ruid, euid, suid] = [users.real, users.effective, users.saved].map(Uid::as_raw);
        let [rgid, egid, sgid] = [groups.real, groups.effective, groups.saved].map(Gid::as_raw);
        Ids { ruid, euid, suid, rgid, egid, sgid }
    }
}

/// Proof that this process can no longer become root. Only [`become_user`] makes one.
#[derive(Debug)]
pub(crate) struct Unprivileged(());

/// Gives up root for good: groups, then gid, then uid, as only root may change the first two; then reads all of it back.
///
/// # Errors
/// The first call that failed. The process is then half-changed: the caller must exit, never retry.
pub(crate) fn become_user(uid: u32, gid: u32, groups: &[u32]) -> Result<Unprivileged, Errno> {
    assert!(uid != 0 && gid != 0 || !enforced!("root"), "policy refuses root before this point");
    let groups: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    enforced!("groups").then(|| nix::unistd::setgroups(&groups)).transpose()?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)?;
    let ids = Ids::current();
    let users = [ids.ruid, ids.euid, ids.suid] == [uid.as_raw(); 3];
    let all = users && [ids.rgid, ids.egid, ids.sgid] == [gid.as_raw(); 3];
    let set = |groups: &[Gid]| groups.iter().map(|gid| gid.as_raw()).collect::<BTreeSet<u32>>();
    let (now, want) = (set(&nix::unistd::getgroups()?), set(&groups));
    // What is ambient is permitted, too.
    let capable = [caps::CapSet::Permitted, caps::CapSet::Effective, caps::CapSet::Inheritable];
    let none_left = capable.into_iter().all(|set| caps::read(None, set).is_ok_and(|left| left.is_empty()));
    // It must fail; success means a way back exists, and we stop dead.
    let way_back = nix::unistd::setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok();
    if !all || now != want && enforced!("groups") || (!none_left || way_back) && enforced!("root") {
        std::process::abort();
    }
    Ok(Unprivileged(()))
}

/// Makes root's every id of this process: a shell gives up what its real ids do not have.
///
/// # Errors
/// The first call that failed.
pub(crate) fn become_root() -> Checked {
    nix::unistd::setgroups(&[])?;
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)
}

/// As [`become_user`], for the user who called us; its supplementary groups are already those of the caller.
///
/// # Errors
/// As [`become_user`].
pub(crate) fn become_caller(ids: Ids) -> Result<Unprivileged, Errno> {
    let groups: Vec<u32> = nix::unistd::getgroups()?.into_iter().map(Gid::as_raw).collect();
    become_user(ids.ruid, ids.rgid, &groups)
}

/// What a caller can hand down to a set-id program besides arguments and environment, made as it should be: descriptors,
/// limits, umask, signals, timers, the working directory. That descriptors 0 to 2 are open, the C library of a set-id program
/// and Rust's start see to.
///
/// # Errors
/// The step that failed.
pub(crate) fn clean_process() -> Result<(), String> {
    let step = |name: &'static str| move |error: Errno| format!("{name}: {error}");
    // SAFETY: takes integers. No descriptor above 2 is owned by anything yet: this runs first thing in the process.
    let close = || Errno::result(unsafe { libc::close_range(3, libc::c_uint::MAX, 0) });
    enforced!("descriptors").then(close).transpose().map_err(step("close_range"))?;
    nix::sys::prctl::set_dumpable(!enforced!("dumpable")).map_err(step("dumpable"))?;
    enforced!("umask").then(|| nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022)));
    enforced!("directory").then(|| nix::unistd::chdir("/")).transpose().map_err(step("chdir"))?;
    enforced!("limits").then(reset_limits).transpose().map_err(step("limits"))?;
    for which in
        [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF].into_iter().filter(|_| enforced!("timers"))
    {
        let off = [0_u64; 4]; // The kernel's own structure, all zero.
        // SAFETY: the structure lives over the call, is only read, and is as long as the kernel's; the old one is not asked for.
        Errno::result(unsafe { libc::syscall(libc::SYS_setitimer, which, &off, 0_usize) }).map_err(step("timers"))?;
    }
    enforced!("signals").then(reset_signals).transpose().map_err(step("signals")).map(drop)
}

/// A caller may have lowered limits to make us fail half way; what a site sets for jobs (memory locking, priorities) is left.
fn reset_limits() -> Checked {
    use nix::sys::resource::Resource::{self, RLIMIT_AS, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_NPROC};
    use nix::sys::resource::{RLIM_INFINITY, getrlimit, setrlimit};
    let unlimited = [RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_AS, RLIMIT_DATA, RLIMIT_NPROC];
    let wanted = unlimited.into_iter().map(|resource| (resource, RLIM_INFINITY));
    for (resource, soft) in wanted.chain([(Resource::RLIMIT_CORE, 0), (Resource::RLIMIT_STACK, 8 << 20)]) {
        // In a container root may be without CAP_SYS_RESOURCE: then as high as there is.
        let (_, hard) = getrlimit(resource)?;
        setrlimit(resource, soft, RLIM_INFINITY).or_else(|_| setrlimit(resource, soft.min(hard), hard))?;
    }
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(1024).min(hard), hard)
}

/// Default dispositions and an empty mask: a caller may have us ignore or block what we rely on.
pub(crate) fn reset_signals() -> Checked {
    let default = [0_u64; 4]; // The kernel's own structure, all zero: SIG_DFL, no flags, no mask.
    for signal in (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)) {
        // SAFETY: the structure lives over the call, is only read, and is as long as the kernel's; the old one is not asked for.
        // The C library's function would refuse the two signals that it keeps for itself.
        Errno::result(unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &default, 0_usize, 8_usize) })?;
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// Throws away the whole environment. Must be called while there is one thread.
pub(crate) fn clear_environment() {
    // SAFETY: there is one thread, and nothing holds a pointer into the environment: copies were made before.
    unsafe { libc::clearenv() };
}

/// Leaves this process, which stays with euid 0, only these capabilities.
///
/// # Errors
/// What `caps` says.
pub(crate) fn keep_only(kept: &[caps::Capability]) -> Result<(), Box<dyn std::error::Error>> {
    let set: caps::CapsHashSet = kept.iter().copied().collect();
    clear_bounding_set()?;
    caps::set(None, caps::CapSet::Effective, &set)?;
    Ok(caps::set(None, caps::CapSet::Permitted, &set)?)
}

/// What is in no bounding set, no program brings back. One call for each capability that the kernel has: it refuses the first
/// that it has not.
pub(crate) fn clear_bounding_set() -> Checked {
    // SAFETY: takes integers.
    let drop = |capability: i32| Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) });
    let error = (0..).find_map(|capability| drop(capability).err());
    error.filter(|error| *error != Errno::EINVAL).map_or(Ok(()), Err)
}

/// Starts a child that runs `work` and exits with what it returns.
///
/// # Errors
/// That of fork(2).
pub(crate) fn fork(work: impl FnOnce() -> u8) -> Result<Pid, Errno> {
    // SAFETY: there is one thread, so the child may go on as if nothing had happened.
    let child = Errno::result(unsafe { libc::fork() })?;
    (child == 0).then(|| exit(work()));
    Ok(Pid::from_raw(child))
}

/// Kills a process if it is still who is meant, once we hold it: its number alone may be that of a stranger by now.
///
/// # Errors
/// ESRCH: it has ended.
pub(crate) fn kill_if(pid: Pid, still: impl FnOnce() -> bool) -> Checked {
    // SAFETY: takes integers.
    let held = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })? as i32;
    // SAFETY: the descriptor is new and nobody else's.
    let held = unsafe { OwnedFd::from_raw_fd(held) };
    // SAFETY: takes integers; no details of the signal are given.
    let kill = || unsafe { libc::syscall(libc::SYS_pidfd_send_signal, held.as_raw_fd(), libc::SIGKILL, 0_usize, 0) };
    if still() { Errno::result(kill()).map(drop) } else { Ok(()) }
}

/// Ends this process without running what its parent registered for its own end.
fn exit(code: u8) -> ! {
    // SAFETY: takes an integer, and does not return.
    unsafe { libc::_exit(i32::from(code)) }
}

// In a child, a panic must not unwind into what the parent was doing.
#[cfg(not(any(panic = "abort", debug_assertions)))]
compile_error!("the IMP is built with panic = \"abort\"");

/// Waits until there is something to read, or for so long; answers whether there is.
///
/// # Errors
/// That of poll(2).
pub(crate) fn readable(fd: impl AsFd, timeout: PollTimeout) -> Result<bool, Errno> {
    poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout).map(|ready| ready > 0)
}

/// Becomes `user` for good and `path`; returns only if that failed.
pub(crate) fn execute(
    user: Option<&User>,
    path: &str,
    args: &[String],
    environment: &[(String, String)],
    no_new_privs: bool,
) -> io::Error {
    let text = |text: String| CString::new(text).map_err(|_| io::Error::from(Errno::EINVAL));
    let become_it = || -> io::Result<Infallible> {
        enforced!("signals").then(reset_signals).transpose()?;
        if let Some(user) = user {
            become_user(user.uid, user.gid, &user.groups)?;
        }
        if no_new_privs {
            nix::sys::prctl::set_no_new_privs()?;
        }
        let args = args.iter().cloned().map(text).collect::<io::Result<Vec<_>>>()?;
        let variables = environment.iter().map(|(name, value)| text(format!("{name}={value}")));
        Ok(nix::unistd::execve(&text(path.into())?, &args, &variables.collect::<io::Result<Vec<_>>>()?)?)
    };
    let Err(error) = become_it();
    error
}

/// Has the kernel check a program (`BPF_PROG_LOAD`, 5), and attaches it to a cgroup (`BPF_PROG_ATTACH`, 8). The numbers are those of
/// bpf(2): the type of program, that of attachment with its flags.
///
/// # Errors
/// That of bpf(2).
pub(crate) fn attach(cgroup: &File, program: &[u64], [kind, place]: [u64; 2]) -> Checked {
    // SAFETY: the attributes live over the call and are as long as is said; what they point to does, too, and is only read.
    let bpf = |command: i32, attributes: &[u64]| unsafe {
        libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), size_of_val(attributes))
    };
    let len = (program.len() as u64) << 32;
    let load = [kind | len, program.as_ptr() as u64, c"GPL".as_ptr() as u64, 0, 0, 0];
    let loaded = Errno::result(bpf(5, &load))? as i32;
    // SAFETY: the descriptor is new and nobody else's.
    let loaded = unsafe { OwnedFd::from_raw_fd(loaded) };
    let attached = bpf(8, &[cgroup.as_raw_fd() as u64 | (loaded.as_raw_fd() as u64) << 32, place]);
    Errno::result(attached).map(drop)
}

/// Descriptors that a process is given are below this, those of sealed files are not.
const PLACED_BELOW: i32 = 10;

/// A sealed file in memory with this content, to be read from the beginning: what the job shell gets from us, and no one else
/// can change.
///
/// # Errors
/// The call that failed.
pub(crate) fn sealed_file(content: &[u8]) -> io::Result<OwnedFd> {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::io::{Seek, Write};
    let mut file = File::from(memfd_create(c"flux-imp", MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    let seals = if enforced!("sealed") { SealFlag::all() } else { SealFlag::empty() };
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    let above = fcntl(&file, FcntlArg::F_DUPFD_CLOEXEC(PLACED_BELOW))?;
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(above) })
}

/// Makes `fd` the descriptor `number`, which stays open over execve(2).
///
/// # Errors
/// The call that failed.
pub(crate) fn place(fd: OwnedFd, number: i32) -> Checked {
    assert_ne!(fd.as_raw_fd(), number, "files are opened above those that a process is given");
    // SAFETY: takes integers; the process owns what `number` was.
    Errno::result(unsafe { libc::dup2(fd.as_raw_fd(), number) }).map(drop)
}
