//! The instance: one broker, whose world does everything at once and whose clock goes from one thing that is due to the next.

use crate::limits::TURN_COUNT_MAX;
use crate::machine::{Machine, OWNER};
use flux_broker::{ConnId, Input, Node, NodeSetup, Output, Owner};
use flux_service::{Completion, Fault, FileOp, LogPosition, Mono, Now, ProcessEvent, ProcessOp, StoreOp, Tag, Wall};
use flux_wire::{Cred, Errno, Flags, Message, Target, role};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// When traces begin: a whole second, as they count in seconds.
const WALL_START: Duration = Duration::from_secs(1_750_000_000);
/// Who submits and listens.
const CLIENT: ConnId = ConnId(1);

pub(crate) struct Instance<'m> {
    machine: &'m Machine,
    node: Node,
    /// Since the trace began.
    now: Duration,
    inbox: Vec<Input>,
    heard: Vec<Message>,
    last_tag: u32,
    log_end: u64,
    blobs: BTreeMap<Arc<[u8]>, Arc<[u8]>>,
    /// What the broker had to say of errors.
    pub(crate) complaints: Vec<String>,
}

fn at(now: Duration) -> Now {
    Now { mono: Mono(now), wall: Wall(WALL_START + now) }
}

/// Seconds since the trace began, of a time stamp of the instance.
pub(crate) fn since_start(timestamp: f64) -> i64 {
    (timestamp - WALL_START.as_secs_f64()).round() as i64
}

impl<'m> Instance<'m> {
    /// Starts it, and waits until jobs can be submitted.
    ///
    /// # Errors
    /// Why it does not start.
    pub(crate) fn boot(machine: &'m Machine, setup: NodeSetup) -> Result<Instance<'m>, String> {
        let now = Duration::ZERO;
        let mut instance = Instance {
            machine,
            node: Node::new(setup, at(now))?,
            now,
            inbox: Vec::new(),
            heard: Vec::new(),
            last_tag: 0,
            log_end: 0,
            blobs: BTreeMap::new(),
            complaints: Vec::new(),
        };
        let cred = Cred { userid: OWNER, rolemask: role::OWNER | role::LOCAL };
        instance.inbox.push(Input::Connected { conn: CLIENT, cred });
        instance.perform();
        instance.settle()?;
        Ok(instance)
    }

    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// When something is next due by the broker's own timers.
    pub(crate) fn next_timer(&self) -> Option<Duration> {
        self.node.next_timer().map(|when| when.0)
    }

    /// Time goes on to `when`.
    pub(crate) fn pass(&mut self, when: Duration) {
        self.now = self.now.max(when);
    }

    /// A request; answers with its matchtag. What comes of it is among what is heard after [`Instance::settle`].
    pub(crate) fn ask(&mut self, topic: &str, flags: u8, body: Value) -> u32 {
        self.last_tag += 1;
        let mut message = Message::request(topic, Target::Any, self.last_tag, body.into());
        message.flags = Flags(flags);
        self.inbox.push(Input::Message { conn: CLIENT, message });
        self.last_tag
    }

    /// Everything that is due now is done, and what follows from it.
    ///
    /// # Errors
    /// The broker never comes to rest, or stops.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        let now = at(self.now);
        for _ in 0..TURN_COUNT_MAX {
            let is_due = self.node.next_timer().is_some_and(|when| when <= now.mono);
            if self.inbox.is_empty() && !is_due {
                return Ok(());
            }
            for input in std::mem::take(&mut self.inbox) {
                self.node.handle(now, input);
            }
            if is_due {
                self.node.on_timer(now);
            }
            self.node.end_turn(now);
            if let Some(code) = self.perform() {
                return Err(format!("the instance ends with {code}: {}", self.complaints.join("; ")));
            }
        }
        Err("the instance does not come to rest".into())
    }

    /// What the client has heard since it was last asked.
    pub(crate) fn hear(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.heard)
    }

    /// Does what the broker wants; `Some` if it wants to end.
    fn perform(&mut self) -> Option<i32> {
        let mut exit = None;
        for output in self.node.take_outputs() {
            match output {
                Output::Send { conn: CLIENT, message } => self.heard.push(message),
                Output::Store { owner, tag, op } => self.store(owner, tag, op),
                Output::File { owner, tag, op } => {
                    let completion = self.file(&op);
                    self.complete(owner, tag, completion);
                }
                Output::Process { owner, tag, op: ProcessOp::Spawn(_) } => {
                    self.complete(owner, tag, Completion::Process(ProcessEvent::NotStarted { errno: Errno::ENOENT }));
                }
                Output::Compute { owner, tag, errand } => {
                    errand.run();
                    self.complete(owner, tag, Completion::Done);
                }
                Output::Stderr { line } => self.complaints.push(line),
                Output::Exit { code } => exit = Some(code),
                _ => {}
            }
        }
        exit
    }

    fn complete(&mut self, owner: Owner, tag: Tag, completion: Completion) {
        self.inbox.push(Input::Completion { owner, tag, completion });
    }

    /// A store in memory, which never restarts.
    fn store(&mut self, owner: Owner, tag: Tag, op: StoreOp) {
        let completion = match op {
            StoreOp::Append { record, .. } => {
                self.log_end += record.len() as u64;
                Completion::Logged { position: LogPosition(self.log_end) }
            }
            StoreOp::Trim { .. } => return,
            StoreOp::Put { blobs, .. } => {
                self.blobs.extend(blobs);
                Completion::Stored
            }
            StoreOp::Get { hash } => Completion::Blob(self.blobs.get(&hash).cloned()),
            // Nobody asks for its garbage to be collected.
            StoreOp::Horizon { .. } | StoreOp::Mark { .. } | StoreOp::Sweep { .. } => {
                Completion::Failed(Fault::from(Errno::ENOSYS))
            }
        };
        self.complete(owner, tag, completion);
    }

    fn file(&self, op: &FileOp) -> Completion {
        match op {
            FileOp::Read { path } => match self.machine.file(path) {
                Some(bytes) => Completion::File(bytes),
                None => Completion::Failed(Fault::from(Errno::ENOENT)),
            },
            FileOp::Write { .. }
            | FileOp::MakeDir { .. }
            | FileOp::Create { .. }
            | FileOp::Mark { .. }
            | FileOp::Remove { .. } => Completion::Done,
            FileOp::List { .. } => Completion::Names(Vec::new()),
            FileOp::User { uid } => Completion::User { name: format!("user{uid}"), groups: Vec::new() },
            FileOp::IsLocked { .. } => Completion::Failed(Fault::from(Errno::ENOENT)),
        }
    }
}
