//! `sched-fluxion-resource`: what can be asked of the graph, and changed in it.

use super::config::resource_params;
use super::graph::FluxionResource;
use super::matching::fault_of;
use super::{number, refused, seconds, text};
use crate::graph::Status;
use crate::writer::Format;
use flux_service::{Cx, Fault, Outcome};
use flux_wire::{Errno, Message};
use serde_json::{Value, json};

fn no_such_path(path: &str) -> Fault {
    Fault::new(Errno::ENOENT, format!("Couldn't find '{path}' in resource graph"))
}

/// One path, or several.
fn paths<'v>(body: &'v Value, key: &str) -> Result<Vec<&'v str>, Fault> {
    match &body[key] {
        Value::String(path) => Ok(vec![path.as_str()]),
        Value::Array(list) if list.is_empty() => Err(refused(format!("{key} array cannot be empty"))),
        Value::Array(list) => list
            .iter()
            .map(|path| path.as_str().ok_or_else(|| refused(format!("{key} array must contain only strings"))))
            .collect(),
        Value::Null => Err(Fault::from(Errno::EPROTO)),
        _ => Err(refused(format!("{key} must be a string or array of strings"))),
    }
}

impl FluxionResource {
    pub(super) fn find(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let now = seconds(cx);
        let format = match body["format"].as_str() {
            None => None,
            Some(name) => Some(Format::from_name(name).ok_or_else(|| refused(format!("unknown format '{name}'")))?),
        };
        let found = self.shared.graph()?.find(text(&body, "criteria")?, format, now);
        cx.respond(message, json!({"R": found.map_err(|error| fault_of(&error))?}));
        Ok(())
    }

    pub(super) fn info(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let id = number(&message.decode::<Value>()?, "jobid")?;
        let fluxion = self.shared.graph()?;
        let (at, _, is_reserved) = fluxion.job(id).ok_or_else(|| Fault::from(Errno::ENOENT))?;
        let overhead = fluxion.engine().jobs.get(&id).map_or(0.0, |job| job.overhead);
        let status = if is_reserved { "RESERVED" } else { "ALLOCATED" };
        cx.respond(message, json!({"jobid": id, "status": status, "at": at, "overhead": overhead}));
        Ok(())
    }

    /// All resources, those that are down and those in use: each as R, or null if there are none.
    pub(super) fn status(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let now = seconds(cx);
        let [all, down, allocated] = self.shared.graph()?.resource_status(now).map_err(|error| fault_of(&error))?;
        cx.respond(message, json!({"all": all, "down": down, "allocated": allocated}));
        Ok(())
    }

    pub(super) fn next_jobid(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let last = self.shared.graph()?.job_ids().last();
        let next = last.map_or(Some(0), |last| last.checked_add(1)).ok_or_else(|| Fault::from(Errno::ERANGE))?;
        cx.respond(message, json!({"jobid": next}));
        Ok(())
    }

    /// The id under which a resource that the reader saw is known. Nothing is renamed here.
    pub(super) fn ns_info(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let (rank, kind, id) = (number(&body, "rank")?, text(&body, "type-name")?, number(&body, "id")?);
        if !self.shared.graph()?.has(rank, kind, id) {
            return Err(Fault::new(Errno::ENOENT, format!("rank {rank} has no {kind} {id}")));
        }
        cx.respond(message, json!({"id": id}));
        Ok(())
    }

    pub(super) fn params(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        cx.respond(message, json!({"params": resource_params(&self.options)}));
        Ok(())
    }

    pub(super) fn set_status(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let (path, status) = (text(&body, "resource_path")?, text(&body, "status")?);
        let status = Status::from_name(&status.to_lowercase())
            .ok_or_else(|| refused(format!("unrecognized status '{status}'")))?;
        if !self.shared.graph()?.set_path_status(path, status) {
            return Err(no_such_path(path));
        }
        cx.respond_empty(message);
        self.changed(cx);
        Ok(())
    }

    pub(super) fn set_property(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let paths = paths(&body, "sp_resource_path")?;
        let pair = text(&body, "sp_keyval")?.split_once('=');
        let pair = pair.filter(|(key, value)| !key.is_empty() && !value.is_empty());
        let (key, value) = pair.ok_or_else(|| refused("a property is set as PROPERTY=VALUE"))?;
        for path in paths {
            if !self.shared.graph()?.set_property(path, key, value) {
                return Err(no_such_path(path));
            }
        }
        cx.respond(message, json!({}));
        self.changed(cx);
        Ok(())
    }

    pub(super) fn remove_property(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let (paths, key) = (paths(&body, "resource_path")?, text(&body, "key")?);
        for path in paths {
            if !self.shared.graph()?.remove_property(path, key) {
                return Err(no_such_path(path));
            }
        }
        cx.respond(message, json!({}));
        self.changed(cx);
        Ok(())
    }

    pub(super) fn get_property(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let (path, key) = (text(&body, "gp_resource_path")?, text(&body, "gp_key")?);
        let values = self.shared.graph()?.get_property(path, key).ok_or_else(|| no_such_path(path))?;
        if values.is_empty() {
            let text = format!("Property '{key}' was not found for resource {path}");
            return Err(Fault::new(Errno::ENOENT, text));
        }
        cx.respond(message, json!({"values": values}));
        Ok(())
    }

    pub(super) fn add_subgraph(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let added = self.shared.graph()?.add_subgraph(text(&body, "subgraph")?);
        added.map_err(|error| fault_of(&error.into()))?;
        cx.respond(message, json!({}));
        self.changed(cx);
        Ok(())
    }

    pub(super) fn remove_subgraph(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let removed = self.shared.graph()?.remove_subgraph(text(&body, "subgraph_path")?);
        removed.map_err(|error| fault_of(&error.into()))?;
        cx.respond(message, json!({}));
        self.changed(cx);
        Ok(())
    }
}
