use super::super::status::When;
use super::*;
use crate::job::attach::session::Effect as E;

fn session(options: Options) -> (Session, Vec<Effect>) {
    let mut out = Vec::new();
    let status = StatusLine::new("f1", When::Never, 80, Duration::ZERO);
    let session = Session::new("f1", options, status, &mut out);
    assert_eq!(out, [E::Watch { log: Log::Main, sentinel: false }]);
    out.clear();
    (session, out)
}

fn event(at: f64, name: &str, context: Value) -> String {
    Entry::with_context(at, name, context.as_object().cloned().unwrap_or_default()).encode()
}

/// Everything said on one stream, and what else was to be done.
fn split(out: &mut Vec<Effect>) -> (String, String, Vec<Effect>) {
    let (mut stdout, mut stderr, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for effect in out.drain(..) {
        match effect {
            E::Out(bytes) => stdout.extend(bytes),
            E::Err(bytes) => stderr.extend(bytes),
            other => rest.push(other),
        }
    }
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), rest)
}

/// From submission until the shell is there.
fn started(options: Options) -> (Session, Vec<Effect>) {
    let (mut session, mut out) = session(options);
    session.on_event(Log::Main, &event(100.0, "submit", json!({"userid": 0})), &mut out);
    session.on_event(Log::Main, &event(100.5, "start", json!({})), &mut out);
    let init = json!({"leader-rank": 3, "service": "0-shell-f1", "size": 1});
    session.on_event(Log::Exec, &event(100.6, "shell.init", init), &mut out);
    (session, out)
}

#[test]
fn a_job_is_followed_from_submission_to_its_end() {
    let (mut session, mut out) = started(Options::default());
    let (_, stderr, rest) = split(&mut out);
    let watch = |log| E::Watch { log, sentinel: false };
    assert_eq!((stderr.as_str(), rest), ("", vec![watch(Log::Exec), watch(Log::Output), E::ReadStdin(true)]));
    session.on_event(Log::Output, &event(100.6, "header", json!({"version": 1})), &mut out);
    let hello = json!({"stream": "stdout", "rank": "0", "data": "hello\n"});
    session.on_event(Log::Output, &event(100.7, "data", hello), &mut out);
    let warning = json!({"stream": "stderr", "rank": "0", "data": "/w==", "encoding": "base64"});
    session.on_event(Log::Output, &event(100.7, "data", warning), &mut out);
    assert_eq!(out, [E::Out(b"hello\n".to_vec()), E::Err(vec![0xff])]);
    out.clear();
    session.on_event(Log::Main, &event(101.0, "finish", json!({"status": 768})), &mut out);
    session.on_event(Log::Main, &event(101.1, "clean", json!({})), &mut out);
    let (_, stderr, rest) = split(&mut out);
    assert_eq!((stderr.as_str(), rest), ("flux-job: task(s) exited with exit code 3\n", vec![E::Stop(Log::Main)]));
    assert!(!session.done());
    session.on_end(Log::Exec, None, &mut out);
    session.on_end(Log::Output, None, &mut out);
    assert!(session.done() && out.is_empty());
    assert_eq!(session.outcome(), Ok(3));
}

#[test]
fn exceptions_are_printed_and_end_standard_input() {
    let (mut session, mut out) = started(Options::default());
    out.clear();
    let note = json!({"type": "exec", "severity": 0, "note": "no such file", "userid": 0});
    session.on_event(Log::Main, &event(100.026, "exception", note), &mut out);
    let (_, stderr, rest) = split(&mut out);
    assert_eq!(stderr, "0.026s: job.exception f1 type=exec severity=0 no such file\n");
    assert_eq!(rest, [E::ReadStdin(false)]);
    session.on_event(Log::Main, &event(101.0, "finish", json!({"status": 0})), &mut out);
    for log in [Log::Main, Log::Exec, Log::Output] {
        session.on_end(log, None, &mut out);
    }
    assert_eq!(session.outcome(), Ok(1), "a fatal exception is never a success");
}

#[test]
fn events_and_labels_are_shown_when_asked_for() {
    let options = Options { show_events: true, show_exec: true, label_io: true, ..Options::default() };
    let (mut session, mut out) = started(options);
    session.on_event(Log::Output, &event(100.6, "header", json!({})), &mut out);
    let data = json!({"stream": "stdout", "rank": "7", "data": "x\n"});
    session.on_event(Log::Output, &event(100.7, "data", data), &mut out);
    let (stdout, stderr, _) = split(&mut out);
    assert_eq!(stdout, "7: x\n");
    let want = "0.000s: job.submit {\"userid\":0}\n0.500s: job.start {}\n\
                0.600s: exec.shell.init {\"leader-rank\":3,\"service\":\"0-shell-f1\",\"size\":1}\n";
    assert_eq!(stderr, want);
}

#[test]
fn messages_of_the_shell_name_their_level_and_place() {
    let log = json!({"rank": 0, "level": 0, "component": "exec", "file": "x.c", "line": 7, "message": "failed"});
    let rows = [
        (Options::default(), "0.700s: flux-shell[0]: FATAL: exec: failed\n"),
        (Options { verbose: true, ..Options::default() }, "0.700s: flux-shell[0]: FATAL: exec: x.c:7: failed\n"),
        (Options { quiet: true, ..Options::default() }, ""),
    ];
    for (options, want) in rows {
        let (mut session, mut out) = started(options);
        out.clear();
        session.on_event(Log::Output, &event(100.7, "log", log.clone()), &mut out);
        assert_eq!(split(&mut out).1, want);
    }
}

