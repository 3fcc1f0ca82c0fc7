//! Vertices that hold all a slot is made of, by the score of the best slot that can be made there now. A search for slots
//! finds the best of them without looking at the others.

use super::{Graph, VertexId};
use crate::intern::{Subsystem, TypeId};
use crate::matcher::{MatchPolicy, Preference};
use std::cmp::Ordering;

/// What a slot is made of: types, and how many units of each.
pub(crate) type SlotShape = Vec<(TypeId, u32)>;

/// Kept at once; they are made again when needed.
const HOLDERS_COUNT_MAX: usize = 8;
/// Notes of changes that are kept before equal ones are joined.
const DIRTY_COUNT_MIN: usize = 1024;
const NOWHERE: u32 = u32::MAX;
/// No slot can be made there now.
const FULL: i64 = i64::MAX;

/// All holders of one shape, in the order in which a walk of everything comes to them.
#[derive(Clone, Debug)]
pub(crate) struct Holders {
    shape: SlotShape,
    policy: MatchPolicy,
    subsystem: Subsystem,
    vertices: Vec<VertexId>,
    /// What the ancestors of a child add to its score, the holder among them.
    inside: Vec<i64>,
    /// By vertex.
    positions: Vec<u32>,
    /// The lower the better: scores, negated if high ones are.
    best: MinTree,
    /// Positions of which something below has changed.
    dirty: Vec<u32>,
}

/// The least of ranges of numbers, and where it is first.
#[derive(Clone, Debug, Default)]
struct MinTree {
    len: usize,
    nodes: Vec<i64>,
}

impl MinTree {
    fn new(values: &[i64]) -> MinTree {
        let len = values.len().next_power_of_two();
        let mut nodes = vec![FULL; 2 * len];
        nodes[len..len + values.len()].copy_from_slice(values);
        for at in (1..len).rev() {
            nodes[at] = nodes[2 * at].min(nodes[2 * at + 1]);
        }
        MinTree { len, nodes }
    }

    fn set(&mut self, at: usize, value: i64) {
        let mut at = at + self.len;
        self.nodes[at] = value;
        while at > 1 {
            at /= 2;
            self.nodes[at] = self.nodes[2 * at].min(self.nodes[2 * at + 1]);
        }
    }

    fn first(&self) -> Option<(usize, i64)> {
        let least = *self.nodes.get(1)?;
        if least == FULL {
            return None;
        }
        let mut at = 1;
        while at < self.len {
            at *= 2;
            if self.nodes[at] != least {
                at += 1;
            }
        }
        Some((at - self.len, least))
    }
}

/// A place where a slot can be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    pub(crate) at: VertexId,
    /// The position, which is the order of discovery.
    pub(crate) position: usize,
    /// The sum of the scores of what the best slot there is made of; it is no better than this.
    pub(crate) score: i64,
    value: i64,
}

impl Graph {
    /// The holders of a shape, made if there are none; `None` if there are too many.
    pub(crate) fn holders(&mut self, shape: SlotShape, policy: &MatchPolicy, subsystem: Subsystem) -> Option<usize> {
        let known = self.holders.iter().position(|holders| holders.shape == shape);
        if known.is_some() || self.holders.len() >= HOLDERS_COUNT_MAX {
            return known;
        }
        let root = self.root(subsystem)?;
        let mut found = Vec::new();
        self.collect_holders(&shape, policy, subsystem, (root, 0, 1), &mut found);
        let mut positions = vec![NOWHERE; self.vertex_count()];
        for (position, (at, _)) in found.iter().enumerate() {
            positions[at.0 as usize] = position as u32;
        }
        let (vertices, inside): (Vec<VertexId>, Vec<i64>) = found.into_iter().unzip();
        let mut holders = Holders {
            shape,
            policy: *policy,
            subsystem,
            vertices,
            inside,
            positions,
            best: MinTree::default(),
            dirty: Vec::new(),
        };
        let values: Vec<i64> =
            (0..holders.vertices.len()).map(|position| self.holder_value(&holders, position)).collect();
        holders.best = MinTree::new(&values);
        self.holders.push(holders);
        Some(self.holders.len() - 1)
    }

    /// Depth first; nothing is looked for below a vertex that is found.
    fn collect_holders(
        &self,
        shape: &SlotShape,
        policy: &MatchPolicy,
        subsystem: Subsystem,
        (at, above, depth): (VertexId, i64, usize),
        found: &mut Vec<(VertexId, i64)>,
    ) {
        let vertex = self.vertex(at);
        let inside = above.saturating_add(policy.factor(vertex));
        if shape.iter().all(|(kind, _)| vertex.has_child_of(*kind)) {
            return found.push((at, inside));
        }
        if depth < crate::limits::GRAPH_DEPTH_MAX {
            for (_, child) in self.children(at, subsystem) {
                self.collect_holders(shape, policy, subsystem, (child, inside, depth + 1), found);
            }
        }
    }

