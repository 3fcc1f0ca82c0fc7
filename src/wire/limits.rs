//! Bounds of this crate. A peer can reach each of them; none may cost more memory than it names.

/// Longest message accepted from a stream socket, in bytes (RFC 3 sets no limit; ours, so that a made-up length costs nothing).
pub const FRAME_LEN_MAX: usize = 1 << 30;
/// Routes a request may carry. A tree of 2^32 brokers is far less deep.
pub const ROUTES_MAX: usize = 256;
/// Longest topic string, in bytes.
pub const TOPIC_LEN_MAX: usize = 4096;
/// Longest route identity, in bytes (UUID strings are 36).
pub const ROUTE_LEN_MAX: usize = 255;
/// A read buffer is given back to the allocator when it is empty and larger than this.
pub const READ_BUFFER_KEEP: usize = 256 * 1024;

const _: () = assert!(FRAME_LEN_MAX < u32::MAX as usize);
/// Longest command before the end of a ZMTP handshake, in bytes.
pub const ZMTP_COMMAND_LEN_MAX: usize = 8 * 1024;
/// Longest ZMTP frame: a message and what encryption adds to it.
pub const ZMTP_FRAME_LEN_MAX: usize = FRAME_LEN_MAX + 64;
/// Parts of one ZMTP message.
pub const ZMTP_PARTS_MAX: usize = 300;
/// Properties in a ZMTP handshake.
pub const ZMTP_PROPERTIES_MAX: usize = 32;
/// Longest text of a broker's certificate, in bytes.
pub const CERT_LEN_MAX: usize = 64 * 1024;
