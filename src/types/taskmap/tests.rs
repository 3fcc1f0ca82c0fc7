use super::*;
use crate::testing::{Xorshift, hostile_texts};

fn map(text: &str) -> Taskmap {
    Taskmap::parse(text).unwrap_or_else(|e| panic!("{text:?}: {e}"))
}

#[test]
fn task_maps_follow_rfc34_test_vectors() {
    let rows = [
        ("0", "[[0,1,1,1]]"),
        ("0;1", "[[0,2,1,1]]"),
        ("0-1", "[[0,1,2,1]]"),
        ("0-1;2-3", "[[0,2,2,1]]"),
        ("0,2;1,3", "[[0,2,1,2]]"),
        ("1;0", "[[1,1,1,1],[0,1,1,1]]"),
        ("0-3;4-7;8-11;12-15", "[[0,4,4,1]]"),
        ("0,4,8,12;1,5,9,13;2,6,10,14;3,7,11,15", "[[0,4,1,4]]"),
        ("0-1,8-9;2-3,10-11;4-5,12-13;6-7,14-15", "[[0,4,2,2]]"),
        ("0-1;2-3;4-5;6-7;8-11;12-15", "[[0,4,2,1],[4,2,4,1]]"),
        ("0,6;1,7;2,8;3,9;4,10,12,14;5,11,13,15", "[[0,6,1,2],[4,2,1,2]]"),
        ("14-15;12-13;10-11;8-9;4-7;0-3", "[[5,1,4,1],[4,1,4,1],[3,1,2,1],[2,1,2,1],[1,1,2,1],[0,1,2,1]]"),
        ("0-1;2-3;4-5;6-7;8-9;12-13;10-11;14-15", "[[0,5,2,1],[6,1,2,1],[5,1,2,1],[7,1,2,1]]"),
        ("12-15;8-11;4-7;0-3", "[[3,1,4,1],[2,1,4,1],[1,1,4,1],[0,1,4,1]]"),
    ];
    for (raw, json) in rows {
        assert_eq!(map(raw).to_string(), json, "input {raw}");
        assert_eq!(map(json).encode_raw(true).as_deref(), Ok(raw), "input {json}");
        assert_eq!(map(json), map(raw), "input {raw}");
        let wrapped = map(raw).to_wrapped_value().to_string();
        assert_eq!(wrapped, format!("{{\"version\":1,\"map\":{json}}}"));
        assert_eq!(map(&wrapped), map(raw), "input {raw}");
        let nodes: Vec<Idset> = raw.split(';').map(|tasks| Idset::parse(tasks).unwrap()).collect();
        assert_eq!(map(raw).nnodes(), nodes.len(), "input {raw}");
        for (nodeid, tasks) in nodes.iter().enumerate() {
            assert_eq!(map(raw).taskids(nodeid as u32), *tasks, "node {nodeid} of {raw}");
            assert_eq!(map(raw).ntasks_on(nodeid as u32), tasks.count(), "node {nodeid} of {raw}");
            assert!(tasks.iter().all(|task| map(raw).nodeid(task) == Some(nodeid as u32)), "node {nodeid} of {raw}");
        }
        assert_eq!(map(raw).nodeid(map(raw).ntasks() as u32), None, "input {raw}");
    }
    assert!(map("[]").is_unknown() && map("").is_unknown() && map("{\"version\":1,\"map\":[]}").is_unknown());
    assert_eq!(
        (map("[]").to_string().as_str(), map("[]").encode_raw(true).as_deref(), map("[]").encode_pmi().as_deref()),
        ("[]", Ok(""), Ok(""))
    );
}

#[test]
fn pmi_mappings_follow_the_tables_of_rfc34() {
    let rows = [
        ("(vector,(0,4,4))", "[[0,4,4,1]]"),
        ("(vector,(0,4,1),(0,4,1),(0,4,1),(0,4,1))", "[[0,4,1,4]]"),
        ("(vector,(0,4,2),(0,4,2))", "[[0,4,2,2]]"),
        ("(vector,(0,4,2),(4,2,4))", "[[0,4,2,1],[4,2,4,1]]"),
        ("(vector,(0,6,1),(0,6,1),(4,2,1),(4,2,1))", "[[0,6,1,2],[4,2,1,2]]"),
        ("(vector,(0,6,2),(4,2,2))", "[[0,6,2,1],[4,2,2,1]]"),
        ("(vector,(0,4096,256))", "[[0,4096,256,1]]"),
    ];
    for (pmi, json) in rows {
        assert_eq!(map(pmi).to_string(), json, "input {pmi}");
        assert_eq!(map(json).encode_pmi().as_deref(), Ok(pmi), "input {json}");
    }
    assert_eq!(map(" (vector, (0,2,1), (0, 2, 1))").to_string(), "[[0,2,1,2]]");
}

