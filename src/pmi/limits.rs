//! Bounds of this library, in bytes with the final zero.

/// A process on its own may put keys and values below these lengths; a server tells its own.
pub const KEY_MAX: usize = 64;
pub const VALUE_MAX: usize = 1024;
/// The name of a key-value space.
pub const NAME_MAX: usize = 1024;
