//! `flux job eventlog` and `flux job wait-event`.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};
use flux_client::{ClientError, Errno, Handle, Target, Ticket};
use flux_types::eventlog::{self, Entry};
use flux_types::{JobId, parse_fsd};
use serde_json::{Value, json};

use super::job_id;
use crate::eventlog::{Formatter, compact};
use crate::frame::args::{flag, option, optional_word, text};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

/// Short names of a job's logs, where they are, and the event that ends them.
const PATHS: &[(&str, &str, Option<&str>)] = &[
    ("eventlog", "eventlog", Some("clean")),
    ("exec", "guest.exec.eventlog", Some("done")),
    ("output", "guest.output", None),
    ("input", "guest.input", None),
];

/// RFC 41: a watch also waits for a log that is not there yet.
const WAITCREATE: u32 = 1;

fn path_of(name: &str) -> (&str, Option<&'static str>) {
    let known = PATHS.iter().find(|(short, path, _)| *short == name || *path == name);
    known.map_or((name, None), |(_, path, end)| (path, *end))
}

fn formats(command: Command) -> Command {
    let color = Arg::new("color").long("color").short('L').value_name("WHEN").num_args(0..=1).require_equals(true);
    command
        .arg(option("format", Some('f'), "FORMAT", "Specify output format: text, json"))
        .arg(option("time-format", Some('T'), "FORMAT", "Specify time format: raw, iso, offset, human"))
        .arg(flag("human", Some('H'), "Display human-readable output. See also --color, --format, and --time-format."))
        .arg(
            color
                .default_missing_value("always")
                .help("Colorize output; WHEN can be 'always', 'never', or 'auto' (default)"),
        )
        .arg(option(
            "path",
            Some('p'),
            "PATH",
            "Specify alternate eventlog name or path suffix (e.g. \"exec\", \"output\", or \"guest.exec.eventlog\")",
        ))
}

fn formatter(matches: &ArgMatches, cx: &Context) -> Result<Formatter, CmdError> {
    let color = match text(matches, "color") {
        Some("always") => true,
        Some("never") => false,
        Some("auto") | None => cx.on_terminal() && cx.var("NO_COLOR").is_none(),
        Some(other) => return Err(CmdError::new(format!("Invalid argument to --color: '{other}'"))),
    };
    let format = text(matches, "format").unwrap_or("text");
    let times = text(matches, "time-format").unwrap_or("raw");
    Formatter::new(format, times, matches.get_flag("human"), color)
}

