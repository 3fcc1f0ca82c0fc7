//! File objects and archives of them (RFC 37).

mod json;

use std::fmt;

use serde_json::Value;

use crate::blobref::{Blobref, BlobrefError};
use crate::limits::ARCHIVE_FILES_MAX;

/// `S_IFMT` and its values here, as in `stat(2)`.
pub const MODE_TYPE_MASK: u32 = 0o170000;
pub const MODE_REGULAR: u32 = 0o100000;
pub const MODE_DIRECTORY: u32 = 0o040000;
pub const MODE_SYMLINK: u32 = 0o120000;

/// One file, directory or symbolic link of an archive.
#[derive(Clone, Debug, PartialEq)]
pub struct FileObject {
    /// Relative, without `.` and `..` parts, but `.` alone is the top directory.
    pub path: String,
    /// Type and permissions as in `st_mode`; the type agrees with `content`.
    pub mode: u32,
    /// Seconds since 1970.
    pub mtime: Option<i64>,
    /// Seconds since 1970.
    pub ctime: Option<i64>,
    pub content: FileContent,
}

/// What a file object holds.
#[derive(Clone, Debug, PartialEq)]
pub enum FileContent {
    Directory,
    Symlink {
        target: String,
    },
    /// A file of `size` bytes without data: empty, or all holes.
    Empty {
        size: u64,
    },
    /// A file that is the JSON text of this value.
    Json(Value),
    /// A file of UTF-8 text.
    Text(String),
    /// A file of any bytes; base64 in JSON.
    Bytes(Vec<u8>),
    /// A file of `size` bytes in the content store; what no region covers is a hole.
    Blobvec {
        size: u64,
        regions: Vec<BlobRegion>,
    },
}

/// A part of a file that is one blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobRegion {
    /// Bytes from the start of the file.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    pub blobref: Blobref,
}

/// Why something is not a file object or archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    /// Not JSON.
    Json(String),
    /// An object without a key it must have, or with a value of the wrong type.
    BadKey {
        path: String,
        key: &'static str,
    },
    /// A key that this kind of file must not have.
    ExtraKey {
        path: String,
        key: &'static str,
    },
    /// An absolute path, or one that leads out of the archive.
    BadPath {
        path: String,
    },
    /// Neither a regular file, a directory nor a symbolic link.
    BadType {
        path: String,
        mode: u32,
    },
    BadEncoding {
        path: String,
        got: String,
    },
    /// `size` is not the size of the data.
    BadSize {
        path: String,
        size: u64,
        data: u64,
    },
    /// Regions of a blobvec that overlap, go backwards or past the end.
    BadRegion {
        path: String,
    },
    Blobref(BlobrefError),
    /// Neither an array nor an object.
    NotAnArchive,
    TooManyFiles {
        got: usize,
    },
}

impl FileError {
    /// The Linux errno for a peer: 22 is EINVAL, 7 is E2BIG.
    pub const fn errno(&self) -> i32 {
        match self {
            Self::TooManyFiles { .. } => 7,
            _ => 22,
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "file object: {error}"),
            Self::BadKey { path, key } => write!(f, "file object '{path}': '{key}' is missing or of the wrong type"),
            Self::ExtraKey { path, key } => write!(f, "file object '{path}': '{key}' does not belong there"),
            Self::BadPath { path } => write!(f, "file object '{path}': the path must stay inside the archive"),
            Self::BadType { path, mode } => {
                write!(f, "file object '{path}': mode {mode:#o} is no file, directory or symbolic link")
            }
            Self::BadEncoding { path, got } => {
                write!(f, "file object '{path}': encoding '{got}' is not utf-8, base64 or blobvec")
            }
            Self::BadSize { path, size, data } => {
                write!(f, "file object '{path}': the size is {size}, but there are {data} bytes")
            }
            Self::BadRegion { path } => write!(f, "file object '{path}': the regions of the blobvec do not fit"),
            Self::Blobref(error) => write!(f, "file object: {error}"),
            Self::NotAnArchive => write!(f, "an archive is an array or an object of file objects"),
            Self::TooManyFiles { got } => write!(f, "{got} files are over the limit of {ARCHIVE_FILES_MAX}"),
        }
    }
}

impl std::error::Error for FileError {}

impl FileObject {
    /// Bytes of the file on disk; `None` where only writing it out tells (JSON) and for what is no regular file.
    pub fn size(&self) -> Option<u64> {
        match &self.content {
            FileContent::Empty { size } | FileContent::Blobvec { size, .. } => Some(*size),
            FileContent::Text(text) => Some(text.len() as u64),
            FileContent::Bytes(bytes) => Some(bytes.len() as u64),
            FileContent::Directory | FileContent::Symlink { .. } | FileContent::Json(_) => None,
        }
    }

    /// The permission bits, without the type.
    pub const fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}

#[cfg(test)]
mod tests;
