//! Why a connection or a call failed, as a sentence that says what to do.

use std::fmt;
use std::io;
use std::time::Duration;

use flux_service::Fault;
use flux_wire::{DecodeError, Errno, FrameError, PayloadError};

/// Everything that can go wrong between a client and its broker.
#[derive(Debug)]
pub enum ClientError {
    /// No address: neither `FLUX_URI` nor the system instance's socket is there.
    NoInstance,
    /// The address cannot be used.
    BadUri {
        uri: String,
        why: &'static str,
    },
    /// Nobody listens there (or not yet).
    Connect {
        uri: String,
        error: io::Error,
    },
    /// The broker did not let us in.
    Refused {
        uri: String,
        errno: Errno,
    },
    /// The broker closed the connection.
    Lost,
    /// A system call on the socket failed.
    Socket(io::Error),
    /// The broker sent bytes that are no messages.
    Frame(FrameError),
    Message(DecodeError),
    /// A response that is not what this call expects.
    Payload(PayloadError),
    /// No answer in time.
    TimedOut {
        topic: String,
        after: Duration,
    },
    /// More of something than [`crate::limits`] allows.
    TooMany(&'static str),
    /// The service answered with an error.
    Answer(Fault),
}

impl ClientError {
    /// The errno that stands for this error, as flux-core's C functions set it.
    pub fn errno(&self) -> Errno {
        match self {
            Self::NoInstance => Errno::ENOENT,
            Self::BadUri { .. } => Errno::EINVAL,
            Self::Connect { error, .. } | Self::Socket(error) => Errno(error.raw_os_error().unwrap_or(Errno::EIO.0)),
            Self::Refused { errno, .. } => *errno,
            Self::Lost => Errno::ECONNRESET,
            Self::Frame(error) => error.errno(),
            Self::Message(_) | Self::Payload(_) => Errno::EPROTO,
            Self::TimedOut { .. } => Errno::ETIMEDOUT,
            Self::TooMany(_) => Errno::EAGAIN,
            Self::Answer(fault) => fault.errno,
        }
    }

    /// Is the connection itself gone, so that [`crate::Handle::reconnect`] is what remains?
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost | Self::Socket(_) | Self::Frame(_) | Self::Message(_) | Self::Connect { .. })
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInstance => {
                f.write_str("FLUX_URI is not set: run this inside an instance, for example under `flux start`")
            }
            Self::BadUri { uri, why } => write!(f, "cannot use the address {uri:?}: {why}"),
            Self::Connect { uri, error } => match error.raw_os_error().map(Errno) {
                Some(Errno::ENOENT | Errno::ECONNREFUSED) => {
                    write!(f, "no broker answers at {uri}: has the instance ended? ({error})")
                }
                _ => write!(f, "cannot connect to {uri}: {error}"),
            },
            Self::Refused { uri, errno: Errno::EPERM } => {
                write!(f, "the broker at {uri} does not admit this user (access.allow-guest-user is not set)")
            }
            Self::Refused { uri, errno } => write!(f, "the broker at {uri} refused the connection: {errno}"),
            Self::Lost => f.write_str("the broker closed the connection"),
            Self::Socket(error) => write!(f, "the connection to the broker failed: {error}"),
            Self::Frame(error) => write!(f, "the broker sent a malformed frame: {error}"),
            Self::Message(error) => write!(f, "the broker sent a malformed message: {error}"),
            Self::Payload(error) => write!(f, "unexpected response: {error}"),
            Self::TimedOut { topic, after } => write!(f, "{topic}: no answer within {:.3} s", after.as_secs_f64()),
            Self::TooMany(what) => write!(f, "too many {what} on one connection"),
            Self::Answer(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<PayloadError> for ClientError {
    fn from(error: PayloadError) -> ClientError {
        ClientError::Payload(error)
    }
}

impl From<FrameError> for ClientError {
    fn from(error: FrameError) -> ClientError {
        ClientError::Frame(error)
    }
}
