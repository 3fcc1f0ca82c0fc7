//! `flux job`: everything about single jobs.

pub(crate) mod attach;
mod eventlog;
mod id;

use clap::{ArgMatches, Command};
use flux_types::JobId;

use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

/// One subcommand.
struct Sub {
    about: &'static str,
    hidden: bool,
    command: fn() -> Command,
    run: fn(&ArgMatches, &mut Context) -> CmdResult,
}

macro_rules! subcommands {
    ($($module:path, $hidden:literal, $about:literal;)*) => {
        const SUBCOMMANDS: &[Sub] = &[$({
            use $module as module;
            Sub { about: $about, hidden: $hidden, command: module::command, run: module::run }
        }),*];
    };
}

// Module, hidden from help, what it does.
subcommands! {
    attach, false, "Interactively attach to job";
    id, false, "Convert jobid(s) to another form";
    eventlog::show, false, "Display eventlog for a job";
    eventlog::wait, false, "Wait for an event";
}

pub(crate) fn command() -> Command {
    let children = SUBCOMMANDS.iter().map(|sub| (sub.command)().about(sub.about).hide(sub.hidden));
    Command::new("job").subcommand_required(true).disable_help_subcommand(true).subcommands(children)
}

pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let (name, matches) = matches.subcommand().ok_or_else(|| CmdError::usage("a subcommand is missing"))?;
    let sub = SUBCOMMANDS.iter().find(|sub| (sub.command)().get_name() == name);
    (sub.expect("clap knows only these").run)(matches, cx)
}

/// A job id as users type it.
pub(crate) fn job_id(text: &str) -> Result<JobId, CmdError> {
    JobId::parse(text).map_err(|_| CmdError::new(format!("error parsing jobid: \"{text}\"")))
}
