//! The leader: starting a job on its nodes, taking what their shells tell, and ending it (RFC 32).

use flux_service::{Cx, Fault, LogLevel, Outcome, Plant, planted};
use flux_types::{Idset, IdsetFormat, JobId, ResourceSet};
use flux_wire::{Errno, Message, Rank, Target};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::job::{Barrier, Job, Lines, Part, Phase};
use super::late::FIRST_BARRIER;
use super::record::entry;
use super::{JobExec, Pending};
use crate::body::WireId;
use crate::limits::{BARRIERS_KEPT, EXCEPTION_NOTE_LEN_MAX};

#[derive(Deserialize)]
struct StartRequest {
    id: WireId,
    userid: u32,
    #[serde(default)]
    reattach: bool,
    /// An earlier manager may have asked for this start: the store tells.
    #[serde(default)]
    look: bool,
}

/// What a node says on the stream of its `launch`, but for `events`.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum NodeSays {
    /// The shell's process runs.
    Started,
    /// It could not be started.
    Failed { note: String },
    /// It ended without a `finish` of its own. After a restart its wait status is not known.
    Lost { status: Option<i32>, note: String },
}

/// Barriers of tasks, with data; the others are the shells' own.
const PMI: &str = "pmi-";

/// Who went through barrier `passed` went through `name`, too: shells come to `init`, to `start`, and then to those of their tasks.
fn is_beyond(passed: &str, name: &str) -> bool {
    let place = |name: &str| match name {
        "init" => Some(0),
        "start" => Some(1),
        _ => name.strip_prefix(PMI)?.parse::<u64>().ok()?.checked_add(2),
    };
    passed == name || place(passed).zip(place(name)).is_some_and(|(passed, name)| passed >= name)
}

/// The wait status of a shell that nobody knows the end of: never a success.
pub(super) const STATUS_UNKNOWN: i32 = 1 << 8;

