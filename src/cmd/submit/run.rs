//! `flux run`: submits a job and attaches to it.

use std::io::Write;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Handle, Target};
use flux_types::JobId;

use super::engine::{submit_request, submitted_id};
use super::request::Request;
use super::{args, caller, refused, signed};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::job::attach::{self, Options};
use crate::jobid::shown;

pub(crate) fn command() -> Command {
    args::submission(Command::new("run")).arg(args::run_wait_event())
}

pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let request = args::request(matches);
    let spec = request.jobspec(&caller(cx)?).map_err(refused)?;
    if request.has("dry-run") {
        cx.line(spec.encode_spaced())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut flux = cx.open()?;
    let id = submit_one(&mut flux, &request, &signed(&spec)?)?;
    let verbose = matches.get_count("verbose");
    if verbose > 0 {
        writeln!(std::io::stderr(), "jobid: {}", shown(id))?;
    }
    let options = Options {
        show_events: verbose > 1,
        show_exec: verbose > 2,
        wait_event: args::event(matches),
        label_io: request.has("label-io"),
        stdin_ranks: request.input_ranks(),
        ..Options::default()
    };
    cx.name = "flux-job".to_owned();
    let status = attach::status_line(false, options.show_events);
    let code = attach::attach(&mut flux, id, &shown(id), options, status)?;
    Ok(ExitCode::from(code))
}

/// Submits one job and waits for its id.
pub(crate) fn submit_one(flux: &mut Handle, request: &Request, signed: &str) -> Result<JobId, CmdError> {
    let flags = request.flags().map_err(refused)?;
    let urgency = request.urgency().map_err(refused)?;
    let body = submit_request(signed, urgency, flags);
    let answer = flux.call("job-ingest.submit", Target::Any, body).map_err(|error| match error {
        ClientError::Answer(fault) => refused(fault.message()),
        other => CmdError::Client(other),
    })?;
    Ok(submitted_id(&answer)?)
}
