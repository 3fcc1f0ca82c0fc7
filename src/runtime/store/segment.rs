//! One file of the log.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::format::{SEGMENT_HEADER_LEN, segment_header};

/// A segment: its name says at which position it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) start: u64,
    pub(super) path: PathBuf,
}

impl Segment {
    fn at(dir: &Path, start: u64) -> Segment {
        Segment { start, path: dir.join(format!("{start:016x}.log")) }
    }

    /// All segments of a directory in order. What an interrupted start of a segment left behind is removed.
    pub(super) fn list(dir: &Path) -> Result<Vec<Segment>, StoreError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).map_err(StoreError::io("list", dir))? {
            let name = entry.map_err(StoreError::io("list", dir))?.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.ends_with(".tmp") {
                let path = dir.join(name);
                fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
            }
            let start = name.strip_suffix(".log").filter(|hex| hex.len() == 16);
            if let Some(start) = start.and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
                found.push(Segment::at(dir, start));
            }
        }
        found.sort_unstable_by_key(|segment| segment.start);
        Ok(found)
    }

    /// Makes a segment that begins at `start` with `frames`, whole and on disk, or not at all.
    pub(super) fn create(dir: &Path, start: u64, frames: &[u8]) -> Result<(Segment, File), StoreError> {
        let segment = Segment::at(dir, start);
        let temporary = segment.path.with_extension("tmp");
        let make = || -> io::Result<File> {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all_at(&segment_header(start), 0)?;
            file.write_all_at(frames, SEGMENT_HEADER_LEN as u64)?;
            file.sync_data()?;
            fs::rename(&temporary, &segment.path)?;
            flux_sys::fd::sync_dir(dir)?;
            Ok(file)
        };
        match make() {
            Ok(file) => Ok((segment, file)),
            Err(error) => {
                // Opening the log again removes it too.
                let _ = fs::remove_file(&temporary);
                Err(StoreError::io("make", &segment.path)(error))
            }
        }
    }

    /// The file offset of a position in this segment.
    pub(super) fn offset(&self, position: u64) -> u64 {
        assert!(position >= self.start, "position {position} lies before segment {}", self.start);
        position - self.start + SEGMENT_HEADER_LEN as u64
    }
}
