//! Control groups, version 2: where jobs live so that they can be found, limited, frozen and killed as a whole.
//!
//! Everything degrades: on a machine without a writable cgroup2 tree these functions fail with a clear error and the caller
//! falls back to process groups.

use crate::limits::{CONTROL_FILE_BYTES_MAX, SIGNALLED_AT_ONCE_MAX};
use crate::process::{Pid, pidfd_open, pidfd_signal};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A group: a directory of the cgroup2 file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    /// The group this process is in.
    ///
    /// # Errors
    /// ENOENT when no cgroup2 file system is mounted.
    pub fn own() -> io::Result<Cgroup> {
        let (mounts, membership) = (read("/proc/self/mountinfo")?, read("/proc/self/cgroup")?);
        let dir = locate(&mounts, &membership).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))?;
        Ok(Cgroup { dir })
    }

    /// A group by its directory, which must be absolute.
    pub fn at(dir: impl Into<PathBuf>) -> Cgroup {
        Cgroup { dir: dir.into() }
    }

    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The group that contains this one; `None` at the top of the mount.
    pub fn parent(&self) -> Option<Cgroup> {
        let dir = self.dir.parent()?;
        dir.join("cgroup.procs").exists().then(|| Cgroup::at(dir))
    }

    /// Makes a group inside this one; one that exists already is as good.
    ///
    /// # Errors
    /// EACCES or EROFS where the tree is not ours; EINVAL when the name is not one plain path component.
    pub fn child(&self, name: &str) -> io::Result<Cgroup> {
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let dir = self.dir.join(name);
        match fs::create_dir(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(Cgroup { dir }),
        }
    }

    /// `cgroup.procs`, open for writing: for [`crate::spawn::Spawn::cgroup`].
    ///
    /// # Errors
    /// ENOENT when the group is gone, EACCES when it is not ours.
    pub fn procs(&self) -> io::Result<OwnedFd> {
        Ok(File::options().write(true).open(self.dir.join("cgroup.procs"))?.into())
    }

    /// Moves a process here, with all its threads.
    ///
    /// # Errors
    /// ESRCH when it is gone, EACCES, EBUSY when this group has controllers for children.
    pub fn add(&self, pid: Pid) -> io::Result<()> {
        self.write("cgroup.procs", &pid.to_string())
    }

    /// The processes in this group (not in groups below).
    ///
    /// # Errors
    /// ENOENT when the group is gone.
    pub fn pids(&self) -> io::Result<Vec<Pid>> {
        let text = read(self.dir.join("cgroup.procs"))?;
        Ok(text.lines().filter_map(|line| line.parse().ok().map(Pid)).collect())
    }

    /// Whether any process is here or below.
    ///
    /// # Errors
    /// As [`Cgroup::pids`].
    pub fn populated(&self) -> io::Result<bool> {
        Ok(read(self.dir.join("cgroup.events"))?.lines().any(|line| line == "populated 1"))
    }

    /// Kills everything here and below at once; what is being forked dies too.
    ///
    /// # Errors
    /// ENOENT on kernels before 5.14, EACCES.
    pub fn kill(&self) -> io::Result<()> {
        self.write("cgroup.kill", "1")
    }

    /// Signals each process in this group that we may signal, and no other; answers how many.
    ///
    /// # Errors
    /// ENOENT when the group is gone.
    pub fn signal(&self, signum: i32) -> io::Result<usize> {
        let held = self.pids()?.into_iter().filter_map(|pid| Some((pid, pidfd_open(pid).ok()?)));
        let held: Vec<_> = held.take(SIGNALLED_AT_ONCE_MAX).collect();
        // Who has ended meanwhile has left; its number may be a stranger's, but then that is not here.
        let here = self.pids()?;
        let signalled = held.iter().filter(|(pid, fd)| here.contains(pid) && pidfd_signal(fd.as_fd(), signum).is_ok());
        Ok(signalled.count())
    }

    /// Stops everything here and below, or lets it go on.
    ///
    /// # Errors
    /// As [`Cgroup::kill`].
    pub fn freeze(&self, frozen: bool) -> io::Result<()> {
        self.write("cgroup.freeze", if frozen { "1" } else { "0" })
    }

    /// Removes the group.
    ///
    /// # Errors
    /// EBUSY while processes or groups are in it.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_dir(&self.dir)
    }

    /// The controllers that could be given to children.
    ///
    /// # Errors
    /// As [`Cgroup::pids`].
    pub fn controllers(&self) -> io::Result<Vec<String>> {
        Ok(read(self.dir.join("cgroup.controllers"))?.split_ascii_whitespace().map(str::to_string).collect())
    }

    /// Gives controllers to the children of this group, which then may hold no processes itself.
    ///
    /// # Errors
    /// EBUSY when it does, ENOENT for controllers that are not offered.
    pub fn delegate(&self, controllers: &[&str]) -> io::Result<()> {
        let text: Vec<String> = controllers.iter().map(|name| format!("+{name}")).collect();
        self.write("cgroup.subtree_control", &text.join(" "))
    }

    /// Writes one control file, such as `memory.max` or `cpuset.cpus`.
    ///
    /// # Errors
    /// ENOENT without that controller, EINVAL for values it refuses.
    pub fn write(&self, file: &str, value: &str) -> io::Result<()> {
        fs::write(self.dir.join(file), value)
    }

    /// Reads one control file without its final newline.
    ///
    /// # Errors
    /// ENOENT without that controller.
    pub fn read(&self, file: &str) -> io::Result<String> {
        Ok(read(self.dir.join(file))?.trim_end().to_string())
    }
}

