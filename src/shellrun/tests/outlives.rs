//! The shell as a process, against a broker of our own that may die.

mod broker;

use std::time::Duration;

use broker::{Broker, Seen, fresh_dir, jobspec, names, printed, start};
use serde_json::{Value, json};

fn shell_job(name: &str, script: &str, ntasks: u32, options: Value) -> (Broker, broker::Job) {
    let dir = fresh_dir(name);
    let broker = Broker::start(&dir, Default::default());
    let job = start(&dir, jobspec(&["sh", "-c", script], ntasks, options), true);
    (broker, job)
}

fn status(seen: &Seen) -> i64 {
    let (_, last) = seen.events.last().unwrap();
    assert_eq!(last["type"], "finish");
    last["status"].as_i64().unwrap()
}

#[test]
fn a_job_tells_its_story_in_order_and_ends_with_its_status() {
    let (broker, mut job) = shell_job("story", "echo out; echo err >&2; exit 3", 1, json!({}));
    assert_eq!(job.child.wait().unwrap().code(), Some(3));
    let seen = broker.kill();
    let seen = seen.lock().unwrap();
    assert_eq!(printed(&seen.events, "stdout"), "out\n");
    assert_eq!(printed(&seen.events, "stderr"), "err\n");
    assert_eq!(status(&seen), 3 << 8);
    let names = names(&seen.events);
    assert_eq!(
        names[..5],
        ["output:header", "input:header", "exec:shell.init", "start", "exec:shell.start"].map(String::from)
    );
    assert!(names.contains(&"exec:shell.task-exit".to_owned()));
    assert_eq!(seen.duplicates, 0);
    assert_eq!(std::fs::read(&job.record).unwrap().len(), 1, "it says that the shell ran");
    assert!(!job.left("").exists(), "nothing is left that nobody needs");
}

#[test]
fn a_job_goes_on_while_its_broker_is_away_and_nothing_is_lost() {
    let (broker, mut job) = shell_job("away", "for i in $(seq 40); do echo line $i; sleep 0.02; done", 1, json!({}));
    broker.wait("some output", |seen| seen.events.len() > 8);
    let dir = job.record.parent().unwrap().parent().unwrap().to_owned();
    let seen = broker.kill();
    std::thread::sleep(Duration::from_millis(300));
    let broker = Broker::start(&dir, seen);
    broker.wait_for("finish");
    assert!(job.child.wait().unwrap().success());
    let seen = broker.kill();
    let seen = seen.lock().unwrap();
    let want: String = (1..=40).map(|i| format!("line {i}\n")).collect();
    assert_eq!(printed(&seen.events, "stdout"), want);
    assert_eq!((status(&seen), seen.hellos), (0, 2));
    assert!(!job.left("").exists(), "what is acknowledged is not kept");
}

#[test]
fn a_shell_whose_broker_stays_away_leaves_a_complete_record() {
    let (broker, mut job) = shell_job("gone", "echo before; sleep 0.3; echo after; exit 7", 1, json!({}));
    broker.wait("output", |seen| printed(&seen.events, "stdout") == "before\n");
    let seen = broker.kill();
    assert_eq!(job.child.wait().unwrap().code(), Some(7));
    let spool = std::fs::read_to_string(job.left("spool")).unwrap();
    let mut events = seen.lock().unwrap().events.clone();
    for line in spool.lines() {
        let pair: Value = serde_json::from_str(line).unwrap();
        let seq = pair[0].as_u64().unwrap();
        if seq > events.len() as u64 {
            assert_eq!(seq, events.len() as u64 + 1);
            events.push((seq, pair[1].clone()));
        }
    }
    assert_eq!(printed(&events, "stdout"), "before\nafter\n");
    let exit: Value = serde_json::from_str(&std::fs::read_to_string(job.left("exit")).unwrap()).unwrap();
    assert_eq!(exit, json!([events.len(), {"type": "finish", "status": 7 << 8}]));
}

#[test]
fn without_a_place_for_records_a_job_ends_when_its_broker_stays_away() {
    let dir = fresh_dir("fleeting");
    let broker = Broker::start(&dir, Default::default());
    let mut job = start(&dir, jobspec(&["sleep", "60"], 1, json!({})), false);
    broker.wait_for("start");
    broker.kill();
    assert_eq!(job.child.wait().unwrap().code(), Some(128 + 15));
}

