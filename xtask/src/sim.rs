//! `cargo xtask sim`: the simulator, built with its assertions and fast enough for sweeps.

use crate::Outcome;
use crate::run::{cargo, output, root, run};
use std::fs;

/// What one run of CI looks at.
const CI_SEEDS: &str = "1-2000";

/// What is written by `--scale`, and where.
const SCALING: &str = "doc/scaling.md";
const TABLE_BEGINS: &str = "<!-- written by cargo xtask sim --scale -->";

fn simulator() -> std::process::Command {
    let mut command = cargo();
    command.args(["run", "--quiet", "--locked", "--profile", "sim", "-p", "flux-sim", "--features", "plant", "--"]);
    command
}

pub(crate) fn main(args: &[String]) -> Outcome {
    match args {
        [] => run(simulator().args(["--seeds", CI_SEEDS])),
        [scale, ..] if scale == "--scale" && !args.iter().any(|arg| arg.starts_with("--shape")) => {
            let (good, table) = output(simulator().args(args))?;
            if !good {
                return Err(table);
            }
            let file = root().join(SCALING);
            let text = fs::read_to_string(&file).map_err(|error| format!("{SCALING}: {error}"))?;
            let (head, _) = text.split_once(TABLE_BEGINS).ok_or(format!("{SCALING} has no mark for the table"))?;
            fs::write(&file, format!("{head}{TABLE_BEGINS}\n{table}")).map_err(|error| format!("{SCALING}: {error}"))
        }
        _ => run(simulator().args(args)),
    }
}

/// The seeds of a run of CI, and every planted bug found within them.
pub(crate) fn ci() -> Outcome {
    run(simulator().args(["--seeds", CI_SEEDS]))?;
    run(simulator().args(["--plants", "--seeds", CI_SEEDS]))
}
