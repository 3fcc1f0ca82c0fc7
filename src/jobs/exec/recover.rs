//! After a restart: the job directories of this node, and what shells have left in them (ADR 1).

use std::collections::BTreeSet;
use std::sync::Arc;

use flux_service::{Completion, Cx, FileOp, LogLevel};
use flux_types::JobId;
use flux_wire::{Kind, Message};
use serde_json::{Value, json};

use super::absent::Claim;
use super::node::{Home, LEAVINGS, Shell, leavings, lost_note};
use super::{HELLO_WAIT, JobExec, Pending, RETRY_PAUSE};

/// What is being asked of the file system.
#[derive(Debug)]
pub(super) enum Step {
    JobsDirectory,
    Names,
    /// The leader's own.
    BegunDirectory,
    BegunNames,
    /// Is the shell alive? Asked at the start.
    Lock(JobId),
    /// Asked again, as it has not said hello.
    LockAgain(JobId),
    /// It does not live. Did it ever?
    Ran(JobId),
    Exit(JobId, Option<i32>),
    Spool(JobId, Option<i32>, Arc<[u8]>),
    /// What a guest's shell, or the IMP, wrote to standard error.
    Said(JobId, Option<i32>),
}

#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// Steps under way since the start.
    steps: usize,
    /// Requests and events that came before all was known, in their order.
    pub waiting: Vec<Message>,
    /// Jobs whose shell never took its lock: it never started a task.
    pub unstarted: BTreeSet<JobId>,
    /// Jobs that an earlier leader had begun.
    pub begun: BTreeSet<JobId>,
}

impl Recovery {
    pub(super) fn is_busy(&self) -> bool {
        self.steps > 0
    }
}

/// What a shell that is gone has left.
#[derive(Debug, Default)]
pub(super) struct Remains {
    events: Vec<(u64, Value)>,
    /// The last event is among them.
    pub complete: bool,
    /// Of the shell's process, where this broker was its parent.
    pub status: Option<i32>,
}

impl Remains {
    fn read(status: Option<i32>, exit: &[u8], spool: &[u8]) -> Remains {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut events: Vec<(u64, Value)> = Vec::new();
        for line in text(spool).lines().chain(text(exit).lines()) {
            let Ok((seq, event)) = serde_json::from_str::<(u64, Value)>(line) else { break };
            if events.last().is_none_or(|(last, _)| seq == last + 1) {
                events.push((seq, event));
            }
        }
        let complete = events.last().is_some_and(|(_, event)| event.get("type").is_some_and(|it| it == "finish"));
        Remains { events, complete, status }
    }

    /// For the leader, which has events up to `taken`.
    pub(super) fn tell(&self, taken: u64) -> Value {
        let events: Vec<&(u64, Value)> = self.events.iter().filter(|(seq, _)| *seq > taken).collect();
        json!({"type": "events", "events": events})
    }
}

fn jobs_dir(cx: &Cx<'_>) -> String {
    format!("{}/jobs", cx.node.rundir)
}

impl JobExec {
    pub(super) fn begin_recovery(&mut self, cx: &mut Cx<'_>) {
        if cx.node.statedir.is_some() {
            let path = jobs_dir(cx);
            self.step(cx, FileOp::MakeDir { path, mode: 0o700 }, Step::JobsDirectory);
            self.recover_begun(cx);
        }
    }

    pub(super) fn step(&mut self, cx: &mut Cx<'_>, op: FileOp, step: Step) {
        let tag = cx.file(op);
        self.recovery.steps += 1;
        self.pending.insert(tag, Pending::Recover(step));
    }

    pub(super) fn on_recover_step(&mut self, cx: &mut Cx<'_>, step: Step, completion: Completion) {
        self.recovery.steps -= 1;
        match (step, completion) {
            (Step::JobsDirectory, Completion::Done) => {
                let path = jobs_dir(cx);
                self.step(cx, FileOp::List { path }, Step::Names);
            }
            (Step::Names, Completion::Names(names)) => {
                for name in &names {
                    self.on_record(cx, name, &names);
                }
            }
            (Step::Lock(id) | Step::LockAgain(id), Completion::Locked(true)) => self.await_hello(cx, id),
            (Step::Lock(id) | Step::LockAgain(id), Completion::Locked(false)) if self.is_guest(id) => {
                self.ask_what_was_said(cx, id, None);
            }
            (Step::Lock(id), Completion::Locked(false)) => {
                let Some(path) = self.home_of(id) else { return };
                self.step(cx, FileOp::Read { path }, Step::Ran(id));
            }
            (Step::Ran(id), Completion::File(record)) if record.is_empty() => self.never_ran(id),
            (Step::Lock(id), _) => self.never_ran(id),
            (Step::LockAgain(id) | Step::Ran(id), _) => self.read_remains(cx, id, None),
            (Step::Exit(id, status), Completion::File(exit)) => {
                let Some(left) = self.leavings_of(id) else { return };
                self.step(cx, FileOp::Read { path: format!("{left}/spool") }, Step::Spool(id, status, exit));
            }
            (Step::Exit(id, status), _) => self.on_remains(cx, id, Remains { status, ..Remains::default() }),
            (Step::Spool(id, status, exit), Completion::File(spool)) => {
                self.on_remains(cx, id, Remains::read(status, &exit, &spool));
            }
            (Step::Said(id, status), said) => self.on_said(cx, id, status, said),
            (Step::Spool(id, status, exit), _) => self.on_remains(cx, id, Remains::read(status, &exit, &[])),
            (Step::BegunDirectory, Completion::Done) => self.list_begun(cx),
            (Step::BegunNames, Completion::Names(names)) => self.on_begun_names(&names),
            (Step::BegunDirectory | Step::BegunNames, other) => {
                cx.log(LogLevel::Err, format!("job-exec: cannot read what was begun: {other:?}"));
            }
            (Step::JobsDirectory | Step::Names, other) => {
                cx.log(LogLevel::Err, format!("job-exec: cannot read {}: {other:?}", jobs_dir(cx)));
            }
        }
        self.go_on(cx);
        if !self.recovery.is_busy() {
            self.claim_shells(cx);
        }
    }

