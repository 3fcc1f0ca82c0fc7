//! What the configuration adds to a jobspec (RFC 33): `policy.jobspec.defaults`, and the constraints of its queue.
//!
//! The stored jobspec has them; the signed request stays as the user made it.

use flux_service::Fault;
use flux_types::At;
use flux_types::parse_fsd;
use flux_wire::Errno;
use serde_json::{Map, Value, json};

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Errno::EINVAL, text)
}

fn defaults(holder: Option<&Value>) -> Option<&Map<String, Value>> {
    holder?.at("/policy/jobspec/defaults/system")?.as_object()
}

fn queue<'a>(config: &'a Value, name: &str) -> Option<&'a Value> {
    config.get("queues")?.get(name)
}

fn seconds(duration: &Value) -> Result<f64, Fault> {
    let seconds = match duration {
        Value::String(text) => parse_fsd(text),
        number => number.as_f64(),
    };
    seconds.ok_or_else(|| invalid(format!("policy.jobspec.defaults.system.duration {duration} is no duration")))
}

/// `attributes.system`, made if it is not there.
fn system_of(jobspec: &mut Value) -> Result<&mut Map<String, Value>, Fault> {
    let attributes = jobspec.as_object_mut().map(|top| top.entry("attributes").or_insert_with(|| json!({})));
    let attributes = attributes.and_then(Value::as_object_mut);
    let system = attributes.map(|attributes| attributes.entry("system").or_insert_with(|| json!({})));
    system.and_then(Value::as_object_mut).ok_or_else(|| invalid("jobspec: attributes.system must be a mapping"))
}

/// The jobspec with defaults for what it leaves open.
///
/// # Errors
/// EINVAL if there is no place for them: `attributes` or `attributes.system` is no object.
pub(super) fn apply(config: &Value, mut jobspec: Value) -> Result<Value, Fault> {
    if config.get("policy").is_none() && config.get("queues").is_none() {
        return Ok(jobspec);
    }
    let system = system_of(&mut jobspec)?;
    let global = defaults(Some(config));
    if let (None, Some(name)) = (system.get("queue"), global.and_then(|global| global.get("queue"))) {
        system.insert("queue".into(), name.clone());
    }
    let own = system.get("queue").and_then(Value::as_str).and_then(|name| queue(config, name));
    let parent = own.and_then(|own| queue(config, own.get("parent")?.as_str()?));
    for level in [defaults(own), defaults(parent), global].into_iter().flatten() {
        fill(system, level)?;
    }
    Ok(jobspec)
}

/// The jobspec with what its queue requires.
///
/// # Errors
/// As [`apply`].
pub(super) fn constrain_to_queue(config: &Value, mut jobspec: Value) -> Result<Value, Fault> {
    if config.get("queues").is_none() {
        return Ok(jobspec);
    }
    let system = system_of(&mut jobspec)?;
    let name = system.get("queue").and_then(Value::as_str).unwrap_or("");
    if !name.is_empty() && queue(config, name).is_none() {
        return Err(Fault::new(Errno::EPERM, format!("Invalid queue '{name}' specified")));
    }
    if let Some(properties) = membership(config, name) {
        constrain(system, properties);
    }
    Ok(jobspec)
}

/// The properties that jobs of this queue need. RFC 33: those of a virtual queue are its parent's.
fn membership(config: &Value, name: &str) -> Option<Vec<Value>> {
    let own = queue(config, name)?;
    let parent = own.get("parent").and_then(Value::as_str);
    match parent.and_then(|parent| Some((parent, queue(config, parent)?))) {
        Some((name, parent)) => required(name, parent),
        None => required(name, own),
    }
}

/// The constraints of a job that moves from one queue to another; empty if none are left.
pub(crate) fn move_constraints(config: &Value, constraints: Option<&Value>, from: Option<&str>, to: &str) -> Value {
    let mut system = Map::new();
    if let Some(constraints) = constraints {
        let old = from.and_then(|from| membership(config, from)).unwrap_or_default();
        let left = without(constraints.clone(), &old);
        system.extend(left.map(|left| ("constraints".to_owned(), left)));
    }
    if let Some(properties) = membership(config, to) {
        constrain(&mut system, properties);
    }
    system.remove("constraints").unwrap_or_else(|| json!({}))
}

/// A constraint without the properties that [`constrain`] added.
fn without(constraint: Value, properties: &[Value]) -> Option<Value> {
    let Value::Object(mut object) = constraint else { return Some(constraint) };
    if let Some(Value::Array(list)) = object.get_mut("properties") {
        list.retain(|property| !properties.contains(property));
        if list.is_empty() {
            object.shift_remove("properties");
        }
    }
    if let Some(Value::Array(list)) = object.get_mut("and") {
        let added = json!({"properties": properties});
        list.retain(|part| *part != added);
        if let [only] = &list[..] {
            return Some(only.clone());
        }
    }
    (!object.is_empty()).then_some(Value::Object(object))
}

fn fill(system: &mut Map<String, Value>, level: &Map<String, Value>) -> Result<(), Fault> {
    for (key, value) in level {
        let unset = match system.get(key) {
            None => true,
            // A duration of 0 is how users leave it open (RFC 25).
            Some(given) => key == "duration" && given.as_f64() == Some(0.0),
        };
        if unset {
            let value = if key == "duration" { json!(seconds(value)?) } else { value.clone() };
            system.insert(key.clone(), value);
        }
    }
    Ok(())
}

/// The properties that jobs of a queue need: its own `requires`, or the membership property of its `hosts`.
fn required(name: &str, queue: &Value) -> Option<Vec<Value>> {
    if queue.get("hosts").is_some() {
        return Some(vec![json!(format!("+{name}"))]);
    }
    queue.get("requires")?.as_array().filter(|list| !list.is_empty()).cloned()
}

/// Adds properties to whatever the job requires already.
fn constrain(system: &mut Map<String, Value>, mut properties: Vec<Value>) {
    match system.get_mut("constraints") {
        None => {
            system.insert("constraints".into(), json!({"properties": properties}));
        }
        Some(Value::Object(given)) if given.len() == 1 && given.get("properties").is_some_and(Value::is_array) => {
            if let Some(Value::Array(list)) = given.get_mut("properties") {
                properties.retain(|property| !list.contains(property));
                list.extend(properties);
            }
        }
        Some(given) if given.as_object().is_some_and(Map::is_empty) => *given = json!({"properties": properties}),
        Some(given) => *given = json!({"and": [given.take(), {"properties": properties}]}),
    }
}

#[cfg(test)]
#[path = "defaults_tests.rs"]
mod tests;
