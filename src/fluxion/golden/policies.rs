//! One job under every policy.

use super::{answer, brief, cores, jobspec, nodes};

fn resources(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.contains('['));
    lines.map(|line| line.trim_start().trim_start_matches('-').to_string()).collect()
}

#[test]
fn every_policy_takes_the_node_it_prefers() {
    let rows = [
        ("low", "core0[1:x] socket0[1:s] node0[1:s] rack0[1:s] small0[1:s]"),
        ("high", "core3[1:x] socket1[1:s] node3[1:s] rack1[1:s] small0[1:s]"),
        ("lonode", "core0[1:x] socket0[1:s] node0[1:s] rack0[1:s] small0[1:s]"),
        ("hinode", "core3[1:x] socket1[1:s] node3[1:s] rack1[1:s] small0[1:s]"),
        ("first", "core3[1:x] socket1[1:s] node3[1:s] rack1[1:s] small0[1:s]"),
        // All nodes are one run of ids: the first of them will do.
        ("locality", "core3[1:x] socket1[1:s] node0[1:s] rack0[1:s] small0[1:s]"),
        ("variation", "core0[1:x] socket0[1:s] node0[1:s] rack0[1:s] small0[1:s]"),
    ];
    let spec =
        jobspec("[{type: node, count: 1, with: [{type: slot, count: 1, label: s, with: [{type: core, count: 1}]}]}]");
    for (policy, want) in rows {
        let text = answer(&format!("-P {policy}"), &[("j", spec.clone())], "m allocate j\n");
        assert_eq!(resources(&text).join(" "), want, "policy {policy}");
    }
}

#[test]
fn an_exclusive_node_policy_takes_all_of_the_node() {
    for policy in ["lonodex", "hinodex", "firstnodex"] {
        let text = answer(&format!("-P {policy}"), &[("j", cores(1))], "m allocate j\n");
        let found = resources(&text);
        assert_eq!(found.len(), 1 + 2 * 5 - 1 + 2 + 1, "policy {policy}: {found:?}");
        assert_eq!(found.iter().filter(|line| line.ends_with(":s]")).count(), 2, "policy {policy}");
    }
}

#[test]
fn variation_takes_the_better_class() {
    let commands = "set-property /small0/rack1/node2 perf_class=1\nset-property /small0/rack0/node0 perf_class=2\n\
                    m allocate j\nm allocate j\n";
    let text = brief("-P variation", &[("j", nodes(1))], commands);
    assert_eq!(text.matches("node2[1:x]").count(), 1, "{text}");
    assert!(text.find("node2[1:x]") < text.find("node0[1:x]"), "{text}");
}

#[test]
fn what_does_not_fit_waits_or_never_comes() {
    let files = [("all", nodes(4)), ("one", cores(1)), ("much", nodes(5)), ("bad", "version: 1\n".to_string())];
    let text = brief("-P low -F rlite", &files, "m allocate all\nm allocate one\nm allocate_with_satisfiability one\n");
    // As flux-sched's tool has it: an empty list is an error, and the job has no number.
    let blank = "! ERROR: match writer emit: Invalid argument";
    let want = format!("No matching resources found JOBID=2 No matching resources found JOBID=2 {blank} {blank}");
    assert!(text.ends_with(&want), "{text}");
    let commands = "m allocate all\nm allocate one\nm allocate_with_satisfiability one\n";
    let text = brief("-P low -F rv1_nosched", &files, commands);
    assert!(text.ends_with("No matching resources found JOBID=2 No matching resources found JOBID=3"), "{text}");
    let text =
        brief("-P low", &files, "m allocate_with_satisfiability much\nm satisfiability one\nm satisfiability much\n");
    assert_eq!(
        text,
        "No matching resources found Unsatisfiable request JOBID=1 Satisfiable request Unsatisfiable request"
    );
    let text = brief("-P low", &files, "m allocate bad\nm allocate none\nm never one\n");
    assert!(text.starts_with("No matching resources found JOBID=1 ! ERROR: job 1: missing key"), "{text}");
    assert!(text.ends_with("! ERROR: can't open none ! ERROR: unknown subcmd never"), "{text}");
}

#[test]
fn reservations_follow_one_another() {
    let files = [("two", nodes(2)), ("three", nodes(3)), ("one", nodes(1))];
    let commands = "m allocate_orelse_reserve three\nm allocate_orelse_reserve two\nm allocate_orelse_reserve one\n\
                    m allocate_orelse_reserve three\nm without_allocating_future three\n";
    let text = answer("-P low -F rlite", &files, commands);
    let times: Vec<&str> =
        text.lines().filter(|line| line.contains("SCHEDULED") || line.contains("RESOURCES")).collect();
    assert_eq!(
        times,
        [
            "INFO: RESOURCES=ALLOCATED",
            "INFO: SCHEDULED AT=Now",
            "INFO: RESOURCES=RESERVED",
            "INFO: SCHEDULED AT=3600",
            "INFO: RESOURCES=ALLOCATED",
            "INFO: SCHEDULED AT=Now",
            "INFO: RESOURCES=RESERVED",
            "INFO: SCHEDULED AT=7200",
            "INFO: RESOURCES=MATCHED",
            "INFO: SCHEDULED AT=10800",
        ]
    );
}

