//! Which services a node has.

use std::sync::Arc;

use flux_broker::{Factory, Groups, Heartbeat, Loader, Overlay, Rexec};
use flux_service::{AnyService, Recovered};
use serde_json::Value;

/// The services of a node, and how to make one again.
pub(crate) struct Composed {
    /// Loaded in this order, unloaded in the reverse.
    pub(crate) services: Vec<Box<dyn AnyService>>,
    pub(crate) loader: Loader,
}

/// The services of a node that starts from `recovered`.
pub(crate) fn compose(_config: &Arc<Value>, _recovered: Recovered) -> Composed {
    const ORDER: &[&str] = &["heartbeat", "overlay", "groups", "rexec"];
    let services = ORDER.iter().filter_map(|name| make(name)).collect();
    Composed { services, loader: Box::new(make) }
}

/// A service in its first state.
fn make(name: &str) -> Option<Factory> {
    Some(match name {
        "heartbeat" => Box::new(Heartbeat::default()),
        "overlay" => Box::new(Overlay::default()),
        "groups" => Box::new(Groups::default()),
        "rexec" => Box::new(Rexec::default()),
        _ => return None,
    })
}
