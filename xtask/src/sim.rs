//! `cargo xtask sim`: the simulator, built with its assertions and fast enough for sweeps.

use crate::Outcome;
use crate::run::{cargo, run};

/// What one run of CI looks at.
const CI_SEEDS: &str = "1-2000";

pub(crate) fn main(args: &[String]) -> Outcome {
    let all = ["--seeds".to_owned(), CI_SEEDS.to_owned()];
    let args = if args.is_empty() { &all } else { args };
    run(cargo().args(["run", "--quiet", "--locked", "--profile", "sim", "-p", "flux-sim", "--"]).args(args))
}
