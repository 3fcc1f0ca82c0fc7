//! `flux job-validator`: checks jobspecs, as the ingest service does.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Errno, Handle, Target};
use flux_types::Jobspec;
use serde_json::{Value, json};

use crate::frame::args::{flag, many, option, text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::submit::refused;

const PLUGINS: &[(&str, &str)] = &[
    ("feasibility", "Use feasibility service to validate job"),
    ("jobspec", "Check the jobspec against RFC 14 and, unless told otherwise, RFC 25"),
    ("require-instance", "Require that all jobs are new instances of Flux"),
];

pub(crate) fn command() -> Command {
    Command::new("job-validator")
        .arg(flag("jobspec-only", None, "Expect only encoded jobspec on stdin"))
        .arg(flag("list-plugins", None, "List available validators and exit"))
        .arg(many("plugins", None, "PLUGINS", "Validators to use, separated by commas (default: jobspec)"))
        .arg(option("require-version", None, "V", "Accept this jobspec version only, or 'any' (default 1)"))
}

/// What is checked.
struct Checks {
    version: Option<u32>,
    instances_only: bool,
    feasibility: bool,
}

impl Checks {
    /// `None` if the jobspec is fine, or the sentence for its submitter.
    fn judge(&self, spec: &Value) -> Option<String> {
        let spec = match Jobspec::from_value(spec.clone()) {
            Ok(spec) => spec,
            Err(error) => return Some(sentence(&error)),
        };
        if let Some(version) = self.version.filter(|version| spec.version != *version) {
            return Some(format!("Jobspec version {} is not {version}", spec.version));
        }
        if self.version == Some(1)
            && let Err(error) = spec.check_v1()
        {
            return Some(sentence(&error));
        }
        let command = spec.command();
        let instance = command.iter().map(String::as_str).take(2).collect::<Vec<_>>();
        let is_instance = matches!(instance.as_slice(), ["flux", "broker" | "start"]);
        (self.instances_only && !is_instance).then(|| {
            "Direct job submission is disabled for this instance. Please use flux-batch(1) or flux-alloc(1)".to_owned()
        })
    }
}

fn sentence(error: &flux_types::JobspecError) -> String {
    let text = error.to_string();
    text.strip_prefix("jobspec: ").unwrap_or(&text).to_owned()
}

pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    if matches.get_flag("list-plugins") {
        return super::list_plugins(cx, PLUGINS);
    }
    let checks = checks(matches)?;
    let bare = matches.get_flag("jobspec-only");
    let mut flux = if checks.feasibility { Some(cx.open()?) } else { None };
    let mut failed = false;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        let input: Value = serde_json::from_str(&line).map_err(refused)?;
        let spec = match bare {
            true => &input,
            false => input
                .get("jobspec")
                .ok_or_else(|| refused("Missing keys in input. Did you mean to use --jobspec-only?"))?,
        };
        let judged = match (checks.judge(spec), &mut flux) {
            (None, Some(flux)) => infeasible(flux, spec)?,
            (judged, _) => judged,
        };
        let answer = match judged {
            None => json!({"errnum": 0}),
            Some(why) => {
                failed = true;
                json!({"errnum": 1, "errstr": why})
            }
        };
        cx.line(flux_types::json::to_spaced_string(&answer))?;
        cx.out.flush()?;
    }
    Ok(ExitCode::from(u8::from(failed)))
}

/// Why the scheduler could never run it. One that cannot tell has nothing against it.
fn infeasible(flux: &mut Handle, spec: &Value) -> Result<Option<String>, CmdError> {
    match flux.call("feasibility.check", Target::Any, json!({"jobspec": spec})) {
        Ok(_) => Ok(None),
        Err(ClientError::Answer(fault)) if fault.errno == Errno::ENOSYS => Ok(None),
        Err(ClientError::Answer(fault)) => Ok(Some(fault.message())),
        Err(error) => Err(error.into()),
    }
}

fn checks(matches: &ArgMatches) -> Result<Checks, CmdError> {
    let (mut instances_only, mut feasibility) = (false, false);
    for name in texts(matches, "plugins").iter().flat_map(|list| list.split(',')) {
        match name {
            "jobspec" => {}
            "require-instance" => instances_only = true,
            "feasibility" => feasibility = true,
            other => return Err(refused(format_args!("Unable to find validator '{other}'"))),
        }
    }
    let version = match text(matches, "require-version") {
        None => Some(1),
        Some("any") => None,
        Some(text) => {
            Some(text.parse().map_err(|_| refused(format_args!("--require-version: invalid version '{text}'")))?)
        }
    };
    Ok(Checks { version, instances_only, feasibility })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobspecs_are_judged() {
        let spec = |command: &[&str], version: u32| {
            json!({"resources": [{"type": "slot", "count": 1, "label": "t", "with": [{"type": "core", "count": 1}]}],
                "tasks": [{"command": command, "slot": "t", "count": {"per_slot": 1}}],
                "attributes": {"system": {"duration": 0}}, "version": version})
        };
        let usual = Checks { version: Some(1), instances_only: false, feasibility: false };
        assert_eq!(usual.judge(&spec(&["true"], 1)), None);
        assert_eq!(usual.judge(&json!({})).as_deref(), Some("Missing key (resources)"));
        assert!(usual.judge(&spec(&["true"], 2)).is_some());
        let any = Checks { version: None, instances_only: true, feasibility: false };
        assert!(any.judge(&spec(&["true"], 2)).is_some());
        assert_eq!(any.judge(&spec(&["flux", "broker"], 9)), None);
    }
}
