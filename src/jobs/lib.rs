//! The job services of rank 0: taking jobs in, moving them through RFC 21's states, listing them, and showing their data.
//!
//! - [`ingest`]: `job-ingest`, checks what users submit and gives it an id (RFCs 19, 25, 39).
//! - [`manager`]: `job-manager`, the state machine, the queues, and the talks with scheduler and exec service (RFCs 21, 27, 32, 33).
//! - [`list`]: `job-list`, what `flux jobs` shows (RFC 43).
//! - [`info`]: `job-info`, a job's data for its owner (RFC 41).
#![forbid(unsafe_code)]

mod body;
mod finished;
mod inside;

pub mod exec;
pub mod info;
pub mod ingest;
mod kvs;
pub mod limits;
pub mod list;
pub mod manager;
mod policy;
pub mod state;

pub use exec::JobExec;
pub use info::JobInfo;
pub use ingest::JobIngest;
pub use list::JobList;
pub use manager::JobManager;
pub use state::{EndEvent, JobFlags};

#[cfg(test)]
mod harness;
