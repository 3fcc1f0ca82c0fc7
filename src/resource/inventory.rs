//! Where the resource set comes from: the configuration, a file, or what was found on this node.

use std::fmt;

use flux_types::{Hostlist, Idset, ResourceSet, resource_set};
use serde_json::{Value, json};

use crate::limits::FAKE_COUNT_MAX;

/// How the set was obtained, in RFC 44's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Configuration,
    DynamicDiscovery,
    Reload,
    JobInfo,
    Kvs,
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::DynamicDiscovery => "dynamic-discovery",
            Self::Reload => "reload",
            Self::JobInfo => "job-info",
            Self::Kvs => "kvs",
        }
    }
}

/// The resources of the instance and where they are known from.
#[derive(Clone, Debug)]
pub struct Inventory {
    pub set: ResourceSet,
    pub method: Method,
    /// What the enclosing job was given, if this instance is a job.
    pub given: Option<ResourceSet>,
    /// Device files of this node's GPUs, by the GPUs' ids.
    pub gpu_devices: Vec<Vec<String>>,
    /// The nodes are not there, and all are up: those of a schedule that is only played.
    pub is_made_up: bool,
}

impl Inventory {
    pub fn new(set: ResourceSet, method: Method) -> Inventory {
        Inventory { set, method, given: None, gpu_devices: Vec::new(), is_made_up: false }
    }
}

/// Why a `[resource]` table is refused.
#[derive(Debug, PartialEq, Eq)]
pub enum InventoryError {
    NotATable { key: &'static str },
    Missing { entry: usize, key: &'static str },
    Bad { entry: usize, key: &'static str, why: String },
    NoResources,
}

impl fmt::Display for InventoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATable { key } => write!(f, "{key} has the wrong type: see flux-config-resource(5)"),
            Self::Missing { entry, key } => write!(f, "resource.config[{entry}] has no '{key}'"),
            Self::Bad { entry, key, why } => write!(f, "resource.config[{entry}].{key}: {why}"),
            Self::NoResources => f.write_str("resource.config names no host with cores or gpus"),
        }
    }
}

impl std::error::Error for InventoryError {}

/// Reads `[[resource.config]]` (flux-config-resource(5)): each entry adds cores, gpus or properties to its hosts.
pub(crate) fn from_config(entries: &Value) -> Result<ResourceSet, InventoryError> {
    let entries = entries.as_array().ok_or(InventoryError::NotATable { key: "resource.config" })?;
    let mut hosts = Hostlist::new();
    for (at, entry) in entries.iter().enumerate() {
        for host in entry_hosts(at, entry)?.iter() {
            if !hosts.contains(&host) {
                hosts.push(&host).map_err(|e| bad(at, "hosts", e))?;
            }
        }
    }
    let mut nodes = vec![(Idset::new(), Idset::new()); hosts.count()];
    let mut properties: Vec<(String, Idset)> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let ranks: Idset = entry_hosts(at, entry)?.iter().filter_map(|h| hosts.find(&h)).map(|n| n as u32).collect();
        let (cores, gpus) = (entry_ids(at, entry, "cores")?, entry_ids(at, entry, "gpus")?);
        for rank in ranks.iter() {
            nodes[rank as usize].0.extend_from(&cores);
            nodes[rank as usize].1.extend_from(&gpus);
        }
        for name in entry_properties(at, entry)? {
            properties.push((name, ranks.clone()));
        }
    }
    let mut set = ResourceSet::new();
    for (rank, (cores, gpus)) in nodes.into_iter().enumerate() {
        let host = hosts.nth(rank).expect("one node a host");
        let node = resource_set::Node::new(&host, cores, gpus);
        set.insert(rank as u32, node).map_err(|e| bad(0, "hosts", e))?;
    }
    if set.is_empty() {
        return Err(InventoryError::NoResources);
    }
    for (name, ranks) in properties {
        set.set_property(&name, &ranks.intersect(&set.ranks())).map_err(|e| bad(0, "properties", e))?;
    }
    Ok(set)
}

