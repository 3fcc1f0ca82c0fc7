//! The table of attacks (`attacks.toml`): each fails and leaves its line in the system's log, and each succeeds on a build that
//! lacks only the check that it is about.

mod behaviour;
mod site;

use serde::Deserialize;
use site::{PROFILE, Site, build};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const ALLOWED_PER_CLASS: usize = 6;
const ATTACKS_MIN: usize = 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attack {
    class: String,
    name: String,
    /// The check that refuses it.
    check: String,
    run: String,
    /// What the IMP says. Empty where it does what it should, and the attacker gains nothing.
    #[serde(default)]
    refusal: String,
    /// The line in the system's log; if left out, that of the refusal.
    audit: Option<String>,
    gain: String,
}

#[derive(Deserialize)]
struct Table {
    attack: Vec<Attack>,
}

/// The program without checks, built here: nothing else ever builds it.
fn weakened() -> PathBuf {
    build(&["-p", "flux-imp", "--features", "weaken", "--bin", "flux-imp-weakened"]).join("flux-imp-weakened")
}

#[test]
fn each_attack_fails_and_is_logged_and_succeeds_without_its_check_alone() {
    let table: Table = toml::from_str(include_str!("attacks.toml")).expect("a well-formed table");
    assert!(table.attack.len() >= ATTACKS_MIN, "{} attacks", table.attack.len());
    let mut classes = BTreeMap::<&str, usize>::new();
    for attack in &table.attack {
        let count = classes.entry(&attack.class).or_default();
        *count += 1;
        assert!(*count <= ALLOWED_PER_CLASS, "too many of class {}", attack.class);
    }
    let Some(site) = Site::new() else { return };
    site.install("weakened", &weakened());
    let (mut failures, cgroups) = (String::new(), Site::has_cgroups());
    for attack in table.attack.iter().filter(|attack| cgroups || !attack.run.contains("with_cgroup")) {
        let what = format!("{}: {}", attack.class, attack.name);
        let (out, log) = site.run(&attack.run, "");
        let audit = attack.audit.as_ref().unwrap_or(&attack.refusal);
        if out.contains(&attack.gain) || !out.contains(&attack.refusal) || !log.contains(audit.as_str()) {
            failures.push_str(&format!("\n== {what}: with all checks:\n{out}\n-- log: {log}"));
        }
        if std::env::var_os(PROFILE).is_some() {
            continue; // What counts then is the program as it is.
        }
        let (out, _) = site.run(&attack.run, &attack.check);
        if !out.contains(&attack.gain) {
            failures.push_str(&format!("\n== {what}: does not succeed without check {}:\n{out}", attack.check));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn what_munged_vouches_for_runs() {
    let Some(site) = Site::new() else { return };
    let script =
        "with_munge; munge_as 4002 munge munge-digest; as 4001 $IMP exec $W/bin/shell 1 </etc/m/j | grep -c uid=4002";
    let (out, log) = site.run(script, "");
    assert!(out.contains("uid=4002(alice)") && log.contains("of alice (4002)"), "{out}{log}");
    assert!(out.ends_with("1\n"), "decoded again, on this node or another, it still counts: {out}");
}

/// What the privileged process may open, by the last step of the path.
const OPENED: &[&str] = &[
    "/",
    "etc",
    "flux",
    "imp",
    "security",
    "conf.d",
    "imp.toml",
    "sign.toml",
    // The loader and libc of a build that is not static, and what Rust's main asks for its stack.
    "ld.so.cache",
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
    "maps",
    "ngroups_max",
    "cgroup",
];
const TRACED: &str =
    "trace=%file,connect,bind,setresuid,ptrace,fchmod,fchown,ftruncate,mount,kill,clone,clone3,fork,vfork";

/// Lines of a trace: process and call.
fn lines(trace: &str) -> impl Iterator<Item = (&str, &str)> {
    let split = trace.lines().filter_map(|line| line.split_once(' ')).map(|(pid, call)| (pid, call.trim_start()));
    split.filter(|(pid, _)| pid.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Calls that a process made before it gave up root for good. What a job starts has nothing to give up.
fn privileged_calls(trace: &str) -> Vec<(&str, &str)> {
    let gives_up =
        |call: &str| call.starts_with("setresuid(") && !call.starts_with("setresuid(0,") && call.ends_with("= 0");
    let gave_up: BTreeSet<&str> = lines(trace).filter(|(_, call)| gives_up(call)).map(|(pid, _)| pid).collect();
    let is_fork = |call: &str| ["clone", "vfork", "fork"].iter().any(|name| call.contains(name));
    let forks = lines(trace).filter(|(_, call)| is_fork(call));
    let parents: BTreeMap<&str, &str> =
        forks.filter_map(|(pid, call)| Some((call.rsplit_once("= ")?.1.trim(), pid))).collect();
    let mut done = BTreeSet::new();
    let mut calls = Vec::new();
    for (pid, call) in lines(trace) {
        let job = parents.get(pid).is_some_and(|parent| {
            gave_up.contains(parent) || parents.get(parent).is_some_and(|above| gave_up.contains(above))
        });
        if call.starts_with(|c: char| c.is_ascii_lowercase()) && !job && !done.contains(pid) {
            calls.push((pid, call));
        }
        if gives_up(call) {
            done.insert(pid);
        }
    }
    calls
}

#[test]
fn until_it_gives_up_root_it_opens_nothing_but_what_is_listed_and_writes_nothing() {
    if std::env::var_os(PROFILE).is_some() {
        return; // Counting opens files of its own.
    }
    let Some(site) = Site::new() else { return };
    // A tracer that is root leaves the set-id bit its effect.
    let script = format!(
        "cd /; strace -f -u flux -e {TRACED} -o /etc/trace $IMP exec $W/bin/shell 1 <$W/in/good; cat /etc/trace"
    );
    let (out, _) = site.run(&script, "");
    assert!(out.contains("uid=4002(alice)"), "the job runs: {out}");
    let calls = privileged_calls(&out);
    assert!(calls.len() > 30, "the trace is there: {out}");
    let first = calls[0].0;
    for (pid, call) in calls {
        let (name, rest) = call.split_once('(').unwrap_or((call, ""));
        let opened = rest.split('"').nth(1).and_then(|path| path.rsplit('/').next());
        let listed = opened.is_some_and(|last| OPENED.contains(&if last.is_empty() { "/" } else { last }));
        let good = match name {
            "openat" | "open" => listed && call.contains("O_RDONLY"),
            "access" | "newfstatat" | "readlink" | "readlinkat" | "stat" | "statx" | "lstat" => true,
            "setresuid" | "chdir" | "getcwd" | "kill" | "clone" | "clone3" => true,
            "execve" => pid == first && rest.contains("flux-imp"), // The start itself.
            _ => false,
        };
        assert!(good, "{pid}: {call}");
    }
}
