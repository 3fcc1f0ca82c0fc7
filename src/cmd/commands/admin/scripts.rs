//! Scripts that run as root on a job's nodes: those of packages, then those of the site.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;
use flux_client::{Payload, Target};
use flux_sys::ids::Ids;
use flux_sys::signal::{Name as Signal, SignalQueue};
use flux_sys::spawn::Spawn;
use flux_types::{JobId, JobIdForm};
use serde_json::Value;

use crate::frame::args::text;
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

/// When scripts run: before the job, after it, and after its resources are on their way back.
pub(super) const KINDS: [&str; 3] = ["prolog", "epilog", "housekeeping"];

const PACKAGE_DIR: &str = "usr/libexec/flux";
const SITE_DIR: &str = "etc/flux/system";
/// Where there is this, systemd runs the machine.
const SYSTEMD_DIR: &str = "/run/systemd/system";
/// As a shell says it: found, but cannot be executed.
const NOT_EXECUTABLE: i32 = 126;
const SIGNALS: [i32; 3] = [Signal::SIGTERM as i32, Signal::SIGINT as i32, Signal::SIGHUP as i32];

/// A file in one of the directories.
pub(super) struct Script {
    pub(super) path: PathBuf,
    pub(super) is_executable: bool,
}

impl Script {
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// What a directory holds, or the one script of the site that stands for its directory.
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// The path is the script itself.
    pub(super) is_single: bool,
    pub(super) scripts: Vec<Script>,
}

/// Both sources of a kind, in the order in which they run.
pub(super) fn sources(root: &Path, kind: &str) -> [Source; 2] {
    let single = root.join(SITE_DIR).join(kind);
    let site = match script(single.clone()) {
        Some(script) if script.is_executable => Source { path: single, is_single: true, scripts: vec![script] },
        _ => directory(root.join(SITE_DIR).join(format!("{kind}.d"))),
    };
    [directory(root.join(PACKAGE_DIR).join(format!("{kind}.d"))), site]
}

fn directory(path: PathBuf) -> Source {
    let entries = fs::read_dir(&path).into_iter().flatten().flatten();
    let mut scripts: Vec<Script> = entries.filter_map(|entry| script(entry.path())).collect();
    scripts.sort_by(|a, b| a.path.cmp(&b.path));
    Source { path, is_single: false, scripts }
}

/// `None` for what is no file.
fn script(path: PathBuf) -> Option<Script> {
    let found = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    Some(Script { path, is_executable: found.mode() & 0o111 != 0 })
}

/// `flux admin run-system-scripts`: exits with the highest status of the scripts, or with that of the first that fails
/// where the configuration says `exit-on-first-error`.
pub(super) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let kind = text(matches, "KIND").unwrap_or_default();
    let root = Path::new(text(matches, "root").unwrap_or("/"));
    let code = if matches.get_flag("unit") && Path::new(SYSTEMD_DIR).is_dir() {
        in_unit(kind, cx)?
    } else {
        one_by_one(kind, root, cx)?
    };
    Ok(ExitCode::from(code.clamp(0, 255) as u8))
}

fn one_by_one(kind: &str, root: &Path, cx: &mut Context) -> Result<i32, CmdError> {
    let stops = stops_at_error(kind, cx);
    let mut worst = 0;
    for script in sources(root, kind).iter().flat_map(|source| &source.scripts).filter(|script| script.is_executable) {
        let code = match not_trusted(&script.path) {
            Some(why) => {
                cx.warn(format_args!("{}: not run: {why}", script.path.display()));
                NOT_EXECUTABLE
            }
            None => {
                let (code, is_stopped) = run_one(&[script.path.as_os_str()], None)?;
                if is_stopped {
                    cx.warn(format_args!("{}: terminated", script.name()));
                    return Ok(code.max(1));
                }
                code
            }
        };
        if code != 0 {
            cx.warn(format_args!("{}: exit {code}", script.name()));
            worst = worst.max(code);
            if stops {
                break;
            }
        }
    }
    Ok(worst)
}

/// What root runs, nobody else may have written.
fn not_trusted(path: &Path) -> Option<&'static str> {
    if Ids::current().euid != 0 {
        return None;
    }
    let is_roots = |path: &Path| fs::metadata(path).is_ok_and(|found| found.uid() == 0 && found.mode() & 0o022 == 0);
    match (is_roots(path), path.parent().is_none_or(is_roots)) {
        (true, true) => None,
        (false, _) => Some("it is not root's, or others may write it"),
        (true, false) => Some("its directory is not root's, or others may write there"),
    }
}

