//! The scheduler's invariants over many seeds: nothing is in two jobs at once, and schedules are never worse than those of
//! a plain EASY.

use crate::Outcome;
use crate::run::{cargo, run};

const SEED_COUNT: &str = "10000";

pub(crate) fn main(args: &[String]) -> Outcome {
    let count = match args {
        [] => SEED_COUNT,
        [option, count] if option == "--seeds" && count.parse::<u64>().is_ok() => count,
        _ => return Err("usage: cargo xtask seeds [--seeds N]".into()),
    };
    println!("seeds: {count} worlds");
    // The tests are built for that many; in another directory, so that the usual ones stay as they are.
    let mut command = cargo();
    command.args([
        "test",
        "--release",
        "-p",
        "flux-fluxion",
        "-p",
        "flux-replay",
        "--lib",
        "--target-dir",
        "target/seeds",
        "--",
    ]);
    command.args(["invariant::", "tests::easy_is_never_worse", "service::random_tests::"]);
    run(command.env("FLUXION_SEEDS", count))
}
