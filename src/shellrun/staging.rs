//! Bringing data into a job's storage and out of it: in a thread, as it may take long, and stopped by a flag.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::SystemTime;

use flux_shell::storage::{Stage, Storage};

use crate::limits::{STAGE_DEPTH_MAX, STAGE_LIST_BYTES_MAX};

/// Which way the data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

/// A transfer under way.
pub(crate) struct Staging {
    pub(crate) way: Way,
    /// Readable once the transfer is over.
    done: UnixStream,
    outcome: Receiver<Result<(), String>>,
    stop: Arc<AtomicBool>,
}

/// What is to be done.
pub(crate) struct Order {
    pub(crate) way: Way,
    pub(crate) storages: Vec<Storage>,
    /// Several nodes write to one place: each into a directory of its own.
    pub(crate) host: Option<String>,
    /// When the tasks started.
    pub(crate) since: SystemTime,
}

impl Staging {
    /// # Errors
    /// Those of socketpair(2) and of making a thread.
    pub(crate) fn start(order: Order) -> io::Result<Staging> {
        let (done, mut tell) = UnixStream::pair()?;
        let (sender, outcome) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let (way, seen) = (order.way, Arc::clone(&stop));
        std::thread::Builder::new().name("staging".into()).spawn(move || {
            let _ = sender.send(perform(&order, &seen));
            let _ = tell.write_all(b"!");
        })?;
        Ok(Staging { way, done, outcome, stop })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// How it ended.
    pub(crate) fn outcome(&self) -> Result<(), String> {
        self.outcome.recv().unwrap_or_else(|_| Err("the transfer broke off".into()))
    }
}

/// One storage's transfer.
struct Transfer<'a> {
    stop: &'a AtomicBool,
    /// Bytes that may still come in.
    left: Option<u64>,
    /// Only what has changed since.
    since: Option<SystemTime>,
}

fn perform(order: &Order, stop: &AtomicBool) -> Result<(), String> {
    let mut trouble = Ok(());
    for storage in &order.storages {
        let done = match order.way {
            Way::In => bring_in(storage, stop),
            Way::Out => bring_out(storage, order, stop),
        };
        let done = done.map_err(|error| format!("storage {}: {error}", storage.label));
        if order.way == Way::In {
            done?;
        } else {
            remove(storage);
            trouble = trouble.and(done); // What can be saved of the others is.
        }
    }
    trouble
}

fn bring_in(storage: &Storage, stop: &AtomicBool) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&storage.dir)?;
    let mut transfer = Transfer { stop, left: storage.capacity, since: None };
    let to = Path::new(&storage.dir);
    match &storage.stage_in {
        None => Ok(()),
        Some(Stage::Directory(from)) => transfer.contents(Path::new(from), to, 0),
        Some(Stage::List(list)) => {
            let base = Path::new(list).parent().unwrap_or(Path::new("/"));
            for (what, name) in read_list(list)? {
                let from = base.join(&what); // An absolute path stays as it is.
                let name = name.map(PathBuf::from).or_else(|| from.file_name().map(PathBuf::from));
                transfer.copy(&from, &inside(to, &name.unwrap_or_default())?, 0)?;
            }
            Ok(())
        }
    }
}

fn bring_out(storage: &Storage, order: &Order, stop: &AtomicBool) -> io::Result<()> {
    let mut transfer = Transfer { stop, left: None, since: None };
    let from = Path::new(&storage.dir);
    match (&storage.stage_out, &storage.stage_in) {
        (Some(Stage::Directory(to)), _) => {
            let own = order.host.as_ref().filter(|_| !storage.is_per_job);
            let to = own.map_or_else(|| PathBuf::from(to), |host| Path::new(to).join(host));
            fs::create_dir_all(&to)?;
            transfer.contents(from, &to, 0)
        }
        (Some(Stage::List(list)), _) => {
            let base = Path::new(list).parent().unwrap_or(Path::new("/"));
            for (what, name) in read_list(list)? {
                let to = base.join(name.as_deref().unwrap_or(&what));
                if let Some(parent) = to.parent() {
                    fs::create_dir_all(parent)?;
                }
                transfer.copy(&inside(from, Path::new(&what))?, &to, 0)?;
            }
            Ok(())
        }
        (None, Some(Stage::Directory(to))) if storage.is_cache => {
            transfer.since = Some(order.since);
            transfer.contents(from, Path::new(to), 0)
        }
        (None, _) => Ok(()),
    }
}

fn remove(storage: &Storage) {
    let _ = fs::remove_dir_all(&storage.dir);
    if let Some(parent) = Path::new(&storage.dir).parent() {
        let _ = fs::remove_dir(parent); // The last of the job's takes its directory along.
    }
}

/// A path below a storage, which it must not leave.
fn inside(dir: &Path, name: &Path) -> io::Result<PathBuf> {
    let is_plain = |part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir);
    match !name.as_os_str().is_empty() && name.components().all(is_plain) {
        true => Ok(dir.join(name)),
        false => Err(io::Error::other(format!("{}: not a path in the storage", name.display()))),
    }
}

