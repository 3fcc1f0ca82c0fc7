//! `flux start --test-size=N`: N brokers on this machine, which find one another over our PMI server.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use flux_shell::pmi::{Server, Step};
use flux_sys::process::{Pid, pidfd_open};
use flux_sys::signal::SignalQueue;
use flux_types::{Hostlist, Taskmap};

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
    pub(super) verbose: bool,
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
                Err(CmdError::usage(format!("--test-hosts names {} hosts for {} brokers", hosts.count(), self.size)))
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
        Taskmap::parse(&text).map_err(|error| CmdError::about("--test-pmi-clique", error))
    }

    /// The arguments of one broker that differ from the others'.
    fn own_arguments(&self, dir: &Path, rank: u32) -> Vec<String> {
        let dir = dir.display();
        let rundir = if rank == 0 { dir.to_string() } else { format!("{dir}/rank-{rank}") };
        let host = self.hosts.as_ref().and_then(|hosts| hosts.nth(rank as usize));
        let mut own = vec![
            format!("-Srundir={rundir}"),
            format!("-Slocal-uri=local://{dir}/local-{rank}"),
            "-Stbon.interface-hint=lo".to_owned(),
        ];
        if rank == 0 && (self.rundir.is_none() || self.cleanup) {
            own.push("-Srundir-cleanup=1".to_owned());
        }
        own.extend(host.map(|host| format!("-Shostname={host}")));
        own
    }
}

struct Broker {
    child: Child,
    pidfd: OwnedFd,
    /// Its end of the PMI conversation; `None` when that is over.
    pmi: Option<UnixStream>,
    line: Vec<u8>,
    code: Option<u8>,
}

/// All brokers, and what they need of us.
struct Brokers<'a> {
    session: &'a Session,
    list: Vec<Broker>,
    server: Server,
    kill_at: Option<Instant>,
}

/// Starts the brokers with `options` and has rank 0 run `program`; `command` makes a broker's bare command.
pub(super) fn run(
    session: &Session,
    command: impl Fn() -> Command,
    options: &[String],
    program: &[String],
) -> CmdResult {
    session.check()?;
    let (dir, ours) = match &session.rundir {
        Some(dir) => (dir.clone(), session.cleanup),
        None => (make_dir()?, true),
    };
    let outcome = run_in(session, &dir, command, options, program);
    // Rank 0 removes it too: it may outlive us.
    if ours
        && let Err(error) = fs::remove_dir_all(&dir)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(CmdError::about(dir.display(), error));
    }
    outcome
}

fn run_in(
    session: &Session,
    dir: &Path,
    command: impl Fn() -> Command,
    options: &[String],
    program: &[String],
) -> CmdResult {
    let failed = |error| CmdError::about("starting the brokers", error);
    let signals = SignalQueue::new(&[SIGINT, SIGQUIT, SIGTERM]).map_err(failed)?;
    let size = session.size as usize;
    let server = Server::new("flux-start".to_owned(), size, size, &session.mapping()?, None);
    let mut brokers = Brokers { session, list: Vec::new(), server, kill_at: None };
    let started = if session.start_leader_only { 1 } else { session.size };
    for rank in 0..started {
        let mut command = command();
        command.args(options).args(session.own_arguments(dir, rank).iter().map(OsString::from));
        if rank == 0 && !program.is_empty() {
            command.arg("--").args(program);
        }
        match start(command, rank, session.size) {
            Ok(broker) => brokers.list.push(broker),
            Err(error) => {
                brokers.kill_all();
                return Err(CmdError::about(format!("broker {rank}"), error));
            }
        }
    }
    brokers.serve(&signals).map_err(failed)?;
    Ok(ExitCode::from(brokers.code()))
}

/// A directory of our own in `TMPDIR`.
fn make_dir() -> Result<PathBuf, CmdError> {
    let tmp = std::env::var_os("TMPDIR").filter(|dir| !dir.is_empty()).map_or_else(|| "/tmp".into(), PathBuf::from);
    for _ in 0..100 {
        let random = flux_sys::random::u64().map_err(|error| CmdError::about("random numbers", error))?;
        let dir = tmp.join(format!("flux-{:06x}", random & 0xff_ffff));
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
            Err(error) => return Err(CmdError::about(dir.display(), error)),
        }
    }
    Err(CmdError::new(format!("{}: no free name for a directory", tmp.display())))
}

fn start(mut command: Command, rank: u32, size: u32) -> io::Result<Broker> {
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
    Ok(Broker { child, pidfd, pmi: Some(ours), line: Vec::new(), code: None })
}