/// Finds our group's directory from the texts of `/proc/self/mountinfo` and `/proc/self/cgroup`.
fn locate(mountinfo: &str, membership: &str) -> Option<PathBuf> {
    let own = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
    mountinfo.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        if after.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = before.split(' ').skip(3);
        let (root, mount) = (fields.next()?, fields.next()?);
        // A mount may show only a part of the tree, such as a container's own.
        let inside = if root == "/" { own } else { own.strip_prefix(root)? };
        Some(Path::new(&unescape(mount)).join(inside.trim_start_matches('/')))
    })
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_string(), |text, (code, plain)| text.replace(code, plain))
}

fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(CONTROL_FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_group_is_found_in_unified_hybrid_and_container_mounts() {
        let unified = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        let hybrid = "30 29 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      31 29 0:28 / /sys/fs/cgroup/unified rw - cgroup2 none rw\n";
        let container = "31 29 0:28 /box /cg\\040two rw - cgroup2 none rw\n";
        let rows = [
            (unified, "0::/user.slice/a.scope\n", Some("/sys/fs/cgroup/user.slice/a.scope")),
            (unified, "0::/\n", Some("/sys/fs/cgroup/")),
            (hybrid, "5:memory:/x\n0::/y\n", Some("/sys/fs/cgroup/unified/y")),
            (container, "0::/box/inner\n", Some("/cg two/inner")),
            (container, "0::/elsewhere\n", None),
            (hybrid, "5:memory:/x\n", None),
            ("", "0::/\n", None),
            ("garbage", "0::/\n", None),
        ];
        for (mounts, membership, want) in rows {
            assert_eq!(locate(mounts, membership), want.map(PathBuf::from), "{mounts:?} {membership:?}");
        }
    }

    #[test]
    fn names_that_leave_the_group_are_refused() {
        let group = Cgroup::at("/nonexistent");
        for name in ["", "..", ".", "a/b", "/abs"] {
            assert_eq!(group.child(name).unwrap_err().raw_os_error(), Some(libc::EINVAL), "{name:?}");
        }
    }

    /// A group to play with; `None`, and a line in the log of skipped tests, where the machine gives us none.
    fn playground(test: &str) -> Option<Cgroup> {
        let made = Cgroup::own().and_then(|own| own.child(&format!("flux-sys-test-{}", Pid::own())));
        match made {
            Ok(group) => Some(group),
            Err(error) => {
                if let Some(log) = std::env::var_os("FLUX_TEST_SKIP_LOG") {
                    let line = format!("sys::cgroup::{test}: no writable cgroup2 tree: {error}\n");
                    let mut log = File::options().append(true).create(true).open(log).unwrap();
                    io::Write::write_all(&mut log, line.as_bytes()).unwrap();
                }
                None
            }
        }
    }

    #[test]
    fn processes_start_in_a_group_and_die_with_it() {
        let Some(group) = playground("processes_start_in_a_group_and_die_with_it") else { return };
        let procs = group.procs().unwrap();
        let spawn = crate::spawn::Spawn::new(["/bin/sh", "-c", "sleep 100 & sleep 100"]).env("PATH", "/usr/bin:/bin");
        let child = spawn.cgroup(procs.as_fd()).start().unwrap();
        assert!(group.pids().unwrap().contains(&child.pid()), "it is there before its program runs");
        assert!(group.populated().unwrap());
        assert_eq!(group.remove().unwrap_err().raw_os_error(), Some(libc::EBUSY));
        group.freeze(true).unwrap();
        group.kill().unwrap();
        assert_eq!(child.wait().unwrap().0.signal(), Some(libc::SIGKILL));
        while group.populated().unwrap() {
            std::thread::sleep(std::time::Duration::from_millis(1)); // Its own child is collected by somebody else.
        }
        group.remove().unwrap();
        assert_eq!(group.pids().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
