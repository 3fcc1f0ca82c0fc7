//! Queues (RFC 33): which there are, whether they take jobs, and whether their jobs are scheduled.

use std::collections::BTreeMap;
use std::sync::Arc;

use flux_service::{Cx, Fault, Outcome, Plant, planted};
use flux_types::{JobId, JobState};
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::JobManager;
use crate::body::truth;
use crate::limits::QUEUE_REASON_LEN_MAX;

/// One queue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Queue {
    /// The queue that a virtual one is part of.
    parent: Option<Arc<str>>,
    enabled: bool,
    disable_reason: Option<String>,
    started: bool,
    stop_reason: Option<String>,
    /// What a restart brings back; differs from `started` after a stop that was not to be remembered.
    started_saved: bool,
}

impl Queue {
    /// Jobs are taken at once. The anonymous queue schedules them too; a named one only when it is started.
    fn new(parent: Option<Arc<str>>, started: bool) -> Queue {
        Queue { parent, enabled: true, disable_reason: None, started, stop_reason: None, started_saved: started }
    }
}

/// All queues: the anonymous one, or named ones only.
#[derive(Debug)]
pub(super) struct Queues {
    anonymous: Queue,
    named: BTreeMap<Arc<str>, Queue>,
    /// Their names in the order of the configuration, which is that of listings.
    order: Vec<Arc<str>>,
}

impl Default for Queues {
    fn default() -> Self {
        Queues { anonymous: Queue::new(None, true), named: BTreeMap::new(), order: Vec::new() }
    }
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Errno::EINVAL, text)
}

impl Queues {
    fn get(&self, name: Option<&str>) -> Result<&Queue, Fault> {
        match name {
            None if self.named.is_empty() => Ok(&self.anonymous),
            None => Err(invalid("a named queue is required")),
            Some(name) => self.named.get(name).ok_or_else(|| invalid(format!("'{name}' is not a valid queue"))),
        }
    }

    /// The queues an operation is for: the one named, or all of them.
    fn selected(&mut self, name: Option<&str>) -> Result<Vec<&mut Queue>, Fault> {
        match name {
            None if self.named.is_empty() => Ok(vec![&mut self.anonymous]),
            None => Ok(self.named.values_mut().collect()),
            Some(name) => match self.named.get_mut(name) {
                Some(queue) => Ok(vec![queue]),
                None => Err(invalid(format!("'{name}' is not a valid queue"))),
            },
        }
    }

    /// Takes over the `queues` table, which has been checked. Queues that stay keep their state; jobs of removed ones
    /// stay where they are.
    pub(super) fn configure(&mut self, table: Option<&Value>) {
        let mut parents = BTreeMap::new();
        self.order.clear();
        for (name, entry) in table.and_then(Value::as_object).into_iter().flatten() {
            let parent = entry.get("parent").and_then(Value::as_str);
            let name = Arc::<str>::from(name.as_str());
            self.order.push(name.clone());
            parents.insert(name, parent.map(Arc::<str>::from));
        }
        self.named.retain(|name, _| parents.contains_key(name));
        for (name, parent) in parents {
            self.named.entry(name).or_insert_with(|| Queue::new(None, false)).parent = parent;
        }
    }

    /// May jobs come into this queue?
    pub(super) fn may_submit(&self, name: Option<&str>) -> Result<(), Fault> {
        let queue = self.get(name)?;
        if queue.enabled {
            return Ok(());
        }
        let to = name.map(|name| format!(" to {name}")).unwrap_or_default();
        let reason = queue.disable_reason.as_deref().unwrap_or("");
        Err(invalid(format!("job submission{to} is disabled: {reason}")))
    }

    /// May a waiting job move into this queue?
    pub(super) fn may_move(&self, name: &str) -> Result<(), Fault> {
        let queue = self.get(Some(name))?;
        if queue.enabled { Ok(()) } else { Err(invalid(format!("queue {name} is currently disabled"))) }
    }

