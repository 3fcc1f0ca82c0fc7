//! JGF as a claim on resources that exist.

use super::Claim;
use super::jgf_parse::{Node, list, malformed, parse, parse_link, parse_node};
use crate::error::GraphError;
use crate::graph::{Graph, VertexId};
use crate::intern::Subsystem;
use flux_types::Idset;
use indexmap::IndexMap;
use serde_json::Value;

/// `is_short`: what is below an exclusive vertex is left out and exclusive too.
pub(super) fn claim(graph: &mut Graph, text: &str, is_short: bool) -> Result<Claim, GraphError> {
    let document = parse(text)?;
    let freed = freed_ranks(&document)?;
    let mut claim = Claim::default();
    let mut by_key: IndexMap<String, (VertexId, u32, bool)> = IndexMap::new();
    for value in list(&document, "nodes") {
        let node = parse_node(graph, value)?;
        let at = locate(graph, &node)?;
        // Ranks that were given back before are still in the document.
        if u32::try_from(node.vertex.rank).is_ok_and(|rank| freed.as_ref().is_some_and(|freed| freed.contains(rank))) {
            continue;
        }
        let entry = (at, node.vertex.size, node.is_exclusive);
        if by_key.insert(node.key.clone(), entry).is_some() {
            return Err(malformed(format!("found duplicate JGF node id for {}", node.key)));
        }
        match node.is_exclusive {
            true => claim.exclusive.push(at),
            false => claim.shared.push(at),
        }
        if graph.root(Subsystem::CONTAINMENT) == Some(at) {
            claim.root = Some((node.vertex.size, node.is_exclusive));
        }
        if is_short && node.is_exclusive {
            claim_below(graph, at, &mut claim);
        }
    }
    for value in list(&document, "edges") {
        let link = parse_link(value)?;
        let (Some((source, ..)), Some((target, size, is_exclusive))) =
            (by_key.get(link.source), by_key.get(link.target))
        else {
            if freed.is_some() {
                continue;
            }
            return Err(malformed(format!(
                "source and/or target vertex not found: {} -> {}",
                link.source, link.target
            )));
        };
        claim.edges.push((*source, *target, *size, *is_exclusive));
    }
    Ok(claim)
}

fn freed_ranks(document: &Value) -> Result<Option<Idset>, GraphError> {
    let Some(value) = document.get("free_ranks") else { return Ok(None) };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
    Idset::parse(&text).map(Some).map_err(|_| malformed("failed to decode ranks"))
}

fn claim_below(graph: &Graph, at: VertexId, claim: &mut Claim) {
    for source in graph.subtree(at, Subsystem::CONTAINMENT) {
        for (_, child) in graph.children(source, Subsystem::CONTAINMENT) {
            claim.exclusive.push(child);
            claim.edges.push((source, child, graph.vertex(child).size, true));
        }
    }
}

/// The vertex a node stands for; it must be the same in all that does not change.
fn locate(graph: &mut Graph, node: &Node) -> Result<VertexId, GraphError> {
    let mut found = None;
    for (_, path) in &node.vertex.paths {
        let at_path = graph.at_path(path);
        let at = at_path.into_iter().find(|at| graph.vertex(*at).rank == node.vertex.rank);
        let Some(at) = at else {
            return Err(GraphError::Missing(format!(
                "inconsistent input vertex: nonexistent path ({path}) {}",
                node.key
            )));
        };
        if found.is_some_and(|found| found != at) {
            return Err(malformed(format!("inconsistent input vertex for {path} (id={})", node.key)));
        }
        found = Some(at);
    }
    let at = found.ok_or_else(|| GraphError::Missing(format!("vertex {} has no path", node.key)))?;
    let (have, said) = (graph.vertex(at), &node.vertex);
    let is_same = have.kind == said.kind
        && have.basename == said.basename
        && have.size == said.size
        && have.id == said.id
        && have.name == said.name
        && have.paths().eq(said.paths.iter().map(|(subsystem, path)| (*subsystem, &**path)));
    if is_same { Ok(at) } else { Err(malformed(format!("inconsistent input vertex for {}", node.key))) }
}
