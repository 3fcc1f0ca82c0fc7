//! `flux restore`: an archive back into the store.

use std::fs::File;
use std::io::{self, Read};
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::ClientError;
use flux_dump::{Key, Sink};
use flux_types::{Blobref, Treeobj};

use super::Progress;
use crate::content::ContentWriter;
use crate::frame::args::{flag, option, size, text, window, word};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::store::Transaction;

pub fn command() -> Command {
    Command::new("restore")
        .args([
            flag("verbose", Some('v'), "List keys on stderr as they are restored"),
            flag("quiet", Some('q'), "Don't show the number of keys on stderr"),
            flag("checkpoint", None, "Make the archive the next root of the store").conflicts_with("key"),
            option("key", None, "NAME", "Make the archive the directory NAME"),
            flag("no-cache", None, "Bypass the cache: write to the backing store"),
            option("size-limit", None, "SIZE", "Leave out values over SIZE bytes (k, M, G)"),
            option("maxreqs", None, "N", "Have up to N requests under way (default 256)"),
            flag("sd-notify", None, "Tell the broker of the progress, for systemd"),
        ])
        .arg(word("INFILE", "The archive: a tar, compressed by gzip or not; - is standard input"))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    if matches.get_flag("checkpoint") {
        return Err(CmdError::new(
            "the store of a running instance has its root: restore below a key with --key, or start an instance with \
             `flux start -S content.restore=INFILE`",
        ));
    }
    let Some(key) = text(matches, "key") else {
        return Err(CmdError::new("Please specify a restore target with --checkpoint or --key"));
    };
    let path = text(matches, "INFILE").unwrap_or("-");
    let size_max = text(matches, "size-limit").map(size).transpose()?;
    let mut flux = cx.open()?;
    let (verbose, quiet) = (matches.get_flag("verbose"), matches.get_flag("quiet"));
    let content = ContentWriter::new(&mut flux, matches.get_flag("no-cache"), window(matches, "maxreqs", 256)?)?;
    let mut blobs = Blobs { content, verbose, quiet, progress: Progress::new(quiet || verbose) };
    let wrong = |error: &dyn std::fmt::Display| CmdError::about(path, error);
    let restored = flux_dump::restore(input(path)?, size_max, &mut blobs).map_err(|error| match error {
        flux_dump::DumpError::Sink(error) => CmdError::calling("error storing blob")(error),
        other => wrong(&other),
    })?;
    blobs.content.settle().map_err(CmdError::calling("error storing blob"))?;
    let stored = blobs.content.stored();
    blobs.progress.end(|keys| format!("flux-restore: restored {keys} keys ({stored} blobs)"));
    let short: String = restored.root.to_string().chars().take(13).collect();
    if !quiet {
        say!("flux-restore: writing snapshot {short} to KVS key '{key}'");
    }
    let mut change = Transaction::default();
    change.put(key, &Treeobj::Dirref(vec![restored.root]), false)?;
    change.commit(&mut flux, "primary", 0).map_err(CmdError::calling(format!("error updating {key}")))?;
    Ok(ExitCode::SUCCESS)
}

fn input(path: &str) -> Result<Box<dyn Read>, CmdError> {
    match path {
        "-" => Ok(Box::new(io::stdin())),
        path => Ok(Box::new(File::open(path).map_err(|error| CmdError::about(path, error))?)),
    }
}

struct Blobs<'a> {
    content: ContentWriter<'a>,
    verbose: bool,
    quiet: bool,
    progress: Progress,
}

impl Sink for Blobs<'_> {
    type Error = ClientError;

    fn store(&mut self, blob: &[u8]) -> Result<Blobref, ClientError> {
        self.content.store(blob)
    }

    fn key(&mut self, path: &str, what: Key<'_>) {
        match what {
            Key::LeftOut(size) => {
                if !self.quiet {
                    say!("{path} size of {size} bytes exceeds limit, skipping");
                }
                return;
            }
            Key::Link(target) if self.verbose => say!("{path} -> {target}"),
            Key::Value if self.verbose => say!("{path}"),
            _ => {}
        }
        let stored = self.content.stored();
        self.progress.step(|keys| format!("flux-restore: restored {keys} keys ({stored} blobs)"));
    }
}
