//! One task: its process, its pipes, its PMI connection.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

use flux_shell::limits::{PMI_LINE_MAX, STDIN_BYTES_MAX};
use flux_shell::output::{Cutter, Stream};
use flux_sys::process::{Child, Pid};

use crate::limits::{COALESCE, READ_BYTES, SMALL_READS_MAX};

/// A task that was started.
#[derive(Debug)]
pub(crate) struct Task {
    pub rank: u32,
    pub local: u32,
    /// `None` once it was collected.
    pub child: Option<Child>,
    pub pid: Pid,
    /// As wait(2) gives it.
    pub status: Option<i32>,
    pub pipes: Vec<Pipe>,
    pub feed: Option<Feed>,
    pub pmi: Option<PmiWire>,
    pub own_group: bool,
    /// On a pseudo-terminal: there is no standard error apart from its standard output.
    pub pty: bool,
    /// One of its streams has ended: it is likely to exit, which ends the others. Until then only its exit is waited for.
    pub ends_until: Option<Instant>,
}

impl Task {
    /// It has ended and nothing more comes from it.
    pub(crate) fn is_done(&self) -> bool {
        self.status.is_some() && self.pipes.is_empty()
    }

    /// Until when its streams are left alone, as it is about to exit.
    pub(crate) fn ends(&self, now: Instant) -> Option<Instant> {
        self.ends_until.filter(|until| self.child.is_some() && *until > now)
    }

    /// Signals the task, with its children where it has a process group of its own.
    pub(crate) fn signal(&self, signum: i32) {
        let Some(child) = &self.child else { return };
        // A task that ended meanwhile is no error.
        let _ = if self.own_group { flux_sys::process::kill_group(self.pid, signum) } else { child.signal(signum) };
    }
}

/// Where a pipe's bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sink {
    Kvs,
    /// The file of this number.
    File(usize),
}

/// Standard output or error of a task.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub stream: Stream,
    pub sink: Sink,
    pub cutter: Cutter,
    /// Reads since a time, and until when it is left alone.
    reads: (u32, Instant),
    rests_until: Option<Instant>,
    file: File,
}

impl Pipe {
    pub(crate) fn new(stream: Stream, sink: Sink, by_line: bool, fd: OwnedFd) -> io::Result<Pipe> {
        flux_sys::fd::set_nonblocking(&fd, true)?;
        Ok(Pipe {
            stream,
            sink,
            cutter: Cutter::new(by_line),
            reads: (0, Instant::now()),
            rests_until: None,
            file: fd.into(),
        })
    }

    /// Counts a read of so many bytes. Who prints line by line, and very many, is read less often then: there is more at a time.
    pub(crate) fn was_read(&mut self, now: Instant, bytes: usize) {
        let (count, since) = &mut self.reads;
        if now >= *since + COALESCE {
            (*count, *since) = (0, now);
        }
        *count += 1;
        let dribbles = *count > SMALL_READS_MAX && bytes < READ_BYTES / 4 && bytes > 0;
        self.rests_until = dribbles.then(|| now + COALESCE);
    }

    /// Until when nothing is read of it.
    pub(crate) fn rests(&self, now: Instant) -> Option<Instant> {
        self.rests_until.filter(|until| *until > now)
    }

    /// Bytes that are there; `None`: not now. Empty at the end of the stream.
    pub(crate) fn read<'b>(&mut self, buf: &'b mut [u8]) -> Option<&'b [u8]> {
        match self.file.read(buf) {
            Ok(count) => Some(&buf[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => None,
            Err(_) => Some(&[]),
        }
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Standard input of a task: what waits to be read by it.
#[derive(Debug)]
pub(crate) struct Feed {
    file: File,
    waiting: VecDeque<Arc<[u8]>>,
    /// Of the first piece.
    written: usize,
    bytes: usize,
    pub eof: bool,
}

impl Feed {
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Feed> {
        flux_sys::fd::set_nonblocking(&fd, true)?;
        Ok(Feed { file: fd.into(), waiting: VecDeque::new(), written: 0, bytes: 0, eof: false })
    }

    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.bytes + bytes <= STDIN_BYTES_MAX
    }

    pub(crate) fn push(&mut self, bytes: &Arc<[u8]>) {
        if !bytes.is_empty() && !self.eof {
            self.bytes += bytes.len();
            self.waiting.push_back(bytes.clone());
        }
    }

    pub(crate) fn wants_write(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Writes what the task takes. `false`: the pipe is done with and must be closed.
    pub(crate) fn write(&mut self) -> bool {
        while let Some(piece) = self.waiting.front() {
            match self.file.write(&piece[self.written..]) {
                Ok(count) => {
                    self.written += count;
                    self.bytes -= count;
                    if self.written == piece.len() {
                        self.waiting.pop_front();
                        self.written = 0;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false, // The task has closed its standard input.
            }
        }
        !self.eof
    }
}

impl AsFd for Feed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The shell's end of a task's PMI connection.
#[derive(Debug)]
pub(crate) struct PmiWire {
    stream: UnixStream,
    held: Vec<u8>,
}

impl PmiWire {
    pub(crate) fn new(stream: UnixStream) -> io::Result<PmiWire> {
        stream.set_nonblocking(true)?;
        Ok(PmiWire { stream, held: Vec::new() })
    }

    /// The whole lines that came. `None`: the connection has ended, or a line is longer than any may be.
    pub(crate) fn lines(&mut self) -> Option<Vec<String>> {
        let mut buf = [0; 4096];
        let count = match self.stream.read(&mut buf) {
            Ok(0) => return None,
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(_) => return None,
        };
        self.held.extend_from_slice(&buf[..count]);
        let mut lines = Vec::new();
        while let Some(at) = self.held.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.held.drain(..=at).collect();
            lines.push(String::from_utf8_lossy(&line[..at]).into_owned());
        }
        (self.held.len() <= PMI_LINE_MAX).then_some(lines)
    }

    /// Answers are short and in lock-step with requests, so that the socket always has room for one.
    pub(crate) fn answer(&mut self, line: &str) -> bool {
        self.stream.write_all(line.as_bytes()).is_ok()
    }
}

impl AsFd for PmiWire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
