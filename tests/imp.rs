//! The set-id program itself, in a mount namespace with an `/etc` of its own: what it does with hostile callers.

use flux_sign::{KeyPair, key_path};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const FLUX: u32 = 4001;
const ALICE: u32 = 4002;

/// A scratch directory with a set-id copy of the program, two users, their keys, and configuration.
struct Site {
    root: PathBuf,
    keys: KeyPair,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root); // What is left is in the way of nobody.
    }
}

/// What a run of the IMP answered.
#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    out: String,
    err: String,
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64
}

/// Copies a program by a process of its own: a descriptor that writes it, inherited by what another test starts just then, would
/// make it busy (ETXTBSY).
fn copy_program(from: &Path, to: &Path) {
    let done = Command::new("cp").args([from, to]).status();
    assert!(done.expect("cp(1) is there").success(), "{} is copied", from.display());
}

impl Site {
    /// `None`, and a line in the list of skipped tests, where this machine does not let us.
    fn new(name: &str) -> Option<Site> {
        let root = std::env::temp_dir().join(format!("flux-imp-{}-{name}", std::process::id()));
        let able = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
        if !able || fs::metadata("/proc/self").expect("procfs").uid() != 0 {
            if let Some(log) = std::env::var_os("FLUX_TEST_SKIP_LOG") {
                let mut log = fs::OpenOptions::new().append(true).create(true).open(log).expect("the list of skips");
                writeln!(log, "imp::{name}: needs root and mount namespaces").expect("written");
            }
            return None;
        }
        for directory in ["etc/flux/imp/conf.d", "etc/flux/security/conf.d", "home/alice", "bin", "state"] {
            fs::create_dir_all(root.join(directory)).expect("a directory");
        }
        for directory in ["", "etc", "home", "bin", "state", "etc/flux/imp/conf.d", "etc/flux/imp", "etc/flux"] {
            fs::set_permissions(root.join(directory), fs::Permissions::from_mode(0o755)).expect("chmod");
        }
        let users = format!(
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nflux:x:{FLUX}:{FLUX}::/:/bin/sh\n\
             alice:x:{ALICE}:{ALICE}::{}/home/alice:/bin/sh\n",
            root.display()
        );
        let groups = format!("root:x:0:\nflux:x:{FLUX}:\nalice:x:{ALICE}:\nextra:x:4010:alice\nnogroup:x:65534:\n");
        let keys = KeyPair::generate();
        let path = key_path(&root.join("home/alice"));
        keys.store(&path, false).expect("stored");
        for path in [root.join("home/alice"), root.join("home/alice/.flux"), root.join("home/alice/.flux/curve"), path]
        {
            chown(path, Some(ALICE), Some(ALICE)).expect("chown");
        }
        let site = Site { root, keys };
        site.write("etc/passwd", &users, 0o644);
        site.write("etc/group", &groups, 0o644);
        site.write("etc/nsswitch.conf", "passwd: files\ngroup: files\n", 0o644);
        let shell = site.path("bin/shell");
        let imp = format!(
            "[exec]\nallowed-users = [\"flux\"]\nallowed-shells = [\"{shell}\"]\n[run.prolog]\npath = \"/usr/bin/env\"\n\
             allowed-users = [\"flux\"]\n"
        );
        site.write("etc/flux/imp/conf.d/imp.toml", &imp, 0o644);
        let sign = "[sign]\nmax-ttl = 60\ndefault-type = \"curve\"\nallowed-types = [\"curve\", \"none\"]\n[sign.curve]\n\
                    require-ca = false\n";
        site.write("etc/flux/security/conf.d/sign.toml", sign, 0o644);
        let script = "#!/bin/sh\nid\nenv | sort\ncat /proc/self/status\necho limit $(ulimit -f) umask $(umask) in $(pwd)\n\
                      echo open $(ls /proc/$$/fd)\necho jobspec $(cat /proc/self/fd/3)\nexit 7\n";
        site.write("bin/shell.text", script, 0o755);
        copy_program(&site.root.join("bin/shell.text"), &site.root.join("bin/shell"));
        copy_program(Path::new(env!("CARGO_BIN_EXE_flux")), &site.root.join("bin/flux-imp"));
        site.chmod("bin/shell", 0o755);
        site.chmod("bin/flux-imp", 0o4755);
        Some(site)
    }

