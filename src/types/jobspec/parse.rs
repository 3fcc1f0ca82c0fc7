//! JSON to jobspec. The rules are RFC 14's, as flux-core's validator applies them: unknown keys in vertices and
//! tasks are kept, unknown keys at the top and in `attributes` are refused.

use serde_json::{Map, Value};

use super::{Count, Jobspec, JobspecError, Task, TaskCount, Vertex};
use crate::limits::{JOBSPEC_COUNT_MAX, JOBSPEC_DEPTH_MAX, JOBSPEC_TASKS_MAX, JOBSPEC_VERTICES_MAX};

type Result<T> = std::result::Result<T, JobspecError>;

impl Jobspec {
    /// Reads and validates a JSON value.
    ///
    /// # Errors
    /// The first [`JobspecError`] met.
    pub fn from_value(value: Value) -> Result<Jobspec> {
        let Value::Object(mut top) = value else { return Err(JobspecError::type_("jobspec", "an object")) };
        let mut take = |key: &'static str| top.remove(key).ok_or_else(|| JobspecError::missing("", key));
        let (resources, tasks) = (take("resources")?, take("tasks")?);
        let (attributes, version) = (take("attributes")?, take("version")?);
        if let Some(key) = top.keys().next() {
            return Err(JobspecError::Extraneous { at: String::new(), key: key.clone() });
        }
        let Value::Array(resources) = resources else { return Err(JobspecError::type_("resources", "a sequence")) };
        let Value::Array(tasks) = tasks else { return Err(JobspecError::type_("tasks", "a sequence")) };
        let Value::Object(attributes) = attributes else { return Err(JobspecError::type_("attributes", "a mapping")) };
        if !version.is_i64() && !version.is_u64() {
            return Err(JobspecError::type_("version", "an integer"));
        }
        let version = positive(&version).ok_or_else(|| JobspecError::value("version", ">= 1"))?;
        let mut budget = JOBSPEC_VERTICES_MAX;
        let spec = Jobspec {
            resources: parse_vertices(resources, "resources", 0, &mut budget)?,
            tasks: parse_tasks(tasks)?,
            attributes,
            version,
        };
        spec.validate()?;
        Ok(spec)
    }
}

/// A positive integer that fits the wire's signed 32 bits.
pub(super) fn positive(value: &Value) -> Option<u32> {
    value.as_u64().filter(|n| (1..=u64::from(JOBSPEC_COUNT_MAX)).contains(n)).map(|n| n as u32)
}

pub(super) fn parse_vertices(list: Vec<Value>, at: &str, depth: usize, budget: &mut usize) -> Result<Vec<Vertex>> {
    if depth >= JOBSPEC_DEPTH_MAX {
        return Err(JobspecError::TooLarge { what: "levels of resources", max: JOBSPEC_DEPTH_MAX });
    }
    if list.len() > *budget {
        return Err(JobspecError::TooLarge { what: "resource vertices", max: JOBSPEC_VERTICES_MAX });
    }
    *budget -= list.len();
    let entries = list.into_iter().enumerate();
    entries.map(|(i, entry)| parse_vertex(entry, &format!("{at}[{i}]"), depth, budget)).collect()
}

