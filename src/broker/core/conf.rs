//! `config.*`: showing the configuration, replacing it, reading its files again.

use std::collections::BTreeMap;
use std::sync::Arc;

use flux_service::{Completion, Fault, FileOp, LogLevel};
use flux_wire::{Errno, Message, Payload};
use serde_json::Value;

use super::{Answer, Waiting, end_streams};
use crate::config::from_files;
use crate::limits::WAITERS_MAX;
use crate::node::{Node, Owner};

/// A `config.reload` under way: files are read one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Reload {
    request: Message,
    dir: String,
    /// Paths still to read, the next one last; `None` until the directory is listed.
    todo: Option<Vec<String>>,
    texts: Vec<(String, String)>,
    reading: Option<String>,
}

impl Node {
    pub(crate) fn config_get(&mut self, request: &Message) -> Answer {
        let payload = Payload::Json(self.info.config.clone());
        if !request.is_streaming() {
            return Ok(Some(payload));
        }
        if self.core.config_watchers.len() >= WAITERS_MAX {
            return Err(Fault::from(Errno::EAGAIN));
        }
        self.answer(request, Ok(payload));
        self.core.config_watchers.push(request.clone());
        Ok(None)
    }

    pub(crate) fn config_cancel(&mut self, request: &Message) -> Answer {
        for ended in end_streams(&mut self.core.config_watchers, request) {
            self.answer(&ended, Err(Fault::from(Errno::ENODATA)));
        }
        Ok(None)
    }

    pub(crate) fn config_load(&mut self, request: &Message) -> Answer {
        self.only_rank_0_changes_config()?;
        let config = request.payload.value()?;
        self.apply_config(config)?;
        Ok(Some(Payload::None))
    }

    pub(crate) fn config_reload(&mut self, request: &Message) -> Answer {
        self.only_rank_0_changes_config()?;
        // An instance without configuration files has nothing to read again, which is no failure (as in flux-core).
        let Some(dir) = self.core.config_path.clone() else { return Ok(Some(Payload::None)) };
        let reload =
            Reload { request: request.clone(), dir: dir.clone(), todo: None, texts: Vec::new(), reading: None };
        if dir.ends_with(".toml") || dir.ends_with(".json") {
            self.read_next(Reload { todo: Some(vec![dir]), ..reload });
        } else {
            let tag = self.core_cx(|cx| cx.file(FileOp::List { path: dir }));
            self.core.waiting.insert(tag, Waiting::Reload(reload));
        }
        Ok(None)
    }

    fn only_rank_0_changes_config(&self) -> Result<(), Fault> {
        match self.info.rank.is_root() {
            true => Ok(()),
            false => Err(Fault::new(Errno::EINVAL, "configuration can only be changed on rank 0")),
        }
    }

    /// The parent's configuration is ours too, from the start and whenever it changes.
    pub(crate) fn parent_config(&mut self, response: &Message) {
        if response.errno().is_some() {
            return;
        }
        let outcome =
            response.payload.value().map_err(Fault::from).and_then(|config| match self.info.config == config {
                true => Ok(()),
                false => self.apply_config(config),
            });
        if let Err(fault) = outcome {
            self.log(LogLevel::Err, "config", &format!("the configuration of rank 0 is refused here: {fault}"));
        }
        self.core.state.config_synced();
    }

    pub(crate) fn reload_step(&mut self, mut reload: Reload, completion: Completion) {
        match completion {
            Completion::Names(names) => {
                let toml = names.into_iter().filter(|name| name.ends_with(".toml"));
                let mut paths: Vec<String> = toml.map(|name| format!("{}/{name}", reload.dir)).collect();
                paths.reverse();
                reload.todo = Some(paths);
                self.read_next(reload);
            }
            Completion::File(bytes) => {
                let name = reload.reading.take().unwrap_or_default();
                match String::from_utf8(bytes.to_vec()) {
                    Ok(text) => {
                        reload.texts.push((name, text));
                        self.read_next(reload);
                    }
                    Err(_) => {
                        let fault = Fault::new(Errno::EINVAL, format!("{name} is not UTF-8 text"));
                        self.answer(&reload.request, Err(fault));
                    }
                }
            }
            Completion::Failed(fault) => {
                let what = reload.reading.as_deref().unwrap_or(&reload.dir);
                let fault = Fault::new(fault.errno, format!("{what}: {}", fault.message()));
                self.answer(&reload.request, Err(fault));
            }
            _ => self.answer(&reload.request, Err(Fault::from(Errno::EIO))),
        }
    }

