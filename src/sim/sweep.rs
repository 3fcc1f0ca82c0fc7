//! Many seeds on all cores, and what came of them as a table.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use flux_sim::limits::THREADS_MAX;
use flux_sim::{Fault, Outcome, Violation, run};

use crate::Args;

/// Failing seeds that are printed in full.
const TOLD_MAX: usize = 20;
/// How often a sweep says where it is.
const TOLD_EVERY: u64 = 1000;

pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A seed; a panic of a broker is a violation like any other.
fn run_caught(seed: u64, traced: bool) -> Outcome {
    match catch_unwind(AssertUnwindSafe(|| run(seed, traced))) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned();
            let violation = Some(Violation { rule: "panic", text });
            let (faults, trace) = (BTreeMap::new(), Vec::new());
            Outcome { seed, violation, faults, steps: 0, messages: 0, jobs: 0, seconds: 0.0, hash: 0, trace }
        }
    }
}

/// One seed, twice: with its trace if that is wanted. `false`: something is wrong.
pub(crate) fn one(seed: u64, traced: bool) -> bool {
    let outcome = run_caught(seed, traced || run_caught(seed, false).violation.is_some());
    let again = run_caught(seed, false);
    for line in &outcome.trace {
        println!("{line}");
    }
    let Outcome { steps, messages, jobs, seconds, hash, .. } = &outcome;
    println!(
        "seed {seed}: {seconds:.1} s, {steps} steps, {messages} messages between brokers, {jobs} jobs, sum {hash:016x}"
    );
    println!("{}", counts(&outcome.faults));
    if again.hash != outcome.hash {
        println!("a second run went another way: sum {:016x}", again.hash);
        return false;
    }
    match &outcome.violation {
        Some(Violation { rule, text }) => {
            println!("seed {seed} FAILED: {rule}: {text}");
            false
        }
        None => true,
    }
}

fn counts(faults: &BTreeMap<Fault, u64>) -> String {
    let one = |kind: Fault| format!("{} {}", kind.name(), faults.get(&kind).unwrap_or(&0));
    format!("faults: {}", Fault::ALL.map(one).join(", "))
}

#[derive(Default)]
struct Sum {
    faults: BTreeMap<Fault, u64>,
    steps: u64,
    messages: u64,
    jobs: usize,
    seconds: f64,
    failed: Vec<(u64, Violation)>,
}

impl Sum {
    fn add(&mut self, outcome: Outcome) {
        for (kind, count) in outcome.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.steps += outcome.steps;
        self.messages += outcome.messages;
        self.jobs += outcome.jobs;
        self.seconds += outcome.seconds;
        self.failed.extend(outcome.violation.map(|violation| (outcome.seed, violation)));
    }
}

/// Turns on each planted bug in its turn, until a seed finds it. `false`: one was not found.
#[cfg(feature = "plant")]
pub(crate) fn plants(args: &Args) -> bool {
    use flux_service::Plant;
    std::panic::set_hook(Box::new(|_| ()));
    let mut missed = 0;
    for plant in Plant::ALL {
        flux_service::choose(Some(plant));
        let (next, found) = (AtomicU64::new(args.first), Mutex::new(None::<(u64, Violation)>));
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed > args.last || found.lock().expect("no thread panics with it").is_some() {
                    return;
                }
                if known().any(|(known, _)| known == seed) {
                    continue; // It fails without a plant, too.
                }
                if let Some(violation) = run_caught(seed, false).violation {
                    let mut found = found.lock().expect("no thread panics with it");
                    if found.as_ref().is_none_or(|(known, _)| seed < *known) {
                        *found = Some((seed, violation));
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..args.threads.min(THREADS_MAX) {
                scope.spawn(work);
            }
        });
        match found.into_inner().expect("no thread panics with it") {
            Some((seed, Violation { rule, text })) => {
                let text: String = text.chars().take(100).collect();
                println!("{plant:?}: seed {seed}: {rule}: {text}");
            }
            None => {
                missed += 1;
                println!("{plant:?}: NOT FOUND by seeds {} to {}", args.first, args.last);
            }
        }
    }
    flux_service::choose(None);
    println!("{} of {} planted bugs found", Plant::ALL.len() - missed, Plant::ALL.len());
    missed == 0
}

/// Turns on the planted bug of that name.
#[cfg(feature = "plant")]
pub(crate) fn choose(name: &str) -> Option<()> {
    let plant = flux_service::Plant::ALL.into_iter().find(|plant| format!("{plant:?}") == name)?;
    flux_service::choose(Some(plant));
    Some(())
}

#[cfg(not(feature = "plant"))]
pub(crate) fn choose(_name: &str) -> Option<()> {
    None
}

/// This build has no planted bugs.
#[cfg(not(feature = "plant"))]
pub(crate) fn plants(_args: &Args) -> bool {
    println!("built without planted bugs: use cargo xtask sim");
    false
}

