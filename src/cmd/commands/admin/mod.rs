//! `flux admin`: for those who run the instance.

mod scripts;

use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use flux_client::{Payload, Target};
use serde_json::{Value, json};

use crate::frame::args::{command_line, flag, option, text, texts, word};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

pub fn command() -> Command {
    Command::new("admin").subcommand_required(true).subcommands([
        Command::new("cleanup-push")
            .about("Run a command when the instance ends, before those pushed earlier")
            .arg(command_line("The command; default: commands from standard input, one per line")),
        Command::new("system-scripts")
            .about("Show what runs before and after each job on its nodes")
            .arg(flag("verbose", Some('v'), "Show scripts even when not configured"))
            .arg(
                option("color", None, "WHEN", "never, always or auto: marks are plain text, whatever it is").hide(true),
            )
            .arg(root()),
        Command::new("run-system-scripts")
            .about("Run the scripts of packages and of the site, as the prolog, epilog or housekeeping does")
            .arg(flag("unit", None, "In a unit of systemd, flux-KIND@JOBID.service, where there is systemd"))
            .arg(root())
            .arg(word("KIND", "prolog, epilog or housekeeping").required(true).value_parser(scripts::KINDS)),
    ])
}

fn root() -> Arg {
    option("root", None, "DIR", "Look for scripts below this directory [default: /]")
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("cleanup-push", matches)) => cleanup_push(matches, cx),
        Some(("run-system-scripts", matches)) => scripts::run(matches, cx),
        Some((_, matches)) => system_scripts(matches, cx),
        None => unreachable!("clap requires the subcommand"),
    }
}

/// Prolog, epilog and housekeeping as the instance is configured (flux-config-job-manager(5)).
fn system_scripts(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let root = Path::new(text(matches, "root").unwrap_or("/"));
    let config = cx.open()?.call("config.get", Target::Any, Payload::None).map_err(CmdError::calling("config.get"))?;
    for kind in scripts::KINDS {
        let Some(table) = config.pointer(&format!("/job-manager/{kind}")) else {
            cx.line(format_args!("▸ {kind}: not configured"))?;
            if matches.get_flag("verbose") {
                show_sources(root, kind, cx)?;
            }
            cx.line("")?;
            continue;
        };
        let manner = match (kind, table.get("release-after").and_then(Value::as_str)) {
            ("housekeeping", Some(after)) => format!("release after {after}"),
            ("housekeeping", None) => "release when all nodes are done".to_owned(),
            _ => format!("per-rank={}", table.get("per-rank").and_then(Value::as_bool).unwrap_or(false)),
        };
        cx.line(format_args!("▸ {kind}: enabled ({manner})"))?;
        match table.get("command").and_then(Value::as_array) {
            Some(words) => {
                let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                cx.line(format_args!("  command: {}", words.join(" ")))?;
            }
            None => show_sources(root, kind, cx)?,
        }
        cx.line("")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What `flux-imp run KIND` runs, where the IMP is configured as the packages do it.
fn show_sources(root: &Path, kind: &str, cx: &mut Context) -> Result<(), CmdError> {
    for (label, source) in ["system", "site"].into_iter().zip(scripts::sources(root, kind)) {
        cx.line(format_args!("  {label}: {}", source.path.display()))?;
        if source.is_single {
            continue;
        }
        if source.scripts.is_empty() {
            cx.line("    (no scripts)")?;
        }
        for script in &source.scripts {
            match script.is_executable {
                true => cx.line(format_args!("    ✓ {}", script.name()))?,
                false => cx.line(format_args!("    ✗ not executable {}", script.name()))?,
            }
        }
    }
    Ok(())
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
