//! Time: how much of a resource is used from when to when, and when the next hole comes.

mod flat;
mod multi;
mod timeline;
mod tree;

pub use multi::Multi;
pub use timeline::Timeline;

/// Seconds since the epoch of the graph.
pub(crate) type Time = i64;

/// No span may end after this.
pub(crate) const PLAN_END: Time = i64::MAX;
