//! Status, properties, finding, growing and shrinking.

use super::{answer, brief, cores, nodes};

#[test]
fn what_is_down_is_not_given_out() {
    let files = [("four", nodes(4)), ("three", nodes(3)), ("one", cores(1))];
    let commands = "set-status /small0/rack0/node1 down\nget-status /small0/rack0/node1\nm allocate four\n\
                    m satisfiability four\nm allocate three\nset-status /small0/rack0/node1 up\nm allocate one\n\
                    set-status /nowhere down\nset-status /small0 sideways\n";
    let text = brief("-P low -F rlite", &files, commands);
    let want = "/small0/rack0/node1 is down No matching resources found JOBID=1 Satisfiable request \
                [{\"rank\": \"0,2-3\", \"children\": {\"core\": \"0-3\", \"gpu\": \"0-1\"}}] JOBID=1 RESOURCES=ALLOCATED\n\
                SCHEDULED AT=Now [{\"rank\": \"1\", \"children\": {\"core\": \"0\"}}] JOBID=2 RESOURCES=ALLOCATED\n\
                SCHEDULED AT=Now Could not find path /nowhere in resource graph. \
                ! ERROR: match writer emit: Invalid argument ! ERROR: match writer emit: Invalid argument \
                ! ERROR: unrecognized status";
    assert_eq!(text, want);
}

#[test]
fn a_rack_that_is_down_takes_its_nodes_with_it_once() {
    let files = [("two", nodes(2)), ("three", nodes(3))];
    let commands = "set-status /small0/rack0/node0 down\nset-status /small0/rack0 down\nm allocate three\n\
                    m allocate two\ncancel 1\nset-status /small0/rack0 up\nm allocate three\n";
    let text = brief("-P low -F rlite", &files, commands);
    assert!(text.starts_with("No matching resources found JOBID=1 [{\"rank\": \"2-3\""), "{text}");
    assert!(text.contains("[{\"rank\": \"1-3\""), "{text}");
}

#[test]
fn properties_are_set_and_shown() {
    let commands = "set-property /small0/rack0 a=b\nset-property /small0/rack0 a=c\nset-property /small0/rack0 x=y=z\n\
                    get-property /small0/rack0\nget-property /small0\nget-property /no\nset-property /small0 =b\n\
                    set-property /no a=b\nfind property=x\n";
    let text = answer("", &[], commands);
    let want = "a=c\nx=y=z\nNo properties were found for /small0 (vtx's uniq_id=0).\n\
                Could not find path /no in resource graph.\nIncorrect input format. \n\
                Please use `set-property <resource> PROPERTY=VALUE`.\n\
                Couldn't find path /no in resource graph.\n      ------rack0[1:x]\n      ---small0[1:x]\n\
                INFO: =============================\nINFO: EXPRESSION=\"property=x\"\nINFO: =============================\n";
    assert_eq!(text, want);
}

#[test]
fn expressions_find_what_they_say() {
    let files = [("all", nodes(4)), ("one", nodes(1)), ("core", cores(1))];
    let setup = "m allocate one\nset-status /small0/rack1 down\nm allocate core\nm allocate_orelse_reserve all\n\
                 set-status /small0/rack1 up\nm allocate_orelse_reserve all\nset-status /small0/rack1 down\n";
    let rows = [
        ("names=node0 and sched-now=allocated", 1),
        ("names=node[0-3] sched-now=free", 3),
        ("names=node[0-3] and status=down", 2),
        ("names=node[0-3] and sched-future=reserved", 4),
        ("names=core0 and jobid-alloc=1", 1),
        ("names=node1 and jobid-tag=2", 1),
        ("(names=node0 or names=node1) and status=up", 2),
        ("names=node0 or names=node1 and status=down", 0),
        ("jobid-reserved=4 and names=socket0", 4),
    ];
    for (expression, want) in rows {
        let text = answer("-P low", &files, &format!("{setup}find {expression}\n"));
        let found = text.rsplit("SCHEDULED AT").next().unwrap_or("");
        let kind =
            expression.split("names=").nth(1).map_or("", |rest| rest.trim_end_matches(|c: char| !c.is_alphabetic()));
        let kind: String = kind.chars().take_while(|c| c.is_alphabetic()).collect();
        assert_eq!(found.matches(&format!("-{kind}")).count(), want, "expression {expression}: {found}");
    }
    for bad in
        ["x=y", "status", "status=sideways", "(status=up", "status=up)", "status=up and", "jobid-tag=x y", "names=n["]
    {
        let text = answer("", &[], &format!("find {bad}\n"));
        assert!(text.starts_with("! ERROR: invalid criteria"), "expression {bad}: {text}");
    }
}

#[test]
fn filters_show_their_use() {
    let text = answer("-P low -F jgf", &[("j", cores(1))], "m allocate j\nfind names=node0 and agfilter=true\n");
    assert!(text.contains(r#""agfilter": {"core": "used:1, total:4"}"#), "{text}");
}

#[test]
fn a_graph_grows_and_shrinks_under_jobs() {
    let rack = r#"{"graph": {"nodes": [
        {"id": "0", "metadata": {"type": "cluster", "basename": "small", "id": 0, "rank": -1, "paths": {"containment": "/small0"}}},
        {"id": "100", "metadata": {"type": "rack", "id": 9, "rank": -1, "paths": {"containment": "/small0/rack9"}}},
        {"id": "101", "metadata": {"type": "node", "id": 9, "rank": 9, "paths": {"containment": "/small0/rack9/node9"}}},
        {"id": "102", "metadata": {"type": "core", "id": 0, "rank": 9, "paths": {"containment": "/small0/rack9/node9/core0"}}}],
      "edges": [{"source": "0", "target": "100"}, {"source": "100", "target": "101"}, {"source": "101", "target": "102"}]}}"#;
    let files = [("rack", rack.to_string()), ("five", nodes(5)), ("two", nodes(2)), ("four", nodes(4))];
    let commands = "m allocate_with_satisfiability five\nattach rack\nm allocate five\ncancel 1\n\
                    remove /small0/rack9 true\nm allocate_with_satisfiability five\nm allocate four\n\
                    remove 0-1 false\nfind jobid-tag=2\nm allocate_with_satisfiability two\ncancel 2\n\
                    m allocate two\nremove 0 false\nremove /x true\nremove 1 maybe\n";
    let text = brief("-P low -F rlite", &files, commands);
    assert!(text.starts_with("No matching resources found Unsatisfiable request JOBID=1 [{"), "{text}");
    assert!(text.contains("JOBID=1 RESOURCES=ALLOCATED"), "{text}");
    assert!(text.contains("Unsatisfiable request JOBID=2"), "{text}");
    assert!(
        text.contains("[{\"rank\": \"2-3\", \"children\": {\"core\": \"0-3\", \"gpu\": \"0-1\"}}] EXPRESSION"),
        "{text}"
    );
    assert!(text.contains("No matching resources found JOBID=3"), "{text}");
    assert!(text.contains("JOBID=3 RESOURCES=ALLOCATED"), "{text}");
    assert!(text.ends_with("ERROR: no such path: /x ! ERROR: invalid path boolean input "), "{text}");
}
