//! What happened, in order: a number that two runs of a seed must agree on, and the lines when somebody wants to read them.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits::TRACE_LINES_MAX;

#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: Option<VecDeque<String>>,
    hash: u64,
}

impl Trace {
    pub(crate) fn new(kept: bool) -> Trace {
        Trace { lines: kept.then(VecDeque::new), hash: 0xcbf2_9ce4_8422_2325 }
    }

    /// Goes into the number always, into the lines if they are kept.
    pub(crate) fn note(&mut self, now: Duration, sum: u64, text: impl FnOnce() -> String) {
        for part in [now.as_nanos() as u64, sum] {
            self.hash = (self.hash ^ part).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
        }
        self.say(now, text);
    }

    /// Goes into the lines only: what the number need not tell.
    pub(crate) fn say(&mut self, now: Duration, text: impl FnOnce() -> String) {
        let Some(lines) = &mut self.lines else { return };
        if lines.len() >= TRACE_LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(format!("{:12.6} {}", now.as_secs_f64(), text()));
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default().into()
    }
}
