//! Co-processes: programs that run beside the tasks of a node (flux-shell-options(7), COPROCESS).

use flux_types::{Idset, Jobspec, parse_fsd};
use serde_json::Value;

use crate::ShellError;
use crate::limits::HELPERS_MAX;
use crate::template::{Tags, render};

/// Between SIGTERM and SIGKILL, in seconds.
const KILL_TIMEOUT: f64 = 10.0;
const REXEC_TIMEOUT: f64 = 60.0;

/// A co-process of this shell.
#[derive(Clone, Debug, PartialEq)]
pub struct Helper {
    pub name: String,
    pub argv: Vec<String>,
    /// Of both its streams, as a template.
    pub output: String,
}

fn bad(why: String) -> ShellError {
    ShellError::Option { name: "coprocess", why }
}

/// The co-processes of the shell that the tags are of.
///
/// # Errors
/// [`ShellError::Option`]
pub(crate) fn helpers(spec: &Jobspec, tags: &Tags<'_>) -> Result<Vec<Helper>, ShellError> {
    let Some(all) = spec.shell_option("coprocess").filter(|all| !all.is_null()) else { return Ok(Vec::new()) };
    let all = all.as_object().ok_or_else(|| bad("it must be an object, a co-process for each name".to_owned()))?;
    if all.len() > HELPERS_MAX {
        return Err(ShellError::TooMany { what: "co-processes", max: HELPERS_MAX as u64 });
    }
    let mut out = Vec::new();
    for (name, entry) in all {
        if let Some(key) = entry
            .as_object()
            .and_then(|entry| entry.keys().find(|key| !["command", "output", "ranks"].contains(&key.as_str())))
        {
            return Err(bad(format!("{name}: unknown key '{key}'")));
        }
        let words = entry.get("command").and_then(Value::as_array).filter(|words| !words.is_empty());
        let argv: Option<Vec<String>> =
            words.and_then(|words| words.iter().map(|word| Some(render(word.as_str()?, tags))).collect());
        let argv = argv.ok_or_else(|| bad(format!("{name}: command must be an array of strings")))?;
        let text = |key: &str| match entry.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(bad(format!("{name}: {key} must be a string"))),
        };
        let output = text("output")?.unwrap_or_else(|| format!("coproc-{name}-{{{{id}}}}.log"));
        let here = match text("ranks")?.as_deref() {
            None | Some("all") => true,
            Some(ranks) => {
                let ranks: Idset = ranks.parse().map_err(|_| bad(format!("{name}: ranks is no idset: {ranks}")))?;
                ranks.contains(tags.shell_rank)
            }
        };
        if here {
            out.push(Helper { name: name.clone(), argv, output });
        }
    }
    Ok(out)
}

/// `coprocess-kill-timeout`, in seconds.
pub(crate) fn kill_timeout(spec: &Jobspec) -> f64 {
    timeout(spec, "coprocess-kill-timeout", KILL_TIMEOUT)
}

/// `rexec-shutdown-timeout`, in seconds.
pub(crate) fn rexec_timeout(spec: &Jobspec) -> f64 {
    timeout(spec, "rexec-shutdown-timeout", REXEC_TIMEOUT)
}

fn timeout(spec: &Jobspec, name: &str, default: f64) -> f64 {
    let value = spec.shell_option(name);
    value.and_then(|value| value.as_f64().or_else(|| parse_fsd(value.as_str()?))).unwrap_or(default).min(1e9)
}
