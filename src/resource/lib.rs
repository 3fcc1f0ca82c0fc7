//! What the instance can run jobs on, and the simple scheduler.
//!
//! [`Resource`] keeps the inventory and who may use which node (RFCs 20, 28, 44); [`SchedSimple`] gives parts of it to jobs
//! in the order of their priority (RFC 27).
#![forbid(unsafe_code)]

mod conf;
mod drain;
mod gather;
mod inventory;
mod known;
mod ledger;
pub mod limits;
mod log;
mod nested;
mod reduce;
mod service;
mod simple;
mod targets;

pub use inventory::{Inventory, InventoryError, Method};
pub use reduce::ResourceReduce;
pub use service::{Known, Resource};
pub use simple::{FitMode, SchedSimple};
