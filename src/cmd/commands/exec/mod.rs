//! `flux exec`: runs a command on nodes, outside jobs (RFC 42).

mod plan;
mod session;

use std::process::ExitCode;

use clap::{ArgMatches, Command};

use crate::frame::args::{command_line, flag, many, option};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

pub fn command() -> Command {
    Command::new("exec")
        .args([
            option("rank", Some('r'), "IDSET", "The ranks (default: all)").alias("ranks"),
            option("exclude", Some('x'), "IDSET", "Not these ranks"),
            flag("bg", None, "Run in the background, and print process ids"),
            flag("waitable", None, "With --bg: keep the exit status until `flux sproc wait`"),
            option("attach", None, "PID|LABEL", "Attach to a process in the background"),
            option("label", None, "LABEL", "Give the process a name"),
            option("dir", Some('d'), "PATH", "Run there"),
            flag("label-io", Some('l'), "Put the rank before each line of output"),
            flag("noinput", Some('n'), "No standard input"),
            flag("verbose", Some('v'), "Say more"),
            flag("quiet", Some('q'), "Say less"),
            option("service", None, "NAME", "The service that runs the command (default rexec)").hide(true),
            many("setopt", None, "NAME=VALUE", "An option of the process").hide(true),
            flag("with-imp", None, "Run the command under `flux-imp run`"),
            option("jobid", Some('j'), "JOBID", "On the nodes of this job, by its shells"),
        ])
        .arg(command_line("The command"))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut flux = cx.open()?;
    let plan = plan::Plan::new(matches, &mut flux)?;
    if matches.get_flag("bg") {
        return plan.start_in_background(&mut flux, matches.get_flag("quiet"), cx);
    }
    let mut session = session::Session::start(plan, &mut flux, matches)?;
    let code = session.run(&mut flux, cx)?;
    session.report(matches.get_flag("quiet"), cx);
    if code > 255 {
        return Err(CmdError::new(format!("exit code {code} is out of range")));
    }
    Ok(ExitCode::from(code as u8))
}
