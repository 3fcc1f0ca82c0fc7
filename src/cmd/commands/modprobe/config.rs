//! What is known of modules: the program's own table, the site's `modprobe.toml` and `modprobe.d/*.toml`, and `[modules]` of the
//! broker's configuration (flux-modprobe(1)).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::frame::CmdError;
use crate::frame::context::Context;
use crate::limits::MODPROBE_MODULES_MAX;

const BUILT_IN: &str = include_str!("modules.toml");
const SITE: &str = "/etc/flux/modprobe";
const PRIORITY: i64 = 100;

/// An entry of `modules`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Module {
    pub(super) name: String,
    /// What is loaded, if it has another name.
    module: Option<String>,
    #[serde(default)]
    pub(super) args: Vec<String>,
    #[serde(default = "all")]
    pub(super) ranks: String,
    #[serde(default)]
    pub(super) provides: Vec<String>,
    #[serde(default)]
    pub(super) requires: Vec<String>,
    #[serde(default)]
    pub(super) needs: Vec<String>,
    #[serde(default)]
    before: Vec<String>,
    #[serde(default)]
    pub(super) after: Vec<String>,
    #[serde(default)]
    pub(super) needs_config: Vec<String>,
    #[serde(default)]
    pub(super) needs_attrs: Vec<String>,
    #[serde(default)]
    pub(super) needs_env: Vec<String>,
    #[serde(default = "usual")]
    priority: i64,
    #[serde(default)]
    pub(super) disabled: bool,
    #[serde(default)]
    pub(super) exec: bool,
}

fn all() -> String {
    "all".to_owned()
}

fn usual() -> i64 {
    PRIORITY
}

impl Module {
    pub(super) fn path(&self) -> &str {
        self.module.as_deref().unwrap_or(&self.name)
    }

    /// As `flux modprobe show` prints it.
    pub(super) fn to_value(&self) -> Value {
        json!({"name": self.name, "module": self.path(), "args": self.args, "ranks": self.ranks, "provides": self.provides,
            "requires": self.requires, "needs": self.needs, "before": self.before, "after": self.after,
            "priority": self.priority, "disabled": self.disabled, "exec": self.exec})
    }
}

/// All modules by name, and who provides what.
#[derive(Debug, Default)]
pub(super) struct Config {
    /// In the order in which they were read.
    names: Vec<String>,
    tables: BTreeMap<String, Map<String, Value>>,
    /// Services whose module was chosen.
    chosen: BTreeMap<String, String>,
    pub(super) modules: BTreeMap<String, Module>,
}

impl Config {
    /// Reads all there is. `broker` is the broker's configuration.
    pub(super) fn read(cx: &Context, broker: &Value) -> Result<Config, CmdError> {
        let mut config = Config::default();
        config.add_text("modules.toml", BUILT_IN)?;
        for dir in search_path(cx) {
            let mut files = vec![dir.join("modprobe.toml")];
            let more = std::fs::read_dir(dir.join("modprobe.d")).into_iter().flatten().flatten();
            let mut more: Vec<PathBuf> = more.map(|entry| entry.path()).collect();
            more.retain(|path| path.extension().is_some_and(|ext| ext == "toml"));
            more.sort();
            files.append(&mut more);
            for file in files.iter().filter(|file| file.exists()) {
                let text = std::fs::read_to_string(file).map_err(|error| CmdError::about(file.display(), error))?;
                config.add_text(&file.display().to_string(), &text)?;
            }
        }
        if let Some(updates) = broker.get("modules") {
            config.add(updates).map_err(|why| CmdError::about("modules", why))?;
        }
        if let Some(name) = cx.var("FLUX_SCHED_MODULE").filter(|name| name != "none") {
            config.chosen.insert("sched".to_owned(), name);
        }
        config.settle()?;
        Ok(config)
    }

