//! Schedules under virtual time: a trace of jobs is played to a whole instance. Its ingest, job manager, scheduler, job-exec
//! and KVS are those that the runtime runs; the machine is made up, and jobs are clocks (`system.exec.test`).
#![forbid(unsafe_code)]

mod instance;
pub mod limits;
mod machine;
mod play;
mod report;
#[cfg(test)]
mod tests;
mod trace;

pub use machine::Machine;
pub use play::simulate;
pub use report::{Placement, Report};
pub use trace::{Trace, TraceJob, parse_trace};
