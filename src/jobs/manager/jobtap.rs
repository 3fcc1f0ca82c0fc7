//! Plugins of the job manager: which there are, and how they come and go (`job-manager.jobtap`).
//!
//! The rules of flux-core's own plugins stand in this crate under their names; sites write theirs in Lua (flux-jobtap-plugins(7)
//! has the topics, doc/jobtap.md our form). Loading one takes two steps, as a service reads no files: the text is asked for,
//! and the request answered when it is there.

mod act;
mod call;
mod extra;
mod script;

use std::collections::{BTreeMap, BTreeSet};

use flux_service::{Completion, Cx, Fault, FileOp, LogLevel, Outcome, Tag};
use flux_types::JobId;
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(super) use self::call::Said;
use self::script::Script;
use super::JobManager;
use crate::limits::PLUGINS_MAX;

/// Rules that stand in this crate under the names that flux-core gives them.
const BUILTIN: [&str; 11] = [
    ".priority-default",
    ".limit-job-size",
    ".limit-duration",
    ".dependency-after",
    ".dependency-singleton",
    ".begin-time",
    ".update-duration",
    ".history",
    ".post-event",
    ".update-queue",
    ".perilog",
];

/// Plugins that flux-core ships as files; what they do is built in here.
const SHIPPED: [&str; 2] = ["perilog.so", "alloc-bypass.so"];

/// Where plugins without a path are looked for.
const DIRECTORY: &str = "/etc/flux/jobtap";

/// A plugin whose text is being read.
#[derive(Debug)]
struct Reading {
    path: String,
    conf: Value,
    request: Option<Message>,
}

/// All plugins.
#[derive(Debug, Default)]
pub(super) struct Jobtap {
    scripts: Vec<Script>,
    /// Of flux-core's plugins, those that somebody loaded.
    shipped: BTreeSet<&'static str>,
    /// `.priority-default` was removed: a plugin gives priorities.
    no_default_priority: bool,
    reading: BTreeMap<Tag, Reading>,
    /// `[job-manager.plugins]` was read; later changes of it count for nothing.
    configured: bool,
}

impl Jobtap {
    pub(super) fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    /// Plugins of the configuration are being read: jobs wait for them.
    pub(super) fn is_reading(&self) -> bool {
        self.reading.values().any(|reading| reading.request.is_none())
    }

    pub(super) fn has_default_priority(&self) -> bool {
        !self.no_default_priority
    }

    /// May jobs ask to be given resources without the scheduler?
    pub(super) fn allows_bypass(&self) -> bool {
        self.shipped.contains("alloc-bypass.so")
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let builtin = BUILTIN.iter().copied().filter(|name| *name != ".priority-default" || !self.no_default_priority);
        builtin.chain(self.shipped.iter().copied()).chain(self.scripts.iter().map(|script| script.name.as_str()))
    }
}

#[derive(Deserialize)]
struct Request {
    load: Option<String>,
    #[serde(default)]
    conf: Value,
    remove: Option<String>,
    #[serde(default)]
    query_only: Value,
}

#[derive(Deserialize)]
struct Query {
    name: String,
}

fn invalid(text: impl Into<String>) -> Fault {
    Fault::new(Errno::EINVAL, text)
}

impl JobManager {
    pub(super) fn jobtap(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Request = request.decode()?;
        if body.query_only == true {
            let names: Vec<&str> = self.jobtap.names().collect();
            cx.respond(request, json!({"plugins": names}));
            return Ok(());
        }
        if let Some(pattern) = &body.remove {
            self.remove_plugins(pattern)?;
        }
        match body.load {
            Some(path) => self.load_plugin(cx, &path, body.conf, Some(request)),
            None => {
                cx.respond_empty(request);
                Ok(())
            }
        }
    }

