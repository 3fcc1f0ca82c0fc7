//! R as a claim on resources that exist. The graph may know more of their structure than R does.

use super::{Claim, rv1exec::parse};
use crate::error::GraphError;
use crate::graph::{Graph, VertexId};
use crate::intern::{Subsystem, TypeId};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn claim(graph: &mut Graph, text: &str) -> Result<Claim, GraphError> {
    let parsed = parse(text)?;
    let root = graph.root(Subsystem::CONTAINMENT);
    let root = root.ok_or_else(|| GraphError::Missing("the graph has no root".into()))?;
    let mut claim = Claim { root: Some((graph.vertex(root).size, false)), ..Claim::default() };
    let mut is_linked = BTreeSet::new();
    for (rank, host, parts) in parsed.ranks {
        let node = find_node(graph, rank, &host)?;
        let below = graph.subtree(node, Subsystem::CONTAINMENT);
        let by_id: BTreeMap<(TypeId, i64), VertexId> =
            below.iter().map(|at| ((graph.vertex(*at).kind, graph.vertex(*at).id), *at)).collect();
        let mut held = BTreeSet::new();
        for (kind, ids) in parts {
            for id in ids.iter() {
                let kind = graph.names.find_type(&kind);
                let found = kind.and_then(|kind| by_id.get(&(kind, i64::from(id))));
                held.insert(*found.ok_or_else(|| missing(&host, id))?);
            }
        }
        // A node is taken whole if all that R can name of it is taken.
        let counts = |at: &VertexId| *at != node && graph.out_edges(*at).is_empty();
        let is_whole = below.iter().filter(|at| counts(at)).all(|at| held.contains(at));
        claim.exclusive.extend(&held);
        match is_whole {
            true => claim.exclusive.push(node),
            false => claim.shared.push(node),
        }
        link(graph, root, node, is_whole, &mut is_linked, &mut claim);
        for at in &held {
            link(graph, root, *at, true, &mut is_linked, &mut claim);
        }
    }
    Ok(claim)
}

fn missing(host: &str, id: u32) -> GraphError {
    GraphError::Missing(format!("couldn't find vertex {id} in graph for {host}"))
}

fn find_node(graph: &Graph, rank: i32, host: &str) -> Result<VertexId, GraphError> {
    let is_it = |at: &VertexId| graph.vertex(*at).kind == TypeId::NODE && *graph.vertex(*at).name == *host;
    let found = graph.of_rank(rank).iter().copied().find(is_it);
    found.ok_or_else(|| GraphError::Missing(format!("couldn't find vertex in graph for {host}")))
}

/// Records the way from the root to a vertex; what is between is shared unless it is claimed itself.
fn link(
    graph: &Graph,
    root: VertexId,
    at: VertexId,
    is_exclusive: bool,
    is_linked: &mut BTreeSet<VertexId>,
    claim: &mut Claim,
) {
    let (mut at, mut is_exclusive) = (at, is_exclusive);
    while at != root
        && is_linked.insert(at)
        && let Some(parent) = graph.parent(at, Subsystem::CONTAINMENT)
    {
        claim.edges.push((parent, at, graph.vertex(at).size, is_exclusive));
        (at, is_exclusive) = (parent, false);
    }
}
