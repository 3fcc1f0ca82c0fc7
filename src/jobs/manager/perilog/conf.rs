//! `[job-manager.prolog]`, `[job-manager.epilog]`, `[job-manager.perilog]`.

use flux_service::Fault;
use flux_types::At;
use flux_types::parse_fsd;
use flux_wire::Errno;
use regex_lite::Regex;
use serde_json::{Map, Value, json};

use super::run::Kind;
use crate::limits::PERILOG_PATTERNS_MAX;
use crate::manager::bulk;

const KILL_TIMEOUT_SECS: f64 = 60.0;
const PROLOG_TIMEOUT_SECS: f64 = 30.0 * 60.0;

/// How a prolog or epilog is run.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::manager) struct Proc {
    pub(super) argv: Vec<String>,
    pub(super) per_rank: bool,
    pub(super) cancel_on_exception: bool,
    /// Seconds; 0 is no limit.
    pub(super) timeout: f64,
    /// Seconds after SIGTERM.
    pub(super) kill_timeout: f64,
}

/// The tables, understood.
#[derive(Clone, Debug, Default)]
pub(in crate::manager) struct Conf {
    prolog: Option<Proc>,
    epilog: Option<Proc>,
    ignore: Vec<Regex>,
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Errno::EINVAL, text)
}

/// The IMP of this instance, if it has one.
pub(in crate::manager) fn imp(config: &Value) -> Option<&str> {
    config.at("/exec/imp").and_then(Value::as_str)
}

impl Proc {
    fn read(config: &Value, kind: Kind) -> Result<Option<Proc>, Fault> {
        let name = kind.name();
        let at = |why: &str| invalid(format!("[job-manager.{name}]: {why}"));
        let Some(table) = config.at(&format!("/job-manager/{name}")) else { return Ok(None) };
        let table = table.as_object().ok_or_else(|| at("must be a table"))?;
        const KEYS: [&str; 6] =
            ["command", "timeout", "kill-timeout", "per-rank", "cancel-on-exception", "exit-on-first-error"];
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(at(&format!("unknown key {key}")));
        }
        let truth = |key: &str, default: bool| match table.get(key) {
            None => Ok(default),
            Some(value) => value.as_bool().ok_or_else(|| at(&format!("{key} must be a boolean"))),
        };
        truth("exit-on-first-error", false)?; // For flux-run-prolog and flux-run-epilog, which read it themselves.
        let argv = match (table.get("command"), imp(config)) {
            (Some(command), _) => bulk::argv(command).ok_or_else(|| at("command must be an array of strings"))?,
            (None, Some(imp)) => vec![imp.to_owned(), "run".to_owned(), name.to_owned()],
            (None, None) => return Err(at("no command specified and exec.imp not defined")),
        };
        let prolog = kind == Kind::Prolog;
        Ok(Some(Proc {
            argv,
            per_rank: truth("per-rank", false)?,
            cancel_on_exception: truth("cancel-on-exception", prolog)?,
            timeout: match table.get("timeout") {
                None if prolog => PROLOG_TIMEOUT_SECS,
                None => 0.0,
                Some(text) => {
                    let seconds = text.as_str().and_then(parse_fsd).ok_or_else(|| at("invalid timeout"))?;
                    if seconds.is_finite() { seconds } else { 0.0 }
                }
            },
            kill_timeout: match table.get("kill-timeout").map(Value::as_f64) {
                None => KILL_TIMEOUT_SECS,
                Some(Some(seconds)) if seconds > 0.0 => seconds,
                Some(Some(_)) => KILL_TIMEOUT_SECS,
                Some(None) => return Err(at("kill-timeout must be a number of seconds")),
            },
        }))
    }

    fn describe(&self) -> Value {
        json!({"command": self.argv, "per_rank": self.per_rank, "cancel_on_exception": self.cancel_on_exception,
               "timeout": self.timeout, "kill-timeout": self.kill_timeout})
    }
}

impl Conf {
    /// # Errors
    /// EINVAL and the key that makes no sense.
    pub(in crate::manager) fn read(config: &Value) -> Result<Conf, Fault> {
        let ignore = match config.at("/job-manager/perilog") {
            None => Vec::new(),
            Some(table) => patterns(table)?,
        };
        Ok(Conf { prolog: Proc::read(config, Kind::Prolog)?, epilog: Proc::read(config, Kind::Epilog)?, ignore })
    }

    pub(super) fn of(&self, kind: Kind) -> Option<&Proc> {
        match kind {
            Kind::Prolog => self.prolog.as_ref(),
            Kind::Epilog => self.epilog.as_ref(),
        }
    }

    /// Lines that are not worth a place in the log; empty ones never are.
    pub(super) fn ignores(&self, line: &str) -> bool {
        line.trim().is_empty() || self.ignore.iter().any(|pattern| pattern.is_match(line))
    }

    pub(super) fn describe(&self) -> Value {
        let one = |proc: &Option<Proc>| proc.as_ref().map_or(Value::Object(Map::new()), Proc::describe);
        json!({"prolog": one(&self.prolog), "epilog": one(&self.epilog)})
    }
}

fn patterns(table: &Value) -> Result<Vec<Regex>, Fault> {
    let at = |why: String| invalid(format!("[job-manager.perilog]: {why}"));
    let table = table.as_object().ok_or_else(|| at("must be a table".to_owned()))?;
    if let Some(key) = table.keys().find(|key| *key != "log-ignore") {
        return Err(at(format!("unknown key {key}")));
    }
    let Some(list) = table.get("log-ignore") else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(|| at("log-ignore: not an array".to_owned()))?;
    if list.len() > PERILOG_PATTERNS_MAX {
        return Err(at(format!("log-ignore: more than {PERILOG_PATTERNS_MAX} patterns")));
    }
    let one = |entry: &Value| {
        let pattern = entry.as_str().ok_or_else(|| at("log-ignore: all entries must be a string value".to_owned()))?;
        Regex::new(pattern).map_err(|_| at(format!("log-ignore: failed to compile regex: {pattern}")))
    };
    list.iter().map(one).collect()
}
