//! `flux keygen`: the certificate of an instance's brokers, or the keys with which this user signs job requests.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use flux_sign::KeyPair;
use flux_sys::ids::Ids;
use flux_wire::cert::Certificate;
use flux_wire::crypto::KEY_LEN;

use crate::frame::args::{many, option, text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::submit::sign::key_file;

pub fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("keygen")
        .arg(flag("sign", "Make the keys that sign job requests: PATH (secret) and PATH.pub"))
        .arg(option("name", Some('n'), "NAME", "Name the certificate, for logs [default: this host]"))
        .arg(many("meta", None, "KEY=VAL,...", "Note more in the certificate"))
        .arg(flag(
            "force",
            "Replace keys that are there: requests signed with them, and not yet started, are then refused",
        ))
        .arg(Arg::new("path").value_name("PATH").help("The file to make [with --sign: ~/.flux/curve/sig]"))
}

/// A certificate that all brokers of an instance share (flux-config-bootstrap(5)).
fn certificate(matches: &ArgMatches) -> CmdResult {
    let Some(path) = text(matches, "path") else {
        // Instances of a single user make their own: old instructions to run this first do no harm.
        eprintln!("flux-keygen: WARNING: add PATH argument to save generated certificate");
        return Ok(ExitCode::SUCCESS);
    };
    let host = || flux_sys::ids::hostname().unwrap_or_else(|_| "localhost".to_owned());
    let mut metadata = vec![("name".to_owned(), text(matches, "name").map_or_else(host, str::to_owned))];
    for pair in texts(matches, "meta").into_iter().flat_map(|list| list.split(',')) {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| CmdError::usage(format!("--meta={pair}: give KEY=VAL")))?;
        metadata.push((key.to_owned(), value.to_owned()));
    }
    if metadata.iter().any(|(key, value)| [key, value].iter().any(|text| text.contains(['"', '\n']))) {
        return Err(CmdError::usage("a certificate's notes have no quotes and no line breaks"));
    }
    let mut seed = [0; KEY_LEN];
    flux_sys::random::fill(&mut seed).map_err(|error| CmdError::about("random numbers", error))?;
    let text = Certificate { metadata, keys: flux_wire::crypto::KeyPair::from_seed(seed) }.encode();
    let about = |error| CmdError::about(path, error);
    // Made anew, so that it never has another's mode.
    let mut options = std::fs::OpenOptions::new();
    if matches.get_flag("force") && std::path::Path::new(path).exists() {
        std::fs::remove_file(path).map_err(about)?;
    }
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(about)?;
    file.write_all(text.as_bytes()).map_err(about)?;
    Ok(ExitCode::SUCCESS)
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    if !matches.get_flag("sign") {
        return certificate(matches);
    }
    let path = match matches.get_one::<String>("path") {
        Some(path) => PathBuf::from(path),
        None => key_file(Ids::current().ruid, None).map_err(CmdError::new)?,
    };
    let stored = KeyPair::generate().store(&path, matches.get_flag("force"));
    stored.map_err(|error| CmdError::new(error.to_string()))?;
    cx.line(format_args!("Saved {} and {}.pub", path.display(), path.display()))?;
    Ok(ExitCode::SUCCESS)
}
