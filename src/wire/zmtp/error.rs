//! Why a ZMTP connection is given up.

use std::fmt;

use crate::Errno;

/// Any peer can cause these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZmtpError {
    NotZmtp,
    OldVersion {
        major: u8,
    },
    WrongMechanism {
        got: String,
    },
    /// Both ends say they are the server, or neither.
    SameRole,
    TooLong {
        len: u64,
    },
    Unexpected {
        what: String,
    },
    /// A box that does not open: another key, or changed bytes.
    BadSeal {
        command: &'static str,
    },
    /// A proved key that is not among those that may connect.
    NotAllowed {
        key: String,
    },
    /// The peer sent ERROR.
    Refused {
        reason: String,
    },
    /// A message that was sent before comes again, or out of order.
    Replayed,
}

impl ZmtpError {
    pub(super) fn unexpected(body: &[u8]) -> ZmtpError {
        let name = body.get(1..1 + usize::from(body.first().copied().unwrap_or(0)).min(16)).unwrap_or_default();
        ZmtpError::Unexpected { what: format!("the command {:?}", String::from_utf8_lossy(name)) }
    }

    pub const fn errno(&self) -> Errno {
        match self {
            Self::NotAllowed { .. } | Self::Refused { .. } | Self::BadSeal { .. } => Errno::EPERM,
            Self::TooLong { .. } => Errno::EMSGSIZE,
            _ => Errno::EPROTO,
        }
    }
}

impl fmt::Display for ZmtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotZmtp => f.write_str("the peer does not speak ZMTP"),
            Self::OldVersion { major } => write!(f, "the peer speaks ZMTP {major}; 3 is needed"),
            Self::WrongMechanism { got } => write!(f, "the peer wants the mechanism {got:?}"),
            Self::SameRole => f.write_str("both ends are the server, or both the client"),
            Self::TooLong { len } => write!(f, "a frame of {len} bytes is over the limit"),
            Self::Unexpected { what } => write!(f, "{what} was not expected"),
            Self::BadSeal { command } => write!(f, "{command} was made with another key"),
            Self::NotAllowed { key } => write!(f, "the key {key} may not connect"),
            Self::Refused { reason } => write!(f, "the peer refused us: {reason}"),
            Self::Replayed => f.write_str("a message came again or out of order"),
        }
    }
}

impl std::error::Error for ZmtpError {}
