//! Why the store cannot be opened, or did not do what it was asked.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use flux_service::Fault;
use flux_wire::Errno;

use crate::file::errno_of;

/// A failure of the store.
#[derive(Debug)]
pub enum StoreError {
    /// Another broker uses this `statedir`.
    InUse {
        statedir: PathBuf,
        holder: String,
    },
    Io {
        doing: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    /// Bytes that were on disk once are not what was written. Nothing after them is trusted.
    CorruptLog {
        path: PathBuf,
        offset: u64,
        why: &'static str,
    },
    Database {
        path: PathBuf,
        error: rusqlite::Error,
    },
    /// A checkpoint in the database is not JSON.
    CorruptCheckpoint {
        path: PathBuf,
        key: String,
    },
    /// A blob in the database does not have its hash.
    CorruptBlob {
        path: PathBuf,
        hash: String,
    },
    /// What was to be restored is no archive of a store.
    Archive {
        path: PathBuf,
        why: String,
    },
    RecordTooLong {
        len: usize,
        max: usize,
    },
}

impl StoreError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |error| StoreError::Io { doing, path, error }
    }

    pub fn errno(&self) -> Errno {
        match self {
            Self::InUse { .. } => Errno::EBUSY,
            Self::Io { error, .. } => errno_of(error),
            Self::CorruptLog { .. } | Self::CorruptCheckpoint { .. } | Self::CorruptBlob { .. } => Errno::EIO,
            Self::Archive { .. } => Errno::EINVAL,
            Self::Database { error, .. } => database_errno(error),
            Self::RecordTooLong { .. } => Errno::EFBIG,
        }
    }

    pub fn to_fault(&self) -> Fault {
        Fault::new(self.errno(), self.to_string())
    }
}

fn database_errno(error: &rusqlite::Error) -> Errno {
    use rusqlite::ErrorCode::*;
    match error.sqlite_error_code() {
        Some(DiskFull) => Errno::ENOSPC,
        Some(DatabaseBusy | DatabaseLocked) => Errno::EBUSY,
        Some(OutOfMemory) => Errno::ENOMEM,
        Some(PermissionDenied) => Errno::EACCES,
        Some(ReadOnly) => Errno::EROFS,
        Some(TooBig) => Errno::EFBIG,
        _ => Errno::EIO,
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { statedir, holder } => {
                write!(f, "{}: another broker uses this statedir{holder}", statedir.display())
            }
            Self::Io { doing, path, error } => write!(f, "could not {doing} {}: {}", path.display(), errno_of(error)),
            Self::CorruptLog { path, offset, why } => {
                write!(f, "{} is damaged at byte {offset} ({why}); see flux fsck", path.display())
            }
            Self::Database { path, error } => write!(f, "{}: {error}", path.display()),
            Self::CorruptCheckpoint { path, key } => {
                write!(f, "{}: checkpoint {key} is damaged; see flux fsck", path.display())
            }
            Self::Archive { path, why } => write!(f, "could not restore {}: {why}", path.display()),
            Self::CorruptBlob { path, hash } => {
                write!(f, "{}: blob {hash} is damaged; see flux fsck", path.display())
            }
            Self::RecordTooLong { len, max } => write!(f, "a record of {len} bytes is over the limit of {max}"),
        }
    }
}

impl std::error::Error for StoreError {}
