//! Terminals: pseudo-terminals for jobs that want one, raw mode and window size for the client that shows them.

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub rows: u16,
    pub columns: u16,
}

/// A pseudo-terminal: the side we read and write, and the side a program takes for its terminal.
#[derive(Debug)]
pub struct Pty {
    pub leader: OwnedFd,
    pub follower: OwnedFd,
    /// `/dev/pts/N`
    pub path: String,
}

/// Opens a pseudo-terminal; neither side becomes our controlling terminal.
///
/// # Errors
/// ENOENT without `/dev/ptmx`, ENOSPC when there are no more.
pub fn open_pty() -> io::Result<Pty> {
    let leader = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
    grantpt(&leader)?;
    unlockpt(&leader)?;
    let path = ptsname_r(&leader)?;
    let follower = File::options().read(true).write(true).custom_flags(libc::O_NOCTTY).open(&path)?;
    crate::fd::set_close_on_exec(&leader, true)?;
    let leader = leader.as_fd().try_clone_to_owned()?;
    Ok(Pty { leader, follower: follower.into(), path })
}

/// The size of the terminal at `fd`.
///
/// # Errors
/// ENOTTY.
pub fn size(fd: impl AsFd) -> io::Result<Size> {
    let mut raw = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the pointer is to live memory of the type that this request fills.
    crate::checked(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGWINSZ, raw.as_mut_ptr()) })?;
    // SAFETY: zeroes are a valid winsize, and the kernel filled it.
    let raw = unsafe { raw.assume_init() };
    Ok(Size { rows: raw.ws_row, columns: raw.ws_col })
}

/// Sets the size; the programs on the terminal get SIGWINCH.
///
/// # Errors
/// ENOTTY.
pub fn set_size(fd: impl AsFd, size: Size) -> io::Result<()> {
    let raw = libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the pointer is to a live struct that this request only reads.
    crate::checked(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw) }).map(drop)
}

/// Which process group reads from the terminal.
///
/// # Errors
/// ENOTTY when it is not our controlling terminal.
pub fn foreground_group(fd: impl AsFd) -> io::Result<i32> {
    Ok(nix::unistd::tcgetpgrp(fd)?.as_raw())
}

/// Raw mode (every key arrives at once, nothing is echoed) until this is dropped.
#[derive(Debug)]
pub struct RawMode {
    terminal: OwnedFd,
    former: Termios,
}

impl RawMode {
    /// # Errors
    /// ENOTTY.
    pub fn new(terminal: impl AsFd) -> io::Result<RawMode> {
        let terminal = terminal.as_fd().try_clone_to_owned()?;
        let former = tcgetattr(&terminal)?;
        let mut raw = former.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&terminal, SetArg::TCSADRAIN, &raw)?;
        Ok(RawMode { terminal, former })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.former); // The terminal may be gone.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::termios::LocalFlags;

    #[test]
    fn a_pseudo_terminal_has_a_size_and_a_raw_mode_that_ends() {
        let pty = open_pty().unwrap();
        assert!(pty.path.starts_with("/dev/pts/"));
        let wanted = Size { rows: 33, columns: 111 };
        set_size(&pty.leader, wanted).unwrap();
        assert_eq!(size(&pty.follower).unwrap(), wanted);
        let echoes = || tcgetattr(&pty.follower).unwrap().local_flags.contains(LocalFlags::ECHO);
        assert!(echoes());
        let raw = RawMode::new(&pty.follower).unwrap();
        assert!(!echoes());
        drop(raw);
        assert!(echoes());
    }

    #[test]
    fn what_is_not_a_terminal_says_so() {
        let null = crate::fd::dev_null().unwrap();
        assert_eq!(size(&null).unwrap_err().raw_os_error(), Some(libc::ENOTTY));
        assert!(RawMode::new(&null).is_err());
    }
}
