//! One client: bytes in, messages out, and the queue of what it has yet to take.

use std::io::{self, Read, Write};

use flux_wire::{Cred, DecodeError, FrameError, FrameReader, Message, decode, encode_into, write_frame};
use mio::net::UnixStream;

use crate::limits::{
    GUEST_FRAME_BYTES_MAX, GUEST_OUTPUT_BYTES_MAX, OUTPUT_BUFFER_KEEP, OUTPUT_BYTES_MAX, OUTPUT_SOFT_BYTES,
    READ_TURN_BYTES,
};

/// Why a client is let go. None of these concerns the others.
#[derive(Debug)]
pub(crate) enum Dropped {
    Closed,
    Io(io::Error),
    Frame(FrameError),
    Decode(DecodeError),
    FrameTooLong,
    /// It takes less than it is sent.
    DoesNotRead {
        queued: usize,
    },
}

impl Dropped {
    /// What the log says; `None` for the ordinary ends.
    pub(crate) fn complaint(&self) -> Option<String> {
        match self {
            Dropped::Closed => None,
            Dropped::Io(error)
                if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) =>
            {
                None
            }
            Dropped::Io(error) => Some(error.to_string()),
            Dropped::Frame(error) => Some(error.to_string()),
            Dropped::Decode(error) => Some(error.to_string()),
            Dropped::FrameTooLong => Some(format!("a guest's message is over {GUEST_FRAME_BYTES_MAX} bytes")),
            Dropped::DoesNotRead { queued } => Some(format!("it does not read: {queued} bytes are waiting for it")),
        }
    }
}

/// A client's socket. The kernel reports edges, so what is left of them is remembered here.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    cred: Cred,
    reader: FrameReader,
    out: Vec<u8>,
    sent: usize,
    readable: bool,
    writable: bool,
    hung_up: bool,
}

impl Connection {
    pub(crate) fn new(stream: UnixStream, cred: Cred) -> Connection {
        Connection {
            stream,
            cred,
            reader: FrameReader::default(),
            out: Vec::new(),
            sent: 0,
            readable: true,
            writable: true,
            hung_up: false,
        }
    }

    pub(crate) fn cred(&self) -> Cred {
        self.cred
    }

    pub(crate) fn note(&mut self, event: &mio::event::Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.hung_up |= event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_write_closed();
    }

    /// Is there something to read, from a client that takes what it is sent?
    pub(crate) fn wants_read(&self) -> bool {
        self.readable && self.queued() <= OUTPUT_SOFT_BYTES
    }

    pub(crate) fn queued(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Reads what is there, up to a turn's share, and hands every whole message to `take`; answers how many bytes it read.
    pub(crate) fn receive(&mut self, chunk: &mut [u8], mut take: impl FnMut(Message)) -> Result<usize, Dropped> {
        let mut taken = 0;
        while self.readable && taken < READ_TURN_BYTES {
            let got = match self.stream.read(chunk) {
                Ok(0) => return Err(Dropped::Closed),
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Dropped::Io(error)),
            };
            taken += got;
            // A stream socket that gave less than it was asked for is empty; a new edge follows (epoll(7)). Only an
            // end that was already reported has no edge of its own.
            self.readable = got == chunk.len() || self.hung_up;
            self.reader.push(&chunk[..got]);
            while let Some(frame) = self.reader.next_frame().map_err(Dropped::Frame)? {
                take(decode(frame).map_err(Dropped::Decode)?);
            }
            if !self.cred.is_owner() && self.reader.pending() > GUEST_FRAME_BYTES_MAX {
                return Err(Dropped::FrameTooLong);
            }
        }
        Ok(taken)
    }

    /// Queues a message; `flush` sends it.
    pub(crate) fn send(&mut self, message: &Message) -> Result<(), Dropped> {
        let queued = self.queued();
        let max = if self.cred.is_owner() { OUTPUT_BYTES_MAX } else { GUEST_OUTPUT_BYTES_MAX };
        if queued > max {
            return Err(Dropped::DoesNotRead { queued });
        }
        write_frame(&mut self.out, |out| encode_into(message, out));
        Ok(())
    }

    /// No more will come. The client still reads what was sent: only a half of the socket closes, as libflux gives up
    /// on one that is closed whole, whatever is left to read in it.
    pub(crate) fn end_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Write)
    }

    /// The client has closed its end.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.hung_up
    }

    /// Sends as much as the client takes now.
    pub(crate) fn flush(&mut self) -> Result<(), Dropped> {
        while self.writable && self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(took) => self.sent += took,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(Dropped::Io(error)),
            }
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.out.shrink_to(OUTPUT_BUFFER_KEEP);
            self.sent = 0;
        } else if self.sent > self.out.len() / 2 {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
        Ok(())
    }
}
