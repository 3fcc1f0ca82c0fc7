//! The XML of hwloc, versions 1 and 2: what one machine is made of.

use super::jgf_parse::malformed;
use crate::error::GraphError;
use crate::graph::{Graph, NewVertex, Status, VertexId};
use crate::hosts::split_digits;
use crate::intern::{Subsystem, TypeId};
use crate::limits::GRAPH_DEPTH_MAX;
use roxmltree::{Document, Node, ParsingOptions};
use std::collections::{BTreeMap, BTreeSet};

/// Adds a cluster, if there is none yet, and the machine under it.
pub(super) fn load(
    graph: &mut Graph,
    text: &str,
    allowlist: &BTreeSet<String>,
    rank: Option<i32>,
) -> Result<(), GraphError> {
    let options = ParsingOptions { allow_dtd: true, nodes_limit: 4_000_000, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| malformed(error.to_string()))?;
    let top = document.descendants().find(|node| is_object(node)).ok_or_else(|| malformed("no hwloc topology"))?;
    let mut walk = Walk { graph, allowlist, rank, node_count: 0, next_id: BTreeMap::new() };
    let root = walk.cluster()?;
    walk.walk(top, root, 0)
}

fn is_object(node: &Node) -> bool {
    node.is_element() && node.tag_name().name() == "object"
}

struct Walk<'a> {
    graph: &'a mut Graph,
    allowlist: &'a BTreeSet<String>,
    rank: Option<i32>,
    node_count: i32,
    /// Logical index by hwloc type: the order of a depth-first walk.
    next_id: BTreeMap<String, i64>,
}

/// A resource as hwloc describes it.
struct Found {
    kind: &'static str,
    basename: String,
    name: Option<String>,
    id: i64,
    size: u32,
    properties: BTreeMap<String, String>,
}

