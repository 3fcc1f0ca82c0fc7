//! `flux-sim`: sweeps over seeds, and the trace of one. `cargo xtask sim` builds and runs it.

use std::process::ExitCode;

mod sweep;

const USAGE: &str = "usage: flux-sim --seeds A-B [--threads N]
       flux-sim --seed N [--trace] [--plant NAME]
       flux-sim --plants [--seeds A-B] [--threads N]
       flux-sim --scale [SIZE] [--shape kary:2|kary:32|binomial|kary:0]";

/// What the command line asks for.
struct Args {
    first: u64,
    last: u64,
    threads: usize,
    trace: bool,
    plants: bool,
    scale: Option<u32>,
    shape: Option<String>,
}

fn parse(words: impl Iterator<Item = String>) -> Option<Args> {
    let mut args =
        Args { first: 1, last: 2000, threads: sweep::threads(), trace: false, plants: false, scale: None, shape: None };
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        let mut value = || value.clone().or_else(|| words.next());
        match name.as_str() {
            "--seeds" => {
                let text = value()?;
                let (first, last) = text.split_once('-')?;
                (args.first, args.last) = (first.parse().ok()?, last.parse().ok()?);
            }
            "--seed" => {
                args.first = value()?.parse().ok()?;
                args.last = args.first;
            }
            "--threads" => args.threads = value()?.parse().ok().filter(|count| *count > 0)?,
            "--trace" => args.trace = true,
            "--scale" => args.scale = Some(value().map_or(Some(16384), |text| text.parse().ok())?),
            "--shape" => args.shape = Some(value()?),
            "--plants" => args.plants = true,
            "--plant" => sweep::choose(&value()?)?,
            _ => return None,
        }
    }
    (args.first <= args.last).then_some(args)
}

fn main() -> ExitCode {
    let Some(args) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let good = if let Some(size_max) = args.scale {
        sweep::scaling(size_max, args.shape.as_deref())
    } else if args.plants {
        sweep::plants(&args)
    } else if args.first == args.last {
        sweep::one(args.first, args.trace)
    } else {
        sweep::many(&args)
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
