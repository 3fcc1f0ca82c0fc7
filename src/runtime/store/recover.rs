//! Reading the log back: all that was acknowledged, or an error that says what is damaged.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::Arc;

use flux_service::LogPosition;

use super::error::StoreError;
use super::format::{FrameKind, SEGMENT_HEADER_LEN, read_frame, read_segment_header, was_synced_beyond};
use super::log::{Log, Recovered, make_dir};
use super::segment::Segment;

/// A log with all its records.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) log: Log,
    pub(super) records: Vec<Recovered>,
    /// Bytes of a write that a crash interrupted; they were never acknowledged.
    pub(super) torn_bytes: u64,
}

#[derive(Default)]
struct Scan {
    records: Vec<Recovered>,
    records_to: u64,
    trimmed_to: u64,
    torn_bytes: u64,
}

/// Opens the log in `dir`, which is made if it is not there.
///
/// # Errors
/// [`StoreError::CorruptLog`] when something that had reached the disk is not there any more.
pub(super) fn open(dir: &Path) -> Result<Opened, StoreError> {
    make_dir(dir)?;
    let segments = Segment::list(dir)?;
    if segments.is_empty() {
        let (segment, file) = Segment::create(dir, 0, &[])?;
        return Ok(opened(dir, vec![segment], file, 0, Scan::default()));
    }
    let mut scan = Scan::default();
    let mut end = segments[0].start;
    for (slot, segment) in segments.iter().enumerate() {
        end = scan.segment(segment, segments.get(slot + 1))?;
    }
    scan.records_to = scan.records.last().map_or(0, |(position, _)| position.0);
    scan.records.retain(|(position, _)| position.0 > scan.trimmed_to);
    let last = segments.last().expect("there is one");
    let file =
        OpenOptions::new().read(true).write(true).open(&last.path).map_err(StoreError::io("open", &last.path))?;
    // Whatever stands after the end was never acknowledged, and must not look like a record later.
    file.set_len(last.offset(end)).map_err(StoreError::io("cut", &last.path))?;
    file.sync_data().map_err(StoreError::io("sync", &last.path))?;
    Ok(opened(dir, segments, file, end, scan))
}

fn opened(dir: &Path, segments: Vec<Segment>, file: fs::File, end: u64, scan: Scan) -> Opened {
    let log = Log {
        dir: dir.to_owned(),
        segments,
        file,
        end,
        synced_to: end,
        unsynced: Vec::new(),
        broken: false,
        records_to: scan.records_to,
        trimmed_to: scan.trimmed_to,
        syncs: 0,
        #[cfg(test)]
        failing_syncs: 0,
    };
    Opened { log, records: scan.records, torn_bytes: scan.torn_bytes }
}

impl Scan {
    /// Reads one segment; answers the position after its last frame.
    fn segment(&mut self, segment: &Segment, next: Option<&Segment>) -> Result<u64, StoreError> {
        let bytes = fs::read(&segment.path).map_err(StoreError::io("read", &segment.path))?;
        let damaged = |offset: u64, why| StoreError::CorruptLog { path: segment.path.clone(), offset, why };
        if read_segment_header(&bytes) != Some(segment.start) {
            return Err(damaged(0, "no header"));
        }
        let frames = &bytes[SEGMENT_HEADER_LEN..];
        // A later file takes over at its start, even where this one goes on.
        let limit = next.map_or(u64::MAX, |next| next.start);
        let mut at = 0;
        while segment.start + (at as u64) < limit {
            let position = segment.start + at as u64;
            let Some(frame) = read_frame(&frames[at..], position) else { break };
            at += frame.len;
            match frame.kind {
                FrameKind::Record => {
                    self.records.push((LogPosition(position + frame.len as u64), Arc::from(frame.body)))
                }
                FrameKind::Trim => {
                    let before = frame.body.try_into().map(u64::from_le_bytes);
                    let before =
                        before.map_err(|_| damaged(segment.offset(position), "a trim without its position"))?;
                    self.trimmed_to = self.trimmed_to.max(before);
                }
            }
        }
        let position = segment.start + at as u64;
        let rest = &frames[at..];
        match next {
            Some(next) if position != next.start => Err(damaged(segment.offset(position), "records are missing")),
            Some(_) => Ok(position),
            None if was_synced_beyond(rest, position) => Err(damaged(segment.offset(position), "records are missing")),
            None => {
                self.torn_bytes = rest.len() as u64;
                Ok(position)
            }
        }
    }
}
