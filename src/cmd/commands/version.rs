//! `flux version`.

use std::process::ExitCode;

use clap::{ArgMatches, Command};

use crate::frame::CmdResult;
use crate::frame::context::Context;

/// The version of flux-core whose clients find here what they know.
const COMPATIBLE: &str = "0.88.0";

pub fn command() -> Command {
    Command::new("version")
}

pub fn run(_: &ArgMatches, cx: &mut Context) -> CmdResult {
    cx.line(format_args!("commands:    \t\t{}", env!("CARGO_PKG_VERSION")))?;
    cx.line(format_args!("compatible:  \t\tflux-core {COMPATIBLE}"))?;
    // Inside an instance, also that of its broker; outside there is nothing to say.
    if let Ok(version) = cx.open().and_then(|mut flux| flux.attr("version")) {
        cx.line(format_args!("broker:  \t\t{version}"))?;
        if let Some(uri) = cx.var("FLUX_URI") {
            cx.line(format_args!("FLUX_URI:\t\t{uri}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
