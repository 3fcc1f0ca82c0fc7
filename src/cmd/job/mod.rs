//! `flux job`: everything about single jobs.

pub(crate) mod attach;
mod eventlog;
pub(crate) mod frobnicate;
mod id;
mod listing;
pub(crate) mod multi;
pub(crate) mod post;
pub(crate) mod signals;
mod small;
mod submit;
mod taskmap;
pub(crate) mod update;
pub(crate) mod validate;
mod waiting;

use std::process::ExitCode;

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
    small::urgency, false, "Set job urgency (0-31, HOLD, EXPEDITE, DEFAULT)";
    signals::raise, false, "Raise exception on one or more jobs";
    signals::raiseall, false, "Raise an exception on multiple jobs.";
    signals::kill, false, "Send signal to one or more running jobs";
    signals::killall, false, "Send signal to multiple running jobs";
    attach, false, "Interactively attach to job";
    listing::list, true, "List jobs as JSON";
    listing::inactive, true, "List inactive jobs as JSON";
    listing::ids, true, "List the jobs with these ids as JSON";
    waiting::status, false, "Wait for job(s) to complete and exit with largest exit code";
    submit, false, "Run job";
    id, false, "Convert jobid(s) to another form";
    eventlog::show, false, "Display eventlog for a job";
    eventlog::wait, false, "Wait for an event";
    small::info, false, "Display info for a job";
    small::stats, false, "Get current job stats";
    small::namespace, false, "Convert job ids to job guest kvs namespace names";
    waiting::wait, false, "Wait for job(s) to complete.";
    small::memo, false, "Post an RFC 21 memo to a job";
    taskmap::map, false, "Utility function for working with job task maps";
    small::timeleft, false, "Find remaining runtime for job or enclosing instance";
    taskmap::hostpids, false, "Print host:pid pairs for tasks in JOBID";
    small::last, false, "List my most recently submitted job id(s)";
    small::purge, false, "Purge the oldest inactive jobs";
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

/// What `--list-plugins` of job-frobnicator and job-validator prints: names and what they are for.
fn list_plugins(cx: &mut Context, plugins: &[(&str, &str)]) -> CmdResult {
    cx.line("Available plugins:")?;
    for (name, about) in plugins {
        cx.line(format_args!("{name:<20}  {about}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
