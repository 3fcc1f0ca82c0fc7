//! JSON as Lua values, and back.

use mlua::{Lua, Table, Value as LuaValue};
use serde_json::{Map, Number, Value};

use crate::limits::RC_DEPTH_MAX;

pub(super) fn to_lua(lua: &Lua, value: &Value) -> mlua::Result<LuaValue> {
    Ok(match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(flag) => LuaValue::Boolean(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => LuaValue::Integer(whole),
            None => LuaValue::Number(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => LuaValue::String(lua.create_string(text)?),
        Value::Array(items) => {
            let table = lua.create_table()?;
            for item in items {
                table.raw_push(to_lua(lua, item)?)?;
            }
            LuaValue::Table(table)
        }
        Value::Object(map) => {
            let table = lua.create_table()?;
            for (key, item) in map {
                table.raw_set(key.as_str(), to_lua(lua, item)?)?;
            }
            LuaValue::Table(table)
        }
    })
}

/// # Errors
/// Functions and the like, and what is too deep.
pub(super) fn from_lua(value: &LuaValue, depth: usize) -> mlua::Result<Value> {
    if depth > RC_DEPTH_MAX {
        return Err(mlua::Error::runtime("a value is too deep"));
    }
    Ok(match value {
        LuaValue::Nil => Value::Null,
        LuaValue::Boolean(flag) => Value::Bool(*flag),
        LuaValue::Integer(whole) => (*whole).into(),
        LuaValue::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => (*number as i64).into(),
        LuaValue::Number(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        LuaValue::String(text) => text.to_string_lossy().into(),
        LuaValue::Table(table) => from_table(table, depth)?,
        other => return Err(mlua::Error::runtime(format!("a {} cannot be kept", other.type_name()))),
    })
}

fn from_table(table: &Table, depth: usize) -> mlua::Result<Value> {
    let length = table.raw_len();
    let mut map = Map::new();
    for pair in table.pairs::<LuaValue, LuaValue>() {
        let (key, value) = pair?;
        let key = match &key {
            LuaValue::String(text) => text.to_string_lossy(),
            LuaValue::Integer(number) => number.to_string(),
            other => return Err(mlua::Error::runtime(format!("a {} is no key", other.type_name()))),
        };
        map.insert(key, from_lua(&value, depth + 1)?);
    }
    if length > 0 && map.len() == length {
        let items = (1..=length).filter_map(|at| map.shift_remove(&at.to_string()));
        return Ok(Value::Array(items.collect()));
    }
    Ok(Value::Object(map))
}
