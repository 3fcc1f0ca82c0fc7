//! R in and out. Key order and folding are flux-core's; children come out cores first, properties by name (there,
//! hash tables order both).

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Node, ResourceError, ResourceSet};
use crate::hostlist::Hostlist;
use crate::idset::Idset;
use crate::limits::{RESOURCE_CHILDREN_MAX, RESOURCE_RANKS_MAX};

type Result<T> = std::result::Result<T, ResourceError>;

impl ResourceSet {
    /// Reads R from JSON text.
    ///
    /// # Errors
    /// [`ResourceError`]; its text names the key and what was expected there.
    pub fn parse(text: &str) -> Result<ResourceSet> {
        let value: Value = serde_json::from_str(text).map_err(|e| ResourceError::Json { reason: e.to_string() })?;
        ResourceSet::from_value(&value)
    }

    /// Reads R from a JSON value.
    ///
    /// Like flux-core, takes negative times and slot counts as unset, and ignores keys that RFC 20 does not name.
    ///
    /// # Errors
    /// [`ResourceError`].
    pub fn from_value(value: &Value) -> Result<ResourceSet> {
        let top = value.as_object().ok_or(ResourceError::Type { at: "R", want: "an object" })?;
        let version = top.get("version").ok_or(ResourceError::Missing { key: "version" })?;
        let version = version.as_i64().ok_or(ResourceError::Type { at: "version", want: "an integer" })?;
        if version != 1 {
            return Err(ResourceError::Version { got: version });
        }
        let execution = top.get("execution").ok_or(ResourceError::Missing { key: "execution" })?;
        let execution = execution.as_object().ok_or(ResourceError::Type { at: "execution", want: "an object" })?;
        let mut set = ResourceSet {
            nodes: read_nodes(execution)?,
            nslots: read_nslots(execution)?,
            starttime: read_time(execution, "starttime")?,
            expiration: read_time(execution, "expiration")?,
            scheduling: top.get("scheduling").map(|scheduling| Arc::new(scheduling.clone())),
            ..ResourceSet::default()
        };
        if let Some(nodelist) = execution.get("nodelist") {
            set.name_nodes(&read_nodelist(nodelist)?)?;
        }
        if let Some(properties) = execution.get("properties") {
            set.read_properties(properties)?;
        }
        set.drop_empty();
        Ok(set)
    }

    /// R as a JSON value.
    pub fn to_value(&self) -> Value {
        let mut execution = Map::new();
        let rlite = |(ranks, node): (Idset, &Node)| {
            let children: Map<String, Value> =
                node.children().map(|(kind, ids)| (kind.to_owned(), ids.to_string().into())).collect();
            json!({ "rank": ranks.to_string(), "children": children })
        };
        execution.insert("R_lite".into(), self.folded().into_iter().map(rlite).collect());
        if let Some(nslots) = self.nslots {
            execution.insert("nslots".into(), nslots.into());
        }
        execution.insert("starttime".into(), self.starttime.into());
        execution.insert("expiration".into(), self.expiration.into());
        if let Some(hosts) = self.nodelist() {
            let list = if hosts.is_empty() { Vec::new() } else { vec![Value::from(hosts.encode())] };
            execution.insert("nodelist".into(), Value::Array(list));
        }
        if !self.properties.is_empty() {
            execution.insert("properties".into(), self.properties_value());
        }
        let mut top = Map::new();
        top.insert("version".into(), 1.into());
        top.insert("execution".into(), Value::Object(execution));
        if let Some(scheduling) = &self.scheduling {
            top.insert("scheduling".into(), Value::clone(scheduling));
        }
        Value::Object(top)
    }

    /// The properties as RFC 20 writes them; an empty object when there are none.
    pub fn properties_value(&self) -> Value {
        let properties = self.properties.iter();
        Value::Object(properties.map(|(name, ranks)| (name.clone(), ranks.to_string().into())).collect())
    }

    /// Compact JSON.
    pub fn encode(&self) -> String {
        self.to_value().to_string()
    }

    /// JSON with a space after commas and colons, as `flux R encode` prints it.
    pub fn encode_spaced(&self) -> String {
        crate::json::to_spaced_string(&self.to_value())
    }

    /// Gives each rank, in rising order, the property sets of an RFC 20 `properties` object.
    ///
    /// # Errors
    /// `Type`, `BadIdset`, `BadProperty` or `UnknownRanks`.
    pub fn read_properties(&mut self, properties: &Value) -> Result<()> {
        let object = properties.as_object();
        let object = object.ok_or(ResourceError::Type { at: "properties", want: "an object of idset strings" })?;
        for (name, ranks) in object {
            let ranks = read_idset(ranks, "properties", &format!("property \"{name}\""))?;
            self.set_property(name, &ranks)?;
        }
        Ok(())
    }

