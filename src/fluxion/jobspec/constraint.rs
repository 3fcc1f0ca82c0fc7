//! Which nodes will do (RFC 31).

use crate::error::JobspecError;
use crate::graph::{Graph, NodeIndex, Vertex, VertexId};
use crate::hosts::expand_hosts;
use crate::intern::TypeId;
use crate::limits::DOCUMENT_DEPTH_MAX;
use flux_types::Idset;
use indexmap::IndexSet;
use serde_json::Value;

/// A condition on nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum Constraint {
    Any,
    Properties(Vec<(bool, String)>),
    Hosts(IndexSet<String>),
    Ranks(Idset),
    And(Vec<Constraint>),
    Or(Vec<Constraint>),
    Not(Vec<Constraint>),
}

impl Constraint {
    /// Parses a constraint object: one operator with a list of values, or empty.
    ///
    /// # Errors
    /// An unknown operator, or values that do not suit it.
    pub fn parse(value: &Value) -> Result<Constraint, JobspecError> {
        Constraint::parse_below(value, 0)
    }

    fn parse_below(value: &Value, depth: usize) -> Result<Constraint, JobspecError> {
        let map = value.as_object().ok_or_else(|| JobspecError("constraint is not a mapping".into()))?;
        let Some((operator, operands)) = map.iter().next() else { return Ok(Constraint::Any) };
        if map.len() > 1 {
            return Err(JobspecError("a constraint has one operator".into()));
        }
        if depth > DOCUMENT_DEPTH_MAX {
            return Err(JobspecError("the constraint nests too deeply".into()));
        }
        let list = operands.as_array();
        let list = list.ok_or_else(|| JobspecError(format!("{operator} operator value must be an array")))?;
        let texts = || list.iter().map(|item| item.as_str()).collect::<Option<Vec<&str>>>();
        let texts = || texts().ok_or_else(|| JobspecError(format!("{operator} takes strings")));
        let inner = || list.iter().map(|item| Constraint::parse_below(item, depth + 1)).collect::<Result<Vec<_>, _>>();
        match operator.as_str() {
            "properties" => {
                Ok(Constraint::Properties(texts()?.into_iter().map(parse_property).collect::<Result<Vec<_>, _>>()?))
            }
            "hostlist" => {
                let mut hosts = IndexSet::new();
                for text in texts()? {
                    hosts.extend(expand_hosts(text).ok_or_else(|| JobspecError(format!("bad hostlist '{text}'")))?);
                }
                Ok(Constraint::Hosts(hosts))
            }
            "ranks" => {
                let mut ranks = Idset::parse("").unwrap_or_default();
                for text in texts()? {
                    let more = Idset::parse(text).map_err(|_| JobspecError(format!("bad ranks '{text}'")))?;
                    ranks.extend_from(&more);
                }
                Ok(Constraint::Ranks(ranks))
            }
            "and" => Ok(Constraint::And(inner()?)),
            "or" => Ok(Constraint::Or(inner()?)),
            "not" => Ok(Constraint::Not(inner()?)),
            other => Err(JobspecError(format!("unknown constraint operator: {other}"))),
        }
    }

    /// Nodes among which all that satisfy the constraint are; `None` if that could be any.
    pub(crate) fn candidates(&self, graph: &Graph, index: &NodeIndex) -> Option<Vec<VertexId>> {
        let smallest = |lists: Vec<Vec<VertexId>>| lists.into_iter().min_by_key(Vec::len);
        match self {
            Constraint::Any | Constraint::Not(_) => None,
            Constraint::Properties(list) => {
                let wanted = list.iter().filter(|(wanted, _)| *wanted);
                let lists = wanted.map(|(_, key)| index.by_property.get(key).cloned().unwrap_or_default());
                smallest(lists.collect())
            }
            Constraint::Hosts(hosts) => {
                Some(hosts.iter().filter_map(|host| index.by_name.get(host.as_str())).flatten().copied().collect())
            }
            Constraint::Ranks(ranks) => {
                if ranks.count() > graph.vertex_count() {
                    return None;
                }
                let ranks = ranks.iter().filter_map(|rank| i32::try_from(rank).ok());
                Some(
                    ranks
                        .flat_map(|rank| graph.of_rank(rank))
                        .copied()
                        .filter(|at| is_node(graph.vertex(*at)))
                        .collect(),
                )
            }
            Constraint::And(list) => smallest(list.iter().filter_map(|inner| inner.candidates(graph, index)).collect()),
            Constraint::Or(list) => {
                let lists: Option<Vec<Vec<VertexId>>> =
                    list.iter().map(|inner| inner.candidates(graph, index)).collect();
                lists.map(|lists| lists.concat())
            }
        }
    }

    /// Whether a node satisfies the constraint. `not` denies the conjunction of its values.
    pub fn allows(&self, node: &Vertex) -> bool {
        match self {
            Constraint::Any => true,
            Constraint::Properties(list) => list.iter().all(|(wanted, key)| node.has_property(key) == *wanted),
            Constraint::Hosts(hosts) => hosts.contains(&*node.name),
            Constraint::Ranks(ranks) => u32::try_from(node.rank).is_ok_and(|rank| ranks.contains(rank)),
            Constraint::And(list) => list.iter().all(|inner| inner.allows(node)),
            Constraint::Or(list) => list.iter().any(|inner| inner.allows(node)),
            Constraint::Not(list) => !list.iter().all(|inner| inner.allows(node)),
        }
    }
}

fn parse_property(text: &str) -> Result<(bool, String), JobspecError> {
    let (wanted, key) = text.strip_prefix('^').map_or((true, text), |key| (false, key));
    if key.contains(['!', '&', '\'', '"', '^', '`', '|', '(', ')']) {
        return Err(JobspecError(format!("{text} is invalid")));
    }
    Ok((wanted, key.to_string()))
}

fn is_node(vertex: &Vertex) -> bool {
    vertex.kind == TypeId::NODE || vertex.kind == TypeId::STORAGE_NODE
}
