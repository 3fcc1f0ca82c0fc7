//! The machine that is made up: its resources, and how the instance on it is configured.

use crate::limits::INACTIVE_COUNT_MAX;
use flux_broker::{Attrs, NodeSetup, OverlaySetup, Scheduler, compose};
use flux_fluxion::{Fluxion, FluxionConfig, Format, Reader};
use flux_overlay::Tree;
use flux_resource::{Inventory, Method};
use flux_service::Recovered;
use flux_types::ResourceSet;
use flux_wire::Rank;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The resources and the configuration of a simulated instance.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// R, GRUG, JGF or hwloc XML.
    pub resources: String,
    /// The name of its reader (`rv1exec`, `grug`, `jgf`, `hwloc`).
    pub format: String,
    /// The tables of a broker's configuration that speak of scheduling; what else there is, is left out.
    pub config: Value,
    /// Texts of files that the configuration names: a match policy in Lua.
    pub files: BTreeMap<String, Arc<[u8]>>,
}

/// Where the instance finds the resources.
const RESOURCES: &str = "/resources";
/// Tables that change when a job runs. Others name hosts, keys and programs of a real machine.
const TABLES: [&str; 4] = ["queues", "policy", "sched-fluxion-qmanager", "sched-fluxion-resource"];
/// Services that jobs run without, and that nobody asks here.
const LEFT_OUT: [&str; 4] = ["heartbeat", "cron", "job-list", "job-info"];
/// The owner of the instance and of all jobs.
pub(crate) const OWNER: u32 = 1000;

impl Machine {
    /// The graph by itself, to count what there is.
    ///
    /// # Errors
    /// What is wrong with the resources.
    pub(crate) fn graph(&self) -> Result<Fluxion, String> {
        let reader = Reader::from_name(&self.format).ok_or_else(|| format!("unknown load format '{}'", self.format))?;
        let config = FluxionConfig { match_format: Format::Rv1Nosched, ..FluxionConfig::default() };
        Fluxion::from_document(reader, &self.resources, &config).map_err(|error| error.to_string())
    }

    pub(crate) fn file(&self, path: &str) -> Option<Arc<[u8]>> {
        if path == RESOURCES {
            return Some(self.resources.as_bytes().into());
        }
        self.files.get(path).cloned()
    }

    fn config(&self) -> Value {
        let mut config = Map::new();
        for table in TABLES {
            if let Some(value) = self.config.get(table) {
                config.insert(table.into(), value.clone());
            }
        }
        let graph = config.entry("sched-fluxion-resource").or_insert_with(|| json!({}));
        graph["load-file"] = RESOURCES.into();
        graph["load-format"] = self.format.clone().into();
        config.insert("resource".into(), json!({"noverify": true}));
        // What is over was heard of.
        config.insert("job-manager".into(), json!({"inactive-num-limit": INACTIVE_COUNT_MAX}));
        // Nobody starts again from what is stored: it need not be, however much time goes by.
        config.insert("kvs".into(), json!({"checkpoint-period": "100000d"}));
        Value::Object(config)
    }

    /// The one broker of the instance, which stands for all nodes.
    ///
    /// # Errors
    /// What is wrong with the resources.
    pub(crate) fn broker(&self, graph: &Fluxion) -> Result<NodeSetup, String> {
        let all = graph.find("status=up", Some(Format::Rv1Nosched), 0).map_err(|error| error.to_string())?;
        let all = all.ok_or("the resources have no node with a core or GPU")?;
        let set = ResourceSet::from_value(&all).map_err(|error| error.to_string())?;
        let found = Inventory { is_made_up: true, ..Inventory::new(set, Method::Configuration) };
        let mut composed = compose("sha1", found, (0, 1), Recovered::default(), Scheduler::Fluxion)?;
        composed.services.retain(|service| !LEFT_OUT.contains(&service.name()));
        let mut attrs = Attrs::default();
        for (name, value) in
            [("local-uri", "local:///run/local"), ("hostlist", "sim"), ("broker.boot-method", "config")]
        {
            attrs.set(name, value);
        }
        Ok(NodeSetup {
            rank: Rank(0),
            size: 1,
            overlay: OverlaySetup {
                tree: Tree::named("kary:2", 1).map_err(|error| error.to_string())?,
                announce: None,
            },
            hostname: "sim".into(),
            owner: OWNER,
            rundir: "/run".into(),
            statedir: None,
            attrs,
            config: Arc::new(self.config()),
            config_path: None,
            seed: 1,
            env: Vec::new(),
            rc_dirs: Vec::new(),
            program: None,
            interactive: false,
            services: composed.services,
            loader: composed.loader,
        })
    }
}