    /// Are jobs of this queue scheduled? Those of a virtual queue only if its parent is started too. A queue that is not
    /// configured any more schedules nothing.
    pub(super) fn is_started(&self, name: Option<&str>) -> bool {
        self.get(name).is_ok_and(|queue| {
            queue.started
                && queue.parent.as_ref().is_none_or(|parent| self.named.get(parent).is_some_and(|q| q.started))
        })
    }

    /// Why jobs of this queue are not scheduled, as a sentence without its subject; `None` if they are.
    pub(super) fn stopped_text(&self, name: Option<&str>) -> Option<String> {
        let because = |reason: Option<&str>| reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let Ok(queue) = self.get(name) else {
            return Some(match name {
                Some(name) => format!("waits in queue {name}, which is not configured any more"),
                None => "waits in no queue, but this instance has named queues now".to_owned(),
            });
        };
        let called = name.map_or("the queue".to_owned(), |name| format!("queue {name}"));
        if !queue.started {
            return Some(format!("waits because {called} is stopped{}", because(queue.stop_reason.as_deref())));
        }
        let parent = queue.parent.as_deref()?;
        match self.named.get(parent) {
            Some(above) if above.started => None,
            above => {
                let reason = above.and_then(|above| above.stop_reason.as_deref());
                Some(format!(
                    "waits because queue {parent}, of which {called} is a part, is stopped{}",
                    because(reason)
                ))
            }
        }
    }

    fn status(&self, name: Option<&str>, scheduler: bool) -> Result<Value, Fault> {
        let queue = self.get(name)?;
        let effective = self.is_started(name);
        let (start, blocked, reason) = match (scheduler, queue.started) {
            (false, true) => (false, Some("scheduler"), Some("Scheduler is offline".to_owned())),
            (false, false) => (false, None, Some("Scheduler is offline".to_owned())),
            (true, true) if !effective => {
                let parent = queue.parent.as_deref().unwrap_or("");
                (false, Some("parent"), Some(format!("parent queue '{parent}' is stopped")))
            }
            (true, _) => (effective, None, queue.stop_reason.clone()),
        };
        let mut out = Map::new();
        out.insert("enable".into(), queue.enabled.into());
        out.insert("start".into(), start.into());
        let optional = [
            ("parent", queue.parent.as_deref()),
            ("blocked", blocked),
            ("disable_reason", queue.disable_reason.as_deref().filter(|_| !queue.enabled)),
            ("stop_reason", reason.as_deref().filter(|_| !start)),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                out.insert(key.into(), value.into());
            }
        }
        Ok(Value::Object(out))
    }

    /// For the checkpoint.
    pub(super) fn save(&self) -> Value {
        let one = |name: Option<&str>, queue: &Queue| {
            let mut out = Map::new();
            out.insert("enable".into(), queue.enabled.into());
            out.insert("start".into(), queue.started_saved.into());
            let optional = [
                ("name", name),
                ("disable_reason", queue.disable_reason.as_deref().filter(|_| !queue.enabled)),
                ("stop_reason", queue.stop_reason.as_deref().filter(|_| !queue.started_saved)),
            ];
            for (key, value) in optional {
                if let Some(value) = value {
                    out.insert(key.into(), value.into());
                }
            }
            Value::Object(out)
        };
        if self.named.is_empty() {
            return json!([one(None, &self.anonymous)]);
        }
        self.named.iter().map(|(name, queue)| one(Some(name), queue)).collect()
    }

    /// From the checkpoint; queues that are not configured any more are passed over.
    pub(super) fn restore(&mut self, saved: &Value) {
        if planted(Plant::StoppedQueuesForgotten) {
            return;
        }
        for entry in saved.as_array().into_iter().flatten() {
            let name = entry.get("name").and_then(Value::as_str);
            let queue = match name {
                None if self.named.is_empty() => Some(&mut self.anonymous),
                None => None,
                Some(name) => self.named.get_mut(name),
            };
            let Some(queue) = queue else { continue };
            let flag = |key: &str, else_: bool| entry.get(key).and_then(Value::as_bool).unwrap_or(else_);
            let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
            queue.enabled = flag("enable", true);
            queue.started = flag("start", true);
            queue.started_saved = queue.started;
            queue.disable_reason = text("disable_reason").or_else(|| text("reason"));
            queue.stop_reason = text("stop_reason");
        }
    }

    pub(super) fn stop_all(&mut self, reason: &str) {
        for queue in self.named.values_mut().chain([&mut self.anonymous]).filter(|queue| queue.started) {
            queue.started = false;
            queue.started_saved = false;
            queue.stop_reason = Some(reason.to_owned());
        }
    }
}

