//! The recipe itself: GraphML with a few known keys.

use crate::error::GraphError;
use roxmltree::{Document, Node, ParsingOptions};
use std::collections::BTreeMap;

/// A kind of resource to make.
#[derive(Clone, Debug)]
pub(super) struct PoolSpec {
    pub(super) is_root: bool,
    pub(super) kind: String,
    pub(super) basename: String,
    pub(super) unit: String,
    pub(super) size: u32,
    pub(super) subsystem: String,
}

/// How resources of one kind relate to those of another.
#[derive(Clone, Debug)]
pub(super) struct RelationSpec {
    pub(super) source: usize,
    pub(super) target: usize,
    pub(super) subsystem: String,
    pub(super) relation: String,
    pub(super) method_name: String,
    pub(super) method: Method,
    pub(super) id_scope: usize,
    pub(super) id_start: i64,
    pub(super) id_stride: i64,
    pub(super) scale: u32,
    pub(super) path_subsystem: String,
    pub(super) target_uplevel: usize,
    pub(super) source_uplevel: usize,
}

/// How the target of a relation comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// `scale` new ones for every source.
    Multiply,
    /// All that exist of its type.
    AssociateIn,
    /// Those that exist of its type under the same path.
    AssociateByPathIn,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Recipe {
    pub(super) pools: Vec<PoolSpec>,
    /// By the order in the document.
    pub(super) relations: Vec<RelationSpec>,
}

type Fields = BTreeMap<String, String>;

pub(super) fn parse(text: &str) -> Result<Recipe, GraphError> {
    let options = ParsingOptions { allow_dtd: true, nodes_limit: 1_000_000, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| malformed(&error.to_string()))?;
    let elements = |name: &'static str| document.descendants().filter(move |node| node.has_tag_name_any(name));
    let mut keys: BTreeMap<&str, (&str, &str, Option<String>)> = BTreeMap::new();
    for key in elements("key") {
        let (Some(id), Some(name)) = (key.attribute("id"), key.attribute("attr.name")) else { continue };
        let default = key.children().find(|child| child.has_tag_name_any("default"));
        let default = default.map(|default| default.text().unwrap_or("").to_string());
        keys.insert(id, (name, key.attribute("for").unwrap_or("all"), default));
    }
    let fields = |node: Node, of: &str| -> Fields {
        let mut fields: Fields = keys
            .values()
            .filter(|(_, for_what, _)| *for_what == of || *for_what == "all")
            .filter_map(|(name, _, default)| Some((name.to_string(), default.clone()?)))
            .collect();
        for data in node.children().filter(|child| child.has_tag_name_any("data")) {
            if let Some((name, ..)) = data.attribute("key").and_then(|key| keys.get(key)) {
                fields.insert(name.to_string(), data.text().unwrap_or("").to_string());
            }
        }
        fields
    };
    let mut recipe = Recipe::default();
    let mut by_id: BTreeMap<&str, usize> = BTreeMap::new();
    for node in elements("node") {
        let id = node.attribute("id").ok_or_else(|| malformed("a node has no id"))?;
        by_id.insert(id, recipe.pools.len());
        recipe.pools.push(pool_spec(&fields(node, "node"))?);
    }
    for edge in elements("edge") {
        let end = |name: &str| edge.attribute(name).and_then(|id| by_id.get(id)).copied();
        let (source, target) = (end("source"), end("target"));
        let (Some(source), Some(target)) = (source, target) else {
            return Err(malformed("an edge lacks an end"));
        };
        recipe.relations.push(relation_spec(source, target, &fields(edge, "edge"))?);
    }
    Ok(recipe)
}

trait AnyNamespace {
    fn has_tag_name_any(&self, name: &str) -> bool;
}

impl AnyNamespace for Node<'_, '_> {
    fn has_tag_name_any(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

fn malformed(what: &str) -> GraphError {
    GraphError::Malformed(format!("error in reading grug string: {what}"))
}

fn number<T: std::str::FromStr>(fields: &Fields, key: &str, default: T) -> Result<T, GraphError> {
    match fields.get(key) {
        None => Ok(default),
        Some(text) => text.trim().parse().map_err(|_| malformed(&format!("{key} '{text}' is no number in range"))),
    }
}

fn text(fields: &Fields, key: &str, default: &str) -> String {
    fields.get(key).map_or(default, String::as_str).to_string()
}

fn pool_spec(fields: &Fields) -> Result<PoolSpec, GraphError> {
    Ok(PoolSpec {
        is_root: number(fields, "root", 0i64)? != 0,
        kind: text(fields, "type", ""),
        basename: text(fields, "basename", ""),
        unit: text(fields, "unit", ""),
        size: number(fields, "size", 1u32)?,
        subsystem: text(fields, "subsystem", "containment"),
    })
}

fn relation_spec(source: usize, target: usize, fields: &Fields) -> Result<RelationSpec, GraphError> {
    let method_name = text(fields, "gen_method", "MULTIPLY");
    let method = match method_name.as_str() {
        "MULTIPLY" => Method::Multiply,
        "ASSOCIATE_IN" => Method::AssociateIn,
        "ASSOCIATE_BY_PATH_IN" => Method::AssociateByPathIn,
        other => return Err(malformed(&format!("unknown generation method '{other}'"))),
    };
    Ok(RelationSpec {
        source,
        target,
        subsystem: text(fields, "e_subsystem", "containment"),
        relation: text(fields, "relation", "contains"),
        method_name,
        method,
        id_scope: number(fields, "id_scope", 0)?,
        id_start: number(fields, "id_start", 0)?,
        id_stride: number(fields, "id_stride", 1)?,
        scale: number(fields, "multi_scale", 1)?,
        path_subsystem: text(fields, "as_tgt_subsystem", "containment"),
        target_uplevel: number(fields, "as_tgt_uplvl", 1)?,
        source_uplevel: number(fields, "as_src_uplvl", 1)?,
    })
}
