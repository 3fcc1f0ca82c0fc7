//! A machine's disk: the store's log and database, and files. What was not synced may be gone after a power cut.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use flux_broker::Owner;
use flux_service::{Completion, Fault, FileOp, LogPosition, Recovered, Rng, StoreOp, Tag};
use flux_wire::Errno;
use serde_json::Value;

use crate::scenario::between_us;
use crate::world::{Action, World};

/// The two actors of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Log,
    Database,
}

type Job = (Owner, Tag, StoreOp);

#[derive(Debug)]
struct Record {
    end: LogPosition,
    bytes: Arc<[u8]>,
    synced: bool,
}

#[derive(Debug, Default)]
struct File {
    bytes: Arc<[u8]>,
    synced: bool,
}

/// How the disk is today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Health {
    #[default]
    Good,
    Slow,
    Full,
}

#[derive(Debug, Default)]
pub(crate) struct Disk {
    records: Vec<Record>,
    end: u64,
    trimmed: LogPosition,
    /// Trims that a power cut may undo.
    trimmed_synced: LogPosition,
    blobs: BTreeMap<Arc<[u8]>, Arc<[u8]>>,
    checkpoints: BTreeMap<String, Value>,
    log_queue: VecDeque<Job>,
    log_busy: Vec<Job>,
    database_queue: VecDeque<Job>,
    database_busy: Option<Job>,
    files: BTreeMap<String, File>,
    dirs: BTreeSet<String>,
    health: Health,
}

/// The frame around a record.
const FRAME: u64 = 24;

fn failed(errno: Errno) -> Completion {
    Completion::Failed(Fault::from(errno))
}

impl Disk {
    pub(crate) fn sicken(&mut self, health: Health) {
        self.health = health;
    }

    pub(crate) fn heal(&mut self) {
        self.health = Health::Good;
    }

    /// What a broker that starts finds.
    pub(crate) fn recover(&mut self) -> Recovered {
        self.records.retain(|record| record.end > self.trimmed);
        // Opening the log syncs it.
        self.records.iter_mut().for_each(|record| record.synced = true);
        self.trimmed_synced = self.trimmed;
        let records = self.records.iter().map(|record| (record.end, record.bytes.clone())).collect();
        Recovered { checkpoints: self.checkpoints.clone(), records }
    }

    /// The broker is gone, or with `power` the machine. Answers whether a write was cut in two.
    pub(crate) fn crash(&mut self, rng: &mut Rng, power: bool) -> bool {
        // The batch under way: some of it was written.
        let under_way = std::mem::take(&mut self.log_busy);
        let kept = rng.below(under_way.len() as u64 + 1) as usize;
        let mut torn = !under_way.is_empty() && kept < under_way.len();
        for (_, _, op) in under_way.into_iter().take(kept) {
            if self.health != Health::Full {
                self.write(&op, false);
            }
        }
        self.log_queue.clear();
        self.database_queue.clear();
        if let Some((_, _, op)) = self.database_busy.take()
            && rng.below(2) == 0
        {
            self.database(&op);
        }
        if power {
            torn |= self.lose_unsynced(rng);
        }
        torn
    }

    /// Of what was written and not synced, the disk has a beginning at most.
    fn lose_unsynced(&mut self, rng: &mut Rng) -> bool {
        let synced = self.records.iter().rposition(|record| record.synced).map_or(0, |at| at + 1);
        let unsynced = self.records.len() - synced;
        let kept = synced + rng.below(unsynced as u64 + 1) as usize;
        let torn = kept < self.records.len();
        self.records.truncate(kept);
        self.end = self.records.last().map_or(self.trimmed.0, |record| record.end.0).max(self.trimmed.0);
        if rng.below(2) == 0 {
            self.trimmed = self.trimmed_synced;
        }
        self.files.retain(|_, file| file.synced || rng.below(2) == 0);
        torn
    }

    fn write(&mut self, op: &StoreOp, synced: bool) -> Option<LogPosition> {
        match op {
            StoreOp::Append { record, .. } => {
                self.end += record.len() as u64 + FRAME;
                let end = LogPosition(self.end);
                self.records.push(Record { end, bytes: record.clone(), synced });
                Some(end)
            }
            StoreOp::Trim { before } => {
                self.trimmed = self.trimmed.max(*before);
                None
            }
            other => panic!("{other:?} is none of the log's"),
        }
    }

    fn database(&mut self, op: &StoreOp) -> Completion {
        match op {
            StoreOp::Put { .. } if self.health == Health::Full => failed(Errno::ENOSPC),
            StoreOp::Put { blobs, checkpoints } => {
                self.blobs.extend(blobs.iter().cloned());
                let values = checkpoints.iter().map(|(key, value)| (key.clone(), (**value).clone()));
                self.checkpoints.extend(values);
                Completion::Stored
            }
            StoreOp::Get { hash } => Completion::Blob(self.blobs.get(hash).cloned()),
            other => panic!("{other:?} is none of the database's"),
        }
    }

    /// The batch is done: each operation's completion.
    fn finish_log(&mut self) -> Vec<(Owner, Tag, Completion)> {
        let batch = std::mem::take(&mut self.log_busy);
        let sync = batch.iter().any(|(_, _, op)| matches!(op, StoreOp::Append { sync: true, .. }));
        let mut done = Vec::new();
        for (owner, tag, op) in batch {
            let is_append = matches!(op, StoreOp::Append { .. });
            if is_append && self.health == Health::Full {
                done.push((owner, tag, failed(Errno::ENOSPC)));
            } else if let Some(position) = self.write(&op, false) {
                done.push((owner, tag, Completion::Logged { position }));
            }
        }
        if sync && self.health != Health::Full {
            self.records.iter_mut().for_each(|record| record.synced = true);
            self.trimmed_synced = self.trimmed;
        }
        done
    }

