//! Sets of ids, and their text (RFC 22).

mod text;

use std::fmt;

use crate::limits::IDSET_ID_MAX;

pub use text::{IdsetError, IdsetFormat};

/// A set of ids from 0 to `IDSET_ID_MAX`, kept as ranges: `0-1000000` costs as much as `0`.
///
/// `Display` and serde write ranges without brackets (`0-3,7`), the form of RFC 22 that Flux messages carry.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Idset {
    /// Inclusive, ascending, and never touching each other.
    ranges: Vec<(u32, u32)>,
}

impl Idset {
    /// The empty set.
    pub const fn new() -> Idset {
        Idset { ranges: Vec::new() }
    }

    /// All ids from `lo` to `hi`, both included.
    ///
    /// # Panics
    /// As `insert_range`.
    pub fn range(lo: u32, hi: u32) -> Idset {
        let mut set = Idset::new();
        set.insert_range(lo, hi);
        set
    }

    /// The ids from 0 up to, not including, `count`.
    pub fn below(count: u32) -> Idset {
        if count == 0 { Idset::new() } else { Idset::range(0, count - 1) }
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many ids the set holds.
    pub fn count(&self) -> usize {
        self.ranges.iter().map(|(lo, hi)| (hi - lo) as usize + 1).sum()
    }

    pub fn first(&self) -> Option<u32> {
        self.ranges.first().map(|r| r.0)
    }

    pub fn last(&self) -> Option<u32> {
        self.ranges.last().map(|r| r.1)
    }

    /// The smallest member above `id`.
    pub fn next_after(&self, id: u32) -> Option<u32> {
        let (lo, _) = *self.ranges.get(self.find(id.checked_add(1)?))?;
        Some(lo.max(id + 1))
    }

    /// The largest member below `id`.
    pub fn prev_before(&self, id: u32) -> Option<u32> {
        let below = id.checked_sub(1)?;
        let at = self.find(below);
        match self.ranges.get(at) {
            Some((lo, _)) if *lo <= below => Some(below),
            _ => self.ranges.get(at.checked_sub(1)?).map(|r| r.1),
        }
    }

    /// The `n`-th member, counted from 0.
    pub fn nth(&self, mut n: usize) -> Option<u32> {
        for (lo, hi) in &self.ranges {
            let len = (hi - lo) as usize + 1;
            if n < len {
                return Some(lo + n as u32);
            }
            n -= len;
        }
        None
    }

    /// How many members are smaller than `id`; for a member, its place in the order.
    pub fn count_below(&self, id: u32) -> usize {
        let at = self.find(id);
        let whole: usize = self.ranges[..at].iter().map(|(lo, hi)| (hi - lo) as usize + 1).sum();
        whole + self.ranges.get(at).map_or(0, |(lo, _)| id.saturating_sub(*lo) as usize)
    }

    pub fn contains(&self, id: u32) -> bool {
        self.ranges.get(self.find(id)).is_some_and(|(lo, _)| *lo <= id)
    }

    /// Adds `id`; false if it was there.
    ///
    /// # Panics
    /// As `insert_range`.
    pub fn insert(&mut self, id: u32) -> bool {
        let added = !self.contains(id);
        if added {
            self.insert_range(id, id);
        }
        added
    }

    /// Adds the ids from `lo` to `hi`, both included.
    ///
    /// # Panics
    /// If `lo > hi` or `hi > IDSET_ID_MAX`: ids that a peer named are checked where they are read.
    pub fn insert_range(&mut self, lo: u32, hi: u32) {
        assert!(lo <= hi && hi <= IDSET_ID_MAX, "idset range {lo}-{hi}");
        // Everything from `from` to `to` overlaps or touches the new range, and melts into it.
        let from = self.ranges.partition_point(|r| r.1 + 1 < lo);
        let to = from + self.ranges[from..].partition_point(|r| r.0 <= hi + 1);
        let merged = match &self.ranges[from..to] {
            [] => (lo, hi),
            [first, ..] => (lo.min(first.0), hi.max(self.ranges[to - 1].1)),
        };
        self.ranges.splice(from..to, [merged]);
    }

    /// Removes `id`; false if it was not there.
    pub fn remove(&mut self, id: u32) -> bool {
        let removed = self.contains(id);
        if removed {
            self.remove_range(id, id);
        }
        removed
    }

    /// Removes the ids from `lo` to `hi`, both included; they need not be there.
    pub fn remove_range(&mut self, lo: u32, hi: u32) {
        if lo > hi {
            return;
        }
        let from = self.find(lo);
        let to = from + self.ranges[from..].partition_point(|r| r.0 <= hi);
        if from == to {
            return;
        }
        let (first, last) = (self.ranges[from], self.ranges[to - 1]);
        let left = (first.0 < lo).then(|| (first.0, lo - 1));
        let right = (last.1 > hi).then(|| (hi + 1, last.1));
        self.ranges.splice(from..to, left.into_iter().chain(right));
    }

    /// The members, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.ranges.iter().flat_map(|(lo, hi)| *lo..=*hi)
    }

