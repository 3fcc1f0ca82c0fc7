//! Jobspec: what a job asks for. RFC 14 is the canonical form, RFC 25 the "version 1" that every tool writes.
//!
//! [`Jobspec::parse`] accepts what flux-core's validator accepts and keeps every key it does not know;
//! [`Jobspec::check_v1`] adds the rules of version 1, [`Jobspec::check_v1_shape`] its resource graph.
//! Output has flux-core's key order, so a jobspec built here compares byte for byte.

mod attributes;
mod build;
mod count;
mod error;
mod parse;
mod shape;
mod summary;
mod value;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use build::{NestShape, SubmitOptions, SubmitShape};
pub use count::Count;
pub use error::JobspecError;
pub use summary::{Summary, TasksPer};

/// A parsed jobspec. Its parts are public: whoever changes them runs [`Jobspec::validate`] again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Jobspec {
    /// At least one vertex.
    pub resources: Vec<Vertex>,
    /// At least one task.
    pub tasks: Vec<Task>,
    /// `system` and `user`, each optional; kept whole, in the order they were written.
    pub attributes: Map<String, Value>,
    /// 1 for RFC 25.
    pub version: u32,
}

/// One vertex of the resource request (RFC 14 "Resources").
#[derive(Clone, Debug, PartialEq)]
pub struct Vertex {
    /// `node`, `slot`, `core`, `gpu`, or any other type the scheduler knows.
    pub kind: String,
    pub count: Count,
    pub unit: Option<String>,
    pub exclusive: Option<bool>,
    pub with: Vec<Vertex>,
    /// Mandatory on slots.
    pub label: Option<String>,
    pub id: Option<String>,
    /// Keys RFC 14 does not name (`requires` and the like), for the scheduler to judge.
    pub extra: Map<String, Value>,
}

/// One entry of `tasks` (RFC 14 "Tasks").
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
    /// The label of the slot it runs in.
    pub slot: String,
    pub count: TaskCount,
    /// `attributes`, `distribution` and whatever else stood there.
    pub extra: Map<String, Value>,
}

/// How many tasks a task entry makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskCount {
    PerSlot(u32),
    Total(u32),
    /// Not in version 1: there, the shell option `per-resource` says it.
    PerResource {
        kind: String,
        count: u32,
    },
}

impl Vertex {
    /// A vertex with a fixed count and nothing else.
    pub fn new(kind: &str, count: u32) -> Vertex {
        Vertex {
            kind: kind.to_owned(),
            count: Count::Fixed(count),
            unit: None,
            exclusive: None,
            with: Vec::new(),
            label: None,
            id: None,
            extra: Map::new(),
        }
    }

    /// This vertex and all below it, parents first.
    pub fn walk(&self) -> impl Iterator<Item = &Vertex> {
        let mut todo = vec![self];
        std::iter::from_fn(move || {
            let vertex = todo.pop()?;
            todo.extend(vertex.with.iter().rev());
            Some(vertex)
        })
    }
}

impl Jobspec {
    /// Reads JSON text.
    ///
    /// # Errors
    /// [`JobspecError`]; its text names the key and what was expected there.
    pub fn parse(text: &str) -> Result<Jobspec, JobspecError> {
        let value = serde_json::from_str(text).map_err(|e| JobspecError::Json { reason: e.to_string() })?;
        Jobspec::from_value(value)
    }

    /// Every vertex of the request, parents first.
    pub fn vertices(&self) -> impl Iterator<Item = &Vertex> {
        self.resources.iter().flat_map(Vertex::walk)
    }

    /// Compact JSON, as it is signed and stored.
    pub fn encode(&self) -> String {
        self.to_value().to_string()
    }

    /// JSON with a space after commas and colons, as `flux submit --dry-run` prints it.
    pub fn encode_spaced(&self) -> String {
        crate::json::to_spaced_string(&self.to_value())
    }

    /// The program and its arguments of the first task.
    pub fn command(&self) -> &[String] {
        self.tasks.first().map_or(&[], |task| task.command.as_slice())
    }
}

impl TryFrom<Value> for Jobspec {
    type Error = JobspecError;
    fn try_from(value: Value) -> Result<Jobspec, JobspecError> {
        Jobspec::from_value(value)
    }
}

impl From<Jobspec> for Value {
    fn from(spec: Jobspec) -> Value {
        spec.to_value()
    }
}

#[cfg(test)]
mod tests;
