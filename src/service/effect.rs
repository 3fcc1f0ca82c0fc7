//! What a service wants done, as plain data, and what comes back.

use std::collections::BTreeMap;
use std::sync::Arc;

use flux_wire::{Errno, Message};
use serde_json::Value;

use crate::{Errand, Fault, Tag};

/// The runtime performs these in order; tests compare them. Order is promised per destination, not across effects.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A request, response or event. The node routes it, fills the sender's credentials, and sequences events at rank 0.
    Send(Message),
    /// Answered by [`Completion`]s with this tag, in the order of the operations: log operations (`Append`, `Trim`) among
    /// themselves, database operations among themselves. Appends of one turn succeed or fail together.
    Store {
        tag: Tag,
        op: StoreOp,
    },
    Process {
        tag: Tag,
        op: ProcessOp,
    },
    File {
        tag: Tag,
        op: FileOp,
    },
    /// To be run beside the loop, one at a time; answered by [`Completion::Done`].
    Compute {
        tag: Tag,
        errand: Errand,
    },
    /// A line for the instance's log (`flux dmesg`).
    Log {
        level: LogLevel,
        text: String,
    },
    /// Event topics by prefix ("" is all of them), delivered to `Service::on_event`.
    Subscribe {
        prefix: String,
    },
    Unsubscribe {
        prefix: String,
    },
    /// A broker attribute that the service owns.
    SetAttr {
        name: String,
        value: String,
    },
}

/// Severities of RFC 5424, as `flux dmesg` names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Emerg = 0,
    Alert = 1,
    Crit = 2,
    Err = 3,
    Warning = 4,
    Notice = 5,
    Info = 6,
    Debug = 7,
}

/// A byte offset in the store's log, counted from the first byte ever written; never goes back, also over restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LogPosition(pub u64);

/// A blob and its raw hash: `(hash, bytes)`.
pub type HashedBlob = (Arc<[u8]>, Arc<[u8]>);

/// What the store held when it was opened: the base the services start from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// Checkpoint values by key, as last `Put`.
    pub checkpoints: BTreeMap<String, Value>,
    /// Records after the last trim, oldest first, each with the position after it.
    pub records: Vec<(LogPosition, Arc<[u8]>)>,
}

/// Operations of the store actor: a log that is written first, and a database that is filled from it at leisure.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreOp {
    /// Appends one record (the actor frames and checksums it). With `sync`, [`Completion::Logged`] waits for fdatasync;
    /// all appends of a batch share one. Without a `statedir` nothing is synced.
    Append { record: Arc<[u8]>, sync: bool },
    /// Everything before `before` is in the database: its segments may be deleted. No completion.
    Trim { before: LogPosition },
    /// One database transaction, durable when [`Completion::Stored`] arrives: blobs by raw hash, and checkpoint values by key.
    Put { blobs: Vec<HashedBlob>, checkpoints: Vec<(String, Arc<Value>)> },
    /// A blob by raw hash; answered by [`Completion::Blob`].
    Get { hash: Arc<[u8]> },
    /// The database's epoch, which every checkpoint advances, and its last row; answered by [`Completion::Horizon`].
    /// Blobs are put with the epoch after the present one. With `below`, counts the blobs of earlier epochs.
    Horizon { below: Option<u64> },
    /// Raises these blobs to `epoch`; answered by [`Completion::Marked`].
    Mark { epoch: u64, hashes: Vec<Arc<[u8]>> },
    /// Deletes blobs of epochs before `epoch` from the rows after `cursor` to `last`, at most `deletes_max`, after looking
    /// at no more than `rows_max`; answered by [`Completion::Swept`].
    Sweep { epoch: u64, cursor: u64, last: u64, deletes_max: u32, rows_max: u32 },
}

/// Operations on child processes of this broker.
#[derive(Clone, Debug, PartialEq)]
pub enum ProcessOp {
    /// Answered by [`Completion::Process`], several times; the operation's tag names the process from then on.
    Spawn(Box<SpawnSpec>),
    /// Bytes for the standard input or a channel of process `of`. No completion.
    Write { of: Tag, stream: StdStream, bytes: Arc<[u8]>, eof: bool },
    /// A signal to process `of`, or to its process group. No completion; a process that is gone is no error.
    Kill { of: Tag, signum: i32, group: bool },
    /// Kills what is left in the group of this name, which a start made ([`SpawnSpec::own_cgroup`]): by SIGUSR1 to those in it that
    /// we may signal, as the IMP takes that for all of them (RFC 15), else by the kernel. No completion; a group that is gone is
    /// no error.
    KillGroup { name: String },
    /// `bytes` more may be read from this stream of process `of`. Nothing is held back until the first credit for it.
    Credit { of: Tag, stream: StdStream, bytes: u64 },
}

/// A stream of a child process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StdStream {
    Stdin,
    Stdout,
    Stderr,
    /// A socket pair whose child end's number stands in the environment variable of this name (RFC 42 channels).
    Channel(Arc<str>),
}

