//! `flux env`: the environment that children of `flux` get.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::ExitCode;

use clap::{ArgMatches, Command};

use crate::frame::args::{command_line, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

pub fn command() -> Command {
    Command::new("env").arg(command_line("Run this in the environment, instead of printing it"))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let words = texts(matches, "COMMAND");
    if let Some((program, args)) = words.split_first() {
        cx.out.flush()?;
        let mut child = std::process::Command::new(program);
        cx.dress(&mut child);
        let error = child.args(args).exec();
        let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
        return Err(CmdError::Failed { text: format!("{program}: {error}"), code });
    }
    let mut child = std::process::Command::new("env");
    cx.dress(&mut child);
    let mut changed: Vec<_> =
        child.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
    for (name, value) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FLUX_") && changed.iter().all(|(known, _)| *known != name) {
            changed.push((name, Some(value)));
        }
    }
    changed.sort();
    for (name, value) in changed {
        if let Some(value) = value {
            cx.line(format_args!("export {}={}", name.display(), quoted(&value.to_string_lossy())))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// As a word of the shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    match text.chars().all(plain) && !text.is_empty() {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}
