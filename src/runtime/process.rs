//! Child processes: started, fed, listened to, signalled and collected.

mod forkserver;
mod launch;
mod pipe;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use flux_service::{Completion, Mono, ProcessEvent, ProcessOp, SpawnSpec, StdStream, Tag};
use flux_sys::process::Child;
use flux_wire::Errno;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use self::forkserver::ForkServer;
use self::launch::Launcher;
use self::pipe::{Got, Pipe};
use crate::limits::{EXIT_DRAIN_MS, PROCESSES_MAX, TURN_BYTES_MAX};
use crate::node::{Input, Owner};
use crate::tokens::{Ring, Tokens};

/// The operation that started a process names it.
type Key = (Owner, Tag);

/// What an event is about.
#[derive(Clone, Debug)]
enum Part {
    End,
    Stream(StdStream),
}

#[derive(Debug)]
struct Process {
    child: Child,
    /// It leads a process group of its own.
    leader: bool,
    /// Made for it alone: removed when it has ended.
    cgroup: Option<flux_sys::cgroup::Cgroup>,
    end_token: Token,
    pipes: BTreeMap<StdStream, (Token, Pipe)>,
    exited: Option<i32>,
    /// When to stop waiting for output that a descendant keeps open.
    drain_until: Option<Mono>,
}

/// All child processes of this broker.
#[derive(Debug)]
pub(crate) struct Processes {
    launcher: Launcher,
    table: HashMap<Key, Process>,
    parts: HashMap<Token, (Key, Part)>,
    ready: Ring,
    /// Ended, with output still to come.
    draining: BTreeSet<Key>,
    /// Those whose stops are reported: all but the detached ones, which have supervisors of their own.
    watched: BTreeSet<Key>,
    fork_server: Option<ForkServer>,
    /// There can be none here.
    no_fork_server: bool,
    /// It could not be started: when it is tried again, and the pause before that.
    fork_server_again: Option<(std::time::Instant, Duration)>,
}

impl Processes {
    pub(crate) fn new() -> Processes {
        Processes {
            launcher: Launcher::new(),
            table: HashMap::new(),
            parts: HashMap::new(),
            ready: Ring::default(),
            draining: BTreeSet::new(),
            watched: BTreeSet::new(),
            fork_server: None,
            no_fork_server: false,
            fork_server_again: None,
        }
    }

    /// Performs one operation; what there is to say about it goes to `inbox`.
    pub(crate) fn perform(
        &mut self,
        registry: &Registry,
        tokens: &mut Tokens,
        key: Key,
        op: ProcessOp,
        inbox: &mut VecDeque<Input>,
    ) {
        let owner = key.0;
        match op {
            // The start is reported when the server has answered.
            ProcessOp::Spawn(spec) if spec.fork_server && self.order_copy(registry, tokens, key, &spec) => {}
            ProcessOp::Spawn(spec) => {
                let event = match self.spawn(registry, tokens, key, &spec) {
                    Ok(pid) => ProcessEvent::Started { pid },
                    Err(errno) => ProcessEvent::NotStarted { errno },
                };
                inbox.push_back(report(key, event));
            }
            ProcessOp::Write { of, stream, bytes, eof } => self.write((owner, of), &stream, &bytes, eof),
            ProcessOp::Kill { of, signum, group } => self.kill((owner, of), signum, group),
            ProcessOp::KillGroup { name } => self.launcher.kill_group(&name),
            ProcessOp::Credit { of, stream, bytes } => {
                let Some((token, pipe)) = self.pipe((owner, of), &stream) else { return };
                pipe.add_credit(bytes);
                let token = *token;
                self.ready.insert(token);
            }
        }
    }

