//! `flux uri`: from a job, a process or an address to the address of an instance.

use std::fs;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{Handle, Rank, Target};
use flux_types::JobId;
use flux_types::eventlog;
use serde_json::{Value, json};

use crate::frame::args::{flag, text, word};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

/// The state of a job that runs (RFC 21).
const STATE_RUN: u64 = 16;

const SCHEMES: &str = "\
TARGET is an address (local:, ssh:), a job id, a path of job ids (ID/ID, with .. for the parent and / for the outermost \
instance), or SCHEME:ARGUMENT: jobid:ID the instance that a job is, pid:PID the instance of a process here, \
slurm:ID the instance that runs under a Slurm job.";

pub fn command() -> Command {
    Command::new("uri").after_help(SCHEMES).args([
        flag("remote", None, "Convert a local address to a remote one"),
        flag("local", None, "Convert a remote address to a local one"),
        flag("wait", None, "Wait until the job has an address"),
        word("TARGET", "What to resolve"),
    ])
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let target = text(matches, "TARGET").unwrap_or_default();
    let uri = resolve(target, matches.get_flag("wait"), cx)?;
    let local = matches.get_flag("local") || cx.var("FLUX_URI_RESOLVE_LOCAL").is_some();
    let shown = match (matches.get_flag("remote"), local) {
        (true, _) => remote(&uri)?,
        (false, true) => self::local(&uri),
        _ => uri,
    };
    cx.line(shown)?;
    Ok(ExitCode::SUCCESS)
}

/// The address of an instance.
///
/// # Errors
/// Nothing like that is known, or it is no instance.
pub fn resolve(target: &str, wait: bool, cx: &Context) -> Result<String, CmdError> {
    match target.split_once(':') {
        Some(("local" | "ssh", _)) => Ok(target.to_owned()),
        Some(("jobid", path)) => of_jobs(path, wait, cx),
        Some(("pid", pid)) => of_process(pid.trim_matches('/')),
        Some(("slurm", id)) => of_slurm(id),
        Some((scheme, _)) => Err(CmdError::new(format!("No plugin for URI scheme {scheme}"))),
        None => of_jobs(target, wait, cx),
    }
}

fn host_name() -> Result<String, CmdError> {
    Ok(flux_sys::ids::hostname()?)
}

/// `local:///path` to `ssh://HOST/path`.
fn remote(uri: &str) -> Result<String, CmdError> {
    match uri.strip_prefix("local://") {
        Some(path) => Ok(format!("ssh://{}{path}", host_name()?)),
        None => Ok(uri.to_owned()),
    }
}

/// `ssh://HOST/path` to `local:///path`.
fn local(uri: &str) -> String {
    match uri.strip_prefix("ssh://").and_then(|rest| rest.split_once('/')) {
        Some((_, path)) => format!("local:///{}", path.split('?').next().unwrap_or(path)),
        None => uri.to_owned(),
    }
}

/// One job after another, each within the one before.
fn of_jobs(path: &str, wait: bool, cx: &Context) -> Result<String, CmdError> {
    let path = path.strip_suffix("?wait").unwrap_or(path);
    let mut flux = cx.open()?;
    let mut uri = flux.attr("local-uri")?;
    if path.starts_with('/') {
        while let Some(parent) = parent(&mut flux)? {
            flux = Handle::open_uri(&local(&parent))?;
            uri = flux.attr("local-uri")?;
        }
    }
    for step in path.split('/').filter(|step| !step.is_empty() && *step != ".") {
        uri = match step {
            ".." => parent(&mut flux)?.unwrap_or(flux.attr("local-uri")?),
            id => of_job(&mut flux, id, wait)?,
        };
        // The last step need not be reachable from here.
        if let Ok(next) = Handle::open_uri(&reachable(&uri)?) {
            flux = next;
        }
    }
    Ok(uri)
}

/// An address of this host is one that needs no ssh.
pub(super) fn reachable(uri: &str) -> Result<String, CmdError> {
    let here = format!("ssh://{}/", host_name()?);
    Ok(if uri.starts_with(&here) { local(uri) } else { uri.to_owned() })
}

fn parent(flux: &mut Handle) -> Result<Option<String>, CmdError> {
    let level: u32 = flux.attr("instance-level")?.parse().unwrap_or(0);
    if level == 0 { Ok(None) } else { Ok(Some(flux.attr("parent-uri")?)) }
}

