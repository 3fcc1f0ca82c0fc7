//! The record of a job: the lock that says that this shell lives, and beside it the spool and how the job ended (ADR 1).

use std::fs::{DirBuilder, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use flux_shell::journal::{Journal, Numbered};
use flux_shell::limits::SPOOL_BYTES_MAX;
use serde_json::Value;

/// What this shell leaves on disk.
#[derive(Debug)]
pub(crate) struct Record {
    /// Where the spool and the end go; made when it is needed.
    left: PathBuf,
    /// Held to the end of this process.
    _lock: File,
    spool: Option<Spool>,
}

#[derive(Debug)]
struct Spool {
    file: File,
    len: u64,
    /// Where the first event lies that is not in memory.
    overflow_at: Option<u64>,
}

impl Record {
    /// Takes the lock of the record, which the broker has made, and notes there that the shell ran.
    ///
    /// # Errors
    /// Those of the file; EEXIST where another shell has it.
    pub(crate) fn open(path: &str) -> io::Result<Record> {
        let lock = File::options().write(true).read(true).open(path)?;
        if !flux_sys::lock::try_exclusive(&lock)? {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        lock.set_len(1)?; // Needs no room on the disk.
        Ok(Record { left: PathBuf::from(format!("{path}.left")), _lock: lock, spool: None })
    }

    /// # Errors
    /// Those of the directory.
    fn make_left(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.left)
    }

    pub(crate) fn is_spooling(&self) -> bool {
        self.spool.is_some()
    }

    /// No more fits: tasks that print must wait.
    pub(crate) fn is_full(&self) -> bool {
        self.spool.as_ref().is_some_and(|spool| spool.len >= SPOOL_BYTES_MAX)
    }

    /// From now on, and until [`Record::settle`], the spool holds everything that is not acknowledged.
    pub(crate) fn start(&mut self, journal: &Journal) -> io::Result<()> {
        if self.spool.is_some() {
            return Ok(());
        }
        self.make_left()?;
        let path = self.left.join("spool");
        let file = File::options().create(true).truncate(true).write(true).read(true).open(path)?;
        let mut spool = Spool { file, len: 0, overflow_at: None };
        let mut text = String::new();
        journal.unacked().for_each(|numbered| line(numbered, &mut text));
        spool.append(&text)?;
        self.spool = Some(spool);
        Ok(())
    }

    /// One event more. `kept`: it is in memory too.
    pub(crate) fn append(&mut self, numbered: &Numbered, kept: bool) -> io::Result<()> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        if !kept {
            spool.overflow_at.get_or_insert(spool.len);
        }
        let mut text = String::with_capacity(numbered.event.len() + 24);
        line(numbered, &mut text);
        spool.append(&text)
    }

    /// Everything is acknowledged: the spool is empty again.
    pub(crate) fn settle(&mut self) {
        if self.spool.take().is_some() {
            let _ = std::fs::remove_file(self.left.join("spool"));
            let _ = std::fs::remove_dir(&self.left);
        }
    }

    /// Reads events back for which memory has room again.
    pub(crate) fn refill(&mut self, journal: &mut Journal) -> io::Result<()> {
        let Some(spool) = &mut self.spool else { return Ok(()) };
        while journal.wants().is_some() {
            let Some(mut at) = spool.overflow_at else { return Ok(()) };
            let mut reader = BufReader::new(&spool.file);
            reader.seek(SeekFrom::Start(at))?;
            let mut text = String::new();
            loop {
                text.clear();
                let count = reader.read_line(&mut text)?;
                let Some(numbered) = parse(&text) else {
                    spool.overflow_at = None;
                    break;
                };
                at += count as u64;
                spool.overflow_at = Some(at);
                if !journal.refill(numbered) {
                    break;
                }
            }
        }
        spool.file.seek(SeekFrom::End(0))?;
        Ok(())
    }

    /// The last event, where the broker is not there to take it: written beside, then renamed.
    pub(crate) fn exit(&self, last: &Numbered) -> io::Result<()> {
        // What comes before the end is not to be lost before it.
        if let Some(spool) = &self.spool {
            flux_sys::fd::sync_data(&spool.file)?;
        }
        let mut text = String::new();
        line(last, &mut text);
        self.make_left()?;
        let temporary = self.left.join("exit.tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        flux_sys::fd::sync_data(&file)?;
        std::fs::rename(temporary, self.left.join("exit"))?;
        flux_sys::fd::sync_dir(&self.left)?;
        self.left.parent().map_or(Ok(()), flux_sys::fd::sync_dir)
    }
}

impl Spool {
    fn append(&mut self, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        self.len += text.len() as u64;
        Ok(())
    }
}

/// `[seq,{event}]` and a newline.
fn line(numbered: &Numbered, out: &mut String) {
    use std::fmt::Write;
    let _ = writeln!(out, "[{},{}]", numbered.seq, numbered.event);
}

fn parse(text: &str) -> Option<Numbered> {
    let inner = text.strip_suffix("]\n")?.strip_prefix('[')?;
    let (seq, event) = inner.split_once(',')?;
    serde_json::from_str::<Value>(event).ok()?;
    Some(Numbered { seq: seq.parse().ok()?, event: event.to_owned() })
}