    fn spawn(&mut self, registry: &Registry, tokens: &mut Tokens, key: Key, spec: &SpawnSpec) -> Result<u32, Errno> {
        if self.table.len() >= PROCESSES_MAX {
            return Err(Errno::EAGAIN);
        }
        let launched = self.launcher.launch(spec)?;
        let pid = launched.child.pid().0 as u32;
        let mut process = Process {
            child: launched.child,
            leader: launched.leader,
            cgroup: launched.cgroup,
            end_token: tokens.next(),
            pipes: BTreeMap::new(),
            exited: None,
            drain_until: None,
        };
        for (stream, end) in launched.ends {
            process.pipes.insert(stream, (tokens.next(), Pipe::new(end)));
        }
        if let Err(error) = register(registry, &process) {
            // Without a way to hear of it we must not keep it.
            let _ = process.child.signal(flux_sys::signal::Name::SIGKILL as i32);
            let _ = process.child.wait();
            return Err(crate::file::errno_of(&error));
        }
        self.parts.insert(process.end_token, (key, Part::End));
        for (stream, (token, _)) in &process.pipes {
            self.parts.insert(*token, (key, Part::Stream(stream.clone())));
        }
        if !spec.detached {
            self.watched.insert(key);
        }
        let former = self.table.insert(key, process);
        assert!(former.is_none(), "one operation starts one process: {key:?}");
        Ok(pid)
    }

    fn pipe(&mut self, key: Key, stream: &StdStream) -> Option<&mut (Token, Pipe)> {
        self.table.get_mut(&key)?.pipes.get_mut(stream)
    }

    fn write(&mut self, key: Key, stream: &StdStream, bytes: &[u8], eof: bool) {
        let Some((token, pipe)) = self.pipe(key, stream) else { return };
        let token = *token;
        if pipe.queue(bytes, eof) {
            self.ready.insert(token);
        } else {
            // Its input can neither be kept nor be left out: better no process than one that got half of it.
            crate::stderr::line(&format!("flux-broker: process {key:?} does not read its input: killed"));
            self.kill(key, flux_sys::signal::Name::SIGKILL as i32, true);
        }
    }

    fn kill(&mut self, key: Key, signum: i32, group: bool) {
        let Some(process) = self.table.get(&key) else {
            if let Some(server) = &mut self.fork_server {
                server.signal_later(key, signum);
            }
            return;
        };
        // What fails here has ended already. A group may outlive its leader; once the leader is collected its number
        // may belong to strangers, so it is then left alone.
        let _ = match group && process.leader && process.exited.is_none() {
            true => flux_sys::process::kill_group(process.child.pid(), signum),
            false => process.child.signal(signum),
        };
    }

    /// SIGCHLD came: says who has been stopped.
    pub(crate) fn report_stops(&self, inbox: &mut VecDeque<Input>) {
        for key in &self.watched {
            if self.table.get(key).is_some_and(|process| process.child.take_stop()) {
                inbox.push_back(report(*key, ProcessEvent::Stopped));
            }
        }
    }

    /// Takes an event if it is about a process.
    pub(crate) fn note(&mut self, event: &mio::event::Event) {
        let token = event.token();
        if let Some(server) = self.fork_server.as_mut().filter(|server| server.token == token) {
            server.pipe.note(event);
            self.ready.insert(token);
            return;
        }
        let Some((key, part)) = self.parts.get(&token) else { return };
        let (key, part) = (*key, part.clone());
        if let Part::Stream(stream) = part
            && let Some((_, pipe)) = self.pipe(key, &stream)
        {
            pipe.note(event);
        }
        self.ready.insert(token);
    }

    /// Reads and writes whatever is ready, and collects who has ended.
    pub(crate) fn service(
        &mut self,
        registry: &Registry,
        tokens: &mut Tokens,
        now: Mono,
        chunk: &mut [u8],
        inbox: &mut VecDeque<Input>,
    ) {
        let mut round = self.ready.take_round();
        let mut left = TURN_BYTES_MAX;
        while left > 0
            && let Some(token) = round.pop_front()
        {
            if self.fork_server.as_ref().is_some_and(|server| server.token == token) {
                self.serve_copies(registry, tokens, chunk, inbox);
                continue;
            }
            let Some((key, part)) = self.parts.get(&token) else { continue };
            let (key, part) = (*key, part.clone());
            match part {
                Part::End => self.collect(key, now),
                Part::Stream(stream) => left = left.saturating_sub(self.serve_pipe(key, &stream, chunk, inbox)),
            }
        }
        self.ready.put_back(round);
        let finished: Vec<Key> = self.draining.iter().copied().filter(|key| self.is_finished(*key, now)).collect();
        for key in finished {
            self.finish(key, inbox);
        }
    }

