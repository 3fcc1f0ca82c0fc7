//! The files, clock and streams of resource-query and its relatives; everything else is in `flux_fluxion`.
#![forbid(unsafe_code)]

#[cfg(test)]
mod tests;
mod tools;

pub use tools::{grug2dot, jobspec_validate};

use flux_fluxion::query::{self, Host, Streams};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::time::Instant;

struct System {
    started: Instant,
}

impl Host for System {
    fn read(&mut self, path: &str) -> io::Result<String> {
        fs::read_to_string(path)
    }

    fn write(&mut self, path: &str, text: &str) -> io::Result<()> {
        fs::write(path, text)
    }

    fn clock(&mut self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

/// Runs resource-query with the words after its name.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<String> = args.map(|word| word.to_string_lossy().into_owned()).collect();
    let options = match query::parse_options(&words) {
        Ok(options) => options,
        Err(usage) => {
            match usage.code {
                0 => print!("{}", usage.text), // It was asked for.
                _ => eprint!("{}", usage.text),
            }
            return ExitCode::from(usage.code);
        }
    };
    match fs::metadata(&options.load_file) {
        Err(_) => return fail(&format!("[ERROR] file does not exist for --load-file: {}", options.load_file)),
        Ok(found) if found.is_dir() => {
            return fail(&format!("[ERROR] path passed to --load-file is a directory: {}", options.load_file));
        }
        Ok(_) => {}
    }
    let mut results: Box<dyn Write> = match &options.test_output {
        None => Box::new(io::stdout()),
        Some(path) => match File::create(path) {
            Ok(file) => Box::new(BufWriter::new(file)),
            Err(error) => return fail(&format!("[ERROR] can't create {path}: {error}")),
        },
    };
    let streams = Streams { results: &mut results, out: &mut io::stdout(), errors: &mut io::stderr() };
    let mut system = System { started: Instant::now() };
    match query::run(&options, &mut system, &mut io::stdin().lock(), streams) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::FAILURE
}