fn parse_vertex(value: Value, at: &str, depth: usize, budget: &mut usize) -> Result<Vertex> {
    let Value::Object(mut map) = value else { return Err(JobspecError::type_(at, "a mapping")) };
    let kind = take_string(&mut map, at, "type")?.ok_or_else(|| JobspecError::missing(at, "type"))?;
    let count = map.shift_remove("count").ok_or_else(|| JobspecError::missing(at, "count"))?;
    let count = Count::from_value(count, &kind, &format!("{at}.count"))?;
    let exclusive = match map.shift_remove("exclusive") {
        None => None,
        Some(Value::Bool(exclusive)) => Some(exclusive),
        Some(_) => return Err(JobspecError::type_(format!("{at}.exclusive"), "a boolean")),
    };
    let unit = take_string(&mut map, at, "unit")?;
    let label = take_string(&mut map, at, "label")?;
    let id = take_string(&mut map, at, "id")?;
    let with = match map.shift_remove("with") {
        None => Vec::new(),
        Some(Value::Array(list)) => parse_vertices(list, &format!("{at}.with"), depth + 1, budget)?,
        Some(_) => return Err(JobspecError::type_(format!("{at}.with"), "a sequence")),
    };
    if kind == "slot" && label.is_none() {
        return Err(JobspecError::missing(at, "label"));
    }
    Ok(Vertex { kind, count, unit, exclusive, with, label, id, extra: map })
}

fn take_string(map: &mut Map<String, Value>, at: &str, key: &'static str) -> Result<Option<String>> {
    match map.shift_remove(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JobspecError::type_(format!("{at}.{key}"), "a string")),
    }
}

pub(super) fn parse_tasks(list: Vec<Value>) -> Result<Vec<Task>> {
    if list.len() > JOBSPEC_TASKS_MAX {
        return Err(JobspecError::TooLarge { what: "task entries", max: JOBSPEC_TASKS_MAX });
    }
    list.into_iter().enumerate().map(|(i, entry)| parse_task(entry, &format!("tasks[{i}]"))).collect()
}

fn parse_task(value: Value, at: &str) -> Result<Task> {
    let Value::Object(mut map) = value else { return Err(JobspecError::type_(at, "a mapping")) };
    let command = map.shift_remove("command").ok_or_else(|| JobspecError::missing(at, "command"))?;
    let slot = take_string(&mut map, at, "slot")?.ok_or_else(|| JobspecError::missing(at, "slot"))?;
    let count = map.shift_remove("count").ok_or_else(|| JobspecError::missing(at, "count"))?;
    let count = parse_task_count(count, &format!("{at}.count"))?;
    if map.get("attributes").is_some_and(|attributes| !attributes.is_object()) {
        return Err(JobspecError::type_(format!("{at}.attributes"), "a mapping"));
    }
    let bad_command = || JobspecError::type_(format!("{at}.command"), "a non-empty list of strings");
    let Value::Array(words) = command else { return Err(bad_command()) };
    let command: Option<Vec<String>> =
        words.into_iter().map(|word| if let Value::String(word) = word { Some(word) } else { None }).collect();
    let command = command.filter(|words| !words.is_empty()).ok_or_else(bad_command)?;
    Ok(Task { command, slot, count, extra: map })
}

fn parse_task_count(value: Value, at: &str) -> Result<TaskCount> {
    let Value::Object(map) = value else { return Err(JobspecError::type_(at, "a mapping")) };
    let bad_key = || JobspecError::value(at, "a mapping with exactly one of per_slot, per_resource, total");
    let mut keys = map.into_iter();
    let (Some((key, value)), None) = (keys.next(), keys.next()) else { return Err(bad_key()) };
    let number = |value: &Value, key: &str| {
        positive(value).ok_or_else(|| JobspecError::value(format!("{at}.{key}"), "an integer >= 1"))
    };
    match key.as_str() {
        "per_slot" => Ok(TaskCount::PerSlot(number(&value, "per_slot")?)),
        "total" => Ok(TaskCount::Total(number(&value, "total")?)),
        "per_resource" => {
            let at = format!("{at}.per_resource");
            let Value::Object(mut map) = value else { return Err(JobspecError::type_(at, "a mapping")) };
            let kind = take_string(&mut map, &at, "type")?.ok_or_else(|| JobspecError::missing(&at, "type"))?;
            let count = map.get("count").ok_or_else(|| JobspecError::missing(&at, "count"))?;
            Ok(TaskCount::PerResource { kind, count: number(count, "per_resource.count")? })
        }
        _ => Err(bad_key()),
    }
}
