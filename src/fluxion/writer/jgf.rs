//! JSON Graph Format (RFC 40), in full or without what is below an exclusive vertex.

use super::Emit;
use crate::graph::{EdgeId, Graph};
use crate::intern::Subsystem;
use serde_json::{Map, Value, json};

#[derive(Clone, Debug)]
pub(super) struct Jgf {
    is_short: bool,
    pub(super) has_left_out: bool,
    nodes: Vec<Value>,
    edges: Vec<Value>,
}

impl Jgf {
    pub(super) fn new(is_short: bool) -> Jgf {
        Jgf { is_short, has_left_out: false, nodes: Vec::new(), edges: Vec::new() }
    }

    fn leaves_out(&mut self, is_parent_exclusive: bool) -> bool {
        let leaves_out = self.is_short && is_parent_exclusive;
        self.has_left_out |= leaves_out;
        leaves_out
    }

    pub(super) fn vertex(&mut self, graph: &Graph, emit: &Emit) {
        if self.leaves_out(emit.is_parent_exclusive) {
            return;
        }
        let vertex = graph.vertex(emit.at);
        let names = &graph.names;
        let (kind, basename) = (names.type_name(vertex.kind), names.text(vertex.basename));
        let mut meta = Map::new();
        meta.insert("type".into(), kind.into());
        if basename != kind {
            meta.insert("basename".into(), basename.into());
        }
        let is_plain_name = vertex.name.strip_prefix(basename).is_some_and(|id| id == vertex.id.to_string());
        if !is_plain_name {
            meta.insert("name".into(), (*vertex.name).into());
        }
        meta.insert("id".into(), vertex.id.into());
        meta.insert("rank".into(), vertex.rank.into());
        let properties: Map<String, Value> = vertex.properties().map(|(k, v)| (k.into(), v.into())).collect();
        if !properties.is_empty() {
            meta.insert("properties".into(), Value::Object(properties));
        }
        if !names.text(vertex.unit).is_empty() {
            meta.insert("unit".into(), names.text(vertex.unit).into());
        }
        if emit.is_exclusive {
            meta.insert("exclusive".into(), true.into());
        }
        if emit.needs != 1 {
            meta.insert("size".into(), emit.needs.into());
        }
        let paths: Map<String, Value> =
            vertex.paths().map(|(subsystem, path)| (names.subsystem_name(subsystem).into(), path.into())).collect();
        if !paths.is_empty() {
            meta.insert("paths".into(), Value::Object(paths));
        }
        if let Some(label) = emit.label {
            meta.insert("ephemeral".into(), json!({"label": label}));
        }
        if let Some(filters) = emit.filters.filter(|filters| !filters.is_empty()) {
            let filters: Map<String, Value> = filters.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
            meta.insert("agfilter".into(), Value::Object(filters));
        }
        self.nodes.push(json!({"id": vertex.uniq_id.to_string(), "metadata": meta}));
    }

    pub(super) fn edge(&mut self, graph: &Graph, edge: EdgeId, is_parent_exclusive: bool) {
        if self.leaves_out(is_parent_exclusive) {
            return;
        }
        let edge = graph.edge(edge);
        let id = |at| graph.vertex(at).uniq_id.to_string();
        let mut value = json!({"source": id(edge.source), "target": id(edge.target)});
        if edge.subsystem != Subsystem::CONTAINMENT {
            value["metadata"] = json!({"subsystem": graph.names.subsystem_name(edge.subsystem)});
        }
        self.edges.push(value);
    }

    pub(super) fn finish(self) -> Result<Option<Value>, String> {
        match (self.nodes.is_empty(), self.edges.is_empty()) {
            (true, true) => Ok(None),
            (false, false) => {
                let mut value = json!({"graph": {"nodes": self.nodes, "edges": self.edges}});
                if self.has_left_out {
                    value["writer"] = "fluxion:jgf_shorthand".into();
                }
                Ok(Some(value))
            }
            _ => Err("a graph needs both nodes and edges".into()),
        }
    }
}
