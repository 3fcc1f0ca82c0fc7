//! One look at the queue.

use super::QueuePolicy;
use super::queue::{Pending, Progress, Queue, Why};
use crate::error::MatchError;
use crate::fluxion::{Allocation, Fluxion};
use crate::limits::FRESH_PER_CYCLE_MAX;
use crate::traverser::MatchOp;

/// How a job came to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Nothing stood in its way.
    Immediate,
    /// It went ahead of a job that waits.
    Backfill,
    /// It had a reservation.
    Reserved,
}

impl Selection {
    /// As annotations say it (RFC 27 `sched.selection_type`).
    pub fn name(self) -> &'static str {
        match self {
            Self::Immediate => "immediate",
            Self::Backfill => "backfill",
            Self::Reserved => "reserved",
        }
    }
}

/// What a cycle decides about a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// It starts.
    Start { id: u64, allocation: Box<Allocation>, selection: Selection },
    /// It is now expected to start then, or, with `None`, nobody knows when.
    Estimate { id: u64, at: Option<i64> },
    /// It never can.
    Reject { id: u64, error: MatchError },
}

/// All a cycle decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cycle {
    pub decisions: Vec<Decision>,
    /// Jobs were left over that another cycle may start.
    pub has_more: bool,
}

impl Queue {
    /// Looks at the first jobs in the queue: gives resources to those that fit now and makes reservations for those the
    /// policy protects. Reservations are made anew in every cycle.
    pub fn cycle(&mut self, fluxion: &mut Fluxion, now: i64) -> Cycle {
        let cycle = self.cycle_until(fluxion, now, &|| false);
        self.settle();
        cycle
    }

    /// As `cycle`, but stops after the first match at whose end `is_over` says so; the next call goes on there.
    pub fn cycle_until(&mut self, fluxion: &mut Fluxion, now: i64, is_over: &dyn Fn() -> bool) -> Cycle {
        let mut cycle = Cycle::default();
        let mut at = self.stopped_at.take().unwrap_or_else(|| self.begin_cycle(fluxion));
        while let Some((place, id)) = at.next {
            if at.looked_at >= self.config.queue_depth {
                break;
            }
            let after = (std::ops::Bound::Excluded((place, id)), std::ops::Bound::Unbounded);
            at.next = self.order.range(after).next().copied();
            if !self.order.contains(&(place, id)) {
                continue; // It was removed, or has another place, since the cycle stopped.
            }
            at.looked_at += 1;
            if !self.look_at(id, fluxion, now, &mut at, &mut cycle) {
                break;
            }
            if at.next.is_some() && is_over() {
                self.stopped_at = Some(at);
                cycle.has_more = true;
                return cycle;
            }
        }
        cycle.has_more = at.next.is_some() && at.looked_at >= self.config.queue_depth && at.has_started;
        self.is_due |= cycle.has_more;
        cycle
    }

    fn begin_cycle(&mut self, fluxion: &mut Fluxion) -> Progress {
        self.is_due = false;
        for id in std::mem::take(&mut self.reserved) {
            // The job may have been removed, and its reservation with it.
            _ = fluxion.cancel(id);
        }
        Progress { next: self.order.first().copied(), looked_at: 0, reservations: 0, has_started: false }
    }

    /// Looks at one job; false if those behind it wait for it.
    fn look_at(&mut self, id: u64, fluxion: &mut Fluxion, now: i64, at: &mut Progress, cycle: &mut Cycle) -> bool {
        let may_reserve = at.reservations < self.config.reservation_depth;
        let op = if may_reserve { MatchOp::AllocateOrElseReserve } else { MatchOp::Allocate };
        let jobspec = self.jobs[&id].jobspec.clone();
        let mut answer = fluxion.match_jobspec(op, id, &jobspec, now);
        if answer == Err(MatchError::Busy) {
            // It must not be one that waits for ever. What is down does not count as never.
            answer = Err(self.can_ever(fluxion, id, now));
        }
        match answer {
            Ok(allocation) if allocation.is_reserved => {
                at.reservations += 1;
                self.reserve(id, allocation.at, cycle);
            }
            Ok(allocation) => {
                at.has_started = true;
                self.start(id, allocation, at.reservations, cycle);
            }
            Err(error @ (MatchError::Busy | MatchError::Beyond)) => {
                // What runs without a limit has no end that a reservation could begin at: it begins some time.
                let is_blocked = may_reserve && error == MatchError::Busy;
                if is_blocked {
                    at.looked_at -= 1; // It stands in nobody's way.
                } else {
                    at.reservations += usize::from(may_reserve);
                }
                self.wait(id, is_blocked, cycle);
                if self.config.policy == QueuePolicy::Fcfs {
                    self.hold_up(fluxion, id, now, cycle);
                    return false;
                }
            }
            Err(error) => {
                self.take_out(id);
                cycle.decisions.push(Decision::Reject { id, error });
            }
        }
        true
    }

