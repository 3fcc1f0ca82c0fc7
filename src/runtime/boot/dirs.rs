//! `rundir` (sockets, records of jobs) and `statedir` (what outlives the broker).

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::file::errno_of;

/// Longest path of the local connector's socket (`sun_path` less its zero byte).
const SOCKET_PATH_LEN_MAX: usize = 107;
const STICKY: u32 = 0o1000;

/// Why a directory cannot be had.
#[derive(Debug)]
pub(super) enum DirError {
    Io { doing: &'static str, path: PathBuf, error: io::Error },
    NotADirectory { path: PathBuf },
    NotOurs { path: PathBuf, uid: u32 },
    NotText { path: PathBuf },
    TooLong { path: PathBuf },
}

impl fmt::Display for DirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, error } => write!(f, "could not {doing} {}: {}", path.display(), errno_of(error)),
            Self::NotADirectory { path } => write!(f, "{} is not a directory", path.display()),
            Self::NotOurs { path, uid } => write!(f, "{} belongs to user {uid}, not to us", path.display()),
            Self::NotText { path } => write!(f, "{} is not UTF-8", path.display()),
            Self::TooLong { path } => {
                write!(
                    f,
                    "{}: a socket's path has at most {SOCKET_PATH_LEN_MAX} bytes; set TMPDIR or rundir",
                    path.display()
                )
            }
        }
    }
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DirError {
    let path = path.to_owned();
    move |error| DirError::Io { doing, path, error }
}

/// What was asked for on the command line and in the environment.
#[derive(Debug, Default)]
pub(super) struct Wishes<'a> {
    pub(super) rundir: Option<&'a str>,
    pub(super) rundir_cleanup: Option<&'a str>,
    pub(super) statedir: Option<&'a str>,
    pub(super) statedir_cleanup: Option<&'a str>,
    /// `TMPDIR`
    pub(super) tmpdir: Option<&'a str>,
}

/// The directories of this broker; dropping them removes those that are to be removed.
#[derive(Debug)]
pub(super) struct Dirs {
    pub(super) rundir: PathBuf,
    pub(super) statedir: Option<PathBuf>,
    remove: Vec<PathBuf>,
}

impl Dirs {
    /// The directory of sockets goes when this does.
    pub(super) fn removes_rundir(&self) -> bool {
        self.remove.contains(&self.rundir)
    }

    /// Finds or makes the directories.
    ///
    /// A `rundir` that was given and exists is kept at exit, and so is one that belongs to a `statedir`: its jobs may go
    /// on. Deviation: a `statedir` that we made is kept too, unless `statedir-cleanup` is 1.
    pub(super) fn prepare(wishes: &Wishes<'_>) -> Result<Dirs, DirError> {
        let uid = flux_sys::ids::Ids::current().euid;
        let statedir = wishes.statedir.map(|path| prepare_statedir(Path::new(path), uid)).transpose()?;
        let (rundir, made) = prepare_rundir(wishes, statedir.as_deref(), uid)?;
        let mut remove = Vec::new();
        let keep_rundir = statedir.is_some() || !made;
        if wishes.rundir_cleanup.map_or(!keep_rundir, |wish| wish == "1") {
            remove.push(rundir.clone());
        } else if statedir.is_none() {
            remove.push(rundir.join("content.sqlite")); // Without a statedir nobody reads the store again.
        }
        if let (Some(dir), Some("1")) = (&statedir, wishes.statedir_cleanup) {
            remove.push(dir.clone());
        }
        let dirs = Dirs { rundir, statedir, remove };
        if dirs.socket_path(0).as_os_str().len() > SOCKET_PATH_LEN_MAX {
            return Err(DirError::TooLong { path: dirs.socket_path(0) });
        }
        Ok(dirs)
    }

    /// Lets the next broker on this `statedir` find its `rundir`. Call it once the `statedir` is ours alone.
    pub(super) fn remember(&self) -> Result<(), DirError> {
        self.statedir.as_ref().map_or(Ok(()), |statedir| remember(statedir, &self.rundir))
    }

    /// Where the local connector listens unless `local-uri` says otherwise.
    pub(super) fn socket_path(&self, rank: u32) -> PathBuf {
        self.rundir.join(format!("local-{rank}"))
    }
}

impl Drop for Dirs {
    fn drop(&mut self) {
        for dir in &self.remove {
            let removed = if dir.is_file() { fs::remove_file(dir) } else { fs::remove_dir_all(dir) };
            match removed {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    crate::stderr::line(&format!(
                        "flux-broker: could not remove {}: {}",
                        dir.display(),
                        errno_of(&error)
                    ));
                }
                _ => (),
            }
        }
    }
}

fn prepare_statedir(path: &Path, uid: u32) -> Result<PathBuf, DirError> {
    let dir = given(path, "statedir")?.0;
    let owner = fs::metadata(&dir).map_err(io_error("look at", &dir))?.uid();
    if owner == uid { Ok(dir) } else { Err(DirError::NotOurs { path: dir, uid: owner }) }
}

/// The directory, and whether it was made just now.
fn prepare_rundir(wishes: &Wishes<'_>, statedir: Option<&Path>, uid: u32) -> Result<(PathBuf, bool), DirError> {
    Ok(match (wishes.rundir, statedir) {
        (Some(path), _) => given(Path::new(path), "flux")?,
        (None, Some(statedir)) => match remembered(statedir, uid) {
            Some(rundir) => (rundir, false),
            None => (unique(&temporary(wishes), "flux")?, true),
        },
        (None, None) => (unique(&temporary(wishes), "flux")?, true),
    })
}

fn temporary(wishes: &Wishes<'_>) -> PathBuf {
    wishes.tmpdir.filter(|dir| !dir.is_empty()).unwrap_or("/tmp").into()
}

