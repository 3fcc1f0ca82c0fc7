//! The project's own tools: `cargo xtask COMMAND`. See `cargo xtask` for the list.

mod bench;
mod ci;
mod coverage;
mod crash;
mod deb;
mod dist;
mod fuzz;
mod guests;
mod policy;
mod power;
mod run;
mod seeds;
mod sim;
mod site;
mod soak;
mod statics;
mod tidy;

use std::process::ExitCode;

/// Why a command failed, as a sentence for a human.
type Outcome = Result<(), String>;

/// Its name, what it does, and the function that does it, given the rest of the arguments.
type Command = (&'static str, &'static str, fn(&[String]) -> Outcome);

const COMMANDS: &[Command] = &[
    ("ci", "everything that must hold before a change lands", ci::main),
    ("dist", "build the static program into target/dist [--check: and examine it]", dist::main),
    ("deb", "build Debian packages into target/dist [--with FLUX IMP PAM]", deb::main),
    ("tidy", "check the layout: sizes, dependencies, words", tidy::main),
    ("policy", "check the dependencies: licences, sources, bans", policy::main),
    ("bench", "what the program costs, as a table [OTHER-FLUX] [--jobs N]", bench::main),
    ("bench-fluxion", "what a match costs, as a table [--svg FILE]", bench::fluxion),
    (
        "crash",
        "kill -9 the broker at random moments, or cut its [--power]; nothing may be lost [--runs N]",
        crash::main,
    ),
    (
        "soak",
        "jobs of all kinds, cancels, kills of the broker; then an audit, job by job [--jobs N] [--seed N] [--flux PROGRAM]",
        soak::main,
    ),
    ("sim", "instances under virtual time and faults [--seeds A-B | --seed N [--trace]]", sim::main),
    ("seeds", "random graphs, jobs and losses against independent checkers [--seeds N]", seeds::main),
    ("fuzz", "run the fuzzers of fuzz/ on the stable compiler [NAME...] [--minutes N]", fuzz::main),
    ("guests", "what a guest's job costs beside one of the owner [FLUX [IMP]]", guests::main),
    ("imp-size", "count the lines that run with privilege", tidy::imp_size),
    ("imp-coverage", "run every line that runs with privilege", coverage::main),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let found = args.first().and_then(|name| COMMANDS.iter().find(|(known, ..)| known == name));
    let Some((name, _, command)) = found else {
        eprintln!("usage: cargo xtask COMMAND\n");
        for (name, help, _) in COMMANDS {
            eprintln!("  {name:<10} {help}");
        }
        return ExitCode::from(2);
    };
    match command(&args[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            if !why.is_empty() {
                eprintln!("xtask {name}: {why}");
            }
            ExitCode::FAILURE
        }
    }
}
