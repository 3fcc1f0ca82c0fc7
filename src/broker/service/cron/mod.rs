//! `cron`: runs commands at intervals, at times of the day, and on events, outside jobs (flux-cron(1)).

mod calendar;
mod entry;
mod task;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_service::{Completion, Cx, Fault, FileOp, Handler, LogLevel, Mono, Outcome, Service, Tag};
use flux_wire::{Errno, Message, Rank, Target};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use self::entry::{Create, Entry, Trigger};
use self::task::Task;
use crate::limits::{CRON_ENTRIES_MAX, CRON_LINE_MAX, WAITERS_MAX};

/// Tasks wait for this event unless another is asked for: all nodes then do what disturbs jobs at the same time.
const SYNC_EVENT: &str = "heartbeat.pulse";
/// Seconds after the event in which tasks still run at once.
const SYNC_EPSILON: f64 = 0.015;
/// What time it is here (tzfile(5)).
const ZONE_FILE: &str = "/etc/localtime";
const SIGTERM: i32 = 15;

/// The zone is only read when somebody needs it.
enum Zone {
    Unread,
    /// Requests that wait for it.
    Reading(Tag, Vec<Message>),
    Known,
}

/// See the module's description. Runs on rank 0.
pub(crate) struct Cron {
    entries: BTreeMap<u64, Entry>,
    last_id: u64,
    sync_event: Option<String>,
    sync_epsilon: f64,
    last_sync: f64,
    deferred: Vec<u64>,
    running: BTreeMap<Tag, u64>,
    subscribed: BTreeSet<String>,
    state: Zone,
    zone: TimeZone,
}

impl Default for Cron {
    fn default() -> Cron {
        Cron {
            entries: BTreeMap::new(),
            last_id: 0,
            sync_event: Some(SYNC_EVENT.to_owned()),
            sync_epsilon: SYNC_EPSILON,
            last_sync: 0.0,
            deferred: Vec::new(),
            running: BTreeMap::new(),
            subscribed: BTreeSet::new(),
            state: Zone::Unread,
            zone: TimeZone::UTC,
        }
    }
}

#[derive(Deserialize)]
struct IdBody {
    id: u64,
    #[serde(default)]
    kill: bool,
}

#[derive(Deserialize)]
struct SyncBody {
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    disable: bool,
    #[serde(default)]
    sync_epsilon: Option<f64>,
}

