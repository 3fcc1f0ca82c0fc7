//! Jobspec to JSON, with flux-core's key order.

use serde_json::{Map, Value, json};

use super::{Jobspec, Task, TaskCount, Vertex};

impl Jobspec {
    /// The jobspec as a JSON value.
    pub fn to_value(&self) -> Value {
        let mut top = Map::new();
        top.insert("resources".into(), self.resources.iter().map(Vertex::to_value).collect());
        top.insert("tasks".into(), self.tasks.iter().map(Task::to_value).collect());
        top.insert("attributes".into(), Value::Object(self.attributes.clone()));
        top.insert("version".into(), self.version.into());
        Value::Object(top)
    }
}

impl Vertex {
    /// The vertex and all below it as a JSON value.
    pub fn to_value(&self) -> Value {
        let mut out = Map::new();
        out.insert("type".into(), self.kind.as_str().into());
        out.insert("count".into(), self.count.to_value());
        if let Some(unit) = &self.unit {
            out.insert("unit".into(), unit.as_str().into());
        }
        if let Some(exclusive) = self.exclusive {
            out.insert("exclusive".into(), exclusive.into());
        }
        if !self.with.is_empty() {
            out.insert("with".into(), self.with.iter().map(Vertex::to_value).collect());
        }
        if let Some(label) = &self.label {
            out.insert("label".into(), label.as_str().into());
        }
        if let Some(id) = &self.id {
            out.insert("id".into(), id.as_str().into());
        }
        out.extend(self.extra.clone());
        Value::Object(out)
    }
}

impl Task {
    /// The task as a JSON value.
    pub fn to_value(&self) -> Value {
        let mut out = Map::new();
        out.insert("command".into(), self.command.iter().map(String::as_str).collect());
        out.insert("slot".into(), self.slot.as_str().into());
        out.insert("count".into(), self.count.to_value());
        out.extend(self.extra.clone());
        Value::Object(out)
    }
}

impl TaskCount {
    fn to_value(&self) -> Value {
        match self {
            Self::PerSlot(count) => json!({ "per_slot": count }),
            Self::Total(count) => json!({ "total": count }),
            Self::PerResource { kind, count } => json!({ "per_resource": { "type": kind, "count": count } }),
        }
    }
}
