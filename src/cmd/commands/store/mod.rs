//! Commands about all that the store holds: `flux dump`, `flux restore`, `flux fsck`, `flux gc`.

pub mod dump;
pub mod fsck;
pub mod gc;
pub mod restore;
mod walk;

use flux_client::{Handle, Rank, Target};
use flux_types::Blobref;
use serde_json::{Value, json};

use crate::frame::{CmdError, timefmt};

/// A root of the hash tree, as a checkpoint has it.
struct Checkpoint {
    root: Blobref,
    /// Seconds since 1970.
    timestamp: f64,
}

/// The checkpoints, the latest first.
fn checkpoints(flux: &mut Handle) -> Result<Vec<Checkpoint>, CmdError> {
    let answer = flux.call("content.checkpoint-get", Target::Rank(Rank::ROOT), json!({}));
    let answer = answer.map_err(CmdError::calling("error fetching checkpoints"))?;
    let list = match &answer["value"] {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let read = |value: &Value| {
        let root = blobref(value["rootref"].as_str().unwrap_or_default())?;
        Ok(Checkpoint { root, timestamp: value["timestamp"].as_f64().unwrap_or(0.0) })
    };
    list.iter().map(read).collect()
}

fn blobref(text: &str) -> Result<Blobref, CmdError> {
    Blobref::parse(text).map_err(|error| CmdError::about(text, error))
}

/// The root of a namespace as it is now.
fn live_root(flux: &mut Handle, namespace: &str) -> Result<Blobref, CmdError> {
    blobref(&crate::store::root(flux, namespace)?.rootref)
}

/// How many keys have been done, on standard error.
struct Progress {
    keys: usize,
    silent: bool,
}

impl Progress {
    fn new(silent: bool) -> Progress {
        Progress { keys: 0, silent }
    }

    /// One more; `text` says how many.
    fn step(&mut self, text: impl FnOnce(usize) -> String) {
        self.keys += 1;
        if !self.silent && (self.keys < 10 || self.keys.is_multiple_of(100)) {
            say!(part "\r{}", text(self.keys));
        }
    }

    fn end(&self, text: impl FnOnce(usize) -> String) {
        if !self.silent {
            say!("\r{}", text(self.keys));
        }
    }
}

/// Now, in whole seconds.
fn now() -> u64 {
    timefmt::now() as u64
}