#[test]
fn input_goes_to_the_tasks_and_into_the_record() {
    let (broker, mut job) = shell_job("input", "cat; echo $FLUX_TASK_RANK of $FLUX_JOB_SIZE", 2, json!({}));
    broker.wait_for("start");
    broker.request("0-shell-fNH.stdin", json!({"stream": "stdin", "rank": "1", "data": "hello\n"}));
    broker.request("0-shell-fNH.stdin", json!({"stream": "stdin", "rank": "all", "eof": true}));
    assert!(job.child.wait().unwrap().success());
    let seen = broker.kill();
    let seen = seen.lock().unwrap();
    let mut lines: Vec<String> = printed(&seen.events, "stdout").lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["0 of 2", "1 of 2", "hello"]);
    assert_eq!(names(&seen.events).iter().filter(|name| *name == "input:data").count(), 2);
}

#[test]
fn nobody_else_runs_commands_beside_a_job_or_speaks_to_it() {
    let (broker, mut job) = shell_job("strangers", "cat", 1, json!({}));
    broker.wait_for("start");
    let dir = job.record.parent().unwrap().to_owned();
    let touch = |name: &str| {
        let cmd =
            json!({"cmdline": ["touch", dir.join(name)], "env": {"PATH": "/usr/bin:/bin"}, "opts": {}, "channels": []});
        json!({"cmd": cmd, "flags": 0})
    };
    let guest = flux_wire::Cred { userid: 4_000, rolemask: flux_wire::role::USER };
    broker.request_as(guest, "0-shell-fNH.rexec.exec", touch("guest"));
    broker.request_as(guest, "0-shell-fNH.kill", json!({"signum": 9}));
    broker.request_as(guest, "0-shell-fNH.stdin", json!({"stream": "stdin", "rank": "all", "data": "guest\n"}));
    broker.request("0-shell-fNH.rexec.exec", touch("owner"));
    broker.wait("the owner's command", |_| dir.join("owner").exists());
    assert!(!dir.join("guest").exists(), "requests are served in their order");
    broker.request("0-shell-fNH.stdin", json!({"stream": "stdin", "rank": "all", "data": "owner\n", "eof": true}));
    assert!(job.child.wait().unwrap().success());
    assert_eq!(printed(&broker.kill().lock().unwrap().events, "stdout"), "owner\n");
}

#[test]
fn signals_reach_the_tasks() {
    let (broker, mut job) =
        shell_job("signal", "trap 'echo got it; exit 5' USR1; echo set; while :; do sleep 0.01; done", 1, json!({}));
    broker.wait("the trap", |seen| printed(&seen.events, "stdout") == "set\n");
    broker.command(json!({"type": "signal", "signum": 10}));
    assert_eq!(job.child.wait().unwrap().code(), Some(5));
    let (broker, mut job) = shell_job("killed", "kill -9 $$", 2, json!({}));
    assert_eq!(job.child.wait().unwrap().code(), Some(137));
    assert_eq!(status(&broker.kill().lock().unwrap()), 137 << 8);
}

#[test]
fn a_program_that_is_not_there_is_an_exception_and_status_127() {
    let dir = fresh_dir("missing");
    let broker = Broker::start(&dir, Default::default());
    let mut job = start(&dir, jobspec(&["nosuchcmd"], 2, json!({})), true);
    assert_eq!(job.child.wait().unwrap().code(), Some(127));
    let seen = broker.kill();
    let seen = seen.lock().unwrap();
    let exception = seen.events.iter().find(|(_, event)| event["type"] == "exception").unwrap();
    assert_eq!(exception.1["note"], "task 0 (host node0): start failed: nosuchcmd: No such file or directory");
    assert_eq!(status(&seen), 127 << 8);
}

