//! The options of the five commands that submit jobs.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::request::Request;

/// Options that take a value and may be given again, the last one winning: name, letter, value name, help.
const SINGLE: &[(&str, char, &str, &str)] = &[
    ("bank", 'B', "BANK", "Submit a job to a specific named bank"),
    ("queue", 'q', "NAME", "Submit a job to a specific named queue"),
    (
        "time-limit",
        't',
        "MIN|FSD",
        "Time limit in minutes when no units are given, otherwise in Flux standard duration, e.g. 30s, 2d, 1.5h",
    ),
    ("urgency", ' ', "N", "Set job urgency (0-31), hold=0, default=16, expedite=31"),
    ("job-name", ' ', "NAME", "Set an optional name for the job"),
    ("input", ' ', "FILENAME", "Redirect job stdin from FILENAME, bypassing the KVS"),
    ("output", ' ', "FILENAME", "Redirect job stdout to FILENAME, bypassing the KVS"),
    ("error", ' ', "FILENAME", "Redirect job stderr to FILENAME, bypassing the KVS"),
    ("cwd", ' ', "DIRECTORY", "Set job working directory"),
    (
        "signal",
        ' ',
        "[SIG][@TIME]",
        "Schedule delivery of signal SIG at TIME before job expiration. Default SIG is SIGUSR1, default TIME is 60s",
    ),
];

/// Options whose values add up.
const MULTIPLE: &[(&str, char, &str, &str)] = &[
    ("setopt", 'o', "OPT", "Set shell option OPT, or OPT=VAL (default VAL=1; multiple use OK)"),
    (
        "setattr",
        'S',
        "ATTR",
        "Set job attribute ATTR, or ATTR=VAL (default VAL=1). If ATTR starts with ^, VAL is a file of JSON (multiple use OK)",
    ),
    (
        "add-file",
        ' ',
        "[NAME=]PATH",
        "Add a file at PATH with optional NAME to the jobspec; it is extracted to {{tmpdir}}/NAME. Permissions may follow as NAME:PERMS (multiple use OK)",
    ),
    ("dependency", ' ', "URI", "Set an RFC 26 dependency URI for this job"),
    ("requires", ' ', "CONSTRAINT", "Specify job constraints in RFC 35 syntax"),
    (
        "begin-time",
        ' ',
        "+FSD|TIME",
        "Set minimum start time as offset in FSD (e.g. +1h) or an absolute TIME (e.g. \"3pm\")",
    ),
    (
        "env",
        ' ',
        "RULE",
        "Control how environment variables are exported: -PATTERN removes, ^FILE reads rules, NAME=VALUE sets, PATTERN copies; in the order given (multiple use OK)",
    ),
    (
        "env-remove",
        ' ',
        "PATTERN",
        "Remove environment variables matching PATTERN, a shell glob, or a regular expression after '/' (multiple use OK)",
    ),
    ("env-file", ' ', "FILE", "Read environment rules from FILE (multiple use OK)"),
    (
        "rlimit",
        ' ',
        "RULE",
        "Control how soft resource limits are propagated: -PATTERN leaves out, NAME or NAME=VALUE adds (multiple use OK)",
    ),
    ("flags", ' ', "FLAGS", "Set comma separated list of job submission flags: debug, waitable, novalidate"),
];

const SWITCHES: &[(&str, char, &str)] = &[
    ("unbuffered", 'u', "Disable buffering of input and output"),
    ("label-io", 'l', "Add rank labels to stdout, stderr lines"),
    ("dry-run", ' ', "Don't actually submit job, just emit jobspec"),
    ("quiet", ' ', "Do not print jobid to stdout on submission"),
];

/// The resource options of submit, run and bulksubmit.
const RESOURCES: &[(&str, char, &str, &str)] = &[
    ("nodes", 'N', "N", "Number of nodes to allocate"),
    ("ntasks", 'n', "N", "Number of tasks to start"),
    ("cores-per-task", 'c', "N", "Number of cores to allocate per task"),
    ("gpus-per-task", 'g', "N", "Number of GPUs to allocate per task"),
    ("cores", ' ', "N", "Request a total number of cores"),
    ("tasks-per-node", ' ', "N", "Force number of tasks per node"),
    ("tasks-per-core", ' ', "N", "Force number of tasks per core"),
    ("gpus-per-node", ' ', "N", "Request a number of GPUs per node with --nodes"),
];