    /// Files are done at once, as the runtime does them.
    pub(crate) fn file(&mut self, op: &FileOp, locked: impl Fn(&str) -> bool) -> Completion {
        match op {
            FileOp::Read { path } => match self.files.get(path) {
                Some(file) => Completion::File(file.bytes.clone()),
                None => failed(Errno::ENOENT),
            },
            FileOp::MakeDir { path, .. } if self.dirs.contains(path) => Completion::Done,
            FileOp::Create { path, .. } | FileOp::Mark { path } if self.files.contains_key(path) => Completion::Done,
            FileOp::Write { .. } | FileOp::MakeDir { .. } | FileOp::Create { .. } | FileOp::Mark { .. }
                if self.health == Health::Full =>
            {
                failed(Errno::ENOSPC)
            }
            FileOp::Write { path, bytes, sync, .. } => {
                self.put_file(path, bytes, *sync);
                Completion::Done
            }
            FileOp::Create { path, .. } | FileOp::Mark { path } => {
                self.put_file(path, &Arc::from([]), false);
                Completion::Done
            }
            FileOp::MakeDir { path, .. } => {
                self.dirs.insert(path.clone());
                Completion::Done
            }
            FileOp::Remove { path } => {
                let inside = format!("{path}/");
                self.files.retain(|known, _| known != path && !known.starts_with(&inside));
                self.dirs.retain(|known| known != path && !known.starts_with(&inside));
                Completion::Done
            }
            FileOp::List { path } => {
                let inside = format!("{path}/");
                let all = self.files.keys().chain(&self.dirs);
                let names = all.filter_map(|known| known.strip_prefix(&inside)?.split('/').next());
                let names: BTreeSet<&str> = names.collect();
                Completion::Names(names.into_iter().map(str::to_owned).collect())
            }
            FileOp::User { uid } => Completion::User { name: format!("user{uid}"), groups: Vec::new() },
            FileOp::IsLocked { path } => match self.files.contains_key(path) {
                true => Completion::Locked(locked(path)),
                false => failed(Errno::ENOENT),
            },
        }
    }

    pub(crate) fn put_file(&mut self, path: &str, bytes: &Arc<[u8]>, synced: bool) {
        self.files.insert(path.to_owned(), File { bytes: bytes.clone(), synced });
    }

    pub(crate) fn has_file(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }
}

impl World {
    pub(crate) fn store(&mut self, at: usize, owner: Owner, tag: Tag, op: StoreOp) {
        let disk = &mut self.hosts[at].disk;
        match op {
            StoreOp::Append { .. } | StoreOp::Trim { .. } => disk.log_queue.push_back((owner, tag, op)),
            _ => disk.database_queue.push_back((owner, tag, op)),
        }
        // What else the turn appends joins the batch.
        let life = self.hosts[at].life;
        self.after(Duration::ZERO, Action::Disk { host: at, life, side: Side::Log });
        self.after(Duration::ZERO, Action::Disk { host: at, life, side: Side::Database });
    }

    fn disk_time(&mut self, at: usize, sync: bool) -> Duration {
        let base = if sync { between_us(&mut self.rng, 200, 4_000) } else { between_us(&mut self.rng, 5, 60) };
        match self.hosts[at].disk.health {
            Health::Slow => base * 200,
            _ => base,
        }
    }

    /// An actor that is free takes what has gathered.
    pub(crate) fn disk_begins(&mut self, at: usize, life: u32, side: Side) {
        if !self.lives(at, life) {
            return;
        }
        match side {
            Side::Log => self.begin_log(at, life),
            Side::Database => self.begin_database(at, life),
        }
    }

    fn begin_log(&mut self, at: usize, life: u32) {
        let disk = &mut self.hosts[at].disk;
        if !disk.log_busy.is_empty() || disk.log_queue.is_empty() {
            return;
        }
        disk.log_busy = disk.log_queue.drain(..).collect();
        let sync = disk.log_busy.iter().any(|(_, _, op)| matches!(op, StoreOp::Append { sync: true, .. }));
        let span = self.disk_time(at, sync);
        self.after(span, Action::DiskDone { host: at, life, side: Side::Log });
    }

    fn begin_database(&mut self, at: usize, life: u32) {
        let disk = &mut self.hosts[at].disk;
        if disk.database_busy.is_some() {
            return;
        }
        let Some(job) = disk.database_queue.pop_front() else { return };
        let sync = !matches!(job.2, StoreOp::Get { .. });
        disk.database_busy = Some(job);
        let span = self.disk_time(at, sync);
        self.after(span, Action::DiskDone { host: at, life, side: Side::Database });
    }

    pub(crate) fn disk_finishes(&mut self, at: usize, life: u32, side: Side) {
        if !self.lives(at, life) {
            return;
        }
        let disk = &mut self.hosts[at].disk;
        let done = match side {
            Side::Log => disk.finish_log(),
            Side::Database => {
                let (owner, tag, op) = disk.database_busy.take().expect("it was under way");
                vec![(owner, tag, disk.database(&op))]
            }
        };
        for (owner, tag, completion) in done {
            self.complete(at, life, owner, tag, completion);
        }
        self.disk_begins(at, life, side);
    }
}
