//! The store actor: a log on one thread, a database on another, and the handle that the loop talks to them through.
//!
//! Order: completions of log operations come in the order of the operations, those of database operations likewise; the
//! two do not wait for each other. Threads are started by the first operation that needs them. Without a `statedir` there is
//! no log: appended records are acknowledged at once and forgotten with the instance.

mod actor;
mod database;
mod error;
mod form;
mod format;
mod gc;
mod log;
mod recover;
mod restore;
mod segment;

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use flux_service::{Completion, LogPosition, Recovered, StoreOp, Tag};
use mio::Waker;

pub use self::error::StoreError;
pub(crate) use self::restore::Restore;

use self::actor::{Actor, Done, Job};
use self::database::Database;
use self::log::Log;
use crate::node::{Input, Owner};

/// What was found when the store was opened, beside its content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Bytes of a write that a crash interrupted, now cut off. They were never acknowledged.
    pub torn_bytes: u64,
}

/// The loop's end of the store.
#[derive(Debug)]
pub struct StoreHandle {
    log: LogSide,
    database: DatabaseSide,
    done: Receiver<Vec<Done>>,
    back: Sender<Vec<Done>>,
    waker: Option<Arc<Waker>>,
    bytes: usize,
    report: OpenReport,
    /// Held as long as the store is open.
    _lock: Option<File>,
}

#[derive(Debug)]
enum LogSide {
    /// No `statedir`: the position is all there is.
    None {
        end: u64,
    },
    Idle(Box<Log>),
    Running(Actor),
    Closed,
}

#[derive(Debug)]
enum DatabaseSide {
    /// Not yet opened.
    At {
        path: PathBuf,
        durable: bool,
    },
    Idle(Box<Database>),
    Running(Actor),
    Closed,
}

/// Opens the store: in `statedir` if there is one, otherwise without a log and with a database in `rundir` that nothing
/// waits for.
///
/// With `restore`, what was there gives way to the content of an archive.
///
/// # Errors
/// [`StoreError::InUse`] when another broker has it open; others when it is damaged or cannot be reached.
pub fn open_store(
    statedir: Option<&Path>,
    rundir: &Path,
    restore: Option<&Restore>,
) -> Result<(StoreHandle, Recovered), StoreError> {
    let (back, done) = mpsc::channel();
    let mut recovered = Recovered::default();
    let Some(statedir) = statedir else {
        let path = rundir.join("content.sqlite");
        let database = match restore {
            None => DatabaseSide::At { path, durable: false },
            Some(restore) => {
                restore.replace_in(rundir, false)?;
                let database = Database::open(&path, false)?;
                recovered.checkpoints = database.checkpoints()?.into_iter().collect();
                DatabaseSide::Idle(Box::new(database))
            }
        };
        let log = LogSide::None { end: 0 };
        let report = OpenReport::default();
        let handle = StoreHandle { log, database, done, back, waker: None, bytes: 0, report, _lock: None };
        return Ok((handle, recovered));
    };
    let lock = lock(statedir)?;
    if let Some(restore) = restore {
        restore.replace_in(statedir, true)?;
    }
    let path = statedir.join("content.sqlite");
    // A new store is not burdened with making a database before something is put into it.
    let database = if path.exists() {
        let database = Database::open(&path, true)?;
        recovered.checkpoints = database.checkpoints()?.into_iter().collect::<BTreeMap<_, _>>();
        DatabaseSide::Idle(Box::new(database))
    } else {
        DatabaseSide::At { path, durable: true }
    };
    let opened = recover::open(&statedir.join("log"))?;
    recovered.records = opened.records;
    let report = OpenReport { torn_bytes: opened.torn_bytes };
    let log = LogSide::Idle(Box::new(opened.log));
    Ok((StoreHandle { log, database, done, back, waker: None, bytes: 0, report, _lock: Some(lock) }, recovered))
}

