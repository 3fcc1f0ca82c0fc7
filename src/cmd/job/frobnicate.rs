//! `flux job-frobnicator`: changes jobspecs as the ingest service does with its own rules.

use std::io::BufRead;
use std::io::Write;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Target};
use serde_json::{Value, json};

use crate::frame::args::{flag, many, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::submit::refused;

const PLUGINS: &[(&str, &str)] = &[
    ("constraints", "Apply constraints to incoming jobspec based on broker config."),
    ("defaults", "Apply defaults to incoming jobspec based on broker config."),
];

pub(crate) fn command() -> Command {
    Command::new("job-frobnicator")
        .arg(flag("jobspec-only", None, "Expect only encoded jobspec on stdin"))
        .arg(flag("list-plugins", None, "List available frobnicators and exit"))
        .arg(many(
            "plugins",
            None,
            "PLUGINS",
            "Frobnicators to use, separated by commas (default: defaults,constraints)",
        ))
}

pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    if matches.get_flag("list-plugins") {
        return super::list_plugins(cx, PLUGINS);
    }
    let mut plugins: Vec<&str> = texts(matches, "plugins").into_iter().flat_map(|list| list.split(',')).collect();
    if plugins.is_empty() {
        plugins = vec!["defaults", "constraints"];
    }
    if let Some(other) = plugins.iter().find(|name| !PLUGINS.iter().any(|(known, _)| known == *name)) {
        cx.warn(format_args!("CRITICAL: frobnicator plugin '{other}' not found"));
        return Err(CmdError::Silent(1));
    }
    let mut flux = cx.open()?;
    let bare = matches.get_flag("jobspec-only");
    for line in std::io::stdin().lock().lines() {
        let input: Value = serde_json::from_str(&line?).map_err(refused)?;
        let missing = |key: &&str| input.get(*key).is_none();
        if let Some(key) = ["jobspec", "userid", "urgency", "flags"].iter().find(|key| !bare && missing(key)) {
            return Err(CmdError::new(format!("missing key {key} in input")));
        }
        let spec = if bare { &input } else { &input["jobspec"] };
        let body = json!({"jobspec": spec, "plugins": plugins});
        let answer = match flux.call("job-ingest.frobnicate", Target::Any, body) {
            Ok(mut answer) => json!({"errnum": 0, "data": answer["jobspec"].take()}),
            Err(ClientError::Answer(fault)) => json!({"errnum": 1, "errstr": fault.message()}),
            Err(error) => return Err(error.into()),
        };
        cx.line(flux_types::json::to_spaced_string(&answer))?;
        cx.out.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}
