//! The bytes of the log: segments of frames.
//!
//! A segment begins with 32 bytes: `fluxlog` and the version (1), the position of its first frame (u64), 12 zero bytes, and a
//! CRC-32 of all that. A frame is: CRC-32 of the rest of the frame and of its position (u32), the length of what follows the
//! header (u32), the position up to which the log was known to be on disk when the frame was written (u64), one byte for its
//! kind, and the record. Numbers are little endian. A *position* counts the bytes of frames since the first ever written.

use crate::limits::RECORD_BYTES_MAX;

pub(super) const SEGMENT_HEADER_LEN: usize = 32;
pub(super) const FRAME_HEADER_LEN: usize = 16;
const MAGIC: [u8; 8] = *b"fluxlog\x01";

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// A record of the service.
    Record = 1,
    /// A position (u64): all before it is in the database.
    Trim = 2,
}

/// A frame that was read back and found whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: FrameKind,
    pub(super) body: &'a [u8],
    pub(super) synced_to: u64,
    /// Bytes in the log.
    pub(super) len: usize,
}

pub(super) fn segment_header(start: u64) -> [u8; SEGMENT_HEADER_LEN] {
    let mut out = [0; SEGMENT_HEADER_LEN];
    out[..8].copy_from_slice(&MAGIC);
    out[8..16].copy_from_slice(&start.to_le_bytes());
    let crc = crc32fast::hash(&out[..28]);
    out[28..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// The position of the first frame; `None` if this is not the beginning of a segment.
pub(super) fn read_segment_header(bytes: &[u8]) -> Option<u64> {
    let header = bytes.first_chunk::<SEGMENT_HEADER_LEN>()?;
    let start = u64::from_le_bytes(header[8..16].try_into().ok()?);
    (*header == segment_header(start)).then_some(start)
}

/// Appends a frame that will stand at `position`.
pub(super) fn put_frame(out: &mut Vec<u8>, position: u64, synced_to: u64, kind: FrameKind, body: &[u8]) {
    assert!(body.len() <= RECORD_BYTES_MAX, "records are bounded before they come here");
    let len = (body.len() + 1) as u32;
    let begin = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&synced_to.to_le_bytes());
    out.push(kind as u8);
    out.extend_from_slice(body);
    let crc = checksum(position, &out[begin + 4..]);
    out[begin..begin + 4].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(position: u64, bytes: &[u8]) -> u32 {
    // The position is part of it: a whole frame in the wrong place (an old block of the disk) is not a frame.
    let mut crc = crc32fast::Hasher::new();
    crc.update(&position.to_le_bytes());
    crc.update(bytes);
    crc.finalize()
}

/// The frame that stands at the beginning of `bytes`, at `position` in the log; `None` if there is no whole one.
pub(super) fn read_frame(bytes: &[u8], position: u64) -> Option<Frame<'_>> {
    let header = bytes.first_chunk::<FRAME_HEADER_LEN>()?;
    let crc = u32::from_le_bytes(header[..4].try_into().ok()?);
    let body_len = u32::from_le_bytes(header[4..8].try_into().ok()?) as usize;
    let synced_to = u64::from_le_bytes(header[8..16].try_into().ok()?);
    if body_len == 0 || body_len > RECORD_BYTES_MAX + 1 || synced_to > position {
        return None;
    }
    let len = FRAME_HEADER_LEN + body_len;
    let whole = bytes.get(..len)?;
    if checksum(position, &whole[4..]) != crc {
        return None;
    }
    let kind = match whole[FRAME_HEADER_LEN] {
        1 => FrameKind::Record,
        2 => FrameKind::Trim,
        _ => return None,
    };
    Some(Frame { kind, body: &whole[FRAME_HEADER_LEN + 1..], synced_to, len })
}

/// Looks behind a broken frame, at `position`, for proof that what was there had reached the disk: a later frame that
/// was written when the log was known to be on disk beyond `position`. Without one, the log simply ends here.
pub(super) fn was_synced_beyond(bytes: &[u8], position: u64) -> bool {
    (1..bytes.len())
        .any(|skip| read_frame(&bytes[skip..], position + skip as u64).is_some_and(|frame| frame.synced_to > position))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_back_only_at_its_own_position_and_only_whole() {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, 100, 90, FrameKind::Record, b"record");
        let frame = Frame { kind: FrameKind::Record, body: b"record", synced_to: 90, len: bytes.len() };
        assert_eq!(read_frame(&bytes, 100), Some(frame));
        assert_eq!(read_frame(&bytes, 101), None);
        for cut in 0..bytes.len() {
            assert_eq!(read_frame(&bytes[..cut], 100), None, "cut to {cut}");
        }
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x10;
            assert_eq!(read_frame(&wrong, 100), None, "byte {at} changed");
        }
        assert_eq!(read_frame(&[0; 64], 0), None, "a hole is no frame");
    }

    #[test]
    fn a_segment_knows_where_it_begins() {
        let header = segment_header(77);
        assert_eq!(read_segment_header(&header), Some(77));
        assert_eq!(read_segment_header(&header[1..]), None);
        let mut wrong = header;
        wrong[9] ^= 1;
        assert_eq!(read_segment_header(&wrong), None);
    }
}
