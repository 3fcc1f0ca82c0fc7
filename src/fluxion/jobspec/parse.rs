//! The document and its resources.

use super::{Constraint, Count, parse_yaml};
use crate::error::JobspecError;
use crate::limits::{DOCUMENT_DEPTH_MAX, JOBSPEC_BYTES_MAX, REQUEST_COUNT_MAX};
use serde_json::Value;

/// A job's request: what it needs, for how long, from which nodes.
#[derive(Clone, Debug)]
pub struct Jobspec {
    pub version: u32,
    pub resources: Vec<Resource>,
    /// Seconds; 0 is "as long as the graph exists".
    pub duration: f64,
    pub queue: Option<String>,
    pub constraint: Option<Constraint>,
}

/// One resource vertex of the request.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    pub kind: String,
    pub count: Count,
    pub unit: Option<String>,
    pub exclusive: Option<bool>,
    pub label: Option<String>,
    pub id: Option<String>,
    pub with: Vec<Resource>,
}

fn error<T>(what: impl Into<String>) -> Result<T, JobspecError> {
    Err(JobspecError(what.into()))
}

impl Jobspec {
    /// Whether another one asks for the same, for as long and under the same constraint.
    pub fn asks_as(&self, other: &Jobspec) -> bool {
        self.duration == other.duration && self.constraint == other.constraint && self.resources == other.resources
    }

    /// Parses a YAML or JSON text.
    ///
    /// # Errors
    /// The first rule of RFC 14 that the document breaks.
    pub fn parse(text: &str) -> Result<Jobspec, JobspecError> {
        if text.len() > JOBSPEC_BYTES_MAX {
            return error(format!("longer than {JOBSPEC_BYTES_MAX} bytes"));
        }
        Jobspec::from_value(&parse_yaml(text)?)
    }

    /// Reads a document that is parsed already.
    ///
    /// # Errors
    /// The first rule of RFC 14 that the document breaks.
    pub fn from_value(top: &Value) -> Result<Jobspec, JobspecError> {
        let Some(map) = top.as_object() else { return error("top level of jobspec is not a mapping") };
        for key in ["version", "resources", "tasks", "attributes"] {
            if !map.contains_key(key) {
                return error(format!("missing key \"{key}\" in top level mapping"));
            }
        }
        if map.len() != 4 {
            return error("top mapping in jobspec must have exactly four entries");
        }
        let version = top["version"].as_u64().filter(|version| (1..=9999).contains(version));
        let Some(version) = version else { return error("only jobspec \"version\" 1-9999 is supported") };
        let mut count = 0;
        let mut jobspec = Jobspec {
            version: version as u32,
            resources: parse_resources(&top["resources"], 0, &mut count)?,
            duration: 0.0,
            queue: None,
            constraint: None,
        };
        jobspec.read_attributes(&top["attributes"])?;
        check_tasks(&top["tasks"])?;
        Ok(jobspec)
    }

    fn read_attributes(&mut self, attributes: &Value) -> Result<(), JobspecError> {
        if attributes.is_null() {
            return Ok(());
        }
        let Some(map) = attributes.as_object() else { return error("\"attributes\" is not a mapping") };
        if let Some(key) = map.keys().find(|key| !["user", "system", "storage"].contains(&key.as_str())) {
            return error(format!("unknown key \"{key}\" in attributes"));
        }
        if let Some(storage) = map.get("storage") {
            super::storage::check_storage(storage, &self.resources)?;
        }
        let system = &attributes["system"];
        if !system.is_null() && !system.is_object() {
            return error("\"attributes.system\" is not a mapping");
        }
        match &system["duration"] {
            Value::Null => {}
            value => match value.as_f64().or_else(|| value.as_str()?.parse().ok()) {
                Some(duration) => self.duration = duration,
                None => return error("duration is not a number"),
            },
        }
        match &system["queue"] {
            Value::Null => {}
            Value::String(queue) => self.queue = Some(queue.clone()).filter(|queue| !queue.is_empty()),
            _ => return error("queue is not a string"),
        }
        match &system["constraints"] {
            Value::Null => {}
            value => self.constraint = Some(Constraint::parse(value)?),
        }
        Ok(())
    }
}

fn parse_resources(value: &Value, depth: usize, count: &mut usize) -> Result<Vec<Resource>, JobspecError> {
    let Some(list) = value.as_array() else { return error("\"resources\" is not a sequence") };
    if depth > DOCUMENT_DEPTH_MAX {
        return error("the resources nest too deeply");
    }
    *count += list.len();
    if *count > REQUEST_COUNT_MAX {
        return error(format!("more than {REQUEST_COUNT_MAX} resources"));
    }
    list.iter().map(|item| parse_resource(item, depth, count)).collect()
}

fn parse_resource(value: &Value, depth: usize, count: &mut usize) -> Result<Resource, JobspecError> {
    let Some(map) = value.as_object() else { return error("resource is not a mapping") };
    let known = ["type", "count", "unit", "exclusive", "with", "label", "id"];
    if let Some(key) = map.keys().find(|key| !known.contains(&key.as_str())) {
        return error(format!("unrecognized key \"{key}\" in resource mapping"));
    }
    let text = |key: &str| match &value[key] {
        Value::Null if !map.contains_key(key) => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        _ => error(format!("value of \"{key}\" must be a scalar")),
    };
    let Some(kind) = text("type")? else { return error("key \"type\" missing from resource") };
    if !map.contains_key("count") {
        return error("key \"count\" missing from resource");
    }
    let exclusive = match text("exclusive")?.as_deref() {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return error("value of \"exclusive\" must be either \"true\" or \"false\""),
    };
    let with = match map.get("with") {
        Some(with) => parse_resources(with, depth + 1, count)?,
        None => Vec::new(),
    };
    let label = text("label")?;
    if kind == "slot" && label.is_none() {
        return error("all slots must be labeled");
    }
    if ["slot", "xor_slot", "or_slot"].contains(&kind.as_str()) && with.is_empty() {
        return error("a slot must hold at least one resource");
    }
    let count = Count::parse(&value["count"])?;
    Ok(Resource { kind, count, unit: text("unit")?, exclusive, label, id: text("id")?, with })
}

fn check_tasks(value: &Value) -> Result<(), JobspecError> {
    let Some(tasks) = value.as_array() else { return error("\"tasks\" is not a sequence") };
    for task in tasks {
        let Some(map) = task.as_object() else { return error("task is not a mapping") };
        if !map.contains_key("command") {
            return error("key \"command\" missing from task");
        }
        if !task["command"].is_array() {
            return error("\"command\" value must be a sequence");
        }
        if !task["slot"].is_string() {
            return error("value of task \"slot\" must be a string");
        }
        if let Some(count) = map.get("count")
            && count.as_object().is_none_or(|count| count.len() != 1)
        {
            return error("\"count\" in task must be a mapping with exactly one entry");
        }
        if !task["attributes"].is_null() && !task["attributes"].is_object() {
            return error("\"attributes\" in task is not a mapping");
        }
        if let Some(key) =
            map.keys().find(|key| !["command", "slot", "count", "distribution", "attributes"].contains(&key.as_str()))
        {
            return error(format!("unrecognized key \"{key}\" in task mapping"));
        }
    }
    Ok(())
}
