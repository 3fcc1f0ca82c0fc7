//! One Lua plugin: its virtual machine, its handlers, and what it wants done.
//!
//! A plugin has no way out of its machine: no files, no processes, no clock. Its memory and the instructions of one call are
//! bounded, as it runs inside the job manager.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flux_service::Mono;
use flux_types::{JobId, JobState};
use mlua::{HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table, Value as LuaValue, VmState};
use serde_json::{Map, Value, json};

use super::glob;
use crate::limits::{LUA_ACTIONS_MAX, LUA_DEPTH_MAX, LUA_INSTRUCTIONS_MAX, LUA_MEMORY_MAX};
use crate::manager::archive::Archive;
use crate::manager::job::Job;

/// How often the number of instructions is looked at.
const HOOK_PERIOD: u32 = 10_000;

/// What a plugin may ask of the job manager while a handler runs; done when the handler has returned.
pub(super) const ACTIONS: [&str; 17] = [
    "raise",
    "dependency_add",
    "dependency_remove",
    "post_event",
    "prolog_start",
    "prolog_finish",
    "epilog_start",
    "epilog_finish",
    "subscribe",
    "unsubscribe",
    "reprioritize",
    "reprioritize_all",
    "set_flag",
    "jobspec_update",
    "timer",
    "timer_cancel",
    "log",
];

/// `flux.NAME{...}` of a handler.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Action {
    pub(super) name: &'static str,
    pub(super) args: Value,
}

/// A plugin that is loaded.
pub(in crate::manager) struct Script {
    pub(super) name: String,
    pub(super) path: String,
    lua: Lua,
    handlers: Table,
    /// Topics with handlers; some are patterns.
    topics: Vec<String>,
    actions: Arc<Mutex<Vec<Action>>>,
    instructions: Arc<AtomicU64>,
    pub(super) subscribed: BTreeSet<JobId>,
    /// By name: when `timer.NAME` is called.
    pub(super) timers: BTreeMap<String, Mono>,
    flux: Table,
}

/// What a handler may look at while it runs.
pub(super) struct Look<'a> {
    pub(super) jobs: &'a BTreeMap<JobId, Box<Job>>,
    pub(super) archive: &'a Archive,
}

impl Look<'_> {
    /// `flux.job(ID)`: as handlers are told of a job; of one that is over, how it ended; else null.
    fn job(&self, id: JobId) -> Value {
        if let Some(job) = self.jobs.get(&id) {
            return Value::Object(super::call::arguments(job));
        }
        let Some(finished) = self.archive.get(id) else { return Value::Null };
        let result = finished.ended().result;
        json!({"id": id.0, "userid": finished.userid, "state": JobState::Inactive.bit(), "result": result.name()})
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script").field("path", &self.path).field("topics", &self.topics).finish()
    }
}

impl Script {
    /// Runs the chunk, which returns a table of handlers by topic.
    ///
    /// # Errors
    /// A sentence: what Lua says of it.
    pub(super) fn load(path: &str, text: &str, conf: &Value) -> Result<Script, String> {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let told = |error: mlua::Error| first_line(&error.to_string());
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::UTF8;
        let lua = Lua::new_with(libraries, LuaOptions::default()).map_err(told)?;
        let (actions, instructions) = (Arc::default(), Arc::default());
        prepare(&lua, &actions, &instructions, conf).map_err(told)?;
        let chunk = lua.load(text).set_name(format!("@{name}")).set_mode(mlua::chunk::ChunkMode::Text);
        let handlers: Table = chunk.eval().map_err(|error| match error {
            mlua::Error::FromLuaConversionError { .. } => format!("{name} returns no table of handlers"),
            error => told(error),
        })?;
        let mut topics = Vec::new();
        for pair in handlers.pairs::<LuaValue, LuaValue>() {
            let (key, value) = pair.map_err(told)?;
            match (key.as_string().and_then(|key| key.to_str().ok()), value) {
                (Some(topic), LuaValue::Function(_)) => topics.push(topic.to_owned()),
                _ => return Err(format!("{name} returns something other than functions by topic")),
            }
        }
        topics.sort();
        let (path, subscribed, timers) = (path.to_owned(), BTreeSet::new(), BTreeMap::new());
        let flux = lua.globals().get("flux").map_err(told)?;
        Ok(Script { name, path, lua, handlers, topics, actions, instructions, subscribed, timers, flux })
    }

    /// The handler's key for a topic; exact ones go first.
    fn handler(&self, topic: &str) -> Option<&str> {
        let exact = self.topics.iter().find(|known| *known == topic);
        exact.or_else(|| self.topics.iter().find(|known| known.contains('*') && glob(known, topic))).map(String::as_str)
    }

    pub(super) fn handles(&self, topic: &str) -> bool {
        self.handler(topic).is_some()
    }

