//! `flux post-job-event`: adds an event to a job's log, for programs and tests.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use flux_client::{Errno, Target};
use flux_types::JobId;
use serde_json::{Map, Value, json};

use crate::frame::args::{text, texts, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::submit::refused;

pub(crate) fn command() -> Command {
    Command::new("post-job-event")
        .arg(Arg::new("id").required(true).help("Job ID for which to post event"))
        .arg(Arg::new("name").required(true).help("Name of event to post"))
        .arg(words("context", "List of key=value pairs that will be set in event context").trailing_var_arg(true))
}

pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    cx.name = "flux-job-post-event".to_owned();
    let (given, name) = (text(matches, "id").unwrap_or(""), text(matches, "name").unwrap_or(""));
    let bad = |_| CmdError::usage(format!("error: argument id: invalid JobID value: '{given}'"));
    let id = JobId::parse(given).map_err(bad)?;
    let mut body = json!({"id": id, "name": name});
    let context = context(&texts(matches, "context"))?;
    if !context.is_empty() {
        body["context"] = Value::Object(context);
    }
    match cx.open()?.call("job-manager.post-event.post", Target::Any, body) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) if error.errno() == Errno::ENOENT => Err(refused(format_args!("No such job {given}"))),
        Err(error) => Err(refused(error)),
    }
}

/// `KEY=VALUE` pairs, values in JSON or else text.
fn context(pairs: &[&str]) -> Result<Map<String, Value>, CmdError> {
    let read = |pair: &&str| {
        let (key, value) = pair.split_once('=').ok_or_else(|| refused(format_args!("no value for key {pair}")))?;
        Ok((key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
    };
    pairs.iter().map(read).collect()
}
