//! `flux shutdown`: ends an instance in good order.

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use flux_client::{ClientError, Handle, Rank, Target};
use serde_json::json;

use super::uri;
use crate::frame::args::{flag, option, optional_word, text, verbose, verbosity};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

/// Levels of syslog up to which messages are shown.
const WARNING: u32 = 4;
const INFO: u32 = 6;
const DEBUG: u32 = 7;

pub fn command() -> Command {
    Command::new("shutdown")
        .args([
            flag("skip-gc", None, "No garbage collection of the store this time"),
            flag("gc", None, "Collect the store's garbage (--dump=auto)"),
            option("dump", None, "PATH", "Dump the store's content to an archive"),
            flag("background", None, "Return when the shutdown has begun"),
            flag("quiet", None, "Show only warnings and worse"),
        ])
        .arg(verbose())
        .arg(Arg::new("yes").long("yes").short('y').action(clap::ArgAction::SetTrue).help("Answer yes to any question"))
        .arg(Arg::new("no").long("no").short('n').action(clap::ArgAction::SetTrue).help("Answer no to any question"))
        .arg(optional_word("TARGET", "The instance, as job id or address (default: this one)"))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut flux = match text(matches, "TARGET") {
        Some(target) => Handle::open_uri(&uri::reachable(&uri::resolve(target, false, cx)?)?)?,
        None => cx.open()?,
    };
    if flux.attr("rank")? != "0" {
        return Err(CmdError::new("shutdown may only be initiated on rank 0"));
    }
    let dump = match text(matches, "dump") {
        Some(path) => Some(path),
        None if matches.get_flag("gc") => Some("auto"),
        None if matches.get_flag("skip-gc") => Some(""),
        None => None,
    };
    if let Some(path) = dump {
        let request = json!({"name": "content.dump", "value": path});
        flux.call("attr.set", Target::Rank(Rank::ROOT), request).map_err(CmdError::calling("content.dump"))?;
    }
    let level = match verbosity(matches) {
        _ if matches.get_flag("quiet") => WARNING,
        0 => INFO,
        _ => DEBUG,
    };
    let root = Target::Rank(Rank::ROOT);
    if matches.get_flag("background") {
        flux.call("shutdown.start", root, json!({"loglevel": level})).map_err(CmdError::calling("shutdown"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut log = flux.stream("shutdown.start", root, json!({"loglevel": level}))?;
    loop {
        match log.next().transpose() {
            Ok(Some(entry)) => std::io::stderr().write_all(entry["log"].as_str().unwrap_or_default().as_bytes())?,
            Ok(None) => return Ok(ExitCode::SUCCESS),
            // The broker that we asked is the one that ends.
            Err(ClientError::Lost | ClientError::Socket(_)) => return Ok(ExitCode::SUCCESS),
            Err(error) => return Err(CmdError::calling("shutdown")(error)),
        }
    }
}
