//! `job-manager.events-journal`: every event of every job, as it happens.

use flux_service::{Cx, Fault, Outcome};
use flux_types::JobId;
use flux_types::eventlog::{self, Entry};
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::JobManager;
use super::job::Job;
use crate::body::{Matchtag, truth};
use crate::limits::JOURNAL_LISTENERS_MAX;

/// Which events a listener wants, by name.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filter {
    allow: Option<Map<String, Value>>,
    deny: Option<Map<String, Value>>,
    /// Inactive jobs too.
    #[serde(default, deserialize_with = "truth")]
    full: bool,
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

/// The `id` that says "the past is told, now comes the present".
const SENTINEL: i64 = -1;

impl JobManager {
    pub(super) fn events_journal(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let filter: Filter = if request.payload.is_none() { Filter::default() } else { request.decode()? };
        if !request.is_streaming() {
            return Err(Fault::new(Errno::EPROTO, "job-manager.events-journal requires streaming RPC flag"));
        }
        if self.journal.listeners.len() >= JOURNAL_LISTENERS_MAX {
            return Err(Fault::new(Errno::EAGAIN, format!("more than {JOURNAL_LISTENERS_MAX} listeners")));
        }
        for job in self.jobs.values() {
            let events = events_of(&job.eventlog, &filter);
            let jobspec = Some(job.jobspec_value());
            cx.respond(request, backlog(job.id, events, jobspec, job.resources.as_deref().cloned()));
        }
        let full = filter.full;
        self.journal.listeners.push(Listener { request: request.clone(), filter });
        if full {
            self.tell_archive(cx, request);
        } else {
            cx.respond(request, json!({"id": SENTINEL, "events": []}));
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
            cx.respond(request, backlog(id, events_of(log, &listener.filter), jobspec, r));
        }
    }

    pub(super) fn tell_past_end(&self, cx: &mut Cx<'_>, request: &Message) {
        cx.respond(request, json!({"id": SENTINEL, "events": []}));
    }

    pub(super) fn tell_journal(&mut self, cx: &mut Cx<'_>, id: JobId, entry: &Entry) {
        if !self.journal.listeners.iter().any(|listener| listener.filter.wants(&entry.name)) {
            return;
        }
        let job = self.jobs.get(&id);
        let jobspec = job.filter(|_| entry.name == "submit").map(Job::jobspec_value);
        let resources = job.filter(|_| entry.name == "alloc").and_then(|job| job.resources.as_deref().cloned());
        let body: flux_wire::Payload = backlog(id, vec![entry.to_value()], jobspec, resources).into();
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

    pub(super) fn journal_disconnect(&mut self, request: &Message) {
        self.journal.listeners.retain(|listener| !request.same_sender(&listener.request));
    }
}

fn backlog(id: JobId, events: Vec<Value>, jobspec: Option<Value>, resources: Option<Value>) -> Value {
    let mut body = Map::new();
    body.insert("id".into(), id.0.into());
    body.insert("events".into(), Value::Array(events));
    if let Some(jobspec) = jobspec {
        body.insert("jobspec".into(), jobspec);
    }
    if let Some(resources) = resources {
        body.insert("R".into(), resources);
    }
    Value::Object(body)
}

fn events_of(log: &str, filter: &Filter) -> Vec<Value> {
    let entries = eventlog::entries(log).filter_map(|entry| entry.ok()?.to_entry().ok());
    entries.filter(|entry| filter.wants(&entry.name)).map(|entry| entry.to_value()).collect()
}
