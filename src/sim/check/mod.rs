//! What clients were told and what shells did, and whether it can be true. Nothing here knows how the services work.

mod events;
mod exec;
mod jobs;
mod kvs;

use flux_broker::ConnId;

use crate::audit::Progress;
use crate::client::Call;

#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) kvs: kvs::Register,
    pub(crate) events: events::Events,
    pub(crate) jobs: jobs::Jobs,
    pub(crate) exec: exec::Exec,
    pub(crate) progress: Progress,
}

impl History {
    /// Whoever asked this is gone: it may have been done or not.
    pub(crate) fn unknown(&mut self, call: &Call) {
        if let Call::Write(write) = call {
            self.kvs.unknown(*write);
        }
    }

    pub(crate) fn subscriber_gone(&mut self, conn: ConnId) {
        self.events.gone(conn);
        self.kvs.watcher_gone(conn);
    }

    /// Everything that is wrong: the checker and a sentence.
    pub(crate) fn judge(&self) -> Vec<(&'static str, String)> {
        let mut wrong: Vec<(&'static str, String)> = Vec::new();
        wrong.extend(self.kvs.judge().into_iter().map(|text| ("kvs", text)));
        wrong.extend(self.events.judge().into_iter().map(|text| ("events", text)));
        wrong.extend(self.jobs.judge(&self.exec).into_iter().map(|text| ("jobs", text)));
        wrong
    }
}
