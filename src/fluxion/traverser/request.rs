//! A jobspec compiled against the names of one graph.

use super::rounds::divide;
use crate::graph::PruneTypes;
use crate::intern::{Names, TypeId};
use crate::jobspec::{Count, OR_SLOT, Resource, XOR_SLOT};
use std::collections::BTreeSet;

/// Amounts by type that a subtree must have.
pub(super) type Need = Vec<(TypeId, i64)>;

/// One resource vertex of a jobspec.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub kind: TypeId,
    pub count: Count,
    pub exclusive: Option<bool>,
    pub label: Option<String>,
    pub with: Vec<Request>,
    /// `with` in parts that are looked for one after the other; empty if one walk will do.
    pub rounds: Vec<Vec<Request>>,
    /// The least that must exist below one unit of this resource, for pruning.
    pub need: Need,
}

/// All of a jobspec.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    pub list: Vec<Request>,
    /// `list` in parts that are looked for one after the other; empty if one walk will do.
    pub rounds: Vec<Vec<Request>>,
    pub need: Need,
    /// Types the jobspec asks for exclusively: all that is below them is taken with them.
    pub exclusive_types: BTreeSet<TypeId>,
}

impl Requests {
    /// # Errors
    /// The name of a type that the graph does not know.
    pub(super) fn compile(resources: &[Resource], names: &Names) -> Result<Requests, String> {
        let mut exclusive_types = BTreeSet::new();
        let list = resources
            .iter()
            .map(|resource| compile(resource, names, &mut exclusive_types))
            .collect::<Result<_, _>>()?;
        Ok(Requests { list: merged(list), rounds: Vec::new(), need: Need::new(), exclusive_types })
    }

    /// Sums up what must exist below every request. `is_flexible`: slots side by side are alternatives, so that only
    /// what all of them need counts.
    pub(super) fn sum_up(&mut self, prune: &PruneTypes, is_flexible: bool) {
        self.need.clear();
        sum_up(&mut self.list, prune, is_flexible, &mut self.need);
        self.list.iter_mut().for_each(|request| request.divide(is_flexible));
        self.rounds = divide(&self.list, is_flexible);
    }
}

impl Request {
    fn divide(&mut self, is_flexible: bool) {
        self.with.iter_mut().for_each(|with| with.divide(is_flexible));
        self.rounds = divide(&self.with, is_flexible);
    }
}

/// Adds up requests side by side that differ in nothing but their fixed count and have nothing below them.
fn merged(list: Vec<Request>) -> Vec<Request> {
    let mut merged: Vec<Request> = Vec::new();
    for request in list {
        let same = merged.iter_mut().find(|other| {
            (other.kind, other.exclusive, &other.label) == (request.kind, request.exclusive, &request.label)
                && other.with.is_empty()
                && request.with.is_empty()
        });
        let sum = same.as_ref().and_then(|other| other.count.plus(&request.count));
        match (same, sum) {
            (Some(other), Some(sum)) => other.count = sum,
            _ => merged.push(request),
        }
    }
    merged
}

fn compile(resource: &Resource, names: &Names, exclusive: &mut BTreeSet<TypeId>) -> Result<Request, String> {
    let kind = match resource.kind.as_str() {
        OR_SLOT | XOR_SLOT => TypeId::SLOT,
        name => names.find_type(name).ok_or_else(|| resource.kind.clone())?,
    };
    let with = resource.with.iter().map(|with| compile(with, names, exclusive)).collect::<Result<_, _>>()?;
    if resource.exclusive == Some(true) {
        exclusive.insert(kind);
    }
    Ok(Request {
        kind,
        count: resource.count.clone(),
        exclusive: resource.exclusive,
        label: resource.label.clone().filter(|label| !label.is_empty()),
        with: merged(with),
        rounds: Vec::new(),
        need: Need::new(),
    })
}

fn entry(need: &mut Need, kind: TypeId) -> Option<&mut i64> {
    need.iter_mut().find(|(of, _)| *of == kind).map(|(_, amount)| amount)
}

fn accumulate(need: &mut Need, prune: &PruneTypes, kind: TypeId, amount: i64) {
    if prune.has(kind) {
        match entry(need, kind) {
            Some(sum) => *sum = sum.saturating_add(amount),
            None => need.push((kind, amount)),
        }
    }
}

fn at_most(need: &mut Need, prune: &PruneTypes, kind: TypeId, amount: i64) {
    if prune.has(kind) {
        match entry(need, kind) {
            Some(sum) => *sum = (*sum).min(amount),
            None => need.push((kind, amount)),
        }
    }
}

fn sum_up(list: &mut [Request], prune: &PruneTypes, is_flexible: bool, up: &mut Need) {
    for request in list {
        let least = i64::from(request.count.min());
        accumulate(up, prune, request.kind, least);
        request.need.clear();
        sum_up(&mut request.with, prune, is_flexible, &mut request.need);
        let is_slot = request.kind == TypeId::SLOT || request.kind == TypeId::XOR_SLOT;
        if is_flexible && is_slot {
            for (kind, amount) in &request.need {
                at_most(up, prune, *kind, amount.saturating_mul(least));
            }
            let kinds: Vec<TypeId> = up.iter().map(|(kind, _)| *kind).collect();
            for kind in kinds.into_iter().filter(|kind| request.need.iter().all(|(of, _)| of != kind)) {
                at_most(up, prune, kind, 0);
            }
        } else {
            for (kind, amount) in &request.need {
                accumulate(up, prune, *kind, amount.saturating_mul(least));
            }
        }
    }
}
