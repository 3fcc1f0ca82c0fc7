//! The broker: one node of an instance, as a pure state machine.
//!
//! [`Node`] owns the services, routes messages between them, clients and other brokers, and turns what they want done
//! into [`Output`]s that a runtime (or the simulator) performs.
#![forbid(unsafe_code)]

pub mod attr;
mod command;
mod compose;
pub mod config;
mod core;
mod disconnect;
mod event;
mod external;
pub mod limits;
mod log;
mod modules;
mod node;
mod overlay;
mod rc;
mod refusals;
mod route;
mod service;
mod startlog;
mod state;
pub mod tbon;
mod trace;

pub use attr::{AttrFlags, Attrs};
pub use compose::{Composed, Scheduler, compose};
pub use core::VERSION;
pub use log::{LogConfig, LogLine};
pub use modules::{Factory, Loader};
pub use node::{ConnId, Input, Node, NodeSetup, Output, Owner};
pub use overlay::{LinkId, OverlaySetup, Side};
pub use service::{Groups, Heartbeat, Rexec};
pub use state::RunLevel;
