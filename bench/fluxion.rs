//! What a match costs: `cargo xtask bench-fluxion [--svg FILE]`.
//!
//! The scheduler alone, without an instance around it: loading a machine of 56 racks of 72 nodes, single cores under every
//! policy, reservations deep into the future, constraints, queues of 10,000 jobs, and the time of a match on machines of 1,000
//! to 100,000 nodes, as a table and as a picture. Times are those of the processor: other work does not count.

mod plot;

use std::fmt::Write as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use flux_fluxion::jobspec::Jobspec;
use flux_fluxion::policy::{Queue, QueueConfig, QueuePolicy};
use flux_fluxion::{
    Engine, EngineConfig, Fluxion, FluxionConfig, Format, Graph, MatchOp, Reader, Writer, parse_policy,
};
use serde_json::json;

use plot::Plot;

/// Policies of the table, the demanded ones first.
const POLICIES: [&str; 9] =
    ["first", "lonode", "low", "high", "hinode", "firstnodex", "lonodex", "locality", "variation"];
/// A measurement ends after this time, if not after its number of matches.
const TIME_MAX: Duration = Duration::from_secs(3);
const SIZES: [u32; 7] = [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];

/// A GRUG recipe. `kinds`: type, how many in each of the one above, and size; a name that begins with `+` hangs beside the one
/// before it.
fn recipe(kinds: &[(&str, u32, u32)]) -> String {
    let mut text = String::from(
        "<graphml><key id=\"root\" for=\"node\" attr.name=\"root\"><default>0</default></key>\n\
         <key id=\"type\" for=\"node\" attr.name=\"type\"/><key id=\"basename\" for=\"node\" attr.name=\"basename\"/>\n\
         <key id=\"size\" for=\"node\" attr.name=\"size\"><default>1</default></key>\n\
         <key id=\"scope\" for=\"edge\" attr.name=\"id_scope\"><default>0</default></key>\n\
         <key id=\"scale\" for=\"edge\" attr.name=\"multi_scale\"><default>1</default></key>\n<graph id=\"g\">\n",
    );
    let mut above = 0;
    for (at, (kind, _, size)) in kinds.iter().enumerate() {
        let (name, root) = (kind.trim_start_matches('+'), u32::from(at == 0));
        let _ = writeln!(
            text,
            "<node id=\"{at}\"><data key=\"root\">{root}</data><data key=\"type\">{name}</data>\
             <data key=\"basename\">{name}</data><data key=\"size\">{size}</data></node>"
        );
    }
    for (at, (kind, count, _)) in kinds.iter().enumerate().skip(1) {
        if !kind.starts_with('+') {
            above = at - 1;
        }
        let scope = u32::from(!matches!(*kind, "rack" | "socket"));
        let _ = writeln!(
            text,
            "<edge source=\"{above}\" target=\"{at}\"><data key=\"scope\">{scope}</data><data key=\"scale\">{count}</data></edge>"
        );
    }
    text + "</graph></graphml>"
}

/// 56 racks x 72 nodes x 2 sockets x 24 cores, a GPU and four pools of memory.
fn large() -> String {
    recipe(&[
        ("cluster", 1, 1),
        ("rack", 56, 1),
        ("node", 72, 1),
        ("socket", 2, 1),
        ("core", 24, 1),
        ("+gpu", 1, 1),
        ("+memory", 4, 16),
    ])
}

/// Racks of 100 nodes of four cores.
fn of_size(nodes: u32) -> String {
    recipe(&[("cluster", 1, 1), ("rack", nodes / 100, 1), ("node", 100, 1), ("core", 4, 1)])
}

fn jobspec(resources: serde_json::Value, system: serde_json::Value) -> Jobspec {
    let value = json!({"version": 9999, "resources": [resources], "attributes": {"system": system},
        "tasks": [{"command": ["a"], "slot": "s", "count": {"per_slot": 1}}]});
    Jobspec::from_value(&value).expect("a good jobspec")
}

fn one_core(system: serde_json::Value) -> Jobspec {
    jobspec(json!({"type": "slot", "count": 1, "label": "s", "with": [{"type": "core", "count": 1}]}), system)
}

fn nodes(count: u32, seconds: u32) -> Jobspec {
    let node = json!({"type": "node", "count": 1, "exclusive": true});
    jobspec(json!({"type": "slot", "count": count, "label": "s", "with": [node]}), json!({"duration": seconds}))
}

