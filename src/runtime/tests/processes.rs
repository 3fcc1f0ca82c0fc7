//! Children.

use std::time::Instant;

use flux_service::{FileOp, ProcessEvent, ProcessOp, SpawnSpec, StdStream, StoreOp};
use flux_sys::signal::Name as Signal;

use super::*;

fn spawn(tag: u32, spec: SpawnSpec) -> Output {
    process(tag, ProcessOp::Spawn(Box::new(spec)))
}

fn process(tag: u32, op: ProcessOp) -> Output {
    Output::Process { owner: OWNER, tag: Tag(tag), op }
}

fn shell(script: &str) -> SpawnSpec {
    SpawnSpec { argv: vec!["sh".into(), "-c".into(), script.into()], capture: true, ..SpawnSpec::default() }
}

/// All that is said of process `tag`, to its end, with its output put together.
struct Story {
    started: Option<u32>,
    output: BTreeMap<StdStream, (Vec<u8>, bool)>,
    exited: Option<i32>,
    not_started: Option<Errno>,
    stops: u32,
    taken: usize,
}

fn story(running: &Running, tag: u32) -> Story {
    let ended = |input: &Input| match input {
        Input::Completion { tag: Tag(of), completion: Completion::Process(event), .. } if *of == tag => {
            matches!(event, ProcessEvent::Exited { .. } | ProcessEvent::NotStarted { .. }).then_some(())
        }
        _ => None,
    };
    running.wait_for(1, ended);
    let mut story =
        Story { started: None, output: BTreeMap::new(), exited: None, not_started: None, stops: 0, taken: 0 };
    for (of, completion) in running.completions(1) {
        let Completion::Process(event) = completion else { continue };
        if of != tag {
            continue;
        }
        assert_eq!(story.exited, None, "nothing follows the end");
        match event {
            ProcessEvent::Started { pid } => story.started = Some(pid),
            ProcessEvent::NotStarted { errno } => story.not_started = Some(errno),
            ProcessEvent::Output { stream, bytes, eof } => {
                let (text, ended) = story.output.entry(stream).or_default();
                assert!(!*ended, "nothing follows eof");
                text.extend_from_slice(&bytes);
                *ended = eof;
            }
            ProcessEvent::Exited { status } => story.exited = Some(status),
            ProcessEvent::Stopped => story.stops += 1,
            ProcessEvent::Taken { bytes, .. } => story.taken += bytes,
        }
    }
    story
}

fn text(story: &Story, stream: &StdStream) -> String {
    let (bytes, eof) = &story.output[stream];
    assert!(eof, "{stream:?} ended");
    String::from_utf8(bytes.clone()).unwrap()
}

#[test]
fn output_and_status_of_a_process_are_complete() {
    let mut spec = shell("cat; echo err >&2; head -c 300000 /dev/zero | tr '\\0' x; exit 3");
    spec.stdin = Some(b"in\n".as_slice().into());
    let running = start(vec![spawn(1, spec)], nothing);
    let story = story(&running, 1);
    assert!(story.started.is_some());
    let out = text(&story, &StdStream::Stdout);
    assert_eq!((&out[..3], out.len()), ("in\n", 300_003));
    assert_eq!(text(&story, &StdStream::Stderr), "err\n");
    assert_eq!(story.exited, Some(3 << 8));
}

#[test]
fn a_program_that_is_not_there_is_not_started() {
    let spec = SpawnSpec { argv: vec!["no-such-program".into()], ..SpawnSpec::default() };
    let running = start(vec![spawn(1, spec), spawn(2, SpawnSpec::default())], nothing);
    assert_eq!(story(&running, 1).not_started, Some(Errno::ENOENT));
    assert_eq!(story(&running, 2).not_started, Some(Errno::EINVAL));
}

