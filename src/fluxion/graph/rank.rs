//! Vertices in the order a policy prefers them, with a way to pass over those that are full.

use super::{Graph, VertexId};
use crate::intern::{Subsystem, TypeId};
use crate::matcher::MatchPolicy;

/// Which vertices a ranking holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RankKey {
    /// All of a type.
    Kind(TypeId),
    /// All that have children of all these types: slots of such children are made there.
    Holding(Vec<TypeId>),
    /// The children of one vertex.
    Children(VertexId),
}

/// One vertex of a ranking.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranked {
    pub(crate) at: VertexId,
    pub(crate) score: i64,
    pub(crate) discovered: u32,
}

/// Rankings kept at once; they are made again when needed.
const RANKING_COUNT_MAX: usize = 16;
const NOWHERE: u32 = u32::MAX;

/// Vertices by falling preference.
#[derive(Clone, Debug)]
pub(crate) struct Ranking {
    key: RankKey,
    vertices: Vec<VertexId>,
    /// Of a vertex that is taken itself its score; of one that holds slots the best score of a child of the first type.
    scores: Vec<i64>,
    /// When a depth-first walk comes to each: what decides between equals.
    discovered: Vec<u32>,
    /// By vertex.
    positions: Vec<u32>,
    room: MaxTree<u32>,
    /// Every vertex counts its cores.
    counts_cores: bool,
    /// Every vertex is a node, in a node, or has nothing but nodes below it.
    is_about_nodes: bool,
}

impl Ranking {
    pub(crate) fn get(&self, at: usize) -> Option<Ranked> {
        Some(Ranked { at: *self.vertices.get(at)?, score: self.scores[at], discovered: self.discovered[at] })
    }

    pub(crate) fn position(&self, at: VertexId) -> Option<usize> {
        self.positions.get(at.0 as usize).filter(|position| **position != NOWHERE).map(|position| *position as usize)
    }

    pub(crate) fn is_about_nodes(&self) -> bool {
        self.is_about_nodes
    }

    /// The first position at or after `from` that may have room for `cores` cores now.
    pub(crate) fn next_with_room(&self, from: usize, cores: i64) -> usize {
        let need = if self.counts_cores { cores.clamp(0, i64::from(u32::MAX - 1)) as u32 + 1 } else { 1 };
        self.room.next(from, need)
    }
}

/// The largest of ranges of numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct MaxTree<T> {
    len: usize,
    nodes: Vec<T>,
}

impl<T: Copy + Ord + Default> MaxTree<T> {
    pub(super) fn new(values: &[T]) -> MaxTree<T> {
        let len = values.len().next_power_of_two();
        let mut nodes = vec![T::default(); 2 * len];
        nodes[len..len + values.len()].copy_from_slice(values);
        for at in (1..len).rev() {
            nodes[at] = nodes[2 * at].max(nodes[2 * at + 1]);
        }
        MaxTree { len, nodes }
    }

    pub(super) fn set(&mut self, at: usize, value: T) {
        let mut at = at + self.len;
        self.nodes[at] = value;
        while at > 1 {
            at /= 2;
            let most = self.nodes[2 * at].max(self.nodes[2 * at + 1]);
            if self.nodes[at] == most {
                break;
            }
            self.nodes[at] = most;
        }
    }

    /// The first index at or after `from` whose value is at least `need`; the length if there is none.
    pub(super) fn next(&self, from: usize, need: T) -> usize {
        let mut at = from + self.len;
        if from >= self.len {
            return self.len;
        }
        // Up until a subtree to the right has it, then down to its first.
        while self.nodes[at] < need {
            while at % 2 == 1 {
                at /= 2;
            }
            if at == 0 {
                return self.len;
            }
            at += 1;
        }
        while at < self.len {
            at *= 2;
            if self.nodes[at] < need {
                at += 1;
            }
        }
        at - self.len
    }
}

impl Graph {
    /// The position of a ranking, made if there is none; `None` if there are too many. The policy of a graph never
    /// changes.
    pub(crate) fn ranking(&mut self, key: RankKey, policy: &MatchPolicy, subsystem: Subsystem) -> Option<usize> {
        let known = self.rankings.iter().position(|ranking| ranking.key == key);
        if known.is_some() || self.rankings.len() >= RANKING_COUNT_MAX {
            return known;
        }
        let ranking = self.make_ranking(key, policy, subsystem);
        self.rankings.push(ranking);
        Some(self.rankings.len() - 1)
    }

    pub(crate) fn rank_at(&self, at: usize) -> &Ranking {
        &self.rankings[at]
    }

    /// Scores have changed.
    pub(crate) fn forget_rankings(&mut self) {
        self.clear_rankings();
        self.orders.forget_all();
    }

    /// Makes room for new rankings; no search is running.
    pub(crate) fn trim_rankings(&mut self) {
        if self.rankings.len() >= RANKING_COUNT_MAX {
            self.rankings.clear();
        }
        self.trim_holders();
    }

