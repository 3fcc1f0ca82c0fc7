//! Attaching for real: one connection, standard input and signals, in one loop.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use flux_client::{Errno, Fault, Handle, Incoming, Rank, Target, Ticket};
use flux_sys::mpir;
use flux_sys::signal::SignalQueue;
use flux_types::JobId;
use serde_json::{Value, json};

use super::super::taskmap::hostpids;
use super::pty::Pty;
use super::session::{Effect, Log, Options, Session, watch_request};
use super::status::{StatusLine, When};
use crate::frame::CmdError;
use crate::limits::{STDIN_CHUNK_BYTES, STDIN_OUTSTANDING_MAX, STDIN_PAUSE};

/// Passed on to the job; SIGINT is judged here, SIGTSTP only after it.
const FORWARDED: &[i32] = &[15, 1, 14, 10, 12];
const SIGINT: i32 = 2;
const SIGCONT: i32 = 18;
const SIGTSTP: i32 = 20;
const SIGWINCH: i32 = 28;

/// What a pending request is about.
#[derive(Debug, PartialEq)]
enum Pending {
    Watch(Log),
    /// A watch that was given up; its end does not matter any more.
    Stopped,
    /// A piece of standard input, kept until the shell has taken it.
    Stdin(Piece),
    /// A signal or a cancellation: the word for it.
    Order(&'static str),
    Pty,
}

/// Rank, topic and RFC 24 object.
type Piece = (u32, String, Value);

/// The state of the loop.
pub(super) struct Driver<'f> {
    flux: &'f mut Handle,
    id: JobId,
    pending: Vec<(Ticket, Pending)>,
    signals: Option<SignalQueue>,
    suspend: Option<SignalQueue>,
    resized: Option<SignalQueue>,
    stdin: Option<File>,
    stdin_under_way: usize,
    /// What the shell had no room for, and when it is sent again.
    stdin_again: Option<(Duration, Piece)>,
    pty: Option<Pty>,
    emulates_debugger: bool,
    out: Vec<u8>,
    err: Vec<u8>,
}

/// Attaches to a job until it has ended. Answers the exit code.
///
/// # Errors
/// The sentence for the user, and those of the connection.
pub(crate) fn attach(flux: &mut Handle, id: JobId, name: &str, options: Options, status: When) -> Result<u8, CmdError> {
    let status = StatusLine::new(name, status, super::columns(io::stdin()), flux_sys::clock::monotonic());
    let signals = match options.read_only {
        true => None,
        false => Some(SignalQueue::new(&[FORWARDED, &[SIGINT]].concat())?),
    };
    let mut driver = Driver {
        flux,
        id,
        pending: Vec::new(),
        signals,
        suspend: None,
        resized: None,
        stdin: None,
        stdin_under_way: 0,
        stdin_again: None,
        pty: None,
        emulates_debugger: options.debug_emulate,
        out: Vec::new(),
        err: Vec::new(),
    };
    let mut effects = Vec::new();
    let mut session = Session::new(name, options, status, &mut effects);
    let ran = driver.run(&mut session, &mut effects);
    // Taking the session away gives the terminal back, before anything is said about the end.
    let ended = driver.pty.take().and_then(|pty| pty.ended());
    ran?;
    match ended {
        Some(ended) => Ok(u8::from(ended.status != 0)),
        None => session.outcome().map_err(CmdError::new),
    }
}