#[test]
fn ranges_take_the_most_they_may() {
    let spec = |count: &str| {
        jobspec(&format!(
            "[{{type: slot, count: {count}, label: s, with: [{{type: node, count: 1, exclusive: true}}]}}]"
        ))
    };
    for (count, taken) in
        [("{min: 1}", 4), ("{min: 1, max: 3}", 3), ("{min: 1, max: 4, operator: '*', operand: 3}", 3), ("'2,3'", 3)]
    {
        let text = answer("-P low", &[("j", spec(count))], "m allocate j\n");
        assert_eq!(text.matches("node").count(), taken, "count {count}: {text}");
    }
}

#[test]
fn a_slot_may_hang_below_what_is_not_named() {
    let spec =
        jobspec("[{type: node, count: 1, with: [{type: slot, count: 3, label: s, with: [{type: core, count: 1}]}]}]");
    let text = answer("-P low", &[("j", spec)], "m allocate j\n");
    let want = "core0[1:x] core1[1:x] socket0[1:s] core2[1:x] socket1[1:s] node0[1:s] rack0[1:s] small0[1:s]";
    assert_eq!(resources(&text).join(" "), want);
}

#[test]
fn alternatives_make_the_most_slots() {
    let spec = jobspec(
        "[{type: socket, count: 1, with: [\
         {type: slot, count: {min: 1, max: 4}, label: s, with: [{type: core, count: 1}, {type: gpu, count: 1}]},\
         {type: slot, count: {min: 1, max: 4}, label: t, with: [{type: core, count: 1}]}]}]",
    );
    let text = answer("-P low -T flexible", &[("j", spec)], "m allocate j\n");
    assert_eq!(text.matches("core").count(), 2, "{text}");
    assert!(text.contains("RESOURCES=ALLOCATED"), "{text}");
}

#[test]
fn constraints_choose_nodes() {
    let spec = |constraint: &str| {
        super::jobspec_for(
            "[{type: slot, count: 1, label: s, with: [{type: node, count: 1, exclusive: true}]}]",
            &format!("duration: 10, constraints: {constraint}"),
        )
    };
    let rows = [
        ("{properties: ['big']}", "node2"),
        ("{properties: ['^big']}", "node0"),
        ("{hostlist: ['node[1-2]']}", "node1"),
        ("{ranks: ['3']}", "node3"),
        ("{not: [{ranks: ['0-1']}]}", "node2"),
        ("{and: [{ranks: ['1-3']}, {not: [{hostlist: ['node1']}]}]}", "node2"),
        ("{or: [{ranks: ['3']}, {properties: ['big']}]}", "node2"),
        ("{ranks: ['9']}", "No matching"),
        ("{}", "node0"),
    ];
    for (constraint, want) in rows {
        let commands = "set-property /small0/rack1/node2 big=1\nm allocate j\n";
        let text = answer("-P low", &[("j", spec(constraint))], commands);
        assert!(text.contains(want), "constraint {constraint}: {text}");
    }
}

/// More equal candidates than a sort keeps in order: what flux-sched's resource-query answered for the same files.
#[test]
fn equals_are_taken_in_the_order_that_command_files_expect() {
    let scale = "target=\"o\"><data key=\"scope\">1</data><data key=\"scale\">";
    let recipe = super::RECIPE.replace(&format!("{scale}2"), &format!("{scale}20"));
    let rows = [
        ("low", "core0[1:x] core1[1:x] core2[1:x] socket0[1:s] node0[1:s] rack0[1:s] small0[1:s]"),
        ("high", "core37[1:x] core38[1:x] core39[1:x] socket1[1:s] node2[1:s] rack1[1:s] small0[1:s]"),
        ("variation", "core10[1:x] core18[1:x] core19[1:x] socket0[1:s] node3[1:s] rack1[1:s] small0[1:s]"),
        ("locality", "core37[1:x] core38[1:x] core39[1:x] socket1[1:s] node2[1:s] rack1[1:s] small0[1:s]"),
    ];
    for (policy, want) in rows {
        let files = [("recipe", recipe.clone()), ("j", cores(3))];
        assert_eq!(
            resources(&answer(&format!("-P {policy}"), &files, "m allocate j\n")).join(" "),
            want,
            "policy {policy}"
        );
    }
}
