//! The error a handler answers with.

use std::fmt;

use flux_wire::{Errno, Message, PayloadError};

/// What goes back to the requester: an errno and, unless empty, a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub errno: Errno,
    pub text: String,
}

impl Fault {
    pub fn new(errno: Errno, text: impl Into<String>) -> Fault {
        Fault { errno, text: text.into() }
    }

    /// The fault that a failed response carries; `None` if the response is a success.
    pub fn of(response: &Message) -> Option<Fault> {
        let errno = response.errno()?;
        Some(Fault { errno, text: response.payload.as_text().unwrap_or("").to_owned() })
    }

    /// The text, or what strerror(3) says where there is none.
    pub fn message(&self) -> String {
        if self.text.is_empty() { self.errno.to_string() } else { self.text.clone() }
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Fault {
        Fault { errno, text: String::new() }
    }
}

impl From<PayloadError> for Fault {
    fn from(error: PayloadError) -> Fault {
        Fault::new(Errno::EPROTO, error.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for Fault {}
