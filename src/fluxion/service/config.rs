//! `[sched-fluxion-resource]`, `[sched-fluxion-qmanager]` and what is said when the modules are loaded.

use super::refused;
use crate::fluxion::FluxionConfig;
use crate::limits::VERTEX_IN_LOOP_COUNT_MAX;
use crate::policy::QueueConfig;
use crate::reader::Reader;
use crate::writer::Format;
use flux_service::{Cx, Fault};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const RESOURCE_KEYS: &[&str] = &[
    "load-file",
    "load-format",
    "load-allowlist",
    "policy",
    "match-policy",
    "match-format",
    "subsystems",
    "reserve-vtx-vec",
    "prune-filters",
    "update-interval",
    "traverser",
];

/// A configuration table with `KEY=VALUE` words laid over it: what is said at the load counts more.
///
/// # Errors
/// A word that is no assignment.
pub(super) fn merged(cx: &Cx<'_>, table: &str, args: &[String]) -> Result<Map<String, Value>, Fault> {
    let mut map = match cx.node.config_at(table) {
        None => Map::new(),
        Some(Value::Object(map)) => map.clone(),
        Some(_) => return Err(refused(format!("[{table}] must be a table"))),
    };
    for word in args {
        let (key, value) = word.split_once('=').ok_or_else(|| refused(format!("'{word}' is not KEY=VALUE")))?;
        // Two names for one thing.
        let key = if key == "policy" { "match-policy" } else { key };
        map.insert(key.into(), value.into());
    }
    Ok(map)
}

/// What `sched-fluxion-resource` is told, checked: the graph's configuration, and the file it is read from if not from
/// the resource service.
///
/// # Errors
/// The key that will not do.
pub(super) fn resource_config(map: &Map<String, Value>) -> Result<(FluxionConfig, Option<String>), String> {
    let text = |key: &str| match map.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(format!("sched-fluxion-resource.{key} must be a text")),
    };
    if let Some(key) = map.keys().find(|key| !RESOURCE_KEYS.contains(&key.as_str())) {
        return Err(format!("unknown option '{key}'"));
    }
    let mut config = FluxionConfig::default();
    config.match_policy = text("match-policy")?.or(text("policy")?).unwrap_or(config.match_policy);
    config.prune_filters = text("prune-filters")?.unwrap_or(config.prune_filters);
    config.traverser = text("traverser")?.unwrap_or(config.traverser);
    // flux-sched names the subsystem here, resource-query the matcher.
    config.subsystems =
        text("subsystems")?.filter(|subsystems| subsystems != "containment").unwrap_or(config.subsystems);
    if let Some(name) = text("match-format")? {
        let format = Format::from_name(&name)
            .filter(|format| matches!(format, Format::Rv1 | Format::Rv1Nosched | Format::Rv1Shorthand));
        config.match_format = format.ok_or_else(|| format!("match-format '{name}' is not one of R"))?;
    }
    if let Some(types) = text("load-allowlist")? {
        config.load_allowlist = types.split(',').map(|name| name.trim().to_string()).collect();
    }
    let file = text("load-file")?;
    if let Some(name) = text("load-format")? {
        let reader = Reader::from_name(&name).ok_or_else(|| format!("unknown load-format '{name}'"))?;
        // Without "force" the graph in R's scheduling part is preferred, if there is one.
        config.load_format = (name != "rv1exec" || file.is_some()).then_some(reader);
    }
    if !crate::matcher::is_script(&config.match_policy) {
        crate::matcher::parse_policy(&config.match_policy)?;
    }
    if !matches!(config.traverser.as_str(), "simple" | "flexible") {
        return Err(format!("unknown traverser '{}'", config.traverser));
    }
    Ok((config, file))
}

/// The answer of `sched-fluxion-resource.params`: every key, with its value or the default.
pub(super) fn resource_params(map: &Map<String, Value>) -> Value {
    let mut params = json!({"load-file": null, "load-format": "rv1exec", "load-allowlist": null,
        "match-policy": "first", "match-format": "rv1_nosched", "match-subsystems": "containment",
        "reserve-vtx-vec": 0, "prune-filters": "ALL:core,ALL:node", "update-interval": 0,
        "traverser-policy": "simple"});
    for (key, value) in map {
        let name = match key.as_str() {
            "policy" => "match-policy",
            "subsystems" => "match-subsystems",
            "traverser" => "traverser-policy",
            other => other,
        };
        params[name] = value.clone();
    }
    params
}

