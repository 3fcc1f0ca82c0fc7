//! The job shell: what it decides, as pure functions and state machines. `flux-shellrun` does the deeds.
#![forbid(unsafe_code)]

pub mod affinity;
pub mod bundle;
mod check;
pub mod environment;
mod error;
pub mod exits;
pub mod helper;
pub mod journal;
pub mod layout;
pub mod limits;
pub mod output;
pub mod plan;
pub mod pmi;
pub mod storage;
pub mod template;

pub use bundle::{Allocation, Bundle, Node};
pub use error::ShellError;
pub use journal::Journal;
pub use plan::Plan;

use serde_json::Value;

/// One line of an eventlog (RFC 18).
pub fn entry(timestamp: f64, name: &str, context: Option<&Value>) -> String {
    match context {
        Some(context) => format!("{{\"timestamp\":{timestamp:?},\"name\":\"{name}\",\"context\":{context}}}\n"),
        None => format!("{{\"timestamp\":{timestamp:?},\"name\":\"{name}\"}}\n"),
    }
}

#[cfg(test)]
mod tests;
