//! Bounds of this crate.

/// Bytes of a file that a service may ask for at once ([`crate::FileOp::Read`]).
pub const FILE_READ_MAX: usize = 64 << 20;
