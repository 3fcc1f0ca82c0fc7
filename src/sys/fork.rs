//! Copies of a process with one thread, for servers that start many of the same kind: no program is read, linked and set up again.

use std::io;

use crate::process::Pid;

/// Which of the two a process is after [`sibling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Original,
    Copy,
}

/// Whether this process has only one thread. Nothing that is locked elsewhere can then stay locked in a copy. Without `/proc` nobody
/// can tell, and the caller is believed.
pub fn single_threaded() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1)
        || !std::path::Path::new("/proc/self").exists()
}

/// Makes a copy of this process, which must have one thread ([`single_threaded`]). The copy is a child of our *parent*, which
/// waits for it as if it had started it itself; it inherits all descriptors. The id is the copy's, on both sides.
///
/// # Errors
/// EAGAIN, ENOMEM; EINVAL for the first process of a system or container.
pub fn sibling() -> io::Result<(Side, Pid)> {
    let flags = libc::CLONE_PARENT as libc::c_long | libc::SIGCHLD as libc::c_long;
    // SAFETY: without CLONE_VM and with no new stack this is fork(2): the copy has memory of its own. There is one thread, so
    // that no lock of the C library is held by another.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match crate::checked_long(pid)? {
        0 => Ok((Side::Copy, Pid::own())),
        pid => Ok((Side::Original, Pid(pid as i32))),
    }
}

/// The memory in which the kernel keeps the arguments that `ps` shows.
#[derive(Debug)]
pub struct Title {
    start: usize,
    room: usize,
}

impl Title {
    /// Where it is and how much room there is: that of all arguments given. `None`: unknown.
    pub fn find() -> Option<Title> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let after_name = &stat[stat.rfind(')')? + 1..];
        let mut fields = after_name.split_ascii_whitespace().skip(45); // arg_start and arg_end, proc_pid_stat(5).
        let (start, end) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (start != 0 && start < end).then_some(Title { start, room: end - start })
    }

    /// Shows `args` instead, as far as there is room. `std::env::args` gives them too from now on.
    pub fn set(&self, args: &[&str]) {
        let mut bytes = args.join("\0").into_bytes();
        bytes.resize(self.room.saturating_sub(1), 0);
        bytes.push(0);
        let start = std::ptr::with_exposed_provenance_mut::<u8>(self.start);
        // SAFETY: the kernel mapped `room` writable bytes there, on the stack of the first thread above all frames, for the life of
        // the process; the last stays zero, so that every argument ends, and there is one thread.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, self.room) };
    }
}
