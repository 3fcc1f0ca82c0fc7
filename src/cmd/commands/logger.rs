//! `flux logger`: one line into the broker's log.

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{Payload, Target};

use super::dmesg::SEVERITIES;
use crate::frame::args::{option, text, texts, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, timefmt};

/// syslog's facility "user".
const FACILITY_USER: usize = 1;

pub fn command() -> Command {
    Command::new("logger")
        .arg(option(
            "severity",
            Some('s'),
            "LEVEL",
            "How serious: emerg, alert, crit, err, warning, notice, info, debug",
        ))
        .arg(option("appname", Some('n'), "NAME", "Who says so"))
        .arg(words("MESSAGE", "The message; default: standard input"))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let severity = text(matches, "severity").unwrap_or("notice");
    let level = SEVERITIES.iter().position(|name| *name == severity);
    let level = level.ok_or_else(|| CmdError::new(format!("invalid severity: Use {}", SEVERITIES.join("|"))))?;
    let mut message = texts(matches, "MESSAGE").join(" ");
    if message.is_empty() {
        message = String::from_utf8_lossy(&cx.read_stdin()?).trim_end().to_owned();
    }
    let app: String = text(matches, "appname").unwrap_or("logger").split(' ').collect::<Vec<_>>().join("_");
    let mut flux = cx.open()?;
    let rank = flux.rank()?;
    for line in message.split('\n').filter(|line| !line.is_empty()) {
        let time = timefmt::utc_micros(timefmt::now());
        let entry = format!("<{}>1 {time} {rank} {app} - - - {line}", level << 3 | FACILITY_USER);
        flux.notify("log.append", Target::Any, Payload::raw(entry.into_bytes()))?;
    }
    flux.flush()?;
    Ok(ExitCode::SUCCESS)
}
