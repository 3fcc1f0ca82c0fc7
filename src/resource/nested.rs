//! The scheduler's graph of an enclosing job, in the numbers of the instance that runs in it.

use crate::limits::GRAPH_VERTICES_MAX;
use flux_types::At;
use flux_types::ResourceSet;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a rank and its cores are called inside.
struct Names {
    rank: u32,
    cores: BTreeMap<u64, u32>,
}

/// The graph in `scheduling` (JGF, as R's `scheduling` has it) with the ranks and core ids of `inside` instead of those of
/// `outside`, which is the same resources. `None` if it is in a shorthand that only the parent can read, or says something
/// that `outside` does not.
pub(crate) fn renamed(scheduling: &Value, outside: &ResourceSet, inside: &ResourceSet) -> Option<Value> {
    if scheduling.get("writer").is_some_and(|writer| !writer.is_null()) {
        return None;
    }
    let names = names(outside, inside)?;
    let mut scheduling = scheduling.clone();
    let vertices = scheduling.pointer_mut("/graph/nodes")?.as_array_mut()?;
    if vertices.len() > GRAPH_VERTICES_MAX {
        return None;
    }
    let ranks: BTreeMap<String, u64> =
        vertices.iter().filter_map(|vertex| Some((path_of(vertex)?, vertex["metadata"]["rank"].as_u64()?))).collect();
    for vertex in vertices {
        let owner = match vertex["metadata"]["rank"].as_u64() {
            Some(rank) => Some(rank),
            None => path_of(vertex).and_then(|path| rank_above(&ranks, &path)),
        };
        let Some(owner) = owner else { continue };
        rename(vertex.get_mut("metadata")?, names.get(&owner)?)?;
    }
    Some(scheduling)
}

/// By rank outside. Nodes of one name are the same by rising rank.
fn names(outside: &ResourceSet, inside: &ResourceSet) -> Option<BTreeMap<u64, Names>> {
    let mut by_host: BTreeMap<Option<&str>, Vec<u32>> = BTreeMap::new();
    for (rank, node) in inside.iter().rev() {
        by_host.entry(node.host.as_deref()).or_default().push(rank);
    }
    let mut names = BTreeMap::new();
    for (old, node) in outside.iter() {
        let rank = by_host.get_mut(&node.host.as_deref())?.pop()?;
        let cores = node.cores.iter().map(u64::from).zip(0..).collect();
        names.insert(u64::from(old), Names { rank, cores });
    }
    Some(names)
}

fn path_of(vertex: &Value) -> Option<String> {
    vertex.at("/metadata/paths/containment").and_then(Value::as_str).map(str::to_owned)
}

/// The rank of the nearest vertex above that has one: recipes give a rank to nodes only.
fn rank_above(ranks: &BTreeMap<String, u64>, path: &str) -> Option<u64> {
    let mut path = path;
    while let Some((above, _)) = path.rsplit_once('/') {
        if let Some(rank) = ranks.get(above) {
            return Some(*rank);
        }
        path = above;
    }
    None
}

fn rename(meta: &mut Value, names: &Names) -> Option<()> {
    if meta["rank"].as_u64().is_some() {
        meta["rank"] = json!(names.rank);
    }
    if meta["type"] == "core" {
        let old = meta["id"].as_u64()?;
        let id = names.cores.get(&old)?;
        let base = meta["basename"].as_str().unwrap_or("core").to_owned();
        meta["id"] = json!(id);
        if meta.get("name").is_some() {
            meta["name"] = json!(format!("{base}{id}"));
        }
        for path in meta.get_mut("paths")?.as_object_mut()?.values_mut() {
            let (above, _) = path.as_str()?.rsplit_once('/')?;
            *path = json!(format!("{above}/{base}{id}"));
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranks: &str, cores: &str) -> ResourceSet {
        let r = json!({"version": 1, "execution": {"R_lite": [{"rank": ranks, "children": {"core": cores}}],
            "nodelist": ["a,b"], "starttime": 0, "expiration": 0}});
        ResourceSet::from_value(&r).expect("good R")
    }

    fn core(rank: i64, id: u64, path: &str) -> Value {
        json!({"id": id.to_string(), "metadata": {"type": "core", "id": id, "rank": rank, "paths": {"containment": path}}})
    }

    #[test]
    fn ranks_and_cores_get_the_numbers_of_the_inside() {
        let node = json!({"id": "9", "metadata": {"type": "node", "id": 7, "rank": 7,
            "paths": {"containment": "/c0/node7"}}});
        let graph = |vertices: Value| json!({"graph": {"nodes": vertices, "edges": []}});
        let scheduling = graph(json!([core(5, 3, "/c0/node5/core3"), core(-1, 2, "/c0/node7/socket1/core2"), node]));
        let (outside, inside) = (set("5,7", "2-3"), set("0-1", "0-1"));
        let renamed_graph = renamed(&scheduling, &outside, &inside).expect("it fits");
        let meta = |at: usize| &renamed_graph["graph"]["nodes"][at]["metadata"];
        assert_eq!(meta(0), &core(0, 1, "/c0/node5/core1")["metadata"]);
        assert_eq!(meta(1), &core(-1, 0, "/c0/node7/socket1/core0")["metadata"]);
        assert_eq!((&meta(2)["rank"], &meta(2)["id"]), (&json!(1), &json!(7)));
        // What R does not have, or what only the parent can read.
        assert!(renamed(&graph(json!([core(5, 9, "/c0/node5/core9")])), &outside, &inside).is_none());
        assert!(renamed(&graph(json!([core(6, 2, "/c0/node6/core2")])), &outside, &inside).is_none());
        assert!(renamed(&json!({"graph": {"nodes": []}, "writer": "x"}), &outside, &inside).is_none());
    }
}