    /// Calls the handler of a topic: what it returns, or why it refuses (its second value, or its error); `None` if it has none.
    pub(super) fn call(&self, topic: &str, args: &Value, look: &Look<'_>) -> Option<Result<Value, String>> {
        let key = self.handler(topic)?;
        self.instructions.store(0, Relaxed);
        let run = || -> mlua::Result<MultiValue> {
            let function: mlua::Function = self.handlers.get(key)?;
            self.lua.scope(|scope| {
                let job = scope.create_function(|lua, id: i64| to_lua(lua, &look.job(JobId(id as u64))))?;
                self.flux.raw_set("job", job)?;
                let jobs = scope.create_function(|lua, ()| {
                    lua.create_sequence_from(look.jobs.keys().map(|id| LuaValue::Integer(id.0 as i64)))
                })?;
                self.flux.raw_set("jobs", jobs)?;
                function.call((to_lua(&self.lua, args)?, topic))
            })
        };
        Some(match run() {
            Err(error) => Err(first_line(&error.to_string())),
            Ok(values) => {
                let mut values = values.into_iter();
                let (first, second) = (values.next().unwrap_or(LuaValue::Nil), values.next());
                match (first, second) {
                    (LuaValue::Nil | LuaValue::Boolean(false), Some(LuaValue::String(why))) => {
                        Err(why.to_string_lossy())
                    }
                    (LuaValue::Boolean(false), _) => Err(String::new()),
                    (value, _) => from_lua(value, 0).map_err(|error| first_line(&error.to_string())),
                }
            }
        })
    }

    pub(super) fn take_actions(&self) -> Vec<Action> {
        std::mem::take(&mut *locked(&self.actions))
    }
}

fn locked(actions: &Mutex<Vec<Action>>) -> MutexGuard<'_, Vec<Action>> {
    actions.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lua tells where it was, line by line; the first says what.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    line.strip_prefix("runtime error: ").unwrap_or(line).to_owned()
}

fn prepare(
    lua: &Lua,
    actions: &Arc<Mutex<Vec<Action>>>,
    instructions: &Arc<AtomicU64>,
    conf: &Value,
) -> mlua::Result<()> {
    lua.set_memory_limit(LUA_MEMORY_MAX)?;
    let counter = Arc::clone(instructions);
    lua.set_hook(HookTriggers { every_nth_instruction: Some(HOOK_PERIOD), ..HookTriggers::default() }, move |_, _| {
        match counter.fetch_add(u64::from(HOOK_PERIOD), Relaxed) >= LUA_INSTRUCTIONS_MAX {
            true => Err(mlua::Error::runtime("the handler takes too long")),
            false => Ok(VmState::Continue),
        }
    })?;
    let globals = lua.globals();
    for name in ["dofile", "loadfile", "print", "collectgarbage"] {
        globals.set(name, LuaValue::Nil)?;
    }
    let math: Table = globals.get("math")?;
    math.set("random", LuaValue::Nil)?;
    math.set("randomseed", LuaValue::Nil)?;
    let flux = lua.create_table()?;
    for name in ACTIONS {
        let actions = Arc::clone(actions);
        let act = lua.create_function(move |_, args: LuaValue| {
            let args = from_lua(args, 0)?;
            let mut actions = locked(&actions);
            if actions.len() >= LUA_ACTIONS_MAX {
                return Err(mlua::Error::runtime(format!("more than {LUA_ACTIONS_MAX} requests in one handler")));
            }
            actions.push(Action { name, args });
            Ok(())
        })?;
        flux.set(name, act)?;
    }
    flux.set("null", LuaValue::NULL)?;
    flux.set("conf", to_lua(lua, conf)?)?;
    globals.set("flux", flux)
}

fn to_lua(lua: &Lua, value: &Value) -> mlua::Result<LuaValue> {
    Ok(match value {
        Value::Null => LuaValue::NULL,
        Value::Bool(truth) => LuaValue::Boolean(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => LuaValue::Integer(number),
            (None, Some(number)) => LuaValue::Integer(number as i64),
            (None, None) => LuaValue::Number(number.as_f64().unwrap_or(0.0)),
        },
        Value::String(text) => LuaValue::String(lua.create_string(text)?),
        Value::Array(list) => {
            let table = lua.create_table_with_capacity(list.len(), 0)?;
            for (at, value) in list.iter().enumerate() {
                table.raw_set(at + 1, to_lua(lua, value)?)?;
            }
            LuaValue::Table(table)
        }
        Value::Object(map) => {
            let table = lua.create_table_with_capacity(0, map.len())?;
            for (key, value) in map {
                table.raw_set(key.as_str(), to_lua(lua, value)?)?;
            }
            LuaValue::Table(table)
        }
    })
}

/// A table with a first element is an array, any other an object.
fn from_lua(value: LuaValue, depth: usize) -> mlua::Result<Value> {
    if depth > LUA_DEPTH_MAX {
        return Err(mlua::Error::runtime(format!("tables are nested more than {LUA_DEPTH_MAX} deep")));
    }
    Ok(match value {
        LuaValue::Boolean(truth) => truth.into(),
        LuaValue::Integer(number) => number.into(),
        LuaValue::Number(number) => number.into(),
        LuaValue::String(text) => text.to_string_lossy().into(),
        LuaValue::Table(table) if table.raw_len() > 0 => {
            let list = table.sequence_values::<LuaValue>().map(|value| from_lua(value?, depth + 1));
            Value::Array(list.collect::<mlua::Result<_>>()?)
        }
        LuaValue::Table(table) => {
            let mut pairs = Vec::new();
            for pair in table.pairs::<mlua::LuaString, LuaValue>() {
                let (key, value) = pair?;
                pairs.push((key.to_string_lossy(), from_lua(value, depth + 1)?));
            }
            pairs.sort_by(|a, b| a.0.cmp(&b.0)); // Lua's own order is another one in every process.
            Value::Object(pairs.into_iter().collect::<Map<String, Value>>())
        }
        _ => Value::Null,
    })
}
