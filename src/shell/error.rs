//! Why a shell cannot run its job.

use std::fmt;

/// Reasons that end the job with an exception of type `exec`.
#[derive(Debug, PartialEq)]
pub enum ShellError {
    /// The bundle is not what the launch contract (ADR 1) says.
    Bundle(String),
    /// RFC 25, RFC 20.
    Jobspec(String),
    Resources(String),
    /// A shell option with a value that cannot be.
    Option {
        name: &'static str,
        why: String,
    },
    Taskmap(String),
    /// A way to map tasks that there is not.
    Scheme(String),
    /// A script of the shell failed (`initrc`, `userrc`).
    Script(String),
    TooMany {
        what: &'static str,
        max: u64,
    },
}

impl fmt::Display for ShellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle(why) => write!(f, "the launch bundle is malformed: {why}"),
            Self::Jobspec(why) => write!(f, "the jobspec cannot be run: {why}"),
            Self::Resources(why) => write!(f, "the resource set cannot be used: {why}"),
            Self::Option { name, why } => write!(f, "shell option {name}: {why}"),
            Self::Scheme(scheme) => write!(f, "failed to map tasks with scheme={scheme}"),
            Self::Taskmap(why) => write!(f, "failed to map tasks: {why}"),
            Self::Script(why) => f.write_str(why),
            Self::TooMany { what, max } => write!(f, "more than {max} {what}"),
        }
    }
}

impl std::error::Error for ShellError {}
