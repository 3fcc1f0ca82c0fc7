use super::*;
use crate::submit::args;
use clap::Command;
use serde_json::json;

#[path = "request_rows.rs"]
mod rows;

fn caller() -> Caller {
    Caller {
        environ: vec![("HOME".to_owned(), "/root".to_owned())],
        cwd: "/elsewhere".to_owned(),
        limits: vec![("cpu", u64::MAX), ("core", 0), ("nofile", 1024)],
        now: 1_795_265_608.25,
    }
}

fn request(options: &[&str]) -> Request {
    let words = ["submit", "--env=-*", "--rlimit=-*", "--cwd=/"].iter().chain(options).chain(&["true", "x"]);
    args::request(&args::bulk(Command::new("submit")).try_get_matches_from(words).unwrap())
}

#[test]
fn options_make_the_jobspec_that_flux_core_makes() {
    for (options, want) in rows::ROWS {
        let words: Vec<_> = options.split(' ').filter(|word| !word.is_empty()).collect();
        match (request(&words).jobspec(&caller()), want.strip_prefix("flux-submit: ERROR: ")) {
            (Ok(spec), None) => assert_eq!(spec.encode_spaced(), *want, "{options}"),
            (Err(error), Some(want)) => assert_eq!(error, want, "{options}"),
            (got, _) => panic!("{options}: {got:?}"),
        }
    }
}

#[test]
fn what_depends_on_the_caller_is_taken_from_it() {
    let spec = |options: &[&str]| request(options).jobspec(&caller()).unwrap();
    assert_eq!(spec(&["--env=HOME"]).environment().unwrap()["HOME"], "/root");
    assert_eq!(spec(&["--rlimit=core"]).shell_option("rlimit"), Some(&json!({"core": 0})));
    let begin = spec(&["--dependency=afterok:f1", "--begin-time=+1h"]).dependencies().to_vec();
    assert_eq!(begin[1], json!({"scheme": "begin-time", "value": "1795269208.25"}));
    let plain = args::bulk(Command::new("submit")).try_get_matches_from(["submit", "true"]).unwrap();
    let spec = args::request(&plain).jobspec(&caller()).unwrap();
    assert_eq!(spec.cwd(), Some("/elsewhere"));
    assert_eq!(spec.shell_option("rlimit"), Some(&json!({"cpu": -1, "core": 0, "nofile": 1024})));
}

#[test]
fn wrong_options_are_explained() {
    let rows: &[(&[&str], &str)] = &[
        (&["-n", "x"], "--ntasks: invalid int value 'x'"),
        (&["--env=FOO=$NOPE"], "--env: Variable 'NOPE' not found in FOO=$NOPE"),
        (&["--rlimit=foo"], "No corresponding rlimit matching \"foo\""),
        (&["--requires=("], "--requires='(': Unclosed parenthesis in position 0"),
        (&["--dependency=:"], "Invalid dependency URI \":\""),
        (&["--begin-time=foo"], "Invalid datetime: \"foo\""),
        (&["--signal=foo"], "--signal=foo: signal 'foo' is invalid"),
        (&["--signal=0"], "--signal=0: signal must be > 0"),
        (&["-t", "foo"], "invalid Flux standard duration"),
    ];
    for (options, want) in rows {
        assert_eq!(request(options).jobspec(&caller()).unwrap_err(), *want, "{options:?}");
    }
}

#[test]
fn flags_urgency_and_waiting_are_read() {
    let flags = |text: &str| request(&[text]).flags();
    assert_eq!(flags("--flags=debug,waitable"), Ok(6));
    assert_eq!(flags("--flags=novalidate"), Ok(8));
    assert_eq!(flags("--flags=foo"), Err("--flags: Unknown flag foo".to_owned()));
    let urgency = |text: &str| request(&[text]).urgency();
    assert_eq!((urgency("--urgency=hold"), urgency("--urgency=expedite"), urgency("-n1")), (Ok(0), Ok(31), Ok(16)));
    assert_eq!(urgency("--urgency=99"), Ok(99), "the service judges");
    assert!(urgency("--urgency=xx").is_err());
    let waits = |options: &[&str]| request(options).get("wait").map(str::to_owned);
    assert_eq!(waits(&["--wait"]).as_deref(), Some("clean"));
    assert_eq!(waits(&["--wait", "--wait-event=start"]).as_deref(), Some("start"));
    assert_eq!(waits(&["--wait-event=start", "--wait"]).as_deref(), Some("clean"));
    assert_eq!(waits(&["--watch"]), None);
}

#[test]
fn environment_rules_keep_their_order_across_options() {
    let made = request(&["--env-remove=B*", "--env=A=1", "--env-file=/f", "--env=C"]);
    assert_eq!(made.all("env"), ["-*", "-B*", "A=1", "^/f", "C"]);
}

#[test]
fn what_is_said_later_replaces_values_and_extends_lists() {
    let mut first = request(&["-n2", "-o", "a=1", "--env=X=1"]);
    first.merge(request(&["-n3", "-o", "b"]));
    assert_eq!(first.get("ntasks"), Some("3"));
    assert_eq!(first.all("setopt"), ["a=1", "b"]);
    assert_eq!(first.all("env"), ["-*", "X=1", "-*"]);
}
