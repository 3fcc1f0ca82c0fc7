//! The key-value store: namespaces of hash trees over content-addressed blobs (RFC 10, 11), log first, tree second (ADR 2).
#![forbid(unsafe_code)]

mod cache;
mod checkpoint;
mod collect;
mod commit;
mod content;
mod content_api;
mod digest;
mod doubt;
mod event;
mod follow;
mod follower;
mod key;
pub mod limits;
mod log;
mod lookup;
mod many;
mod mirror;
mod mutate;
mod park;
mod record;
mod root;
mod service;
mod space;
mod stats;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tree;
mod txn;
mod watch;

pub use checkpoint::checkpoint_of;
pub use digest::Algorithm;
pub use follower::KvsFollower;
pub use record::{RecordError, check_record};
pub use service::Kvs;
