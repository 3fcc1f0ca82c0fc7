//! Bounds of this crate.

/// Brokers of one instance.
pub const SIZE_MAX: u32 = 1 << 20;
/// Requests that wait for answers over one link; beyond it they are not remembered, and a lost peer leaves them to their
/// senders' own patience.
pub const TRACKED_MAX: usize = 1 << 20;
/// Children of one broker that `tbon.topo=mincrit` tries not to exceed.
pub const FANOUT_WANTED: u32 = 1024;
