//! Why a constraint object was refused.

use std::fmt;

/// Why an RFC 31 object was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstraintError {
    NotObject,
    /// An object with more than one operator.
    ManyOperators,
    UnknownOperator {
        name: String,
    },
    NotArray {
        operator: String,
    },
    NotString {
        operator: &'static str,
    },
    BadProperty {
        character: char,
        property: String,
    },
    BadHostlist {
        text: String,
        reason: String,
    },
    BadIdset {
        text: String,
        reason: String,
    },
    TooDeep {
        max: usize,
    },
    TooMany {
        max: usize,
    },
}

impl ConstraintError {
    /// The Linux errno for the peer: EINVAL.
    pub const fn errno(&self) -> i32 {
        22
    }
}

impl fmt::Display for ConstraintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotObject => write!(f, "constraint must be JSON object"),
            Self::ManyOperators => write!(f, "constraint must only contain 1 element"),
            Self::UnknownOperator { name } => write!(f, "unknown constraint operator: {name}"),
            Self::NotArray { operator } if operator == "properties" => {
                write!(f, "properties value must be an array")
            }
            Self::NotArray { operator } => write!(f, "{operator} operator value must be an array"),
            Self::NotString { operator: "properties" } => write!(f, "non-string property specified"),
            Self::NotString { operator } => write!(f, "non-string {operator} value specified"),
            Self::BadProperty { character, property } => {
                write!(f, "invalid character '{character}' in property \"{property}\"")
            }
            Self::BadHostlist { text, reason } => write!(f, "invalid hostlist '{text}': {reason}"),
            Self::BadIdset { text, reason } => write!(f, "invalid idset '{text}': {reason}"),
            Self::TooDeep { max } => write!(f, "constraint has more than {max} nested operators"),
            Self::TooMany { max } => write!(f, "constraint has more than {max} terms"),
        }
    }
}

impl std::error::Error for ConstraintError {}
