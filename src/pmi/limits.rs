//! Bounds of this library, in bytes with the final zero.

/// A process on its own may put keys and values below these lengths; a server tells its own.
pub const KEY_MAX: usize = 64;
pub const VALUE_MAX: usize = 1024;
/// The name of a key-value space.
pub const NAME_MAX: usize = 1024;
/// How often somebody who waits for an attribute of the node asks for it, each time after a tenth of a second.
pub(crate) const NODE_ATTR_TRIES: u32 = 300;
