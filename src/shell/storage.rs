//! What is brought into a job's storage before its tasks start and out of it after they have ended: `attributes.storage`.

use std::collections::BTreeMap;

use flux_types::At;
use flux_types::JobIdForm;
use serde_json::Value;

use crate::limits::STORAGES_MAX;
use crate::{Bundle, ShellError};

/// Where data comes from or goes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// A file with a line for each: what, and optionally what it is called at the other end.
    List(String),
    /// All that is in a directory.
    Directory(String),
}

/// One storage of the job.
#[derive(Clone, Debug, PartialEq)]
pub struct Storage {
    pub label: String,
    /// Where tasks find it.
    pub dir: String,
    /// One for all nodes, which the first shell looks after.
    pub is_per_job: bool,
    /// What has changed goes back to where it came from.
    pub is_cache: bool,
    pub stage_in: Option<Stage>,
    pub stage_out: Option<Stage>,
    /// Bytes that the job has asked for, if it said in which unit.
    pub capacity: Option<u64>,
}

impl Storage {
    /// The variable that tells tasks where it is.
    pub fn variable(&self) -> String {
        let name = self.label.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
        format!("FLUX_STORAGE_{}", name.collect::<String>())
    }
}

fn bad(label: &str, why: &str) -> ShellError {
    ShellError::Jobspec(format!("attributes.storage: {label}: {why}"))
}

/// The storages of a job on this node. `tmpdir` is the job's directory here, for those that the site has no place for.
///
/// # Errors
/// [`ShellError::Jobspec`]
pub fn storages(bundle: &Bundle, tmpdir: &str) -> Result<Vec<Storage>, ShellError> {
    let Some(list) = bundle.jobspec.at("/attributes/storage").and_then(Value::as_array) else {
        return Ok(Vec::new());
    };
    if list.len() > STORAGES_MAX {
        return Err(ShellError::TooMany { what: "storages", max: STORAGES_MAX as u64 });
    }
    list.iter().map(|entry| storage(bundle, tmpdir, entry)).collect()
}

fn storage(bundle: &Bundle, tmpdir: &str, entry: &Value) -> Result<Storage, ShellError> {
    let label = entry["label"].as_str().unwrap_or("");
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if label.is_empty() || label.starts_with('.') || !label.chars().all(is_name) {
        return Err(bad(label, "the label is no file name"));
    }
    let is_per_job = entry["granularity"] == "per-job";
    let places = &bundle.options.storage;
    let dir = match places.get(label).or_else(|| places.get("*")) {
        Some(base) => format!("{base}/{}/{label}", bundle.id.encode(JobIdForm::F58Plain)),
        None if is_per_job && bundle.shell_count > 1 => {
            return Err(bad(label, "the site has no place for it that all nodes share ([storage])"));
        }
        None => format!("{tmpdir}/storage/{label}"),
    };
    Ok(Storage {
        dir,
        is_per_job,
        is_cache: entry["mode"] == "cache",
        stage_in: stage(&entry["stage-in"]),
        stage_out: stage(&entry["stage-out"]),
        capacity: bundle.jobspec["resources"].as_array().and_then(|list| capacity(list, label)),
        label: label.to_owned(),
    })
}

fn stage(value: &Value) -> Option<Stage> {
    let path = |key: &str| value[key].as_str().map(str::to_owned);
    path("list").map(Stage::List).or_else(|| path("directory").map(Stage::Directory))
}

const UNITS: [(&str, u32); 12] = [
    ("kilobytes", 3),
    ("kb", 3),
    ("megabytes", 6),
    ("mb", 6),
    ("gigabytes", 9),
    ("gb", 9),
    ("terabytes", 12),
    ("tb", 12),
    ("petabytes", 15),
    ("pb", 15),
    ("bytes", 0),
    ("b", 0),
];

/// The bytes of the resource of a label: its count in its unit.
fn capacity(resources: &[Value], label: &str) -> Option<u64> {
    let units: BTreeMap<&str, u32> = UNITS.into();
    for resource in resources {
        if resource["label"] == label && resource["type"] != "slot" {
            let unit = resource["unit"].as_str()?.to_lowercase();
            let count = resource["count"].as_u64().or_else(|| resource["count"]["min"].as_u64())?;
            return count.checked_mul(10u64.pow(*units.get(unit.as_str())?));
        }
        if let Some(found) = resource["with"].as_array().and_then(|with| capacity(with, label)) {
            return Some(found);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bundle(entry: &Value, count: u32) -> Bundle {
        let storage = json!({"type": "storage", "count": 2, "unit": "GB", "label": "s-1"});
        let jobspec = json!({"resources": [{"type": "slot", "count": 1, "label": "t", "with": [storage]}],
            "attributes": {"storage": [entry]}});
        let text = json!({"id": 1, "userid": 0, "rank": 0, "shell_rank": 0, "shell_count": count, "service": "s",
            "uri": "u", "rundir": "/r", "record": null, "jobspec": jobspec, "R": {}, "options": {"storage": {"shared": "/s"}}});
        Bundle::parse(text.to_string().as_bytes()).expect("a good bundle")
    }

    #[test]
    fn a_storage_has_a_place_and_a_size() {
        let entry =
            json!({"label": "s-1", "mode": "cache", "stage-in": {"list": "/l"}, "stage-out": {"directory": "/d"}});
        let found = storages(&bundle(&entry, 2), "/t").expect("a good storage");
        let want = Storage {
            label: "s-1".into(),
            dir: "/t/storage/s-1".into(),
            is_per_job: false,
            is_cache: true,
            stage_in: Some(Stage::List("/l".into())),
            stage_out: Some(Stage::Directory("/d".into())),
            capacity: Some(2_000_000_000),
        };
        assert_eq!(found[0].variable(), "FLUX_STORAGE_S_1");
        assert_eq!(found, [want]);
        let shared =
            storages(&bundle(&json!({"label": "shared", "granularity": "per-job"}), 2), "/t").expect("a place");
        assert!(shared[0].dir.starts_with("/s/f") && shared[0].dir.ends_with("/shared"), "{}", shared[0].dir);
        for entry in [json!({"label": "../x"}), json!({}), json!({"label": "s-1", "granularity": "per-job"})] {
            assert!(storages(&bundle(&entry, 2), "/t").is_err(), "{entry}");
        }
    }
}
