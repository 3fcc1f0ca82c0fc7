//! Every reader and writer.

use super::{RECIPE, answer, cores, nodes};

const R: &str = r#"{"version": 1, "execution": {"R_lite": [{"rank": "0-1", "children": {"core": "0-1", "gpu": "0"}}, {"rank": "2", "children": {"core": "0-3"}}], "nodelist": ["foo[3-4],bar7"], "properties": {"fast": "2"}, "starttime": 0, "expiration": 0}}"#;

/// The document a match writes.
fn document(options: &str, files: &[(&str, String)], commands: &str) -> String {
    answer(options, files, commands).lines().next().unwrap_or("").to_string()
}

#[test]
fn r_is_written_for_what_was_matched() {
    let rows = [
        ("rlite", r#"[{"rank": "0", "children": {"core": "0-1", "gpu": "0"}}]"#),
        (
            "rv1_nosched",
            r#"{"version": 1, "execution": {"R_lite": [{"rank": "0", "children": {"core": "0-1", "gpu": "0"}}], "nodelist": ["foo3"], "starttime": 0, "expiration": 3600}}"#,
        ),
        (
            "jgf_shorthand",
            r#"{"graph": {"nodes": [{"id": "1", "metadata": {"type": "node", "basename": "foo", "id": 3, "rank": 0, "exclusive": true, "paths": {"containment": "/cluster0/foo3"}}}, {"id": "0", "metadata": {"type": "cluster", "id": 0, "rank": -1, "paths": {"containment": "/cluster0"}}}], "edges": [{"source": "0", "target": "1"}]}, "writer": "fluxion:jgf_shorthand"}"#,
        ),
    ];
    let files = [
        ("recipe", R.to_string()),
        (
            "j",
            super::jobspec_for(
                "[{type: slot, count: 1, label: s, with: [{type: node, count: 1, exclusive: true}]}]",
                "duration: 3600, constraints: {ranks: ['0']}",
            ),
        ),
    ];
    for (format, want) in rows {
        assert_eq!(
            document(&format!("-f rv1exec -P low -F {format}"), &files, "m allocate j\n"),
            want,
            "format {format}"
        );
    }
}

#[test]
fn properties_and_hosts_are_written_by_rank() {
    let files = [("recipe", R.to_string()), ("j", nodes(3))];
    let text = document("-f rv1exec -P low -F rv1_nosched", &files, "m allocate j\n");
    assert_eq!(text, R.replace(r#""expiration": 0"#, r#""expiration": 3600"#));
}

#[test]
fn a_graph_written_as_jgf_is_the_same_graph_when_read() {
    let whole = document("-P low -F jgf", &[("j", nodes(4))], "find status=up\n");
    let again = document("-P low -F jgf -f jgf", &[("recipe", whole.clone())], "find status=up\n");
    assert_eq!(whole, again);
    let files = [("recipe", whole), ("j", cores(1))];
    let simple = answer("-P low -f jgf", &files, "m allocate j\n");
    assert_eq!(simple, answer("-P low", &files[1..], "m allocate j\n"));
}

#[test]
fn the_pretty_form_has_parents_above_their_children() {
    let text = answer("-P low -F pretty_simple", &[("j", cores(1))], "m allocate j\n");
    let want = "      ---small0[1:shared]\n      ------rack0[1:shared]\n      ---------node0[1:shared]\n      \
                ------------socket0[1:shared]\n      ---------------core0[1:exclusive]\n";
    assert!(text.starts_with(want), "{text}");
}

#[test]
fn hwloc_gives_nodes_sockets_and_cores() {
    let xml = r#"<?xml version="1.0"?><!DOCTYPE topology SYSTEM "hwloc2.dtd"><topology version="2.0">
      <object type="Machine" gp_index="1"><info name="HostName" value="host12"/>
      <object type="Package" gp_index="2" cpuset="3"><object type="NUMANode" gp_index="9"/>
      <object type="L3Cache" gp_index="3" cpuset="3" cache_size="2048" depth="3">
      <object type="Core" gp_index="4" cpuset="1"><object type="PU" gp_index="5"/></object>
      <object type="Core" gp_index="6" cpuset="2"><object type="PU" gp_index="7"/></object></object></object>
      <object type="Bridge"><object type="PCIDev"><object type="OSDev" name="cuda1" osdev_type="5"/></object></object>
      </object></topology>"#;
    let files = [("recipe", xml.to_string())];
    let text = answer("-f hwloc -W node,core,gpu", &files, "find status=up\n");
    let want = "      ---------core0[1:x]\n      ---------core1[1:x]\n      ---------gpu1[1:x]\n      ------host12[1:x]\n      \
                ---cluster0[1:x]\n";
    assert!(text.starts_with(want), "{text}");
    let text = answer("-f hwloc", &files, "find names=L3cache0\n");
    assert!(text.starts_with("      ------------L3cache0[2:x]\n"), "{text}");
}

#[test]
fn documents_that_are_none_are_refused() {
    let rows = [
        ("grug", "<graphml"),
        ("grug", "<graphml><graph><node id='a'/><edge source='a' target='b'/></graph></graphml>"),
        ("jgf", "{}"),
        ("jgf", r#"{"graph": {"nodes": [{"id": "x", "metadata": {"type": "node", "paths": {}}}], "edges": []}}"#),
        ("jgf", r#"{"graph": {"nodes": [], "edges": [{"source": "1", "target": "2"}]}}"#),
        ("rv1exec", "{\"version\": 2}"),
        ("rv1exec", r#"{"version": 1, "execution": {"R_lite": [{"rank": "0-3", "children": {}}], "nodelist": ["a"]}}"#),
        ("hwloc", "<topology/>"),
    ];
    for (format, text) in rows {
        let said = answer(&format!("-f {format}"), &[("recipe", text.to_string())], "quit\n");
        assert!(said.starts_with("!! "), "format {format}, document {text}: {said}");
    }
}

#[test]
fn a_recipe_is_drawn() {
    let dot = crate::dot_of_recipe(RECIPE, false).expect("a good recipe");
    assert!(dot.starts_with("digraph G {\n0[label=\"small\"];\n1[label=\"rack\"];\n"), "{dot}");
    assert!(dot.contains("0->1 [label=\"contains\"];"), "{dot}");
    let dot = crate::dot_of_recipe(RECIPE, true).expect("a good recipe");
    assert!(
        dot.contains("[label=\"containment:memory:2\"]") && dot.contains("[label=\"contains:MULTIPLY:2\"]"),
        "{dot}"
    );
}
