//! What append watchers were sent of commits that are not in the log yet.
//!
//! Watchers see commits before the disk does (ADR 2). When the disk is full some of that is taken back. Whoever wrote it may
//! write it again (the logs of jobs are), and then their streams go on as if nothing had been: for that is kept what was sent and
//! may be taken back.

use std::sync::Arc;
use std::time::Duration;

use flux_service::Mono;

use crate::limits::WATCH_TAIL_LEN_MAX;

/// How long a writer has to write again what was taken back, before its watchers are sent what stands there instead.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of one watcher.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    /// The last bytes that were sent, none of them certain to be in the log.
    tail: Vec<u8>,
    /// The batch that the last of them are in.
    batch: u64,
    /// Commits were taken back; until then the watcher waits for them to be made again.
    pub(crate) until: Option<Mono>,
    /// The key was not there at the last look.
    gone: bool,
}

/// How a value relates to what was sent of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// It begins with all of that.
    All,
    /// It is a beginning of that.
    Beginning,
    /// It goes on otherwise after that many bytes, and what comes there is a line of its own.
    Other(usize),
}

impl Doubt {
    /// These bytes are sent; they are in batch `open`, and all up to `confirmed` are in the log.
    pub(crate) fn sent(&mut self, bytes: &[u8], open: u64, confirmed: u64) {
        if self.batch <= confirmed && self.until.is_none() {
            self.tail.clear();
        }
        self.batch = open;
        let new = &bytes[bytes.len().saturating_sub(WATCH_TAIL_LEN_MAX)..];
        let excess = (self.tail.len() + new.len()).saturating_sub(WATCH_TAIL_LEN_MAX);
        self.tail.drain(..excess.min(self.tail.len()));
        self.tail.extend_from_slice(new);
    }

    /// Some commits were taken back: this watcher may have seen one.
    /// Answers when it has waited long enough.
    pub(crate) fn begin(&mut self, now: Mono) -> Mono {
        self.gone = false;
        *self.until.get_or_insert(now.after(PATIENCE))
    }

    /// What was sent is there again, in batch `open`: which may be taken back in its turn.
    pub(crate) fn end(&mut self, open: u64) {
        (self.until, self.gone, self.batch) = (None, false, open);
    }

    /// How many bytes were sent that may be taken back.
    pub(crate) fn tail_len(&self) -> usize {
        self.tail.len()
    }

    /// What was sent is not to be compared any more.
    pub(crate) fn forget(&mut self) {
        *self = Doubt::default();
    }

    /// The key is not there. `true`: it may come again.
    pub(crate) fn may_return(&mut self) -> bool {
        self.until.is_some() && !std::mem::replace(&mut self.gone, true)
    }

    /// Compares the value with what was sent of it, `delivered` bytes in all.
    pub(crate) fn compare(&self, pieces: &[Arc<[u8]>], delivered: usize) -> Compared {
        let start = delivered - self.tail.len();
        // Where the piece or the line begins that is looked at.
        let (mut at, mut same, mut line) = (0, 0, start);
        for piece in pieces {
            line = line.max(at);
            for (offset, byte) in piece.iter().enumerate().skip(start.saturating_sub(at)) {
                match self.tail.get(same) {
                    None => return Compared::All,
                    Some(sent) if sent != byte => return Compared::Other(line),
                    Some(_) => same += 1,
                }
                if *byte == b'\n' {
                    line = at + offset + 1;
                }
            }
            at += piece.len();
        }
        if same == self.tail.len() { Compared::All } else { Compared::Beginning }
    }
}
