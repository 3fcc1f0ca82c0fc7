//! Black-box tests of the commands: each case is a shell script that runs inside an instance, and what it prints.
//!
//! The cases are tables in `tests/commands/*.toml`: `name`, `run` (a script; `flux` is the program under test), `out` (its
//! standard output, to the byte) and `code` (its exit code, 0 if left out). The cases of one file share an instance, unless
//! they are `alone`. What differs from run to run (job ids, times, the host's name) is replaced where a case is `normal`.
//!
//! `FLUX_UNDER_TEST=/path/to/flux` runs the same cases on another flux, and `BLACKBOX_TABLE=FILE` appends a table of what
//! was the same, different or skipped. Cases that are not for another flux stand in `tests/skips.toml` with the reason; one
//! that stands there without a reason, or that no file has, fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

/// Seconds that one case may take.
const CASE_TIMEOUT_SECS: u32 = 60;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    run: String,
    #[serde(default)]
    out: String,
    #[serde(default)]
    code: i32,
    #[serde(default)]
    alone: bool,
    #[serde(default)]
    normal: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Vec<Case>,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Different(String),
    Skipped(String),
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn table(file: &str) -> Vec<Case> {
    let path = here().join("commands").join(format!("{file}.toml"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    toml::from_str::<Table>(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())).case
}

/// `FILE.NAME = "reason"`
fn skips() -> BTreeMap<String, BTreeMap<String, String>> {
    let text = fs::read_to_string(here().join("skips.toml")).expect("tests/skips.toml is readable");
    toml::from_str(&text).unwrap_or_else(|error| panic!("tests/skips.toml: {error}"))
}

/// The program under test, and whether it is ours.
fn under_test() -> (PathBuf, bool) {
    match std::env::var_os("FLUX_UNDER_TEST") {
        Some(path) => (path.into(), false),
        None => (env!("CARGO_BIN_EXE_flux").into(), true),
    }
}

/// Runs the cases of one file; what each printed and answered.
fn run(file: &str, cases: &[Case], flux: &Path) -> Vec<Option<(String, i32)>> {
    let sessions = cases.chunk_by(|before, after| !before.alone && !after.alone);
    sessions.flat_map(|cases| run_session(file, cases, flux)).collect()
}

/// Runs cases in one instance.
fn run_session(file: &str, cases: &[Case], flux: &Path) -> Vec<Option<(String, i32)>> {
    let dir = tempfile::tempdir().expect("a directory for the test");
    for (nth, case) in cases.iter().enumerate() {
        fs::write(dir.path().join(format!("{nth}.sh")), &case.run).expect("the test's directory is writable");
    }
    let driver = format!(
        "PATH=$BLACKBOX_BIN:$PATH; export PATH; for n in $(seq 0 {}); do \
         timeout {CASE_TIMEOUT_SECS} bash $n.sh >$n.out 2>$n.err </dev/null; echo $? >$n.code; done",
        cases.len() - 1
    );
    let bin = flux.parent().expect("the program is in a directory");
    let outcome = Command::new(flux)
        .args(["start", "bash", "-c", &driver])
        .current_dir(dir.path())
        .env("BLACKBOX_BIN", bin)
        .env("EXAMPLES", here().with_file_name("examples"))
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("FLUX_URI")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", flux.display()));
    let says = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "{file}: the instance ended with {}: {says}", outcome.status);
    (0..cases.len())
        .map(|nth| {
            let read = |what: &str| fs::read(dir.path().join(format!("{nth}.{what}"))).ok();
            let code = String::from_utf8(read("code")?).ok()?.trim().parse().ok()?;
            Some((String::from_utf8_lossy(&read("out")?).into_owned(), code))
        })
        .collect()
}

fn judge(case: &Case, got: Option<&(String, i32)>) -> Verdict {
    let Some((out, code)) = got else { return Verdict::Different("it did not run".to_owned()) };
    let mut why = String::new();
    let out = if case.normal { normal(out) } else { out.clone() };
    if out != case.out {
        let _ = write!(why, "printed {out:?}, not {:?}", case.out);
    }
    if *code != case.code {
        let _ = write!(why, "{}exit code {code}, not {}", if why.is_empty() { "" } else { "; " }, case.code);
    }
    if why.is_empty() { Verdict::Same } else { Verdict::Different(why) }
}

