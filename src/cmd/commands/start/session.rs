//! `flux start --test-size=N`: N brokers on this machine, which find one another over our PMI server.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use flux_client::Errno;
use flux_shell::pmi::{Server, Step};
use flux_sys::process::{Pid, pidfd_open};
use flux_sys::signal::SignalQueue;
use flux_types::{Hostlist, Taskmap};
use serde_json::{Value, json};

use super::control::{Asked, Control, Order};
use crate::frame::{CmdError, CmdResult};
use crate::limits::{PMI_LINE_MAX, TEST_SIZE_MAX};

const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// What the `--test-*` options say.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) size: u32,
    pub(super) hosts: Option<Hostlist>,
    pub(super) exit_timeout: Option<Duration>,
    /// Only the end of rank 0 counts.
    pub(super) leader_only: bool,
    /// Only rank 0 is started: the others are started by hand, or never.
    pub(super) start_leader_only: bool,
    /// The directory of the brokers, if it is not to be ours, and whether to remove it.
    pub(super) rundir: Option<PathBuf>,
    pub(super) cleanup: bool,
    pub(super) clique: Option<String>,
    /// What brokers and the PMI server say to each other is shown.
    pub(super) traces_pmi: bool,
}

impl Session {
    /// # Errors
    /// What the options do not allow, in a sentence.
    pub(super) fn check(&self) -> Result<(), CmdError> {
        if self.size > TEST_SIZE_MAX {
            let text = format!("--test-size={}: at most {TEST_SIZE_MAX} brokers run on one machine", self.size);
            return Err(CmdError::new(text));
        }
        match &self.hosts {
            Some(hosts) if hosts.count() != self.size as usize => {
                Err(CmdError::new("--test-hosts hostlist has incorrect size"))
            }
            _ => Ok(()),
        }
    }

    fn mapping(&self) -> Result<Taskmap, CmdError> {
        let size = self.size;
        let text = match self.clique.as_deref() {
            None | Some("single") => format!("[[0,1,{size},1]]"),
            Some("per-broker") => format!("[[0,{size},1,1]]"),
            Some("none") => return Ok(Taskmap::default()),
            Some(text) => text.to_owned(),
        };
        let given = Taskmap::parse(&text).map_err(|error| CmdError::about("--test-pmi-clique", error))?;
        // Blocks that continue one another become one (RFC 34).
        let mut map = Taskmap::new();
        let nodes: Vec<u32> = (0..given.ntasks() as u32).map_while(|task| given.nodeid(task)).collect();
        for run in nodes.chunk_by(|one, next| one == next) {
            let appended = map.append(run[0], 1, run.len() as u32);
            appended.map_err(|error| CmdError::about("--test-pmi-clique", error))?;
        }
        Ok(map)
    }

    /// The arguments of one broker, with the initial program after those of rank 0. What the user says counts more than where
    /// the session wants its brokers to meet.
    pub(super) fn arguments(&self, dir: &Path, rank: u32, options: &[String], program: &[String]) -> Vec<String> {
        let dir = dir.display();
        let rundir = if rank == 0 { dir.to_string() } else { format!("{dir}/rank-{rank}") };
        let host = self.hosts.as_ref().and_then(|hosts| hosts.nth(rank as usize));
        let mut all = vec!["-Stbon.interface-hint=lo".to_owned()];
        all.extend(options.iter().cloned());
        all.push(format!("--setattr=rundir={rundir}"));
        all.push(format!("--setattr=local-uri=local://{dir}/local-{rank}"));
        if rank == 0 && (self.rundir.is_none() || self.cleanup) {
            all.push("--setattr=rundir-cleanup=1".to_owned());
        }
        all.extend(host.map(|host| format!("--setattr=hostname={host}")));
        if rank == 0 {
            all.extend(super::to_run(program));
        }
        all
    }

    /// The directory of the brokers, as far as it is known before it is made.
    pub(super) fn some_dir(&self) -> PathBuf {
        self.rundir.clone().unwrap_or_else(|| temporary().join("flux-XXXXXX"))
    }
}

/// A broker that runs.
struct Running {
    child: Child,
    pidfd: OwnedFd,
    /// Its end of the PMI conversation; `None` when that is over.
    pmi: Option<UnixStream>,
    line: Vec<u8>,
}

