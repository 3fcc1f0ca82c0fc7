//! Runs the fuzzers of `fuzz/` on the stable compiler: libFuzzer itself, with the compiler's counters of edges and comparisons, and
//! without the address sanitizer, which only nightly has (the decoders are safe code).

use crate::Outcome;
use crate::run::{cargo, output, root, run, target};
use std::fs;
use std::process::Command;

/// What cargo-fuzz asks of the compiler, too.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions=on \
                     -Coverflow-checks=on --cfg fuzzing";

/// Runs fuzzers whose names begin with one of the words, all together for `--minutes N`, each from the corpus that earlier runs left.
pub(crate) fn main(args: &[String]) -> Outcome {
    let (mut minutes, mut words) = (1, Vec::new());
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--minutes" => minutes = rest.next().and_then(|text| text.parse().ok()).ok_or("--minutes N")?,
            word => words.push(word),
        }
    }
    let mut names: Vec<String> = fs::read_dir(root().join("fuzz/fuzz_targets"))
        .map_err(|error| error.to_string())?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".rs").map(str::to_string))
        .filter(|name| words.is_empty() || words.iter().any(|word| name.starts_with(word)))
        .collect();
    names.sort();
    let host = host()?;
    let directory = target().join("fuzz");
    let mut build = cargo();
    build.args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", &host, "--target-dir"]);
    build.arg(&directory).env("RUSTFLAGS", FLAGS).env("RUSTC_WRAPPER", "");
    names.iter().for_each(|name| drop(build.args(["--bin", name]).get_args()));
    run(&mut build)?;
    let seconds = (minutes * 60 / names.len().max(1)).max(1);
    for name in &names {
        let corpus = directory.join("corpus").join(name);
        fs::create_dir_all(&corpus).map_err(|error| error.to_string())?;
        let mut fuzzer = Command::new(directory.join(&host).join("release").join(name));
        fuzzer.args([format!("-max_total_time={seconds}"), "-print_final_stats=1".into(), "-verbosity=0".into()]);
        fuzzer.arg(format!("-artifact_prefix={}/{name}-", directory.display())).arg(&corpus);
        let (good, text) = output(&mut fuzzer)?;
        let runs = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        let inputs = fs::read_dir(&corpus).map_or(0, Iterator::count);
        println!("{name}: {seconds} s, {} inputs tried, {inputs} kept", runs.unwrap_or("?").trim());
        if !good {
            return Err(format!("{name}:\n{text}"));
        }
    }
    Ok(())
}

/// The compiler's own target: named, it lets the flags be for what it builds, and not for build scripts.
fn host() -> Result<String, String> {
    let (_, text) = output(Command::new("rustc").arg("-vV"))?;
    text.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_string).ok_or(text)
}
