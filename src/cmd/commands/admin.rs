//! `flux admin`: for those who run the instance.

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::Target;
use serde_json::json;

use crate::frame::args::{command_line, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

pub fn command() -> Command {
    Command::new("admin").subcommand_required(true).subcommand(
        Command::new("cleanup-push")
            .about("Run a command when the instance ends, before those pushed earlier")
            .arg(command_line("The command; default: commands from standard input, one per line")),
    )
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let Some((_, matches)) = matches.subcommand() else { unreachable!("clap requires the subcommand") };
    let words = texts(matches, "COMMAND");
    let commands: Vec<String> = match words.is_empty() {
        false => vec![words.join(" ")],
        true => {
            let text = String::from_utf8_lossy(&cx.read_stdin()?).into_owned();
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
    };
    if commands.is_empty() {
        return Err(CmdError::new("there is no command to push"));
    }
    cx.open()?
        .call("runat.push", Target::Any, json!({"name": "cleanup", "commands": commands}))
        .map_err(CmdError::calling("runat.push"))?;
    Ok(ExitCode::SUCCESS)
}