impl Walk<'_> {
    fn cluster(&mut self) -> Result<VertexId, GraphError> {
        if let Some(root) = self.graph.root(Subsystem::CONTAINMENT) {
            return Ok(root);
        }
        let found = Found {
            kind: "cluster",
            basename: "cluster".into(),
            name: None,
            id: 0,
            size: 1,
            properties: BTreeMap::new(),
        };
        self.add(None, found, -1)
    }

    fn walk(&mut self, object: Node, parent: VertexId, depth: usize) -> Result<(), GraphError> {
        if depth > GRAPH_DEPTH_MAX * 4 {
            return Err(GraphError::TooDeep);
        }
        let mut below = parent;
        if let Some(found) = self.describe(object)? {
            let rank = self.rank.unwrap_or_else(|| if found.kind == "node" { self.node_count } else { -1 });
            self.node_count += i32::from(found.kind == "node");
            below = self.add(Some(parent), found, rank)?;
        }
        // Memory and devices come after what computes.
        let weight = |child: &Node| match child.attribute("type").unwrap_or("") {
            "NUMANode" | "MemCache" => 1,
            "Bridge" | "PCIDev" | "OSDev" => 2,
            "Misc" => 3,
            _ => 0,
        };
        let is_new_form = depth == 0 || object.attribute("gp_index").is_some();
        let mut children: Vec<Node> = object.children().filter(is_object).collect();
        if is_new_form {
            children.sort_by_key(weight);
        }
        children.into_iter().try_for_each(|child| self.walk(child, below, depth + 1))
    }

    fn add(&mut self, parent: Option<VertexId>, found: Found, rank: i32) -> Result<VertexId, GraphError> {
        let names = &mut self.graph.names;
        let kind = names.intern_type(found.kind).ok_or(GraphError::TooLarge("types"))?;
        let (basename, unit) = (names.intern_text(&found.basename), names.intern_text(""));
        let id_text = if found.id == -1 { String::new() } else { found.id.to_string() };
        let name = found.name.unwrap_or_else(|| format!("{}{id_text}", found.basename));
        let above = parent.and_then(|parent| self.graph.vertex(parent).path(Subsystem::CONTAINMENT)).unwrap_or("");
        let path = format!("{above}/{name}").into_boxed_str();
        let at = self.graph.add_vertex(NewVertex {
            kind,
            basename,
            unit,
            name: name.into_boxed_str(),
            id: found.id,
            uniq_id: None,
            rank,
            size: found.size,
            status: Status::Up,
            properties: found.properties,
            paths: vec![(Subsystem::CONTAINMENT, path)],
        })?;
        if let Some(parent) = parent {
            self.graph.add_edge(parent, at, Subsystem::CONTAINMENT)?;
        }
        debug_assert!(kind != TypeId::SLOT, "hwloc knows no slots");
        Ok(at)
    }

    fn is_wanted(&self, kind: &str) -> bool {
        self.allowlist.is_empty() || self.allowlist.contains(kind)
    }

    /// `None` for what is no resource, or not wanted.
    fn describe(&mut self, object: Node) -> Result<Option<Found>, GraphError> {
        let kind = object.attribute("type").unwrap_or("");
        let id = self.next_id.entry(kind.to_string()).or_default();
        let logical = std::mem::replace(id, *id + 1);
        let plain = |kind: &'static str, basename: &str, size: u32| Found {
            kind,
            basename: basename.to_string(),
            name: None,
            id: logical,
            size,
            properties: BTreeMap::new(),
        };
        let found = match kind {
            "Machine" => match info(object, "HostName") {
                Some(host) if self.is_wanted("node") => Some(machine(host)?),
                _ => None,
            },
            "Group" => self.is_wanted("group").then(|| plain("group", "group", 1)),
            "NUMANode" => self.is_wanted("numanode").then(|| plain("numanode", "numanode", 1)),
            "Package" | "Socket" => self.is_wanted("socket").then(|| plain("socket", "socket", 1)),
            "Core" => self.is_wanted("core").then(|| plain("core", "core", 1)),
            "PU" => self.is_wanted("pu").then(|| plain("pu", "pu", 1)),
            "Cache" | "L1Cache" | "L2Cache" | "L3Cache" => {
                let depth =
                    object.attribute("depth").unwrap_or_else(|| kind.trim_start_matches('L').get(..1).unwrap_or("1"));
                let basename = format!("L{depth}cache");
                let bytes: u64 = object.attribute("cache_size").and_then(|size| size.parse().ok()).unwrap_or(0);
                let size = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
                (self.is_wanted(&basename) && splits(object)).then(|| plain("cache", &basename, size))
            }
            "OSDev" => self.device(object)?,
            _ => None,
        };
        Ok(found)
    }

    fn device(&self, object: Node) -> Result<Option<Found>, GraphError> {
        let name = object.attribute("name").unwrap_or("");
        let kind = object.attribute("osdev_type").unwrap_or("");
        let is_gpu = kind == "5" || (kind == "1" && name.starts_with("rsmi"));
        if is_gpu && self.is_wanted("gpu") {
            let (_, digits) = split_digits(name);
            let id = digits.parse().unwrap_or(0);
            let found =
                Found { kind: "gpu", basename: "gpu".into(), name: None, id, size: 1, properties: BTreeMap::new() };
            return Ok(Some(found));
        }
        if kind != "0" || !self.is_wanted("storage") {
            return Ok(None);
        }
        let kilobytes = info(object, "Size").and_then(|size| size.parse::<u64>().ok()).filter(|size| *size > 0);
        let kilobytes = kilobytes.ok_or_else(|| malformed("a block device has no size"))?;
        let device = info(object, "LinuxDeviceID").unwrap_or("-1").to_string();
        Ok(Some(Found {
            kind: "storage",
            basename: "storage".into(),
            name: None,
            id: 0,
            size: u32::try_from(kilobytes / 1_000_000).unwrap_or(u32::MAX),
            properties: BTreeMap::from([("LinuxDeviceID".into(), device)]),
        }))
    }
}

fn machine(host: &str) -> Result<Found, GraphError> {
    let (prefix, digits) = split_digits(host);
    let id = if digits.is_empty() { -1 } else { digits.parse().map_err(|_| malformed("host number too large"))? };
    let basename = if prefix.is_empty() { host } else { prefix };
    Ok(Found {
        kind: "node",
        basename: basename.into(),
        name: Some(host.into()),
        id,
        size: 1,
        properties: BTreeMap::new(),
    })
}

fn info<'x>(object: Node<'x, 'x>, name: &str) -> Option<&'x str> {
    let infos = object.children().filter(|child| child.is_element() && child.tag_name().name() == "info");
    infos.filter(|info| info.attribute("name") == Some(name)).find_map(|info| info.attribute("value"))
}

/// A cache matters if it is shared by more than one of what is below it.
fn splits(object: Node) -> bool {
    object.children().filter(is_object).filter(|child| child.attribute("cpuset").is_some()).count() > 1
}
