//! `job-info`: a job's data in the KVS for its owner (RFC 41).
//!
//! Who may read is told by the `submit` event: the instance owner, and the user whose job it is.

mod lookup;
mod watch;

use std::collections::BTreeMap;

use flux_service::{Cx, Fault, Handler, Plant, Service, Tag, enforced, planted};
use flux_types::eventlog::{self, Entry};
use flux_wire::{Cred, Errno, Message, RouteId};
use serde_json::{Value, json};

use crate::limits::WATCHERS_MAX;
use crate::state::set_path;

/// Requests made, by what their answer is for. The number names a lookup or a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Lookup {
        of: u64,
        place: usize,
    },
    /// The job's main eventlog, watched for its owner and its end.
    Main(u64),
    /// What is asked for, watched.
    Data(u64),
    /// What is asked for, looked up once more when the job has ended.
    Last(u64),
    /// The value whose updates are watched.
    Base(u64),
}

/// The job-info service of one broker.
#[derive(Debug, Default)]
pub struct JobInfo {
    pending: BTreeMap<Tag, Pending>,
    lookups: BTreeMap<u64, lookup::Lookup>,
    watches: BTreeMap<u64, watch::Watch>,
    /// The watches of each sender, by matchtag.
    by_sender: BTreeMap<Option<RouteId>, BTreeMap<u32, u64>>,
    last: u64,
}

impl Service for JobInfo {
    const NAME: &'static str = "job-info";
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::user("job-info.lookup", JobInfo::lookup),
        Handler::user("job-info.update-lookup", JobInfo::update_lookup),
        Handler::user("job-info.eventlog-watch", JobInfo::eventlog_watch),
        Handler::user("job-info.eventlog-watch-cancel", JobInfo::cancel),
        Handler::user("job-info.update-watch", JobInfo::update_watch),
        Handler::user("job-info.update-watch-cancel", JobInfo::cancel),
        Handler::all("job-info.disconnect", JobInfo::disconnect),
    ];

    fn start(&mut self, _cx: &mut Cx<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        let fault = Fault::new(Errno::ENOSYS, "job-info is going away");
        for number in self.watches.keys().copied().collect::<Vec<u64>>() {
            self.fail(cx, number, &fault);
        }
        self.pending.clear();
        for lookup in std::mem::take(&mut self.lookups).into_values() {
            cx.respond_error(lookup.request(), &fault);
        }
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        let Some(pending) = self.pending.get(&tag).copied() else { return };
        let more = reply.is_streaming() && reply.errno().is_none();
        if !more {
            self.pending.remove(&tag);
        }
        match pending {
            Pending::Lookup { of, place } => self.on_looked_up(cx, of, place, reply),
            Pending::Main(watch) => self.on_main(cx, watch, reply),
            Pending::Data(watch) => self.on_data(cx, watch, reply),
            Pending::Last(watch) => self.on_last(cx, watch, reply),
            Pending::Base(watch) => self.on_base(cx, watch, reply),
        }
    }

    fn stats(&self) -> Value {
        let updates = self.watches.values().filter(|watch| watch.is_update()).count();
        let guests = self.watches.values().filter(|watch| watch.is_guest()).count();
        json!({"lookups": self.lookups.len(), "watchers": self.watches.len() - updates - guests,
               "guest_watchers": guests, "update_lookups": 0, "update_watchers": updates})
    }

    fn check(&self) {
        assert_eq!(self.by_sender.values().map(BTreeMap::len).sum::<usize>(), self.watches.len());
        for pending in self.pending.values() {
            match pending {
                Pending::Lookup { of, .. } => assert!(self.lookups.contains_key(of), "{pending:?}"),
                Pending::Main(watch) | Pending::Data(watch) | Pending::Last(watch) | Pending::Base(watch) => {
                    assert!(self.watches.contains_key(watch), "{pending:?}");
                }
            }
        }
    }
}

impl JobInfo {
    fn next_number(&mut self) -> Result<u64, Fault> {
        if self.lookups.len() + self.watches.len() >= WATCHERS_MAX {
            return Err(Fault::new(Errno::EAGAIN, format!("more than {WATCHERS_MAX} requests for job data")));
        }
        self.last += 1;
        Ok(self.last)
    }
}

/// May the sender read the job whose eventlog this is?
///
/// # Errors
/// EPERM if not; EPROTO if the log does not begin with `submit`.
fn allowed(cred: Cred, log: &str) -> Result<(), Fault> {
    if cred.is_owner() || planted(Plant::GuestsSeeAll) {
        return Ok(());
    }
    let submit = eventlog::entries(log).next().and_then(|entry| entry.ok()?.to_entry().ok());
    let userid = submit.filter(|entry| entry.name == "submit").and_then(|entry| entry.get("userid")?.as_u64());
    let userid = userid.and_then(|userid| u32::try_from(userid).ok());
    let userid = userid.ok_or_else(|| Fault::new(Errno::EPROTO, "error parsing eventlog"))?;
    if cred.authorize(userid) || !enforced("job-data") {
        return Ok(());
    }
    Err(Fault::new(Errno::EPERM, "access is restricted to job/instance owner"))
}

/// Brings R or a jobspec up to date with one event. `true`: the event was one of its updates (RFC 21).
fn update(key: &str, value: &mut Value, entry: &Entry) -> bool {
    match (key, entry.name.as_str()) {
        ("R", "resource-update") => {
            if let Some(expiration) = entry.get("expiration") {
                let _ = set_path(value, "execution.expiration", expiration.clone());
            }
            true
        }
        ("jobspec", "jobspec-update") => {
            for (path, new) in entry.context.iter().flatten() {
                let _ = set_path(value, path, new.clone());
            }
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
