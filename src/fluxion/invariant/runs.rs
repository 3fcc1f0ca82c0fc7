//! The policy `locality` keeps what it knows from match to match.

use super::random::{random_graph, random_jobspec};
use super::{FILTERS, Rng, SEED_COUNT, load};
use crate::engine::{Engine, EngineConfig};
use crate::jobspec::Jobspec;
use crate::matcher::parse_policy;
use crate::traverser::{MatchOp, Release};
use crate::writer::{Format, Writer};
use crate::{error::MatchError, graph::Status};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A few shapes, asked for again and again, so that what was kept is used.
fn usual_jobspec(rng: &mut Rng) -> Value {
    let cores = |count: u64| json!([{"type": "core", "count": count}]);
    let slot = |count: u64, with: Value| json!({"type": "slot", "count": count, "label": "s", "with": with});
    let count = 1 + rng.below(5);
    let resource = match rng.below(8) {
        0..3 => slot(count, cores(1)),
        3 => slot(count, cores(2)),
        4 => slot(1 + count % 3, json!([{"type": "node", "count": 1, "exclusive": true}])),
        5 => json!({"type": "node", "count": 1 + count % 2, "with": [slot(1, cores(1))]}),
        6 => json!({"type": "core", "count": count, "exclusive": true}),
        _ => json!({"type": "rack", "count": 1, "exclusive": true, "with": [slot(1, cores(1))]}),
    };
    let mut system = json!({"duration": 1 + rng.below(100)});
    if rng.percent(20) {
        let ranks = rng.pick(&["0-1", "2"]);
        system["constraints"] = json!({"not": [{"ranks": [ranks]}]});
    }
    json!({"version": 9999, "resources": [resource], "attributes": {"system": system},
        "tasks": [{"command": ["a"], "slot": "s", "count": {"per_slot": 1}}]})
}

/// Ids with gaps, so that there are many runs.
fn with_gaps(mut graph: Value, rng: &mut Rng) -> Value {
    let kinds = ["core", "node", "rack", "memory"];
    for vertex in graph["graph"]["nodes"].as_array_mut().into_iter().flatten() {
        let metadata = &mut vertex["metadata"];
        if kinds.contains(&metadata["type"].as_str().unwrap_or("")) && rng.percent(40) {
            metadata["id"] = json!(rng.below(24));
        }
    }
    graph
}

type Said = (Result<i64, MatchError>, Result<String, String>);

fn ask(engine: &mut Engine, op: MatchOp, id: u64, jobspec: &Jobspec, now: i64) -> Said {
    let mut writer = Writer::new(Format::Simple);
    let matched = engine.match_job(op, id, jobspec, now, &mut writer);
    (matched.map(|matched| matched.at), writer.finish_text())
}

/// Goal: what is kept from match to match changes no choice. Method: beside it an engine that looks at everything each time;
/// the same jobs, reservations, cancels, overruns, and nodes that go down.
#[test]
fn locality_chooses_what_a_search_of_everything_chooses() {
    let mut found_count = 0;
    for seed in (1..=SEED_COUNT * 3).chain([29651]) {
        let mut rng = Rng::new(seed);
        let graph = random_graph(&mut rng);
        let graph = if rng.percent(60) { with_gaps(graph, &mut rng) } else { graph }.to_string();
        let config = EngineConfig {
            policy: parse_policy("locality").expect("known"),
            matcher: "CA".into(),
            prune_filters: rng.pick(FILTERS).to_string(),
            is_flexible: false,
            script: None,
        };
        let mut engines = [true, false].map(|is_exhaustive| {
            let mut engine = load(&graph, &config);
            engine.is_exhaustive = is_exhaustive;
            engine
        });
        let mut now = 0;
        for id in 1..=40 {
            let document = if rng.percent(85) { usual_jobspec(&mut rng) } else { random_jobspec(&mut rng) };
            let jobspec = Jobspec::from_value(&document).expect("a good jobspec");
            let op = if rng.percent(75) { MatchOp::Allocate } else { MatchOp::AllocateOrElseReserve };
            let [expected, got] = engines.each_mut().map(|engine| ask(engine, op, id, &jobspec, now));
            assert_eq!(got, expected, "seed {seed}, job {id}: {document}");
            found_count += usize::from(got.0.is_ok_and(|at| at == now));
            if rng.percent(60) {
                let id = 1 + rng.below(id);
                let gone = engines.each_mut().map(|engine| engine.cancel(id));
                assert_eq!(gone[0], gone[1], "seed {seed}, job {id}");
            }
            if rng.percent(15) {
                let (id, rank) = (1 + rng.below(id), rng.below(9) as i32);
                let release = Release::Ranks(BTreeSet::from([rank]));
                let gone = engines.each_mut().map(|engine| engine.partial_cancel(id, &release));
                assert_eq!(gone[0], gone[1], "seed {seed}, job {id}");
            }
            if rng.percent(15) {
                let (id, end) = (1 + rng.below(id), now + 1 + rng.below(100) as i64);
                let moved = engines.each_mut().map(|engine| engine.set_job_end(id, end));
                assert_eq!(moved[0], moved[1], "seed {seed}, job {id}");
            }
            now += if rng.percent(25) { rng.below(50) as i64 } else { 0 };
            if rng.percent(10) {
                let (rank, is_up) = (rng.below(9) as i32, rng.percent(60));
                let status = if is_up { Status::Up } else { Status::Down };
                engines.iter_mut().for_each(|engine| engine.set_rank_status([rank], status));
            }
        }
    }
    assert!(found_count > SEED_COUNT as usize * 10, "most jobs find something: {found_count}");
}
