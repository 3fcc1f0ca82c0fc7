//! Named maxima of this crate.

/// Turns of the broker at one instant: more, and it will never be at rest.
pub const TURN_COUNT_MAX: usize = 1_000_000;
/// Virtual hours without news of any job after which jobs that wait are taken to wait for ever.
pub const SILENT_HOURS_MAX: u64 = 1;
/// Timers in a row that bring no news of any job while some wait for a time to come.
pub const IDLE_TIMER_COUNT_MAX: usize = 1_000_000;
/// Jobs that are over and that the instance still knows.
pub const INACTIVE_COUNT_MAX: usize = 1000;
