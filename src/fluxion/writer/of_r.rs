//! The graph that an R stands for, in JGF (RFC 40), as `flux ion-R encode` adds it.

use crate::hosts::expand_hosts;
use flux_types::Idset;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const ROOT_PATH: &str = "/cluster0";
/// What flux-sched's property grammar cannot hold (RFC 31).
const PROPERTY_FORBIDDEN: &str = "!&'\"^`|()";

#[derive(Default)]
struct Jgf {
    nodes: Vec<Value>,
    edges: Vec<Value>,
}

impl Jgf {
    /// Adds a vertex below another; returns its id.
    fn add(&mut self, above: Option<usize>, metadata: Value) -> usize {
        let id = self.nodes.len();
        self.nodes.push(json!({"id": id.to_string(), "metadata": metadata}));
        if let Some(above) = above {
            self.edges.push(json!({"source": above.to_string(), "target": id.to_string()}));
        }
        id
    }
}

fn idset(text: &Value) -> Result<Idset, String> {
    let text = text.as_str().ok_or("an idset is missing")?;
    Idset::parse(text).map_err(|error| error.to_string())
}

/// Properties by rank.
fn properties_of(execution: &Value) -> Result<BTreeMap<u32, Map<String, Value>>, String> {
    let mut of: BTreeMap<u32, Map<String, Value>> = BTreeMap::new();
    for (name, ranks) in execution["properties"].as_object().into_iter().flatten() {
        if name.contains(|c| PROPERTY_FORBIDDEN.contains(c)) {
            return Err(format!("invalid character used in property={name}"));
        }
        for rank in idset(ranks)?.iter() {
            of.entry(rank).or_default().insert(name.clone(), "".into());
        }
    }
    Ok(of)
}

/// The `scheduling` part for R: a cluster of nodes with their cores and GPUs.
///
/// # Errors
/// What is wrong with R.
pub fn graph_of_r(r: &Value) -> Result<Value, String> {
    let execution = &r["execution"];
    let mut hosts = Vec::new();
    for text in execution["nodelist"].as_array().ok_or("nodelist is missing")? {
        hosts.extend(text.as_str().and_then(expand_hosts).ok_or("nodelist is no list of hosts")?);
    }
    let properties = properties_of(execution)?;
    let mut jgf = Jgf::default();
    let root = jgf.add(None, json!({"type": "cluster", "paths": {"containment": ROOT_PATH}}));
    let mut hosts = hosts.into_iter();
    let mut seen = Idset::new();
    for entry in execution["R_lite"].as_array().ok_or("R_lite is missing")? {
        for rank in idset(&entry["rank"])?.iter() {
            if seen.contains(rank) {
                return Err(format!("R_lite: rank={rank} found again!"));
            }
            _ = seen.insert(rank);
            let host = hosts.next().ok_or_else(|| format!("nodelist doesn't include node for rank={rank}"))?;
            let path = format!("{ROOT_PATH}/{host}");
            let mut metadata = json!({"type": "node", "name": host, "rank": rank});
            if let Some(own) = properties.get(&rank) {
                metadata["properties"] = Value::Object(own.clone());
            }
            metadata["paths"] = json!({"containment": path});
            let node = jgf.add(Some(root), metadata);
            for (kind, ids) in entry["children"].as_object().into_iter().flatten() {
                if !matches!(kind.as_str(), "core" | "gpu") {
                    return Err(format!("resource type={kind} unsupported by RV1"));
                }
                for id in idset(ids)?.iter() {
                    let paths = json!({"containment": format!("{path}/{kind}{id}")});
                    jgf.add(Some(node), json!({"type": kind, "id": id, "rank": rank, "paths": paths}));
                }
            }
        }
    }
    Ok(json!({"graph": {"nodes": jgf.nodes, "edges": jgf.edges}}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fluxion, FluxionConfig};

    #[test]
    fn the_graph_of_r_is_read_back_as_the_same_resources() {
        let mut r = json!({"version": 1, "execution": {"R_lite": [
            {"rank": "0-1", "children": {"core": "0-3"}}, {"rank": "2", "children": {"core": "1,3", "gpu": "0"}}],
            "nodelist": ["a[1-3]"], "properties": {"big": "1"}, "starttime": 0, "expiration": 0}});
        let plain = Fluxion::from_r(&r, &FluxionConfig::default(), 0).expect("a good R");
        r["scheduling"] = graph_of_r(&r).expect("a good R");
        let graph = Fluxion::from_r(&r, &FluxionConfig::default(), 0).expect("a good graph");
        for criteria in ["status=up", "property=big"] {
            assert_eq!(graph.find(criteria, None, 0), plain.find(criteria, None, 0), "{criteria}");
        }
        for bad in [json!({}), json!({"execution": {"nodelist": ["a"], "R_lite": [{"rank": "0-1", "children": {}}]}})] {
            assert!(graph_of_r(&bad).is_err(), "{bad}");
        }
    }
}
