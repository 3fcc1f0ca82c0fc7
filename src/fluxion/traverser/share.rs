//! Who gets what, if several requests side by side want the same. Every order of them is tried; if none will do, the first
//! vertex that two of them want is forbidden to the one, then to the other, and so on: in any answer one of the two does
//! without it.

use super::request::Request;
use super::rounds::{Kept, Place, Taken, orders};
use super::select::Search;
use crate::graph::VertexId;
use crate::limits::SHARE_VISIT_COUNT_MAX;
use std::collections::BTreeSet;

/// What a round may not have.
type Bans = Vec<BTreeSet<VertexId>>;

/// A round that got nothing, and what those before it got.
struct Failure {
    round: usize,
    got: Vec<(usize, BTreeSet<VertexId>)>,
}

/// One attempt to fill all rounds at a place.
struct Attempt<'p> {
    place: &'p Place,
    rounds: &'p [Vec<Request>],
    /// What was taken when it began.
    before: Taken,
    label_count: usize,
    /// Visits after which the attempt is given up.
    visits_end: u64,
}

impl Search<'_> {
    /// Fills all rounds; `None` if they cannot share, or if no way was found in a bounded number of visits.
    pub(super) fn fill_rounds(&mut self, place: &Place, rounds: &[Vec<Request>]) -> Option<Kept> {
        let attempt = Attempt {
            place,
            rounds,
            before: Taken { is_used: true, ..self.taken.clone() },
            label_count: self.labels.len(),
            visits_end: self.visit_count.saturating_add(SHARE_VISIT_COUNT_MAX),
        };
        let none: Bans = vec![BTreeSet::new(); rounds.len()];
        for order in orders(rounds.len()) {
            if let Ok(kept) = self.fill_in_order(&attempt, &order, &none) {
                return Some(kept);
            }
        }
        let order: Vec<usize> = (0..rounds.len()).collect();
        // What gets nothing even alone needs no sharing.
        let is_hopeless = order.iter().any(|round| self.wanted(&attempt, *round, &none).is_none());
        if is_hopeless { None } else { self.fill_with_bans(&attempt, &order, none) }
    }

    fn begin(&mut self, attempt: &Attempt<'_>) {
        self.taken = attempt.before.clone();
        if let Place::Below(at, _) = attempt.place {
            self.labels.truncate(attempt.label_count);
            self.graph.unmark_below(*at, self.dominant());
        }
    }

    fn fill_in_order(&mut self, attempt: &Attempt<'_>, order: &[usize], bans: &Bans) -> Result<Kept, Failure> {
        self.begin(attempt);
        let (mut kept, mut got) = (Kept::default(), Vec::new());
        for round in order {
            let had = self.taken.vertices.clone();
            let is_filled = self.fill_banned(attempt, *round, &bans[*round], &mut kept);
            if !is_filled {
                return Err(Failure { round: *round, got });
            }
            got.push((*round, self.taken.vertices.difference(&had).copied().collect()));
        }
        Ok(kept)
    }

    /// One round that goes without some vertices, as if another had them.
    fn fill_banned(
        &mut self,
        attempt: &Attempt<'_>,
        round: usize,
        banned: &BTreeSet<VertexId>,
        kept: &mut Kept,
    ) -> bool {
        let added: Vec<VertexId> = banned.difference(&self.taken.vertices).copied().collect();
        self.taken.vertices.extend(&added);
        let is_filled = self.try_round(attempt.place, &attempt.rounds[round], kept);
        added.iter().for_each(|at| _ = self.taken.vertices.remove(at));
        is_filled
    }

    /// What a round gets if it is the only one.
    fn wanted(&mut self, attempt: &Attempt<'_>, round: usize, bans: &Bans) -> Option<BTreeSet<VertexId>> {
        self.begin(attempt);
        let is_filled = self.fill_banned(attempt, round, &bans[round], &mut Kept::default());
        is_filled.then(|| self.taken.vertices.difference(&attempt.before.vertices).copied().collect())
    }

    fn fill_with_bans(&mut self, attempt: &Attempt<'_>, order: &[usize], bans: Bans) -> Option<Kept> {
        // The deepest is tried first; bans are few, as each is one of what two rounds want.
        let mut open = vec![bans];
        while let Some(bans) = open.pop() {
            if self.visit_count >= attempt.visits_end {
                return None;
            }
            let failure = match self.fill_in_order(attempt, order, &bans) {
                Ok(kept) => return Some(kept),
                Err(failure) => failure,
            };
            let Some(wanted) = self.wanted(attempt, failure.round, &bans) else { continue };
            let Some((other, theirs, mine)) = self.clash(&failure, &wanted) else { continue };
            let forbid = |round: usize, at| {
                let mut bans = bans.clone();
                bans[round].insert(at);
                bans
            };
            open.push(forbid(failure.round, mine));
            open.push(forbid(other, theirs));
        }
        None
    }

    /// The first vertex of another round that stands in the way of what is wanted: it is the same, or one holds the other.
    fn clash(&self, failure: &Failure, wanted: &BTreeSet<VertexId>) -> Option<(usize, VertexId, VertexId)> {
        failure.got.iter().find_map(|(round, got)| {
            got.iter().find_map(|theirs| {
                let mine =
                    wanted.iter().find(|mine| self.is_within(*theirs, **mine) || self.is_within(**mine, *theirs));
                mine.map(|mine| (*round, *theirs, *mine))
            })
        })
    }

    fn is_within(&self, at: VertexId, above: VertexId) -> bool {
        let mut next = Some(at);
        while let Some(at) = next {
            if at == above {
                return true;
            }
            next = self.graph.parent(at, self.dominant());
        }
        false
    }
}
