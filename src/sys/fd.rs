//! File descriptors: making, marking and handing them over. Everything made here is close-on-exec.

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// A pipe: the reading end, the writing end.
///
/// # Errors
/// EMFILE, ENFILE.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC)?)
}

/// `/dev/null`, for reading and writing.
///
/// A bare root directory has none: there it is an empty file in memory, which reads as empty and refuses what is written.
///
/// # Errors
/// As open(2) and memfd_create(2): EMFILE, ENFILE.
pub fn dev_null() -> io::Result<OwnedFd> {
    match File::options().read(true).write(true).open("/dev/null") {
        Ok(file) => Ok(file.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let empty = memfd("null")?;
            seal(&empty)?;
            Ok(empty.into())
        }
        Err(error) => Err(error),
    }
}

/// The first stretch of data of a regular file at or after byte `from`, without the holes around it: start and end.
///
/// `None`: there are only holes. The file's offset is changed.
///
/// # Errors
/// As lseek(2).
pub fn next_data(file: &File, from: u64) -> io::Result<Option<(u64, u64)>> {
    use nix::unistd::{Whence, lseek};
    let from = i64::try_from(from).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let start = match lseek(file, from, Whence::SeekData) {
        Err(nix::errno::Errno::ENXIO) => return Ok(None),
        start => start?,
    };
    let end = lseek(file, start, Whence::SeekHole)?;
    Ok(Some((start as u64, end as u64)))
}

/// Reads and writes of this open file return EAGAIN instead of waiting (or wait again).
///
/// # Errors
/// As fcntl(2). Note that the setting belongs to the open file: all who share it see it.
pub fn set_nonblocking(fd: impl AsFd, on: bool) -> io::Result<()> {
    let former = OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL)?);
    let wanted = if on { former | OFlag::O_NONBLOCK } else { former - OFlag::O_NONBLOCK };
    if wanted != former {
        fcntl(fd.as_fd(), FcntlArg::F_SETFL(wanted))?;
    }
    Ok(())
}

/// Whether execve closes this descriptor.
///
/// # Errors
/// As fcntl(2).
pub fn set_close_on_exec(fd: impl AsFd, on: bool) -> io::Result<()> {
    let flags = if on { FdFlag::FD_CLOEXEC } else { FdFlag::empty() };
    fcntl(fd.as_fd(), FcntlArg::F_SETFD(flags))?;
    Ok(())
}

