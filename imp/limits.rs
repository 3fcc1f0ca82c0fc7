//! Bounds of this crate.

/// Bytes of a signed request `J`; a jobspec carries an environment and files given on the command line.
pub const SIGNED_REQUEST_LEN_MAX: usize = 16 << 20;
/// Entries of a header; the mechanisms there are have fewer than 20.
pub const KV_ENTRIES_MAX: usize = 64;
/// Bytes of a header, before base64.
pub const HEADER_LEN_MAX: usize = 16 << 10;
/// Bytes of the JSON that `exec` reads: J and the options of the resource owner.
pub const INPUT_LEN_MAX: usize = SIGNED_REQUEST_LEN_MAX + (64 << 10);
/// Values inside each other in the input.
pub const JSON_DEPTH_MAX: usize = 8;
/// Values in the input.
pub const JSON_VALUES_MAX: usize = 4096;
/// Bytes of a configuration file, a certificate or a key.
pub const FILE_LEN_MAX: u64 = 64 << 10;
/// Devices that a job may have named.
pub const DEVICES_MAX: usize = 128;
/// Files of one configuration directory.
pub const CONFIG_FILES_MAX: usize = 64;
/// Bytes of an answer of `getent`, and how long it may take.
pub const GETENT_LEN_MAX: u64 = 256 << 10;
pub const GETENT_MS_MAX: i32 = 10_000;
/// Supplementary groups of a user; the kernel's own limit.
pub const GROUPS_MAX: usize = 65_536;
/// Variables taken over from the caller's environment, and bytes of one.
pub const ENVIRONMENT_ENTRIES_MAX: usize = 1024;
pub const ENVIRONMENT_ENTRY_LEN_MAX: usize = 128 << 10;
/// Arguments of the caller, and bytes of one.
pub const ARGUMENTS_MAX: usize = 256;
pub const ARGUMENT_LEN_MAX: usize = 4096;
