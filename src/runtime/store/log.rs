//! The log: records in, one write and at most one fdatasync per batch; a batch is kept whole or undone whole.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flux_service::LogPosition;

use super::error::StoreError;
use super::format::{FrameKind, put_frame};
use super::segment::Segment;
use crate::limits::{RECORD_BYTES_MAX, SEGMENT_BYTES, UNSYNCED_BYTES_MAX};

/// A record after the last trim, with the position after it.
pub(super) type Recovered = (LogPosition, Arc<[u8]>);

/// An open log.
///
/// What was written but not synced is also kept in memory: when an fdatasync fails, the kernel may have dropped it, and
/// asking again would claim success. It is then written once more, into a new segment that takes the place of the old
/// one's tail.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) dir: PathBuf,
    /// All files, oldest first; the last one is `file`.
    pub(super) segments: Vec<Segment>,
    pub(super) file: File,
    /// Where the next frame goes.
    pub(super) end: u64,
    pub(super) synced_to: u64,
    /// The bytes from `synced_to` to `end`.
    pub(super) unsynced: Vec<u8>,
    /// The current file cannot be trusted beyond `synced_to`.
    pub(super) broken: bool,
    /// The position after the last record, and the one before which nothing is needed.
    pub(super) records_to: u64,
    pub(super) trimmed_to: u64,
    /// Calls of fdatasync on records so far.
    pub(super) syncs: u64,
    #[cfg(test)]
    pub(super) failing_syncs: u32,
}

impl Log {
    /// Appends records with one write, and with one fdatasync if `sync`; answers the position after each.
    ///
    /// # Errors
    /// None of the records is in the log then. A later call starts afresh: space may have been made.
    pub(super) fn append(&mut self, records: &[Arc<[u8]>], sync: bool) -> Result<Vec<LogPosition>, StoreError> {
        if let Some(long) = records.iter().find(|record| record.len() > RECORD_BYTES_MAX) {
            return Err(StoreError::RecordTooLong { len: long.len(), max: RECORD_BYTES_MAX });
        }
        self.prepare()?;
        let mut frames = Vec::with_capacity(records.iter().map(|record| record.len() + 32).sum());
        let mut positions = Vec::with_capacity(records.len());
        for record in records {
            let position = self.end + frames.len() as u64;
            put_frame(&mut frames, position, self.synced_to, FrameKind::Record, record);
            positions.push(LogPosition(self.end + frames.len() as u64));
        }
        self.write(&frames)?;
        if sync || self.unsynced.len() > UNSYNCED_BYTES_MAX {
            let before = self.end - frames.len() as u64;
            self.sync().inspect_err(|_| self.undo(before))?;
        }
        self.records_to = self.end;
        Ok(positions)
    }

    /// Remembers that nothing before `before` is needed, and deletes the files that hold nothing else.
    ///
    /// # Errors
    /// Without effect on the records. What was not forgotten now will be at the next trim.
    pub(super) fn trim(&mut self, before: LogPosition) -> Result<(), StoreError> {
        self.prepare()?;
        let mut frame = Vec::new();
        put_frame(&mut frame, self.end, self.synced_to, FrameKind::Trim, &before.0.to_le_bytes());
        self.write(&frame)?;
        self.trimmed_to = self.trimmed_to.max(before.0);
        self.delete_before(before.0)
    }

    fn delete_before(&mut self, position: u64) -> Result<(), StoreError> {
        let keep_from = self.segments.iter().rposition(|segment| segment.start <= position).unwrap_or(0);
        for segment in self.segments.drain(..keep_from) {
            fs::remove_file(&segment.path).map_err(StoreError::io("remove", &segment.path))?;
        }
        Ok(())
    }

    /// Puts all that was written on disk. A file of which nothing is needed gives way to an empty one.
    pub(super) fn close(mut self) -> Result<(), StoreError> {
        self.sync()?;
        if self.broken || self.trimmed_to < self.records_to || self.current().start == self.end {
            return Ok(());
        }
        self.begin_segment()?;
        self.delete_before(self.end)
    }

    /// Puts all that was written on disk.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        if self.synced_to == self.end {
            return Ok(());
        }
        self.syncs += 1;
        let outcome = self.sync_file();
        let path = &self.current().path;
        outcome.map_err(StoreError::io("sync", path)).inspect_err(|_| self.broken = true)?;
        self.synced_to = self.end;
        self.unsynced.clear();
        self.unsynced.shrink_to(UNSYNCED_BYTES_MAX / 16);
        Ok(())
    }

    fn sync_file(&mut self) -> io::Result<()> {
        #[cfg(test)]
        if self.failing_syncs > 0 {
            self.failing_syncs -= 1;
            return Err(io::Error::from_raw_os_error(5)); // EIO
        }
        self.file.sync_data()
    }

    fn current(&self) -> &Segment {
        self.segments.last().expect("an open log has a segment")
    }

    /// Makes the log fit to be written to: replaces a broken tail, and begins a new file when this one is full.
    fn prepare(&mut self) -> Result<(), StoreError> {
        if self.broken {
            return self.replace_tail();
        }
        if self.end - self.current().start < SEGMENT_BYTES {
            return Ok(());
        }
        self.sync()?; // So that only the last file can have a torn tail.
        self.begin_segment()
    }

    fn begin_segment(&mut self) -> Result<(), StoreError> {
        let (segment, file) = Segment::create(&self.dir, self.end, &[])?;
        self.segments.push(segment);
        self.file = file;
        Ok(())
    }

    /// Writes what is not known to be on disk into a new file. Recovery believes the later file where two overlap.
    fn replace_tail(&mut self) -> Result<(), StoreError> {
        let (segment, file) = Segment::create(&self.dir, self.synced_to, &self.unsynced)?;
        // The same start means that it has replaced the old file under its name.
        if self.current().start == segment.start {
            self.segments.pop();
        }
        self.segments.push(segment);
        self.file = file;
        self.broken = false;
        self.synced_to = self.end;
        self.unsynced.clear();
        Ok(())
    }

    fn write(&mut self, frames: &[u8]) -> Result<(), StoreError> {
        let segment = self.current();
        let written = self.file.write_all_at(frames, segment.offset(self.end));
        written.map_err(StoreError::io("write", &segment.path)).inspect_err(|_| self.undo(self.end))?;
        self.end += frames.len() as u64;
        self.unsynced.extend_from_slice(frames);
        Ok(())
    }

    /// Takes back what was written after `position`.
    fn undo(&mut self, position: u64) {
        assert!((self.synced_to..=self.end).contains(&position), "only what is not synced can be undone");
        self.end = position;
        self.unsynced.truncate((position - self.synced_to) as usize);
        let cut = self.file.set_len(self.current().offset(position));
        // A tail that cannot be cut must not be taken for records after a crash: the next file will supersede it.
        self.broken |= cut.is_err();
    }
}

/// Makes the directory of a log.
pub(super) fn make_dir(dir: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(StoreError::io("make", dir))
}
