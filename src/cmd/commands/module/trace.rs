//! `flux module trace`.

use std::io::Write;
use std::process::ExitCode;

use clap::ArgMatches;
use flux_client::Target;
use flux_wire::errno_name;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::frame::args::{text, texts};
use crate::frame::color::{BLUE, CYAN, GREEN, MAGENTA, RED, YELLOW};
use crate::frame::context::Context;
use crate::frame::stamp::Stamps;
use crate::frame::{CmdError, CmdResult, timefmt};

const TYPES: [(&str, i64, char); 4] =
    [("request", 1, '>'), ("response", 2, '<'), ("event", 4, 'e'), ("control", 8, 'c')];

#[derive(Deserialize)]
struct Traced {
    timestamp: f64,
    prefix: String,
    name: String,
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

pub(super) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let stamps = Stamps::of(matches, cx)?;
    let names = texts(matches, "MODULE");
    let chosen = texts(matches, "type");
    let mask: i64 = TYPES.iter().filter(|(name, ..)| chosen.is_empty() || chosen.contains(name)).map(|row| row.1).sum();
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
    let mut printer = Printer { stamps, width };
    let request = json!({
        "typemask": mask,
        "topic_glob": text(matches, "topic").unwrap_or("*"),
        "names": names,
        "full": matches.get_flag("full"),
    });
    let mut flux = cx.open()?;
    let mut stream = flux.stream("module.trace", Target::Any, request)?;
    while let Some(message) = stream.next_message().map_err(CmdError::calling("module.trace"))? {
        let traced: Traced = message.decode().map_err(|error| CmdError::about("module.trace", error))?;
        cx.line(printer.line(&traced))?;
        cx.out.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Printer {
    stamps: Stamps,
    width: usize,
}

impl Printer {
    fn line(&mut self, traced: &Traced) -> String {
        let time = self.time(traced.timestamp);
        let sign = TYPES.iter().find(|(_, kind, _)| *kind == traced.kind).map_or('?', |row| row.2);
        let Traced { prefix, name, topic, payload_size, errnum, .. } = traced;
        let mut text = format!("{name:>width$} {prefix} {sign} {topic} [{}]", size(*payload_size), width = self.width);
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