/// Lines of one or two words; empty ones and comments are passed over.
fn read_list(path: &str) -> io::Result<Vec<(String, Option<String>)>> {
    let too_long = fs::metadata(path).map_err(|error| at(Path::new(path), &error))?.len() > STAGE_LIST_BYTES_MAX;
    if too_long {
        return Err(io::Error::other(format!("{path}: the list is longer than {STAGE_LIST_BYTES_MAX} bytes")));
    }
    let text = fs::read_to_string(path).map_err(|error| at(Path::new(path), &error))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines
        .map(|line| match line.split_once(char::is_whitespace) {
            Some((what, name)) => (what.to_owned(), Some(name.trim().to_owned())),
            None => (line.to_owned(), None),
        })
        .collect())
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!("{}: {}", path.display(), flux_wire::Errno(error.raw_os_error().unwrap_or(5))))
}

impl Transfer<'_> {
    /// All that is in a directory.
    fn contents(&mut self, from: &Path, to: &Path, depth: usize) -> io::Result<()> {
        let entries = fs::read_dir(from).map_err(|error| at(from, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| at(from, &error))?;
            self.copy(&entry.path(), &to.join(entry.file_name()), depth + 1)?;
        }
        Ok(())
    }

    fn copy(&mut self, from: &Path, to: &Path, depth: usize) -> io::Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("the job was ended"));
        }
        if depth > STAGE_DEPTH_MAX {
            return Err(io::Error::other(format!("{}: nests deeper than {STAGE_DEPTH_MAX}", from.display())));
        }
        let meta = fs::symlink_metadata(from).map_err(|error| at(from, &error))?;
        if meta.is_dir() {
            match fs::create_dir(to) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(at(to, &error)),
                _ => {}
            }
            return self.contents(from, to, depth);
        }
        let is_old = |since: SystemTime| meta.modified().is_ok_and(|modified| modified < since);
        if self.since.is_some_and(is_old) {
            return Ok(());
        }
        if meta.is_symlink() {
            let _ = fs::remove_file(to);
            return fs::read_link(from).and_then(|target| symlink(target, to)).map_err(|error| at(from, &error));
        }
        if !meta.is_file() {
            return Ok(()); // A socket or device is not data.
        }
        if let Some(left) = &mut self.left {
            let rest = left.checked_sub(meta.len());
            *left = rest.ok_or_else(|| {
                io::Error::other(format!("{}: no space is left in what was asked for", from.display()))
            })?;
        }
        fs::copy(from, to).map(|_| ()).map_err(|error| at(from, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(dir: &Path, stage_in: Option<Stage>, stage_out: Option<Stage>) -> Storage {
        let dir = dir.to_str().expect("a plain path").to_owned();
        Storage { label: "s".into(), dir, is_per_job: false, is_cache: false, stage_in, stage_out, capacity: None }
    }

    fn run(way: Way, storages: Vec<Storage>, host: Option<&str>) -> Result<(), String> {
        let order = Order { way, storages, host: host.map(str::to_owned), since: SystemTime::UNIX_EPOCH };
        let staging = Staging::start(order).expect("a thread");
        staging.outcome()
    }

    #[test]
    fn data_comes_in_and_goes_out() {
        let top = std::env::temp_dir().join(format!("flux-staging-{}", std::process::id()));
        let _ = fs::remove_dir_all(&top);
        let path = |name: &str| top.join(name).to_str().expect("a plain path").to_owned();
        fs::create_dir_all(top.join("in/deep")).expect("a directory");
        fs::write(top.join("in/deep/a"), "one").expect("a file");
        symlink("deep/a", top.join("in/link")).expect("a link");
        fs::write(top.join("list"), "# what\nin/deep/a b\n\nin\n").expect("a file");
        let whole =
            storage(&top.join("job/whole"), Some(Stage::Directory(path("in"))), Some(Stage::Directory(path("out"))));
        let listed = storage(&top.join("job/listed"), Some(Stage::List(path("list"))), None);
        run(Way::In, vec![whole.clone(), listed.clone()], None).expect("all is there");
        for (file, text) in [
            ("job/whole/deep/a", "one"),
            ("job/whole/link", "one"),
            ("job/listed/b", "one"),
            ("job/listed/in/link", "one"),
        ] {
            assert_eq!(fs::read_to_string(top.join(file)).ok().as_deref(), Some(text), "{file}");
        }
        fs::write(top.join("job/whole/new"), "two").expect("a file");
        run(Way::Out, vec![whole.clone(), listed], Some("h1")).expect("room for all");
        assert_eq!(fs::read_to_string(top.join("out/h1/new")).ok().as_deref(), Some("two"));
        assert!(!top.join("job").exists(), "nothing is left of the job's storage");
        let small = Storage { capacity: Some(2), ..whole.clone() };
        assert!(
            run(Way::In, vec![small], None).is_err_and(|why| why.contains("no space is left in what was asked for"))
        );
        let missing = Storage { stage_in: Some(Stage::List(path("none"))), ..whole };
        assert!(run(Way::In, vec![missing], None).is_err_and(|why| why.contains("No such file")));
        fs::remove_dir_all(&top).expect("ours to remove");
    }
}
