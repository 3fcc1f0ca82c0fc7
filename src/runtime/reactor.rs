//! The loop: what the kernel reports goes into the node, what the node wants is done.
//!
//! One turn takes everything that is ready, hands it to the node, lets the node end its batch once, and performs the
//! outputs; each client then gets its messages in one write.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use flux_service::{Mono, Now};
use flux_sys::signal::{Name, SignalQueue};
use flux_wire::Cred;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use std::os::fd::{AsFd, AsRawFd};

use crate::access::Access;
use crate::clock::Clock;
use crate::compute::Computer;
use crate::connection::{Connection, Dropped};
use crate::limits::{
    ACCEPT_RETRY_MS, CONNECTIONS_MAX, EVENTS_MAX, EXIT_FAREWELL_MS, EXIT_FLUSH_MS, GUEST_CONNECTIONS_MAX,
    LOCAL_ROUNDS_MAX, READ_CHUNK_BYTES, SPARE_HEAP_BYTES, STORE_BYTES_MAX, TIDY_PERIOD, TURN_BYTES_MAX,
};
use crate::listener::Listener;
use crate::node::{ConnId, Input, NodeLike, Output};
use crate::outlets::Outlets;
use crate::peers::{Peers, PeersSetup};
use crate::process::Processes;
use crate::stderr;
use crate::store::StoreHandle;
use crate::tokens::{LISTENER, Ring, SIGNALS, Tokens, WAKER};

/// Signals that the loop takes, unless whoever started us wants them ignored (nohup). The node hears of all but SIGCHLD.
const SIGNALS_TAKEN: &[Name] =
    &[Name::SIGINT, Name::SIGTERM, Name::SIGHUP, Name::SIGUSR1, Name::SIGUSR2, Name::SIGCHLD];

/// Everything outside the node.
pub struct Reactor {
    clock: Clock,
    poll: Poll,
    signals: SignalQueue,
    listener: Option<Listener>,
    /// The instance owner's user id.
    owner: u32,
    store: StoreHandle,
    computer: Computer,
    processes: Processes,
    /// `None` in an instance of one broker.
    peers: Option<Peers>,
    tokens: Tokens,
    connections: HashMap<Token, Connection>,
    /// Clients with bytes to read, perhaps.
    readable: Ring,
    /// Clients with messages to be sent.
    unsent: BTreeSet<Token>,
    accept_at: Option<Mono>,
    inbox: VecDeque<Input>,
    outlets: Outlets,
    chunk: Vec<u8>,
    exit: Option<i32>,
    /// When memory is next given back, if nothing else is to be done.
    tidy_at: Mono,
}

