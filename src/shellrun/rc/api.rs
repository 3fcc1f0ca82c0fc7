//! What scripts find: `shell`, `plugin`, `task`, `coprocess`, `source` and `source_if_exists`.

use flux_types::glob;
use mlua::{Function, Lua, Table, Value as LuaValue, Variadic};
use serde_json::{Map, Value, json};

use super::value::{from_lua, to_lua};
use super::{Shared, files};
use crate::limits::RC_HANDLERS_MAX;
use crate::shell::{DEBUG, ERR, NOTICE};

const OUTSIDE: &str = "attempt to access task outside of task context";

fn wrong(text: impl Into<String>) -> mlua::Error {
    mlua::Error::runtime(text.into())
}

pub(super) fn install(lua: &Lua, state: &Shared) -> mlua::Result<()> {
    let globals = lua.globals();
    globals.set("shell", shell(lua, state)?)?;
    globals.set("plugin", plugin(lua, state)?)?;
    globals.set("task", task(lua, state)?)?;
    globals.set("coprocess", coprocess(lua, state)?)?;
    for (name, may_lack) in [("source", false), ("source_if_exists", true)] {
        let state = state.clone();
        let source = move |lua: &Lua, path: String| files::source(lua, &state, &path, may_lack);
        globals.set(name, lua.create_function(source)?)?;
    }
    Ok(())
}

/// A table whose unknown keys are looked up, and set, by functions.
fn virtual_table(lua: &Lua, table: Table, index: Function, newindex: Option<Function>) -> mlua::Result<Table> {
    let meta = lua.create_table()?;
    meta.set("__index", index)?;
    if let Some(newindex) = newindex {
        meta.set("__newindex", newindex)?;
    }
    table.set_metatable(Some(meta))?;
    Ok(table)
}

fn shell(lua: &Lua, state: &Shared) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    words(lua, state, &table)?;
    environment(lua, state, &table)?;
    sources(lua, state, &table)?;
    let options = options(lua, state)?;
    let of = state.clone();
    let rank_of = state.clone();
    let rank_info = move |lua: &Lua, rank: Option<usize>| {
        let now = rank_of.borrow();
        let rank = rank.unwrap_or(now.rank);
        let info = now.ranks.get(rank).ok_or_else(|| wrong(format!("no shell has rank {rank}")))?;
        to_lua(lua, info)
    };
    table.set("get_rankinfo", lua.create_function(rank_info)?)?;
    let index = move |lua: &Lua, (_, key): (Table, String)| {
        let now = of.borrow();
        match key.as_str() {
            "options" => Ok(LuaValue::Table(options.clone())),
            "info" => {
                let mut info = now.info.clone();
                info["options"] = Value::Object(now.options.clone());
                to_lua(lua, &info)
            }
            "rankinfo" => to_lua(lua, now.ranks.get(now.rank).unwrap_or(&Value::Null)),
            "rcpath" => Ok(LuaValue::String(lua.create_string(&now.rcpath)?)),
            "verbose" => to_lua(lua, now.options.get("verbose").unwrap_or(&json!(0))),
            _ => Ok(LuaValue::Nil),
        }
    };
    virtual_table(lua, table, lua.create_function(index)?, None)
}

fn options(lua: &Lua, state: &Shared) -> mlua::Result<Table> {
    let (of, into) = (state.clone(), state.clone());
    let index = move |lua: &Lua, (_, key): (Table, String)| {
        let now = of.borrow();
        match now.options.get(&key) {
            None if key == "verbose" => Ok(LuaValue::Integer(0)),
            None => Ok(LuaValue::Nil),
            Some(value) => to_lua(lua, value),
        }
    };
    let newindex = move |_: &Lua, (_, key, value): (Table, String, LuaValue)| {
        let mut now = into.borrow_mut();
        match value {
            LuaValue::Nil => drop(now.options.shift_remove(&key)),
            value => drop(now.options.insert(key, from_lua(&value, 0)?)),
        }
        Ok(())
    };
    let (index, newindex) = (lua.create_function(index)?, lua.create_function(newindex)?);
    virtual_table(lua, lua.create_table()?, index, Some(newindex))
}

