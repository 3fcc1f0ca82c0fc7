//! Looking at jobs: `job-manager.list` and `getattr`.

use flux_service::{Cx, Fault, Outcome};
use flux_types::JobId;
use flux_types::eventlog;
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::job::Job;
use super::raise::authorize;
use super::{JobManager, Pending};
use crate::body::WireId;
use crate::kvs;
use crate::limits::LOOKUP_KEYS_MAX;

#[derive(Deserialize)]
struct List {
    max_entries: i64,
}

#[derive(Deserialize)]
struct GetAttr {
    id: WireId,
    attrs: Vec<Value>,
}

/// A `getattr` of an inactive job: its data is in the KVS.
#[derive(Debug)]
pub(super) struct Fetch {
    request: Message,
    id: JobId,
    found: Map<String, Value>,
    attrs: Vec<String>,
}

const OWN_JOBS: &str = "guests can only access their own jobs";

fn listed(job: &Job) -> Value {
    let mut out = json!({"id": job.id.0, "userid": job.userid, "urgency": job.urgency, "priority": job.priority,
                         "t_submit": job.t_submit, "state": job.state.bit()});
    let object = out.as_object_mut().expect("an object literal");
    if !job.annotations.is_empty() {
        object.insert("annotations".into(), Value::Object(job.annotations.clone()));
    }
    if !job.dependencies.is_empty() || !job.satisfied.is_empty() {
        object.insert("dependencies".into(), json!(job.dependencies));
    }
    out
}

fn entries(log: &str) -> Value {
    eventlog::entries(log).filter_map(|entry| Some(entry.ok()?.to_entry().ok()?.to_value())).collect()
}

impl JobManager {
    /// Active jobs: first those in line for the scheduler, in that order, then all others.
    pub(super) fn list(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: List = request.decode()?;
        let max = match usize::try_from(body.max_entries) {
            Err(_) => return Err(Fault::new(Errno::EPROTO, "max_entries is below 0")),
            Ok(0) => usize::MAX,
            Ok(max) => max,
        };
        let queued = self.alloc.queued().map(|id| &self.jobs[&id]);
        let others = self.jobs.values().filter(|job| !job.alloc_queued);
        let jobs: Vec<Value> = queued.chain(others).take(max).map(|job| listed(job)).collect();
        cx.respond(request, json!({"jobs": jobs}));
        Ok(())
    }

    pub(super) fn getattr(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: GetAttr = request.decode()?;
        let id = body.id.id();
        let attrs = names(body.attrs)?;
        // In private mode it is not told whether there is such a job.
        let private = self.restricted(request.cred);
        let refusal = if private { "" } else { OWN_JOBS };
        let Some(job) = self.jobs.get(&id) else {
            let unknown = || if private { Errno::EPERM.into() } else { Fault::new(Errno::EINVAL, "unknown job") };
            let finished = self.archive.get(id).ok_or_else(unknown)?;
            authorize(request.cred, finished.userid, refusal)?;
            self.fetch_next(cx, Fetch { request: request.clone(), id, found: Map::new(), attrs });
            return Ok(());
        };
        authorize(request.cred, job.userid, refusal)?;
        let mut out = Map::new();
        for name in attrs {
            let value = match (name.as_str(), &job.resources) {
                ("jobspec", _) => job.jobspec_value(),
                ("R", Some(resources)) => (**resources).clone(),
                ("R", None) => return Err(Fault::new(Errno::ENOENT, "R is NULL")),
                _ => entries(&job.eventlog),
            };
            out.insert(name, value);
        }
        cx.respond(request, Value::Object(out));
        Ok(())
    }

    fn fetch_next(&mut self, cx: &mut Cx<'_>, fetch: Fetch) {
        match fetch.attrs.get(fetch.found.len()) {
            None => cx.respond(&fetch.request, Value::Object(fetch.found)),
            Some(name) => {
                let tag = kvs::lookup(cx, &kvs::job_key(fetch.id, name), 0);
                self.pending.insert(tag, Pending::Fetch(Box::new(fetch)));
            }
        }
    }

    pub(super) fn on_fetched(&mut self, cx: &mut Cx<'_>, mut fetch: Fetch, reply: &Message) {
        let name = fetch.attrs[fetch.found.len()].clone();
        let value = kvs::text(reply).and_then(|text| match name.as_str() {
            "eventlog" => Ok(entries(&text)),
            _ => parse_redacted(&name, &text),
        });
        match value {
            Err(fault) => cx.respond_error(&fetch.request, &fault),
            Ok(value) => {
                fetch.found.insert(name, value);
                self.fetch_next(cx, fetch);
            }
        }
    }
}

/// R or a jobspec as they are shown: without what is large and nobody's business.
pub(super) fn parse_redacted(name: &str, text: &str) -> Result<Value, Fault> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| Fault::new(Errno::EINVAL, error.to_string()))?;
    let (holder, key) = if name == "R" { ("", "scheduling") } else { ("/attributes/system", "environment") };
    if let Some(Value::Object(holder)) = value.pointer_mut(holder) {
        holder.shift_remove(key);
    }
    Ok(value)
}

fn names(attrs: Vec<Value>) -> Result<Vec<String>, Fault> {
    if attrs.len() > LOOKUP_KEYS_MAX {
        return Err(Fault::new(Errno::E2BIG, format!("more than {LOOKUP_KEYS_MAX} attributes")));
    }
    let mut out: Vec<String> = Vec::with_capacity(attrs.len());
    for attr in attrs {
        match attr {
            Value::String(name) if out.contains(&name) => {}
            Value::String(name) if matches!(name.as_str(), "jobspec" | "R" | "eventlog") => out.push(name),
            Value::String(name) => return Err(Fault::new(Errno::ENOENT, format!("unknown attr {name}"))),
            _ => return Err(Fault::new(Errno::EPROTO, "attribute list contains non-string")),
        }
    }
    Ok(out)
}
