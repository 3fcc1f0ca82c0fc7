//! Jobspec in its full, canonical form (RFC 14), from YAML or JSON.

mod constraint;
mod count;
mod parse;
mod storage;
mod variants;
mod yaml;

pub use constraint::Constraint;
pub use count::Count;
pub use parse::{Jobspec, Resource};
pub(crate) use variants::{OR_SLOT, XOR_SLOT, has_or_slot, variants_of};
pub use yaml::parse_yaml;
