//! Bounds of this crate: what a job may make its shell hold.

/// Bytes of the bundle on standard input.
pub const BUNDLE_LEN_MAX: usize = 64 << 20;
/// Tasks of one job.
pub const TASKS_MAX: u32 = 1 << 22;
/// Tasks that one shell starts.
pub const LOCAL_TASKS_MAX: u32 = 1 << 14;
/// Bytes of one output event's data: longer lines are cut into several events.
pub const OUTPUT_DATA_MAX: usize = 64 << 10;
/// Bytes of unacknowledged events in memory; beyond it they go to the spool, or (with the broker there) tasks wait.
pub const JOURNAL_BYTES_MAX: usize = 16 << 20;
/// Bytes of unacknowledged events that a broker which is there is given; beyond it tasks wait.
pub const WINDOW_BYTES: usize = 2 << 20;
/// Lines of one read from a task that go out each for itself; of more, many go together.
pub const LINES_APART_MAX: usize = 256;
/// Bytes of events in one message to the broker.
pub const EVENTS_BYTES_MAX: usize = 1 << 20;
/// Bytes of the spool file; a task that writes more waits until the broker is back.
pub const SPOOL_BYTES_MAX: u64 = 48 << 20;
/// Bytes of standard input that wait for one task to read them.
pub const STDIN_BYTES_MAX: usize = 32 << 20;
/// Bytes of one PMI line (RFC 13): name, key, value and the words around them.
pub const PMI_LINE_MAX: usize = 64 + 64 + 1024 + 64;
/// RFC 13 `get_maxes`, each with its final NUL.
pub const PMI_NAME_MAX: usize = 64;
pub const PMI_KEY_MAX: usize = 64;
pub const PMI_VALUE_MAX: usize = 1024;
/// Keys that the tasks of one job may put.
pub const PMI_KEYS_MAX: usize = 1 << 22;
/// Bytes of a text made from a template.
pub const TEMPLATE_LEN_MAX: usize = 64 << 10;
/// Entries of `attributes.storage`.
pub const STORAGES_MAX: usize = 64;
/// Co-processes of one job.
pub const HELPERS_MAX: usize = 64;
