//! Bounds of this crate.

use std::time::Duration;

/// Events of one scenario; more are a loop that feeds itself.
pub const STEPS_MAX: u64 = 5_000_000;
/// After the faults have stopped, everything must have come to its end within this time.
pub const SETTLE_MAX: Duration = Duration::from_secs(900);
/// Lines of a trace that is kept; the oldest go first.
pub const TRACE_LINES_MAX: usize = 1 << 20;
/// Threads of a sweep.
pub const THREADS_MAX: usize = 64;
