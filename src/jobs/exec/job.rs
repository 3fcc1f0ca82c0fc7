//! A job as the leader (rank 0) knows it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use flux_service::{Cx, Mono, Tag};
use flux_types::{Idset, JobId, JobIdForm};
use flux_wire::{Message, Rank};
use serde_json::{Map, Value};

use super::relay;

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// After a restart: what the KVS knows of it is asked for.
    Looking,
    /// Shells are started, or found again.
    Launching,
    Running,
    /// All shells have ended; the status is on its way to the disk.
    Ending,
    /// The store has the end, or will have it before anything that comes later; the disk is waited for.
    Syncing,
}

/// A node of the job.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub rank: Rank,
    /// The stream that its node answers on.
    pub launch: Option<Tag>,
    pub started: bool,
    /// It was not there to be asked, and is asked again.
    pub absent: bool,
    /// Since when it has not been reached.
    pub away_since: Option<Mono>,
    /// The wait status of its shell, once that has ended.
    pub status: Option<i32>,
    /// Events up to this number are in the log or on their way there.
    pub taken: u64,
    /// Up to this number they are in the store.
    pub stored: u64,
    /// What the shell was told is stored.
    pub told: u64,
    /// The number of the shell's last event: acknowledged when it is on disk.
    pub last: Option<u64>,
}

impl Part {
    pub(super) fn new(rank: u32) -> Part {
        let rank = Rank(rank);
        Part {
            rank,
            launch: None,
            started: false,
            absent: false,
            away_since: None,
            status: None,
            taken: 0,
            stored: 0,
            told: 0,
            last: None,
        }
    }
}

/// The steps of ending a job (flux-config-exec(5), JOB TERMINATION).
#[derive(Clone, Copy, Debug)]
pub(super) struct Killing {
    pub began: Mono,
    /// When the next step is due.
    pub next: Mono,
    /// Attempts on the shells themselves.
    pub attempts: u32,
}

/// Shells that wait for each other, and what they have brought along (PMI).
#[derive(Clone, Debug, Default)]
pub(super) struct Barrier {
    pub here: Idset,
    pub data: Map<String, Value>,
}

/// Lines that are to be appended to the job's eventlogs.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    pub exec: String,
    pub output: String,
    pub input: String,
}

impl Lines {
    /// Puts lines back that could not be stored.
    pub(super) fn put_back(&mut self, former: Lines) {
        self.exec.insert_str(0, &former.exec);
        self.output.insert_str(0, &former.output);
        self.input.insert_str(0, &former.input);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exec.is_empty() && self.output.is_empty() && self.input.is_empty()
    }
}

/// Mock execution (`attributes.system.exec.test`).
#[derive(Clone, Debug)]
pub(super) struct Mock {
    pub ends: Option<Mono>,
    pub status: i32,
}

#[derive(Debug)]
pub(super) struct Job {
    pub id: JobId,
    pub userid: u32,
    /// The manager's request, answered many times.
    pub start: Message,
    pub reattach: bool,
    /// An earlier leader may have begun it.
    pub is_found: bool,
    /// What the manager's first request said: `jobspec`, `R`.
    pub asked: Arc<Value>,
    /// J, read when it is needed: for jobs that the IMP runs.
    pub signed: Option<Arc<str>>,
    /// In the order of ranks: the index is the shell rank.
    pub parts: Vec<Part>,
    /// Seconds since the epoch.
    pub expiration: Option<f64>,
    /// When that is on our clock; `None` also once it has passed.
    pub limit: Option<Mono>,
    /// By when all shells must be in the first barrier.
    pub barrier_by: Option<Mono>,
    /// `exit-timeout`: when it passes, the shell of the first task that ended, its wait status, and why the job ends then.
    pub exit_by: Option<(Mono, usize, i32, String)>,
    /// By when the other shells must have ended, as the first one has.
    pub shells_by: Option<Mono>,
    pub phase: Phase,
    /// The manager knows that it runs.
    pub announced: bool,
    pub lines: Lines,
    pub killing: Option<Killing>,
    /// The wait status that the first fatal exception named.
    pub status_named: Option<i32>,
    /// The first fatal exception that was raised here, as the manager was told of it.
    pub fatal: Option<Value>,
    pub barriers: BTreeMap<String, Barrier>,
    /// The barriers that all have left last, and what they brought along; the newest first.
    pub released: VecDeque<(String, Map<String, Value>)>,
    /// Shells that have ended went through these barriers last.
    pub passed: BTreeSet<String>,
    pub task_exit_told: bool,
    /// Shells whose loss is fatal; `None`: all of them.
    pub critical: Option<Idset>,
    pub mock: Option<Mock>,
    /// The manager knows that it ended.
    pub end_told: bool,
    /// The commit that brings the end to disk is under way.
    pub syncing: bool,
    /// When its shells hear that what they printed is stored: they print no more until then.
    pub ack_at: Option<Mono>,
    /// Its first shell waits for what the others say of their tasks.
    pub tables: Option<super::tables::Tables>,
    pub namespace_made: bool,
}

impl Job {
    pub(super) fn jobspec(&self) -> &Value {
        &self.asked["jobspec"]
    }

    /// The members of a bundle that are the same on every node. A guest's shell has the jobspec from the IMP, as it was signed.
    pub(super) fn for_bundles(&self, guest: bool) -> String {
        let jobspec = if guest { &Value::Null } else { self.jobspec() };
        format!("\"jobspec\":{jobspec},\"R\":{}", self.asked["R"])
    }

    /// `job.0000.0001.0002.0003.guest`
    /// With an empty name, its directory and a dot.
    pub(super) fn guest_key(&self, name: &str) -> String {
        format!("{}.guest.{name}", self.id.encode(JobIdForm::Kvs))
    }

    pub(super) fn namespace(&self) -> String {
        format!("job-{}", self.id.0)
    }

    /// `fABC`: names of directories and services keep to ASCII.
    pub(super) fn plain_id(&self) -> String {
        self.id.encode(JobIdForm::F58Plain)
    }

    pub(super) fn ranks(&self) -> Idset {
        self.parts.iter().map(|part| part.rank.0).collect()
    }

    /// Those whose shells have not ended.
    pub(super) fn ranks_left(&self) -> Idset {
        self.parts.iter().filter(|part| part.status.is_none()).map(|part| part.rank.0).collect()
    }

    /// Gives an order to the nodes of these ranks.
    pub(super) fn order(&self, cx: &mut Cx<'_>, ranks: &Idset, order: Value) {
        match self.parts.as_slice() {
            // What is for one node only needs nobody on the way.
            [part] if ranks.contains(part.rank.0) => relay::order_one(cx, part.rank, order),
            [_] => {}
            _ => relay::spread_order(cx, &order, ranks),
        }
    }

    /// Every event that its shells told of is in the store.
    pub(super) fn is_stored(&self) -> bool {
        self.lines.is_empty() && self.parts.iter().all(|part| part.stored == part.taken)
    }

    pub(super) fn all_ended(&self) -> bool {
        self.parts.iter().all(|part| part.status.is_some())
    }

    /// RFC 32: the greatest of the shells', unless the first fatal exception named one.
    pub(super) fn status(&self) -> i32 {
        let greatest = self.parts.iter().filter_map(|part| part.status).max().unwrap_or(0);
        match self.status_named {
            Some(status) if status & 0x7f != 0 => (128 + (status & 0x7f)) << 8,
            Some(status) => status,
            None => self.mock.as_ref().map_or(greatest, |mock| mock.status),
        }
    }
}
