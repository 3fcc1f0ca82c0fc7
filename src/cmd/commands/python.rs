//! `flux python`: Python with Flux's package.

use std::io::Write;
use std::os::unix::process::CommandExt;

use clap::{ArgMatches, Command};

use crate::frame::args::{command_line, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

pub fn command() -> Command {
    let arguments = command_line("Python's arguments").allow_hyphen_values(true);
    Command::new("python").disable_help_flag(true).arg(arguments)
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    cx.out.flush()?;
    let mut python = std::process::Command::new("python3");
    cx.dress(&mut python);
    let error = python.args(texts(matches, "COMMAND")).exec();
    Err(CmdError::about("cannot run python3", error))
}
