//! `flux keygen`: the keys with which this user signs job requests.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use flux_sign::KeyPair;
use flux_sys::ids::Ids;

use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::submit::sign::key_file;

pub fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("keygen")
        .arg(flag("sign", "Make the keys that sign job requests: PATH (secret) and PATH.pub").required(true))
        .arg(flag(
            "force",
            "Replace keys that are there: requests signed with them, and not yet started, are then refused",
        ))
        .arg(Arg::new("path").value_name("PATH").help("The secret key's file [default: ~/.flux/curve/sig]"))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let path = match matches.get_one::<String>("path") {
        Some(path) => PathBuf::from(path),
        None => key_file(Ids::current().ruid, None).map_err(CmdError::new)?,
    };
    let stored = KeyPair::generate().store(&path, matches.get_flag("force"));
    stored.map_err(|error| CmdError::new(error.to_string()))?;
    cx.line(format_args!("Saved {} and {}.pub", path.display(), path.display()))?;
    Ok(ExitCode::SUCCESS)
}
