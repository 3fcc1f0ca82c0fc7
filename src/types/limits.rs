//! The named maxima of this crate. Text comes from users and peers; nothing it says may cost more than these.

/// Largest id an idset holds: flux-core's universe ends at `INT_MAX`.
pub const IDSET_ID_MAX: u32 = i32::MAX as u32;
/// Longest idset text that is parsed, in bytes. Bounds the ranges in a parsed set to half of it.
pub const IDSET_TEXT_LEN_MAX: usize = 16 << 20;

/// Hosts in one hostlist.
pub const HOSTLIST_HOSTS_MAX: u64 = 1 << 22;
/// Hosts in one bracketed range, as in flux-core.
pub const HOSTLIST_RANGE_LEN_MAX: u64 = 1 << 20;
/// Bytes of one host name.
pub const HOST_NAME_LEN_MAX: usize = 1023;
/// Bytes of all names that one hostlist text makes by putting a suffix behind brackets; those are stored in full.
pub const HOSTLIST_EXPANDED_LEN_MAX: usize = 4 << 20;

/// Generator ids are 14 bits (RFC 19).
pub const FLUID_GENERATORS_MAX: u32 = 1 << 14;
/// Ids per generator and millisecond: 10 bits (RFC 19).
pub const FLUID_SEQUENCE_MAX: u16 = 1 << 10;
/// Timestamps are 40 bits of milliseconds (RFC 19).
pub const FLUID_TIMESTAMP_MS_MAX: u64 = (1 << 40) - 1;
