//! `flux startlog`: when the instance was started and stopped.

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Errno};
use flux_types::eventlog::{self, Entry};
use serde_json::Value;

use crate::frame::args::flag;
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, timefmt};
use crate::store::{self, Root};

const KEY: &str = "admin.eventlog";

pub fn command() -> Command {
    Command::new("startlog").args([
        flag("check", None, "Fail if the instance was not shut down properly before"),
        flag("quiet", None, "Print nothing; for --check"),
        flag("show-version", Some('v'), "Show which version ran"),
    ])
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut flux = cx.open()?;
    let log = match store::value(&mut flux, &Root::Namespace("primary".to_owned()), KEY) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(ClientError::Answer(fault)) if fault.errno == Errno::ENOENT => String::new(),
        Err(error) => return Err(CmdError::calling(KEY)(error)),
    };
    let entries = eventlog::decode(&log).map_err(|error| CmdError::about(KEY, error))?;
    let runs = runs(entries);
    // The run before this one; what came before that has been looked at then.
    let clean = runs.iter().rev().nth(1).is_none_or(|run| run.finish.is_some());
    if !matches.get_flag("quiet") {
        let count = runs.len();
        for (nth, run) in runs.into_iter().enumerate() {
            let line = run.line(nth + 1 == count, matches.get_flag("show-version"));
            cx.line(line)?;
        }
    }
    Ok(if matches.get_flag("check") && !clean { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Run {
    start: f64,
    finish: Option<f64>,
    version: String,
}

/// A start, and the finish after it unless the instance crashed.
fn runs(entries: Vec<Entry>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for entry in entries {
        match entry.name.as_str() {
            "start" => {
                let version = entry.get("core_version").or_else(|| entry.get("version")).and_then(Value::as_str);
                let version = version.unwrap_or("").to_owned();
                runs.push(Run { start: entry.timestamp, finish: None, version });
            }
            "finish" => {
                if let Some(run) = runs.last_mut() {
                    run.finish = Some(entry.timestamp);
                }
            }
            _ => {}
        }
    }
    runs
}

impl Run {
    fn line(&self, is_last: bool, with_version: bool) -> String {
        let time = |seconds| timefmt::local(seconds, "%Y-%m-%d %H:%M").unwrap_or_default();
        let span = |seconds: f64| super::uptime::duration(seconds);
        let tail = match self.finish {
            Some(finish) => format!("{} ({})", time(finish), span(finish - self.start)),
            None if is_last => format!("running ({})", span(timefmt::now() - self.start)),
            None => "crashed".to_owned(),
        };
        let version = if with_version { format!("{:>25}  ", self.version) } else { String::new() };
        format!("{version}{} - {tail}", time(self.start))
    }
}
