//! Schedules under virtual time: the real queue over the real graph, and jobs that end when they are said to.

mod report;
#[cfg(test)]
mod tests;
mod trace;

pub use report::{Placement, Report};
pub use trace::{TraceJob, parse_trace};

use crate::error::MatchError;
use crate::fluxion::Fluxion;
use crate::policy::{Decision, Queue};
use std::collections::{BTreeMap, BTreeSet};

/// Runs a trace to its end. Jobs that can never run are left out and listed.
///
/// # Errors
/// A jobspec that is none.
pub fn simulate(fluxion: &mut Fluxion, queue: &mut Queue, jobs: &[TraceJob]) -> Result<Report, MatchError> {
    let mut arrivals: BTreeSet<(i64, usize)> = jobs.iter().enumerate().map(|(at, job)| (job.submit, at)).collect();
    let mut ends: BTreeSet<(i64, u64)> = BTreeSet::new();
    let run_times: BTreeMap<u64, i64> = jobs.iter().map(|job| (job.id, job.run_time.max(1))).collect();
    let mut report = Report::new(fluxion, jobs);
    while let Some(now) = arrivals.first().map(|(at, _)| *at).into_iter().chain(ends.first().map(|(at, _)| *at)).min() {
        while let Some((at, id)) = ends.first().copied().filter(|(at, _)| *at <= now) {
            ends.remove(&(at, id));
            fluxion.cancel(id)?;
            queue.notice_room();
        }
        while let Some((at, index)) = arrivals.first().copied().filter(|(at, _)| *at <= now) {
            arrivals.remove(&(at, index));
            let job = &jobs[index];
            queue.submit(job.id, job.priority, index as u64, &job.jobspec)?;
        }
        while queue.is_due() {
            for decision in queue.cycle(fluxion, now).decisions {
                match decision {
                    Decision::Start { id, allocation, .. } => {
                        let end = now + run_times[&id];
                        ends.insert((end, id));
                        report.place(id, now, end, &allocation.r);
                    }
                    Decision::Reject { id, .. } => report.reject(id),
                    Decision::Estimate { .. } => {}
                }
            }
        }
    }
    report.never_started.extend(queue.order());
    Ok(report)
}
