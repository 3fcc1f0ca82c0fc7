//! The maximum of every buffer and table of this crate.

/// File descriptors that one spawned process may be given.
pub const SPAWN_FDS_MAX: usize = 256;
/// Bytes of stack for the child between `clone` and `execve`. It calls nothing that recurses or allocates.
pub const SPAWN_STACK_BYTES: usize = 64 * 1024;
/// Directories of a `PATH` that are tried for a program.
pub const SPAWN_PATH_DIRS_MAX: usize = 256;
/// Processors one affinity mask can name (the kernel's own maximum is 8192 on x86_64).
pub const CPUS_MAX: u32 = 16 * 1024;
/// Bytes of `/etc/passwd` or `/etc/group` that are read.
pub const USER_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of an answer of `getent` that are read: a group with very many members fits.
pub const GETENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long `getent` may take (directory servers can be slow) before it is killed.
pub const GETENT_TIMEOUT_MS: u64 = 5_000;
/// Answers kept of lookups; when full, the cache starts anew.
pub const USER_CACHE_ENTRIES_MAX: usize = 4096;
/// Bytes of a name that is looked up: Linux allows 32, directory servers more.
pub const USER_NAME_BYTES_MAX: usize = 256;
/// How long an answer is believed.
pub const USER_CACHE_TTL_MS: u64 = 60_000;
/// Supplementary groups of one user (the kernel's NGROUPS_MAX).
pub const GROUPS_MAX: usize = 65_536;
/// Bytes of a cgroup or proc control file that are read.
pub const CONTROL_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Processes of a cgroup that are signalled one by one.
pub const SIGNALLED_AT_ONCE_MAX: usize = 512;
/// File descriptors that travel with one message.
pub const PASSED_FDS_MAX: usize = 16;
/// Bytes of `/etc/hosts` that are read; a larger one is left to getent.
pub const HOSTS_BYTES_MAX: u64 = 1 << 20;
