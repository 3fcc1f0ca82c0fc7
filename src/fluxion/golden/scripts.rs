//! Match policies in Lua.

use super::{answer, cores, jobspec, nodes};

fn taken(script: &str, spec: String, commands: &str) -> String {
    let files = [("p.lua", script.to_string()), ("j", spec)];
    let text = answer("-P p.lua", &files, commands);
    let words = text.lines().filter(|line| line.contains(":x]") || line.contains("No ") || line.starts_with('!'));
    words.map(|line| line.trim().trim_start_matches('-').trim_start_matches("INFO: ")).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_script_says_which_resources_are_better() {
    let rows = [
        // A function alone: higher scores are better.
        ("return function(r) return r.type == 'node' and (r.id == 2 and 9 or 1) or r.id end", "node2[1:x]"),
        ("return {policy = 'low', score = function(r) return r.id end}", "node0[1:x]"),
        // Properties, paths and names are known.
        (
            "return {score = function(r) return r.properties.speed and tonumber(r.properties.speed) or 0 end}",
            "node1[1:x]",
        ),
        ("return {score = function(r) return r.path:find('rack1/node2', 1, true) and 5 or 1 end}", "node2[1:x]"),
    ];
    let commands = "set-property /small0/rack0/node1 speed=7\nm allocate j\n";
    for (script, want) in rows {
        let text = taken(script, nodes(1), commands);
        assert!(text.ends_with(want), "{script}: {text}");
    }
}

#[test]
fn a_script_leaves_out_what_it_says_false_of() {
    let script = "return function(r) return r.type ~= 'node' or r.id ~= 3 end";
    let text = taken(script, nodes(3), "m allocate j\nm allocate j\nm allocate_with_satisfiability j\n");
    assert_eq!(text.matches("node3").count(), 0, "{text}");
    let text = taken(script, nodes(4), "m allocate_with_satisfiability j\n");
    assert_eq!(text, "No matching resources found");
}

#[test]
fn node_centric_scores_carry_what_is_in_the_node() {
    let script = "return {node_centric = true, score = function(r) return r.type == 'node' and (r.id == 1 and 2 or 1) or r.id end}";
    let spec = jobspec("[{type: slot, count: 2, label: s, with: [{type: core, count: 2}]}]");
    let files = [("p.lua", script.to_string()), ("j", spec)];
    let text = answer("-P p.lua", &files, "m allocate j\n");
    assert_eq!((text.matches("core").count(), text.matches("node1").count()), (4, 1), "{text}");
}

#[test]
fn a_live_script_knows_what_is_in_use() {
    // Worst fit: the node with most free cores is the better one.
    let script = "return {live = true, node_centric = true, score = function(r) return r.below.core and r.below.core.free or 0 end}";
    let files = [("p.lua", script.to_string()), ("j", cores(1))];
    let text = answer("-P p.lua", &files, &"m allocate j\n".repeat(4));
    for node in 0..4 {
        assert_eq!(text.matches(&format!("node{node}[")).count(), 1, "one job on each node: {text}");
    }
}

#[test]
fn a_script_that_fails_is_told_of_and_nothing_is_taken() {
    let rows = [
        ("return function(r) return r.nothing.at_all end", "! ERROR: p.lua: "),
        ("return function(r) while true do end end", "! ERROR: p.lua: "),
        ("return function(r) return 'high' end", "a score is a number"),
        ("return 7", "!! p.lua: it returns neither"),
    ];
    for (script, why) in rows {
        let text = taken(script, cores(1), "m allocate j\n");
        assert!(text.contains(why), "{script}: {text}");
        assert!(!text.contains("core0"), "{script}: {text}");
    }
}