    fn reserve(&mut self, id: u64, at: i64, cycle: &mut Cycle) {
        self.reserved.insert(id);
        let job = self.job(id);
        job.was_reserved = true;
        if job.why != (Why::Reserved { at }) {
            job.why = Why::Reserved { at };
            cycle.decisions.push(Decision::Estimate { id, at: Some(at) });
        }
    }

    fn start(&mut self, id: u64, allocation: Allocation, reservations: usize, cycle: &mut Cycle) {
        let selection = match (self.job(id).was_reserved, reservations) {
            (true, _) => Selection::Reserved,
            (false, 0) => Selection::Immediate,
            (false, _) => Selection::Backfill,
        };
        let job = self.take(id);
        self.started.extend(job.map(|job| (id, job)));
        cycle.decisions.push(Decision::Start { id, allocation: Box::new(allocation), selection });
    }

    fn wait(&mut self, id: u64, is_blocked: bool, cycle: &mut Cycle) {
        let job = self.job(id);
        let had_estimate = matches!(job.why, Why::Reserved { .. });
        job.why = if is_blocked { Why::Blocked } else { Why::Busy };
        job.was_reserved = false;
        let place = job.place;
        if had_estimate {
            cycle.decisions.push(Decision::Estimate { id, at: None });
        }
        if is_blocked {
            // Neither now nor later: only a change of the resources can help.
            self.order.remove(&(place, id));
            self.blocked.insert(id);
        }
    }

    /// Under `fcfs` all behind a job that waits wait for it, but for those that never can start: they are told at once,
    /// some in each cycle.
    fn hold_up(&mut self, fluxion: &mut Fluxion, id: u64, now: i64, cycle: &mut Cycle) {
        let head = self.job(id).place;
        let next = self.order.range((head, id)..).nth(1).map(|(_, id)| *id);
        if let Some(next) = next {
            self.job(next).why = Why::BehindAnother; // It may have been the head before this one came.
        }
        for _ in 0..FRESH_PER_CYCLE_MAX {
            let Some(id) = self.fresh.pop_first() else { break };
            let Some(job) = self.jobs.get_mut(&id).filter(|job| job.place > head) else { continue };
            job.why = Why::BehindAnother;
            match self.can_ever(fluxion, id, now) {
                MatchError::Busy => {}
                error => {
                    self.take_out(id);
                    cycle.decisions.push(Decision::Reject { id, error });
                }
            }
        }
    }

    /// `Busy`, or why the job can never start. Looked up once for as long as the resources stay the same.
    fn can_ever(&mut self, fluxion: &mut Fluxion, id: u64, now: i64) -> MatchError {
        let job = self.job(id);
        if !job.is_satisfiable {
            let jobspec = job.jobspec.clone();
            // Jobs come in crowds that ask for the same.
            if !self.satisfiable.as_ref().is_some_and(|other| other.asks_as(&jobspec)) {
                if let Err(never) = fluxion.match_jobspec(MatchOp::Satisfiability, id, &jobspec, now) {
                    return never;
                }
                self.satisfiable = Some(jobspec);
            }
            self.job(id).is_satisfiable = true;
        }
        MatchError::Busy
    }

    fn job(&mut self, id: u64) -> &mut Pending {
        self.jobs.get_mut(&id).expect("what is in the order waits")
    }
}
