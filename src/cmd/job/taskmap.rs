//! `flux job taskmap` and `flux job hostpids`: where a job's tasks are.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, Command};
use flux_client::{Errno, Fault, Handle, Rank, Target};
use flux_types::eventlog::Entry;
use flux_types::{Hostlist, Idset, IdsetFormat, JobId, JobState, Taskmap, parse_fsd};
use serde_json::{Value, json};

use super::job_id;
use crate::frame::args::{option, optional_word, text};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

/// The first event of that name in a job's exec log; `None` if the log ends without it.
fn exec_event(flux: &mut Handle, id: JobId, names: &[&str], timeout: Option<Duration>) -> Result<Vec<Entry>, Fault> {
    let body = json!({"id": id, "path": "guest.exec.eventlog", "flags": 1});
    let connection = |error: flux_client::ClientError| Fault::new(error.errno(), error.to_string());
    let ticket = flux.send("job-info.eventlog-watch", Target::Any, body, true).map_err(connection)?;
    let mut found = Vec::new();
    loop {
        let message = flux.wait(ticket, timeout).map_err(connection)?.ok_or(Fault::from(Errno::ETIMEDOUT))?;
        match Fault::of(&message) {
            Some(fault) if fault.errno == Errno::ENODATA => return Ok(found),
            Some(fault) => return Err(fault),
            None => {}
        }
        let body = message.payload.value()?;
        for line in body.get("event").and_then(Value::as_str).unwrap_or("").lines() {
            let entry = Entry::parse(line).map_err(|error| Fault::new(Errno::EPROTO, error.to_string()))?;
            if names.contains(&entry.name.as_str()) {
                found.push(entry);
            }
            if found.len() == names.len() {
                flux.cancel("job-info.eventlog-watch-cancel", Target::Any, ticket).map_err(connection)?;
                flux.forget(ticket);
                return Ok(found);
            }
        }
    }
}

pub(super) mod map {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("taskmap")
            .arg(option("taskids", None, "NODEID", "Print idset of tasks on node NODEID"))
            .arg(option("ntasks", None, "NODEID", "Print number of tasks on node NODEID"))
            .arg(option("nodeid", None, "TASKID", "Print the shell rank/nodeid on which a taskid executed"))
            .arg(option("hostname", None, "TASKID", "Print the hostname on which a taskid executed"))
            .arg(option(
                "to",
                None,
                "FORMAT",
                "Convert an RFC 34 taskmap to another format (FORMAT can be raw, pmi, multiline, or hosts)",
            ))
            .arg(optional_word("id", "A job, or a task map"))
    }

    fn number(matches: &ArgMatches, name: &str) -> Result<Option<u32>, CmdError> {
        let bad = |_| CmdError::new(format!("Option '{name}' requires an integer argument"));
        text(matches, name).map(|text| text.parse().map_err(bad)).transpose()
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let Some(given) = text(matches, "id") else { return Err(CmdError::usage("taskmap: a job id is missing")) };
        let id = JobId::parse(given).ok();
        let map = match id {
            Some(id) => of_job(&mut cx.open()?, id)?,
            None => Taskmap::parse(given).map_err(|error| CmdError::about("error decoding taskmap", error))?,
        };
        let answer = answer(matches, &map, id, cx)?;
        cx.line(answer)?;
        Ok(ExitCode::SUCCESS)
    }

    fn answer(matches: &ArgMatches, map: &Taskmap, id: Option<JobId>, cx: &mut Context) -> Result<String, CmdError> {
        if let Some(node) = number(matches, "taskids")? {
            let ids = map.taskids(node);
            return match ids.is_empty() {
                true => Err(CmdError::new(format!("No taskids for node {node}: No such file or directory"))),
                false => Ok(ids.encode(IdsetFormat::RANGE)),
            };
        }
        if let Some(node) = number(matches, "ntasks")? {
            return Ok(map.ntasks_on(node).to_string());
        }
        for name in ["nodeid", "hostname"] {
            let Some(task) = number(matches, name)? else { continue };
            let missing = || CmdError::new(format!("failed to get nodeid for task {task}: No such file or directory"));
            let node = map.nodeid(task).ok_or_else(missing)?;
            if name == "nodeid" {
                return Ok(node.to_string());
            }
            let id = id.ok_or_else(|| CmdError::new("taskmap: can't use --hostname without a jobid"))?;
            let hosts = hosts(&mut cx.open()?, id)?;
            return hosts
                .nth(node as usize)
                .ok_or_else(|| CmdError::new(format!("failed to get hostname for node {node}")));
        }
        converted(text(matches, "to"), map, id, cx)
    }

    fn converted(to: Option<&str>, map: &Taskmap, id: Option<JobId>, cx: &mut Context) -> Result<String, CmdError> {
        let failed = |error: flux_types::TaskmapError| CmdError::about("failed to convert taskmap", error);
        match to {
            None => Ok(map.to_value().to_string()),
            Some("raw") => map.encode_raw(true).map_err(failed),
            Some("pmi") => map.encode_pmi().map_err(failed),
            Some("multiline") => {
                let tasks = 0..u32::try_from(map.ntasks()).unwrap_or(u32::MAX);
                let lines: Vec<_> = tasks.filter_map(|task| Some(format!("{task}: {}", map.nodeid(task)?))).collect();
                Ok(lines.join("\n"))
            }
            Some("hosts") => {
                let id = id.ok_or_else(|| CmdError::new("taskmap: can't use --to=hosts without a jobid"))?;
                let hosts = hosts(&mut cx.open()?, id)?;
                let line = |(node, host)| format!("{host}: {}", map.taskids(node).encode(IdsetFormat::RANGE));
                Ok((0..).zip(hosts.iter()).take(map.nnodes()).map(line).collect::<Vec<_>>().join("\n"))
            }
            Some(other) => Err(CmdError::new(format!("invalid value --to={other}"))),
        }
    }

    fn of_job(flux: &mut Handle, id: JobId) -> Result<Taskmap, CmdError> {
        let events = exec_event(flux, id, &["shell.start"], None).map_err(|fault| match fault.errno {
            Errno::ENOENT => CmdError::new("Unable to get job taskmap: no such job"),
            _ => CmdError::about("Unable to get job taskmap", fault.message()),
        })?;
        let map = events.first().and_then(|entry| entry.get("taskmap")).map(Taskmap::from_value);
        match map {
            Some(Ok(map)) => Ok(map),
            Some(Err(error)) => Err(CmdError::about("failed to get taskmap from shell.start event", error)),
            None => Err(CmdError::new("No taskmap found for job")),
        }
    }

    /// The hosts of a job, in the order of its nodes.
    fn hosts(flux: &mut Handle, id: JobId) -> Result<Hostlist, CmdError> {
        let answer = flux.call("job-info.lookup", Target::Any, json!({"id": id, "keys": ["R"], "flags": 0}));
        let answer = answer.map_err(CmdError::calling("failed to get hostlist for job"))?;
        let set: Option<Value> = answer["R"].as_str().and_then(|text| serde_json::from_str(text).ok());
        let names = set.and_then(|set| set["execution"]["nodelist"].as_array().cloned()).unwrap_or_default();
        let mut hosts = Hostlist::new();
        for name in names.iter().filter_map(Value::as_str) {
            hosts.append(name).map_err(|error| CmdError::about("failed to get hostlist for job", error))?;
        }
        Ok(hosts)
    }
}

