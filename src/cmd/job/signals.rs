//! `flux job kill`, `killall`, `raise`, `raiseall`, and `flux cancel`.

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Fault, Handle, Target, Ticket};
use flux_sys::ids::Ids;
use flux_sys::users::Users;
use flux_types::{JobId, StateSet};
use serde_json::{Value, json};

use crate::frame::args::{flag, many, option, text, texts, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

/// On the wire, every user.
const ALL_USERS: u32 = u32::MAX;

/// Sends one request per job before it waits for any answer. Answers the faults, by job as typed.
pub(crate) fn for_each<'t>(
    flux: &mut Handle,
    topic: &str,
    jobs: &[(&'t str, JobId)],
    body: impl Fn(JobId) -> Value,
) -> Result<Vec<(&'t str, Fault)>, CmdError> {
    let sent = |(name, id): &(&'t str, JobId)| -> Result<(&'t str, Ticket), ClientError> {
        Ok((*name, flux.send(topic, Target::Any, body(*id), false)?))
    };
    let tickets: Vec<_> = jobs.iter().map(sent).collect::<Result<_, _>>()?;
    let mut faults = Vec::new();
    for (name, ticket) in tickets {
        let message = flux.wait(ticket, None)?;
        faults.extend(message.and_then(|message| Fault::of(&message)).map(|fault| (name, fault)));
    }
    Ok(faults)
}

/// The user of `--user`: a name, a number, or `all`.
///
/// # Errors
/// The text itself, if there is no such user.
pub(crate) fn user_id(given: Option<&str>) -> Result<u32, String> {
    match given {
        None => Ok(Ids::current().ruid),
        Some("all") => Ok(ALL_USERS),
        Some(name) => match Users::new().by_name(name) {
            Ok(Some(user)) => Ok(user.uid),
            _ => name.parse().map_err(|_| name.to_owned()),
        },
    }
}

/// Job ids first, then the words of a note, which begin with what is no job id or behind `--`.
fn jobs_and_note<'t>(given: &[&'t str]) -> (Vec<(&'t str, JobId)>, Option<String>) {
    let ids = given.iter().take_while(|word| JobId::parse(word).is_ok()).count();
    let jobs = given[..ids].iter().filter_map(|name| Some((*name, JobId::parse(name).ok()?))).collect();
    let words = given[ids..].strip_prefix(&["--"]).unwrap_or(&given[ids..]);
    (jobs, (!words.is_empty()).then(|| words.join(" ")))
}

fn finish(what: &str, faults: &[(&str, Fault)], cx: &mut Context) -> CmdResult {
    for (name, fault) in faults {
        cx.warn(format_args!("{what} {name}: {}", fault.message()));
    }
    Ok(ExitCode::from(u8::from(!faults.is_empty())))
}

pub(super) mod raise {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("raise")
            .arg(option("severity", Some('s'), "N", "Set exception severity [0-7] (default=0)"))
            .arg(option("type", Some('t'), "TYPE", "Set exception type (default=cancel)"))
            .arg(option("message", Some('m'), "NOTE", "Set exception note"))
            .arg(words("ids", "Job ids, and the words of a note").trailing_var_arg(true))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let given = texts(matches, "ids");
        let (jobs, words) = jobs_and_note(&given);
        if jobs.is_empty() {
            return Err(match given.first() {
                Some(word) => CmdError::new(format!("invalid jobid: {word}")),
                None => CmdError::usage("raise: a job id is missing"),
            });
        }
        let note = match (words, text(matches, "message")) {
            (Some(_), Some(_)) => return Err(CmdError::new("Do not set note on command line and with --message")),
            (words, message) => words.or_else(|| message.map(str::to_owned)),
        };
        let severity = severity(matches, 0)?;
        let kind = text(matches, "type").unwrap_or("cancel");
        let faults = for_each(&mut cx.open()?, "job-manager.raise", &jobs, |id| {
            with_note(json!({"id": id, "severity": severity, "type": kind}), note.as_deref())
        })?;
        finish("raise", &faults, cx)
    }
}

fn with_note(mut body: Value, note: Option<&str>) -> Value {
    if let Some(note) = note {
        body["note"] = note.into();
    }
    body
}

fn severity(matches: &ArgMatches, default: u32) -> Result<u32, CmdError> {
    let read = |text: &str| {
        text.parse().map_err(|_| CmdError::new(format!("Option 'severity' requires an integer argument: '{text}'")))
    };
    text(matches, "severity").map_or(Ok(default), read)
}

