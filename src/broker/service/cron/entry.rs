//! An entry: what is to be run, and when.

use std::collections::VecDeque;
use std::time::Duration;

use flux_service::{Fault, Mono, Now};
use flux_wire::Errno;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::calendar::Calendar;
use super::task::Task;
use crate::limits::CRON_HISTORY_MAX;

/// `cron.create`
#[derive(Deserialize)]
pub(super) struct Create {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    command: String,
    args: Value,
    #[serde(default)]
    environ: Option<Map<String, Value>>,
    #[serde(default)]
    cwd: Option<String>,
    #[serde(default)]
    repeat: i64,
    #[serde(default)]
    rank: u32,
    #[serde(default = "one", rename = "task-history-count")]
    history: usize,
    #[serde(default, rename = "stop-on-failure")]
    stop_on_failure: u64,
    #[serde(default)]
    timeout: Option<f64>,
}

fn one() -> usize {
    1
}

impl Create {
    pub(super) fn is_datetime(&self) -> bool {
        self.kind == "datetime"
    }
}

/// What makes it run.
#[derive(Debug)]
pub(super) enum Trigger {
    Interval { every: Duration, after: Duration },
    Event(EventTrigger),
    Datetime(Calendar),
}

#[derive(Debug)]
pub(super) struct EventTrigger {
    pub(super) topic: String,
    nth: u64,
    after: u64,
    min_interval: Duration,
    counter: u64,
}

#[derive(Debug, Default)]
pub(super) struct Stats {
    pub(super) created: f64,
    started: f64,
    pub(super) last_run: f64,
    pub(super) count: u64,
    fail_count: u64,
    total: u64,
    success: u64,
    failure: u64,
    pub(super) deferred: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) command: String,
    pub(super) cwd: Option<String>,
    pub(super) env: Option<Map<String, Value>>,
    pub(super) rank: u32,
    pub(super) timeout: Option<Duration>,
    pub(super) trigger: Trigger,
    pub(super) stats: Stats,
    pub(super) task: Option<Task>,
    pub(super) stopped: bool,
    /// It goes when its task has ended.
    pub(super) deleted: bool,
    repeat: u64,
    history_max: usize,
    stop_on_failure: u64,
    done: VecDeque<Task>,
    /// When its timer fires: monotonic, and as clients see it.
    pub(super) next: Option<(Mono, f64)>,
}

fn span(value: Option<&Value>, name: &str) -> Result<Option<Duration>, Fault> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let seconds = value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.map(Some).ok_or_else(|| Fault::new(Errno::EINVAL, format!("{name}: no number of seconds")))
}

impl Entry {
    pub(super) fn new(id: u64, request: Create, now: Now) -> Result<Entry, Fault> {
        let args = &request.args;
        let count = |name: &str| args.get(name).and_then(Value::as_u64).unwrap_or(0);
        let missing = |name: &str| Fault::new(Errno::EPROTO, format!("args has no {name}"));
        let trigger = match request.kind.as_str() {
            "interval" => {
                let every = span(args.get("interval"), "interval")?.ok_or_else(|| missing("interval"))?;
                let after = span(args.get("after").filter(|after| after.as_f64().is_none_or(|s| s >= 0.0)), "after")?;
                if every.is_zero() {
                    return Err(Fault::new(Errno::EINVAL, "interval: must be over 0"));
                }
                Trigger::Interval { every, after: after.unwrap_or(every) }
            }
            "event" => Trigger::Event(EventTrigger {
                topic: args.get("topic").and_then(Value::as_str).ok_or_else(|| missing("topic"))?.to_owned(),
                nth: count("nth"),
                after: count("after"),
                min_interval: span(args.get("min_interval"), "min_interval")?.unwrap_or_default(),
                counter: 0,
            }),
            "datetime" => Trigger::Datetime(Calendar::from_json(args).map_err(|why| Fault::new(Errno::EINVAL, why))?),
            other => return Err(Fault::new(Errno::ENOSYS, format!("no entries of type {other}"))),
        };
        Ok(Entry {
            id,
            name: request.name,
            command: request.command,
            cwd: request.cwd,
            env: request.environ,
            rank: request.rank,
            timeout: request.timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            trigger,
            stats: Stats { created: now.wall.timestamp(), ..Stats::default() },
            task: None,
            stopped: true,
            deleted: false,
            repeat: u64::try_from(request.repeat).unwrap_or(0),
            history_max: request.history.min(CRON_HISTORY_MAX),
            stop_on_failure: request.stop_on_failure,
            done: VecDeque::new(),
            next: None,
        })
    }

