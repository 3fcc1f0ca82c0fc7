//! `attributes.storage`: how the storage that a job asks for is used, and what is brought there and back.

use super::Resource;
use crate::error::JobspecError;
use serde_json::Value;
use std::collections::BTreeSet;

/// What may be said of one storage, and which words each may be; none for any text.
const KEYS: &[(&str, &[&str])] = &[
    ("label", &[]),
    ("mode", &["scratch", "cache"]),
    ("granularity", &["per-node", "per-job"]),
    ("data-layout", &["striped", "node-local"]),
    ("stage-in", &[]),
    ("stage-out", &[]),
];

fn labels<'r>(resources: &'r [Resource], into: &mut BTreeSet<&'r str>) {
    for resource in resources {
        into.extend(resource.label.as_deref());
        labels(&resource.with, into);
    }
}

/// A list of storages, each for a resource of its label.
///
/// # Errors
/// The first entry that says what it must not.
pub(super) fn check_storage(value: &Value, resources: &[Resource]) -> Result<(), JobspecError> {
    let Some(list) = value.as_array() else { return Err(JobspecError("\"attributes.storage\" is not a list".into())) };
    let mut known = BTreeSet::new();
    labels(resources, &mut known);
    for entry in list {
        check_entry(entry, &known).map_err(|why| JobspecError(format!("attributes.storage: {why}")))?;
    }
    Ok(())
}

fn check_entry(entry: &Value, known: &BTreeSet<&str>) -> Result<(), String> {
    let map = entry.as_object().ok_or("an entry is not a mapping")?;
    let label = entry["label"].as_str().ok_or("an entry has no label")?;
    if !known.contains(label) {
        return Err(format!("no resource is labeled \"{label}\""));
    }
    for (key, value) in map {
        let Some((_, words)) = KEYS.iter().find(|(known, _)| known == key) else {
            return Err(format!("unknown key \"{key}\""));
        };
        if key.starts_with("stage-") {
            check_stage(key, value)?;
        } else {
            let word = value.as_str().ok_or_else(|| format!("\"{key}\" is not a text"))?;
            if !words.is_empty() && !words.contains(&word) {
                return Err(format!("\"{key}\" must be one of {}, not \"{word}\"", words.join(", ")));
            }
        }
    }
    Ok(())
}

/// Either a file that lists paths, or a directory.
fn check_stage(key: &str, value: &Value) -> Result<(), String> {
    let map = value.as_object().filter(|map| map.len() == 1);
    let is_good = map.is_some_and(|map| {
        map.iter().all(|(key, path)| matches!(key.as_str(), "list" | "directory") && path.is_string())
    });
    if is_good { Ok(()) } else { Err(format!("\"{key}\" is either a list or a directory, with its path")) }
}

#[cfg(test)]
mod tests {
    use crate::jobspec::Jobspec;
    use serde_json::{Value, json};

    fn parse(storage: Value) -> Result<(), String> {
        let with = json!([{"type": "core", "count": 1}, {"type": "storage", "count": 1, "label": "scratch"}]);
        let jobspec = json!({"version": 9999, "resources": [{"type": "slot", "count": 1, "label": "s", "with": with}],
            "tasks": [], "attributes": {"storage": storage}});
        Jobspec::from_value(&jobspec).map(|_| ()).map_err(|error| error.0)
    }

    #[test]
    fn storage_names_resources_and_known_words() {
        let good = json!([{"label": "scratch", "mode": "scratch", "granularity": "per-node",
            "stage-in": {"list": "/a"}, "stage-out": {"directory": "/b"}}]);
        assert_eq!(parse(good), Ok(()));
        let rows = [
            (json!({}), "is not a list"),
            (json!([1]), "is not a mapping"),
            (json!([{"mode": "cache"}]), "has no label"),
            (json!([{"label": "other"}]), "no resource is labeled \"other\""),
            (json!([{"label": "scratch", "mode": "fast"}]), "\"mode\" must be one of scratch, cache"),
            (json!([{"label": "scratch", "speed": "high"}]), "unknown key \"speed\""),
            (
                json!([{"label": "scratch", "stage-in": {"list": "/a", "directory": "/b"}}]),
                "either a list or a directory",
            ),
        ];
        for (storage, why) in rows {
            let said = parse(storage.clone()).expect_err("it is wrong");
            assert!(said.contains(why), "{storage}: {said}");
        }
    }
}
