//! `flux archive create`

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;
use flux_types::fileref::{
    BlobRegion, FileContent, FileObject, MODE_DIRECTORY, MODE_REGULAR, MODE_SYMLINK, MODE_TYPE_MASK,
};
use flux_types::{Blobref, Treeobj};
use serde_json::Value;

use super::{Place, change_directory, keeper};
use crate::content::ContentWriter;
use crate::frame::args::{size, text, texts, verbosity};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::limits::{ARCHIVE_BLOBS_AHEAD, ARCHIVE_CHUNK_MAX, ARCHIVE_DEPTH_MAX};
use crate::store::{self, Transaction};

const CHUNK: u64 = 1 << 20;
const SMALL: u64 = 1 << 10;

pub(super) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let chunk = text(matches, "chunksize").map(size).transpose()?.unwrap_or(CHUNK);
    let place = Place::of(matches, cx);
    let mut flux = cx.open()?;
    change_directory(matches)?;
    let existing = place.find(&mut flux)?;
    let (overwrite, append) = (matches.get_flag("overwrite"), matches.get_flag("append"));
    let mut files = match existing {
        Some(_) if !overwrite && !append => return Err(CmdError::new(format!("{}: key exists", place.key))),
        Some(bytes) if append => match serde_json::from_slice(&bytes) {
            Ok(Value::Array(files)) => files,
            _ => return Err(CmdError::new(format!("{}: not an archive", place.key))),
        },
        _ => Vec::new(),
    };
    let mut create = Create {
        content: ContentWriter::new(&mut flux, false, ARCHIVE_BLOBS_AHEAD)?,
        chunk: if chunk == 0 { ARCHIVE_CHUNK_MAX } else { chunk.min(ARCHIVE_CHUNK_MAX) },
        small: text(matches, "small-file-threshold").map(size).transpose()?.unwrap_or(SMALL),
        verbose: verbosity(matches) > 0,
        files: Vec::new(),
        blobs: Vec::new(),
    };
    for path in texts(matches, "PATH") {
        create.add(Path::new(path), 0, cx)?;
    }
    create.content.settle().map_err(CmdError::calling("error storing blob"))?;
    let Create { files: new, blobs, .. } = create;
    files.extend(new.iter().map(|file| file.to_value(false)));
    let mut change = Transaction::default();
    if overwrite {
        change.unlink(&place.blobs_key())?;
    }
    if matches.get_flag("preserve") {
        let root = store::Root::Namespace(place.namespace.clone());
        let former = match store::entries(&mut flux, &root, &place.blobs_key()) {
            Ok(entries) if append => entries.len(),
            _ => 0,
        };
        for (nth, blobref) in blobs.into_iter().enumerate() {
            change.put(&format!("{}.{}", place.blobs_key(), former + nth), &keeper(blobref), false)?;
        }
    }
    let archive = serde_json::to_vec(&files).map_err(|error| CmdError::new(error.to_string()))?;
    change.put(&place.key, &Treeobj::Val(archive), false)?;
    change.commit(&mut flux, &place.namespace, 0).map_err(CmdError::calling("kvs commit"))?;
    Ok(ExitCode::SUCCESS)
}

struct Create<'a> {
    content: ContentWriter<'a>,
    chunk: u64,
    small: u64,
    verbose: bool,
    files: Vec<FileObject>,
    blobs: Vec<Blobref>,
}

impl Create<'_> {
    /// A directory comes after what is in it, so that its permissions are set last.
    fn add(&mut self, path: &Path, depth: usize, cx: &mut Context) -> Result<(), CmdError> {
        let wrong = |error: io::Error| CmdError::about(path.display(), text_of(&error));
        let meta = fs::symlink_metadata(path).map_err(wrong)?;
        if depth > ARCHIVE_DEPTH_MAX {
            return Err(CmdError::about(path.display(), "too deep"));
        }
        let content = match meta.mode() & MODE_TYPE_MASK {
            MODE_DIRECTORY => {
                let entries = fs::read_dir(path).map_err(wrong)?;
                let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
                let mut paths = paths.map_err(wrong)?;
                paths.sort();
                for path in paths {
                    self.add(&path, depth + 1, cx)?;
                }
                FileContent::Directory
            }
            MODE_SYMLINK => {
                let target = fs::read_link(path).map_err(wrong)?.into_os_string();
                let target =
                    target.into_string().map_err(|_| CmdError::about(path.display(), "target is not UTF-8"))?;
                FileContent::Symlink { target }
            }
            MODE_REGULAR => self.regular(path, &meta)?,
            _ => return Err(CmdError::about(path.display(), "unsupported file type")),
        };
        let name = name_of(path)?;
        if self.verbose {
            cx.line(&name)?;
        }
        let (mtime, ctime) = (Some(meta.mtime()), Some(meta.ctime()));
        self.files.push(FileObject { path: name, mode: meta.mode(), mtime, ctime, content });
        Ok(())
    }

    fn regular(&mut self, path: &Path, meta: &Metadata) -> Result<FileContent, CmdError> {
        let wrong = |error: io::Error| CmdError::about(path.display(), text_of(&error));
        let file = File::open(path).map_err(wrong)?;
        let size = meta.size();
        let Some(first) = flux_sys::fd::next_data(&file, 0).map_err(wrong)? else {
            return Ok(FileContent::Empty { size });
        };
        if size <= self.small {
            let mut bytes = vec![0; size as usize];
            file.read_exact_at(&mut bytes, 0).map_err(wrong)?;
            return Ok(small(bytes));
        }
        let mut regions = Vec::new();
        let mut data = Some(first);
        while let Some((start, end)) = data {
            let end = end.min(size);
            let mut offset = start;
            while offset < end {
                let mut bytes = vec![0; self.chunk.min(end - offset) as usize];
                file.read_exact_at(&mut bytes, offset).map_err(wrong)?;
                let blobref = self.content.store(&bytes).map_err(CmdError::calling("error storing blob"))?;
                self.blobs.push(blobref);
                regions.push(BlobRegion { offset, size: bytes.len() as u64, blobref });
                offset += bytes.len() as u64;
            }
            data = if end < size { flux_sys::fd::next_data(&file, end).map_err(wrong)? } else { None };
        }
        Ok(FileContent::Blobvec { size, regions })
    }
}

/// JSON has no place for a zero character in what C programs read.
fn small(bytes: Vec<u8>) -> FileContent {
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => FileContent::Text(text),
        Ok(text) => FileContent::Bytes(text.into_bytes()),
        Err(error) => FileContent::Bytes(error.into_bytes()),
    }
}

fn text_of(error: &io::Error) -> String {
    error.raw_os_error().map_or(error.to_string(), |number| flux_client::Errno(number).to_string())
}

/// RFC 37: relative, and inside.
fn name_of(path: &Path) -> Result<String, CmdError> {
    let text = path.to_str().ok_or_else(|| CmdError::about(path.display(), "the path is not UTF-8"))?;
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(CmdError::about(text, "a path with .. leads out of the archive: use -C"));
    }
    Ok(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_relative() {
        let rows = [
            ("a/b", Some("a/b")),
            ("/a//b/", Some("a/b")),
            ("./a/./b", Some("a/b")),
            (".", Some(".")),
            ("/", Some(".")),
            ("../a", None),
            ("a/../b", None),
        ];
        for (path, want) in rows {
            assert_eq!(name_of(Path::new(path)).ok().as_deref(), want, "{path}");
        }
    }
}
