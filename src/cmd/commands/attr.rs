//! `flux getattr`, `flux setattr`, `flux lsattr`: broker attributes.

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Errno, Target};
use serde_json::json;

use crate::frame::args::{flag, optional_word, text, word};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

fn naming(name: &str, unknown: &'static str) -> impl FnOnce(ClientError) -> CmdError {
    move |error| match error {
        ClientError::Answer(fault) if fault.errno == Errno::ENOENT => CmdError::new(format!("{name}: {unknown}")),
        ClientError::Answer(fault) if fault.errno == Errno::EPERM => {
            CmdError::new(format!("{name}: attribute may not be updated"))
        }
        other => CmdError::calling(name)(other),
    }
}

pub mod get {
    use super::*;

    pub fn command() -> Command {
        Command::new("getattr").arg(word("NAME", "The attribute"))
    }

    pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let name = text(matches, "NAME").unwrap_or_default();
        let value = cx.open()?.attr(name).map_err(naming(name, "No such file or directory"))?;
        cx.line(value)?;
        Ok(ExitCode::SUCCESS)
    }
}

pub mod set {
    use super::*;

    pub fn command() -> Command {
        Command::new("setattr")
            .arg(flag("force", Some('f'), "Set it even if it cannot be set while the broker runs"))
            .arg(word("NAME", "The attribute"))
            .arg(optional_word("VALUE", "Its new value").required(true).allow_hyphen_values(true))
    }

    pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let (name, value) = (text(matches, "NAME").unwrap_or_default(), text(matches, "VALUE").unwrap_or_default());
        let mut request = json!({"name": name, "value": value});
        if matches.get_flag("force") {
            request["force"] = json!(true);
        }
        cx.open()?.call("attr.set", Target::Any, request).map_err(naming(name, "unknown attribute"))?;
        Ok(ExitCode::SUCCESS)
    }
}

pub mod list {
    use super::*;

    pub fn command() -> Command {
        Command::new("lsattr").arg(flag("values", Some('v'), "Show the values too"))
    }

    pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let mut flux = cx.open()?;
        let answer = flux.call("attr.list", Target::Any, json!({})).map_err(CmdError::calling("attr.list"))?;
        let mut names: Vec<String> = serde_json::from_value(answer["names"].clone())
            .map_err(|error| CmdError::about("attr.list answered what it should not", error))?;
        names.sort();
        for name in names {
            if !matches.get_flag("values") {
                cx.line(name)?;
                continue;
            }
            match flux.attr(&name) {
                Ok(value) => cx.line(format!("{name:<40}{value}"))?,
                Err(ClientError::Answer(fault)) if fault.errno == Errno::ENOENT => cx.line(format!("{name:<40}-"))?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