fn engine(text: &str, policy: &str) -> Engine {
    let mut graph = Graph::default();
    Reader::Grug.load(&mut graph, text, &Default::default()).expect("a good recipe");
    let policy = parse_policy(policy).expect("a known policy");
    Engine::new(graph, &EngineConfig { policy, ..EngineConfig::default() }).expect("a good configuration")
}

/// What this process has used of a processor, so that other work on the machine does not count.
fn used() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// Matches a jobspec up to `count` times; how many were matched in which time.
fn matches(engine: &mut Engine, op: MatchOp, jobspec: &Jobspec, first: u64, count: u64) -> (u64, Duration) {
    let (began, before) = (Instant::now(), used());
    let mut done = 0;
    while done < count && began.elapsed() < TIME_MAX {
        let mut writer = Writer::new(Format::Rv1Nosched);
        if engine.match_job(op, first + done, jobspec, 0, &mut writer).is_err() {
            break;
        }
        let _ = writer.finish();
        done += 1;
    }
    (done, used() - before)
}

fn rate((count, time): (u64, Duration)) -> f64 {
    count as f64 / time.as_secs_f64().max(1e-9)
}

fn row(what: &str, value: &str, target: &str) {
    println!("| {what} | {value} | {target} |");
}

/// Megabytes this process holds.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4096.0 / 1e6
}

/// In a process of its own, so that nothing else is in its memory.
fn load_only() {
    let text = large();
    let (before, began) = (resident(), used());
    let engine = engine(&text, "first");
    println!("{:.2} {:.0} {}", (used() - began).as_secs_f64(), resident() - before, engine.graph.vertex_count());
}

fn load_rows() -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let out = Command::new(program).arg("--load-only").output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&out.stdout);
    let words: Vec<&str> = text.split_whitespace().collect();
    let [seconds, megabytes, vertices] = words[..] else { return Err("the load was not measured".into()) };
    row(&format!("load {vertices} vertices"), &format!("{seconds} s"), "1 s");
    row("memory of these", &format!("{megabytes} MB"), "200 MB");
    Ok(())
}

fn policy_rows(text: &str) {
    for policy in POLICIES {
        let mut engine = engine(text, policy);
        let job = one_core(json!({"duration": 3600}));
        let got = rate(matches(&mut engine, MatchOp::Allocate, &job, 1, 150_000));
        let target = match policy {
            "first" => "100,000/s",
            "lonode" => "20,000/s",
            _ => "",
        };
        row(&format!("`match allocate` of one core, `{policy}`"), &format!("{got:.0}/s"), target);
    }
}

fn reservation_rows(text: &str) {
    for policy in ["first", "lonode", "low"] {
        let mut engine = engine(text, policy);
        let job = nodes(4, 3600);
        matches(&mut engine, MatchOp::Allocate, &job, 1, 1008);
        let got = matches(&mut engine, MatchOp::AllocateOrElseReserve, &job, 2000, 2000);
        let what = format!("4 nodes `allocate_orelse_reserve`, {} deep, `{policy}`", got.0);
        row(&what, &format!("{:.0}/s", rate(got)), "5,000/s");
    }
}

/// Jobs that are as different as those of users are.
fn queue_rows(text: &str) -> Result<(), String> {
    for policy in [QueuePolicy::Easy, QueuePolicy::Conservative, QueuePolicy::Hybrid] {
        let config = FluxionConfig::default();
        let mut fluxion = Fluxion::from_document(Reader::Grug, text, &config).map_err(|error| error.to_string())?;
        let mut queue = Queue::new(QueueConfig::new(policy));
        for id in 1..=11_000u32 {
            let job = nodes(1 + id * 7919 % 64, 600 + id * 104_729 % 7200);
            queue.submit_jobspec(id.into(), 16, id.into(), job.into()).map_err(|error| error.to_string())?;
        }
        while queue.cycle(&mut fluxion, 0).has_more {}
        let (mut longest, mut sum, rounds) = (Duration::ZERO, Duration::ZERO, 20);
        for round in 0..rounds {
            // One job ends, as many others in between.
            let ended = fluxion.running().nth(round * 3);
            if let Some(id) = ended {
                fluxion.cancel(id).map_err(|error| error.to_string())?;
            }
            queue.notice_room();
            let began = used();
            let _ = queue.cycle(&mut fluxion, round as i64);
            let took = used() - began;
            (longest, sum) = (longest.max(took), sum + took);
        }
        let mean = sum.as_secs_f64() * 1e3 / rounds as f64;
        let value = format!("{mean:.1} ms, at most {:.1} ms", longest.as_secs_f64() * 1e3);
        row(&format!("a cycle of `{policy:?}`, {} jobs wait", queue.len()), &value, "50 ms");
    }
    Ok(())
}