/// A directory named by the user: made if it is not there; if it is one like `/tmp`, a unique one inside it.
fn given(path: &Path, prefix: &str) -> Result<(PathBuf, bool), DirError> {
    let path = std::path::absolute(path).map_err(io_error("find", path))?;
    match fs::metadata(&path) {
        Ok(metadata) if !metadata.is_dir() => Err(DirError::NotADirectory { path }),
        Ok(metadata) if metadata.permissions().mode() & STICKY != 0 => Ok((unique(&path, prefix)?, true)),
        Ok(_) => Ok((path, false)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_private(&path).map_err(io_error("make", &path))?;
            Ok((path, true))
        }
        Err(error) => Err(io_error("look at", &path)(error)),
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Makes a directory that did not exist: `prefix-` and six letters or digits, drawn by lot.
fn unique(parent: &Path, prefix: &str) -> Result<PathBuf, DirError> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    loop {
        let mut random = flux_sys::random::u64().map_err(io_error("draw a name in", parent))?;
        let mut name = format!("{prefix}-");
        for _ in 0..6 {
            name.push(LETTERS[(random % LETTERS.len() as u64) as usize] as char);
            random /= LETTERS.len() as u64;
        }
        let path = parent.join(name);
        match make_private(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => (),
            Err(error) => return Err(io_error("make", &path)(error)),
        }
    }
}

/// The `rundir` of the last broker on this `statedir`, if it is still there and still ours alone to write.
fn remembered(statedir: &Path, uid: u32) -> Option<PathBuf> {
    let text = fs::read_to_string(statedir.join("rundir")).ok()?;
    let path = PathBuf::from(text.trim_end());
    let metadata = fs::symlink_metadata(&path).ok()?;
    let ours = metadata.is_dir() && metadata.uid() == uid && metadata.permissions().mode() & 0o022 == 0;
    (path.is_absolute() && ours).then_some(path)
}

fn remember(statedir: &Path, rundir: &Path) -> Result<(), DirError> {
    let text = rundir.to_str().ok_or_else(|| DirError::NotText { path: rundir.to_owned() })?;
    let path = statedir.join("rundir");
    if fs::read_to_string(&path).is_ok_and(|former| former.trim_end() == text) {
        return Ok(());
    }
    crate::file::replace(&path, format!("{text}\n").as_bytes(), 0o600, true).map_err(io_error("write", &path))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> Option<&str> {
        path.to_str()
    }

    #[test]
    fn without_a_wish_a_private_directory_comes_and_goes_with_the_broker() {
        let tmp = tempfile::tempdir().unwrap();
        let dirs = Dirs::prepare(&Wishes { tmpdir: text(tmp.path()), ..Wishes::default() }).unwrap();
        let rundir = dirs.rundir.clone();
        assert!(rundir.file_name().unwrap().to_str().unwrap().starts_with("flux-"));
        assert_eq!(fs::metadata(&rundir).unwrap().permissions().mode() & 0o777, 0o700);
        drop(dirs);
        assert!(!rundir.exists());
    }

    #[test]
    fn a_rundir_is_kept_if_it_was_there_before_or_if_one_says_so() {
        let tmp = tempfile::tempdir().unwrap();
        for (exists, cleanup, stays) in
            [(true, None, true), (false, None, false), (true, Some("1"), false), (false, Some("0"), true)]
        {
            let path = tmp.path().join(format!("{exists}-{cleanup:?}"));
            if exists {
                fs::create_dir(&path).unwrap();
            }
            let wishes = Wishes { rundir: text(&path), rundir_cleanup: cleanup, ..Wishes::default() };
            let dirs = Dirs::prepare(&wishes).unwrap();
            assert_eq!(dirs.rundir, path);
            drop(dirs);
            assert_eq!(path.exists(), stays, "existed: {exists}, rundir-cleanup: {cleanup:?}");
        }
    }

    #[test]
    fn a_restarted_broker_finds_its_rundir_by_its_statedir() {
        let tmp = tempfile::tempdir().unwrap();
        let state = tmp.path().join("state");
        let wishes = Wishes { statedir: text(&state), tmpdir: text(tmp.path()), ..Wishes::default() };
        let dirs = Dirs::prepare(&wishes).unwrap();
        dirs.remember().unwrap();
        let first = dirs.rundir.clone();
        drop(dirs);
        assert!(first.exists() && state.exists(), "both outlive the broker");
        let second = Dirs::prepare(&wishes).unwrap().rundir.clone();
        assert_eq!(first, second);
        fs::remove_dir(&first).unwrap();
        let third = Dirs::prepare(&wishes).unwrap().rundir.clone();
        assert_ne!(first, third, "it was gone");
        let dirs = Dirs::prepare(&Wishes { statedir_cleanup: Some("1"), ..wishes }).unwrap();
        drop(dirs);
        assert!(!state.exists());
    }

    #[test]
    fn a_sticky_directory_gets_a_unique_one_inside() {
        let tmp = tempfile::tempdir().unwrap();
        fs::set_permissions(tmp.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let dirs = Dirs::prepare(&Wishes { rundir: text(tmp.path()), ..Wishes::default() }).unwrap();
        assert_eq!(dirs.rundir.parent(), Some(tmp.path()));
    }

    #[test]
    fn what_cannot_be_had_is_named() {
        let tmp = tempfile::tempdir().unwrap();
        let file = tmp.path().join("file");
        fs::write(&file, "").unwrap();
        let long = tmp.path().join("x".repeat(100));
        let missing = tmp.path().join("no/such");
        for (rundir, want) in
            [(&file, "is not a directory"), (&long, "at most 107 bytes"), (&missing, "could not make")]
        {
            let error = Dirs::prepare(&Wishes { rundir: text(rundir), ..Wishes::default() }).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }
}
