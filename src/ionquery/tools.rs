//! Small tools around recipes, jobspecs and traces.

use flux_fluxion::jobspec::Jobspec;
use flux_fluxion::policy::{Queue, QueueConfig, QueuePolicy};
use flux_fluxion::simulate::{parse_trace, simulate};
use flux_fluxion::{Fluxion, FluxionConfig, Reader, dot_of_recipe};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;

fn words(args: impl Iterator<Item = OsString>) -> Vec<String> {
    args.map(|word| word.to_string_lossy().into_owned()).collect()
}

fn fail(code: u8, text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(code)
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

/// grug2dot: draws a recipe into a file of the same name that ends in `.dot`, in the working directory.
pub fn grug2dot(args: impl Iterator<Item = OsString>) -> ExitCode {
    const USAGE: &str = "usage: grug2dot [-m|--more] RECIPE.graphml";
    let (options, files): (Vec<String>, Vec<String>) = words(args).into_iter().partition(|word| word.starts_with('-'));
    if options.iter().any(|option| option == "-h" || option == "--help") {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let is_known = |option: &String| option == "-m" || option == "--more";
    let [file] = &files[..] else { return fail(1, USAGE) };
    if !options.iter().all(is_known) {
        return fail(1, USAGE);
    }
    let dot = match read(file).and_then(|text| dot_of_recipe(&text, !options.is_empty()).map_err(|e| e.to_string())) {
        Ok(dot) => dot,
        Err(error) => return fail(1, &format!("Error in reading {file}: {error}")),
    };
    let target = Path::new(file).with_extension("dot");
    let target = target.file_name().unwrap_or(target.as_os_str()).to_os_string();
    match fs::write(&target, dot) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &format!("Error in writing {}: {error}", target.display())),
    }
}

/// flux jobspec-validate: 0 if all files, or standard input, are jobspecs; 1 if one cannot be read; 2 if one is none.
pub fn jobspec_validate(args: impl Iterator<Item = OsString>) -> ExitCode {
    let files = words(args);
    let mut texts = Vec::new();
    for file in &files {
        match read(file) {
            Ok(text) => texts.push((file.clone(), text)),
            Err(_) => return fail(1, &format!("flux-jobspec-validate: Unable to open file \"{file}\"")),
        }
    }
    if files.is_empty() {
        let mut text = String::new();
        if let Err(error) = io::stdin().lock().read_to_string(&mut text) {
            return fail(1, &format!("flux-jobspec-validate: {error}"));
        }
        texts.push(("standard input".into(), text));
    }
    for (name, text) in texts {
        if let Err(error) = Jobspec::parse(&text) {
            return fail(2, &format!("flux-jobspec-validate: {name}: {error}"));
        }
    }
    ExitCode::SUCCESS
}

const SIM_USAGE: &str = "\
usage: flux sim [OPTIONS] TRACE

Schedules a trace (Standard Workload Format or JSON lines) under virtual time and reports what comes of it.

  -L, --load-file=FILE        resources: R, GRUG or JGF (required)
  -f, --load-format=FORMAT    grug|hwloc|jgf|rv1exec (rv1exec)
  -q, --queue-policy=POLICY   fcfs|easy|hybrid|conservative (easy)
  -d, --queue-depth=N         jobs looked at in a cycle (32)
  -P, --match-policy=POLICY   as of resource-query (first)
      --largest-first         of jobs of one priority the largest goes first
      --svg=FILE              draw the schedule
";

struct SimOptions {
    load_file: Option<String>,
    load_format: String,
    match_policy: String,
    config: QueueConfig,
    svg: Option<String>,
    trace: Option<String>,
}

fn sim_options(words: Vec<String>) -> Result<SimOptions, String> {
    let mut options = SimOptions {
        load_file: None,
        load_format: "rv1exec".into(),
        match_policy: "first".into(),
        config: QueueConfig::new(QueuePolicy::Easy),
        svg: None,
        trace: None,
    };
    let (mut depth, mut packs) = (options.config.queue_depth, false);
    let mut rest = words.into_iter();
    while let Some(word) = rest.next() {
        let (name, mut value) = match word.split_once('=') {
            Some((name, value)) if word.starts_with("--") => (name.to_string(), Some(value.to_string())),
            _ => (word.clone(), None),
        };
        let mut value = || value.take().or_else(|| rest.next()).ok_or_else(|| format!("{word} needs a value"));
        match name.as_str() {
            "-L" | "--load-file" => options.load_file = Some(value()?),
            "-f" | "--load-format" => options.load_format = value()?,
            "-P" | "--match-policy" => options.match_policy = value()?,
            "-q" | "--queue-policy" => {
                let name = value()?;
                let policy = QueuePolicy::from_name(&name).ok_or_else(|| format!("unknown queue policy '{name}'"))?;
                options.config = QueueConfig::new(policy);
            }
            "-d" | "--queue-depth" => {
                depth = value()?
                    .parse()
                    .ok()
                    .filter(|depth| *depth > 0)
                    .ok_or("the queue depth must be a positive number")?;
            }
            "--largest-first" => packs = true,
            "--svg" => options.svg = Some(value()?),
            _ if word.starts_with('-') => return Err(format!("unknown option {word}")),
            _ => options.trace = Some(word),
        }
    }
    options.config = QueueConfig { queue_depth: depth, packs, ..options.config };
    Ok(options)
}

/// flux sim: runs a trace through the real queue and the real graph.
pub fn sim(args: impl Iterator<Item = OsString>) -> ExitCode {
    let words = words(args);
    if words.iter().any(|word| word == "-h" || word == "--help") {
        print!("{SIM_USAGE}");
        return ExitCode::SUCCESS;
    }
    match sim_options(words).and_then(run_sim) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &format!("flux-sim: {error}")),
    }
}

fn run_sim(options: SimOptions) -> Result<(), String> {
    let trace = options.trace.ok_or("no trace is named")?;
    let resources = options.load_file.ok_or("no resources are named (--load-file)")?;
    let reader = Reader::from_name(&options.load_format).ok_or("unknown load format")?;
    let config = FluxionConfig { match_policy: options.match_policy, ..FluxionConfig::default() };
    let document = read(&resources)?;
    let mut fluxion = Fluxion::from_document(reader, &document, &config).map_err(|error| error.to_string())?;
    let jobs = parse_trace(&read(&trace)?)?;
    let mut queue = Queue::new(options.config);
    let report = simulate(&mut fluxion, &mut queue, &jobs).map_err(|error| error.to_string())?;
    print!("{}", report.summary());
    if let Some(path) = options.svg {
        fs::write(&path, report.to_svg()).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(())
}
