//! A jobspec compiled against the names of one graph.

use crate::graph::PruneTypes;
use crate::intern::{Names, TypeId};
use crate::jobspec::{Count, Resource};
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
    /// The least that must exist below one unit of this resource, for pruning.
    pub need: Need,
}

/// All of a jobspec.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    pub list: Vec<Request>,
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
        Ok(Requests { list, need: Need::new(), exclusive_types })
    }

    /// Sums up what must exist below every request. `is_flexible`: slots side by side are alternatives, so that only
    /// what all of them need counts.
    pub(super) fn sum_up(&mut self, prune: &PruneTypes, is_flexible: bool) {
        self.need.clear();
        sum_up(&mut self.list, prune, is_flexible, &mut self.need);
    }
}

fn compile(resource: &Resource, names: &Names, exclusive: &mut BTreeSet<TypeId>) -> Result<Request, String> {
    let kind = names.find_type(&resource.kind).ok_or_else(|| resource.kind.clone())?;
    if resource.exclusive == Some(true) {
        exclusive.insert(kind);
    }
    Ok(Request {
        kind,
        count: resource.count.clone(),
        exclusive: resource.exclusive,
        label: resource.label.clone().filter(|label| !label.is_empty()),
        with: resource.with.iter().map(|with| compile(with, names, exclusive)).collect::<Result<_, _>>()?,
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
