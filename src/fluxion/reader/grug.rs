//! GRUG: a small graph of kinds from which a large graph of resources is made.

use super::grug_recipe::{Method, Recipe, RelationSpec, parse};
use crate::error::GraphError;
use crate::graph::{Graph, NewVertex, Status, VertexId};
use crate::intern::{Subsystem, TypeId};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

pub(super) fn load(graph: &mut Graph, text: &str) -> Result<(), GraphError> {
    let recipe = parse(text)?;
    let mut maker = Maker {
        graph,
        recipe: &recipe,
        made: vec![Vec::new(); recipe.pools.len()],
        scales: VecDeque::new(),
        last_rank: -1,
    };
    let mut is_seen = vec![false; recipe.pools.len()];
    for start in 0..recipe.pools.len() {
        if !is_seen[start] {
            maker.walk(start, &mut is_seen, 0)?;
        }
    }
    Ok(())
}

/// The recipe in the DOT language: kinds and relations by name, or with all that matters of them.
///
/// # Errors
/// What is wrong with the recipe.
pub fn dot_of_recipe(text: &str, is_detailed: bool) -> Result<String, GraphError> {
    let recipe = parse(text)?;
    let mut out = String::from("digraph G {\n");
    for (at, pool) in recipe.pools.iter().enumerate() {
        let label = match is_detailed {
            true => format!("{}:{}:{}", pool.subsystem, pool.basename, pool.size),
            false => pool.basename.clone(),
        };
        writeln!(out, "{at}[label=\"{label}\"];").expect("a string takes all");
    }
    for relation in &recipe.relations {
        let label = match is_detailed {
            true => format!("{}:{}:{}", relation.relation, relation.method_name, relation.scale),
            false => relation.relation.clone(),
        };
        writeln!(out, "{}->{} [label=\"{label}\"];", relation.source, relation.target).expect("a string takes all");
    }
    out.push_str("}\n");
    Ok(out)
}

struct Maker<'a> {
    graph: &'a mut Graph,
    recipe: &'a Recipe,
    /// What was made, or found, of every kind last.
    made: Vec<Vec<VertexId>>,
    /// How many of a kind there are for one of the kind above it, the innermost first.
    scales: VecDeque<u32>,
    last_rank: i32,
}

