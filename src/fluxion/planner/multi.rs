//! The aggregate of a subtree: several pools that are planned together.

use super::{Time, Timeline};
use crate::intern::TypeId;

/// How much of some types exists under a vertex, and how much of it is used when.
#[derive(Clone, Debug, Default)]
pub struct Multi {
    pools: Vec<Pool>,
}

#[derive(Clone, Debug)]
struct Pool {
    kind: TypeId,
    total: i64,
    line: Timeline,
    /// What jobs hold now, whatever their planned end.
    held: i64,
}

/// Why a request does not fit an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It never will: more is asked for than exists.
    TooMuch,
    /// Not at this time.
    Busy,
}

impl Multi {
    pub fn new(pools: impl IntoIterator<Item = (TypeId, i64)>) -> Multi {
        Multi {
            pools: pools
                .into_iter()
                .map(|(kind, total)| Pool { kind, total, line: Timeline::default(), held: 0 })
                .collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.pools.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    pub fn types(&self) -> impl Iterator<Item = TypeId> {
        self.pools.iter().map(|pool| pool.kind)
    }

    pub fn position(&self, kind: TypeId) -> Option<usize> {
        self.pools.iter().position(|pool| pool.kind == kind)
    }

    /// Changes what exists; use stays as it is. A type that is new is planned from now on.
    pub fn set_totals(&mut self, totals: impl IntoIterator<Item = (TypeId, i64)>) {
        for (kind, total) in totals {
            match self.pools.iter_mut().find(|pool| pool.kind == kind) {
                Some(pool) => pool.total = total,
                None => self.pools.push(Pool { kind, total, line: Timeline::default(), held: 0 }),
            }
        }
    }

    /// Jobs hold so much more, or less, of the pool at index `at` now.
    pub fn hold(&mut self, at: usize, by: i64) {
        self.pools[at].held += by;
    }

    /// What exists of a type and nobody holds now.
    pub fn unheld(&self, kind: TypeId) -> Option<i64> {
        let pool = self.pools.iter().find(|pool| pool.kind == kind)?;
        Some(pool.total - pool.held)
    }

    pub fn total(&self, at: usize) -> i64 {
        self.pools[at].total
    }

    /// Units of the pool at index `at` that are free at `time`.
    pub fn free_at(&self, at: usize, time: Time) -> i64 {
        self.pools[at].total - self.pools[at].line.used_at(time)
    }

    /// True while the pool at index `at` has no span at all.
    pub fn is_idle(&self, at: usize) -> bool {
        self.pools[at].line.is_idle()
    }

    /// Whether all of `want` is free for the whole of `[time, time + duration)`.
    pub fn fits(&self, time: Time, duration: i64, want: &[(TypeId, i64)]) -> Result<(), Misfit> {
        for pool in &self.pools {
            let need = want.iter().find(|(kind, _)| *kind == pool.kind).map_or(0, |(_, need)| *need);
            if need > pool.total {
                return Err(Misfit::TooMuch);
            }
            if time.checked_add(duration).is_none() {
                return Err(Misfit::TooMuch);
            }
            if need > 0 && pool.total - pool.line.peak(time, duration) < need {
                return Err(Misfit::Busy);
            }
        }
        Ok(())
    }

    /// The earliest of `moments` at or after `from` at which all of `want` is free for `duration`. The moments include
    /// every time at which a pool changes.
    pub fn first_fit(&self, moments: &Timeline, from: Time, duration: i64, want: &[(TypeId, i64)]) -> Option<Time> {
        let need = |kind: TypeId| want.iter().find(|(of, _)| *of == kind).map_or(0, |(_, need)| *need);
        if self.pools.iter().any(|pool| need(pool.kind) > pool.total) {
            return None;
        }
        let mut from = from;
        loop {
            let time = moments.first_fit(from, duration, i64::MAX)?;
            // The next time that can work is no earlier than the next low point of every pool that is too full now.
            let blocked = self.pools.iter().find(|pool| {
                let need = need(pool.kind);
                need > 0 && pool.total - pool.line.peak(time, duration) < need
            });
            match blocked {
                None => return Some(time),
                Some(pool) => {
                    let limit = pool.total - need(pool.kind);
                    from = pool.line.first_fit(time, duration, limit)?.max(time + 1);
                }
            }
        }
    }

    /// Takes amounts, one per pool, for a span of time.
    pub fn add(&mut self, start: Time, duration: i64, amounts: &[i64]) {
        for (pool, units) in self.pools.iter_mut().zip(amounts) {
            pool.line.add(start, duration, *units);
        }
    }

    /// Takes one pool's part of a span.
    pub fn add_at(&mut self, at: usize, start: Time, duration: i64, units: i64) {
        self.pools[at].line.add(start, duration, units);
    }

    /// Gives one pool's part of a span back.
    pub fn remove_at(&mut self, at: usize, start: Time, duration: i64, units: i64) {
        self.pools[at].line.remove(start, duration, units);
    }

    /// Gives some units of one pool's part of a span back; its points stay.
    pub fn reduce_at(&mut self, at: usize, start: Time, duration: i64, units: i64) {
        self.pools[at].line.reduce(start, duration, units);
    }
}
