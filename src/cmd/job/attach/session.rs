//! What attaching to a job does, without doing it: events and signals come in, effects go out.

use std::collections::VecDeque;
use std::time::Duration;

use flux_client::{Errno, Fault};
use flux_types::eventlog::Entry;
use flux_types::{Idset, IdsetFormat, JobId, Taskmap};
use serde_json::{Map, Value, json};

use super::data;
use super::status::StatusLine;
use crate::limits::TAIL_LINES_MAX;

/// A second Ctrl-C within this time cancels the job; Ctrl-Z within it detaches.
const INTERRUPT_WINDOW: Duration = Duration::from_secs(2);

/// The three logs of a job that are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    Main,
    Exec,
    Output,
}

impl Log {
    /// The name that `job-info.eventlog-watch` knows it by.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Log::Main => "eventlog",
            Log::Exec => "guest.exec.eventlog",
            Log::Output => "guest.output",
        }
    }
}

/// What is to be done. Performed in order.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    Watch {
        log: Log,
        sentinel: bool,
    },
    /// Ends a watch; its end is still reported.
    Stop(Log),
    Out(Vec<u8>),
    Err(Vec<u8>),
    /// Reads standard input from now on, or never again.
    ReadStdin(bool),
    /// An RFC 24 data object for the shell's `stdin` service.
    Stdin {
        rank: u32,
        topic: String,
        data: Value,
    },
    /// Attaches this terminal to the job's.
    Pty {
        rank: u32,
        topic: String,
    },
    Kill(i32),
    Cancel,
    /// Catches SIGTSTP from now on, or no more.
    CatchSuspend(bool),
    /// The tasks run: a debugger is told where.
    Debug,
}

/// The options of `flux job attach`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) show_events: bool,
    pub(crate) show_exec: bool,
    pub(crate) wait_event: Option<String>,
    pub(crate) label_io: bool,
    pub(crate) verbose: bool,
    pub(crate) quiet: bool,
    pub(crate) read_only: bool,
    /// `None`: all.
    pub(crate) stdin_ranks: Option<Idset>,
    pub(crate) tail: Option<usize>,
    pub(crate) debug: bool,
    pub(crate) debug_emulate: bool,
}

/// Where the job's shell is reached.
#[derive(Clone, Debug)]
struct Shell {
    rank: u32,
    service: String,
}

/// One attachment.
#[derive(Debug)]
pub(crate) struct Session {
    options: Options,
    /// The job's id as the user typed it.
    job: String,
    pub(crate) status: StatusLine,
    watching: Vec<Log>,
    zero: Option<f64>,
    shell: Option<Shell>,
    output_started: bool,
    header_seen: bool,
    tail: Option<VecDeque<Entry>>,
    stdin_sent: bool,
    finished: bool,
    exit_code: u8,
    fatal_exception: bool,
    interrupted_at: Option<Duration>,
    interrupted: bool,
    /// The first error that ends the attachment at once.
    failed: Option<String>,
}

impl Session {
    pub(crate) fn new(job: &str, options: Options, status: StatusLine, out: &mut Vec<Effect>) -> Session {
        let mut session = Session {
            job: job.to_owned(),
            status,
            watching: Vec::new(),
            zero: None,
            shell: None,
            output_started: false,
            header_seen: false,
            tail: options.tail.map(|_| VecDeque::new()),
            stdin_sent: false,
            finished: false,
            exit_code: 1,
            fatal_exception: false,
            interrupted_at: None,
            interrupted: false,
            failed: None,
            options,
        };
        session.watch(Log::Main, out);
        session
    }

    /// Nothing is left to wait for.
    pub(crate) fn done(&self) -> bool {
        self.failed.is_some() || self.watching.is_empty()
    }

