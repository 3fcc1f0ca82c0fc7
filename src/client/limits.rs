//! Bounds of this crate.

use std::time::Duration;

/// Requests that may wait for an answer on one connection.
pub const OUTSTANDING_MAX: usize = 1 << 20;
/// Messages that arrived and were not taken yet. A broker that floods a client beyond this loses it.
pub const ARRIVED_MAX: usize = 1 << 20;
/// Bytes waiting to be written before a blocking send waits for the broker to read.
pub const OUTPUT_HIGH_BYTES: usize = 1 << 20;
/// Bytes waiting to be written before a send in non-blocking mode is refused with EAGAIN.
pub const OUTPUT_MAX_BYTES: usize = 64 << 20;
/// Bytes asked of the socket at once, when there is much to read.
pub const READ_BYTES: usize = 64 << 10;
/// Bytes asked of the socket until that many came: most clients never touch more memory.
pub const READ_BYTES_FIRST: usize = 4 << 10;
/// Event prefixes and services that are restored when a connection is made again.
pub const REGISTRATIONS_MAX: usize = 4096;
/// How often a connection is tried again while nobody listens on the socket yet (`FLUX_LOCAL_CONNECTOR_RETRY_COUNT`).
pub const CONNECT_RETRIES: u32 = 5;
/// The pause before the first of these; each later one is twice as long.
pub const CONNECT_PAUSE: Duration = Duration::from_millis(16);
/// No pause is longer than this.
pub const CONNECT_PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long a broker that was found again may take to restore one subscription or service.
pub const RESTORE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer of a PMI server.
pub const PMI_LINE_MAX: usize = 64 * 1024;