    fn holder_value(&self, holders: &Holders, position: usize) -> i64 {
        let (at, inside, policy) = (holders.vertices[position], holders.inside[position], &holders.policy);
        let mut sum = 0i64;
        for (kind, count) in &holders.shape {
            let children = self.children(at, holders.subsystem).map(|(_, child)| self.vertex(child));
            let free =
                children.filter(|child| child.kind == *kind && child.held_units == 0 && child.running_count == 0);
            let mut scored: Vec<(i64, u32)> = free.map(|child| (policy.score(child, inside), child.size)).collect();
            scored.sort_unstable_by(|a, b| policy.compare(a.0, b.0));
            let mut have = 0u32;
            for (score, size) in scored.into_iter().filter(|(score, _)| *score > 0) {
                if have >= *count {
                    break;
                }
                have = have.saturating_add(size);
                sum = sum.saturating_add(score);
            }
            if have < *count {
                return FULL;
            }
        }
        match policy.preference {
            Preference::Low | Preference::Variation => sum.min(FULL - 1),
            _ => -sum,
        }
    }

    /// Something is held at a vertex, or no longer: the slots of its parent may be others.
    pub(super) fn note_holders(&mut self, at: VertexId) {
        for index in 0..self.holders.len() {
            let Some(parent) = self.parent(at, self.holders[index].subsystem) else { continue };
            let holders = &mut self.holders[index];
            let position = holders.positions.get(parent.0 as usize).copied().unwrap_or(NOWHERE);
            if position != NOWHERE && holders.dirty.last() != Some(&position) {
                holders.dirty.push(position);
                // Nobody may ask for this shape again: the list stays no longer than a few times the holders.
                if holders.dirty.len() > 2 * holders.vertices.len() + DIRTY_COUNT_MIN {
                    holders.dirty.sort_unstable();
                    holders.dirty.dedup();
                }
            }
        }
    }

    /// Looks again at the holders below which something has changed.
    pub(crate) fn refresh_holders(&mut self, index: usize) {
        let mut dirty = std::mem::take(&mut self.holders[index].dirty);
        dirty.sort_unstable();
        dirty.dedup();
        for position in dirty {
            let value = self.holder_value(&self.holders[index], position as usize);
            self.holders[index].best.set(position as usize, value);
        }
    }

    /// The best holder that is not set aside.
    pub(crate) fn best_holder(&self, index: usize) -> Option<Holder> {
        let holders = &self.holders[index];
        let (position, value) = holders.best.first()?;
        let is_low = matches!(holders.policy.preference, Preference::Low | Preference::Variation);
        let score = if is_low { value } else { -value };
        Some(Holder { at: holders.vertices[position], position, score, value })
    }

    /// Keeps a holder from being the best one until it is put back.
    pub(crate) fn set_holder_aside(&mut self, index: usize, holder: Holder) {
        self.holders[index].best.set(holder.position, FULL);
    }

    pub(crate) fn put_holder_back(&mut self, index: usize, holder: Holder) {
        self.holders[index].best.set(holder.position, holder.value);
    }

    pub(super) fn clear_rankings(&mut self) {
        self.rankings.clear();
        self.holders.clear();
        self.runs.clear();
    }

    pub(super) fn trim_holders(&mut self) {
        if self.holders.len() >= HOLDERS_COUNT_MAX {
            self.holders.clear();
        }
    }
}

/// Whether a score and a place come before others: equal scores by the order of discovery.
pub(crate) fn is_ahead(policy: &MatchPolicy, mine: (i64, usize), other: (i64, usize)) -> bool {
    match policy.compare(mine.0, other.0) {
        Ordering::Less => true,
        Ordering::Equal => mine.1 < other.1,
        Ordering::Greater => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_min_tree_knows_the_first_of_the_least() {
        let mut values: Vec<i64> = (0..37).map(|at| at * 7919 % 11).collect();
        let mut tree = MinTree::new(&values);
        for round in 0..200usize {
            let least = values.iter().copied().min().filter(|least| *least != FULL);
            let want = least.and_then(|least| values.iter().position(|value| *value == least).map(|at| (at, least)));
            assert_eq!(tree.first(), want, "round {round}");
            let at = want.map_or(0, |(at, _)| at);
            let value = if round % 3 == 0 { FULL } else { (round * 31 % 17) as i64 };
            values[at] = value;
            tree.set(at, value);
        }
    }
}