pub(super) mod show {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        formats(Command::new("eventlog"))
            .arg(flag("follow", Some('F'), "Follow events until job is inactive."))
            .arg(optional_word("id", "The job"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let Some(name) = text(matches, "id") else { return Err(CmdError::usage("eventlog: a job id is missing")) };
        let id = job_id(name)?;
        let (path, end) = path_of(text(matches, "path").unwrap_or("eventlog"));
        let mut formatter = formatter(matches, cx)?;
        let mut flux = cx.open()?;
        if matches.get_flag("follow") {
            let wait =
                Wait { name, path, event: end, matching: None, count: 1, timeout: None, all: true, quiet: false };
            return wait.run(&mut flux, id, WAITCREATE, &mut formatter, cx);
        }
        let log = lookup(&mut flux, id, name, path)?;
        for entry in eventlog::entries(&log) {
            let entry = entry.and_then(|entry| entry.to_entry()).map_err(|error| CmdError::new(error.to_string()))?;
            cx.line(formatter.line(&entry))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One whole log of a job.
fn lookup(flux: &mut Handle, id: JobId, name: &str, path: &str) -> Result<String, CmdError> {
    let body = json!({"id": id, "keys": [path], "flags": 0});
    match flux.call("job-info.lookup", Target::Any, body) {
        Ok(answer) => Ok(answer.get(path).and_then(Value::as_str).unwrap_or("").to_owned()),
        Err(error) => Err(explained(error, name, path)),
    }
}

fn explained(error: ClientError, name: &str, path: &str) -> CmdError {
    match error.errno() {
        Errno::ENOENT if path == "eventlog" => CmdError::new(format!("job {name} not found")),
        Errno::ENOENT => CmdError::new(format!("eventlog path {path} not found")),
        _ => CmdError::calling(format!("job {name}"))(error),
    }
}

pub(super) mod wait {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        formats(Command::new("wait-event"))
            .arg(option("timeout", Some('t'), "DURATION", "timeout after DURATION"))
            .arg(option("match-context", Some('m'), "KEY=VAL", "match key=val in context"))
            .arg(option("count", Some('c'), "COUNT", "required number of matches (default 1)"))
            .arg(flag("quiet", Some('q'), "Do not output matched event"))
            .arg(flag("verbose", Some('v'), "Output all events before matched event"))
            .arg(flag("waitcreate", Some('W'), "If path does not exist, wait for its creation"))
            .arg(optional_word("id", "The job"))
            .arg(optional_word("event", "The event's name"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let (Some(name), Some(event)) = (text(matches, "id"), text(matches, "event")) else {
            return Err(CmdError::usage("wait-event: a job id and the name of an event are needed"));
        };
        let id = job_id(name)?;
        let count = match text(matches, "count").map_or(Ok(1), str::parse::<i64>) {
            Err(_) => return Err(CmdError::new("Option 'count' requires an integer argument")),
            Ok(count) => u32::try_from(count).ok().filter(|count| *count > 0),
        };
        let count = count.ok_or_else(|| CmdError::new("count must be > 0"))?;
        let pair = text(matches, "match-context").map(|pair| pair.split_once('=').ok_or(()));
        let timeout = text(matches, "timeout").map(|text| parse_fsd(text).filter(|span| span.is_finite()).ok_or(text));
        let wait = Wait {
            name,
            path: path_of(text(matches, "path").unwrap_or("eventlog")).0,
            event: Some(event),
            matching: pair.transpose().map_err(|()| CmdError::new("must specify a context test as key=value"))?,
            count,
            timeout: timeout
                .transpose()
                .map_err(|text| CmdError::new(format!("Invalid argument for option 'timeout': {text}")))?
                .map(Duration::from_secs_f64),
            all: matches.get_flag("verbose"),
            quiet: matches.get_flag("quiet"),
        };
        let flags = if matches.get_flag("waitcreate") { WAITCREATE } else { 0 };
        let mut formatter = formatter(matches, cx)?;
        wait.run(&mut cx.open()?, id, flags, &mut formatter, cx)
    }
}

/// What is waited for in a log.
struct Wait<'a> {
    /// The job, as typed.
    name: &'a str,
    path: &'a str,
    /// `None`: the log's end.
    event: Option<&'a str>,
    matching: Option<(&'a str, &'a str)>,
    count: u32,
    timeout: Option<Duration>,
    /// Print what comes before it.
    all: bool,
    quiet: bool,
}

impl Wait<'_> {
    fn run(&self, flux: &mut Handle, id: JobId, flags: u32, formatter: &mut Formatter, cx: &mut Context) -> CmdResult {
        let body = json!({"id": id, "path": self.path, "flags": flags});
        let ticket = flux.send("job-info.eventlog-watch", Target::Any, body, true)?;
        let deadline = self.timeout.map(|span| flux_sys::clock::monotonic() + span);
        let mut seen = 0;
        loop {
            let Some(text) = self.next(flux, ticket, deadline)? else {
                return match self.event {
                    Some(event) => Err(CmdError::new(format!("event '{event}' never received"))),
                    None => Ok(ExitCode::SUCCESS),
                };
            };
            for line in text.lines() {
                let entry = Entry::parse(line).map_err(|error| CmdError::new(error.to_string()))?;
                formatter.note(&entry);
                let matched = self.matches(&entry);
                seen += u32::from(matched);
                let found = matched && seen == self.count;
                if (found && !self.quiet) || (!found && self.all) {
                    cx.line(formatter.line(&entry))?;
                }
                if found {
                    flux.cancel("job-info.eventlog-watch-cancel", Target::Any, ticket)?;
                    return Ok(ExitCode::SUCCESS);
                }
            }
            cx.out.flush()?;
        }
    }

    fn matches(&self, entry: &Entry) -> bool {
        let context = |(key, want): (&str, &str)| {
            entry.get(key).is_some_and(|value| value.as_str() == Some(want) || compact(value) == want)
        };
        self.event == Some(entry.name.as_str()) && self.matching.is_none_or(context)
    }

    /// The next lines of the log; `None` at its end.
    fn next(&self, flux: &mut Handle, ticket: Ticket, deadline: Option<Duration>) -> Result<Option<String>, CmdError> {
        let left = deadline.map(|at| at.saturating_sub(flux_sys::clock::monotonic()));
        let Some(message) = flux.wait(ticket, left)? else {
            let event = self.event.unwrap_or("");
            return Err(CmdError::new(format!("wait-event timeout on event '{event}'")));
        };
        match flux_client::Fault::of(&message) {
            Some(fault) if fault.errno == Errno::ENODATA => Ok(None),
            Some(fault) => Err(explained(ClientError::Answer(fault), self.name, self.path)),
            None => {
                let body = message.payload.value().map_err(ClientError::from)?;
                Ok(Some(body.get("event").and_then(Value::as_str).unwrap_or("").to_owned()))
            }
        }
    }
}
