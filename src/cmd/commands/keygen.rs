//! `flux keygen`: the certificate of an instance's brokers, or the keys with which this user signs job requests.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

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
        .arg(option("certify", None, "IMP", "With --sign: have the IMP certify the new key (flux-imp casign)"))
        .arg(
            flag("ca", "Make the keys of the site's certificate authority ([ca] of /etc/flux/security/conf.d)")
                .conflicts_with_all(["sign", "certify"]),
        )
        .arg(option("name", Some('n'), "NAME", "Name the certificate, for logs [default: this host]"))
        .arg(many("meta", None, "KEY=VAL,...", "Note more in the certificate"))
        .arg(flag(
            "force",
            "Replace keys that are there: requests signed with them, and not yet started, are then refused",
        ))
        .arg(
            Arg::new("path")
                .value_name("PATH")
                .help("The file to make [with --sign: ~/.flux/curve/sig; with --ca: ca.cert-path]"),
        )
}

/// A certificate that all brokers of an instance share (flux-config-bootstrap(5)).
fn certificate(matches: &ArgMatches) -> CmdResult {
    let Some(path) = text(matches, "path") else {
        // Instances of a single user make their own: old instructions to run this first do no harm.
        say!("flux-keygen: WARNING: add PATH argument to save generated certificate");
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

/// The keys of the site's certificate authority: `PATH` is for where users sign, `PATH.pub` for every node.
fn authority(matches: &ArgMatches) -> Result<(PathBuf, KeyPair), CmdError> {
    let site = flux_sign::authority().map_err(CmdError::new)?;
    let site =
        site.ok_or_else(|| CmdError::new(format!("[ca] is not configured in {}", flux_sign::SIGN_CONFIG_DIR)))?;
    let now = i64::try_from(flux_sys::clock::wall().as_secs()).unwrap_or(i64::MAX);
    let keys = KeyPair::generate_ca(&site, now).map_err(|error| CmdError::new(format!("[ca]: {error}")))?;
    Ok((text(matches, "path").unwrap_or(&site.cert_path).into(), keys))
}

/// The keys of this user, certified by the site's authority if that is wanted.
fn signing(matches: &ArgMatches) -> Result<(PathBuf, KeyPair), CmdError> {
    let path = match text(matches, "path") {
        Some(path) => PathBuf::from(path),
        None => key_file(Ids::current().ruid, None).map_err(CmdError::new)?,
    };
    let keys = KeyPair::generate();
    let Some(imp) = text(matches, "certify") else { return Ok((path, keys)) };
    let certified = keys.certified(|public| casign(imp, public));
    certified.map(|keys| (path, keys)).map_err(|Refused(why)| CmdError::new(format!("{imp} casign: {why}")))
}

struct Refused(String);

impl From<flux_sign::KeyError> for Refused {
    fn from(error: flux_sign::KeyError) -> Refused {
        Refused(error.to_string())
    }
}

/// The certificate that `IMP casign` makes of a public key.
fn casign(imp: &str, public: &str) -> Result<String, Refused> {
    let fail = |error: std::io::Error| Refused(error.to_string());
    let mut command = std::process::Command::new(imp);
    let mut child = command.arg("casign").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(fail)?;
    // It is shorter than a pipe is; one that reads nothing says why by its exit.
    let _ = child.stdin.take().map(|mut input| input.write_all(public.as_bytes()));
    let done = child.wait_with_output().map_err(fail)?;
    if !done.status.success() {
        return Err(Refused(done.status.to_string()));
    }
    String::from_utf8(done.stdout).map_err(|error| Refused(error.to_string()))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let (path, keys) = match (matches.get_flag("sign"), matches.get_flag("ca")) {
        (false, false) => return certificate(matches),
        (_, true) => authority(matches)?,
        (true, _) => signing(matches)?,
    };
    keys.store(&path, matches.get_flag("force")).map_err(|error| CmdError::new(error.to_string()))?;
    cx.line(format_args!("Saved {} and {}.pub", path.display(), path.display()))?;
    Ok(ExitCode::SUCCESS)
}