    fn add_text(&mut self, name: &str, text: &str) -> Result<(), CmdError> {
        let value: Value = toml::from_str(text).map_err(|error| CmdError::about(name, error))?;
        self.add(&value).map_err(|why| CmdError::about(name, why))
    }

    /// Modules, then choices, then updates of modules by their names.
    fn add(&mut self, value: &Value) -> Result<(), String> {
        let table = value.as_object().ok_or("not a table")?;
        for entry in table.get("modules").and_then(Value::as_array).into_iter().flatten() {
            let entry = entry.as_object().ok_or("modules: not an array of tables")?;
            let name = entry.get("name").and_then(Value::as_str).ok_or("modules: an entry without a name")?;
            if self.tables.len() >= MODPROBE_MODULES_MAX {
                return Err(format!("more than {MODPROBE_MODULES_MAX} modules"));
            }
            self.names.retain(|known| known != name);
            self.names.push(name.to_owned());
            self.tables.insert(name.to_owned(), entry.clone());
        }
        for (key, value) in table.iter().filter(|(key, _)| *key != "modules") {
            let updates = value.as_object().ok_or_else(|| format!("{key}: not a table"))?;
            if key == "alternatives" {
                let name = |value: &Value| value.as_str().map(str::to_owned).ok_or("alternatives: not a name");
                for (service, module) in updates {
                    self.chosen.insert(service.clone(), name(module)?);
                }
                continue;
            }
            let known = self.tables.get_mut(key).ok_or_else(|| format!("no module {key} to update"))?;
            known.extend(updates.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        Ok(())
    }

    /// Makes modules of the tables, and looks whether those that were chosen are there.
    fn settle(&mut self) -> Result<(), CmdError> {
        for (name, table) in &self.tables {
            let module = Module::deserialize(Value::Object(table.clone()));
            let module = module.map_err(|error| CmdError::about(format!("module {name}"), error))?;
            self.modules.insert(name.clone(), module);
        }
        let chosen = std::mem::take(&mut self.chosen);
        chosen.iter().try_for_each(|(service, module)| self.choose(service, module))
    }

    /// From now on this module provides the service.
    pub(super) fn choose(&mut self, service: &str, module: &str) -> Result<(), CmdError> {
        let found = self.modules.get(module).filter(|found| found.provides.iter().any(|name| name == service));
        if found.is_none() {
            return Err(CmdError::new(format!("no module {module} provides {service}")));
        }
        self.chosen.insert(service.to_owned(), module.to_owned());
        Ok(())
    }

    pub(super) fn disable(&mut self, name: &str) -> Result<(), CmdError> {
        let name = self.find(name)?.name.clone();
        self.modules.get_mut(&name).expect("just found").disabled = true;
        Ok(())
    }

    /// The module of this name, or the one that provides the service: the one that was chosen, or that of the highest priority, of
    /// equals the last.
    pub(super) fn find(&self, name: &str) -> Result<&Module, CmdError> {
        if let Some(module) = self.chosen.get(name).and_then(|module| self.modules.get(module)) {
            return Ok(module);
        }
        if let Some(module) = self.modules.get(name) {
            return Ok(module);
        }
        let read = self.names.iter().filter_map(|known| self.modules.get(known));
        let provides = read.filter(|module| module.provides.iter().any(|service| service == name));
        let best = provides.max_by_key(|module| (!module.disabled, module.priority));
        best.ok_or_else(|| CmdError::new(format!("no such task or module {name}")))
    }

    /// In the order in which they were read.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }
}

fn search_path(cx: &Context) -> Vec<PathBuf> {
    let path = cx.var("FLUX_MODPROBE_PATH").unwrap_or_else(|| SITE.to_owned());
    let more = cx.var("FLUX_MODPROBE_PATH_APPEND").unwrap_or_default();
    path.split(':').chain(more.split(':')).filter(|dir| !dir.is_empty()).map(|dir| Path::new(dir).to_owned()).collect()
}
