//! Small files beside the store: read, replace, list, remove. Done at once, in the loop's thread.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flux_service::limits::FILE_READ_MAX;
use flux_service::{Completion, Fault, FileOp};
use flux_sys::users::Users;
use flux_wire::Errno;

/// Performs `op`.
pub(crate) fn perform(op: &FileOp) -> Completion {
    let (path, outcome) = match op {
        FileOp::User { uid } => return user(*uid),
        FileOp::Read { path } => (path, read(Path::new(path))),
        FileOp::Write { path, bytes, mode, sync } => (path, replace(Path::new(path), bytes, *mode, *sync)),
        FileOp::MakeDir { path, mode } => (path, make_dir(Path::new(path), *mode)),
        FileOp::Create { path, mode } => (path, create(Path::new(path), *mode)),
        FileOp::Mark { path } => (path, mark(Path::new(path))),
        FileOp::Remove { path } => (path, remove(Path::new(path))),
        FileOp::List { path } => (path, list(Path::new(path))),
        FileOp::IsLocked { path } => (path, is_locked(Path::new(path))),
    };
    outcome.unwrap_or_else(|error| Completion::Failed(to_fault(path, &error)))
}

/// As for connections, looked up anew: whoever asks remembers the answer.
fn user(uid: u32) -> Completion {
    let mut users = Users::new();
    let failed = |errno: i32, why: &str| Completion::Failed(Fault::new(Errno(errno), format!("user {uid}: {why}")));
    let user = match users.by_uid(uid) {
        Ok(Some(user)) => user,
        Ok(None) => return failed(Errno::ENOENT.0, "unknown"),
        Err(error) => return failed(error.errno(), &error.to_string()),
    };
    let groups = match users.groups_of(&user) {
        Ok(groups) => groups,
        Err(error) => return failed(error.errno(), &error.to_string()),
    };
    let names = groups.into_iter().filter_map(|gid| users.group_by_gid(gid).ok().flatten());
    Completion::User { groups: names.map(|group| group.name).collect(), name: user.name }
}

/// An I/O error as a fault that names what it befell.
pub(crate) fn to_fault(what: impl std::fmt::Display, error: &io::Error) -> Fault {
    let errno = errno_of(error);
    Fault::new(errno, format!("{what}: {errno}"))
}

/// The errno in an I/O error; EIO where the standard library made the error itself.
pub(crate) fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno)
}

fn raw(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.0)
}

fn read(path: &Path) -> io::Result<Completion> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(raw(Errno::EISDIR));
    }
    if !metadata.is_file() {
        return Err(raw(Errno::EINVAL)); // A pipe or a device could keep us waiting for ever.
    }
    let mut bytes = Vec::new();
    // Files of /proc say that they are empty: the length is not believed.
    File::open(path)?.take(FILE_READ_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > FILE_READ_MAX {
        return Err(raw(Errno::EFBIG));
    }
    Ok(Completion::File(bytes.into()))
}

/// Replaces the file whole, or leaves it as it was.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32, sync: bool) -> io::Result<Completion> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Err(raw(Errno::EINVAL)) };
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}", std::process::id()));
    let temporary: PathBuf = dir.join(temporary);
    let written = write_new(&temporary, bytes, mode, sync).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // It may never have been made; the error worth telling is the first one.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    if sync {
        flux_sys::fd::sync_dir(dir)?;
    }
    Ok(Completion::Done)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32, sync: bool) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    if sync { file.sync_data() } else { Ok(()) }
}

/// Makes the directory and those above it; one that is there already is as good.
fn make_dir(path: &Path, mode: u32) -> io::Result<Completion> {
    DirBuilder::new().recursive(true).mode(mode).create(path)?;
    Ok(Completion::Done)
}

fn create(path: &Path, mode: u32) -> io::Result<Completion> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(mode).open(path)?;
    Ok(Completion::Done)
}

/// The file that all marks of a directory are names of.
const MARK: &str = ".mark";

/// A file of its own where there can be no link: the file system has none, or the file has as many names as it may have.
fn mark(path: &Path) -> io::Result<Completion> {
    let Some(dir) = path.parent() else { return Err(raw(Errno::EINVAL)) };
    let original = dir.join(MARK);
    let linked = fs::hard_link(&original, path).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => create(&original, 0o600).and_then(|_| fs::hard_link(&original, path)),
        _ => Err(error),
    });
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => create(path, 0o600),
        _ => Ok(Completion::Done),
    }
}

/// Most of what is removed is a file: that is tried first, as it asks for nothing.
fn remove(path: &Path) -> io::Result<Completion> {
    use io::ErrorKind::{DirectoryNotEmpty, IsADirectory, NotFound};
    let removed = fs::remove_file(path).or_else(|error| match error.kind() {
        IsADirectory => fs::remove_dir(path),
        _ => Err(error),
    });
    let removed = removed.or_else(|error| match error.kind() {
        DirectoryNotEmpty => fs::remove_dir_all(path),
        _ => Err(error),
    });
    match removed {
        Err(error) if error.kind() != NotFound => Err(error),
        _ => Ok(Completion::Done),
    }
}

/// Names that are not UTF-8 are left out: no service makes such files.
fn list(path: &Path) -> io::Result<Completion> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(Completion::Names(names))
}

