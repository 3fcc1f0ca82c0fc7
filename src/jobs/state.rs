//! What a job ended with, its flags, and how annotations are merged (RFCs 21, 27).

use flux_types::JobResult;
use flux_types::jobstate::flags;
use serde_json::{Map, Value};

/// The event that moved a job to CLEANUP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndEvent {
    /// The largest wait(2) status of the job's shells.
    Finish {
        status: i32,
    },
    Exception {
        kind: String,
        note: String,
    },
}

impl EndEvent {
    /// The result as others see it: by the first event that led to CLEANUP.
    pub fn result(&self) -> JobResult {
        match self {
            EndEvent::Finish { status } => JobResult::of_job(Some(*status), None),
            EndEvent::Exception { kind, .. } => JobResult::of_job(None, Some(kind)),
        }
    }

    /// Why the job was no success, in words; empty for a success. These are the texts that `flux job wait` prints.
    pub fn describe(&self) -> String {
        match self {
            EndEvent::Exception { kind, note } => format!("Fatal exception type={kind} {note}"),
            EndEvent::Finish { status } => describe_status(*status),
        }
    }
}

fn describe_status(status: i32) -> String {
    let signal = status & 0x7f;
    if signal != 0 {
        return format!("job shell {}", signal_name(signal));
    }
    match status >> 8 & 0xff {
        0 => String::new(),
        // The shell reports a task that a signal ended as 128 plus its number.
        code if code > 128 => format!("task(s) {}", signal_name(code - 128)),
        code => format!("task(s) exited with exit code {code}"),
    }
}

/// What strsignal(3) says.
pub fn signal_name(signum: i32) -> String {
    let known = match signum {
        1 => "Hangup",
        2 => "Interrupt",
        3 => "Quit",
        4 => "Illegal instruction",
        5 => "Trace/breakpoint trap",
        6 => "Aborted",
        7 => "Bus error",
        8 => "Floating point exception",
        9 => "Killed",
        10 => "User defined signal 1",
        11 => "Segmentation fault",
        12 => "User defined signal 2",
        13 => "Broken pipe",
        14 => "Alarm clock",
        15 => "Terminated",
        16 => "Stack fault",
        17 => "Child exited",
        18 => "Continued",
        19 => "Stopped (signal)",
        20 => "Stopped",
        21 => "Stopped (tty input)",
        22 => "Stopped (tty output)",
        23 => "Urgent I/O condition",
        24 => "CPU time limit exceeded",
        25 => "File size limit exceeded",
        26 => "Virtual timer expired",
        27 => "Profiling timer expired",
        28 => "Window changed",
        29 => "I/O possible",
        30 => "Power failure",
        31 => "Bad system call",
        _ => return format!("Unknown signal {signum}"),
    };
    known.to_owned()
}

/// Submission flags (flux-core's `FLUX_JOB_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobFlags(pub u32);

impl JobFlags {
    pub const DEBUG: u32 = flags::DEBUG;
    pub const WAITABLE: u32 = flags::WAITABLE;
    pub const NOVALIDATE: u32 = flags::NOVALIDATE;
    /// Set by a `set-flags` event only: updates of the job are refused from then on.
    pub const IMMUTABLE: u32 = 16;
    /// As `IMMUTABLE`: the job brings its resources along, and the scheduler is not asked.
    pub const ALLOC_BYPASS: u32 = 32;
    /// Those a submitter may give.
    pub const SUBMITTED: u32 = Self::DEBUG | Self::WAITABLE | Self::NOVALIDATE;

    pub const fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    /// The flag that a `set-flags` event names (RFC 21).
    pub fn named(name: &str) -> Option<u32> {
        match name {
            "immutable" => Some(Self::IMMUTABLE),
            "alloc-bypass" => Some(Self::ALLOC_BYPASS),
            name => flags::from_name(name),
        }
    }
}

/// RFC 27: a job of priority `MIN` is held, one of `MAX` goes before all others.
pub mod priority {
    pub const MIN: i64 = 0;
    pub const MAX: i64 = flux_types::PRIORITY_MAX as i64;
    /// No priority has been given yet; never on the wire.
    pub const NONE: i64 = -1;
}

/// Updates `target` as RFC 27 says for annotations and RFC 21 for memos: objects merge, null removes, else replace.
pub fn merge(target: &mut Map<String, Value>, updates: &Map<String, Value>) {
    for (key, value) in updates {
        match (target.get_mut(key), value) {
            (_, Value::Null) => {
                target.shift_remove(key);
            }
            (Some(Value::Object(below)), Value::Object(updates)) => {
                merge(below, updates);
                if below.is_empty() {
                    target.shift_remove(key);
                }
            }
            (_, Value::Object(updates)) => {
                let mut below = Map::new();
                merge(&mut below, updates);
                if !below.is_empty() || updates.is_empty() {
                    target.insert(key.clone(), Value::Object(below));
                }
            }
            (_, value) => {
                target.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Sets a value by period-delimited path, making the objects on the way (RFC 21 `jobspec-update`).
/// `None` if a part of the path is there and is no object.
pub(crate) fn set_path(root: &mut Value, path: &str, value: Value) -> Option<()> {
    let mut at = root;
    let (parents, last) = path.rsplit_once('.').map_or((None, path), |(parents, last)| (Some(parents), last));
    for part in parents.into_iter().flat_map(|parents| parents.split('.')) {
        at = at.as_object_mut()?.entry(part).or_insert_with(|| Value::Object(Map::new()));
    }
    at.as_object_mut()?.insert(last.to_owned(), value);
    Some(())
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