/// What `rexec.exec` answers.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ExecAnswer {
    Started {
        pid: i64,
    },
    Output {
        io: Io,
    },
    Finished {
        status: i32,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Io {
    stream: String,
    #[serde(default)]
    data: String,
    #[serde(default)]
    encoding: Option<String>,
    #[serde(default)]
    eof: bool,
}

impl Service for Cron {
    const NAME: &'static str = "cron";
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::owner("cron.create", Cron::create),
        Handler::owner("cron.delete", Cron::delete),
        Handler::owner("cron.list", Cron::list),
        Handler::owner("cron.stop", Cron::stop_entry),
        Handler::owner("cron.start", Cron::start_entry),
        Handler::owner("cron.sync", Cron::sync),
    ];

    fn start(&mut self, _cx: &mut Cx<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn stop(&mut self, _cx: &mut Cx<'_>) {
        self.entries.clear();
        self.deferred.clear();
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        let Some(id) = self.running.get(&tag).copied() else { return };
        if let Some(fault) = Fault::of(reply) {
            self.running.remove(&tag);
            if fault.errno != Errno::ENODATA {
                self.not_run(cx, id, &fault);
            }
            return;
        }
        match reply.decode::<ExecAnswer>() {
            Ok(ExecAnswer::Started { pid }) => self.started(cx, id, pid),
            Ok(ExecAnswer::Output { io }) => self.output(cx, id, io),
            Ok(ExecAnswer::Finished { status }) => self.finished(cx, id, status),
            Ok(ExecAnswer::Other) | Err(_) => {}
        }
    }

    fn on_completion(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: Completion) {
        if !matches!(&self.state, Zone::Reading(reading, _) if *reading == tag) {
            return;
        }
        let Zone::Reading(_, waiting) = std::mem::replace(&mut self.state, Zone::Known) else { return };
        if let Completion::File(bytes) = &completion
            && let Ok(zone) = TimeZone::tzif("local", bytes)
        {
            self.zone = zone;
        }
        for request in waiting {
            if let Err(fault) = self.create(cx, &request) {
                cx.respond_error(&request, &fault);
            }
        }
    }

    fn on_event(&mut self, cx: &mut Cx<'_>, event: &Message) {
        let topic = event.topic();
        let wanted = |entry: &Entry| match &entry.trigger {
            Trigger::Event(trigger) => !entry.stopped && matches(&trigger.topic, topic),
            _ => false,
        };
        let ids: Vec<u64> = self.entries.values().filter(|entry| wanted(entry)).map(|entry| entry.id).collect();
        for id in ids {
            if self.entries.get_mut(&id).is_some_and(|entry| entry.event(cx.now)) {
                self.schedule(cx, id);
            }
        }
        if self.sync_event.as_deref().is_some_and(|sync| matches(sync, topic)) {
            self.run_deferred(cx);
            self.last_sync = cx.now.wall.timestamp();
        }
        self.subscribe(cx);
    }

    fn next_timer(&self) -> Option<Mono> {
        let timers = self.entries.values().filter_map(|entry| entry.next.map(|(at, _)| at));
        let deadlines = self.entries.values().filter_map(|entry| entry.task.as_ref()?.deadline);
        timers.chain(deadlines).min()
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now;
        let due = |entry: &&Entry| entry.next.is_some_and(|(at, _)| at <= now.mono);
        let ids: Vec<u64> = self.entries.values().filter(due).map(|entry| entry.id).collect();
        for id in ids {
            let zone = self.zone.clone();
            if self.entries.get_mut(&id).is_some_and(|entry| entry.timer(now, &zone)) {
                self.schedule(cx, id);
            }
        }
        for entry in self.entries.values_mut() {
            let Some(task) = &mut entry.task else { continue };
            if task.deadline.is_some_and(|at| at <= now.mono) {
                task.deadline = None;
                task.timed_out = true;
                kill(cx, task);
            }
        }
        self.subscribe(cx);
    }

    fn stats(&self) -> Value {
        json!({"entries": self.entries.len(), "running": self.running.len(), "deferred": self.deferred.len()})
    }
}

/// A topic, perhaps with a `*` at its end.
fn matches(pattern: &str, topic: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => topic.starts_with(prefix),
        None => topic == pattern,
    }
}

fn kill(cx: &mut Cx<'_>, task: &Task) {
    if task.pid > 0 {
        let body = json!({"pid": task.pid, "signum": SIGTERM, "flags": 0});
        cx.notify("rexec.kill", Target::Rank(Rank(task.rank)), body);
    }
}

impl Cron {
    fn create(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Create = request.decode()?;
        if self.entries.len() >= CRON_ENTRIES_MAX {
            return Err(Fault::new(Errno::ENOSPC, format!("there are {CRON_ENTRIES_MAX} entries already")));
        }
        if body.is_datetime() {
            match &mut self.state {
                Zone::Known => {}
                Zone::Unread => {
                    let tag = cx.file(FileOp::Read { path: ZONE_FILE.to_owned() });
                    self.state = Zone::Reading(tag, vec![request.clone()]);
                    return Ok(());
                }
                Zone::Reading(_, waiting) if waiting.len() < WAITERS_MAX => {
                    waiting.push(request.clone());
                    return Ok(());
                }
                Zone::Reading(..) => return Err(Errno::EAGAIN.into()),
            }
        }
        let mut entry = Entry::new(self.last_id + 1, body, cx.now)?;
        self.last_id += 1;
        entry.start(cx.now, &self.zone);
        cx.respond(request, entry.to_json());
        self.entries.insert(entry.id, entry);
        self.subscribe(cx);
        Ok(())
    }

