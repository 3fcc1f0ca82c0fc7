//! Jobspec in its full, canonical form (RFC 14), from YAML or JSON.

mod constraint;
mod count;
mod parse;
mod storage;
mod yaml;

pub use constraint::Constraint;
pub use count::Count;
pub use parse::{Jobspec, Resource};
pub use yaml::parse_yaml;
