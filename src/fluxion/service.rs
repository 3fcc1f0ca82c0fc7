//! Fluxion as three modules over one graph, as flux-sched has them: `sched-fluxion-resource` keeps the graph,
//! `sched-fluxion-qmanager` is the scheduler with its queues, `sched-fluxion-feasibility` answers what could ever run.
//!
//! They share the graph itself rather than messages about it (ADR 10): a match is a call, not a round trip.

mod config;
mod decide;
mod feasibility;
mod graph;
mod matching;
mod queues;
#[cfg(test)]
mod random_tests;
mod requests;
mod stats;
#[cfg(test)]
mod tests;

use crate::fluxion::Fluxion;
use flux_service::{AnyService, Cx, Fault};
use flux_wire::Errno;
use serde_json::Value;
use std::cell::{RefCell, RefMut};
use std::rc::Rc;

use config::QmanagerConfig;
use feasibility::FluxionFeasibility;
use graph::FluxionResource;
use queues::FluxionQmanager;

/// The graph; nothing as long as `sched-fluxion-resource` has no resources.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Option<Fluxion>>>);

impl Shared {
    fn slot(&self) -> RefMut<'_, Option<Fluxion>> {
        self.0.borrow_mut()
    }

    fn graph(&self) -> Result<RefMut<'_, Fluxion>, Fault> {
        RefMut::filter_map(self.0.borrow_mut(), Option::as_mut)
            .map_err(|_| Fault::new(Errno::EAGAIN, "the resources are not known yet"))
    }
}

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
            "sched-fluxion-resource" => Box::new(FluxionResource::new(shared)),
            "sched-fluxion-feasibility" => Box::new(FluxionFeasibility::new(shared)),
            "sched-fluxion-qmanager" => Box::new(FluxionQmanager::new(shared)),
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