    /// The exit code, or the sentence for the user.
    pub(crate) fn outcome(self) -> Result<u8, String> {
        match self.failed {
            Some(text) => Err(text),
            None if self.interrupted && self.exit_code != 0 => Ok(130),
            None if self.fatal_exception && self.exit_code == 0 => Ok(1),
            None => Ok(self.exit_code),
        }
    }

    /// Whether standard input may still be wanted.
    pub(crate) fn wants_stdin(&self) -> bool {
        !self.finished && !self.fatal_exception
    }

    fn watch(&mut self, log: Log, out: &mut Vec<Effect>) {
        self.watching.push(log);
        out.push(Effect::Watch { log, sentinel: log == Log::Output && self.tail.is_some() });
    }

    fn fail(&mut self, text: impl Into<String>) {
        self.failed.get_or_insert_with(|| text.into());
    }

    fn say(&mut self, text: &str, out: &mut Vec<Effect>) {
        out.push(Effect::Err(format!("flux-job: {text}\n").into_bytes()));
    }

    /// Seconds since the job's first event.
    fn since(&self, timestamp: f64) -> f64 {
        timestamp - self.zero.unwrap_or(timestamp)
    }

    /// Lines of a log; usually one.
    pub(crate) fn on_event(&mut self, log: Log, text: &str, out: &mut Vec<Effect>) {
        for line in text.lines() {
            if !self.watching.contains(&log) || self.failed.is_some() {
                return;
            }
            match Entry::parse(line) {
                Ok(entry) => match log {
                    Log::Main => self.on_main(entry, out),
                    Log::Exec => self.on_exec(entry, out),
                    Log::Output => self.on_output(entry, out),
                },
                Err(error) => self.fail(error.to_string()),
            }
        }
    }

    /// A watch has ended: `None` at the log's end.
    pub(crate) fn on_end(&mut self, log: Log, fault: Option<Fault>, out: &mut Vec<Effect>) {
        self.watching.retain(|known| *known != log);
        let Some(fault) = fault else { return };
        match (log, fault.errno) {
            (Log::Main, Errno::ENOENT) => self.fail(format!("Failed to attach to {}: No such job", self.job)),
            (Log::Main, Errno::EPERM) => self.fail(format!("Failed to attach to {}: that is not your job", self.job)),
            (Log::Output, Errno::ENOENT) => self.say("No job output found", out),
            // A job that ended before its shell began has no such log.
            (Log::Exec, Errno::ENOENT) => {}
            _ => self.fail(format!("watching {}: {}", log.path(), fault.message())),
        }
    }

    fn on_main(&mut self, entry: Entry, out: &mut Vec<Effect>) {
        self.zero.get_or_insert(entry.timestamp);
        match entry.name.as_str() {
            "exception" => self.on_exception(&entry, out),
            "submit" => self.watch(Log::Exec, out),
            "finish" => self.on_finish(&entry, out),
            _ => {}
        }
        if self.options.show_events && entry.name != "exception" {
            self.show("job", &entry, out);
        }
        self.status.on_event(&entry, self.zero.unwrap_or(entry.timestamp), out);
        if entry.name == self.options.wait_event.as_deref().unwrap_or("clean") {
            out.push(Effect::Stop(Log::Main));
            self.watching.retain(|log| *log != Log::Main);
        }
    }

    fn on_exception(&mut self, entry: &Entry, out: &mut Vec<Effect>) {
        let text = |key| entry.get(key).and_then(Value::as_str);
        let severity = entry.get("severity").and_then(Value::as_i64);
        let (Some(kind), Some(severity)) = (text("type"), severity) else {
            return self.fail("error decoding exception context");
        };
        self.status.clear(out);
        let at = self.since(entry.timestamp);
        let note = text("note").unwrap_or("");
        let line = format!("{at:.3}s: job.exception {} type={kind} severity={severity} {note}\n", self.job);
        out.push(Effect::Err(line.into_bytes()));
        if severity == 0 {
            self.fatal_exception = true;
            out.push(Effect::ReadStdin(false));
        }
    }

