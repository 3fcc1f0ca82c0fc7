//! `flux ion-R`: R with the graph that the scheduler reads from it.

use std::fs;
use std::io::{Read, Write};
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_fluxion::{dump_spaced, graph_of_r};
use serde_json::Value;

use crate::frame::args::{option, text};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

pub fn command() -> Command {
    Command::new("ion-R").subcommand_required(true).subcommand(
        Command::new("encode").about("Add to R, read from standard input, its scheduling part: a graph in JGF").args([
            option("output", None, "FILENAME", "Write there instead of standard output"),
            option("input", None, "FILENAME", "Read from there instead of standard input"),
        ]),
    )
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let (_, matches) = matches.subcommand().expect("clap requires the subcommand");
    let mut source = String::new();
    match text(matches, "input") {
        Some(path) => source = fs::read_to_string(path).map_err(|error| CmdError::about(path, error))?,
        None => _ = std::io::stdin().lock().read_to_string(&mut source)?,
    }
    let mut r: Value = serde_json::from_str(&source).map_err(|error| CmdError::about("R", error))?;
    r["scheduling"] = graph_of_r(&r).map_err(|error| CmdError::about("R", error))?;
    let line = dump_spaced(&r);
    match text(matches, "output") {
        Some(path) => fs::write(path, line + "\n").map_err(|error| CmdError::about(path, error))?,
        None => writeln!(cx.out, "{line}")?,
    }
    Ok(ExitCode::SUCCESS)
}
