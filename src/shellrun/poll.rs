//! The loop: waits for descriptors and the clock, and tells the shell what happened.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use flux_sys::fd::Ready;
use flux_sys::signal::SignalQueue;

use crate::limits::{READ_BYTES, READ_BYTES_FIRST};
use crate::shell::Shell;
use crate::task::Task;

const SIGINT: i32 = 2;
const SIGPIPE: i32 = 13;
const SIGALRM: i32 = 14;
const SIGTERM: i32 = 15;

/// Signals that go on to the tasks.
pub(crate) fn take_signals() -> io::Result<SignalQueue> {
    flux_sys::signal::ignore(SIGPIPE)?;
    SignalQueue::new(&[SIGINT, SIGTERM, SIGALRM])
}

/// What a descriptor belongs to; tasks by index.
#[derive(Clone, Copy, Debug)]
enum Source {
    Signals,
    Link,
    Staging,
    Exit(usize),
    Helper(usize),
    /// The task, and which of its pipes.
    Pipe(usize, usize),
    Feed(usize),
    Pmi(usize),
    /// Other commands by number: their end, their pipes, their standard input.
    Rexec(u64),
    RexecPipe(u64, flux_shell::output::Stream),
    RexecFeed(u64),
}

/// Runs to the end of the job. `begin` is called once the hello is under way.
pub(crate) fn run(shell: &mut Shell, signals: &SignalQueue, begin: impl FnOnce(&mut Shell)) -> io::Result<()> {
    shell.tend();
    begin(shell);
    let mut buf = vec![0; READ_BYTES_FIRST];
    loop {
        shell.now = Instant::now();
        shell.tend();
        if shell.is_over() {
            return Ok(());
        }
        for (source, ready) in wait(shell, signals)? {
            shell.now = Instant::now();
            handle(shell, signals, source, ready, &mut buf)?;
        }
        // Pipes are handled from the last to the first, as those that end are removed; tasks are never removed.
    }
}

fn wait(shell: &Shell, signals: &SignalQueue) -> io::Result<Vec<(Source, Ready)>> {
    let mut sources = vec![Source::Signals];
    let mut fds: Vec<(BorrowedFd<'_>, bool)> = vec![(signals.as_fd(), false)];
    let mut add = |source, fd, writable| {
        sources.push(source);
        fds.push((fd, writable));
    };
    if let Some((fd, writable)) = shell.link.fd() {
        add(Source::Link, fd, writable);
    }
    if let Some(staging) = &shell.staging {
        add(Source::Staging, staging.fd(), false);
    }
    let choked = shell.is_choked();
    for (at, task) in shell.tasks.iter().enumerate() {
        let Task { child, pipes, feed, pmi, .. } = task;
        let ends = task.ends(shell.now).is_some();
        if !choked && !ends {
            let awake = pipes.iter().enumerate().filter(|(_, pipe)| pipe.rests(shell.now).is_none());
            for (number, pipe) in awake.rev() {
                add(Source::Pipe(at, number), pipe.as_fd(), false);
            }
        }
        if let Some(feed) = feed.as_ref().filter(|feed| feed.wants_write()) {
            add(Source::Feed(at), feed.as_fd(), true);
        }
        if let Some(pmi) = pmi.as_ref().filter(|_| !ends) {
            add(Source::Pmi(at), pmi.as_fd(), false);
        }
        if let Some(child) = child {
            add(Source::Exit(at), child.as_fd(), false);
        }
    }
    for (at, helper) in shell.helpers.iter().enumerate().rev() {
        add(Source::Helper(at), helper.child.as_fd(), false);
    }
    for process in &shell.rexec.processes {
        if !shell.link.is_full() {
            for pipe in &process.pipes {
                add(Source::RexecPipe(process.number, pipe.stream), pipe.as_fd(), false);
            }
        }
        if let Some(feed) = process.feed.as_ref().filter(|feed| feed.wants_write()) {
            add(Source::RexecFeed(process.number), feed.as_fd(), true);
        }
        if let Some(child) = &process.child {
            add(Source::Rexec(process.number), child.as_fd(), false);
        }
    }
    let timeout = shell.next_timer().map(|at| {
        let left = at.saturating_duration_since(Instant::now());
        u32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u32::MAX)
    });
    let ready = match flux_sys::fd::poll(&fds, timeout) {
        Ok(ready) => ready,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(sources.into_iter().zip(ready).filter(|(_, ready)| *ready != Ready::default()).collect())
}

fn handle(shell: &mut Shell, signals: &SignalQueue, source: Source, ready: Ready, buf: &mut Vec<u8>) -> io::Result<()> {
    match source {
        Source::Signals => {
            while let Some(received) = signals.next()? {
                shell.signal(received.signal);
            }
        }
        Source::Link => {
            let now = shell.now;
            for said in shell.link.advance(now) {
                shell.hear(said);
            }
        }
        Source::Staging => shell.staging_ended(),
        Source::Pipe(at, number) => {
            let pipe = &mut shell.tasks[at].pipes[number];
            if let Some(bytes) = pipe.read(buf).map(<[u8]>::to_vec) {
                pipe.was_read(shell.now, bytes.len());
                shell.printed(at, number, &bytes);
                if bytes.len() == buf.len() {
                    buf.resize(READ_BYTES, 0);
                }
            }
        }
        Source::Feed(at) => {
            let task = &mut shell.tasks[at];
            if ready.hangup || task.feed.as_mut().is_some_and(|feed| !feed.write()) {
                task.feed = None;
            }
        }
        Source::Pmi(at) => {
            if let Some(lines) = shell.tasks[at].pmi.as_mut().map(crate::task::PmiWire::lines) {
                shell.pmi(at, lines);
            }
        }
        Source::Helper(at) => {
            let Some(helper) = shell.helpers.get(at) else { return Ok(()) };
            if let Some((status, _)) = helper.child.try_wait()? {
                shell.helper_exited(at, status.0);
            }
        }
        Source::Rexec(number) | Source::RexecPipe(number, _) | Source::RexecFeed(number) => {
            handle_rexec(shell, number, source, ready, buf)?;
        }
        Source::Exit(at) => {
            let Some(child) = &shell.tasks[at].child else { return Ok(()) };
            if let Some((status, _)) = child.try_wait()? {
                shell.exited(at, status.0);
            }
        }
    }
    Ok(())
}

fn handle_rexec(shell: &mut Shell, number: u64, source: Source, ready: Ready, buf: &mut [u8]) -> io::Result<()> {
    let Some(process) = shell.rexec.processes.iter_mut().find(|one| one.number == number) else { return Ok(()) };
    match source {
        Source::RexecPipe(_, stream) => {
            let Some(pipe) = process.pipes.iter_mut().find(|pipe| pipe.stream == stream) else { return Ok(()) };
            if let Some(bytes) = pipe.read(buf).map(<[u8]>::to_vec) {
                shell.rexec_printed(number, stream, &bytes);
            }
        }
        Source::RexecFeed(_) => {
            if ready.hangup || process.feed.as_mut().is_some_and(|feed| !feed.write()) {
                process.feed = None;
            }
        }
        _ => {
            let Some(child) = &process.child else { return Ok(()) };
            if let Some((status, _)) = child.try_wait()? {
                shell.rexec_exited(number, status.0);
            }
        }
    }
    Ok(())
}
