//! The one place of the broker that asks what time it is.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flux_service::{Mono, Now, Wall};

/// Seconds since this was first asked.
fn seconds() -> f64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// Makes [`Now`]; zero of its monotonic time is when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        flux_service::set_stopwatch(seconds);
        Clock { start: Instant::now() }
    }

    pub(crate) fn mono(&self) -> Mono {
        Mono(self.start.elapsed())
    }

    pub(crate) fn now(&self) -> Now {
        // A clock set before 1970 gives time stamps of 0, not a crash.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Now { mono: self.mono(), wall: Wall(wall) }
    }
}
