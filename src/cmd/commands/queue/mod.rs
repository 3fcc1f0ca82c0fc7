//! `flux queue`: which queues there are, and whether they take and start jobs (RFC 33).

mod list;

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Errno, Handle, Rank, Target};
use serde_json::{Value, json};

use crate::frame::args::{flag, many, option, optional_word, text};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

const ROOT: Target = Target::Rank(Rank::ROOT);

pub fn command() -> Command {
    // Once an option: `-q NAME` still works.
    let queue = || [optional_word("QUEUE", "The queue"), option("queue", Some('q'), "NAME", "The queue").hide(true)];
    let verbose = || flag("verbose", Some('v'), "Display more detail about internal job manager state");
    let change = |name: &'static str, about: &'static str| {
        Command::new(name)
            .about(about)
            .args([
                flag("all", Some('a'), "All queues, if there are several"),
                flag("quiet", None, "Display only errors"),
                verbose(),
            ])
            .args(queue())
    };
    let stop = || {
        [
            flag("nocheckpoint", None, "Forget this when the instance restarts"),
            option("message", Some('m'), "REASON", "Why"),
        ]
    };
    let timeout = || option("timeout", Some('t'), "DURATION", "Give up after this time");
    Command::new("queue")
        .subcommand_required(true)
        .subcommand(Command::new("list").about("List queues, with their limits").args([
            many("queue", Some('q'), "QUEUE,...", "Only these queues"),
            option("format", Some('o'), "FORMAT", "Output format, or the name of one (`help` lists them)"),
            flag("no-header", Some('n'), "No line of headings"),
        ]))
        .subcommand(Command::new("status").about("Say whether jobs are taken and started").arg(verbose()).args(queue()))
        .subcommand(change("enable", "Take jobs"))
        .subcommand(change("disable", "Take no more jobs").args(stop()))
        .subcommand(change("start", "Start jobs"))
        .subcommand(change("stop", "Start no more jobs").args(stop()))
        .subcommand(Command::new("drain").about("Wait until there are no jobs").arg(timeout()))
        .subcommand(
            Command::new("idle")
                .about("Wait until no job runs")
                .args([timeout(), flag("quiet", None, "Say only how many jobs are pending, if any")]),
        )
}