/// `log`, `debug`, `log_error`, `die`.
fn words(lua: &Lua, state: &Shared, table: &Table) -> mlua::Result<()> {
    for (name, level) in [("log", NOTICE), ("debug", DEBUG), ("log_error", ERR)] {
        let state = state.clone();
        let log = move |lua: &Lua, value: LuaValue| {
            let text = lua.coerce_string(value)?.map(|text| text.to_string_lossy()).unwrap_or_default();
            state.borrow_mut().log(level, text);
            Ok(())
        };
        table.set(name, lua.create_function(log)?)?;
    }
    let state = state.clone();
    let die = move |_: &Lua, text: String| -> mlua::Result<()> {
        state.borrow_mut().died = Some(text.clone());
        Err(wrong(text))
    };
    table.set("die", lua.create_function(die)?)
}

/// `getenv`, `setenv`, `unsetenv`, `prepend_path`, `env_strip`.
fn environment(lua: &Lua, state: &Shared, table: &Table) -> mlua::Result<()> {
    let of = state.clone();
    let getenv = move |lua: &Lua, name: Option<String>| {
        let now = of.borrow();
        match name {
            Some(name) => to_lua(lua, now.environment.get(&name).unwrap_or(&Value::Null)),
            None => to_lua(lua, &Value::Object(now.environment.clone())),
        }
    };
    table.set("getenv", lua.create_function(getenv)?)?;
    let of = state.clone();
    let setenv = move |lua: &Lua, (name, value, overwrite): (String, LuaValue, Option<LuaValue>)| {
        let value = lua.coerce_string(value)?.ok_or_else(|| wrong("setenv: the value is no text"))?;
        let mut now = of.borrow_mut();
        if is_true(overwrite.as_ref()) || !now.environment.contains_key(&name) {
            now.environment.insert(name, value.to_string_lossy().into());
        }
        Ok(true)
    };
    table.set("setenv", lua.create_function(setenv)?)?;
    let of = state.clone();
    let unsetenv = move |_: &Lua, name: String| {
        of.borrow_mut().environment.shift_remove(&name);
        Ok(true)
    };
    table.set("unsetenv", lua.create_function(unsetenv)?)?;
    let of = state.clone();
    let prepend = move |_: &Lua, (name, path): (String, String)| {
        let mut now = of.borrow_mut();
        let value = match now.environment.get(&name).and_then(Value::as_str).filter(|rest| !rest.is_empty()) {
            Some(rest) => format!("{path}:{rest}"),
            None => path,
        };
        now.environment.insert(name, value.into());
        Ok(())
    };
    table.set("prepend_path", lua.create_function(prepend)?)?;
    let of = state.clone();
    let strip = move |lua: &Lua, patterns: Variadic<String>| {
        let find: Function = lua.globals().get::<Table>("string")?.get("match")?;
        let names: Vec<String> = of.borrow().environment.keys().cloned().collect();
        for name in names {
            for pattern in patterns.iter() {
                if find.call::<LuaValue>((name.as_str(), pattern.as_str()))? != LuaValue::Nil {
                    of.borrow_mut().environment.shift_remove(&name);
                }
            }
        }
        Ok(())
    };
    table.set("env_strip", lua.create_function(strip)?)
}

/// Left out, or anything but false and 0.
fn is_true(value: Option<&LuaValue>) -> bool {
    !matches!(value, Some(LuaValue::Boolean(false) | LuaValue::Integer(0)))
}

