//! What every scheduler says to the resource service and the job manager, and what it hears from them (RFC 27, RFC 28).
#![forbid(unsafe_code)]

mod answer;
mod body;
mod claims;
mod grants;
mod handshake;

pub use answer::{annotate, cancelled, deny};
pub use body::{Acquired, AllocBody, IdBody, PrioritizeBody};
pub use claims::Claims;
pub use grants::Grant;
pub use handshake::{Handshake, Heard};
