//! The processes of one `flux exec`: their output, input, signals and ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ArgMatches;
use flux_client::{Errno, Fault, Handle, Incoming, Message, Rank, Target, Ticket};
use flux_sys::signal::SignalQueue;
use flux_types::Idset;
use serde_json::{Value, json};

use super::plan::{self, Plan, What};
use crate::frame::CmdError;
use crate::frame::context::Context;
use crate::limits::{EXEC_INPUT_BYTES, EXEC_LINE_MAX_BYTES};

/// Two interrupts within this time leave the processes to themselves.
const INTERRUPT_TWICE: Duration = Duration::from_secs(1);
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

struct Proc {
    rank: u32,
    pid: Option<i64>,
    /// Bytes of input that it has room for.
    credit: i64,
    /// The start of a line of output that has not ended: stdout, stderr.
    partial: [Vec<u8>; 2],
    running: bool,
}

pub(super) struct Session {
    began: Instant,
    plan: Plan,
    procs: BTreeMap<Ticket, Proc>,
    label: bool,
    verbose: bool,
    /// Input that was read and not sent; `None` once it ended.
    input: Option<Vec<u8>>,
    input_ended: bool,
    code: i32,
    /// How ranks ended that did not end well.
    ends: BTreeMap<String, Idset>,
    interrupted: Option<Instant>,
}

impl Session {
    pub(super) fn start(plan: Plan, flux: &mut Handle, matches: &ArgMatches) -> Result<Session, CmdError> {
        let (began, verbose) = (Instant::now(), matches.get_flag("verbose"));
        if verbose {
            let ranks = plan.ranks.encode(flux_types::IdsetFormat::RANGE_BRACKETS);
            say(began, format_args!("Starting {} on {ranks}", plan.name));
        }
        let takes_input = matches!(plan.what, What::Command { .. });
        let flags = plan::STDOUT | plan::STDERR | if takes_input { plan::WRITE_CREDIT } else { 0 };
        let (topic, request) = plan.request(flags);
        let mut procs = BTreeMap::new();
        for rank in plan.ranks.iter() {
            let ticket = flux.send(&topic, Target::Rank(Rank(rank)), request.clone(), true)?;
            let proc = Proc { rank, pid: None, credit: 0, partial: [Vec::new(), Vec::new()], running: true };
            procs.insert(ticket, proc);
        }
        if verbose {
            say(began, "Sent all requests");
        }
        Ok(Session {
            began,
            plan,
            procs,
            label: matches.get_flag("label-io"),
            verbose,
            input: takes_input.then(Vec::new),
            input_ended: matches.get_flag("noinput"),
            code: 0,
            ends: BTreeMap::new(),
            interrupted: None,
        })
    }

    fn running(&self) -> impl Iterator<Item = (Ticket, &Proc)> {
        self.procs.iter().filter(|(_, proc)| proc.running).map(|(ticket, proc)| (*ticket, proc))
    }

    /// Until all processes have ended; answers the highest exit code.
    pub(super) fn run(&mut self, flux: &mut Handle, cx: &mut Context) -> Result<i32, CmdError> {
        let signals = SignalQueue::new(&[SIGINT, SIGTERM])?;
        // Not the buffered one: what is in a buffer does not poll as readable.
        let mut stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        while self.running().next().is_some() {
            flux.advance()?;
            while let Some(incoming) = flux.take() {
                if let Incoming::Response { ticket, message, .. } = incoming {
                    self.answered(ticket, &message, cx)?;
                }
            }
            cx.out.flush()?;
            self.send_input(flux)?;
            if self.running().next().is_none() {
                break;
            }
            let wants_input = !self.input_ended && self.input.as_ref().is_some_and(Vec::is_empty) && self.room() > 0;
            let ready = {
                let mut fds = vec![(flux.as_fd(), flux.wants_write()), (signals.as_fd(), false)];
                if wants_input {
                    fds.push((stdin.as_fd(), false));
                }
                flux_sys::fd::poll(&fds, None)?
            };
            while let Some(received) = signals.next()? {
                self.signalled(received.signal, flux, cx)?;
            }
            if wants_input && ready.get(2).is_some_and(|ready| ready.readable || ready.hangup) {
                let mut chunk = vec![0; EXEC_INPUT_BYTES.min(self.room())];
                let len = stdin.read(&mut chunk)?;
                chunk.truncate(len);
                self.input_ended = len == 0;
                self.input = Some(chunk);
            }
        }
        Ok(self.code)
    }

    /// Input that every running process has room for.
    fn room(&self) -> usize {
        let least = self.running().map(|(_, proc)| proc.credit).min().unwrap_or(0);
        usize::try_from(least).unwrap_or(0)
    }

    /// Passes input on once all processes have started.
    fn send_input(&mut self, flux: &mut Handle) -> Result<(), CmdError> {
        let Some(input) = &self.input else { return Ok(()) };
        let all_started = self.running().all(|(_, proc)| proc.pid.is_some());
        if !all_started || (input.is_empty() && !self.input_ended) {
            return Ok(());
        }
        let data = self.input.take().unwrap_or_default();
        let topic = self.plan.topic("write");
        for (ticket, proc) in self.procs.iter_mut().filter(|(_, proc)| proc.running) {
            let mut io = json!({"stream": "stdin", "rank": proc.rank.to_string()});
            if self.input_ended {
                io["eof"] = json!(true);
            } else {
                io["encoding"] = json!("base64");
                io["data"] = json!(STANDARD.encode(&data));
            }
            proc.credit -= data.len() as i64;
            flux.notify(&topic, Target::Rank(Rank(proc.rank)), json!({"matchtag": ticket.0, "io": io}))?;
        }
        if !self.input_ended {
            self.input = Some(Vec::new());
        }
        Ok(())
    }

