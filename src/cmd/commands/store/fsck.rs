//! `flux fsck`: is everything there that the store refers to?

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Errno, Fault, Handle};
use flux_types::{Blobref, Treeobj};

use super::walk::{Blobs, Found, Options, Visitor, Walk};
use super::{blobref, checkpoints, live_root};
use crate::frame::args::{flag, option, text};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, timefmt};
use crate::store::{self, Root, Transaction};

const LOST: &str = "lost+found";
/// Blobs that are asked for ahead.
const WINDOW: usize = 32;

pub fn command() -> Command {
    Command::new("fsck").args([
        flag("verbose", Some('v'), "List keys on stderr as they are validated"),
        flag("quiet", Some('q'), "Say only what is essential"),
        option("rootref", Some('r'), "BLOBREF", "Check this root, not that of the latest checkpoint")
            .conflicts_with("repair"),
        flag("repair", Some('R'), "Remove dangling references; what is left of values goes to lost+found"),
        flag("job-aware", Some('j'), "With --repair, move all data of a damaged job to lost+found"),
    ])
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut flux = cx.open()?;
    let repair = matches.get_flag("repair");
    let root = match text(matches, "rootref") {
        Some(given) => blobref(given).map_err(|_| CmdError::new("invalid blobref specified"))?,
        // What is mended is what there is now.
        None if repair => live_root(&mut flux, "primary")?,
        None => {
            let latest = checkpoints(&mut flux)?.into_iter().next();
            let latest = latest.ok_or_else(|| CmdError::new("there is no checkpoint yet"))?;
            let time = timefmt::local(latest.timestamp, "%Y-%m-%dT%H:%M:%S").unwrap_or_default();
            cx.line(format_args!("Checking integrity of checkpoint from {time}"))?;
            latest.root
        }
    };
    let verbose = matches.get_flag("verbose");
    let options = Options { bypass: false, window: WINDOW, separator: '.', blobs: Blobs::Validate };
    let mut check = Check { verbose, damaged: Vec::new() };
    Walk::new(&mut flux, options).run(&root, &mut check)?;
    let errors = check.damaged.len();
    if verbose || errors > 0 {
        say(format_args!("Total errors: {errors}"));
    }
    if repair && errors > 0 {
        mend(&mut flux, check.damaged, matches.get_flag("job-aware"))?;
    }
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(text: impl std::fmt::Display) {
    say!("flux-fsck: {text}");
}

/// A key that is not whole.
struct Damaged {
    key: String,
    /// The blobs of a value that are still there; `None` for a directory.
    rest: Option<Vec<Blobref>>,
}

struct Check {
    verbose: bool,
    damaged: Vec<Damaged>,
}

fn reason(fault: &Fault, what: &str) -> String {
    match fault.errno {
        Errno::ENOENT => format!("missing {what}"),
        _ => format!("invalid {what}: {}", fault.message()),
    }
}

impl Visitor for Check {
    fn found(&mut self, path: &str, found: Found<'_>) -> Result<(), CmdError> {
        if self.verbose && !path.is_empty() {
            say(path);
        }
        let rest = match found {
            Found::Value(_) | Found::Blobs(_) | Found::Symlink { .. } | Found::Dir => return Ok(()),
            Found::Lost(refs, lost) => {
                if self.verbose {
                    for (at, fault) in lost {
                        say(format_args!("{path}: {} index={at}", reason(fault, "blobref")));
                    }
                } else {
                    say(format_args!("{path}: {}", reason(&lost[0].1, "blobref(s)")));
                }
                let gone: BTreeSet<usize> = lost.iter().map(|(at, _)| *at).collect();
                let rest = refs.iter().enumerate().filter(|(at, _)| !gone.contains(at));
                Some(rest.map(|(_, blobref)| *blobref).collect())
            }
            Found::LostDir(fault) => {
                say(format_args!("{path}: {}", reason(fault, "dirref blobref")));
                None
            }
            Found::BadDir(what) => {
                say(format_args!("{path}: invalid directory: {what}"));
                None
            }
        };
        self.damaged.push(Damaged { key: path.to_owned(), rest });
        Ok(())
    }
}

/// Takes the damaged keys out; what is left of them is put below `lost+found`.
fn mend(flux: &mut Handle, damaged: Vec<Damaged>, job_aware: bool) -> Result<(), CmdError> {
    if damaged.iter().any(|one| one.key.is_empty()) {
        return Err(CmdError::new("the root itself is lost: restore a dump, or an earlier checkpoint"));
    }
    let (mut repairs, mut unlinked) = (0, 0);
    let mut found = Vec::new();
    let mut change = Transaction::default();
    let jobs: BTreeSet<String> =
        damaged.iter().filter_map(|one| job_of(&one.key)).filter(|_| job_aware).map(str::to_owned).collect();
    for Damaged { key, rest } in damaged {
        change.unlink(&key)?;
        match rest {
            None => {
                unlinked += 1;
                say(format_args!("{key} unlinked due to missing blobref"));
            }
            Some(refs) => {
                repairs += 1;
                say(format_args!("{key} repaired and moved to {LOST}"));
                let rest = if refs.is_empty() { Treeobj::Val(Vec::new()) } else { Treeobj::Valref(refs) };
                found.push((format!("{LOST}.{key}"), rest));
            }
        }
    }
    commit(flux, change)?;
    let mut change = Transaction::default();
    for job in jobs {
        let root = Root::Namespace("primary".to_owned());
        match store::lookup(flux, &root, &job, store::flag::TREEOBJ) {
            Ok(object) => {
                change.put(&format!("{LOST}.{job}"), &object, false)?;
                change.unlink(&job)?;
                say(format_args!("job {job} moved to {LOST}"));
            }
            // Its whole directory was what was damaged.
            Err(ClientError::Answer(fault)) if fault.errno == Errno::ENOENT => {}
            Err(error) => return Err(CmdError::calling(job)(error)),
        }
    }
    for (key, rest) in found {
        change.put(&key, &rest, false)?;
    }
    commit(flux, change)?;
    if repairs > 0 {
        say(format_args!("Updated primary checkpoint to include {LOST}"));
    }
    say(format_args!("Total repairs: {repairs}"));
    say(format_args!("Total unlinked directories: {unlinked}"));
    Ok(())
}

fn commit(flux: &mut Handle, change: Transaction) -> Result<(), CmdError> {
    let done = change.commit(flux, "primary", store::flag::SYNC);
    done.map(drop).map_err(CmdError::calling("could not repair the store"))
}

/// The directory of the job that a key belongs to: `job.` and its id in four words of four digits.
fn job_of(key: &str) -> Option<&str> {
    let is_word = |word: &str| word.len() == 4 && word.bytes().all(|b| b.is_ascii_hexdigit());
    let words: Vec<&str> = key.split('.').take(5).collect();
    let is_job = words.len() == 5 && words[0] == "job" && words[1..].iter().all(|word| is_word(word));
    is_job.then(|| &key[..words.iter().map(|word| word.len() + 1).sum::<usize>() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_below_a_jobs_directory_belong_to_it() {
        let rows = [
            ("job.0000.0001.beef.0000.eventlog", Some("job.0000.0001.beef.0000")),
            ("job.0000.0001.beef.0000", Some("job.0000.0001.beef.0000")),
            ("job.0000.0001.beef", None),
            ("jobs.0000.0001.beef.0000", None),
            ("job.0000.0001.beef.000x.a", None),
        ];
        for (key, want) in rows {
            assert_eq!(job_of(key), want, "{key}");
        }
    }
}
