//! Which room may depend on which (doc/architecture.md), and what every pure room must have.

use crate::run::{cargo, output, root};
use serde_json::Value;
use std::fs;

/// No clocks, files, environment, threads or random order in here.
const PURE: &[&str] = &[
    "types", "wire", "service", "sched", "overlay", "kvs", "resource", "fluxion", "jobs", "broker", "shell", "dump",
    "replay",
];

/// Rooms with buffers and tables: each names their maxima in one `limits.rs`.
const BOUNDED: &[&str] = &[
    "types", "wire", "service", "overlay", "kvs", "resource", "fluxion", "jobs", "broker", "shell", "runtime",
    "client", "sys", "topo", "dump", "replay",
];

/// What each crate of ours may use of ours. Services never depend on one another.
const MAY_USE: &[(&str, &[&str])] = &[
    ("flux-types", &[]),
    ("flux-wire", &["types"]),
    ("flux-dump", &["types"]),
    ("flux-service", &["types", "wire"]),
    ("flux-overlay", &["types", "wire", "service"]),
    ("flux-kvs", &["types", "wire", "service"]),
    ("flux-sched", &["types", "wire", "service"]),
    ("flux-resource", &["types", "wire", "service", "sched"]),
    ("flux-fluxion", &["types", "wire", "service", "sched"]),
    ("flux-jobs", &["types", "wire", "service", "sign"]),
    ("flux-broker", &["types", "wire", "service", "overlay", "kvs", "resource", "fluxion", "jobs"]),
    ("flux-shell", &["types", "wire", "service"]),
    ("flux-shellrun", &["types", "wire", "client", "shell", "sys", "topo"]),
    ("flux-ionquery", &["fluxion"]),
    ("flux-replay", &["types", "wire", "service", "overlay", "resource", "fluxion", "broker", "sign"]),
    ("flux-sys", &[]),
    ("flux-pmi", &[]),
    ("flux-topo", &["types", "sys"]),
    ("flux-client", &["types", "wire", "service", "sys"]),
    ("flux-cmd", &["types", "wire", "service", "client", "sys", "topo", "fluxion", "shell", "sign", "dump", "replay"]),
    (
        "flux-runtime",
        &[
            "types", "wire", "service", "overlay", "kvs", "resource", "fluxion", "jobs", "broker", "shell", "sys",
            "topo", "client", "dump",
        ],
    ),
    (
        "flux-sim",
        &["types", "wire", "service", "overlay", "kvs", "resource", "fluxion", "jobs", "broker", "shell", "sign"],
    ),
    ("flux-imp", &[]),
    ("flux-imp-pam", &["imp"]),
    ("flux-sign", &["imp"]),
    ("flux", &["types", "wire", "sys", "topo", "client", "cmd", "runtime", "shellrun", "ionquery", "imp", "sign"]),
    // Beside the house: nothing in it may use these.
    ("xtask", &[]),
    ("flux-bench", &["types", "wire", "service", "kvs", "jobs", "resource", "fluxion", "client", "shell", "sys"]),
];

pub(super) fn check(files: &[String]) -> Result<Vec<String>, String> {
    let mut complaints = Vec::new();
    check_pure(files, &mut complaints)?;
    check_bounded(files, &mut complaints);
    let (ok, json) = output(cargo().args(["metadata", "--format-version", "1", "--no-deps", "--quiet"]))?;
    if !ok {
        return Err(json);
    }
    let metadata: Value = serde_json::from_str(&json).map_err(|error| format!("cargo metadata: {error}"))?;
    for package in metadata["packages"].as_array().ok_or("cargo metadata: no packages")? {
        check_package(package, &mut complaints);
    }
    Ok(complaints)
}

fn check_pure(files: &[String], complaints: &mut Vec<String>) -> Result<(), String> {
    let mut rules = None;
    for room in PURE {
        let lib = format!("src/{room}/lib.rs");
        let text = fs::read_to_string(root().join(&lib)).map_err(|error| format!("{lib}: {error}"))?;
        if !text.contains("#![forbid(unsafe_code)]") {
            complaints.push(format!("{lib}: a pure room without #![forbid(unsafe_code)]"));
        }
        let clippy = format!("src/{room}/clippy.toml");
        if !files.contains(&clippy) {
            complaints.push(format!("{clippy}: missing: a pure room bans clocks, files and random order"));
            continue;
        }
        let text = fs::read_to_string(root().join(&clippy)).map_err(|error| format!("{clippy}: {error}"))?;
        if rules.get_or_insert_with(|| text.clone()) != &text {
            complaints.push(format!("{clippy}: differs from that of src/{}", PURE[0]));
        }
    }
    Ok(())
}

fn check_bounded(files: &[String], complaints: &mut Vec<String>) {
    for room in BOUNDED {
        let dir = format!("src/{room}/");
        let sources = files.iter().filter(|file| file.starts_with(&dir) && file.ends_with(".rs")).count();
        let limits = format!("{dir}limits.rs");
        // An empty room (lib.rs alone) has nothing to bound yet.
        if sources > 1 && !files.contains(&limits) {
            complaints.push(format!("{limits}: missing: every buffer and table has a named maximum there"));
        }
    }
}

fn check_package(package: &Value, complaints: &mut Vec<String>) {
    let name = package["name"].as_str().unwrap_or_default();
    let Some((_, may_use)) = MAY_USE.iter().find(|(known, _)| *known == name) else {
        complaints.push(format!("{name}: no rule says what it may use (xtask/src/tidy/rooms.rs)"));
        return;
    };
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let (used, kind) = (dependency["name"].as_str().unwrap_or_default(), dependency["kind"].as_str());
        let Some(room) = used.strip_prefix("flux-").filter(|_| dependency["path"].is_string()) else { continue };
        if kind != Some("dev") && !may_use.contains(&room) {
            complaints.push(format!("{name}: may not depend on {used}: dependencies point one way"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_with_code_names_its_limits() {
        let rows = [
            (vec!["src/kvs/lib.rs"], 0),
            (vec!["src/kvs/lib.rs", "src/kvs/watch.rs"], 1),
            (vec!["src/kvs/lib.rs", "src/kvs/watch.rs", "src/kvs/limits.rs"], 0),
            (vec!["src/cmd/lib.rs", "src/cmd/run.rs"], 0),
        ];
        for (files, want) in rows {
            let files: Vec<String> = files.iter().map(|file| file.to_string()).collect();
            let mut complaints = Vec::new();
            check_bounded(&files, &mut complaints);
            assert_eq!(complaints.len(), want, "{files:?}: {complaints:?}");
        }
    }

    #[test]
    fn services_may_not_use_one_another() {
        let package = |name: &str, used: &str, kind: Value| serde_json::json!({ "name": name, "dependencies": [{ "name": used, "kind": kind, "path": "/x" }] });
        let rows = [
            ("flux-kvs", "flux-types", Value::Null, 0),
            ("flux-kvs", "flux-jobs", Value::Null, 1),
            ("flux-kvs", "flux-jobs", "build".into(), 1),
            ("flux-kvs", "flux-sim", "dev".into(), 0),
            ("flux-types", "flux-wire", Value::Null, 1),
        ];
        for (name, used, kind, want) in rows {
            let mut complaints = Vec::new();
            check_package(&package(name, used, kind), &mut complaints);
            assert_eq!(complaints.len(), want, "{name} {used}: {complaints:?}");
        }
    }
}
