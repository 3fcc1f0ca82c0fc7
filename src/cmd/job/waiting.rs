//! `flux job wait` and `flux job status`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Errno, Fault, Handle, Incoming, Target};
use flux_types::eventlog::Entry;
use flux_types::{JobId, JobResult};
use serde_json::{Map, Value, json};

use super::job_id;
use crate::frame::args::{flag, option, optional_word, text, texts, verbosity, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::jobid::shown;

/// On the wire, whichever job is next.
const ANY_JOB: i64 = -1;

pub(super) mod wait {
    use super::*;

    pub(in crate::job) fn command() -> Command {
        Command::new("wait")
            .arg(flag("all", Some('a'), "Wait for all (waitable) jobs"))
            .arg(flag("verbose", Some('v'), "Emit a line of output for all jobs, not just failing ones"))
            .arg(optional_word("id", "The job (default: the next one that ends)"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let name = text(matches, "id");
        let id = name.map(job_id).transpose()?;
        let mut flux = cx.open()?;
        if matches.get_flag("all") {
            return match id {
                Some(_) => Err(CmdError::usage("jobid not supported with --all")),
                None => all(&mut flux, matches.get_flag("verbose")),
            };
        }
        let body = id.map_or(json!({"id": ANY_JOB}), |id| json!({"id": id}));
        let answer = match flux.call("job-manager.wait", Target::Any, body) {
            Err(ClientError::Answer(fault)) if fault.errno == Errno::ECHILD => {
                cx.warn(fault.message());
                return Ok(ExitCode::from(2));
            }
            other => other?,
        };
        if name.is_none() {
            cx.line(shown(JobId(answer["id"].as_u64().unwrap_or(0))))?;
        }
        match answer["success"].as_bool() {
            Some(true) => Ok(ExitCode::SUCCESS),
            _ => Err(CmdError::new(answer["errstr"].as_str().unwrap_or("job failed"))),
        }
    }

    fn all(flux: &mut Handle, verbose: bool) -> CmdResult {
        let mut code = 0;
        loop {
            let answer = match flux.call("job-manager.wait", Target::Any, json!({"id": ANY_JOB})) {
                Err(error) if error.errno() == Errno::ECHILD => return Ok(ExitCode::from(code)),
                other => other?,
            };
            let id = shown(JobId(answer["id"].as_u64().unwrap_or(0)));
            if answer["success"].as_bool() == Some(true) {
                if verbose {
                    say!("{id}: job completed successfully");
                }
            } else {
                say!("{id}: {}", answer["errstr"].as_str().unwrap_or(""));
                code = 1;
            }
        }
    }
}

/// What a job's eventlog says about how it ended.
#[derive(Debug, Default)]
struct Outcome {
    /// In the order in which it was learned.
    fields: Map<String, Value>,
    status: Option<i32>,
    /// The exception that counts: the first fatal one, or else the last.
    exception: Option<(i64, String)>,
}

impl Outcome {
    fn new(id: JobId) -> Outcome {
        let mut fields = Map::new();
        fields.insert("id".to_owned(), json!(id));
        fields.insert("exception_occurred".to_owned(), json!(false));
        Outcome { fields, status: None, exception: None }
    }

    fn on_event(&mut self, entry: &Entry) {
        match entry.name.as_str() {
            "submit" => self.set("t_submit", json!(entry.timestamp)),
            "alloc" => self.set("t_run", json!(entry.timestamp)),
            "finish" => {
                let status = entry.get("status").and_then(Value::as_i64).unwrap_or(0) as i32;
                self.status = Some(status);
                self.set("t_cleanup", json!(entry.timestamp));
                self.set("waitstatus", json!(status));
            }
            "exception" => self.on_exception(entry),
            _ => {}
        }
    }

    fn on_exception(&mut self, entry: &Entry) {
        let text = |key| entry.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let severity = entry.get("severity").and_then(Value::as_i64).unwrap_or(0);
        if self.exception.as_ref().is_some_and(|(known, _)| *known == 0) {
            return;
        }
        self.exception = Some((severity, text("type")));
        self.set("exception_occurred", json!(true));
        self.set("exception_type", json!(text("type")));
        self.set("exception_note", json!(text("note")));
        self.set("exception_severity", json!(severity));
        if severity == 0 && self.status.is_none() {
            self.set("t_cleanup", json!(entry.timestamp));
        }
    }

    fn set(&mut self, key: &str, value: Value) {
        self.fields.insert(key.to_owned(), value);
    }

    fn fatal(&self) -> Option<&str> {
        self.exception.as_ref().filter(|(severity, _)| *severity == 0).map(|(_, kind)| kind.as_str())
    }

    fn json(&self) -> Value {
        let mut fields = self.fields.clone();
        let result = JobResult::of_job(self.status, self.fatal());
        fields.insert("result".to_owned(), json!(result.bit()));
        Value::Object(fields)
    }

    /// As a shell would report the wait status.
    fn exit_code(&self) -> u8 {
        self.status.map_or(0, |status| crate::job::attach::exit_of_status(status).0)
    }
}

pub(super) mod status {
    use super::*;
    use crate::frame::args::verbose;

    pub(in crate::job) fn command() -> Command {
        Command::new("status")
            .arg(verbose())
            .arg(option(
                "exception-exit-code",
                Some('e'),
                "N",
                "Set the default exit code for any jobs that terminate solely due to an exception (default 1)",
            ))
            .arg(flag("json", Some('j'), "Dump job result information gleaned from eventlog to stdout"))
            .arg(words("ids", "Job ids"))
    }

    pub(in crate::job) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let names = texts(matches, "ids");
        if names.is_empty() {
            return Err(CmdError::usage("status: a job id is missing"));
        }
        let ids = names.iter().map(|name| job_id(name)).collect::<Result<Vec<_>, _>>()?;
        let exception_code = match text(matches, "exception-exit-code") {
            None => 1,
            Some(text) => text
                .parse::<u8>()
                .map_err(|_| CmdError::new("Option 'exception-exit-code' requires an integer argument"))?,
        };
        let verbose = verbosity(matches);
        if verbose > 0 && ids.len() > 1 {
            cx.warn(format_args!("fetching status for {} jobs", ids.len()));
        }
        let outcomes = outcomes(&mut cx.open()?, &names, &ids)?;
        if verbose > 0 && ids.len() > 1 {
            cx.warn("all done.");
        }
        let mut code = 0;
        for (name, outcome) in names.iter().zip(&outcomes) {
            if matches.get_flag("json") {
                cx.line(outcome.json())?;
            }
            code = code.max(outcome.exit_code());
            if outcome.fatal().is_some() {
                code = code.max(exception_code);
            }
            if verbose > 0 {
                describe(name, outcome, verbose, cx);
            }
        }
        Ok(ExitCode::from(code))
    }

    fn describe(name: &str, outcome: &Outcome, verbose: u32, cx: &mut Context) {
        let status = outcome.status.map(flux_sys::process::WaitStatus);
        match (status.and_then(|status| status.signal()), outcome.fatal()) {
            (Some(signal), _) => cx.warn(format_args!("{name}: job shell died by signal {signal}")),
            (None, Some(kind)) => cx.warn(format_args!("{name}: exception type={kind}")),
            (None, None) if verbose > 1 || outcome.exit_code() != 0 => {
                cx.warn(format_args!("{name}: exited with exit code {}", outcome.exit_code()));
            }
            (None, None) => {}
        }
    }

    /// Follows all the jobs to their end, at once.
    fn outcomes(flux: &mut Handle, names: &[&str], ids: &[JobId]) -> Result<Vec<Outcome>, CmdError> {
        let mut places = BTreeMap::new();
        for (place, id) in ids.iter().enumerate() {
            let body = json!({"id": id, "path": "eventlog", "flags": 0});
            places.insert(flux.send("job-info.eventlog-watch", Target::Any, body, true)?, place);
        }
        let mut outcomes: Vec<_> = ids.iter().map(|id| Outcome::new(*id)).collect();
        while !places.is_empty() {
            let Some(Incoming::Response { ticket, last, message }) = flux.next(None)? else { continue };
            let Some(place) = places.get(&ticket).copied() else { continue };
            if last {
                places.remove(&ticket);
            }
            match Fault::of(&message) {
                Some(fault) if fault.errno == Errno::ENODATA => {}
                Some(fault) if fault.errno == Errno::ENOENT => {
                    return Err(CmdError::new(format!("{}: No such job", names[place])));
                }
                Some(fault) => return Err(CmdError::about(names[place], fault.message())),
                None => {
                    let body = message.payload.value().map_err(ClientError::from)?;
                    for line in body.get("event").and_then(Value::as_str).unwrap_or("").lines() {
                        let entry = Entry::parse(line).map_err(|error| CmdError::about(names[place], error))?;
                        outcomes[place].on_event(&entry);
                    }
                }
            }
        }
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(events: &[(&str, Value)]) -> Outcome {
        let mut outcome = Outcome::new(JobId(7));
        for (at, (name, context)) in events.iter().enumerate() {
            let context = context.as_object().cloned().unwrap_or_default();
            outcome.on_event(&Entry::with_context(at as f64, *name, context));
        }
        outcome
    }

    #[test]
    fn a_jobs_end_is_read_from_its_events() {
        let exception = |severity: i64, kind: &str| json!({"type": kind, "severity": severity, "note": "n"});
        let rows = [
            (vec![("submit", json!({})), ("finish", json!({"status": 0}))], 0, None),
            (vec![("submit", json!({})), ("finish", json!({"status": 768}))], 3, None),
            (vec![("submit", json!({})), ("exception", exception(0, "cancel"))], 0, Some("cancel")),
            (vec![("exception", exception(3, "a")), ("exception", exception(0, "b"))], 0, Some("b")),
            (vec![("exception", exception(0, "a")), ("exception", exception(0, "b"))], 0, Some("a")),
        ];
        for (events, code, fatal) in rows {
            let outcome = outcome(&events);
            assert_eq!((outcome.exit_code(), outcome.fatal()), (code, fatal), "{events:?}");
        }
        let text = outcome(&[("submit", json!({})), ("alloc", json!({})), ("finish", json!({"status": 0}))]).json();
        let want = r#"{"id":7,"exception_occurred":false,"t_submit":0.0,"t_run":1.0,"t_cleanup":2.0,"waitstatus":0,"result":1}"#;
        assert_eq!(text.to_string(), want);
    }
}
