//! Candidates found below a vertex, by subsystem and type, and the best of them.

use super::equals::Equals;
use crate::graph::EdgeId;
use crate::intern::{Subsystem, TypeId};
use std::cmp::Ordering;

/// How much a candidate edge would give.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub(super) edge: EdgeId,
    pub(super) needs: u32,
    pub(super) is_exclusive: bool,
}

/// What is taken together or not at all: one vertex, or all of a slot.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) score: i64,
    pub(super) count: u32,
    pub(super) offers: Offers,
}

/// Almost always one.
#[derive(Clone, Debug)]
pub(super) enum Offers {
    Root,
    One(Offer),
    Many(Vec<Offer>),
}

impl Offers {
    pub(super) fn as_slice(&self) -> &[Offer] {
        match self {
            Offers::Root => &[],
            Offers::One(offer) => std::slice::from_ref(offer),
            Offers::Many(list) => list,
        }
    }
}

/// Candidates of one type.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidates {
    pub(super) groups: Vec<Group>,
    /// Units in groups that qualify.
    pub(super) qualified: u32,
    /// Units in all groups.
    pub(super) total: u32,
    /// How many of the groups, from the first, are chosen.
    pub(super) chosen: usize,
}

impl Candidates {
    fn add(&mut self, group: Group) {
        self.total = self.total.saturating_add(group.count);
        if group.score > 0 {
            self.qualified = self.qualified.saturating_add(group.count);
        }
        self.groups.push(group);
    }

    /// Sorts the groups and chooses as many as hold `count` units.
    fn choose(&mut self, count: u32, equals: Equals, compare: impl Fn(i64, i64) -> Ordering) -> bool {
        if count == 0 || count > self.qualified {
            return false;
        }
        equals.sort(&mut self.groups, |a, b| compare(a.score, b.score));
        let mut have = 0u32;
        self.chosen = 0;
        for group in &self.groups {
            if have >= count {
                break;
            }
            have = have.saturating_add(group.count);
            self.chosen += 1;
        }
        true
    }
}

/// Everything found below one vertex so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Scores {
    entries: Vec<(Subsystem, TypeId, Candidates)>,
    /// Something is chosen: what is found here stays here and is not passed up.
    pub(super) is_bound: bool,
    /// Free units and score of the child that matched last.
    pub(super) last: (u32, i64),
}

impl Scores {
    pub(super) fn get(&self, subsystem: Subsystem, kind: TypeId) -> Option<&Candidates> {
        self.entries.iter().find(|(s, k, _)| (*s, *k) == (subsystem, kind)).map(|(_, _, candidates)| candidates)
    }

    fn entry(&mut self, subsystem: Subsystem, kind: TypeId) -> &mut Candidates {
        let at = self.entries.iter().position(|(s, k, _)| (*s, *k) == (subsystem, kind));
        let at = at.unwrap_or_else(|| {
            self.entries.push((subsystem, kind, Candidates::default()));
            self.entries.len() - 1
        });
        &mut self.entries[at].2
    }

    pub(super) fn add(&mut self, subsystem: Subsystem, kind: TypeId, group: Group) {
        self.entry(subsystem, kind).add(group);
    }

    pub(super) fn qualified(&self, subsystem: Subsystem, kind: TypeId) -> u32 {
        self.get(subsystem, kind).map_or(0, |candidates| candidates.qualified)
    }

    pub(super) fn total(&self, subsystem: Subsystem, kind: TypeId) -> u32 {
        self.get(subsystem, kind).map_or(0, |candidates| candidates.total)
    }

    /// Chooses the best candidates that hold `count` units of a type.
    pub(super) fn choose(
        &mut self,
        subsystem: Subsystem,
        kind: TypeId,
        count: u32,
        equals: Equals,
        compare: impl Fn(i64, i64) -> Ordering,
    ) {
        if self.entry(subsystem, kind).choose(count, equals, compare) {
            self.is_bound = true;
        }
    }

    /// Sorts all candidates of all types.
    pub(super) fn choose_all(&mut self, subsystem: Subsystem, equals: Equals, compare: impl Fn(i64, i64) -> Ordering) {
        for (_, _, candidates) in self.entries.iter_mut().filter(|(s, _, _)| *s == subsystem) {
            candidates.choose(candidates.qualified, equals, &compare);
        }
    }

    /// Puts the candidates of a type into the order of `keys`, one for each.
    pub(super) fn reorder(&mut self, subsystem: Subsystem, kind: TypeId, keys: &[u32]) {
        let Some((_, _, candidates)) = self.entries.iter_mut().find(|(s, k, _)| (*s, *k) == (subsystem, kind)) else {
            return;
        };
        if keys.len() == candidates.groups.len() && !keys.is_sorted() {
            let groups = std::mem::take(&mut candidates.groups);
            let mut keyed: Vec<(u32, Group)> = keys.iter().copied().zip(groups).collect();
            keyed.sort_by_key(|(key, _)| *key);
            candidates.groups = keyed.into_iter().map(|(_, group)| group).collect();
        }
    }

    /// Passes all candidates up.
    pub(super) fn merge(&mut self, other: Scores) {
        for (subsystem, kind, candidates) in other.entries {
            let mine = self.entry(subsystem, kind);
            mine.qualified = mine.qualified.saturating_add(candidates.qualified);
            mine.total = mine.total.saturating_add(candidates.total);
            if mine.groups.is_empty() {
                mine.groups = candidates.groups;
            } else {
                mine.groups.extend(candidates.groups);
            }
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (Subsystem, TypeId, &Candidates)> {
        self.entries.iter().map(|(subsystem, kind, candidates)| (*subsystem, *kind, candidates))
    }
}