#[derive(Default)]
struct Broker {
    running: Option<Running>,
    code: Option<u8>,
    /// Who waits for its end.
    waiter: Option<Asked>,
}

/// All brokers, and what they need of us.
struct Brokers<'a> {
    session: &'a Session,
    list: Vec<Broker>,
    server: Server,
    control: Control,
    kill_at: Option<Instant>,
    /// The code of rank 0, or the highest of all.
    code: u8,
    /// Makes the command of a broker.
    command: &'a dyn Fn(u32) -> Command,
}

/// Starts the brokers with `options` and has rank 0 run `program`; `command` makes a broker's bare command.
pub(super) fn run(
    session: &Session,
    command: impl Fn() -> Command,
    told: impl Fn(u32, &[String]),
    options: &[String],
    program: &[String],
) -> CmdResult {
    session.check()?;
    let (dir, ours) = match &session.rundir {
        Some(dir) if dir.is_dir() => (dir.clone(), session.cleanup),
        Some(dir) => {
            private_dirs().create(dir).map_err(|error| CmdError::about(dir.display(), error))?;
            (dir.clone(), session.cleanup)
        }
        None => (make_dir()?, true),
    };
    let command = |rank: u32| {
        let mut command = command();
        let args = session.arguments(&dir, rank, options, program);
        told(rank, &args);
        command.args(&args).env("FLUX_START_URI", format!("local://{}/start", dir.display()));
        command
    };
    let outcome = run_in(session, &dir, &command);
    // Rank 0 removes it too: it may outlive us.
    if ours
        && let Err(error) = fs::remove_dir_all(&dir)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(CmdError::about(dir.display(), error));
    }
    outcome
}

fn run_in(session: &Session, dir: &Path, command: &dyn Fn(u32) -> Command) -> CmdResult {
    let failed = |error| CmdError::about("starting the brokers", error);
    let signals = SignalQueue::new(&[SIGINT, SIGQUIT, SIGTERM]).map_err(failed)?;
    let size = session.size as usize;
    let server = Server::new("flux-start".to_owned(), size, size, Some(&session.mapping()?), None);
    let control = Control::new(dir).map_err(|error| CmdError::about(dir.join("start").display(), error))?;
    let list = (0..size).map(|_| Broker::default()).collect();
    let mut brokers = Brokers { session, list, server, control, kill_at: None, code: 0, command };
    let started = if session.start_leader_only { 1 } else { size };
    for rank in 0..started {
        if let Err(error) = brokers.start(rank) {
            brokers.kill_all();
            return Err(CmdError::about(format!("broker {rank}"), error));
        }
    }
    brokers.serve(&signals).map_err(failed)?;
    Ok(ExitCode::from(brokers.code))
}

fn temporary() -> PathBuf {
    std::env::var_os("TMPDIR").filter(|dir| !dir.is_empty()).map_or_else(|| "/tmp".into(), PathBuf::from)
}

fn private_dirs() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// A directory of our own in `TMPDIR`.
fn make_dir() -> Result<PathBuf, CmdError> {
    let tmp = temporary();
    for _ in 0..100 {
        let random = flux_sys::random::u64().map_err(|error| CmdError::about("random numbers", error))?;
        let dir = tmp.join(format!("flux-{:06x}", random & 0xff_ffff));
        match private_dirs().create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
            Err(error) => return Err(CmdError::about(dir.display(), error)),
        }
    }
    Err(CmdError::new(format!("{}: no free name for a directory", tmp.display())))
}

fn start(mut command: Command, rank: u32, size: u32) -> io::Result<Running> {
    let (ours, theirs) = flux_sys::socket::pair()?;
    flux_sys::fd::set_close_on_exec(&theirs, false)?;
    command.env("PMI_FD", std::os::fd::AsRawFd::as_raw_fd(&theirs).to_string());
    command.env("FLUX_START_PID", std::process::id().to_string());
    command.env("PMI_RANK", rank.to_string()).env("PMI_SIZE", size.to_string());
    if rank > 0 {
        // The keyboard's signals are for rank 0 and its program.
        command.process_group(0).stdin(std::process::Stdio::null());
    }
    let child = command.spawn()?;
    let pidfd = pidfd_open(Pid(child.id() as i32))?;
    Ok(Running { child, pidfd, pmi: Some(ours), line: Vec::new() })
}

