//! The service as its clients see it.

mod commit;
mod recovery;
mod watch;
