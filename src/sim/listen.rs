//! Streams that clients open and keep, and the scout that reads the journal of the job manager.

use flux_wire::{Flags, Message, Rank, Target};
use serde_json::{Value, json};

use crate::check::Table;
use crate::client::{Call, KEYS, Step};
use crate::host::OWNER;
use crate::scenario::between_us;
use crate::world::{Action, World};

/// Streams of these kinds that one client has.
const STREAMS_MAX: usize = 3;

impl World {
    /// A client begins to listen to something, mostly far away.
    pub(crate) fn listen(&mut self, at: usize) {
        let open = self.clients[at].calls.values().filter(|(call, _)| matches!(call, Call::Stream(..))).count();
        if open >= STREAMS_MAX || self.clients[at].userid != OWNER {
            return;
        }
        let rank = self.rng.below(self.hosts.len() as u64) as u32;
        let root = Target::Rank(Rank(0));
        match self.rng.below(4) {
            0 => self.call(at, Call::Stream(Table::Journal, 0), "job-manager.events-journal", Target::Any, json!({})),
            1 => self.call(at, Call::Stream(Table::JobStats, 0), "job-list.job-stats", Target::Any, json!({})),
            2 => {
                let body = json!({"follow": true, "nobacklog": true});
                self.call(at, Call::Stream(Table::Log, rank), "log.dmesg", Target::Rank(Rank(rank)), body);
            }
            _ => {
                const WATCH_AND_WAIT: i64 = 4 | 8;
                let key = format!("k{}", self.rng.below(KEYS));
                let body = json!({"namespace": "primary", "key": key, "flags": WATCH_AND_WAIT});
                self.call(at, Call::Stream(Table::Keys, 0), "kvs-watch.lookup", root, body);
            }
        }
    }

    /// How many streams clients have there.
    pub(crate) fn streams_open(&self, table: Table, rank: u32) -> u64 {
        let mut count = 0;
        for client in self.clients.iter().filter(|client| client.conn.is_some()) {
            for (call, _) in client.calls.values() {
                count += u64::from(match call {
                    Call::Stream(of, on) => (*of, *on) == (table, rank),
                    Call::Watch { .. } => table == Table::Keys && client.host as u32 == rank,
                    Call::Scout => table == Table::Journal,
                    _ => false,
                });
            }
        }
        count
    }

    /// The scout begins to read, if it does not.
    pub(crate) fn scout(&mut self, at: usize) {
        let client = &self.clients[at];
        if client.conn.is_some() && client.calls.is_empty() {
            self.history.ledger.begin();
            self.call(at, Call::Scout, "job-manager.events-journal", Target::Any, json!({}));
        }
    }

    pub(crate) fn scout_hears(&mut self, at: usize, message: &Message, body: &Value) {
        if message.errno().is_some() {
            let pause = between_us(&mut self.rng, 20_000, 500_000);
            return self.after(pause, Action::Client { client: at, step: Step::Scout });
        }
        debug_assert!(message.flags.has(Flags::STREAMING));
        let (ranks, cores) = (self.scenario.size, self.scenario.cores);
        if let Some(text) = self.history.ledger.heard(body, ranks, cores) {
            self.violated("ledger", text);
        }
    }
}
