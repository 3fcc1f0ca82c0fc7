//! `flux job submit`: sends a jobspec as it stands in a file.

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::Target;
use flux_sys::ids::Ids;
use flux_types::jobstate::flags as submit_flags;

use crate::frame::args::{many, option, optional_word, text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::jobid::shown;
use crate::limits::JOB_FILE_BYTES_MAX;
use crate::submit::engine::{submit_request, submitted_id};
use crate::submit::{files, sign};

pub(super) fn command() -> Command {
    Command::new("submit")
        .arg(option("urgency", Some('u'), "N", "Set job urgency (0-31), hold=0, default=16, expedite=31"))
        .arg(many("flags", Some('f'), "FLAGS", "Set submit comma-separated flags (e.g. debug, waitable)"))
        .arg(option("security-config", Some('c'), "PATTERN", "Use non-default security config glob").hide(true))
        .arg(option("sign-type", Some('s'), "TYPE", "Use non-default mechanism type to sign J"))
        .arg(optional_word("file", "The jobspec (default: standard input)"))
}

pub(super) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut mask = 0;
    for name in texts(matches, "flags").iter().flat_map(|list| list.split(',')) {
        mask |= match name {
            "signed" => submit_flags::PRE_SIGNED,
            name => submit_flags::from_name(name).ok_or_else(|| CmdError::new(format!("unknown flag: {name}")))?,
        };
    }
    let urgency = match text(matches, "urgency") {
        None => 16,
        Some(text) => {
            text.parse::<i64>().map_err(|_| CmdError::new("Option 'urgency' requires an integer argument"))?
        }
    };
    let kind = text(matches, "sign-type");
    let bytes = match text(matches, "file") {
        None | Some("-") => cx.read_stdin()?,
        Some(path) => {
            let plain =
                |error: std::io::Error| CmdError::about(path, flux_wire::Errno(error.raw_os_error().unwrap_or(5)));
            std::fs::metadata(path).map_err(plain)?;
            files::read_bytes(path, JOB_FILE_BYTES_MAX).map_err(CmdError::new)?.0
        }
    };
    let spec = String::from_utf8(bytes).map_err(|_| CmdError::new("the jobspec is not UTF-8 text"))?;
    if spec.trim().is_empty() {
        return Err(CmdError::new("required jobspec is empty"));
    }
    let signed = match mask & submit_flags::PRE_SIGNED {
        0 => sign::wrap_as(kind, Ids::current().ruid, &spec)?,
        _ => spec.trim().to_owned(),
    };
    let body = submit_request(&signed, urgency, mask & !submit_flags::PRE_SIGNED);
    let answer = cx.open()?.call("job-ingest.submit", Target::Any, body)?;
    cx.line(shown(submitted_id(&answer)?))?;
    Ok(ExitCode::SUCCESS)
}
