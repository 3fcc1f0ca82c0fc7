//! Statistics, in the shapes that flux-core's modules give them.

use flux_service::{Cx, Outcome};
use flux_wire::Message;
use serde_json::{Map, Value, json};

use crate::service::Kvs;
use crate::space::Body;

/// Counted since the service was loaded.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub commits: u64,
    pub ops: Spread,
    /// Requests that were answered with what was here.
    pub hits: u64,
}

/// Count, extremes, mean and standard deviation of a series, in constant space.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    count: u64,
    min: usize,
    max: usize,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
}

impl Spread {
    pub(crate) fn push(&mut self, value: usize) {
        self.count += 1;
        self.min = if self.count == 1 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        let distance = value as f64 - self.mean;
        self.mean += distance / self.count as f64;
        self.squares += distance * (value as f64 - self.mean);
    }

    fn json(&self) -> Value {
        let variance = if self.count > 1 { self.squares / (self.count - 1) as f64 } else { 0.0 };
        json!({"count": self.count, "min": self.min, "mean": self.mean, "stddev": variance.sqrt(), "max": self.max})
    }
}

impl Kvs {
    pub(crate) fn stats_json(&self) -> Value {
        let mut namespaces = Map::new();
        for (name, space) in self.spaces.iter() {
            let waiting = self.versions.iter().filter(|wait| wait.is_for(name)).count();
            let seq = match &space.body {
                Body::Tree(tree) => tree.seq,
                Body::Alias(_) => continue, // As many as there are running jobs: they say nothing that primary does not.
            };
            let stats = json!({
                "#versionwaiters": waiting,
                "#no-op stores": 0,
                "#transactions": self.log.in_flight_len(),
                "#readytransactions": self.line.len(),
                "store revision": seq
            });
            namespaces.insert(name.to_string(), stats);
        }
        if self.content.is_upstream() && !self.knows_primary() {
            let stats = json!({
                "#versionwaiters": 0, "#no-op stores": 0, "#transactions": 0, "#readytransactions": 0, "store revision": 0
            });
            namespaces.insert("primary".into(), stats);
        }
        let mut sizes = Spread::default();
        self.content.unstored().values().for_each(|bytes| sizes.push(bytes.len()));
        self.content.cache.sizes().for_each(|bytes| sizes.push(bytes));
        let bytes = self.content.unstored_bytes() + self.content.cache.bytes();
        json!({
            "cache": {
                "obj size total (MiB)": bytes as f64 / 1048576.0,
                "obj size (KiB)": sizes.json(),
                "#obj dirty": self.content.unstored().len(),
                "#obj incomplete": self.content.reads_len(),
                "#faults": self.content.faults,
                "#hits": self.counters.hits,
            },
            "namespace": namespaces,
            "transaction-opcount": {"commit": self.counters.ops.json()},
            "pending_requests": self.parking.len() + self.versions.len(),
        })
    }

    pub(crate) fn kvs_stats(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        cx.respond(request, self.stats_json());
        Ok(())
    }

    pub(crate) fn watch_stats(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let mut namespaces = Map::new();
        for (name, watchers) in self.watches.per_space() {
            let owner = self.spaces.get(name).map_or(u32::MAX, |space| space.owner);
            let seq = if self.spaces.contains(name) { self.spaces.seq(name) } else { -1 };
            namespaces.insert(name.to_string(), json!({"owner": owner, "rootseq": seq, "watchers": watchers}));
        }
        let count = namespaces.len();
        let watchers = self.watches.len();
        cx.respond(request, json!({"watchers": watchers, "namespace-count": count, "namespaces": namespaces}));
        Ok(())
    }

    pub(crate) fn content_stats(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let dirty = self.content.unstored().len();
        let count = dirty + self.content.cache.len();
        let size = self.content.unstored_bytes() + self.content.cache.bytes();
        cx.respond(
            request,
            json!({"count": count, "valid": count, "dirty": dirty, "size": size, "flush-batch-count": 0, "mmap": {}}),
        );
        Ok(())
    }

    pub(crate) fn sqlite_stats(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let checkpoints: Vec<Value> =
            self.history().iter().enumerate().map(|(id, value)| json!({"id": id, "value": value})).collect();
        cx.respond(request, json!({"checkpoints": checkpoints}));
        Ok(())
    }
}
