//! The set-id program in a mount namespace with an `/etc` of its own, and requests for it: what the tests of this directory share.

use flux_imp::casign::metadata;
use flux_imp::cert::{Cert, encode64};
use flux_imp::config::CaConfig;
use flux_imp::j::Mechanism;
use flux_imp::kv::{Kind, Kv, format_time};
use flux_imp::limits::INPUT_LEN_MAX;
use flux_imp::wrap;
use sodiumoxide::base64::{Variant, encode};
use sodiumoxide::crypto::sign::ed25519::{self, SecretKey};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ALICE: u32 = 4002;
const UUID: &str = "11111111-2222-4333-8444-555555555555";
/// Bytes of the last entry of a header.
const NONCE_ENTRY_LEN: usize = b"nonce\0s".len() + 24 + 1;
/// Where a program that counts which lines it runs writes its counts (`cargo xtask imp-coverage`).
pub(crate) const PROFILE: &str = "LLVM_PROFILE_FILE";

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("after 1970").as_secs() as i64
}

/// A request put together by hand: what the library would refuse to make.
struct Forge<'a> {
    keys: (&'a Cert, &'a SecretKey),
    userid: u32,
    /// Relative to now, in seconds.
    times: (i64, i64),
}

impl Forge<'_> {
    fn header(&self) -> Kv {
        let mut header = wrap::header(Mechanism::Curve, self.userid);
        self.keys.0.put_header(&mut header).expect("it fits");
        let (from, to) = (format_time(now() + self.times.0), format_time(now() + self.times.1));
        header.put("curve.ctime", Kind::Time, &from).expect("well-formed");
        header.put("curve.xtime", Kind::Time, &to).expect("well-formed");
        header.put("nonce", Kind::Text, &wrap::nonce()).expect("well-formed");
        header
    }

    fn sign(&self, header: &[u8], payload: &str) -> String {
        let part = format!("{}.{}", encode(header, Variant::Original), encode(payload, Variant::Original));
        let signature = ed25519::sign_detached(part.as_bytes(), self.keys.1);
        format!("{part}.{}", encode(signature.to_bytes(), Variant::Original))
    }

    fn made(&self, payload: &str) -> String {
        self.sign(&self.header().encode(), payload)
    }
}

fn input(j: &str) -> String {
    format!("{{\"J\":\"{j}\"}}")
}

/// The requests that scripts name.
fn requests(alice: &(Cert, SecretKey), ca: &(Cert, SecretKey)) -> BTreeMap<String, Vec<u8>> {
    let stranger = Cert::generate();
    let keys = (&alice.0, &alice.1);
    let times = (0, 50);
    let good = Forge { keys, userid: ALICE, times };
    let made = good.made("{}");
    let (head, rest) = made.split_once('.').expect("three parts");
    let (_, signature) = rest.split_once('.').expect("three parts");
    let evil = encode("{\"evil\":1}", Variant::Original);
    let header = good.header().encode();
    let twice = [&header[..], b"userid\0i4002\0"].concat();
    let version = [b"version\0i2\0", &header[b"version\0i1\0".len()..]].concat();
    let escape = [b"version\0i1\0mechanism\0s\x1b[31m", &header[b"version\0i1\0mechanism\0scurve".len()..]].concat();
    let foreign = Forge { keys: (&stranger.0, &stranger.1), userid: ALICE, times };
    let at = |times| Forge { keys, userid: ALICE, times }.made("{}");
    let contained = input(&made).replace("\"}", "\",\"options\":{\"DevicePolicy\":\"strict\"}}");
    let mut all: BTreeMap<String, Vec<u8>> = [
        ("good", input(&made)),
        ("slow", input(&good.made("{\"slow\":1}"))),
        ("long", input(&good.made("{\"long\":1}"))),
        ("stdin", input(&good.made("{\"stdin\":1}"))),
        ("trap", input(&good.made("{\"trap\":1}"))),
        ("devices", input(&good.made("{\"devices\":1}"))),
        ("leave", input(&good.made("{\"leave\":1}"))),
        ("rewrite", input(&good.made("{\"rewrite\":1}"))),
        ("forged", input(&format!("{head}.{evil}.{signature}"))),
        ("foreign", input(&foreign.made("{}"))),
        ("expired", input(&at((-30, -10)))),
        ("lasting", input(&at((-100, 1000)))),
        ("future", input(&at((30, 50)))),
        ("unsigned", input(&wrap::wrap_none(ALICE, b"{}", encode64))),
        ("four", input(&format!("{made}.more"))),
        ("bare", input(&good.sign(&header[..header.len() - NONCE_ENTRY_LEN], "{}"))),
        ("version2", input(&good.sign(&version, "{}"))),
        ("twice", input(&good.sign(&twice, "{}"))),
        ("escape", input(&good.sign(&escape, "{}"))),
        ("two", input(&made).replace('}', &format!(",\"J\":\"{made}\"}}"))),
        ("rest", format!("{}x", input(&made))),
        ("large", format!("{}{}", input(&made), " ".repeat(INPUT_LEN_MAX))),
        ("contained", contained),
        ("secret", "TOP-SECRET\n".to_owned()),
        ("foreign.pub", stranger.0.to_toml()),
    ]
    .map(|(name, text)| (name.to_owned(), text.into_bytes()))
    .into();
    for (name, payload) in [("munge", "{}"), ("munge-other", "{\"evil\":1}")] {
        let part = wrap::unsigned_part(&wrap::header(Mechanism::Munge, ALICE), payload.as_bytes(), encode64);
        let digest = flux_imp::munge::digest(&part);
        all.insert(name.to_owned(), part.into_bytes());
        all.insert(format!("{name}-digest"), digest);
    }
    all.extend(certified(alice, ca));
    all
}