/// Takes over a descriptor that was inherited by number (for example `FLUX_...FD`), and marks it close-on-exec.
/// The caller must ask once per number, before the number is used otherwise.
///
/// # Errors
/// EBADF when nothing is open there; EINVAL for the standard streams, which are never ours alone.
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    if number < 3 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: takes integers only.
    crate::checked(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: the call above showed it open; by the contract it was given to this process and has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A counter that wakes a poll: [`Waker::wake`] makes it readable, [`Waker::drain`] unreadable.
#[derive(Debug)]
pub struct Waker(EventFd);

impl Waker {
    /// # Errors
    /// EMFILE, ENFILE.
    pub fn new() -> io::Result<Waker> {
        Ok(Waker(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?))
    }

    /// Wakes. Waking again before it was drained changes nothing.
    pub fn wake(&self) {
        let _ = self.0.write(1); // EAGAIN: the counter is full, so it is readable already.
    }

    /// Answers whether it was woken since the last call.
    pub fn drain(&self) -> bool {
        self.0.read().is_ok()
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A file in memory; `name` is for humans who look into `/proc`. Sealable.
///
/// # Errors
/// EMFILE, ENOMEM, EINVAL for names over 249 bytes.
pub fn memfd(name: &str) -> io::Result<File> {
    let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    Ok(File::from(fd))
}

/// Makes a memory file immutable in size and content: its reader need not fear later changes.
///
/// # Errors
/// EPERM when it was sealed against sealing, EBUSY while it is mapped for writing, EINVAL for ordinary files.
pub fn seal(file: &File) -> io::Result<()> {
    use nix::fcntl::SealFlag;
    let all = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
    fcntl(file, FcntlArg::F_ADD_SEALS(all))?;
    Ok(())
}

/// Waits until the data of `file`, and what is needed to read it back, are on disk.
///
/// # Errors
/// EIO, ENOSPC, EDQUOT: what was written may be lost; see fsync(2).
pub fn sync_data(file: &File) -> io::Result<()> {
    file.sync_data()
}

/// Waits until the entries of a directory are on disk: after creating or renaming a file in it.
///
/// # Errors
/// As [`sync_data`], and those of open(2).
pub fn sync_dir(dir: &std::path::Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether this is a terminal.
pub fn is_terminal(fd: impl AsFd) -> bool {
    nix::unistd::isatty(fd).unwrap_or(false)
}

/// What polling one descriptor found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    pub readable: bool,
    pub writable: bool,
    /// The other end is gone, or the descriptor is broken.
    pub hangup: bool,
}

/// Waits until one of `fds` is readable (or, where the flag is set, writable), or `timeout_ms` has passed (`None`: for ever).
/// The answer has one entry per descriptor. For programs with few descriptors; the runtime uses mio.
///
/// # Errors
/// EINTR when a signal came.
pub fn poll(fds: &[(BorrowedFd<'_>, bool)], timeout_ms: Option<u32>) -> io::Result<Vec<Ready>> {
    let wanted = |writable: bool| if writable { libc::POLLIN | libc::POLLOUT } else { libc::POLLIN };
    let mut entries: Vec<libc::pollfd> = fds
        .iter()
        .map(|(fd, writable)| libc::pollfd { fd: fd.as_raw_fd(), events: wanted(*writable), revents: 0 })
        .collect();
    let timeout = timeout_ms.map_or(-1, |ms| i32::try_from(ms).unwrap_or(i32::MAX));
    // SAFETY: pointer and length describe one live vector that the kernel fills.
    crate::checked(unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, timeout) })?;
    let ready = |entry: &libc::pollfd| Ready {
        readable: entry.revents & libc::POLLIN != 0,
        writable: entry.revents & libc::POLLOUT != 0,
        hangup: entry.revents & (libc::POLLHUP | libc::POLLERR | libc::POLLNVAL) != 0,
    };
    Ok(entries.iter().map(ready).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};

    #[test]
    fn a_waker_wakes_once_however_often_it_is_woken() {
        let waker = Waker::new().unwrap();
        assert!(!waker.drain());
        waker.wake();
        waker.wake();
        assert!(poll(&[(waker.as_fd(), false)], Some(0)).unwrap()[0].readable);
        assert!(waker.drain());
        assert!(!waker.drain());
    }

    #[test]
    fn a_sealed_memory_file_reads_but_does_not_change() {
        let mut file = memfd("test").unwrap();
        file.write_all(b"kept").unwrap();
        seal(&file).unwrap();
        assert!(file.write_all(b"more").is_err());
        assert!(file.set_len(0).is_err());
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "kept");
    }

    #[test]
    fn only_open_descriptors_above_the_standard_ones_are_taken_over() {
        for number in [-1, 0, 2] {
            assert_eq!(take_inherited(number).unwrap_err().raw_os_error(), Some(libc::EINVAL), "{number}");
        }
        assert_eq!(take_inherited(999_999).unwrap_err().raw_os_error(), Some(libc::EBADF));
    }

    #[test]
    fn a_pipe_reports_its_end() {
        let (reader, writer) = pipe().unwrap();
        set_nonblocking(&reader, true).unwrap();
        assert!(!poll(&[(reader.as_fd(), false)], Some(0)).unwrap()[0].hangup);
        drop(writer);
        assert!(poll(&[(reader.as_fd(), false)], Some(1000)).unwrap()[0].hangup);
    }
}