/// Replaces what no two runs have in common.
fn normal(text: &str) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut out = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').map(|word| normal_word(word, host.trim())).collect();
        out.push_str(words.join(" ").trim_end());
        out.push('\n');
    }
    out
}

fn normal_word<'a>(word: &'a str, host: &str) -> &'a str {
    let is_id = |text: &str| {
        text.strip_prefix('ƒ').is_some_and(|rest| !rest.is_empty() && rest.chars().all(char::is_alphanumeric))
    };
    let is_time = |text: &str| {
        text.split_once('.').is_some_and(|(secs, rest)| {
            secs.len() >= 10 && secs.bytes().all(|b| b.is_ascii_digit()) && rest.bytes().all(|b| b.is_ascii_digit())
        })
    };
    match word {
        _ if word == host => "HOST",
        _ if is_id(word) => "ID",
        _ if is_time(word) => "TIME",
        _ => word,
    }
}

#[test]
fn an_instance_exits_as_its_program_does() {
    let (flux, _) = under_test();
    for (script, want) in [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143), ("no-such-command", 127)] {
        let mut start = Command::new(&flux);
        start.args(["start", "sh", "-c", script]).stdin(Stdio::null()).stderr(Stdio::null()).env_remove("FLUX_URI");
        assert_eq!(start.status().expect("the program runs").code(), Some(want), "{script}");
    }
}

/// All cases of one file.
fn check(file: &str) {
    let (flux, ours) = under_test();
    let cases = table(file);
    let skips = skips().remove(file).unwrap_or_default();
    for (name, reason) in &skips {
        assert!(cases.iter().any(|case| case.name == *name), "tests/skips.toml: there is no case {file}.{name}");
        assert!(!reason.trim().is_empty(), "tests/skips.toml: {file}.{name} needs a reason");
    }
    let got = run(file, &cases, &flux);
    let verdict = |(case, got): (&Case, &Option<(String, i32)>)| match skips.get(&case.name).filter(|_| !ours) {
        Some(reason) => Verdict::Skipped(reason.clone()),
        None => judge(case, got.as_ref()),
    };
    let verdicts: Vec<Verdict> = cases.iter().zip(&got).map(verdict).collect();
    let mut report = String::new();
    let mut failed = 0;
    for (case, verdict) in cases.iter().zip(&verdicts) {
        let _ = match verdict {
            Verdict::Same => writeln!(report, "same       {file}.{}", case.name),
            Verdict::Skipped(reason) => writeln!(report, "skipped    {file}.{}: {reason}", case.name),
            Verdict::Different(why) => {
                failed += 1;
                writeln!(report, "different  {file}.{}: {why}", case.name)
            }
        };
    }
    if let Some(path) = std::env::var_os("BLACKBOX_TABLE") {
        let table = fs::File::options().append(true).create(true).open(&path);
        table.and_then(|mut table| table.write_all(report.as_bytes())).expect("BLACKBOX_TABLE is writable");
    }
    assert!(failed == 0, "{failed} of {} cases differ:\n{report}", cases.len());
}

macro_rules! files {
    ($($file:ident: $sentence:ident;)*) => {
        $(#[test]
        fn $sentence() {
            check(stringify!($file));
        })*

        #[test]
        fn every_file_of_cases_is_run() {
            let known = [$(stringify!($file)),*];
            for entry in fs::read_dir(here().join("commands")).expect("tests/commands is readable") {
                let path = entry.expect("tests/commands is readable").path();
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                assert!(known.contains(&stem.as_str()), "{} is run by nothing", path.display());
            }
            for file in skips().keys() {
                assert!(known.contains(&file.as_str()), "tests/skips.toml: there is no tests/commands/{file}.toml");
            }
        }
    };
}

files! {
    sessions: sessions_are_played_in_instances_of_their_own;
    kvs: the_key_value_store_is_read_and_written;
    store: the_store_is_dumped_restored_checked_and_collected;
    instance: an_instance_tells_of_itself_and_is_configured;
    resources: resources_are_listed_drained_and_queued;
    values: resource_sets_and_host_lists_are_computed;
    jobs: jobs_are_explained_and_followed;
    formats: listings_are_printed_to_the_byte;
    fluxion: jobs_get_resources_from_the_graph;
    attributes: broker_attributes_do_what_they_say;
    brokers: brokers_work_together;
    nested: instances_that_are_jobs_are_found_and_entered;
    processes: processes_run_on_nodes_outside_jobs;
}
