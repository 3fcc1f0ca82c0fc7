//! What travels between processes: RFC 3 messages, their frames, and the framing of stream sockets.
//!
//! Everything here is a pure function of bytes. Sockets live in `flux-runtime` and `flux-client`.
#![forbid(unsafe_code)]

pub mod cert;
mod codec;
pub mod crypto;
mod errno;
mod frame;
pub mod limits;
mod message;
mod payload;
pub mod zmtp;

pub use codec::{DecodeError, PROTO_LEN, decode, encode, encode_into};
pub use errno::{Errno, name as errno_name, text as errno_text};
pub use frame::{FRAME_MAGIC, FRAME_PREFIX_LEN, FrameError, FrameReader, Split, split_frame, write_frame};
pub use message::{Body, Cred, Flags, Kind, Message, Rank, RouteId, Target, Topic, role};
pub use payload::{Local, Payload, PayloadError};
