//! `flux resource eventlog` (RFC 44).

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ArgMatches;
use flux_client::{ClientError, Errno, Fault};
use flux_types::eventlog::Entry;
use flux_types::{Hostlist, Idset};
use serde_json::{Value, json};

use super::ROOT;
use crate::eventlog::Formatter;
use crate::frame::args::{text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, color};

/// Whom an event must be about to be shown.
enum Targets {
    All,
    Some { ranks: Idset, hosts: Hostlist },
}

impl Targets {
    fn new(text: Option<&str>, instance: &Hostlist) -> Result<Targets, CmdError> {
        let Some(text) = text else { return Ok(Targets::All) };
        if let Ok(ranks) = Idset::parse(text) {
            let hosts = instance.select(&ranks);
            return Ok(Targets::Some { ranks, hosts });
        }
        let hosts = Hostlist::parse(text).map_err(|error| CmdError::about(format!("invalid targets {text}"), error))?;
        let ranks = hosts.iter().filter_map(|host| u32::try_from(instance.find(&host)?).ok()).collect();
        Ok(Targets::Some { ranks, hosts })
    }

    fn concern(&self, event: &Entry) -> bool {
        let Targets::Some { ranks, hosts } = self else { return true };
        let context = |key| event.get(key).and_then(Value::as_str);
        let listed = context("ranks").or_else(|| context("idset")).and_then(|text| Idset::parse(text).ok());
        let named = context("nodelist").and_then(|text| Hostlist::parse(text).ok());
        listed.is_some_and(|listed| listed.intersects(ranks))
            || named.is_some_and(|named| named.iter().any(|host| hosts.contains(&host)))
    }
}

/// Does the context have all the pairs? Numbers are compared as numbers.
fn has_pairs(event: &Entry, pairs: &[(&str, &str)]) -> bool {
    pairs.iter().all(|(key, want)| match event.get(key) {
        Some(Value::String(text)) => text == want,
        Some(Value::Number(number)) => {
            want.parse::<f64>().is_ok_and(|want| number.as_f64().is_some_and(|got| (got - want).abs() <= 1e-5))
        }
        Some(other) => serde_json::from_str::<Value>(want).is_ok_and(|want| want == *other),
        None => false,
    })
}

/// Columns of a time with `--time-format=offset`.
const OFFSET_WIDTH: usize = 15;

pub(super) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let format = text(matches, "format").unwrap_or("text");
    let times = text(matches, "time-format").unwrap_or("raw");
    let mut formatter = Formatter::new(format, times, matches.get_flag("human"), color::wanted(matches, cx)?)?;
    let pairs = texts(matches, "match-context").into_iter().map(|pair| {
        pair.split_once('=').ok_or_else(|| CmdError::usage(format!("--match-context={pair}: give KEY=VAL")))
    });
    let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
    let wait = text(matches, "wait");
    let timeout = text(matches, "timeout").map(|text| {
        let seconds = flux_types::parse_fsd(text).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        seconds.ok_or_else(|| CmdError::usage(format!("--timeout={text}: give a duration")))
    });
    let deadline = timeout.transpose()?.map(|timeout| Instant::now() + timeout);
    let mut flux = cx.open()?;
    let instance = Hostlist::parse(&flux.attr("hostlist").unwrap_or_default()).unwrap_or_default();
    let targets = Targets::new(text(matches, "include"), &instance)?;
    let ticket = flux.send("resource.journal", ROOT, json!({}), true)?;
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let Some(message) = flux.wait(ticket, left)? else {
            return Err(CmdError::new("ETIMEDOUT: Connection timed out"));
        };
        match Fault::of(&message) {
            Some(fault) if fault.errno == Errno::ENODATA => return Ok(ExitCode::SUCCESS),
            Some(fault) => return Err(CmdError::calling("resource.journal")(ClientError::Answer(fault))),
            None => {}
        }
        let answer: Value = message.decode().map_err(ClientError::from)?;
        let events = answer["events"].as_array().cloned().unwrap_or_default();
        // An empty list ends what happened before we asked.
        if events.is_empty() && wait.is_none() && !matches.get_flag("follow") {
            return Ok(ExitCode::SUCCESS);
        }
        for event in events {
            let event = Entry::from_value(event).map_err(|error| CmdError::about("resource.journal", error))?;
            formatter.note(&event);
            if !targets.concern(&event) {
                continue;
            }
            let line = formatter.line(&event);
            // Offsets stand to the right, so that events begin in one column.
            let pad = if times == "offset" { OFFSET_WIDTH.saturating_sub(line.find(' ').unwrap_or(0)) } else { 0 };
            cx.line(format_args!("{:pad$}{line}", ""))?;
            if wait.is_some_and(|name| event.name == name && has_pairs(&event, &pairs)) {
                return Ok(ExitCode::SUCCESS);
            }
        }
        cx.out.flush()?;
    }
}
