//! `flux job id`: job ids in other forms.

use std::io::BufRead;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_types::{JobId, JobIdForm};

use crate::frame::args::{option, text, texts, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::jobid::shown_as;

pub(super) fn command() -> Command {
    Command::new("id")
        .arg(option("to", Some('t'), "dec|kvs|hex|dothex|words|f58|f58plain|emoji", "Convert jobid to specified form"))
        .arg(words("id", "Job ids; from standard input if there are none"))
}

pub(super) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let name = text(matches, "to").unwrap_or("dec");
    let form = JobIdForm::from_name(name).ok_or_else(|| CmdError::new(format!("Unknown to={name}")))?;
    let given = texts(matches, "id");
    for id in &given {
        print(id, form, cx)?;
    }
    let mut count = given.len();
    if given.is_empty() {
        for line in std::io::stdin().lock().lines() {
            print(&line?, form, cx)?;
            count += 1;
        }
    }
    Ok(ExitCode::from(u8::from(count == 0)))
}

fn print(given: &str, form: JobIdForm, cx: &mut Context) -> Result<(), CmdError> {
    let id = JobId::parse(given).map_err(|_| CmdError::new(format!("{given}: malformed input")))?;
    cx.line(id.encode(shown_as(form)))
}