/// Without an instance to ask: no.
fn stops_at_error(kind: &str, cx: &Context) -> bool {
    let config = cx.open().and_then(|mut handle| handle.call("config.get", Target::Any, Payload::None));
    let stops = config.ok().and_then(|config| {
        config.pointer(&format!("/job-manager/{kind}/exit-on-first-error")).and_then(Value::as_bool)
    });
    stops.unwrap_or(false)
}

/// Starts the unit of systemd whose main process is this command without `--unit`: its output goes to the journal, and it
/// may be looked at and stopped as others are. Stops it when it is told to stop itself.
fn in_unit(kind: &str, cx: &mut Context) -> Result<i32, CmdError> {
    let given = cx.var("FLUX_JOB_ID").ok_or_else(|| CmdError::new("FLUX_JOB_ID is not set"))?;
    let id = JobId::parse(&given).map_err(|error| CmdError::about("FLUX_JOB_ID", error))?;
    let unit = format!("flux-{kind}@{}.service", id.encode(JobIdForm::F58Plain));
    let file = PathBuf::from(format!("/run/{}.env", unit.trim_end_matches(".service")));
    let mut options = fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&file);
    opened
        .and_then(|mut out| std::io::Write::write_all(&mut out, environment_file(std::env::vars()).as_bytes()))
        .map_err(|error| CmdError::about(file.display(), error))?;
    let (code, is_stopped) =
        run_one(&["systemctl", "start", "--quiet", &unit], Some(&["systemctl", "stop", "--quiet", &unit]))?;
    Ok(if is_stopped { code.max(1) } else { code })
}

/// `FLUX_` variables in systemd.exec(5)'s form. A value with control characters could be read as more than one variable
/// and is left out.
fn environment_file(variables: impl Iterator<Item = (String, String)>) -> String {
    let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    variables
        .filter(|(name, value)| name.starts_with("FLUX_") && is_plain(name) && !value.chars().any(char::is_control))
        .map(|(name, value)| {
            let escaped: String = value
                .chars()
                .flat_map(|c| [Some('\\').filter(|_| matches!(c, '"' | '\\' | '$' | '`')), Some(c)])
                .flatten()
                .collect();
            format!("{name}=\"{escaped}\"\n")
        })
        .collect()
}

/// The exit status as a shell says it, and whether a signal to this process ended it: the signal is passed on, or `stop`
/// is run instead.
fn run_one(words: &[impl AsRef<std::ffi::OsStr>], stop: Option<&[&str]>) -> Result<(i32, bool), CmdError> {
    let name = words[0].as_ref().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| CmdError::about(&name, error);
    let signals = SignalQueue::new(&SIGNALS).map_err(failed)?;
    let spawn = Spawn::new(words.iter().map(AsRef::as_ref)).envs(std::env::vars_os());
    let child = match spawn.start() {
        Ok(child) => child,
        // A script without its first line, or that cannot be executed: its failure, not ours.
        Err(error) => {
            say!("{name}: {error}");
            return Ok((NOT_EXECUTABLE, false));
        }
    };
    let mut is_stopped = false;
    loop {
        flux_sys::fd::poll(&[(child.as_fd(), false), (signals.as_fd(), false)], None).map_err(failed)?;
        while let Some(received) = signals.next().map_err(failed)? {
            is_stopped = true;
            match stop {
                Some(words) => {
                    let stopped = std::process::Command::new(words[0]).args(&words[1..]).status();
                    stopped.map_err(failed)?;
                }
                None => _ = child.signal(received.signal),
            }
        }
        if let Some((status, _)) = child.try_wait().map_err(failed)? {
            let code = status.exit_code().or(status.signal().map(|signal| 128 + signal));
            return Ok((code.unwrap_or(1), is_stopped));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_become_another_variable_of_a_unit() {
        let variables = [
            ("FLUX_JOB_ID", "ƒabc"),
            ("FLUX_X", "1\nLD_PRELOAD=/tmp/x"),
            ("FLUX_Y", "a \"b\" $c `d` \\"),
            ("FLUX_Z\nLD_PRELOAD", "1"),
            ("LD_PRELOAD", "x"),
        ];
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let want = "FLUX_JOB_ID=\"ƒabc\"\nFLUX_Y=\"a \\\"b\\\" \\$c \\`d\\` \\\\\"\n";
        assert_eq!(environment_file(variables), want);
    }
}