/// Seeds that fail for reasons that are known, each with the rule that it breaks.
fn known() -> impl Iterator<Item = (u64, &'static str)> {
    let lines = include_str!("known.list").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).map(|(seed, rule)| (seed.parse().expect("a seed"), rule))
}

/// Says which failures are known, and which are not any more; the others stay.
fn tell_known(args: &Args, sum: &mut Sum) {
    for (seed, rule) in known() {
        if seed < args.first || seed > args.last {
            continue;
        }
        let before = sum.failed.len();
        sum.failed.retain(|(failed, violation)| *failed != seed || violation.rule != rule);
        match sum.failed.len() < before {
            true => println!("seed {seed} fails as is known: {rule}"),
            false => println!("seed {seed} does not break {rule} any more: take it out of src/sim/known.list"),
        }
    }
}

/// All seeds from the first to the last. `false`: some of them failed.
pub(crate) fn many(args: &Args) -> bool {
    std::panic::set_hook(Box::new(|_| ())); // Each is told once, with its seed.
    let (next, sum) = (AtomicU64::new(args.first), Mutex::new(Sum::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > args.last {
                return;
            }
            let outcome = run_caught(seed, false);
            if let Some(Violation { rule, text }) = &outcome.violation {
                eprintln!("seed {seed}: {rule}: {:.200}", text); // A long sweep is looked at before its end.
            }
            if seed.is_multiple_of(TOLD_EVERY) {
                eprintln!("at seed {seed}");
            }
            sum.lock().expect("no thread panics with it").add(outcome);
        }
    };
    #[allow(clippy::disallowed_methods, reason = "time is only printed")]
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..args.threads.min(THREADS_MAX) {
            scope.spawn(work);
        }
    });
    let took = began.elapsed().as_secs_f64();
    let mut sum = sum.into_inner().expect("no thread panics with it");
    sum.failed.sort_by_key(|(seed, _)| *seed);
    tell_known(args, &mut sum);
    for (seed, Violation { rule, text }) in sum.failed.iter().take(TOLD_MAX) {
        println!("seed {seed} FAILED: {rule}: {text}");
    }
    let (count, failed) = (args.last - args.first + 1, sum.failed.len());
    println!(
        "{count} seeds in {took:.1} s: {:.0} virtual seconds, {} steps, {} messages between brokers, {} jobs",
        sum.seconds, sum.steps, sum.messages, sum.jobs
    );
    println!("{}", counts(&sum.faults));
    match sum.failed.first() {
        None => println!("all good"),
        Some((seed, _)) => {
            println!("{failed} failed; the first again, with its trace: cargo xtask sim --seed {seed} --trace")
        }
    }
    failed == 0
}

/// Sizes and shapes of the table in doc/scaling.md.
const SHAPES: [(&str, &[u32]); 4] = [
    ("kary:2", &[16, 256, 4096, 16384]),
    ("kary:32", &[16, 256, 4096, 16384]),
    ("binomial", &[16, 256, 4096, 16384]),
    ("kary:0", &[16, 256, 4096, 16384]),
];

/// What is said between brokers of instances of many sizes, as a table; only those up to `size_max`. With a shape only
/// its row of that size.
pub(crate) fn scaling(size_max: u32, shape: Option<&str>) -> bool {
    if let Some(shape) = shape {
        let Some((topology, _)) = SHAPES.iter().find(|(name, _)| *name == shape) else {
            println!("{shape}: not one of {}", SHAPES.map(|(name, _)| name).join(", "));
            return false;
        };
        return told(size_max, topology);
    }
    println!("| tree | brokers | depth | most children | boot | event | commit | job of all |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut good = true;
    for (topology, sizes) in &SHAPES {
        for size in sizes.iter().filter(|size| **size <= size_max) {
            good &= told(*size, topology);
        }
    }
    good
}

fn told(size: u32, topology: &'static str) -> bool {
    match flux_sim::scale(size, topology) {
        Ok(scale) => println!("{}", row(&scale)),
        Err(why) => {
            println!("{topology}, {size} brokers: {why}");
            return false;
        }
    }
    true
}

/// All messages for each broker, and those at rank 0 for each of its links.
fn row(scale: &flux_sim::Scale) -> String {
    let cell = |traffic: flux_sim::Traffic| {
        format!(
            "{} ({:.1}, root {})",
            traffic.messages,
            traffic.messages as f64 / f64::from(scale.size),
            traffic.at_root
        )
    };
    format!(
        "| {} | {} | {} | {} | {} in {:.2} s | {} | {} | {} in {:.2} s |",
        scale.topology,
        scale.size,
        scale.depth,
        scale.fanout,
        cell(scale.boot),
        scale.boot_seconds,
        cell(scale.event),
        cell(scale.commit),
        cell(scale.job),
        scale.job_seconds
    )
}