/// Requests with certificates that a CA has signed, or should not have.
fn certified(alice: &(Cert, SecretKey), ca: &(Cert, SecretKey)) -> BTreeMap<String, Vec<u8>> {
    let day = 86_400;
    let config = |domain: &str, sign_ttl| CaConfig {
        max_cert_ttl: day,
        max_sign_ttl: sign_ttl,
        cert_path: String::new(),
        revoke_dir: String::new(),
        revoke_allow: false,
        domain: domain.into(),
    };
    let stranger = Cert::generate();
    let rows = [
        ("ca-good", ALICE, ALICE, 0, "site", 1000, (0, 50), &ca.1),
        ("ca-selfmade", ALICE, ALICE, 0, "site", 1000, (0, 50), &stranger.1),
        ("ca-expired", ALICE, ALICE, -2 * day, "site", 1000, (0, 50), &ca.1),
        ("ca-future", ALICE, ALICE, day / 2, "site", 1000, (0, 50), &ca.1),
        ("ca-domain", ALICE, ALICE, 0, "elsewhere", 1000, (0, 50), &ca.1),
        ("ca-user", ALICE, 4003, 0, "site", 1000, (0, 50), &ca.1),
        ("ca-lasting", ALICE, ALICE, -day / 2, "site", 10, (-30, 1000), &ca.1),
        ("ca-root", 0, 0, 0, "site", 1000, (0, 50), &ca.1),
    ];
    let made = rows.map(|(name, userid, of, age, domain, sign_ttl, times, key)| {
        let mut cert = alice.0.clone();
        cert.meta = metadata(&config(domain, sign_ttl), (UUID, "ca"), of, now() + age, false).expect("well-formed");
        cert.sign_by(key).expect("it fits");
        (name.to_owned(), input(&Forge { keys: (&cert, &alice.1), userid, times }.made("{}")).into_bytes())
    });
    made.into()
}

pub(crate) struct Site {
    root: tempfile::TempDir,
    log: UnixDatagram,
    alice: (Cert, SecretKey),
    ca: (Cert, SecretKey),
}

