//! `flux uptime`: the state of the instance in a line or two.

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{Handle, Rank, Target};
use flux_types::Idset;
use serde_json::{Value, json};

use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, timefmt};

pub fn command() -> Command {
    Command::new("uptime")
}

pub fn run(_: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut flux = cx.open()?;
    let now = timefmt::now();
    let answer =
        flux.call("state-machine.get", Target::Any, json!({})).map_err(CmdError::calling("state-machine.get"))?;
    let state = answer["state"].as_str().unwrap_or("unknown").to_owned();
    let mut seconds = answer["duration"].as_f64().unwrap_or(0.0);
    let mut extra = String::new();
    let mut notices = Vec::new();
    let size: u32 = number(&flux.attr("size")?)?;
    if state == "run" {
        seconds = now - start_time(&mut flux)?;
        let (drained, offline) = (drained(&mut flux)?, size.saturating_sub(online(&mut flux)?));
        for (count, name) in [(drained, "drained"), (offline, "offline")] {
            if count > 0 {
                extra.push_str(&format!(",  {count} {name}"));
            }
        }
        notices = queues(&mut flux)?;
    }
    let owner: u32 = number(&flux.attr("security.owner")?)?;
    let owner = flux_sys::users::Users::new().by_uid(owner).ok().flatten().map_or(owner.to_string(), |user| user.name);
    let depth = flux.attr("instance-level")?;
    let time = timefmt::local(now, "%H:%M:%S").unwrap_or_default();
    cx.line(format_args!(
        " {time} {state} {},  owner {owner},  depth {depth},  size {size}{extra}",
        duration(seconds)
    ))?;
    if !notices.is_empty() {
        cx.line(format_args!("  {}", notices.join(",  ")))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Two significant digits, in the largest unit that leaves one before the point.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 0.1 && seconds > 0.0 {
        return format!("{}ms", flux_types::duration::general(seconds * 1e3, 2));
    }
    let units = [(86400.0, "d"), (3600.0, "h"), (60.0, "m")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds >= *unit).unwrap_or((1.0, "s"));
    format!("{}{name}", flux_types::duration::general(seconds / unit, 2))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, CmdError> {
    text.parse().map_err(|_| CmdError::new(format!("the broker answered {text:?} where a number was expected")))
}

fn start_time(flux: &mut Handle) -> Result<f64, CmdError> {
    let answer = flux.call("attr.get", Target::Rank(Rank::ROOT), json!({"name": "broker.starttime"}));
    let answer = answer.map_err(CmdError::calling("broker.starttime"))?;
    number(answer["value"].as_str().unwrap_or_default())
}

fn idset(text: &str) -> Result<u32, CmdError> {
    let ids = Idset::parse(text).map_err(|error| CmdError::about(text, error))?;
    Ok(u32::try_from(ids.count()).unwrap_or(u32::MAX))
}

fn online(flux: &mut Handle) -> Result<u32, CmdError> {
    let answer = flux.call("groups.get", Target::Rank(Rank::ROOT), json!({"name": "broker.online"}));
    idset(answer.map_err(CmdError::calling("broker.online"))?["members"].as_str().unwrap_or(""))
}

fn drained(flux: &mut Handle) -> Result<u32, CmdError> {
    let status = flux.call("resource.status", Target::Rank(Rank::ROOT), json!({}));
    let status = status.map_err(CmdError::calling("resource.status"))?;
    let targets = status["drain"].as_object().into_iter().flat_map(|drain| drain.keys());
    targets.map(|ids| idset(ids)).sum()
}

/// What is switched off in every queue.
fn queues(flux: &mut Handle) -> Result<Vec<&'static str>, CmdError> {
    let root = Target::Rank(Rank::ROOT);
    let list = flux.call("job-manager.queue-list", root, json!({})).map_err(CmdError::calling("queue-list"))?;
    let names: Vec<Value> = list["queues"].as_array().cloned().unwrap_or_default();
    let requests =
        if names.is_empty() { vec![json!({})] } else { names.iter().map(|name| json!({"name": name})).collect() };
    let (mut enabled, mut started) = (false, false);
    for request in requests {
        let status = flux.call("job-manager.queue-status", root, request).map_err(CmdError::calling("queue-status"))?;
        enabled |= status["enable"].as_bool().unwrap_or(false);
        started |= status["start"].as_bool().unwrap_or(false);
    }
    let notices = [(enabled, "submit disabled"), (started, "scheduler stopped")];
    Ok(notices.into_iter().filter(|(on, _)| !on).map(|(_, text)| text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_digits() {
        let rows = [
            (0.394, "0.39s"),
            (0.0421, "42ms"),
            (5.0, "5s"),
            (59.0, "59s"),
            (90.0, "1.5m"),
            (3600.0, "1h"),
            (86400.0 * 12.0, "12d"),
            (0.0, "0s"),
        ];
        for (seconds, want) in rows {
            assert_eq!(duration(seconds), want);
        }
    }
}
