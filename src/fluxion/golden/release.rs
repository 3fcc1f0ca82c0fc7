//! Giving back and putting back.

use super::{answer, brief, cores, jobspec, nodes};

const TWO: &str = r#"{"version": 1, "execution": {"R_lite": [{"rank": "0-1", "children": {"core": "0-3"}}], "nodelist": ["n[0-1]"], "starttime": 0, "expiration": 0}}"#;

fn rank(rank: u32, cores: &str) -> String {
    format!(
        r#"{{"version": 1, "execution": {{"R_lite": [{{"rank": "{rank}", "children": {{"core": "{cores}"}}}}], "nodelist": ["n{rank}"], "starttime": 0, "expiration": 0}}}}"#
    )
}

fn files() -> Vec<(&'static str, String)> {
    vec![
        ("recipe", TWO.to_string()),
        (
            "all",
            jobspec(
                "[{type: node, count: 2, exclusive: true, with: [{type: slot, count: 1, label: s, with: [{type: core, count: 4}]}]}]",
            ),
        ),
        ("one", nodes(1)),
        ("core", cores(1)),
        ("r0", rank(0, "0-3")),
        ("r1", rank(1, "0-3")),
        ("r1half", rank(1, "0-1")),
    ]
}

#[test]
fn a_cancelled_job_leaves_room() {
    let text = brief(
        "-f rv1exec -F rv1_nosched",
        &files(),
        "m allocate all\nm allocate one\ncancel 1\nm allocate all\ncancel 7\n",
    );
    assert!(text.contains("No matching resources found JOBID=2"), "{text}");
    assert!(text.contains("JOBID=3 RESOURCES=ALLOCATED"), "{text}");
    assert!(text.ends_with("! ERROR: nonexistent job 7"), "{text}");
}

#[test]
fn a_cancel_counts_what_it_visits() {
    let text = answer("-f rv1exec -P low", &files(), "m allocate core\ncancel 1 stats\n");
    assert!(text.contains("CANCEL PREORDER COUNT=\"7\"") && text.contains("CANCEL POSTORDER COUNT=\"3\""), "{text}");
}

#[test]
fn ranks_are_given_back_one_by_one() {
    let commands = "m allocate all\npartial-cancel 1 rv1exec r1\nfind sched-now=allocated\nm allocate one\n\
                    partial-cancel 1 rv1exec r0\nfind jobid-tag=1\ncancel 1\n";
    let text = answer("-f rv1exec -P low -F rlite", &files(), commands);
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("=====")).collect();
    assert_eq!(
        lines,
        [
            r#"[{"rank": "0-1", "children": {"core": "0-3"}}]"#,
            "INFO: JOBID=1",
            "INFO: RESOURCES=ALLOCATED",
            "INFO: SCHEDULED AT=Now",
            r#"[{"rank": "0", "children": {"core": "0-3"}}]"#,
            "INFO: EXPRESSION=\"sched-now=allocated\"",
            r#"[{"rank": "1", "children": {"core": "0-3"}}]"#,
            "INFO: JOBID=2",
            "INFO: RESOURCES=ALLOCATED",
            "INFO: SCHEDULED AT=Now",
            "INFO: EXPRESSION=\"jobid-tag=1\"",
            "! ERROR: nonexistent job 1",
        ]
    );
}

#[test]
fn a_reservation_or_a_stranger_gives_nothing_back() {
    let commands = "m allocate all\nm allocate_orelse_reserve all\npartial-cancel 2 rv1exec r1\n\
                    partial-cancel 9 rv1exec r1\npartial-cancel 1 foo r1\npartial-cancel 1 rv1exec nofile\n";
    let text = answer("-f rv1exec -F rlite", &files(), commands);
    for want in
        ["reservations not currently supported", "nonexistent job 9", "unsupported reader foo", "can't open nofile"]
    {
        assert!(text.contains(&format!("! ERROR: {want}")), "{want}: {text}");
    }
}

#[test]
fn a_job_is_put_back_where_r_says() {
    let commands = "update allocate rv1exec r1half 5 0 100\nfind jobid-alloc=5\nm allocate_orelse_reserve all\n\
                    update allocate rv1exec r1 9 50 10\nupdate allocate rv1exec r0 5 0 100\ncancel 5\ncancel 6\n\
                    m allocate all\n";
    let text = answer("-f rv1exec -F rlite -P low", &files(), commands);
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("=====")).collect();
    let half = r#"[{"rank": "1", "children": {"core": "0-1"}}]"#;
    assert_eq!(lines[..4], [half, "INFO: JOBID=5", "INFO: RESOURCES=ALLOCATED", "INFO: SCHEDULED AT=Now"]);
    assert_eq!(lines[4..6], [half, "INFO: EXPRESSION=\"jobid-alloc=5\""]);
    assert_eq!(lines[7..10], ["INFO: JOBID=6", "INFO: RESOURCES=RESERVED", "INFO: SCHEDULED AT=100"]);
    assert!(text.contains("! ERROR: core0 is unavailable") && text.contains("! ERROR: existing Jobid"), "{text}");
    assert!(text.contains("INFO: JOBID=10\nINFO: RESOURCES=ALLOCATED\nINFO: SCHEDULED AT=Now"), "{text}");
}

#[test]
fn a_short_graph_says_as_much_as_a_long_one() {
    let long = answer("-f rv1exec -F jgf -P low", &files(), "m allocate one\n");
    let short = answer("-f rv1exec -F jgf_shorthand -P low", &files(), "m allocate one\n");
    let document = |text: &str| text.lines().next().unwrap_or("").to_string();
    let mut files = files();
    files.extend([("long", document(&long)), ("short", document(&short))]);
    let put = |reader: &str| {
        answer(
            "-f rv1exec -P low",
            &files,
            &format!(
                "update allocate {reader} {} 3 0 9\nfind sched-now=allocated\n",
                if reader == "jgf" { "long" } else { "short" }
            ),
        )
    };
    assert_eq!(put("jgf"), put("jgf_shorthand").replace("short", "long"));
    assert!(put("jgf").contains("core3[1:x]"), "{}", put("jgf"));
}