/// Takes `statedir/lock`; the kernel gives it back when we die.
fn lock(statedir: &Path) -> Result<File, StoreError> {
    let path = statedir.join("lock");
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(StoreError::io("open", &path))?;
    if !flux_sys::lock::try_exclusive(&file).map_err(StoreError::io("lock", &path))? {
        let mut pid = String::new();
        let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
        let holder = if known { format!(" (process {})", pid.trim()) } else { String::new() };
        return Err(StoreError::InUse { statedir: statedir.to_owned(), holder });
    }
    // Who holds it is only a courtesy to the next reader: a full disk must not keep us from starting.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

impl StoreHandle {
    /// What had to be mended at opening.
    pub fn report(&self) -> OpenReport {
        self.report
    }

    /// Whom to wake when completions are there.
    pub(crate) fn wake_with(&mut self, waker: Arc<Waker>) {
        self.waker = Some(waker);
    }

    /// Bytes of operations that are not yet answered.
    pub(crate) fn bytes_in_flight(&self) -> usize {
        self.bytes
    }

    /// Takes an operation, to be started by the next `flush`. `Some`: it is done already.
    pub(crate) fn submit(&mut self, owner: Owner, tag: Tag, op: StoreOp) -> Option<Completion> {
        let to_log = matches!(op, StoreOp::Append { .. } | StoreOp::Trim { .. });
        if let (LogSide::None { end }, true) = (&mut self.log, to_log) {
            let StoreOp::Append { record, .. } = op else { return None };
            *end += record.len() as u64;
            return Some(Completion::Logged { position: LogPosition(*end) });
        }
        let job = Job::new(owner, tag, op);
        self.bytes += job.bytes;
        let actor = if to_log { self.log_actor() } else { self.database_actor() };
        match actor {
            Ok(actor) => {
                actor.add(job);
                None
            }
            Err(error) => {
                self.bytes -= job.bytes;
                Some(Completion::Failed(error.to_fault()))
            }
        }
    }

    /// Starts what was submitted since the last time: all of it shares one write and at most one fdatasync.
    pub(crate) fn flush(&mut self) {
        if let LogSide::Running(actor) = &mut self.log {
            actor.flush();
        }
        if let DatabaseSide::Running(actor) = &mut self.database {
            actor.flush();
        }
    }

    fn log_actor(&mut self) -> Result<&mut Actor, StoreError> {
        if let LogSide::Idle(_) = self.log {
            let LogSide::Idle(log) = std::mem::replace(&mut self.log, LogSide::Closed) else { unreachable!() };
            self.log = LogSide::Running(Actor::of_log(*log, self.back.clone(), self.waker.clone())?);
        }
        match &mut self.log {
            LogSide::Running(actor) => Ok(actor),
            _ => Err(closed()),
        }
    }

    fn database_actor(&mut self) -> Result<&mut Actor, StoreError> {
        let database = match std::mem::replace(&mut self.database, DatabaseSide::Closed) {
            DatabaseSide::Idle(database) => Some(*database),
            DatabaseSide::At { path, durable } => match Database::open(&path, durable) {
                Ok(database) => Some(database),
                Err(error) => {
                    // The disk may have been full: the next operation tries again.
                    self.database = DatabaseSide::At { path, durable };
                    return Err(error);
                }
            },
            other => {
                self.database = other;
                None
            }
        };
        if let Some(database) = database {
            let actor = Actor::of_database(database, self.back.clone(), self.waker.clone())?;
            self.database = DatabaseSide::Running(actor);
        }
        match &mut self.database {
            DatabaseSide::Running(actor) => Ok(actor),
            _ => Err(closed()),
        }
    }

    /// Takes the completions that are there.
    pub(crate) fn drain(&mut self, inbox: &mut VecDeque<Input>) {
        while let Ok(batch) = self.done.try_recv() {
            for done in batch {
                self.bytes -= done.bytes;
                if let Some(completion) = done.completion {
                    inbox.push_back(Input::Completion { owner: done.owner, tag: done.tag, completion });
                }
            }
        }
    }

    /// Waits until everything that was given to the store is done, and the log on disk.
    pub(crate) fn close(&mut self) {
        self.log = LogSide::Closed;
        self.database = DatabaseSide::Closed;
    }
}

fn closed() -> StoreError {
    let error = std::io::Error::from_raw_os_error(flux_wire::Errno::EBADF.0);
    StoreError::Io { doing: "use", path: PathBuf::from("the store"), error }
}

#[cfg(test)]
mod tests;
