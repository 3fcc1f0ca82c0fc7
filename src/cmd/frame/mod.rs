//! What every command shares: the table's rows, the context, errors, help.

pub mod args;
pub mod color;
pub mod context;
pub mod dispatch;
pub mod error;
pub mod external;
pub mod generate;
pub mod help;
pub mod install;
pub mod stamp;
pub mod timefmt;

use std::process::ExitCode;

use clap::ArgMatches;

use context::Context;
pub use error::CmdError;

pub type CmdResult = Result<ExitCode, CmdError>;

/// Where `flux help` lists a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Submit,
    Jobs,
    Resources,
    Other,
    /// Not listed by `flux help`, but it has a page of its own.
    Plumbing,
    /// For other programs; not in completions or manuals.
    Hidden,
}

/// One command.
#[derive(Clone, Copy)]
pub struct Entry {
    pub name: &'static str,
    pub group: Group,
    pub summary: &'static str,
    /// Exit code when the command line is wrong: 1, or 2 where flux-core's command is written in Python.
    pub usage_exit: u8,
    pub command: fn() -> clap::Command,
    pub run: fn(&ArgMatches, &mut Context) -> CmdResult,
}

impl Entry {
    /// The definition, with the name that users type. An option may be given again, and counts as it was given last; where flux-core's
    /// command is written in C, long options may be cut short (getopt_long(3)).
    pub fn definition(&self) -> clap::Command {
        (self.command)()
            .name(format!("flux-{}", self.name))
            .bin_name(format!("flux {}", self.name))
            .about(self.summary)
            .disable_version_flag(true)
            .args_override_self(true)
            .infer_long_args(self.usage_exit != dispatch::PYTHON_USAGE_EXIT)
    }
}
