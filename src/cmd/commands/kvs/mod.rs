//! `flux kvs`: the key-value store.

mod definition;
mod eventlog;
mod get;
mod list;
mod namespace;
mod write;

pub use definition::command;

use std::process::ExitCode;

use clap::ArgMatches;
use flux_client::{ClientError, Errno};

use crate::frame::args::text;
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::store::{self, Root};

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("get", matches)) => get::run(matches, cx),
        Some(("put", matches)) => write::put(matches, cx),
        Some(("dir", matches)) => list::dir(matches, cx),
        Some(("ls", matches)) => list::ls(matches, cx),
        Some(("unlink", matches)) => write::unlink(matches, cx),
        Some(("link", matches)) => write::link(matches, cx),
        Some(("readlink", matches)) => get::readlink(matches, cx),
        Some(("mkdir", matches)) => write::mkdir(matches, cx),
        Some(("copy", matches)) => write::copy(matches, cx, false),
        Some(("move", matches)) => write::copy(matches, cx, true),
        Some(("version", matches)) => namespace::version(matches, cx),
        Some(("wait", matches)) => namespace::wait(matches, cx),
        Some(("getroot", matches)) => namespace::getroot(matches, cx),
        Some(("sync", _)) => write::sync(cx),
        Some(("namespace", matches)) => namespace::run(matches, cx),
        Some(("eventlog", matches)) => eventlog::run(matches, cx),
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

fn space(matches: &ArgMatches, cx: &Context) -> String {
    store::namespace(text(matches, "namespace"), cx)
}

/// `--at`, else the namespace.
fn root(matches: &ArgMatches, cx: &Context) -> Result<Root, CmdError> {
    match text(matches, "at") {
        None => Ok(Root::Namespace(space(matches, cx))),
        Some(text) => {
            let object = flux_types::Treeobj::parse(text.as_bytes()).map_err(|error| CmdError::about("--at", error))?;
            Ok(Root::At(object.to_value()))
        }
    }
}

/// For `map_err`: the key in front, and for what does not exist a hint.
fn at_key(key: &str) -> impl FnOnce(ClientError) -> CmdError {
    move |error| match error {
        ClientError::Answer(fault) if fault.errno == Errno::EISDIR && fault.text.is_empty() => {
            CmdError::new(format!("{key}: Is a directory (`flux kvs ls {key}` lists it)"))
        }
        other => CmdError::calling(key)(other),
    }
}

fn done() -> CmdResult {
    Ok(ExitCode::SUCCESS)
}
