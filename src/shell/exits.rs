//! How a job ends: the status of its tasks, and what the first task that ends means for the others.

use flux_types::{Jobspec, parse_fsd};
use serde_json::{Value, json};

use crate::ShellError;

/// The exit code that stands for a wait status: the code itself, or 128 and the signal.
pub fn exit_code(wait_status: i32) -> i32 {
    let signal = wait_status & 0x7f;
    if signal == 0 { wait_status >> 8 & 0xff } else { 128 + signal }
}

/// The wait status of a shell that exits with `code`.
pub fn shell_status(code: i32) -> i32 {
    (code & 0xff) << 8
}

/// The context of `shell.task-exit`.
pub fn task_exit(local: u32, rank: u32, pid: i32, wait_status: i32) -> Value {
    let signal = wait_status & 0x7f;
    json!({
        "localid": local,
        "rank": rank,
        "state": "Exited",
        "pid": pid,
        "wait_status": wait_status,
        "signaled": signal,
        "exitcode": exit_code(wait_status),
    })
}

/// What happens when the first task has ended (`exit-timeout`, `exit-on-error`).
#[derive(Clone, Debug, PartialEq)]
pub struct Doom {
    /// Seconds that the others may go on; `None`: as long as they like.
    pub timeout: Option<f64>,
    /// As the user wrote it, for the message.
    pub timeout_text: String,
    pub on_error: bool,
}

const TIMEOUT_DEFAULT: &str = "30s";

impl Doom {
    /// # Errors
    /// [`ShellError::Option`]
    pub fn of(spec: &Jobspec) -> Result<Doom, ShellError> {
        let text = match spec.shell_option("exit-timeout") {
            None => TIMEOUT_DEFAULT.to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        let timeout = if text.eq_ignore_ascii_case("none") {
            None
        } else {
            let seconds = parse_fsd(&text).filter(|seconds| seconds.is_finite());
            let bad = || ShellError::Option {
                name: "exit-timeout",
                why: format!("{text:?} is not a valid Flux Standard Duration"),
            };
            Some(seconds.ok_or_else(bad)?)
        };
        let on_error =
            spec.shell_option("exit-on-error").is_some_and(|value| value != &json!(0) && value != &json!(false));
        Ok(Doom { timeout, timeout_text: text, on_error })
    }

    /// Why the job ends at once, if it does, now that its first task has ended.
    pub fn at_once(&self, name: &str, rank: u32, host: &str, wait_status: i32) -> Option<String> {
        if !self.on_error || wait_status == 0 {
            return None;
        }
        let how = how(wait_status);
        Some(format!("{name}: task rank {rank} on host {host} failed{how} and exit-on-error is set"))
    }

    /// Why it ends when the timeout has passed.
    pub fn overdue(&self, name: &str, rank: u32, host: &str, wait_status: i32) -> String {
        let (how, timeout) = (how(wait_status), &self.timeout_text);
        format!("{name}: task rank {rank} on host {host} exited{how} and exit-timeout={timeout} has expired")
    }
}

fn how(wait_status: i32) -> String {
    match (wait_status & 0x7f, wait_status >> 8 & 0xff) {
        (0, code) => format!(" (Exit {code})"),
        (signal, _) => format!(" (signal {signal})"),
    }
}

/// The option `signal`: which signal comes how many seconds before the time limit.
///
/// # Errors
/// [`ShellError::Option`]
pub fn warning_signal(spec: &Jobspec) -> Result<Option<(i32, f64)>, ShellError> {
    const SIGUSR1: i64 = 10;
    const BEFORE: f64 = 60.0;
    let bad = |why: &str| ShellError::Option { name: "signal", why: why.to_owned() };
    let Some(option) = spec.shell_option("signal") else { return Ok(None) };
    if option.is_string() {
        return Err(bad("error in shell `signal' option: it must be an object"));
    }
    let signum = option.get("signum").map_or(Some(SIGUSR1), Value::as_i64);
    let signum = signum.filter(|signum| (1..=64).contains(signum)).ok_or_else(|| bad("signum is not a signal"))?;
    let before = match option.get("timeleft") {
        None => Some(BEFORE),
        Some(Value::String(text)) => parse_fsd(text),
        Some(value) => value.as_f64(),
    };
    let before = before.filter(|seconds| *seconds >= 0.0).ok_or_else(|| bad("timeleft is no duration"))?;
    Ok(Some((signum as i32, before)))
}
