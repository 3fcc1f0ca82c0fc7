//! The text forms of a task map: JSON (RFC 34), PMI-1 (RFC 13) and raw.

use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};

use super::{Block, Taskmap};
use crate::idset::{Idset, IdsetError, IdsetFormat};
use crate::limits::{TASKMAP_NODES_MAX, TASKMAP_TASKS_MAX, TASKMAP_TEXT_LEN_MAX};

/// Why something is not a task map, or cannot be written in a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskmapError {
    /// Not JSON, or JSON of another shape; says what was expected.
    Json(String),
    /// A block that is not four whole numbers, the last three 1 or more.
    BadBlock,
    Version {
        got: String,
    },
    /// Not `(vector,(NODEID,NNODES,PPN),...)`.
    Pmi {
        text: String,
    },
    /// A node's tasks in the raw form are not an idset.
    Idset(IdsetError),
    /// A task that two nodes have in the raw form.
    Duplicate {
        taskid: u32,
    },
    /// A task that no node has in the raw form, though a later one exists.
    Missing {
        taskid: u32,
    },
    /// Over the limits of tasks, nodes or text.
    TooLarge,
    /// A node without tasks, which the raw form cannot express.
    EmptyNode {
        nodeid: usize,
    },
}

impl TaskmapError {
    /// The Linux errno for a peer: 22 is EINVAL, 7 is E2BIG, 2 is ENOENT.
    pub const fn errno(&self) -> i32 {
        match self {
            Self::TooLarge => 7,
            Self::EmptyNode { .. } => 2,
            _ => 22,
        }
    }
}

impl fmt::Display for TaskmapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(expected) => write!(f, "task map: {expected}"),
            Self::BadBlock => {
                write!(f, "a task map block is [nodeid,nnodes,ppn,repeat], the last three 1 or more")
            }
            Self::Version { got } => write!(f, "expected version=1, got {got}"),
            Self::Pmi { text } => write!(f, "'{text}' is not a PMI process mapping"),
            Self::Idset(error) => write!(f, "{error}"),
            Self::Duplicate { taskid } => write!(f, "task {taskid} is on two nodes of the task map"),
            Self::Missing { taskid } => write!(f, "task {taskid} is on no node of the task map"),
            Self::TooLarge => {
                write!(f, "a task map is limited to {TASKMAP_TASKS_MAX} tasks and {TASKMAP_NODES_MAX} nodes")
            }
            Self::EmptyNode { nodeid } => write!(f, "node {nodeid} of the task map has no tasks"),
        }
    }
}

impl std::error::Error for TaskmapError {}

impl Taskmap {
    /// Reads any form: RFC 34 JSON (bare or wrapped), PMI-1 `PMI_process_mapping`, or raw (`0-1;2-3`).
    /// The empty text is the unknown mapping, as in PMI-1.
    ///
    /// # Errors
    /// See `TaskmapError`.
    pub fn parse(text: &str) -> Result<Taskmap, TaskmapError> {
        if text.len() > TASKMAP_TEXT_LEN_MAX {
            return Err(TaskmapError::TooLarge);
        }
        if text.is_empty() {
            return Ok(Taskmap::new());
        }
        if text.contains("vector,") {
            return parse_pmi(text);
        }
        if !text.contains(['(', ')', '[', ']', '{', '}']) {
            return parse_raw(text);
        }
        let value: Value = serde_json::from_str(text).map_err(|e| TaskmapError::Json(e.to_string()))?;
        Taskmap::from_value(&value)
    }

    /// Reads RFC 34 JSON: the array of blocks, bare or in an object with `version` and `map`.
    ///
    /// # Errors
    /// `Json`, `Version`, `BadBlock`, `TooLarge`.
    pub fn from_value(value: &Value) -> Result<Taskmap, TaskmapError> {
        let blocks = match value {
            Value::Object(object) => {
                match object.get("version") {
                    Some(version) if version.as_u64() == Some(1) => {}
                    Some(version) => {
                        return Err(TaskmapError::Version { got: version.to_string().chars().take(20).collect() });
                    }
                    None => return Err(TaskmapError::Json("an object with version and map".into())),
                }
                object.get("map").ok_or_else(|| TaskmapError::Json("an object with version and map".into()))?
            }
            other => other,
        };
        let blocks = blocks.as_array().ok_or_else(|| TaskmapError::Json("an array of blocks".into()))?;
        let mut map = Taskmap::new();
        for block in blocks {
            let numbers: Option<Vec<u32>> = block
                .as_array()
                .and_then(|numbers| numbers.iter().map(|n| n.as_u64().and_then(|n| u32::try_from(n).ok())).collect());
            let Some(&[nodeid, nnodes, ppn, repeat]) = numbers.as_deref() else { return Err(TaskmapError::BadBlock) };
            let block = map.admit(nodeid, nnodes, ppn, repeat)?;
            map.blocks.push(block);
        }
        Ok(map)
    }

