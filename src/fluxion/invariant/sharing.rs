//! Requests side by side that want the same nodes, against every way of dealing nodes out.

use super::Rng;
use crate::engine::{Engine, EngineConfig};
use crate::graph::Graph;
use crate::jobspec::Jobspec;
use crate::matcher::parse_policy;
use crate::reader::Reader;
use crate::traverser::MatchOp;
use crate::writer::{Format, Writer};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Cores, gpus and memory of a node, or what a request wants of each.
type Parts = [u64; 3];
const KINDS: [&str; 3] = ["core", "gpu", "memory"];

fn graph_of(nodes: &[Parts]) -> String {
    let mut vertices = vec![json!({"id": "0", "metadata": {"type": "cluster", "id": 0, "rank": -1, "size": 1,
        "paths": {"containment": "/cluster0"}}})];
    let mut edges = Vec::new();
    let mut add = |parent: usize, kind: &str, id: usize, rank: usize, path: String| {
        let at = vertices.len();
        vertices.push(json!({"id": at.to_string(), "metadata": {"type": kind, "id": id, "rank": rank, "size": 1,
            "paths": {"containment": path}}}));
        edges.push(json!({"source": parent.to_string(), "target": at.to_string()}));
        at
    };
    for (rank, parts) in nodes.iter().enumerate() {
        let path = format!("/cluster0/node{rank}");
        let node = add(0, "node", rank, rank, path.clone());
        for (kind, count) in KINDS.iter().zip(parts) {
            for id in 0..*count as usize {
                add(node, kind, id, rank, format!("{path}/{kind}{id}"));
            }
        }
    }
    json!({"graph": {"nodes": vertices, "edges": edges}}).to_string()
}

fn request(wants: &Parts, count: u64) -> Value {
    let parts = KINDS.iter().zip(wants).filter(|(_, count)| **count > 0);
    let with: Vec<Value> = parts.map(|(kind, count)| json!({"type": kind, "count": count})).collect();
    let slot = json!({"type": "slot", "count": 1, "label": "s", "with": with});
    json!({"type": "node", "count": count, "exclusive": true, "with": [slot]})
}

/// Whether nodes from `at` on can be dealt out so that all get what is left to give.
fn can_share(nodes: &[Parts], wants: &[(Parts, u64)], left: &mut Vec<u64>, at: usize) -> bool {
    if left.iter().all(|count| *count == 0) {
        return true;
    }
    let Some(node) = nodes.get(at) else { return false };
    for (index, (parts, _)) in wants.iter().enumerate() {
        if left[index] > 0 && node.iter().zip(parts).all(|(have, want)| have >= want) {
            left[index] -= 1;
            let is_done = can_share(nodes, wants, left, at + 1);
            left[index] += 1;
            if is_done {
                return true;
            }
        }
    }
    can_share(nodes, wants, left, at + 1)
}

fn is_matched(nodes: &[Parts], wants: &[(Parts, u64)], policy: &str) -> bool {
    let mut graph = Graph::default();
    Reader::Jgf.load(&mut graph, &graph_of(nodes), &BTreeSet::new()).expect("a good graph");
    let policy = parse_policy(policy).expect("known");
    let mut engine = Engine::new(graph, &EngineConfig { policy, ..EngineConfig::default() }).expect("good");
    let list: Vec<Value> = wants.iter().map(|(parts, count)| request(parts, *count)).collect();
    let document = json!({"version": 9999, "resources": list, "attributes": {"system": {"duration": 10}},
        "tasks": [{"command": ["a"], "slot": "s", "count": {"per_slot": 1}}]});
    let jobspec = Jobspec::from_value(&document).expect("a good jobspec");
    engine.match_job(MatchOp::Allocate, 1, &jobspec, 0, &mut Writer::new(Format::Simple)).is_ok()
}

/// Both would begin with the first two nodes, which leaves the other with one, in either order.
#[test]
fn who_may_have_the_same_leaves_it_to_the_other() {
    let nodes = [[1, 1, 1], [1, 1, 1], [1, 1, 0], [1, 0, 1]];
    let wants = [([1, 1, 0], 2), ([1, 0, 1], 2)];
    assert!(is_matched(&nodes, &wants, "low"));
    assert!(!is_matched(&nodes[..3], &wants, "low"), "there are not enough");
}

/// Goal: a match is found if and only if there is one. Method: a few nodes that differ, two to four requests for some of
/// them; the oracle deals nodes out in every way.
#[test]
fn requests_side_by_side_share_whenever_they_can() {
    let mut counts = [0, 0];
    for seed in 1..=super::SEED_COUNT * 4 {
        let mut rng = Rng::new(seed);
        let count = 3 + rng.below(5);
        let nodes: Vec<Parts> = (0..count).map(|_| [1 + rng.below(2), rng.below(2), rng.below(2)]).collect();
        let wants: Vec<(Parts, u64)> =
            (0..2 + rng.below(2)).map(|_| ([1 + rng.below(2), rng.below(2), rng.below(2)], 1 + rng.below(3))).collect();
        let policy = rng.pick(&["low", "high", "first", "lonode", "hinodex", "locality"]);
        let matched = is_matched(&nodes, &wants, policy);
        let expected = can_share(&nodes, &wants, &mut wants.iter().map(|(_, count)| *count).collect(), 0);
        assert_eq!(matched, expected, "seed {seed}: nodes {nodes:?}, requests {wants:?}");
        counts[usize::from(expected)] += 1;
    }
    assert!(counts.iter().all(|count| *count > super::SEED_COUNT / 4), "both answers are tried: {counts:?}");
}
