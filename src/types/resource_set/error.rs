//! Why a resource set, or an operation on one, was refused.

use std::fmt;

use crate::idset::Idset;

/// Why a resource set, or an operation on one, was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceError {
    Json { reason: String },
    Missing { key: &'static str },
    Type { at: &'static str, want: &'static str },
    Version { got: i64 },
    BadIdset { at: String, text: String, reason: String },
    BadHostlist { text: String, reason: String },
    HostCount { hosts: usize, nodes: usize },
    Overlap { rank: u32, ids: String },
    TooManyRanks { max: usize },
    TooManyChildren { max: usize },
    TooManyProperties { max: usize },
    BadProperty { character: char, name: String },
    EmptyProperty,
    UnknownRanks { ranks: Idset },
    UnknownHosts { hosts: String },
    HostNotFound { host: String },
    TooManyHosts { hosts: usize, nodes: usize },
    TooFewHosts { hosts: usize, nodes: usize },
    Verify { reason: String },
}

impl ResourceError {
    /// The Linux errno for the peer: 17 is EEXIST, 2 ENOENT, 75 EOVERFLOW, 28 ENOSPC, 22 EINVAL.
    pub const fn errno(&self) -> i32 {
        match self {
            Self::Overlap { .. } => 17,
            Self::UnknownRanks { .. } | Self::UnknownHosts { .. } | Self::HostNotFound { .. } => 2,
            Self::TooManyHosts { .. } => 75,
            Self::TooFewHosts { .. } => 28,
            _ => 22,
        }
    }
}

impl fmt::Display for ResourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json { reason } => write!(f, "R: invalid JSON: {reason}"),
            Self::Missing { key } => write!(f, "R: Missing key ({key})"),
            Self::Type { at, want } => write!(f, "R: {at} must be {want}"),
            Self::Version { got } => write!(f, "invalid version={got}"),
            Self::BadIdset { at, text, reason } => write!(f, "invalid idset '{text}' in {at}: {reason}"),
            Self::BadHostlist { text, reason } => write!(f, "invalid hostlist '{text}' in nodelist: {reason}"),
            Self::HostCount { hosts, nodes } => write!(f, "nodelist has {hosts} hosts for {nodes} execution targets"),
            Self::Overlap { rank, ids } => write!(f, "rank {rank}: {ids} is there twice"),
            Self::TooManyRanks { max } => write!(f, "more than {max} execution targets"),
            Self::TooManyChildren { max } => write!(f, "more than {max} resources of one type on a node"),
            Self::TooManyProperties { max } => write!(f, "more than {max} properties"),
            Self::BadProperty { character, name } => {
                write!(f, "invalid character '{character}' in property \"{name}\"")
            }
            Self::EmptyProperty => write!(f, "empty property name"),
            Self::UnknownRanks { ranks } => {
                let s = if ranks.count() == 1 { "" } else { "s" };
                write!(f, "rank{s} {ranks} not found in target resource list")
            }
            Self::UnknownHosts { hosts } => write!(f, "invalid hosts: {hosts}"),
            Self::HostNotFound { host } => write!(f, "Host {host} not found in resources"),
            Self::TooManyHosts { hosts, nodes } => {
                write!(f, "Number of hosts ({hosts}) is greater than node count ({nodes})")
            }
            Self::TooFewHosts { hosts, nodes } => {
                write!(f, "Number of hosts ({hosts}) is less than node count ({nodes})")
            }
            Self::Verify { reason } => write!(f, "{reason}"),
        }
    }
}

impl std::error::Error for ResourceError {}