#[derive(Deserialize)]
struct Name {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Enable {
    name: Option<String>,
    #[serde(deserialize_with = "truth")]
    enable: bool,
    reason: Option<String>,
    #[serde(deserialize_with = "truth")]
    all: bool,
}

#[derive(Deserialize)]
struct Start {
    name: Option<String>,
    #[serde(deserialize_with = "truth")]
    start: bool,
    reason: Option<String>,
    #[serde(deserialize_with = "truth")]
    all: bool,
    #[serde(default, deserialize_with = "truth")]
    nocheckpoint: bool,
}

impl JobManager {
    pub(super) fn queue_list(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let names: Vec<&str> = self.queues.order.iter().map(|name| &**name).collect();
        cx.respond(request, json!({"queues": names}));
        Ok(())
    }

    pub(super) fn queue_status(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let name = if request.payload.is_none() { None } else { request.decode::<Name>()?.name };
        let status = self.queues.status(name.as_deref(), self.alloc.online)?;
        cx.respond(request, status);
        Ok(())
    }

    fn check_scope(&self, name: Option<&str>, all: bool, reason: Option<&str>) -> Result<(), Fault> {
        if name.is_none() && !self.queues.named.is_empty() && !all {
            return Err(invalid("Use --all to apply this command to all queues"));
        }
        if reason.is_some_and(|reason| reason.len() > QUEUE_REASON_LEN_MAX) {
            return Err(Fault::new(
                Errno::EMSGSIZE,
                format!("the reason is over the limit of {QUEUE_REASON_LEN_MAX} bytes"),
            ));
        }
        Ok(())
    }

    pub(super) fn queue_enable(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Enable = request.decode()?;
        if !body.enable && body.reason.is_none() {
            return Err(invalid("reason is required for disable"));
        }
        self.check_scope(body.name.as_deref(), body.all, body.reason.as_deref())?;
        for queue in self.queues.selected(body.name.as_deref())? {
            queue.enabled = body.enable;
            queue.disable_reason = body.reason.clone().filter(|_| !body.enable);
        }
        self.save_checkpoint();
        self.ordered(cx, request, flux_wire::Payload::None);
        Ok(())
    }

    pub(super) fn queue_start(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Start = request.decode()?;
        self.check_scope(body.name.as_deref(), body.all, body.reason.as_deref())?;
        for queue in self.queues.selected(body.name.as_deref())? {
            queue.started = body.start;
            queue.stop_reason = body.reason.clone().filter(|_| !body.start);
            if !body.nocheckpoint {
                queue.started_saved = body.start;
            }
        }
        self.apply_queues(cx);
        self.save_checkpoint();
        self.ordered(cx, request, flux_wire::Payload::None);
        Ok(())
    }

    /// Every job in SCHED state stands in line if its queue is started, and does not if it is stopped.
    pub(super) fn apply_queues(&mut self, cx: &mut Cx<'_>) {
        let waiting = |job: &super::job::Job| job.state == JobState::Sched;
        let ids: Vec<JobId> = self.jobs.values().filter(|job| waiting(job)).map(|job| job.id).collect();
        for id in ids {
            let job = &self.jobs[&id];
            let started = self.queues.is_started(job.queue.as_deref());
            match (started, job.alloc_queued, job.alloc_pending) {
                (true, false, false) => self.enqueue(cx, id),
                (false, true, _) => self.dequeue(id),
                (false, _, true) => self.cancel_alloc(cx, id, false),
                _ => {}
            }
        }
    }
}
