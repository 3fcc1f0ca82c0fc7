//! A few points in a sorted vector: what almost every vertex needs, and the oracle of the tree.

use super::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) time: Time,
    /// Units in use from this point to the next.
    pub(super) used: i64,
    /// Span ends that keep this point alive.
    pub(super) refs: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Flat {
    pub(super) points: Vec<Point>,
}

impl Flat {
    /// Index of the first point at or after `time`.
    fn at_or_after(&self, time: Time) -> usize {
        self.points.partition_point(|point| point.time < time)
    }

    pub(super) fn used_at(&self, time: Time) -> i64 {
        let after = self.points.partition_point(|point| point.time <= time);
        after.checked_sub(1).map_or(0, |at| self.points[at].used)
    }

    /// The most that is used at any moment of `[start, end)`.
    pub(super) fn peak(&self, start: Time, end: Time) -> i64 {
        let after = self.points.partition_point(|point| point.time <= start);
        let first = after.checked_sub(1).map_or(0, |at| self.points[at].used);
        self.points[after..].iter().take_while(|point| point.time < end).fold(first, |most, point| most.max(point.used))
    }

    fn pin(&mut self, time: Time) {
        let at = self.at_or_after(time);
        match self.points.get_mut(at) {
            Some(point) if point.time == time => point.refs += 1,
            _ => {
                let used = at.checked_sub(1).map_or(0, |before| self.points[before].used);
                if self.points.len() == self.points.capacity() {
                    self.points.reserve_exact(2 + self.points.len() / 2);
                }
                self.points.insert(at, Point { time, used, refs: 1 });
            }
        }
    }

    fn unpin(&mut self, time: Time) {
        let at = self.at_or_after(time);
        assert!(self.points.get(at).is_some_and(|point| point.time == time), "a span ends where a point is");
        self.points[at].refs -= 1;
        if self.points[at].refs == 0 {
            self.points.remove(at);
        }
    }

    fn shift(&mut self, start: Time, end: Time, by: i64) {
        let from = self.at_or_after(start);
        for point in self.points[from..].iter_mut().take_while(|point| point.time < end) {
            point.used += by;
        }
    }

    pub(super) fn add(&mut self, start: Time, end: Time, units: i64) {
        self.pin(start);
        self.pin(end);
        self.shift(start, end, units);
    }

    pub(super) fn remove(&mut self, start: Time, end: Time, units: i64) {
        self.shift(start, end, -units);
        self.unpin(start);
        self.unpin(end);
    }

    pub(super) fn reduce(&mut self, start: Time, end: Time, units: i64) {
        self.shift(start, end, -units);
    }

    /// First point at or after `time` with at most `limit` units in use.
    pub(super) fn next_low(&self, time: Time, limit: i64) -> Option<Time> {
        self.points[self.at_or_after(time)..].iter().find(|point| point.used <= limit).map(|point| point.time)
    }

    /// First point at or after `time` with more than `limit` units in use.
    pub(super) fn next_high(&self, time: Time, limit: i64) -> Option<Time> {
        self.points[self.at_or_after(time)..].iter().find(|point| point.used > limit).map(|point| point.time)
    }
}