impl Reactor {
    /// A loop around `store`. From now on this thread's signals arrive as [`Input::Signal`].
    ///
    /// # Errors
    /// EMFILE and the like: the loop needs a few descriptors.
    pub fn new(mut store: StoreHandle, owner: u32) -> io::Result<Reactor> {
        let poll = Poll::new()?;
        let signals = take_over_signals()?;
        let fd = signals.as_fd().as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), SIGNALS, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        store.wake_with(waker.clone());
        Ok(Reactor {
            clock: Clock::new(),
            poll,
            signals,
            listener: None,
            owner,
            store,
            computer: Computer::new(waker),
            processes: Processes::new(),
            peers: None,
            tokens: Tokens::new(),
            connections: HashMap::new(),
            readable: Ring::default(),
            unsent: BTreeSet::new(),
            accept_at: None,
            inbox: VecDeque::new(),
            outlets: Outlets::default(),
            chunk: vec![0; READ_CHUNK_BYTES],
            exit: None,
            tidy_at: Mono::default(),
        })
    }

    /// The time as the node will be told it.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// Where log lines go besides standard error.
    pub(crate) fn outlets(&mut self, outlets: Outlets) {
        self.outlets = outlets;
    }

    /// Lets clients in.
    ///
    /// # Errors
    /// As epoll_ctl(2).
    pub fn listen(&mut self, mut listener: Listener) -> io::Result<()> {
        self.poll.registry().register(&mut listener.socket, LISTENER, Interest::READABLE)?;
        self.listener = Some(listener);
        Ok(())
    }

    /// Goes to other brokers and lets them in.
    ///
    /// # Errors
    /// As epoll_ctl(2).
    pub fn link(&mut self, setup: PeersSetup) -> io::Result<()> {
        self.peers = Some(Peers::new(setup, self.poll.registry(), &mut self.tokens)?);
        Ok(())
    }

    /// Runs until the node says [`Output::Exit`]; answers its code. The store has then taken all it was given.
    ///
    /// # Errors
    /// Only what makes the loop itself impossible (epoll_wait fails).
    pub fn run(mut self, node: &mut impl NodeLike) -> io::Result<i32> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            self.work(node);
            if let Some(code) = self.exit {
                self.flush_at_exit();
                self.store.close();
                return Ok(code);
            }
            match self.poll.poll(&mut events, self.timeout(node)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            if events.is_empty() {
                self.return_memory();
            }
            self.gather(node, &events);
        }
    }

    /// Nothing has come in: what the last rush has left is given back, now and then.
    fn return_memory(&mut self) {
        let now = self.clock.now().mono;
        if now >= self.tidy_at {
            flux_sys::process::return_memory(SPARE_HEAP_BYTES);
            self.tidy_at = now.after(TIDY_PERIOD);
        }
    }

    /// Turns until nothing is left that the node and we can do without the kernel.
    fn work(&mut self, node: &mut impl NodeLike) {
        for _ in 0..LOCAL_ROUNDS_MAX {
            self.turn(node);
            if self.inbox.is_empty() || self.exit.is_some() {
                break;
            }
        }
        // After all rounds: who is woken may take the processor from this thread.
        for token in std::mem::take(&mut self.unsent) {
            let Some(connection) = self.connections.get_mut(&token) else { continue };
            match connection.flush() {
                // Room may have been made for a client that was not read from meanwhile.
                Ok(()) if connection.wants_read() => self.readable.insert(token),
                Ok(()) => (),
                Err(why) => self.drop_client(token, &why),
            }
        }
    }

    fn turn(&mut self, node: &mut impl NodeLike) {
        let now = self.clock.now();
        for input in std::mem::take(&mut self.inbox) {
            node.handle(now, input);
        }
        if node.next_timer().is_some_and(|at| at <= now.mono) {
            node.on_timer(now);
        }
        node.end_turn(now);
        // The store first: a job may be marked as begun in this turn, and its resources should be in the log by then.
        let outputs = node.take_outputs().into_iter();
        let (kept, done): (Vec<Output>, Vec<Output>) =
            outputs.partition(|output| matches!(output, Output::Store { .. }));
        kept.into_iter().for_each(|output| self.perform(output));
        self.store.flush();
        done.into_iter().for_each(|output| self.perform(output));
        if let Some(peers) = &mut self.peers {
            peers.flush(now.mono, &mut self.inbox);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send { conn, message } => {
                let token = token_of(conn);
                // The client may have gone in this very turn.
                let Some(connection) = self.connections.get_mut(&token) else { return };
                match connection.send(&message) {
                    Ok(()) => _ = self.unsent.insert(token),
                    Err(why) => self.drop_client(token, &why),
                }
            }
            Output::Close { conn } => {
                let token = token_of(conn);
                let Some(mut connection) = self.connections.remove(&token) else { return };
                // What it was sent before goes out if there is room; a client to be closed is not waited for.
                let _ = connection.flush();
                self.forget(token);
            }
            Output::LinkSend { link, message } => {
                if let Some(peers) = &mut self.peers {
                    peers.send(link, &message);
                }
            }
            Output::LinkClose { link } => {
                if let Some(peers) = &mut self.peers {
                    peers.close(link);
                }
            }
            Output::Store { owner, tag, op } => {
                if let Some(completion) = self.store.submit(owner, tag, op) {
                    self.inbox.push_back(Input::Completion { owner, tag, completion });
                }
            }
            Output::Process { owner, tag, op } => {
                let registry = self.poll.registry();
                self.processes.perform(registry, &mut self.tokens, (owner, tag), op, &mut self.inbox);
            }
            Output::File { owner, tag, op } => {
                let completion = crate::file::perform(&op);
                self.inbox.push_back(Input::Completion { owner, tag, completion });
            }
            Output::Compute { owner, tag, errand } => self.computer.submit(owner, tag, errand),
            Output::Stderr { line } => stderr::line(&line),
            Output::LogFile { line } => self.outlets.file(&line),
            Output::Syslog { level, line } => self.outlets.syslog(level, &line),
            Output::Notify { text } => self.outlets.notify(&text),
            Output::Exit { code } => self.exit = Some(code),
        }
    }

    /// Takes what the kernel reported, and what was left of earlier turns, into the inbox.
    fn gather(&mut self, node: &impl NodeLike, events: &Events) {
        let mono = self.clock.mono();
        let mut accept = self.accept_at.is_some_and(|at| at <= mono);
        for event in events {
            match event.token() {
                SIGNALS => self.take_signals(),
                WAKER => (), // The store and the computer are asked below in any case.
                LISTENER => accept = true,
                token => match self.connections.get_mut(&token) {
                    Some(connection) => {
                        connection.note(event);
                        self.readable.insert(token);
                        self.unsent.insert(token);
                    }
                    None if self.peers.as_mut().is_some_and(|peers| peers.note(event)) => (),
                    None => self.processes.note(event),
                },
            }
        }
        self.store.drain(&mut self.inbox);
        self.computer.drain(&mut self.inbox);
        if accept {
            self.accept(mono, &Access::new(self.owner, node.config()));
        }
        self.processes.service(self.poll.registry(), &mut self.tokens, mono, &mut self.chunk, &mut self.inbox);
        if let Some(peers) = &mut self.peers {
            peers.service(mono, (self.poll.registry(), &mut self.tokens), &mut self.chunk, &mut self.inbox);
        }
        self.receive();
    }

    fn take_signals(&mut self) {
        while let Ok(Some(received)) = self.signals.next() {
            if received.signal == Name::SIGCHLD as i32 {
                self.processes.report_stops(&mut self.inbox);
            } else {
                self.inbox.push_back(Input::Signal { signum: received.signal });
            }
        }
    }

    fn accept(&mut self, mono: Mono, access: &Access) {
        self.accept_at = None;
        loop {
            let Some(listener) = &self.listener else { return };
            let connections = &self.connections;
            let has_room = |cred: Cred| match cred.is_owner() {
                true => connections.len() < CONNECTIONS_MAX,
                false => {
                    let own = connections.values().filter(|connection| connection.cred().userid == cred.userid).count();
                    connections.len() < CONNECTIONS_MAX / 2 && own < GUEST_CONNECTIONS_MAX
                }
            };
            match listener.accept(access, has_room) {
                Ok(Some((mut stream, cred))) => {
                    let token = self.tokens.next();
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    if let Err(error) = self.poll.registry().register(&mut stream, token, interest) {
                        stderr::line(&format!("flux-broker: a client could not be taken in: {error}"));
                        continue;
                    }
                    self.connections.insert(token, Connection::new(stream, cred));
                    self.readable.insert(token);
                    self.inbox.push_back(Input::Connected { conn: conn_of(token), cred });
                }
                Ok(None) => return,
                Err(error) => {
                    // Out of descriptors: those who wait are reported by no further edge, so we come back by ourselves.
                    stderr::line(&format!("flux-broker: clients wait to be taken in: {error}"));
                    self.accept_at = Some(mono.after(Duration::from_millis(ACCEPT_RETRY_MS)));
                    return;
                }
            }
        }
    }

    fn receive(&mut self) {
        if self.store.bytes_in_flight() > STORE_BYTES_MAX {
            return; // The disk is behind; its completion wakes us.
        }
        let mut round = self.readable.take_round();
        let mut left = TURN_BYTES_MAX;
        while left > 0
            && let Some(token) = round.pop_front()
        {
            left = left.saturating_sub(self.receive_from(token));
        }
        self.readable.put_back(round);
    }

    /// Reads from one client; answers how many bytes.
    fn receive_from(&mut self, token: Token) -> usize {
        let Some(connection) = self.connections.get_mut(&token) else { return 0 };
        if !connection.wants_read() {
            return 0;
        }
        let (conn, inbox) = (conn_of(token), &mut self.inbox);
        let take = |message| inbox.push_back(Input::Message { conn, message });
        match connection.receive(&mut self.chunk, take) {
            Ok(taken) => {
                if connection.wants_read() {
                    self.readable.insert(token);
                }
                taken
            }
            Err(why) => {
                self.drop_client(token, &why);
                0
            }
        }
    }

    fn drop_client(&mut self, token: Token, why: &Dropped) {
        if let Some(complaint) = why.complaint() {
            stderr::line(&format!("flux-broker: client {} dropped: {complaint}", token.0));
        }
        if self.connections.remove(&token).is_some() {
            self.forget(token);
            self.inbox.push_back(Input::Disconnected { conn: conn_of(token) });
        }
    }

    fn forget(&mut self, token: Token) {
        self.readable.remove(token);
        self.unsent.remove(&token);
    }

    /// How long nothing needs to be done, as far as we know.
    fn timeout(&self, node: &impl NodeLike) -> Option<Duration> {
        let reading = !self.readable.is_empty() && self.store.bytes_in_flight() <= STORE_BYTES_MAX;
        let linked = self.peers.as_ref().is_some_and(Peers::has_ready);
        if reading || linked || !self.inbox.is_empty() || self.processes.has_ready() {
            return Some(Duration::ZERO);
        }
        let peers = self.peers.as_ref().and_then(Peers::next_deadline);
        let deadlines = [node.next_timer(), self.processes.next_deadline(), self.accept_at, peers];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.since(self.clock.mono()))
    }

    /// Gives clients a last chance to take what was queued for them.
    fn flush_at_exit(&mut self) {
        let until = self.clock.mono().after(Duration::from_millis(EXIT_FLUSH_MS));
        let farewell = self.clock.mono().after(Duration::from_millis(EXIT_FAREWELL_MS));
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut ending: BTreeSet<Token> = BTreeSet::new();
        loop {
            self.connections.retain(|token, connection| {
                let sent = connection.flush().is_ok();
                if sent && connection.queued() == 0 && ending.insert(*token) && connection.end_sending().is_err() {
                    return false;
                }
                sent && !connection.is_hung_up()
            });
            let linked = self.peers.as_mut().map_or(0, |peers| peers.flush_at_exit(self.clock.mono()));
            // Who has all that was sent may take a moment to go by itself; who has not, longer.
            let all_sent = linked == 0 && self.connections.values().all(|connection| connection.queued() == 0);
            let left = if all_sent { farewell } else { until }.since(self.clock.mono());
            if self.connections.is_empty() && linked == 0 || left.is_zero() {
                return;
            }
            if self.poll.poll(&mut events, Some(left)).is_err() {
                return;
            }
            for event in &events {
                if let Some(connection) = self.connections.get_mut(&event.token()) {
                    connection.note(event);
                } else if let Some(peers) = &mut self.peers {
                    peers.note(event);
                }
            }
        }
    }
}

fn take_over_signals() -> io::Result<SignalQueue> {
    // A broker that was started with SIGCHLD ignored would never learn how its children end.
    flux_sys::signal::set_default(Name::SIGCHLD as i32)?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    let is_ignored = |number: i32| ignored.is_some_and(|mask| mask >> (number - 1) & 1 == 1);
    let numbers: Vec<i32> =
        SIGNALS_TAKEN.iter().map(|name| *name as i32).filter(|number| !is_ignored(*number)).collect();
    SignalQueue::new(&numbers)
}

fn conn_of(token: Token) -> ConnId {
    ConnId(token.0 as u64)
}

fn token_of(conn: ConnId) -> Token {
    Token(conn.0 as usize)
}