    fn entry(&mut self, body: &IdBody) -> Result<&mut Entry, Fault> {
        let gone = || Fault::new(Errno::ENOENT, format!("cron-{}: No such cron entry", body.id));
        self.entries.get_mut(&body.id).filter(|entry| !entry.deleted).ok_or_else(gone)
    }

    fn delete(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: IdBody = request.decode()?;
        let entry = self.entry(&body)?;
        cx.respond(request, entry.to_json());
        entry.stop();
        entry.deleted = true;
        let is_over = match &entry.task {
            Some(task) if body.kill => {
                kill(cx, task);
                task.started.is_none()
            }
            Some(task) => task.started.is_none(),
            None => true,
        };
        if is_over {
            self.entries.remove(&body.id);
            self.deferred.retain(|id| *id != body.id);
        }
        self.subscribe(cx);
        Ok(())
    }

    fn list(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let entries: Vec<Value> = self.entries.values().map(Entry::to_json).collect();
        cx.respond(request, json!({"entries": entries}));
        Ok(())
    }

    fn stop_entry(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: IdBody = request.decode()?;
        let entry = self.entry(&body)?;
        if entry.stopped {
            return Err(Fault::new(Errno::EINVAL, format!("cron-{} is stopped already", body.id)));
        }
        entry.stop();
        cx.respond(request, entry.to_json());
        Ok(())
    }

    fn start_entry(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: IdBody = request.decode()?;
        let zone = self.zone.clone();
        let entry = self.entry(&body)?;
        if !entry.stopped {
            return Err(Fault::new(Errno::EINVAL, format!("cron-{} is started already", body.id)));
        }
        entry.start(cx.now, &zone);
        cx.respond(request, entry.to_json());
        Ok(())
    }

    fn sync(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: SyncBody = request.decode()?;
        if body.disable {
            self.sync_event = None;
        }
        if let Some(topic) = body.topic {
            cx.log(LogLevel::Info, format!("synchronizing cron tasks to event {topic}"));
            self.sync_event = Some(topic);
        }
        self.sync_epsilon = body.sync_epsilon.unwrap_or(self.sync_epsilon);
        match &self.sync_event {
            Some(event) => cx.respond(request, json!({"sync_event": event, "sync_epsilon": self.sync_epsilon})),
            None => {
                cx.respond(request, json!({"sync_disabled": true}));
                self.run_deferred(cx);
            }
        }
        self.subscribe(cx);
        Ok(())
    }

    /// Listens to what entries want, and to the sync event while somebody waits for it.
    fn subscribe(&mut self, cx: &mut Cx<'_>) {
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        for entry in self.entries.values() {
            if let Trigger::Event(event) = &entry.trigger {
                wanted.insert(event.topic.trim_end_matches('*').to_owned());
            }
        }
        if let Some(event) = self.sync_event.as_ref().filter(|_| !self.entries.is_empty()) {
            wanted.insert(event.trim_end_matches('*').to_owned());
        }
        for prefix in self.subscribed.difference(&wanted) {
            cx.unsubscribe(prefix);
        }
        for prefix in wanted.difference(&self.subscribed) {
            cx.subscribe(prefix);
        }
        self.subscribed = wanted;
    }

    /// Runs an entry's command, now or after the next sync event.
    fn schedule(&mut self, cx: &mut Cx<'_>, id: u64) {
        let now = cx.now.wall.timestamp();
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.task.is_some() {
            cx.log(LogLevel::Info, format!("cron-{id}: {}: task still running or scheduled", entry.name));
            return;
        }
        entry.task = Some(Task { rank: entry.rank, created: now, ..Task::default() });
        entry.count();
        match &self.sync_event {
            Some(event) if now - self.last_sync >= self.sync_epsilon => {
                entry.stats.deferred += 1;
                cx.log(LogLevel::Debug, format!("deferring cron-{id} to next {event} event"));
                self.deferred.push(id);
            }
            _ => self.run(cx, id),
        }
    }

