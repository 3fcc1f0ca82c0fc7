//! The maximum of every buffer and table of this crate.

/// Bytes of one file of `/sys` or `/proc` that are read.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of a topology in XML: a node with 1024 processors needs less than one MiB.
pub const XML_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Devices of one kind that are looked at on one node.
pub const DEVICES_MAX: usize = 4096;
/// Bytes of a name taken from the system.
pub const NAME_BYTES_MAX: usize = 256;