    fn path(&self, below: &str) -> String {
        self.root.join(below).display().to_string()
    }

    fn write(&self, below: &str, text: &str, mode: u32) {
        fs::write(self.root.join(below), text).expect("written");
        self.chmod(below, mode);
    }

    fn chmod(&self, below: &str, mode: u32) {
        fs::set_permissions(self.root.join(below), fs::Permissions::from_mode(mode)).expect("chmod");
    }

    /// Runs `prepare; flux-imp WORDS` in a shell of that user, with `input`.
    fn imp_as(&self, user: u32, prepare: &str, words: &str, input: &str) -> Outcome {
        fs::write(self.root.join("input"), input).expect("written");
        let as_user = match user {
            0 => "exec".to_string(),
            id => format!("exec setpriv --reuid {id} --regid {id} --clear-groups"),
        };
        let root = self.root.display();
        let script = format!(
            "mount --bind {root}/etc /etc && {as_user} sh -c '{prepare}; exec {root}/bin/flux-imp {words} < {root}/input'"
        );
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let done = command.stdin(Stdio::null()).output().expect("unshare runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Outcome { code: done.status.code(), out: text(done.stdout), err: text(done.stderr) }
    }

    fn exec(&self, user: u32, input: &str) -> Outcome {
        self.imp_as(user, "true", &format!("exec {} 1", self.path("bin/shell")), input)
    }

    fn signed(&self, userid: u32, made: i64) -> String {
        format!("{{\"J\":\"{}\"}}", self.keys.wrap(userid, b"{\"signed\":1}", made, 60).expect("it fits"))
    }
}

#[test]
fn a_job_runs_as_its_signer_and_with_nothing_of_the_caller() {
    let Some(site) = Site::new("a_job_runs_as_its_signer_and_with_nothing_of_the_caller") else { return };
    let hostile = "export LD_PRELOAD=/tmp/x.so SECRET=1 FLUX_JOB_ID=77 FLUX_URI=local:///x PATH=/tmp:$PATH HOME=/tmp; umask 0; \
                   ulimit -S -f 5; ulimit -S -n 64; trap \"\" TERM HUP USR1; exec 7</etc/passwd 8</; cd /tmp";
    let done = site.imp_as(FLUX, hostile, &format!("exec {} 1", site.path("bin/shell")), &site.signed(ALICE, now()));
    assert_eq!(done.code, Some(7), "{done:?}");
    let home = site.path("home/alice");
    let wanted = [
        "uid=4002(alice) gid=4002(alice) groups=4002(alice),4010(extra)".to_string(),
        format!("HOME={home}"),
        "USER=alice".into(),
        "FLUX_JOB_ID=77".into(),
        "FLUX_URI=local:///x".into(),
        "limit unlimited umask 0022 in /".into(),
        "jobspec {\"signed\":1}".into(),
        "Uid:\t4002\t4002\t4002\t4002".into(),
        "Gid:\t4002\t4002\t4002\t4002".into(),
        "SigIgn:\t0000000000000000".into(),
        "SigBlk:\t0000000000000000".into(),
        "CapPrm:\t0000000000000000".into(),
        "CapEff:\t0000000000000000".into(),
        "CapAmb:\t0000000000000000".into(),
    ];
    for line in &wanted {
        assert!(done.out.lines().any(|got| got == line), "no line {line:?} in {}", done.out);
    }
    for word in ["LD_PRELOAD", "SECRET", "PATH=/tmp"] {
        assert!(!done.out.contains(word), "{word} came through: {}", done.out);
    }
    let open = done.out.lines().find(|line| line.starts_with("open ")).expect("a list of descriptors");
    assert!(!open.contains(" 7") && !open.contains(" 8"), "descriptors of the caller came through: {open}");
}

#[test]
fn what_the_rules_forbid_is_refused() {
    let Some(site) = Site::new("what_the_rules_forbid_is_refused") else { return };
    let good = site.signed(ALICE, now());
    let forged = KeyPair::generate().wrap(ALICE, b"{}", now(), 60).expect("it fits");
    let none = |userid: u32| format!("{{\"J\":\"{}\"}}", flux_sign::wrap_none(userid, b"{}"));
    let contained = good.replace("\"}", "\",\"options\":{\"DevicePolicy\":\"strict\"}}");
    let rows = [
        ("another caller", site.exec(ALICE, &good), "not in allowed-users"),
        ("root", site.exec(0, &good), "started by root"),
        ("another key", site.exec(FLUX, &format!("{{\"J\":\"{forged}\"}}")), "not known as the key of user 4002"),
        ("unsigned for another", site.exec(FLUX, &none(ALICE)), "but user 4001 calls"),
        ("user id 0", site.exec(FLUX, &site.signed(0, now())), "user id 0"),
        ("user id 0, unsigned", site.exec(FLUX, &none(0)), "user id 0"),
        ("nobody's user id", site.exec(FLUX, &site.signed(4999, now())), "getent"),
        ("expired", site.exec(FLUX, &site.signed(ALICE, now() - 61)), "expired"),
        ("from the future", site.exec(FLUX, &site.signed(ALICE, now() + 60)), "future"),
        ("cut", site.exec(FLUX, &good.replace("=\"", "\"")), "signature"),
        ("no JSON", site.exec(FLUX, "J"), "unprivileged child failed"),
        ("nothing", site.exec(FLUX, ""), "unprivileged child failed"),
        ("devices", site.exec(FLUX, &contained), "no cgroup of its own"),
        ("another shell", site.imp_as(FLUX, "true", "exec /bin/sh -c id", &good), "not in allowed-shells"),
        ("no command", site.imp_as(FLUX, "true", "run epilog", ""), "no command"),
        ("another caller of a command", site.imp_as(ALICE, "true", "run prolog", ""), "not in allowed-users"),
    ];
    for (name, done, why) in rows {
        assert_eq!((done.code, done.out.as_str()), (Some(1), ""), "{name}: {done:?}");
        assert!(done.err.contains(why), "{name}: {done:?}");
    }
    assert_eq!(site.exec(FLUX, &good).code, Some(7), "only these differences were refused");
}

#[test]
fn configuration_that_others_could_have_written_is_refused() {
    let Some(site) = Site::new("configuration_that_others_could_have_written_is_refused") else { return };
    let good = site.signed(ALICE, now());
    let refused = |name: &str, why: &str| {
        let done = site.exec(FLUX, &good);
        assert_eq!((done.code, done.out.as_str()), (Some(1), ""), "{name}: {done:?}");
        assert!(done.err.contains(why), "{name}: {done:?}");
    };
    let (file, directory) = ("etc/flux/imp/conf.d/imp.toml", "etc/flux/security/conf.d");
    for below in [file, directory, "etc/flux"] {
        for mode in [0o666, 0o664, 0o777] {
            let before = fs::metadata(site.root.join(below)).expect("there").mode() & 0o777;
            site.chmod(below, mode);
            refused(&format!("{below} with mode {mode:o}"), "writable for others");
            site.chmod(below, before);
        }
        chown(site.root.join(below), Some(FLUX), None).expect("chown");
        refused(&format!("{below} of the caller"), "not owned by root");
        chown(site.root.join(below), Some(0), None).expect("chown");
    }
    fs::rename(site.root.join(file), site.root.join("real.toml")).expect("renamed");
    std::os::unix::fs::symlink(site.root.join("real.toml"), site.root.join(file)).expect("linked");
    refused("a symbolic link", "ELOOP");
    fs::remove_file(site.root.join(file)).expect("removed");
    fs::rename(site.root.join("real.toml"), site.root.join(file)).expect("renamed");
    assert_eq!(site.exec(FLUX, &good).code, Some(7), "all is as before");
}

#[test]
fn a_request_starts_one_job_where_the_site_keeps_records() {
    let Some(site) = Site::new("a_request_starts_one_job_where_the_site_keeps_records") else { return };
    let state = format!("[exec]\nstate-dir = \"{}\"\n", site.path("etc/state"));
    site.write("etc/flux/imp/conf.d/replay.toml", &state, 0o644);
    fs::create_dir(site.root.join("etc/state")).expect("made");
    site.chmod("etc/state", 0o700);
    let (one, other) = (site.signed(ALICE, now()), site.signed(ALICE, now()));
    let start = |input: &str, job: &str| {
        let prepare = format!("export FLUX_JOB_ID={job} FLUX_BROKER_RANK=0");
        site.imp_as(FLUX, &prepare, &format!("exec {} 1", site.path("bin/shell")), input)
    };
    // The scratch directory is below one that others can write, so the state is where only /etc leads.
    let state = state.replace(&site.path("etc/state"), "/etc/state");
    site.write("etc/flux/imp/conf.d/replay.toml", &state, 0o644);
    assert_eq!(start(&one, "100").code, Some(7));
    assert_eq!(start(&one, "100").code, Some(7), "the same job starts again when it has ended");
    let done = start(&one, "101");
    assert!(done.code == Some(1) && done.err.contains("replay: this request was that of job 100"), "{done:?}");
    assert_eq!(start(&other, "101").code, Some(7), "the same jobspec signed twice is two requests");
    let done = start(&other, "../x");
    assert!(done.code == Some(1) && done.err.contains("malformed"), "{done:?}");
}

#[test]
fn a_configured_command_runs_as_root_with_a_clean_environment() {
    let Some(site) = Site::new("a_configured_command_runs_as_root_with_a_clean_environment") else { return };
    let hostile =
        "export LD_PRELOAD=/tmp/x.so IFS=/ PATH=/tmp:$PATH FLUX_JOB_ID=9 FLUX_JOB_USERID=4002 BASH_ENV=/tmp/x";
    let done = site.imp_as(FLUX, hostile, "run prolog", "");
    let want = "FLUX_JOB_ID=9\nFLUX_JOB_USERID=4002\nFLUX_OWNER_USERID=4001\nHOME=/root\nUSER=root\nLOGNAME=root\n\
                PATH=/usr/sbin:/usr/bin:/sbin:/bin\n";
    let mut got: Vec<&str> = done.out.lines().collect();
    let mut wanted: Vec<&str> = want.lines().collect();
    got.sort();
    wanted.sort();
    assert_eq!(got, wanted, "{done:?}");
}

#[test]
fn the_copy_tells_who_it_is() {
    let Some(site) = Site::new("the_copy_tells_who_it_is") else { return };
    let done = site.imp_as(FLUX, "true", "whoami", "");
    assert_eq!(done.out, "flux-imp: privileged: uid=4001 euid=0 gid=4001 egid=4001\n", "{done:?}");
    site.chmod("bin/flux-imp", 0o755);
    let done = site.imp_as(FLUX, "true", "whoami", "");
    assert_eq!(done.out, "flux-imp: unprivileged: uid=4001 euid=4001 gid=4001 egid=4001\n", "{done:?}");
    let done = site.exec(FLUX, &site.signed(ALICE, now()));
    assert!(done.code == Some(1) && done.err.contains("set-id root"), "{done:?}");
}

/// Functions that run before `main`: the compiler's own, and the one by which Rust learns its arguments.
const BEFORE_MAIN: &[&str] = &["frame_dummy", "ARGV_INIT_ARRAY"];

#[test]
fn no_library_runs_code_before_the_role_is_chosen() {
    let program = env!("CARGO_BIN_EXE_flux");
    let tool = |name: &str, args: &[&str]| {
        let done =
            Command::new(name).args(args).arg(program).output().unwrap_or_else(|error| panic!("{name}: {error}"));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let hex = |text: &str| u64::from_str_radix(text, 16).expect("a number");
    let sections = tool("readelf", &["-SW"]);
    let array = sections.lines().find(|line| line.contains(" .init_array ")).expect("a section");
    let fields: Vec<&str> = array.split("INIT_ARRAY").nth(1).expect("columns").split_whitespace().collect();
    let (start, len) = (hex(fields[0]), hex(fields[2]));
    let relocations = tool("readelf", &["-rW"]);
    let inside = |line: &&str| {
        let offset = line.split_whitespace().next().and_then(|text| u64::from_str_radix(text, 16).ok());
        line.contains("R_X86_64_RELATIVE") && offset.is_some_and(|at| (start..start + len).contains(&at))
    };
    let targets = relocations.lines().filter(inside).filter_map(|line| line.split_whitespace().last().map(hex));
    let symbols = tool("nm", &[]);
    let name_of = |at: u64| symbols.lines().find(|line| line.starts_with(&format!("{at:016x} "))).unwrap_or("nameless");
    let found: Vec<&str> = targets.map(name_of).collect();
    assert_eq!(found.len() as u64, len / 8, "each has its place: {found:?}");
    for name in &found {
        assert!(BEFORE_MAIN.iter().any(|known| name.contains(known)), "{name} runs before main: {found:?}");
    }
    assert!(!sections.contains("PREINIT_ARRAY"), "{sections}");
}
