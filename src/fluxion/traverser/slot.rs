//! Task slots: bundles of children that are taken together (RFC 14).

use super::explore::Tally;
use super::request::Request;
use super::score::{Candidates, Group, Offer, Offers, Scores};
use super::select::Search;
use crate::graph::VertexId;
use crate::intern::{Subsystem, TypeId};
use std::collections::BTreeMap;

/// Whole candidates of one type, handed out from the best to the worst.
struct Supply<'c> {
    kind: TypeId,
    candidates: &'c Candidates,
    next: usize,
}

impl Search<'_> {
    /// Makes as many slots as can be made of the children of `at`, up to `count`, and offers them. `slots` has more
    /// than one entry if they are alternatives.
    pub(super) fn fill_slots(&mut self, at: VertexId, slots: &[Request], count: u32, here: &mut Scores) {
        if let [slot] = slots
            && !slot.rounds.is_empty()
        {
            return self.fill_slots_in_rounds(at, &slot.rounds, count, here);
        }
        let shape = union_of(slots);
        let mut found = Scores::default();
        // What is in a slot is taken exclusively.
        self.explore(at, &shape, false, true, &mut found, count);
        let dominant = self.dominant();
        found.choose_all(dominant, self.equals, |a, b| self.policy.compare_in_slot(a, b));
        let choices = match slots {
            [slot] => vec![0; fitting_slots(dominant, slot, &found) as usize],
            _ => best_mix(dominant, slots, count, &found),
        };
        let mut supplies: Vec<Supply> = shape
            .iter()
            .filter_map(|request| {
                Some(Supply { kind: request.kind, candidates: found.get(dominant, request.kind)?, next: 0 })
            })
            .collect();
        let mut made = Vec::new();
        for choice in choices {
            match take_bundle(dominant, &slots[choice].with, &found, &mut supplies) {
                Some(group) => made.push(group),
                None => return,
            }
        }
        for group in made {
            here.add(dominant, TypeId::SLOT, group);
        }
    }
}

impl Search<'_> {
    /// The best that was found for each of the requests, as one bundle; `None` if there is too little.
    pub(super) fn take_one_slot(&self, requests: &[Request], found: &Scores) -> Option<Group> {
        let dominant = self.dominant();
        let mut supplies = Vec::new();
        for request in requests {
            if request.count.best(found.qualified(dominant, request.kind)) == 0 {
                return None;
            }
            supplies.push(Supply { kind: request.kind, candidates: found.get(dominant, request.kind)?, next: 0 });
        }
        take_bundle(dominant, requests, found, &mut supplies)
    }
}

/// Every type any of the slots needs, with the larger count where they differ.
fn union_of(slots: &[Request]) -> Vec<Request> {
    if let [slot] = slots {
        return slot.with.clone();
    }
    let mut union: BTreeMap<TypeId, Request> = BTreeMap::new();
    for request in slots.iter().flat_map(|slot| &slot.with) {
        let is_larger =
            union.get(&request.kind).is_none_or(|old| old.count.best_of_all() < request.count.best_of_all());
        if is_larger {
            union.insert(request.kind, request.clone());
        }
    }
    union.into_values().collect()
}

/// How many slots whole candidates can fill.
fn fitting_slots(dominant: Subsystem, slot: &Request, found: &Scores) -> u32 {
    let fitting = slot.with.iter().map(|request| {
        let candidates = found.get(dominant, request.kind);
        let count = request.count.best(candidates.map_or(0, |candidates| candidates.qualified));
        if count == 0 {
            return 0;
        }
        let mut tally = Tally::new(count);
        candidates.into_iter().flat_map(|candidates| &candidates.groups).for_each(|group| tally.add(group.count));
        tally.shares
    });
    fitting.min().unwrap_or(0)
}

fn take_bundle(dominant: Subsystem, with: &[Request], found: &Scores, supplies: &mut [Supply]) -> Option<Group> {
    let mut group = Group { score: 1, count: 1, offers: Offers::Many(Vec::new()) };
    let mut offers = Vec::new();
    for request in with {
        let count = request.count.best(found.qualified(dominant, request.kind));
        let supply = supplies.iter_mut().find(|supply| supply.kind == request.kind)?;
        let mut have = 0;
        while have < count {
            let next = supply.candidates.groups.get(supply.next)?;
            supply.next += 1;
            group.score = group.score.saturating_add(next.score);
            have += next.count;
            let whole = next.offers.as_slice().first()?;
            offers.push(Offer { edge: whole.edge, needs: next.count, is_exclusive: true });
        }
    }
    group.offers = Offers::Many(offers);
    Some(group)
}

/// The mix of alternative slots, up to `count`, that makes most slots of what was found.
fn best_mix(dominant: Subsystem, slots: &[Request], count: u32, found: &Scores) -> Vec<usize> {
    let mut stock: BTreeMap<TypeId, u32> = BTreeMap::new();
    for request in slots.iter().flat_map(|slot| &slot.with) {
        stock.insert(request.kind, found.qualified(dominant, request.kind));
    }
    let mut known = BTreeMap::new();
    let mut left = MIX_STATE_COUNT_MAX;
    let mut mix = Vec::new();
    best_mix_from(slots, &stock, &mut known, &mut left, count.min(MIX_SLOT_COUNT_MAX));
    let mut stock: Vec<u32> = stock.into_values().collect();
    while mix.len() < count as usize {
        match known.get(&stock) {
            Some((made, Some((choice, rest)))) if *made > 0 => {
                mix.push(*choice);
                stock = rest.clone();
            }
            _ => break,
        }
    }
    mix
}

/// Stocks looked at before the search for the best mix settles for what it has.
const MIX_STATE_COUNT_MAX: usize = 20_000;
/// Slots in one mix.
const MIX_SLOT_COUNT_MAX: u32 = 512;

type Known = BTreeMap<Vec<u32>, (u32, Option<(usize, Vec<u32>)>)>;

fn best_mix_from(
    slots: &[Request],
    stock: &BTreeMap<TypeId, u32>,
    known: &mut Known,
    left: &mut usize,
    depth: u32,
) -> u32 {
    let key: Vec<u32> = stock.values().copied().collect();
    if let Some((made, _)) = known.get(&key) {
        return *made;
    }
    if *left == 0 || depth == 0 {
        return 0;
    }
    *left -= 1;
    let mut best = (0, None);
    for (at, slot) in slots.iter().enumerate() {
        let mut rest = stock.clone();
        let fits = slot.with.iter().all(|request| {
            let have = rest.get_mut(&request.kind);
            have.is_some_and(|have| {
                let count = request.count.best(*have);
                *have -= count;
                count > 0
            })
        });
        if fits {
            let made = 1 + best_mix_from(slots, &rest, known, left, depth - 1);
            if made > best.0 {
                best = (made, Some((at, rest.values().copied().collect())));
            }
        }
    }
    known.insert(key, best.clone());
    best.0
}
