//! Instances of several brokers, as a user starts them.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Runs `flux start` with these arguments, given a minute; `$F` in a script is the program itself.
fn start(args: &[&str]) -> Output {
    let exe = env!("CARGO_BIN_EXE_flux");
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "60", exe, "start"]).args(args);
    command.env("F", exe).env("SHELL", "/bin/sh").env_remove("FLUX_URI").env_remove("FLUX_CONF_DIR");
    for name in ["PMI_FD", "PMI_RANK", "PMI_SIZE"] {
        command.env_remove(name);
    }
    command.output().expect("timeout(1) is there")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The lines of standard output, sorted.
fn lines(out: &Output) -> Vec<String> {
    let mut lines: Vec<String> = text(&out.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn four_brokers_run_a_job_on_all_of_them() {
    for topology in ["kary:32", "kary:1", "binomial"] {
        let topo = format!("-Stbon.topo={topology}");
        let script = "$F run -N4 -n4 -l sh -c 'echo ${FLUX_URI##*/}'";
        let out = start(&["--test-size=4", &topo, script]);
        assert_eq!(out.status.code(), Some(0), "{topology}: {}", text(&out.stderr));
        assert_eq!(lines(&out), ["0: local-0", "1: local-1", "2: local-2", "3: local-3"], "{topology}");
    }
}

#[test]
fn the_code_of_the_program_is_that_of_the_session_and_nothing_is_left() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = format!("--test-rundir={}", tmp.path().display());
    let begin = Instant::now();
    let out = start(&["-s3", &dir, "--test-hosts=a[1-3]", "$F getattr hostlist; exit 7"]);
    assert_eq!(out.status.code(), Some(7), "{}", text(&out.stderr));
    assert_eq!(text(&out.stdout), "a[1-3]\n");
    assert!(begin.elapsed() < Duration::from_secs(20), "all leave when rank 0 does");
}

#[test]
fn a_leaf_that_is_killed_is_missed_and_the_others_go_on() {
    let script = "pid=$(FLUX_URI=${FLUX_URI%0}3 $F getattr broker.pid); kill -9 $pid; \
        while [ \"$($F resource list -s up -no {nnodes})\" = 4 ]; do sleep 0.05; done; \
        $F run -N3 hostname; $F ping -r 3 -c1 broker 2>&1 | grep -c 'No route to host'";
    let out = start(&["-s4", "--test-exit-mode=leader", "-Stbon.topo=kary:2", "--test-hosts=h,h,h,h", script]);
    assert_eq!(out.status.code(), Some(0), "{} {}", text(&out.stdout), text(&out.stderr));
    assert_eq!(lines(&out).len(), 4, "{}", text(&out.stdout));
}

#[test]
fn brokers_find_one_another_by_a_file_and_leave_together() {
    let exe = env!("CARGO_BIN_EXE_flux");
    let tmp = tempfile::tempdir().unwrap();
    let path = |name: &str| tmp.path().join(name).display().to_string();
    let cert = path("cert");
    assert!(Command::new(exe).args(["keygen", "--name=test", &cert]).status().unwrap().success());
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (first, second) = (free(), free());
    let config = format!(
        "[bootstrap]\ncurve_cert = \"{cert}\"\ndefault_port = {first}\ndefault_bind = \"tcp://lo:%p\"\n\
         default_connect = \"tcp://127.0.0.1:%p\"\nhosts = [ {{ host = \"h[0-2]\" }},\n\
         {{ host = \"h1\", bind = \"tcp://127.0.0.1:{second}\", connect = \"tcp://127.0.0.1:{second}\" }},\n\
         {{ host = \"h2\", parent = \"h1\" }} ]\n"
    );
    std::fs::write(path("conf.toml"), config).unwrap();
    let broker = |rank: u32| {
        let mut command = Command::new("timeout");
        let (host, rundir) = (format!("-Shostname=h{rank}"), format!("-Srundir={}", path(&format!("run{rank}"))));
        command.args(["-k", "5", "60", exe, "broker", "-c", &path("conf.toml"), &host, &rundir]);
        command.env("F", exe).env("SHELL", "/bin/sh").env_remove("FLUX_URI").env_remove("PMI_FD");
        command
    };
    // The last comes first: it waits for its parent.
    let mut others = [2, 1].map(|rank| broker(rank).spawn().unwrap());
    let out = broker(0).arg("$F getattr hostlist; $F run -N3 -n3 true && echo ran").output().unwrap();
    assert_eq!(text(&out.stdout), "h[0-2]\nran\n", "{}", text(&out.stderr));
    for other in &mut others {
        assert_eq!(other.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn an_instance_runs_in_a_job_of_another() {
    let out = start(&["-s2", "$F run -N2 -n2 $F start '$F getattr size; $F getattr broker.boot-method'"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert_eq!(text(&out.stdout), "2\nsimple\n");
}

/// `ON RANK COMMAND...` runs a command at the broker of a rank.
const ON: &str = "ON() { r=$1; shift; FLUX_URI=${FLUX_URI%local-*}local-$r \"$@\"; }; ";

/// What a script in a session prints; it must succeed.
fn session(args: &[&str], script: &str) -> String {
    let script = format!("{ON}{script}");
    let out = start(&[args, &[&script]].concat());
    assert_eq!(out.status.code(), Some(0), "{}\n{}", text(&out.stdout), text(&out.stderr));
    text(&out.stdout)
}

#[test]
fn all_brokers_agree_on_who_is_where_and_on_the_configuration() {
    let script = "for r in 0 1 3; do ON $r $F getattr hostlist; ON $r $F getattr broker.mapping; \
        ON $r $F getattr broker.critical-ranks; done | sort | uniq -c | sed 's/^ *//'; \
        echo 'x.y = 5' | $F config load; sleep 0.2; ON 3 $F config get x.y; ON 3 $F config load </dev/null 2>&1; \
        ON 2 $F shutdown 2>&1; true";
    let out = session(&["-s4", "-Stbon.topo=kary:2", "--test-hosts=h[0-3]"], script);
    let want = "3 0-1\n3 [[0,1,4,1]]\n3 h[0-3]\n5\n\
        flux-config: load: configuration can only be changed on rank 0\n\
        flux-shutdown: shutdown may only be initiated on rank 0\n";
    assert_eq!(out, want);
}

#[test]
fn a_silent_broker_is_torpid_until_it_speaks_again() {
    let script = "pid=$(ON 2 $F getattr broker.pid); kill -STOP $pid; \
        until [ \"$($F resource status -s torpid -no {ranks})\" = 2 ]; do sleep 0.05; done; \
        $F resource list -s up -no {ranks}; kill -CONT $pid; \
        until [ \"$($F resource list -s up -no {ranks})\" = 0-2 ]; do sleep 0.05; done; echo lively; \
        $F dmesg | grep -o 'h2 (rank 2) .*responsive[^0-9]*'; $F resource eventlog | grep -cE 'torpid|lively'";
    let options = ["-s3", "-Stbon.torpid_min=0.2s", "-Stbon.torpid_max=0.6s", "--test-hosts=h[0-2]"];
    let out = session(&options, script);
    let want = "0-1\nlively\nh2 (rank 2) has been unresponsive for \nh2 (rank 2) is responsive now\n2\n";
    assert_eq!(out, want);
}

#[test]
fn a_subtree_that_is_cut_off_is_lost_and_says_why() {
    let script = "$F overlay disconnect 1 2>&1; $F overlay status --no-pretty; $F overlay errors; \
        $F ping -c1 -r 3 broker 2>&1 | grep -o 'No route.*'; ON 0 $F dmesg | grep -o 'h1 (rank 1) disc.*'";
    let options = ["-s4", "-Stbon.topo=kary:2", "--test-hosts=h[0-3]", "--test-exit-mode=leader"];
    let out = session(&options, script);
    let want = "flux-overlay: asking h0 (rank 0) to disconnect child h1 (rank 1)\n\
        0 h0: degraded\n1 h1: lost administrative disconnect\n3 h3: lost\n2 h2: full\nh[1]: administrative disconnect\nNo route to host\n\
        h1 (rank 1) disconnected by request and severed contact with 1 other nodes\n";
    assert_eq!(out, want.replace("h[1]", "h1"));
}

#[test]
fn no_broker_outlives_who_started_it() {
    let tmp = tempfile::tempdir().unwrap();
    let told = tmp.path().join("pids");
    let exe = env!("CARGO_BIN_EXE_flux");
    let script = format!(
        "{ON}for r in 0 1 2; do ON $r $F getattr broker.pid; done >{0}.new; mv {0}.new {0}; exec sleep 60",
        told.display()
    );
    let mut command = Command::new(exe);
    command.args(["start", "-s3", &script]).env("F", exe).env("SHELL", "/bin/sh").env_remove("FLUX_URI");
    let mut child = command.spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while !told.exists() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let pids = std::fs::read_to_string(&told).unwrap();
    let alive =
        |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("flux"));
    while pids.lines().any(alive) {
        assert!(Instant::now() < until, "brokers live on: {pids}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn tasks_on_several_nodes_meet_and_exchange_values_over_pmi() {
    // Tasks may meet before all shells have told that theirs have started.
    let script = "for i in 1 2 3 4 5 6; do $F run -N2 -n4 $F pmi barrier --test-count=5 | wc -l; done; \
        $F run -N2 -n4 $F pmi exchange --count=2 | grep -c 'exchange on 4 tasks'; \
        $F run -N2 -n2 $F pmi get --ranks=all PMI_process_mapping; $F run -n1 $F pmi get flux.instance-level; \
        $F run -N2 -n2 $F pmi barrier --test-abort=1 2>&1 | grep -o 'PMI_Abort: .*'; \
        $F pmi barrier; $F pmi --method=simple barrier 2>&1; $F pmi get x 2>&1; true";
    let want = "5\n5\n5\n5\n5\n5\n2\n(vector,(0,2,1))\n(vector,(0,2,1))\n1\nPMI_Abort: flux-pmi: rank 1 is aborting\n\
        0: completed pmi barrier on 1 tasks\nflux-pmi: PMI_FD not found in environ\nflux-pmi: get x: key not found\n";
    assert_eq!(session(&["-s2"], script), want);
}

#[test]
fn a_quorum_is_enough_to_run_and_who_comes_later_gets_work_too() {
    let script = "$F run -N4 -n4 true && $F resource list -s up -no {nnodes}";
    assert_eq!(session(&["-s4", "-Sbroker.quorum=1"], script), "4\n");
}

#[test]
fn processes_end_with_the_broker_of_who_started_them() {
    let script = "ON 1 $F exec -n -r 2 sh -c 'echo $$ >$D/pid; exec sleep 300' & \
        while ! test -s $D/pid; do sleep 0.05; done; pid=$(cat $D/pid); kill -0 $pid && echo runs; \
        kill -9 $(ON 1 $F getattr broker.pid); \
        for i in $(seq 100); do kill -0 $pid 2>/dev/null || { echo gone; break; }; sleep 0.05; done";
    let tmp = tempfile::tempdir().unwrap();
    let script = format!("D={}; export D; {script}", tmp.path().display());
    let out = session(&["-s3", "--test-exit-mode=leader", "-Stbon.topo=kary:0"], &script);
    assert_eq!(out, "runs\ngone\n");
}

#[test]
fn brokers_of_one_host_find_one_another_by_local_sockets() {
    let exe = env!("CARGO_BIN_EXE_flux");
    let tmp = tempfile::tempdir().unwrap();
    let dir = tmp.path().display();
    assert!(Command::new(exe).args(["keygen", &format!("{dir}/cert")]).status().unwrap().success());
    let config = format!(
        "[bootstrap]\ncurve_cert = \"{dir}/cert\"\ndefault_bind = \"ipc://{dir}/%h\"\n\
         default_connect = \"ipc://{dir}/%h\"\nhosts = [ {{ host = \"h[0-3]\" }} ]\n"
    );
    std::fs::write(tmp.path().join("conf.toml"), config).unwrap();
    let script = "$F getattr tbon.endpoint; $F overlay status --no-pretty; $F run -N4 true && echo ran";
    let conf = format!("{dir}/conf.toml");
    let out = start(&["-s4", "--test-hosts=h[0-3]", "-Stbon.topo=kary:2", "-c", &conf, script]);
    let want = format!("ipc://{dir}/h0\n0 h0: full\n1 h1: full\n3 h3: full\n2 h2: full\nran\n");
    assert_eq!(text(&out.stdout), want, "{}", text(&out.stderr));
}

/// Asks the socket that a session is driven by, as clients of the local connector do.
fn control(dir: &std::path::Path, topic: &str, body: serde_json::Value) -> Result<serde_json::Value, i32> {
    use flux_wire::{FrameReader, Message, Target, decode, encode_into, write_frame};
    use std::io::{Read, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(dir.join("start")).expect("the session listens");
    let mut greeting = [1];
    stream.read_exact(&mut greeting).expect("it greets");
    assert_eq!(greeting, [0]);
    let mut frame = Vec::new();
    let mut request = Message::request(topic, Target::Any, 7, body.into());
    request.route = Some(Vec::new());
    write_frame(&mut frame, |out| encode_into(&request, out));
    stream.write_all(&frame).expect("it reads");
    let (mut reader, mut chunk) = (FrameReader::default(), [0; 4096]);
    loop {
        let got = stream.read(&mut chunk).expect("it answers");
        assert!(got > 0, "it answers {topic}");
        reader.push(&chunk[..got]);
        if let Some(frame) = reader.next_frame().expect("whole frames") {
            let answer = decode(frame).expect("a message");
            assert_eq!(answer.matchtag(), 7);
            return match answer.errno() {
                Some(errno) => Err(errno.0),
                None => Ok(answer.payload.value().map_or(serde_json::Value::Null, |value| (*value).clone())),
            };
        }
    }
}

#[test]
fn brokers_of_a_session_are_killed_and_started_on_demand_and_late_ones_bring_their_resources() {
    use serde_json::json;
    let exe = env!("CARGO_BIN_EXE_flux");
    let tmp = tempfile::tempdir().unwrap();
    let path = |name: &str| tmp.path().join(name).display().to_string();
    assert!(Command::new(exe).args(["keygen", &path("cert")]).status().unwrap().success());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        "[bootstrap]\ncurve_cert = \"{}\"\ndefault_port = {port}\ndefault_bind = \"tcp://127.0.0.1:%p\"\n\
         default_connect = \"tcp://127.0.0.1:%p\"\nhosts = [ {{ host = \"h[0-1]\" }} ]\n",
        path("cert")
    );
    std::fs::write(path("conf.toml"), config).unwrap();
    let rundir = format!("--test-rundir={}", tmp.path().display());
    let script = "$F run -N1 echo early; while [ \"$($F resource list -s up -no {nnodes})\" != 2 ]; do sleep 0.05; done; \
        $F run -N2 echo late; while [ -e $D/go ]; do sleep 0.05; done; $F resource list -s down -no {ranks}";
    std::fs::write(path("go"), "").unwrap();
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "60", exe, "start", "-s2", "--test-hosts=h[0-1]", "--test-start-mode=leader"]);
    command.args(["--test-exit-mode=leader", "-Sbroker.quorum=1", "-c", &path("conf.toml"), &rundir, script]);
    command.env("F", exe).env("D", tmp.path()).env("SHELL", "/bin/sh").env_remove("FLUX_URI").env_remove("PMI_FD");
    let begin = Instant::now();
    let child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    while !tmp.path().join("local-0").exists() {
        assert!(begin.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(1500));
    let status = control(tmp.path(), "start.status", json!({})).unwrap();
    assert_eq!(status["procs"][1]["pid"], -1, "{status}");
    assert_eq!(control(tmp.path(), "start.run", json!({"rank": 1})), Ok(json!(null)));
    assert_eq!(control(tmp.path(), "start.run", json!({"rank": 1})), Err(17));
    assert_eq!(control(tmp.path(), "start.run", json!({"rank": 2})), Err(3));
    assert_eq!(control(tmp.path(), "start.nothing", json!({})), Err(38));
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(control(tmp.path(), "start.kill", json!({"rank": 1, "signum": 9})), Ok(json!(null)));
    assert_eq!(control(tmp.path(), "start.wait", json!({"rank": 1})), Ok(json!({"exit_rc": 137})));
    std::thread::sleep(Duration::from_millis(500));
    std::fs::remove_file(path("go")).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(text(&out.stdout), "early\nlate\nlate\n1\n");
    assert_eq!(out.status.code(), Some(0));
}
