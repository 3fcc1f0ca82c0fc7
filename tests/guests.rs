//! An instance that the user `flux` runs for three users, whose jobs the set-id IMP starts.

use serde::Deserialize;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

const IMP: &str = "imp = \"$ROOT/bin/flux-imp\"";

/// Puts a line into the list of skipped tests.
fn skipped(name: &str, why: &str) {
    if let Some(log) = std::env::var_os("FLUX_TEST_SKIP_LOG") {
        let mut log = fs::OpenOptions::new().append(true).create(true).open(log).expect("the list of skips");
        writeln!(log, "guests::{name}: {why}").expect("written");
    }
}

/// Runs a script in a new site (`tests/guests/site.sh`); answers what it printed. `None`, and a line in the list of skipped
/// tests, where this machine does not let us.
fn site(name: &str, exec: &str, [access, more]: [&str; 2], script: &str) -> Option<String> {
    let namespaces = ["-m", "-p", "-f", "--kill-child", "--mount-proc"];
    let able = Command::new("unshare").args(namespaces).arg("true").status().is_ok_and(|status| status.success());
    if !able || fs::metadata("/proc/self").expect("procfs").uid() != 0 {
        skipped(name, "needs root, mount and process namespaces");
        return None;
    }
    let root = tempfile::Builder::new().prefix("flux-guests-").tempdir_in("/tmp").expect("a directory");
    let path = root.path().display().to_string();
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "60", "unshare"]).args(namespaces).args(["bash", "-c"]);
    command.arg(format!(". {}/tests/guests/site.sh\n{script}\ntrue", env!("CARGO_MANIFEST_DIR"))).env_clear();
    command.envs([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("ROOT", &path), ("FLUX", env!("CARGO_BIN_EXE_flux"))]);
    command.envs([("EXEC", exec.replace("$ROOT", &path)), ("ACCESS", access.to_owned()), ("MORE", more.to_owned())]);
    let log = root.path().join("log");
    let errors = fs::File::create(&log).expect("a file");
    let done = command.stdin(Stdio::null()).stderr(errors).output().expect("timeout(1) is there");
    let (out, log) = (String::from_utf8_lossy(&done.stdout).replace(&path, "$ROOT"), fs::read_to_string(log).unwrap());
    assert!(done.status.success(), "{name}: {}: {out}\n{log}", done.status);
    Some(out)
}

#[derive(Deserialize)]
struct Case {
    name: String,
    run: String,
    out: String,
}

#[derive(Deserialize)]
struct Table {
    case: Vec<Case>,
}

/// Runs the cases of `tests/guests/FILE.toml` in one site and compares what they print, both streams together.
fn cases(file: &str, exec: &str, config: [&str; 2]) {
    let path = format!("{}/tests/guests/{file}.toml", env!("CARGO_MANIFEST_DIR"));
    let table: Table = toml::from_str(&fs::read_to_string(&path).expect("a table")).expect("a well-formed table");
    let mut script = String::new();
    for (nth, case) in table.case.iter().enumerate() {
        script.push_str(&format!("echo '== {nth}'\n{{\n{}\n}} 2>&1\n", case.run));
    }
    let Some(out) = site(file, exec, config, &script) else { return };
    let mut parts = out.split("== ").skip(1);
    for case in &table.case {
        let got = parts.next().and_then(|part| part.split_once('\n')).map(|(_, got)| got.trim());
        assert_eq!(got, Some(case.out.trim()), "{file}: {}: {out}", case.name);
    }
}

#[test]
fn jobs_of_guests_run_as_their_users() {
    cases("jobs", &format!("{IMP}\nkill-timeout = \"0.1s\""), ["", ""]);
}

#[test]
fn jobs_of_guests_outlive_their_broker() {
    cases("restart", IMP, ["", ""]);
}

#[test]
fn without_an_imp_guests_have_no_jobs() {
    cases("refused", "", ["", ""]);
}

#[test]
fn a_private_site_with_prologs_shows_guests_their_own_and_runs_scripts_as_root() {
    let scripts = "[job-manager.prolog]\nper-rank = true\n[job-manager.epilog]\nper-rank = true\n\
                   [job-manager.housekeeping]\nrelease-after = \"1s\"\n";
    cases("system", IMP, ["private-mode = true", scripts]);
}

#[test]
fn jobs_of_guests_span_nodes() {
    cases("nodes", IMP, ["", ""]);
}

#[test]
fn three_users_and_the_owner_have_jobs_between_each_other_on_four_hosts() {
    cases("hosts", IMP, ["", ""]);
}

#[test]
fn a_site_certifies_the_keys_of_its_users() {
    cases("authority", IMP, ["", ""]);
}

#[test]
fn flux_security_verifies_what_we_sign_and_signs_for_us() {
    if !fs::exists("/opt/flux/include/flux/security/sign.h").unwrap_or(false) {
        return skipped("flux_security_verifies_what_we_sign_and_signs_for_us", "no flux-security in /opt/flux");
    }
    cases("security", IMP, ["", ""]);
}

/// Whether there is a cgroup2 tree that is ours; else a line in the list of skipped tests.
fn has_cgroups(name: &str) -> bool {
    let script =
        "mount -t cgroup2 none /sys/fs/cgroup && mkdir /sys/fs/cgroup/flux-try && rmdir /sys/fs/cgroup/flux-try";
    let tried = Command::new("unshare").args(["-m", "sh", "-c", script]).stderr(Stdio::null()).status();
    let able = tried.is_ok_and(|status| status.success());
    if !able {
        skipped(name, "no cgroup2 tree that is ours");
    }
    able
}

#[test]
fn each_job_of_a_guest_has_a_cgroup_of_its_own() {
    if has_cgroups("each_job_of_a_guest_has_a_cgroup_of_its_own") {
        cases("cgroups", &format!("{IMP}\nkill-timeout = \"0.1s\""), ["", ""]);
    }
}

#[test]
fn jobs_of_guests_open_the_devices_that_are_left_to_them() {
    if has_cgroups("jobs_of_guests_open_the_devices_that_are_left_to_them") {
        cases("devices", &format!("{IMP}\nsdexec-constrain-resources = true"), ["", ""]);
    }
}
