//! Job states, results and submit flags (RFC 21).

use std::fmt;

/// Where a job is in its life. The values are the bits that RPCs carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum JobState {
    New = 1,
    Depend = 2,
    Priority = 4,
    Sched = 8,
    Run = 16,
    Cleanup = 32,
    Inactive = 64,
}

/// A set of job states, as the mask that RPCs carry. Has names for the virtual states of RFC 21.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StateSet(u32);

/// How a job ended. The values are the bits that RPCs carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum JobResult {
    Completed = 1,
    Failed = 2,
    Canceled = 4,
    Timeout = 8,
}

/// Submit flags, as flux-core numbers them (`flux_job_submit(3)`).
pub mod flags {
    /// The jobspec comes signed.
    pub const PRE_SIGNED: u32 = 1;
    /// Debug events go to the eventlog. (The text of RFC 21 gives this bit as 1; clients send 2.)
    pub const DEBUG: u32 = 2;
    /// `flux job wait` may wait for this job.
    pub const WAITABLE: u32 = 4;
    /// The jobspec is not validated; instance owner only.
    pub const NOVALIDATE: u32 = 8;

    /// The flag called `name` on the command line and in `set-flags` events.
    pub fn from_name(name: &str) -> Option<u32> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, flag)| *flag)
    }

    /// The names of the flags in `mask`, in bit order; unknown bits have none.
    pub fn names(mask: u32) -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(move |(_, flag)| mask & flag != 0).map(|(name, _)| *name)
    }

    const NAMES: &[(&str, u32)] =
        &[("pre-signed", PRE_SIGNED), ("debug", DEBUG), ("waitable", WAITABLE), ("novalidate", NOVALIDATE)];
}

/// Upper-case long and short name; the lower-case ones follow.
const STATE_NAMES: &[(StateSet, &str, &str)] = &[
    (StateSet::of(&[JobState::New]), "NEW", "N"),
    (StateSet::of(&[JobState::Depend]), "DEPEND", "D"),
    (StateSet::of(&[JobState::Priority]), "PRIORITY", "P"),
    (StateSet::of(&[JobState::Sched]), "SCHED", "S"),
    (StateSet::of(&[JobState::Run]), "RUN", "R"),
    (StateSet::of(&[JobState::Cleanup]), "CLEANUP", "C"),
    (StateSet::of(&[JobState::Inactive]), "INACTIVE", "I"),
    (StateSet::PENDING, "PENDING", "PD"),
    (StateSet::RUNNING, "RUNNING", "RU"),
    (StateSet::ACTIVE, "ACTIVE", "A"),
];

/// RFC 21, in which states an event may come and where it leads; `None` stays. The first row that fits counts.
/// Severity-0 exceptions are rows of their own in `JobState::next`.
const NEXT: &[(&str, StateSet, Option<JobState>)] = &[
    ("submit", StateSet::of(&[JobState::New]), None),
    ("invalidate", StateSet::of(&[JobState::New]), None),
    ("validate", StateSet::of(&[JobState::New]), Some(JobState::Depend)),
    ("dependency-add", StateSet::of(&[JobState::New, JobState::Depend]), None),
    ("dependency-remove", StateSet::of(&[JobState::New, JobState::Depend]), None),
    ("depend", StateSet::of(&[JobState::Depend]), Some(JobState::Priority)),
    ("priority", StateSet::of(&[JobState::Priority]), Some(JobState::Sched)),
    ("priority", StateSet::of(&[JobState::Sched]), None),
    ("urgency", StateSet::of(&[JobState::Sched]), Some(JobState::Priority)),
    ("urgency", StateSet::of(&[JobState::Depend, JobState::Priority]), None),
    ("jobspec-update", StateSet::of(&[JobState::Sched]), Some(JobState::Priority)),
    ("jobspec-update", StateSet::of(&[JobState::New, JobState::Depend, JobState::Priority, JobState::Run]), None),
    ("resource-update", StateSet::RUNNING, None),
    ("flux-restart", StateSet::of(&[JobState::Sched]), Some(JobState::Priority)),
    ("flux-restart", StateSet::ALL, None),
    ("alloc", StateSet::of(&[JobState::Sched]), Some(JobState::Run)),
    // An allocation may arrive after the exception that ended the job; it is then freed.
    ("alloc", StateSet::of(&[JobState::Cleanup]), None),
    ("prolog-start", StateSet::RUNNING, None),
    ("prolog-finish", StateSet::RUNNING, None),
    ("start", StateSet::RUNNING, None),
    ("finish", StateSet::of(&[JobState::Run]), Some(JobState::Cleanup)),
    ("finish", StateSet::of(&[JobState::Cleanup]), None),
    ("release", StateSet::RUNNING, None),
    ("epilog-start", StateSet::RUNNING, None),
    ("epilog-finish", StateSet::RUNNING, None),
    ("free", StateSet::of(&[JobState::Cleanup]), None),
    ("clean", StateSet::of(&[JobState::Cleanup]), Some(JobState::Inactive)),
];

impl JobState {
    pub const ALL: [JobState; 7] = [
        JobState::New,
        JobState::Depend,
        JobState::Priority,
        JobState::Sched,
        JobState::Run,
        JobState::Cleanup,
        JobState::Inactive,
    ];

    /// The bit of this state on the wire.
    pub const fn bit(self) -> u32 {
        self as u32
    }

