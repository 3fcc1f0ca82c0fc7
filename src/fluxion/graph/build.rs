//! Growing and shrinking.

use super::vertex::{Status, Vertex};
use super::{Edge, EdgeId, Graph, VertexId};
use crate::error::GraphError;
use crate::intern::{Subsystem, Text, TypeId};
use crate::limits::{EDGE_COUNT_MAX, VERTEX_COUNT_MAX};
use crate::planner::Timeline;
use std::collections::BTreeMap;

/// What a reader knows of a vertex it adds.
#[derive(Clone, Debug)]
pub struct NewVertex {
    pub kind: TypeId,
    pub basename: Text,
    pub unit: Text,
    pub name: Box<str>,
    pub id: i64,
    /// `None`: its index.
    pub uniq_id: Option<i64>,
    pub rank: i32,
    pub size: u32,
    pub status: Status,
    pub properties: BTreeMap<String, String>,
    pub paths: Vec<(Subsystem, Box<str>)>,
}

impl Graph {
    /// Adds a vertex. A path of one component makes it the root of that subsystem.
    ///
    /// # Errors
    /// `TooLarge` at the limit; `Duplicate` if a subsystem gets a second root.
    pub fn add_vertex(&mut self, new: NewVertex) -> Result<VertexId, GraphError> {
        if self.vertices.len() >= VERTEX_COUNT_MAX {
            return Err(GraphError::TooLarge("vertices"));
        }
        let at = VertexId(self.vertices.len() as u32);
        for (subsystem, path) in &new.paths {
            if path.bytes().filter(|byte| *byte == b'/').count() == 1 {
                if self.roots.contains_key(subsystem) {
                    return Err(GraphError::Duplicate(format!(
                        "failed to add root metadata for {} subsystem. Possible duplicate root.",
                        self.names.subsystem_name(*subsystem)
                    )));
                }
                self.roots.insert(*subsystem, at);
            }
        }
        self.by_type.entry(new.kind).or_default().push(at);
        self.by_rank.entry(new.rank).or_default().push(at);
        self.by_path = None;
        self.clear_rankings();
        self.node_index = None;
        self.is_scored = false;
        if new.kind == TypeId::NODE && new.status == Status::Up {
            self.nodes_up += 1;
        }
        self.vertices.push(Vertex {
            kind: new.kind,
            basename: new.basename,
            unit: new.unit,
            name: new.name,
            id: new.id,
            uniq_id: new.uniq_id.unwrap_or(i64::from(at.0)),
            rank: new.rank,
            size: new.size,
            status: new.status,
            is_removed: false,
            leads_to_nodes: new.kind == TypeId::NODE,
            properties: new.properties,
            paths: new.paths,
            out: Vec::new(),
            into: Vec::new(),
            child_kinds: Vec::new(),
            plan: Timeline::default(),
            jobs: Timeline::default(),
            allocation_count: 0,
            reservation_count: 0,
            held_units: 0,
            running_count: 0,
            waiting_count: 0,
            script_score: 0,
            below: None,
        });
        Ok(at)
    }

    /// Gives a vertex a path in one more subsystem.
    pub fn add_path(&mut self, at: VertexId, subsystem: Subsystem, path: Box<str>) {
        let paths = &mut self.vertices[at.0 as usize].paths;
        match paths.iter_mut().find(|(of, _)| *of == subsystem) {
            Some(slot) => slot.1 = path,
            None => {
                paths.push((subsystem, path));
                paths.sort_by_key(|(of, _)| *of);
            }
        }
        self.by_path = None;
    }

    /// Adds a relation; the same two vertices in the same subsystem are related once.
    ///
    /// # Errors
    /// `TooLarge` at the limit.
    pub fn add_edge(&mut self, source: VertexId, target: VertexId, subsystem: Subsystem) -> Result<EdgeId, GraphError> {
        if self.edges.len() >= EDGE_COUNT_MAX {
            return Err(GraphError::TooLarge("edges"));
        }
        let at = EdgeId(self.edges.len() as u32);
        self.edges.push(Edge { source, target, subsystem });
        push_tight(&mut self.vertices[source.0 as usize].out, at);
        push_tight(&mut self.vertices[target.0 as usize].into, at);
        let kind = self.vertices[target.0 as usize].kind;
        let kinds = &mut self.vertices[source.0 as usize].child_kinds;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
        self.orders.forget(source);
        self.clear_rankings();
        Ok(at)
    }

    /// The edge from one vertex to another, in whichever subsystem.
    pub fn edge_between(&self, source: VertexId, target: VertexId) -> Option<EdgeId> {
        self.vertex(target).into.iter().copied().find(|edge| self.edge(*edge).source == source)
    }

    pub fn set_edge_subsystem(&mut self, at: EdgeId, subsystem: Subsystem) {
        self.edges[at.0 as usize].subsystem = subsystem;
    }

    /// Takes vertices out of every index and off their edges. Their indices stay valid and idle.
    pub fn remove_vertices(&mut self, gone: &[VertexId]) {
        for at in gone {
            let vertex = &mut self.vertices[at.0 as usize];
            if std::mem::replace(&mut vertex.is_removed, true) {
                continue;
            }
            let (kind, rank, status) = (vertex.kind, vertex.rank, vertex.status);
            vertex.child_kinds.clear();
            let edges: Vec<EdgeId> = vertex.out.drain(..).chain(vertex.into.drain(..)).collect();
            for edge in edges {
                let Edge { source, target, .. } = self.edges[edge.0 as usize];
                self.vertices[source.0 as usize].out.retain(|out| *out != edge);
                self.vertices[target.0 as usize].into.retain(|into| *into != edge);
                self.refresh_child_kinds(source);
                self.orders.forget(source);
            }
            if kind == TypeId::NODE && status == Status::Up {
                self.nodes_up -= 1;
            }
            if let Some(list) = self.by_type.get_mut(&kind) {
                list.retain(|other| other != at);
            }
            if let Some(list) = self.by_rank.get_mut(&rank) {
                list.retain(|other| other != at);
            }
        }
        self.clear_rankings();
        self.node_index = None;
        self.roots.retain(|_, root| !gone.contains(root));
        self.by_path = None;
    }

    fn refresh_child_kinds(&mut self, at: VertexId) {
        let targets = self.vertex(at).out.iter().map(|edge| self.edge(*edge).target);
        let mut kinds: Vec<TypeId> = targets.map(|target| self.vertex(target).kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        self.vertex_mut(at).child_kinds = kinds;
    }
}

/// Grows a list no further than to twice its length: most have one entry.
fn push_tight(list: &mut Vec<EdgeId>, at: EdgeId) {
    if list.capacity() == list.len() {
        list.reserve_exact(1 + list.len());
    }
    list.push(at);
}
