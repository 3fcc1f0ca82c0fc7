//! The connection itself: bytes in, messages out, and never a wait unless asked for.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use flux_wire::{Errno, FrameReader, Message, decode, encode_into, write_frame};

use crate::limits::{CONNECT_PAUSE, CONNECT_PAUSE_MAX, READ_BYTES, READ_BYTES_FIRST};
use crate::trace::Trace;
use crate::{Address, ClientError};

/// A stream socket with the framing of `local://` and `fd://`.
#[derive(Debug)]
pub(crate) struct Socket {
    uri: String,
    stream: UnixStream,
    /// The broker's first byte, 0 for welcome, has come. We do not wait for it: the first request may go out at once.
    admitted: bool,
    reader: FrameReader,
    scratch: Vec<u8>,
    output: Vec<u8>,
    written: usize,
    trace: Option<Trace>,
    /// What carries the bytes to another host.
    carrier: Option<Carrier>,
}

/// A process that ends when its end of the connection does; it is not left behind.
#[derive(Debug)]
struct Carrier(Child);

impl Drop for Carrier {
    fn drop(&mut self) {
        // It may be waiting for a password; one that has ended already is only waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Socket {
    pub(crate) fn new(uri: String, stream: UnixStream) -> io::Result<Socket> {
        stream.set_nonblocking(true)?;
        let (reader, scratch) = (FrameReader::default(), vec![0; READ_BYTES_FIRST]);
        Ok(Socket {
            uri,
            stream,
            admitted: false,
            reader,
            scratch,
            output: Vec::new(),
            written: 0,
            trace: Trace::from_env(),
            carrier: None,
        })
    }

    /// Connects; tries again `retries` times, at doubling pauses, while nobody listens there yet.
    pub(crate) fn connect(uri: &str, address: &Address, retries: u32) -> Result<Socket, ClientError> {
        let failed = |error| ClientError::Connect { uri: uri.to_owned(), error };
        let stream = match address {
            Address::Local(path) => {
                let mut pause = CONNECT_PAUSE;
                let mut left = retries;
                loop {
                    match UnixStream::connect(path) {
                        Ok(stream) => break stream,
                        Err(error) if left > 0 && may_come(&error) => std::thread::sleep(pause),
                        Err(error) => return Err(failed(error)),
                    }
                    left -= 1;
                    pause = (pause * 2).min(CONNECT_PAUSE_MAX);
                }
            }
            Address::Remote(remote) => {
                let (near, far) = UnixStream::pair().map_err(failed)?;
                let far = OwnedFd::from(far);
                let mut command = remote.command();
                command.stdin(Stdio::from(far.try_clone().map_err(failed)?)).stdout(Stdio::from(far));
                let child = command.spawn().map_err(failed)?;
                let mut socket = Socket::new(uri.to_owned(), near).map_err(failed)?;
                socket.carrier = Some(Carrier(child));
                return Ok(socket);
            }
            Address::Inherited(number) => flux_sys::fd::take_inherited(*number).map_err(failed)?.into(),
        };
        Socket::new(uri.to_owned(), stream).map_err(failed)
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(crate) fn unwritten(&self) -> usize {
        self.output.len() - self.written
    }

    /// Queues a message and writes what the socket takes.
    pub(crate) fn send(&mut self, message: &Message) -> Result<(), ClientError> {
        if let Some(trace) = &mut self.trace {
            trace.message(message);
        }
        write_frame(&mut self.output, |out| encode_into(message, out));
        self.flush()
    }

    /// Writes what the socket takes without waiting.
    pub(crate) fn flush(&mut self) -> Result<(), ClientError> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(0) => return Err(ClientError::Lost),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.refusal_or(error)),
            }
        }
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
            self.output.shrink_to(READ_BYTES);
        } else if self.written > self.output.len() / 2 {
            self.output.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }

    /// Reads what is there and hands each whole message to `take`. Answers whether anything was read.
    pub(crate) fn receive(
        &mut self,
        take: &mut dyn FnMut(Message) -> Result<(), ClientError>,
    ) -> Result<bool, ClientError> {
        let count = loop {
            match self.stream.read(&mut self.scratch) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(ClientError::Lost),
                Err(error) => return Err(ClientError::Socket(error)),
            }
        };
        if count == 0 {
            return Err(ClientError::Lost);
        }
        let mut bytes = &self.scratch[..count];
        if !self.admitted {
            if bytes[0] != 0 {
                return Err(ClientError::Refused { uri: self.uri.clone(), errno: Errno(i32::from(bytes[0])) });
            }
            self.admitted = true;
            bytes = &bytes[1..];
        }
        self.reader.push(bytes);
        if count == self.scratch.len() {
            self.scratch.resize(READ_BYTES, 0);
        }
        while let Some(body) = self.reader.next_frame()? {
            let message = decode(body).map_err(ClientError::Message)?;
            if let Some(trace) = &mut self.trace {
                trace.message(&message);
            }
            take(message)?;
        }
        Ok(true)
    }

    /// Waits until there is something to read, or (with bytes queued) to write. `false`: `deadline` has passed.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Result<bool, ClientError> {
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let timeout_ms = left.map(|span| u32::try_from(span.as_micros().div_ceil(1000)).unwrap_or(u32::MAX));
            match flux_sys::fd::poll(&[(self.as_fd(), self.unwritten() > 0)], timeout_ms) {
                Ok(ready) if ready[0] == flux_sys::fd::Ready::default() => {
                    if left == Some(Duration::ZERO) {
                        return Ok(false);
                    }
                }
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ClientError::Socket(error)),
            }
        }
    }

    /// A write fails when the broker has refused us; its reason is then still there to read.
    fn refusal_or(&mut self, error: io::Error) -> ClientError {
        if !self.admitted
            && let Err(refused @ ClientError::Refused { .. }) = self.receive(&mut |_| Ok(()))
        {
            return refused;
        }
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => ClientError::Lost,
            _ => ClientError::Socket(error),
        }
    }
}

fn may_come(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::WouldBlock)
}
