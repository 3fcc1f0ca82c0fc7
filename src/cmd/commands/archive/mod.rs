//! `flux archive`: files in the key-value store (RFC 37), for all nodes of an instance to take out.

mod create;
mod extract;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};
use flux_client::{ClientError, Errno, Handle};
use flux_types::Treeobj;
use flux_types::fileref::{FileContent, FileObject};
use serde_json::Value;

use crate::frame::args::{flag, option, optional_word, text, verbose, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::glob;
use crate::store::{self, Root, Transaction};

fn named() -> [Arg; 2] {
    [
        option("name", Some('n'), "NAME", "The archive's name (default main)"),
        flag("no-force-primary", None, "Use the default namespace, not the primary one"),
    ]
}

pub fn command() -> Command {
    let pattern = || optional_word("PATTERN", "Only files whose path matches");
    let directory = || option("directory", Some('C'), "DIR", "Change to DIR first");
    Command::new("archive")
        .subcommand_required(true)
        .subcommand(
            Command::new("create")
                .about("Create a KVS file archive")
                .args(named())
                .arg(directory())
                .arg(verbose())
                .args([
                    flag("overwrite", None, "Overwrite existing archive").conflicts_with("append"),
                    flag("append", None, "Append to existing archive"),
                    flag("preserve", None, "Keep the archive over a restart with garbage collection"),
                    flag("mmap", None, "Accepted; file data is copied"),
                    option("chunksize", None, "N[KMG]", "Limit blob size to N bytes; 0 is unlimited (default 1M)"),
                    option(
                        "small-file-threshold",
                        None,
                        "N[KMG]",
                        "Files of up to N bytes are in the archive itself (default 1K)",
                    ),
                    words("PATH", "Files and directories").required(true).num_args(1..),
                ]),
        )
        .subcommand(Command::new("remove").about("Remove a KVS file archive").args(named()).arg(flag(
            "force",
            Some('f'),
            "Don't fail if the archive does not exist",
        )))
        .subcommand(
            Command::new("extract")
                .about("Extract KVS file archive contents")
                .args(named())
                .arg(directory())
                .arg(verbose())
                .args([
                    flag("overwrite", None, "Overwrite existing files"),
                    flag("list-only", Some('t'), "List table of contents without extracting"),
                    Arg::new("waitcreate")
                        .long("waitcreate")
                        .value_name("FSD")
                        .num_args(0..=1)
                        .require_equals(true)
                        .default_missing_value("")
                        .help("Wait for the archive to appear, for at most FSD"),
                    pattern(),
                ]),
        )
        .subcommand(Command::new("list").about("List contents of KVS file archive").args(named()).args([
            flag("long", Some('l'), "Show file type, mode, size"),
            flag("raw", None, "Show RFC 37 file objects without decoding"),
            pattern(),
        ]))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("create", matches)) => create::run(matches, cx),
        Some(("remove", matches)) => remove(matches, cx),
        Some(("extract", matches)) => extract::run(matches, cx),
        Some(("list", matches)) => list(matches, cx),
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

/// Where an archive is.
struct Place {
    namespace: String,
    key: String,
}

impl Place {
    fn of(matches: &ArgMatches, cx: &Context) -> Place {
        let namespace =
            if matches.get_flag("no-force-primary") { store::namespace(None, cx) } else { "primary".to_owned() };
        Place { namespace, key: format!("archive.{}", text(matches, "name").unwrap_or("main")) }
    }

    fn blobs_key(&self) -> String {
        format!("{}_blobs", self.key)
    }

    /// The archive as it is stored; `None` if there is none.
    fn find(&self, flux: &mut Handle) -> Result<Option<Vec<u8>>, ClientError> {
        match store::value(flux, &Root::Namespace(self.namespace.clone()), &self.key) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(ClientError::Answer(fault)) if fault.errno == Errno::ENOENT => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The archive; `wait` is for how long to wait for it to be made, if at all.
    fn read(&self, flux: &mut Handle, wait: Option<Option<Duration>>) -> Result<Vec<Value>, CmdError> {
        let flags = if wait.is_some() { store::flag::WAITCREATE } else { 0 };
        let calling = || CmdError::calling(format!("KVS lookup {}", self.key));
        let root = Root::Namespace(self.namespace.clone());
        let ticket = store::send_lookup(flux, &root, &self.key, flags)?;
        let answer = flux.wait(ticket, wait.flatten())?;
        let answer = answer.ok_or_else(|| CmdError::about(&self.key, "key was not created within timeout window"))?;
        let object = store::answer_of(&answer).map_err(calling())?;
        let bytes = store::bytes_of(object).map_err(calling())?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Array(files)) => Ok(files),
            Ok(_) => Err(CmdError::about(&self.key, "not an archive")),
            Err(error) => Err(CmdError::about(&self.key, error)),
        }
    }
}

fn change_directory(matches: &ArgMatches) -> Result<(), CmdError> {
    match text(matches, "directory") {
        Some(dir) => env::set_current_dir(dir).map_err(|error| CmdError::about(format!("chdir {dir}"), error)),
        None => Ok(()),
    }
}

/// Keeps what matches the pattern, if there is one.
fn select(files: &mut Vec<Value>, matches: &ArgMatches, cx: &mut Context) {
    let Some(pattern) = text(matches, "PATTERN") else { return };
    files.retain(|file| file["path"].as_str().is_some_and(|path| glob::matches(pattern, path)));
    if files.is_empty() {
        cx.warn(format_args!("No files matched pattern '{pattern}'"));
    }
}

fn remove(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let place = Place::of(matches, cx);
    let mut flux = cx.open()?;
    if place.find(&mut flux)?.is_none() && !matches.get_flag("force") {
        return Err(CmdError::new(format!("{} does not exist", place.key)));
    }
    let mut change = Transaction::default();
    change.unlink(&place.key)?;
    change.unlink(&place.blobs_key())?;
    change.commit(&mut flux, &place.namespace, 0).map_err(CmdError::calling(format!("unlink {}", place.key)))?;
    Ok(ExitCode::SUCCESS)
}

fn list(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let place = Place::of(matches, cx);
    let mut flux = cx.open()?;
    let mut files = place.read(&mut flux, None)?;
    select(&mut files, matches, cx);
    for value in &files {
        if matches.get_flag("raw") {
            cx.line(value)?;
            continue;
        }
        let file = FileObject::from_value(value).map_err(|error| CmdError::new(error.to_string()))?;
        match matches.get_flag("long") {
            true => cx.line(long(&file))?,
            false => cx.line(&file.path)?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn long(file: &FileObject) -> String {
    let kind = match file.content {
        FileContent::Directory => 'd',
        FileContent::Symlink { .. } => 'l',
        _ => 'f',
    };
    format!("{kind} 0{:o} {:>8} {}", file.permissions(), file.size().unwrap_or(0), file.path)
}

/// A key that holds one blob, so that the collector of garbage finds it.
fn keeper(blobref: flux_types::Blobref) -> Treeobj {
    Treeobj::Valref(vec![blobref])
}