    fn make_ranking(&self, key: RankKey, policy: &MatchPolicy, subsystem: Subsystem) -> Ranking {
        let mut found: Vec<(i64, VertexId)> = Vec::new();
        match &key {
            RankKey::Children(parent) => {
                let children = self.children(*parent, subsystem).map(|(_, child)| child);
                // Siblings have the same ancestors: what these add makes no difference.
                found.extend(children.map(|child| (policy.score(self.vertex(child), 0), child)));
            }
            RankKey::Kind(_) | RankKey::Holding(_) => {
                if let Some(root) = self.root(subsystem) {
                    self.collect_ranked(&key, policy, subsystem, (root, 0, 1), &mut found);
                }
            }
        }
        let mut found: Vec<(u32, (i64, VertexId))> = (0..).zip(found).collect();
        found.sort_by(|(_, a), (_, b)| policy.compare(a.0, b.0));
        let (discovered, found): (Vec<u32>, Vec<(i64, VertexId)>) = found.into_iter().unzip();
        let mut positions = vec![NOWHERE; self.vertex_count()];
        for (position, (_, at)) in found.iter().enumerate() {
            positions[at.0 as usize] = position as u32;
        }
        let room: Vec<u32> = found.iter().map(|(_, at)| self.room(*at)).collect();
        let has_cores =
            |at: VertexId| self.vertex(at).below.as_ref().is_some_and(|below| below.position(TypeId::CORE).is_some());
        Ranking {
            key,
            is_about_nodes: found
                .iter()
                .all(|(_, at)| self.vertex(*at).has_only_nodes() || self.is_in_node(*at, subsystem)),
            counts_cores: found.iter().all(|(_, at)| has_cores(*at)),
            scores: found.iter().map(|(score, _)| *score).collect(),
            vertices: found.into_iter().map(|(_, at)| at).collect(),
            discovered,
            positions,
            room: MaxTree::new(&room),
        }
    }

    fn is_in_node(&self, at: VertexId, subsystem: Subsystem) -> bool {
        let mut above = Some(at);
        while let Some(vertex) = above {
            if self.vertex(vertex).kind == TypeId::NODE {
                return true;
            }
            above = self.parent(vertex, subsystem);
        }
        false
    }

    /// Depth first; nothing is looked for below a vertex that is found.
    fn collect_ranked(
        &self,
        key: &RankKey,
        policy: &MatchPolicy,
        subsystem: Subsystem,
        (at, above, depth): (VertexId, i64, usize),
        found: &mut Vec<(i64, VertexId)>,
    ) {
        let vertex = self.vertex(at);
        let inside = above.saturating_add(policy.factor(vertex));
        match key {
            RankKey::Kind(kind) if vertex.kind == *kind => return found.push((policy.score(vertex, above), at)),
            RankKey::Holding(kinds) if kinds.iter().all(|kind| vertex.has_child_of(*kind)) => {
                let targets = vertex.out.iter().map(|edge| self.vertex(self.edge(*edge).target));
                let scores = targets.filter(|child| child.kind == kinds[0]).map(|child| policy.score(child, inside));
                let best = scores.min_by(|a, b| policy.compare(*a, *b));
                return found.extend(best.map(|best| (best, at)));
            }
            _ => {}
        }
        if depth < crate::limits::GRAPH_DEPTH_MAX {
            for (_, child) in self.children(at, subsystem) {
                self.collect_ranked(key, policy, subsystem, (child, inside, depth + 1), found);
            }
        }
    }

    /// 0 if a vertex is held whole, else one more than the cores below it that nobody holds now.
    fn room(&self, at: VertexId) -> u32 {
        let vertex = self.vertex(at);
        if vertex.held_units >= vertex.size {
            return 0;
        }
        let cores = vertex.below.as_ref().and_then(|below| below.unheld(TypeId::CORE));
        cores.map_or(1, |cores| cores.clamp(0, i64::from(u32::MAX - 1)) as u32 + 1)
    }

    /// What is held at or below a vertex has changed.
    pub(crate) fn refresh_room(&mut self, at: VertexId) {
        if !self.holders.is_empty() {
            self.note_holders(at);
        }
        self.note_runs(at);
        if self.rankings.is_empty() {
            return;
        }
        let room = self.room(at);
        for ranking in &mut self.rankings {
            match ranking.positions.get(at.0 as usize) {
                Some(position) if *position != NOWHERE => ranking.room.set(*position as usize, room),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_max_tree_finds_the_next_that_is_large_enough() {
        let mut values: Vec<u32> = (0..37).map(|at| at * 7919 % 11).collect();
        let mut tree = MaxTree::new(&values);
        for round in 0..50usize {
            for from in 0..40 {
                for need in [1, 5, 10, 12] {
                    let want = (from..values.len()).find(|at| values[*at] >= need);
                    let got = tree.next(from, need);
                    assert_eq!((got < values.len()).then_some(got), want, "round {round}, from {from}, need {need}");
                }
            }
            let (at, value) = (round * 13 % 37, (round * 5 % 12) as u32);
            values[at] = value;
            tree.set(at, value);
        }
    }
}
