//! The leader: starting a job on its nodes, taking what their shells tell, and ending it (RFC 32).

use std::collections::BTreeMap;

use flux_service::{Cx, Fault, LogLevel, Outcome, Plant, Tag, planted};
use flux_types::{At, Idset, IdsetFormat, JobId, ResourceSet};
use flux_wire::{Errno, Message, Target};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::job::{Barrier, Job, Lines, Part, Phase};
use super::late::FIRST_BARRIER;
use super::record::entry;
use super::{JobExec, Pending, relay};
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
        self.serves()?;
        if self.wait_for_all(request) {
            return Ok(());
        }
        let body: StartRequest = request.decode()?;
        let id = body.id.id();
        if self.was_begun(cx, request, id, !body.reattach && !body.look) {
            return Ok(());
        }
        if let Some(job) = self.jobs.get(&id) {
            // Another manager took over, or asks again: what is to be said is said to it from now on.
            if !body.reattach && !body.look {
                return Err(Fault::new(Errno::EEXIST, format!("{id} is running already")));
            }
            let (announced, end_told, status, fatal) = (job.announced, job.end_told, job.status(), job.fatal.clone());
            self.jobs.get_mut(&id).expect("just found").start = request.clone();
            if announced {
                self.say(cx, id, "reattached", json!({}));
            }
            if let Some(mut data) = fatal {
                // The one before may have gone without having heard it.
                data["again"] = true.into();
                self.say(cx, id, "exception", data);
            }
            if end_told {
                self.tell_end(cx, id, status);
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
            // Stored with what the shells say first: if it is there, there are records (ADR 1).
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
        let expiration = resources.at("/execution/expiration").and_then(Value::as_f64);
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
            fatal: None,
            barriers: Default::default(),
            released: Default::default(),
            passed: Default::default(),
            task_exit_told: false,
            critical: None,
            mock: None,
            end_told: false,
            syncing: false,
            ack_at: None,
            tables: None,
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
        let all = Idset::below(job.parts.len() as u32);
        self.launch_shells(cx, id, &all);
    }

    /// Asks the nodes of these shells.
    pub(super) fn launch_shells(&mut self, cx: &mut Cx<'_>, id: JobId, shells: &Idset) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let mut body = json!({
            "id": id.0,
            "userid": job.userid,
            "shell_count": job.parts.len(),
            // What all nodes have in their bundles.
            "job": job.for_bundles(job.userid != cx.node.owner),
            "job_shell": job.jobspec().at("/attributes/system/exec/job_shell"),
        });
        if let Some(signed) = &job.signed {
            body["J"] = Value::from(&**signed);
        }
        // Nodes that are told the same are told together.
        let mut alike: BTreeMap<(bool, u64), (Idset, Idset)> = BTreeMap::new();
        for shell in shells.iter() {
            let part = &mut job.parts[shell as usize];
            part.told = part.stored;
            part.absent = false;
            let (ranks, shells) = alike.entry((job.reattach || part.started, part.stored)).or_default();
            ranks.insert(part.rank.0);
            shells.insert(shell);
        }
        for ((reattach, stored), (ranks, shells)) in alike {
            body["reattach"] = reattach.into();
            // Only what is in the store may be forgotten by the shell: we may be restarted next.
            body["taken"] = stored.into();
            let streams = match job.parts.as_slice() {
                [part] => vec![(relay::launch_one(cx, part.rank, 0, body.clone()), shells)],
                _ => relay::spread_launch(cx, &body, &ranks, &shells),
            };
            for (tag, shells) in streams {
                shells.iter().for_each(|shell| job.parts[shell as usize].launch = Some(tag));
                self.pending.insert(tag, Pending::Launch(id, shells));
            }
        }
    }

    pub(super) fn on_launch_reply(&mut self, cx: &mut Cx<'_>, id: JobId, shells: &Idset, tag: Tag, reply: &Message) {
        let Some(job) = self.jobs.get(&id) else { return };
        // Some of them may have been asked again since.
        let shells: Idset = shells.iter().filter(|shell| job.parts[*shell as usize].launch == Some(tag)).collect();
        if let Some(fault) = Fault::of(reply) {
            return self.stream_ended(cx, id, &shells, &fault);
        }
        let Ok(body) = reply.payload.value() else { return };
        let told = relay::all_said(&shells, &body, |of, number, what| self.take_said(cx, id, of, number, what));
        if let Err(text) = told {
            cx.log(LogLevel::Err, format!("job-exec: {id}: a node says what nobody understands: {text}"));
        }
    }

    fn stream_ended(&mut self, cx: &mut Cx<'_>, id: JobId, shells: &Idset, fault: &Fault) {
        for shell in shells.iter() {
            let Some(part) = self.jobs.get_mut(&id).map(|job| &mut job.parts[shell as usize]) else { return };
            part.launch = None;
            if part.status.is_none() && !self.stopping {
                self.node_unreachable(cx, id, shell as usize, fault);
            }
        }
    }

    /// All of these shells said this, each under this number of its own.
    fn take_said(&mut self, cx: &mut Cx<'_>, id: JobId, shells: &Idset, number: u64, what: &Value) {
        let note = || what.get("note").and_then(Value::as_str).unwrap_or_default();
        match what.get("type").and_then(Value::as_str) {
            Some("started") => {
                let Some(job) = self.jobs.get_mut(&id) else { return };
                for shell in shells.iter() {
                    job.parts[shell as usize].started = true;
                    job.parts[shell as usize].away_since = None;
                }
                self.announce(cx, id);
            }
            // It could not be started.
            Some("failed") => {
                shells.iter().for_each(|shell| self.shell_lost(cx, id, shell as usize, Some(STATUS_UNKNOWN), note()));
            }
            // It ended without a `finish` of its own. After a restart its wait status is not known.
            Some("lost") => {
                let status = what.get("status").and_then(Value::as_i64).and_then(|status| i32::try_from(status).ok());
                shells.iter().for_each(|shell| self.shell_lost(cx, id, shell as usize, status, note()));
            }
            Some("unreachable") => self.stream_ended(cx, id, shells, &relay::reason(what)),
            _ => self.take_events(cx, id, shells, number, what),
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

    fn take_events(&mut self, cx: &mut Cx<'_>, id: JobId, shells: &Idset, seq: u64, event: &Value) {
        let mut first = true;
        for shell in shells.iter() {
            let Some(job) = self.jobs.get_mut(&id) else { return };
            let part = &mut job.parts[shell as usize];
            if seq <= part.taken || part.status.is_some() {
                continue; // Sent again: counted already.
            }
            if seq > part.taken + 1 {
                let note = format!("events of shell {shell} are missing before number {seq}");
                cx.log(LogLevel::Err, format!("job-exec: {id}: {note}"));
                if !job.is_found {
                    continue;
                }
                // They were stored and acknowledged, and then the power was lost before they were synced (ADR 2).
            }
            part.taken = seq;
            self.dirty.insert(id);
            self.take_event(cx, id, shell as usize, seq, event, std::mem::take(&mut first));
        }
    }

    /// Only the `first` of several shells that say the same has the data of all with it.
    fn take_event(&mut self, cx: &mut Cx<'_>, id: JobId, shell: usize, seq: u64, event: &Value, first: bool) {
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
                let data = event.get("data").and_then(Value::as_object).filter(|_| first);
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
            (Some("tables"), _) if shell == 0 => self.ask_tables(cx, id),
            (Some("table"), _) => self.take_table(cx, id, shell, event.get("data").unwrap_or(&Value::Null)),
            (Some("finish"), _) => {
                let status = event.get("status").and_then(Value::as_i64).and_then(|s| i32::try_from(s).ok());
                job.parts[shell].last = Some(seq);
                if let Some(name) = text("passed") {
                    job.passed.insert(name.to_owned());
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
        let mut others = job.ranks();
        others.remove(job.parts[from].rank.0);
        job.order(cx, &others, json!({"id": id.0, "command": {"type": "input", "data": data}}));
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
            let rank = job.parts[shell].rank.0;
            return job.order(cx, &Idset::range(rank, rank), json!({"id": id.0, "command": command}));
        }
        let beyond = job.passed.iter().find(|passed| is_beyond(passed, name)).cloned();
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
        let command = json!({"type": "barrier", "name": name, "data": data});
        job.order(cx, &job.ranks(), json!({"id": id.0, "command": command}));
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
        let data = json!({"severity": severity, "type": kind, "note": note});
        self.say(cx, id, "exception", data.clone());
        if severity == 0 {
            if let Some(job) = self.jobs.get_mut(&id) {
                job.fatal.get_or_insert(data);
            }
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
        self.tables_complete(cx, id);
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
        }
        if job.mock.is_none() {
            job.order(cx, &job.ranks(), json!({"id": id.0, "done": true}));
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
