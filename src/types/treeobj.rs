//! KVS tree objects, version 1 (RFC 11).

mod json;

use std::collections::BTreeMap;
use std::fmt;

use crate::blobref::{Blobref, BlobrefError};

/// One node of the KVS hash tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Treeobj {
    /// A value, here as its bytes; base64 in JSON.
    Val(Vec<u8>),
    /// A value in the content store: the blobs one after another. At least one.
    Valref(Vec<Blobref>),
    /// Names and what they stand for, ordered by the bytes of the name.
    Dir(BTreeMap<String, Treeobj>),
    /// A directory in the content store. RFC 11 limits the blobs to one for now; at least one.
    Dirref(Vec<Blobref>),
    /// Another key, perhaps in another namespace.
    Symlink { namespace: Option<String>, target: String },
}

/// Why something is not a tree object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeobjError {
    /// Not JSON.
    Json(String),
    /// Not an object of exactly `data`, `type` and `ver`.
    Shape,
    /// Another version than 1.
    Version,
    /// A type that RFC 11 does not name.
    UnknownType {
        got: String,
    },
    /// RFC 11 describes `hdir` and says that nobody has implemented it.
    Hdir,
    /// Data that does not fit the type.
    BadData {
        kind: &'static str,
    },
    Blobref(BlobrefError),
}

impl TreeobjError {
    /// The Linux errno for a peer: 71 is EPROTO, 22 is EINVAL, 95 is EOPNOTSUPP.
    pub const fn errno(&self) -> i32 {
        match self {
            Self::Json(_) => 71,
            Self::Hdir => 95,
            _ => 22,
        }
    }
}

impl fmt::Display for TreeobjError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "tree object: {error}"),
            Self::Shape => write!(f, "a tree object has data, type and ver, and nothing else"),
            Self::Version => write!(f, "a tree object of another version than 1"),
            Self::UnknownType { got } => write!(f, "'{got}' is not a type of tree objects"),
            Self::Hdir => write!(f, "tree objects of type hdir are not supported"),
            Self::BadData { kind } => write!(f, "the data of a {kind} tree object is not what it should be"),
            Self::Blobref(error) => write!(f, "tree object: {error}"),
        }
    }
}

impl std::error::Error for TreeobjError {}

impl Treeobj {
    /// The empty directory.
    pub const fn empty_dir() -> Treeobj {
        Treeobj::Dir(BTreeMap::new())
    }

    /// The type as RFC 11 names it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Treeobj::Val(_) => "val",
            Treeobj::Valref(_) => "valref",
            Treeobj::Dir(_) => "dir",
            Treeobj::Dirref(_) => "dirref",
            Treeobj::Symlink { .. } => "symlink",
        }
    }

    /// Blobs of a reference, entries of a directory, otherwise 1.
    pub fn count(&self) -> usize {
        match self {
            Treeobj::Valref(refs) | Treeobj::Dirref(refs) => refs.len(),
            Treeobj::Dir(entries) => entries.len(),
            Treeobj::Val(_) | Treeobj::Symlink { .. } => 1,
        }
    }

    /// The entries, if this is a directory.
    pub const fn as_dir(&self) -> Option<&BTreeMap<String, Treeobj>> {
        match self {
            Treeobj::Dir(entries) => Some(entries),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
