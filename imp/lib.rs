//! The IMP, Flux's independent minister of privilege (RFC 15): the only part of Flux that runs as root.
//!
//! It starts as set-id root, makes its process clean, and separates: children without privilege read what others wrote; the
//! parent verifies, decides ([`policy`], pure), and performs ([`privileged`]). [`kv`], [`j`], [`cert`] and [`verify`] are pure
//! and shared with the programs that sign.
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks, clippy::multiple_unsafe_ops_per_block)]

#[macro_use]
#[cfg_attr(feature = "weaken", path = "weaken_for_tests.rs")]
mod enforce;

pub mod casign;
pub mod cert;
mod child;
pub mod config;
mod devices;
mod exec;
mod input;
pub mod j;
mod json;
pub mod kv;
pub mod limits;
pub mod munge;
pub mod policy;
pub mod privileged;
pub mod reader;
mod replay;
pub mod supervise;
mod users;
pub mod verify;
pub mod wrap;

use limits::{ARGUMENT_LEN_MAX, ARGUMENTS_MAX, ENVIRONMENT_ENTRIES_MAX, ENVIRONMENT_ENTRY_LEN_MAX};
use privileged::Ids;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::ExitCode;

const HELP: &str = "Usage: flux-imp COMMAND

  version              print the version
  whoami               print the user and group ids of this process
  exec SHELL ARG...    run a job shell as the user who signed the request on standard input
  run NAME             run a configured command as root
  casign               certify the signing key on standard input
";

/// Runs the IMP; `args` begin with the program's name. Must be called first thing in the process, while there is one thread.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let ids = Ids::current();
    let environment = taken_environment();
    privileged::clear_environment();
    let result = (if ids.euid == 0 { privileged::clean_process() } else { Ok(()) })
        .and_then(|()| if sodiumoxide::init().is_ok() { Ok(()) } else { Err("no randomness".to_string()) })
        .and_then(|()| dispatch(ids, &taken_arguments(args)?, &environment?));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            let why = printable(&why);
            let _ = writeln!(std::io::stderr(), "flux-imp: {why}"); // Standard error may be closed.
            audit(&format!("refused user id {}: {why}", ids.ruid));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(ids: Ids, args: &[String], environment: &[(String, String)]) -> Result<u8, String> {
    let words: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        ["version"] => print(&format!("flux-imp v{}\n", env!("CARGO_PKG_VERSION"))),
        ["whoami"] => print(&whoami(ids)),
        ["casign"] => casign::casign(raised(ids)?),
        ["run", name] => run(raised(ids)?, name, environment),
        ["exec", _, _, ..] => exec::exec(raised(ids)?, &args[2..], environment),
        _ => Err(format!("unknown command\n{HELP}")),
    }
}

/// The ids to act for: those of a set-id start, and nothing else.
fn raised(ids: Ids) -> Result<Ids, String> {
    refuse!(ids.ruid == 0 && enforced!("root-caller"), "started by root: it works for other users only");
    refuse!(ids.euid != 0 || ids.suid != 0, "this needs the IMP to be installed set-id root");
    let raised = ids.rgid == 0 || ids.egid != ids.rgid;
    refuse!(raised && enforced!("group-caller"), "the group of the caller is root's, or raised");
    Ok(ids)
}

/// `flux-imp run NAME`: a prolog, an epilog or the like, as root.
fn run(ids: Ids, name: &str, environment: &[(String, String)]) -> Result<u8, String> {
    let config: config::ImpConfig = config::load(config::IMP_CONFIG_DIR)?;
    let caller = &users::look_up(&[ids.ruid], false)?[0];
    let plan = policy::plan_run(&config, caller, name, environment)?;
    audit(&format!("run: user {} ({}) runs {name}: {}", caller.name, caller.uid, plan.path));
    supervise::supervise(&plan, Vec::new(), supervise::own_cgroup().as_deref(), true)
}

fn whoami(ids: Ids) -> String {
    let kind = if ids.euid == 0 && ids.ruid != 0 { "privileged" } else { "unprivileged" };
    format!("flux-imp: {kind}: uid={} euid={} gid={} egid={}\n", ids.ruid, ids.euid, ids.rgid, ids.egid)
}

fn print(text: &str) -> Result<u8, String> {
    std::io::stdout().write_all(text.as_bytes()).map(|()| 0).map_err(|error| error.to_string())
}

/// The caller's environment: a copy, bounded; what is not UTF-8 or has no name is left out.
fn taken_environment() -> Result<Vec<(String, String)>, String> {
    let mut out = Vec::new();
    for (name, value) in std::env::vars_os() {
        let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) else { continue };
        let large = name.len() + value.len() > ENVIRONMENT_ENTRY_LEN_MAX || out.len() >= ENVIRONMENT_ENTRIES_MAX;
        refuse!(large && enforced!("environment-size"), "the environment is too large");
        out.push((name, value));
    }
    Ok(out)
}

fn taken_arguments(args: Vec<OsString>) -> Result<Vec<String>, String> {
    let large = args.len() > ARGUMENTS_MAX || args.iter().any(|arg| arg.len() > ARGUMENT_LEN_MAX);
    refuse!(large && enforced!("arguments-size"), "the arguments are too large");
    args.into_iter().map(|arg| arg.into_string().map_err(|_| "an argument is not UTF-8".into())).collect()
}

/// Seconds since 1970.
fn now() -> Result<i64, String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_err(|error| error.to_string())?;
    i64::try_from(now.as_secs()).map_err(|error| error.to_string())
}

/// Text of others, fit for a terminal and a log: on one line but for our own help, no control characters.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && enforced!("printable") { '?' } else { c })
        .take(2000)
        .collect()
}

/// A line for the system's log (facility authpriv, severity notice). That no logger listens is no reason to fail.
fn audit(text: &str) {
    let line = format!("<85>flux-imp[{}]: {}", std::process::id(), printable(text).replace('\n', " "));
    let _ = UnixDatagram::unbound()
        .and_then(|socket| socket.set_nonblocking(true).and_then(|()| socket.send_to(line.as_bytes(), "/dev/log")));
}
