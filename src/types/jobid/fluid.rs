//! Making job ids (RFC 19). Pure: the caller says what time it is.

use std::fmt;

use super::JobId;
use crate::limits::{FLUID_GENERATORS_MAX, FLUID_SEQUENCE_MAX, FLUID_TIMESTAMP_MS_MAX};

/// Why no id could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FluidError {
    /// The generator number does not fit in 14 bits.
    BadGenerator { got: u32 },
    /// This millisecond's ids are used up; ask again when the clock reads `retry_at_ms`.
    Busy { retry_at_ms: u64 },
    /// The instance's 40 bits of milliseconds (35 years) are over.
    LifetimeOver,
}

impl FluidError {
    /// The Linux errno for a peer: 22 is EINVAL, 11 is EAGAIN, 75 is EOVERFLOW.
    pub const fn errno(&self) -> i32 {
        match self {
            Self::BadGenerator { .. } => 22,
            Self::Busy { .. } => 11,
            Self::LifetimeOver => 75,
        }
    }
}

impl fmt::Display for FluidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadGenerator { got } => {
                write!(f, "job id generator {got} is over the limit of {}", FLUID_GENERATORS_MAX - 1)
            }
            Self::Busy { retry_at_ms } => write!(f, "no more job ids before {retry_at_ms} ms"),
            Self::LifetimeOver => write!(f, "the instance is too old to make job ids"),
        }
    }
}

impl std::error::Error for FluidError {}

/// Makes unique, rising ids. A clock that steps back delays the timestamps, never repeats an id.
#[derive(Clone, Debug)]
pub struct FluidGenerator {
    generator: u64,
    timestamp_ms: u64,
    sequence: u16,
}

impl FluidGenerator {
    /// A generator with its own number, starting at `timestamp_ms`: 0 in a new instance, in a restarted one
    /// above every timestamp it has used (one past what `timestamp_ms()` was saved as).
    ///
    /// # Errors
    /// `BadGenerator` over 14 bits, `LifetimeOver` over 40.
    pub fn new(generator: u32, timestamp_ms: u64) -> Result<FluidGenerator, FluidError> {
        if generator >= FLUID_GENERATORS_MAX {
            return Err(FluidError::BadGenerator { got: generator });
        }
        if timestamp_ms > FLUID_TIMESTAMP_MS_MAX {
            return Err(FluidError::LifetimeOver);
        }
        Ok(FluidGenerator { generator: u64::from(generator), timestamp_ms, sequence: 0 })
    }

    /// The next id. `now_ms` counts from the instance's epoch.
    ///
    /// # Errors
    /// `Busy` after 1024 ids in one millisecond, `LifetimeOver` past 40 bits.
    pub fn generate(&mut self, now_ms: u64) -> Result<JobId, FluidError> {
        if now_ms > FLUID_TIMESTAMP_MS_MAX {
            return Err(FluidError::LifetimeOver);
        }
        if now_ms > self.timestamp_ms {
            self.timestamp_ms = now_ms;
            self.sequence = 0;
        }
        if self.sequence >= FLUID_SEQUENCE_MAX {
            return Err(FluidError::Busy { retry_at_ms: self.timestamp_ms + 1 });
        }
        let id = self.timestamp_ms << 24 | self.generator << 10 | u64::from(self.sequence);
        self.sequence += 1;
        Ok(JobId(id))
    }

    /// The newest timestamp in use, in milliseconds since the epoch: what a restart must start above.
    pub const fn timestamp_ms(&self) -> u64 {
        self.timestamp_ms
    }
}
