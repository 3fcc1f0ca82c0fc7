//! Fluxion as three modules over one graph, as flux-sched has them: `sched-fluxion-resource` keeps the graph,
//! `sched-fluxion-qmanager` is the scheduler with its queues, `sched-fluxion-feasibility` answers what could ever run.
//!
//! They share the graph itself rather than messages about it (ADR 10): a match is a call, not a round trip. Matching that
//! may take long is done in a thread, and what the modules are asked meanwhile waits for the graph to come back.

mod config;
mod decide;
mod feasibility;
mod graph;
mod matching;
mod parking;
mod queues;
#[cfg(test)]
mod random_tests;
mod requests;
mod shared;
mod stats;
#[cfg(test)]
mod tests;
mod turn;

use flux_service::{AnyService, Cx, Fault};
use flux_wire::Errno;
use serde_json::Value;

use config::QmanagerConfig;
use feasibility::FluxionFeasibility;
use graph::FluxionResource;
use parking::{Parking, Sharing};
use queues::FluxionQmanager;
use shared::Shared;

/// The modules of one node. All that one of these makes share a graph.
#[derive(Default)]
pub struct FluxionModules {
    shared: Shared,
}

impl FluxionModules {
    /// In the order in which they are loaded.
    pub const NAMES: [&'static str; 3] =
        ["sched-fluxion-resource", "sched-fluxion-feasibility", "sched-fluxion-qmanager"];

    /// A module in its first state; `None` for a name that is none of them.
    pub fn make(&self, name: &str) -> Option<Box<dyn AnyService>> {
        let shared = self.shared.clone();
        Some(match name {
            "sched-fluxion-resource" => Box::new(Parking::new(FluxionResource::new(shared))),
            "sched-fluxion-feasibility" => Box::new(Parking::new(FluxionFeasibility::new(shared))),
            "sched-fluxion-qmanager" => Box::new(Parking::new(FluxionQmanager::new(shared))),
            _ => return None,
        })
    }
}

fn refused(why: impl Into<String>) -> Fault {
    Fault::new(Errno::EINVAL, why.into())
}

/// Whole seconds since the epoch.
fn seconds(cx: &Cx<'_>) -> i64 {
    cx.now.wall.timestamp() as i64
}

fn text<'v>(body: &'v Value, key: &str) -> Result<&'v str, Fault> {
    body[key].as_str().ok_or_else(|| Fault::new(Errno::EPROTO, format!("{key} is missing")))
}

fn number(body: &Value, key: &str) -> Result<u64, Fault> {
    body[key].as_u64().ok_or_else(|| Fault::new(Errno::EPROTO, format!("{key} is missing")))
}
