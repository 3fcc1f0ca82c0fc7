//! What services keep for those who listen: as much as there are listeners, wherever brokers and clients died.

use std::collections::BTreeMap;

use serde_json::Value;

/// A table of a service that its statistics count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// Who reads the journal of the job manager.
    Journal,
    /// Who follows the numbers of jobs.
    JobStats,
    /// Who follows the log of a rank.
    Log,
    /// Who watches keys, of a rank.
    Keys,
    /// Who watches eventlogs, of a rank.
    Eventlogs,
}

impl Table {
    pub(crate) const ALL: [Table; 5] = [Table::Journal, Table::JobStats, Table::Log, Table::Keys, Table::Eventlogs];

    /// Each broker has its own.
    pub(crate) fn is_everywhere(self) -> bool {
        !matches!(self, Table::Journal | Table::JobStats)
    }

    /// Where it is counted: the topic, and the way to the number.
    pub(crate) fn statistics(self) -> (&'static str, &'static str) {
        match self {
            Table::Journal => ("job-manager.stats-get", "/journal/listeners"),
            Table::JobStats => ("job-list.stats-get", "/stats_watchers"),
            Table::Log => ("log.stats-get", "/followers"),
            Table::Keys => ("kvs-watch.stats-get", "/watchers"),
            Table::Eventlogs => ("job-info.stats-get", "/watchers"),
        }
    }

    /// Listeners that are no clients: `job-list` reads the journal.
    fn own(self) -> u64 {
        u64::from(self == Table::Journal)
    }
}

/// What was counted last, where it was not what it should be.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    wrong: BTreeMap<(Table, u32), (u64, u64)>,
}

impl Tables {
    /// All are to be counted, on so many ranks.
    pub(crate) fn begin(&mut self, ranks: u32) {
        for table in Table::ALL {
            let ranks = if table.is_everywhere() { ranks } else { 1 };
            self.wrong.extend((0..ranks).map(|rank| ((table, rank), (0, 0))));
        }
    }

    /// What is not yet known to be right.
    pub(crate) fn due(&self) -> Vec<(Table, u32)> {
        self.wrong.keys().copied().collect()
    }

    /// The statistics of a service, while clients have so many streams of it open.
    pub(crate) fn counted(&mut self, (table, rank): (Table, u32), body: &Value, open: u64) {
        let Some(count) = body.pointer(table.statistics().1).and_then(Value::as_u64) else { return };
        let expected = open + table.own();
        if count == expected {
            self.wrong.remove(&(table, rank));
        } else {
            self.wrong.insert((table, rank), (count, expected));
        }
    }

    pub(crate) fn told(&self) -> Vec<String> {
        let one = |((table, rank), (count, expected)): (&(Table, u32), &(u64, u64))| {
            format!("{table:?} of rank {rank} has {count} listeners, where {expected} listen")
        };
        self.wrong.iter().map(one).collect()
    }
}
