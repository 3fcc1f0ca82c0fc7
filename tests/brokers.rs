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
