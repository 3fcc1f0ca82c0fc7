//! What clients were told and what shells did, and whether it can be true. Nothing here knows how the services work.

mod events;
mod exec;
mod jobs;
mod kvs;
mod ledger;
mod site;
mod spaces;
mod streams;
mod tables;

pub(crate) use site::Switch;
pub(crate) use spaces::name as space_name;
pub(crate) use tables::Table;

use std::time::Duration;

use flux_broker::ConnId;

use crate::audit::Progress;
use crate::client::Call;

#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) kvs: kvs::Register,
    pub(crate) events: events::Events,
    pub(crate) jobs: jobs::Jobs,
    pub(crate) exec: exec::Exec,
    pub(crate) site: site::Site,
    pub(crate) spaces: spaces::Spaces,
    pub(crate) streams: streams::Streams,
    pub(crate) ledger: ledger::Ledger,
    pub(crate) tables: tables::Tables,
    pub(crate) progress: Progress,
}

impl History {
    /// Whoever asked this is gone: it may have been done or not.
    pub(crate) fn unknown(&mut self, call: &Call, now: Duration) {
        match call {
            Call::Write(write) | Call::WriteSpace(_, write) => self.kvs.unknown(*write),
            Call::Turn(switch, _) => self.site.done(*switch, None, now),
            _ => {}
        }
    }

    pub(crate) fn subscriber_gone(&mut self, conn: ConnId) {
        self.events.gone(conn);
        self.kvs.watcher_gone(conn);
    }

    /// Everything that is wrong, in life `life` of rank 0: the checker and a sentence.
    pub(crate) fn judge(&self, life: u32) -> Vec<(&'static str, String)> {
        let mut wrong: Vec<(&'static str, String)> = Vec::new();
        wrong.extend(self.kvs.judge().into_iter().map(|text| ("kvs", text)));
        wrong.extend(self.events.judge().into_iter().map(|text| ("events", text)));
        wrong.extend(self.jobs.judge(&self.exec).into_iter().map(|text| ("jobs", text)));
        wrong.extend(self.jobs.judge_order(&self.exec).into_iter().map(|text| ("jobs", text)));
        wrong.extend(self.judge_grants().into_iter().map(|text| ("site", text)));
        let logs = self.streams.judge(life, |id| self.jobs.final_log(id));
        wrong.extend(logs.into_iter().map(|text| ("streams", text)));
        wrong
    }

    /// No job got what had been turned off.
    fn judge_grants(&self) -> Vec<String> {
        let grants = self.jobs.grants();
        grants.into_iter().filter_map(|(id, at)| self.site.judge(id, at, &self.exec.hosts_of(id))).collect()
    }
}