pub(super) mod raiseall {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("raiseall")
            .arg(option("severity", Some('s'), "N", "Set exception severity [0-7] (0 is fatal, default=7)"))
            .arg(option("user", Some('u'), "USER", "Set target user or 'all' (instance owner only)"))
            .arg(many("states", Some('S'), "STATES", "Set target job states (default=ACTIVE)"))
            .arg(flag("force", Some('f'), "Confirm the command"))
            .arg(words("type", "The exception's type, and the words of a note"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let given = texts(matches, "type");
        let Some((kind, words)) = given.split_first() else {
            return Err(CmdError::usage("raiseall: the type of the exception is missing"));
        };
        let userid = user_id(text(matches, "user")).map_err(|user| CmdError::new(format!("unknown user {user}")))?;
        let mut states = StateSet::NONE;
        if texts(matches, "states").iter().any(|list| list.is_empty()) {
            return Err(CmdError::new("no states specified"));
        }
        for name in texts(matches, "states").iter().flat_map(|list| list.split(',')) {
            let known = StateSet::from_name(name);
            states =
                states.union(known.ok_or_else(|| CmdError::new(format!("error parsing --states: {name} is unknown")))?);
        }
        let states = if states == StateSet::NONE { StateSet::ACTIVE } else { states };
        if states.contains(flux_types::JobState::Inactive) {
            return Err(CmdError::new("Exceptions cannot be raised on inactive jobs"));
        }
        let force = matches.get_flag("force");
        let body = json!({"dry_run": !force, "userid": userid, "states": states.bits(),
            "severity": severity(matches, 7)?, "type": kind});
        let note = words.join(" ");
        let body = with_note(body, (!words.is_empty()).then_some(note.as_str()));
        let answer =
            cx.open()?.call("job-manager.raiseall", Target::Any, body).map_err(CmdError::calling("raiseall"))?;
        report(&answer, force, "Raised exception on", cx)
    }
}

fn report(answer: &Value, force: bool, done: &str, cx: &mut Context) -> CmdResult {
    let number = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or(0);
    match (number("count"), force) {
        (0, _) => cx.warn("Command matched 0 jobs"),
        (count, false) => cx.warn(format_args!("Command matched {count} jobs (-f to confirm)")),
        (count, true) => cx.warn(format_args!("{done} {count} jobs ({} errors)", number("errors"))),
    }
    Ok(ExitCode::SUCCESS)
}

fn signal_option() -> clap::Arg {
    option("signal", Some('s'), "SIG", "Send signal SIG (default SIGTERM)")
}

fn signal_number(matches: &ArgMatches, what: &str) -> Result<i32, CmdError> {
    let name = text(matches, "signal").unwrap_or("SIGTERM");
    let number = name.parse().ok().filter(|number| *number > 0);
    let named = || flux_sys::signal::by_name(name).filter(|_| name == name.to_uppercase());
    number.or_else(named).ok_or_else(|| CmdError::new(format!("{what}: Invalid signal {name}")))
}

pub(super) mod kill {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("kill").arg(signal_option()).arg(words("ids", "Job ids"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let given = texts(matches, "ids");
        if given.is_empty() {
            return Err(CmdError::usage("kill: a job id is missing"));
        }
        let bad = |name: &str| CmdError::new(format!("invalid jobid: {name}"));
        let jobs = given.iter().map(|name| Ok((*name, JobId::parse(name).map_err(|_| bad(name))?)));
        let jobs = jobs.collect::<Result<Vec<_>, CmdError>>()?;
        let signum = signal_number(matches, "kill")?;
        let faults = for_each(&mut cx.open()?, "job-manager.kill", &jobs, |id| json!({"id": id, "signum": signum}))?;
        finish("kill", &faults, cx)
    }
}

pub(super) mod killall {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("killall")
            .arg(signal_option())
            .arg(option("user", Some('u'), "USER", "Set target user or 'all' (instance owner only)"))
            .arg(flag("force", Some('f'), "Confirm the command"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let signum = signal_number(matches, "killall")?;
        let userid = user_id(text(matches, "user")).map_err(|user| CmdError::new(format!("unknown user {user}")))?;
        let force = matches.get_flag("force");
        let body = json!({"dry_run": !force, "userid": userid, "signum": signum});
        let answer = cx.open()?.call("job-manager.killall", Target::Any, body).map_err(CmdError::calling("killall"))?;
        report(&answer, force, flux_sys::signal::description(signum), cx)
    }
}

/// `flux cancel`.
pub(crate) mod cancel {
    use super::*;
    use crate::jobid::shown;
    use crate::submit::refused;

