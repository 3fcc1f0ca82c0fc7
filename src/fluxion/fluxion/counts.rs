//! What has been matched so far.

use super::Fluxion;

/// Matches that ended one way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    pub total: u64,
    pub since_reset: u64,
    /// The job whose match visited the most vertices since the reset, and how many.
    pub longest_job: u64,
    pub longest_visits: u64,
}

/// Matches by outcome, with when counting began, in seconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub succeeded: Outcomes,
    pub failed: Outcomes,
    pub since: i64,
    pub reset_at: i64,
}

impl Counts {
    pub(super) fn note(&mut self, is_match: bool, id: u64, visits: u64) {
        let outcomes = if is_match { &mut self.succeeded } else { &mut self.failed };
        outcomes.total += 1;
        outcomes.since_reset += 1;
        if visits >= outcomes.longest_visits {
            (outcomes.longest_job, outcomes.longest_visits) = (id, visits);
        }
    }
}

impl Fluxion {
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Counting begins: `now` is in seconds since the epoch.
    pub fn counts_from(&mut self, now: i64) {
        self.counts = Counts { since: now, reset_at: now, ..Counts::default() };
    }

    /// Totals stay, the rest begins again.
    pub fn reset_counts(&mut self, now: i64) {
        let anew = |of: &Outcomes| Outcomes { total: of.total, ..Outcomes::default() };
        self.counts.succeeded = anew(&self.counts.succeeded);
        self.counts.failed = anew(&self.counts.failed);
        self.counts.reset_at = now;
    }
}
