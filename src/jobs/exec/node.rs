//! A node: starting a shell, and standing between it and the leader (ADR 1).

use std::fmt;
use std::time::Duration;

use flux_service::{
    Completion, Cx, Fault, FileOp, LogLevel, Mono, Outcome, Plant, ProcessEvent, ProcessOp, SpawnSpec, Tag, planted,
};
use flux_types::{At, JobId, JobIdForm};
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::absent::Claim;
use super::recover::Remains;
use super::{JobExec, Pending, RETRY_PAUSE};
use crate::body::WireId;
use crate::limits::SHELL_ORDERS_MAX;

#[derive(Deserialize)]
pub(super) struct Launch {
    pub id: WireId,
    pub userid: u32,
    shell_rank: u32,
    shell_count: u32,
    /// Of the bundle, the members that are the same on every node: jobspec and R, as text that is passed on and not read.
    pub job: String,
    /// The shell that the job wants.
    pub job_shell: Option<String>,
    /// Of a guest's job.
    #[serde(rename = "J")]
    pub signed: Option<String>,
    reattach: bool,
    taken: u64,
}

#[derive(Deserialize)]
struct Order {
    id: WireId,
    /// For the shell.
    command: Option<Value>,
    /// For the shell's process.
    kill: Option<i32>,
    #[serde(default)]
    done: bool,
}

#[derive(Deserialize)]
struct Hello {
    id: WireId,
    shell_rank: u32,
}

#[derive(Deserialize)]
struct Events {
    id: WireId,
    shell_rank: u32,
    /// Pairs of number and event, as the leader takes them.
    events: Vec<Value>,
    /// The shell keeps those above this number. One of an earlier version does not say.
    #[serde(default = "keeps_none")]
    acked: u64,
}

fn keeps_none() -> u64 {
    u64::MAX
}

/// How long a shell that has lost its connection may take to come again, where no lock tells whether it lives.
const SHELL_BACK_WAIT: Duration = Duration::from_secs(15);

/// A shell of this node.
#[derive(Debug, Default)]
pub(super) struct Shell {
    pub id: JobId,
    pub userid: u32,
    pub shell_rank: u32,
    /// Its record: a file that the shell holds locked. For a guest's, a directory with what the IMP writes in it.
    pub home: Option<String>,
    /// The IMP stands between it and us.
    pub guest: bool,
    /// What the IMP or the shell wrote to standard error.
    pub said: String,
    /// The leader's request, answered with what happens.
    pub leader: Option<Message>,
    /// The shell's, answered with commands.
    pub hello: Option<Message>,
    /// The hello was answered.
    pub greeted: bool,
    /// Commands that came before.
    pub commands: Vec<Value>,
    /// Events up to this number are the leader's.
    pub taken: u64,
    /// Up to this number they were passed on to it.
    pub passed: u64,
    /// Its process, if this broker started it.
    pub process: Option<Tag>,
    /// That process runs: its leader was told, should there have been one.
    pub runs: bool,
    /// Its last event was passed on.
    pub finished: bool,
    /// It is gone, and this is what it left.
    pub remains: Option<Remains>,
    /// When it is looked for again if it has not said hello.
    pub hello_by: Option<Mono>,
    /// Since when it has been waited for.
    pub awaited_since: Option<Mono>,
    /// Whether the leader wants it.
    pub claim: Claim,
}

