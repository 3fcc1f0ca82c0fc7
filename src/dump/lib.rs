//! Archives of the key-value store: what `flux dump` writes and `flux restore` reads.
//!
//! An archive is a POSIX tar, perhaps compressed by gzip, with one entry for each key: a regular file for a value, a
//! symbolic link for a link. The `.` between the components of a key becomes a `/`; a link into another namespace
//! has the target `NAMESPACE::KEY`. There are no entries for directories. flux-core writes and reads the same.
#![forbid(unsafe_code)]

pub mod limits;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::io;

pub use read::{Key, Restored, Sink, restore};
pub use write::{Compression, Stamp, Writer};

/// Why an archive was not written or read. `E` is the error of what takes its blobs.
#[derive(Debug)]
pub enum DumpError<E> {
    /// Reading or writing failed, or the bytes are no archive.
    Io(io::Error),
    /// What takes the blobs refused one.
    Sink(E),
    /// A path or target that is no key: not UTF-8, empty, or too deep.
    BadKey {
        path: String,
    },
    /// A key that is a value in one place and a directory in another.
    Conflict {
        path: String,
    },
    /// Neither a file nor a symbolic link nor a directory.
    BadType {
        path: String,
    },
    TooLarge {
        path: String,
        size: u64,
    },
    TooMany,
    /// A file name whose end names no format that is known here.
    UnknownFormat {
        name: String,
    },
}

impl<E: fmt::Display> fmt::Display for DumpError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Sink(error) => error.fmt(f),
            Self::BadKey { path } => write!(f, "{path}: the path is no key"),
            Self::Conflict { path } => write!(f, "{path}: it is both a value and a directory"),
            Self::BadType { path } => write!(f, "{path}: neither a file nor a symbolic link"),
            Self::TooLarge { path, size } => write!(f, "{path}: {size} bytes are more than one value may have"),
            Self::TooMany => write!(f, "more than {} keys", limits::KEYS_MAX),
            Self::UnknownFormat { name } => {
                write!(f, "{name}: the name must end in .tar, .tgz or .tar.gz: other formats are not known here")
            }
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for DumpError<E> {}

impl<E> From<io::Error> for DumpError<E> {
    fn from(error: io::Error) -> DumpError<E> {
        DumpError::Io(error)
    }
}
