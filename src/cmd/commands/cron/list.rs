//! `flux cron list`, `dump`, `delete`, `stop` and `start`: entries that are there.

use std::process::ExitCode;

use clap::ArgMatches;
use flux_client::Target;
use serde_json::{Value, json};

use crate::frame::args::{text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, timefmt};

fn entries(cx: &mut Context) -> Result<Vec<Value>, CmdError> {
    let answer = cx.open()?.call("cron.list", Target::Any, json!({})).map_err(CmdError::calling("cron.list"))?;
    Ok(answer["entries"].as_array().cloned().unwrap_or_default())
}

fn id(text: &str) -> Result<u64, CmdError> {
    let digits = text.strip_prefix("cron-").unwrap_or(text);
    digits.parse().map_err(|_| CmdError::usage(format!("{text}: give the number of an entry")))
}

pub(super) fn list(cx: &mut Context) -> CmdResult {
    let entries = entries(cx)?;
    row(cx, ["ID", "CMD/NAME", "STATE", "#RUNS", "LASTRUN", "STATUS"])?;
    for entry in &entries {
        let (last_run, status) = last(&entry["tasks"]);
        let (count, repeat) = (&entry["stats"]["count"], entry["repeat"].as_u64().unwrap_or(0));
        let runs = if repeat > 0 { format!("{count}/{repeat}") } else { count.to_string() };
        let state = if entry["stopped"] == json!(true) { "Stopped" } else { "Active" };
        let name = entry["name"].as_str().unwrap_or_default();
        row(cx, [&entry["id"].to_string(), name, state, &runs, &last_run, &status])?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(cx: &mut Context, [id, name, state, runs, last_run, status]: [&str; 6]) -> Result<(), CmdError> {
    cx.line(format_args!("{id:>6} {name:<15} {state:<8} {runs:>9} {last_run:>18}  {status:<18}"))
}

/// When its last task ran, and what became of it.
fn last(tasks: &Value) -> (String, String) {
    let task = &tasks[0];
    let start = task["start-time"].as_f64().or(tasks[1]["start-time"].as_f64());
    let last_run = start.map_or("None".to_owned(), ago);
    let status = match (task["state"].as_str(), task["code"].as_i64()) {
        (None, _) => "None".to_owned(),
        (Some("Failed"), Some(127)) => "Exec-Error".to_owned(),
        (Some("Failed"), code) => format!("Failed:rc={}", code.unwrap_or(0)),
        (Some("Exited"), _) => "Success".to_owned(),
        (Some(state), _) => state.to_owned(),
    };
    (last_run, status)
}

/// How long ago a time in seconds since 1970 was, in words.
fn ago(time: f64) -> String {
    let seconds = timefmt::now() - time;
    let (minutes, hours, days) = (seconds / 60.0, seconds / 3600.0, seconds / 86400.0);
    match () {
        () if seconds < 0.0 => "in the future".to_owned(),
        () if seconds < 2.0 => "a second ago".to_owned(),
        () if seconds < 90.0 => format!("{seconds:.0} seconds ago"),
        () if minutes < 2.0 => "a minute ago".to_owned(),
        () if minutes < 90.0 => format!("{minutes:.0} minutes ago"),
        () if hours < 36.0 => format!("{hours:.1} hours ago"),
        () if days < 14.0 => format!("{days:.1} days ago"),
        () if days < 70.0 => format!("{} weeks ago", (days + 3.0) as u64 / 7),
        () if days < 365.0 => format!("{} months ago", (days + 15.0) as u64 / 30),
        () => format!("{:.1} years ago", days / 365.0),
    }
}

fn span(seconds: f64) -> String {
    match seconds {
        s if s > 86400.0 => format!("{:.3}d", s / 86400.0),
        s if s > 3600.0 => format!("{:.3}h", s / 3600.0),
        s if s > 60.0 => format!("{:.3}m", s / 60.0),
        s if s > 1.0 => format!("{s:.3}s"),
        s => format!("{:.2}ms", s * 1000.0),
    }
}

pub(super) fn dump(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let wanted = id(text(matches, "ID").unwrap_or_default())?;
    let key = text(matches, "key");
    let entries = entries(cx)?;
    let entry = entries.iter().find(|entry| entry["id"].as_u64() == Some(wanted));
    let entry = entry.ok_or_else(|| CmdError::new(format!("cron-{wanted}: No such cron entry found")))?;
    let mut rows: Vec<(String, &Value)> = Vec::new();
    for (name, value) in entry.as_object().into_iter().flatten() {
        match value {
            Value::Array(tasks) => {
                for (nth, task) in tasks.iter().enumerate() {
                    let fields = task.as_object().into_iter().flatten();
                    rows.extend(fields.map(|(key, value)| (format!("task.{}.{key}", nth + 1), value)));
                }
            }
            Value::Object(fields) => rows.extend(fields.iter().map(|(key, value)| (format!("{name}.{key}"), value))),
            value => rows.push((name.clone(), value)),
        }
    }
    for (name, value) in rows {
        match key {
            None => cx.line(format_args!("{name} = {}", quoted(value)))?,
            Some(key) if key == name => cx.line(value.as_str().map_or(quoted(value), str::to_owned))?,
            Some(_) => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Fourteen significant digits are what a time is good for.
fn quoted(value: &Value) -> String {
    match value.as_f64().filter(|_| value.is_f64()) {
        None => value.to_string(),
        Some(number) => {
            let whole = (number.abs().log10().floor().max(0.0)) as usize + 1;
            let text = format!("{number:.*}", 14usize.saturating_sub(whole));
            match text.trim_end_matches('0') {
                short if short.ends_with('.') => format!("{short}0"),
                short if short.contains('.') => short.to_owned(),
                _ => text,
            }
        }
    }
}

pub(super) fn delete(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut flux = cx.open()?;
    for word in texts(matches, "ID") {
        let id = id(word)?;
        let request = json!({"id": id, "kill": matches.get_flag("kill")});
        let gone = flux.call("cron.delete", Target::Any, request).map_err(CmdError::calling("cron.delete"))?;
        let task = &gone["tasks"][0];
        let extra = match (task["start-time"].as_f64(), task["end-time"].as_f64()) {
            (Some(start), Some(end)) => format!(" last ran {} for {}", ago(end), span(end - start)),
            (Some(start), None) => format!(" still running. Started {}", ago(start)),
            _ => String::new(),
        };
        cx.line(format_args!("Removed cron-{id}: {}{extra}", gone["name"].as_str().unwrap_or_default()))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn change(matches: &ArgMatches, cx: &mut Context, topic: &str, done: &str) -> CmdResult {
    let mut flux = cx.open()?;
    for word in texts(matches, "ID") {
        let id = id(word)?;
        flux.call(topic, Target::Any, json!({"id": id})).map_err(CmdError::calling(topic))?;
        cx.line(format_args!("{done} cron-{id}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
