//! `flux broker`: the broker's role under the command's name.

use std::process::ExitCode;

use clap::{ArgMatches, Command};

use crate::frame::CmdResult;
use crate::frame::args::{command_line, texts};
use crate::frame::context::Context;

pub fn command() -> Command {
    // The broker parses its own arguments, `--help` among them.
    Command::new("broker")
        .disable_help_flag(true)
        .arg(command_line("Options and initial program").allow_hyphen_values(true))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let args = texts(matches, "COMMAND").into_iter().map(str::to_owned).collect();
    Ok(ExitCode::from((cx.programs.broker)(args)))
}
