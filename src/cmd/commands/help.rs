//! `flux help`: the list of commands, one command's help, and what is generated from all definitions.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use clap_complete::Shell;

use crate::frame::args::{option, optional_word, text};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, generate, help};
use crate::table;

pub fn command() -> Command {
    Command::new("help")
        .arg(optional_word("CMD", "The command to explain"))
        .arg(option("completion", None, "SHELL", "Print a completion script for bash, zsh or fish"))
        .arg(
            Arg::new("man-pages")
                .long("man-pages")
                .value_name("DIR")
                .hide(true)
                .help("Write the manual pages into DIR"),
        )
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    if let Some(shell) = text(matches, "completion") {
        let shell = match shell {
            "bash" => Shell::Bash,
            "zsh" => Shell::Zsh,
            "fish" => Shell::Fish,
            other => return Err(CmdError::usage(format!("no completion for '{other}': choose bash, zsh or fish"))),
        };
        cx.out.write_all(&generate::completion(shell))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(dir) = text(matches, "man-pages") {
        generate::man_pages(Path::new(dir)).map_err(|error| CmdError::about(dir, error))?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(name) = text(matches, "CMD") else {
        help::overview(&mut cx.out, cx.programs.tools)?;
        return Ok(ExitCode::SUCCESS);
    };
    let bare = name.strip_prefix("flux-").unwrap_or(name);
    let entry = table::find(bare);
    let entry = entry.ok_or_else(|| CmdError::new(format!("'{name}' is not a flux command. See 'flux help'.")))?;
    write!(cx.out, "{}", entry.definition().render_long_help())?;
    Ok(ExitCode::SUCCESS)
}
