//! How many jobs there are in which state: `job-list.job-stats`.

use flux_client::{Handle, Payload, Target};
use serde_json::Value;

use crate::frame::CmdError;
use crate::submit::refused;

/// Counts of jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    pub(crate) pending: u64,
    pub(crate) running: u64,
    pub(crate) inactive: u64,
    pub(crate) total: u64,
    pub(crate) successful: u64,
    pub(crate) failed: u64,
    pub(crate) canceled: u64,
    pub(crate) timeout: u64,
    pub(crate) purged: u64,
}

impl Stats {
    /// # Errors
    /// Those of the call; a queue that has no statistics.
    pub(crate) fn fetch(flux: &mut Handle, queues: &[String]) -> Result<Stats, CmdError> {
        let answer = flux.call("job-list.job-stats", Target::Any, Payload::None)?;
        let mut sum = Stats::default();
        if queues.is_empty() {
            sum.add(&answer);
        }
        for queue in queues {
            let all = answer["queues"].as_array();
            let found = all.and_then(|all| all.iter().find(|stats| stats["name"] == queue.as_str()));
            let missing = || refused(format_args!("error retrieving job stats: no stats available for queue {queue}"));
            sum.add(found.ok_or_else(missing)?);
        }
        Ok(sum)
    }

    fn add(&mut self, stats: &Value) {
        let state = |name: &str| stats["job_states"][name].as_u64().unwrap_or(0);
        let number = |name: &str| stats[name].as_u64().unwrap_or(0);
        self.pending += state("depend") + state("priority") + state("sched");
        self.running += state("run") + state("cleanup");
        self.inactive += state("inactive");
        self.total += state("total");
        // What failed in any way counts as failed.
        self.failed += number("failed") + number("canceled") + number("timeout");
        self.successful += number("successful");
        self.canceled += number("canceled");
        self.timeout += number("timeout");
        self.purged += number("inactive_purged");
    }

    pub(crate) fn active(&self) -> u64 {
        self.total - self.inactive.min(self.total)
    }

    /// `1 running, 2 completed, 0 failed, 3 pending`
    pub(crate) fn sentence(&self) -> String {
        let Stats { running, successful, failed, pending, .. } = self;
        format!("{running} running, {successful} completed, {failed} failed, {pending} pending")
    }
}
