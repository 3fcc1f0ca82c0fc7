//! Framing of stream sockets: `local://`, `fd://` and relayed connections all use it.

use std::fmt;

use crate::Errno;
use crate::limits::{FRAME_LEN_MAX, READ_BUFFER_KEEP};

/// Sent in host order: RFC 3's prose says otherwise, but every client does this (doc/deviations.md).
pub const FRAME_MAGIC: u32 = 0xffee_0012;
/// Magic and length, in bytes.
pub const FRAME_PREFIX_LEN: usize = 8;

/// Why a peer's frame was refused. A peer can always cause these, so none of them may panic.
#[derive(Debug, PartialEq, Eq)]
pub enum FrameError {
    BadMagic { got: u32 },
    BadLength { got: usize, max: usize },
}

impl FrameError {
    pub const fn errno(&self) -> Errno {
        match self {
            Self::BadMagic { .. } => Errno::EPROTO,
            Self::BadLength { .. } => Errno::EMSGSIZE,
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMagic { got } => write!(f, "not a flux frame: magic {got:#010x}"),
            Self::BadLength { got, max } => write!(f, "frame length {got} over the limit of {max} bytes"),
        }
    }
}

impl std::error::Error for FrameError {}

/// A frame's body and the bytes after it.
pub type Split<'a> = (&'a [u8], &'a [u8]);

/// Splits the first frame off `buf`: `(body, rest)`, or `None` if more bytes are needed.
///
/// Lengths are bytes. The wire length counts the body only, not the 8-byte prefix, in network order.
/// `FRAME_LEN_MAX` is ours, not the RFC's: a length the peer made up must not make us hold 4 GiB.
pub fn split_frame(buf: &[u8]) -> Result<Option<Split<'_>>, FrameError> {
    let Some((&[m0, m1, m2, m3, l0, l1, l2, l3], rest)) = buf.split_first_chunk::<FRAME_PREFIX_LEN>() else {
        return Ok(None);
    };
    let magic = u32::from_ne_bytes([m0, m1, m2, m3]);
    if magic != FRAME_MAGIC {
        return Err(FrameError::BadMagic { got: magic });
    }
    let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    if len > FRAME_LEN_MAX {
        return Err(FrameError::BadLength { got: len, max: FRAME_LEN_MAX });
    }
    Ok(rest.split_at_checked(len))
}

/// Appends a frame whose body `fill` writes.
pub fn write_frame(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&FRAME_MAGIC.to_ne_bytes());
    out.extend_from_slice(&[0; 4]);
    fill(out);
    let len = out.len() - start - FRAME_PREFIX_LEN;
    assert!(len <= FRAME_LEN_MAX, "a message of {len} bytes was built past the limit");
    out[start + 4..start + 8].copy_from_slice(&(len as u32).to_be_bytes());
}

/// Gathers bytes from a stream and gives back whole frame bodies.
#[derive(Debug, Default)]
pub struct FrameReader {
    buf: Vec<u8>,
    start: usize,
}

impl FrameReader {
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start == self.buf.len() {
            self.buf.clear();
            self.start = 0;
            self.buf.shrink_to(READ_BUFFER_KEEP);
        } else if self.start > self.buf.len() / 2 {
            self.buf.drain(..self.start);
            self.start = 0;
        }
        self.buf.extend_from_slice(bytes);
    }

    /// The next whole frame's body, or `None` until more bytes are pushed.
    ///
    /// # Errors
    /// The stream is unusable from then on: its position is lost.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let Some((body, _)) = split_frame(&self.buf[self.start..])? else { return Ok(None) };
        let begin = self.start + FRAME_PREFIX_LEN;
        let end = begin + body.len();
        self.start = end;
        Ok(Some(&self.buf[begin..end]))
    }

    /// Bytes that are waiting for the rest of their frame.
    pub fn pending(&self) -> usize {
        self.buf.len() - self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_split_at_every_byte_boundary() {
        let mut wire = Vec::new();
        write_frame(&mut wire, |out| out.extend_from_slice(b"hello"));
        write_frame(&mut wire, |_| {});
        write_frame(&mut wire, |out| out.extend_from_slice(&[7; 300]));
        for chunk in 1..wire.len() {
            let mut reader = FrameReader::default();
            let mut got = Vec::new();
            for bytes in wire.chunks(chunk) {
                reader.push(bytes);
                while let Some(body) = reader.next_frame().unwrap() {
                    got.push(body.to_vec());
                }
            }
            assert_eq!(got, [b"hello".to_vec(), vec![], vec![7; 300]], "chunks of {chunk}");
            assert_eq!(reader.pending(), 0);
        }
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_bytes_arrive() {
        let mut wire = FRAME_MAGIC.to_ne_bytes().to_vec();
        wire.extend_from_slice(&[0xff; 4]);
        assert_eq!(split_frame(&wire), Err(FrameError::BadLength { got: 0xffff_ffff, max: FRAME_LEN_MAX }));
        assert_eq!(split_frame(b"GET / HT").unwrap_err().errno(), Errno::EPROTO);
    }
}