    fn on_finish(&mut self, entry: &Entry, out: &mut Vec<Effect>) {
        let Some(status) = entry.get("status").and_then(Value::as_i64) else {
            return self.fail("error decoding finish context");
        };
        let (code, why) = exit_of_status(status as i32);
        self.exit_code = code;
        self.finished = true;
        if let Some(why) = why {
            self.say(&why, out);
        }
    }

    fn on_exec(&mut self, entry: Entry, out: &mut Vec<Effect>) {
        match entry.name.as_str() {
            "shell.init" => self.on_shell_init(&entry, out),
            "shell.start" => {
                out.extend(self.options.debug.then_some(Effect::Debug));
                self.close_other_stdin(&entry, out);
            }
            "log" => self.on_exec_log(&entry, out),
            "complete" => self.start_output(out),
            _ => {}
        }
        if self.options.show_exec && entry.name != "log" {
            self.show("exec", &entry, out);
        }
    }

    fn on_shell_init(&mut self, entry: &Entry, out: &mut Vec<Effect>) {
        let rank = entry.get("leader-rank").and_then(Value::as_u64).and_then(|rank| u32::try_from(rank).ok());
        let (Some(rank), Some(service)) = (rank, entry.get("service").and_then(Value::as_str)) else {
            return self.fail("error decoding shell.init context");
        };
        self.shell = Some(Shell { rank, service: service.to_owned() });
        self.start_output(out);
        match entry.get("pty").and_then(Value::as_str) {
            Some(_) if self.options.read_only => self.fail("Cannot connect to pty in readonly mode"),
            Some(pty) if !self.finished => out.push(Effect::Pty { rank, topic: format!("{service}.{pty}") }),
            Some(_) => {}
            None if !self.options.read_only && self.options.stdin_ranks.is_none() && self.wants_stdin() => {
                out.push(Effect::ReadStdin(true));
            }
            None => {}
        }
    }

    /// With `--stdin-ranks`, the other tasks get end of file at once.
    fn close_other_stdin(&mut self, entry: &Entry, out: &mut Vec<Effect>) {
        let Some(wanted) = self.options.stdin_ranks.clone() else { return };
        let map = entry.get("taskmap").map(Taskmap::from_value);
        let Some(Ok(map)) = map else { return self.say("failed to process taskmap in shell.start event", out) };
        let all = Idset::below(u32::try_from(map.ntasks()).unwrap_or(u32::MAX));
        let open = all.intersect(&wanted);
        if open != wanted {
            let [from, to] = [&wanted, &open].map(|ids| ids.encode(IdsetFormat::RANGE));
            self.say(&format!("warning: adjusting --stdin-ranks from {from} to {to}"), out);
        }
        let closed = all.subtract(&open).encode(IdsetFormat::RANGE);
        if !closed.is_empty() {
            self.send_stdin(&closed, &[], true, out);
        }
        self.options.stdin_ranks = Some(open);
        out.push(Effect::ReadStdin(true));
    }

    fn on_exec_log(&mut self, entry: &Entry, out: &mut Vec<Effect>) {
        let text = |key| entry.get(key).and_then(Value::as_str);
        let (Some(rank), Some(stream), Some(component), Some(data)) =
            (text("rank"), text("stream"), text("component"), text("data"))
        else {
            return self.say("exec.log event malformed", out);
        };
        let mut line = String::new();
        if !self.options.quiet {
            line = format!("{:.3}s: {component}[{rank}]: {stream}: ", self.since(entry.timestamp));
        }
        line.push_str(data);
        out.push(Effect::Err(line.into_bytes()));
    }

    fn start_output(&mut self, out: &mut Vec<Effect>) {
        if !self.output_started {
            self.output_started = true;
            self.watch(Log::Output, out);
        }
    }

