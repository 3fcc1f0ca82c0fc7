//! `flux cgroup path`.

use std::process::ExitCode;

use clap::{ArgMatches, Command};

use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

pub fn command() -> Command {
    Command::new("cgroup")
        .subcommand_required(true)
        .subcommand(Command::new("path").about("Print the directory of this process's control group"))
}

pub fn run(_: &ArgMatches, cx: &mut Context) -> CmdResult {
    let cgroup = flux_sys::cgroup::Cgroup::own().map_err(|error| CmdError::about("no control group", error))?;
    let path = cgroup.path().display().to_string();
    cx.line(path)?;
    Ok(ExitCode::SUCCESS)
}