    fn answered(&mut self, ticket: Ticket, message: &Message, cx: &mut Context) -> Result<(), CmdError> {
        let Some(proc) = self.procs.get_mut(&ticket) else { return Ok(()) };
        if let Some(fault) = Fault::of(message) {
            proc.running = false;
            let rank = proc.rank;
            if fault.errno != Errno::ENODATA {
                cx.warn(format_args!("Error: rank {rank}: {}: {fault}", self.plan.name));
                self.code = self.code.max(match fault.errno {
                    Errno::EPERM | Errno::EACCES => 126,
                    Errno::ENOENT => 127,
                    Errno::EHOSTUNREACH => 68,
                    _ => 1,
                });
            }
            return Ok(());
        }
        let answer: Value = message.decode().map_err(flux_client::ClientError::from)?;
        match answer["type"].as_str() {
            Some("started" | "attached") => proc.pid = answer["pid"].as_i64(),
            Some("add-credit") => proc.credit += answer["channels"]["stdin"].as_i64().unwrap_or(0),
            Some("output") => output(proc, &answer["io"], self.label, cx)?,
            Some("finished") => {
                let rank = proc.rank;
                self.finished(rank, answer["status"].as_i64().unwrap_or(0));
            }
            _ => {}
        }
        Ok(())
    }

    /// A wait status: what wait(2) answers.
    fn finished(&mut self, rank: u32, status: i64) {
        let signal = (status & 0x7f) as i32;
        let (code, text) = match signal {
            0 => ((status >> 8 & 0xff) as i32, format!("Exit {}", status >> 8 & 0xff)),
            signal => (128 + signal, flux_sys::signal::description(signal).to_owned()),
        };
        self.code = self.code.max(code);
        if code > 0 {
            self.ends.entry(text).or_default().insert(rank);
        }
    }

    fn signalled(&mut self, signal: i32, flux: &mut Handle, cx: &mut Context) -> Result<(), CmdError> {
        if let What::Attach { pid, label } = &self.plan.what {
            let name = label.clone().unwrap_or_else(|| pid.to_string());
            cx.warn(format_args!("detached; use 'flux sproc kill SIGNAL {name}' to signal it"));
            return Err(CmdError::Silent(0));
        }
        if signal == SIGINT {
            if self.interrupted.is_some_and(|at| at.elapsed() < INTERRUPT_TWICE) {
                let ranks: Idset = self.running().map(|(_, proc)| proc.rank).collect();
                cx.warn(format_args!("{ranks}: command still running at exit"));
                return Err(CmdError::Silent(1));
            }
            self.interrupted = Some(Instant::now());
            cx.warn("interrupt (Ctrl+C) one more time within 1.00 sec to exit");
        }
        if self.verbose {
            cx.warn(format_args!("sending signal {signal} to {} running processes", self.running().count()));
        }
        let topic = self.plan.topic("kill");
        for proc in self.procs.values().filter(|proc| proc.running) {
            if let Some(pid) = proc.pid {
                flux.notify(&topic, Target::Rank(Rank(proc.rank)), json!({"pid": pid, "signum": signal}))?;
            }
        }
        Ok(())
    }

    /// Which ranks ended badly, and how.
    pub(super) fn report(&self, quiet: bool, cx: &mut Context) {
        let _ = cx.out.flush(); // Its error shows when the command ends.
        if self.verbose {
            let tasks = self.procs.len();
            say(self.began, format_args!("{tasks} tasks complete with code {}", self.code));
        }
        if quiet {
            return;
        }
        for (text, ranks) in &self.ends {
            let _ = writeln!(io::stderr(), "{}: {text}", ranks.encode(flux_types::IdsetFormat::RANGE_BRACKETS));
        }
    }
}

/// How far it is, with the time since the beginning.
fn say(began: Instant, text: impl std::fmt::Display) {
    let ms = began.elapsed().as_secs_f64() * 1e3;
    let _ = writeln!(io::stderr(), "{ms:.6}ms: {text}"); // Nobody is left to hear of a failure.
}

/// Passes output on; with labels, by whole lines.
fn output(proc: &mut Proc, io: &Value, label: bool, cx: &mut Context) -> Result<(), CmdError> {
    let data = io["data"].as_str().unwrap_or("");
    let bytes = match io["encoding"].as_str() {
        Some("base64") => STANDARD.decode(data).map_err(|error| CmdError::about("malformed output", error))?,
        _ => data.as_bytes().to_vec(),
    };
    let to_stderr = io["stream"].as_str() == Some("stderr");
    let eof = io["eof"].as_bool() == Some(true);
    if !label {
        return write_to(to_stderr, &bytes, cx);
    }
    let partial = &mut proc.partial[usize::from(to_stderr)];
    partial.extend_from_slice(&bytes);
    while let Some(end) = partial.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = partial.drain(..=end).collect();
        write_to(to_stderr, &[format!("{}: ", proc.rank).as_bytes(), &line].concat(), cx)?;
    }
    if (eof || partial.len() > EXEC_LINE_MAX_BYTES) && !partial.is_empty() {
        let line = std::mem::take(partial);
        write_to(to_stderr, &[format!("{}: ", proc.rank).as_bytes(), &line].concat(), cx)?;
    }
    Ok(())
}

fn write_to(to_stderr: bool, bytes: &[u8], cx: &mut Context) -> Result<(), CmdError> {
    match to_stderr {
        true => {
            cx.out.flush()?;
            Ok(io::stderr().write_all(bytes)?)
        }
        false => Ok(cx.out.write_all(bytes)?),
    }
}