pub(super) mod hostpids {
    use flux_sys::mpir::Task;

    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("hostpids")
            .arg(option("delimiter", Some('d'), "STRING", "Set output delimiter (default=\",\")"))
            .arg(option("ranks", Some('r'), "IDSET", "Include only task ranks in IDSET"))
            .arg(option("timeout", Some('t'), "DURATION", "timeout after DURATION"))
            .arg(optional_word("id", "The job"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let Some(name) = text(matches, "id") else { return Err(CmdError::usage("hostpids: a job id is missing")) };
        let id = job_id(name)?;
        let delimiter = match text(matches, "delimiter") {
            Some("\\n") => "\n",
            given => given.unwrap_or(","),
        };
        let ranks = match text(matches, "ranks") {
            None | Some("all") => None,
            Some(text) => Some(Idset::parse(text).map_err(|error| CmdError::new(format!("--ranks={text}: {error}")))?),
        };
        let timeout = text(matches, "timeout").map(|text| {
            let span = parse_fsd(text).filter(|span| span.is_finite());
            span.map(Duration::from_secs_f64).ok_or_else(|| CmdError::new("Invalid argument for option 'timeout'"))
        });
        let mut flux = cx.open()?;
        check_active(&mut flux, id, name)?;
        let table = table(&mut flux, id, timeout.transpose()?)?;
        let wanted = table.iter().filter(|(rank, ..)| ranks.as_ref().is_none_or(|ranks| ranks.contains(*rank)));
        let pairs: Vec<_> = wanted.map(|(_, host, pid)| format!("{host}:{pid}")).collect();
        cx.line(pairs.join(delimiter))?;
        Ok(ExitCode::SUCCESS)
    }

    fn check_active(flux: &mut Handle, id: JobId, name: &str) -> Result<(), CmdError> {
        let answer = flux.call("job-list.list-id", Target::Any, json!({"id": id, "attrs": ["state"]}));
        let answer = answer.map_err(|error| match error.errno() {
            Errno::ENOENT => CmdError::new(format!("{name}: No such job")),
            _ => CmdError::calling(format!("job list failed for {name}"))(error),
        })?;
        if answer["job"]["state"].as_u64() == Some(u64::from(JobState::Inactive.bit())) {
            return Err(CmdError::new(format!("hostpids: job {name} is inactive")));
        }
        Ok(())
    }

    /// Rank, host and process id of every task, by rank.
    fn table(flux: &mut Handle, id: JobId, timeout: Option<Duration>) -> Result<Vec<(u32, String, u64)>, CmdError> {
        let rows = tasks(flux, id, timeout)?.into_iter().map(|(rank, task)| (rank, task.host, task.pid as u64));
        Ok(rows.collect())
    }

    /// Every task, by rank.
    pub(crate) fn tasks(flux: &mut Handle, id: JobId, timeout: Option<Duration>) -> Result<Vec<(u32, Task)>, CmdError> {
        let events =
            exec_event(flux, id, &["shell.init", "shell.start"], timeout).map_err(|fault| match fault.errno {
                Errno::ETIMEDOUT => CmdError::new("hostpids: timeout waiting for shell.start event"),
                Errno::EPERM => CmdError::new("hostpids: Permission denied"),
                _ => CmdError::about("hostpids", fault.message()),
            })?;
        let absent = || CmdError::new("failed to get MPIR_proctable from job shell");
        let init = events.iter().find(|entry| entry.name == "shell.init").ok_or_else(absent)?;
        let rank = init.get("leader-rank").and_then(Value::as_u64).and_then(|rank| u32::try_from(rank).ok());
        let (Some(rank), Some(service)) = (rank, init.get("service").and_then(Value::as_str)) else {
            return Err(absent());
        };
        let answer = flux.call(&format!("{service}.proctable"), Target::Rank(Rank(rank)), json!({}))?;
        let hosts = strings(&answer["hosts"]).ok_or_else(absent)?;
        let ranks = numbers(&answer["taskids"]).or_else(|| numbers(&answer["ids"])).ok_or_else(absent)?;
        let pids = numbers(&answer["pids"]).ok_or_else(absent)?;
        let programs = strings(&answer["executables"]).ok_or_else(absent)?;
        let rows = ranks.into_iter().zip(hosts).zip(pids).zip(programs);
        let task = |(((rank, host), pid), program)| (rank as u32, Task { host, program, pid: pid as i32 });
        let mut rows: Vec<(u32, Task)> = rows.map(task).collect();
        rows.sort_by_key(|(rank, _)| *rank);
        Ok(rows)
    }

    /// Names, plain or as flux-core packs them: `[PREFIX, [[FIRST, COUNT, WIDTH, REPEATS], ...]]` or a list of texts.
    fn strings(value: &Value) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for item in value.as_array()? {
            match item {
                Value::String(name) => names.push(name.clone()),
                Value::Array(packed) => expand_names(packed, &mut names)?,
                _ => return None,
            }
            if names.len() > PROCTABLE_MAX {
                return None;
            }
        }
        Some(names)
    }

