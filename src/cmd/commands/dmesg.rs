//! `flux dmesg`: the broker's log buffer.

use std::io::Write;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::Target;
use serde_json::json;

use crate::frame::args::flag;
use crate::frame::color::{self, BLUE, BOLD, GREEN, RED, RESET, YELLOW};
use crate::frame::context::Context;
use crate::frame::stamp::Stamps;
use crate::frame::{CmdError, CmdResult, timefmt};

pub fn command() -> Command {
    Command::new("dmesg").args([
        flag("clear", Some('C'), "Clear the ring buffer"),
        flag("read-clear", Some('c'), "Clear the ring buffer contents after printing"),
        flag("follow", Some('f'), "Track new entries as are logged"),
        flag("new", Some('n'), "Show only new log messages"),
        flag("human", Some('H'), "Human readable output"),
        flag("delta", Some('d'), "With --human, show timestamp delta between messages"),
        color::arg(),
    ])
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut printer = Printer { stamps: Stamps::of(matches, cx)? };
    let mut flux = cx.open()?;
    if !matches.get_flag("clear") {
        let request = json!({"follow": matches.get_flag("follow"), "nobacklog": matches.get_flag("new")});
        let mut stream = flux.stream("log.dmesg", Target::Any, request)?;
        while let Some(message) = stream.next_message().map_err(CmdError::calling("log.dmesg"))? {
            let bytes = message.payload.as_bytes().unwrap_or_default();
            let line = String::from_utf8_lossy(bytes);
            cx.line(printer.line(line.trim_end_matches(['\0', '\n'])))?;
            if matches.get_flag("follow") {
                cx.out.flush()?;
            }
        }
    }
    if matches.get_flag("clear") || matches.get_flag("read-clear") {
        flux.call("log.clear", Target::Any, json!({})).map_err(CmdError::calling("log.clear"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The parts of a line of the log (RFC 5424).
#[derive(Debug, PartialEq)]
struct Line<'a> {
    severity: u8,
    timestamp: &'a str,
    rank: u32,
    app: &'a str,
    text: &'a str,
}

/// `<PRI>1 TIME RANK APP PROCID MSGID - TEXT`; PRI is severity * 8 + facility, unlike RFC 5424's (doc/deviations.md).
fn parse(line: &str) -> Option<Line<'_>> {
    let (priority, rest) = line.strip_prefix('<')?.split_once('>')?;
    let mut words = rest.splitn(8, ' ');
    words.next()?; // version
    let timestamp = words.next()?;
    let rank = words.next()?.parse().unwrap_or(0);
    let app = words.next()?;
    let text = words.nth(3)?;
    Some(Line { severity: (priority.parse::<u32>().ok()? >> 3 & 7) as u8, timestamp, rank, app, text })
}

/// The names of syslog's severities.
pub(super) const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

struct Printer {
    stamps: Stamps,
}

impl Printer {
    fn line(&mut self, text: &str) -> String {
        let Some(line) = parse(text) else { return text.to_owned() };
        let time = if self.stamps.human { self.human(line.timestamp) } else { self.iso(line.timestamp) };
        let name = format!("{}.{}[{}]", line.app, SEVERITIES[usize::from(line.severity)], line.rank);
        let severity_color = match line.severity {
            0 | 1 => "\x1b[7m\x1b[31m",
            2 => "\x1b[1m\x1b[31m",
            3 => RED,
            4 => BOLD,
            7 => BLUE,
            _ => "",
        };
        let body = match self.stamps.color {
            true => format!("{severity_color}{}{RESET}", line.text),
            false => line.text.to_owned(),
        };
        format!("{time} {}: {body}", self.stamps.colored(YELLOW, &name))
    }

    /// Local time, unless the zone is UTC anyway.
    fn iso(&self, timestamp: &str) -> String {
        let local = timefmt::parse_utc(timestamp).and_then(|seconds| {
            let zone = timefmt::local(seconds, "%:z").filter(|zone| zone != "+00:00")?;
            let micros = ((seconds - seconds.floor()) * 1e6).round() as u32;
            Some(format!("{}.{micros:06}{zone}", timefmt::iso_local(seconds)))
        });
        self.stamps.colored(GREEN, local.as_deref().unwrap_or(timestamp))
    }

    fn human(&mut self, timestamp: &str) -> String {
        let Some(seconds) = timefmt::parse_utc(timestamp) else {
            return self.stamps.colored(GREEN, &format!("[{timestamp}]"));
        };
        self.stamps.human(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "<49>1 2026-11-21T13:26:46.052733Z 3 broker 1234 - - online: vm (ranks 0)";

    #[test]
    fn lines_of_the_log_are_taken_apart() {
        let line = parse(LINE).unwrap();
        let want = Line {
            severity: 6,
            timestamp: "2026-11-21T13:26:46.052733Z",
            rank: 3,
            app: "broker",
            text: "online: vm (ranks 0)",
        };
        assert_eq!(line, want);
        for bad in ["", "<14>", "<x>1 a b c d e f g", "no priority", "<14>1 t 0 app"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn colors_depend_on_the_severity() {
        let mut printer = Printer { stamps: Stamps::new(true, true, true) };
        printer.line(LINE);
        let later = LINE.replace("<49>", "<25>").replace("46.05", "47.05");
        let want = "\x1b[32m[  +1.000000]\x1b[0m \x1b[33mbroker.err[3]\x1b[0m: \x1b[31monline: vm (ranks 0)\x1b[0m";
        assert_eq!(printer.line(&later), want);
    }
}