    pub(super) fn start(&mut self, now: Now, zone: &TimeZone) {
        self.stopped = false;
        self.stats.started = now.wall.timestamp();
        self.stats.count = 0;
        self.stats.fail_count = 0;
        match &mut self.trigger {
            Trigger::Interval { after, .. } => {
                let after = *after;
                self.arm(now, after);
            }
            Trigger::Event(event) => event.counter = 0,
            Trigger::Datetime(_) => self.arm_datetime(now, zone),
        }
    }

    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.next = None;
    }

    fn arm(&mut self, now: Now, after: Duration) {
        self.next = Some((now.mono.after(after), now.wall.timestamp() + after.as_secs_f64()));
    }

    /// Stops the entry when its time never comes again.
    fn arm_datetime(&mut self, now: Now, zone: &TimeZone) {
        let Trigger::Datetime(calendar) = &self.trigger else { return };
        let wall = now.wall.timestamp();
        match calendar.next_after(wall, zone) {
            Some(next) => {
                let after = Duration::try_from_secs_f64(next as f64 - wall).unwrap_or_default();
                self.arm(now, after);
            }
            None => self.stop(),
        }
    }

    /// Its timer fired: is it to run now?
    pub(super) fn timer(&mut self, now: Now, zone: &TimeZone) -> bool {
        let Some((_, wanted)) = self.next.take() else { return false };
        match &self.trigger {
            Trigger::Interval { every, .. } => {
                let every = *every;
                self.arm(now, every);
            }
            Trigger::Event(_) => {}
            Trigger::Datetime(_) => {
                self.arm_datetime(now, zone);
                // The clock was put back meanwhile.
                return now.wall.timestamp() >= wanted - 1.0;
            }
        }
        true
    }

    /// An event with its topic came: is it to run now?
    pub(super) fn event(&mut self, now: Now) -> bool {
        let last_run = self.stats.last_run;
        let Trigger::Event(event) = &mut self.trigger else { return false };
        event.counter += 1;
        let due =
            event.counter >= event.after && (event.nth == 0 || (event.counter - event.after).is_multiple_of(event.nth));
        if !due || self.next.is_some() {
            return false;
        }
        let since = Duration::try_from_secs_f64(now.wall.timestamp() - last_run).unwrap_or_default();
        match event.min_interval.checked_sub(since).filter(|left| !left.is_zero()) {
            Some(left) => {
                self.arm(now, left);
                false
            }
            None => true,
        }
    }

    /// Counts a run; the last one of those that were wanted stops the entry.
    pub(super) fn count(&mut self) {
        self.stats.total += 1;
        self.stats.count += 1;
        if self.stats.count == self.repeat {
            self.stop();
        }
    }

    /// The task has ended. `true`: it was one failure too many, and the entry has stopped.
    pub(super) fn finished(&mut self) -> bool {
        let Some(task) = self.task.take() else { return false };
        let failed = task.errno.is_some() || task.status != Some(0);
        self.done.push_front(task);
        self.done.truncate(self.history_max);
        if !failed {
            self.stats.success += 1;
            return false;
        }
        self.stats.failure += 1;
        self.stats.fail_count += 1;
        let too_many = self.stop_on_failure > 0 && self.stats.fail_count >= self.stop_on_failure && !self.stopped;
        if too_many {
            self.stop();
        }
        too_many
    }

    pub(super) fn to_json(&self) -> Value {
        let kind = match &self.trigger {
            Trigger::Interval { .. } => "interval",
            Trigger::Event(_) => "event",
            Trigger::Datetime(_) => "datetime",
        };
        let mut entry = json!({"id": self.id, "rank": self.rank, "name": self.name, "command": self.command,
            "repeat": self.repeat, "stopped": self.stopped, "type": kind});
        if let Some(timeout) = self.timeout {
            entry["timeout"] = timeout.as_secs_f64().into();
        }
        let stats = &self.stats;
        entry["stats"] = json!({"ctime": stats.created, "starttime": stats.started, "lastrun": stats.last_run,
            "count": stats.count, "failcount": stats.fail_count, "total": stats.total, "success": stats.success,
            "failure": stats.failure, "deferred": stats.deferred});
        let next = self.next.map_or(0.0, |(_, wall)| wall);
        entry["typedata"] = match &self.trigger {
            Trigger::Interval { every, after } => {
                json!({"interval": every.as_secs_f64(), "after": after.as_secs_f64(), "next_wakeup": next})
            }
            Trigger::Event(event) => json!({"topic": event.topic, "nth": event.nth, "after": event.after,
                "counter": event.counter, "min_interval": event.min_interval.as_secs_f64()}),
            Trigger::Datetime(calendar) => {
                let mut data = Map::from_iter([("next_wakeup".to_owned(), next.into())]);
                data.extend(calendar.to_json());
                Value::Object(data)
            }
        };
        entry["tasks"] = self.task.iter().chain(&self.done).map(Task::to_json).collect();
        entry
    }
}