impl JobExec {
    pub(super) fn launch(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.serves()?;
        if request.payload.value()?.get("ranks").is_some() {
            return self.relay_launch(cx, request);
        }
        if self.wait_for_all(request) {
            return Ok(());
        }
        let body: Launch = request.decode()?;
        let id = body.id.id();
        if !self.shells.contains_key(&id) && !self.claims_are_settled() {
            // Tasks that nobody wants may still run on the cores that it was given.
            self.recovery.waiting.push(request.clone());
            return Ok(());
        }
        if let Some(shell) = self.shells.get_mut(&id).filter(|_| !planted(Plant::SecondShell)) {
            shell.leader = Some(request.clone());
            shell.taken = body.taken;
            shell.passed = body.taken;
            shell.claim = Claim::Settled;
            self.attach(cx, id);
            return Ok(());
        }
        // What it told was stored: it ran, whatever a power cut has left of its directory.
        if body.taken > 0 || body.reattach && !self.recovery.unstarted.remove(&id) {
            if self.may_say_hello(cx) {
                self.expect_shell(cx, &body, request);
                return Ok(());
            }
            let note = "this node has no record of the job: its shell cannot have survived";
            cx.respond(request, json!({"type": "lost", "status": null, "note": note}));
            cx.end_stream(request);
            return Ok(());
        }
        let guest = body.userid != cx.node.owner;
        let keeps = guest || cx.node.statedir.is_some();
        let home = Home { id, shell_rank: body.shell_rank, userid: body.userid };
        let home = keeps.then(|| format!("{}/jobs/{home}", cx.node.rundir));
        let bundle = bundle(cx, &body, home.as_deref().filter(|_| !guest));
        let spec = match (guest, &home) {
            (true, Some(dir)) => self.guest_shell(cx, &body, &bundle, dir)?,
            _ => shell_process(id, bundle.as_bytes()),
        };
        let shell = Shell {
            id,
            userid: body.userid,
            shell_rank: body.shell_rank,
            home: home.clone(),
            guest,
            leader: Some(request.clone()),
            ..Shell::default()
        };
        self.shells.insert(id, shell);
        match home {
            Some(path) => {
                let tag = cx.file(match guest {
                    true => FileOp::MakeDir { path, mode: 0o700 },
                    false => FileOp::Create { path, mode: 0o600 },
                });
                self.pending.insert(tag, Pending::Node(id, Box::new(spec)));
            }
            None => self.spawn(cx, id, spec),
        }
        Ok(())
    }

    /// Without directories, a service that was reloaded learns of shells as they come.
    fn may_say_hello(&self, cx: &Cx<'_>) -> bool {
        cx.node.statedir.is_none() && self.known_by.is_some_and(|by| cx.now.mono < by)
    }

    fn expect_shell(&mut self, cx: &Cx<'_>, body: &Launch, request: &Message) {
        let home = Home { id: body.id.id(), shell_rank: body.shell_rank, userid: body.userid };
        let guest = body.userid != cx.node.owner;
        let shell = Shell {
            id: home.id,
            userid: body.userid,
            shell_rank: body.shell_rank,
            home: guest.then(|| format!("{}/jobs/{home}", cx.node.rundir)),
            guest,
            leader: Some(request.clone()),
            taken: body.taken,
            passed: body.taken,
            hello_by: self.known_by,
            ..Shell::default()
        };
        self.shells.insert(shell.id, shell);
    }

    /// The record of a job was made, or not.
    pub(super) fn on_node_step(&mut self, cx: &mut Cx<'_>, id: JobId, spec: SpawnSpec, completion: Completion) {
        let Some(home) = self.shells.get(&id).and_then(|shell| shell.home.clone()) else { return };
        if let Completion::Failed(fault) = completion {
            self.tell_leader(cx, id, json!({"type": "failed", "note": format!("{home}: {fault}")}));
            self.shells.remove(&id);
            return;
        }
        self.spawn(cx, id, spec);
    }

    fn spawn(&mut self, cx: &mut Cx<'_>, id: JobId, spec: SpawnSpec) {
        let Some(shell) = self.shells.get_mut(&id) else { return };
        let tag = cx.process(ProcessOp::Spawn(Box::new(spec)));
        shell.process = Some(tag);
        self.processes.insert(tag, id);
    }

    pub(super) fn on_process(&mut self, cx: &mut Cx<'_>, tag: Tag, event: ProcessEvent) {
        let Some(id) = self.processes.get(&tag).copied() else { return };
        match event {
            ProcessEvent::Started { .. } => {
                if let Some(shell) = self.shells.get_mut(&id) {
                    shell.runs = true;
                }
                self.tell_leader(cx, id, json!({"type": "started"}));
            }
            ProcessEvent::NotStarted { errno } => {
                self.processes.remove(&tag);
                self.tell_leader(cx, id, json!({"type": "failed", "note": format!("starting the job shell: {errno}")}));
                if let Some(shell) = self.shells.remove(&id) {
                    shell.remove_home(cx);
                }
            }
            ProcessEvent::Exited { status } => {
                self.processes.remove(&tag);
                self.shell_exited(cx, id, tag, status);
            }
            ProcessEvent::Output { .. } | ProcessEvent::Stopped | ProcessEvent::Taken { .. } => {}
        }
    }