    /// The members as inclusive ranges, ascending, none touching the next.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// What is in either set.
    pub fn union(&self, other: &Idset) -> Idset {
        let mut all: Vec<_> = self.ranges.iter().chain(&other.ranges).copied().collect();
        all.sort_unstable();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (lo, hi) in all {
            match ranges.last_mut() {
                Some(last) if lo <= last.1 + 1 => last.1 = last.1.max(hi),
                _ => ranges.push((lo, hi)),
            }
        }
        Idset { ranges }
    }

    /// What is in both sets.
    pub fn intersect(&self, other: &Idset) -> Idset {
        let (mut a, mut b) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        let mut ranges = Vec::new();
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            let (lo, hi) = (x.0.max(y.0), x.1.min(y.1));
            if lo <= hi {
                ranges.push((lo, hi));
            }
            if x.1 < y.1 {
                a.next()
            } else {
                b.next()
            };
        }
        Idset { ranges }
    }

    /// What is in this set but not in `other`.
    pub fn subtract(&self, other: &Idset) -> Idset {
        let mut ranges = Vec::new();
        let mut cuts = other.ranges.iter().peekable();
        for &(mut lo, hi) in &self.ranges {
            while cuts.next_if(|cut| cut.1 < lo).is_some() {}
            while let Some(cut) = cuts.peek().filter(|cut| cut.0 <= hi) {
                if lo < cut.0 {
                    ranges.push((lo, cut.0 - 1));
                }
                lo = cut.1 + 1;
                if cut.1 > hi {
                    break; // This cut reaches into the next range; keep it.
                }
                cuts.next();
            }
            if lo <= hi {
                ranges.push((lo, hi));
            }
        }
        Idset { ranges }
    }

    /// Adds all of `other`.
    pub fn extend_from(&mut self, other: &Idset) {
        match other.ranges.as_slice() {
            [] => {}
            [(lo, hi)] => self.insert_range(*lo, *hi),
            _ => *self = self.union(other),
        }
    }

    /// Removes all of `other`.
    pub fn remove_all(&mut self, other: &Idset) {
        match other.ranges.as_slice() {
            [] => {}
            [(lo, hi)] => self.remove_range(*lo, *hi),
            _ => *self = self.subtract(other),
        }
    }

    pub fn intersects(&self, other: &Idset) -> bool {
        !self.intersect(other).is_empty()
    }

    pub fn is_subset(&self, other: &Idset) -> bool {
        self.subtract(other).is_empty()
    }

    /// Takes the smallest `n` members out, or all there are.
    pub fn take_first(&mut self, n: usize) -> Idset {
        let Some(end) = self.nth(n) else { return std::mem::take(self) };
        let mut taken = Idset::new();
        if let Some(last) = end.checked_sub(1) {
            taken = self.intersect(&Idset::range(0, last));
            self.remove_range(0, last);
        }
        taken
    }

    /// Index of the first range that ends at `id` or later.
    fn find(&self, id: u32) -> usize {
        self.ranges.partition_point(|r| r.1 < id)
    }
}

impl fmt::Debug for Idset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Idset[{self}]")
    }
}

/// # Panics
/// If an id is over `IDSET_ID_MAX`.
impl FromIterator<u32> for Idset {
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> Idset {
        let mut set = Idset::new();
        set.extend(ids);
        set
    }
}

/// # Panics
/// If an id is over `IDSET_ID_MAX`.
impl Extend<u32> for Idset {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, ids: I) {
        for id in ids {
            self.insert(id);
        }
    }
}

#[cfg(test)]
mod tests;
