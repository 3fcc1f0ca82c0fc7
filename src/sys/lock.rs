//! Locks on files. Both kinds end with the open file they were taken on, also when the process is killed.

use nix::fcntl::{FcntlArg, fcntl};
use std::fs::File;
use std::io;

/// Takes an exclusive lock (open file description lock) on all of `file` without waiting. Works on NFS.
///
/// Answers `false` when somebody else holds it. The lock ends when the last duplicate of the descriptor is closed.
///
/// # Errors
/// Others than being held: EBADF, ENOLCK.
pub fn try_exclusive(file: &File) -> io::Result<bool> {
    ofd(file, libc::F_WRLCK)
}

/// Takes a shared lock, otherwise as [`try_exclusive`].
///
/// # Errors
/// As [`try_exclusive`].
pub fn try_shared(file: &File) -> io::Result<bool> {
    ofd(file, libc::F_RDLCK)
}

/// Gives the lock up.
///
/// # Errors
/// As [`try_exclusive`].
pub fn release(file: &File) -> io::Result<()> {
    ofd(file, libc::F_UNLCK).map(drop)
}

fn ofd(file: &File, kind: libc::c_int) -> io::Result<bool> {
    let lock = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&lock)) {
        Ok(_) => Ok(true),
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_other_open_files_until_it_is_closed() {
        let dir = std::env::temp_dir().join(format!("flux-sys-lock-{}", std::process::id()));
        let open = || File::options().create(true).truncate(false).read(true).write(true).open(&dir).unwrap();
        let (first, second) = (open(), open());
        assert!(try_exclusive(&first).unwrap());
        assert!(!try_exclusive(&second).unwrap());
        assert!(!try_shared(&second).unwrap());
        drop(first);
        assert!(try_exclusive(&second).unwrap());
        release(&second).unwrap();
        std::fs::remove_file(dir).unwrap();
    }
}