    fn shell_exited(&mut self, cx: &mut Cx<'_>, id: JobId, tag: Tag, status: i32) {
        let Some(shell) = self.shells.get_mut(&id).filter(|shell| shell.process == Some(tag)) else { return };
        shell.process = None;
        if shell.finished {
            return;
        }
        if shell.guest {
            return self.ask_what_was_said(cx, id, Some(status));
        }
        if shell.home.is_some() {
            // It may have given us up: then its record says how its tasks ended.
            return self.read_remains(cx, id, Some(status));
        }
        let body = json!({"type": "lost", "status": status, "note": lost_note(Some(status))});
        self.tell_leader(cx, id, body);
    }

    pub(super) fn tell_leader(&mut self, cx: &mut Cx<'_>, id: JobId, body: Value) {
        if let Some(leader) = self.shells.get(&id).and_then(|shell| shell.leader.as_ref()) {
            cx.respond(leader, body);
        }
    }

    /// A leader asks after a shell that is known here.
    pub(super) fn attach(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(shell) = self.shells.get_mut(&id) else { return };
        if let Some(remains) = &shell.remains {
            let body = remains.tell(shell.taken);
            let complete = remains.complete;
            let status = remains.status;
            let note = shell.lost_note(status);
            shell.finished = complete;
            self.tell_leader(cx, id, json!({"type": "started"}));
            self.tell_leader(cx, id, body);
            if !complete {
                let lost = json!({"type": "lost", "status": status, "note": note});
                self.tell_leader(cx, id, lost);
            }
            return;
        }
        if shell.greeted {
            // The former leader may have lost what is under way.
            let command = json!({"type": "resend", "acked": shell.taken});
            self.tell_leader(cx, id, json!({"type": "started"}));
            self.command(cx, id, command);
        } else {
            if shell.runs {
                // It has not come to its hello yet; a former leader heard that it was started, this one has not.
                self.tell_leader(cx, id, json!({"type": "started"}));
            }
            self.greet(cx, id);
        }
    }

    fn greet(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(shell) = self.shells.get_mut(&id) else { return };
        let (Some(hello), Some(leader)) = (&shell.hello, &shell.leader) else { return };
        shell.greeted = true;
        shell.passed = shell.taken;
        shell.hello_by = None;
        shell.awaited_since = None;
        if shell.process.is_none() {
            cx.respond(leader, json!({"type": "started"}));
        }
        cx.respond(hello, json!({"acked": shell.taken}));
        for command in shell.commands.drain(..) {
            cx.respond(hello, command);
        }
    }

    pub(super) fn shell_hello(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.serves()?;
        if self.wait_for_all(request) {
            return Ok(());
        }
        let body: Hello = request.decode()?;
        if !request.is_streaming() {
            return Err(Errno::EPROTO.into());
        }
        if !self.shells.contains_key(&body.id.id()) && self.may_say_hello(cx) {
            return Err(Fault::new(Errno::EAGAIN, "the leader has not said yet which jobs go on"));
        }
        let shell = self.shell_of(request, body.id.id(), body.shell_rank)?;
        shell.hello = Some(request.clone());
        shell.greeted = false;
        self.greet(cx, body.id.id());
        self.end_unwanted(cx, body.id.id());
        Ok(())
    }

    pub(super) fn shell_events(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let mut body: Events = request.decode()?;
        let id = body.id.id();
        let shell = self.shell_of(request, id, body.shell_rank)?;
        // Without a leader they are dropped: the shell keeps them, and is asked again.
        let Some(leader) = &shell.leader else { return Ok(()) };
        // What was sent to an earlier leader is sent again to this one: until then, what follows it must not be taken. What the shell
        // does not keep any more is not waited for.
        body.events.retain(|pair| {
            let seq = pair.get(0).and_then(Value::as_u64).unwrap_or(0);
            let is_next = seq <= shell.passed + 1 || body.acked > shell.passed;
            shell.passed = if is_next { shell.passed.max(seq) } else { shell.passed };
            is_next
        });
        let is_last = |pair: &Value| pair.at("/1/type").is_some_and(|kind| kind == "finish");
        shell.finished |= body.events.iter().any(is_last);
        let mut answer = Map::with_capacity(2);
        answer.insert("type".to_owned(), "events".into());
        answer.insert("events".to_owned(), Value::Array(body.events));
        cx.respond(leader, Value::Object(answer));
        Ok(())
    }

