//! `attr.*`, and the attributes that the node itself determines.

use flux_service::{Fault, Now};
use flux_wire::{Errno, Message, Payload, RouteId};
use serde::Deserialize;
use serde_json::json;

use super::Answer;
use crate::attr::Attrs;
use crate::log::LogConfig;
use crate::node::{Node, NodeSetup};

#[derive(Deserialize)]
struct Name {
    name: String,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    value: String,
    #[serde(default)]
    force: bool,
}

impl Node {
    pub(crate) fn attr_get(&mut self, request: &Message) -> Answer {
        let body: Name = request.decode()?;
        let (value, flags) = self.attrs.lookup(&body.name)?;
        Ok(Some(json!({"value": value, "flags": flags}).into()))
    }

    pub(crate) fn attr_list(&mut self, _request: &Message) -> Answer {
        let names: Vec<&str> = self.attrs.names().collect();
        Ok(Some(json!({"names": names}).into()))
    }

    pub(crate) fn attr_set(&mut self, request: &Message) -> Answer {
        let body: Set = request.decode()?;
        let former = self.attrs.clone();
        self.attrs.set_by_client(&body.name, &body.value, body.force)?;
        match LogConfig::from_attrs(&self.attrs) {
            Ok(_) => self.attrs_changed(),
            Err(_) => {
                self.attrs = former;
                return Err(Fault::new(Errno::EINVAL, "invalid level"));
            }
        }
        Ok(Some(Payload::None))
    }

    pub(crate) fn attr_remove(&mut self, request: &Message) -> Answer {
        let body: Name = request.decode()?;
        self.attrs.remove_by_client(&body.name)?;
        self.attrs_changed();
        Ok(Some(Payload::None))
    }

    fn attrs_changed(&mut self) {
        if let Ok(config) = LogConfig::from_attrs(&self.attrs) {
            self.core.log_config = config;
        }
        self.info.attrs = self.attrs.to_map();
    }
}

/// Fills in what the command line left open. What the broker itself determines is never open.
///
/// Answers a warning, if something is better said in another way.
///
/// # Errors
/// A sentence: which value of `[tbon]` makes no sense.
pub(crate) fn complete_attrs(setup: &mut NodeSetup, uuid: &RouteId, now: Now) -> Result<Option<String>, String> {
    let (tree, rank) = (&setup.overlay.tree, setup.rank.0);
    let place = [tree.level(rank), tree.level_max(), tree.subtree(rank).count() as u32 - 1];
    let attrs = &mut setup.attrs;
    for (name, value) in ["tbon.level", "tbon.maxlevel", "tbon.descendants"].into_iter().zip(place) {
        attrs.set(name, value.to_string());
    }
    for (name, value) in [
        ("rank", setup.rank.to_string()),
        ("size", setup.size.to_string()),
        ("version", VERSION.to_owned()),
        ("security.owner", setup.owner.to_string()),
        ("broker.uuid", uuid.to_string()),
        ("broker.starttime", format!("{:.2}", now.wall.timestamp())),
        ("rundir", setup.rundir.clone()),
    ] {
        attrs.set(name, value);
    }
    if let Some(statedir) = &setup.statedir {
        attrs.set("statedir", statedir.clone());
        attrs.set_default("statedir-cleanup", "0");
    }
    if setup.rank.is_root() {
        attrs.set_default("content.backing-module", "content-sqlite");
    }
    if setup.size == 1 {
        attrs.set_default("broker.mapping", "[[0,1,1,1]]");
    }
    for (name, value) in [
        ("instance-level", "0".to_owned()),
        ("jobid-path", "/".to_owned()),
        ("hostname", setup.hostname.clone()),
        ("hostlist", setup.hostname.clone()),
        ("broker.boot-method", "single".to_owned()),
        ("broker.critical-ranks", tree.critical().to_string()),
        ("broker.quorum", setup.size.to_string()),
        ("broker.quorum-warn", "1m".to_owned()),
        ("broker.shutdown-warn", "1m".to_owned()),
        ("broker.shutdown-timeout", "none".to_owned()),
        ("broker.cleanup-timeout", "none".to_owned()),
        ("broker.unload-builtins-timeout", "1m".to_owned()),
        ("broker.sd-stop-timeout", "none".to_owned()),
        ("content.hash", "sha1".to_owned()),
        ("conf.shell_initrc", String::new()),
        ("conf.shell_pluginpath", String::new()),
        ("log-ring-size", "1024".to_owned()),
        ("log-forward-level", "3".to_owned()),
        ("log-critical-level", "2".to_owned()),
        ("log-syslog-enable", "0".to_owned()),
        ("log-syslog-level", "3".to_owned()),
        ("log-stderr-mode", "leader".to_owned()),
        ("log-stderr-level", "3".to_owned()),
        ("log-level", "7".to_owned()),
        ("tbon.topo", "kary:32".to_owned()),
    ] {
        attrs.set_default(name, value);
    }
    crate::tbon::settle(attrs, &setup.config).map_err(|fault| fault.text)?;
    check_attrs(attrs, setup.size)
}

/// # Errors
/// A sentence: which attribute makes no sense.
fn check_attrs(attrs: &mut Attrs, size: u32) -> Result<Option<String>, String> {
    const DURATIONS: [&str; 6] = [
        "broker.quorum-warn",
        "broker.shutdown-warn",
        "broker.shutdown-timeout",
        "broker.cleanup-timeout",
        "broker.unload-builtins-timeout",
        "broker.sd-stop-timeout",
    ];
    let is_duration = |text: &str| text == "none" || flux_types::parse_fsd(text).is_some();
    for name in DURATIONS {
        if let Some(text) = attrs.get(name).filter(|text| !is_duration(text)) {
            return Err(format!("Error parsing {name} attribute: {text} is no duration, and not none"));
        }
    }
    let critical = attrs.get("broker.critical-ranks").unwrap_or_default();
    if !critical.parse::<flux_types::Idset>().is_ok_and(|ranks| ranks.last().is_none_or(|rank| rank < size)) {
        return Err(format!("invalid value for broker.critical-ranks='{critical}': give ranks below {size}"));
    }
    // What were ranks once.
    let meant = match attrs.get("broker.quorum") {
        Some("0") => Some(1),
        Some(ranks) if ranks == format!("0-{}", size - 1) => Some(size),
        _ => None,
    };
    if let Some(count) = meant {
        attrs.set("broker.quorum", count.to_string());
    }
    let quorum = attrs.get("broker.quorum").unwrap_or_default();
    match quorum.parse::<u32>() {
        Ok(quorum) if (1..=size).contains(&quorum) => {
            Ok(meant.map(|count| format!("warning: broker.quorum is now a size - assuming {count}")))
        }
        _ => Err(format!("Error parsing broker.quorum attribute: {quorum} is no number from 1 to {size}, the size")),
    }
}

/// What `flux version` and `attr.get version` say of the protocol level: clients compare it with theirs.
pub const VERSION: &str = "0.88.0";
