//! Subcommands of one request each: urgency, memo, last, namespace, stats, timeleft, info, purge.

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Errno, Rank, Target};
use flux_types::{JobId, JobState, StateSet, format_fsd, parse_fsd};
use serde_json::{Map, Value, json};

use super::job_id;
use crate::frame::args::{flag, option, optional_word, text, texts, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::jobid::shown;

pub(super) mod urgency {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("urgency")
            .arg(flag("verbose", Some('v'), "Output old urgency value on success"))
            .arg(optional_word("id", "The job"))
            .arg(optional_word("urgency", "0-31, hold, expedite or default"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let (Some(name), Some(level)) = (text(matches, "id"), text(matches, "urgency")) else {
            return Err(CmdError::usage("urgency: a job id and an urgency are needed"));
        };
        let id = job_id(name)?;
        let level: u32 = match level.to_ascii_lowercase().as_str() {
            "hold" => 0,
            "expedite" => 31,
            "default" => 16,
            number => number.parse().map_err(|_| CmdError::new(format!("error parsing urgency: \"{level}\"")))?,
        };
        let body = json!({"id": id, "urgency": level});
        let answer = cx.open()?.call("job-manager.urgency", Target::Any, body).map_err(CmdError::calling(name))?;
        if matches.get_flag("verbose") {
            match answer.get("old_urgency").and_then(Value::as_u64) {
                Some(0) => say!("old urgency: job held"),
                Some(31) => say!("old urgency: job expedited"),
                Some(old) => say!("old urgency: {old}"),
                None => {}
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) mod memo {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("memo")
            .arg(flag("volatile", None, "Memo will not appear in eventlog (will be lost on restart)"))
            .arg(optional_word("id", "The job"))
            .arg(words("pairs", "KEY=VALUE; a value of - is read from standard input"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let pairs = texts(matches, "pairs");
        let Some(name) = text(matches, "id").filter(|_| !pairs.is_empty()) else {
            return Err(CmdError::usage("memo: a job id and at least one KEY=VALUE are needed"));
        };
        let id = job_id(name)?;
        let mut memo = Map::new();
        for pair in pairs {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| CmdError::new(format!("memo: no value for key={pair}")))?;
            if key.is_empty() {
                return Err(CmdError::new(format!("memo: no key in {pair}")));
            }
            let value = match value {
                "-" => String::from_utf8_lossy(&cx.read_stdin()?).into_owned(),
                value => value.to_owned(),
            };
            let value = serde_json::from_str(&value).unwrap_or_else(|_| Value::String(value));
            insert(&mut memo, key, value);
        }
        let body = json!({"id": id, "volatile": matches.get_flag("volatile"), "memo": memo});
        cx.open()?.call("job-manager.memo", Target::Any, body).map_err(CmdError::calling("memo"))?;
        Ok(ExitCode::SUCCESS)
    }

    /// A dotted key makes objects within objects.
    fn insert(map: &mut Map<String, Value>, key: &str, value: Value) {
        match key.split_once('.') {
            None => drop(map.insert(key.to_owned(), value)),
            Some((first, rest)) => {
                let inner = map.entry(first).or_insert_with(|| json!({}));
                if !inner.is_object() {
                    *inner = json!({});
                }
                if let Some(inner) = inner.as_object_mut() {
                    insert(inner, rest, value);
                }
            }
        }
    }
}

pub(super) mod last {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("last").arg(optional_word("slice", "How many, or [FROM:TO:STEP] (default 1)"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let given = text(matches, "slice").unwrap_or("1");
        let slice = if given.parse::<u32>().is_ok() { format!("[:{given}]") } else { given.to_owned() };
        let body = json!({"slice": slice});
        let answer = cx.open()?.call("job-manager.history.get", Target::Any, body)?;
        let jobs = answer.get("jobs").and_then(Value::as_array).cloned().unwrap_or_default();
        if jobs.is_empty() {
            return Err(CmdError::new("job history is empty"));
        }
        for id in jobs.iter().filter_map(Value::as_u64) {
            cx.line(shown(JobId(id)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) mod namespace {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("namespace").arg(words("id", "Job ids; from standard input if there are none"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let given = texts(matches, "id");
        for id in given.iter().map(|name| job_id(name)) {
            cx.line(format_args!("job-{}", id?.0))?;
        }
        if given.is_empty() {
            for line in std::io::stdin().lines() {
                cx.line(format_args!("job-{}", job_id(&line?)?.0))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) mod stats {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("stats")
    }

    pub(in crate::job) fn run(_: &ArgMatches, cx: &mut Context) -> CmdResult {
        let answer = cx.open()?.call("job-list.job-stats", Target::Any, flux_client::Payload::None);
        cx.line(answer.map_err(CmdError::calling("stats"))?)?;
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) mod timeleft {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("timeleft")
            .arg(flag("human", Some('H'), "Output in Flux Standard Duration instead of seconds."))
            .arg(optional_word("id", "The job (default: that of the environment, or the instance)"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let name = text(matches, "id").map(str::to_owned).or_else(|| cx.var("FLUX_JOB_ID"));
        let expiration = match name {
            Some(name) => of_job(&name, cx)?,
            None => of_instance(cx)?,
        };
        let left = match expiration {
            0.0 => f64::INFINITY,
            at => (at - crate::frame::timefmt::now()).max(0.0),
        };
        let seconds = match left {
            left if left.is_infinite() => u64::from(u32::MAX),
            left if left > 0.0 && left < 1.0 => 1,
            left => left as u64,
        };
        match matches.get_flag("human") {
            true => cx.line(format_fsd(left).unwrap_or_default())?,
            false => cx.line(seconds)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// When the job's time is over; 0 is never.
    fn of_job(name: &str, cx: &mut Context) -> Result<f64, CmdError> {
        let id = JobId::parse(name).map_err(|_| CmdError::new(format!("failed to parse jobid {name}")))?;
        let body = json!({"id": id, "attrs": ["expiration", "state"]});
        let answer = cx.open()?.call("job-list.list-id", Target::Any, body).map_err(|error| match error.errno() {
            Errno::ENOENT => CmdError::new(format!("{name}: no such jobid")),
            _ => CmdError::calling(name)(error),
        })?;
        let bit = answer["job"]["state"].as_u64().and_then(|bit| u32::try_from(bit).ok()).unwrap_or(0);
        match JobState::from_bit(bit) {
            Some(state) if StateSet::PENDING.contains(state) => {
                Err(CmdError::new(format!("job {name} has not started")))
            }
            Some(JobState::Run) => Ok(answer["job"]["expiration"].as_f64().unwrap_or(0.0)),
            _ => Ok(1.0), // Long over.
        }
    }

    fn of_instance(cx: &mut Context) -> Result<f64, CmdError> {
        let answer = cx.open()?.call("resource.status", Target::Rank(Rank::ROOT), flux_client::Payload::None);
        let answer = answer.map_err(CmdError::calling("failed to get instance expiration"))?;
        Ok(answer["R"]["execution"]["expiration"].as_f64().unwrap_or(0.0))
    }
}

pub(super) mod info {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    /// RFC 41: with the updates of the job's eventlog applied.
    const CURRENT: u32 = 2;

    const USAGE: &str = "Usage: flux job info id key
some useful keys are:
  J                    - signed jobspec
  R                    - allocated resources
  eventlog             - primary job eventlog
  jobspec              - job specification
  guest.exec.eventlog  - execution eventlog
  guest.input          - job input log
  guest.output         - job output log
Use flux job info -h to list available options";

    pub(in crate::job) fn command() -> Command {
        Command::new("info")
            .arg(flag("original", Some('o'), "For key \"jobspec\", return the original submitted jobspec"))
            .arg(flag("base", Some('b'), "For key \"jobspec\" or \"R\", do not apply updates from eventlog"))
            .arg(words("words", "The job, and a key: J, R, eventlog, jobspec, guest.output, ..."))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let given = texts(matches, "words");
        let [name, key] = given.as_slice() else {
            say!("{USAGE}");
            return Ok(ExitCode::FAILURE);
        };
        let id = job_id(name)?;
        let original = matches.get_flag("original") && *key == "jobspec";
        let current = !matches.get_flag("base") && matches!(*key, "R" | "jobspec");
        let (wanted, flags) = match (original, current) {
            (true, _) => ("J", 0),
            (false, true) => (*key, CURRENT),
            (false, false) => (*key, 0),
        };
        let body = json!({"id": id, "keys": [wanted], "flags": flags});
        let answer = cx.open()?.call("job-info.lookup", Target::Any, body)?;
        let value = match answer.get(wanted) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => return Err(CmdError::new(format!("{wanted}: key not found"))),
        };
        let value = if original { unwrapped(&value)? } else { value };
        cx.line(value)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The jobspec in J (RFC 39: `HEADER.PAYLOAD.SIGNATURE`), not verified.
    fn unwrapped(signed: &str) -> Result<String, CmdError> {
        let payload = signed.split('.').nth(1).and_then(|payload| STANDARD.decode(payload).ok());
        let text = payload.and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or_else(|| CmdError::new("Failed to unwrap J to get jobspec: not a signed jobspec"))
    }
}

pub(super) mod purge {
    use super::*;
    use crate::job::signals::for_each;

    pub(in crate::job) fn command() -> Command {
        Command::new("purge")
            .arg(option("age-limit", None, "FSD", "Purge jobs that became inactive beyond age-limit."))
            .arg(option("num-limit", None, "COUNT", "Purge oldest inactive jobs until COUNT are left."))
            .arg(flag("force", Some('f'), "Perform the irreversible purge."))
            .arg(option("batch", None, "COUNT", "Limit number of jobs per request (default 50)."))
            .arg(words("id", "Job ids"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let number = |name: &str, default: i64| match text(matches, name) {
            None => Ok(default),
            Some(text) => {
                text.parse().map_err(|_| CmdError::new(format!("Option '{name}' requires an integer argument")))
            }
        };
        let age = match text(matches, "age-limit") {
            None => -1.0,
            Some(text) => parse_fsd(text).ok_or_else(|| CmdError::new("Invalid argument for option 'age-limit'"))?,
        };
        let (limit, batch) = (number("num-limit", -1)?, number("batch", 50)?);
        let force = matches.get_flag("force");
        let given = texts(matches, "id");
        let mut flux = cx.open()?;
        let mut total = 0;
        if given.is_empty() {
            loop {
                let body = json!({"age_limit": age, "num_limit": limit, "batch": batch, "force": force});
                let answer = flux.call("job-manager.purge", Target::Any, body).map_err(CmdError::calling("purge"))?;
                let count = answer.get("count").and_then(Value::as_i64).unwrap_or(0);
                total += count;
                if !force || count < batch {
                    break;
                }
            }
        } else {
            let jobs = given.iter().map(|name| Ok((*name, job_id(name)?))).collect::<Result<Vec<_>, CmdError>>()?;
            let faults =
                for_each(&mut flux, "job-manager.purge-id", &jobs, |id| json!({"id": id, "force": u8::from(force)}))?;
            if let Some((_, fault)) = faults.first() {
                return Err(CmdError::new(format!("purge: {}", fault.message())));
            }
            total = jobs.len() as i64;
        }
        let stats = flux.call("job-manager.stats-get", Target::Any, flux_client::Payload::None);
        let inactive = stats.map_err(purge_failed)?.get("inactive_jobs").and_then(Value::as_i64).unwrap_or(0);
        match force {
            true => cx.line(format_args!("purged {total} inactive jobs, {inactive} remaining"))?,
            false => cx.line(format_args!("use --force to purge {total} of {inactive} inactive jobs"))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn purge_failed(error: ClientError) -> CmdError {
        CmdError::calling("purge: failed to fetch inactive job count")(error)
    }
}
