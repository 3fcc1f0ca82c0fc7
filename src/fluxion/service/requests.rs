//! What others ask of the scheduler.

use super::{CANCEL, DENY, SchedFluxion, refused, seconds};
use crate::fluxion::Fluxion;
use crate::graph::Status;
use crate::jobspec::Jobspec;
use crate::limits::PENDING_COUNT_MAX;
use crate::policy::{Queue, QueueConfig, QueuePolicy};
use crate::writer::Format;
use flux_service::{Cx, Fault, Outcome};
use flux_types::ResourceSet;
use flux_wire::{Errno, Message, Payload};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
struct AllocBody {
    id: u64,
    priority: u64,
    jobspec: Value,
}

fn text<'v>(body: &'v Value, key: &str) -> Result<&'v str, Fault> {
    body[key].as_str().ok_or_else(|| Fault::new(Errno::EPROTO, format!("{key} is missing")))
}

fn number(body: &Value, key: &str) -> Result<u64, Fault> {
    body[key].as_u64().ok_or_else(|| Fault::new(Errno::EPROTO, format!("{key} is missing")))
}

impl SchedFluxion {
    fn graph(&mut self) -> Result<&mut Fluxion, Fault> {
        self.fluxion.as_mut().ok_or_else(|| Fault::new(Errno::EAGAIN, "the resources are not known yet"))
    }

    fn notice_room(&mut self) {
        self.queues.values_mut().for_each(Queue::notice_room);
    }

    pub(super) fn alloc(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: AllocBody = message.decode()?;
        if self.stopped || self.messages.len() >= PENDING_COUNT_MAX {
            return Err(Fault::from(Errno::EAGAIN));
        }
        if self.messages.contains_key(&body.id) {
            return Err(Fault::new(Errno::EEXIST, "the job is in the queue already"));
        }
        let jobspec = match Jobspec::from_value(&body.jobspec) {
            Ok(jobspec) => jobspec,
            Err(error) => {
                cx.respond(message, json!({"id": body.id, "type": DENY, "note": error.to_string()}));
                return Ok(());
            }
        };
        let name = jobspec.queue.clone().unwrap_or_default();
        let config = self.queue_config.unwrap_or(QueueConfig::new(QueuePolicy::Fcfs));
        let queue = self.queues.entry(name.clone()).or_insert_with(|| Queue::new(config));
        let priority = u32::try_from(body.priority).unwrap_or(u32::MAX);
        queue
            .submit_jobspec(body.id, priority, body.id, Arc::new(jobspec))
            .map_err(|error| refused(error.to_string()))?;
        let mut message = message.clone();
        message.payload = Payload::None; // The jobspec is compiled; its text is not needed again.
        self.messages.insert(body.id, (message, name));
        Ok(())
    }

    pub(super) fn cancel(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let id = number(&message.decode::<Value>()?, "id")?;
        if let Some((request, name)) = self.messages.remove(&id) {
            if let Some(queue) = self.queues.get_mut(&name) {
                queue.remove(id);
            }
            // Its reservation, if it has one, must not outlive it.
            if let Some(fluxion) = &mut self.fluxion
                && fluxion.job(id).is_some()
            {
                _ = fluxion.cancel(id);
            }
            cx.respond(&request, json!({"id": id, "type": CANCEL}));
            self.notice_room();
        }
        Ok(())
    }

    /// A job gives ranks back, or, with `final`, all that is left.
    pub(super) fn free(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let id = number(&body, "id")?;
        let r = body.get("R").ok_or_else(|| Fault::new(Errno::EPROTO, "sched.free without R"))?;
        let is_final = body["final"].as_bool().unwrap_or(false);
        let fluxion = self.graph()?;
        let freed = match is_final {
            true => fluxion.cancel(id).map(|()| true),
            false => fluxion.partial_cancel(id, &execution_of(r)),
        };
        // A job that holds nothing any more has nothing to give back.
        if let Err(error) = freed
            && error.errno() != 2
        {
            return Err(refused(error.to_string()));
        }
        self.notice_room();
        cx.respond(message, json!({"id": id}));
        Ok(())
    }

    pub(super) fn prioritize(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        #[derive(Deserialize)]
        struct Body {
            jobs: Vec<(u64, u64)>,
        }
        let body: Body = message.decode()?;
        for (id, priority) in body.jobs {
            let name = self.messages.get(&id).map(|(_, name)| name);
            if let Some(queue) = name.and_then(|name| self.queues.get_mut(name)) {
                queue.prioritize(id, u32::try_from(priority).unwrap_or(u32::MAX));
            }
        }
        cx.respond_empty(message);
        Ok(())
    }