    pub(crate) fn command() -> Command {
        Command::new("cancel")
            .arg(flag("all", None, "Target all jobs"))
            .arg(flag("dry-run", Some('n'), "Do not cancel any jobs").alias("dry"))
            .arg(flag("quiet", Some('q'), "Suppress output when no jobs match"))
            .arg(option("user", Some('u'), "USER", "Set target user or 'all' (instance owner only)"))
            .arg(many("states", Some('S'), "STATES", "List of job states to target (default=active)").alias("state"))
            .arg(option("message", Some('m'), "NOTE", "Set optional cancel exception note"))
            .arg(words("JOBID", "Jobs to cancel"))
    }

    pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let given = texts(matches, "JOBID");
        let bad = |name: &str| CmdError::usage(format!("error: argument JOBID...: invalid JobID value: '{name}'"));
        let ids = given.iter().map(|name| JobId::parse(name).map_err(|_| bad(name))).collect::<Result<Vec<_>, _>>()?;
        let all = matches.get_flag("all") || matches.contains_id("user") || matches.contains_id("states");
        match (ids.is_empty(), all) {
            (false, true) => Err(refused("Do not specify a list of jobids with --all,--user,--states options")),
            (true, false) => Err(refused("No target jobs were provided")),
            (_, true) => run_all(matches, cx),
            (_, false) => run_some(&ids, matches, cx),
        }
    }

    fn jobs(count: u64) -> String {
        format!("{count} job{}", if count == 1 { "" } else { "s" })
    }

    fn run_some(ids: &[JobId], matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        if matches.get_flag("dry-run") {
            cx.warn(format_args!("Would cancel {}", jobs(ids.len() as u64)));
            return Ok(ExitCode::SUCCESS);
        }
        let names: Vec<_> = ids.iter().map(|id| shown(*id)).collect();
        let targets: Vec<_> = names.iter().map(String::as_str).zip(ids.iter().copied()).collect();
        let note = text(matches, "message");
        let faults = for_each(&mut cx.open()?, "job-manager.raise", &targets, |id| {
            with_note(json!({"id": id, "type": "cancel", "severity": 0}), note)
        })?;
        for (name, fault) in &faults {
            cx.warn(format_args!("ERROR: {name}: {}", fault.message()));
        }
        Ok(ExitCode::from(u8::from(!faults.is_empty())))
    }

    fn run_all(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        const NAMES: [&str; 7] = ["depend", "priority", "sched", "run", "pending", "running", "active"];
        let invalid = |user| refused(format_args!("Invalid user {user} specified"));
        let userid = user_id(text(matches, "user")).map_err(invalid)?;
        let mut states = StateSet::NONE;
        for name in texts(matches, "states").iter().flat_map(|list| list.split(',')) {
            let known = StateSet::from_name(name).filter(|_| NAMES.contains(&name.to_lowercase().as_str()));
            states = states.union(known.ok_or_else(|| refused(format_args!("Invalid state {name} specified")))?);
        }
        let states = if states == StateSet::NONE { StateSet::ACTIVE } else { states };
        let dry_run = matches.get_flag("dry-run");
        let body = json!({"dry_run": dry_run, "userid": userid, "states": states.bits(), "severity": 0,
            "type": "cancel"});
        let body = with_note(body, text(matches, "message"));
        let answer = cx.open()?.call("job-manager.raiseall", Target::Any, body).map_err(|error| match error {
            ClientError::Answer(fault) => refused(fault.message()),
            other => CmdError::Client(other),
        })?;
        let number = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or(0);
        match (number("count"), dry_run) {
            (0, _) if matches.get_flag("quiet") => {}
            (0, _) => cx.warn("Matched 0 jobs"),
            (count, true) => cx.warn(format_args!("Would cancel {}", jobs(count))),
            (count, false) => {
                let errors = number("errors");
                let plural = if errors == 1 { "" } else { "s" };
                cx.warn(format_args!("Canceled {} ({errors} error{plural})", jobs(count)));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_begins_where_the_job_ids_end() {
        let rows: &[(&[&str], usize, Option<&str>)] = &[
            (&["f1", "f2"], 2, None),
            (&["f1", "more", "words"], 1, Some("more words")),
            (&["f1", "--", "f2"], 1, Some("f2")),
            (&["zz"], 0, Some("zz")),
        ];
        for (given, jobs, note) in rows {
            let (found, words) = jobs_and_note(given);
            assert_eq!((found.len(), words.as_deref()), (*jobs, *note), "{given:?}");
        }
    }

    #[test]
    fn users_are_named_numbered_or_all() {
        assert_eq!(user_id(Some("all")), Ok(u32::MAX));
        assert_eq!(user_id(Some("12345")), Ok(12345));
        assert_eq!(user_id(Some("no such user")), Err("no such user".to_owned()));
    }
}
