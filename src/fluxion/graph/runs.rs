//! What every place offers for one request, kept from match to match, with the scores that occur as runs of adjacent ones:
//! where the policy `locality` takes from is found without looking at everything.

use super::rank::MaxTree;
use super::{Graph, RankKey, VertexId};
use crate::intern::Subsystem;
use crate::jobspec::Constraint;
use crate::traverser::Request;
use std::collections::{BTreeMap, BTreeSet};

/// Kept at once; the one that was not asked for longest is dropped.
const RUN_INDEX_COUNT_MAX: usize = 8;
/// Notes of changes that are kept before equal ones are joined.
const DIRTY_COUNT_MIN: usize = 1024;
const NOWHERE: u32 = u32::MAX;

/// Score and units of what is taken together.
pub(crate) type Lot = (i64, u32);

/// The request the lots are for; how often it is wanted makes no difference.
#[derive(Clone, Debug)]
pub(crate) struct RunKey {
    pub(crate) request: Request,
    pub(crate) constraint: Option<Constraint>,
    pub(crate) kinds: RankKey,
}

impl RunKey {
    fn is_for(&self, request: &Request, constraint: Option<&Constraint>) -> bool {
        let mine = &self.request;
        (mine.kind, mine.exclusive, &mine.with, &mine.need)
            == (request.kind, request.exclusive, &request.with, &request.need)
            && self.constraint.as_ref() == constraint
    }
}

/// Places below a vertex, by position, and whether a search may pass it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Above {
    pub(crate) first: u32,
    pub(crate) end: u32,
    pub(crate) is_open: bool,
}

/// All places of one request, in the order in which a walk of everything comes to them.
#[derive(Clone, Debug)]
pub(crate) struct RunIndex {
    key: RunKey,
    subsystem: Subsystem,
    places: Vec<VertexId>,
    /// By vertex: the position of the place at or above it.
    positions: Vec<u32>,
    /// Vertices above places.
    above: BTreeMap<VertexId, Above>,
    stock: Stock,
    /// Positions at or below which something has changed.
    dirty: Vec<u32>,
    dirty_above: BTreeSet<VertexId>,
    /// Positions where somebody has a reservation: what they offer depends on the time.
    timely: BTreeSet<u32>,
    /// A number within its type is too low for what it adds to a score.
    is_unfit: bool,
    asked: u64,
}

/// Lots by position and by score.
#[derive(Clone, Debug)]
struct Stock {
    lots: Vec<Vec<Lot>>,
    /// The highest score by position, 0 if there is none.
    tops: MaxTree<i64>,
    /// Lots and units of every score that occurs.
    counts: BTreeMap<i64, (u32, u64)>,
    /// First and last score of every run.
    runs: BTreeMap<i64, i64>,
    /// Lots whose score does not qualify.
    unfit_count: usize,
}

impl Stock {
    fn new(len: usize) -> Stock {
        Stock {
            lots: vec![Vec::new(); len],
            tops: MaxTree::new(&vec![0; len]),
            counts: BTreeMap::new(),
            runs: BTreeMap::new(),
            unfit_count: 0,
        }
    }

    fn set(&mut self, position: usize, lots: Vec<Lot>) {
        if self.lots[position] == lots {
            return;
        }
        self.tops.set(position, lots.iter().map(|(score, _)| (*score).max(0)).max().unwrap_or(0));
        for lot in std::mem::take(&mut self.lots[position]) {
            self.remove(lot);
        }
        lots.iter().for_each(|lot| self.add(*lot));
        self.lots[position] = lots;
    }

    fn is_fit((score, _): Lot) -> bool {
        (1..i64::MAX).contains(&score)
    }

    fn add(&mut self, lot: Lot) {
        let (score, units) = lot;
        if !Self::is_fit(lot) {
            self.unfit_count += 1;
            return;
        }
        let count = self.counts.entry(score).or_default();
        *count = (count.0 + 1, count.1 + u64::from(units));
        if count.0 == 1 {
            let before = self.runs.range(..score).next_back().filter(|(_, last)| **last + 1 == score);
            let first = before.map_or(score, |(first, _)| *first);
            let last = self.runs.remove(&(score + 1)).unwrap_or(score);
            self.runs.insert(first, last);
        }
    }

    fn remove(&mut self, lot: Lot) {
        let (score, units) = lot;
        if !Self::is_fit(lot) {
            self.unfit_count -= 1;
            return;
        }
        let Some(count) = self.counts.get_mut(&score) else { return };
        *count = (count.0 - 1, count.1 - u64::from(units));
        if count.0 > 0 {
            return;
        }
        self.counts.remove(&score);
        let run = self.runs.range(..=score).next_back().map(|(first, last)| (*first, *last));
        if let Some((first, last)) = run {
            self.runs.remove(&first);
            if first < score {
                self.runs.insert(first, score - 1);
            }
            if score < last {
                self.runs.insert(score + 1, last);
            }
        }
    }

