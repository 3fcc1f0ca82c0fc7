//! One way to write a service.
//!
//! A service is a struct. Messages, completions and timers come in with the time as an argument; effects go out into a
//! list. It never reads a clock, a file, the environment or randomness: the node gives it a [`Cx`] for all of these, and
//! so the same service runs under the mio runtime and under the simulator.
#![forbid(unsafe_code)]

mod check;
mod clock;
mod cx;
mod effect;
mod fault;
mod handler;
pub mod limits;
mod look;
mod plant;
mod rng;
mod stopwatch;
mod txn;
mod work;

pub use check::enforced;
#[cfg(feature = "weaken")]
pub use check::leave_out;
pub use clock::{Mono, Now, Wall};
pub use cx::{Cx, NodeInfo, Outbox, RunLevelCommand, Tag};
pub use effect::{
    Completion, Effect, FileOp, HashedBlob, LogLevel, LogPosition, ProcessEvent, ProcessOp, Recovered, SpawnSpec,
    StdStream, StoreOp,
};
pub use fault::Fault;
pub use handler::{AnyService, Handler, HandlerInfo, Outcome, Service};
pub use look::{Found, FoundAll, Look, Looks};
#[cfg(feature = "plant")]
pub use plant::choose;
pub use plant::{Plant, planted};
pub use rng::Rng;
pub use stopwatch::{set_stopwatch, stopwatch};
pub use txn::{Change, Durability, Transaction, TxnOp};
pub use work::{Errand, Work};
