//! What JGF says of a vertex (RFC 40), with its defaults.

use crate::error::GraphError;
use crate::graph::{Graph, NewVertex, Status};
use crate::intern::Subsystem;
use serde_json::Value;
use std::collections::BTreeMap;

/// One entry of `nodes`.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) key: String,
    pub(super) is_exclusive: bool,
    pub(super) vertex: NewVertex,
}

/// One entry of `edges`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<'v> {
    pub(super) source: &'v str,
    pub(super) target: &'v str,
    pub(super) subsystem: &'v str,
}

pub(super) fn malformed(what: impl Into<String>) -> GraphError {
    GraphError::Malformed(what.into())
}

/// The document, its nodes and its edges.
pub(super) fn parse(text: &str) -> Result<Value, GraphError> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| malformed(format!("not JSON: {error}")))?;
    // R itself will do: the graph is in its scheduling part (RFC 20).
    if value.get("graph").is_none()
        && let Some(scheduling) = value.get_mut("scheduling")
    {
        value = scheduling.take();
    }
    for (key, inner) in [("graph", None), ("nodes", Some("graph")), ("edges", Some("graph"))] {
        let holder = inner.map_or(Some(&value), |inner| value.get(inner));
        let found = holder.and_then(|holder| holder.get(key));
        if !found.is_some_and(|found| found.is_object() || found.is_array()) {
            return Err(malformed(format!("JGF does not contain a required key ({key})")));
        }
    }
    Ok(value)
}

pub(super) fn list<'v>(document: &'v Value, key: &str) -> &'v [Value] {
    document["graph"][key].as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn parse_link(value: &Value) -> Result<Link<'_>, GraphError> {
    let text = |key: &str| value[key].as_str().ok_or_else(|| malformed("encountered a malformed edge"));
    let subsystem = match &value["metadata"]["subsystem"] {
        Value::Null => "containment",
        Value::String(subsystem) => subsystem,
        _ => return Err(malformed("could not unpack edge metadata")),
    };
    Ok(Link { source: text("source")?, target: text("target")?, subsystem })
}

pub(super) fn parse_node(graph: &mut Graph, value: &Value) -> Result<Node, GraphError> {
    let key = value["id"].as_str().ok_or_else(|| malformed("JGF vertex id key is not found in a node"))?;
    let meta = value["metadata"].as_object();
    let meta = meta.ok_or_else(|| malformed(format!("key (metadata) is not found in an JGF node for {key}")))?;
    let bad = || malformed(format!("malformed metadata in an JGF node for {key}"));
    let text = |name: &str| match meta.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(bad()),
    };
    let number = |name: &str| match meta.get(name) {
        None => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(bad),
    };
    let kind = text("type")?.ok_or_else(bad)?;
    let uniq_id = match number("uniq_id")?.filter(|id| *id != -1) {
        Some(id) => id,
        None => key.parse().map_err(|_| malformed(format!("uniq_id could not be inferred from id {key}")))?,
    };
    let name = text("name")?;
    let id = match number("id")?.filter(|id| *id != -2) {
        Some(id) => id,
        None => default_id(kind, name).unwrap_or(uniq_id),
    };
    let basename = text("basename")?.unwrap_or(kind);
    let size = number("size")?.filter(|size| *size != -1).unwrap_or(1);
    let rank = number("rank")?.unwrap_or(-1);
    let is_exclusive = match meta.get("exclusive") {
        None => false,
        Some(value) => value.as_bool().ok_or_else(bad)?,
    };
    let status = if number("status")?.unwrap_or(0) == 0 { Status::Up } else { Status::Down };
    let paths = parse_paths(graph, meta.get("paths").ok_or_else(bad)?).ok_or_else(bad)?;
    let properties = parse_properties(meta.get("properties"))
        .ok_or_else(|| malformed(format!("key (properties) must be an object or null for {key}")))?;
    let names = &mut graph.names;
    let vertex = NewVertex {
        kind: names.intern_type(kind).ok_or(GraphError::TooLarge("types"))?,
        basename: names.intern_text(basename),
        unit: names.intern_text(text("unit")?.unwrap_or("")),
        name: name.map_or_else(|| format!("{basename}{id}"), str::to_string).into_boxed_str(),
        id,
        uniq_id: Some(uniq_id),
        rank: i32::try_from(rank).map_err(|_| bad())?,
        size: u32::try_from(size).map_err(|_| bad())?,
        status,
        properties,
        paths,
    };
    Ok(Node { key: key.to_string(), is_exclusive, vertex })
}

/// A node without an id takes the number at the end of its name.
fn default_id(kind: &str, name: Option<&str>) -> Option<i64> {
    let (_, digits) = crate::hosts::split_digits(name.filter(|_| kind == "node")?);
    digits.parse().ok()
}

fn parse_paths(graph: &mut Graph, value: &Value) -> Option<Vec<(Subsystem, Box<str>)>> {
    let mut paths = Vec::new();
    for (subsystem, path) in value.as_object()? {
        paths.push((graph.names.intern_subsystem(subsystem)?, path.as_str()?.into()));
    }
    paths.sort_by_key(|(subsystem, _)| *subsystem);
    Some(paths)
}

fn parse_properties(value: Option<&Value>) -> Option<BTreeMap<String, String>> {
    let map = match value {
        None | Some(Value::Null) => return Some(BTreeMap::new()),
        Some(value) => value.as_object()?,
    };
    map.iter().map(|(key, value)| Some((key.clone(), value.as_str()?.to_string()))).collect()
}
