//! `job-manager.events-journal`: every event of every job, as it happens.

use std::sync::Arc;

use flux_service::{Cx, Fault, Outcome};
use flux_types::JobId;
use flux_types::eventlog::{self, Entry};
use flux_wire::{Errno, Message, Payload};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{JobManager, Values};
use crate::body::{Matchtag, truth};
use crate::inside::Told;
use crate::limits::JOURNAL_LISTENERS_MAX;

/// Which events a listener wants, by name.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filter {
    allow: Option<Map<String, Value>>,
    deny: Option<Map<String, Value>>,
    /// Inactive jobs too.
    #[serde(default, deserialize_with = "truth")]
    full: bool,
    /// Inactive jobs as lines where there are such: for a service of this broker that knows them.
    #[serde(default, deserialize_with = "truth")]
    lines: bool,
}

impl Filter {
    fn wants(&self, name: &str) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow.contains_key(name))
            && !self.deny.as_ref().is_some_and(|deny| deny.contains_key(name))
    }
}

#[derive(Debug)]
pub(super) struct Listener {
    request: Message,
    filter: Filter,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) listeners: Vec<Listener>,
}

impl JobManager {
    pub(super) fn events_journal(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let filter: Filter = if request.payload.is_none() { Filter::default() } else { request.decode()? };
        if !request.is_streaming() {
            return Err(Fault::new(Errno::EPROTO, "job-manager.events-journal requires streaming RPC flag"));
        }
        if self.journal.listeners.len() >= JOURNAL_LISTENERS_MAX {
            return Err(Fault::new(Errno::EAGAIN, format!("more than {JOURNAL_LISTENERS_MAX} listeners")));
        }
        let mut values = Values::default();
        for job in self.jobs.values() {
            let told = Told {
                id: Some(job.id),
                events: events_of(&job.eventlog, &filter),
                jobspec: Some(values.of(&job.jobspec)),
                resources: job.resources.clone(),
            };
            cx.respond(request, Payload::local(told));
        }
        let (full, lines) = (filter.full, filter.lines && request.payload.is_inside());
        self.journal.listeners.push(Listener { request: request.clone(), filter });
        if full {
            self.tell_archive(cx, request, lines);
        } else {
            cx.respond(request, Payload::local(Told::END));
        }
        Ok(())
    }

    /// One inactive job, for a listener that asked for all. Nothing if the listener has gone.
    pub(super) fn tell_past(
        &self,
        cx: &mut Cx<'_>,
        request: &Message,
        id: JobId,
        log: &str,
        jobspec: Option<Value>,
        r: Option<Value>,
    ) {
        let same = |l: &&Listener| l.request.matchtag() == request.matchtag() && l.request.sender() == request.sender();
        if let Some(listener) = self.journal.listeners.iter().find(same) {
            let events = events_of(log, &listener.filter);
            let told = Told { id: Some(id), events, jobspec: jobspec.map(Arc::new), resources: r.map(Arc::new) };
            cx.respond(request, Payload::local(told));
        }
    }

    pub(super) fn tell_past_end(&self, cx: &mut Cx<'_>, request: &Message) {
        cx.respond(request, Payload::local(Told::END));
    }

    pub(super) fn tell_journal(&mut self, cx: &mut Cx<'_>, id: JobId, entry: &Arc<Entry>) {
        if !self.journal.listeners.iter().any(|listener| listener.filter.wants(&entry.name)) {
            return;
        }
        let job = self.jobs.get_mut(&id);
        let (mut jobspec, mut resources) = (None, None);
        match (entry.name.as_str(), job) {
            ("submit", Some(job)) => jobspec = job.told.take().or_else(|| Some(Arc::new(job.jobspec_value()))),
            ("alloc", Some(job)) => resources = job.resources.clone(),
            _ => {}
        }
        let body = Payload::local(Told { id: Some(id), events: vec![entry.clone()], jobspec, resources });
        for listener in self.journal.listeners.iter().filter(|listener| listener.filter.wants(&entry.name)) {
            cx.respond(&listener.request, body.clone());
        }
    }

    pub(super) fn events_journal_cancel(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Matchtag = request.decode()?;
        let at = self.journal.listeners.iter().position(|listener| {
            listener.request.matchtag() == body.matchtag && request.same_sender(&listener.request)
        });
        if let Some(at) = at {
            let listener = self.journal.listeners.remove(at);
            cx.end_stream(&listener.request);
        }
        Ok(())
    }

    /// The service ends: who listens must ask the next one.
    pub(super) fn end_journal(&mut self, cx: &mut Cx<'_>) {
        for listener in std::mem::take(&mut self.journal.listeners) {
            cx.end_stream(&listener.request);
        }
    }

    pub(super) fn journal_disconnect(&mut self, request: &Message) {
        self.journal.listeners.retain(|listener| !request.same_sender(&listener.request));
    }
}

fn events_of(log: &str, filter: &Filter) -> Vec<Arc<Entry>> {
    let entries = eventlog::entries(log).filter_map(|entry| entry.ok()?.to_entry().ok());
    entries.filter(|entry| filter.wants(&entry.name)).map(Arc::new).collect()
}
