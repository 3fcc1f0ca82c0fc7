//! Everything that must hold before a change lands, in the order of what fails fastest.

use crate::run::{cargo, have, output, run};
use crate::{Outcome, dist, policy, statics, tidy};
use std::time::Instant;

type Step = (&'static str, fn() -> Outcome);

const STEPS: &[Step] = &[
    ("tidy", || tidy::main(&[])),
    ("fmt", || run(cargo().args(["fmt", "--all", "--check"]))),
    ("policy", || policy::main(&[])),
    ("clippy", || run(cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))),
    ("static", || statics::check(&dist::build()?)),
];

/// Runs all steps, also after one failed; then the tests, so that their summary is what is read last.
pub(crate) fn main(_: &[String]) -> Outcome {
    let mut failed = Vec::new();
    let mut times = Vec::new();
    for (name, step) in STEPS {
        println!("== {name}");
        let began = Instant::now();
        if let Err(why) = step() {
            println!("FAILED: {why}");
            failed.push(*name);
        }
        times.push(format!("{name} {:.0} s", began.elapsed().as_secs_f64()));
    }
    println!("== tests");
    let began = Instant::now();
    let (passed, summary) = tests()?;
    times.push(format!("tests {:.0} s", began.elapsed().as_secs_f64()));
    println!("== times: {}", times.join(", "));
    if !passed {
        failed.push("tests");
    }
    let verdict = if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) };
    println!("== {}", verdict.as_ref().map_or_else(String::clone, |()| "all steps passed".to_string()));
    println!("{summary}");
    verdict
}

/// Runs the tests on the static program; answers whether they passed, and the runner's summary.
fn tests() -> Result<(bool, String), String> {
    let nextest = have("cargo-nextest");
    let args: &[&str] = if nextest { &["nextest", "run", "--no-fail-fast"] } else { &["test", "--no-fail-fast"] };
    let mut command = cargo();
    command.args(args).args(["--workspace", "--locked"]).env("CARGO_TERM_COLOR", "never");
    let (passed, text) = output(&mut command)?;
    println!("{}", without_passes(&text));
    let summary = if nextest { nextest_summary(&text) } else { test_summary(&text) };
    Ok((passed, summary))
}

/// A log without the lines that tell nothing new.
fn without_passes(text: &str) -> String {
    let dull = |line: &&str| !line.trim_start().starts_with("PASS [") && !line.ends_with("... ok");
    text.lines().filter(dull).collect::<Vec<_>>().join("\n")
}

fn nextest_summary(text: &str) -> String {
    let line = text.lines().rev().find(|line| line.trim_start().starts_with("Summary ["));
    line.map_or_else(|| "Summary: the tests did not run".to_string(), |line| line.trim().to_string())
}

/// `cargo test` sums up each binary: this adds them up.
fn test_summary(text: &str) -> String {
    let mut sums = [0u64; 3];
    let names = ["passed", "failed", "ignored"];
    for line in text.lines().filter(|line| line.starts_with("test result:")) {
        for part in line.split(['.', ';']) {
            let mut words = part.split_ascii_whitespace();
            let (Some(count), Some(name)) = (words.next(), words.next()) else { continue };
            if let (Ok(count), Some(at)) = (count.parse::<u64>(), names.iter().position(|known| *known == name)) {
                sums[at] += count;
            }
        }
    }
    let total: u64 = sums.iter().sum();
    format!("Summary: {total} tests: {} passed, {} failed, {} skipped", sums[0], sums[1], sums[2])
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_of_many_test_binaries_are_added_up() {
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\n\
                    noise\ntest result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(super::test_summary(text), "Summary: 10 tests: 7 passed, 2 failed, 1 skipped");
        assert_eq!(
            super::nextest_summary("a\n     Summary [   0.2s] 5 tests run: 5 passed\n"),
            "Summary [   0.2s] 5 tests run: 5 passed"
        );
    }
}
