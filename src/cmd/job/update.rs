//! `flux update`: changes what a job asks for.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use flux_client::{ClientError, Handle, Target};
use flux_types::eventlog::Entry;
use flux_types::json::to_spaced_string;
use flux_types::{JobId, Jobspec, format_fsd_listing, parse_fsd};
use serde_json::{Map, Value, json};

use crate::frame::args::{flag, text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::jobid::shown;
use crate::submit::refused;

const DURATION: &str = "attributes.system.duration";

pub(crate) fn command() -> Command {
    Command::new("update")
        .arg(flag("dry-run", Some('n'), "Do not apply any updates, just emit update payload to stdout").alias("dry"))
        .arg(flag("verbose", Some('v'), "Be more verbose. Log updated items after success."))
        .arg(flag("wait", None, "Wait for updates to appear in job eventlog before exiting"))
        .arg(Arg::new("JOBID").required(true).help("Target jobid"))
        .arg(Arg::new("KEY=VALUE").num_args(1..).required(true).help("Requested jobspec updates in KEY=VALUE form"))
}

pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let name = text(matches, "JOBID").unwrap_or("");
    let bad = |_| CmdError::usage(format!("error: argument JOBID: invalid JobID value: '{name}'"));
    let id = JobId::parse(name).map_err(bad)?;
    let mut flux = None;
    let mut updates = Map::new();
    for pair in texts(matches, "KEY=VALUE") {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = full_key(key);
        let value = match key.as_str() {
            DURATION => duration(value, id, &mut flux, cx)?,
            _ => serde_json::from_str(value).unwrap_or_else(|_| value.into()),
        };
        updates.insert(key, value);
    }
    if matches.get_flag("dry-run") {
        cx.line(to_spaced_string(&Value::Object(updates)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut flux = flux.map_or_else(|| cx.open(), Ok)?;
    let began = crate::frame::timefmt::now();
    let body = json!({"id": id, "updates": updates});
    flux.call("job-manager.update", Target::Any, body).map_err(|error| match error {
        ClientError::Answer(fault) => refused(fault.message()),
        other => CmdError::Client(other),
    })?;
    if matches.get_flag("wait") {
        wait(&mut flux, id, &updates, began)?;
    }
    if matches.get_flag("verbose") {
        for (key, value) in &updates {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            cx.warn(format_args!("INFO: updated {key} to {value}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn full_key(key: &str) -> String {
    match key {
        "name" => "attributes.system.job.name".to_owned(),
        key if ["attributes.", "resources.", "tasks."].iter().any(|top| key.starts_with(top)) => key.to_owned(),
        key => format!("attributes.system.{key}"),
    }
}

/// A duration, or with a sign a change of the present one; no limit is 0.
fn duration(value: &str, id: JobId, flux: &mut Option<Handle>, cx: &Context) -> Result<Value, CmdError> {
    let read = |text: &str| parse_fsd(text).ok_or_else(|| refused("invalid Flux standard duration"));
    let relative = value.strip_prefix('+').map(|rest| (rest, 1.0)).or(value.strip_prefix('-').map(|rest| (rest, -1.0)));
    let seconds = match relative {
        None => read(value)?,
        Some((rest, sign)) => {
            if flux.is_none() {
                *flux = Some(cx.open()?);
            }
            let present = flux.as_mut().map_or(Ok(0.0), |flux| present_duration(flux, id))?;
            if present == 0.0 {
                return Err(refused(format_args!("duration for {} is unlimited, can't update by {value}", shown(id))));
            }
            let changed = present + sign * read(rest)?;
            if changed <= 0.0 {
                let present = format_fsd_listing(present);
                let id = shown(id);
                return Err(refused(format_args!("current duration for {id} ({present}) cannot be reduced by {rest}")));
            }
            changed
        }
    };
    Ok(json!(if seconds.is_infinite() { 0.0 } else { seconds }))
}

fn present_duration(flux: &mut Handle, id: JobId) -> Result<f64, CmdError> {
    let body = json!({"id": id, "keys": ["jobspec"], "flags": 2});
    let answer = flux.call("job-info.lookup", Target::Any, body)?;
    let spec = Jobspec::parse(answer["jobspec"].as_str().unwrap_or("")).map_err(refused)?;
    Ok(spec.duration().unwrap_or(0.0))
}

/// Until the update is among the job's events.
fn wait(flux: &mut Handle, id: JobId, updates: &Map<String, Value>, began: f64) -> Result<(), CmdError> {
    let body = json!({"id": id, "path": "eventlog", "flags": 0});
    for answer in flux.stream("job-info.eventlog-watch", Target::Any, body)? {
        let answer = answer?;
        for line in answer["event"].as_str().unwrap_or("").lines() {
            let Ok(entry) = Entry::parse(line) else { continue };
            let all = updates.iter().all(|(key, value)| entry.get(key) == Some(value));
            if entry.name == "jobspec-update" && entry.timestamp > began && all {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_keys_are_system_attributes() {
        let rows = [
            ("name", "attributes.system.job.name"),
            ("duration", "attributes.system.duration"),
            ("attributes.user.x", "attributes.user.x"),
            ("tasks.y", "tasks.y"),
        ];
        for (short, full) in rows {
            assert_eq!(full_key(short), full);
        }
    }
}
