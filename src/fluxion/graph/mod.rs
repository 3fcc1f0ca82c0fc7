//! The resource graph: vertices are resource pools, edges are relations in subsystems (RFC 4).

mod build;
mod holders;
mod mark;
mod nodes;
mod order;
mod prime;
mod prune;
mod rank;
mod runs;
mod shape;
mod vertex;

pub(crate) use build::NewVertex;
pub(crate) use holders::{SlotShape, is_ahead};
pub(crate) use mark::{Mark, Marks};
pub(crate) use nodes::{Near, NodeIndex};
pub(crate) use prune::PruneTypes;
pub(crate) use rank::{RankKey, Ranked};
pub(crate) use runs::{Lot, RunKey};
pub use shape::{Edge, EdgeId, Graph, VertexId};
pub use vertex::{Status, Vertex};