    /// The state of one bit; `None` for none, several or unknown bits.
    pub fn from_bit(bit: u32) -> Option<JobState> {
        Self::ALL.into_iter().find(|state| state.bit() == bit)
    }

    /// `DEPEND`
    pub fn name(self) -> &'static str {
        self.names().0
    }

    /// `D`
    pub fn short(self) -> &'static str {
        self.names().1
    }

    fn names(self) -> (&'static str, &'static str) {
        let (_, long, short) = STATE_NAMES[self.bit().trailing_zeros() as usize];
        (long, short)
    }

    /// Where `event` takes a job from here: perhaps nowhere. `None` if the event cannot come in this state.
    ///
    /// `severity` is that of an `exception` event: 0 ends an active job, others change nothing. Events that
    /// RFC 21 does not name (memo, debug.*, set-flags and those of plugins) are welcome anywhere.
    pub fn next(self, event: &str, severity: Option<u32>) -> Option<JobState> {
        if event == "exception" {
            let ends = severity == Some(0) && StateSet::ACTIVE.contains(self);
            return Some(if ends { JobState::Cleanup } else { self });
        }
        let mut known = false;
        for (name, from, to) in NEXT {
            if *name == event {
                if from.contains(self) {
                    return Some(to.unwrap_or(self));
                }
                known = true;
            }
        }
        (!known).then_some(self)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl StateSet {
    pub const NONE: StateSet = StateSet(0);
    pub const ALL: StateSet = StateSet(127);
    /// Waiting: depend, priority, sched.
    pub const PENDING: StateSet = StateSet::of(&[JobState::Depend, JobState::Priority, JobState::Sched]);
    /// Holding resources or giving them back: run, cleanup.
    pub const RUNNING: StateSet = StateSet::of(&[JobState::Run, JobState::Cleanup]);
    /// Pending or running.
    pub const ACTIVE: StateSet = StateSet(Self::PENDING.0 | Self::RUNNING.0);

    pub const fn of(states: &[JobState]) -> StateSet {
        let (mut mask, mut i) = (0, 0);
        while i < states.len() {
            mask |= states[i].bit();
            i += 1;
        }
        StateSet(mask)
    }

    /// The set of a mask off the wire; `None` if it has bits that are no state.
    pub const fn from_bits(mask: u32) -> Option<StateSet> {
        if mask & !Self::ALL.0 == 0 { Some(StateSet(mask)) } else { None }
    }

    pub const fn bits(self) -> u32 {
        self.0
    }

    pub const fn contains(self, state: JobState) -> bool {
        self.0 & state.bit() != 0
    }

    pub const fn union(self, other: StateSet) -> StateSet {
        StateSet(self.0 | other.0)
    }

    /// A state or virtual state by its long or short name, all upper or all lower case, as flux-core takes them.
    pub fn from_name(name: &str) -> Option<StateSet> {
        by_name(STATE_NAMES, name)
    }
}

const RESULT_NAMES: &[(JobResult, &str, &str)] = &[
    (JobResult::Completed, "COMPLETED", "CD"),
    (JobResult::Failed, "FAILED", "F"),
    (JobResult::Canceled, "CANCELED", "CA"),
    (JobResult::Timeout, "TIMEOUT", "TO"),
];

impl JobResult {
    pub const ALL: [JobResult; 4] = [JobResult::Completed, JobResult::Failed, JobResult::Canceled, JobResult::Timeout];

    /// The bit of this result on the wire.
    pub const fn bit(self) -> u32 {
        self as u32
    }

    /// The result of one bit; `None` for none, several or unknown bits.
    pub fn from_bit(bit: u32) -> Option<JobResult> {
        Self::ALL.into_iter().find(|result| result.bit() == bit)
    }

    /// `COMPLETED`
    pub fn name(self) -> &'static str {
        RESULT_NAMES[self.bit().trailing_zeros() as usize].1
    }

    /// `CD`
    pub fn short(self) -> &'static str {
        RESULT_NAMES[self.bit().trailing_zeros() as usize].2
    }

    /// A result by its long or short name, all upper or all lower case, as flux-core takes them.
    pub fn from_name(name: &str) -> Option<JobResult> {
        by_name(RESULT_NAMES, name)
    }

    /// How a job ended that has become inactive.
    ///
    /// `wait_status` is that of the `finish` event if the job ever started; `exception` the type of its first
    /// severity-0 exception. A job that finished with status 0 completed, whatever came after.
    pub fn of_job(wait_status: Option<i32>, exception: Option<&str>) -> JobResult {
        match (wait_status, exception) {
            (Some(0), _) => JobResult::Completed,
            (_, Some("cancel")) => JobResult::Canceled,
            (_, Some("timeout")) => JobResult::Timeout,
            _ => JobResult::Failed,
        }
    }
}

impl fmt::Display for JobResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

fn by_name<T: Copy>(table: &[(T, &str, &str)], name: &str) -> Option<T> {
    let one_case = !name.bytes().any(|b| b.is_ascii_lowercase()) || !name.bytes().any(|b| b.is_ascii_uppercase());
    let named = |n: &str| one_case && n.eq_ignore_ascii_case(name);
    table.iter().find(|(_, long, short)| named(long) || named(short)).map(|(value, _, _)| *value)
}

#[cfg(test)]
mod tests;