    /// Drops nodes without any resource, and what properties say of them.
    fn drop_empty(&mut self) {
        self.nodes.retain(|_, node| !node.is_empty());
        self.trim_properties();
    }

    /// Makes properties name only ranks that are there.
    pub(super) fn trim_properties(&mut self) {
        if self.properties.is_empty() {
            return;
        }
        let ranks = self.ranks();
        self.properties.retain(|_, holders| {
            *holders = holders.intersect(&ranks);
            !holders.is_empty()
        });
    }
}

fn read_nodes(execution: &Map<String, Value>) -> Result<std::collections::BTreeMap<u32, Node>> {
    let rlite = execution.get("R_lite").ok_or(ResourceError::Missing { key: "execution.R_lite" })?;
    let rlite = rlite.as_array().ok_or(ResourceError::Type { at: "R_lite", want: "an array" })?;
    let mut nodes = std::collections::BTreeMap::new();
    for entry in rlite {
        let ranks = entry.get("rank").ok_or(ResourceError::Missing { key: "R_lite.rank" })?;
        let ranks = read_idset(ranks, "R_lite rank", "R_lite rank")?;
        let children = entry.get("children").ok_or(ResourceError::Missing { key: "R_lite.children" })?;
        let node = read_children(children)?;
        if ranks.count() > RESOURCE_RANKS_MAX - nodes.len() {
            return Err(ResourceError::TooManyRanks { max: RESOURCE_RANKS_MAX });
        }
        for rank in ranks.iter() {
            let present: &mut Node = nodes.entry(rank).or_default();
            present.absorb(node.clone()).map_err(|ids| ResourceError::Overlap { rank, ids })?;
        }
    }
    Ok(nodes)
}

fn read_children(children: &Value) -> Result<Node> {
    let object = children.as_object().ok_or(ResourceError::Type { at: "R_lite children", want: "an object" })?;
    let mut node = Node::default();
    for (kind, ids) in object {
        let ids = read_idset(ids, "R_lite children", kind)?;
        if ids.count() > RESOURCE_CHILDREN_MAX {
            return Err(ResourceError::TooManyChildren { max: RESOURCE_CHILDREN_MAX });
        }
        if !ids.is_empty() {
            *node.child_mut(kind) = ids;
        }
    }
    Ok(node)
}

fn read_idset(value: &Value, at: &'static str, name: &str) -> Result<Idset> {
    let text = value.as_str().ok_or(ResourceError::Type { at, want: "an idset string" })?;
    let bad = |reason: String| ResourceError::BadIdset { at: name.to_owned(), text: text.to_owned(), reason };
    Idset::parse(text).map_err(|e| bad(e.to_string()))
}

fn read_nslots(execution: &Map<String, Value>) -> Result<Option<u32>> {
    let Some(value) = execution.get("nslots") else { return Ok(None) };
    let nslots = value.as_i64().ok_or(ResourceError::Type { at: "nslots", want: "an integer" })?;
    let nslots = i32::try_from(nslots).map_err(|_| ResourceError::Type { at: "nslots", want: "a 32-bit integer" })?;
    Ok(u32::try_from(nslots).ok().filter(|n| *n > 0))
}

fn read_time(execution: &Map<String, Value>, key: &'static str) -> Result<f64> {
    let Some(value) = execution.get(key) else { return Ok(0.0) };
    let seconds = value.as_f64().ok_or(ResourceError::Type { at: key, want: "a number" })?;
    Ok(if seconds > 0.0 { seconds } else { 0.0 })
}

fn read_nodelist(value: &Value) -> Result<Hostlist> {
    const WANT: ResourceError = ResourceError::Type { at: "nodelist", want: "an array of hostlist strings" };
    let mut hosts = Hostlist::new();
    for entry in value.as_array().ok_or(WANT)? {
        let text = entry.as_str().ok_or(WANT)?;
        hosts.append(text).map_err(|e| ResourceError::BadHostlist { text: text.to_owned(), reason: e.to_string() })?;
    }
    Ok(hosts)
}

/// RFC 20's forbidden characters, less `!`, which flux-core lets through in inventories.
pub(super) fn check_property(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(ResourceError::EmptyProperty);
    }
    match name.chars().find(|c| "^&'\"`|()".contains(*c)) {
        Some(character) => Err(ResourceError::BadProperty { character, name: name.to_owned() }),
        None => Ok(()),
    }
}
