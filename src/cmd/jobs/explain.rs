//! `flux explain`: why jobs do not run, and when they are expected to.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Handle, Target};
use flux_types::JobId;
use flux_types::json::to_spaced_string;
use serde_json::{Value, json};

use super::info::{JobInfo, Shared};
use crate::frame::args::{flag, texts, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::job::job_id;
use crate::jobid::{shown, utf8_locale};
use crate::limits::EXPLAIN_IDS_PER_REQUEST;

/// What `job-manager.explain` says of each job, in the order asked for.
///
/// # Errors
/// Those of the call.
pub(crate) fn ask(flux: &mut Handle, ids: &[JobId]) -> Result<Vec<Value>, ClientError> {
    let mut out = Vec::with_capacity(ids.len());
    for part in ids.chunks(EXPLAIN_IDS_PER_REQUEST) {
        let mut answer = flux.call("job-manager.explain", Target::Any, json!({"ids": part}))?;
        if let Some(Value::Array(list)) = answer.get_mut("jobs").map(Value::take) {
            out.extend(list);
        }
    }
    add_failures(flux, &mut out)?;
    Ok(out)
}

/// The manager forgets how a job failed; who lists jobs knows it.
fn add_failures(flux: &mut Handle, answers: &mut [Value]) -> Result<(), ClientError> {
    let shared = Shared::new(false);
    for job in answers.iter_mut().filter(|job| job["text"] == "has failed") {
        let body = json!({"id": job["id"], "attrs": super::fields::HOW_IT_ENDED});
        let Ok(mut found) = flux.call("job-list.list-id", Target::Any, body) else { continue };
        let failure = JobInfo::new(found["job"].take(), &shared).and_then(|info| info.failure());
        if let Some(failure) = failure {
            job["text"] = Value::from(format!("has failed: {failure}"));
            job["failure"] = Value::from(failure);
        }
    }
    Ok(())
}

/// The sentences by job. A manager that has none to give leaves it empty.
pub(crate) fn sentences(flux: &mut Handle, ids: &[JobId]) -> BTreeMap<JobId, String> {
    let answers = ask(flux, ids).unwrap_or_default();
    answers.iter().filter_map(|job| Some((JobId(job.get("id")?.as_u64()?), sentence(job)))).collect()
}

/// Job ids in sentences stand as this terminal can show them.
fn sentence(job: &Value) -> String {
    let text = job.get("text").and_then(Value::as_str).unwrap_or("");
    if utf8_locale() { text.to_owned() } else { text.replace('ƒ', "f") }
}

pub(crate) fn command() -> Command {
    Command::new("explain")
        .arg(flag("json", None, "Print the facts as one JSON object per job, instead of a sentence"))
        .arg(words("JOBID", "The jobs").required(true))
}

pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let ids = texts(matches, "JOBID").into_iter().map(job_id).collect::<Result<Vec<_>, _>>()?;
    let answers = ask(&mut cx.open()?, &ids)?;
    let mut missing = false;
    for (id, job) in ids.iter().zip(&answers) {
        let name = shown(*id);
        if job.get("errno").is_some() {
            missing = true;
            cx.warn(format_args!("{name}: {}", sentence(job)));
        } else if matches.get_flag("json") {
            cx.line(to_spaced_string(job))?;
        } else {
            cx.line(format_args!("{name} {}", sentence(job)))?;
        }
    }
    if missing { Err(CmdError::Silent(1)) } else { Ok(ExitCode::SUCCESS) }
}