/// Of all that submit: instead of the other resource options.
const SHAPES: &[(&str, char, &str, &str)] = &[
    (
        "resources-shape",
        ' ',
        "SHAPE",
        "Provide an RFC 46 jobspec shape on the command line. Any other resource arguments will be ignored.",
    ),
    ("resources-json", ' ', "FILE", "Provide a JSON file specifying the `resources` section of a jobspec."),
];

const BULK: &[(&str, char, &str, &str)] = &[
    ("cc", ' ', "IDSET", "Replicate job for each ID in IDSET. (FLUX_JOB_CC=ID will be set for each job submitted)"),
    ("bcc", ' ', "IDSET", "Like --cc, but FLUX_JOB_CC is not set"),
    ("wait-event", ' ', "NAME", "Wait for event NAME for all jobs after submission"),
    ("log", ' ', "FILE", "Print program log messages (e.g. submitted jobid) to FILE instead of terminal"),
    ("log-stderr", ' ', "FILE", "Separate stderr messages into FILE instead of terminal or logfile destination"),
];

const BULK_SWITCHES: &[(&str, char, &str)] = &[
    ("wait", ' ', "Wait for all jobs to complete after submission (same as --wait-event=clean)"),
    ("watch", ' ', "Watch all job output (implies --wait)"),
    ("progress", ' ', "Show progress of job submission or completion (with --wait)"),
    ("jps", ' ', "With --progress, show job throughput"),
];

const NEST: &[(&str, char, &str, &str)] = &[
    ("nslots", 'n', "N", "Number of total resource slots requested"),
    ("cores-per-slot", 'c', "N", "Number of cores to allocate per slot"),
    ("gpus-per-slot", 'g', "N", "Number of GPUs to allocate per slot"),
    ("nodes", 'N', "N", "Distribute allocated resource slots across N individual nodes"),
];

const NEST_MULTIPLE: &[(&str, char, &str, &str)] = &[
    (
        "conf",
        ' ',
        "CONF",
        "Set configuration for a child instance: KEY=VAL, TOML or JSON text, a file, or a name (multiple use OK)",
    ),
    ("broker-opts", ' ', "OPTS", "Pass options to flux brokers (multiple use OK)"),
];

