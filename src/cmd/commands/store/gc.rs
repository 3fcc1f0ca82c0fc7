//! `flux gc`: deletes blobs that nothing refers to, while the instance runs.
//!
//! First every blob that can be reached from a checkpoint, a namespace or the live root is marked with the present epoch
//! of the store; then what is older is swept away. What is stored meanwhile has a later epoch.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Fault, Handle, Rank, Target, Ticket};
use flux_types::Blobref;
use serde::Deserialize;
use serde_json::{Value, json};

use super::walk::{Blobs, Found, Options, Visitor, Walk};
use super::{checkpoints, live_root};
use crate::frame::args::{flag, option, verbose, verbosity, window};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::limits::MARK_BLOBS_PER_REQUEST;

const STORE: Target = Target::Rank(Rank::ROOT);
/// Rows that one sweep deletes and looks at.
const SWEEP_DELETES: u32 = 1000;
const SWEEP_WINDOW: u32 = 100_000;

pub fn command() -> Command {
    Command::new("gc").arg(verbose()).args([
        flag("no-cache", None, "Bypass the cache: read from the backing store"),
        option("maxreqs", None, "N", "Have up to N requests under way (default 2)"),
    ])
}

#[derive(Deserialize)]
struct Horizon {
    current_epoch: i64,
    high_water: i64,
}

#[derive(Deserialize)]
struct Swept {
    deleted: i64,
    cursor: i64,
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let level = verbosity(matches);
    let options = Options {
        bypass: matches.get_flag("no-cache"),
        window: window(matches, "maxreqs", 2)?,
        separator: '.',
        blobs: Blobs::Leave,
    };
    let mut flux = cx.open()?;
    let request = json!({"epoch": 0});
    let horizon: Horizon = flux
        .call_as("content-backing.gc-info", STORE, request)
        .map_err(CmdError::calling("failed to fetch gc-info"))?;
    let say = |least: u32, text: String| {
        if level >= least {
            say!("flux-gc: {text}");
        }
    };
    say(1, format!("froze epoch at {}, high-water rowid {}", horizon.current_epoch, horizon.high_water));
    let roots = roots(&mut flux, &say)?;
    say(1, format!("enumerated {} total roots", roots.len()));
    let mut marker = Marker { visited: BTreeSet::new(), batch: Vec::new() };
    let mut marked = 0;
    for root in roots {
        say(1, format!("marking from root {root}"));
        if marker.visited.insert(root) {
            marker.batch.push(root.to_string());
            Walk::new(&mut flux, options).run(&root, &mut marker)?;
            marked += marker.send(&mut flux, horizon.current_epoch)?;
        }
    }
    say(1, "mark phase complete".to_owned());
    let deleted = sweep(&mut flux, &horizon, &say)?;
    let epoch = horizon.current_epoch;
    say!("flux-gc: gc complete: marked {marked}, reclaimed {deleted} blobs (horizon epoch {epoch})");
    Ok(ExitCode::SUCCESS)
}

/// All roots. The live root comes last: what a namespace was until a moment ago may be part of it now.
fn roots(flux: &mut Handle, say: &impl Fn(u32, String)) -> Result<Vec<Blobref>, CmdError> {
    let mut roots: Vec<Blobref> = checkpoints(flux)?.into_iter().map(|checkpoint| checkpoint.root).collect();
    say(1, format!("enumerated {} checkpoint roots", roots.len()));
    let answer = flux.call("kvs.namespace-list", STORE, json!({}));
    let answer = answer.map_err(CmdError::calling("kvs.namespace-list"))?;
    let names = answer["namespaces"].as_array().into_iter().flatten();
    let names: Vec<&str> = names.filter_map(|entry| entry["namespace"].as_str()).filter(|n| *n != "primary").collect();
    let mut private = 0;
    for name in names {
        // One that was removed meanwhile has nothing to protect.
        if let Ok(root) = live_root(flux, name) {
            roots.push(root);
            private += 1;
        }
    }
    say(1, format!("enumerated {private} private namespace roots"));
    roots.push(live_root(flux, "primary")?);
    say(1, "enumerated live primary root".to_owned());
    Ok(roots)
}

/// Collects what is to be marked. Directories are walked once, however many roots share them.
struct Marker {
    visited: BTreeSet<Blobref>,
    batch: Vec<String>,
}

impl Marker {
    /// Marks what was collected; how many blobs that changed.
    fn send(&mut self, flux: &mut Handle, epoch: i64) -> Result<i64, CmdError> {
        let failed = || CmdError::calling("mark failed");
        let mut tickets: Vec<Ticket> = Vec::new();
        let batch = std::mem::take(&mut self.batch);
        for hashes in batch.chunks(MARK_BLOBS_PER_REQUEST) {
            let request = json!({"epoch": epoch, "hashes": hashes});
            tickets.push(flux.send("content-backing.mark", STORE, request, false)?);
        }
        let mut marked = 0;
        for ticket in tickets {
            let message = flux.wait(ticket, None)?.ok_or(ClientError::Lost)?;
            if let Some(fault) = Fault::of(&message) {
                return Err(failed()(ClientError::Answer(fault)));
            }
            marked += message.decode::<Value>().map_err(ClientError::from)?["marked"].as_i64().unwrap_or(0);
        }
        Ok(marked)
    }
}

impl Visitor for Marker {
    fn enter(&mut self, dir: &Blobref) -> bool {
        let new = self.visited.insert(*dir);
        if new {
            self.batch.push(dir.to_string());
        }
        new
    }

    /// What cannot be read may hold anything: nothing is swept then.
    fn found(&mut self, path: &str, found: Found<'_>) -> Result<(), CmdError> {
        match found {
            Found::Blobs(refs) => self.batch.extend(refs.iter().map(Blobref::to_string)),
            Found::LostDir(fault) => {
                return Err(CmdError::about(path, format!("could not load content: {}", fault.message())));
            }
            Found::BadDir(what) => return Err(CmdError::about(path, format!("invalid directory: {what}"))),
            Found::Value(_) | Found::Symlink { .. } | Found::Dir | Found::Lost(..) => {}
        }
        Ok(())
    }
}

fn sweep(flux: &mut Handle, horizon: &Horizon, say: &impl Fn(u32, String)) -> Result<i64, CmdError> {
    say(1, "starting sweep phase".to_owned());
    let (mut cursor, mut total) = (0, 0);
    while cursor < horizon.high_water {
        let request = json!({"epoch": horizon.current_epoch, "cursor": cursor, "high_water": horizon.high_water,
            "delete_cap": SWEEP_DELETES, "window": SWEEP_WINDOW});
        let swept: Swept =
            flux.call_as("content-backing.sweep", STORE, request).map_err(CmdError::calling("sweep failed"))?;
        if swept.cursor <= cursor {
            return Err(CmdError::new("sweep failed: the store makes no progress"));
        }
        cursor = swept.cursor;
        total += swept.deleted;
        say(2, format!("swept {} blobs, cursor {cursor}/{}", swept.deleted, horizon.high_water));
    }
    say(1, format!("sweep complete: deleted {total} blobs"));
    Ok(total)
}
