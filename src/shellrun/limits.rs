//! Bounds of this crate.

use std::time::Duration;

/// The first pause before a lost broker is tried again; each later one is twice as long.
pub(crate) const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
pub(crate) const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long a shell whose tasks are done waits for a lost broker before it leaves its exit record and ends, unless the bundle
/// says otherwise.
pub(crate) const BROKER_ABSENT_MAX: Duration = Duration::from_secs(10);
/// How long a broker may take to acknowledge before the same events are sent again.
pub(crate) const ACK_WAIT_MAX: Duration = Duration::from_secs(60);
/// Between SIGTERM and SIGKILL, where the shell itself ends its tasks.
pub(crate) const KILL_AFTER: Duration = Duration::from_secs(5);
/// How long a task that has closed one of its streams may take to exit before the others are looked at again.
pub(crate) const EXIT_WAIT: Duration = Duration::from_millis(1);
/// Bytes read from one pipe in one turn, so that one task does not hold up the others.
pub(crate) const READ_BYTES: usize = 64 << 10;
/// The same until that many came: most shells never touch more memory.
pub(crate) const READ_BYTES_FIRST: usize = 4 << 10;
/// Reads of one pipe within [`COALESCE`]; then it is left alone for as long, so that little reads become large ones.
pub(crate) const SMALL_READS_MAX: u32 = 32;
/// How long events wait for company while others are under way to the broker.
pub(crate) const COALESCE: Duration = Duration::from_millis(20);
/// Blobs of a file that are under way when it is staged in.
pub(crate) const BLOBS_AHEAD: usize = 8;
/// Barriers that a shell remembers having left, for shells that were away then.
pub(crate) const BARRIERS_KEPT: usize = 4;
/// Requests for the table of all processes that wait.
pub(crate) const TABLE_WAITERS_MAX: usize = 64;
/// Levels that directories may nest that are brought into or out of storage.
pub(crate) const STAGE_DEPTH_MAX: usize = 128;
/// Bytes of a list of what is to be brought.
pub(crate) const STAGE_LIST_BYTES_MAX: u64 = 16 << 20;
/// Of one script of the shell (`initrc`, `userrc`).
pub(crate) const RC_FILE_BYTES_MAX: u64 = 1 << 20;
/// Scripts that one shell reads.
pub(crate) const RC_FILES_MAX: usize = 1_000;
/// Lines that scripts log between two looks at them.
pub(crate) const RC_LOG_LINES_MAX: usize = 10_000;
/// Of values that scripts hand over.
pub(crate) const RC_DEPTH_MAX: usize = 32;
/// Handlers that scripts register.
pub(crate) const RC_HANDLERS_MAX: usize = 1_000;
/// Commands that run beside the tasks of one shell (`flux exec --jobid`).
pub(crate) const REXEC_PROCESSES_MAX: usize = 256;
