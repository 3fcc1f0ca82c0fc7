//! Every policy, reader, writer and shape of request, against recorded answers; and every reader's errors.
//!
//! `table.txt` has a line for each combination: what was taken, or what was said. Where an answer changes on purpose, the test
//! prints the new table.

use super::{RECIPE, answer, jobspec};

const POLICIES: [&str; 10] =
    ["first", "firstnodex", "high", "low", "lonode", "hinode", "lonodex", "hinodex", "locality", "variation"];
const WRITERS: [&str; 8] =
    ["simple", "pretty_simple", "jgf", "jgf_shorthand", "rlite", "rv1", "rv1_nosched", "rv1_shorthand"];

const SHAPES: [(&str, &str); 9] = [
    ("core", "[{type: slot, count: 1, label: s, with: [{type: core, count: 1}]}]"),
    ("slots", "[{type: slot, count: 3, label: s, with: [{type: core, count: 2}]}]"),
    (
        "node",
        "[{type: node, count: 1, exclusive: true, with: [{type: slot, count: 1, label: s, with: [{type: core, count: 1}]}]}]",
    ),
    ("nodes", "[{type: slot, count: 2, label: s, with: [{type: node, count: 1}]}]"),
    ("spread", "[{type: node, count: 2, with: [{type: slot, count: 1, label: s, with: [{type: core, count: 1}]}]}]"),
    (
        "range",
        "[{type: node, count: {min: 1, max: 3, operator: '+', operand: 1}, with: [{type: slot, count: 1, label: s, with: [{type: core, count: 1}]}]}]",
    ),
    ("idset", "[{type: slot, count: '1,3', label: s, with: [{type: core, count: 1}]}]"),
    (
        "pair",
        "[{type: node, count: 1, with: [{type: slot, count: 1, label: a, with: [{type: core, count: 2}]}]}, \
          {type: node, count: 1, with: [{type: slot, count: 1, label: b, with: [{type: core, count: 1}]}]}]",
    ),
    ("never", "[{type: node, count: 99}]"),
];

/// The same two nodes of two cores for each reader; the recipe has more.
fn documents() -> Vec<(&'static str, String)> {
    let jgf = answer("-P low -F jgf", &[], "find status=up\n").lines().next().unwrap_or("").to_string();
    let r = r#"{"version": 1, "execution": {"R_lite": [{"rank": "0-1", "children": {"core": "0-1", "gpu": "0"}},
        {"rank": "2", "children": {"core": "0-3"}}], "nodelist": ["n[8-9],m1"], "properties": {"big": "2"},
        "starttime": 0, "expiration": 0}}"#;
    let core = |id: u32| format!("<object type=\"Core\" gp_index=\"{id}\" cpuset=\"{id}\"/>");
    let package = |id: u32| {
        format!(
            "<object type=\"Package\" gp_index=\"{id}\" cpuset=\"3\">{}{}</object>",
            core(id * 10),
            core(id * 10 + 1)
        )
    };
    let xml = format!(
        "<topology version=\"2.0\"><object type=\"Machine\" gp_index=\"1\"><info name=\"HostName\" value=\"h7\"/>{}{}</object></topology>",
        package(2),
        package(3)
    );
    vec![("grug", RECIPE.to_string()), ("jgf", jgf), ("rv1exec", r.to_string()), ("hwloc", xml)]
}

/// One line for what a match says: resources without their indentation, then how it ended.
fn line(text: &str) -> String {
    let kept = text.lines().filter(|line| !line.contains("=====") && !line.contains("JOBID"));
    let short = kept.map(|line| line.trim_start().trim_start_matches('-').trim_start_matches("INFO: "));
    let text = short.collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{} ...{:016x}", &text[..at], digest(&text)),
        None => text,
    }
}

/// Characters of an answer that stand in the table; of a longer one, its digest too.
const SHOWN: usize = 120;