impl JobExec {
    pub(super) fn start_job(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if self.recovery.is_busy() {
            self.recovery.waiting.push(request.clone());
            return Ok(());
        }
        let body: StartRequest = request.decode()?;
        let id = body.id.id();
        if self.was_begun(cx, request, id, !body.reattach && !body.look) {
            return Ok(());
        }
        if let Some(job) = self.jobs.get(&id) {
            // Another manager took over, or asks again: what is to be said is said to it from now on.
            if !body.reattach {
                return Err(Fault::new(Errno::EEXIST, format!("{id} is running already")));
            }
            let announced = job.announced;
            self.jobs.get_mut(&id).expect("just found").start = request.clone();
            if announced {
                self.say(cx, id, "reattached", json!({}));
            }
            return Ok(());
        }
        let mut job = match self.new_job(cx, request, body) {
            Ok(job) => job,
            Err((id, note)) => {
                let say = |cx: &mut Cx<'_>, kind: &str, data: Value| {
                    cx.respond(request, json!({"id": id.0, "type": kind, "data": data}));
                };
                say(cx, "exception", json!({"severity": 0, "type": "exec", "note": note}));
                say(cx, "release", json!({"ranks": "all", "final": true}));
                return Ok(());
            }
        };
        if !job.reattach {
            job.forgive_delay(cx.now.wall.timestamp(), self.config.max_start_delay_percent);
        }
        job.set_limit(cx);
        let (reattach, is_found, mock) = (job.reattach, job.is_found, super::mock::asked(job.jobspec()));
        self.jobs.insert(id, job);
        if reattach || is_found {
            self.look(cx, id);
        } else {
            self.make_namespace(cx, id);
            self.note(cx, id, "init", None);
            self.note(cx, id, "starting", None);
            // Stored with what the shells say first: if it is there, there are job directories (ADR 1).
            self.dirty.remove(&id);
            match mock {
                Some(mock) => self.start_mock(cx, id, &mock),
                None => self.begin(cx, id),
            }
        }
        Ok(())
    }

    fn new_job(&self, cx: &Cx<'_>, request: &Message, body: StartRequest) -> Result<Job, (JobId, String)> {
        let id = body.id.id();
        let failed = |note: String| (id, note);
        let asked = request.payload.value().map_err(|error| failed(error.to_string()))?;
        let resources = &asked["R"];
        let set = ResourceSet::from_value(resources).map_err(|error| failed(format!("R: {error}")))?;
        let parts: Vec<Part> = set.ranks().iter().map(Part::new).collect();
        if parts.is_empty() {
            return Err(failed("R names no node".to_owned()));
        }
        let alone = self.config.imp.is_none();
        if alone && body.userid != cx.node.owner && super::mock::asked(&asked["jobspec"]).is_none() {
            let note = "this instance runs jobs of its owner only: it has no IMP to run those of others";
            return Err(failed(note.to_owned()));
        }
        let expiration = resources.pointer("/execution/expiration").and_then(Value::as_f64);
        Ok(Job {
            id,
            userid: body.userid,
            start: request.clone(),
            reattach: body.reattach,
            is_found: body.reattach || body.look,
            asked,
            signed: None,
            parts,
            expiration: expiration.filter(|at| *at > 0.0),
            limit: None,
            barrier_by: None,
            exit_by: None,
            shells_by: None,
            phase: Phase::Launching,
            announced: false,
            lines: Lines::default(),
            killing: None,
            status_named: None,
            barriers: Default::default(),
            released: Default::default(),
            task_exit_told: false,
            critical: None,
            mock: None,
            end_told: false,
            syncing: false,
            namespace_made: false,
        })
    }

    /// The guest namespace shows `job.ID.guest` under a name of its own (RFC 16).
    pub(super) fn make_namespace(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let alias = job.guest_key("");
        let alias = alias.trim_end_matches('.');
        job.namespace_made = true;
        let body = json!({"namespace": job.namespace(), "owner": job.userid, "flags": 0, "alias": alias});
        let tag = cx.request("kvs.namespace-create", Target::Any, body);
        self.pending.insert(tag, Pending::Namespace); // After a restart it may be there still: no error.
    }

    /// Asks every node of the job to start its shell, or to find it again.
    pub(super) fn launch_parts(&mut self, cx: &mut Cx<'_>, id: JobId) {
        if self.needs_signed(cx, id) {
            return;
        }
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.phase = Phase::Launching;
        let text = job.for_bundles(job.userid != cx.node.owner);
        for shell in 0..job.parts.len() {
            self.launch_with(cx, id, shell, &text);
        }
    }

    /// Asks one node.
    pub(super) fn launch_part(&mut self, cx: &mut Cx<'_>, id: JobId, shell: usize) {
        let Some(job) = self.jobs.get(&id) else { return };
        let text = job.for_bundles(job.userid != cx.node.owner);
        self.launch_with(cx, id, shell, &text);
    }

    /// `text` is what all nodes have in their bundles.
    fn launch_with(&mut self, cx: &mut Cx<'_>, id: JobId, shell: usize, text: &str) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let count = job.parts.len();
        let part = &job.parts[shell];
        let mut body = json!({
            "id": id.0,
            "userid": job.userid,
            "shell_rank": shell,
            "shell_count": count,
            "job": text,
            "job_shell": job.jobspec().pointer("/attributes/system/exec/job_shell"),
            "reattach": job.reattach || part.started,
            // Only what is in the store may be forgotten by the shell: we may be restarted next.
            "taken": part.stored,
        });
        if let Some(signed) = &job.signed {
            body["J"] = Value::from(&**signed);
        }
        let part = &mut job.parts[shell];
        part.told = part.stored;
        part.absent = false;
        let tag = cx.request_stream("job-exec.launch", Target::Rank(part.rank), body);
        part.launch = Some(tag);
        self.pending.insert(tag, Pending::Launch(id, shell));
    }

    pub(super) fn on_launch_reply(
        &mut self,
        cx: &mut Cx<'_>,
        id: JobId,
        shell: usize,
        tag: flux_service::Tag,
        reply: &Message,
    ) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(part) = job.parts.get_mut(shell).filter(|part| part.launch == Some(tag)) else { return };
        if let Some(fault) = Fault::of(reply) {
            part.launch = None;
            if part.status.is_none() && !self.stopping {
                self.node_unreachable(cx, id, shell, &fault);
            }
            return;
        }
        if let Ok(said) = reply.payload.value()
            && said.get("type").is_some_and(|kind| kind == "events")
        {
            return self.take_events(
                cx,
                id,
                shell,
                said.get("events").and_then(Value::as_array).unwrap_or(&Vec::new()),
            );
        }
        match reply.decode::<NodeSays>() {
            Ok(NodeSays::Started) => {
                part.started = true;
                part.away_since = None;
                self.announce(cx, id);
            }
            Ok(NodeSays::Failed { note }) => self.shell_lost(cx, id, shell, Some(STATUS_UNKNOWN), &note),
            Ok(NodeSays::Lost { status, note }) => self.shell_lost(cx, id, shell, status, &note),
            Err(error) => {
                cx.log(LogLevel::Err, format!("job-exec: {id}: a node says what nobody understands: {error}"))
            }
        }
    }

    /// All shells run: the manager is told.
    fn announce(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.announced || !job.parts.iter().all(|part| part.started) {
            return;
        }
        job.announced = true;
        job.phase = Phase::Running;
        self.dirty.insert(id);
        let kind = if job.reattach { "reattached" } else { "start" };
        self.say(cx, id, kind, json!({}));
    }

    /// An answer to the manager (RFC 32).
    pub(super) fn say(&mut self, cx: &mut Cx<'_>, id: JobId, kind: &str, data: Value) {
        if let Some(job) = self.jobs.get(&id) {
            cx.respond(&job.start, json!({"id": id.0, "type": kind, "data": data}));
        }
    }

    /// `events` are pairs of number and event.
    fn take_events(&mut self, cx: &mut Cx<'_>, id: JobId, shell: usize, events: &[Value]) {
        for pair in events {
            let (Some(seq), Some(event)) = (pair.get(0).and_then(Value::as_u64), pair.get(1)) else {
                return cx.log(LogLevel::Err, format!("job-exec: {id}: shell {shell} sends what is no event: {pair}"));
            };
            let Some(job) = self.jobs.get_mut(&id) else { return };
            let part = &mut job.parts[shell];
            if seq <= part.taken || part.status.is_some() {
                continue; // Sent again: counted already.
            }
            if seq > part.taken + 1 && !job.is_found {
                let note = format!("events of shell {shell} are missing before number {seq}");
                return cx.log(LogLevel::Err, format!("job-exec: {id}: {note}"));
            }
            if seq > part.taken + 1 {
                // They were stored and acknowledged, and then the power was lost before they were synced (ADR 2).
                let note = format!("events of shell {shell} are missing before number {seq}");
                cx.log(LogLevel::Err, format!("job-exec: {id}: {note}"));
            }
            part.taken = seq;
            self.dirty.insert(id);
            self.take_event(cx, id, shell, seq, event);
        }
    }

    fn take_event(&mut self, cx: &mut Cx<'_>, id: JobId, shell: usize, seq: u64, event: &Value) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let text = |key: &str| event.get(key).and_then(Value::as_str);
        // A line, and only one (RFC 18): what follows in the log stays readable.
        let line = text("entry").filter(|line| line.ends_with('\n') && line.matches('\n').count() == 1);
        match (text("type"), line) {
            (Some("exec"), Some(line)) => {
                // Every shell tells of its first task to end; the job's is the first of these.
                let is_exit = line.contains("\"name\":\"shell.task-exit\"");
                if !is_exit || !std::mem::replace(&mut job.task_exit_told, true) {
                    job.lines.exec.push_str(line);
                    if is_exit && job.parts.len() > 1 {
                        let line = line.to_owned();
                        self.time_exit(cx, id, shell, &line);
                    }
                }
            }
            (Some("output"), Some(line)) => job.lines.output.push_str(line),
            (Some("input"), Some(line)) => {
                job.lines.input.push_str(line);
                if let Some(data) = event.get("data") {
                    self.spread_input(cx, id, shell, data);
                }
            }
            (Some("barrier"), _) => {
                let data = event.get("data").and_then(Value::as_object);
                self.enter_barrier(cx, id, shell, text("name").unwrap_or(""), data);
            }
            (Some("passed"), _) => {
                let data = event.get("data").and_then(Value::as_object);
                self.passed_barrier(cx, id, text("name").unwrap_or(""), data);
            }
            (Some("exception"), _) => {
                let severity = event.get("severity").and_then(Value::as_u64).filter(|severity| *severity < 8);
                let note: String = text("note").unwrap_or("").chars().take(EXCEPTION_NOTE_LEN_MAX / 4).collect();
                let status = event.get("wait_status").and_then(Value::as_i64).and_then(|s| i32::try_from(s).ok());
                self.raise(cx, id, severity.unwrap_or(0), text("etype").unwrap_or("exec"), &note, status);
            }
            (Some("finish"), _) => {
                let status = event.get("status").and_then(Value::as_i64).and_then(|s| i32::try_from(s).ok());
                job.parts[shell].last = Some(seq);
                if let Some(name) = text("passed") {
                    job.parts[shell].passed = Some(name.to_owned());
                    self.ended_beyond(cx, id, name);
                }
                self.shell_ended(cx, id, shell, status.unwrap_or(STATUS_UNKNOWN));
            }
            _ => {}
        }
    }

    /// The first shell takes standard input; the others get it from here.
    fn spread_input(&mut self, cx: &mut Cx<'_>, id: JobId, from: usize, data: &Value) {
        let Some(job) = self.jobs.get(&id) else { return };
        for (_, part) in job.parts.iter().enumerate().filter(|(shell, _)| *shell != from) {
            let body = json!({"id": id.0, "command": {"type": "input", "data": data}});
            cx.notify("job-exec.order", Target::Rank(part.rank), body);
        }
    }

    fn enter_barrier(
        &mut self,
        cx: &mut Cx<'_>,
        id: JobId,
        shell: usize,
        name: &str,
        data: Option<&Map<String, Value>>,
    ) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if let Some((_, data)) = job.released.iter().find(|(released, _)| released == name) {
            // It was not there when the others went on.
            let command = json!({"type": "barrier", "name": name, "data": data});
            let rank = job.parts[shell].rank;
            return cx.notify("job-exec.order", Target::Rank(rank), json!({"id": id.0, "command": command}));
        }
        let beyond = job.parts.iter().filter_map(|part| part.passed.clone()).find(|passed| is_beyond(passed, name));
        let barrier = job.barriers.entry(name.to_owned()).or_default();
        barrier.here.insert(shell as u32);
        barrier.data.extend(data.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        if let Some(passed) = beyond {
            return self.ended_beyond(cx, id, &passed);
        }
        if barrier.here.count() < job.parts.len() {
            if name == FIRST_BARRIER && barrier.here.count() == 1 {
                let by = self.time_barrier(cx.now.mono, &self.jobs[&id]);
                self.jobs.get_mut(&id).expect("just found").barrier_by = by;
            }
            return;
        }
        let Barrier { data, .. } = job.barriers.remove(name).expect("just entered");
        self.release_barrier(cx, id, name, data);
    }

    /// A shell has ended that went through this barrier, and so through all before it. Those that still wait in one of them do so
    /// because a former leader was lost as it let them go.
    fn ended_beyond(&mut self, cx: &mut Cx<'_>, id: JobId, passed: &str) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let behind: Vec<String> = job.barriers.keys().filter(|name| is_beyond(passed, name)).cloned().collect();
        for name in behind {
            let Some(job) = self.jobs.get_mut(&id) else { return };
            job.barriers.remove(&name);
            if name.starts_with(PMI) {
                // What all had put went with the leader and with the shell.
                let note = format!("the data of barrier {name} was lost as the leader of the job was restarted");
                self.raise(cx, id, 0, "exec", &note, None);
                continue;
            }
            job.released.retain(|(released, _)| *released != name);
            self.release_barrier(cx, id, &name, Map::new());
        }
    }

    /// A shell that is back has been through this barrier: so may all that wait in it, should a former leader have let them go.
    fn passed_barrier(&mut self, cx: &mut Cx<'_>, id: JobId, name: &str, data: Option<&Map<String, Value>>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let known = job.released.iter().any(|(released, _)| released == name);
        if job.barriers.remove(name).is_some() || !known {
            self.release_barrier(cx, id, name, data.cloned().unwrap_or_default());
        }
    }

    fn release_barrier(&mut self, cx: &mut Cx<'_>, id: JobId, name: &str, data: Map<String, Value>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if name == FIRST_BARRIER {
            job.barrier_by = None;
        }
        job.released.truncate(BARRIERS_KEPT - 1);
        job.released.push_front((name.to_owned(), data.clone()));
        let ranks: Vec<Rank> = job.parts.iter().map(|part| part.rank).collect();
        let command = json!({"type": "barrier", "name": name, "data": data});
        for rank in ranks {
            cx.notify("job-exec.order", Target::Rank(rank), json!({"id": id.0, "command": command}));
        }
    }

    /// An exception that did not come from the manager: it is told, and a fatal one ends the job.
    pub(super) fn raise(
        &mut self,
        cx: &mut Cx<'_>,
        id: JobId,
        severity: u64,
        kind: &str,
        note: &str,
        status: Option<i32>,
    ) {
        self.say(cx, id, "exception", json!({"severity": severity, "type": kind, "note": note}));
        if severity == 0 {
            self.begin_kill(cx, id, kind, status);
        }
    }

    /// A shell ended, or cannot be reached, without having said how its tasks ended.
    pub(super) fn shell_lost(&mut self, cx: &mut Cx<'_>, id: JobId, shell: usize, status: Option<i32>, note: &str) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if job.parts[shell].status.is_some() {
            return;
        }
        let critical = job.critical.as_ref().is_none_or(|critical| critical.contains(shell as u32));
        let severity = if critical { 0 } else { 1 };
        self.raise(cx, id, severity, "exec", note, None);
        let status = status.filter(|status| *status != 0 && !planted(Plant::LostShellSucceeds));
        let unknown = if planted(Plant::LostShellSucceeds) { 0 } else { STATUS_UNKNOWN };
        self.shell_ended(cx, id, shell, status.unwrap_or(unknown));
    }

    pub(super) fn shell_ended(&mut self, cx: &mut Cx<'_>, id: JobId, shell: usize, status: i32) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.parts[shell].status = Some(status);
        job.parts[shell].started = true;
        let (rank, killed) = (job.parts[shell].rank, job.killing.is_some());
        if shell == 0 {
            let left: Idset = job.parts.iter().filter(|part| part.status.is_none()).map(|part| part.rank.0).collect();
            let mut context = json!({"rank": rank.0, "wait_status": status});
            if !left.is_empty() {
                context["active_ranks"] = left.encode(IdsetFormat::RANGE).into();
                job.shells_by = super::late::shell_deadline(&self.config, job, cx.now.mono).filter(|_| !killed);
            }
            self.note(cx, id, "shell-exit", Some(context));
        }
        if !killed {
            self.announce(cx, id);
        }
        self.check_end(cx, id);
    }

    /// All shells have ended: the store hears of it at the end of this turn, and the manager after it.
    pub(super) fn check_end(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if !job.all_ended() || matches!(job.phase, Phase::Ending | Phase::Syncing) {
            return;
        }
        job.phase = Phase::Ending;
        job.killing = None;
        let now = cx.now.wall.timestamp();
        let status = job.status();
        job.lines.exec.push_str(&entry(now, "complete", Some(json!({"status": status}))));
        job.lines.exec.push_str(&entry(now, "done", None));
        self.dirty.insert(id);
    }

    /// The manager hears of the end, and gets the resources back (RFC 32).
    pub(super) fn tell_end(&mut self, cx: &mut Cx<'_>, id: JobId, status: i32) {
        self.say(cx, id, "finish", json!({"status": status}));
        self.say(cx, id, "release", json!({"ranks": "all", "final": true}));
    }

    /// The end is on disk: shells and directories may go.
    pub(super) fn settled(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.remove(&id) else { return };
        if job.mock.is_none() {
            self.unmark_begun(cx, &job.plain_id());
        }
        for part in &job.parts {
            if let Some(tag) = part.launch {
                self.pending.remove(&tag);
            }
            if job.mock.is_none() {
                cx.notify("job-exec.order", Target::Rank(part.rank), json!({"id": id.0, "done": true}));
            }
        }
        if job.namespace_made {
            let tag = cx.request("kvs.namespace-remove", Target::Any, json!({"namespace": job.namespace()}));
            self.pending.insert(tag, Pending::Namespace);
        }
    }
}

impl Job {
    pub(super) fn stats(&self) -> Value {
        let active: Idset = self.parts.iter().filter(|part| part.status.is_none()).map(|part| part.rank.0).collect();
        json!({
            "implementation": if self.mock.is_some() { "testexec" } else { "bulk-exec" },
            "reattach": u8::from(self.reattach),
            "has_namespace": u8::from(self.namespace_made),
            "exception_in_progress": u8::from(self.killing.is_some()),
            "started": u8::from(self.parts.iter().all(|part| part.started)),
            "running": u8::from(self.announced),
            "finalizing": u8::from(matches!(self.phase, Phase::Ending | Phase::Syncing)),
            "wait_status": self.status(),
            "total_shells": self.parts.len(),
            "active_shells": active.count(),
            "active_ranks": active.encode(IdsetFormat::RANGE),
        })
    }
}
