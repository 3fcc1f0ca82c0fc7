//! A match policy of the site: a Lua script that scores resources (ADR 12).
//!
//! A script has no way out of its machine: no files, no processes, no clock. Its memory and the instructions of one call are
//! bounded, as it runs inside the scheduler.

use super::MatchPolicy;
use super::parse::parse_policy;
use crate::graph::{Graph, VertexId};
use crate::intern::Subsystem;
use crate::limits::{SCRIPT_INSTRUCTIONS_MAX, SCRIPT_MEMORY_MAX, SCRIPT_SCORE_MAX};
use mlua::{HookTriggers, Lua, LuaOptions, StdLib, Table, Value, VmState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// How often the number of instructions is looked at.
const HOOK_PERIOD: u32 = 1000;
/// Scores of scripts are kept to a thousandth.
const SCORE_UNIT: f64 = 1000.0;

/// A script that is loaded.
pub struct Script {
    name: String,
    lua: Lua,
    score: mlua::Function,
    policy: MatchPolicy,
    instructions: Arc<AtomicU64>,
    /// What went wrong first since it was last asked.
    trouble: Mutex<Option<String>>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether the name of a policy is that of a script.
pub fn is_script(policy: &str) -> bool {
    policy.ends_with(".lua")
}

/// Lua tells where it was, line by line; the first says what.
fn told(error: &mlua::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or("");
    line.strip_prefix("runtime error: ").unwrap_or(line).to_owned()
}

impl Script {
    /// Runs the chunk: it returns a function that scores, or a table with it as `score` and any of `policy` (`high` or
    /// `low`: which scores are the better ones), `node_centric`, `node_exclusive`, `stop_on_1_matches` and `live`.
    ///
    /// # Errors
    /// A sentence: what Lua says of it, or what it lacks.
    pub fn load(path: &str, text: &str) -> Result<Script, String> {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        Script::run(&name, text).map_err(|error| format!("{name}: {}", told(&error)))
    }

    fn run(name: &str, text: &str) -> mlua::Result<Script> {
        let lua = Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::UTF8, LuaOptions::default())?;
        let instructions = Arc::default();
        confine(&lua, &instructions)?;
        let chunk = lua.load(text).set_name(format!("@{name}")).set_mode(mlua::chunk::ChunkMode::Text);
        let (score, policy) = match chunk.eval()? {
            Value::Function(score) => (score, composed(None)?),
            Value::Table(table) => match table.get("score")? {
                Value::Function(score) => (score, composed(Some(&table))?),
                _ => return Err(mlua::Error::runtime("the table has no function 'score'")),
            },
            _ => return Err(mlua::Error::runtime("it returns neither a function nor a table with one")),
        };
        let name = name.to_owned();
        Ok(Script { name, lua, score, policy, instructions, trouble: Mutex::new(None) })
    }

    pub(crate) fn policy(&self) -> MatchPolicy {
        self.policy
    }

    /// What went wrong since this was last asked; resources that a script fails at are not used.
    pub(crate) fn take_trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The score of a vertex, at least 1; 0 if neither it nor anything below it is to be used.
    pub(crate) fn score(&self, graph: &Graph, at: VertexId, dominant: Subsystem, time: Option<(i64, i64)>) -> i64 {
        self.instructions.store(0, Relaxed);
        let run = || -> mlua::Result<i64> {
            let value: Value = self.score.call(self.facts(graph, at, dominant, time)?)?;
            let number = match value {
                Value::Boolean(false) => return Ok(0),
                Value::Nil | Value::Boolean(true) => 0.0,
                Value::Integer(number) => number as f64,
                Value::Number(number) if number.is_nan() => return Ok(0),
                Value::Number(number) => number,
                _ => return Err(mlua::Error::runtime("a score is a number, nil or false")),
            };
            Ok((number.clamp(0.0, SCRIPT_SCORE_MAX) * SCORE_UNIT) as i64 + 1)
        };
        run().unwrap_or_else(|error| {
            let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            trouble.get_or_insert_with(|| format!("{}: {}", self.name, told(&error)));
            0
        })
    }

    /// What a script is told of a vertex; `time`, a moment and a duration, if it wants to know of its use too.
    fn facts(&self, graph: &Graph, at: VertexId, dominant: Subsystem, time: Option<(i64, i64)>) -> mlua::Result<Table> {
        let vertex = graph.vertex(at);
        let facts = self.lua.create_table_with_capacity(0, 12)?;
        facts.raw_set("type", graph.names.type_name(vertex.kind))?;
        facts.raw_set("basename", graph.names.text(vertex.basename))?;
        facts.raw_set("name", &*vertex.name)?;
        facts.raw_set("id", vertex.id)?;
        facts.raw_set("rank", vertex.rank)?;
        facts.raw_set("size", vertex.size)?;
        facts.raw_set("unit", graph.names.text(vertex.unit))?;
        facts.raw_set("path", vertex.path(dominant).unwrap_or(""))?;
        let properties = self.lua.create_table()?;
        for (key, value) in vertex.properties() {
            properties.raw_set(key, value)?;
        }
        facts.raw_set("properties", properties)?;
        let Some((moment, duration)) = time else { return Ok(facts) };
        facts.raw_set("free", vertex.free(moment, duration).unwrap_or(0))?;
        facts.raw_set("jobs", vertex.jobs.peak(moment, duration))?;
        let below = self.lua.create_table()?;
        for (index, kind) in vertex.below.iter().flat_map(|below| below.types().enumerate()) {
            let multi = vertex.below.as_ref().expect("its types were just listed");
            let counts = self.lua.create_table()?;
            counts.raw_set("total", multi.total(index))?;
            counts.raw_set("free", multi.free_at(index, moment))?;
            below.raw_set(graph.names.type_name(kind), counts)?;
        }
        facts.raw_set("below", below)?;
        Ok(facts)
    }
}

/// The policy a table composes; a score takes the place of ids.
fn composed(table: Option<&Table>) -> mlua::Result<MatchPolicy> {
    let mut text = String::new();
    let mut is_live = false;
    for pair in table.into_iter().flat_map(|table| table.pairs::<mlua::LuaString, Value>()) {
        let (key, value) = pair?;
        match (&*key.to_string_lossy(), value) {
            ("score", _) => {}
            ("live", Value::Boolean(live)) => is_live = live,
            ("policy", Value::String(value)) => text.push_str(&format!(" policy={}", value.to_string_lossy())),
            (key, Value::Boolean(value)) => text.push_str(&format!(" {key}={value}")),
            (key, _) => return Err(mlua::Error::runtime(format!("'{key}' is not what it should be"))),
        }
    }
    if !text.contains("policy=") {
        text.push_str(" policy=high");
    }
    let policy = parse_policy(text.trim()).map_err(mlua::Error::runtime)?;
    Ok(MatchPolicy { is_scripted: true, is_live, ..policy })
}

fn confine(lua: &Lua, instructions: &Arc<AtomicU64>) -> mlua::Result<()> {
    lua.set_memory_limit(SCRIPT_MEMORY_MAX)?;
    let counter = Arc::clone(instructions);
    lua.set_hook(HookTriggers { every_nth_instruction: Some(HOOK_PERIOD), ..HookTriggers::default() }, move |_, _| {
        match counter.fetch_add(u64::from(HOOK_PERIOD), Relaxed) >= SCRIPT_INSTRUCTIONS_MAX {
            true => Err(mlua::Error::runtime("the score takes too long")),
            false => Ok(VmState::Continue),
        }
    })?;
    let globals = lua.globals();
    for name in ["dofile", "loadfile", "print", "collectgarbage"] {
        globals.set(name, Value::Nil)?;
    }
    let math: Table = globals.get("math")?;
    math.set("random", Value::Nil)?;
    math.set("randomseed", Value::Nil)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_that_are_none_are_refused() {
        let rows = [
            ("return 1", "neither a function nor a table"),
            ("return {}", "no function 'score'"),
            ("return {score = 1}", "no function 'score'"),
            ("return {score = function() end, policy = 'mid'}", "accepts only low or high"),
            ("return {score = function() end, live = 3}", "'live' is not what it should be"),
            ("return {score = function() end, colour = true}", "invalid policy option: colour"),
            ("return function(", "p.lua:1"),
            ("while true do end", "takes too long"),
            ("local t = 'x' while true do t = t .. t end", "not enough memory"),
            ("return os.exit(1)", "'os'"),
        ];
        for (text, why) in rows {
            let said = Script::load("/a/p.lua", text).expect_err(text);
            assert!(said.starts_with("p.lua: ") && said.contains(why), "{text}: {said}");
        }
    }
}
