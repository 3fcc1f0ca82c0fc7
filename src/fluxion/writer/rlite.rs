//! The execution part of R (RFC 20): ranks, their cores and GPUs, hosts and properties.

use crate::graph::{Graph, VertexId};
use crate::hosts::compress_hosts;
use crate::intern::TypeId;
use flux_types::{Idset, IdsetFormat};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What is collected below nodes, in the order it is written.
const REDUCED: &[(TypeId, &str)] = &[(TypeId::CORE, "core"), (TypeId::GPU, "gpu")];

/// Collects ids below a node, then the node itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Rlite {
    pending: [Vec<u32>; REDUCED.len()],
    /// Ranks and hosts by what they have.
    by_children: BTreeMap<String, (Value, Vec<(i32, String)>)>,
    properties: BTreeMap<String, Vec<i32>>,
}

pub(super) struct Parts {
    pub(super) rlite: Value,
    pub(super) nodelist: String,
    pub(super) properties: Map<String, Value>,
}

fn idset_text(ids: impl IntoIterator<Item = u32>) -> String {
    let mut set = Idset::parse("").unwrap_or_default();
    ids.into_iter().for_each(|id| _ = set.insert(id));
    set.encode(IdsetFormat::RANGE)
}

impl Rlite {
    pub(super) fn vertex(&mut self, graph: &Graph, at: VertexId) {
        let vertex = graph.vertex(at);
        if let Some(slot) = REDUCED.iter().position(|(kind, _)| *kind == vertex.kind) {
            self.pending[slot].extend(u32::try_from(vertex.id));
            return;
        }
        let is_host = vertex.kind == TypeId::NODE || vertex.kind == TypeId::STORAGE_NODE;
        if !is_host || self.pending.iter().all(Vec::is_empty) {
            return;
        }
        let mut children = Map::new();
        for ((_, name), ids) in REDUCED.iter().zip(&mut self.pending) {
            if !ids.is_empty() {
                children.insert((*name).into(), idset_text(ids.drain(..)).into());
            }
        }
        let children = Value::Object(children);
        let entry = self.by_children.entry(super::dump_spaced(&children)).or_insert((children, Vec::new()));
        entry.1.push((vertex.rank, vertex.name.to_string()));
        for (key, value) in vertex.properties() {
            let property = if value.is_empty() { key.to_string() } else { format!("{key}={value}") };
            self.properties.entry(property).or_default().push(vertex.rank);
        }
    }

    /// `None` if no node was written.
    pub(super) fn finish(&mut self) -> Option<Parts> {
        let mut hosts: Vec<(i32, String)> = Vec::new();
        let mut list = Vec::new();
        let ranks_text = |ranks: &mut dyn Iterator<Item = i32>| idset_text(ranks.filter_map(|r| u32::try_from(r).ok()));
        for (children, mut ranks) in std::mem::take(&mut self.by_children).into_values() {
            ranks.sort_by_key(|(rank, _)| *rank);
            list.push(json!({"rank": ranks_text(&mut ranks.iter().map(|(rank, _)| *rank)), "children": children}));
            hosts.extend(ranks);
        }
        if list.is_empty() {
            return None;
        }
        hosts.sort_by_key(|(rank, _)| *rank);
        let names: Vec<&str> = hosts.iter().map(|(_, host)| host.as_str()).collect();
        let properties = std::mem::take(&mut self.properties).into_iter();
        Some(Parts {
            rlite: Value::Array(list),
            nodelist: compress_hosts(&names),
            properties: properties.map(|(key, ranks)| (key, ranks_text(&mut ranks.into_iter()).into())).collect(),
        })
    }
}