/// What a descriptor is about.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Pmi(usize),
    End(usize),
    /// Somebody connects to the control socket, or (counted from 1) asks something there.
    Control(usize),
}

impl Brokers<'_> {
    fn start(&mut self, rank: usize) -> io::Result<()> {
        let running = start((self.command)(rank as u32), rank as u32, self.session.size)?;
        self.list[rank].running = Some(running);
        self.settle_timeout();
        Ok(())
    }

    /// Until all have ended.
    fn serve(&mut self, signals: &SignalQueue) -> io::Result<()> {
        while self.list.iter().any(|broker| broker.running.is_some()) {
            if self.kill_at.is_some_and(|at| at <= Instant::now()) {
                self.kill_at = None;
                self.kill_all();
            }
            for source in self.wait(signals)? {
                match source {
                    Source::Signals => self.take_signals(signals)?,
                    Source::Pmi(rank) => self.converse(rank),
                    Source::End(rank) => self.ended(rank)?,
                    Source::Control(0) => self.control.accept(),
                    Source::Control(at) => self.take_orders(at - 1),
                }
            }
        }
        Ok(())
    }

    fn wait(&self, signals: &SignalQueue) -> io::Result<Vec<Source>> {
        let mut sources = vec![Source::Signals];
        let mut fds: Vec<(BorrowedFd<'_>, bool)> = vec![(signals.as_fd(), false)];
        for (rank, running) in
            self.list.iter().enumerate().filter_map(|(rank, broker)| Some((rank, broker.running.as_ref()?)))
        {
            if let Some(pmi) = &running.pmi {
                sources.push(Source::Pmi(rank));
                fds.push((pmi.as_fd(), false));
            }
            sources.push(Source::End(rank));
            fds.push((running.pidfd.as_fd(), false));
        }
        let from = fds.len();
        fds.extend(self.control.fds().map(|fd| (fd, false)));
        // The last first: one that goes moves those after it.
        sources.extend((0..fds.len() - from).map(Source::Control));
        let left = self.kill_at.map(|at| at.saturating_duration_since(Instant::now()).as_millis() as u32 + 1);
        match flux_sys::fd::poll(&fds, left) {
            Ok(ready) => {
                let ready = sources.into_iter().zip(ready).filter(|(_, ready)| ready.readable || ready.hangup);
                Ok(ready.map(|(source, _)| source).rev().collect())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// What a client of the control socket asks.
    fn take_orders(&mut self, client: usize) {
        for (asked, order) in self.control.read(client) {
            let outcome = match order {
                Ok(Order::Wait { rank }) => match self.list.get_mut(rank) {
                    None => Err(Errno::ESRCH),
                    Some(broker) if broker.waiter.is_some() => Err(Errno::EEXIST),
                    Some(broker) if broker.running.is_some() => {
                        broker.waiter = Some(asked);
                        continue;
                    }
                    Some(broker) => Ok(Some(json!({"exit_rc": broker.code.unwrap_or(0)}))),
                },
                Ok(order) => self.perform(order),
                Err(errno) => Err(errno),
            };
            self.control.answer(&asked, outcome);
        }
    }

    fn perform(&mut self, order: Order) -> Result<Option<Value>, Errno> {
        match order {
            Order::Kill { rank, .. } | Order::Run { rank } | Order::Wait { rank } if rank >= self.list.len() => {
                Err(Errno::ESRCH)
            }
            Order::Status => {
                let pid = |broker: &Broker| broker.running.as_ref().map_or(-1, |running| i64::from(running.child.id()));
                let procs: Vec<Value> = self.list.iter().map(|broker| json!({"pid": pid(broker)})).collect();
                Ok(Some(json!({"procs": procs})))
            }
            Order::Kill { rank, signum } => {
                self.signal(rank, signum);
                Ok(None)
            }
            Order::Run { rank } if self.list[rank].running.is_some() => Err(Errno::EEXIST),
            Order::Run { rank } => {
                self.start(rank).map_err(|error| Errno(error.raw_os_error().unwrap_or(Errno::EIO.0)))?;
                Ok(None)
            }
            Order::Wait { .. } => Err(Errno::EPROTO),
        }
    }

    /// The keyboard's signals have reached rank 0 themselves.
    fn take_signals(&self, signals: &SignalQueue) -> io::Result<()> {
        while let Some(received) = signals.next()? {
            if received.signal == SIGTERM {
                self.signal(0, SIGTERM);
            }
        }
        Ok(())
    }

    fn signal(&self, rank: usize, signum: i32) {
        let Some(running) = self.list.get(rank).and_then(|broker| broker.running.as_ref()) else { return };
        // One that has just ended is no error.
        let _ = flux_sys::process::pidfd_signal(running.pidfd.as_fd(), signum);
    }

    fn kill_all(&self) {
        (0..self.list.len()).for_each(|rank| self.signal(rank, SIGKILL));
    }

    /// On standard error; nobody needs to listen.
    fn trace(&self, rank: usize, who: &str, line: &str) {
        if self.session.traces_pmi {
            let _ = writeln!(io::stderr(), "{rank}: {who}: {line}");
        }
    }

    /// Reads what a broker says to the PMI server, and answers.
    fn converse(&mut self, rank: usize) {
        let mut chunk = [0; 4096];
        let Some(running) = &mut self.list[rank].running else { return };
        let Some(pmi) = &mut running.pmi else { return };
        let got = match pmi.read(&mut chunk) {
            Ok(0) | Err(_) => {
                running.pmi = None;
                return;
            }
            Ok(got) => got,
        };
        let mut lines = Vec::new();
        for byte in &chunk[..got] {
            let line = &mut running.line;
            match byte {
                b'\n' => lines.push(String::from_utf8_lossy(&std::mem::take(line)).into_owned()),
                _ if line.len() < PMI_LINE_MAX => line.push(*byte),
                _ => {}
            }
        }
        for line in lines {
            self.trace(rank, "C", &line);
            let mut answers = Vec::new();
            match self.server.line(rank as u32, &line, &mut answers) {
                Step::Barrier => self.server.release(Default::default(), &mut answers),
                Step::Violation(_) | Step::Abort { .. } => {
                    if let Some(running) = &mut self.list[rank].running {
                        running.pmi = None;
                    }
                }
                Step::Answered | Step::Finalized => {}
            }
            for (to, answer) in answers {
                self.trace(to as usize, "S", answer.trim_end());
                if let Some(pmi) = self.list[to as usize].running.as_mut().and_then(|running| running.pmi.as_mut()) {
                    // A broker that is gone is noticed by its end.
                    let _ = pmi.write_all(answer.as_bytes());
                }
            }
        }
    }

    fn ended(&mut self, rank: usize) -> io::Result<()> {
        let broker = &mut self.list[rank];
        let Some(running) = &mut broker.running else { return Ok(()) };
        let Some(status) = running.child.try_wait()? else { return Ok(()) };
        let pid = running.child.id();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        let code = u8::try_from(code).unwrap_or(u8::MAX);
        broker.running = None;
        broker.code = Some(code);
        let waiter = broker.waiter.take();
        match status.signal() {
            Some(signal) => say!("flux-start: {rank} (pid {pid}) {}", flux_sys::signal::description(signal)),
            None if code != 0 => say!("flux-start: {rank} (pid {pid}) exited with rc={code}"),
            None => {}
        }
        if let Some(asked) = waiter {
            self.control.answer(&asked, Ok(Some(json!({"exit_rc": code}))));
        }
        match self.session.leader_only {
            true if rank == 0 => self.code = code,
            true => {}
            false => self.code = self.code.max(code),
        }
        self.settle_timeout();
        Ok(())
    }

    /// Brokers may not outlive the first for long, or rank 0; one that was started again has all the time.
    fn settle_timeout(&mut self) {
        let over = |broker: &Broker| broker.running.is_none() && broker.code.is_some();
        let lonely = match self.session.leader_only {
            true => over(&self.list[0]),
            false => self.list.iter().any(over),
        };
        if !lonely || !self.list.iter().any(|broker| broker.running.is_some()) {
            self.kill_at = None;
        } else if self.kill_at.is_none() {
            self.kill_at = self.session.exit_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        }
    }
}
