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
