//! Bounds of this crate.

/// Characters of an output format, given or configured.
pub const FORMAT_MAX_CHARS: usize = 16 << 10;
/// Brokers that `flux start --test-size` runs.
pub const TEST_SIZE_MAX: u32 = 1024;
/// Longest line that a broker may say to the PMI server.
pub const PMI_LINE_MAX: usize = 16 * 1024;
/// Width or precision of one field of an output format.
pub const FIELD_WIDTH_MAX: usize = 4096;
/// Bytes read from a configuration file of a command (`flux-NAME.toml` and `.json`).
pub const CONFIG_MAX_BYTES: u64 = 1 << 20;
/// Bytes read from standard input by commands that need all of it (values, objects, configuration).
pub const STDIN_MAX_BYTES: u64 = 1 << 30;
/// Edits within which an unknown command is taken for a slip of another.
pub const SLIP_EDITS_MAX: usize = 2;
/// Bytes of a file that goes into a jobspec, or that an option reads.
pub const JOB_FILE_BYTES_MAX: u64 = 64 << 20;
/// Bytes of a file of environment rules, and how deep such files may name others.
pub const ENV_FILE_BYTES_MAX: u64 = 1 << 20;
pub const ENV_FILE_DEPTH_MAX: usize = 16;
/// Lines that `flux job attach --tail` keeps.
pub const TAIL_LINES_MAX: usize = 1 << 20;
/// Lines it keeps unless told otherwise.
pub const TAIL_DEFAULT: usize = 10;
/// Bytes of standard input sent to a job at once, and how many such pieces may be under way.
pub const STDIN_CHUNK_BYTES: usize = 64 << 10;
/// One: a piece that the shell has no room for is sent again, and must not be overtaken.
pub const STDIN_OUTSTANDING_MAX: usize = 1;
/// The pause before it is sent again.
pub const STDIN_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
/// Jobs that `--wait` and `--watch` follow at the same time; others are followed once one of these is done.
pub const JOBS_FOLLOWED_MAX: usize = 4096;
/// Submissions that may wait for an answer.
pub const SUBMITS_OUTSTANDING_MAX: usize = 1024;
/// Files that `--log` and `--log-stderr` may name.
pub const LOG_FILES_MAX: usize = 1024;
/// Tasks in a table of processes that a job shell answers with.
pub const PROCTABLE_MAX: usize = 1 << 24;
/// Jobs of one bulk submission.
pub const BULK_JOBS_MAX: usize = 1 << 24;
/// Instances within instances that `flux top` goes into.
pub const TOP_DEPTH_MAX: usize = 64;
/// Bytes of input that `flux exec` reads at once; the processes' credit may be less.
pub const EXEC_INPUT_BYTES: usize = 64 << 10;
/// Bytes of a line of output that `flux exec --label-io` waits for before it breaks the line.
pub const EXEC_LINE_MAX_BYTES: usize = 1 << 20;
/// Levels of the overlay tree that `flux overlay` follows.
pub const OVERLAY_DEPTH_MAX: usize = 64;
/// Jobs that one `job-manager.explain` request asks about; the manager takes no more.
pub const EXPLAIN_IDS_PER_REQUEST: usize = 1024;
/// Levels of a resource shape.
pub const SHAPE_DEPTH_MAX: usize = 32;
/// Levels of directories that `flux dump`, `fsck` and `gc` go down; the store has no deeper keys.
pub const WALK_DEPTH_MAX: usize = 1024;
/// Requests that `--maxreqs` may ask for.
pub const MAXREQS_MAX: usize = 1 << 16;
/// Blobs that `flux gc` marks with one request; the store takes no more than 16384.
pub const MARK_BLOBS_PER_REQUEST: usize = 1000;
/// Clients of the socket over which a test session is driven.
pub const START_CLIENTS_MAX: usize = 64;
/// Levels of directories that `flux archive create` goes down.
pub const ARCHIVE_DEPTH_MAX: usize = 512;
/// Blobs of a file that `flux archive` has under way.
pub const ARCHIVE_BLOBS_AHEAD: usize = 16;
/// Bytes of one blob of a file; the store takes no larger one.
pub const ARCHIVE_CHUNK_MAX: u64 = 512 << 20;
/// Modules that `flux modprobe` knows.
pub const MODPROBE_MODULES_MAX: usize = 4096;
