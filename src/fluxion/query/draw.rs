//! The graph as a picture: DOT or GraphML.

use super::{Host, Session};
use crate::graph::Graph;
use std::fmt::Write;
use std::io;

impl<H: Host> Session<'_, H> {
    /// Draws the graph if a file for it is named.
    pub(super) fn draw(&mut self) -> io::Result<()> {
        let Some(base) = &self.options.graph_output else { return Ok(()) };
        let text = match self.options.graph_format.as_str() {
            "graphml" => to_graphml(&self.engine.graph),
            _ => to_dot(&self.engine.graph),
        };
        self.host.write(&format!("{base}.{}", self.options.graph_format), &text)
    }
}

fn to_dot(graph: &Graph) -> String {
    let mut out = String::from("digraph G {\n");
    for at in graph.vertex_ids() {
        writeln!(out, "{}[label=\"{}\"];", at.0, graph.vertex(at).name).expect("a string takes all");
    }
    for (_, edge) in graph.edges() {
        let label = graph.names.subsystem_name(edge.subsystem);
        writeln!(out, "{}->{} [label=\"{label}\"];", edge.source.0, edge.target.0).expect("a string takes all");
    }
    out + "}\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn to_graphml(graph: &Graph) -> String {
    const KEYS: &[&str] = &["type", "basename", "name", "id", "uniq_id", "size", "unit", "paths", "props"];
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out.push_str("<graphml xmlns=\"http://graphml.graphdrawing.org/xmlns\">\n");
    for key in KEYS {
        writeln!(out, "  <key id=\"{key}\" for=\"node\" attr.name=\"{key}\" attr.type=\"string\"/>").expect("a string");
    }
    out.push_str("  <key id=\"subsystem\" for=\"edge\" attr.name=\"subsystem\" attr.type=\"string\"/>\n");
    out.push_str("  <graph id=\"G\" edgedefault=\"directed\">\n");
    for at in graph.vertex_ids() {
        let vertex = graph.vertex(at);
        let paths: Vec<String> = vertex
            .paths()
            .map(|(subsystem, path)| format!("{}={path}", graph.names.subsystem_name(subsystem)))
            .collect();
        let props: Vec<String> = vertex.properties().map(|(key, value)| format!("{key}={value}")).collect();
        let values = [
            graph.names.type_name(vertex.kind).to_string(),
            graph.names.text(vertex.basename).to_string(),
            vertex.name.to_string(),
            vertex.id.to_string(),
            vertex.uniq_id.to_string(),
            vertex.size.to_string(),
            graph.names.text(vertex.unit).to_string(),
            format!("{{{}}}", paths.join(",")),
            format!("{{{}}}", props.join(",")),
        ];
        writeln!(out, "    <node id=\"n{}\">", at.0).expect("a string takes all");
        for (key, value) in KEYS.iter().zip(values) {
            writeln!(out, "      <data key=\"{key}\">{}</data>", escape(&value)).expect("a string takes all");
        }
        out.push_str("    </node>\n");
    }
    for (id, edge) in graph.edges() {
        let name = escape(graph.names.subsystem_name(edge.subsystem));
        writeln!(
            out,
            "    <edge id=\"e{}\" source=\"n{}\" target=\"n{}\"><data key=\"subsystem\">{name}</data></edge>",
            id.0, edge.source.0, edge.target.0
        )
        .expect("a string takes all");
    }
    out + "  </graph>\n</graphml>\n"
}
