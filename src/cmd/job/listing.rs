//! `flux job list`, `list-inactive` and `list-ids`: what the job-list service knows, as JSON, for programs.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{Fault, Target};
use flux_types::json::to_spaced_string;
use flux_types::{JobState, StateSet};
use serde_json::{Value, json};

use super::job_id;
use super::signals::user_id;
use crate::frame::args::{flag, many, option, text, texts, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

fn for_programs_only() -> Result<(), CmdError> {
    if std::io::stdout().is_terminal() {
        say!("This is not the command you are looking for. Try flux-jobs(1).");
        return Err(CmdError::Silent(1));
    }
    Ok(())
}

fn count(matches: &ArgMatches) -> Result<u32, CmdError> {
    let read = |text: &str| text.parse().map_err(|_| CmdError::new("Option 'count' requires an integer argument"));
    text(matches, "count").map_or(Ok(0), read)
}

fn print_all(body: Value, cx: &mut Context) -> CmdResult {
    let mut flux = cx.open()?;
    for answer in flux.stream("job-list.list", Target::Any, body)? {
        let answer = answer.map_err(CmdError::calling("flux job-list.list"))?;
        for job in answer.get("jobs").and_then(Value::as_array).into_iter().flatten() {
            cx.line(to_spaced_string(job))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) mod list {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("list")
            .arg(option("count", Some('c'), "N", "Limit output to N jobs"))
            .arg(many("states", Some('s'), "STATES", "List jobs in specific states"))
            .arg(option("user", Some('u'), "USER", "Limit output to specific user. Specify \"all\" for all users."))
            .arg(flag("all-user", Some('a'), "List my jobs, regardless of state"))
            .arg(flag("all", Some('A'), "List jobs for all users, regardless of state"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        for_programs_only()?;
        let mut states = StateSet::NONE;
        for name in texts(matches, "states").iter().flat_map(|list| list.split(',')) {
            let known = StateSet::from_name(name);
            states =
                states.union(known.ok_or_else(|| CmdError::new(format!("error parsing --states: {name} is unknown")))?);
        }
        let all = matches.get_flag("all");
        let states = match all || matches.get_flag("all-user") {
            true => StateSet::ACTIVE.union(StateSet::of(&[JobState::Inactive])),
            false if states == StateSet::NONE => StateSet::ACTIVE,
            false => states,
        };
        let userid = match all {
            true => u32::MAX,
            false => user_id(text(matches, "user")).map_err(|user| CmdError::new(format!("unknown user {user}")))?,
        };
        let constraint = json!({"and": [{"userid": [userid]}, {"states": [states.bits()]}]});
        print_all(json!({"max_entries": count(matches)?, "attrs": ["all"], "constraint": constraint}), cx)
    }
}

pub(super) mod inactive {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("list-inactive").arg(option("count", Some('c'), "N", "Limit output to N jobs")).arg(option(
            "since",
            Some('s'),
            "T",
            "Limit output to jobs that entered the inactive state since timestamp T",
        ))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        for_programs_only()?;
        let since: f64 =
            text(matches, "since").map_or(Ok(0.0), str::parse).map_err(|_| CmdError::new("invalid --since"))?;
        let constraint = json!({"states": [JobState::Inactive.bit()]});
        let count = count(matches)?;
        print_all(json!({"max_entries": count, "since": since, "attrs": ["all"], "constraint": constraint}), cx)
    }
}

pub(super) mod ids {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("list-ids")
            .arg(option("wait-state", Some('W'), "STATE", "Return only after jobid has reached specified state"))
            .arg(words("ids", "Job ids"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        for_programs_only()?;
        let ids = texts(matches, "ids").into_iter().map(job_id).collect::<Result<Vec<_>, _>>()?;
        if ids.is_empty() {
            return Err(CmdError::usage("list-ids: a job id is missing"));
        }
        let wanted = text(matches, "wait-state").unwrap_or("depend");
        let state = JobState::ALL.into_iter().find(|state| state.name().eq_ignore_ascii_case(wanted));
        let state = state.ok_or_else(|| CmdError::new("invalid job state specified"))?;
        let mut flux = cx.open()?;
        let mut tickets = Vec::new();
        for id in ids {
            let body = json!({"id": id, "attrs": ["all"], "state": state.bit()});
            tickets.push(flux.send("job-list.list-id", Target::Any, body, false)?);
        }
        for ticket in tickets {
            let Some(message) = flux.wait(ticket, None)? else { continue };
            if let Some(fault) = Fault::of(&message) {
                return Err(CmdError::about("flux job-list.list-id", fault.message()));
            }
            let body = message.payload.value().map_err(flux_client::ClientError::from)?;
            cx.line(to_spaced_string(&body["job"]))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
