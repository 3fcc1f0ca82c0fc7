//! The 41 jobs of the tutorial, and traces.

use super::*;
use serde_json::{Value, json};

/// Four nodes of four cores.
fn cluster(config: Value) -> Machine {
    let r = json!({"version": 1, "execution": {"R_lite": [{"rank": "0-3", "children": {"core": "0-3"}}],
        "nodelist": ["n[0-3]"], "starttime": 0, "expiration": 0}});
    Machine { resources: r.to_string(), format: "rv1exec".into(), config, ..Machine::default() }
}

fn play(config: Value, jobs: &[TraceJob]) -> Report {
    simulate(&cluster(config), jobs, &mut |_| {}).expect("a good machine")
}

/// Sizes in quarters of a node: 1 x 4 nodes, 2 x 3, 4 x 2, 10 x 1, 8 x half, 16 x quarter.
fn sizes() -> Vec<u64> {
    [(1, 16), (2, 12), (4, 8), (10, 4), (8, 2), (16, 1)].into_iter().flat_map(|(n, size)| vec![size; n]).collect()
}

fn trace(sizes: &[u64]) -> Vec<TraceJob> {
    let lines: Vec<String> = sizes
        .iter()
        .map(|size| match size / 4 {
            0 => format!(r#"{{"cores": {size}, "runtime": 60, "duration": 60}}"#),
            nodes => format!(r#"{{"nodes": {nodes}, "cores": 4, "runtime": 60, "duration": 60}}"#),
        })
        .collect();
    parse_trace(&lines.join("\n")).expect("a good trace").jobs
}

fn waves(sizes: &[u64], queue_depth: usize, packs: bool) -> i64 {
    let order = if packs { "largest" } else { "age" };
    let queue = json!({"queue-policy": "easy", "queue-params": {"queue-depth": queue_depth}, "queue-order": order});
    let config = json!({"sched-fluxion-qmanager": queue, "sched-fluxion-resource": {"match-policy": "lonode"}});
    let report = play(config, &trace(sizes));
    assert_eq!(report.placements.len(), sizes.len());
    report.makespan() / 60
}

#[test]
fn the_tutorials_jobs_take_nine_waves_if_the_queue_is_looked_at_deeply_enough() {
    for depth in [20, 32, 64] {
        assert_eq!(waves(&sizes(), depth, false), 9, "depth {depth}");
    }
    assert_eq!(waves(&sizes(), 2, false), 10);
}

/// The tutorial's other order, as it is printed there (which is 17 quarters and 9 whole nodes).
const IN_NO_ORDER: [u64; 41] = [
    1, 4, 1, 1, 1, 12, 1, 4, 1, 1, 4, 4, 1, 1, 2, 1, 4, 2, 4, 1, 2, 2, 8, 1, 2, 4, 16, 1, 1, 1, 8, 2, 2, 1, 8, 1, 4,
    12, 4, 2, 8,
];

#[test]
fn so_do_those_that_come_in_no_order() {
    for depth in [20, 32, 41, 100] {
        assert_eq!(waves(&IN_NO_ORDER, depth, false), 9, "depth {depth}");
    }
    assert_eq!(waves(&IN_NO_ORDER, 2, false), 10);
    assert_eq!(waves(&IN_NO_ORDER, 20, true), 9);
}

/// Goal: the queue over the graph is never worse than a plain EASY over counted nodes. Method: shuffle, run both.
#[test]
fn easy_is_never_worse_than_a_plain_one() {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut below = |n: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % n
    };
    for shuffle in 0..SHUFFLE_COUNT {
        let mut sizes = sizes();
        for at in (1..sizes.len()).rev() {
            sizes.swap(at, below(at as u64 + 1) as usize);
        }
        let (ours, plain) = (waves(&sizes, 64, false), plain_easy(&sizes));
        assert!(ours <= plain, "shuffle {shuffle}: {ours} waves, plain EASY takes {plain}");
        assert_eq!(waves(&sizes, 64, true), 9, "shuffle {shuffle}: the largest first leaves no hole");
    }
}

/// `cargo xtask seeds` asks for more.
const SHUFFLE_COUNT: u64 = if option_env!("FLUXION_SEEDS").is_some() { 1000 } else { 20 };

/// EASY where all jobs take one wave: nodes are filled first fit, the first job that waits gets the next wave.
fn plain_easy(sizes: &[u64]) -> i64 {
    let mut waiting: Vec<u64> = sizes.to_vec();
    let mut waves = 0;
    while !waiting.is_empty() {
        waves += 1;
        let mut nodes = [4u64; 4];
        waiting.retain(|size| {
            let free = nodes.iter().filter(|node| **node == 4).count() as u64;
            if *size >= 4 {
                let fits = free >= size / 4;
                if fits {
                    nodes.iter_mut().filter(|node| **node == 4).take((size / 4) as usize).for_each(|node| *node = 0);
                }
                return !fits;
            }
            match nodes.iter_mut().find(|node| **node >= *size) {
                Some(node) => {
                    *node -= size;
                    false
                }
                None => true,
            }
        });
    }
    waves
}

#[test]
fn a_report_has_figures_and_a_picture() {
    let jobs =
        parse_trace("{\"nodes\": 4, \"cores\": 4, \"runtime\": 50}\n{\"cores\": 2, \"runtime\": 50, \"submit\": 10}\n")
            .expect("a good trace")
            .jobs;
    let report = play(json!({}), &jobs);
    assert_eq!((report.makespan(), report.waits()), (100, (20.0, 40)));
    assert_eq!(report.utilisation(), (16.0 * 50.0 + 2.0 * 50.0) / 1600.0);
    assert_eq!(report.bounded_slowdown(), (1.0 + 90.0 / 50.0) / 2.0);
    assert!(report.summary().contains("utilisation: 56.2 %"), "{}", report.summary());
    assert_eq!(report.to_svg().matches("<title>").count(), 5);
    assert!(play(json!({}), &[]).summary().ends_with("bounded slowdown: 0.00\n"));
}

#[test]
fn traces_come_in_two_forms() {
    let swf = "; a comment\n 7 100 5 60.5 4 -1 -1 8 3600 -1 1 1 1 1 1 1 -1 -1\n\
               8 100 -1 -1 4 -1 -1 8 3600 -1 5\n9 100 -1 60 0 -1 -1 -1 3600 -1 5\n";
    let swf = parse_trace(swf).expect("a good trace");
    let [job] = &swf.jobs[..] else { panic!("one job") };
    assert_eq!(swf.left_out, 2);
    assert_eq!((job.id, job.submit, job.run_time), (7, 100, 61));
    let jobspec: Value = serde_json::from_str(&job.jobspec).expect("it is JSON");
    assert_eq!(jobspec["resources"][0]["count"], 8);
    assert_eq!(jobspec["attributes"]["system"]["duration"], 3600.0);
    for bad in [
        "x",
        "1 2 3",
        "{\"cores\": -1}",
        "{\"cores\": 1, \"urgency\": 32}",
        "{\"id\": 3}",
        "{",
        "1 0 0 nan 1",
        "{\"cores\": 1}\n1 0 0 5 1",
    ] {
        assert!(parse_trace(bad).is_err(), "trace {bad:?}");
    }
}

/// A job of one core with these attributes.
fn with_system(run_time: i64, system: Value) -> TraceJob {
    let mut job =
        parse_trace(&json!({"cores": 1, "runtime": run_time}).to_string()).expect("a good trace").jobs.remove(0);
    let mut jobspec: Value = serde_json::from_str(&job.jobspec).expect("it is JSON");
    jobspec["attributes"]["system"] = system;
    job.jobspec = jobspec.to_string();
    job
}

#[test]
fn the_job_manager_says_what_may_run_and_for_how_long() {
    let policy = json!({"limits": {"job-size": {"max": {"ncores": 8}}}, "jobspec": {"defaults": {"system": {"queue": "batch"}}}});
    let config =
        json!({"queues": {"batch": {}, "debug": {"policy": {"limits": {"duration": "30s"}}}}, "policy": policy});
    let of_queue = |queue: &str, duration: u64| with_system(60, json!({"queue": queue, "duration": duration}));
    let trace = [
        r#"{"id": 1, "cores": 9, "runtime": 60}"#, // more than the policy allows
        r#"{"id": 2, "cores": 1, "runtime": 60}"#, // goes to the queue that is the default
        r#"{"id": 3, "cores": 1, "runtime": 60, "duration": 20}"#, // is ended when its time is up
        r#"{"id": 4, "cores": 1, "runtime": 60, "urgency": 0}"#, // is held
    ];
    let mut jobs = parse_trace(&trace.join("\n")).expect("a good trace").jobs;
    jobs.push(TraceJob { id: 5, ..of_queue("debug", 60) });
    jobs.push(TraceJob { id: 6, ..of_queue("debug", 30) });
    jobs.push(TraceJob { id: 7, ..of_queue("nowhere", 30) });
    let report = play(config, &jobs);
    let ends: Vec<(u64, i64)> = report.placements.iter().map(|(id, job)| (*id, job.end)).collect();
    assert_eq!(ends, [(2, 60), (3, 20), (6, 30)]);
    assert_eq!(report.rejected.keys().copied().collect::<Vec<_>>(), [1, 5, 7], "{:?}", report.rejected);
    assert!(report.rejected[&1].contains("ncores"), "{:?}", report.rejected);
    assert_eq!(report.never_started, [4]);
}

#[test]
fn a_job_may_wait_for_a_time() {
    let begin = json!({"scheme": "begin-time", "value": "1750100000"});
    let begin = with_system(10, json!({"duration": 10, "dependencies": [begin]}));
    let report = play(json!({}), &[TraceJob { id: 1, submit: 5, ..begin }]);
    assert_eq!(report.placements.get(&1).map(|job| job.start), Some(100_000), "{report:?}");
}

#[test]
fn a_machine_that_is_none_is_refused() {
    let of = |resources: &str, config: Value| Machine { resources: resources.into(), ..cluster(config) };
    let good = cluster(json!({})).resources;
    for (machine, want) in [
        (of("", json!({})), "JSON"),
        (of(&good, json!({"sched-fluxion-qmanager": {"queue-policy": "lifo"}})), "lifo"),
        (of(&good, json!({"sched-fluxion-resource": {"match-policy": "no.lua"}})), "no.lua"),
        (of(&good, json!({"policy": {"limits": 3}})), "policy"),
        (Machine { format: "x".into(), ..cluster(json!({})) }, "load format"),
    ] {
        let error = simulate(&machine, &[], &mut |_| {}).expect_err(want);
        assert!(error.contains(want), "{error}");
    }
}
