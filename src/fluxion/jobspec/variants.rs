//! Requests that leave a choice between whole slots: `xor_slot`s side by side are alternatives of which one is taken,
//! `or_slot`s are alternatives that may be mixed.

use super::Resource;
use crate::limits::XOR_VARIANT_COUNT_MAX;

pub(crate) const XOR_SLOT: &str = "xor_slot";
pub(crate) const OR_SLOT: &str = "or_slot";

fn any(list: &[Resource], kind: &str) -> bool {
    list.iter().any(|resource| resource.kind == kind || any(&resource.with, kind))
}

/// Whether alternatives may be mixed anywhere.
pub(crate) fn has_or_slot(list: &[Resource]) -> bool {
    any(list, OR_SLOT)
}

/// All the requests that a request with alternatives stands for, the first ones first; `None` if there is but one, or
/// more than `XOR_VARIANT_COUNT_MAX`, of which the rest is left out.
pub(crate) fn variants_of(list: &[Resource]) -> Option<Vec<Vec<Resource>>> {
    any(list, XOR_SLOT).then(|| expand(list))
}

fn expand(list: &[Resource]) -> Vec<Vec<Resource>> {
    let choices: Vec<&Resource> = list.iter().filter(|resource| resource.kind == XOR_SLOT).collect();
    let kept = list.iter().filter(|resource| resource.kind != XOR_SLOT);
    let mut all: Vec<Vec<Resource>> = vec![Vec::new()];
    for resource in kept {
        all = cross(&all, &below(resource));
    }
    if choices.is_empty() {
        return all;
    }
    let one_of: Vec<Resource> = choices.into_iter().flat_map(below).collect();
    cross(&all, &one_of)
}

/// A resource with every variant of what is in it.
fn below(resource: &Resource) -> Vec<Resource> {
    let inner = if any(&resource.with, XOR_SLOT) { expand(&resource.with) } else { vec![resource.with.clone()] };
    inner.into_iter().map(|with| Resource { with, ..resource.clone() }).collect()
}

fn cross(all: &[Vec<Resource>], next: &[Resource]) -> Vec<Vec<Resource>> {
    let pairs = all.iter().flat_map(|list| next.iter().map(move |one| (list, one)));
    let longer = pairs.map(|(list, one)| list.iter().cloned().chain([one.clone()]).collect());
    longer.take(XOR_VARIANT_COUNT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobspec::Count;

    fn resource(kind: &str, label: &str, with: Vec<Resource>) -> Resource {
        let label = Some(label.to_string());
        Resource { kind: kind.into(), count: Count::exactly(1), unit: None, exclusive: None, label, id: None, with }
    }

    #[test]
    fn one_of_the_slots_side_by_side_is_in_every_variant() {
        let pair = |a: &str, b: &str| vec![resource(XOR_SLOT, a, vec![]), resource(XOR_SLOT, b, vec![])];
        let list = vec![resource("node", "n", pair("a", "b")), resource("rack", "r", pair("c", "d"))];
        let label = |resource: &Resource| resource.with[0].label.clone().unwrap_or_default();
        let all = variants_of(&list).expect("there are alternatives");
        let names: Vec<String> = all.iter().map(|list| list.iter().map(label).collect()).collect();
        assert_eq!(names, ["ac", "ad", "bc", "bd"]);
        assert!(variants_of(&[resource("slot", "s", vec![])]).is_none());
        let many: Vec<Resource> = (0..12).map(|at| resource("node", &at.to_string(), pair("a", "b"))).collect();
        assert_eq!(variants_of(&many).map(|all| all.len()), Some(XOR_VARIANT_COUNT_MAX), "and no more");
    }
}
