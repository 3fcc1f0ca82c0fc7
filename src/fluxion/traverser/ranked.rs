//! Looking at vertices in the order the policy prefers, until nothing better can come. The choice is the same as that of
//! a search that looks at all of them; the time is not.

use super::explore::Tally;
use super::request::Request;
use super::score::{Group, Scores};
use super::select::Search;
use crate::graph::{EdgeId, RankKey, Ranked, SlotShape, VertexId, is_ahead};
use crate::intern::TypeId;
use crate::matcher::Preference;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A vertex with more children than this has a ranking of its own.
const RANKED_CHILD_COUNT_MIN: usize = 256;

impl Search<'_> {
    /// Whether preference is a matter of the vertex alone, so that the best can be found first.
    fn ranks_by_id(&self) -> bool {
        matches!(self.policy.preference, Preference::High | Preference::Low)
            && !self.policy.stops_early
            && !self.is_exhaustive
            && !self.policy.is_live
    }

    /// The one request that is looked for below the root, if its candidates can be ranked.
    pub(super) fn is_ranked<'r>(&self, requests: &'r [Request]) -> Option<&'r Request> {
        let [request] = requests else { return None };
        // The classes of `variation` are a matter of the vertex alone too, but slots are filled with the worst of them.
        let is_variation = self.policy.preference == Preference::Variation && !self.is_exhaustive;
        let is_plain = (self.ranks_by_id() || is_variation) && self.subsystems.len() == 1 && !self.is_flexible;
        (is_plain && request.kind != TypeId::XOR_SLOT).then_some(request)
    }

    /// Finds candidates for a request anywhere below `root`, the best first.
    pub(super) fn expand_ranked(&mut self, root: VertexId, request: &Request, requests: &[Request], here: &mut Scores) {
        let is_slot = request.kind == TypeId::SLOT;
        if let Some(holders) = self.holders_for(request) {
            return self.expand_holders(root, holders, request, requests, here);
        }
        let key = match is_slot {
            true => RankKey::Holding(request.with.iter().map(|with| with.kind).collect()),
            false => RankKey::Kind(request.kind),
        };
        let dominant = self.dominant();
        let Some(ranking) = self.graph.ranking(key, self.policy, dominant) else {
            return self.expand(root, requests, true, false, here);
        };
        let cores = request.need.iter().find(|(kind, _)| *kind == TypeId::CORE).map_or(0, |(_, cores)| *cores);
        let wanted = request.count.best_of_all();
        let mut may_pass: BTreeMap<VertexId, bool> = BTreeMap::new();
        let mut near = self.near_positions(ranking).map(Vec::into_iter);
        let mut next = 0;
        // When a walk of everything would have come to each candidate.
        let mut discovered: Vec<u32> = Vec::new();
        self.is_inside = true;
        loop {
            let ranks = self.graph.rank_at(ranking);
            next = match &mut near {
                Some(near) => match near.find(|at| !self.meta.is_now || ranks.next_with_room(*at, cores) == *at) {
                    Some(at) => at,
                    None => break,
                },
                None if self.meta.is_now => ranks.next_with_room(next, cores),
                None => next,
            };
            let Some(ranked) = ranks.get(next) else { break };
            next += 1;
            let is_enough = here.total(dominant, request.kind) >= wanted;
            if is_enough && (!is_slot || self.is_settled(request, ranked, wanted, here, &discovered)) {
                break;
            }
            if let Some(edge) = self.way_from(root, ranked.at, requests, &mut may_pass) {
                self.above = self.factors_above(ranked.at);
                self.try_child(edge, requests, true, false, here);
                let count = here.get(dominant, request.kind).map_or(0, |candidates| candidates.groups.len());
                discovered.resize(count, ranked.discovered);
            }
        }
        here.reorder(dominant, request.kind, &discovered);
        self.above = self.policy.factor(self.graph.vertex(root));
        self.is_inside = false;
    }

    /// Where slots can be made now, the best first, if it is known beforehand what each will score.
    fn holders_for(&mut self, request: &Request) -> Option<usize> {
        let is_fixed = |with: &Request| with.count.min() == with.count.best_of_all() && with.rounds.is_empty();
        let is_known = request.kind == TypeId::SLOT
            && self.meta.is_now
            && self.near.is_none()
            && !self.policy.is_node_centric
            && request.rounds.is_empty()
            && request.with.iter().all(is_fixed);
        if !is_known {
            return None;
        }
        let shape: SlotShape = request.with.iter().map(|with| (with.kind, with.count.min())).collect();
        let holders = self.graph.holders(shape, self.policy, self.dominant())?;
        self.graph.refresh_holders(holders);
        Some(holders)
    }

    /// Makes slots at the best holders first, until no other can make a better one.
    fn expand_holders(
        &mut self,
        root: VertexId,
        holders: usize,
        request: &Request,
        requests: &[Request],
        here: &mut Scores,
    ) {
        let dominant = self.dominant();
        let wanted = request.count.best_of_all();
        let mut may_pass: BTreeMap<VertexId, bool> = BTreeMap::new();
        let mut aside = Vec::new();
        let mut discovered: Vec<u32> = Vec::new();
        self.is_inside = true;
        while let Some(holder) = self.graph.best_holder(holders) {
            let next = (holder.score.saturating_add(1), holder.position);
            if here.total(dominant, TypeId::SLOT) >= wanted {
                let groups = here.get(dominant, TypeId::SLOT).map_or(&[][..], |candidates| &candidates.groups);
                let found = groups.iter().zip(&discovered).map(|(group, position)| (group.score, *position as usize));
                if found.filter(|mine| is_ahead(self.policy, *mine, next)).count() >= wanted as usize {
                    break;
                }
            }
            self.graph.set_holder_aside(holders, holder);
            aside.push(holder);
            if let Some(edge) = self.way_from(root, holder.at, requests, &mut may_pass) {
                self.above = self.factors_above(holder.at);
                self.try_child(edge, requests, true, false, here);
                let count = here.get(dominant, TypeId::SLOT).map_or(0, |candidates| candidates.groups.len());
                discovered.resize(count, holder.position as u32);
            }
        }
        aside.into_iter().for_each(|holder| self.graph.put_holder_back(holders, holder));
        here.reorder(dominant, TypeId::SLOT, &discovered);
        self.above = self.policy.factor(self.graph.vertex(root));
        self.is_inside = false;
    }

    /// The positions in a ranking that a constraint may allow, if all of it is about nodes and these are few.
    fn near_positions(&self, ranking: usize) -> Option<Vec<usize>> {
        let ranks = self.graph.rank_at(ranking);
        let near = self.near.filter(|_| ranks.is_about_nodes())?;
        let mut positions = Vec::new();
        for node in &near.nodes {
            positions
                .extend(self.graph.subtree(*node, self.dominant()).into_iter().filter_map(|at| ranks.position(at)));
            let mut above = *node;
            while let Some(parent) = self.graph.parent(above, self.dominant()) {
                positions.extend(ranks.position(parent));
                above = parent;
            }
        }
        positions.sort_unstable();
        positions.dedup();
        Some(positions)
    }

    /// Whether no slot made below `next`, or what is ranked after it, can be among the best `wanted`.
    fn is_settled(&self, request: &Request, next: Ranked, wanted: u32, here: &Scores, discovered: &[u32]) -> bool {
        let Some(candidates) = here.get(self.dominant(), TypeId::SLOT) else { return false };
        let first = &request.with[0];
        // Units come in pools of this size or less: so many children are needed at least, and no more than one by one.
        let least = if self.has_unit_pools(first.kind) { i64::from(first.count.min()) } else { 1 };
        let others = request.with.len() as i64 - 1;
        let bound = match self.policy.preference {
            // All scores are above 0: more children only make it worse.
            Preference::Low => 1i64.saturating_add(next.score.saturating_mul(least)).saturating_add(others),
            // More than one type, or a range, may add any amount.
            Preference::High if others == 0 && first.count.min() == first.count.best_of_all() => {
                1i64.saturating_add(next.score.saturating_mul(i64::from(first.count.min())))
            }
            _ => return false,
        };
        // Between equals the one that is discovered first is taken.
        let is_ahead = |(group, discovered): (&Group, &u32)| match self.policy.compare(group.score, bound) {
            Ordering::Less => true,
            Ordering::Equal => *discovered < next.discovered,
            Ordering::Greater => false,
        };
        candidates.groups.iter().zip(discovered).filter(|entry| is_ahead(*entry)).count() >= wanted as usize
    }

    fn has_unit_pools(&self, kind: TypeId) -> bool {
        // Cores, nodes and the like; a pool that is larger anywhere is asked for by amount.
        self.graph.of_type(kind).first().is_none_or(|at| self.graph.vertex(*at).size == 1) && kind_is_uniform(kind)
    }

    /// The edge into `at`, if a search may come there from the root.
    pub(super) fn way_from(
        &self,
        root: VertexId,
        at: VertexId,
        requests: &[Request],
        may_pass: &mut BTreeMap<VertexId, bool>,
    ) -> Option<EdgeId> {
        let dominant = self.dominant();
        let edge = self.graph.parent_edge(at, dominant)?;
        let mut way = Vec::new();
        let mut above = self.graph.edge(edge).source;
        let mut is_open = true;
        while above != root {
            if let Some(known) = may_pass.get(&above) {
                is_open = *known;
                break;
            }
            way.push(above);
            above = self.graph.parent(above, dominant)?;
        }
        for above in way.into_iter().rev() {
            is_open = is_open && self.may_enter(above, false, requests, true);
            may_pass.insert(above, is_open);
        }
        is_open.then_some(edge)
    }

    fn factors_above(&self, at: VertexId) -> i64 {
        let (mut above, mut sum) = (at, 0i64);
        while let Some(parent) = self.graph.parent(above, self.dominant()) {
            sum = sum.saturating_add(self.policy.factor(self.graph.vertex(parent)));
            above = parent;
        }
        sum
    }

    /// Whether all that is asked for hangs directly below a vertex.
    pub(super) fn is_direct(&self, at: VertexId, requests: &[Request]) -> bool {
        let vertex = self.graph.vertex(at);
        self.ranks_by_id()
            && !requests.is_empty()
            && requests.iter().all(|request| request.kind != TypeId::SLOT && vertex.has_child_of(request.kind))
    }

    /// Looks at the children, the best first, until there is enough of every type.
    pub(super) fn explore_by_preference(
        &mut self,
        at: VertexId,
        requests: &[Request],
        is_exclusive: bool,
        here: &mut Scores,
        shares: u32,
    ) {
        let dominant = self.dominant();
        let mut tallies: Vec<(TypeId, Tally)> =
            requests.iter().map(|request| (request.kind, Tally::new(request.count.best_of_all()))).collect();
        let near = self.near_edges(at, requests).map(|edges| self.graph.preferred(edges, self.policy));
        let is_large = near.is_none() && self.graph.out_edges(at).len() >= RANKED_CHILD_COUNT_MIN;
        let ranking = if is_large { self.graph.ranking(RankKey::Children(at), self.policy, dominant) } else { None };
        let cores = match requests {
            [request] => request.need.iter().find(|(kind, _)| *kind == TypeId::CORE).map_or(0, |(_, cores)| *cores),
            _ => 0,
        };
        let is_lent = ranking.is_none() && near.is_none();
        let order = if is_lent { self.graph.take_preference(at, self.policy) } else { near.unwrap_or_default() };
        let mut next = 0;
        loop {
            let edge = match ranking {
                None => order.get(next).copied(),
                Some(ranking) => {
                    if self.meta.is_now {
                        next = self.graph.rank_at(ranking).next_with_room(next, cores);
                    }
                    let child = self.graph.rank_at(ranking).get(next).map(|ranked| ranked.at);
                    child.and_then(|child| self.graph.parent_edge(child, dominant))
                }
            };
            let Some(edge) = edge else { break };
            next += 1;
            let kind = self.graph.vertex(self.graph.edge(edge).target).kind;
            if tallies.iter().any(|(of, tally)| *of == kind && tally.is_met(shares)) {
                continue;
            }
            if self.try_child(edge, requests, false, is_exclusive, here) {
                tallies.iter_mut().for_each(|(kind, tally)| tally.catch_up(here.total(dominant, *kind)));
                if tallies.iter().all(|(_, tally)| tally.is_met(shares)) {
                    break;
                }
            }
        }
        if is_lent {
            self.graph.put_order(at, order);
        }
    }
}

/// Types whose pools are always single units.
fn kind_is_uniform(kind: TypeId) -> bool {
    [TypeId::CORE, TypeId::NODE, TypeId::SOCKET, TypeId::GPU, TypeId::RACK].contains(&kind)
}
