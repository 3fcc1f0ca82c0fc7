//! `flux admin`: for those who run the instance.

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{Payload, Target};
use serde_json::{Value, json};

use crate::frame::args::{command_line, flag, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

pub fn command() -> Command {
    Command::new("admin").subcommand_required(true).subcommands([
        Command::new("cleanup-push")
            .about("Run a command when the instance ends, before those pushed earlier")
            .arg(command_line("The command; default: commands from standard input, one per line")),
        Command::new("system-scripts")
            .about("Show the commands that run before and after each job on its nodes")
            .arg(flag("verbose", Some('v'), "Show what a default command would run, too")),
    ])
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("cleanup-push", matches)) => cleanup_push(matches, cx),
        Some((_, matches)) => system_scripts(matches.get_flag("verbose"), cx),
        None => unreachable!("clap requires the subcommand"),
    }
}

/// Prolog, epilog and housekeeping as the instance is configured (flux-config-job-manager(5)).
fn system_scripts(verbose: bool, cx: &mut Context) -> CmdResult {
    let config = cx.open()?.call("config.get", Target::Any, Payload::None).map_err(CmdError::calling("config.get"))?;
    for script in ["prolog", "epilog", "housekeeping"] {
        let Some(table) = config.pointer(&format!("/job-manager/{script}")) else {
            cx.line(format_args!("▸ {script}: not configured\n"))?;
            continue;
        };
        let manner = match (script, table.get("release-after").and_then(Value::as_str)) {
            ("housekeeping", Some(after)) => format!("release after {after}"),
            ("housekeeping", None) => "release when all nodes are done".to_owned(),
            _ => format!("per-rank={}", table.get("per-rank").and_then(Value::as_bool).unwrap_or(false)),
        };
        cx.line(format_args!("▸ {script}: enabled ({manner})"))?;
        match table.get("command").and_then(Value::as_array) {
            Some(words) => {
                let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                cx.line(format_args!("  command: {}\n", words.join(" ")))?;
            }
            None => {
                let imp = config.pointer("/exec/imp").and_then(Value::as_str).unwrap_or("flux-imp");
                cx.line(format_args!("  command: {imp} run {script}"))?;
                if verbose {
                    cx.line(format_args!("  which runs the path of [run.{script}] in the configuration of the IMP"))?;
                }
                cx.line("")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn cleanup_push(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
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
