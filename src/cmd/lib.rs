//! `flux(1)`: one table of commands, each with one definition from which parsing, help, completions and man pages come.
//!
//! A command is a file in `commands/` with `command()` (what it takes) and `run()` (what it does), and a row in
//! [`table::COMMANDS`]. Only the definition of the command that was asked for is built.
#![forbid(unsafe_code)]

/// A line for standard error, as `eprintln!`, or with `part` less than a line; lost where nobody reads it any more.
macro_rules! say {
    (part $($text:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!($($text)*));
    }};
    ($($text:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($text)*)));
    }};
}

pub mod commands;
pub use flux_client::content;
pub(crate) mod eventlog;
pub mod format;
pub mod frame;
pub use flux_types::glob;
pub(crate) mod job;
pub(crate) mod jobid;
pub(crate) mod jobs;
pub mod limits;
pub mod store;
pub(crate) mod submit;
mod table;

use std::ffi::OsString;
use std::process::ExitCode;

/// What the other roles of this executable offer to the command line.
#[derive(Clone, Copy)]
pub struct Programs {
    /// Runs a broker in this process: arguments without the program's name, exit code.
    pub broker: fn(Vec<String>) -> u8,
    /// Tools that need no instance and read their own arguments.
    pub tools: &'static [Tool],
}

/// A tool: its name, what it is for, and the function that runs it with the words after its name.
pub type Tool = (&'static str, &'static str, fn(Vec<OsString>) -> ExitCode);

/// Runs the command line; `args` start with the program's name.
pub fn main(args: Vec<OsString>, programs: Programs) -> ExitCode {
    frame::dispatch::run(args, programs)
}