#[test]
fn standard_input_goes_to_the_shell_and_ends_once() {
    let (mut session, mut out) = started(Options::default());
    out.clear();
    session.on_stdin(b"hi\n", &mut out);
    session.on_stdin(b"", &mut out);
    let topic = || "0-shell-f1.stdin".to_owned();
    let want = [
        E::Stdin { rank: 3, topic: topic(), data: json!({"stream": "stdin", "rank": "all", "data": "hi\n"}) },
        E::Stdin { rank: 3, topic: topic(), data: json!({"stream": "stdin", "rank": "all", "eof": true}) },
        E::ReadStdin(false),
    ];
    assert_eq!(out, want);
    session.on_stdin_refused(&Errno::ENOSYS.into());
    assert_eq!(session.outcome(), Err("stdin not accepted by job".to_owned()));
}

#[test]
fn a_shell_that_is_gone_matters_only_if_there_was_input() {
    let (mut session, _) = started(Options::default());
    session.on_stdin_refused(&Errno::ENOSYS.into());
    assert!(!session.done());
}

#[test]
fn input_for_some_ranks_ends_at_once_for_the_others() {
    let options = Options { stdin_ranks: Some(Idset::parse("1,9").unwrap()), ..Options::default() };
    let (mut session, mut out) = started(options);
    assert!(!out.contains(&E::ReadStdin(true)), "not before the tasks are known");
    out.clear();
    let map = json!({"taskmap": {"version": 1, "map": [[0, 1, 4, 1]]}});
    session.on_event(Log::Exec, &event(100.8, "shell.start", map), &mut out);
    let (_, stderr, rest) = split(&mut out);
    assert_eq!(stderr, "flux-job: warning: adjusting --stdin-ranks from 1,9 to 1\n");
    let eof = json!({"stream": "stdin", "rank": "0,2-3", "eof": true});
    let stdin = E::Stdin { rank: 3, topic: "0-shell-f1.stdin".to_owned(), data: eof };
    assert_eq!(rest, [stdin, E::ReadStdin(true)]);
    session.on_stdin(b"x", &mut out);
    assert!(matches!(&out[0], E::Stdin { data, .. } if data["rank"] == "1"));
}

#[test]
fn interrupts_cancel_detach_or_are_passed_on() {
    const INT: i32 = 2;
    const TSTP: i32 = 20;
    let second = Duration::from_secs;
    let (mut session, mut out) = started(Options::default());
    out.clear();
    session.on_signal(second(10), INT, &mut out);
    let (_, stderr, rest) = split(&mut out);
    assert_eq!(stderr, "flux-job: one more ctrl-C within 2s to cancel or ctrl-Z to detach\n");
    assert_eq!(rest, [E::CatchSuspend(true)]);
    session.on_signal(second(20), INT, &mut out);
    assert!(!out.contains(&E::Cancel), "too late to be the second");
    out.clear();
    session.on_signal(second(21), INT, &mut out);
    session.on_signal(second(21), 15, &mut out);
    assert_eq!(out, [E::Cancel, E::Kill(15)]);
    out.clear();
    session.on_signal(second(30), TSTP, &mut out);
    assert_eq!(split(&mut out).2, [E::CatchSuspend(false)]);
    session.on_signal(second(31), INT, &mut out);
    out.clear();
    session.on_signal(second(32), TSTP, &mut out);
    let (_, stderr, rest) = split(&mut out);
    assert_eq!(stderr, "flux-job: detaching...\n");
    assert_eq!(rest, [E::Stop(Log::Main), E::Stop(Log::Exec), E::Stop(Log::Output)]);
    assert!(session.done());
    assert_eq!(session.outcome(), Ok(130));
}

#[test]
fn the_tail_is_printed_when_all_there_was_is_known() {
    let (mut session, mut out) = started(Options { tail: Some(2), ..Options::default() });
    assert!(out.contains(&E::Watch { log: Log::Output, sentinel: true }));
    out.clear();
    session.on_event(Log::Output, &event(100.6, "header", json!({})), &mut out);
    for text in ["1\n", "2\n", "3\n"] {
        let data = json!({"stream": "stdout", "rank": "0", "data": text});
        session.on_event(Log::Output, &event(100.7, "data", data), &mut out);
    }
    assert_eq!(out, []);
    session.on_sentinel(&mut out);
    let data = json!({"stream": "stdout", "rank": "0", "data": "4\n"});
    session.on_event(Log::Output, &event(100.8, "data", data), &mut out);
    assert_eq!(split(&mut out).0, "2\n3\n4\n");
}

#[test]
fn watches_that_fail_say_why() {
    let rows = [
        (Log::Main, Errno::ENOENT, Some("Failed to attach to f1: No such job")),
        (Log::Main, Errno::EPERM, Some("Failed to attach to f1: that is not your job")),
        (Log::Exec, Errno::ENOENT, None),
        (Log::Output, Errno::EIO, Some("watching guest.output: Input/output error")),
    ];
    for (log, errno, want) in rows {
        let (mut session, mut out) = started(Options::default());
        session.on_end(log, Some(errno.into()), &mut out);
        assert_eq!(session.failed.as_deref(), want, "{log:?} {errno}");
    }
    let (mut session, mut out) = started(Options::default());
    session.on_event(Log::Main, "not json\n", &mut out);
    assert!(session.outcome().is_err());
}

#[test]
fn wait_statuses_become_exit_codes() {
    let rows = [
        (0, 0, None),
        (768, 3, Some("task(s) exited with exit code 3")),
        (35072, 137, Some("task(s) Killed")),
        (9, 137, Some("job shell Killed")),
        (127 << 8, 127, Some("task(s) exited with exit code 127")),
    ];
    for (status, code, why) in rows {
        assert_eq!(exit_of_status(status), (code, why.map(str::to_owned)), "{status}");
    }
}