/// A lock that could be had is given back at once. The kernel has two kinds that ignore each other: both count.
fn is_locked(path: &Path) -> io::Result<Completion> {
    let file = File::open(path)?;
    let held = match file.try_lock_shared() {
        Ok(()) => !flux_sys::lock::try_shared(&file)?,
        Err(fs::TryLockError::WouldBlock) => true,
        Err(fs::TryLockError::Error(error)) => return Err(error),
    };
    Ok(Completion::Locked(held))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn path(dir: &tempfile::TempDir, name: &str) -> String {
        dir.path().join(name).to_str().unwrap().to_owned()
    }

    #[test]
    fn a_file_is_written_read_listed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (jobs, file) = (path(&dir, "jobs/f1"), path(&dir, "jobs/f1/bundle"));
        assert_eq!(perform(&FileOp::MakeDir { path: jobs.clone(), mode: 0o700 }), Completion::Done);
        assert_eq!(perform(&FileOp::MakeDir { path: jobs.clone(), mode: 0o700 }), Completion::Done);
        for (text, sync) in [("one", false), ("two", true)] {
            let write = FileOp::Write { path: file.clone(), bytes: text.as_bytes().into(), mode: 0o600, sync };
            assert_eq!(perform(&write), Completion::Done);
            assert_eq!(perform(&FileOp::Read { path: file.clone() }), Completion::File(text.as_bytes().into()));
        }
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(perform(&FileOp::List { path: jobs.clone() }), Completion::Names(vec!["bundle".into()]));
        let all = path(&dir, "jobs");
        assert_eq!(perform(&FileOp::Remove { path: all.clone() }), Completion::Done);
        assert_eq!(perform(&FileOp::Remove { path: all.clone() }), Completion::Done, "what is absent is no error");
        assert!(!Path::new(&all).exists());
        let (target, link) = (path(&dir, "target"), path(&dir, "link"));
        fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        for gone in [&link, &target] {
            assert_eq!(perform(&FileOp::Remove { path: gone.clone() }), Completion::Done);
            assert!(fs::symlink_metadata(gone).is_err(), "{gone}");
            assert!(*gone == target || fs::symlink_metadata(&target).is_ok(), "a link is removed, not what it names");
        }
    }

    #[test]
    fn marks_and_records_are_made_once_and_cost_little() {
        let dir = tempfile::tempdir().unwrap();
        let record = path(&dir, "record");
        assert_eq!(perform(&FileOp::Create { path: record.clone(), mode: 0o600 }), Completion::Done);
        fs::write(&record, "x").unwrap();
        assert_eq!(perform(&FileOp::Create { path: record.clone(), mode: 0o600 }), Completion::Done);
        assert_eq!(fs::read(&record).unwrap(), b"x", "what is there stays");
        let inode = |name: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path(&dir, name)).unwrap());
        for name in ["a", "b", "b"] {
            assert_eq!(perform(&FileOp::Mark { path: path(&dir, name) }), Completion::Done);
        }
        assert_eq!((inode("a"), inode("b")), (inode(MARK), inode(MARK)), "one file with many names");
        assert_eq!(perform(&FileOp::Remove { path: path(&dir, "a") }), Completion::Done);
        let left = vec![MARK.to_owned(), "b".to_owned(), "record".to_owned()];
        assert_eq!(perform(&FileOp::List { path: path(&dir, "") }), Completion::Names(left));
    }

    #[test]
    fn users_are_named_with_all_their_groups() {
        let Completion::User { name, groups } = perform(&FileOp::User { uid: 0 }) else {
            panic!("there is always root")
        };
        assert_eq!((&*name, groups.contains(&"root".to_owned())), ("root", true), "{groups:?}");
        let Completion::Failed(fault) = perform(&FileOp::User { uid: 4_000_000_007 }) else { panic!("nobody has it") };
        assert_eq!(fault.errno, Errno::ENOENT);
    }

    #[test]
    fn failures_carry_errno_and_path() {
        let dir = tempfile::tempdir().unwrap();
        let missing = path(&dir, "no/such");
        let rows = [
            (FileOp::Read { path: missing.clone() }, Errno::ENOENT),
            (FileOp::List { path: missing.clone() }, Errno::ENOENT),
            (FileOp::IsLocked { path: missing.clone() }, Errno::ENOENT),
            (FileOp::Write { path: missing.clone(), bytes: [].into(), mode: 0o600, sync: false }, Errno::ENOENT),
            (FileOp::Read { path: path(&dir, "") }, Errno::EISDIR),
            (FileOp::Read { path: "/dev/null".into() }, Errno::EINVAL),
        ];
        for (op, want) in rows {
            let Completion::Failed(fault) = perform(&op) else { panic!("{op:?} must fail") };
            assert_eq!(fault.errno, want, "{op:?}");
            assert!(fault.text.contains('/'), "{}", fault.text);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "no temporary file stays behind");
    }

    #[test]
    fn a_lock_is_seen_while_somebody_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let name = path(&dir, "lock");
        let op = FileOp::IsLocked { path: name.clone() };
        for kind in ["flock", "open file description"] {
            let file = File::create(&name).unwrap();
            assert_eq!(perform(&op), Completion::Locked(false), "{kind}");
            match kind {
                "flock" => file.lock().unwrap(),
                _ => assert!(flux_sys::lock::try_exclusive(&file).unwrap()),
            }
            assert_eq!(perform(&op), Completion::Locked(true), "{kind}");
            drop(file);
            assert_eq!(perform(&op), Completion::Locked(false), "{kind}");
        }
    }
}