#[test]
fn input_is_written_in_pieces_and_ended() {
    let write = |bytes: &[u8], eof| {
        process(9, ProcessOp::Write { of: Tag(1), stream: StdStream::Stdin, bytes: bytes.into(), eof })
    };
    let large = vec![b'y'; 1 << 20];
    let first =
        vec![spawn(1, shell("wc -c; echo done")), write(b"hello", false), write(&large, false), write(b"", true)];
    let running = start(first, nothing);
    let story = story(&running, 1);
    assert_eq!(story.taken, 5 + (1 << 20), "each byte is told once");
    assert_eq!(text(&story, &StdStream::Stdout).trim(), format!("{}\ndone", 5 + (1 << 20)));
}

#[test]
fn a_channel_goes_both_ways_under_the_number_in_its_variable() {
    let mut spec = shell("read line <&$PMI_FD; echo \"got $line\" >&$PMI_FD");
    spec.channels = vec!["PMI_FD".into()];
    spec.env = Some(vec![("PATH".into(), "/bin:/usr/bin".into()), ("PMI_FD".into(), "wrong".into())]);
    let channel = StdStream::Channel("PMI_FD".into());
    let write =
        ProcessOp::Write { of: Tag(1), stream: channel.clone(), bytes: b"init\n".as_slice().into(), eof: false };
    let running = start(vec![spawn(1, spec), process(2, write)], nothing);
    let story = story(&running, 1);
    assert_eq!(text(&story, &channel), "got init\n");
    assert_eq!(story.exited, Some(0));
}

#[test]
fn a_signal_reaches_the_whole_group() {
    let kill = |input: &Input| match input {
        Input::Completion { completion: Completion::Process(ProcessEvent::Output { bytes, .. }), .. }
            if bytes.starts_with(b"ready") =>
        {
            vec![process(2, ProcessOp::Kill { of: Tag(1), signum: 15, group: true })]
        }
        _ => vec![],
    };
    let running = start(vec![spawn(1, shell("sleep 100 & echo ready; wait"))], kill);
    let start = Instant::now();
    assert_eq!(story(&running, 1).exited, Some(15));
    assert!(start.elapsed() < Duration::from_secs(5), "sleep died too: nobody kept the pipe open");
}

#[test]
fn a_stop_is_told_and_ends_with_a_continue() {
    let kill = |signum| vec![process(2, ProcessOp::Kill { of: Tag(1), signum, group: false })];
    let running = start(vec![spawn(1, shell("echo ready; sleep 0.3; echo again"))], move |input| match input {
        Input::Completion { completion: Completion::Process(ProcessEvent::Output { bytes, .. }), .. }
            if bytes.starts_with(b"ready") =>
        {
            kill(Signal::SIGSTOP as i32)
        }
        Input::Completion { completion: Completion::Process(ProcessEvent::Stopped), .. } => {
            kill(Signal::SIGCONT as i32)
        }
        // The kernel tells a process of one thread by itself; the test harness has more of them.
        Input::Message { .. } => nix::sys::signal::raise(Signal::SIGCHLD).map(|()| vec![]).unwrap(),
        _ => vec![],
    });
    let stopped =
        |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "));
    let told = |running: &Running| {
        running.completions(1).iter().any(|(_, what)| *what == Completion::Process(ProcessEvent::Stopped))
    };
    let started = running.completions(1).remove(0).1;
    let Completion::Process(ProcessEvent::Started { pid }) = started else { panic!("{started:?}") };
    while !stopped(pid) && !told(&running) {
        std::thread::sleep(Duration::from_millis(5));
    }
    Client::connect(&running.path).unwrap().send("raise", 1, Payload::None);
    let story = story(&running, 1);
    assert_eq!((story.stops, story.exited), (1, Some(0)));
    assert_eq!(text(&story, &StdStream::Stdout), "ready\nagain\n");
}

#[test]
fn a_descendant_that_keeps_the_pipe_delays_the_end_by_a_second_only() {
    let running = start(vec![spawn(1, shell("echo out; sleep 5 & exit 4"))], nothing);
    let start = Instant::now();
    let story = story(&running, 1);
    assert_eq!((text(&story, &StdStream::Stdout).as_str(), story.exited), ("out\n", Some(4 << 8)));
    let waited = start.elapsed();
    assert!(waited < Duration::from_secs(4), "{waited:?}");
}