    /// The blocks as RFC 34 JSON, without the object around them.
    pub fn to_value(&self) -> Value {
        self.blocks.iter().map(|b| json!([b.nodeid, b.nnodes, b.ppn, b.repeat])).collect()
    }

    /// The blocks in their object: `{"version":1,"map":[...]}`.
    pub fn to_wrapped_value(&self) -> Value {
        json!({"version": 1, "map": self.to_value()})
    }

    /// PMI-1's `PMI_process_mapping`, which writes every repetition out; empty if the mapping is unknown.
    ///
    /// # Errors
    /// `TooLarge` past `TASKMAP_TEXT_LEN_MAX`.
    pub fn encode_pmi(&self) -> Result<String, TaskmapError> {
        if self.is_unknown() {
            return Ok(String::new());
        }
        let mut out = String::from("(vector");
        for Block { nodeid, nnodes, ppn, repeat } in &self.blocks {
            let tuple = format!(",({nodeid},{nnodes},{ppn})");
            if out.len() + tuple.len() * *repeat as usize >= TASKMAP_TEXT_LEN_MAX {
                return Err(TaskmapError::TooLarge);
            }
            out.push_str(&tuple.repeat(*repeat as usize));
        }
        out.push(')');
        Ok(out)
    }

    /// The raw form, each node's tasks in turn: `0-1;2-3`, or `0,1;2,3` without `ranges`.
    ///
    /// # Errors
    /// `EmptyNode` for a node without tasks, `TooLarge` past `TASKMAP_TEXT_LEN_MAX`.
    pub fn encode_raw(&self, ranges: bool) -> Result<String, TaskmapError> {
        let mut nodes = vec![Idset::new(); self.nnodes()];
        let mut current = 0u32;
        for block in &self.blocks {
            for _ in 0..block.repeat {
                for node in block.nodeid..block.end() {
                    nodes[node as usize].insert_range(current, current + block.ppn - 1);
                    current += block.ppn;
                }
            }
        }
        let format = if ranges { IdsetFormat::RANGE } else { IdsetFormat::PLAIN };
        let mut out = String::new();
        for (nodeid, tasks) in nodes.iter().enumerate() {
            if tasks.is_empty() {
                return Err(TaskmapError::EmptyNode { nodeid });
            }
            if nodeid > 0 {
                out.push(';');
            }
            out.push_str(&tasks.encode(format));
            if out.len() > TASKMAP_TEXT_LEN_MAX {
                return Err(TaskmapError::TooLarge);
            }
        }
        Ok(out)
    }
}

fn parse_pmi(text: &str) -> Result<Taskmap, TaskmapError> {
    let bad = || TaskmapError::Pmi { text: text.chars().take(64).collect() };
    let inner = text.trim().strip_prefix('(').and_then(|t| t.strip_suffix(')')).ok_or_else(bad)?;
    let mut rest = inner.trim_start().strip_prefix("vector").ok_or_else(bad)?.trim();
    let mut map = Taskmap::new();
    while !rest.is_empty() {
        let open = rest.strip_prefix(',').and_then(|t| t.trim_start().strip_prefix('(')).ok_or_else(bad)?;
        let (tuple, after) = open.split_once(')').ok_or_else(bad)?;
        let numbers: Option<Vec<u32>> = tuple.split(',').map(|n| parse_number(n.trim())).collect();
        let Some(&[nodeid, nnodes, ppn]) = numbers.as_deref() else { return Err(bad()) };
        map.append(nodeid, nnodes, ppn)?;
        rest = after.trim_start();
    }
    if map.is_unknown() { Err(bad()) } else { Ok(map) }
}

fn parse_number(text: &str) -> Option<u32> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn parse_raw(text: &str) -> Result<Taskmap, TaskmapError> {
    let mut runs: Vec<(u32, u32, u32)> = Vec::new();
    for (nodeid, tasks) in text.split(';').filter(|tasks| !tasks.is_empty()).enumerate() {
        let tasks = Idset::parse(tasks).map_err(TaskmapError::Idset)?;
        runs.extend(tasks.ranges().iter().map(|(lo, hi)| (*lo, *hi, nodeid as u32)));
    }
    runs.sort_unstable();
    let mut map = Taskmap::new();
    let mut next = 0;
    for (lo, hi, nodeid) in runs {
        if lo > next {
            return Err(TaskmapError::Missing { taskid: next });
        }
        if lo < next {
            return Err(TaskmapError::Duplicate { taskid: lo });
        }
        map.append(nodeid, 1, hi - lo + 1)?;
        next = hi + 1;
    }
    if map.is_unknown() {
        return Err(TaskmapError::Missing { taskid: 0 });
    }
    Ok(map)
}

/// Compact RFC 34 JSON, without the object around it.
impl fmt::Display for Taskmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_value().to_string())
    }
}

impl FromStr for Taskmap {
    type Err = TaskmapError;
    fn from_str(text: &str) -> Result<Taskmap, TaskmapError> {
        Taskmap::parse(text)
    }
}
