//! The use of one pool over time.

use super::Time;
use super::flat::Flat;
use super::tree::Tree;

/// A vector is faster up to about this many points.
const FLAT_POINT_COUNT_MAX: usize = 48;

/// How many units of a pool are in use at every moment. It does not know the size of the pool: callers compare.
///
/// An unused timeline costs nothing but its own few bytes. Spans keep the points they start and end at alive:
/// these points are the candidates of `first_fit`.
#[derive(Clone, Debug)]
pub struct Timeline(Shape);

#[derive(Clone, Debug)]
enum Shape {
    Flat(Flat),
    Tree(Box<Tree>),
}

impl Default for Timeline {
    fn default() -> Self {
        Timeline(Shape::Flat(Flat { points: Vec::new() }))
    }
}

macro_rules! either {
    ($self:expr, $inner:ident => $body:expr) => {
        match $self {
            Shape::Flat($inner) => $body,
            Shape::Tree($inner) => $body,
        }
    };
}

impl Timeline {
    /// True while no span has ever been added, or all are gone.
    pub fn is_idle(&self) -> bool {
        match &self.0 {
            Shape::Flat(flat) => flat.points.is_empty(),
            Shape::Tree(tree) => tree.len() == 0,
        }
    }

    /// Units in use at `time`.
    pub fn used_at(&self, time: Time) -> i64 {
        either!(&self.0, inner => inner.used_at(time))
    }

    /// The most units in use at any moment of `[start, start + duration)`.
    pub fn peak(&self, start: Time, duration: i64) -> i64 {
        either!(&self.0, inner => inner.peak(start, start.saturating_add(duration)))
    }

    /// Takes `units` for `[start, start + duration)`. The caller has seen that they are free.
    pub fn add(&mut self, start: Time, duration: i64, units: i64) {
        let end = start.saturating_add(duration);
        either!(&mut self.0, inner => inner.add(start, end, units));
        if let Shape::Flat(flat) = &self.0
            && flat.points.len() > FLAT_POINT_COUNT_MAX
        {
            self.0 = Shape::Tree(Box::new(Tree::from_points(&flat.points)));
        }
    }

    /// Gives a whole span back, exactly as it was added.
    pub fn remove(&mut self, start: Time, duration: i64, units: i64) {
        either!(&mut self.0, inner => inner.remove(start, start.saturating_add(duration), units));
    }

    /// Gives a part of a span back; the span stays.
    pub fn reduce(&mut self, start: Time, duration: i64, units: i64) {
        either!(&mut self.0, inner => inner.reduce(start, start.saturating_add(duration), units));
    }

    /// The earliest point at or after `from` where the use stays at or under `limit` for `duration`. `None` if there is
    /// no such point, or the span would end after the plan.
    pub fn first_fit(&self, from: Time, duration: i64, limit: i64) -> Option<Time> {
        let mut from = from;
        loop {
            let low = either!(&self.0, inner => inner.next_low(from, limit))?;
            let end = low.checked_add(duration)?; // None: after the end of the plan.
            match either!(&self.0, inner => inner.next_high(low, limit)) {
                Some(high) if high < end => from = high,
                _ => return Some(low),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Xorshift(u64);
    impl Xorshift {
        fn below(&mut self, n: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % n
        }
    }

    /// Goal: vector, tree and plain arithmetic over seconds agree. Method: random spans come and go.
    #[test]
    fn a_timeline_agrees_with_a_count_for_every_second() {
        for seed in 1..60u64 {
            let mut rng = Xorshift(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            let (mut line, mut spans): (Timeline, Vec<(i64, i64, i64)>) = Default::default();
            for _ in 0..250 {
                if spans.is_empty() || rng.below(3) > 0 {
                    let span = (rng.below(150) as i64, 1 + rng.below(40) as i64, rng.below(5) as i64);
                    line.add(span.0, span.1, span.2);
                    spans.push(span);
                } else {
                    let span = spans.swap_remove(rng.below(spans.len() as u64) as usize);
                    line.remove(span.0, span.1, span.2);
                }
                let used = |at: i64| -> i64 { spans.iter().filter(|s| s.0 <= at && at < s.0 + s.1).map(|s| s.2).sum() };
                let (from, length, limit) = (rng.below(200) as i64, 1 + rng.below(30) as i64, rng.below(12) as i64);
                let peak = (from..from + length).map(used).max().unwrap_or(0);
                assert_eq!(line.peak(from, length), peak, "seed {seed}");
                assert_eq!(line.used_at(from), used(from), "seed {seed}");
                let mut ends: Vec<i64> = spans.iter().flat_map(|s| [s.0, s.0 + s.1]).filter(|t| *t >= from).collect();
                ends.sort_unstable();
                let fit = ends.into_iter().find(|t| (*t..*t + length).all(|at| used(at) <= limit));
                assert_eq!(line.first_fit(from, length, limit), fit, "seed {seed}");
            }
        }
    }

    #[test]
    fn a_span_that_leaves_no_trace_leaves_no_points() {
        let mut line = Timeline::default();
        for at in 0..100 {
            line.add(at, 10, 1);
        }
        for at in 0..100 {
            line.remove(at, 10, 1);
        }
        assert!(line.is_idle());
        assert_eq!(line.first_fit(0, 1, 0), None, "no point, no candidate");
    }

    #[test]
    fn a_span_never_ends_after_the_plan() {
        let mut line = Timeline::default();
        line.add(0, 10, 1);
        assert_eq!(line.first_fit(1, i64::MAX - 10, 0), Some(10));
        assert_eq!(line.first_fit(1, i64::MAX - 9, 0), None);
    }
}