/// The queue that is meant, if one is.
fn named(matches: &ArgMatches) -> Option<&str> {
    text(matches, "QUEUE").or_else(|| text(matches, "queue"))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("list", matches)) => list::run(matches, cx),
        Some(("status", matches)) => {
            let mut flux = cx.open()?;
            print_status(matches, Part::Both, &mut flux, cx)?;
            if matches.get_flag("verbose") {
                print_counts(&mut flux, cx)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Some((verb @ ("enable" | "disable"), matches)) => enable(matches, verb == "enable", cx),
        Some((verb @ ("start" | "stop"), matches)) => start(matches, verb == "start", cx),
        Some((verb @ ("drain" | "idle"), matches)) => wait(matches, verb, cx),
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Enable,
    Start,
    Both,
}

fn names(flux: &mut Handle) -> Result<Vec<String>, CmdError> {
    let answer = flux.call("job-manager.queue-list", ROOT, json!({})).map_err(CmdError::calling("list"))?;
    let names = answer["queues"].as_array().into_iter().flatten();
    Ok(names.filter_map(|name| name.as_str().map(str::to_owned)).collect())
}

fn status(flux: &mut Handle, name: Option<&str>) -> Result<Value, CmdError> {
    let request = name.map_or_else(|| json!({}), |name| json!({"name": name}));
    flux.call("job-manager.queue-status", ROOT, request).map_err(CmdError::calling("status"))
}

/// The status of one queue, or of all: one line for each part.
fn print_status(matches: &ArgMatches, part: Part, flux: &mut Handle, cx: &mut Context) -> Result<(), CmdError> {
    let chosen = named(matches);
    let mut queues: Vec<Option<String>> = vec![chosen.map(str::to_owned)];
    if chosen.is_none() || matches.get_flag("verbose") {
        let all = names(flux)?;
        if !all.is_empty() {
            queues = all.into_iter().map(Some).collect();
        }
    }
    for queue in queues {
        let status = status(flux, queue.as_deref())?;
        let prefix = queue.map(|name| format!("{name}: ")).unwrap_or_default();
        if part != Part::Start {
            cx.line(format_args!("{prefix}{}", submission(&status)))?;
        }
        if part != Part::Enable {
            cx.line(format_args!("{prefix}{}", scheduling(&status)))?;
        }
    }
    Ok(())
}

fn submission(status: &Value) -> String {
    match status["enable"].as_bool() {
        Some(true) => "Job submission is enabled".to_owned(),
        _ => format!("Job submission is disabled: {}", status["disable_reason"].as_str().unwrap_or_default()),
    }
}

fn scheduling(status: &Value) -> String {
    match (status["start"].as_bool(), status["stop_reason"].as_str()) {
        (Some(true), _) => "Scheduling is started".to_owned(),
        (_, Some(reason)) => format!("Scheduling is stopped: {reason}"),
        (_, None) => "Scheduling is stopped".to_owned(),
    }
}

fn print_counts(flux: &mut Handle, cx: &mut Context) -> Result<(), CmdError> {
    let counts = flux.call("job-manager.alloc-query", ROOT, json!({})).map_err(CmdError::calling("alloc-query"))?;
    cx.line(format_args!("{} alloc requests queued", counts["queue_length"]))?;
    cx.line(format_args!("{} alloc requests pending to scheduler", counts["alloc_pending"]))?;
    cx.line(format_args!("{} running jobs", counts["running"]))
}

fn enable(matches: &ArgMatches, enable: bool, cx: &mut Context) -> CmdResult {
    let mut request = json!({"enable": enable, "all": matches.get_flag("all")});
    if let Some(name) = named(matches) {
        request["name"] = json!(name);
    }
    if !enable {
        request["reason"] = json!(text(matches, "message").unwrap_or("disabled by administrator"));
        request["nocheckpoint"] = json!(matches.get_flag("nocheckpoint"));
    }
    let mut flux = cx.open()?;
    flux.call("job-manager.queue-enable", ROOT, request).map_err(CmdError::calling("enable"))?;
    if !matches.get_flag("quiet") {
        print_status(matches, Part::Enable, &mut flux, cx)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn start(matches: &ArgMatches, start: bool, cx: &mut Context) -> CmdResult {
    let mut flux = cx.open()?;
    let (name, all) = (named(matches), matches.get_flag("all"));
    if name.is_none() && !all && !names(&mut flux)?.is_empty() {
        return Err(CmdError::new("ERROR: Named queues are defined. Specify queues or use --all."));
    }
    let mut request = json!({"start": start, "all": all, "nocheckpoint": false});
    if let Some(name) = name {
        request["name"] = json!(name);
    }
    if !start {
        request["nocheckpoint"] = json!(matches.get_flag("nocheckpoint"));
        if let Some(reason) = text(matches, "message") {
            request["reason"] = json!(reason);
        }
    }
    flux.call("job-manager.queue-start", ROOT, request).map_err(CmdError::calling("ERROR: start"))?;
    if !matches.get_flag("quiet") {
        print_status(matches, Part::Start, &mut flux, cx)?;
        if matches.get_flag("verbose") {
            print_counts(&mut flux, cx)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn wait(matches: &ArgMatches, verb: &str, cx: &mut Context) -> CmdResult {
    let timeout: Option<Duration> = match text(matches, "timeout") {
        None => None,
        Some(text) => {
            let seconds = flux_types::parse_fsd(text);
            let seconds = seconds.ok_or_else(|| CmdError::new("invalid Flux standard duration"))?;
            Duration::try_from_secs_f64(seconds).ok()
        }
    };
    let answer = cx.open()?.call_within(&format!("job-manager.{verb}"), Target::Any, json!({}), timeout);
    let message = answer.map_err(|error| match error.errno() {
        Errno::ETIMEDOUT => CmdError::new(format!("{verb}: timeout")),
        _ => CmdError::calling(verb.to_owned())(error),
    })?;
    if verb == "idle" {
        let answer: Value = message.decode().map_err(ClientError::from)?;
        let pending = answer["pending"].as_i64().unwrap_or(0);
        if !matches.get_flag("quiet") || pending > 0 {
            cx.line(format_args!("{pending} jobs"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
