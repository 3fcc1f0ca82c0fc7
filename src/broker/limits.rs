//! Bounds of this crate.

/// Lines the log ring holds unless `log-ring-size` says otherwise.
pub const LOG_RING_DEFAULT: usize = 1024;
/// Longest log line kept, in bytes; the rest is cut off.
pub const LOG_LINE_MAX: usize = 64 * 1024;
/// Refusals of guests that are logged in a second, and characters of one.
pub const REFUSALS_TOLD_MAX: usize = 20;
pub const REFUSAL_CHARS_MAX: usize = 500;
/// Requests waiting for a state, a log line, or a configuration change.
pub const WAITERS_MAX: usize = 65_536;
/// Services that one client may register.
pub const SERVICES_PER_CLIENT_MAX: usize = 65_536;
/// Event prefixes that one client may subscribe to.
pub const SUBSCRIPTIONS_MAX: usize = 65_536;
/// Event prefixes that a broker names to its parent; if there are more, it says that it wants all.
pub const PREFIXES_TOLD_MAX: usize = 256;
/// Passes over the services' batched work in one turn; more is a loop between services, which is a bug.
pub const TURN_PASSES_MAX: usize = 10_000;
/// Processes that the subprocess server runs at once.
pub const PROCESSES_MAX: usize = 16_384;
/// Bytes of background output kept for `wait`, per process.
pub const EXEC_RETAINED_MAX: usize = 64 * 1024;
/// Messages that wait for the parent broker to let us in.
pub const UPWARD_MAX: usize = 65_536;
/// Groups that have members.
pub const GROUPS_MAX: usize = 4096;
/// Entries of `flux cron`.
pub const CRON_ENTRIES_MAX: usize = 4096;
/// Ended tasks that one of them keeps.
pub const CRON_HISTORY_MAX: usize = 1000;
/// Bytes of one line of a task's output in the log; longer ones are broken.
pub const CRON_LINE_MAX: usize = 4096;
