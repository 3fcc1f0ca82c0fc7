//! `flux housekeeping`: what is cleaned up after jobs.

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{Rank, Target};
use flux_types::{Hostlist, Idset, JobId, JobIdForm};
use serde_json::{Value as Json, json};

use crate::format::{Format, Formats, Named, Row, TableOptions, Value};
use crate::frame::args::{flag, option, text};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, timefmt};

const ROOT: Target = Target::Rank(Rank::ROOT);

const FORMATS: Formats = Formats {
    tool: "flux-housekeeping",
    subcommand: None,
    builtin: &[Named {
        name: "default",
        description: "Default flux-housekeeping format string",
        format: "{id.f58:>12} {nnodes:>6} {pending.nnodes:>7} {runtime!F:>8} {nodelist}",
    }],
};

const HEADINGS: &[(&str, &str)] = &[
    ("id", "JOBID"),
    ("id.dec", "JOBID"),
    ("id.hex", "JOBID"),
    ("id.f58", "JOBID"),
    ("id.f58plain", "JOBID"),
    ("id.emoji", "JOBID"),
    ("id.kvs", "JOBID"),
    ("id.words", "JOBID"),
    ("id.dothex", "JOBID"),
    ("t_start", "T_START"),
    ("runtime", "RUNTIME"),
    ("ranks", "RANKS"),
    ("nodelist", "NODELIST"),
    ("nnodes", "NNODES"),
    ("allocated.ranks", "RANKS"),
    ("allocated.nodelist", "NODELIST"),
    ("allocated.nnodes", "NNODES"),
    ("pending.ranks", "ACTIVE_RANKS"),
    ("pending.nodelist", "ACTIVE_NODES"),
    ("pending.nnodes", "#ACTIVE"),
];

pub fn command() -> Command {
    Command::new("housekeeping")
        .subcommand_required(true)
        .subcommand(Command::new("list").about("List running housekeeping").args([
            option("include", Some('i'), "HOSTS|RANKS", "Only on these nodes"),
            flag("no-header", Some('n'), "No line of headings"),
            option("format", Some('o'), "FORMAT", "Output format, or the name of one (`help` lists them)"),
        ]))
        .subcommand(Command::new("kill").about("Signal running housekeeping").args([
            option("signal", Some('s'), "SIGNUM", "The signal, by number or name (default SIGTERM)"),
            option("targets", Some('t'), "RANKS|HOSTS", "On these nodes"),
            option("jobid", Some('j'), "JOBID", "After this job"),
            flag("all", None, "All of it"),
        ]))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("kill", matches)) => kill(matches, cx),
        Some((_, matches)) => list(matches, cx),
        None => unreachable!("clap requires one of the subcommands"),
    }
}

struct Running {
    id: JobId,
    start: f64,
    pending: Idset,
    allocated: Idset,
    hosts: Hostlist,
}

impl Row for Running {
    fn field(&self, name: &str) -> Option<Value> {
        let set = if name.starts_with("pending") { &self.pending } else { &self.allocated };
        Some(match name {
            "id.dec" => self.id.0.into(),
            "id" => self.id.to_string().into(),
            _ if name.starts_with("id.") => self.id.encode(JobIdForm::from_name(&name[3..])?).into(),
            "t_start" => self.start.into(),
            "runtime" => (timefmt::now() - self.start).into(),
            "ranks" | "allocated.ranks" | "pending.ranks" => set.to_string().into(),
            "nnodes" | "allocated.nnodes" | "pending.nnodes" => set.count().into(),
            "nodelist" | "allocated.nodelist" | "pending.nodelist" => self.hosts.select(set).to_string().into(),
            _ => return None,
        })
    }
}

fn targets(text: &str, hosts: &Hostlist) -> Result<Idset, CmdError> {
    if let Ok(ranks) = Idset::parse(text) {
        return Ok(ranks);
    }
    let names = Hostlist::parse(text).map_err(|error| CmdError::about(text, error))?;
    Ok(names.iter().filter_map(|name| Some(hosts.find(&name)? as u32)).collect())
}

fn list(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let chosen = text(matches, "format").unwrap_or("default");
    let Some(format) = FORMATS.choose(chosen, |name| std::env::var(name).ok(), &mut cx.out)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let format = Format::parse(&format, HEADINGS)?;
    let mut flux = cx.open()?;
    let hosts = Hostlist::parse(&flux.attr("hostlist")?).unwrap_or_default();
    let stats =
        flux.call("job-manager.stats-get", ROOT, json!({})).map_err(CmdError::calling("job-manager.stats-get"))?;
    let set = |value: &Json| Idset::parse(value.as_str().unwrap_or("")).unwrap_or_default();
    let mut rows = Vec::new();
    for (id, info) in stats["housekeeping"]["running"].as_object().into_iter().flatten() {
        rows.push(Running {
            id: JobId::parse(id).map_err(|error| CmdError::about(id, error))?,
            start: info["t_start"].as_f64().unwrap_or(0.0),
            pending: set(&info["pending"]),
            allocated: set(&info["allocated"]),
            hosts: hosts.clone(),
        });
    }
    if let Some(text) = text(matches, "include") {
        let wanted = targets(text, &hosts)?;
        rows.retain(|row| row.allocated.intersects(&wanted));
    }
    let options = TableOptions { no_header: matches.get_flag("no-header"), width: None };
    format.print(&mut rows, options, &mut cx.out)??;
    Ok(ExitCode::SUCCESS)
}

fn kill(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let signal = text(matches, "signal").unwrap_or("SIGTERM");
    let number = signal.parse().ok().or_else(|| flux_sys::signal::by_name(signal));
    let number: i32 = number.ok_or_else(|| CmdError::usage(format!("--signal: {signal} is not a signal")))?;
    let (wanted, job) = (text(matches, "targets"), text(matches, "jobid"));
    if wanted.is_none() && job.is_none() && !matches.get_flag("all") {
        return Err(CmdError::new("specify at least one of --targets, --jobid, or --all"));
    }
    let mut request = json!({"signum": number});
    let mut flux = cx.open()?;
    if let Some(text) = job {
        let id = JobId::parse(text).map_err(|error| CmdError::about(text, error))?;
        request["jobid"] = json!(id.0);
    }
    if let Some(text) = wanted {
        let hosts = Hostlist::parse(&flux.attr("hostlist")?).unwrap_or_default();
        request["ranks"] = json!(targets(text, &hosts)?.to_string());
    }
    flux.call("job-manager.housekeeping-kill", ROOT, request).map_err(CmdError::calling("housekeeping-kill"))?;
    Ok(ExitCode::SUCCESS)
}
