//! The two clocks. Only the runtime asks them; services get the time as an argument.

use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Time since boot, suspended time not counted; never goes back.
pub fn monotonic() -> Duration {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Time since the epoch. May jump: for time stamps only.
pub fn wall() -> Duration {
    read(ClockId::CLOCK_REALTIME)
}

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock).expect("these two clocks exist on every Linux");
    Duration::from(now)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_monotonic_clock_never_goes_back() {
        let mut before = super::monotonic();
        for _ in 0..1000 {
            let now = super::monotonic();
            assert!(now >= before);
            before = now;
        }
    }
}
