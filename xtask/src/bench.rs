//! `cargo xtask bench`: builds the static program and the bench, and prints the table.

use crate::Outcome;
use crate::run::{cargo, run, target};

pub(crate) fn main(args: &[String]) -> Outcome {
    crate::dist::main(&[])?;
    run(cargo().args(["build", "--quiet", "--release", "--package", "flux-bench"]))?;
    let mut bench = std::process::Command::new(target().join("release/flux-bench"));
    run(bench.arg(target().join("dist/flux")).args(args))
}

/// `cargo xtask bench-fluxion`: the scheduler alone.
pub(crate) fn fluxion(args: &[String]) -> Outcome {
    run(cargo().args(["build", "--quiet", "--release", "--package", "flux-bench", "--bin", "flux-bench-fluxion"]))?;
    run(std::process::Command::new(target().join("release/flux-bench-fluxion")).args(args))
}
