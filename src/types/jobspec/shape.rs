//! The rules beyond types: RFC 14's for every jobspec, RFC 25's for version 1.

use serde_json::{Map, Value};

use super::{Jobspec, JobspecError, TaskCount, Vertex};
use crate::constraint::Constraint;
use crate::dependency::Dependency;

type Result<T> = std::result::Result<T, JobspecError>;

impl Jobspec {
    /// What [`Jobspec::parse`] checks once the types are right; run it again after changing parts by hand.
    ///
    /// # Errors
    /// The first [`JobspecError`] met.
    pub fn validate(&self) -> Result<()> {
        if self.resources.is_empty() {
            return Err(JobspecError::value("resources", "a sequence of at least one resource"));
        }
        if self.tasks.is_empty() {
            return Err(JobspecError::value("tasks", "a sequence of at least one task"));
        }
        check_attributes(&self.attributes)
    }

    /// What version 1 adds, as flux-core's ingest applies it: the version, a duration, plain integer counts, and
    /// tasks counted per slot or in total.
    ///
    /// # Errors
    /// The first [`JobspecError`] met.
    pub fn check_v1(&self) -> Result<()> {
        if self.version != 1 {
            return Err(JobspecError::value("version", "1"));
        }
        let system = self.system().ok_or_else(|| JobspecError::missing("attributes", "system"))?;
        if !system.contains_key("duration") {
            return Err(JobspecError::missing("attributes.system", "duration"));
        }
        if self.tasks.iter().any(|task| matches!(task.count, TaskCount::PerResource { .. })) {
            return Err(JobspecError::value("tasks count", "per_slot or total"));
        }
        match self.vertices().find(|vertex| vertex.count.fixed().is_none()) {
            Some(vertex) => Err(JobspecError::value(format!("resource count of '{}'", vertex.kind), "an integer")),
            None => Ok(()),
        }
    }

    /// RFC 25's whole grammar: one of slot>core, slot>(core,gpu), and these below a node; one task; no other keys.
    /// Stricter than ingest; for schedulers that know only these shapes.
    ///
    /// # Errors
    /// The first [`JobspecError`] met.
    pub fn check_v1_shape(&self) -> Result<()> {
        self.check_v1()?;
        let [task] = self.tasks.as_slice() else { return Err(JobspecError::value("tasks", "exactly one task")) };
        if task.count != TaskCount::PerSlot(1) && !matches!(task.count, TaskCount::Total(_)) {
            return Err(JobspecError::value("tasks[0].count.per_slot", "1"));
        }
        let [top] = self.resources.as_slice() else {
            return Err(JobspecError::value("resources", "exactly one node or slot"));
        };
        let slot = match (top.kind.as_str(), top.with.as_slice()) {
            ("slot", _) => top,
            ("node", [slot]) if slot.kind == "slot" => slot,
            ("node", _) => return Err(JobspecError::value("resources[0].with", "exactly one slot")),
            _ => return Err(JobspecError::value("resources[0].type", "node or slot")),
        };
        if slot.label.as_deref() != Some(task.slot.as_str()) {
            return Err(JobspecError::value("tasks[0].slot", "the label of the slot"));
        }
        if let Some(key) = self.vertices().find_map(|vertex| vertex.extra.keys().next()) {
            return Err(JobspecError::Extraneous { at: "resources".to_owned(), key: key.clone() });
        }
        check_slot_children(&slot.with)
    }
}

fn check_slot_children(with: &[Vertex]) -> Result<()> {
    let count = |kind: &str| with.iter().filter(|vertex| vertex.kind == kind).count();
    if count("core") != 1 || count("gpu") > 1 || with.len() > 2 || with.len() != count("core") + count("gpu") {
        return Err(JobspecError::value("resources of the slot", "one core and at most one gpu entry"));
    }
    if with.iter().any(|vertex| !vertex.with.is_empty()) {
        return Err(JobspecError::value("core and gpu", "without resources below them"));
    }
    Ok(())
}

/// Types of the well-known attributes; others are free.
pub(super) fn check_attributes(attributes: &Map<String, Value>) -> Result<()> {
    let object = |map: &Map<String, Value>, at: &str, key: &str| match map.get(key) {
        Some(value) if !value.is_object() => Err(JobspecError::type_(format!("{at}.{key}"), "a mapping")),
        _ => Ok(()),
    };
    if let Some(key) = attributes.keys().find(|key| !matches!(key.as_str(), "system" | "user" | "storage")) {
        return Err(JobspecError::Extraneous { at: "attributes".to_owned(), key: key.clone() });
    }
    object(attributes, "attributes", "system")?;
    object(attributes, "attributes", "user")?;
    let Some(Value::Object(system)) = attributes.get("system") else { return Ok(()) };
    const AT: &str = "attributes.system";
    for key in ["environment", "job", "shell"] {
        object(system, AT, key)?;
    }
    for key in ["cwd", "queue", "bank", "project"] {
        if system.get(key).is_some_and(|value| !value.is_string()) {
            return Err(JobspecError::type_(format!("{AT}.{key}"), "a string"));
        }
    }
    check_duration(system)?;
    if let Some(constraint) = system.get("constraints") {
        Constraint::from_value(constraint).map_err(|e| JobspecError::Constraint { reason: e })?;
    }
    match system.get("dependencies") {
        None => Ok(()),
        Some(Value::Array(list)) => list.iter().try_for_each(|entry| {
            let checked = Dependency::from_value(entry);
            checked.map(drop).map_err(|e| JobspecError::Dependency { reason: e.to_string() })
        }),
        Some(_) => Err(JobspecError::type_(format!("{AT}.dependencies"), "a list")),
    }
}

fn check_duration(system: &Map<String, Value>) -> Result<()> {
    for key in ["duration", "preemptible-after"] {
        let Some(value) = system.get(key) else { continue };
        let at = || format!("attributes.system.{key}");
        let seconds = value.as_f64().ok_or_else(|| JobspecError::type_(at(), "a number"))?;
        if seconds.is_nan() || seconds < 0.0 {
            return Err(JobspecError::value(at(), "zero or greater"));
        }
    }
    Ok(())
}
