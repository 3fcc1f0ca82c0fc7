//! Who this process is, and whether it may trust its environment.

use std::io;

/// The user and group ids of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    pub ruid: u32,
    pub euid: u32,
    pub suid: u32,
    pub rgid: u32,
    pub egid: u32,
    pub sgid: u32,
}

impl Ids {
    /// The ids of the calling process; this cannot fail.
    pub fn current() -> Ids {
        let users = nix::unistd::getresuid().expect("getresuid fails only on bad pointers");
        let groups = nix::unistd::getresgid().expect("getresgid fails only on bad pointers");
        Ids {
            ruid: users.real.as_raw(),
            euid: users.effective.as_raw(),
            suid: users.saved.as_raw(),
            rgid: groups.real.as_raw(),
            egid: groups.effective.as_raw(),
            sgid: groups.saved.as_raw(),
        }
    }

    /// Whether real, effective and saved ids are all the same: nothing was raised.
    pub fn plain(&self) -> bool {
        self.ruid == self.euid && self.euid == self.suid && self.rgid == self.egid && self.egid == self.sgid
    }
}

/// Whether the kernel marked this process `AT_SECURE` (set-id bits, file capabilities, a security module):
/// then the environment belongs to somebody with fewer rights.
pub fn at_secure() -> bool {
    // SAFETY: reads the auxiliary vector, which lives as long as the process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Throws away an environment that somebody with fewer rights wrote: what is left are the terminal's type and a safe `PATH`.
///
/// Must be called first thing in `main`, before there are other threads.
pub fn distrust_environment() {
    assert!(threads().is_none_or(|count| count == 1), "the environment can only be changed while there is one thread");
    let names: Vec<_> = std::env::vars_os().map(|(name, _)| name).filter(|name| name != "TERM").collect();
    for name in names {
        // SAFETY: there is no other thread that could read the environment meanwhile: asserted above.
        unsafe { std::env::remove_var(name) };
    }
    // SAFETY: as above.
    unsafe { std::env::set_var("PATH", "/usr/bin:/bin") };
}

/// How many threads this process has; `None` without `/proc`.
fn threads() -> Option<usize> {
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}

/// Sets the file mode creation mask; answers the former one.
pub fn set_umask(mask: u32) -> u32 {
    let former = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask));
    former.bits()
}

/// The supplementary groups of this process.
///
/// # Errors
/// As getgroups(2); it does not fail in practice.
pub fn supplementary_groups() -> io::Result<Vec<u32>> {
    Ok(nix::unistd::getgroups()?.into_iter().map(|gid| gid.as_raw()).collect())
}

/// The name of this host, as `uname -n` prints it.
///
/// # Errors
/// When the name is longer than the buffer or not UTF-8.
pub fn hostname() -> io::Result<String> {
    let name = nix::unistd::gethostname()?;
    name.into_string().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the host name is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_run_has_plain_ids_and_a_trusted_environment() {
        assert!(Ids::current().plain());
        assert!(!at_secure());
    }

    #[test]
    fn ids_that_differ_anywhere_are_not_plain() {
        let same = Ids { ruid: 1, euid: 1, suid: 1, rgid: 2, egid: 2, sgid: 2 };
        let rows = [
            Ids { ruid: 0, ..same },
            Ids { euid: 0, ..same },
            Ids { suid: 0, ..same },
            Ids { rgid: 0, ..same },
            Ids { egid: 0, ..same },
            Ids { sgid: 0, ..same },
        ];
        assert!(same.plain());
        for ids in rows {
            assert!(!ids.plain(), "{ids:?}");
        }
    }
}
