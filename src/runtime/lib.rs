//! The mio runtime: performs what a node wants done, and tells it what happened.
//!
//! Everything a service must not touch is here: sockets, clocks, processes, files, the store on disk.

mod access;
mod boot;
mod clock;
mod compute;
mod connection;
mod file;
pub mod limits;
mod listener;
mod node;
mod outlets;
mod peers;
mod process;
mod reactor;
mod socket;
mod stderr;
mod store;
mod tokens;

pub use boot::broker_main;
#[cfg(feature = "weaken")]
pub use flux_service::leave_out;
pub use listener::Listener;
pub use node::{ConnId, Input, NodeLike, Output, Owner};
pub use peers::PeersSetup;
pub use reactor::Reactor;
pub use socket::Door;
pub use store::{OpenReport, StoreError, StoreHandle, open_store};

#[cfg(test)]
mod tests;
