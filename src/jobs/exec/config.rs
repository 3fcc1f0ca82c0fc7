//! The `[exec]` table (flux-config-exec(5)).

use std::time::Duration;

use flux_service::Fault;
use flux_types::parse_fsd;
use flux_wire::Errno;
use serde_json::Value;

/// How jobs are ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Config {
    pub kill_timeout: Duration,
    pub term_signal: i32,
    pub kill_signal: i32,
    pub max_kill_count: u32,
    /// Instead of a count, if set.
    pub max_kill_timeout: Option<Duration>,
    pub testexec_guests: bool,
    /// The IMP, which runs jobs of others than the instance's owner. `None`: nothing does.
    pub imp: Option<String>,
    /// The job shell that it is told to run, unless the job names one.
    pub job_shell: Option<String>,
    /// How long a node may be away before it counts as failed; where brokers keep no state, it does at once.
    pub node_grace: Duration,
}

/// Signals that a site may name; others go by number.
const NAMES: [(&str, i32); 8] =
    [("HUP", 1), ("INT", 2), ("QUIT", 3), ("KILL", 9), ("USR1", 10), ("USR2", 12), ("ALRM", 14), ("TERM", 15)];
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
/// The longest pause between two attempts to kill.
pub(super) const KILL_PAUSE_MAX: Duration = Duration::from_secs(300);

impl Default for Config {
    fn default() -> Config {
        Config {
            kill_timeout: Duration::from_secs(5),
            term_signal: SIGTERM,
            kill_signal: SIGKILL,
            max_kill_count: 8,
            max_kill_timeout: None,
            testexec_guests: false,
            imp: None,
            job_shell: None,
            node_grace: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// # Errors
    /// EINVAL with the key and what is wrong with it.
    pub(super) fn read(table: Option<&Value>) -> Result<Config, Fault> {
        let mut config = Config::default();
        let Some(table) = table else { return Ok(config) };
        if let Some(span) = duration(table, "kill-timeout")? {
            config.kill_timeout = span;
        }
        if let Some(signum) = signal(table, "term-signal")? {
            config.term_signal = signum;
        }
        if let Some(signum) = signal(table, "kill-signal")? {
            config.kill_signal = signum;
        }
        if let Some(value) = table.get("max-kill-count") {
            let count = value.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
            config.max_kill_count = count.ok_or_else(|| bad("max-kill-count", "a number from 1 on"))?;
        }
        if let Some(span) = duration(table, "node-grace")? {
            config.node_grace = span;
        }
        config.max_kill_timeout = duration(table, "max-kill-timeout")?;
        let guests = table.pointer("/testexec/allow-guests");
        config.testexec_guests = match guests {
            None => false,
            Some(value) => value.as_bool().ok_or_else(|| bad("testexec.allow-guests", "true or false"))?,
        };
        config.imp = path(table, "imp")?;
        config.job_shell = path(table, "job-shell")?;
        Ok(config)
    }

    /// How long after the first signal the last attempt comes.
    pub(super) fn effective_max_kill_timeout(&self) -> Duration {
        if let Some(span) = self.max_kill_timeout {
            return span;
        }
        let (mut total, mut pause) = (self.kill_timeout * 5, self.kill_timeout);
        for _ in 1..self.max_kill_count {
            total += pause;
            pause = (pause * 2).min(KILL_PAUSE_MAX);
        }
        total
    }
}

fn bad(key: &str, expected: &str) -> Fault {
    Fault::new(Errno::EINVAL, format!("error reading config value exec.{key}: expected {expected}"))
}

fn path(table: &Value, key: &str) -> Result<Option<String>, Fault> {
    let Some(value) = table.get(key) else { return Ok(None) };
    let absolute = value.as_str().filter(|path| path.starts_with('/'));
    absolute.map(|path| Some(path.to_owned())).ok_or_else(|| bad(key, "an absolute path"))
}

fn duration(table: &Value, key: &str) -> Result<Option<Duration>, Fault> {
    let seconds = match table.get(key) {
        None => return Ok(None),
        Some(Value::String(text)) => parse_fsd(text),
        Some(value) => value.as_f64(),
    };
    let span = seconds.filter(|s| s.is_finite() && *s >= 0.0 && *s < 1e9).map(Duration::from_secs_f64);
    span.map(Some).ok_or_else(|| bad(key, "a duration (RFC 23)"))
}

fn signal(table: &Value, key: &str) -> Result<Option<i32>, Fault> {
    let signum = match table.get(key) {
        None => return Ok(None),
        Some(Value::String(text)) => {
            let name = text.strip_prefix("SIG").unwrap_or(text);
            let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, signum)| *signum);
            named.or_else(|| text.parse().ok())
        }
        Some(value) => value.as_i64().and_then(|signum| i32::try_from(signum).ok()),
    };
    signum.filter(|signum| (1..=64).contains(signum)).map(Some).ok_or_else(|| bad(key, "a signal"))
}

/// `SIGTERM`, or the number of a signal that has no place in the table.
pub(super) fn name(signum: i32) -> String {
    let known = NAMES.iter().find(|(_, known)| *known == signum);
    known.map_or_else(|| signum.to_string(), |(name, _)| format!("SIG{name}"))
}