/// Reads `[fake-resources]` (flux-config-fake-resources(5)): nodes that are not there, for tests of what schedules and lists them.
///
/// # Errors
/// The key that makes no sense.
pub(crate) fn from_fake(table: &Value) -> Result<ResourceSet, String> {
    const KEYS: [&str; 4] = ["nnodes", "cores-per-node", "gpus-per-node", "host-prefix"];
    let table = table.as_object().ok_or("fake-resources is no table")?;
    if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("fake-resources.{key} is not supported (one of {})", KEYS.join(", ")));
    }
    let number = |key: &str, default: Option<u64>, least: u64| {
        let given = table.get(key).map_or(default, Value::as_u64);
        let fits = |given: &u64| (least..=u64::from(FAKE_COUNT_MAX)).contains(given);
        given
            .filter(fits)
            .ok_or_else(|| format!("fake-resources.{key} must be a number from {least} to {FAKE_COUNT_MAX}"))
    };
    let (nodes, cores) = (number("nnodes", None, 1)?, number("cores-per-node", Some(64), 1)?);
    let gpus = number("gpus-per-node", Some(0), 0)?;
    let prefix = table.get("host-prefix").map_or(Some("fake"), Value::as_str);
    let prefix = prefix.ok_or("fake-resources.host-prefix must be a string")?;
    let ids = |count: u64| if count == 1 { "0".to_owned() } else { format!("0-{}", count - 1) };
    let mut entry = json!({"hosts": format!("{prefix}[{}]", ids(nodes)), "cores": ids(cores)});
    if gpus > 0 {
        entry["gpus"] = ids(gpus).into();
    }
    from_config(&json!([entry])).map_err(|error| error.to_string())
}

fn bad(entry: usize, key: &'static str, why: impl fmt::Display) -> InventoryError {
    InventoryError::Bad { entry, key, why: why.to_string() }
}

fn entry_hosts(at: usize, entry: &Value) -> Result<Hostlist, InventoryError> {
    let text = entry.get("hosts").and_then(Value::as_str).ok_or(InventoryError::Missing { entry: at, key: "hosts" })?;
    Hostlist::parse(text).map_err(|e| bad(at, "hosts", e))
}

fn entry_ids(at: usize, entry: &Value, key: &'static str) -> Result<Idset, InventoryError> {
    match entry.get(key) {
        None => Ok(Idset::new()),
        Some(Value::String(text)) => Idset::parse(text).map_err(|e| bad(at, key, e)),
        Some(_) => Err(bad(at, key, "must be a string such as \"0-3\"")),
    }
}

fn entry_properties(at: usize, entry: &Value) -> Result<Vec<String>, InventoryError> {
    let Some(value) = entry.get("properties") else { return Ok(Vec::new()) };
    let list = value.as_array().ok_or_else(|| bad(at, "properties", "must be an array of strings"))?;
    let text = |v: &Value| v.as_str().map(str::to_owned).ok_or_else(|| bad(at, "properties", "must be strings"));
    list.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn config_entries_add_up_by_host() {
        let set = from_config(&json!([
            {"hosts": "test[1-4]", "cores": "0-7"},
            {"hosts": "test[1,2]", "gpus": "0-1"},
            {"hosts": "test[1-3]", "properties": ["batch"]},
            {"hosts": "test4", "properties": ["debug"]},
        ]))
        .unwrap();
        assert_eq!((set.nnodes(), set.ncores(), set.ngpus()), (4, 32, 4));
        assert_eq!(set.properties()["batch"].to_string(), "0-2");
        assert_eq!(set.nodelist().unwrap().to_string(), "test[1-4]");
    }

    #[test]
    fn fake_nodes_are_made_up_as_they_are_asked_for() {
        let set =
            from_fake(&json!({"nnodes": 3, "cores-per-node": 2, "gpus-per-node": 1, "host-prefix": "x"})).unwrap();
        assert_eq!(set.dumps(), "rank[0-2]/core[0-1],gpu0");
        assert_eq!(from_fake(&json!({"nnodes": 1})).unwrap().dumps(), "rank0/core[0-63]");
        for (table, key) in [
            (json!({}), "nnodes"),
            (json!({"nnodes": 0}), "nnodes"),
            (json!({"nnodes": 1, "cores-per-node": 1u64 << 40}), "cores-per-node"),
            (json!({"nnodes": 1, "amend-r": "x"}), "amend-r"),
        ] {
            assert!(from_fake(&table).unwrap_err().contains(key), "{table}");
        }
    }

    #[test]
    fn bad_entries_name_themselves() {
        let rows = [
            (json!({}), "resource.config has the wrong type: see flux-config-resource(5)"),
            (json!([{"cores": "0"}]), "resource.config[0] has no 'hosts'"),
            (json!([{"hosts": "a", "cores": 4}]), "resource.config[0].cores: must be a string such as \"0-3\""),
            (json!([{"hosts": "a"}]), "resource.config names no host with cores or gpus"),
        ];
        for (config, want) in rows {
            assert_eq!(from_config(&config).unwrap_err().to_string(), want, "{config}");
        }
    }
}
