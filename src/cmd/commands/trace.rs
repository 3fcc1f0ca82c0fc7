//! `flux module trace` and `flux overlay trace`.

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgMatches};
use flux_client::Target;
use flux_wire::errno_name;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::frame::args::{flag, option, text, texts};
use crate::frame::color::{self, BLUE, CYAN, GREEN, MAGENTA, RED, YELLOW};
use crate::frame::context::Context;
use crate::frame::stamp::Stamps;
use crate::frame::{CmdError, CmdResult, timefmt};

const TYPES: [(&str, i64, char); 4] =
    [("request", 1, '>'), ("response", 2, '<'), ("event", 4, 'e'), ("control", 8, 'c')];

#[derive(Deserialize)]
struct Traced {
    timestamp: f64,
    prefix: String,
    name: Option<String>,
    /// The peer; -1 is all below.
    #[serde(default)]
    rank: i64,
    #[serde(rename = "type")]
    kind: i64,
    topic: String,
    payload_size: u64,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    errnum: i32,
    errstr: Option<String>,
}

/// What the two have in common.
pub(super) fn args() -> [Arg; 5] {
    [
        flag("full", Some('f'), "Show JSON message payload, if any"),
        Arg::new("type")
            .long("type")
            .short('t')
            .value_name("TYPE,...")
            .value_delimiter(',')
            .value_parser(TYPES.map(|(name, ..)| name))
            .action(clap::ArgAction::Append)
            .help("Only messages of these types"),
        color::arg(),
        flag("human", Some('H'), "Human readable output"),
        flag("delta", Some('d'), "With --human, show timestamp delta between messages"),
    ]
}

/// The argument of `flux overlay trace`.
pub(super) fn peer() -> Arg {
    option("rank", Some('r'), "NODEID", "Only messages to or from this peer")
}

fn mask(matches: &ArgMatches) -> i64 {
    let chosen = texts(matches, "type");
    TYPES.iter().filter(|(name, ..)| chosen.is_empty() || chosen.contains(name)).map(|row| row.1).sum()
}

/// `flux overlay trace`.
pub(super) fn overlay(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let nodeid: i64 = match text(matches, "rank") {
        None => -1,
        Some(rank) => rank.parse().map_err(|_| CmdError::usage(format!("--rank={rank}: give a rank")))?,
    };
    let request = json!({
        "typemask": mask(matches),
        "topic_glob": text(matches, "TOPIC-GLOB").unwrap_or("*"),
        "nodeid": nodeid,
        "full": matches.get_flag("full"),
    });
    follow("overlay.trace", &request, Printer { stamps: Stamps::of(matches, cx)?, width: None }, cx)
}

/// `flux module trace`.
pub(super) fn modules(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let names = texts(matches, "MODULE");
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    let request = json!({
        "typemask": mask(matches),
        "topic_glob": text(matches, "topic").unwrap_or("*"),
        "names": names,
        "full": matches.get_flag("full"),
    });
    follow("module.trace", &request, Printer { stamps: Stamps::of(matches, cx)?, width: Some(width) }, cx)
}

fn follow(topic: &str, request: &Value, mut printer: Printer, cx: &mut Context) -> CmdResult {
    let mut flux = cx.open()?;
    let mut stream = flux.stream(topic, Target::Any, request.clone())?;
    while let Some(message) = stream.next_message().map_err(CmdError::calling(topic))? {
        let traced: Traced = message.decode().map_err(|error| CmdError::about(topic, error))?;
        cx.line(printer.line(&traced))?;
        cx.out.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Printer {
    stamps: Stamps,
    /// Of the modules' names; `None`: peers are named instead.
    width: Option<usize>,
}

impl Printer {
    fn line(&mut self, traced: &Traced) -> String {
        let time = self.time(traced.timestamp);
        let sign = TYPES.iter().find(|(_, kind, _)| *kind == traced.kind).map_or('?', |row| row.2);
        let Traced { prefix, topic, payload_size, errnum, .. } = traced;
        let from = match self.width {
            Some(width) => format!("{:>width$} {prefix}", traced.name.as_deref().unwrap_or_default()),
            None if traced.rank < 0 => format!("{prefix} *"),
            None => format!("{prefix} {}", traced.rank),
        };
        let mut text = format!("{from} {sign} {topic} [{}]", size(*payload_size));
        if traced.kind == 2 {
            let outcome = match (*errnum, errno_name(flux_client::Errno(*errnum))) {
                (0, _) => "success".to_owned(),
                (_, Some(name)) => name.to_owned(),
                (number, None) => format!("errno {number}"),
            };
            text.push_str(&format!(" {outcome}"));
        }
        match &traced.errstr {
            Some(errstr) if *errnum > 0 && !errstr.is_empty() => text.push_str(&format!("\n{errstr}")),
            _ if !traced.payload.is_null() => {
                text.push('\n');
                text.push_str(&serde_json::to_string_pretty(&traced.payload).unwrap_or_default());
            }
            _ => {}
        }
        let color = match traced.kind {
            1 => BLUE,
            2 if *errnum > 0 => RED,
            2 => MAGENTA,
            4 => YELLOW,
            _ => CYAN,
        };
        let gap = if self.stamps.human { "  " } else { " " };
        format!("{time}{gap}{}", self.stamps.colored(color, &text))
    }

    fn time(&mut self, seconds: f64) -> String {
        if !self.stamps.human {
            let millis = ((seconds - seconds.trunc()) * 1e3) as u32;
            return self.stamps.colored(GREEN, &format!("{}.{millis:03}", timefmt::iso_local(seconds)));
        }
        self.stamps.human(seconds)
    }
}

/// Bytes, in the largest unit that leaves at least one.
fn size(bytes: u64) -> String {
    let units = [(1u64 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1}{name}", bytes as f64 / unit as f64),
        None => bytes.to_string(),
    }
}
