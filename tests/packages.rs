//! The packages on a machine: installed, started as the unit says, used by a user, and removed.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

/// What an administrator and a user type, in a machine of `tests/packages/site.sh`.
const SCRIPT: &str = r#"
rm -rf /etc/flux; dpkg --force-depends -i /tmp/flux_*.deb /tmp/flux-imp-pam_*.deb >/tmp/log 2>&1 || cat /tmp/log
stat -c '%U:%G %a %n' /usr/libexec/flux/flux-imp /usr/libexec/flux/flux-imp-pam /var/lib/flux-imp /etc/flux/imp/conf.d/imp.toml
flux keygen --ca; useradd -m alice; unit; echo unit $?
as alice flux run true 2>&1 | tail -1
as alice flux keygen --sign --certify /usr/libexec/flux/flux-imp; as alice flux run id -un
as alice flux run printenv FLUX_PMI_LIBRARY_PATH
as alice flux run grep ^0:: /proc/self/cgroup | sed 's/.*flux-try-[0-9]*//; s/imp-shell-f[^-]*/imp-shell-ID/'
as alice flux queue stop 2>&1 | grep -o 'Request.*'
id=$(as alice flux submit sh -c 'sleep 1; echo lived'); as alice flux job wait-event -t 10 $id start >/dev/null
kill -9 $(as flux flux getattr broker.pid); unit; as alice flux job attach $id 2>/dev/null
as flux flux run id -un; flux resource drain 0 maintenance; flux resource list -no '{state} {nnodes}' -s down; flux resource undrain 0
printf '#!/bin/sh\nid -un >/tmp/prolog; echo $FLUX_JOB_USERID >>/tmp/prolog' >/etc/flux/system/prolog.d/10-site; chmod 755 /etc/flux/system/prolog.d/10-site
printf '[job-manager.prolog]\nper-rank = true\n' >/etc/flux/system/conf.d/prolog.toml; as flux flux config reload
as alice flux run true; sed "s/^$(id -u alice)$/of alice/" /tmp/prolog; as flux flux admin system-scripts | head -5
as flux flux shutdown --quiet; dpkg -P flux-imp-pam flux >/tmp/log 2>&1 || cat /tmp/log
ls -d /usr/libexec/flux /usr/lib/flux /etc/flux /var/lib/flux-imp 2>/dev/null; getent passwd flux | cut -d: -f1,6,7
"#;

const PRINTS: &str = "\
root:root 4755 /usr/libexec/flux/flux-imp
root:root 755 /usr/libexec/flux/flux-imp-pam
root:root 700 /var/lib/flux-imp
root:root 644 /etc/flux/imp/conf.d/imp.toml
Saved /etc/flux/security/ca and /etc/flux/security/ca.pub
unit 0
flux-run: ERROR: only instance owner can use sign-type=none
Saved /home/alice/.flux/curve/sig and /home/alice/.flux/curve/sig.pub
alice
/usr/lib/flux/libpmi.so
/flux.service/flux-jobs/imp-shell-ID-0
Request requires owner credentials
lived
flux
down 1
root
of alice
▸ prolog: enabled (per-rank=true)
  system: /usr/libexec/flux/prolog.d
    (no scripts)
  site: /etc/flux/system/prolog.d
    ✓ 10-site
/etc/flux
flux:/var/lib/flux:/usr/sbin/nologin
";

