//! Making and changing graphs from documents.

mod grug;
mod grug_recipe;
mod hwloc;
mod jgf;
mod jgf_parse;
mod jgf_update;
mod rv1exec;
mod rv1exec_update;

pub use grug::dot_of_recipe;

use crate::error::GraphError;
use crate::graph::{Graph, VertexId};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::traverser::Release;
use std::collections::BTreeSet;

/// A format of graph documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    Grug,
    Hwloc,
    Jgf,
    JgfShorthand,
    Rv1exec,
}

const READERS: &[(&str, Reader)] = &[
    ("grug", Reader::Grug),
    ("hwloc", Reader::Hwloc),
    ("jgf", Reader::Jgf),
    ("jgf_shorthand", Reader::JgfShorthand),
    ("rv1exec", Reader::Rv1exec),
    ("rv1exec_force", Reader::Rv1exec),
];

/// What a document says a job holds.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// Vertices taken whole.
    pub exclusive: Vec<VertexId>,
    /// Vertices that must be free, but are shared.
    pub shared: Vec<VertexId>,
    /// Edges between them, with how much of the target and whether exclusively.
    pub edges: Vec<(VertexId, VertexId, u32, bool)>,
    /// How much of the root and whether exclusively, if the document names the root.
    pub root: Option<(u32, bool)>,
}

impl Reader {
    pub fn from_name(name: &str) -> Option<Reader> {
        READERS.iter().find(|(of, _)| *of == name).map(|(_, reader)| *reader)
    }

    /// The reader for what a scheduler wrote into R, by its `writer` URI (RFC 20, RFC 40).
    ///
    /// # Errors
    /// A scheduler or format that is not ours.
    pub fn from_writer(uri: Option<&str>) -> Result<Reader, GraphError> {
        let (scheme, path) = uri.map_or(("fluxion", ""), |uri| uri.split_once(':').unwrap_or((uri, "")));
        match (scheme, path) {
            ("fluxion", "" | "jgf") => Ok(Reader::Jgf),
            ("fluxion", "jgf_shorthand") => Ok(Reader::JgfShorthand),
            ("fluxion", _) => Err(GraphError::Malformed("unsupported fluxion scheduling.writer format".into())),
            _ => Err(GraphError::Malformed("unsupported scheduling.writer scheme (not fluxion)".into())),
        }
    }

    /// Whether the reader can leave out types that are not wanted.
    pub fn supports_allowlist(self) -> bool {
        self == Reader::Hwloc
    }

    /// Reads a document into an empty graph. `allowlist`: types to load, empty for all.
    ///
    /// # Errors
    /// What is wrong with the document.
    pub fn load(self, graph: &mut Graph, text: &str, allowlist: &BTreeSet<String>) -> Result<(), GraphError> {
        check_length(text)?;
        match self {
            Reader::Grug => grug::load(graph, text),
            Reader::Hwloc => hwloc::load(graph, text, allowlist, None),
            Reader::Jgf | Reader::JgfShorthand => jgf::load(graph, text),
            Reader::Rv1exec => rv1exec::load(graph, text),
        }
    }

    /// Adds what a document says to a graph that is in use.
    ///
    /// # Errors
    /// `Unsupported`, or what is wrong with the document.
    pub fn grow(self, graph: &mut Graph, text: &str) -> Result<(), GraphError> {
        check_length(text)?;
        match self {
            Reader::Jgf | Reader::JgfShorthand => jgf::load(graph, text),
            Reader::Rv1exec => rv1exec::grow(graph, text),
            Reader::Grug | Reader::Hwloc => Err(GraphError::Unsupported("growing a graph")),
        }
    }

    /// Reads which resources of the graph a job holds.
    ///
    /// # Errors
    /// `Unsupported`, `Missing` if the graph has no such resource, or what is wrong with the document.
    pub fn claim(self, graph: &mut Graph, text: &str) -> Result<Claim, GraphError> {
        check_length(text)?;
        match self {
            Reader::Jgf => jgf_update::claim(graph, text, false),
            Reader::JgfShorthand => jgf_update::claim(graph, text, true),
            Reader::Rv1exec => rv1exec_update::claim(graph, text),
            Reader::Grug | Reader::Hwloc => Err(GraphError::Unsupported("updating jobs")),
        }
    }

    /// Reads which part of a job a document gives back.
    ///
    /// # Errors
    /// As `claim`.
    pub fn release(self, graph: &mut Graph, text: &str) -> Result<Release, GraphError> {
        check_length(text)?;
        match self {
            Reader::Jgf | Reader::JgfShorthand => {
                let claim = jgf_update::claim(graph, text, self == Reader::JgfShorthand)?;
                Ok(Release::Vertices(claim.exclusive.into_iter().chain(claim.shared).collect()))
            }
            Reader::Rv1exec => Ok(Release::Ranks(rv1exec::ranks(text)?)),
            Reader::Grug | Reader::Hwloc => Err(GraphError::Unsupported("partial cancel")),
        }
    }
}

fn check_length(text: &str) -> Result<(), GraphError> {
    if text.len() > DOCUMENT_BYTES_MAX { Err(GraphError::TooLarge("bytes")) } else { Ok(()) }
}
