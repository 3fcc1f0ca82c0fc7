//! The service as its clients see it.

mod access;
mod commit;
mod content;
mod failure;
mod follower;
mod model;
mod recovery;
mod watch;