/// The same under systemd: what it says of the unit, is told by the broker, and does.
const UNIT_SCRIPT: &str = r#"
rm -rf /etc/flux; dpkg --force-depends -i /mnt/flux_*.deb >/tmp/log 2>&1 || cat /tmp/log
systemd-analyze verify flux.service; echo verified $?
flux keygen --ca >/dev/null; useradd -m alice; systemctl daemon-reload; systemctl start flux; echo started $?
told() { for key in Type ActiveState NRestarts StatusText; do systemctl show -p $key --value flux; done | xargs echo; }; told
as alice flux keygen --sign --certify /usr/libexec/flux/flux-imp >/dev/null
as alice flux run grep ^0:: /proc/self/cgroup | sed 's/imp-shell-f[^-]*/imp-shell-ID/'; as flux flux run grep ^0:: /proc/self/cgroup
id=$(as alice flux submit sh -c 'sleep 2; echo lived'); as alice flux job wait-event -t 10 $id start >/dev/null
systemctl restart flux; echo restarted $?; told; as alice flux job attach $id 2>/dev/null
kill -9 $(systemctl show -p MainPID --value flux); until [ "$(told)" = "notify active 1 Running as leader of 1 node Flux instance" ]; do sleep 0.2; done
as alice flux jobs -ano '{name} {status}'; systemctl reload flux; echo reloaded $?
systemctl stop flux; echo stopped $? $(systemctl show -p Result --value flux); pgrep -c flux
"#;

const UNIT_PRINTS: &str = "\
verified 0
started 0
notify active 0 Running as leader of 1 node Flux instance
0::/system.slice/flux.service/flux-jobs/imp-shell-ID-0
0::/system.slice/flux.service/flux-jobs
restarted 0
notify active 0 Running as leader of 1 node Flux instance
lived
sh COMPLETED
grep COMPLETED
reloaded 0
stopped 0 success
0
";

/// Puts a line into the list of skipped tests.
fn skipped(why: &str) {
    if let Some(log) = std::env::var_os("FLUX_TEST_SKIP_LOG") {
        let mut log = fs::OpenOptions::new().append(true).create(true).open(log).expect("the list of skips");
        writeln!(log, "packages::installed_as_they_are_they_serve_a_user: {why}").expect("written");
    }
}

#[test]
fn installed_as_they_are_they_serve_a_user() {
    let namespaces = ["-m", "-p", "-f", "--kill-child", "--mount-proc"];
    let able = Command::new("unshare").args(namespaces).arg("dpkg").arg("--version").stdout(Stdio::null()).status();
    if !able.is_ok_and(|status| status.success()) || fs::metadata("/proc/self").expect("procfs").uid() != 0 {
        return skipped("needs root, namespaces and dpkg");
    }
    let root = env!("CARGO_MANIFEST_DIR");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(&cargo)
        .args(["build", "--quiet", "-p", "flux-imp-pam", "-p", "flux-pmi"])
        .current_dir(root)
        .status();
    assert!(built.expect("cargo is there").success());
    let flux = env!("CARGO_BIN_EXE_flux");
    let pam = std::path::Path::new(flux).with_file_name("flux-imp-pam");
    let site = tempfile::Builder::new().prefix("flux-packages-").tempdir_in("/tmp").expect("a directory");
    let packed = Command::new(&cargo)
        .args(["run", "--quiet", "--package", "xtask", "--", "deb", "--to"])
        .arg(site.path())
        .args(["--with", flux, flux])
        .arg(&pam)
        .arg(pam.with_file_name("libpmi.so"))
        .current_dir(root)
        .output()
        .expect("cargo is there");
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let debs = String::from_utf8_lossy(&packed.stdout);
    let debs: Vec<&str> = debs.lines().filter(|line| line.starts_with('/')).collect();
    for (machine, script, prints) in [("site", SCRIPT, PRINTS), ("boot", UNIT_SCRIPT, UNIT_PRINTS)] {
        let directory = site.path().join(machine);
        fs::create_dir(&directory).expect("a directory");
        let script = format!(". {root}/tests/packages/{machine}.sh; inside '{}'", script.replace('\'', r"'\''"));
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", "120", "unshare"]).args(namespaces).args(["bash", "-c", &script]);
        command.env("ROOT", &directory).env("DEBS", debs.join(" ")).stdin(Stdio::null());
        let done = command.output().expect("timeout(1) is there");
        let (out, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert_eq!(out, prints, "{machine}: {errors}");
    }
}
