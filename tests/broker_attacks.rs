//! What guests try against the broker: each attack fails, and succeeds on a broker that lacks the one check that is in its way
//! (`tests/guests/attacks.toml`).

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// More of one kind would say nothing new.
const PER_CLASS_MAX: usize = 6;
/// What is printed between the attack and the log.
const LOG: &str = "==log==";
/// Attacks at a time.
const WORKERS: usize = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attack {
    class: String,
    name: String,
    check: String,
    run: String,
    refused: String,
    gain: String,
    /// The line in the broker's log; empty where nothing is asked that could be answered with a refusal.
    #[serde(default = "usual_line")]
    log: String,
    /// More of `[access]`; `none`: guests are not admitted.
    #[serde(default)]
    access: String,
}

fn usual_line() -> String {
    "refused user 1003: ".to_owned()
}

#[derive(Deserialize)]
struct Table {
    attack: Vec<Attack>,
}

/// Puts a line into the list of skipped tests.
fn skipped(why: &str) {
    if let Some(log) = std::env::var_os("FLUX_TEST_SKIP_LOG") {
        let mut log = fs::OpenOptions::new().append(true).create(true).open(log).expect("the list of skips");
        writeln!(log, "broker_attacks::each_attack_fails_and_succeeds_without_its_check_alone: {why}")
            .expect("written");
    }
}

/// The broker that can leave out a check: built here alone.
fn weakened() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--locked", "--features", "weaken", "--bin", "flux-weakened"]);
    let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo is there");
    assert!(built.success(), "the broker of the tests is built");
    Path::new(env!("CARGO_BIN_EXE_flux")).with_file_name("flux-weakened")
}

/// Runs an attack on a broker that leaves out this check; answers what is printed, and what it was refused by the log.
fn run(attack: &Attack, weakened: &Path, check: &str) -> (String, String) {
    let root = tempfile::Builder::new().prefix("flux-attack-").tempdir_in("/tmp").expect("a directory");
    let path = root.path().display().to_string();
    let victim = "victim=$(as alice flux submit -t 1h sh -c 'echo secret; exec sleep 100'); started alice $victim; \
                  as alice flux job wait-event -t 30 -p output $victim data >/dev/null; decimal=$(flux job id --to=dec $victim)";
    let victim = if attack.access == "none" { "" } else { victim };
    let script = format!(
        ". {}/tests/guests/site.sh\n{victim}\n{{\n{}\n}} 2>&1\necho {LOG}; as flux flux dmesg | grep 'refused user'; true",
        env!("CARGO_MANIFEST_DIR"),
        attack.run.replace("ask ", "flux-weakened request ").replace("follow ", "flux-weakened stream ")
    );
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "60", "unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc", "bash", "-c"]);
    command.arg(script).env_clear().stdin(Stdio::null());
    command.envs([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("ROOT", &path), ("FLUX", env!("CARGO_BIN_EXE_flux"))]);
    command
        .env("BROKER", weakened)
        .env("WEAKEN", check)
        .env("EXEC", format!("imp = \"{path}/bin/flux-imp\""))
        .env("MORE", "");
    command.env("ACCESS", if attack.access == "none" { "" } else { &attack.access });
    command.env("GUESTS", if attack.access == "none" { "false" } else { "true" });
    let done = command.output().expect("timeout(1) is there");
    assert!(done.status.success(), "{}: {}", attack.name, String::from_utf8_lossy(&done.stderr));
    let all = String::from_utf8_lossy(&done.stdout).into_owned();
    let (out, log) = all.split_once(LOG).expect("it is printed");
    (out.to_owned(), log.to_owned())
}

#[test]
fn each_attack_fails_and_succeeds_without_its_check_alone() {
    let namespaces = ["-m", "-p", "-f", "--kill-child", "--mount-proc"];
    let able = Command::new("unshare").args(namespaces).arg("true").status().is_ok_and(|status| status.success());
    if !able || fs::metadata("/proc/self").expect("procfs").uid() != 0 {
        return skipped("needs root, mount and process namespaces");
    }
    let path = format!("{}/tests/guests/attacks.toml", env!("CARGO_MANIFEST_DIR"));
    let table: Table = toml::from_str(&fs::read_to_string(&path).expect("a table")).expect("a well-formed table");
    let weakened = weakened();
    let mut classes = BTreeMap::new();
    table.attack.iter().for_each(|attack| *classes.entry(&attack.class).or_insert(0) += 1);
    assert!(classes.values().all(|count| *count <= PER_CLASS_MAX), "{classes:?}");
    let next = AtomicUsize::new(0);
    // Most of an attack is waiting.
    let worker = || {
        let mut failures = String::new();
        while let Some(attack) = table.attack.get(next.fetch_add(1, Ordering::Relaxed)) {
            failures.push_str(&failure(attack, &weakened));
        }
        failures
    };
    let failures: String = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("no attack panics")).collect()
    });
    assert!(failures.is_empty(), "{failures}");
}

/// What is wrong with an attack: it succeeds, or does not succeed where its check is left out.
fn failure(attack: &Attack, weakened: &Path) -> String {
    let Attack { class, name, check, .. } = attack;
    let ((out, log), (weak, _)) = (run(attack, weakened, ""), run(attack, weakened, check));
    if !out.contains(&attack.refused) || out.contains(&attack.gain) {
        format!("\n== {class}: {name}: not refused:\n{out}")
    } else if !log.contains(&attack.log) {
        format!("\n== {class}: {name}: leaves no line {:?}:\n{log}", attack.log)
    } else if !weak.contains(&attack.gain) {
        format!("\n== {class}: {name}: does not succeed without check {check}:\n{weak}")
    } else {
        String::new()
    }
}