const PRELUDE: &str = r#"
export W IMP="$W/bin/$PROGRAM"; mkdir -p "$W/t"; mount -t tmpfs -o mode=755 tmpfs "$W/t"; cp -a "$W/etc/." "$W/t/"
[ -z "$LEFT_OUT" ] || echo "$LEFT_OUT" >"$W/t/flux/imp/weaken"
for node in null zero urandom random; do : >"$W/dev/$node"; mount --bind "/dev/$node" "$W/dev/$node"; done; mount --rbind "$W/dev" /dev
mount --bind "$W/t" /etc; cd /
as() { user=$1; shift; setpriv --reuid $user --regid $user --clear-groups "$@"; }
start() { as 4001 "$IMP" exec "$W/bin/shell" 1 <"$W/in/$1"; }
with_ca() { sed -i 's/require-ca.*/require-ca = true\n[ca]\nmax-cert-ttl = 86400\nmax-sign-ttl = 1000\ncert-path = "\/etc\/ca"\nrevoke-dir = "\/etc\/revoked"\ndomain = "site"/; s/max-ttl = 60/max-ttl = 2000/' /etc/flux/security/conf.d/sign.toml; }
with_state() { mkdir -m 700 /etc/state; sed -i 's/^.exec.$/[exec]\nstate-dir = "\/etc\/state"/' /etc/flux/imp/conf.d/imp.toml; }
with_munge() {
    sed -i "s,allowed-types.*,allowed-types = ['munge']," /etc/flux/security/conf.d/sign.toml
    printf '[sign.munge]\nsocket-path = "%s"\n' "$W/t/m/s" >>/etc/flux/security/conf.d/sign.toml
    mkdir -m 755 /etc/m; head -c 1024 /dev/urandom >/etc/m/key; chmod 400 /etc/m/key
    munged --force --key-file=/etc/m/key --socket="$W/t/m/s" --pid-file=/etc/m/p --log-file=/etc/m/l --seed-file=/etc/m/e
}
munge_as() { printf '{"J":"%s.%s"}' "$(cat "$W/in/$2")" "$(as $1 munge -S "$W/t/m/s" -i "$W/in/$3")" >/etc/m/j; as 4001 "$IMP" exec "$W/bin/shell" 1 </etc/m/j; }
with_casign() { printf '[ca]\nmax-cert-ttl = 86400\nmax-sign-ttl = 1000\ncert-path = "/etc/ca"\nrevoke-dir = "/etc/revoked"\ndomain = "site"\n' >/etc/flux/imp/conf.d/ca.toml; }
casign() { as 4002 "$IMP" casign <"$W/home/alice/.flux/curve/sig.pub"; }
# broken SYSCALL:HOW REQUEST: as start, but a system call does not do what it should. A tracer that is root leaves the set-id bit its effect.
broken() { strace -f -u flux -e "trace=${1%%:*}" -e "inject=$1" -o /dev/null "$IMP" exec "$W/bin/shell" 1 <"$W/in/$2"; echo "code $?"; }
# with_pam LINE...: sessions of PAM, with this stack.
with_pam() {
    sed -i 's,^.exec.$,[exec]\npam-support = true\npam-opener = "/etc/flux-imp-pam",' /etc/flux/imp/conf.d/imp.toml
    install -m 755 "$W/bin/flux-imp-pam" /etc/flux-imp-pam; mkdir -p /etc/pam.d /etc/security; printf '%s\n' "$@" >/etc/pam.d/flux
    : >/etc/security/pam_env.conf; [ -z "$LLVM_PROFILE_FILE" ] || sed -i 's/^.exec.$/[exec]\nallowed-environment = ["LLVM_PROFILE_FILE"]/' /etc/flux/imp/conf.d/imp.toml
    printf '#!/bin/sh\necho "$PAM_TYPE of $PAM_USER"\n' >/etc/tell; chmod 755 /etc/tell
}
with_cgroup() {
    mount -t cgroup2 none /sys/fs/cgroup; CG=/sys/fs/cgroup/imp-shell-${W##*/}; mkdir "$CG"
    trap 'echo 1 >"$CG/cgroup.kill"; while ! rmdir "$CG"; do sleep 0.05; done' EXIT
}
# contained COMMAND...: runs it in a cgroup made for this job.
contained() { sh -c 'echo 0 >"$0/cgroup.procs"; exec "$@"' "$CG" "$@"; }
# with_devices OPTIONS: starts a job that tries devices, with these options.
with_devices() { sed "s|}\$|,\"options\":$1}|" "$W/in/devices" >"$W/t/in"; contained setpriv --reuid 4001 --regid 4001 --clear-groups "$IMP" exec "$W/bin/shell" 1 <"$W/t/in"; }
start_contained() { contained setpriv --reuid 4001 --regid 4001 --clear-groups "$IMP" exec "$W/bin/shell" 1 <"$W/in/$1"; }
# The process of the IMP, once the job shell does what it is for.
imp_pid() { until pgrep -f '^sleep (5|2.5|0.6)$' >/dev/null; do sleep 0.05; done; pgrep -o -x "$PROGRAM"; }
allow_all() { sed -i 's/^.exec.$/[exec]\nallowed-environment = ["*"]/' /etc/flux/imp/conf.d/imp.toml; }
"#;

const SHELL: &str = r#"#!/bin/sh
id; env | sort; cat /proc/self/status
echo cpu $(ulimit -t); echo umask $(umask) in $(pwd); echo open $(ls /proc/$$/fd); echo session $(cut -d' ' -f6 /proc/self/stat)
job=$(cat /proc/self/fd/3)
case $job in
*slow*) sleep 0.6 </dev/null;;
*long*) until [ -e /etc/go ]; do sleep 0.6 </dev/null; done;;
*stdin*) echo "input $(cat)";;
*trap*) trap 'echo got TERM; exit 3' TERM; sleep 5 >/dev/null 2>&1 & echo ready; wait;;
*devices*) for d in null zero random; do (: </dev/$d) 2>&1 && echo "reads $d"; (: >/dev/$d) 2>&1 && echo "writes $d"; done;;
*leave*) sleep 2.5 >/dev/null 2>&1 3>&- & ;;
*rewrite*) { echo rewritten >/proc/self/fd/3; } 2>/dev/null; cat /proc/self/fd/3;;
esac
exit 7
"#;

