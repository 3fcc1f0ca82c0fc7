//! A jobspec compiled against the names of one graph.

use super::rounds::divide;
use crate::graph::PruneTypes;
use crate::intern::{Names, TypeId};
use crate::jobspec::{Count, OR_SLOT, Resource, XOR_SLOT};
use std::collections::BTreeSet;

/// Amounts by type that a subtree must have.
pub(super) type Need = Vec<(TypeId, i64)>;

/// One resource vertex of a jobspec.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
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
    /// `is_flexible`: slots side by side are alternatives, so that a type that nothing has spoils its own slot only.
    ///
    /// # Errors
    /// The name of a type that the graph does not know.
    pub(super) fn compile(resources: &[Resource], names: &Names, is_flexible: bool) -> Result<Requests, String> {
        let mut exclusive_types = BTreeSet::new();
        let type_of = |name: &str| match name {
            OR_SLOT | XOR_SLOT => Ok(TypeId::SLOT),
            name => names.find_type(name).or(is_flexible.then_some(TypeId::NONE)).ok_or_else(|| name.to_string()),
        };
        let list = resources
            .iter()
            .map(|resource| compile(resource, &type_of, &mut exclusive_types))
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

fn compile(
    resource: &Resource,
    type_of: &impl Fn(&str) -> Result<TypeId, String>,
    exclusive: &mut BTreeSet<TypeId>,
) -> Result<Request, String> {
    let kind = type_of(&resource.kind)?;
    let with = resource.with.iter().map(|with| compile(with, type_of, exclusive)).collect::<Result<_, _>>()?;
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

/// Lowers `most` to what `other` has too: what all alternatives need.
fn in_common(most: Option<Need>, other: Need) -> Need {
    let Some(most) = most else { return other };
    let amount = |kind| other.iter().find(|(of, _)| *of == kind).map(|(_, amount)| *amount);
    most.into_iter().filter_map(|(kind, mine)| Some((kind, mine.min(amount(kind)?)))).collect()
}

fn sum_up(list: &mut [Request], prune: &PruneTypes, is_flexible: bool, up: &mut Need) {
    let mut alternatives: Option<Need> = None;
    for request in list {
        let least = i64::from(request.count.min());
        accumulate(up, prune, request.kind, least);
        request.need.clear();
        sum_up(&mut request.with, prune, is_flexible, &mut request.need);
        let all = request.need.iter().map(|(kind, amount)| (*kind, amount.saturating_mul(least)));
        if is_flexible && request.kind == TypeId::SLOT {
            alternatives = Some(in_common(alternatives, all.collect()));
        } else {
            all.for_each(|(kind, amount)| accumulate(up, prune, kind, amount));
        }
    }
    for (kind, amount) in alternatives.into_iter().flatten() {
        accumulate(up, prune, kind, amount);
    }
}
