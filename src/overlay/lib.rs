//! The tree of brokers: its shape, the state of what is below a broker, and the requests that a lost peer will not answer.
//!
//! [`Tree`] is a function of rank and size, the same on every broker. [`Family`] is what one broker knows of its children.
//! [`Tracker`] holds what was asked over one link.
#![forbid(unsafe_code)]

mod family;
pub mod limits;
mod status;
mod track;
mod tree;

pub use family::{Child, Family};
pub use status::Status;
pub use track::Tracker;
pub use tree::{Tree, TreeError};
