//! Fluxion: scheduling on a graph of any resources. Resources are vertices, relations are edges in subsystems, a job's
//! request is a pattern, and scheduling is matching it over space and time (RFCs 4, 14, 20, 40). Pure: no clock, file,
//! environment or thread.
#![forbid(unsafe_code)]

mod engine;
mod error;
mod fluxion;
#[cfg(test)]
mod golden;
mod graph;
mod hosts;
mod intern;
#[cfg(test)]
mod invariant;
pub mod jobspec;
pub mod limits;
mod matcher;
mod planner;
pub mod policy;
pub mod query;
mod reader;
mod service;
mod traverser;
mod writer;

pub use engine::{Engine, EngineConfig};
pub use error::{GraphError, JobspecError, MatchError};
pub use fluxion::{Allocation, Fluxion, FluxionConfig};
pub use graph::{Edge, EdgeId, Graph, Status, Vertex, VertexId};
pub use intern::{Subsystem, TypeId};
pub use matcher::{MatchPolicy, Preference, Script, is_script, parse_policy, subsystems_of};
pub use planner::{Multi, Timeline};
pub use reader::{Claim, Reader, dot_of_recipe};
pub use service::FluxionModules;
pub use traverser::{CancelStats, Expression, Hold, JobHold, JobTable, MatchOp, Matched, Release, Touch};
pub use writer::{Format, Writer, dump_spaced, graph_of_r};
