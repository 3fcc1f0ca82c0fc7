//! Events on their way to the broker: numbered, kept until they are acknowledged, sent again after a reconnection (ADR 1).

use std::collections::VecDeque;

use crate::limits::{EVENTS_BYTES_MAX, JOURNAL_BYTES_MAX, WINDOW_BYTES};

/// An event and its number. The text is a JSON object with a `type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    pub seq: u64,
    pub event: String,
}

/// What this shell has to tell. Numbers start at 1 and have no gaps.
#[derive(Debug, Default)]
pub struct Journal {
    /// There is a spool for what does not fit into memory. Without one, tasks wait a little earlier instead.
    spooled: bool,
    /// Not acknowledged yet, in order. Those from `elsewhere` on are in the spool only.
    kept: VecDeque<Numbered>,
    bytes: usize,
    last: u64,
    acked: u64,
    /// Sent on this connection.
    sent: u64,
    /// The first event that did not fit into memory.
    elsewhere: Option<u64>,
}

impl Journal {
    pub fn new(spooled: bool) -> Journal {
        Journal { spooled, ..Journal::default() }
    }

    /// Numbers an event. `false`: it did not fit into memory, and must be put into the spool and given back with
    /// [`Journal::refill`].
    pub fn push(&mut self, event: String) -> (Numbered, bool) {
        self.last += 1;
        let numbered = Numbered { seq: self.last, event };
        let full = self.bytes + numbered.event.len() > JOURNAL_BYTES_MAX;
        if self.elsewhere.is_some() || (self.spooled && full) {
            self.elsewhere.get_or_insert(numbered.seq);
            return (numbered, false);
        }
        self.keep(numbered.clone());
        (numbered, true)
    }

    fn keep(&mut self, numbered: Numbered) {
        self.bytes += numbered.event.len();
        self.kept.push_back(numbered);
    }

    /// Memory is used up: with the broker there, tasks have to wait.
    pub fn is_full(&self) -> bool {
        self.elsewhere.is_some() || self.bytes >= JOURNAL_BYTES_MAX
    }

    /// The broker has enough to do.
    pub fn is_ahead(&self) -> bool {
        self.bytes >= WINDOW_BYTES
    }

    /// Nothing is left to be acknowledged.
    pub fn is_settled(&self) -> bool {
        self.acked == self.last
    }

    pub fn acked(&self) -> u64 {
        self.acked
    }

    pub fn last(&self) -> u64 {
        self.last
    }

    pub fn next_seq(&self) -> u64 {
        self.last + 1
    }

    /// Everything that memory holds was sent on this connection.
    pub fn is_sent(&self) -> bool {
        self.sent >= self.kept.back().map_or(self.acked, |numbered| numbered.seq)
    }

    /// Events were sent that are not acknowledged.
    pub fn is_waiting(&self) -> bool {
        self.sent > self.acked
    }

    /// The next events to send, up to [`EVENTS_BYTES_MAX`]; they count as sent.
    pub fn batch(&mut self) -> Vec<&Numbered> {
        let first = self.kept.iter().position(|numbered| numbered.seq > self.sent).unwrap_or(self.kept.len());
        let mut bytes = 0;
        let mut batch = Vec::new();
        for numbered in self.kept.range(first..) {
            if bytes > 0 && bytes + numbered.event.len() > EVENTS_BYTES_MAX {
                break;
            }
            bytes += numbered.event.len();
            self.sent = numbered.seq;
            batch.push(numbered);
        }
        batch
    }

    /// Events up to `seq` are taken.
    pub fn ack(&mut self, seq: u64) {
        self.acked = self.acked.max(seq.min(self.last));
        self.sent = self.sent.max(self.acked);
        while self.kept.front().is_some_and(|numbered| numbered.seq <= self.acked) {
            let numbered = self.kept.pop_front().expect("there is a front");
            self.bytes -= numbered.event.len();
        }
        if self.elsewhere.is_some_and(|first| first <= self.acked) {
            self.elsewhere = if self.is_settled() { None } else { Some(self.acked + 1) };
        }
    }

    /// A new connection: what is not acknowledged is sent again.
    pub fn rewind(&mut self) {
        self.sent = self.acked;
    }

    /// What is not acknowledged, for the spool.
    pub fn unacked(&self) -> impl Iterator<Item = &Numbered> {
        self.kept.iter()
    }

    /// The number of the event that must be read back from the spool next, if there is one and memory has room again.
    pub fn wants(&self) -> Option<u64> {
        self.elsewhere.filter(|_| self.bytes < JOURNAL_BYTES_MAX / 2)
    }

    /// Gives an event back that was read from the spool. Answers whether more fit.
    pub fn refill(&mut self, numbered: Numbered) -> bool {
        if self.elsewhere != Some(numbered.seq) {
            return true; // Acknowledged meanwhile, or in memory already.
        }
        self.elsewhere = (numbered.seq < self.last).then_some(numbered.seq + 1);
        self.keep(numbered);
        self.elsewhere.is_some() && self.bytes < JOURNAL_BYTES_MAX
    }

    /// # Panics
    /// If the numbers in memory have a gap or the count of bytes is wrong.
    pub fn check(&self) {
        let mut expected = self.acked;
        for numbered in &self.kept {
            expected += 1;
            assert_eq!(numbered.seq, expected, "numbers have no gaps");
        }
        assert_eq!(self.elsewhere.unwrap_or(self.last + 1), expected + 1, "what is not kept is in the spool");
        assert_eq!(self.bytes, self.kept.iter().map(|numbered| numbered.event.len()).sum::<usize>());
        assert!(self.sent >= self.acked && self.sent <= expected);
    }
}
