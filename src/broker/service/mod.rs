//! Services that belong to the broker but need none of the node's tables.

mod groups;
mod heartbeat;
mod overlay;
mod rexec;

pub use groups::Groups;
pub use heartbeat::Heartbeat;
pub use overlay::Overlay;
pub use rexec::Rexec;
