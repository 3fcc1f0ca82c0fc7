//! Whole instances under virtual time.
//!
//! The brokers are the real ones ([`flux_broker::Node`] with all its services); everything around them is played: links,
//! disks, job shells, clients, the clock. A seed decides all that is left to chance, faults among it, so that what fails
//! once fails always. Checkers that share no code with the services look at what clients were told and what the disks hold.
#![forbid(unsafe_code)]

mod audit;
mod bytes;
mod check;
mod client;
mod deeds;
mod disk;
mod fault;
mod host;
pub mod limits;
mod listen;
mod modules;
mod net;
mod run;
mod scale;
mod scenario;
mod shell;
mod trace;
mod world;

pub use run::{Outcome, run};
pub use scale::{Scale, Traffic, scale};
pub use scenario::{Fault, Scenario};
pub use world::Violation;

#[cfg(test)]
mod tests;