#[test]
fn pmi_serves_two_tasks_and_their_barrier() {
    let script = r#"
        say() { echo "$1" >&$PMI_FD; IFS= read -r line <&$PMI_FD; }
        say "cmd=init pmi_version=1 pmi_subversion=1"
        say "cmd=get_my_kvsname"; name=${line##*=}
        say "cmd=put kvsname=$name key=k$PMI_RANK value=from $PMI_RANK"
        say "cmd=barrier_in"
        say "cmd=get kvsname=$name key=k$((1 - PMI_RANK))"; echo "$line"
        say "cmd=get kvsname=$name key=PMI_process_mapping"; echo "$line"
        say "cmd=finalize"
    "#;
    let dir = fresh_dir("pmi");
    let broker = Broker::start(&dir, Default::default());
    let mut job = start(&dir, jobspec(&["bash", "-c", script], 2, json!({})), true);
    assert!(job.child.wait().unwrap().success());
    let text = printed(&broker.kill().lock().unwrap().events, "stdout");
    for line in ["rc=0 value=from 0", "rc=0 value=from 1", "value=(vector,(0,1,2))"] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn output_goes_to_files_with_labels_and_one_for_each_task() {
    let dir = fresh_dir("files");
    let broker = Broker::start(&dir, Default::default());
    let (shared, own) = (dir.join("all"), dir.join("task-{{taskid}}"));
    let options = json!({"output": {
        "stdout": {"type": "file", "path": shared, "label": true},
        "stderr": {"type": "file", "path": own, "label": false},
    }});
    let mut job = start(&dir, jobspec(&["sh", "-c", "echo out; echo err >&2"], 2, options), true);
    assert!(job.child.wait().unwrap().success());
    let mut lines: Vec<String> = std::fs::read_to_string(shared).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["0: out", "1: out"]);
    for rank in 0..2 {
        assert_eq!(std::fs::read_to_string(dir.join(format!("task-{rank}"))).unwrap(), "err\n");
    }
    let redirects = names(&broker.kill().lock().unwrap().events);
    assert_eq!(redirects.iter().filter(|name| *name == "output:redirect").count(), 2);
}

#[test]
fn a_flood_of_output_does_not_grow_the_shell() {
    let (broker, mut job) =
        shell_job("flood", "head -c 200000000 /dev/zero | tr '\\0' 'x' | fold -w 4000", 1, json!({}));
    broker.stuck.store(true, std::sync::atomic::Ordering::SeqCst);
    std::thread::sleep(Duration::from_secs(2));
    let status = std::fs::read_to_string(format!("/proc/{}/status", job.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 150_000, "the shell grew to {kib} KiB");
    let _ = job.child.kill();
    broker.kill();
}

#[test]
fn files_of_the_job_lie_in_its_directory_and_go_with_it() {
    let dir = fresh_dir("stage");
    let broker = Broker::start(&dir, Default::default());
    let mut spec = jobspec(&["{{tmpdir}}/script", "{{tmpdir}}"], 1, json!({}));
    let script = "#!/bin/sh\necho $1; cat $1/data; stat -c %a $1\n";
    spec["attributes"]["system"]["files"] = json!({
        "script": {"mode": 0o100_700, "encoding": "utf-8", "data": script},
        "data": {"mode": 0o100_600, "encoding": "base64", "data": "YWJjCg=="},
    });
    let mut job = start(&dir, spec, true);
    let code = job.child.wait().unwrap().code();
    let seen = broker.kill();
    let seen = seen.lock().unwrap();
    assert_eq!(code, Some(0), "{:?}", seen.events);
    let tmpdir = format!("{}/jobtmp-0-ƒNH", dir.display());
    assert_eq!(printed(&seen.events, "stdout"), format!("{tmpdir}\nabc\n700\n"));
    assert!(!std::path::Path::new(&tmpdir).exists());
}

#[test]
fn a_task_may_have_a_terminal() {
    let script = "tty >/dev/null && test -t 2 && echo terminal; read line; echo got $line";
    let (broker, mut job) = shell_job("pty", script, 1, json!({"pty": 1}));
    broker.wait("the terminal", |seen| printed(&seen.events, "stdout").contains("terminal"));
    broker.request("0-shell-fNH.stdin", json!({"stream": "stdin", "rank": "all", "data": "word\n"}));
    assert!(job.child.wait().unwrap().success());
    assert!(printed(&broker.kill().lock().unwrap().events, "stdout").contains("got word"));
}
