//! Whole brokers, in processes of their own.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use super::*;

/// In the environment of a process that plays the broker: its arguments, one a line.
const CHILD: &str = "FLUX_TEST_BROKER_ARGS";

/// Runs a broker in a process of its own, which is this very test started again.
fn broker(test: &str, args: &[&str]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("boot::tests::{test}"), "--nocapture"]);
    command.env(CHILD, args.join("\n")).env("SHELL", "/bin/sh").env_remove("FLUX_CONF_DIR").output().unwrap()
}

/// Becomes the broker if this process is to be one.
fn play_broker() {
    if let Ok(args) = std::env::var(CHILD) {
        let code = broker_main(args.split('\n').map(str::to_owned));
        std::process::exit(code.into());
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_broker_runs_its_program_answers_with_its_code_and_leaves_nothing() {
    play_broker();
    let tmp = tempfile::tempdir().unwrap();
    let rundir = tmp.path().join("run");
    let test = "a_broker_runs_its_program_answers_with_its_code_and_leaves_nothing";
    let set = format!("-Srundir={}", rundir.display());
    let start = Instant::now();
    let out = broker(test, &[&set, "echo uri=$FLUX_URI; test -S ${FLUX_URI#local://} && exit 5"]);
    assert_eq!(out.status.code(), Some(5), "{}", text(&out.stderr));
    assert!(
        text(&out.stdout).contains(&format!("uri=local://{}/local-0\n", rundir.display())),
        "{}",
        text(&out.stdout)
    );
    assert!(
        start.elapsed() < Duration::from_millis(1500),
        "no step of the shutdown waits for a timer of something else"
    );
    assert!(!rundir.exists());
    assert_eq!(broker(test, &["sh", "-c", "kill -9 $$"]).status.code(), Some(128 + 9));
    assert_eq!(broker(test, &["/no/such/program", "x"]).status.code(), Some(127));
}

#[test]
fn a_broker_that_cannot_start_says_why() {
    play_broker();
    let test = "a_broker_that_cannot_start_says_why";
    let tmp = tempfile::tempdir().unwrap();
    let file = tmp.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (file_as_dir, conf) = (format!("-Sstatedir={}", file.display()), "--conf=[".to_owned());
    let rows = [
        ("--nope", "unknown option --nope"),
        ("-Srank=3", "rank: attribute may not be set on the command line"),
        ("-Sno-such=1", "no-such: unknown attribute"),
        ("-c/no/such", "configuration /no/such: No such file or directory"),
        ("-Slocal-uri=ssh://x", "local-uri ssh://x: must be local:// and an absolute path"),
        (&file_as_dir, "is not a directory"),
        (&conf, "configuration [: No such file or directory"),
    ];
    for (arg, want) in rows {
        let out = broker(test, &[arg, "true"]);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{arg}: {said}");
        assert!(said.starts_with("flux-broker: ") && said.contains(want), "{arg}: {said}");
    }
}

#[test]
fn a_statedir_is_used_by_one_broker_at_a_time_and_keeps_the_rundir() {
    play_broker();
    let test = "a_statedir_is_used_by_one_broker_at_a_time_and_keeps_the_rundir";
    let tmp = tempfile::tempdir().unwrap();
    let (state, told) = (tmp.path().join("state"), tmp.path().join("told"));
    let set = format!("-Sstatedir={}", state.display());
    // The program starts a second broker just as this one was started: the environment still says so.
    let (exe, told_at) = (std::env::current_exe().unwrap(), told.display());
    let second = format!("{} --exact boot::tests::{test} --nocapture 2>>{told_at}", exe.display());
    let line = format!("echo $FLUX_URI >{told_at}; {second}; echo code=$? >>{told_at}");
    let first = broker(test, &[&set, &line]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let told = std::fs::read_to_string(&told).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[1].contains("another broker uses this statedir (process "), "{told}");
    assert_eq!(lines.last(), Some(&"code=1"), "{told}");
    let again = broker(test, &[&set, "echo $FLUX_URI"]);
    assert!(text(&again.stdout).contains(&format!("{}\n", lines[0])), "the same socket: {told}");
    let rundir = PathBuf::from(lines[0].strip_prefix("local://").unwrap()).parent().unwrap().to_owned();
    assert!(rundir.exists(), "it is kept for the jobs in it");
    std::fs::remove_dir_all(rundir).unwrap();
}

#[test]
fn the_initial_program_is_what_was_given_or_a_shell() {
    let env = [("SHELL".to_owned(), "/bin/zsh".to_owned())];
    let words = |list: &[&str]| list.iter().map(|word| word.to_string()).collect::<Vec<_>>();
    let rows = [
        (words(&[]), &env[..], words(&["/bin/zsh"])),
        (words(&[]), &[], words(&["/bin/sh"])),
        (words(&["a; b"]), &env, words(&["/bin/zsh", "-c", "a; b"])),
        (words(&["a", "b c"]), &env, words(&["a", "b c"])),
    ];
    for (given, env, want) in rows {
        assert_eq!(program(&given, &Attrs::default(), env), Some(want), "{given:?}");
    }
    let mut attrs = Attrs::default();
    attrs.set("broker.rc2_none", "1");
    assert_eq!(program(&words(&["x"]), &attrs, &env), None);
}