/// How a process is started.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct SpawnSpec {
    /// `argv[0]` is looked up in `PATH` of `env` if it has no slash.
    pub argv: Vec<String>,
    /// A file to execute instead of `argv[0]`; `/proc/self/exe` is the one binary itself.
    pub executable: Option<String>,
    /// The whole environment. `None`: the broker's own.
    pub env: Option<Vec<(String, String)>>,
    /// Set on top of that.
    pub env_over: Vec<(String, String)>,
    pub cwd: Option<String>,
    /// The whole of standard input. `None`: with `capture` a pipe that [`ProcessOp::Write`] feeds, otherwise the broker's own
    /// (`/dev/null` if `detached`).
    pub stdin: Option<Arc<[u8]>>,
    /// Standard error goes to this file, made anew, which the process and its descendants hold locked for as long as they have it
    /// open: [`FileOp::IsLocked`] tells whether they live.
    pub errors: Option<String>,
    /// Collect standard output and error as [`ProcessEvent::Output`], and let the process lead a process group of its own.
    /// Otherwise they are the broker's own (`/dev/null` if `detached`), and so is the process group.
    pub capture: bool,
    /// Names of RFC 42 channels to make.
    pub channels: Vec<Arc<str>>,
    /// Start in a new session, so that the broker's death or terminal signals do not reach it (the launch contract, ADR 1).
    pub detached: bool,
    /// Start in a process group of its own, which [`ProcessOp::Kill`] with `group` signals as a whole.
    pub own_group: bool,
    /// A job shell: goes into the cgroup that outlives the broker's own.
    pub job_cgroup: bool,
    /// Into one of its own below that, of this name, if that can be made; it is removed when the process has ended.
    pub own_cgroup: Option<String>,
    /// The program can be a fork server (`argv[0] --fork-server`, ADR 1): one stands ready, and `stdin` makes a copy of it the
    /// process. It must be `detached` and have the broker's environment; `argv` serves where no server can be had.
    pub fork_server: bool,
}

/// Files that services keep beside the store: job directories, configuration, module probes.
#[derive(Clone, Debug, PartialEq)]
pub enum FileOp {
    /// Answered by [`Completion::File`]; refused over [`crate::limits::FILE_READ_MAX`].
    Read { path: String },
    /// Written to a temporary name, then renamed; with `sync`, durable before the completion.
    Write { path: String, bytes: Arc<[u8]>, mode: u32, sync: bool },
    /// With those above it; one that is there already is no error.
    MakeDir { path: String, mode: u32 },
    /// An empty file; one that is there already stays as it is.
    Create { path: String, mode: u32 },
    /// A name in a directory, and nothing else: what it names must not be opened. Cheaper than a file, as all are one file.
    Mark { path: String },
    /// A file, or a directory with all in it; what is absent is no error.
    Remove { path: String },
    /// Names in a directory, sorted; answered by [`Completion::Names`].
    List { path: String },
    /// Is the file locked by a living process (`flock`)? Answered by [`Completion::Locked`]. Job shells hold such a lock.
    IsLocked { path: String },
    /// Who is this? Answered by [`Completion::User`], or ENOENT.
    User { uid: u32 },
}

/// The outcome of an operation, given to the service that asked for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Completion {
    /// The record is in the log (and on disk, if that was asked for); `position` is the end of it.
    Logged {
        position: LogPosition,
    },
    Stored,
    /// `None`: no such blob.
    Blob(Option<Arc<[u8]>>),
    Horizon {
        epoch: u64,
        last: u64,
        below: Option<u64>,
    },
    /// Blobs whose epoch was raised.
    Marked {
        count: u64,
    },
    /// Blobs deleted, and up to which row all has been looked at.
    Swept {
        deleted: u64,
        cursor: u64,
    },
    Process(ProcessEvent),
    File(Arc<[u8]>),
    /// The file operation succeeded and has no value, or an errand was run.
    Done,
    Names(Vec<String>),
    Locked(bool),
    /// The names of a user, and of all groups of that user.
    User {
        name: String,
        groups: Vec<String>,
    },
    /// The operation failed (ENOSPC, EIO, ENOENT ...): nothing of it happened.
    Failed(Fault),
}

/// What happened to a process.
#[derive(Clone, Debug, PartialEq)]
pub enum ProcessEvent {
    Started {
        pid: u32,
    },
    /// It could not be started (ENOENT, EACCES ...). Nothing else follows.
    NotStarted {
        errno: Errno,
    },
    Output {
        stream: StdStream,
        bytes: Arc<[u8]>,
        eof: bool,
    },
    /// So many bytes of earlier [`ProcessOp::Write`]s have gone into the stream: the same may be written again (RFC 42 credit).
    Taken {
        stream: StdStream,
        bytes: usize,
    },
    Stopped,
    /// The wait(2) status, after all output; a descendant that keeps the output open delays it by a second at most.
    /// Nothing else follows.
    Exited {
        status: i32,
    },
}