    /// The shell that a request comes from: its user's, and of this job.
    fn shell_of(&mut self, request: &Message, id: JobId, shell_rank: u32) -> Result<&mut Shell, Fault> {
        let shell = self.shells.get_mut(&id).filter(|shell| shell.shell_rank == shell_rank);
        let shell = shell.ok_or_else(|| Fault::new(Errno::ENOENT, format!("{id} has no such shell here")))?;
        if request.cred.authorize(shell.userid) || !flux_service::enforced("shell") {
            Ok(shell)
        } else {
            Err(Errno::EPERM.into())
        }
    }

    pub(super) fn order(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if request.payload.value()?.get("ranks").is_some() {
            return self.relay_order(cx, request);
        }
        if self.wait_for_all(request) {
            return Ok(());
        }
        let body: Order = request.decode()?;
        let id = body.id.id();
        if let Some(command) = body.command {
            if let (Some(shell), Some(seq)) = (self.shells.get_mut(&id), command.get("seq").and_then(Value::as_u64)) {
                shell.taken = shell.taken.max(seq);
            }
            self.command(cx, id, command);
        }
        if let Some(signum) = body.kill {
            self.kill_shell(cx, id, signum);
        }
        if body.done {
            match self.shells.get_mut(&id) {
                // Given up while this node was away: it is forgotten when it is gone.
                Some(shell) if matches!(shell.claim, Claim::Open | Claim::Over) && shell.remains.is_none() => {
                    shell.claim = Claim::Over;
                    self.end_unwanted(cx, id);
                }
                _ => self.forget_shell(cx, id),
            }
        }
        Ok(())
    }

    /// A command for the shell of a job, kept until it says hello.
    pub(super) fn command(&mut self, cx: &mut Cx<'_>, id: JobId, command: Value) {
        let Some(shell) = self.shells.get_mut(&id) else { return };
        match &shell.hello {
            Some(hello) if shell.greeted => cx.respond(hello, command),
            _ if shell.commands.len() < SHELL_ORDERS_MAX => shell.commands.push(command),
            _ => cx.log(LogLevel::Err, format!("job-exec: {id}: a shell that is not there gets too many commands")),
        }
    }

    fn kill_shell(&mut self, cx: &mut Cx<'_>, id: JobId, signum: i32) {
        let Some(shell) = self.shells.get_mut(&id) else { return };
        let signum = if shell.guest { super::guest::surrogate(signum) } else { signum };
        match (shell.process, &shell.hello) {
            (Some(of), _) => drop(cx.process(ProcessOp::Kill { of, signum, group: false })),
            // Started by a former broker: it ends its tasks and itself when it is told that nobody waits.
            (None, Some(hello)) => cx.end_stream(hello),
            (None, None) => {}
        }
    }

    /// The job is over and recorded.
    pub(super) fn forget_shell(&mut self, cx: &mut Cx<'_>, id: JobId) {
        self.recovery.unstarted.remove(&id);
        let Some(shell) = self.shells.remove(&id) else { return };
        if shell.guest {
            self.time_leavings(cx, id);
        }
        for stream in [&shell.hello, &shell.leader].into_iter().flatten() {
            cx.end_stream(stream);
        }
        if !shell.finished {
            // A shell that was lost could not take its temporary directory away.
            let path = format!("{}/jobtmp-{}-{}", cx.node.rundir, shell.shell_rank, id.encode(JobIdForm::F58));
            cx.file(FileOp::Remove { path });
        }
        shell.remove_home(cx);
    }

    pub(super) fn disconnect(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let now = cx.now.mono;
        self.disconnect_relays(cx, request);
        for shell in self.shells.values_mut() {
            if shell.hello.as_ref().is_some_and(|hello| request.same_sender(hello)) {
                shell.hello = None;
                shell.greeted = false;
                if shell.process.is_none() && shell.remains.is_none() {
                    // Without a lock to ask, it is given a moment to come again.
                    shell.hello_by = Some(if shell.home.is_some() { now } else { now.after(SHELL_BACK_WAIT) });
                    shell.awaited_since = Some(now);
                }
            }
            if shell.leader.as_ref().is_some_and(|leader| request.same_sender(leader)) {
                // If the next leader does not ask for it, it is to be known whether anybody wants it.
                shell.leader = None;
                if shell.claim == Claim::Settled {
                    shell.claim = Claim::Unsure;
                    self.claims_at.get_or_insert(now.after(RETRY_PAUSE));
                }
            }
        }
        Ok(())
    }
}

