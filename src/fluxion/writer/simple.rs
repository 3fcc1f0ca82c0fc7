//! One indented line per vertex.

use super::Emit;
use crate::graph::Graph;
use std::fmt::Write;

/// Lines, children above their parents; the pretty form turns that around and spells the mode out.
#[derive(Clone, Debug)]
pub(super) struct Simple {
    is_pretty: bool,
    lines: Vec<String>,
    text: String,
}

impl Simple {
    pub(super) fn new(is_pretty: bool) -> Simple {
        Simple { is_pretty, lines: Vec::new(), text: String::new() }
    }

    pub(super) fn vertex(&mut self, graph: &Graph, emit: &Emit) {
        let mode = match (self.is_pretty, emit.is_exclusive) {
            (false, true) => "x",
            (false, false) => "s",
            (true, true) => "exclusive",
            (true, false) => "shared",
        };
        let mut line = String::from("      ");
        line.extend(std::iter::repeat_n("---", emit.level));
        let name = &graph.vertex(emit.at).name;
        writeln!(line, "{name}[{}:{mode}]", emit.needs).expect("a string takes all");
        match self.is_pretty {
            true => self.lines.push(line),
            false => self.text.push_str(&line),
        }
    }

    pub(super) fn finish(mut self) -> Option<String> {
        self.lines.reverse();
        self.text.extend(self.lines);
        (!self.text.is_empty()).then_some(self.text)
    }
}