    fn expand_names(packed: &[Value], names: &mut Vec<String>) -> Option<()> {
        let [Value::String(prefix), runs] = packed else { return None };
        for run in runs.as_array()? {
            match run {
                Value::Array(run) => {
                    let field = |at: usize| run.get(at).and_then(Value::as_i64);
                    let (first, more) = (field(0)?, field(1)?);
                    let width = field(2).unwrap_or(0);
                    let repeats = field(3).unwrap_or(0);
                    for offset in 0..=more.max(0) {
                        for _ in 0..=repeats.max(0) {
                            if names.len() > PROCTABLE_MAX {
                                return None;
                            }
                            names.push(match width {
                                0 | -1 if first + offset < 0 => prefix.clone(),
                                width => format!("{prefix}{:0>1$}", first + offset, width.clamp(0, 64) as usize),
                            });
                        }
                    }
                }
                Value::String(suffix) => names.push(format!("{prefix}{suffix}")),
                _ => return None,
            }
        }
        Some(())
    }

    /// Numbers as flux-core packs them: each is the difference to the last one, and may come with how many follow it.
    fn numbers(value: &Value) -> Option<Vec<u64>> {
        let mut out: Vec<u64> = Vec::new();
        let mut last = 0_i64;
        for item in value.as_array()? {
            match item {
                Value::Number(number) => {
                    last = last.checked_add(number.as_i64()?)?;
                    out.push(u64::try_from(last).ok()?);
                }
                Value::Array(run) => {
                    let field = |at: usize| run.get(at).and_then(Value::as_i64);
                    let (step, more) = (field(0)?, field(1)?);
                    last = last.checked_add(step)?;
                    out.push(u64::try_from(last).ok()?);
                    // More than none counts up; less than none repeats.
                    for _ in 0..more.unsigned_abs() {
                        if out.len() > PROCTABLE_MAX {
                            return None;
                        }
                        last = last.checked_add(i64::from(more > 0))?;
                        out.push(u64::try_from(last).ok()?);
                    }
                }
                _ => return None,
            }
        }
        Some(out)
    }

    use crate::limits::PROCTABLE_MAX;

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn tables_are_read_plain_and_packed() {
            assert_eq!(numbers(&json!([3, 4, -2])), Some(vec![3, 7, 5]));
            assert_eq!(numbers(&json!([[0, 2], [5, -1]])), Some(vec![0, 1, 2, 7, 7]));
            assert_eq!(numbers(&json!(["x"])), None);
            assert_eq!(numbers(&json!([[0, i64::MAX]])), None);
            assert_eq!(strings(&json!(["a", "b"])), Some(vec!["a".to_owned(), "b".to_owned()]));
            assert_eq!(strings(&json!([["vm", [""]]])), Some(vec!["vm".to_owned()]));
        }
    }
}