impl Maker<'_> {
    /// Depth first over the kinds; every kind is reached once.
    fn walk(&mut self, from: usize, is_seen: &mut [bool], depth: usize) -> Result<(), GraphError> {
        if depth > crate::limits::GRAPH_DEPTH_MAX {
            return Err(GraphError::TooDeep);
        }
        is_seen[from] = true;
        let recipe = self.recipe;
        for relation in recipe.relations.iter().filter(|relation| relation.source == from) {
            if !is_seen[relation.target] {
                self.relate(relation)?;
                self.walk(relation.target, is_seen, depth + 1)?;
            }
        }
        self.scales.pop_front();
        Ok(())
    }

    fn relate(&mut self, relation: &RelationSpec) -> Result<(), GraphError> {
        if self.recipe.pools[relation.source].is_root && self.made[relation.source].is_empty() {
            let root = self.make_root(relation.source)?;
            self.made[relation.source].push(root);
        }
        self.made[relation.target].clear();
        match relation.method {
            Method::Multiply => self.multiply(relation),
            Method::AssociateIn | Method::AssociateByPathIn => self.associate(relation),
        }
    }

    fn make_root(&mut self, pool: usize) -> Result<VertexId, GraphError> {
        let subsystem = self.subsystem(&self.recipe.pools[pool].subsystem)?;
        match self.graph.root(subsystem) {
            Some(root) => Ok(root),
            None => self.make(pool, None, 0),
        }
    }

    fn subsystem(&mut self, name: &str) -> Result<Subsystem, GraphError> {
        self.graph.names.intern_subsystem(name).ok_or(GraphError::TooLarge("subsystems"))
    }

    fn multiply(&mut self, relation: &RelationSpec) -> Result<(), GraphError> {
        let subsystem = self.subsystem(&relation.subsystem)?;
        for (nth, source) in self.made[relation.source].clone().into_iter().enumerate() {
            for index in 0..relation.scale {
                let id = self.make_id(relation, i64::from(index), nth as i64);
                let target = self.make(relation.target, Some(source), id)?;
                self.graph.add_edge(source, target, subsystem)?;
                self.made[relation.target].push(target);
            }
        }
        self.scales.push_front(relation.scale);
        Ok(())
    }

    /// An id is counted within the parent, or within an ancestor `id_scope` levels above it.
    fn make_id(&self, relation: &RelationSpec, index: i64, nth: i64) -> i64 {
        if relation.id_scope == 0 {
            return relation.id_start.saturating_add(index);
        }
        let levels = self.scales.iter().take(relation.id_scope);
        let wrap = levels.fold(1i64, |wrap, scale| wrap.saturating_mul(i64::from(*scale))).max(1);
        let before = (nth % wrap).saturating_mul(i64::from(relation.scale)).saturating_mul(relation.id_stride);
        relation.id_start.saturating_add(before).saturating_add(index.saturating_mul(relation.id_stride))
    }

    fn make(&mut self, pool: usize, parent: Option<VertexId>, id: i64) -> Result<VertexId, GraphError> {
        let recipe = self.recipe;
        let spec = &recipe.pools[pool];
        let subsystem = self.subsystem(&spec.subsystem)?;
        let names = &mut self.graph.names;
        let kind = names.intern_type(&spec.kind).ok_or(GraphError::TooLarge("types"))?;
        let (basename, unit) = (names.intern_text(&spec.basename), names.intern_text(&spec.unit));
        let name = if id == -1 { spec.basename.clone() } else { format!("{}{id}", spec.basename) };
        let above = parent.and_then(|parent| self.graph.vertex(parent).path(subsystem)).unwrap_or("");
        let path = format!("{above}/{name}").into_boxed_str();
        // Nodes need a rank: R names them by it.
        let rank = if kind == TypeId::NODE {
            self.last_rank += 1;
            self.last_rank
        } else {
            -1
        };
        self.graph.add_vertex(NewVertex {
            kind,
            basename,
            unit,
            name: name.into_boxed_str(),
            id,
            uniq_id: None,
            rank,
            size: spec.size,
            status: Status::Up,
            properties: BTreeMap::new(),
            paths: vec![(subsystem, path)],
        })
    }

    /// Relates sources to what exists of the target's type.
    fn associate(&mut self, relation: &RelationSpec) -> Result<(), GraphError> {
        let subsystem = self.subsystem(&relation.subsystem)?;
        let by_path = self.subsystem(&relation.path_subsystem)?;
        let kind = self.graph.names.find_type(&self.recipe.pools[relation.target].kind);
        let targets = kind.map_or(Vec::new(), |kind| self.graph.of_type(kind).to_vec());
        for source in self.made[relation.source].clone() {
            let above = prefix(self.graph.vertex(source).path(by_path).unwrap_or(""), relation.source_uplevel);
            let above = above.to_string();
            for target in &targets {
                let vertex = self.graph.vertex(*target);
                let is_same = || prefix(vertex.path(by_path).unwrap_or(""), relation.target_uplevel) == above;
                if relation.method == Method::AssociateByPathIn && !is_same() {
                    continue;
                }
                let parent = self.graph.vertex(source).path(subsystem).unwrap_or("");
                let path = format!("{parent}/{}", vertex.name).into_boxed_str();
                self.graph.add_path(*target, subsystem, path);
                match self.graph.edge_between(source, *target) {
                    Some(edge) => self.graph.set_edge_subsystem(edge, subsystem),
                    None => _ = self.graph.add_edge(source, *target, subsystem)?,
                }
                self.made[relation.target].push(*target);
            }
        }
        Ok(())
    }
}

/// A path without its last `uplevel` components; empty if it has no more than that.
fn prefix(path: &str, uplevel: usize) -> &str {
    let slashes = path.bytes().filter(|byte| *byte == b'/').count();
    if uplevel >= slashes {
        return "";
    }
    let cut = path.match_indices('/').nth(slashes - uplevel);
    cut.map_or(path, |(at, _)| &path[..at])
}

#[cfg(test)]
mod tests {
    use super::prefix;

    /// A recipe relates the vertex that is two above one with the vertex that is itself: both are named alike.
    #[test]
    fn what_is_above_is_the_same_path_from_wherever_it_is_looked_at() {
        let rows = [
            ("/c0/rack0/node0", 0, "/c0/rack0/node0"),
            ("/c0/rack0/node0/nic0", 1, "/c0/rack0/node0"),
            ("/c0/rack0/node0/nic0/bw0", 2, "/c0/rack0/node0"),
            ("/c0/rack0", 1, "/c0"),
            ("/c0", 1, ""),
            ("/c0", 2, ""),
            ("", 0, ""),
        ];
        for (path, uplevel, want) in rows {
            assert_eq!(prefix(path, uplevel), want, "{path} up {uplevel}");
        }
    }
}
