//! The shell's rc files (flux-shell-initrc(5)): Lua scripts that look at the job, change its shell options and environment, and
//! are called at the stages of its life.
//!
//! They run as the job's user, in the job's shell, before the plan is made: what they change is changed in the jobspec. The
//! system's file is read if it is there; `-o initrc=FILE` takes its place, and `-o userrc=FILE` is read after it.

mod api;
mod files;
mod value;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use flux_shell::{Bundle, Plan};
use flux_types::{At, Idset, glob};
use mlua::{Function, Lua};
use serde_json::{Map, Value, json};

use crate::limits::RC_LOG_LINES_MAX;

const SYSTEM: &str = "/etc/flux/shell/initrc.lua";
/// Read where no file of the system says what is.
const SYSTEM_MORE: &str = "/etc/flux/shell/lua.d/*.lua";
/// In the job's environment: directories with more scripts.
const MORE: &str = "FLUX_SHELL_RC_PATH";

/// The one task that a handler is told of.
#[derive(Debug)]
pub(crate) struct TaskNow {
    info: Value,
    /// What the task would get.
    env: BTreeMap<String, String>,
    /// `None`: it is taken away.
    changes: BTreeMap<String, Option<String>>,
}

/// What the scripts look at and change.
struct State {
    options: Map<String, Value>,
    environment: Map<String, Value>,
    info: Value,
    /// By shell rank.
    ranks: Vec<Value>,
    rank: usize,
    /// Of the job: what relative paths start from.
    cwd: String,
    searchpath: String,
    rcpath: String,
    handlers: Vec<(String, Function)>,
    task: Option<TaskNow>,
    logs: Vec<(u8, String)>,
    /// `shell.die` was called: the job ends with these words.
    died: Option<String>,
}

impl State {
    fn log(&mut self, level: u8, text: String) {
        if self.logs.len() < RC_LOG_LINES_MAX {
            self.logs.push((level, text));
        }
    }
}

/// The state, as the functions share it that scripts call. One thread uses it, but Lua wants functions that any thread could.
#[derive(Clone)]
struct Shared(Arc<RwLock<State>>);

impl Shared {
    fn borrow(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn borrow_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scripts of a shell, once they have been read.
pub(crate) struct Scripts {
    /// Keeps the functions alive.
    _lua: Lua,
    state: Shared,
}

fn option<'a>(bundle: &'a Bundle, name: &str) -> Option<&'a str> {
    bundle.jobspec.at("/attributes/system/shell/options")?.get(name)?.as_str()
}

/// Is there a script to be read for this job?
pub(crate) fn wanted(bundle: &Bundle) -> bool {
    option(bundle, "initrc").is_some()
        || option(bundle, "userrc").is_some()
        || Path::new(SYSTEM).exists()
        || environment(bundle).contains_key(MORE)
        || !files::matching(SYSTEM_MORE).is_empty()
}

/// The environment of the job's tasks.
fn environment(bundle: &Bundle) -> Map<String, Value> {
    let own = bundle.jobspec.at("/attributes/system/environment").and_then(Value::as_object).cloned();
    own.unwrap_or_else(|| bundle.env.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect())
}

impl State {
    /// The directories of `FLUX_SHELL_RC_PATH`.
    fn more_rc_dirs(&self) -> Vec<String> {
        let path = self.environment.get(MORE).and_then(Value::as_str).unwrap_or_default();
        path.split(':').filter(|dir| !dir.is_empty()).map(str::to_owned).collect()
    }
}

/// Reads the scripts, and writes what they have changed into the bundle's jobspec. `plan` is that of the jobspec as it came.
///
/// # Errors
/// What the log says, and why the job cannot start.
pub(crate) fn load(bundle: &mut Bundle, plan: &Plan) -> Result<Scripts, (Vec<(u8, String)>, String)> {
    let lua = Lua::new();
    let state = Shared(Arc::new(RwLock::new(first_state(bundle, plan))));
    let (initrc, userrc) = (option(bundle, "initrc"), option(bundle, "userrc"));
    let sources_user = initrc.is_some() || Path::new(SYSTEM).exists();
    let outcome = api::install(&lua, &state).and_then(|()| {
        if let Some(path) = initrc.or_else(|| Path::new(SYSTEM).exists().then_some(SYSTEM)) {
            files::read(&lua, &state, path)?;
        } else {
            files::source(&lua, &state, SYSTEM_MORE, true)?;
            let dirs = state.borrow().more_rc_dirs();
            dirs.iter().try_for_each(|dir| files::source(&lua, &state, &format!("{dir}/*.lua"), true))?;
        }
        // The system's file reads it, if it is flux-core's.
        match userrc {
            Some(path) if !(sources_user && files::was_read(&lua, &state, path)) => files::read(&lua, &state, path),
            _ => Ok(()),
        }
    });
    if let Err(error) = outcome {
        let path = userrc.or(initrc).unwrap_or(SYSTEM);
        let why = state.borrow().died.clone();
        let why = why.unwrap_or_else(|| format!("loading rc file {path}: {}", files::told(&error)));
        return Err((std::mem::take(&mut state.borrow_mut().logs), why));
    }
    let now = state.borrow();
    let system = bundle.jobspec.pointer_mut("/attributes/system").and_then(Value::as_object_mut);
    if let Some(system) = system {
        system.insert("environment".to_owned(), Value::Object(now.environment.clone()));
        let shell = system.entry("shell").or_insert_with(|| json!({}));
        shell["options"] = Value::Object(now.options.clone());
    }
    drop(now);
    Ok(Scripts { _lua: lua, state })
}