fn of_job(flux: &mut Handle, word: &str, wait: bool) -> Result<String, CmdError> {
    let id = JobId::parse(word).map_err(|_| CmdError::new(format!("{word} is not a valid Flux jobid")))?;
    if wait {
        return waited_for(flux, id, word);
    }
    let request = json!({"id": id.0, "attrs": ["state", "annotations"]});
    let answer = flux.call("job-list.list-id", Target::Rank(Rank::ROOT), request);
    let answer = answer.map_err(|_| CmdError::new(format!("jobid {word} not found")))?;
    if answer["job"]["state"].as_u64() != Some(STATE_RUN) {
        return Err(CmdError::new(format!("jobid {word} is not running")));
    }
    let uri = answer["job"]["annotations"]["user"]["uri"].as_str();
    uri.map(str::to_owned).ok_or_else(|| CmdError::new(format!("URI not found for job {word}")))
}

/// The job's memo that tells its address.
fn waited_for(flux: &mut Handle, id: JobId, word: &str) -> Result<String, CmdError> {
    let request = json!({"id": id.0, "path": "eventlog", "flags": 0});
    let mut events = flux.stream("job-info.eventlog-watch", Target::Any, request)?;
    while let Some(answer) = events.next().transpose().map_err(CmdError::calling(word.to_owned()))? {
        for entry in eventlog::decode(answer["event"].as_str().unwrap_or("")).unwrap_or_default() {
            match entry.name.as_str() {
                "memo" => {
                    if let Some(uri) = entry.get("uri").and_then(Value::as_str) {
                        return Ok(uri.to_owned());
                    }
                }
                "finish" | "clean" => return Err(CmdError::new(format!("URI not found for job {word}"))),
                _ => {}
            }
        }
    }
    Err(CmdError::new(format!("URI not found for job {word}")))
}

/// `FLUX_URI` of a process; of a broker, that of its first child.
fn of_process(pid: &str) -> Result<String, CmdError> {
    let number: u32 = pid.parse().map_err(|_| CmdError::new(format!("{pid} is not a process id")))?;
    let failed = |error| CmdError::about(format!("PID {number}"), error);
    let name = fs::read_to_string(format!("/proc/{number}/comm")).map_err(failed)?;
    let mut asked = number.to_string();
    if name.contains("flux-broker") {
        let children = fs::read_to_string(format!("/proc/{number}/task/{number}/children")).map_err(failed)?;
        let child = children.split_whitespace().next();
        let none = || CmdError::new(format!("PID {number} is a flux-broker and no child found"));
        asked = child.ok_or_else(none)?.to_owned();
    }
    let environment = fs::read(format!("/proc/{asked}/environ")).map_err(failed)?;
    let uri = environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"FLUX_URI="));
    let uri = uri.map(|uri| String::from_utf8_lossy(uri).into_owned());
    uri.ok_or_else(|| CmdError::new(format!("PID {number} doesn't seem to have a FLUX_URI")))
}

/// Asks the first node of a Slurm job for its broker.
fn of_slurm(id: &str) -> Result<String, CmdError> {
    let ask = "for p in $(pgrep flux-broker); do flux uri --remote pid:$p && exit 0; done; exit 1";
    let outcome = std::process::Command::new("srun")
        .args(["--overlap", "--jobid", id, "-n1", "-N1", "sh", "-c", ask])
        .output()
        .map_err(|error| CmdError::about("cannot run srun", error))?;
    let text = String::from_utf8_lossy(&outcome.stdout);
    match text.lines().find(|line| line.contains("://")) {
        Some(uri) if outcome.status.success() => Ok(uri.trim().to_owned()),
        _ => Err(CmdError::new(format!("unable to find a Flux instance in Slurm job {id}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_converted() {
        let host = host_name().unwrap();
        assert_eq!(remote("local:///tmp/x/local-0").unwrap(), format!("ssh://{host}/tmp/x/local-0"));
        assert_eq!(remote("ssh://h/x").unwrap(), "ssh://h/x");
        assert_eq!(local("ssh://user@h:22/tmp/x"), "local:///tmp/x");
        assert_eq!(local("local:///tmp/x"), "local:///tmp/x");
    }
}