    /// All is known: requests that waited are taken.
    pub(super) fn go_on(&mut self, cx: &mut Cx<'_>) {
        if self.recovery.is_busy() {
            return;
        }
        for message in std::mem::take(&mut self.recovery.waiting) {
            let outcome = match message.topic() {
                "job-exec.launch" => self.launch(cx, &message),
                "job-exec.order" => self.order(cx, &message),
                "job-exec.start" => self.start_job(cx, &message),
                "job-exec.expiration" => self.set_expiration(cx, &message),
                "job-exec.critical-ranks" => self.set_critical_ranks(cx, &message),
                "job-exec.shell-hello" => self.shell_hello(cx, &message),
                "job-exception" => self.exception(cx, &message),
                _ => self.kill_event(cx, &message),
            };
            match outcome {
                Err(fault) if message.kind() == Kind::Request => cx.respond_error(&message, &fault),
                Err(fault) => cx.log(LogLevel::Err, format!("job-exec: {}: {fault}", message.topic())),
                Ok(()) => {}
            }
        }
    }

    /// Keeps a message until all is known; `false` if it is.
    pub(super) fn wait_for_all(&mut self, message: &Message) -> bool {
        let busy = self.recovery.is_busy();
        if busy {
            self.recovery.waiting.push(message.clone());
        }
        busy
    }

    fn is_guest(&self, id: JobId) -> bool {
        self.shells.get(&id).is_some_and(|shell| shell.guest)
    }

    pub(super) fn home_of(&self, id: JobId) -> Option<String> {
        self.shells.get(&id)?.home.clone()
    }

    fn leavings_of(&self, id: JobId) -> Option<String> {
        Some(leavings(self.shells.get(&id)?.home.as_ref()?))
    }

    /// A record, or what was left beside one that is removed.
    fn on_record(&mut self, cx: &mut Cx<'_>, name: &str, all: &[String]) {
        let home = format!("{}/{name}", jobs_dir(cx));
        if let Some(record) = name.strip_suffix(LEAVINGS) {
            if all.binary_search_by(|other| other.as_str().cmp(record)).is_err() {
                cx.file(FileOp::Remove { path: home });
            }
            return;
        }
        let Some(Home { id, shell_rank, userid }) = Home::parse(name) else {
            return cx.log(LogLevel::Err, format!("job-exec: {home} is not named as records of jobs are"));
        };
        let (guest, claim) = (userid != cx.node.owner, Claim::Open);
        let shell = Shell { id, userid, shell_rank, guest, home: Some(home), claim, ..Shell::default() };
        let Some(path) = shell.lock() else { return };
        self.shells.insert(id, shell);
        self.step(cx, FileOp::IsLocked { path }, Step::Lock(id));
    }

    /// Its shell was asked for, but started no task.
    fn never_ran(&mut self, id: JobId) {
        self.shells.remove(&id);
        self.recovery.unstarted.insert(id);
    }

    /// The shell lives: it has a while to say hello.
    fn await_hello(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(shell) = self.shells.get_mut(&id).filter(|shell| shell.hello.is_none()) else { return };
        let since = *shell.awaited_since.get_or_insert(cx.now.mono);
        if cx.now.mono.since(since) < HELLO_WAIT {
            shell.hello_by = Some(cx.now.mono.after(RETRY_PAUSE));
            return;
        }
        shell.hello_by = None;
        let note = "the job shell lives but does not answer";
        self.tell_leader(cx, id, json!({"type": "lost", "status": null, "note": note}));
    }

    pub(super) fn ring_shells(&mut self, cx: &mut Cx<'_>) {
        let now = cx.now.mono;
        let due = |shell: &Shell| shell.hello_by.is_some_and(|at| at <= now);
        let due: Vec<JobId> = self.shells.values().filter(|shell| due(shell)).map(|shell| shell.id).collect();
        for id in due {
            let Some(shell) = self.shells.get_mut(&id) else { continue };
            shell.hello_by = None;
            let Some(path) = shell.lock() else {
                let lost = json!({"type": "lost", "status": null, "note": lost_note(None)});
                self.tell_leader(cx, id, lost);
                continue;
            };
            self.step(cx, FileOp::IsLocked { path }, Step::LockAgain(id));
        }
    }

    /// The shell is gone: its exit record says how its tasks ended.
    pub(super) fn read_remains(&mut self, cx: &mut Cx<'_>, id: JobId, status: Option<i32>) {
        let Some(left) = self.leavings_of(id) else { return };
        self.step(cx, FileOp::Read { path: format!("{left}/exit") }, Step::Exit(id, status));
    }

    fn on_remains(&mut self, cx: &mut Cx<'_>, id: JobId, remains: Remains) {
        let Some(shell) = self.shells.get_mut(&id) else { return };
        shell.remains = Some(remains);
        shell.hello_by = None;
        if shell.claim == Claim::Over {
            return self.end_unwanted(cx, id);
        }
        if shell.leader.is_some() {
            self.attach(cx, id);
        }
    }
}
