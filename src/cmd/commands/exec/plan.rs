//! What is to run, and where.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::ArgMatches;
use flux_client::{Errno, Handle, Rank, Target};
use flux_types::eventlog;
use flux_types::{Idset, JobId};
use serde_json::{Map, Value, json};

use crate::frame::args::{text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

/// Flags of `exec` (RFC 42).
pub(super) const STDOUT: u32 = 1;
pub(super) const STDERR: u32 = 2;
pub(super) const WRITE_CREDIT: u32 = 8;
const WAITABLE: u32 = 16;
/// The state of a job that runs (RFC 21).
const STATE_RUN: u64 = 16;

pub(super) enum What {
    Command {
        cmd: Value,
        waitable: bool,
    },
    /// A process in the background.
    Attach {
        pid: i64,
        label: Option<String>,
    },
}

pub(super) struct Plan {
    pub ranks: Idset,
    pub service: String,
    pub what: What,
    /// The command's name, for errors.
    pub name: String,
}

impl Plan {
    pub(super) fn new(matches: &ArgMatches, flux: &mut Handle) -> Result<Plan, CmdError> {
        let words = texts(matches, "COMMAND");
        let (mut service, job_ranks) = match text(matches, "jobid") {
            Some(job) => job_service(job, flux)?,
            None => ("rexec".to_owned(), None),
        };
        if let Some(name) = text(matches, "service") {
            service = name.to_owned();
        }
        let attach = text(matches, "attach");
        let ranks = match attach {
            Some(_) if text(matches, "rank").is_none() => Idset::range(flux.rank()?.0, flux.rank()?.0),
            _ => ranks(matches, job_ranks, flux)?,
        };
        if ranks.is_empty() {
            return Err(CmdError::new("No targets specified"));
        }
        let what = match attach {
            Some(_) if !words.is_empty() => return Err(CmdError::usage("--attach takes no command")),
            Some(word) => match word.parse() {
                Ok(pid) => What::Attach { pid, label: None },
                Err(_) => What::Attach { pid: 0, label: Some(word.to_owned()) },
            },
            None if words.is_empty() => return Err(CmdError::usage("no command: give one after the options")),
            None if matches.get_flag("waitable") && !matches.get_flag("bg") => {
                return Err(CmdError::new("--waitable can only be used with --bg"));
            }
            None => What::Command { cmd: command(matches, &words, flux)?, waitable: matches.get_flag("waitable") },
        };
        let name = words.first().or(attach.as_ref()).copied().unwrap_or_default().to_owned();
        Ok(Plan { ranks, service, what, name })
    }

    pub(super) fn topic(&self, method: &str) -> String {
        format!("{}.{method}", self.service)
    }

    /// The request that starts it, with these flags.
    pub(super) fn request(&self, flags: u32) -> (String, Value) {
        match &self.what {
            What::Command { cmd, waitable } => {
                let flags = flags | if *waitable { WAITABLE } else { 0 };
                (self.topic("exec"), json!({"cmd": cmd, "flags": flags, "local_flags": 0}))
            }
            What::Attach { pid, label } => {
                let mut request = json!({"pid": pid, "flags": flags & (STDOUT | STDERR)});
                if let Some(label) = label {
                    request["label"] = json!(label);
                }
                (self.topic("attach"), request)
            }
        }
    }

    pub(super) fn start_in_background(&self, flux: &mut Handle, quiet: bool, cx: &mut Context) -> CmdResult {
        let (topic, request) = self.request(0);
        let mut code = ExitCode::SUCCESS;
        for rank in self.ranks.iter() {
            match flux.call(&topic, Target::Rank(Rank(rank)), request.clone()) {
                Ok(answer) if !quiet => cx.line(format_args!("{rank}: {}", answer["pid"]))?,
                Ok(_) => {}
                Err(error) => {
                    cx.warn(format_args!("Error: rank {rank}: {}: {error}", self.name));
                    code = ExitCode::FAILURE;
                }
            }
        }
        Ok(code)
    }
}

fn ranks(matches: &ArgMatches, job_ranks: Option<Idset>, flux: &mut Handle) -> Result<Idset, CmdError> {
    let size: u32 = flux.attr("size")?.parse().map_err(|_| CmdError::new("the broker does not know its size"))?;
    // Of a job, ranks are counted within it.
    let count = job_ranks.as_ref().map_or(size, |of_job| u32::try_from(of_job.count()).unwrap_or(u32::MAX));
    let all = Idset::below(count);
    let parse = |option: &str, text: &str| {
        Idset::parse(text).map_err(|error| CmdError::about(format!("--{option}={text}"), error))
    };
    let mut ranks = match text(matches, "rank") {
        None | Some("all") => all.clone(),
        Some(text) => parse("rank", text)?,
    };
    if let Some(text) = text(matches, "exclude") {
        ranks = ranks.subtract(&parse("exclude", text)?);
    }
    if !ranks.is_subset(&all) {
        return Err(CmdError::new(format!("One or more invalid --ranks specified: {}", ranks.subtract(&all))));
    }
    Ok(match job_ranks {
        None => ranks,
        Some(of_job) => ranks.iter().filter_map(|nth| of_job.nth(nth as usize)).collect(),
    })
}

/// The command object of RFC 42.
fn command(matches: &ArgMatches, words: &[&str], flux: &mut Handle) -> Result<Value, CmdError> {
    let mut cmdline: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    if matches.get_flag("with-imp") {
        let config = flux.call("config.get", Target::Any, json!({})).map_err(CmdError::calling("config.get"))?;
        let imp = config["exec"]["imp"].as_str();
        let imp = imp.ok_or_else(|| CmdError::new("--with-imp: exec.imp path not found in config"))?;
        cmdline.splice(0..0, [imp.to_owned(), "run".to_owned()]);
    }
    let cwd = match text(matches, "dir") {
        Some(dir) => dir.to_owned(),
        None => std::env::current_dir()?.to_string_lossy().into_owned(),
    };
    // What is not UTF-8 cannot be in a message.
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name != "FLUX_URI" && name != "FLUX_PROXY_REMOTE")
        .collect();
    let mut opts: Map<String, Value> = Map::new();
    for pair in texts(matches, "setopt") {
        let (name, value) = pair.split_once('=').ok_or_else(|| CmdError::usage("--setopt: give NAME=VALUE"))?;
        opts.insert(name.to_owned(), json!(value));
    }
    let mut cmd = json!({"cwd": cwd, "cmdline": cmdline, "env": env, "opts": opts, "channels": []});
    if let Some(label) = text(matches, "label") {
        cmd["label"] = json!(label);
    }
    Ok(cmd)
}

