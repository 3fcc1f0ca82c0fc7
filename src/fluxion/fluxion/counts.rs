//! What has been matched so far.

use super::Fluxion;

/// Matches that ended one way.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outcomes {
    pub total: u64,
    pub since_reset: u64,
    /// Seconds that matches took since the reset: least, most, mean, and the sum of squares around it.
    pub least: f64,
    pub most: f64,
    pub mean: f64,
    pub squares: f64,
    /// The job whose match visited the most vertices since the reset, and how many.
    pub longest_job: u64,
    pub longest_visits: u64,
}

/// Matches by outcome, with when counting began, in seconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub succeeded: Outcomes,
    pub failed: Outcomes,
    pub since: i64,
    /// Seconds that the graph took to load.
    pub load_time: f64,
    pub reset_at: i64,
}

impl Outcomes {
    /// Of the times since the reset, in seconds squared.
    pub(crate) fn variance(&self) -> f64 {
        if self.since_reset < 2 { 0.0 } else { self.squares / self.since_reset as f64 }
    }

    /// The mean goes along with every time (Welford).
    fn note_time(&mut self, seconds: f64) {
        self.least = if self.since_reset == 1 { seconds } else { self.least.min(seconds) };
        self.most = self.most.max(seconds);
        let off = seconds - self.mean;
        self.mean += off / self.since_reset as f64;
        self.squares += off * (seconds - self.mean);
    }
}

impl Counts {
    pub(super) fn note(&mut self, is_match: bool, id: u64, visits: u64, seconds: f64) {
        let outcomes = if is_match { &mut self.succeeded } else { &mut self.failed };
        outcomes.total += 1;
        outcomes.since_reset += 1;
        outcomes.note_time(seconds);
        if visits >= outcomes.longest_visits {
            (outcomes.longest_job, outcomes.longest_visits) = (id, visits);
        }
    }
}

impl Fluxion {
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Counting begins: `now` is in seconds since the epoch, `load_time` what the graph took to load.
    pub fn counts_from(&mut self, now: i64, load_time: f64) {
        self.counts = Counts { since: now, reset_at: now, load_time, ..Counts::default() };
    }

    /// Totals stay, the rest begins again.
    pub fn reset_counts(&mut self, now: i64) {
        let anew = |of: &Outcomes| Outcomes { total: of.total, ..Outcomes::default() };
        self.counts.succeeded = anew(&self.counts.succeeded);
        self.counts.failed = anew(&self.counts.failed);
        self.counts.reset_at = now;
    }
}
