//! Bounds of this crate.

/// Characters of an output format, given or configured.
pub const FORMAT_MAX_CHARS: usize = 16 << 10;
/// Width or precision of one field of an output format.
pub const FIELD_WIDTH_MAX: usize = 4096;
/// Bytes read from a configuration file of a command (`flux-NAME.toml` and `.json`).
pub const CONFIG_MAX_BYTES: u64 = 1 << 20;
/// Bytes read from standard input by commands that need all of it (values, objects, configuration).
pub const STDIN_MAX_BYTES: u64 = 1 << 30;
/// Edits within which an unknown command is taken for a slip of another.
pub const SLIP_EDITS_MAX: usize = 2;
