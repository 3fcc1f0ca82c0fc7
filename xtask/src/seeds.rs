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
    let tests = |profile: &str, package: &str, names: &[&str]| {
        let mut command = cargo();
        command.args(["test", "--profile", profile, "-p", package, "--lib", "--target-dir", "target/seeds", "--"]);
        run(command.args(names).env("FLUXION_SEEDS", count))
    };
    tests("release", "flux-fluxion", &["invariant::", "service::random_tests::"])?;
    // The IMP's code, which signs in it, is not for a release that unwinds.
    tests("sim", "flux-replay", &["easy_is_never_worse"])
}
