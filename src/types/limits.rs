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

/// Bytes of one dependency on the command line.
pub const DEPENDENCY_LEN_MAX: usize = 16 << 10;
/// Options of one dependency.
pub const DEPENDENCY_OPTIONS_MAX: usize = 64;

/// Bytes of one event line. An event carries notes and annotations, never files.
pub const EVENT_LEN_MAX: usize = 1 << 20;
/// Bytes of an event's name.
pub const EVENT_NAME_LEN_MAX: usize = 256;

/// Largest count, rank or size in a jobspec: flux-core reads them as signed 32-bit integers.
pub const JOBSPEC_COUNT_MAX: u32 = i32::MAX as u32;
/// Levels of `with` below each other.
pub const JOBSPEC_DEPTH_MAX: usize = 32;
/// Resource vertices in one jobspec.
pub const JOBSPEC_VERTICES_MAX: usize = 4096;
/// Entries of `tasks`.
pub const JOBSPEC_TASKS_MAX: usize = 4096;
/// Parts of a dotted attribute path.
pub const JOBSPEC_PATH_DEPTH_MAX: usize = 32;

/// Operators inside each other in one constraint.
pub const CONSTRAINT_DEPTH_MAX: usize = 32;
/// Operators and values in one constraint.
pub const CONSTRAINT_TERMS_MAX: usize = 1 << 16;
/// Bytes of one constraint query.
pub const CONSTRAINT_QUERY_LEN_MAX: usize = 64 << 10;

/// Execution targets in one resource set: a rank per node of the largest machine we mean to serve.
pub const RESOURCE_RANKS_MAX: usize = 1 << 18;
/// Cores or GPUs of one node.
pub const RESOURCE_CHILDREN_MAX: usize = 1 << 16;
/// Distinct properties in one resource set.
pub const RESOURCE_PROPERTIES_MAX: usize = 1 << 16;

/// Tasks in one task map; bounds the ranges of a cyclic node's task set.
pub const TASKMAP_TASKS_MAX: u64 = 1 << 24;
/// Nodes in one task map.
pub const TASKMAP_NODES_MAX: u64 = 1 << 20;
/// Bytes of a task map's text, read or written. A short map can repeat a block millions of times in PMI form.
pub const TASKMAP_TEXT_LEN_MAX: usize = 16 << 20;

/// File objects in one archive.
pub const ARCHIVE_FILES_MAX: usize = 1 << 20;
