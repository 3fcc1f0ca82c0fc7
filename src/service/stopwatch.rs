//! How long work took, for statistics. Nothing may depend on it: under the simulator it stands still.

use std::sync::OnceLock;

static READ: OnceLock<fn() -> f64> = OnceLock::new();

/// The program has a stopwatch; said once at its start, by whoever owns its clocks.
pub fn set_stopwatch(read: fn() -> f64) {
    let _ = READ.set(read);
}

/// Seconds since some moment; always 0 if the program has no stopwatch.
pub fn stopwatch() -> f64 {
    READ.get().map_or(0.0, |read| read())
}
