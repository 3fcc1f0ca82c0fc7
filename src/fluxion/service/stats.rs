//! `sched-fluxion-resource.stats-get`.

use super::graph::FluxionResource;
use super::seconds;
use crate::fluxion::{Fluxion, Outcomes};
use flux_service::{Cx, Outcome};
use flux_types::Idset;
use flux_wire::Message;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Times are in seconds; the iterations are the vertices seen.
fn outcomes(of: &Outcomes) -> Value {
    json!({"njobs": of.total, "njobs-reset": of.since_reset, "max-match-jobid": of.longest_job,
        "max-match-iters": of.longest_visits, "stats": {"min": of.least, "max": of.most, "avg": of.mean, "variance": of.variance()}})
}

/// Ranks by how many vertices they have.
fn by_rank(fluxion: &Fluxion) -> Value {
    let graph = &fluxion.engine().graph;
    let mut ranks: BTreeMap<usize, Idset> = BTreeMap::new();
    for rank in graph.ranks() {
        if let Ok(id) = u32::try_from(rank) {
            _ = ranks.entry(graph.of_rank(rank).len()).or_default().insert(id);
        }
    }
    Value::Object(Map::from_iter(ranks.into_iter().map(|(count, ranks)| {
        let text = ranks.to_string();
        let is_one = ranks.count() == 1;
        (if is_one { text } else { format!("[{text}]") }, count.into())
    })))
}

impl FluxionResource {
    pub(super) fn stats_get(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let now = seconds(cx);
        let fluxion = self.shared.graph()?;
        let (graph, counts) = (&fluxion.engine().graph, fluxion.counts());
        let body = json!({"V": graph.vertex_count(), "E": graph.edge_count(), "by_rank": by_rank(&fluxion),
            "load-time": counts.load_time, "graph-uptime": now - counts.since, "time-since-reset": now - counts.reset_at,
            "match": {"succeeded": outcomes(&counts.succeeded), "failed": outcomes(&counts.failed)}});
        cx.respond(message, body);
        Ok(())
    }

    pub(super) fn stats_clear(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let now = seconds(cx);
        self.shared.graph()?.reset_counts(now);
        cx.respond_empty(message);
        Ok(())
    }
}
