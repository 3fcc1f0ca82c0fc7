//! Why a jobspec was refused.

use std::fmt;

use crate::constraint::ConstraintError;

/// Why a jobspec was refused. The user reads the text; `at` is the dotted path of the offending key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobspecError {
    Json {
        reason: String,
    },
    Missing {
        at: String,
        key: &'static str,
    },
    Extraneous {
        at: String,
        key: String,
    },
    Type {
        at: String,
        want: &'static str,
    },
    Value {
        at: String,
        want: &'static str,
    },
    Count {
        at: String,
        reason: String,
    },
    Constraint {
        reason: ConstraintError,
    },
    Dependency {
        reason: String,
    },
    /// The request nests deeper, or names more vertices, than we follow.
    TooLarge {
        what: &'static str,
        max: usize,
    },
    /// A job cannot be built from these options.
    Options {
        reason: String,
    },
}

impl JobspecError {
    /// The Linux errno for the submitter: EINVAL.
    pub const fn errno(&self) -> i32 {
        22
    }

    pub(super) fn missing(at: &str, key: &'static str) -> Self {
        Self::Missing { at: at.to_owned(), key }
    }
    pub(super) fn type_(at: impl Into<String>, want: &'static str) -> Self {
        Self::Type { at: at.into(), want }
    }
    pub(super) fn value(at: impl Into<String>, want: &'static str) -> Self {
        Self::Value { at: at.into(), want }
    }
    pub(super) fn options(reason: impl Into<String>) -> Self {
        Self::Options { reason: reason.into() }
    }
}

impl fmt::Display for JobspecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json { reason } => write!(f, "invalid JSON: {reason}"),
            Self::Missing { at, key } if at.is_empty() => write!(f, "Missing key ({key})"),
            Self::Missing { at, key } => write!(f, "Missing key ({key}) in {at}"),
            Self::Extraneous { at, key } if at.is_empty() => write!(f, "Extraneous key ({key})"),
            Self::Extraneous { at, key } => write!(f, "Extraneous key ({key}) in {at}"),
            Self::Type { at, want } | Self::Value { at, want } => write!(f, "{at} must be {want}"),
            Self::Count { at, reason } => write!(f, "{at}: {reason}"),
            Self::Constraint { reason } => constraint(reason, f),
            Self::Dependency { reason } => write!(f, "{reason}"),
            Self::TooLarge { what, max } => write!(f, "jobspec is over the limit of {max} {what}"),
            Self::Options { reason } => write!(f, "{reason}"),
        }
    }
}

impl std::error::Error for JobspecError {}

/// The words that submitters know, which are not those of a constraint in a query.
fn constraint(reason: &ConstraintError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match reason {
        ConstraintError::NotObject => write!(f, "constraints must be a mapping"),
        ConstraintError::UnknownOperator { name } => write!(f, "unknown constraint operator '{name}'"),
        ConstraintError::NotArray { operator } => write!(f, "argument to constraint {operator} must be a sequence"),
        ConstraintError::BadProperty { property, .. } => write!(f, "invalid character in property '{property}'"),
        other => write!(f, "{other}"),
    }
}
