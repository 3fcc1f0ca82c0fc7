//! `flux start`: becomes the broker of a new instance.

mod control;
mod session;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};

use crate::frame::args::{command_line, flag, many, option, text, texts, verbose, verbosity};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, install};

use self::session::Session;

/// Where the configuration of a system instance lies.
const SYSTEM_CONFIG_DIR: &str = "/etc/flux/system/conf.d";
/// Where a system instance keeps its state.
const SYSTEM_STATE_DIR: &str = "/var/lib/flux";

pub fn command() -> Command {
    Command::new("start")
        .arg(many("setattr", Some('S'), "ATTR=VAL", "Set a broker attribute"))
        .arg(option("config-path", Some('c'), "PATH", "Read the configuration from a file or directory"))
        .arg(many("conf", None, "VALUE", "Add to the configuration: KEY=VAL, TOML or JSON text, or a file"))
        .arg(verbose())
        .arg(flag("noexec", Some('X'), "Do not run anything; useful with -v"))
        .arg(many("broker-opts", Some('o'), "OPTS", "Give these options, separated by commas, to the broker"))
        .arg(many("wrap", None, "ARGS,...", "Run the broker under another program, given with its arguments"))
        .arg(
            Arg::new("recovery")
                .long("recovery")
                .short('r')
                .value_name("TARGET")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("")
                .help("Start in recovery mode on a state directory or a dump"),
        )
        .arg(flag("sysconfig", None, "Use the configuration of the system instance"))
        .args(test_options())
        .arg(command_line("The initial program; without one, a shell"))
}

