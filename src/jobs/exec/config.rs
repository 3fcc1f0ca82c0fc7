//! The `[exec]` table (flux-config-exec(5)).

use std::time::Duration;

use flux_service::Fault;
use flux_types::At;
use flux_types::parse_fsd;
use flux_wire::Errno;
use serde_json::{Value, json};

use crate::limits::DEVICES_MAX;

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
    /// Which devices jobs of guests may open. `None`: all.
    pub devices: Option<Devices>,
    /// How long a node may be away before it counts as failed; where brokers keep no state, it does at once.
    pub node_grace: Duration,
    /// How long shells that are ready wait for the others; `None`: for ever.
    pub barrier_timeout: Option<Duration>,
    /// How long shells may go on after the first one has ended; `None`: for ever.
    pub shell_exit_timeout: Option<Duration>,
    /// Of a job's duration; who starts later gets the time back.
    pub max_start_delay_percent: f64,
}

/// Devices that jobs of guests may open beside their GPUs (RFC 15, `DevicePolicy` and `DeviceAllow`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Devices {
    /// `auto`, `closed` or `strict`.
    pub policy: String,
    /// Pairs of a path or a class and letters of `rwm`.
    pub allow: Vec<(String, String)>,
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
            devices: None,
            node_grace: Duration::from_secs(10),
            barrier_timeout: Some(Duration::from_secs(30 * 60)),
            shell_exit_timeout: Some(Duration::from_secs(30)),
            max_start_delay_percent: 25.0,
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
        if let Some(span) = duration(table, "barrier-timeout")? {
            config.barrier_timeout = Some(span).filter(|span| !span.is_zero());
        }
        if table.get("shell-exit-timeout").is_some_and(|value| value == "none") {
            config.shell_exit_timeout = None;
        } else if let Some(span) = duration(table, "shell-exit-timeout")? {
            config.shell_exit_timeout = Some(span).filter(|span| !span.is_zero());
        }
        if let Some(value) = table.get("max-start-delay-percent") {
            config.max_start_delay_percent =
                value.as_f64().ok_or_else(|| bad("max-start-delay-percent", "a number"))?;
        }
        check_service(table)?;
        let guests = table.at("/testexec/allow-guests");
        config.testexec_guests = match guests {
            None => false,
            Some(value) => value.as_bool().ok_or_else(|| bad("testexec.allow-guests", "true or false"))?,
        };
        config.imp = path(table, "imp")?;
        config.job_shell = path(table, "job-shell")?;
        config.devices = devices(table)?;
        Ok(config)
    }

    /// For `flux module stats job-exec`.
    pub(super) fn stats(&self) -> Value {
        let seconds = |span: Option<Duration>| span.map_or(0.0, |span| span.as_secs_f64());
        let mut stats = json!({
            "exec_service": "rexec",
            "default_barrier_timeout": seconds(self.barrier_timeout),
            "shell_exit_timeout": seconds(self.shell_exit_timeout),
            "max_start_delay_percent": self.max_start_delay_percent,
        });
        for (key, path) in [("default_job_shell", &self.job_shell), ("flux_imp_path", &self.imp)] {
            if let Some(path) = path {
                stats[key] = Value::from(path.as_str());
            }
        }
        stats
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

/// There is one way here to start shells; who asks for another one must hear of it.
fn check_service(table: &Value) -> Result<(), Fault> {
    let text = |key: &'static str| match table.get(key) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| bad(key, "a string")),
    };
    if let Some(method) = text("method")?.filter(|method| !["bulk-exec", "bgexec"].contains(method)) {
        return Err(Fault::new(Errno::EINVAL, format!("unknown exec.method '{method}': it is bulk-exec or bgexec")));
    }
    text("service")?;
    for key in ["sdexec-stop-timer-sec", "sdexec-stop-timer-signal"] {
        if table.get(key).is_some_and(|value| value.as_u64().is_none()) {
            return Err(bad(key, "a whole number"));
        }
    }
    let strings = |value: &Value| value.as_object().is_some_and(|table| table.values().all(Value::is_string));
    if table.get("sdexec-properties").is_some_and(|value| !strings(value)) {
        return Err(bad("sdexec-properties", "a table of strings"));
    }
    Ok(())
}

/// `sdexec-constrain-resources` closes what is not the job's; `device-policy` and `device-allow` say it in more detail.
fn devices(table: &Value) -> Result<Option<Devices>, Fault> {
    let constrained = match table.get("sdexec-constrain-resources") {
        None => false,
        Some(value) => value.as_bool().ok_or_else(|| bad("sdexec-constrain-resources", "true or false"))?,
    };
    let policy = match table.get("device-policy") {
        None => constrained.then_some("closed"),
        Some(value) => {
            let known = value.as_str().filter(|policy| ["auto", "closed", "strict"].contains(policy));
            Some(known.ok_or_else(|| bad("device-policy", "auto, closed or strict"))?)
        }
    };
    let expected = "pairs of a device and letters of rwm";
    let pair = |value: &Value| {
        let [name, access] = value.as_array()?.as_slice() else { return None };
        let (name, access) = (name.as_str()?, access.as_str()?);
        let known = ["/dev/", "char-", "block-"].iter().any(|start| name.starts_with(start));
        let letters = !access.is_empty() && access.chars().all(|letter| "rwm".contains(letter));
        (known && letters).then(|| (name.to_owned(), access.to_owned()))
    };
    let allow = match table.get("device-allow") {
        None => Vec::new(),
        Some(Value::Array(pairs)) if pairs.len() <= DEVICES_MAX => {
            pairs.iter().map(pair).collect::<Option<_>>().ok_or_else(|| bad("device-allow", expected))?
        }
        Some(_) => return Err(bad("device-allow", expected)),
    };
    let policy = policy.or((!allow.is_empty()).then_some("auto"));
    Ok(policy.map(|policy| Devices { policy: policy.to_owned(), allow }))
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