/// Microseconds of one match of 16 nodes, of one core, and of one core on one of ten nodes by property and by host.
fn by_size(nodes_in_all: u32, policy: &str) -> [f64; 4] {
    let mut engine = engine(&of_size(nodes_in_all), policy);
    for node in (0..nodes_in_all).step_by((nodes_in_all / 10) as usize) {
        for at in engine.graph.at_path(&format!("/cluster0/rack{}/node{node}", node / 100)) {
            engine.graph.set_property(at, "rare", "");
        }
    }
    let host = format!("node{}", nodes_in_all / 2);
    let jobs = [
        nodes(16, 3600),
        one_core(json!({"duration": 3600})),
        one_core(json!({"duration": 3600, "constraints": {"properties": ["rare"]}})),
        one_core(json!({"duration": 3600, "constraints": {"hostlist": [host]}})),
    ];
    let mut first = 1;
    jobs.map(|job| {
        // The first builds what is kept. Of the others the shortest time: nothing else ran meanwhile.
        let times = (0..4).map(|_| {
            let began = Instant::now();
            let mut writer = Writer::new(Format::Rv1Nosched);
            let found = engine.match_job(MatchOp::Allocate, first, &job, 0, &mut writer);
            first += u64::from(found.is_ok());
            let _ = writer.finish();
            began.elapsed()
        });
        times.min().unwrap_or_default().as_secs_f64() * 1e6
    })
}

fn size_rows(policy: &str) -> Vec<(u32, [f64; 4])> {
    println!(
        "\n| nodes, `{policy}` | 16 nodes | one core | `--requires` a property | a host |\n| --- | --- | --- | --- | --- |"
    );
    let mut points = Vec::new();
    for size in SIZES {
        let micros = by_size(size, policy);
        let cells: Vec<String> = micros.iter().map(|value| format!("{value:.0} us")).collect();
        println!("| {size} | {} |", cells.join(" | "));
        points.push((size, micros));
    }
    points
}

/// Both axes are logarithmic: 1,000 to 100,000 nodes, 1 to 100,000 us.
fn picture(series: Vec<(String, Vec<(u32, f64)>)>) -> String {
    let x = |size: u32| (f64::from(size).log10() - 3.0) / 2.0;
    let y = |micros: f64| micros.max(1.0).log10() / 5.0;
    let line = |(name, points): (String, Vec<(u32, f64)>)| {
        (name, points.into_iter().map(|(size, micros)| (x(size), y(micros))).collect())
    };
    let powers = (0..6).map(|power| 10f64.powi(power));
    let plot = Plot {
        x_marks: [1_000, 10_000, 100_000].map(|size| (x(size), format!("{size} nodes"))).into(),
        y_marks: powers.map(|micros| (y(micros), format!("{micros} us"))).collect(),
        lines: series.into_iter().map(line).collect(),
    };
    plot.svg()
}

fn run(svg: Option<&str>) -> Result<(), String> {
    println!("| what | measured | wanted |\n| --- | --- | --- |");
    load_rows()?;
    let text = large();
    policy_rows(&text);
    reservation_rows(&text);
    queue_rows(&text)?;
    let mut series = Vec::new();
    for policy in ["first", "lonode"] {
        let points = size_rows(policy);
        for (at, name) in ["16 nodes", "one core", "a property", "a host"].iter().enumerate() {
            let line = points.iter().map(|(size, micros)| (*size, micros[at])).collect();
            series.push((format!("{name}, {policy}"), line));
        }
    }
    match svg {
        Some(path) => std::fs::write(path, picture(series)).map_err(|error| format!("{path}: {error}")),
        None => Ok(()),
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["--load-only"] => {
            load_only();
            Ok(())
        }
        [] => run(None),
        ["--svg", path] => run(Some(path)),
        _ => Err("usage: flux-bench-fluxion [--svg FILE]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("flux-bench-fluxion: {why}");
            ExitCode::FAILURE
        }
    }
}
