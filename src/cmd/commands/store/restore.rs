//! `flux restore`: an archive back into the store.

use std::fs::File;
use std::io::{self, Read};
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Handle, Payload, Rank, Target};
use flux_dump::{Key, Sink};
use flux_types::{Blobref, HashKind, Treeobj};

use super::Progress;
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
    let hash = flux.attr("content.hash").map_err(CmdError::calling("content.hash"))?;
    let hash = HashKind::from_name(&hash).ok_or_else(|| CmdError::about("content.hash", "not known here"))?;
    let (verbose, quiet) = (matches.get_flag("verbose"), matches.get_flag("quiet"));
    let mut blobs = Blobs {
        flux: &mut flux,
        hash,
        bypass: matches.get_flag("no-cache"),
        window: window(matches, "maxreqs", 256)?,
        under_way: Vec::new(),
        stored: 0,
        verbose,
        quiet,
        progress: Progress::new(quiet || verbose),
    };
    let wrong = |error: &dyn std::fmt::Display| CmdError::about(path, error);
    let restored = flux_dump::restore(input(path)?, size_max, &mut blobs).map_err(|error| match error {
        flux_dump::DumpError::Sink(error) => CmdError::calling("error storing blob")(error),
        other => wrong(&other),
    })?;
    blobs.settle(0).map_err(CmdError::calling("error storing blob"))?;
    let stored = blobs.stored;
    blobs.progress.end(|keys| format!("flux-restore: restored {keys} keys ({stored} blobs)"));
    let short: String = restored.root.to_string().chars().take(13).collect();
    if !quiet {
        eprintln!("flux-restore: writing snapshot {short} to KVS key '{key}'");
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

/// Blobs on their way to the store, a number of them at once.
struct Blobs<'a> {
    flux: &'a mut Handle,
    hash: HashKind,
    bypass: bool,
    window: usize,
    under_way: Vec<(flux_client::Ticket, Blobref)>,
    stored: usize,
    verbose: bool,
    quiet: bool,
    progress: Progress,
}

impl Blobs<'_> {
    /// Waits until at most `left` are under way.
    fn settle(&mut self, left: usize) -> Result<(), ClientError> {
        let done = self.under_way.len().saturating_sub(left);
        for (ticket, blobref) in self.under_way.drain(..done) {
            let message = self.flux.wait(ticket, None)?.ok_or(ClientError::Lost)?;
            if let Some(fault) = flux_client::Fault::of(&message) {
                return Err(ClientError::Answer(fault));
            }
            if message.payload.as_bytes() != Some(blobref.digest()) {
                let text = format!("{blobref}: the store gave the blob another name");
                return Err(ClientError::Answer(flux_client::Fault::new(flux_client::Errno(71), text)));
            }
        }
        Ok(())
    }
}

impl Sink for Blobs<'_> {
    type Error = ClientError;

    fn store(&mut self, blob: &[u8]) -> Result<Blobref, ClientError> {
        let (topic, target) = match self.bypass {
            true => ("content-backing.store", Target::Rank(Rank::ROOT)),
            false => ("content.store", Target::Any),
        };
        if self.under_way.len() >= self.window {
            self.settle(self.window / 2)?;
        }
        let ticket = self.flux.send(topic, target, Payload::raw(blob.to_vec()), false)?;
        let blobref = self.hash.hash(blob);
        self.under_way.push((ticket, blobref));
        self.stored += 1;
        Ok(blobref)
    }

    fn key(&mut self, path: &str, what: Key<'_>) {
        match what {
            Key::LeftOut(size) => {
                if !self.quiet {
                    eprintln!("{path} size of {size} bytes exceeds limit, skipping");
                }
                return;
            }
            Key::Link(target) if self.verbose => eprintln!("{path} -> {target}"),
            Key::Value if self.verbose => eprintln!("{path}"),
            _ => {}
        }
        let stored = self.stored;
        self.progress.step(|keys| format!("flux-restore: restored {keys} keys ({stored} blobs)"));
    }
}
