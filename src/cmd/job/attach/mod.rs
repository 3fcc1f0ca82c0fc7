//! `flux job attach`, which is also the second half of `flux run`.

mod data;
mod driver;
mod pty;
mod session;
mod status;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{Handle, Target};
use flux_types::{Idset, JobId, JobState, StateSet};
use serde_json::json;

pub(crate) use data::decode as decode_data;
pub(crate) use driver::attach;
pub(crate) use session::{Log, Options, exit_of_status};
pub(crate) use status::When;

use super::job_id;
use crate::frame::args::{flag, option, optional_word, text, verbose, verbosity};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::limits::TAIL_DEFAULT;

pub(super) fn command() -> Command {
    let tail = clap::Arg::new("tail").long("tail").value_name("NUM").num_args(0..=1).require_equals(true);
    Command::new("attach")
        .arg(flag("show-events", Some('E'), "Show job events on stderr"))
        .arg(flag("show-exec", Some('X'), "Show exec events on stderr"))
        .arg(flag("show-status", None, "Show job status line while pending"))
        .arg(option(
            "wait-event",
            Some('w'),
            "NAME",
            "Wait for event NAME before detaching from eventlog (default=finish)",
        ))
        .arg(flag("label-io", Some('l'), "Label output by rank"))
        .arg(verbose())
        .arg(flag("quiet", Some('q'), "Suppress warnings written to stderr from flux-job"))
        .arg(flag("read-only", Some('r'), "Disable reading stdin and capturing signals"))
        .arg(flag("unbuffered", Some('u'), "Disable buffering of stdin"))
        .arg(option("stdin-ranks", Some('i'), "RANKS", "Send standard input to only RANKS (default: all)"))
        .arg(tail.default_missing_value("10").help("Output only the last NUM lines of job output (default 10)"))
        .arg(flag("debug", None, "Enable parallel debugger to attach to a running job"))
        .arg(flag("debug-emulate", None, "Be the debugger, for tests").hide(true))
        .arg(optional_word("id", "The job"))
}

pub(super) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let Some(name) = text(matches, "id") else { return Err(CmdError::usage("attach: a job id is missing")) };
    let id = job_id(name)?;
    if matches.get_flag("debug") || matches.get_flag("debug-emulate") {
        flux_sys::mpir::set_being_debugged();
    }
    let debug = flux_sys::mpir::is_being_debugged();
    let options = Options {
        show_events: matches.get_flag("show-events"),
        show_exec: matches.get_flag("show-exec"),
        wait_event: text(matches, "wait-event").map(str::to_owned),
        label_io: matches.get_flag("label-io"),
        verbose: verbosity(matches) > 0,
        quiet: matches.get_flag("quiet"),
        read_only: matches.get_flag("read-only"),
        stdin_ranks: stdin_ranks(text(matches, "stdin-ranks"))?,
        tail: tail(text(matches, "tail"))?,
        debug,
        debug_emulate: matches.get_flag("debug-emulate"),
    };
    if matches.contains_id("stdin-ranks") && options.read_only {
        return Err(CmdError::new("Do not use --stdin-ranks with --read-only"));
    }
    let when = status_line(matches.get_flag("show-status"), options.show_events);
    let mut flux = cx.open()?;
    if debug {
        may_be_debugged(&mut flux, id, name, cx)?;
    }
    let code = attach(&mut flux, id, name, options, when)?;
    Ok(ExitCode::from(code))
}

/// A debugger finds nothing to attach to once the tasks have ended.
fn may_be_debugged(flux: &mut Handle, id: JobId, name: &str, cx: &mut Context) -> Result<(), CmdError> {
    const ATTRS: [&str; 4] = ["state", "exception_severity", "exception_type", "exception_note"];
    let body = json!({"id": id.0, "attrs": ATTRS});
    let about = |error| CmdError::about(format_args!("Invalid job id ({name}) for debugging"), error);
    let answer = flux.call("job-list.list-id", Target::Any, body).map_err(about)?;
    let job = &answer["job"];
    let alive = u64::from(JobState::New.bit() | StateSet::PENDING.bits() | JobState::Run.bit());
    if job["state"].as_u64().is_some_and(|state| state & alive != 0) {
        return Ok(());
    }
    if job["exception_severity"] == 0 {
        let text = |key: &str| job[key].as_str().unwrap_or_default();
        let (kind, note) = (text("exception_type"), text("exception_note"));
        cx.warn(format_args!("job.exception {name} type={kind} severity=0 {note}"));
    }
    Err(CmdError::new("cannot debug job that has finished running"))
}

fn stdin_ranks(given: Option<&str>) -> Result<Option<Idset>, CmdError> {
    match given {
        None | Some("all") => Ok(None),
        Some(text) => Idset::parse(text)
            .map(Some)
            .map_err(|_| CmdError::new(format!("Invalid value '{text}' for --stdin-ranks: Invalid argument"))),
    }
}

fn tail(given: Option<&str>) -> Result<Option<usize>, CmdError> {
    let read = |text: &str| text.parse().map_err(|_| CmdError::new("Option 'tail' requires an integer argument"));
    given.map(|text| if text.is_empty() { Ok(TAIL_DEFAULT) } else { read(text) }).transpose()
}

/// The status line is for people who wait at a terminal.
pub(crate) fn status_line(asked: bool, show_events: bool) -> When {
    let terminals =
        || std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    match asked {
        _ if std::env::var_os("FLUX_ATTACH_NONINTERACTIVE").is_some() => When::Never,
        true => When::AtOnce,
        false if !show_events && terminals() => When::Later,
        false => When::Never,
    }
}

/// The width of a terminal, 80 where there is none or it does not say.
pub(crate) fn columns(terminal: impl std::os::fd::AsFd) -> usize {
    flux_sys::terminal::size(terminal)
        .ok()
        .map(|size| usize::from(size.columns))
        .filter(|columns| *columns > 0)
        .unwrap_or(80)
}
