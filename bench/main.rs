//! What the program costs, as one table: `cargo xtask bench [FLUX [AGAINST]] [--jobs N] [--bulk N] [--output | --ramp FILE.svg]`.
//!
//! Everything is measured on the built program, from outside, as a user would feel it; with `AGAINST` (another flux) the
//! same is done with that one in the same run, and the table gets a column with the ratio.

mod bulk;
mod instance;
mod many;
mod measure;
mod noisy;
mod plot;
mod ramp;

use std::path::PathBuf;
use std::process::ExitCode;

use instance::Instance;
use measure::{Figure, Unit};

const USAGE: &str = "usage: flux-bench FLUX [AGAINST] [--jobs N] [--bulk N] [--output | --ramp FILE.svg]";

struct Options {
    flux: PathBuf,
    against: Option<PathBuf>,
    jobs: u32,
    bulk: u32,
    /// Only what a job costs that prints a great deal.
    output: bool,
    /// Only the rate of `bulk` jobs as their number grows, drawn into this file.
    ramp: Option<String>,
}

fn options() -> Result<Options, String> {
    let mut programs = Vec::new();
    let (mut jobs, mut bulk, mut output, mut ramp) = (1000, 100_000, false, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--jobs" | "--bulk" => {
                let count = args.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                let count = count.ok_or_else(|| format!("{arg} wants a number above 0"))?;
                *(if arg == "--jobs" { &mut jobs } else { &mut bulk }) = count;
            }
            "--output" => output = true,
            "--ramp" => ramp = Some(args.next().ok_or("--ramp wants a file to draw into")?),
            flag if flag.starts_with('-') => return Err(format!("{flag} is unknown\n{USAGE}")),
            program => programs.push(PathBuf::from(program)),
        }
    }
    let mut programs = programs.into_iter();
    let flux = programs.next().ok_or(USAGE)?;
    Ok(Options { flux, against: programs.next(), jobs, bulk, output, ramp })
}

fn main() -> ExitCode {
    let outcome = options().and_then(|options| {
        if let Some(svg) = &options.ramp {
            return ramp::all(&options.flux, options.bulk, svg);
        }
        if options.output {
            let ours = noisy::all(&options.flux, options.jobs)?;
            let theirs = options.against.as_ref().map(|program| noisy::all(program, options.jobs)).transpose()?;
            print_table(&ours, theirs.as_deref());
            return Ok(());
        }
        let ours = measure::all(&options.flux, options.jobs, Some(options.bulk))?;
        let theirs = match &options.against {
            Some(program) => Some(measure::all(program, options.jobs, None)?),
            None => None,
        };
        print_table(&ours, theirs.as_deref());
        Ok(())
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("flux-bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn print_table(ours: &[Figure], theirs: Option<&[Figure]>) {
    println!("| what | target | measured |{}", if theirs.is_some() { " other | ratio |" } else { "" });
    println!("| --- | --- | --- |{}", if theirs.is_some() { " --- | --- |" } else { "" });
    for (at, figure) in ours.iter().enumerate() {
        let mut line = format!("| {} | {} | {} |", figure.what, figure.target, figure.text());
        if let Some(theirs) = theirs {
            let other = &theirs[at];
            let ratio = match (figure.value, other.value) {
                (Some(a), Some(b)) if a > 0.0 && b > 0.0 => {
                    format!(
                        "{:.1}x",
                        if matches!(figure.unit, Unit::PerSecond | Unit::Percent) { a / b } else { b / a }
                    )
                }
                _ => "-".to_owned(),
            };
            line.push_str(&format!(" {} | {ratio} |", other.text()));
        }
        println!("{line}");
    }
}
