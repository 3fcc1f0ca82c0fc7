//! One run of an entry's command.

use flux_service::Mono;
use serde_json::{Map, Value, json};

/// A run, from the moment it was wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Task {
    pub(super) rank: u32,
    pub(super) pid: i64,
    /// The wait(2) status; `None` until it ended.
    pub(super) status: Option<i32>,
    /// It could not be run.
    pub(super) errno: Option<i32>,
    pub(super) timed_out: bool,
    /// When it must have ended.
    pub(super) deadline: Option<Mono>,
    /// Seconds since 1970: wanted, asked for, running, ended.
    pub(super) created: f64,
    pub(super) started: Option<f64>,
    pub(super) running: Option<f64>,
    pub(super) ended: Option<f64>,
    /// What was printed after the last newline: standard output and error.
    pub(super) partial: [Vec<u8>; 2],
}

impl Task {
    pub(super) fn state(&self) -> &'static str {
        match self.status {
            _ if self.errno.is_some() => "Rexec Failure",
            _ if self.started.is_none() => "Deferred",
            None => "Running",
            Some(_) if self.timed_out => "Timeout",
            Some(0) => "Exited",
            Some(_) => "Failed",
        }
    }

    /// How it ended, in words.
    pub(super) fn outcome(&self) -> String {
        let status = self.status.unwrap_or(0);
        match status & 0x7f {
            0 => format!("Exit {}", status >> 8 & 0xff),
            signal => format!("signal {signal}"),
        }
    }

    fn code(&self) -> i32 {
        let status = self.status.unwrap_or(0);
        match status & 0x7f {
            0 => status >> 8 & 0xff,
            signal => 128 + signal,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut object = Map::new();
        let mut set = |key: &str, value: Value| object.insert(key.to_owned(), value);
        set("rank", self.rank.into());
        set("pid", self.pid.into());
        set("status", self.status.unwrap_or(0).into());
        set("state", self.state().into());
        set("create-time", self.created.into());
        if let Some(errno) = self.errno {
            set("rexec_errno", errno.into());
        }
        if self.timed_out {
            set("timedout", json!(true));
        }
        if self.ended.is_some() {
            set("code", self.code().into());
        }
        for (key, time) in [("start-time", self.started), ("running-time", self.running), ("end-time", self.ended)] {
            if let Some(time) = time {
                set(key, time.into());
            }
        }
        Value::Object(object)
    }
}