    fn first_of_run(&self, score: i64) -> i64 {
        let run = self.runs.range(..=score).next_back();
        run.filter(|(_, last)| score <= **last).map_or(score, |(first, _)| *first)
    }

    /// Positions with a score of at least `least`.
    fn with_score(&self, least: i64) -> impl Iterator<Item = usize> + '_ {
        let next = move |from: usize| Some(self.tops.next(from, least)).filter(|at| *at < self.lots.len());
        std::iter::successors(next(0), move |at| next(at + 1))
    }

    /// The positions that a choice of `wanted` units takes from: of the highest run the first that a walk comes to, then
    /// of the next.
    fn pick(&self, wanted: u32) -> BTreeSet<usize> {
        let mut picked = BTreeSet::new();
        let mut missing = u64::from(wanted);
        let mut whole = None;
        for (first, last) in self.runs.iter().rev() {
            let mut units = 0;
            let is_enough = self.counts.range(first..=last).any(|(_, (_, more))| {
                units += more;
                units >= missing
            });
            if !is_enough {
                missing -= units;
                whole = Some(*first);
                continue;
            }
            for position in self.with_score(*first) {
                let lots = self.lots[position].iter().filter(|(score, _)| (first..=last).contains(&score));
                let units: u64 = lots.map(|(_, units)| u64::from(*units)).sum();
                if units > 0 {
                    picked.insert(position);
                }
                missing = missing.saturating_sub(units);
                if missing == 0 {
                    break;
                }
            }
            break;
        }
        picked.extend(whole.into_iter().flat_map(|first| self.with_score(first)));
        picked
    }
}

impl RunIndex {
    pub(crate) fn place(&self, position: usize) -> VertexId {
        self.places[position]
    }

    pub(crate) fn lots(&self, position: usize) -> &[Lot] {
        &self.stock.lots[position]
    }

    pub(crate) fn first_of_run(&self, score: i64) -> i64 {
        self.stock.first_of_run(score)
    }

    /// `None` if runs cannot tell.
    pub(crate) fn pick(&self, wanted: u32) -> Option<BTreeSet<usize>> {
        (self.stock.unfit_count == 0 && !self.is_unfit).then(|| self.stock.pick(wanted))
    }

    pub(crate) fn set(&mut self, position: usize, lots: Vec<Lot>, is_timely: bool) {
        self.stock.set(position, lots);
        match is_timely {
            true => _ = self.timely.insert(position as u32),
            false => _ = self.timely.remove(&(position as u32)),
        }
    }

    pub(crate) fn above_mut(&mut self, at: VertexId) -> Option<&mut Above> {
        self.above.get_mut(&at)
    }

    pub(crate) fn take_dirty_above(&mut self) -> BTreeSet<VertexId> {
        std::mem::take(&mut self.dirty_above)
    }

    pub(crate) fn soil(&mut self, above: Above) {
        self.dirty.extend(above.first..above.end);
    }

    /// The positions to look at again.
    pub(crate) fn take_dirty(&mut self) -> Vec<u32> {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.extend(&self.timely);
        dirty.sort_unstable();
        dirty.dedup();
        dirty
    }

    fn note(&mut self, at: VertexId) {
        match self.positions.get(at.0 as usize) {
            Some(position) if *position != NOWHERE => {
                if self.dirty.last() != Some(position) {
                    self.dirty.push(*position);
                }
                // Nobody may ask for this request again: the list stays no longer than a few times the places.
                if self.dirty.len() > 2 * self.places.len() + DIRTY_COUNT_MIN {
                    self.dirty.sort_unstable();
                    self.dirty.dedup();
                }
            }
            _ if self.above.contains_key(&at) => _ = self.dirty_above.insert(at),
            _ => {}
        }
    }

    /// Depth first; nothing is looked for below a vertex that is found.
    fn collect(&mut self, graph: &Graph, at: VertexId, depth: usize) {
        let vertex = graph.vertex(at);
        let is_place = match &self.key.kinds {
            RankKey::Kind(kind) => vertex.kind == *kind,
            RankKey::Holding(kinds) => kinds.iter().all(|kind| vertex.has_child_of(*kind)),
            RankKey::Children(_) => false,
        };
        let first = self.places.len() as u32;
        if is_place {
            graph.subtree(at, self.subsystem).into_iter().for_each(|below| self.positions[below.0 as usize] = first);
            return self.places.push(at);
        }
        if depth < crate::limits::GRAPH_DEPTH_MAX {
            for (_, child) in graph.children(at, self.subsystem) {
                self.collect(graph, child, depth + 1);
            }
        }
        self.above.insert(at, Above { first, end: self.places.len() as u32, is_open: true });
    }
}

