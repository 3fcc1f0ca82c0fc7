//! Why a command failed, and with which exit code.

use std::fmt;
use std::io;

use flux_client::{ClientError, Errno, Fault};

/// The boundary between a command and its caller: text for the user, code for the shell.
#[derive(Debug)]
pub enum CmdError {
    /// The command line makes no sense; the exit code is the command's `usage_exit`.
    Usage(String),
    /// A sentence for the user; exit code 1 unless another one says more.
    Failed { text: String, code: u8 },
    /// A call or the connection failed.
    Client(ClientError),
    /// Reading or writing failed. A reader of our output that went away is no error worth a word.
    Io(io::Error),
    /// What there was to say has been said.
    Silent(u8),
}

impl CmdError {
    pub fn new(text: impl Into<String>) -> CmdError {
        CmdError::Failed { text: text.into(), code: 1 }
    }

    pub fn usage(text: impl Into<String>) -> CmdError {
        CmdError::Usage(text.into())
    }

    /// As a sentence `WHAT: REASON`.
    pub fn about(what: impl fmt::Display, why: impl fmt::Display) -> CmdError {
        CmdError::new(format!("{what}: {why}"))
    }

    /// For `map_err`: puts what was tried before a failed call's reason, but leaves a lost connection as it is.
    pub fn calling<W: fmt::Display>(what: W) -> impl FnOnce(ClientError) -> CmdError {
        move |error| match error {
            ClientError::Answer(fault) => CmdError::about(what, fault.message()),
            other => CmdError::Client(other),
        }
    }

    /// The exit code; `usage` is the command's own for a wrong command line.
    pub fn code(&self, usage: u8) -> u8 {
        match self {
            Self::Usage(_) => usage,
            Self::Failed { code, .. } | Self::Silent(code) => *code,
            Self::Client(_) => 1,
            Self::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => 141, // As if SIGPIPE had ended us.
            Self::Io(_) => 1,
        }
    }

    /// Is there nothing to say?
    pub fn quiet(&self) -> bool {
        match self {
            Self::Silent(_) => true,
            Self::Io(error) => error.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }

    /// The errno of a failed call.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Client(error) => Some(error.errno()),
            Self::Io(error) => error.raw_os_error().map(Errno),
            _ => None,
        }
    }
}

impl fmt::Display for CmdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Failed { text, .. } => f.write_str(text),
            Self::Client(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Silent(_) => Ok(()),
        }
    }
}

impl std::error::Error for CmdError {}

impl From<ClientError> for CmdError {
    fn from(error: ClientError) -> CmdError {
        CmdError::Client(error)
    }
}

impl From<Fault> for CmdError {
    fn from(fault: Fault) -> CmdError {
        CmdError::Client(ClientError::Answer(fault))
    }
}

impl From<io::Error> for CmdError {
    fn from(error: io::Error) -> CmdError {
        CmdError::Io(error)
    }
}

impl From<crate::format::FormatError> for CmdError {
    fn from(error: crate::format::FormatError) -> CmdError {
        CmdError::new(error.to_string())
    }
}
