//! Several requests of one type side by side, slots beside other things, and alternatives.

use super::{brief, jobspec};

/// What was taken, by path: exclusive vertices only, and how often nothing was found.
fn taken(options: &str, resources: &str, matches: usize) -> String {
    let files = [("j", jobspec(resources))];
    let text = brief(&format!("-P low {options}"), &files, &"m allocate j\n".repeat(matches));
    let words = text.split_whitespace().filter(|word| word.ends_with(":x]") || *word == "No");
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn requests_of_one_type_side_by_side_get_different_resources() {
    let rows = [
        // Two top-level requests for nodes, the second for less.
        (
            "[{type: node, count: 1, with: [{type: slot, count: 1, label: a, with: [{type: core, count: 2}]}]}, \
              {type: node, count: 1, with: [{type: slot, count: 1, label: b, with: [{type: gpu, count: 1}]}]}]",
            "core0[1:x] core1[1:x] gpu0[1:x]",
        ),
        // Equal leaves are one request for the sum.
        (
            "[{type: slot, count: 1, label: a, with: [{type: core, count: 1}, {type: core, count: 1}]}]",
            "core0[1:x] core1[1:x]",
        ),
        // Two slots in one node.
        (
            "[{type: node, count: 1, with: [{type: slot, count: 1, label: a, with: [{type: core, count: 2}]}, \
              {type: slot, count: 1, label: b, with: [{type: core, count: 1}, {type: gpu, count: 1}]}]}]",
            "core0[1:x] core1[1:x] core2[1:x] gpu1[1:x]",
        ),
        // Two slots at the top.
        (
            "[{type: slot, count: 1, label: a, with: [{type: core, count: 2}]}, \
              {type: slot, count: 2, label: b, with: [{type: core, count: 1}]}]",
            "core0[1:x] core1[1:x] core0[1:x] core0[1:x]",
        ),
        // Two kinds of sockets in one slot.
        (
            "[{type: slot, count: 1, label: a, with: [{type: node, count: 1, with: [\
              {type: socket, count: 1, with: [{type: core, count: 2}]}, \
              {type: socket, count: 1, with: [{type: core, count: 1}, {type: gpu, count: 1}]}]}]}]",
            "core0[1:x] core1[1:x] socket0[1:x] core2[1:x] gpu1[1:x] socket1[1:x] node0[1:x]",
        ),
        // A slot beside memory.
        (
            "[{type: socket, count: 1, with: [{type: slot, count: 1, label: a, with: [{type: core, count: 1}]}, \
              {type: memory, count: 2, exclusive: true}]}]",
            "core0[1:x] memory0[2:x]",
        ),
    ];
    for (resources, want) in rows {
        assert_eq!(taken("", resources, 1), want, "resources {resources}");
    }
}

#[test]
fn what_one_request_takes_no_sibling_gets() {
    let pair = "[{type: node, count: 3, exclusive: true}, {type: node, count: 1, exclusive: true}]";
    assert_eq!(taken("", pair, 2), taken("", "[{type: node, count: 4, exclusive: true}]", 2));
    for resources in [
        "[{type: node, count: 3, exclusive: true}, {type: node, count: 2, exclusive: true}]",
        "[{type: node, count: 4, with: [{type: core, count: 1}]}, {type: node, count: 1, with: [{type: gpu, count: 1}]}]",
        "[{type: socket, count: 1, with: [{type: slot, count: 1, label: a, with: [{type: core, count: 2}]}, \
          {type: slot, count: 1, label: b, with: [{type: core, count: 1}]}]}]",
    ] {
        assert_eq!(taken("", resources, 1), "No", "resources {resources}");
    }
}

#[test]
fn the_order_of_siblings_does_not_matter() {
    // Node 1 has one socket left, and only node 0 has two: the smaller request must leave it alone.
    let small = "{type: node, count: 1, with: [{type: socket, count: 1, exclusive: true}]}";
    let large = "{type: node, count: 1, with: [{type: socket, count: 2, exclusive: true}]}";
    for resources in [format!("[{small}, {large}]"), format!("[{large}, {small}]")] {
        let files = [("j", jobspec(&resources))];
        let down = "set-status /small0/rack1 down\nset-status /small0/rack0/node1/socket1 down\nm allocate j\n";
        let text = brief("-P low", &files, down);
        assert!(text.contains("RESOURCES=ALLOCATED"), "{text}");
        assert_eq!(text.matches("node").count(), 2, "{text}");
        assert_eq!(text.matches("socket").count(), 3, "{text}");
    }
}

#[test]
fn siblings_wait_for_one_another_and_come_back() {
    let pair = "[{type: node, count: 3, exclusive: true}, {type: node, count: 1, with: [{type: slot, count: 1, label: a, with: [{type: core, count: 1}]}]}]";
    let files = [("j", jobspec(pair))];
    let commands = "m allocate j\nm allocate_orelse_reserve j\nm satisfiability j\ncancel 1\ncancel 2\nm allocate j\n";
    let text = brief("-P low -F rlite", &files, commands);
    let times: Vec<&str> = text.split_whitespace().filter(|word| word.starts_with("AT=")).collect();
    assert_eq!(times, ["AT=Now", "AT=3600", "AT=Now"], "{text}");
    assert!(text.contains("Satisfiable request"), "{text}");
}

#[test]
fn one_of_several_xor_slots_is_taken() {
    let of = |kind: &str| {
        format!(
            "[{{type: node, count: 1, with: [\
              {{type: {kind}, count: 1, label: a, with: [{{type: gpu, count: 2}}, {{type: core, count: 1}}]}}, \
              {{type: {kind}, count: 2, label: b, with: [{{type: core, count: 2}}]}}]}}]"
        )
    };
    let first = taken("", &of("xor_slot"), 1);
    assert_eq!(first, "core0[1:x] core1[1:x] core2[1:x] core3[1:x]", "two gpus are not in one socket");
    assert_eq!(taken("", &of("xor_slot"), 5).matches("No").count(), 1, "four nodes, four times one of the two");
}

#[test]
fn or_slots_are_mixed() {
    let resources = "[{type: socket, count: 1, with: [\
        {type: or_slot, count: 2, label: a, with: [{type: core, count: 1}, {type: gpu, count: 1}]}, \
        {type: or_slot, count: 2, label: b, with: [{type: core, count: 1}]}]}]";
    assert_eq!(taken("", resources, 1), "core0[1:x] core1[1:x] gpu0[1:x]");
}
