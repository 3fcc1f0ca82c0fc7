//! One stream between the broker and a child.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use crate::limits::{OUTPUT_BUFFER_KEEP, PROCESS_INPUT_BYTES_MAX, READ_TURN_BYTES};

/// Our end of it.
#[derive(Debug)]
pub(crate) enum End {
    Reader(File),
    Writer(File),
    Channel(UnixStream),
}

impl End {
    /// The reading end of a pipe, for the child's output.
    pub(crate) fn reader() -> io::Result<(End, OwnedFd)> {
        let (ours, theirs) = flux_sys::fd::pipe()?;
        flux_sys::fd::set_nonblocking(&ours, true)?;
        Ok((End::Reader(ours.into()), theirs))
    }

    /// The writing end of a pipe, for the child's input.
    pub(crate) fn writer() -> io::Result<(End, OwnedFd)> {
        let (theirs, ours) = flux_sys::fd::pipe()?;
        flux_sys::fd::set_nonblocking(&ours, true)?;
        Ok((End::Writer(ours.into()), theirs))
    }

    /// One end of a socket pair (RFC 42 channels go both ways).
    pub(crate) fn channel() -> io::Result<(End, OwnedFd)> {
        let (ours, theirs) = flux_sys::socket::pair()?;
        ours.set_nonblocking(true)?;
        Ok((End::Channel(ours), theirs.into()))
    }

    fn reads(&self) -> bool {
        !matches!(self, End::Writer(_))
    }

    fn writes(&self) -> bool {
        !matches!(self, End::Reader(_))
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            End::Reader(file) | End::Writer(file) => file.as_fd(),
            End::Channel(socket) => socket.as_fd(),
        }
    }
}

/// What reading a pipe once gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Bytes(usize),
    Nothing,
    Eof,
}

/// A stream with what waits to be written to it. The kernel reports edges, so what is left of them is remembered here.
#[derive(Debug)]
pub(crate) struct Pipe {
    end: End,
    readable: bool,
    writable: bool,
    read_open: bool,
    write_open: bool,
    input: Vec<u8>,
    sent: usize,
    eof_after_input: bool,
    /// Bytes that may be read; `None` until somebody meters this stream.
    credit: Option<u64>,
    turn: usize,
}

impl Pipe {
    pub(crate) fn new(end: End) -> Pipe {
        Pipe {
            readable: true,
            writable: true,
            read_open: end.reads(),
            write_open: end.writes(),
            end,
            input: Vec::new(),
            sent: 0,
            eof_after_input: false,
            credit: None,
            turn: 0,
        }
    }

    pub(crate) fn raw_fd(&self) -> RawFd {
        self.end.as_fd().as_raw_fd()
    }

    pub(crate) fn note(&mut self, event: &mio::event::Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
    }

    pub(crate) fn is_read_open(&self) -> bool {
        self.read_open
    }

    pub(crate) fn is_open(&self) -> bool {
        self.read_open || self.write_open
    }

    /// Output waits here only because nobody gave credit for it.
    pub(crate) fn is_held_back(&self) -> bool {
        self.read_open && self.credit == Some(0)
    }

    pub(crate) fn wants_read(&self) -> bool {
        self.read_open && self.readable && self.credit != Some(0)
    }

    pub(crate) fn add_credit(&mut self, bytes: u64) {
        self.credit = Some(self.credit.unwrap_or(0).saturating_add(bytes));
    }

    pub(crate) fn begin_turn(&mut self) {
        self.turn = 0;
    }

    /// Reads once into `chunk`. `Nothing`: empty, out of credit, or the turn's share is used up.
    pub(crate) fn read(&mut self, chunk: &mut [u8]) -> Got {
        let credit = self.credit.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let room = credit.min(chunk.len());
        if !self.wants_read() || self.turn >= READ_TURN_BYTES {
            return Got::Nothing;
        }
        loop {
            let got = match &mut self.end {
                End::Reader(file) => file.read(&mut chunk[..room]),
                End::Channel(socket) => socket.read(&mut chunk[..room]),
                End::Writer(_) => unreachable!("a writer is never open for reading"),
            };
            match got {
                Ok(0) => break,
                Ok(len) => {
                    self.turn += len;
                    self.credit = self.credit.map(|bytes| bytes - len as u64);
                    return Got::Bytes(len);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Got::Nothing;
                }
                Err(_) => break, // A reset channel has ended as much as a closed one.
            }
        }
        self.read_open = false;
        Got::Eof
    }

    /// Gives up on output that a descendant keeps open.
    pub(crate) fn abandon(&mut self) {
        self.read_open = false;
    }

    /// Queues input for the child. `false`: more than may wait.
    pub(crate) fn queue(&mut self, bytes: &[u8], eof: bool) -> bool {
        if !self.write_open || self.eof_after_input {
            return true; // It is gone, or was told that nothing follows.
        }
        if self.input.len() - self.sent + bytes.len() > PROCESS_INPUT_BYTES_MAX {
            return false;
        }
        self.input.extend_from_slice(bytes);
        self.eof_after_input |= eof;
        true
    }

    /// Writes as much of the input as the child takes now; answers how much.
    pub(crate) fn flush(&mut self) -> usize {
        let mut taken = 0;
        while self.write_open && self.writable && self.sent < self.input.len() {
            let rest = &self.input[self.sent..];
            let took = match &mut self.end {
                End::Writer(file) => file.write(rest),
                End::Channel(socket) => socket.write(rest),
                End::Reader(_) => unreachable!("a reader is never open for writing"),
            };
            match took {
                Ok(len) => {
                    self.sent += len;
                    taken += len;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(_) => self.close_input(), // It reads no more; what it did not take is of no use.
            }
        }
        if self.sent == self.input.len() {
            self.input.clear();
            self.input.shrink_to(OUTPUT_BUFFER_KEEP);
            self.sent = 0;
            if self.eof_after_input && self.write_open {
                self.close_input();
            }
        }
        taken
    }

    fn close_input(&mut self) {
        self.write_open = false;
        self.input = Vec::new();
        self.sent = 0;
        if let End::Channel(socket) = &self.end {
            // It fails only where the other end is gone already.
            let _ = socket.shutdown(Shutdown::Write);
        }
    }
}
