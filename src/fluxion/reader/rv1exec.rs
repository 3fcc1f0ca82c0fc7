//! R itself (RFC 20): nodes with cores and GPUs under one cluster.

use super::jgf_parse::malformed;
use crate::error::GraphError;
use crate::graph::{Graph, NewVertex, Status, VertexId};
use crate::hosts::{expand_hosts, split_digits};
use crate::intern::{Subsystem, TypeId};
use flux_types::Idset;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Ids by type name.
pub(super) type Parts = Vec<(String, Idset)>;

/// R as this reader needs it.
pub(super) struct Parsed {
    /// Rank, host and what the rank has, in the order of the document.
    pub(super) ranks: Vec<(i32, String, Parts)>,
    pub(super) properties: BTreeMap<i32, BTreeSet<String>>,
}

fn idset(text: Option<&str>) -> Result<Idset, GraphError> {
    let text = text.ok_or_else(|| malformed("R lacks an idset"))?;
    Idset::parse(text).map_err(|error| malformed(format!("bad idset in R: {error}")))
}

fn rank_of(id: u32) -> Result<i32, GraphError> {
    i32::try_from(id).map_err(|_| GraphError::TooLarge("ranks"))
}

fn document(text: &str) -> Result<Value, GraphError> {
    let value: Value = serde_json::from_str(text).map_err(|error| malformed(format!("R is not JSON: {error}")))?;
    if value["version"].as_i64() != Some(1) {
        return Err(malformed("only R version 1 is supported"));
    }
    Ok(value)
}

fn entries(value: &Value) -> Result<&[Value], GraphError> {
    let list = value["execution"]["R_lite"].as_array();
    list.map(Vec::as_slice).ok_or_else(|| malformed("R has no execution.R_lite"))
}

/// All ranks a document names.
pub(super) fn ranks(text: &str) -> Result<BTreeSet<i32>, GraphError> {
    let value = document(text)?;
    let mut ranks = BTreeSet::new();
    for entry in entries(&value)? {
        for rank in idset(entry["rank"].as_str())?.iter() {
            ranks.insert(rank_of(rank)?);
        }
    }
    Ok(ranks)
}

pub(super) fn parse(text: &str) -> Result<Parsed, GraphError> {
    let value = document(text)?;
    let mut hosts = Vec::new();
    let nodelist = value["execution"]["nodelist"].as_array().ok_or_else(|| malformed("R has no nodelist"))?;
    for text in nodelist {
        let names = text.as_str().and_then(expand_hosts);
        hosts.extend(names.ok_or_else(|| malformed("bad nodelist in R"))?);
    }
    let mut all = Idset::parse("").unwrap_or_default();
    for entry in entries(&value)? {
        all.extend_from(&idset(entry["rank"].as_str())?);
    }
    let mut ranks = Vec::new();
    for entry in entries(&value)? {
        let children = entry["children"].as_object().ok_or_else(|| malformed("R_lite has no children"))?;
        let mut parts = Vec::new();
        for (kind, ids) in children {
            parts.push((kind.clone(), idset(ids.as_str())?));
        }
        for rank in idset(entry["rank"].as_str())?.iter() {
            // Hosts are listed in the order of the ranks.
            let host = hosts.get(all.count_below(rank)).ok_or_else(|| malformed("the nodelist is too short"))?;
            ranks.push((rank_of(rank)?, host.clone(), parts.clone()));
        }
    }
    let mut properties: BTreeMap<i32, BTreeSet<String>> = BTreeMap::new();
    for (key, ids) in value["execution"]["properties"].as_object().into_iter().flatten() {
        for rank in idset(ids.as_str())?.iter() {
            properties.entry(rank_of(rank)?).or_default().insert(key.clone());
        }
    }
    Ok(Parsed { ranks, properties })
}

pub(super) fn load(graph: &mut Graph, text: &str) -> Result<(), GraphError> {
    let parsed = parse(text)?;
    let cluster = NewVertex {
        kind: TypeId::CLUSTER,
        basename: graph.names.intern_text("cluster"),
        unit: graph.names.intern_text(""),
        name: "cluster0".into(),
        id: 0,
        uniq_id: None,
        rank: -1,
        size: 1,
        status: Status::Up,
        properties: BTreeMap::new(),
        paths: vec![(Subsystem::CONTAINMENT, "/cluster0".into())],
    };
    let root = graph.add_vertex(cluster)?;
    add_ranks(graph, root, parsed)
}

/// Adds the ranks that the graph does not have yet.
pub(super) fn grow(graph: &mut Graph, text: &str) -> Result<(), GraphError> {
    let mut parsed = parse(text)?;
    let root = graph.root(Subsystem::CONTAINMENT);
    let root = root.ok_or_else(|| GraphError::Missing("the graph has no root".into()))?;
    parsed.ranks.retain(|(rank, ..)| graph.of_rank(*rank).is_empty());
    add_ranks(graph, root, parsed)
}

fn add_ranks(graph: &mut Graph, root: VertexId, parsed: Parsed) -> Result<(), GraphError> {
    let mut is_seen = BTreeSet::new();
    for (rank, host, parts) in parsed.ranks {
        if !is_seen.insert(rank) {
            return Err(GraphError::Duplicate(format!("found duplicate vertex in graph for {host}")));
        }
        let (prefix, digits) = split_digits(&host);
        let id = if digits.is_empty() { -1 } else { digits.parse().map_err(|_| malformed("host number too large"))? };
        let basename = if prefix.is_empty() { &host } else { prefix };
        let tags = parsed.properties.get(&rank).into_iter().flatten();
        let properties = tags.map(|key| (key.clone(), String::new())).collect();
        let node = add_below(graph, root, TypeId::NODE, basename, &host, id, rank, properties)?;
        for (kind, ids) in parts {
            let kind_id = graph.names.intern_type(&kind).ok_or(GraphError::TooLarge("types"))?;
            for id in ids.iter() {
                add_below(graph, node, kind_id, &kind, &format!("{kind}{id}"), i64::from(id), rank, BTreeMap::new())?;
            }
        }
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "one call per kind of vertex, each with all its fields")]
fn add_below(
    graph: &mut Graph,
    parent: VertexId,
    kind: TypeId,
    basename: &str,
    name: &str,
    id: i64,
    rank: i32,
    properties: BTreeMap<String, String>,
) -> Result<VertexId, GraphError> {
    let above = graph.vertex(parent).path(Subsystem::CONTAINMENT).unwrap_or("");
    let path = format!("{above}/{name}").into_boxed_str();
    let (basename, unit) = (graph.names.intern_text(basename), graph.names.intern_text(""));
    let vertex = graph.add_vertex(NewVertex {
        kind,
        basename,
        unit,
        name: name.into(),
        id,
        uniq_id: None,
        rank,
        size: 1,
        status: Status::Up,
        properties,
        paths: vec![(Subsystem::CONTAINMENT, path)],
    })?;
    graph.add_edge(parent, vertex, Subsystem::CONTAINMENT)?;
    Ok(vertex)
}
