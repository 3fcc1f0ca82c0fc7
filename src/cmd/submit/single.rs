//! `flux submit`: submits one job, or many copies of it.

use std::process::ExitCode;

use clap::{ArgMatches, Command};

use super::copies::Copies;
use super::engine::{Engine, Manner};
use super::request::Request;
use super::sinks::Sinks;
use super::watch::Wishes;
use super::{args, caller, refused};
use crate::frame::CmdResult;
use crate::frame::context::Context;

pub(crate) fn command() -> Command {
    args::bulk(Command::new("submit"))
}

pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let request = args::request(matches);
    let caller = caller(cx)?;
    let mut copies = Copies::new(request.clone(), &caller)?;
    if request.has("dry-run") {
        if let Some(spec) = copies.first_jobspec()? {
            cx.line(spec.encode_spaced())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut flux = cx.open()?;
    let mut sinks = Sinks::new();
    copies.check(&mut sinks)?;
    let mut engine = Engine::new(&mut flux, manner(&request, matches.get_count("verbose")), sinks);
    while let Some(job) = copies.next(&mut engine.sinks)? {
        engine.submit(job)?;
    }
    Ok(ExitCode::from(engine.finish()?))
}

/// How the jobs of a request are followed.
pub(super) fn manner(request: &Request, verbose: u8) -> Manner {
    Manner {
        quiet: request.has("quiet"),
        follow: request.has("watch") || request.get("wait").is_some(),
        wishes: Wishes {
            output: request.has("watch"),
            label_io: request.has("label-io"),
            log_events: verbose > 1,
            log_status: verbose > 0,
        },
        progress: request.has("progress"),
        rate: request.has("jps"),
    }
}

/// Input by rank needs somebody who attaches.
pub(super) fn check_input(request: &Request) -> Result<(), crate::frame::CmdError> {
    match request.input_ranks() {
        Some(_) => Err(refused("per-task input not supported for submit")),
        None => Ok(()),
    }
}
