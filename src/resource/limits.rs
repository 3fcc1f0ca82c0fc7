//! Bounds of this crate.

/// Events the in-memory resource eventlog holds (`resource.journal-max`).
pub const JOURNAL_MAX: usize = 100_000;
/// Clients that follow the resource journal, or acquire.
pub const WATCHERS_MAX: usize = 65_536;
/// Longest reason of a drain, in bytes.
pub const REASON_MAX: usize = 4096;
/// Jobs waiting for resources.
pub const PENDING_MAX: usize = 4 << 20;
/// Vertices of a parent's graph; a larger one is not taken over.
pub const GRAPH_VERTICES_MAX: usize = 1_000_000;
/// Nodes, and cores or GPUs of a node, that `[fake-resources]` may make up.
pub(crate) const FAKE_COUNT_MAX: u32 = 1 << 17;
