//! `flux dump`: the key-value store as an archive.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, ArgMatches, Command};
use flux_dump::{Compression, Stamp, Writer};

use super::walk::{Blobs, Found, Options, Visitor, Walk};
use super::{Progress, checkpoints, live_root, now};
use crate::frame::args::{flag, option, optional_word, text, window};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, timefmt};

pub fn command() -> Command {
    Command::new("dump")
        .args([
            flag("verbose", Some('v'), "List keys on stderr as they are dumped"),
            flag("quiet", Some('q'), "Don't show the number of keys on stderr"),
            flag("checkpoint", None, "Dump the latest checkpoint, not the current root"),
            flag("no-cache", None, "Bypass the cache: read from the backing store"),
            flag("ignore-failed-read", None, "Leave out what cannot be read, with a warning"),
            flag("sd-notify", None, "Tell the broker of the progress, for systemd"),
            option("maxreqs", None, "N", "Have up to N requests under way (default 2)"),
            option("auto", None, "DIR", "Name the archive after the time, and link it as DIR/RESTORE").hide(true),
        ])
        .arg(optional_word("OUTFILE", "The archive: .tar, .tgz or .tar.gz; - is standard output"))
        .group(ArgGroup::new("where").args(["OUTFILE", "auto"]).required(true))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let (path, link) = match text(matches, "auto") {
        Some(dir) => {
            let (path, link) = automatic(Path::new(dir))?;
            (path, Some(link))
        }
        None => (text(matches, "OUTFILE").unwrap_or("-").to_owned(), None),
    };
    let compression = Compression::of_name(&path).map_err(|error| CmdError::new(error.to_string()))?;
    let options = Options {
        bypass: matches.get_flag("no-cache"),
        window: window(matches, "maxreqs", 2)?,
        separator: '/',
        blobs: Blobs::Load,
    };
    let mut flux = cx.open()?;
    let (root, mtime) = if matches.get_flag("checkpoint") {
        let latest = checkpoints(&mut flux)?.into_iter().next();
        let latest = latest.ok_or_else(|| CmdError::new("there is no checkpoint yet"))?;
        (latest.root, latest.timestamp as u64)
    } else {
        (live_root(&mut flux, "primary")?, now())
    };
    let ids = flux_sys::ids::Ids::current();
    let stamp = Stamp { mtime, uid: ids.euid, gid: ids.egid };
    let silent = matches.get_flag("quiet") || matches.get_flag("verbose");
    let mut dump = Dump {
        writer: Writer::new(output(&path)?, compression, stamp),
        progress: Progress::new(silent),
        verbose: matches.get_flag("verbose"),
        ignore_failed: matches.get_flag("ignore-failed-read"),
        path: path.clone(),
    };
    Walk::new(&mut flux, options).run(&root, &mut dump)?;
    dump.finish()?;
    if let Some(link) = link {
        let name = Path::new(&path).file_name().unwrap_or_default();
        let _ = fs::remove_file(&link); // That of an earlier dump; there may be none.
        std::os::unix::fs::symlink(name, &link).map_err(|error| CmdError::about(link.display(), error))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// An archive named after the time in `dir`, and the link under which the next broker finds it.
fn automatic(dir: &Path) -> Result<(String, PathBuf), CmdError> {
    // For our eyes only: an archive has everything.
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir).map_err(|error| CmdError::about(dir.display(), error))?;
    let time = timefmt::local(timefmt::now(), "%Y%m%d_%H%M%S").unwrap_or_default();
    Ok((format!("{}/{time}.tgz", dir.display()), dir.join("RESTORE")))
}

/// The archive is on disk when it has its name, or (to a name that is no file's) at least written.
enum Target {
    Stdout(io::Stdout),
    File(File),
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(out) => out.flush(),
        }
    }
}

fn output(path: &str) -> Result<BufWriter<Target>, CmdError> {
    let target = match path {
        "-" => Target::Stdout(io::stdout()),
        path => Target::File(File::create(path).map_err(|error| CmdError::about(path, error))?),
    };
    Ok(BufWriter::with_capacity(1 << 16, target))
}

struct Dump {
    writer: Writer<BufWriter<Target>>,
    progress: Progress,
    verbose: bool,
    ignore_failed: bool,
    path: String,
}

impl Dump {
    fn finish(self) -> Result<(), CmdError> {
        let wrong = |error| CmdError::about(&self.path, error);
        let out = self.writer.finish().map_err(wrong)?;
        if let Target::File(file) = out.get_ref() {
            file.sync_all().map_err(wrong)?;
        }
        self.progress.end(|keys| format!("flux-dump: archived {keys} keys"));
        Ok(())
    }

    fn lost(&self, text: String) -> Result<(), CmdError> {
        say!("{text}");
        if self.ignore_failed { Ok(()) } else { Err(CmdError::Silent(1)) }
    }
}

impl Visitor for Dump {
    fn found(&mut self, path: &str, found: Found<'_>) -> Result<(), CmdError> {
        let written = match found {
            Found::Dir | Found::Blobs(_) => return Ok(()),
            Found::Value(bytes) => self.writer.value(path, bytes),
            Found::Symlink { namespace, target } => self.writer.symlink(path, namespace, target),
            Found::Lost(_, lost) => {
                let (at, fault) = &lost[0];
                return self.lost(format!("{path}: missing blobref {at}: {}", fault.message()));
            }
            Found::LostDir(fault) => {
                return self.lost(format!("{path}: could not load content: {}", fault.message()));
            }
            Found::BadDir(what) => return Err(CmdError::about(path, format!("invalid directory: {what}"))),
        };
        written.map_err(|error| CmdError::about(&self.path, error))?;
        if self.verbose {
            say!("{path}");
        }
        self.progress.step(|keys| format!("flux-dump: archived {keys} keys"));
        Ok(())
    }
}
