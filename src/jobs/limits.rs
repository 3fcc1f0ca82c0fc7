//! Bounds of this crate.

/// Jobs in one `job-manager.submit` request.
pub const SUBMIT_BATCH_MAX: usize = 1024;
/// Submissions that wait for the manager's answer; more are refused with EAGAIN.
pub const SUBMITS_WAITING_MAX: usize = 1 << 17;
/// Jobs that are not inactive.
pub const ACTIVE_JOBS_MAX: usize = 1 << 21;
/// Requests held back while the jobs of an earlier life are read.
pub const PARKED_REQUESTS_MAX: usize = 1 << 16;
/// KVS lookups in flight while the jobs of an earlier life are told.
pub const LOAD_WINDOW: usize = 256;
/// Jobs and directories that one request reads at a restart, and such requests in flight.
pub const LOAD_BATCH: usize = if cfg!(test) { 3 } else { 256 };
pub const LOADS_MAX: usize = 8;
/// Different jobspecs that are remembered while jobs are read: equal ones are parsed and kept once.
pub const SPECS_KEPT: usize = 1024;
/// Jobs in one `job-manager.explain` request.
pub const EXPLAIN_IDS_MAX: usize = 1024;
/// Jobs that are named in the answer to why another one waits.
pub const EXPLAIN_AHEAD_MAX: usize = 3;
/// Dependencies of one job.
pub const DEPENDENCIES_MAX: usize = 1024;
/// Prolog or epilog actions of one job at a time.
pub const PERILOGS_MAX: u32 = 255;
/// Bytes of a line of a prolog, epilog or housekeeping in the log; longer ones are broken.
pub const PERILOG_LINE_LEN_MAX: usize = 4096;
/// Patterns of `job-manager.perilog.log-ignore`.
pub const PERILOG_PATTERNS_MAX: usize = 256;
/// Lua plugins of the job manager.
pub const PLUGINS_MAX: usize = 64;
/// Bytes that one Lua plugin may hold.
pub const LUA_MEMORY_MAX: usize = 256 << 20;
/// Instructions of one handler, about a second: the job manager waits meanwhile.
pub const LUA_INSTRUCTIONS_MAX: u64 = 50_000_000;
/// Timers of one Lua plugin.
pub const LUA_TIMERS_MAX: usize = 1024;
/// Tables inside each other in what a plugin returns.
pub const LUA_DEPTH_MAX: usize = 32;
/// Things that one handler may ask for.
pub const LUA_ACTIONS_MAX: usize = 1 << 16;
/// Steps that a request goes through before it is a job.
pub const INGEST_STEPS_MAX: usize = 64;
/// Users whose names are remembered where `policy.access` asks for them.
pub const ACCESS_USERS_MAX: usize = 4096;
/// Bytes of a line that a program of the site answers to a request.
pub const INGEST_LINE_LEN_MAX: usize = 16 << 20;
/// Bytes of an exception's type.
pub const EXCEPTION_TYPE_LEN_MAX: usize = 256;
/// Bytes of an exception's note.
pub const EXCEPTION_NOTE_LEN_MAX: usize = 64 << 10;
/// Requests to raise exceptions on many jobs that are under way, and jobs that get one in a turn.
pub const RAISINGS_MAX: usize = 1024;
pub const RAISES_PER_TURN_MAX: usize = if cfg!(test) { 2 } else { 32768 };
/// Jobs of a portion of what came of that, as it is stored, and such portions that are being stored.
pub const HELD_JOBS_MIN: usize = if cfg!(test) { 3 } else { 8192 };
pub const HELD_COMMITS_MAX: usize = 2;
/// Bytes of a memo, as JSON text.
pub const MEMO_LEN_MAX: usize = 64 << 10;
/// Bytes of the reason that is given for stopping or disabling a queue.
pub const QUEUE_REASON_LEN_MAX: usize = 4 << 10;
/// Streams of job events.
pub const JOURNAL_LISTENERS_MAX: usize = 1024;
/// Requests that wait for a queue to be empty or idle.
pub const DRAIN_WAITERS_MAX: usize = 1 << 14;
/// Requests to wait for any job.
pub const WAITERS_MAX: usize = 1 << 20;
/// Jobs removed by one purge request, as in flux-core.
pub const PURGE_BATCH_MAX: usize = 100;
/// `sched.alloc` requests made in one turn, so that a long queue does not hold up everything else.
pub const ALLOC_PER_TURN_MAX: usize = 256;
/// Groups of guests' jobs that are over, with something left in them; of more, the first one's time is over at once.
pub const LEAVINGS_MAX: usize = 1 << 14;
/// Devices that a site leaves jobs of guests; the IMP takes 128 with those of GPUs.
pub const DEVICES_MAX: usize = 64;
/// Keys of one `job-info.lookup`.
pub const LOOKUP_KEYS_MAX: usize = 64;
/// Streams that watch job data.
pub const WATCHERS_MAX: usize = 1 << 16;
/// Operators and values of one `job-list` constraint.
pub const LIST_CONSTRAINT_TERMS_MAX: usize = 1 << 14;
/// Operators inside each other in one `job-list` constraint.
pub const LIST_CONSTRAINT_DEPTH_MAX: usize = 32;
/// Jobs in one response of a streamed listing.
pub const LIST_CHUNK: usize = 256;
/// `job-list.list-id` requests that wait for a job's state.
pub const LIST_WAITERS_MAX: usize = 1 << 16;
/// Listings held back until the past is read.
pub const LIST_DEFERRED_MAX: usize = 1 << 14;
/// Bytes of a key below a job's directory.
pub const WATCH_PATH_LEN_MAX: usize = 1024;
/// Commands that wait for a shell to say hello.
pub const SHELL_ORDERS_MAX: usize = 1024;
/// Characters of what a guest's shell wrote to standard error that go into an exception.
pub const SHELL_SAID_LEN_MAX: usize = 1024;
/// Bytes of environments that are kept in memory for jobs that wait; equal ones count once.
pub const ENVIRONMENTS_LEN_MAX: usize = 16 << 20;
/// Barriers of a job's shells that are remembered after all have left them.
pub(crate) const BARRIERS_KEPT: usize = 4;
/// Finished jobs in one text of their index.
pub const INDEX_LINES_MAX: usize = if cfg!(test) { 8 } else { 1024 };
/// Things that the shells below a broker said and that are held to be passed on together.
pub const RELAY_SAID_MAX: usize = 1024;
