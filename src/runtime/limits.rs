//! Bounds of this crate.

use std::time::Duration;

/// Groups of processes that have ended, which could not be removed yet.
pub const GROUPS_LEFT_MAX: usize = 1024;
/// Small blocks that the event loop keeps for its next allocations.
pub const SPARE_MEMORY_BYTES: usize = 4 << 20;
/// Freed memory that the broker keeps when it has nothing to do, and how often it looks.
pub const SPARE_HEAP_BYTES: usize = 16 << 20;
pub const TIDY_PERIOD: Duration = Duration::from_secs(5);
/// Clients connected at once. Guests together have half of these, so that the owner always gets in.
pub const CONNECTIONS_MAX: usize = 16 * 1024;
/// Clients of one guest connected at once.
pub const GUEST_CONNECTIONS_MAX: usize = 256;
/// A client that has this many bytes waiting to be sent is not read from until it takes some of them.
pub const OUTPUT_SOFT_BYTES: usize = 1 << 20;
/// A client with more than this many bytes waiting when another message comes for it is dropped.
pub const OUTPUT_BYTES_MAX: usize = 256 << 20;
/// As [`OUTPUT_BYTES_MAX`], for a guest.
pub const GUEST_OUTPUT_BYTES_MAX: usize = 16 << 20;
/// Bytes of one unfinished message that a guest may make us hold.
pub const GUEST_FRAME_BYTES_MAX: usize = 16 << 20;
/// Bytes read from one client, or from one stream of a child, before the others have their turn.
pub const READ_TURN_BYTES: usize = 512 * 1024;
/// Bytes read from all clients together, or from all children, before the node has its turn.
pub const TURN_BYTES_MAX: usize = 64 << 20;
/// Size of the one buffer that everything is read into.
pub const READ_CHUNK_BYTES: usize = 64 * 1024;
/// An output buffer is given back to the allocator when it is empty and larger than this.
pub const OUTPUT_BUFFER_KEEP: usize = 64 * 1024;
/// Rounds of inputs that the loop itself causes (a file was read ...) before it looks at its sockets again.
pub const LOCAL_ROUNDS_MAX: usize = 16;
/// Events taken from the kernel at once.
pub const EVENTS_MAX: usize = 1024;
/// How long accepting rests after the process ran out of descriptors.
pub const ACCEPT_RETRY_MS: u64 = 100;
/// How long clients may take, in all, to accept what was queued for them when the broker exits.
pub const EXIT_FLUSH_MS: u64 = 1000;
/// How long a leaving broker waits for clients that have been sent everything to close their end.
pub const EXIT_FAREWELL_MS: u64 = 100;

/// Bytes given to the store and not yet answered, beyond which no client is read from.
pub const STORE_BYTES_MAX: usize = 256 << 20;
/// Longest record of the log.
pub const RECORD_BYTES_MAX: usize = 256 << 20;
/// Records that share one write.
pub const BATCH_RECORDS_MAX: usize = 4096;
/// Bytes that share one write (a single record may be longer).
pub const BATCH_BYTES_MAX: usize = 8 << 20;
/// A log file that has grown past this is followed by a new one.
pub const SEGMENT_BYTES: u64 = 16 << 20;
/// Bytes that may be written but not synced; more cause a sync that nobody asked for.
pub const UNSYNCED_BYTES_MAX: usize = 4 << 20;
/// Page cache of the database, in KiB.
pub const DATABASE_CACHE_KIB: usize = 2048;

/// Child processes at once.
pub const PROCESSES_MAX: usize = 64 * 1024;
/// Before a fork server that could not be started is tried again: the first time, and at most.
pub const FORK_SERVER_PAUSE: Duration = Duration::from_secs(1);
pub const FORK_SERVER_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Bytes waiting for the standard input or a channel of one process.
pub const PROCESS_INPUT_BYTES_MAX: usize = 64 << 20;
/// How long after a process's end its output is waited for when a descendant keeps the pipe open.
pub const EXIT_DRAIN_MS: u64 = 1000;

/// Bytes of one configuration file.
pub const CONFIG_FILE_BYTES_MAX: u64 = 16 << 20;
/// Configuration files in one directory.
pub const CONFIG_FILES_MAX: usize = 1024;

/// Brokers that connect and have not yet proved who they are.
pub const STRANGERS_MAX: usize = 1024;
/// How long a broker that connects may take to prove who it is.
pub const HANDSHAKE_MS_MAX: u64 = 10_000;
/// Bytes waiting for another broker, beyond which the link is given up.
pub const PEER_OUTPUT_BYTES_MAX: usize = 1 << 30;
/// The first pause before the parent broker is tried again; it doubles up to [`CONNECT_PAUSE_MS_MAX`].
pub const CONNECT_PAUSE_MS: u64 = 20;
pub const CONNECT_PAUSE_MS_MAX: u64 = 5_000;
/// How long brokers under PALS wait for all of them to come to the rendezvous, how long one may take to say what it brings, and
/// when it tries again.
pub const MEETING_MAX: Duration = Duration::from_secs(300);
pub const MEETING_HELLO: Duration = Duration::from_secs(2);
pub const MEETING_RETRY: Duration = Duration::from_millis(50);
/// The stack of the thread that runs errands, as large as that of a main thread.
pub const COMPUTE_STACK_BYTES: usize = 8 << 20;