fn test_options() -> [Arg; 9] {
    [
        option("test-size", Some('s'), "N", "Start N brokers on this machine").alias("size"),
        option("test-hosts", None, "HOSTLIST", "Give the brokers these host names"),
        option("test-exit-timeout", None, "FSD", "How long brokers may outlive the first that ends"),
        option("test-exit-mode", None, "any|leader", "Which broker's end starts that timeout"),
        option("test-start-mode", None, "all|leader", "Which brokers are started at once"),
        option("rundir", None, "DIR", "Use this directory as rundir; if it has to be made, it is removed at the end")
            .conflicts_with("test-rundir"),
        option("test-rundir", None, "DIR", "Use this directory, which exists, as rundir"),
        flag("test-rundir-cleanup", None, "Remove that directory at the end"),
        option("test-pmi-clique", None, "single|per-broker|none|TASKMAP", "Which brokers believe to share a node"),
    ]
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let Arguments { options, program, session } = broker_arguments(matches)?;
    let mut argv = options.clone();
    argv.extend(to_run(&program));
    let exe = install::executable().ok_or_else(|| CmdError::new("cannot find this program's own file"))?;
    let wrap: Vec<&str> = texts(matches, "wrap").into_iter().flat_map(|list| list.split(',')).collect();
    let is_verbose = verbosity(matches) > 0;
    let told = |args: &[String]| [&wrap[..], &["flux-broker"]].concat().join(" ") + &told_after(args);
    if matches.get_flag("noexec") {
        match &session {
            _ if !is_verbose => {}
            None => cx.warn(told(&argv)),
            Some(session) => {
                session.check()?;
                for rank in 0..session.size {
                    cx.warn(format!(
                        "{rank}: {}",
                        told(&session.arguments(&session.some_dir(), rank, &options, &program))
                    ));
                }
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    if is_verbose && session.is_none() {
        cx.warn(told(&argv));
    }
    cx.out.flush()?;
    let bare = || {
        let mut broker = match wrap.split_first() {
            None => {
                let mut broker = std::process::Command::new(&exe);
                broker.arg0("flux-broker");
                broker
            }
            Some((program, args)) => {
                // Whatever wraps the broker cannot be told to give it another name.
                let mut wrapped = std::process::Command::new(program);
                wrapped.args(args).arg(&exe).arg("broker");
                wrapped
            }
        };
        cx.dress(&mut broker);
        broker
    };
    if let Some(session) = session {
        let told = |rank: u32, args: &[String]| {
            if is_verbose {
                // Nobody needs to listen.
                let _ = writeln!(std::io::stderr(), "flux-start: {rank}: {}", told(args));
            }
        };
        return session::run(&session, bare, told, &options, &program);
    }
    let mut broker = bare();
    let error = broker.args(argv.iter().map(OsString::from)).exec();
    Err(CmdError::about(broker.get_program().display(), error))
}

/// The initial program at the end of a broker's arguments.
fn to_run(program: &[String]) -> Vec<String> {
    let mark = program.first().map(|_| "--".to_owned());
    mark.into_iter().chain(program.iter().cloned()).collect()
}

/// A space before each; without the mark before the initial program, if that is none of the broker's options.
fn told_after(args: &[String]) -> String {
    let next = |at: usize| args.get(at + 1).is_none_or(|word| word.starts_with('-'));
    let shown = args.iter().enumerate().filter(|(at, arg)| *arg != "--" || next(*at));
    shown.map(|(_, arg)| format!(" {arg}")).collect()
}

/// What the brokers are given.
#[derive(Debug)]
struct Arguments {
    options: Vec<String>,
    program: Vec<String>,
    /// More than one broker.
    session: Option<Session>,
}

fn broker_arguments(matches: &ArgMatches) -> Result<Arguments, CmdError> {
    let mut argv: Vec<String> = Vec::new();
    let mut push = |option: &str, value: &str| argv.push(format!("{option}{value}"));
    texts(matches, "setattr").into_iter().for_each(|value| push("-S", value));
    if matches.get_flag("sysconfig") || text(matches, "recovery") == Some("") {
        push("-c", SYSTEM_CONFIG_DIR);
    }
    if let Some(path) = text(matches, "config-path") {
        push("-c", path);
    }
    texts(matches, "conf").into_iter().for_each(|value| push("--conf=", value));
    let session = test_arguments(matches, &mut push)?;
    if let Some(target) = text(matches, "recovery") {
        for attr in ["broker.recovery-mode=1", "broker.quorum=1", "broker.module-nopanic=1", "log-stderr-level=5"] {
            push("-S", attr);
        }
        match target {
            "" if !Path::new(SYSTEM_STATE_DIR).is_dir() => {
                return Err(CmdError::about(SYSTEM_STATE_DIR, flux_wire::Errno::ENOENT));
            }
            "" => push("-S", &format!("statedir={SYSTEM_STATE_DIR}")),
            _ if Path::new(target).is_dir() => push("-S", &format!("statedir={target}")),
            _ if Path::new(target).is_file() => push("-S", &format!("content.restore={target}")),
            _ => return Err(CmdError::about(target, flux_wire::Errno::ENOENT)),
        }
    }
    let options = texts(matches, "broker-opts").into_iter().flat_map(|list| list.split(','));
    argv.extend(options.filter(|option| !option.is_empty()).map(str::to_owned));
    let program = texts(matches, "COMMAND").into_iter().map(str::to_owned).collect();
    Ok(Arguments { options: argv, program, session })
}

/// What the `--test-*` options mean: options of a single broker, or a session of several.
fn test_arguments(matches: &ArgMatches, push: &mut impl FnMut(&str, &str)) -> Result<Option<Session>, CmdError> {
    let Some(size) = text(matches, "test-size") else {
        return match test_options().iter().map(|arg| arg.get_id().as_str()).find(|id| given(matches, id)) {
            Some(id) => Err(CmdError::usage(format!("--{id} only works with --test-size"))),
            None => Ok(None),
        };
    };
    match size.parse::<u32>() {
        Ok(1) => {}
        Ok(size) if size > 1 => return session_of(matches, size).map(Some),
        Ok(0) => return Err(CmdError::new("--test-size argument must be > 0")),
        _ => return Err(CmdError::usage(format!("--test-size={size}: give a number above zero"))),
    }
    if let Some(dir) = text(matches, "rundir") {
        // The broker removes what it has made.
        push("-S", &format!("rundir={dir}"));
    }
    if let Some(dir) = text(matches, "test-rundir") {
        if !Path::new(dir).is_dir() {
            return Err(CmdError::new(no_directory(Path::new(dir))));
        }
        push("-S", &format!("rundir={dir}"));
        if matches.get_flag("test-rundir-cleanup") {
            push("-S", "rundir-cleanup=1");
        }
    }
    if let Some(hosts) = text(matches, "test-hosts") {
        let hosts = flux_types::Hostlist::parse(hosts).map_err(|error| CmdError::about("--test-hosts", error))?;
        let first = hosts.first().ok_or_else(|| CmdError::usage("--test-hosts: the list is empty"))?;
        push("-S", &format!("hostname={first}"));
    }
    Ok(None)
}

fn no_directory(path: &Path) -> String {
    let why = if path.exists() { "not a directory" } else { "No such file or directory" };
    format!("{}: {why}", path.display())
}

fn session_of(matches: &ArgMatches, size: u32) -> Result<Session, CmdError> {
    /// How long brokers may outlive the first that ended.
    const EXIT_TIMEOUT: Duration = Duration::from_secs(20);
    let mut rundir = text(matches, "test-rundir").map(PathBuf::from);
    if let Some(dir) = rundir.as_ref().filter(|dir| !dir.is_dir()) {
        return Err(CmdError::new(no_directory(dir)));
    }
    let mut cleanup = matches.get_flag("test-rundir-cleanup");
    if let Some(dir) = text(matches, "rundir").map(PathBuf::from) {
        cleanup |= !dir.exists();
        rundir = Some(dir);
    }
    let hosts = text(matches, "test-hosts").map(flux_types::Hostlist::parse).transpose();
    let exit_timeout = match text(matches, "test-exit-timeout") {
        None => Some(EXIT_TIMEOUT),
        Some(text) => {
            let seconds = flux_types::parse_fsd(text);
            let bad = || CmdError::usage(format!("--test-exit-timeout={text}: is no duration"));
            // What does not fit a duration is for ever.
            Duration::try_from_secs_f64(seconds.ok_or_else(bad)?).ok()
        }
    };
    Ok(Session {
        size,
        hosts: hosts.map_err(|error| CmdError::about("--test-hosts", error))?,
        exit_timeout,
        start_leader_only: match text(matches, "test-start-mode") {
            None | Some("all") => false,
            Some("leader") => true,
            Some(mode) => return Err(CmdError::new(format!("unknown --test-start-mode: {mode}"))),
        },
        leader_only: match text(matches, "test-exit-mode") {
            None | Some("any") => false,
            Some("leader") => true,
            Some(mode) => return Err(CmdError::new(format!("unknown --test-exit-mode: {mode}"))),
        },
        rundir: rundir.map(std::path::absolute).transpose().map_err(|error| CmdError::about("--test-rundir", error))?,
        cleanup,
        clique: text(matches, "test-pmi-clique").map(str::to_owned),
        traces_pmi: verbosity(matches) > 1,
    })
}

fn given(matches: &ArgMatches, id: &str) -> bool {
    matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(args: &[&str]) -> Result<Vec<String>, String> {
        let argv = std::iter::once("start").chain(args.iter().copied());
        let matches = command().try_get_matches_from(argv).map_err(|error| error.to_string())?;
        let Arguments { mut options, program, session } =
            broker_arguments(&matches).map_err(|error| error.to_string())?;
        if let Some(session) = session {
            session.check().map_err(|error| error.to_string())?;
        }
        if !program.is_empty() {
            options.push("--".to_owned());
            options.extend(program);
        }
        Ok(options)
    }

    #[test]
    fn options_become_the_brokers() {
        let rows: &[(&[&str], &[&str])] = &[
            (&[], &[]),
            (&["true"], &["--", "true"]),
            (&["-Sa=b", "-S", "c=d", "sh", "-c", "x"], &["-Sa=b", "-Sc=d", "--", "sh", "-c", "x"]),
            (&["-o,-Sa=b,--conf=x=1"], &["-Sa=b", "--conf=x=1"]),
            (&["-c/etc/x", "--conf=a.b=1"], &["-c/etc/x", "--conf=a.b=1"]),
            (&["-s1", "--test-hosts=n[3-4]", "true"], &["-Shostname=n3", "--", "true"]),
            (
                &["--recovery=/tmp"],
                &[
                    "-Sbroker.recovery-mode=1",
                    "-Sbroker.quorum=1",
                    "-Sbroker.module-nopanic=1",
                    "-Slog-stderr-level=5",
                    "-Sstatedir=/tmp",
                ],
            ),
            (&["-vv", "--", "-x"], &["--", "-x"]),
        ];
        for (args, want) in rows {
            let want: Vec<String> = want.iter().map(|&text| text.to_owned()).collect();
            assert_eq!(arguments(args), Ok(want), "{args:?}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        for args in [
            &["-s9999"][..],
            &["-s3", "--test-hosts=a"],
            &["-s0"],
            &["-sx"],
            &["--test-hosts=a"],
            &["--recovery=/nonexistent"],
            &["--nosuch"],
        ] {
            assert!(arguments(args).is_err(), "{args:?}");
        }
    }
}