#[test]
fn what_is_no_task_map_is_refused() {
    let rows = [
        ";",
        "0;0",
        "0-1;1-2",
        "1",
        "0;2",
        "0-3;2-5",
        "a",
        "0 1",
        "[",
        "[[0,1,1]]",
        "[[0,1,1,1,1]]",
        "[0,1,1,1]",
        "[[0,0,1,1]]",
        "[[0,1,0,1]]",
        "[[0,1,1,0]]",
        "[[-1,1,1,1]]",
        "[[0,1,1,1.5]]",
        "{}",
        "{\"version\":2,\"map\":[]}",
        "{\"version\":1}",
        "{\"map\":[]}",
        "{\"version\":1,\"map\":{}}",
        "(vector)",
        "(vector,)",
        "vector,(0,1,1)",
        "(vector,(0,1))",
        "(vector,(0,1,1)",
        "(vector,(0,0,1))",
        "(vector,(0,1,1),)",
        "(vector,(0,1,1)(0,1,1))",
        "(vector,(-1,1,1))",
        "(foo,(0,1,1))",
        "[[0,1,1,4294967295]]",
        "[[4294967295,1,1,1]]",
        "[[0,1048577,1,1]]",
        "0-16777216",
    ];
    for text in rows {
        assert!(Taskmap::parse(text).is_err(), "input {text:?}");
    }
    assert_eq!(Taskmap::parse("0-2;5").unwrap_err(), TaskmapError::Missing { taskid: 3 });
    assert_eq!(Taskmap::parse("0-2;2").unwrap_err(), TaskmapError::Duplicate { taskid: 2 });
    assert_eq!(map("[[1,1,1,1]]").encode_raw(true).unwrap_err(), TaskmapError::EmptyNode { nodeid: 0 });
}

#[test]
fn a_million_cyclic_tasks_cost_one_block() {
    let mut tasks = Taskmap::new();
    for _ in 0..256 {
        tasks.append(0, 4096, 1).unwrap();
    }
    assert_eq!((tasks.to_string().as_str(), tasks.ntasks()), ("[[0,4096,1,256]]", 1 << 20));
    assert_eq!(
        (tasks.nodeid(4097), tasks.ntasks_on(7), tasks.taskids(4095).last()),
        (Some(1), 256, Some((1 << 20) - 1))
    );
    assert_eq!(map("[[0,2,1,8388608]]").encode_pmi().unwrap_err(), TaskmapError::TooLarge);
    assert!(map("0-1;2-3").has_shape_of(&map("0,2;1,3")) && !map("0;1").has_shape_of(&map("0-1")));
}

/// Goal: every form and query agrees with the plain list of nodes. Method: random appends to both.
#[test]
fn task_maps_agree_with_a_plain_list() {
    for seed in 1..600u64 {
        let mut rng = Xorshift(seed);
        let (mut tasks, mut model) = (Taskmap::new(), Vec::new());
        let mut add = |nodeid: u32, nnodes: u32, ppn: u32| {
            tasks.append(nodeid, nnodes, ppn).unwrap();
            (nodeid..nodeid + nnodes).for_each(|node| model.extend(std::iter::repeat_n(node, ppn as usize)));
        };
        add(0, 4, 1);
        for _ in 0..rng.below(8) {
            add(rng.below(4) as u32, 1 + rng.below(3) as u32, 1 + rng.below(2) as u32);
        }
        assert_eq!(tasks.ntasks(), model.len(), "seed {seed}");
        for (task, node) in model.iter().enumerate() {
            assert_eq!(tasks.nodeid(task as u32), Some(*node), "seed {seed} task {task}");
        }
        assert_eq!(map(&tasks.to_string()), tasks, "seed {seed}");
        for text in [tasks.encode_pmi(), tasks.encode_raw(false), tasks.encode_raw(true)] {
            let back = map(&text.unwrap());
            assert_eq!(back.encode_raw(true), tasks.encode_raw(true), "seed {seed}");
        }
    }
}

#[test]
fn hostile_task_maps_never_panic_and_what_parses_round_trips() {
    let samples =
        ["[[0,4,1,4]]", "{\"version\":1,\"map\":[[0,1,1,1]]}", "(vector,(0,4,2),(4,2,4))", "0-1;2-3", "0,2;1,3"];
    hostile_texts(29, &samples, "0123456789,-;[](){}vector\"", |text| {
        if let Ok(tasks) = Taskmap::parse(text) {
            assert_eq!(Taskmap::parse(&tasks.to_string()), Ok(tasks.clone()), "{text:?}");
            assert!(
                tasks.encode_pmi().is_ok_and(|pmi| Taskmap::parse(&pmi).is_ok()) || tasks.ntasks() > 1000,
                "{text:?}"
            );
            tasks.taskids(0);
        }
    });
}
