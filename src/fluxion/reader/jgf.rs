//! JGF into vertices and edges (RFC 40).

use super::jgf_parse::{list, malformed, parse, parse_link, parse_node};
use crate::error::GraphError;
use crate::graph::{Graph, VertexId};
use crate::intern::Subsystem;
use indexmap::IndexMap;

/// Adds all vertices the graph does not have yet, and the edges of those it adds. A vertex is known by path and rank.
pub(super) fn load(graph: &mut Graph, text: &str) -> Result<(), GraphError> {
    let document = parse(text)?;
    let mut by_path: IndexMap<(Subsystem, Box<str>), Vec<VertexId>> = IndexMap::new();
    for at in graph.vertex_ids() {
        for (subsystem, path) in graph.vertex(at).paths() {
            by_path.entry((subsystem, path.into())).or_default().push(at);
        }
    }
    let mut by_key: IndexMap<String, (VertexId, bool)> = IndexMap::new();
    for value in list(&document, "nodes") {
        let node = parse_node(graph, value)?;
        let (paths, rank) = (node.vertex.paths.clone(), node.vertex.rank);
        let at_paths = paths.iter().filter_map(|path| by_path.get(path)).flatten();
        let known = at_paths.copied().find(|at| graph.vertex(*at).rank == rank);
        let at = match known {
            Some(at) => at,
            None => graph.add_vertex(node.vertex)?,
        };
        if known.is_none() {
            paths.into_iter().for_each(|path| by_path.entry(path).or_default().push(at));
        }
        if by_key.insert(node.key.clone(), (at, known.is_none())).is_some() {
            return Err(GraphError::Duplicate(format!("found duplicate JGF node id for {}", node.key)));
        }
    }
    for value in list(&document, "edges") {
        let link = parse_link(value)?;
        let (Some((source, is_new_source)), Some((target, is_new_target))) =
            (by_key.get(link.source), by_key.get(link.target))
        else {
            return Err(malformed(format!(
                "source and/or target vertex not found: {} -> {}",
                link.source, link.target
            )));
        };
        let subsystem = graph.names.intern_subsystem(link.subsystem).ok_or(GraphError::TooLarge("subsystems"))?;
        if *is_new_source || *is_new_target {
            graph.add_edge(*source, *target, subsystem)?;
        }
    }
    Ok(())
}