/// What a descriptor is about.
#[derive(Clone, Copy)]
enum Source {
    Signals,
    Pmi(usize),
    End(usize),
}

impl Brokers<'_> {
    /// Until all have ended.
    fn serve(&mut self, signals: &SignalQueue) -> io::Result<()> {
        while self.list.iter().any(|broker| broker.code.is_none()) {
            if self.kill_at.is_some_and(|at| at <= Instant::now()) {
                self.kill_at = None;
                self.kill_all();
            }
            for source in self.wait(signals)? {
                match source {
                    Source::Signals => self.take_signals(signals)?,
                    Source::Pmi(rank) => self.converse(rank),
                    Source::End(rank) => self.ended(rank)?,
                }
            }
        }
        Ok(())
    }

    fn wait(&self, signals: &SignalQueue) -> io::Result<Vec<Source>> {
        let mut sources = vec![Source::Signals];
        let mut fds: Vec<(BorrowedFd<'_>, bool)> = vec![(signals.as_fd(), false)];
        for (rank, broker) in self.list.iter().enumerate() {
            if let Some(pmi) = &broker.pmi {
                sources.push(Source::Pmi(rank));
                fds.push((pmi.as_fd(), false));
            }
            if broker.code.is_none() {
                sources.push(Source::End(rank));
                fds.push((broker.pidfd.as_fd(), false));
            }
        }
        let left = self.kill_at.map(|at| at.saturating_duration_since(Instant::now()).as_millis() as u32 + 1);
        match flux_sys::fd::poll(&fds, left) {
            Ok(ready) => {
                let ready = sources.into_iter().zip(ready).filter(|(_, ready)| ready.readable || ready.hangup);
                Ok(ready.map(|(source, _)| source).collect())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Vec::new()),
            Err(error) => Err(error),
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
        let Some(broker) = self.list.get(rank).filter(|broker| broker.code.is_none()) else { return };
        // One that has just ended is no error.
        let _ = flux_sys::process::pidfd_signal(broker.pidfd.as_fd(), signum);
    }

    fn kill_all(&self) {
        (0..self.list.len()).for_each(|rank| self.signal(rank, SIGKILL));
    }

    /// Reads what a broker says to the PMI server, and answers.
    fn converse(&mut self, rank: usize) {
        let mut chunk = [0; 4096];
        let Some(pmi) = &mut self.list[rank].pmi else { return };
        let got = match pmi.read(&mut chunk) {
            Ok(0) | Err(_) => {
                self.list[rank].pmi = None;
                return;
            }
            Ok(got) => got,
        };
        let mut lines = Vec::new();
        for byte in &chunk[..got] {
            let line = &mut self.list[rank].line;
            match byte {
                b'\n' => lines.push(String::from_utf8_lossy(&std::mem::take(line)).into_owned()),
                _ if line.len() < PMI_LINE_MAX => line.push(*byte),
                _ => {}
            }
        }
        for line in lines {
            let mut answers = Vec::new();
            match self.server.line(rank as u32, &line, &mut answers) {
                Step::Barrier => self.server.release(Default::default(), &mut answers),
                Step::Violation(_) | Step::Abort { .. } => self.list[rank].pmi = None,
                Step::Answered | Step::Finalized => {}
            }
            for (to, answer) in answers {
                if let Some(pmi) = &mut self.list[to as usize].pmi {
                    // A broker that is gone is noticed by its end.
                    let _ = pmi.write_all(answer.as_bytes());
                }
            }
        }
    }

    fn ended(&mut self, rank: usize) -> io::Result<()> {
        let broker = &mut self.list[rank];
        let Some(status) = broker.child.try_wait()? else { return Ok(()) };
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        broker.code = Some(u8::try_from(code).unwrap_or(u8::MAX));
        broker.pmi = None;
        if self.session.verbose || code != 0 && rank > 0 {
            eprintln!("flux-start: {rank} (pid {}) {status}", broker.child.id());
        }
        let counts = rank == 0 || !self.session.leader_only;
        let others = self.list.iter().any(|broker| broker.code.is_none());
        if counts && others && self.kill_at.is_none() {
            self.kill_at = self.session.exit_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        }
        Ok(())
    }

    fn code(&self) -> u8 {
        let codes = self.list.iter().filter_map(|broker| broker.code);
        if self.session.leader_only { codes.take(1).max() } else { codes.max() }.unwrap_or(1)
    }
}