    fn read_next(&mut self, mut reload: Reload) {
        if let Some(path) = reload.todo.as_mut().and_then(Vec::pop) {
            reload.reading = Some(path.clone());
            let tag = self.core_cx(|cx| cx.file(FileOp::Read { path }));
            self.core.waiting.insert(tag, Waiting::Reload(reload));
            return;
        }
        let files = reload.texts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let outcome = from_files(files)
            .map_err(|error| Fault::new(Errno::EINVAL, error.to_string()))
            .and_then(|config| self.apply_config(config));
        self.answer(&reload.request, outcome.map(|()| Payload::None));
    }

    /// Gives every service the new configuration; if one refuses, all go back to the old.
    fn apply_config(&mut self, config: Arc<Value>) -> Result<(), Fault> {
        if !config.is_object() {
            return Err(Fault::new(Errno::EINVAL, "a configuration is a table"));
        }
        crate::tbon::resettle(&mut self.attrs.clone(), &config)?;
        let old = std::mem::replace(&mut self.info.config, config);
        let owners: Vec<Owner> = self.slots.keys().copied().collect();
        for (at, owner) in owners.iter().enumerate() {
            if let Some(Err(fault)) = self.call(*owner, |service, cx| service.on_config(cx)) {
                let name = self.slots[owner].service.name();
                self.info.config = old;
                for earlier in &owners[..at] {
                    if let Some(Err(again)) = self.call(*earlier, |service, cx| service.on_config(cx)) {
                        self.log(LogLevel::Err, "config", &format!("the old configuration was refused too: {again}"));
                    }
                }
                return Err(Fault::new(fault.errno, format!("error updating {name}: {}", fault.message())));
            }
        }
        crate::tbon::resettle(&mut self.attrs, &self.info.config)?;
        self.info.attrs = self.attrs.to_map();
        for request in self.core.config_watchers.clone() {
            let payload = Payload::Json(self.info.config.clone());
            self.answer(&request, Ok(payload));
        }
        Ok(())
    }

    pub(crate) fn getenv(&mut self, request: &Message) -> Answer {
        #[derive(serde::Deserialize)]
        struct Names {
            names: Vec<String>,
        }
        let body: Names = request.decode()?;
        let value = |name: &String| self.core.env.get(name).map_or(Value::Null, |v| Value::String(v.clone()));
        let env: serde_json::Map<String, Value> = body.names.iter().map(|name| (name.clone(), value(name))).collect();
        Ok(Some(serde_json::json!({"env": env}).into()))
    }

    pub(crate) fn setenv(&mut self, request: &Message) -> Answer {
        #[derive(serde::Deserialize)]
        struct Env {
            env: BTreeMap<String, Option<String>>,
        }
        let body: Env = request.decode()?;
        for (name, value) in body.env {
            match value {
                Some(value) => self.core.env.insert(name, value),
                None => self.core.env.remove(&name),
            };
        }
        Ok(Some(Payload::None))
    }

    pub(crate) fn conf_builtin(&mut self, request: &Message) -> Answer {
        #[derive(serde::Deserialize)]
        struct Keys {
            keys: Vec<String>,
        }
        let body: Keys = request.decode()?;
        let mut values = serde_json::Map::new();
        for key in body.keys {
            let value = match key.as_str() {
                "rundir" => self.info.rundir.clone(),
                "shell_initrc" => self.attrs.get("conf.shell_initrc").unwrap_or_default().to_owned(),
                "shell_pluginpath" => self.attrs.get("conf.shell_pluginpath").unwrap_or_default().to_owned(),
                _ => return Err(Fault::new(Errno::ENOENT, format!("{key} is unknown"))),
            };
            values.insert(key, Value::String(value));
        }
        Ok(Some(serde_json::json!({"values": values}).into()))
    }
}
