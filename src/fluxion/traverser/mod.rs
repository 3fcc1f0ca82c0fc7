//! Walking the graph: choosing, taking, giving back and finding.

mod cancel;
mod equals;
mod explore;
mod find;
mod fit;
mod jobs;
mod ranked;
mod request;
mod rounds;
mod runs;
mod schedule;
mod score;
mod select;
mod share;
mod slot;
mod take;
mod update;

pub use cancel::{CancelStats, Release};
pub(crate) use equals::Equals;
pub use find::Expression;
pub use jobs::{Hold, JobHold, JobTable, Touch};
pub(crate) use request::Request;
pub use schedule::{MatchOp, Matched};
pub(crate) use take::Take;