#[test]
fn metered_output_waits_for_credit_and_so_does_the_end() {
    let credit = |bytes| process(2, ProcessOp::Credit { of: Tag(1), stream: StdStream::Stdout, bytes });
    let running = start(vec![spawn(1, shell("echo 0123456789")), credit(4)], move |input| match input {
        Input::Completion { completion: Completion::File(_), .. } => vec![credit(100)],
        Input::Message { .. } => {
            vec![Output::File { owner: OWNER, tag: Tag(3), op: FileOp::Read { path: "/proc/self/comm".into() } }]
        }
        _ => vec![],
    });
    std::thread::sleep(Duration::from_millis(1300));
    let so_far = running.completions(2);
    let want = ProcessEvent::Output { stream: StdStream::Stdout, bytes: b"0123".as_slice().into(), eof: false };
    assert!(so_far.contains(&(1, Completion::Process(want))), "{so_far:?}");
    assert!(!so_far.iter().any(|(_, what)| matches!(what, Completion::Process(ProcessEvent::Exited { .. }))));
    Client::connect(&running.path).unwrap().send("go", 1, Payload::None);
    assert_eq!(text(&story(&running, 1), &StdStream::Stdout), "0123456789\n");
}

#[test]
fn a_detached_process_has_its_own_session_and_nothing_of_ours() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("told");
    let told = path.to_str().unwrap();
    let mut spec = shell(&format!(
        "cat >{told}; cut -d' ' -f1,6 /proc/self/stat >>{told}; ls /proc/self/fd >>{told}; \
         out=$(readlink /proc/$$/fd/1); echo $out >>{told}"
    ));
    (spec.capture, spec.detached, spec.job_cgroup) = (false, true, true);
    spec.stdin = Some(b"{\"bundle\": true}\n".as_slice().into());
    let running = start(vec![spawn(1, spec)], nothing);
    let story = story(&running, 1);
    assert_eq!(story.exited, Some(0));
    let told = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "{\"bundle\": true}");
    assert_eq!(lines[1].split(' ').nth(1), story.started.map(|pid| pid.to_string()).as_deref(), "session: {told}");
    assert_eq!(lines[2..], ["0", "1", "2", "3", "/dev/null"], "3 is the directory that ls reads: {told}");
}

#[test]
fn many_processes_end_each_with_its_own_status() {
    let first = (1..=200).map(|tag| spawn(tag, shell(&format!("echo {tag}; exit {}", tag % 100)))).collect();
    let running = start(first, nothing);
    for tag in 1..=200 {
        let story = story(&running, tag);
        assert_eq!(story.exited, Some((tag as i32 % 100) << 8));
        assert_eq!(text(&story, &StdStream::Stdout), format!("{tag}\n"));
    }
}

#[test]
fn store_and_files_answer_through_the_loop() {
    let put = StoreOp::Put { blobs: vec![(b"h".as_slice().into(), b"b".as_slice().into())], checkpoints: vec![] };
    let file = |tag, op| Output::File { owner: OWNER, tag: Tag(tag), op };
    let store = |tag, op| Output::Store { owner: OWNER, tag: Tag(tag), op };
    let first = vec![
        store(1, StoreOp::Append { record: b"r".as_slice().into(), sync: true }),
        store(2, put),
        file(3, FileOp::Read { path: "/no/such".into() }),
    ];
    let running = start(first, nothing);
    let mut done = running.completions(3);
    done.sort_by_key(|(tag, _)| *tag);
    assert!(matches!(done[0].1, Completion::Logged { .. }), "{done:?}");
    assert_eq!(done[1].1, Completion::Stored);
    assert!(matches!(&done[2].1, Completion::Failed(fault) if fault.errno == Errno::ENOENT));
    assert!(running.dir.path().join("content.sqlite").exists());
}
