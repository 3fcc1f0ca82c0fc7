//! `flux sim`: plays a trace of jobs to an instance under virtual time.

use std::collections::BTreeMap;
use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::Path;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_fluxion::is_script;
use flux_replay::{Machine, Report, parse_trace, simulate};
use serde_json::{Value, json};

use super::config;
use crate::frame::args::{flag, option, text, word};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

const ABOUT: &str = "\
The job manager and the scheduler that an instance runs are given the jobs of TRACE, each at its time, on resources that are
made up. Jobs are clocks, and so is time: a month of a cluster takes as long as its scheduling takes.

TRACE is in the Standard Workload Format, or has an object of JSON for a job in each line: id, submit and runtime (seconds), duration
(the limit asked for), urgency, and nodes with cores on each, cores alone, or jobspec.";

pub fn command() -> Command {
    Command::new("sim").long_about(ABOUT).args([
        option("load-file", Some('L'), "FILE", "Resources: R, GRUG, JGF or hwloc XML").required(true),
        option("load-format", Some('f'), "FORMAT", "Of the resources: rv1exec, grug, jgf or hwloc")
            .default_value("rv1exec"),
        option(
            "config-path",
            Some('c'),
            "PATH",
            "A broker's configuration, of which queues, policy, sched-fluxion-qmanager and -resource count",
        ),
        option("queue-policy", Some('q'), "POLICY", "fcfs, easy, hybrid or conservative (easy)"),
        option("queue-depth", Some('d'), "N", "Jobs looked at in a scheduling cycle (32)"),
        option("match-policy", Some('P'), "POLICY", "As of resource-query, or a script in Lua (first)"),
        flag("largest-first", None, "Of jobs of one priority the largest goes first"),
        flag("json", None, "Print where every job ran, and the figures, as JSON"),
        option("svg", None, "FILE", "Draw the schedule"),
        word("TRACE", "The jobs"),
    ])
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let path = text(matches, "TRACE").unwrap_or_default();
    let machine = machine(matches)?;
    // Comments of old traces are in the encodings of their time.
    let bytes = fs::read(path).map_err(|error| CmdError::about(path, error))?;
    let trace = parse_trace(&String::from_utf8_lossy(&bytes)).map_err(|why| CmdError::about(path, why))?;
    if trace.left_out > 0 {
        cx.warn(format_args!("{} jobs of {path} that never ran are left out", trace.left_out));
    }
    let jobs = trace.jobs;
    let is_watched = stderr().is_terminal();
    let mut shown = 0;
    let mut told = |done: usize| {
        let percent = done * 100 / jobs.len().max(1);
        if is_watched && percent > shown {
            shown = percent;
            let _ = write!(stderr(), "\r{done} of {} jobs ({percent} %)", jobs.len());
        }
    };
    let report = simulate(&machine, &jobs, &mut told).map_err(CmdError::new)?;
    if is_watched && shown > 0 {
        let _ = write!(stderr(), "\r\x1b[K");
    }
    tell(&report, matches, cx)
}

fn read(path: &str) -> Result<String, CmdError> {
    fs::read_to_string(path).map_err(|error| CmdError::about(path, error))
}

fn machine(matches: &ArgMatches) -> Result<Machine, CmdError> {
    let resources = read(text(matches, "load-file").unwrap_or_default())?;
    let config = configured(matches)?;
    let mut files = BTreeMap::new();
    if let Some(path) = config["sched-fluxion-resource"]["match-policy"].as_str().filter(|path| is_script(path)) {
        files.insert(path.to_owned(), read(path)?.into_bytes().into());
    }
    let format = text(matches, "load-format").unwrap_or_default().to_owned();
    Ok(Machine { resources, format, config, files })
}

/// What the options say is laid over the configuration. Where nothing is said, queues are run by EASY.
fn configured(matches: &ArgMatches) -> Result<Value, CmdError> {
    let mut config =
        text(matches, "config-path").map_or_else(|| Ok(json!({})), |path| config::read(Path::new(path)))?;
    for table in ["sched-fluxion-qmanager", "sched-fluxion-resource"] {
        if config.get(table).is_some_and(|value| !value.is_object()) {
            return Err(CmdError::new(format!("[{table}] must be a table")));
        }
    }
    let queue = &mut config["sched-fluxion-qmanager"];
    if let Some(policy) = text(matches, "queue-policy") {
        queue["queue-policy"] = policy.into();
    } else if queue.get("queue-policy").is_none() {
        queue["queue-policy"] = "easy".into();
    }
    if let Some(depth) = text(matches, "queue-depth") {
        let params = queue["queue-params"].as_object().cloned().unwrap_or_default();
        queue["queue-params"] = params.into();
        queue["queue-params"]["queue-depth"] = depth.into();
    }
    if matches.get_flag("largest-first") {
        queue["queue-order"] = "largest".into();
    }
    if let Some(policy) = text(matches, "match-policy") {
        config["sched-fluxion-resource"]["match-policy"] = policy.into();
    }
    Ok(config)
}

/// Reasons that are shown; of more jobs only the number.
const REASON_COUNT_MAX: usize = 10;

fn tell(report: &Report, matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    for (id, why) in report.rejected.iter().take(REASON_COUNT_MAX) {
        cx.warn(format_args!("job {id} is rejected: {why}"));
    }
    if let Some(path) = text(matches, "svg") {
        fs::write(path, report.to_svg()).map_err(|error| CmdError::about(path, error))?;
    }
    match matches.get_flag("json") {
        true => cx.line(report.to_json())?,
        false => cx.line(report.summary().trim_end())?,
    }
    Ok(ExitCode::SUCCESS)
}
