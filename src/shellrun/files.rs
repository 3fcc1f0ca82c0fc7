//! Files that tasks' output goes to.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Open files by path: streams and tasks with the same path share one.
#[derive(Debug, Default)]
pub(crate) struct Files {
    by_path: BTreeMap<String, usize>,
    open: Vec<Output>,
}

#[derive(Debug)]
struct Output {
    file: File,
    /// Lines are prefixed with the task's rank.
    label: bool,
}

impl Files {
    /// The number of the file at `path`; it is emptied when first opened unless `append`.
    ///
    /// # Errors
    /// Those of open(2).
    pub(crate) fn open(&mut self, path: &str, append: bool, label: bool) -> io::Result<usize> {
        if let Some(number) = self.by_path.get(path) {
            return Ok(*number);
        }
        let file = create(Path::new(path), append)?;
        self.open.push(Output { file, label });
        self.by_path.insert(path.to_owned(), self.open.len() - 1);
        Ok(self.open.len() - 1)
    }

    pub(crate) fn file(&self, number: usize) -> &File {
        &self.open[number].file
    }

    /// Writes one piece of a task's output.
    ///
    /// # Errors
    /// ENOSPC and others of write(2).
    pub(crate) fn write(&mut self, number: usize, rank: u32, bytes: &[u8]) -> io::Result<()> {
        let Output { file, label } = &mut self.open[number];
        if !*label {
            return file.write_all(bytes);
        }
        let mut line = format!("{rank}: ").into_bytes();
        line.extend_from_slice(bytes);
        if !bytes.ends_with(b"\n") {
            line.push(b'\n');
        }
        file.write_all(&line)
    }
}

/// Always opened for appending, so that several writers do not overwrite each other.
fn create(path: &Path, append: bool) -> io::Result<File> {
    if !append {
        File::create(path)?;
    }
    File::options().append(true).create(true).open(path)
}