impl Driver<'_> {
    fn run(&mut self, session: &mut Session, effects: &mut Vec<Effect>) -> Result<(), CmdError> {
        self.perform(effects)?;
        loop {
            self.flux.advance()?;
            while let Some(incoming) = self.flux.take() {
                if let Incoming::Response { ticket, last, message } = incoming {
                    self.on_response(ticket, last, &message, session, effects)?;
                    self.perform(effects)?;
                }
                if session.done() {
                    break;
                }
            }
            self.flush()?;
            if self.pty.as_ref().and_then(Pty::ended).is_some() || session.done() {
                return Ok(());
            }
            self.wait(session, effects)?;
            self.perform(effects)?;
        }
    }

    fn on_response(
        &mut self,
        ticket: Ticket,
        last: bool,
        message: &flux_client::Message,
        session: &mut Session,
        effects: &mut Vec<Effect>,
    ) -> Result<(), CmdError> {
        let Some(place) = self.pending.iter().position(|(known, _)| *known == ticket) else { return Ok(()) };
        let fault = Fault::of(message);
        match (&self.pending[place].1, fault) {
            (Pending::Watch(log), Some(fault)) => {
                let end = (fault.errno != Errno::ENODATA).then_some(fault);
                session.on_end(*log, end, effects);
            }
            (Pending::Watch(log), None) => {
                let log = *log;
                // What was there is told of by an answer without a payload.
                if message.payload.is_none() {
                    session.on_sentinel(effects);
                } else {
                    let body = message.payload.value().map_err(flux_client::ClientError::from)?;
                    if let Some(text) = body.get("event").and_then(Value::as_str) {
                        session.on_event(log, text, effects);
                    }
                }
            }
            (Pending::Stdin(piece), Some(fault)) if fault.errno == Errno::EAGAIN && session.wants_stdin() => {
                self.stdin_again = Some((flux_sys::clock::monotonic() + STDIN_PAUSE, piece.clone()));
            }
            (Pending::Stdin(_), fault) => {
                self.stdin_under_way -= 1;
                if let Some(fault) = fault {
                    session.on_stdin_refused(&fault);
                }
            }
            (Pending::Order(what), Some(fault)) => {
                let line = format!("flux-job: {what}: {}\n", fault.message());
                effects.push(Effect::Err(line.into_bytes()));
            }
            (Pending::Pty, fault) => {
                self.on_pty(message, fault, effects)?;
            }
            (Pending::Order(_) | Pending::Stopped, _) => {}
        }
        if last {
            self.pending.remove(place);
        }
        Ok(())
    }

    fn on_pty(
        &mut self,
        message: &flux_client::Message,
        fault: Option<Fault>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), CmdError> {
        let Some(pty) = &mut self.pty else { return Ok(()) };
        let was_attached = pty.is_attached();
        let request = pty.on_response(message, fault, &mut self.out);
        let (attached, ended) = (pty.is_attached(), pty.ended());
        if attached && !was_attached {
            self.read_stdin(true);
            self.resized = Some(SignalQueue::new(&[SIGWINCH])?);
        }
        if ended.is_some_and(|ended| !ended.attached) {
            self.pty = None; // No terminal there any more: go on without.
            effects.push(Effect::ReadStdin(true));
        }
        if let Some((rank, topic, body)) = request {
            self.flux.notify(&topic, Target::Rank(Rank(rank)), body)?;
        }
        Ok(())
    }

    fn perform(&mut self, effects: &mut Vec<Effect>) -> Result<(), CmdError> {
        for effect in effects.drain(..) {
            match effect {
                Effect::Out(bytes) => self.print(true, &bytes)?,
                Effect::Err(bytes) => self.print(false, &bytes)?,
                Effect::Watch { log, sentinel } => {
                    let body = Value::Object(watch_request(self.id, log, sentinel));
                    self.send("job-info.eventlog-watch", Target::Any, body, true, Pending::Watch(log))?;
                }
                Effect::Stop(log) => self.stop(log)?,
                Effect::ReadStdin(on) => self.read_stdin(on),
                Effect::Stdin { rank, topic, data } => {
                    self.stdin_under_way += 1;
                    self.send_stdin((rank, topic, data))?;
                }
                Effect::Pty { rank, topic } => {
                    let (pty, body) = Pty::begin(rank, &topic);
                    self.send(&topic, Target::Rank(Rank(rank)), body, true, Pending::Pty)?;
                    self.pty = Some(pty);
                }
                Effect::Kill(signal) => {
                    let body = json!({"id": self.id, "signum": signal});
                    self.send("job-manager.kill", Target::Any, body, false, Pending::Order("kill"))?;
                }
                Effect::Cancel => {
                    let body = json!({"id": self.id, "type": "cancel", "severity": 0, "note": "interrupted by ctrl-C"});
                    self.send("job-manager.raise", Target::Any, body, false, Pending::Order("cancel"))?;
                }
                Effect::CatchSuspend(true) if self.suspend.is_none() => {
                    self.suspend = Some(SignalQueue::new(&[SIGTSTP])?);
                }
                Effect::CatchSuspend(true) => {}
                Effect::Debug => self.tell_debugger()?,
                Effect::CatchSuspend(false) => {
                    self.suspend = None;
                    flux_sys::signal::unblock(&[SIGTSTP])?;
                }
            }
        }
        Ok(())
    }

    /// A task that stopped for the debugger goes on with SIGCONT, which `--debug-emulate` sends in its place.
    fn tell_debugger(&mut self) -> Result<(), CmdError> {
        let tasks = hostpids::tasks(self.flux, self.id, None)?;
        mpir::publish(&tasks.into_iter().map(|(_, task)| task).collect::<Vec<_>>());
        if self.emulates_debugger {
            let body = json!({"id": self.id, "signum": SIGCONT});
            self.send("job-manager.kill", Target::Any, body, false, Pending::Order("kill"))?;
        }
        Ok(())
    }

    fn send(
        &mut self,
        topic: &str,
        target: Target,
        body: Value,
        streaming: bool,
        about: Pending,
    ) -> Result<(), CmdError> {
        let ticket = self.flux.send(topic, target, body, streaming)?;
        self.pending.push((ticket, about));
        Ok(())
    }

    fn send_stdin(&mut self, piece: Piece) -> Result<(), CmdError> {
        let (rank, topic, data) = piece.clone();
        self.send(&topic, Target::Rank(Rank(rank)), data, false, Pending::Stdin(piece))
    }

    fn stop(&mut self, log: Log) -> Result<(), CmdError> {
        for (ticket, about) in &mut self.pending {
            if *about == Pending::Watch(log) {
                *about = Pending::Stopped;
                self.flux.cancel("job-info.eventlog-watch-cancel", Target::Any, *ticket)?;
            }
        }
        Ok(())
    }

    /// Reads standard input unless that would stop us: a terminal belongs to the foreground.
    fn read_stdin(&mut self, on: bool) {
        let stdin = io::stdin();
        let background =
            flux_sys::terminal::foreground_group(&stdin).is_ok_and(|group| group != flux_sys::process::own_group().0);
        self.stdin = match on && !background {
            true => stdin.as_fd().try_clone_to_owned().ok().map(File::from),
            false => None,
        };
    }

    /// Sleeps until something can be done, and does the reading.
    fn wait(&mut self, session: &mut Session, effects: &mut Vec<Effect>) -> Result<(), CmdError> {
        let now = flux_sys::clock::monotonic();
        let again = self.stdin_again.as_ref().map(|(at, _)| *at);
        let timer = session.status.next_timer().into_iter().chain(again).min();
        let timeout = timer.map(|at| at.saturating_sub(now));
        let [signals, suspend, resized, stdin] = self.poll(timeout)?;
        let now = flux_sys::clock::monotonic();
        for (ready, queue) in [(signals, &self.signals), (suspend, &self.suspend)] {
            let Some(queue) = queue.as_ref().filter(|_| ready) else { continue };
            while let Some(got) = queue.next()? {
                session.on_signal(now, got.signal, effects);
            }
        }
        if let (true, Some(queue), Some(pty)) = (resized, &self.resized, &self.pty) {
            while queue.next()?.is_some() {}
            let (rank, topic, body) = pty.resize();
            self.flux.notify(&topic, Target::Rank(Rank(rank)), body)?;
        }
        if self.stdin_again.as_ref().is_some_and(|(at, _)| *at <= now)
            && let Some((_, piece)) = self.stdin_again.take()
        {
            self.send_stdin(piece)?;
        }
        if stdin {
            self.on_stdin(session, effects)?;
        }
        session.status.on_timer(now, flux_sys::clock::wall().as_secs_f64(), effects);
        Ok(())
    }

    /// Which of signals, suspension, changes of the terminal's size and standard input have something to read.
    fn poll(&self, timeout: Option<Duration>) -> Result<[bool; 4], CmdError> {
        let mut fds: Vec<(BorrowedFd<'_>, bool)> = vec![(self.flux.as_fd(), self.flux.wants_write())];
        let stdin = self.stdin.as_ref().filter(|_| self.stdin_under_way < STDIN_OUTSTANDING_MAX);
        let queues = [&self.signals, &self.suspend, &self.resized].map(|queue| queue.as_ref().map(AsFd::as_fd));
        let sources = queues.into_iter().chain([stdin.map(AsFd::as_fd)]);
        let mut places = [None; 4];
        for (place, source) in places.iter_mut().zip(sources) {
            if let Some(fd) = source {
                *place = Some(fds.len());
                fds.push((fd, false));
            }
        }
        let timeout_ms = timeout.map(|span| u32::try_from(span.as_micros().div_ceil(1000)).unwrap_or(u32::MAX));
        let ready = match flux_sys::fd::poll(&fds, timeout_ms) {
            Ok(ready) => ready,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok([false; 4]),
            Err(error) => return Err(error.into()),
        };
        Ok(places.map(|place| place.is_some_and(|at: usize| ready[at].readable || ready[at].hangup)))
    }

    fn on_stdin(&mut self, session: &mut Session, effects: &mut Vec<Effect>) -> Result<(), CmdError> {
        let Some(file) = &mut self.stdin else { return Ok(()) };
        let mut chunk = vec![0; STDIN_CHUNK_BYTES];
        match file.read(&mut chunk) {
            Ok(count) => match &self.pty {
                Some(pty) => {
                    let (rank, topic, body) = pty.keys(&chunk[..count]);
                    self.flux.notify(&topic, Target::Rank(Rank(rank)), body)?;
                    if count == 0 {
                        self.stdin = None;
                    }
                }
                None => session.on_stdin(&chunk[..count], effects),
            },
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            // Not readable at all (a directory, a terminal that is gone): the job sees its end.
            Err(_) => session.on_stdin(&[], effects),
        }
        Ok(())
    }

    /// Keeps what is said in order between the two streams, and writes as little often as it can.
    fn print(&mut self, to_out: bool, bytes: &[u8]) -> Result<(), CmdError> {
        if to_out {
            write_all(io::stderr(), &mut self.err)?
        } else {
            write_all(io::stdout(), &mut self.out)?
        }
        let buffer = if to_out { &mut self.out } else { &mut self.err };
        buffer.extend_from_slice(bytes);
        if self.pty.is_some() {
            buffer.push(b'\r'); // In raw mode a new line does not go back to the left by itself.
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), CmdError> {
        write_all(io::stdout(), &mut self.out)?;
        write_all(io::stderr(), &mut self.err)
    }
}

fn write_all(stream: impl AsFd, buffer: &mut Vec<u8>) -> Result<(), CmdError> {
    if !buffer.is_empty() {
        let mut file = File::from(stream.as_fd().try_clone_to_owned()?);
        file.write_all(buffer)?;
        buffer.clear();
    }
    Ok(())
}
