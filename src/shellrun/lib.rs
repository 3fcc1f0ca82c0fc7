//! The job shell's process: it starts tasks, carries their input and output, and outlives its broker (ADR 1).
//!
//! `flux-shell` decides; this crate does: one thread, one poll loop, and a second thread while data is brought into storage or out.
#![forbid(unsafe_code)]

mod cpus;
mod files;
mod forkserver;
mod helpers;
mod limits;
mod link;
mod poll;
mod prepare;
mod rc;
mod record;
mod rexec;
mod script;
mod serve;
mod shell;
mod signed;
mod stage;
mod staging;
mod start;
mod storage;
mod task;

use std::ffi::OsString;
use std::io::Read;
use std::process::ExitCode;
use std::time::Instant;

use flux_shell::limits::BUNDLE_LEN_MAX;
use flux_shell::{Bundle, ShellError};

use flux_sys::fork::Title;
use flux_types::JobIdForm;

use record::Record;
use script::Planned;
use shell::Shell;

const HELP: &str = "Usage: flux-shell JOBID < BUNDLE

Starts the tasks of one job on this node, and looks after them until they end. Brokers run it; the bundle on standard input says
all there is to know (doc/adr/0001-launch-contract.md). With --fork-server in place of the id it makes a copy of itself for each bundle.
";

/// Runs the shell; `args` are the arguments after the program's name. Answers the largest exit code of the tasks.
pub fn main(args: &[OsString]) -> ExitCode {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let outcome = match args {
        [only] if only == "--fork-server" => serve_forks(),
        _ => read_bundle().and_then(|text| run(text, None)),
    };
    match outcome {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Err(why) => {
            eprintln!("flux-shell: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The bundle on standard input.
fn read_bundle() -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let read = std::io::stdin().lock().take(BUNDLE_LEN_MAX as u64 + 1).read_to_end(&mut text);
    read.map_err(|error| format!("reading the launch bundle: {error}"))?;
    if text.len() > BUNDLE_LEN_MAX {
        return Err(format!("the launch bundle is longer than {BUNDLE_LEN_MAX} bytes"));
    }
    Ok(text)
}

/// Serves as a fork server; what returns a code of its own is one of its shells.
fn serve_forks() -> Result<i32, String> {
    match forkserver::serve()? {
        forkserver::Now::Done => Ok(0),
        forkserver::Now::Shell(text, title) => run(text, title.as_ref()),
    }
}

fn run(text: Vec<u8>, title: Option<&Title>) -> Result<i32, String> {
    let mut bundle = Bundle::parse(&text).map_err(|error| error.to_string())?;
    drop(text);
    let private = signed::take(&mut bundle)?;
    if let Some(title) = title {
        title.set(&["flux-shell", &bundle.id.encode(JobIdForm::F58Plain)]);
    }
    let locked = |path: &String| Record::open(path).map_err(|error| format!("taking the lock of {path}: {error}"));
    let record = bundle.record.as_ref().map(locked).transpose()?;
    flux_sys::process::set_name("flux-shell");
    let signals = poll::take_signals().map_err(|error| format!("taking over signals: {error}"))?;
    let Planned { plan, failure, scripts, logs } = script::planned(&mut bundle);
    let mut shell = Shell::new(bundle, plan, record, Instant::now());
    shell.scripts = scripts;
    poll::run(&mut shell, &signals, |shell| begin(shell, failure.as_ref(), logs)).map_err(|error| error.to_string())?;
    shell.leave_record();
    drop(private);
    Ok(shell.code())
}

fn begin(shell: &mut Shell, failure: Option<&ShellError>, logs: Vec<(u8, String)>) {
    match failure {
        None => shell.begin(logs),
        Some(error) => shell.fail(error, logs),
    }
}