/// `source_rcpath`, `source_rcpath_option`, `getopt_with_version`.
fn sources(lua: &Lua, state: &Shared, table: &Table) -> mlua::Result<()> {
    let of = state.clone();
    let rcpath = move |lua: &Lua, pattern: String| {
        let own = format!("{}/lua.d", of.borrow().rcpath);
        let dirs: Vec<String> = [own].into_iter().chain(of.borrow().more_rc_dirs()).collect();
        dirs.iter().try_for_each(|dir| files::source(lua, &of, &format!("{dir}/{pattern}"), true))
    };
    table.set("source_rcpath", lua.create_function(rcpath)?)?;
    let of = state.clone();
    let of_option = move |lua: &Lua, option: String| {
        let now = of.borrow();
        let Some((name, version)) = versioned(&now.options, &option) else { return Ok(()) };
        let at = version.map(|version| format!("@{version}")).unwrap_or_default();
        let own = format!("{}/lua.d", now.rcpath);
        let dirs: Vec<String> = [own].into_iter().chain(now.more_rc_dirs()).collect();
        drop(now);
        dirs.iter().try_for_each(|dir| files::source(lua, &of, &format!("{dir}/{option}/{name}{at}.lua"), true))
    };
    table.set("source_rcpath_option", lua.create_function(of_option)?)?;
    let of = state.clone();
    let getopt = move |_: &Lua, option: String| Ok(versioned(&of.borrow().options, &option).unzip_version());
    table.set("getopt_with_version", lua.create_function(getopt)?)
}

/// The value of an option before and after its `@`.
fn versioned(options: &Map<String, Value>, name: &str) -> Option<(String, Option<String>)> {
    let value = match options.get(name)? {
        Value::String(text) => text.clone(),
        Value::Null => return None,
        other => other.to_string(),
    };
    Some(match value.split_once('@') {
        Some((value, version)) => (value.to_owned(), Some(version.to_owned())),
        None => (value, None),
    })
}

trait UnzipVersion {
    fn unzip_version(self) -> (Option<String>, Option<String>);
}

impl UnzipVersion for Option<(String, Option<String>)> {
    fn unzip_version(self) -> (Option<String>, Option<String>) {
        self.map_or((None, None), |(value, version)| (Some(value), version))
    }
}

fn plugin(lua: &Lua, state: &Shared) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.set("load", lua.create_function(load)?)?;
    let of = state.clone();
    let register = move |_: &Lua, spec: LuaValue| {
        let LuaValue::Table(spec) = spec else { return Err(wrong("plugin.register: required table argument")) };
        let LuaValue::Table(handlers) = spec.get::<LuaValue>("handlers")? else {
            return Err(wrong("required handlers table missing"));
        };
        for handler in handlers.sequence_values::<Table>() {
            let handler = handler.map_err(|_| wrong("plugin.register: a handler is no table"))?;
            let topic = handler.get::<Option<String>>("topic")?;
            let function = handler.get::<Option<Function>>("fn")?;
            let (Some(topic), Some(function)) = (topic, function) else {
                return Err(wrong("plugin.register: a handler needs `topic` and `fn`"));
            };
            let mut now = of.borrow_mut();
            if now.handlers.len() >= RC_HANDLERS_MAX {
                return Err(wrong(format!("plugin.register: more than {RC_HANDLERS_MAX} handlers")));
            }
            now.handlers.push((topic, function));
        }
        Ok(())
    };
    table.set("register", lua.create_function(register)?)?;
    let (of, into) = (state.clone(), state.clone());
    let index = move |lua: &Lua, (_, key): (Table, String)| match key.as_str() {
        "searchpath" => Ok(LuaValue::String(lua.create_string(&of.borrow().searchpath)?)),
        _ => Ok(LuaValue::Nil),
    };
    let newindex = move |_: &Lua, (_, key, value): (Table, String, String)| {
        if key != "searchpath" {
            return Err(wrong(format!("plugin.{key} cannot be set")));
        }
        into.borrow_mut().searchpath = value;
        Ok(())
    };
    let (index, newindex) = (lua.create_function(index)?, lua.create_function(newindex)?);
    virtual_table(lua, table, index, Some(newindex))
}

