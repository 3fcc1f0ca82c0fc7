//! The named maxima of this crate.

/// Bytes of one value in an archive; the store takes no larger one.
pub const VALUE_LEN_MAX: u64 = 512 << 20;
/// Components of one key, as the store has it. Bounds the depth of the tree that is built.
pub const KEY_COMPONENTS_MAX: usize = 512;
/// Keys of one archive.
pub const KEYS_MAX: usize = 1 << 26;
/// A value whose base64 text is longer than this is a blob of its own (RFC 11).
pub const INLINE_BASE64_MAX: usize = 72;
