//! Submitting many jobs, and following them, over one connection: requests are sent ahead of their answers, but never
//! more than [`SUBMITS_OUTSTANDING_MAX`] of them, and nothing is polled.

use std::collections::{HashMap, VecDeque};
use std::io::{IsTerminal, Write};
use std::time::Duration;

use flux_client::{Errno, Fault, Handle, Incoming, Target, Ticket};
use flux_types::JobId;
use serde_json::{Value, json};

use super::progress;
use super::sinks::{Sink, Sinks};
use super::watch::{Effect, Watcher, Wishes};
use crate::frame::CmdError;
use crate::job::attach::{Log, columns};
use crate::jobid::shown;
use crate::limits::{JOBS_FOLLOWED_MAX, SUBMITS_OUTSTANDING_MAX};

const REDRAW: Duration = Duration::from_millis(250);

/// One job to be submitted.
#[derive(Debug)]
pub(crate) struct Submission {
    /// Stands before an error about it, `cc=1: `.
    pub(crate) label: String,
    /// J, see [`super::sign`].
    pub(crate) signed: String,
    pub(crate) urgency: i64,
    pub(crate) flags: u32,
    pub(crate) out: Sink,
    pub(crate) err: Sink,
    /// The event to wait for.
    pub(crate) until: Option<String>,
}

/// What holds for all jobs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    pub(crate) quiet: bool,
    /// Follow the jobs after submission.
    pub(crate) follow: bool,
    pub(crate) wishes: Wishes,
    pub(crate) progress: bool,
    pub(crate) rate: bool,
}

/// A job, the event to wait for, and where its output goes.
type Followed = (JobId, Option<String>, Sink, Sink);

enum Pending {
    Submit { label: String, out: Sink, err: Sink, until: Option<String> },
    Watch(JobId, Log),
}

pub(crate) struct Engine<'f> {
    flux: &'f mut Handle,
    manner: Manner,
    pub(crate) sinks: Sinks,
    pending: HashMap<Ticket, Pending>,
    tickets: HashMap<(JobId, u8), Ticket>,
    submitting: usize,
    watcher: Watcher,
    /// Jobs to be followed once there is room.
    unwatched: VecDeque<Followed>,
    effects: Vec<Effect>,
    exit_code: u8,
    started: Duration,
    drawn: Option<Duration>,
}

/// The payload of `job-ingest.submit`.
pub(crate) fn submit_request(signed: &str, urgency: i64, flags: u32) -> Value {
    json!({"J": signed, "urgency": urgency, "flags": flags})
}

/// The id in an answer of `job-ingest.submit`.
pub(crate) fn submitted_id(answer: &Value) -> Result<JobId, Fault> {
    let id = answer.get("id").and_then(Value::as_u64).map(JobId);
    id.ok_or_else(|| Fault::new(Errno::EPROTO, "job-ingest.submit answered without an id"))
}

impl<'f> Engine<'f> {
    pub(crate) fn new(flux: &'f mut Handle, manner: Manner, sinks: Sinks) -> Engine<'f> {
        let mut manner = manner;
        if manner.progress && !std::io::stdout().is_terminal() {
            say!("flux: WARNING: stdout is not a tty. Ignoring --progress option");
            manner.progress = false;
        }
        Engine {
            watcher: Watcher::new(manner.wishes.clone()),
            flux,
            manner,
            sinks,
            pending: HashMap::new(),
            tickets: HashMap::new(),
            submitting: 0,
            unwatched: VecDeque::new(),
            effects: Vec::new(),
            exit_code: 0,
            started: flux_sys::clock::monotonic(),
            drawn: None,
        }
    }

    /// Sends one submission, after waiting for room.
    ///
    /// # Errors
    /// Those of the connection and of writing.
    pub(crate) fn submit(&mut self, job: Submission) -> Result<(), CmdError> {
        while self.submitting >= SUBMITS_OUTSTANDING_MAX {
            self.step(None)?;
        }
        let body = submit_request(&job.signed, job.urgency, job.flags);
        let ticket = self.flux.send("job-ingest.submit", Target::Any, body, false)?;
        let pending = Pending::Submit { label: job.label, out: job.out, err: job.err, until: job.until };
        self.pending.insert(ticket, pending);
        self.submitting += 1;
        Ok(())
    }

    /// Follows jobs that are there already.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub(crate) fn follow(&mut self, id: JobId, out: Sink, err: Sink) -> Result<(), CmdError> {
        self.unwatched.push_back((id, Some("clean".to_owned()), out, err));
        self.perform()
    }