fn valued(row: &(&'static str, char, &'static str, &'static str), action: ArgAction) -> Arg {
    let (name, letter, value, help) = *row;
    let arg = Arg::new(name).long(name).value_name(value).help(help).action(action).allow_hyphen_values(true);
    if letter == ' ' { arg } else { arg.short(letter) }
}

fn switch(row: &(&'static str, char, &'static str)) -> Arg {
    let (name, letter, help) = *row;
    let arg = Arg::new(name).long(name).help(help).action(ArgAction::SetTrue).overrides_with(name);
    if letter == ' ' { arg } else { arg.short(letter) }
}

fn single(row: &(&'static str, char, &'static str, &'static str)) -> Arg {
    valued(row, ArgAction::Set).overrides_with(row.0)
}

fn exclusive() -> Arg {
    switch(&("exclusive", 'x', "With -N, --nodes, allocate nodes exclusively"))
}

fn common(command: Command) -> Command {
    command
        .args(SINGLE.iter().map(single))
        .args(MULTIPLE.iter().map(|row| valued(row, ArgAction::Append)))
        .args(SWITCHES.iter().map(switch))
        .mut_arg("requires", |arg| arg.alias("require"))
        .mut_arg("dry-run", |arg| arg.alias("dry"))
        .arg(switch(&("list-plugins", ' ', "Print all command-line plugins that are loaded and exit")))
}

/// The command and its arguments, after all options.
fn words(name: &'static str, help: &'static str) -> Arg {
    Arg::new("command").value_name(name).help(help).num_args(0..).trailing_var_arg(true)
}

/// What `flux submit`, `flux run` and `flux bulksubmit` share.
pub(super) fn submission(command: Command) -> Command {
    let taskmap = (
        "taskmap",
        ' ',
        "URI",
        "Select the scheme for mapping task ids to nodes as SCHEME[:VALUE]: block, cyclic, cyclic:N, manual:TASKMAP or hostfile:FILE (default: block)",
    );
    let verbose = Arg::new("verbose").short('v').long("verbose").action(ArgAction::Count);
    common(command)
        .arg(single(&taskmap))
        .args(RESOURCES.iter().chain(SHAPES).map(|row| single(row).help_heading("Resource options")))
        .arg(exclusive().help_heading("Resource options"))
        .arg(verbose.help("Increase verbosity on stderr (multiple use OK)"))
        .arg(words("COMMAND", "Job command and arguments"))
}

/// What `flux submit` and `flux bulksubmit` have beyond that.
pub(super) fn bulk(command: Command) -> Command {
    submission(command).args(BULK.iter().map(single)).args(BULK_SWITCHES.iter().map(switch))
}

/// What `flux alloc` and `flux batch` share.
pub(super) fn nest(command: Command, words_name: &'static str, words_help: &'static str) -> Command {
    let dump = Arg::new("dump").long("dump").value_name("FILE").num_args(0..=1).require_equals(true);
    common(command)
        .args(NEST.iter().chain(SHAPES).map(single))
        .args(NEST_MULTIPLE.iter().map(|row| valued(row, ArgAction::Append)))
        .mut_arg("broker-opts", |arg| arg.alias("broker-opt"))
        .arg(dump.default_missing_value("flux-{{jobid}}-dump.tgz").help("Archive KVS on exit"))
        .arg(exclusive())
        .arg(words(words_name, words_help))
}

/// `flux run`'s own.
pub(super) fn run_wait_event() -> Arg {
    single(&("wait-event", ' ', "NAME", "Pass --wait-event=NAME to flux job attach"))
}

/// The event that `flux run` waits for.
pub(super) fn event(matches: &ArgMatches) -> Option<String> {
    matches.get_one::<String>("wait-event").cloned()
}

/// Reads what was typed. Options this command does not have are just absent.
pub(super) fn request(matches: &ArgMatches) -> Request {
    let mut request = Request::default();
    request.command = strings(matches, "command");
    let tables = [SINGLE, MULTIPLE, RESOURCES, SHAPES, BULK, NEST, NEST_MULTIPLE];
    for (name, ..) in tables.into_iter().flatten() {
        match *name {
            "env" | "env-remove" | "env-file" | "begin-time" | "dependency" | "wait-event" => {}
            name => request.set(name, strings(matches, name)),
        }
    }
    for name in ["taskmap", "dump"] {
        request.set(name, strings(matches, name));
    }
    request.set("env", in_order(matches, &[("env", ""), ("env-remove", "-"), ("env-file", "^")]));
    request.set("dependency", in_order(matches, &[("dependency", ""), ("begin-time", "begin-time=")]));
    request.set("wait", waits(matches));
    request.switches = SWITCHES
        .iter()
        .chain(BULK_SWITCHES)
        .map(|row| row.0)
        .chain(["exclusive"])
        .filter(|name| matches!(matches.try_get_one::<bool>(name), Ok(Some(true))))
        .collect();
    if SHAPES.iter().any(|(name, ..)| request.get(name).is_some()) {
        for (name, ..) in RESOURCES.iter().chain(NEST) {
            request.set(name, Vec::new());
        }
        request.set("nodes", vec!["1".to_owned()]); // The resources are replaced later.
    }
    request
}

fn strings(matches: &ArgMatches, name: &str) -> Vec<String> {
    match matches.try_get_many::<String>(name) {
        Ok(Some(values)) => values.cloned().collect(),
        _ => Vec::new(),
    }
}

/// The values of several options in the order in which they stood, each with its prefix.
fn in_order(matches: &ArgMatches, options: &[(&str, &str)]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, prefix) in options {
        let values = strings(matches, name);
        let places = matches.indices_of(name).into_iter().flatten();
        found.extend(places.zip(values).map(|(place, value)| (place, format!("{prefix}{value}"))));
    }
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, value)| value).collect()
}

/// `--wait` is `--wait-event=clean`; the last of the two counts.
fn waits(matches: &ArgMatches) -> Vec<String> {
    let event = strings(matches, "wait-event");
    let set = matches!(matches.try_get_one::<bool>("wait"), Ok(Some(true)));
    let place = |name: &str| matches.try_contains_id(name).ok().and_then(|_| matches.indices_of(name)?.next_back());
    match (set, event.is_empty()) {
        (true, true) => vec!["clean".to_owned()],
        (true, false) if place("wait") > place("wait-event") => vec!["clean".to_owned()],
        _ => event,
    }
}