/// How each queue is run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct QmanagerConfig {
    default: QueueConfig,
    named: BTreeMap<String, QueueConfig>,
    /// Vertices of a graph that is searched in the broker's loop; larger ones are searched in a thread.
    pub(super) in_loop_max: usize,
    /// As it was said, for `params`.
    table: Map<String, Value>,
}

const QMANAGER_KEYS: &[&str] = &[
    "queues",
    "queue-policy",
    "queue-params",
    "policy-params",
    "queue-policy-per-queue",
    "queue-params-per-queue",
    "policy-params-per-queue",
    "vqueue-parents",
    "queue-order",
    "match-in-loop-vertices",
];

impl QmanagerConfig {
    /// Reads `[sched-fluxion-qmanager]`. A queue may be set apart from the others in a table of its own,
    /// `queues.NAME`, or in the texts `queue-policy-per-queue` (`NAME:POLICY ...`), `queue-params-per-queue` and
    /// `policy-params-per-queue` (`NAME:KEY=VALUE,KEY=VALUE ...`).
    ///
    /// # Errors
    /// The key that will not do.
    pub(super) fn from_table(table: &Map<String, Value>) -> Result<QmanagerConfig, String> {
        if let Some(key) = table.keys().find(|key| !QMANAGER_KEYS.contains(&key.as_str())) {
            return Err(format!("unknown option '{key}'"));
        }
        let mut named: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        match table.get("queues") {
            None => {}
            Some(Value::String(names)) => {
                names.split([' ', ',']).filter(|name| !name.is_empty()).for_each(|name| {
                    named.entry(name.into()).or_default();
                });
            }
            Some(Value::Object(queues)) => {
                for (name, own) in queues {
                    let own = own.as_object().ok_or_else(|| format!("queues.{name} must be a table"))?;
                    named.insert(name.clone(), own.clone());
                }
            }
            Some(_) => return Err("queues must be a table or a list of names".into()),
        }
        for key in ["queue-policy", "queue-params", "policy-params"] {
            for (name, value) in per_queue(table, &format!("{key}-per-queue"))? {
                named.entry(name).or_default().insert(key.into(), value.into());
            }
        }
        let own = |map: &Map<String, Value>| {
            let mut all = table.clone();
            map.iter().for_each(|(key, value)| _ = all.insert(key.clone(), value.clone()));
            QueueConfig::from_table(&Value::Object(all))
        };
        let named = named.iter().map(|(name, map)| Ok((name.clone(), own(map)?)));
        Ok(QmanagerConfig {
            default: QueueConfig::from_table(&Value::Object(table.clone()))?,
            named: named.collect::<Result<_, String>>()?,
            in_loop_max: count(table, "match-in-loop-vertices")?.unwrap_or(VERTEX_IN_LOOP_COUNT_MAX),
            table: table.clone(),
        })
    }

    /// How the queue of this name is run.
    pub(super) fn of(&self, queue: &str) -> QueueConfig {
        self.named.get(queue).copied().unwrap_or(self.default)
    }

    /// The answer of `sched-fluxion-qmanager.params`.
    pub(super) fn params(&self) -> Value {
        let mut params = json!({"queue-policy": "fcfs"});
        self.table.iter().for_each(|(key, value)| params[key] = value.clone());
        params
    }
}

/// A number, or a text with one, as words of `flux module load` are.
fn count(table: &Map<String, Value>, key: &str) -> Result<Option<usize>, String> {
    let Some(value) = table.get(key) else { return Ok(None) };
    let number =
        value.as_u64().or_else(|| value.as_str()?.parse().ok()).and_then(|number| usize::try_from(number).ok());
    number.map(Some).ok_or_else(|| format!("{key} must be a number"))
}

/// `NAME:VALUE NAME:VALUE`.
fn per_queue(table: &Map<String, Value>, key: &str) -> Result<Vec<(String, String)>, String> {
    let Some(value) = table.get(key) else { return Ok(Vec::new()) };
    let text = value.as_str().ok_or_else(|| format!("{key} must be a text"))?;
    let pair = |word: &str| {
        let (name, value) = word.split_once(':').ok_or_else(|| format!("{key}: '{word}' is not QUEUE:VALUE"))?;
        Ok((name.to_string(), value.to_string()))
    };
    text.split_whitespace().map(pair).collect()
}
