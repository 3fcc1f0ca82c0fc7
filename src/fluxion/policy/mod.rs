//! Queues: who is next, and who may go ahead of whom.

mod config;
mod cycle;
mod queue;
#[cfg(test)]
mod tests;

pub use config::{QueueConfig, QueuePolicy};
pub use cycle::{Cycle, Decision, Selection};
pub use queue::{Queue, Why};
