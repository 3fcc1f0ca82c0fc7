//! The handle: how the command line, job shells and external modules talk to a broker.
//!
//! One [`Handle`] is one connection. It is blocking and single-threaded, and several requests may be under way at once:
//! [`Handle::send`] gives a [`Ticket`], [`Handle::next`] gives whatever arrives next. Programs that poll other descriptors
//! too use [`Handle::as_fd`], [`Handle::wants_write`], [`Handle::advance`] and [`Handle::take`], which never wait.
//!
//! ```no_run
//! # fn main() -> Result<(), flux_client::ClientError> {
//! use flux_client::{Handle, Target};
//! use serde_json::json;
//! let mut flux = Handle::open()?;
//! let answer = flux.call("attr.get", Target::Any, json!({"name": "rank"}))?;
//! println!("{}", answer["value"]);
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]

mod calls;
pub mod content;
mod error;
mod events;
mod handle;
mod inbox;
pub mod limits;
pub mod pmi;
mod socket;
mod trace;
mod uri;

pub use calls::Responses;
pub use error::ClientError;
pub use flux_service::Fault;
pub use flux_wire::{Errno, Message, Payload, Rank, Target};
pub use handle::{Handle, Incoming, Options, Ticket};
pub use uri::{Address, Remote};

#[cfg(test)]
mod tests;
