use super::super::sinks::{STDERR, STDOUT};
use super::*;
use serde_json::json;

const JOB: JobId = JobId(7);

fn event(at: f64, name: &str, context: Value) -> String {
    Entry::with_context(at, name, context.as_object().cloned().unwrap_or_default()).encode()
}

fn watcher(wishes: Wishes, until: Option<&str>) -> (Watcher, Vec<Effect>) {
    let mut watcher = Watcher::new(wishes);
    let mut effects = Vec::new();
    watcher.add(JOB, until.map(str::to_owned), STDOUT, STDERR, &mut effects);
    assert_eq!(effects, [Effect::Watch(JOB, Log::Main)]);
    effects.clear();
    (watcher, effects)
}

fn printed(effects: &[Effect]) -> String {
    let texts = effects.iter().filter_map(|effect| match effect {
        Effect::Print(_, bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    });
    texts.collect::<String>().replace(&shown(JOB), "ID")
}

#[test]
fn a_job_is_left_at_the_event_that_was_waited_for() {
    let (mut watcher, mut effects) = watcher(Wishes::default(), Some("start"));
    watcher.on_event(JOB, Log::Main, &event(1.0, "submit", json!({})), &mut effects);
    assert_eq!((watcher.active(), effects.len()), (1, 0));
    watcher.on_event(JOB, Log::Main, &event(1.5, "start", json!({})), &mut effects);
    assert_eq!(effects, [Effect::Stop(JOB, Log::Main)]);
    assert_eq!((watcher.active(), watcher.exit_code()), (0, 0));
    watcher.on_event(JOB, Log::Main, &event(2.0, "finish", json!({"status": 256})), &mut effects);
    assert_eq!(watcher.exit_code(), 0, "what comes after that is of no interest");
}

#[test]
fn output_is_printed_until_every_log_has_ended() {
    let (mut watcher, mut effects) = watcher(Wishes { output: true, ..Wishes::default() }, None);
    watcher.on_event(JOB, Log::Main, &event(1.0, "start", json!({})), &mut effects);
    assert_eq!(effects, [Effect::Watch(JOB, Log::Exec)]);
    effects.clear();
    watcher.on_event(JOB, Log::Exec, &event(1.1, "shell.init", json!({})), &mut effects);
    assert_eq!(effects, [Effect::Watch(JOB, Log::Output), Effect::Stop(JOB, Log::Exec)]);
    effects.clear();
    for (stream, sink) in [("stdout", STDOUT), ("stderr", STDERR)] {
        let data = json!({"stream": stream, "rank": "0", "data": "x"});
        watcher.on_event(JOB, Log::Output, &event(1.2, "data", data), &mut effects);
        assert_eq!(effects.pop(), Some(Effect::Print(sink, b"x".to_vec())));
    }
    watcher.on_event(JOB, Log::Main, &event(1.3, "finish", json!({"status": 512})), &mut effects);
    watcher.on_end(JOB, Log::Main, None, &mut effects);
    assert_eq!(watcher.active(), 1, "its output has not ended");
    watcher.on_end(JOB, Log::Output, None, &mut effects);
    assert_eq!((watcher.active(), watcher.exit_code(), effects.len()), (0, 2, 0));
}

#[test]
fn labels_stand_before_every_line() {
    let (mut watcher, mut effects) = watcher(Wishes { output: true, label_io: true, ..Wishes::default() }, None);
    watcher.on_event(JOB, Log::Main, &event(1.0, "start", json!({})), &mut effects);
    watcher.on_event(JOB, Log::Exec, &event(1.1, "shell.init", json!({})), &mut effects);
    let data = json!({"stream": "stdout", "rank": "3", "data": "a\nb"});
    watcher.on_event(JOB, Log::Output, &event(1.2, "data", data), &mut effects);
    assert_eq!(printed(&effects), "ID: 3: a\nID: 3: b\n");
}

#[test]
fn events_and_endings_are_logged_when_asked_for() {
    let (mut watcher, mut effects) =
        watcher(Wishes { log_events: true, log_status: true, ..Wishes::default() }, Some("clean"));
    watcher.on_event(JOB, Log::Main, &event(1.0, "submit", json!({"urgency": 16, "flags": 0})), &mut effects);
    watcher.on_event(JOB, Log::Main, &event(1.25, "finish", json!({"status": 0})), &mut effects);
    let want = "ID: 0.000s: submit {\"flags\":0,\"urgency\":16}\nID: 0.250s: finish {\"status\":0}\n\
                ID: 0.250s: complete: status=0\n";
    assert_eq!(printed(&effects), want);
}

#[test]
fn a_job_that_never_ran_fails_with_its_exception() {
    let (mut watcher, mut effects) = watcher(Wishes::default(), Some("clean"));
    let exception = json!({"type": "alloc", "severity": 0, "note": "too large"});
    watcher.on_event(JOB, Log::Main, &event(1.0, "exception", exception), &mut effects);
    assert_eq!(printed(&effects), "job.exception: type=alloc severity=0 too large\n");
    watcher.on_event(JOB, Log::Main, &event(1.1, "clean", json!({})), &mut effects);
    assert_eq!((watcher.active(), watcher.exit_code()), (0, 1));
}

#[test]
fn events_of_the_shell_can_be_waited_for() {
    let (mut watcher, mut effects) = watcher(Wishes::default(), Some("exec.shell.init"));
    watcher.on_event(JOB, Log::Main, &event(1.0, "start", json!({})), &mut effects);
    assert_eq!(effects, [Effect::Watch(JOB, Log::Exec)]);
    effects.clear();
    watcher.on_event(JOB, Log::Exec, &event(1.1, "shell.init", json!({})), &mut effects);
    assert_eq!(effects, [Effect::Stop(JOB, Log::Exec), Effect::Stop(JOB, Log::Main)]);
    assert_eq!(watcher.active(), 0);
}

#[test]
fn a_log_that_cannot_be_read_is_an_error() {
    let (mut watcher, mut effects) = watcher(Wishes::default(), Some("clean"));
    watcher.on_end(JOB, Log::Main, Some("no such job"), &mut effects);
    assert_eq!(printed(&effects), "ID: no such job\n");
    assert_eq!((watcher.active(), watcher.exit_code()), (0, 1));
}