    pub(super) fn expiration(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let (id, expiration) = (number(&body, "id")?, body["expiration"].as_f64().unwrap_or(0.0));
        self.graph()?.set_job_expiration(id, expiration as i64).map_err(|error| refused(error.to_string()))?;
        self.notice_room();
        cx.respond_empty(message);
        Ok(())
    }

    pub(super) fn resource_status(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let now = seconds(cx);
        let [all, down, allocated] = self.graph()?.resource_status(now).map_err(|error| refused(error.to_string()))?;
        let or_none = |r: Option<Value>| r.unwrap_or_else(|| ResourceSet::new().to_value());
        let body = json!({"all": or_none(all), "down": or_none(down), "allocated": or_none(allocated)});
        cx.respond(message, body);
        Ok(())
    }

    pub(super) fn feasibility(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let now = seconds(cx);
        let said = self.graph()?.satisfiable(&body["jobspec"], now);
        said.map_err(|error| refused(error.to_string()))?;
        cx.respond_empty(message);
        Ok(())
    }

    pub(super) fn find(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let now = seconds(cx);
        let format = match body["format"].as_str() {
            None => None,
            Some(name) => Some(Format::from_name(name).ok_or_else(|| refused(format!("unknown format '{name}'")))?),
        };
        let found = self.graph()?.find(text(&body, "criteria")?, format, now);
        let found = found.map_err(|error| refused(error.to_string()))?;
        cx.respond(message, json!({"R": found}));
        Ok(())
    }

    pub(super) fn info(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let id = number(&message.decode::<Value>()?, "jobid")?;
        let (at, _, is_reserved) = self.graph()?.job(id).ok_or_else(|| Fault::from(Errno::ENOENT))?;
        let status = if is_reserved { "RESERVED" } else { "ALLOCATED" };
        cx.respond(message, json!({"jobid": id, "status": status, "at": at, "overhead": 0.0}));
        Ok(())
    }

    pub(super) fn set_status(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let status =
            Status::from_name(&text(&body, "status")?.to_lowercase()).ok_or_else(|| refused("unknown status"))?;
        if !self.graph()?.set_path_status(text(&body, "resource_path")?, status) {
            return Err(Fault::from(Errno::ENOENT));
        }
        self.queues.values_mut().for_each(Queue::notice_status);
        cx.respond_empty(message);
        Ok(())
    }

    pub(super) fn set_property(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let pair =
            text(&body, "sp_keyval")?.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty());
        let (key, value) = pair.ok_or_else(|| refused("a property is NAME=VALUE"))?;
        if !self.graph()?.set_property(text(&body, "sp_resource_path")?, key, value) {
            return Err(Fault::from(Errno::ENOENT));
        }
        self.queues.values_mut().for_each(Queue::notice_status);
        cx.respond(message, json!({}));
        Ok(())
    }

    pub(super) fn remove_property(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        if !self.graph()?.remove_property(text(&body, "resource_path")?, text(&body, "key")?) {
            return Err(Fault::from(Errno::ENOENT));
        }
        self.queues.values_mut().for_each(Queue::notice_status);
        cx.respond(message, json!({}));
        Ok(())
    }

    pub(super) fn get_property(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let values = self.graph()?.get_property(text(&body, "gp_resource_path")?, text(&body, "gp_key")?);
        let values = values.filter(|values| !values.is_empty()).ok_or_else(|| Fault::from(Errno::ENOENT))?;
        cx.respond(message, json!({"values": values}));
        Ok(())
    }

    pub(super) fn add_subgraph(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let added = self.graph()?.add_subgraph(text(&body, "subgraph")?);
        added.map_err(|error| refused(error.to_string()))?;
        self.queues.values_mut().for_each(Queue::notice_status);
        cx.respond(message, json!({}));
        Ok(())
    }

    pub(super) fn remove_subgraph(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let removed = self.graph()?.remove_subgraph(text(&body, "subgraph_path")?);
        removed.map_err(|error| refused(error.to_string()))?;
        self.queues.values_mut().for_each(Queue::notice_status);
        cx.respond(message, json!({}));
        Ok(())
    }
}

/// R without what its scheduler wrote into it: a part that is given back is named by ranks.
fn execution_of(r: &Value) -> Value {
    json!({"version": r["version"], "execution": r["execution"]})
}
