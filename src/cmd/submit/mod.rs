//! Submitting jobs: `flux submit`, `flux run` and what they share with the other commands that submit.

pub(crate) mod args;
pub(crate) mod bulk;
pub(crate) mod copies;
mod directives;
pub(crate) mod engine;
pub(crate) mod env;
pub(crate) mod files;
pub(crate) mod follow;
pub(crate) mod nest;
mod pattern;
pub(crate) mod progress;
pub(crate) mod request;
mod rlimit;
pub(crate) mod run;
mod shape;
pub(crate) mod sign;
pub(crate) mod single;
pub(crate) mod sinks;
pub(crate) mod template;
pub(crate) mod times;
pub(crate) mod watch;
pub(crate) mod words;

use flux_sys::ids::Ids;
use flux_types::Jobspec;

use crate::frame::context::Context;
use crate::frame::{CmdError, install};
use request::Caller;

/// A sentence of a submitting command, as flux-core's print it.
pub(crate) fn refused(text: impl std::fmt::Display) -> CmdError {
    CmdError::new(format!("ERROR: {text}"))
}

/// This process as the submitter: the environment is the one that this command's children get.
pub(crate) fn caller(cx: &Context) -> Result<Caller, CmdError> {
    let own = std::env::vars_os();
    let mut environ: Vec<(String, String)> =
        own.map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())).collect();
    for name in ["FLUX_URI", "FLUX_KVS_NAMESPACE"] {
        let value = cx.var(name);
        match (environ.iter().position(|(known, _)| known == name), value) {
            (Some(at), Some(value)) => environ[at].1 = value,
            (Some(at), None) => drop(environ.remove(at)),
            (None, Some(value)) => environ.push((name.to_owned(), value)),
            (None, None) => {}
        }
    }
    for (name, value) in install::environment(|name| cx.var(name)) {
        match environ.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => environ.push((name.to_owned(), value)),
        }
    }
    Caller::own(environ).map_err(refused)
}

/// J of a jobspec, for this user.
pub(crate) fn signed(spec: &Jobspec) -> Result<String, CmdError> {
    sign::wrap(Ids::current().ruid, &spec.encode())
}
