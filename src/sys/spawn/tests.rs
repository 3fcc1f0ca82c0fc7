use super::*;
use crate::process::WaitStatus;
use std::io::Read;
use std::os::fd::AsFd;

const PATH: &str = "/usr/bin:/bin";

/// Runs a shell command with `setup` applied; answers what it printed and how it ended.
fn sh(script: &str, setup: impl FnOnce(Spawn<'_>) -> Spawn<'_>) -> (String, WaitStatus) {
    let (reader, writer) = crate::fd::pipe().unwrap();
    let null = crate::fd::dev_null().unwrap();
    let spawn = Spawn::new(["sh", "-c", script]).env("PATH", PATH).stdio(null.as_fd(), writer.as_fd(), writer.as_fd());
    let child = setup(spawn).start().unwrap();
    drop(writer);
    let mut text = String::new();
    std::fs::File::from(reader).read_to_string(&mut text).unwrap();
    (text, child.wait().unwrap().0)
}

#[test]
fn a_program_runs_with_exactly_the_given_environment_and_directory() {
    let (text, status) =
        sh("env | grep -v -e ^PWD -e ^_ -e ^SHLVL | sort; pwd; exit 3", |spawn| spawn.env("A", "1").cwd("/usr"));
    assert_eq!(text, format!("A=1\nPATH={PATH}\n/usr\n"));
    assert_eq!(status.exit_code(), Some(3));
}

#[test]
fn a_child_gets_no_descriptor_it_was_not_given() {
    let leaked = std::fs::File::open("/dev/null").unwrap();
    crate::fd::set_close_on_exec(&leaked, false).unwrap();
    let (text, _) = sh("for n in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$n ] && echo $n; done; true", |spawn| spawn);
    assert_eq!(text, "");
    drop(leaked);
}

#[test]
fn descriptors_may_be_swapped_and_placed_anywhere() {
    let (first, second) = (crate::fd::memfd("first").unwrap(), crate::fd::memfd("second").unwrap());
    let (low, high) = (first.as_fd().as_raw_fd(), second.as_fd().as_raw_fd());
    let script = format!("readlink /proc/$$/fd/{low} /proc/$$/fd/{high} /proc/$$/fd/77");
    let child_sees = {
        let (reader, writer) = crate::fd::pipe().unwrap();
        let spawn = Spawn::new(["sh", "-c", &script])
            .env("PATH", PATH)
            .fd(writer.as_fd(), 1)
            .fd(second.as_fd(), low)
            .fd(first.as_fd(), high)
            .fd(first.as_fd(), 77);
        let child = spawn.start().unwrap();
        drop(writer);
        let mut text = String::new();
        std::fs::File::from(reader).read_to_string(&mut text).unwrap();
        child.wait().unwrap();
        text
    };
    assert_eq!(child_sees, "/memfd:second (deleted)\n/memfd:first (deleted)\n/memfd:first (deleted)\n");
}

#[test]
fn what_fails_before_the_program_is_reported_with_its_step() {
    let rows: [(&str, Spawn<'_>, Step, i32); 5] = [
        ("unknown", Spawn::new(["no-such-program"]).env("PATH", PATH), Step::Execute, libc::ENOENT),
        ("not executable", Spawn::new(["/etc/passwd"]), Step::Execute, libc::EACCES),
        ("directory", Spawn::new(["/bin/true"]).cwd("/no/such"), Step::Directory, libc::ENOENT),
        ("limit", Spawn::new(["/bin/true"]).rlimit(Resource::RLIMIT_NOFILE, 9, 8), Step::Rlimit, libc::EINVAL),
        ("no processor", Spawn::new(["/bin/true"]).affinity(CpuSet::new()), Step::Affinity, libc::EINVAL),
    ];
    for (what, spawn, want_step, want_errno) in rows {
        match spawn.start() {
            Err(SpawnError::Failed { step, errno, .. }) => assert_eq!((step, errno), (want_step, want_errno), "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn bad_arguments_are_refused_before_a_process_is_made() {
    assert_eq!(Spawn::new(Vec::<OsString>::new()).start().unwrap_err(), SpawnError::NoProgram);
    assert_eq!(Spawn::new(["a\0b"]).start().unwrap_err(), SpawnError::ZeroByte);
    let null = crate::fd::dev_null().unwrap();
    let many = (0..300).fold(Spawn::new(["/bin/true"]), |spawn, target| spawn.fd(null.as_fd(), target));
    assert_eq!(many.start().unwrap_err(), SpawnError::TooManyFds);
    let error = Spawn::new(["./missing"]).start().unwrap_err();
    assert_eq!(error.to_string(), "./missing: could not execute the program: No such file or directory (os error 2)");
}

#[test]
fn ignored_and_blocked_signals_are_back_to_normal_in_the_child() {
    crate::signal::ignore(libc::SIGPIPE).unwrap();
    let blocked: nix::sys::signal::SigSet = [nix::sys::signal::Signal::SIGUSR1].into_iter().collect();
    blocked.thread_block().unwrap();
    // Of grep itself: the shell blocks signals while it waits. Signal 32 is the C library's own.
    let (text, _) = sh("exec grep -e SigBlk -e SigIgn /proc/self/status", |spawn| spawn);
    blocked.thread_unblock().unwrap();
    let sets: Vec<u64> = text.lines().map(|line| u64::from_str_radix(&line[8..], 16).unwrap()).collect();
    let own_of_libc = 1 << 31;
    assert_eq!(sets.iter().map(|set| set & !own_of_libc).collect::<Vec<_>>(), [0, 0], "{text}");
}

#[test]
fn sessions_limits_mask_and_processors_take_effect() {
    let cpu = crate::affinity::get(0).unwrap().iter().next().unwrap();
    let (text, _) =
        sh("cut -d' ' -f1,5,6 /proc/$$/stat; ulimit -n; umask; grep Cpus_allowed_list /proc/$$/status", |spawn| {
            spawn
                .session(Session::NewSession)
                .rlimit(Resource::RLIMIT_NOFILE, 100, 200)
                .umask(0o027)
                .affinity([cpu].into_iter().collect())
        });
    let lines: Vec<&str> = text.lines().collect();
    let ids: Vec<&str> = lines[0].split(' ').collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "pid, group and session are one: {text}");
    assert_eq!(lines[1..], ["100", "0027", &format!("Cpus_allowed_list:\t{cpu}")]);
}

#[test]
fn a_new_terminal_session_controls_its_terminal() {
    let pty = crate::terminal::open_pty().unwrap();
    let follower = pty.follower.as_fd();
    let child = Spawn::new(["sh", "-c", "tty; echo typed > /dev/tty"])
        .env("PATH", PATH)
        .stdio(follower, follower, follower)
        .session(Session::NewSessionWithTerminal)
        .start()
        .unwrap();
    child.wait().unwrap();
    // What was written comes in parts. The follower that is open here keeps the leader from an end: it is read as far as
    // it should go.
    let want = format!("{}\r\ntyped\r\n", pty.path);
    let mut text = vec![0; want.len()];
    std::fs::File::from(pty.leader).read_exact(&mut text).unwrap();
    assert_eq!(String::from_utf8_lossy(&text), want);
}

#[test]
fn a_script_without_its_first_line_runs_in_the_shell() {
    let dir = std::env::temp_dir().join(format!("flux-sys-script-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("script"), "exit $1\n").unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.join("script"), permissions).unwrap();
    let child = Spawn::new(["script", "7"]).env("PATH", dir.as_os_str()).start().unwrap();
    assert_eq!(child.wait().unwrap().0.exit_code(), Some(7));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_killed_child_tells_its_signal_and_is_collected_once() {
    let child = Spawn::new(["sleep", "100"]).env("PATH", PATH).session(Session::NewGroup).start().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    crate::process::kill_group(child.pid(), libc::SIGTERM).unwrap();
    assert!(crate::fd::poll(&[(child.as_fd(), false)], Some(10_000)).unwrap()[0].readable);
    assert_eq!(child.wait().unwrap().0.signal(), Some(libc::SIGTERM));
    assert_eq!(child.try_wait().unwrap_err().raw_os_error(), Some(libc::ECHILD));
    assert_eq!(child.signal(libc::SIGTERM).unwrap_err().raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn many_threads_start_processes_at_once() {
    let work = || {
        for code in 0..20 {
            let script = format!("exit {code}");
            let child = Spawn::new(["sh", "-c", &script]).env("PATH", PATH).start().unwrap();
            assert_eq!(child.wait().unwrap().0.exit_code(), Some(code));
        }
    };
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(work)).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
