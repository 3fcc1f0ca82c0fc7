//! Options that make no sense are refused before a task starts (flux-shell-options(7)): a misspelled limit is no limit.

use flux_types::{Jobspec, parse_fsd};
use serde_json::Value;

use crate::ShellError;

/// What `setrlimit(2)` knows.
const RLIMITS: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];
/// Times: seconds, or a duration.
const TIMES: [(&str, &str); 5] = [
    ("output.batch-timeout", "output"),
    ("input.batch-timeout", "input"),
    ("rexec-shutdown-timeout", "rexec-shutdown-timeout"),
    ("coprocess-kill-timeout", "coprocess-kill-timeout"),
    ("sysmon.period", "sysmon"),
];
const WHOLE_NUMBERS: [(&str, &str); 5] = [
    ("output.client.lwm", "output"),
    ("output.client.hwm", "output"),
    ("oom.adjust", "oom"),
    ("pmi-simple.exchange.k", "pmi-simple"),
    ("verbose", "verbose"),
];

fn bad(name: &'static str, why: impl Into<String>) -> ShellError {
    ShellError::Option { name, why: why.into() }
}

/// # Errors
/// [`ShellError::Option`]
pub(crate) fn check(spec: &Jobspec) -> Result<(), ShellError> {
    if let Some(limits) = spec.shell_option("rlimit") {
        let limits = limits.as_object().ok_or_else(|| bad("rlimit", "it must be an object"))?;
        for (name, value) in limits {
            if !RLIMITS.contains(&name.to_lowercase().as_str()) || value.as_i64().is_none() {
                return Err(bad("rlimit", format!("invalid shell option rlimit.{name}={value}")));
            }
        }
    }
    if let Some(Value::Object(pty)) = spec.shell_option("pty")
        && let Some(key) = pty.keys().find(|key| !["ranks", "capture", "interactive"].contains(&key.as_str()))
    {
        return Err(bad("pty", format!("invalid shell pty option: unknown key \'{key}\'")));
    }
    for (path, name) in TIMES {
        let Some(value) = spec.shell_option(path) else { continue };
        let seconds = value.as_f64().or_else(|| parse_fsd(value.as_str()?));
        if seconds.is_none_or(|seconds| seconds.is_nan() || seconds < 0.0) {
            return Err(bad(name, format!("{path} is no duration: {value}")));
        }
    }
    for (path, name) in WHOLE_NUMBERS {
        if let Some(value) = spec.shell_option(path).filter(|value| value.as_i64().is_none() && !value.is_boolean()) {
            return Err(bad(name, format!("{path} is no whole number: {value}")));
        }
    }
    if spec.shell_option("oom").is_some_and(|oom| !oom.is_object()) {
        return Err(bad("oom", "it must be an object, as of oom.adjust=VALUE"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn options_that_make_no_sense_are_refused_by_name() {
        let rows = [
            (json!({"rlimit": {"bogus": 100}}), "invalid shell option rlimit.bogus=100"),
            (json!({"rlimit": {"nofile": "many"}}), "invalid shell option rlimit.nofile"),
            (json!({"pty": {"bogus": 1}}), "unknown key \'bogus\'"),
            (json!({"output": {"batch-timeout": "soon"}}), "output.batch-timeout is no duration"),
            (json!({"output": {"client": {"lwm": "x"}}}), "output.client.lwm is no whole number"),
            (json!({"oom": 1}), "it must be an object"),
        ];
        for (options, want) in rows {
            let spec = json!({"version": 1, "resources": [{"type": "slot", "count": 1, "label": "task", "with": [{"type": "core", "count": 1}]}],
                "tasks": [{"command": ["a"], "slot": "task", "count": {"per_slot": 1}}],
                "attributes": {"system": {"duration": 0, "shell": {"options": options}}}});
            let text = check(&Jobspec::from_value(spec).unwrap()).expect_err(want).to_string();
            assert!(text.contains(want), "{options}: {text}");
        }
    }
}
