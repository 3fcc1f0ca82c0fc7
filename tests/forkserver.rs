//! Job shells are copies of one that stands ready (doc/adr/0001-launch-contract.md).

use std::process::Command;

/// Runs a script inside an instance of one broker; `$F` is the program, `$S` the id of the fork server.
fn instance(script: &str) -> (Option<i32>, String) {
    let exe = env!("CARGO_BIN_EXE_flux");
    let find = "server() { for pid in $(cat /proc/$($F getattr broker.pid)/task/*/children); do \
        grep -qzx -e --fork-server /proc/$pid/cmdline && echo $pid; done; true; }; $F run true && S=$(server) && ";
    let mut command = Command::new("timeout");
    command.args(["-k", "5", "60", exe, "start", "sh", "-c", &format!("{find}{script}")]);
    command.env("F", exe).env_remove("FLUX_URI").env_remove("FLUX_CONF_DIR");
    let out = command.output().expect("timeout(1) is there");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code(), text(&out.stdout) + &text(&out.stderr))
}

#[test]
fn a_shell_is_a_child_of_the_broker_in_its_own_session_and_under_its_own_name() {
    let (code, text) = instance(
        "export T=$(mktemp) && id=$($F submit sh -c 'echo $PPID > $T; sleep 60') && \
         while ! test -s $T; do $F job wait-event -q -t 20 $id start; done && read shell < $T && rm $T && \
         read pid comm state parent group session rest < /proc/$shell/stat && \
         tr '\\0' ' ' < /proc/$shell/cmdline | cut -d' ' -f1,2 && $F job id --to=f58plain $id && \
         test $parent = $($F getattr broker.pid) && test $session = $shell && test $shell != $S && $F cancel $id",
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(lines[0], format!("flux-shell {}", lines[1]), "{text}");
}

#[test]
fn jobs_run_after_the_fork_server_was_killed_and_it_does_not_outlive_its_broker() {
    let (code, text) = instance(
        "test -n \"$S\" && kill -9 $S && while kill -0 $S 2>/dev/null; do :; done; $F run echo again && S=$(server) && echo $S",
    );
    assert_eq!(code, Some(0), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "again", "{text}");
    let server = std::path::PathBuf::from(format!("/proc/{}/cmdline", lines[1]));
    while std::fs::read(&server).is_ok_and(|line| line.windows(13).any(|part| part == b"--fork-server")) {
        std::thread::yield_now(); // It ends with its socket: the test runner's limit says when that takes too long.
    }
}
