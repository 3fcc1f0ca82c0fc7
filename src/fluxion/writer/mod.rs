//! Writing what was matched or found, in the formats of RFC 20 and RFC 40.

mod jgf;
mod json;
mod of_r;
mod rlite;
mod simple;

pub use json::dump_spaced;
pub use of_r::graph_of_r;

use crate::graph::{EdgeId, Graph, VertexId};
use jgf::Jgf;
use rlite::Rlite;
use serde_json::{Map, Value, json};
use simple::Simple;

/// A format of written resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Simple,
    PrettySimple,
    Jgf,
    JgfShorthand,
    Rlite,
    Rv1,
    Rv1Nosched,
    Rv1Shorthand,
}

const FORMATS: &[(&str, Format)] = &[
    ("simple", Format::Simple),
    ("pretty_simple", Format::PrettySimple),
    ("jgf", Format::Jgf),
    ("jgf_shorthand", Format::JgfShorthand),
    ("rlite", Format::Rlite),
    ("rv1", Format::Rv1),
    ("rv1_nosched", Format::Rv1Nosched),
    ("rv1_shorthand", Format::Rv1Shorthand),
];

impl Format {
    pub fn from_name(name: &str) -> Option<Format> {
        FORMATS.iter().find(|(of, _)| *of == name).map(|(_, format)| *format)
    }
}

/// A vertex as it is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Emit<'a> {
    pub at: VertexId,
    /// Depth in the graph, the root is 1.
    pub level: usize,
    pub needs: u32,
    pub is_exclusive: bool,
    /// The vertex above is exclusive: a short form leaves this one out.
    pub is_parent_exclusive: bool,
    pub label: Option<&'a str>,
    pub filters: Option<&'a [(String, String)]>,
}

/// Collects vertices and edges, children first, and makes a document of them.
#[derive(Clone, Debug)]
pub struct Writer {
    format: Format,
    simple: Simple,
    jgf: Jgf,
    rlite: Rlite,
    start: i64,
    end: i64,
    attributes: Map<String, Value>,
}

impl Writer {
    pub fn new(format: Format) -> Writer {
        let is_short = matches!(format, Format::JgfShorthand | Format::Rv1Shorthand);
        Writer {
            format,
            simple: Simple::new(format == Format::PrettySimple),
            jgf: Jgf::new(is_short),
            rlite: Rlite::default(),
            start: 0,
            end: 0,
            attributes: Map::new(),
        }
    }

    fn has_rlite(&self) -> bool {
        matches!(self.format, Format::Rlite | Format::Rv1 | Format::Rv1Nosched | Format::Rv1Shorthand)
    }

    fn has_jgf(&self) -> bool {
        matches!(self.format, Format::Jgf | Format::JgfShorthand | Format::Rv1 | Format::Rv1Shorthand)
    }

    pub(crate) fn vertex(&mut self, graph: &Graph, emit: &Emit) {
        if matches!(self.format, Format::Simple | Format::PrettySimple) {
            self.simple.vertex(graph, emit);
        }
        if self.has_rlite() {
            self.rlite.vertex(graph, emit.at);
        }
        if self.has_jgf() {
            self.jgf.vertex(graph, emit);
        }
    }

    pub(crate) fn edge(&mut self, graph: &Graph, edge: EdgeId, is_parent_exclusive: bool) {
        if self.has_jgf() {
            self.jgf.edge(graph, edge, is_parent_exclusive);
        }
    }

    pub(crate) fn times(&mut self, start: i64, end: i64) {
        (self.start, self.end) = (start, end);
    }

    pub(crate) fn attribute(&mut self, key: &str, value: &str) {
        self.attributes.insert(key.into(), value.into());
    }

    /// Whether a shorthand has left something out, here or in a document before (`is_known`): once is enough to say so in
    /// all that follow.
    pub(crate) fn note_shorthand(&mut self, is_known: bool) -> bool {
        self.jgf.has_left_out |= is_known;
        self.jgf.has_left_out
    }

    /// The document, and an empty writer again. `None` if nothing was written.
    ///
    /// # Errors
    /// Vertices without any edge, which JGF cannot say.
    pub fn finish(&mut self) -> Result<Option<Value>, String> {
        let fresh = Writer::new(self.format);
        let done = std::mem::replace(self, fresh);
        done.into_value()
    }

    fn into_value(mut self) -> Result<Option<Value>, String> {
        match self.format {
            Format::Simple | Format::PrettySimple => Ok(self.simple.finish().map(Value::String)),
            Format::Jgf | Format::JgfShorthand => self.jgf.finish(),
            Format::Rlite => Ok(self.rlite.finish().map(|parts| parts.rlite)),
            Format::Rv1Nosched => Ok(self.execution().map(|execution| json!({"version": 1, "execution": execution}))),
            Format::Rv1 | Format::Rv1Shorthand => {
                let Some(execution) = self.execution() else { return Ok(None) };
                let Some(scheduling) = self.jgf.finish()? else { return Ok(None) };
                let mut value = json!({"version": 1, "execution": execution, "scheduling": scheduling});
                if !self.attributes.is_empty() {
                    value["attributes"] = json!({"system": {"scheduler": self.attributes}});
                }
                Ok(Some(value))
            }
        }
    }

    fn execution(&mut self) -> Option<Value> {
        let parts = self.rlite.finish()?;
        let mut execution = Map::new();
        execution.insert("R_lite".into(), parts.rlite);
        execution.insert("nodelist".into(), json!([parts.nodelist]));
        if !parts.properties.is_empty() {
            execution.insert("properties".into(), Value::Object(parts.properties));
        }
        execution.insert("starttime".into(), self.start.into());
        execution.insert("expiration".into(), self.end.into());
        Some(Value::Object(execution))
    }

    /// The document as text: lines as they are, or JSON with a newline. Empty if nothing was written.
    ///
    /// # Errors
    /// As `finish`.
    pub fn finish_text(&mut self) -> Result<String, String> {
        Ok(match self.finish()? {
            None => String::new(),
            Some(Value::String(text)) => text,
            Some(value) => dump_spaced(&value) + "\n",
        })
    }
}