    fn run_deferred(&mut self, cx: &mut Cx<'_>) {
        for id in std::mem::take(&mut self.deferred) {
            self.run(cx, id);
        }
    }

    fn run(&mut self, cx: &mut Cx<'_>, id: u64) {
        const STDOUT_AND_STDERR: u32 = 3;
        let now = cx.now.wall.timestamp();
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let Some(task) = &mut entry.task else { return };
        let mut cmd = json!({"cmdline": ["sh", "-c", entry.command], "env": entry.env.clone().unwrap_or_default(),
            "opts": {}, "channels": [], "inherit": entry.env.is_none()});
        if let Some(cwd) = &entry.cwd {
            cmd["cwd"] = cwd.as_str().into();
        }
        let body = json!({"cmd": cmd, "flags": STDOUT_AND_STDERR, "local_flags": 0});
        let tag = cx.request_stream("rexec.exec", Target::Rank(Rank(entry.rank)), body);
        task.started = Some(now);
        entry.stats.last_run = now;
        self.running.insert(tag, id);
    }

    fn started(&mut self, cx: &mut Cx<'_>, id: u64, pid: i64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let timeout = entry.timeout;
        let Some(task) = &mut entry.task else { return };
        task.pid = pid;
        task.running = Some(cx.now.wall.timestamp());
        task.deadline = timeout.map(|timeout| cx.now.mono.after(timeout));
    }

    fn output(&mut self, cx: &mut Cx<'_>, id: u64, io: Io) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let (name, rank, command) = (&entry.name, entry.rank, &entry.command);
        let Some(task) = &mut entry.task else { return };
        let bytes = match io.encoding.as_deref() {
            Some("base64") => STANDARD.decode(&io.data).unwrap_or_default(),
            _ => io.data.into_bytes(),
        };
        let is_stderr = io.stream == "stderr";
        let level = if is_stderr { LogLevel::Err } else { LogLevel::Info };
        let partial = &mut task.partial[usize::from(is_stderr)];
        let mut say = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            cx.log(level, format!("cron-{id}[{name}]: rank={rank}: command=\"{command}\": \"{line}\""));
        };
        for byte in bytes {
            if byte != b'\n' {
                partial.push(byte);
            }
            if byte == b'\n' || partial.len() >= CRON_LINE_MAX {
                say(&std::mem::take(partial));
            }
        }
        if io.eof && !partial.is_empty() {
            say(&std::mem::take(partial));
        }
    }

    fn finished(&mut self, cx: &mut Cx<'_>, id: u64, status: i32) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let Some(task) = &mut entry.task else { return };
        task.status = Some(status);
        if status != 0 {
            let text = format!("cron-{id}: \"{}\": Failed: {}", entry.command, task.outcome());
            cx.log(LogLevel::Err, text);
        }
        self.end_task(cx, id);
    }

    fn not_run(&mut self, cx: &mut Cx<'_>, id: u64, fault: &Fault) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let Some(task) = &mut entry.task else { return };
        task.errno = Some(fault.errno.0);
        cx.log(LogLevel::Err, format!("cron-{id}: failure running {}: {}", entry.command, fault.message()));
        self.end_task(cx, id);
    }

    fn end_task(&mut self, cx: &mut Cx<'_>, id: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Some(task) = &mut entry.task {
            task.ended = Some(cx.now.wall.timestamp());
            task.deadline = None;
        }
        if entry.finished() {
            cx.log(LogLevel::Err, format!("cron-{id}: exceeded failure limit. stopping"));
        }
        if entry.deleted {
            self.entries.remove(&id);
            self.subscribe(cx);
        }
    }
}
