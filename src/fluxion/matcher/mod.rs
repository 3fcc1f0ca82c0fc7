//! Which of many matching resources are the better ones.

mod parse;
mod script;

pub use parse::{parse_policy, subsystems_of};
pub use script::{Script, is_script};

use crate::graph::Vertex;
use crate::intern::TypeId;
use std::cmp::Ordering;

/// How candidates are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preference {
    /// Higher ids first.
    High,
    /// Lower ids first.
    Low,
    /// Contiguous ids first.
    Locality,
    /// Better performance class first (property `perf_class`).
    Variation,
}

/// A match policy: a preference and how it treats nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchPolicy {
    pub preference: Preference,
    /// What is on one node is preferred to what is on the next.
    pub is_node_centric: bool,
    /// Nodes are never shared.
    pub is_node_exclusive: bool,
    /// The first match is good enough.
    pub stops_early: bool,
    /// Scores come from a script rather than from ids.
    pub is_scripted: bool,
    /// The script is asked at every match, as its scores depend on what is in use.
    pub is_live: bool,
}

/// A resource whose `perf_class` is missing, no number or out of range counts as the worst.
const PERF_CLASS_WORST: i64 = 9999;
const NODE_FACTOR: i64 = 10_000;

impl MatchPolicy {
    pub const FIRST: MatchPolicy = MatchPolicy {
        preference: Preference::High,
        is_node_centric: true,
        is_node_exclusive: false,
        stops_early: true,
        is_scripted: false,
        is_live: false,
    };

    /// What being below `vertex` adds to a score.
    pub(crate) fn factor(&self, vertex: &Vertex) -> i64 {
        if !self.is_node_centric || vertex.kind != TypeId::NODE {
            return 0;
        }
        if self.is_scripted {
            return vertex.script_score.saturating_mul(NODE_FACTOR);
        }
        let tie = (vertex.uniq_id % NODE_FACTOR - 1).abs();
        vertex.id.saturating_add(2).saturating_mul(NODE_FACTOR).saturating_add(tie)
    }

    /// The score of a vertex that matches, given what its ancestors add. Above 0 is a match.
    pub(crate) fn score(&self, vertex: &Vertex, above: i64) -> i64 {
        if self.is_scripted {
            return if vertex.script_score > 0 { above.saturating_add(vertex.script_score) } else { 0 };
        }
        match self.preference {
            Preference::High | Preference::Low => above.saturating_add(vertex.id).saturating_add(2),
            Preference::Locality => vertex.id.saturating_add(2),
            Preference::Variation => {
                let class = vertex.property("perf_class").and_then(|class| class.trim().parse::<i64>().ok());
                1 + class.filter(|class| (0..=PERF_CLASS_WORST).contains(class)).unwrap_or(PERF_CLASS_WORST)
            }
        }
    }

    /// The order in which candidates below a vertex are taken.
    pub(crate) fn compare(&self, a: i64, b: i64) -> Ordering {
        match self.preference {
            Preference::High | Preference::Locality => b.cmp(&a),
            Preference::Low | Preference::Variation => a.cmp(&b),
        }
    }

    /// The order in which candidates for slots are taken.
    pub(crate) fn compare_in_slot(&self, a: i64, b: i64) -> Ordering {
        match self.preference {
            Preference::Low => a.cmp(&b),
            Preference::High | Preference::Locality | Preference::Variation => b.cmp(&a),
        }
    }

    /// Whether whole-graph candidates are ranked by runs of adjacent scores.
    pub(crate) fn ranks_runs(&self) -> bool {
        self.preference == Preference::Locality
    }
}