impl Graph {
    /// The position of the index of a request, if there is one.
    pub(crate) fn known_runs(&mut self, request: &Request, constraint: Option<&Constraint>) -> Option<usize> {
        let known = self.runs.iter().position(|index| index.key.is_for(request, constraint))?;
        let last = self.runs.iter().map(|index| index.asked).max().unwrap_or(0);
        self.runs[known].asked = last + 1;
        Some(known)
    }

    /// Makes an index of which every place is still to be looked at.
    pub(crate) fn make_runs(&mut self, key: RunKey, subsystem: Subsystem) -> Option<usize> {
        let root = self.root(subsystem)?;
        let mut index = RunIndex {
            key,
            subsystem,
            places: Vec::new(),
            positions: vec![NOWHERE; self.vertex_count()],
            above: BTreeMap::new(),
            stock: Stock::new(0),
            dirty: Vec::new(),
            dirty_above: BTreeSet::new(),
            timely: BTreeSet::new(),
            is_unfit: self.vertex_ids().any(|at| self.vertex(at).id < -1),
            asked: self.runs.iter().map(|index| index.asked).max().unwrap_or(0) + 1,
        };
        index.collect(self, root, 1);
        index.stock = Stock::new(index.places.len());
        index.dirty = (0..index.places.len() as u32).collect();
        // The root is entered before anything is looked for below it.
        index.above.remove(&root);
        index.dirty_above = index.above.keys().copied().collect();
        if self.runs.len() >= RUN_INDEX_COUNT_MAX
            && let Some(oldest) = (0..self.runs.len()).min_by_key(|at| self.runs[*at].asked)
        {
            self.runs.swap_remove(oldest);
        }
        self.runs.push(index);
        Some(self.runs.len() - 1)
    }

    pub(crate) fn runs_at(&self, index: usize) -> &RunIndex {
        &self.runs[index]
    }

    pub(crate) fn runs_mut(&mut self, index: usize) -> &mut RunIndex {
        &mut self.runs[index]
    }

    /// What was known of a request is wrong.
    pub(crate) fn drop_runs(&mut self, index: usize) {
        self.runs.swap_remove(index);
    }

    /// A job that holds `at` may have been given longer than a reservation expected.
    pub(crate) fn note_longer(&mut self, at: VertexId, start: i64, duration: i64) {
        if self.vertex(at).is_overbooked(start, duration) {
            self.overbooked.insert(at);
        }
    }

    /// Whether more is planned somewhere than there is, from `now` on. Filters then count too much and may hide places
    /// where something is free, which is not a matter of the place alone.
    pub(crate) fn is_overbooked(&mut self, now: i64) -> bool {
        let mut overbooked = std::mem::take(&mut self.overbooked);
        overbooked.retain(|at| self.vertex(*at).is_overbooked(now, i64::MAX));
        self.overbooked = overbooked;
        !self.overbooked.is_empty()
    }

    /// Something is held, reserved, up or down at a vertex that was not, or the other way round.
    pub(super) fn note_runs(&mut self, at: VertexId) {
        self.runs.iter_mut().for_each(|index| index.note(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::Rng;

    /// The units a choice would take, by what sorts all lots.
    fn oracle(lots: &[Vec<Lot>], wanted: u32) -> BTreeSet<usize> {
        let mut scores: Vec<i64> = lots.iter().flatten().map(|(score, _)| *score).collect();
        scores.sort_unstable();
        scores.dedup();
        let first_of = |score: i64| (0..).map(|back| score - back).take_while(|at| scores.contains(at)).last();
        let mut all: Vec<(Option<i64>, usize, u32)> = (0..)
            .zip(lots)
            .flat_map(|(at, lots)| lots.iter().map(move |(score, units)| (*score, at, *units)))
            .map(|(score, at, units)| (first_of(score), at, units))
            .collect();
        all.sort_by_key(|(first, _, _)| std::cmp::Reverse(*first));
        let mut have = 0;
        let chosen = all.into_iter().take_while(|(_, _, units)| {
            let is_missing = have < wanted;
            have += units;
            is_missing
        });
        chosen.map(|(_, at, _)| at).collect()
    }

    #[test]
    fn a_stock_picks_what_sorting_everything_picks() {
        for seed in 1..=60 {
            let mut rng = Rng::new(seed);
            let len = 1 + rng.below(30) as usize;
            let spread = 1 + rng.below(60);
            let (mut stock, mut lots) = (Stock::new(len), vec![Vec::new(); len]);
            for step in 0..100 {
                let at = rng.below(len as u64) as usize;
                let some = rng.below(4);
                lots[at] = (0..some).map(|_| (1 + rng.below(spread) as i64, 1 + rng.below(3) as u32)).collect();
                stock.set(at, lots[at].clone());
                let wanted = 1 + rng.below(12) as u32;
                assert_eq!(stock.pick(wanted), oracle(&lots, wanted), "seed {seed}, step {step}: {wanted} of {lots:?}");
            }
        }
    }
}