/// The service of a running job's shells, and its ranks.
fn job_service(job: &str, flux: &mut Handle) -> Result<(String, Option<Idset>), CmdError> {
    let id = JobId::parse(job).map_err(|error| CmdError::about(format!("error parsing jobid {job}"), error))?;
    let root = Target::Rank(Rank::ROOT);
    let request = json!({"id": id.0, "attrs": ["ranks", "state"]});
    let answer = match flux.call("job-list.list-id", root, request) {
        Err(error) if error.errno() == Errno::ENOENT => return Err(CmdError::new(format!("job {job} not found"))),
        answer => answer.map_err(CmdError::calling(format!("job {job}")))?,
    };
    if answer["job"]["state"].as_u64() != Some(STATE_RUN) {
        return Err(CmdError::new(format!("job {job} is not currently running")));
    }
    let ranks = answer["job"]["ranks"].as_str().unwrap_or("");
    let ranks = Idset::parse(ranks).map_err(|error| CmdError::about(format!("the ranks of job {job}"), error))?;
    let request = json!({"id": id.0, "path": "guest.exec.eventlog", "flags": 0});
    let mut events = flux.stream("job-info.eventlog-watch", Target::Any, request)?;
    while let Some(answer) = events.next().transpose().map_err(CmdError::calling(format!("job {job}")))? {
        for entry in eventlog::decode(answer["event"].as_str().unwrap_or("")).unwrap_or_default() {
            if entry.name == "shell.init"
                && let Some(service) = entry.get("service").and_then(Value::as_str)
            {
                return Ok((format!("{service}.rexec"), Some(ranks)));
            }
        }
    }
    Err(CmdError::new(format!("job {job} has no shells yet")))
}
