//! What can go wrong at the edges of this room, and the errno each is answered with.

use std::fmt;

/// Why a resource graph could not be made or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GraphError {
    /// The document does not say what it must.
    Malformed(String),
    /// Something named is not there.
    Missing(String),
    /// Something is there that must not be.
    Duplicate(String),
    /// The reader cannot do this.
    Unsupported(&'static str),
    /// Something is in use that must be free.
    Busy(String),
    TooLarge(&'static str),
    TooDeep,
}

impl GraphError {
    /// The Linux errno sent to the caller.
    pub const fn errno(&self) -> i32 {
        match self {
            Self::Malformed(_) | Self::TooDeep => 22,
            Self::Missing(_) => 2,
            Self::Duplicate(_) => 17,
            Self::Unsupported(_) => 95,
            Self::Busy(_) => 16,
            Self::TooLarge(_) => 12,
        }
    }
}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) | Self::Missing(what) | Self::Duplicate(what) | Self::Busy(what) => f.write_str(what),
            Self::Unsupported(what) => write!(f, "{what} is not supported by this reader"),
            Self::TooLarge(what) => write!(f, "the graph has too many {what}"),
            Self::TooDeep => f.write_str("the graph nests too deeply, or in a circle"),
        }
    }
}
impl std::error::Error for GraphError {}

/// Why a jobspec was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobspecError(pub String);

impl fmt::Display for JobspecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for JobspecError {}

/// Why a match, cancel or update did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchError {
    /// Not now; perhaps later.
    Busy,
    /// Not now, nor as planned before the time of the graph is over: earlier only if something ends before it must. Told by
    /// operations that look into the future.
    Beyond,
    /// Never on this graph.
    Unsatisfiable,
    /// The request itself is wrong.
    Invalid(String),
    /// No such job, vertex or path.
    NotFound(String),
    /// The job holds something already.
    Exists(u64),
    Graph(GraphError),
}

impl MatchError {
    /// The Linux errno sent to the caller: 16 is EBUSY, 19 is ENODEV.
    pub const fn errno(&self) -> i32 {
        match self {
            Self::Busy | Self::Beyond => 16,
            Self::Unsatisfiable => 19,
            Self::Invalid(_) => 22,
            Self::NotFound(_) => 2,
            Self::Exists(_) => 17,
            Self::Graph(error) => error.errno(),
        }
    }
}

impl fmt::Display for MatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy | Self::Beyond => f.write_str("resources are busy"),
            Self::Unsatisfiable => f.write_str("unsatisfiable request"),
            Self::Invalid(what) | Self::NotFound(what) => f.write_str(what),
            Self::Exists(job) => write!(f, "job {job} holds resources already"),
            Self::Graph(error) => error.fmt(f),
        }
    }
}
impl std::error::Error for MatchError {}

impl From<GraphError> for MatchError {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}