    fn collect(&mut self, key: Key, now: Mono) {
        let Some(process) = self.table.get_mut(&key) else { return };
        if process.exited.is_some() {
            return; // The kernel may tell it twice.
        }
        let status = match process.child.try_wait() {
            Ok(None) => return,
            Ok(Some((status, _))) => status.0,
            // Collected by somebody else, which is a bug, but the service must not wait for ever.
            Err(_) => 0xff00,
        };
        process.exited = Some(status);
        process.drain_until = Some(now.after(Duration::from_millis(EXIT_DRAIN_MS)));
        // What it wrote last is in the pipes by now.
        for (token, pipe) in process.pipes.values() {
            if pipe.is_read_open() {
                self.ready.insert(*token);
            }
        }
        self.draining.insert(key);
    }

    /// Writes and reads one stream; answers how many bytes were read.
    fn serve_pipe(&mut self, key: Key, stream: &StdStream, chunk: &mut [u8], inbox: &mut VecDeque<Input>) -> usize {
        let Some((token, pipe)) = self.pipe(key, stream) else { return 0 };
        let token = *token;
        let bytes = pipe.flush();
        if bytes > 0 {
            inbox.push_back(report(key, ProcessEvent::Taken { stream: stream.clone(), bytes }));
        }
        pipe.begin_turn();
        let mut taken = 0;
        loop {
            match pipe.read(chunk) {
                Got::Bytes(len) => {
                    taken += len;
                    inbox.push_back(output(key, stream, &chunk[..len], false));
                }
                Got::Eof => inbox.push_back(output(key, stream, &[], true)),
                Got::Nothing => break,
            }
        }
        let (again, open) = (pipe.wants_read(), pipe.is_open());
        if again {
            self.ready.insert(token);
        }
        if !open {
            self.parts.remove(&token);
            if let Some(process) = self.table.get_mut(&key) {
                process.pipes.remove(stream);
            }
        }
        taken
    }

    fn is_finished(&self, key: Key, now: Mono) -> bool {
        let Some(process) = self.table.get(&key) else { return true };
        let mut open = process.pipes.values().filter(|(_, pipe)| pipe.is_read_open()).peekable();
        if open.peek().is_none() {
            return true;
        }
        process.drain_until.is_some_and(|at| at <= now)
            && !open.any(|(token, pipe)| pipe.is_held_back() || self.ready.contains(*token))
    }

    fn finish(&mut self, key: Key, inbox: &mut VecDeque<Input>) {
        self.draining.remove(&key);
        self.watched.remove(&key);
        let Some(mut process) = self.table.remove(&key) else { return };
        self.parts.remove(&process.end_token);
        for (stream, (token, pipe)) in &mut process.pipes {
            self.parts.remove(token);
            if pipe.is_read_open() {
                pipe.abandon();
                inbox.push_back(output(key, stream, &[], true));
            }
        }
        if let Some(cgroup) = process.cgroup {
            self.launcher.remove_group(cgroup);
        }
        let status = process.exited.expect("only processes that have ended are drained");
        inbox.push_back(report(key, ProcessEvent::Exited { status }));
    }

    /// When `service` has work that no event announces.
    pub(crate) fn next_deadline(&self) -> Option<Mono> {
        self.draining.iter().filter_map(|key| self.table.get(key)?.drain_until).min()
    }

    /// Is something left of this turn's work?
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }
}

fn register(registry: &Registry, process: &Process) -> io::Result<()> {
    let pidfd = process.child.as_fd().as_raw_fd();
    registry.register(&mut SourceFd(&pidfd), process.end_token, Interest::READABLE)?;
    for (token, pipe) in process.pipes.values() {
        let fd = pipe.raw_fd();
        registry.register(&mut SourceFd(&fd), *token, Interest::READABLE | Interest::WRITABLE)?;
    }
    Ok(())
}

fn report(key: Key, event: ProcessEvent) -> Input {
    Input::Completion { owner: key.0, tag: key.1, completion: Completion::Process(event) }
}

fn output(key: Key, stream: &StdStream, bytes: &[u8], eof: bool) -> Input {
    report(key, ProcessEvent::Output { stream: stream.clone(), bytes: Arc::from(bytes), eof })
}