/// Shared objects cannot be loaded by a static program: a pattern finds none, and a name that must be there is an error.
fn load(_: &Lua, spec: LuaValue) -> mlua::Result<()> {
    let file = match &spec {
        LuaValue::String(text) => Some(text.to_string_lossy()),
        LuaValue::Table(table) => table.get::<Option<String>>("file")?,
        _ => None,
    };
    let file = file.ok_or_else(|| wrong("plugin.load: required `file` missing"))?;
    if glob::is_pattern(&file) {
        return Ok(());
    }
    Err(wrong(format!("plugin.load: {file}: File not found (this shell loads no shared objects)")))
}

/// `task.*` exists only while a handler of `task.*` runs.
fn task(lua: &Lua, state: &Shared) -> mlua::Result<Table> {
    let of = state.clone();
    let getenv = move |lua: &Lua, name: String| {
        let now = of.borrow();
        let task = now.task.as_ref().ok_or_else(|| wrong(OUTSIDE))?;
        let value = match task.changes.get(&name) {
            Some(change) => change.as_ref(),
            None => task.env.get(&name),
        };
        value.map(|value| lua.create_string(value)).transpose()
    };
    let of = state.clone();
    let setenv = move |lua: &Lua, (name, value, overwrite): (String, LuaValue, Option<LuaValue>)| {
        let value = lua.coerce_string(value)?.ok_or_else(|| wrong("task.setenv: the value is no text"))?;
        let mut now = of.borrow_mut();
        let task = now.task.as_mut().ok_or_else(|| wrong(OUTSIDE))?;
        let is_set = task.changes.get(&name).map_or(task.env.contains_key(&name), Option::is_some);
        if is_true(overwrite.as_ref()) || !is_set {
            task.changes.insert(name, Some(value.to_string_lossy()));
        }
        Ok(true)
    };
    let of = state.clone();
    let unsetenv = move |_: &Lua, name: String| {
        let mut now = of.borrow_mut();
        let task = now.task.as_mut().ok_or_else(|| wrong(OUTSIDE))?;
        task.changes.insert(name, None);
        Ok(true)
    };
    let (getenv, setenv) = (lua.create_function(getenv)?, lua.create_function(setenv)?);
    let unsetenv = lua.create_function(unsetenv)?;
    let of = state.clone();
    let index = move |lua: &Lua, (_, key): (Table, String)| {
        let now = of.borrow();
        let task = now.task.as_ref();
        let task = task.ok_or_else(|| wrong(OUTSIDE))?;
        Ok(match key.as_str() {
            "info" => to_lua(lua, &task.info)?,
            "getenv" => LuaValue::Function(getenv.clone()),
            "setenv" => LuaValue::Function(setenv.clone()),
            "unsetenv" => LuaValue::Function(unsetenv.clone()),
            _ => LuaValue::Nil,
        })
    };
    virtual_table(lua, lua.create_table()?, lua.create_function(index)?, None)
}

/// `coprocess.define`: a co-process that the shell option of its name turns on, and changes.
fn coprocess(lua: &Lua, state: &Shared) -> mlua::Result<Table> {
    let state = state.clone();
    let define = move |_: &Lua, spec: Table| {
        let Value::Object(mut spec) = from_lua(&LuaValue::Table(spec), 0)? else {
            return Err(wrong("coprocess.define: required table argument"));
        };
        let Some(Value::String(name)) = spec.shift_remove("name") else {
            return Err(wrong("coprocess.define: required `name` missing"));
        };
        if !spec.contains_key("command") {
            return Err(wrong(format!("coprocess.define: {name}: required `command` missing")));
        }
        let mut now = state.borrow_mut();
        match now.options.get(&name) {
            None | Some(Value::Null | Value::Bool(false)) => return Ok(()),
            Some(Value::Number(number)) if number.as_i64() == Some(0) => return Ok(()),
            Some(Value::Object(changes)) => spec.extend(changes.clone()),
            Some(_) => {}
        }
        let all = now.options.entry("coprocess").or_insert_with(|| json!({}));
        let all = all.as_object_mut().ok_or_else(|| wrong("coprocess.define: the option coprocess is no object"))?;
        all.insert(name, Value::Object(spec));
        Ok(())
    };
    let table = lua.create_table()?;
    table.set("define", lua.create_function(define)?)?;
    Ok(table)
}