    fn on_output(&mut self, entry: Entry, out: &mut Vec<Effect>) {
        match entry.name.as_str() {
            "header" => self.header_seen = true,
            "redirect" => self.on_redirect(&entry, out),
            "data" | "log" => match &mut self.tail {
                Some(kept) => {
                    let is_end = entry.get("eof").and_then(Value::as_bool) == Some(true);
                    if !is_end {
                        kept.push_back(entry);
                    }
                    if kept.len() > self.options.tail.unwrap_or(0).min(TAIL_LINES_MAX) {
                        kept.pop_front();
                    }
                }
                None => self.print(&entry, out),
            },
            _ => {}
        }
    }

    /// All output that was there is known: with `--tail`, the end of it is printed, and then whatever follows.
    pub(crate) fn on_sentinel(&mut self, out: &mut Vec<Effect>) {
        for entry in self.tail.take().into_iter().flatten() {
            self.print(&entry, out);
        }
    }

    fn print(&mut self, entry: &Entry, out: &mut Vec<Effect>) {
        if entry.name == "log" {
            return self.print_log(entry, out);
        }
        if !self.header_seen {
            return self.fail("stream data read before header");
        }
        let context = entry.context.as_ref();
        match context.and_then(data::decode) {
            None => self.fail("malformed event context"),
            Some(data) if data.bytes.is_empty() => {}
            Some(data) => {
                let mut bytes = Vec::with_capacity(data.bytes.len() + 8);
                if self.options.label_io {
                    bytes.extend_from_slice(format!("{}: ", data.rank).as_bytes());
                }
                bytes.extend_from_slice(&data.bytes);
                out.push(if data.stream == "stdout" { Effect::Out(bytes) } else { Effect::Err(bytes) });
            }
        }
    }

    fn on_redirect(&mut self, entry: &Entry, out: &mut Vec<Effect>) {
        let text = |key| entry.get(key).and_then(Value::as_str);
        let (Some(stream), Some(rank)) = (text("stream"), text("rank")) else {
            return self.fail("malformed redirect context");
        };
        if !self.options.quiet {
            let to = text("path").map(|path| format!(" to {path}")).unwrap_or_default();
            out.push(Effect::Err(format!("{rank}: {stream} redirected{to}\n").into_bytes()));
        }
    }

    /// A message of the shell's own (RFC 24); the levels are those of RFC 5424, of which three are fatal.
    fn print_log(&mut self, entry: &Entry, out: &mut Vec<Effect>) {
        if self.options.quiet {
            return;
        }
        const LEVELS: [&str; 8] = ["FATAL", "FATAL", "FATAL", "ERROR", " WARN", "", "DEBUG", "TRACE"];
        let text = |key| entry.get(key).and_then(Value::as_str);
        let number = |key| entry.get(key).and_then(Value::as_i64);
        let (Some(level), Some(message)) = (number("level"), text("message")) else {
            return self.say("invalid log event in guest.output", out);
        };
        let mut line = format!("{:.3}s: flux-shell", self.since(entry.timestamp));
        if let Some(rank) = number("rank").filter(|rank| *rank >= 0) {
            line.push_str(&format!("[{rank}]"));
        }
        let label = usize::try_from(level).ok().and_then(|level| LEVELS.get(level)).copied().unwrap_or("");
        for part in [label, text("component").unwrap_or("")].into_iter().filter(|part| !part.is_empty()) {
            line.push_str(": ");
            line.push_str(part);
        }
        if let Some(file) = text("file").filter(|_| self.options.verbose) {
            line.push_str(&format!(": {file}"));
            if let Some(number) = number("line").filter(|number| *number > 0) {
                line.push_str(&format!(":{number}"));
            }
        }
        out.push(Effect::Err(format!("{line}: {message}\n").into_bytes()));
    }