/// FNV-1a.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn table() -> String {
    let mut lines = Vec::new();
    let commands = "m allocate j\nm allocate_orelse_reserve j\n";
    for (reader, document) in documents() {
        for (shape, resources) in SHAPES {
            let files = [("recipe", document.clone()), ("j", jobspec(resources))];
            for policy in POLICIES {
                let text = answer(&format!("-f {reader} -P {policy}"), &files, commands);
                lines.push(format!("{reader} {shape} {policy}: {}", line(&text)));
            }
            for writer in WRITERS {
                let text = answer(&format!("-f {reader} -P low -F {writer}"), &files, "m allocate j\n");
                lines.push(format!("{reader} {shape} {writer}: {}", line(&text)));
            }
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn every_combination_answers_as_recorded() {
    let (recorded, now) = (include_str!("table.txt"), table());
    if recorded != now {
        let changed = now.lines().zip(recorded.lines().chain(std::iter::repeat(""))).find(|(now, then)| now != then);
        let (line, then) = changed.unwrap_or(("nothing more", "something"));
        println!("{now}");
        panic!("the table has changed, first here:\n{line}\nwas\n{then}");
    }
}

#[test]
fn every_reader_says_what_is_wrong() {
    let rows = [
        ("grug", "", "the document is empty"),
        ("grug", "<graphml><graph><node/></graph></graphml>", "a node has no id"),
        (
            "grug",
            "<graphml><graph><node id='a'/><edge source='a' target='b'/></graph></graphml>",
            "an edge lacks an end",
        ),
        (
            "grug",
            "<graphml><key id='s' for='node' attr.name='size'/><graph><node id='a'><data key='s'>-4</data></node></graph></graphml>",
            "size '-4' is no number in range",
        ),
        (
            "grug",
            "<graphml><key id='m' for='edge' attr.name='gen_method'/><graph><node id='a'/><node id='b'/><edge source='a' target='b'><data key='m'>ADD</data></edge></graph></graphml>",
            "unknown generation method 'ADD'",
        ),
        ("jgf", "{", "not JSON"),
        ("jgf", "{}", "JGF does not contain a required key (graph)"),
        ("jgf", r#"{"graph": {}}"#, "JGF does not contain a required key (nodes)"),
        ("jgf", r#"{"graph": {"nodes": []}}"#, "JGF does not contain a required key (edges)"),
        ("jgf", r#"{"graph": {"nodes": [{}], "edges": []}}"#, "JGF vertex id key is not found in a node"),
        (
            "jgf",
            r#"{"graph": {"nodes": [{"id": "1"}], "edges": []}}"#,
            "key (metadata) is not found in an JGF node for 1",
        ),
        (
            "jgf",
            r#"{"graph": {"nodes": [{"id": "1", "metadata": {"type": "node", "size": "x", "paths": {}}}], "edges": []}}"#,
            "malformed metadata in an JGF node for 1",
        ),
        (
            "jgf",
            r#"{"graph": {"nodes": [], "edges": [{"source": "1", "target": "2"}]}}"#,
            "source and/or target vertex not found: 1 -> 2",
        ),
        ("rv1exec", "[", "R is not JSON"),
        ("rv1exec", r#"{"version": 2}"#, "only R version 1 is supported"),
        ("rv1exec", r#"{"version": 1}"#, "R has no nodelist"),
        ("rv1exec", r#"{"version": 1, "execution": {"nodelist": ["a["]}}"#, "bad nodelist in R"),
        ("rv1exec", r#"{"version": 1, "execution": {"nodelist": ["a"]}}"#, "R has no execution.R_lite"),
        (
            "rv1exec",
            r#"{"version": 1, "execution": {"nodelist": ["a"], "R_lite": [{"rank": "0-1", "children": {}}]}}"#,
            "the nodelist is too short",
        ),
        ("hwloc", "<topology/>", "no hwloc topology"),
        ("hwloc", "<topology", "hwloc"),
    ];
    for (reader, document, why) in rows {
        let said = answer(&format!("-f {reader}"), &[("recipe", document.to_string())], "quit\n");
        assert!(said.starts_with("!! ERROR: "), "{reader} {document}: {said}");
        let is_any = why == "hwloc" || why == "the document is empty"; // In the words of the XML reader.
        assert!(is_any || said.contains(why), "{reader} {document}: {said}");
    }
}