fn first_state(bundle: &Bundle, plan: &Plan) -> State {
    let object = |pointer: &str| bundle.jobspec.at(pointer).and_then(Value::as_object).cloned();
    let environment = environment(bundle);
    let ranks = (0..bundle.shell_count).map(|rank| rank_info(bundle, plan, rank)).collect();
    let info = json!({
        "jobid": bundle.id.0.to_string(),
        "instance_owner": owner(bundle),
        "rank": bundle.shell_rank,
        "size": bundle.shell_count,
        "ntasks": plan.map.ntasks(),
        "service": bundle.service,
        "jobspec": bundle.jobspec,
        "R": bundle.resources,
    });
    State {
        options: object("/attributes/system/shell/options").unwrap_or_default(),
        environment,
        info,
        ranks,
        rank: bundle.shell_rank as usize,
        cwd: plan.cwd.clone().unwrap_or_default(),
        searchpath: String::new(),
        rcpath: String::new(),
        handlers: Vec::new(),
        task: None,
        logs: Vec::new(),
        died: None,
    }
}

/// Whose the broker's socket is.
fn owner(bundle: &Bundle) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    let path = bundle.uri.strip_prefix("local://").unwrap_or_default();
    std::fs::metadata(path).map_or(bundle.userid, |meta| meta.uid())
}

fn rank_info(bundle: &Bundle, plan: &Plan, rank: u32) -> Value {
    let allocation = flux_shell::bundle::Allocation::parse(&bundle.resources);
    let Some(node) = allocation.ok().and_then(|all| all.nodes.into_iter().nth(rank as usize)) else {
        return Value::Null;
    };
    let tasks = plan.map.taskids(rank);
    let text = |ids: &Idset| ids.encode(flux_types::IdsetFormat::RANGE);
    let mut resources = json!({"ncores": node.cores.count(), "cores": text(&node.cores)});
    if !node.gpus.is_empty() {
        resources["gpus"] = text(&node.gpus).into();
    }
    json!({
        "id": rank,
        "name": node.host,
        "broker_rank": node.rank,
        "ntasks": tasks.count(),
        "taskids": text(&tasks),
        "resources": resources,
    })
}

impl Scripts {
    /// Calls the handlers of a topic, in the order in which they were registered.
    ///
    /// # Errors
    /// What the first that failed said.
    fn call(&self, topic: &str) -> Result<(), String> {
        let fitting =
            |(pattern, function): &(String, Function)| glob::matches(pattern, topic).then(|| function.clone());
        let functions: Vec<Function> = self.state.borrow().handlers.iter().filter_map(fitting).collect();
        for function in functions {
            let outcome = function.call::<mlua::Value>(topic);
            if let Some(why) = self.state.borrow_mut().died.take() {
                return Err(why);
            }
            match outcome {
                Ok(mlua::Value::Integer(-1)) | Ok(mlua::Value::Boolean(false)) => {
                    return Err(format!("{topic}: a handler failed"));
                }
                Ok(_) => {}
                Err(error) => return Err(format!("{topic}: {}", files::told(&error))),
            }
        }
        Ok(())
    }

    /// The handlers of `shell.*`.
    ///
    /// # Errors
    /// As [`Scripts::call`].
    pub(crate) fn shell(&self, topic: &str) -> Result<(), String> {
        self.call(topic)
    }

    /// The handlers of `task.*` for one task. `changes` are those of its environment, which earlier handlers may have made.
    ///
    /// # Errors
    /// As [`Scripts::call`].
    pub(crate) fn task(
        &self,
        topic: &str,
        info: Value,
        env: BTreeMap<String, String>,
        changes: &mut BTreeMap<String, Option<String>>,
    ) -> Result<(), String> {
        let now = TaskNow { info, env, changes: std::mem::take(changes) };
        self.state.borrow_mut().task = Some(now);
        let outcome = self.call(topic);
        if let Some(now) = self.state.borrow_mut().task.take() {
            *changes = now.changes;
        }
        outcome
    }

    /// What was said since the last time.
    pub(crate) fn logs(&self) -> Vec<(u8, String)> {
        std::mem::take(&mut self.state.borrow_mut().logs)
    }

    /// Has any handler been registered?
    pub(crate) fn is_idle(&self) -> bool {
        self.state.borrow().handlers.is_empty()
    }
}