    /// A glob; builtin plugins only match a pattern that begins with their dot.
    fn remove_plugins(&mut self, pattern: &str) -> Outcome {
        let all = pattern == "all";
        let matches = |name: &str| {
            (all && !name.starts_with('.'))
                || (pattern.starts_with('.') == name.starts_with('.') && glob(pattern, name))
        };
        let builtin: Vec<&str> = self.jobtap.names().filter(|name| name.starts_with('.') && matches(name)).collect();
        if let Some(name) = builtin.iter().find(|name| **name != ".priority-default") {
            return Err(invalid(format!("plugin {name} is built in and cannot be removed")));
        }
        let default_priority = !builtin.is_empty();
        let before = self.jobtap.scripts.len() + self.jobtap.shipped.len();
        self.jobtap.no_default_priority |= default_priority;
        self.jobtap.scripts.retain(|script| !matches(&script.name));
        self.jobtap.shipped.retain(|name| !matches(name));
        let removed = before - self.jobtap.scripts.len() - self.jobtap.shipped.len();
        if removed == 0 && !default_priority && !all {
            return Err(Fault::new(Errno::ENOENT, "Failed to find plugin to remove"));
        }
        Ok(())
    }

    fn load_plugin(&mut self, cx: &mut Cx<'_>, path: &str, conf: Value, request: Option<&Message>) -> Outcome {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        if path == ".priority-default" {
            self.jobtap.no_default_priority = false;
        } else if let Some(shipped) = SHIPPED.iter().find(|shipped| **shipped == name) {
            self.jobtap.shipped.insert(*shipped);
        } else if !conf.is_null() && !conf.is_object() {
            return Err(invalid("jobtap: plugin conf must be a JSON object"));
        } else if !name.ends_with(".lua") {
            let text = format!("{path}: plugins are Lua scripts here (NAME.lua); shared objects cannot be loaded");
            return Err(Fault::new(Errno::ENOSYS, text));
        } else if self.jobtap.scripts.iter().any(|script| script.name == name) {
            return Err(Fault::new(Errno::EEXIST, format!("{name} already loaded")));
        } else if self.jobtap.scripts.len() + self.jobtap.reading.len() >= PLUGINS_MAX {
            return Err(Fault::new(Errno::EAGAIN, format!("more than {PLUGINS_MAX} plugins")));
        } else {
            let path = if path.contains('/') { path.to_owned() } else { format!("{DIRECTORY}/{path}") };
            let tag = cx.file(FileOp::Read { path: path.clone() });
            self.jobtap.reading.insert(tag, Reading { path, conf, request: request.cloned() });
            return Ok(());
        }
        if let Some(request) = request {
            cx.respond_empty(request);
        }
        Ok(())
    }

    pub(super) fn on_plugin_text(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: Completion) {
        let Some(reading) = self.jobtap.reading.remove(&tag) else { return };
        let loaded = match completion {
            Completion::File(bytes) => self.make_plugin(cx, &reading, &bytes),
            Completion::Failed(fault) if fault.errno == Errno::ENOENT => {
                Err(Fault::new(Errno::ENOENT, format!("{}: No such plugin found", reading.path)))
            }
            Completion::Failed(fault) => Err(Fault::new(fault.errno, format!("{}: {}", reading.path, fault.message()))),
            _ => return,
        };
        match (loaded, &reading.request) {
            (Ok(()), Some(request)) => cx.respond_empty(request),
            (Err(fault), Some(request)) => cx.respond_error(request, &fault),
            (Ok(()), None) => {}
            (Err(fault), None) => cx.log(LogLevel::Err, format!("[job-manager.plugins]: load: {}", fault.message())),
        }
        if !self.jobtap.is_reading() && reading.request.is_none() {
            self.start_loading(cx);
        }
    }

    fn make_plugin(&mut self, cx: &mut Cx<'_>, reading: &Reading, bytes: &[u8]) -> Outcome {
        let text = std::str::from_utf8(bytes).map_err(|_| invalid(format!("{}: not UTF-8", reading.path)))?;
        let script = Script::load(&reading.path, text, &reading.conf).map_err(invalid)?;
        if self.jobtap.scripts.iter().any(|known| known.name == script.name) {
            return Err(Fault::new(Errno::EEXIST, format!("{} already loaded", script.name)));
        }
        let conf = json!({"conf": *cx.node.config});
        if let Some(Err(why)) = script.call("conf.update", &conf, &self.look()) {
            return Err(conf_refused(&script.name, &why));
        }
        let at = self.jobtap.scripts.len();
        let actions = script.take_actions();
        self.jobtap.scripts.push(script);
        actions.iter().for_each(|action| self.act_for(cx, at, JobId(0), action));
        // Jobs that are there already are announced to it; those that are still being read will be.
        if self.loader.is_none() {
            let ids: Vec<JobId> = self.jobs.keys().copied().collect();
            for id in ids {
                self.introduce(cx, id, Some(at));
            }
        }
        Ok(())
    }

    /// `[job-manager] plugins`, once. `true`: jobs wait for what is being read.
    pub(super) fn load_configured(&mut self, cx: &mut Cx<'_>) -> Result<bool, Fault> {
        if std::mem::replace(&mut self.jobtap.configured, true) {
            return Ok(false);
        }
        let plugins = cx.node.config_at("job-manager.plugins").cloned();
        let Some(plugins) = plugins else { return Ok(false) };
        let list = plugins.as_array().ok_or_else(|| invalid("[job-manager.plugins] config must be an array"))?;
        for (at, entry) in list.iter().enumerate() {
            let refused = |what: &str, why: String| invalid(format!("[job-manager.plugins][{at}]: {what}{why}"));
            let body = Request::deserialize(entry).map_err(|error| refused("", error.to_string()))?;
            if let Some(pattern) = &body.remove {
                self.remove_plugins(pattern).map_err(|f| refused("remove ", format!("{pattern}: {}", f.message())))?;
            }
            if let Some(path) = &body.load {
                self.load_plugin(cx, path, body.conf, None).map_err(|f| refused("load: ", f.message()))?;
            }
        }
        Ok(self.jobtap.is_reading())
    }

    /// # Errors
    /// A plugin refuses the configuration.
    pub(super) fn tap_config(&mut self, cx: &mut Cx<'_>) -> Outcome {
        let conf = json!({"conf": *cx.node.config});
        for at in 0..self.jobtap.scripts.len() {
            let script = &self.jobtap.scripts[at];
            let said = script.call("conf.update", &conf, &self.look());
            let actions = script.take_actions();
            if let Some(Err(why)) = said {
                return Err(conf_refused(&script.name, &why));
            }
            actions.iter().for_each(|action| self.act_for(cx, at, JobId(0), action));
        }
        Ok(())
    }

    pub(super) fn jobtap_query(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Query = request.decode()?;
        if matches!(body.name.as_str(), "perilog.so" | ".perilog") {
            self.perilog_query(cx, request, &body.name);
            return Ok(());
        }
        if let Some(script) = self.jobtap.scripts.iter().find(|script| script.name == body.name) {
            let mut out = Map::new();
            out.insert("name".into(), script.name.as_str().into());
            out.insert("path".into(), script.path.as_str().into());
            match script.call("plugin.query", &json!({}), &self.look()) {
                Some(Ok(Value::Object(more))) => out.extend(more),
                Some(Err(why)) => return Err(invalid(format!("plugin.query failed: {why}"))),
                _ => {}
            }
            cx.respond(request, Value::Object(out));
            return Ok(());
        }
        if !self.jobtap.names().any(|name| name == body.name) {
            return Err(Fault::new(Errno::ENOENT, format!("{}: plugin not found", body.name)));
        }
        cx.respond(request, json!({"name": body.name, "path": "builtin"}));
        Ok(())
    }
}

fn conf_refused(name: &str, why: &str) -> Fault {
    if why.is_empty() { invalid(format!("config rejected by {name} jobtap plugin")) } else { invalid(why) }
}

/// glob(7) with `*` and `?`.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests;
