//! Services that belong to the broker but need none of the node's tables.

mod cron;
mod groups;
mod heartbeat;
mod rexec;

pub(crate) use cron::Cron;
pub use groups::Groups;
pub(crate) use groups::{ONLINE, TORPID};
pub use heartbeat::Heartbeat;
pub use rexec::Rexec;