/// What the name of a job's record says, so that a restarted broker knows the shell again: `<id>.<shell rank>.<userid>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub id: JobId,
    pub shell_rank: u32,
    pub userid: u32,
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.id.encode(JobIdForm::F58Plain), self.shell_rank, self.userid)
    }
}

impl Home {
    /// `None`: no record of a job has such a name.
    pub(super) fn parse(name: &str) -> Option<Home> {
        let (id, rest) = name.split_once('.')?;
        let (shell_rank, userid) = rest.split_once('.')?;
        let home =
            Home { id: JobId::parse(id).ok()?, shell_rank: shell_rank.parse().ok()?, userid: userid.parse().ok()? };
        (home.to_string() == name).then_some(home)
    }
}

/// The directory in which a shell leaves what nobody took, beside its record.
pub(super) fn leavings(record: &str) -> String {
    format!("{record}{LEAVINGS}")
}

/// What the names of such directories end in.
pub(super) const LEAVINGS: &str = ".left";

/// Why a shell is lost.
pub(super) fn lost_note(status: Option<i32>) -> String {
    match status {
        Some(status) if status & 0x7f != 0 => format!("the job shell was killed by signal {}", status & 0x7f),
        Some(status) => format!("the job shell exited with code {} before its tasks were done", status >> 8 & 0xff),
        None => "the job shell ended without leaving a record".to_owned(),
    }
}

impl Shell {
    /// The file that it holds locked.
    pub(super) fn lock(&self) -> Option<String> {
        let home = self.home.as_ref()?;
        Some(if self.guest { format!("{home}/lock") } else { home.clone() })
    }

    fn remove_home(self, cx: &mut Cx<'_>) {
        let Some(path) = self.home else { return };
        if !self.guest {
            cx.file(FileOp::Remove { path: leavings(&path) });
        }
        cx.file(FileOp::Remove { path });
    }

    /// As [`lost_note`], with what it said itself.
    pub(super) fn lost_note(&self, status: Option<i32>) -> String {
        let note = lost_note(status);
        if self.said.is_empty() { note } else { format!("{note}: {}", self.said) }
    }
}

/// The shell of a job of this instance's owner.
fn shell_process(id: JobId, bundle: &[u8]) -> SpawnSpec {
    SpawnSpec {
        argv: vec!["flux-shell".to_owned(), id.encode(JobIdForm::F58Plain)],
        executable: Some("/proc/self/exe".to_owned()),
        stdin: Some(bundle.into()),
        detached: true,
        job_cgroup: true,
        fork_server: true,
        ..SpawnSpec::default()
    }
}

/// The bundle of ADR 1.
fn bundle(cx: &Cx<'_>, body: &Launch, record: Option<&str>) -> String {
    let id = body.id.id();
    let node = cx.node;
    let level: u32 = node.attr("instance-level").and_then(|text| text.parse().ok()).unwrap_or(0);
    let uri = node.attr("local-uri").map(str::to_owned);
    let uri = uri.unwrap_or_else(|| format!("local://{}/local-{}", node.rundir, node.rank));
    let guest = body.userid != node.owner;
    let waits = guest && node.statedir.is_some(); // It can leave no record of its end where we find it.
    let mut text = json!({
        "id": id.0,
        "userid": body.userid,
        "rank": node.rank.0,
        "shell_rank": body.shell_rank,
        "shell_count": body.shell_count,
        "service": format!("{}-shell-{}", body.userid, id.encode(JobIdForm::F58Plain)),
        "uri": uri,
        "rundir": node.rundir,
        "record": record,
        "options": {
            "jobid_path": node.attr("jobid-path").unwrap_or("/"),
            "instance_level": level,
            "guest": guest,
            "storage": node.config.get("storage").filter(|places| places.is_object()).cloned().unwrap_or_else(|| json!({})),
            "broker_absent_ms": waits.then_some(super::guest::BROKER_ABSENT_MS),
        },
    })
    .to_string();
    text.pop();
    text + "," + &body.job + "}"
}
