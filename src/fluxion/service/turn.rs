//! One turn of matching: cycles of a queue until nothing is due or the time is over.

use crate::fluxion::Fluxion;
use crate::limits::{HURRIED_SECONDS_MIN, TURN_SECONDS_MAX};
use crate::policy::{Decision, Queue};
use flux_service::stopwatch;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What a turn has come to.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) decisions: Vec<Decision>,
    /// Cycles that were begun.
    pub(super) cycles: u64,
    /// The time was over.
    pub(super) is_over: bool,
}

impl Taken {
    /// Takes a turn, which is over after the first match at whose end `is_over` says so.
    pub(super) fn of(queue: &mut Queue, fluxion: &mut Fluxion, now: i64, is_over: &dyn Fn() -> bool) -> Taken {
        let mut taken = Taken::default();
        while queue.is_due() && !taken.is_over {
            taken.cycles += u64::from(!queue.is_stopped());
            taken.decisions.extend(queue.cycle_until(fluxion, now, is_over).decisions);
            taken.is_over = is_over();
        }
        taken
    }
}

/// A turn that is taken beside the loop, with all it needs.
pub(super) struct Turn {
    /// `None` once it was given back.
    pub(super) fluxion: Option<Fluxion>,
    pub(super) name: String,
    pub(super) queue: Queue,
    pub(super) now: i64,
    /// Somebody waits for the graph.
    pub(super) hurry: Arc<AtomicBool>,
    pub(super) taken: Taken,
}

impl Turn {
    pub(super) fn run(mut self) -> Turn {
        let began = stopwatch();
        let hurry = self.hurry.clone();
        let is_over = || {
            let span = stopwatch() - began;
            span > TURN_SECONDS_MAX || (span > HURRIED_SECONDS_MIN && hurry.load(Relaxed))
        };
        if let Some(fluxion) = &mut self.fluxion {
            self.taken = Taken::of(&mut self.queue, fluxion, self.now, &is_over);
        }
        self
    }
}
