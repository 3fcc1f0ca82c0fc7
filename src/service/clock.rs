//! Virtual time is a type: only the runtime and the simulator make values of it.

use std::time::Duration;

/// Time since this process's runtime started. Services receive it; they never ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mono(pub Duration);

impl Mono {
    pub fn after(self, span: Duration) -> Mono {
        Mono(self.0 + span)
    }

    /// The span from `earlier` to here; zero if that lies ahead.
    pub fn since(self, earlier: Mono) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Time since the Unix epoch: for time stamps that people and RFC 18 eventlogs see, never for timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Wall(pub Duration);

impl Wall {
    /// Seconds since the epoch, in whole microseconds as eventlogs print them (RFC 18).
    pub fn timestamp(self) -> f64 {
        self.0.as_micros() as f64 / 1e6
    }
}

/// Both clocks, read once for each turn of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    pub mono: Mono,
    pub wall: Wall,
}