    fn show(&mut self, prefix: &str, entry: &Entry, out: &mut Vec<Effect>) {
        let context = match &entry.context {
            Some(context) => format!(" {}", Value::Object(context.clone())),
            None => String::new(),
        };
        let line = format!("{:.3}s: {prefix}.{}{context}\n", self.since(entry.timestamp), entry.name);
        out.push(Effect::Err(line.into_bytes()));
    }

    /// Bytes from standard input; none at its end.
    pub(crate) fn on_stdin(&mut self, bytes: &[u8], out: &mut Vec<Effect>) {
        let ranks = self.options.stdin_ranks.as_ref().map_or("all".to_owned(), |ids| ids.encode(IdsetFormat::RANGE));
        self.send_stdin(&ranks, bytes, bytes.is_empty(), out);
        self.stdin_sent |= !bytes.is_empty();
        if bytes.is_empty() {
            out.push(Effect::ReadStdin(false));
        }
    }

    fn send_stdin(&mut self, ranks: &str, bytes: &[u8], eof: bool, out: &mut Vec<Effect>) {
        let Some(shell) = &self.shell else { return };
        let data = flux_types::iodata::encode("stdin", ranks, bytes, eof);
        out.push(Effect::Stdin { rank: shell.rank, topic: format!("{}.stdin", shell.service), data });
    }

    /// The shell did not take what was sent. One that is already gone only matters if there was something to read.
    pub(crate) fn on_stdin_refused(&mut self, fault: &Fault) {
        match fault.errno {
            Errno::ENOSYS if self.stdin_sent && self.wants_stdin() => self.fail("stdin not accepted by job"),
            Errno::ENOSYS => {}
            _ if self.finished => {}
            _ => self.fail(format!("sending standard input: {}", fault.message())),
        }
    }

    /// A signal for this process; `now` counts from any fixed point.
    pub(crate) fn on_signal(&mut self, now: Duration, signal: i32, out: &mut Vec<Effect>) {
        const SIGINT: i32 = 2;
        const SIGTSTP: i32 = 20;
        let recent = self.interrupted_at.is_some_and(|at| now.saturating_sub(at) <= INTERRUPT_WINDOW);
        match (signal, recent) {
            (SIGINT, false) => {
                self.interrupted_at = Some(now);
                out.push(Effect::CatchSuspend(true));
                self.say("one more ctrl-C within 2s to cancel or ctrl-Z to detach", out);
            }
            (SIGINT, true) => {
                self.interrupted = true;
                out.push(Effect::Cancel);
            }
            (SIGTSTP, true) => {
                for log in std::mem::take(&mut self.watching) {
                    out.push(Effect::Stop(log));
                }
                self.say("detaching...", out);
            }
            (SIGTSTP, false) => {
                out.push(Effect::CatchSuspend(false));
                self.say("one more ctrl-Z to suspend", out);
            }
            (other, _) => out.push(Effect::Kill(other)),
        }
    }
}

/// Exit code and explanation of a wait status. A signal on the status itself hit the shell; tasks report 128 and theirs.
pub(crate) fn exit_of_status(status: i32) -> (u8, Option<String>) {
    let status = flux_sys::process::WaitStatus(status);
    if let Some(signal) = status.signal() {
        return ((signal + 128) as u8, Some(format!("job shell {}", flux_sys::signal::description(signal))));
    }
    match status.exit_code() {
        Some(0) => (0, None),
        Some(code @ 129..) => (code as u8, Some(format!("task(s) {}", flux_sys::signal::description(code - 128)))),
        Some(code) => (code as u8, Some(format!("task(s) exited with exit code {code}"))),
        None => (1, Some(format!("unexpected wait(2) status {}", status.0))),
    }
}

/// The payload that begins a watch (RFC 41).
pub(crate) fn watch_request(id: JobId, log: Log, sentinel: bool) -> Map<String, Value> {
    let flags = if sentinel { 2 } else { 0 };
    let Value::Object(payload) = json!({"id": id, "path": log.path(), "flags": flags}) else { unreachable!() };
    payload
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