    /// Waits until every submission is answered and every followed job is done. Answers the exit code.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub(crate) fn finish(mut self) -> Result<u8, CmdError> {
        while self.submitting > 0 || self.watcher.active() > 0 || !self.unwatched.is_empty() {
            let timeout = self.manner.progress.then_some(REDRAW);
            self.step(timeout)?;
        }
        if self.drawn.is_some() {
            self.draw(true)?;
        }
        self.sinks.flush()?;
        Ok(self.exit_code.max(self.watcher.exit_code()))
    }

    /// Handles everything that has arrived, after waiting for something to arrive.
    fn step(&mut self, timeout: Option<Duration>) -> Result<(), CmdError> {
        let mut next = self.flux.next(timeout)?;
        while let Some(incoming) = next {
            if let Incoming::Response { ticket, last, message } = incoming {
                self.on_response(ticket, last, &message)?;
                self.perform()?;
            }
            next = self.flux.take();
        }
        self.sinks.flush()?;
        if self.manner.progress {
            self.draw(false)?;
        }
        Ok(())
    }

    fn on_response(&mut self, ticket: Ticket, last: bool, message: &flux_client::Message) -> Result<(), CmdError> {
        let fault = Fault::of(message);
        let Some(pending) = self.pending.get(&ticket) else { return Ok(()) };
        match pending {
            Pending::Watch(id, log) => {
                let (id, log) = (*id, *log);
                match fault {
                    Some(fault) => {
                        let quiet = fault.errno == Errno::ENODATA || log != Log::Main;
                        let why = (!quiet).then(|| fault.message());
                        self.watcher.on_end(id, log, why.as_deref(), &mut self.effects);
                    }
                    None => {
                        let body = message.payload.value().map_err(flux_client::ClientError::from)?;
                        if let Some(text) = body.get("event").and_then(Value::as_str) {
                            self.watcher.on_event(id, log, text, &mut self.effects);
                        }
                    }
                }
                if last {
                    self.pending.remove(&ticket);
                    self.tickets.remove(&(id, log as u8));
                }
            }
            Pending::Submit { .. } => {
                let Some(Pending::Submit { label, out, err, until }) = self.pending.remove(&ticket) else {
                    return Ok(());
                };
                self.submitting -= 1;
                self.on_submitted(message, fault, &label, (out, err), until)?;
            }
        }
        Ok(())
    }

    fn on_submitted(
        &mut self,
        message: &flux_client::Message,
        fault: Option<Fault>,
        label: &str,
        (out, err): (Sink, Sink),
        until: Option<String>,
    ) -> Result<(), CmdError> {
        let answer = match fault {
            Some(fault) => Err(fault),
            None => message.payload.value().map_err(Fault::from).and_then(|answer| submitted_id(&answer)),
        };
        match answer {
            Ok(id) => {
                if !self.manner.quiet {
                    self.clear_line()?;
                    self.sinks.write(out, format!("{}\n", shown(id)).as_bytes())?;
                }
                if self.manner.follow {
                    self.unwatched.push_back((id, until, out, err));
                } else {
                    self.watcher.counts.submitted();
                }
            }
            Err(fault) => {
                self.exit_code = 1;
                let line = format!("{label}[Errno {}] {}\n", fault.errno.0, fault.message());
                self.sinks.write(err, line.as_bytes())?;
            }
        }
        Ok(())
    }

    fn perform(&mut self) -> Result<(), CmdError> {
        while self.watcher.active() < JOBS_FOLLOWED_MAX
            && let Some((id, until, out, err)) = self.unwatched.pop_front()
        {
            self.watcher.add(id, until, out, err, &mut self.effects);
        }
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Print(sink, bytes) => {
                    self.clear_line()?;
                    self.sinks.write(sink, &bytes)?;
                }
                Effect::Watch(id, log) => {
                    let body = json!({"id": id, "path": log.path(), "flags": 0});
                    let ticket = self.flux.send("job-info.eventlog-watch", Target::Any, body, true)?;
                    self.pending.insert(ticket, Pending::Watch(id, log));
                    self.tickets.insert((id, log as u8), ticket);
                }
                Effect::Stop(id, log) => {
                    if let Some(ticket) = self.tickets.remove(&(id, log as u8)) {
                        self.pending.remove(&ticket);
                        self.flux.cancel("job-info.eventlog-watch-cancel", Target::Any, ticket)?;
                        self.flux.forget(ticket);
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes room where the progress line stands.
    fn clear_line(&mut self) -> Result<(), CmdError> {
        match self.drawn {
            Some(_) => self.sinks.write(super::sinks::STDOUT, b"\r\x1b[K"),
            None => Ok(()),
        }
    }

    fn draw(&mut self, last: bool) -> Result<(), CmdError> {
        let now = flux_sys::clock::monotonic();
        if !last && self.drawn.is_some_and(|at| now.saturating_sub(at) < REDRAW) {
            return Ok(());
        }
        self.drawn = Some(now);
        let columns = columns(std::io::stdout());
        let seconds = now.saturating_sub(self.started).as_secs_f64();
        let line = progress::line(&self.watcher.counts, columns, seconds, self.manner.rate);
        let mut out = std::io::stdout();
        write!(out, "\r{line}{}", if last { "\n" } else { "" })?;
        Ok(out.flush()?)
    }
}
