//! Which modules are loaded or removed, and in which order: sets and precedence only, nothing is done here.

use std::collections::{BTreeMap, BTreeSet};

use flux_types::Idset;
use serde_json::Value;

use super::config::{Config, Module};
use crate::frame::CmdError;

/// What decides whether a module is for this broker.
pub(super) struct Here<'a> {
    pub(super) rank: u32,
    pub(super) broker: &'a Value,
    pub(super) attrs: &'a dyn Fn(&str) -> bool,
    pub(super) env: &'a dyn Fn(&str) -> bool,
}

impl Here<'_> {
    fn has_config(&self, key: &str) -> bool {
        key.split('.').try_fold(self.broker, |value, key| value.get(key)).is_some()
    }

    /// Whether a start loads it: nothing that it needs is missing. `!` before a name asks for its absence.
    fn wants(&self, config: &Config, module: &Module) -> Result<bool, CmdError> {
        let holds = |names: &[String], is_set: &dyn Fn(&str) -> bool| {
            names.iter().all(|name| name.strip_prefix('!').map_or_else(|| is_set(name), |name| !is_set(name)))
        };
        let needs = module.needs.iter().all(|name| config.find(name).is_ok_and(|found| !found.disabled));
        Ok(!module.disabled
            && needs
            && holds(&module.needs_config, &|key| self.has_config(key))
            && holds(&module.needs_attrs, self.attrs)
            && holds(&module.needs_env, self.env)
            && is_rank(self.rank, &module.ranks)?)
    }
}

/// Whether `ranks` of a module, an idset, `>N`, `<N` or `all`, has this rank.
pub(super) fn is_rank(rank: u32, ranks: &str) -> Result<bool, CmdError> {
    let bad = || CmdError::about(format!("ranks = {ranks:?}"), "use an idset, >N, <N or all");
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| bad());
    match ranks.split_at_checked(1) {
        _ if ranks == "all" => Ok(true),
        Some((">", text)) => Ok(rank > number(text)?),
        Some(("<", text)) => Ok(rank < number(text)?),
        _ => Ok(Idset::parse(ranks).map_err(|_| bad())?.contains(rank)),
    }
}

impl Config {
    /// These and all that they require, each after what it comes after.
    pub(super) fn closure<'a>(&'a self, names: impl Iterator<Item = &'a str>) -> Result<Vec<&'a Module>, CmdError> {
        let mut open: Vec<&str> = names.collect();
        let mut found: BTreeMap<&str, &Module> = BTreeMap::new();
        while let Some(name) = open.pop() {
            let module = self.find(name)?;
            if found.insert(&module.name, module).is_none() {
                open.extend(module.requires.iter().map(String::as_str));
            }
        }
        self.ordered(&found.keys().copied().collect())
    }

    /// What a start loads on this broker.
    pub(super) fn wanted(&self, here: &Here<'_>) -> Result<Vec<&Module>, CmdError> {
        let mut names = BTreeSet::new();
        for module in self.names().iter().filter_map(|name| self.modules.get(name)) {
            // Of several that provide a service, the first of them has it.
            let chosen = |service: &String| self.find(service).is_ok_and(|found| found.name == module.name);
            let is_chosen = module.provides.is_empty() || module.provides.iter().any(chosen);
            if is_chosen && here.wants(self, module)? {
                names.insert(module.name.as_str());
            }
        }
        let required = self.closure(names.iter().copied())?;
        let mut all: BTreeSet<&str> = BTreeSet::new();
        for module in required {
            if names.contains(module.name.as_str()) || here.wants(self, module)? {
                all.insert(&module.name);
            }
        }
        self.ordered(&all)
    }

    /// Each after what it comes after; otherwise in the order in which they were read.
    pub(super) fn ordered<'a>(&'a self, names: &BTreeSet<&'a str>) -> Result<Vec<&'a Module>, CmdError> {
        let mut left: Vec<&Module> = self.names().iter().filter_map(|name| self.modules.get(name)).collect();
        left.retain(|module| names.contains(module.name.as_str()));
        let mut out: Vec<&Module> = Vec::new();
        while !left.is_empty() {
            let waits = |module: &Module| self.after(module).iter().any(|name| left.iter().any(|it| it.name == *name));
            let Some(at) = left.iter().position(|module| !waits(module)) else {
                let names: Vec<&str> = left.iter().map(|module| module.name.as_str()).collect();
                return Err(CmdError::new(format!("modules come after one another in a circle: {}", names.join(", "))));
            };
            out.push(left.remove(at));
        }
        Ok(out)
    }

    /// Modules that this one comes after.
    pub(super) fn after<'a>(&'a self, module: &'a Module) -> Vec<&'a str> {
        let of = |name: &'a String| self.find(name).map_or(name.as_str(), |found| found.name.as_str());
        module.after.iter().map(of).filter(|name| *name != module.name).collect()
    }

    fn requires(&self, module: &str, other: &str) -> bool {
        let names = self.modules.get(module).map(|module| module.requires.as_slice()).unwrap_or_default();
        let provided = |name: &String| {
            self.modules.get(other).is_some_and(|other| other.provides.contains(name))
                && !self.modules.contains_key(name)
        };
        names.iter().any(|name| name == other || provided(name))
    }

    /// What is removed with these of the `loaded`: themselves, and what nobody else requires then. The last comes first.
    pub(super) fn removal<'a>(
        &'a self,
        names: &[String],
        loaded: &BTreeSet<String>,
    ) -> Result<Vec<&'a Module>, CmdError> {
        let mut gone: BTreeSet<&str> = BTreeSet::new();
        for name in names {
            let own = loaded.contains(name).then(|| self.modules.get(name)).flatten();
            let found = own.or_else(|| self.find(name).ok().filter(|found| loaded.contains(&found.name)));
            let found = found.ok_or_else(|| CmdError::new(format!("module {name} is not loaded")))?;
            gone.insert(&found.name);
        }
        for name in &gone {
            let users = |user: &&String| self.requires(user, name) && !gone.contains(user.as_str());
            let users: Vec<&str> = loaded.iter().filter(users).map(String::as_str).collect();
            if !users.is_empty() {
                return Err(CmdError::new(format!("{name} still in use by {}", users.join(", "))));
            }
        }
        loop {
            let is_left = |name: &&str| !gone.contains(name);
            let was_used = |name: &&str| gone.iter().any(|user| self.requires(user, name));
            let is_used =
                |name: &&str| loaded.iter().any(|user| !gone.contains(user.as_str()) && self.requires(user, name));
            let known = self.modules.keys().map(String::as_str).filter(|name| loaded.contains(*name));
            let unused: Vec<&str> =
                known.filter(is_left).filter(was_used).filter(|name| !is_used(name) && !is_permanent(name)).collect();
            if unused.is_empty() {
                break;
            }
            gone.extend(unused);
        }
        let mut out = self.ordered(&gone)?;
        out.reverse();
        Ok(out)
    }
}

/// What is read from disk when the broker starts, and only then; and what the broker itself uses.
pub(super) fn is_permanent(name: &str) -> bool {
    matches!(name, "kvs" | "groups" | "rexec")
}