/// Copies a program by a process of its own: a descriptor that writes it, inherited by what another test starts just then, would
/// make it busy (ETXTBSY).
fn copy_program(from: &Path, to: &Path) {
    let done = Command::new("cp").args([from, to]).status();
    assert!(done.expect("cp(1) is there").success(), "{} is copied", from.display());
}

/// Builds a program beside the tests; answers the directory it is in.
pub(crate) fn build(what: &[&str]) -> PathBuf {
    let here = Path::new(env!("CARGO_BIN_EXE_flux-imp")).parent().expect("target/debug/flux-imp");
    let target = here.parent().expect("target/debug");
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--quiet", "--target-dir"]).arg(target).args(what).current_dir(env!("CARGO_MANIFEST_DIR"));
    assert!(command.status().expect("cargo runs").success(), "{what:?} builds");
    here.to_path_buf()
}

impl Site {
    /// `None`, and a line in the list of skipped tests, where this machine does not let us.
    pub(crate) fn new() -> Option<Site> {
        let able = Command::new("unshare").args(["-m", "-p", "-f", "true"]).status().is_ok_and(|done| done.success());
        if !able || fs::metadata("/proc/self").expect("procfs").uid() != 0 {
            if let Some(log) = std::env::var_os("FLUX_TEST_SKIP_LOG") {
                let mut log = fs::OpenOptions::new().append(true).create(true).open(log).expect("the list of skips");
                writeln!(log, "attacks: needs root, mount and process namespaces").expect("written");
            }
            return None;
        }
        let root = tempfile::Builder::new().prefix("flux-attacks-").tempdir_in("/tmp").expect("a directory");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        for directory in
            ["etc/flux/imp/conf.d", "etc/flux/security/conf.d", "etc/revoked", "home/alice", "bin", "in", "dev"]
        {
            fs::create_dir_all(root.path().join(directory)).expect("a directory");
        }
        let log = UnixDatagram::bind(root.path().join("dev/log")).expect("a socket");
        log.set_nonblocking(true).expect("a socket");
        fs::set_permissions(root.path().join("dev/log"), fs::Permissions::from_mode(0o666)).expect("chmod");
        let mut ca = Cert::generate();
        ca.0.meta.put("ca-capability", Kind::Boolean, "true").expect("well-formed");
        ca.0.meta.put("uuid", Kind::Text, "ca").expect("well-formed");
        let site = Site { root, log, alice: Cert::generate(), ca };
        site.fill();
        Some(site)
    }

    /// Whether there is a cgroup2 tree that is ours, which `with_cgroup` needs; else a line in the list of skipped tests.
    pub(crate) fn has_cgroups() -> bool {
        let try_it =
            "mount -t cgroup2 none /sys/fs/cgroup && mkdir /sys/fs/cgroup/flux-try && rmdir /sys/fs/cgroup/flux-try";
        let tried = Command::new("unshare").args(["-m", "sh", "-c", try_it]).stderr(Stdio::null()).status();
        let able = tried.is_ok_and(|status| status.success());
        if let (false, Some(log)) = (able, std::env::var_os("FLUX_TEST_SKIP_LOG")) {
            let mut log = fs::OpenOptions::new().append(true).create(true).open(log).expect("the list of skips");
            writeln!(log, "attacks::cgroups: no cgroup2 tree that is ours").expect("written");
        }
        able
    }

