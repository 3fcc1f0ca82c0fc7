//! ZMTP frames: a flags octet, a length of one octet or eight, the body.

use super::error::ZmtpError;
use crate::limits::{READ_BUFFER_KEEP, ZMTP_COMMAND_LEN_MAX, ZMTP_FRAME_LEN_MAX};

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) body: Vec<u8>,
    pub(super) more: bool,
    pub(super) command: bool,
}

/// A frame where its bytes came.
#[derive(Debug)]
pub(super) struct Raw<'a> {
    pub(super) body: &'a mut [u8],
    pub(super) more: bool,
    pub(super) command: bool,
}

impl Raw<'_> {
    pub(super) fn to_frame(&self) -> Frame {
        Frame { body: self.body.to_vec(), more: self.more, command: self.command }
    }
}

/// Bytes that came and are not frames yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buf: Vec<u8>,
    start: usize,
}

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.start > self.buf.len() / 2 {
            self.buf.drain(..self.start);
            self.start = 0;
            if self.buf.is_empty() {
                self.buf.shrink_to(READ_BUFFER_KEEP);
            }
        }
        self.buf.extend_from_slice(bytes);
    }

    /// The first `len` bytes of a greeting. What cannot be one is refused at its first byte.
    pub(super) fn take_exactly(&mut self, len: usize) -> Result<Option<Vec<u8>>, ZmtpError> {
        let rest = &self.buf[self.start..];
        if rest.first().is_some_and(|byte| *byte != 0xff) {
            return Err(ZmtpError::NotZmtp);
        }
        let Some(bytes) = rest.get(..len).map(<[u8]>::to_vec) else { return Ok(None) };
        self.start += len;
        Ok(Some(bytes))
    }

    /// The next whole frame.
    pub(super) fn next(&mut self, handshake: bool) -> Result<Option<Raw<'_>>, ZmtpError> {
        let rest = &self.buf[self.start..];
        let Some((&flags, rest)) = rest.split_first() else { return Ok(None) };
        if flags & !(MORE | LONG | COMMAND) != 0 || flags & (MORE | COMMAND) == MORE | COMMAND {
            return Err(ZmtpError::Unexpected { what: format!("a frame with flags {flags:#04x}") });
        }
        let (len, head) = if flags & LONG == 0 {
            let Some(len) = rest.first() else { return Ok(None) };
            (u64::from(*len), 2)
        } else {
            let Some(bytes) = rest.first_chunk::<8>() else { return Ok(None) };
            (u64::from_be_bytes(*bytes), 9)
        };
        let max = if handshake { ZMTP_COMMAND_LEN_MAX } else { ZMTP_FRAME_LEN_MAX };
        if len > max as u64 {
            return Err(ZmtpError::TooLong { len });
        }
        let from = self.start + head;
        let Some(body) = self.buf.get_mut(from..from + len as usize) else { return Ok(None) };
        self.start = from + len as usize;
        Ok(Some(Raw { body, more: flags & MORE != 0, command: flags & COMMAND != 0 }))
    }
}

/// Appends a frame.
pub(super) fn put(out: &mut Vec<u8>, body: &[u8], more: bool, command: bool) {
    put_head(out, body.len(), more, command);
    out.extend_from_slice(body);
}

/// Appends what comes before a body of `len` bytes.
pub(super) fn put_head(out: &mut Vec<u8>, len: usize, more: bool, command: bool) {
    let flags = if more { MORE } else { 0 } | if command { COMMAND } else { 0 };
    match u8::try_from(len) {
        Ok(len) => out.extend_from_slice(&[flags, len]),
        Err(_) => {
            out.push(flags | LONG);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
}
