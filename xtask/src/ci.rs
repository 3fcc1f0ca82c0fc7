//! Everything that must hold before a change lands, in the order of what fails fastest.

use crate::run::{cargo, have, output, root, run, target};
use crate::{Outcome, coverage, dist, policy, sim, statics, tidy};
use std::fs;
use std::process::Command;
use std::time::Instant;

type Step = (&'static str, fn() -> Outcome);

const STEPS: &[Step] = &[
    ("tidy", || tidy::main(&[])),
    ("imp-size", || tidy::imp_size(&[])),
    ("fmt", || run(cargo().args(["fmt", "--all", "--check"]))),
    ("policy", || policy::main(&[])),
    ("clippy", || run(cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))),
    ("sim", sim::ci),
    ("imp-coverage", || coverage::main(&[])),
    ("static", || statics::check(&dist::build()?)),
];

/// Tests that may be skipped, one `name: reason` a line. Any other that is skipped fails the run.
const SKIPS: &str = "tests/skips.list";

/// How long all tests together may take, with their build.
const TESTS_SECONDS_MAX: &str = "1200";

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
    if !passed {
        failed.push("tests");
    }
    println!("== times: {}", times.join(", "));
    let verdict =
        if failed.is_empty() { "all steps passed".to_string() } else { format!("failed: {}", failed.join(", ")) };
    println!("== {verdict}\n{summary}");
    if failed.is_empty() { Ok(()) } else { Err(String::new()) } // All is said already; the summary stays last.
}

/// Runs the tests; answers whether they passed, and the runner's summary.
fn tests() -> Result<(bool, String), String> {
    let nextest = have("cargo-nextest");
    let runner: &[&str] = if nextest { &["nextest", "run"] } else { &["test"] };
    let log = target().join("skipped-tests");
    let _ = fs::remove_file(&log); // Of an earlier run.
    // Nothing may hang for ever; nextest also ends single tests (.config/nextest.toml).
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", TESTS_SECONDS_MAX]).arg(cargo().get_program()).current_dir(root());
    command.args(runner).args(["--no-fail-fast", "--workspace", "--locked"]);
    // A test that cannot run on this machine appends `name: reason` to the file of this name, and returns.
    command.env("CARGO_TERM_COLOR", "never").env("FLUX_TEST_SKIP_LOG", &log);
    let (passed, text) = output(&mut command)?;
    println!("{}", without_passes(&text));
    let summary = if nextest { nextest_summary(&text) } else { test_summary(&text) };
    let mut skipped = if nextest { ignored_by_nextest()? } else { ignored_by_test(&text) };
    skipped.extend(fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_string));
    let known = fs::read_to_string(root().join(SKIPS)).unwrap_or_default();
    let unknown: Vec<_> = skipped.iter().filter(|line| !is_listed(line, &known)).collect();
    for line in &unknown {
        println!("SKIPPED without a reason in {SKIPS}: {line}");
    }
    Ok((passed && unknown.is_empty(), summary))
}

fn ignored_by_nextest() -> Result<Vec<String>, String> {
    let args = ["nextest", "list", "--workspace", "--locked", "--run-ignored", "only", "--message-format", "oneline"];
    let (ok, text) = output(cargo().args(args).env("CARGO_TERM_COLOR", "never").arg("--cargo-quiet"))?;
    if !ok {
        return Err(text);
    }
    Ok(text.lines().filter_map(|line| line.split_once(' ')).map(|(_, name)| name.trim().to_string()).collect())
}

fn ignored_by_test(text: &str) -> Vec<String> {
    let name = |line: &str| Some(line.strip_prefix("test ")?.split_once(" ... ignored")?.0.to_string());
    text.lines().filter_map(name).collect()
}

/// Whether a skipped test, `name` or `name: why it says so`, is in the list with a reason.
fn is_listed(skipped: &str, list: &str) -> bool {
    let name = skipped.split(": ").next().unwrap_or(skipped);
    let entries = list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(": "));
    entries.into_iter().any(|(known, reason)| known == name && !reason.trim().is_empty())
}

/// A log without the lines that tell nothing new.
fn without_passes(text: &str) -> String {
    let beginnings = ["PASS [", "running 0 tests", "test result: ok. 0 passed", "Running ", "Doc-tests ", "Compiling "];
    let interesting = |line: &&str| {
        let text = line.trim_start();
        !text.is_empty() && !text.ends_with("... ok") && !beginnings.iter().any(|known| text.starts_with(known))
    };
    text.lines().filter(interesting).collect::<Vec<_>>().join("\n")
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
    fn a_skipped_test_needs_a_reason() {
        let list = "# comment\nkvs::big: needs 1 TiB\nempty: \n";
        let rows = [
            ("kvs::big", true),
            ("kvs::big: no room", true),
            ("kvs::bi", false),
            ("empty", false),
            ("# comment", false),
        ];
        for (name, want) in rows {
            assert_eq!(super::is_listed(name, list), want, "{name}");
        }
        assert_eq!(super::ignored_by_test("test a::b ... ignored, why\ntest c ... ok\n"), ["a::b"]);
    }

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