    fn write(&self, below: &str, text: &(impl AsRef<[u8]> + ?Sized), mode: u32) {
        let path = self.root.path().join(below);
        fs::write(&path, text).expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
    }

    fn fill(&self) {
        let root = self.root.path().display().to_string();
        let users = [("flux", 4001), ("alice", ALICE), ("mallory", 4003), ("nobody", 65534)];
        let user = |(name, id): &(&str, u32)| format!("{name}:x:{id}:{id}::{root}/home/{name}:/bin/sh\n");
        let passwd: String = users.iter().map(user).collect();
        self.write("etc/passwd", &format!("root:x:0:0:root:/root:/bin/sh\n{passwd}"), 0o644);
        let groups: String = users.iter().map(|(name, id)| format!("{name}:x:{id}:\n")).collect();
        self.write("etc/group", &format!("root:x:0:\n{groups}"), 0o644);
        self.write("etc/nsswitch.conf", "passwd: files\ngroup: files\n", 0o644);
        let imp = format!(
            "[exec]\nallowed-users = [\"flux\"]\nallowed-shells = [\"{root}/bin/shell\"]\n\
             [run.prolog]\npath = \"/usr/bin/env\"\nallowed-users = [\"flux\"]\n"
        );
        self.write("etc/flux/imp/conf.d/imp.toml", &imp, 0o644);
        let sign = "[sign]\nmax-ttl = 60\ndefault-type = \"curve\"\nallowed-types = [\"curve\", \"none\"]\n\
                    [sign.curve]\nrequire-ca = false\n";
        self.write("etc/flux/security/conf.d/sign.toml", sign, 0o644);
        self.write("bin/shell.text", SHELL, 0o755);
        let bin = self.root.path().join("bin");
        copy_program(&bin.join("shell.text"), &bin.join("shell"));
        fs::set_permissions(bin.join("shell"), fs::Permissions::from_mode(0o755)).expect("chmod");
        fs::create_dir_all(self.root.path().join("home/alice/.flux/curve")).expect("a directory");
        self.write("home/alice/.flux/curve/sig.pub", &self.alice.0.to_toml(), 0o644);
        for below in ["home/alice", "home/alice/.flux", "home/alice/.flux/curve", "home/alice/.flux/curve/sig.pub"] {
            chown(self.root.path().join(below), Some(ALICE), Some(ALICE)).expect("chown");
        }
        self.write("etc/ca.pub", &self.ca.0.to_toml(), 0o644);
        self.write("etc/ca", &wrap::secret_to_toml(&self.ca.1), 0o600);
        self.install("flux-imp", Path::new(env!("CARGO_BIN_EXE_flux-imp")));
        self.install("flux-imp-pam", &build(&["-p", "flux-imp-pam"]).join("flux-imp-pam"));
    }

    /// Makes a set-id copy of a program.
    pub(crate) fn install(&self, name: &str, program: &Path) {
        let path = self.root.path().join("bin").join(name);
        copy_program(program, &path);
        fs::set_permissions(path, fs::Permissions::from_mode(0o4755)).expect("chmod");
    }

    /// Requests are good for a minute: each attack has its own.
    fn sign_requests(&self) {
        for (name, text) in requests(&self.alice, &self.ca) {
            self.write(&format!("in/{name}"), &text, if name == "secret" { 0o600 } else { 0o644 });
        }
    }

    /// What the script prints, both streams, and what the system's log gets; `left_out` names the check that is not made.
    pub(crate) fn run(&self, script: &str, left_out: &str) -> (String, String) {
        self.sign_requests();
        let root = self.root.path().display().to_string();
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", "20", "unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc", "bash", "-c"]);
        command.arg(format!("exec 2>&1\n{PRELUDE}\n{script}")).env_clear().env("W", &root);
        let program = if left_out.is_empty() { "flux-imp" } else { "weakened" };
        command.envs([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("PROGRAM", program), ("LEFT_OUT", left_out)]);
        command.envs(std::env::var_os(PROFILE).filter(|_| left_out.is_empty()).map(|pattern| (PROFILE, pattern)));
        let done = command.stdin(Stdio::null()).output().expect("timeout(1) is there");
        let mut log = String::new();
        let mut line = [0; 4096];
        while let Ok(len) = self.log.recv(&mut line) {
            log.push_str(&String::from_utf8_lossy(&line[..len]));
            log.push('\n');
        }
        (String::from_utf8_lossy(&done.stdout).replace(&root, "$W"), log)
    }
}
