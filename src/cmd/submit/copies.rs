//! The copies of a job that `--cc` and `--bcc` ask for, made one by one.

use flux_sys::ids::Ids;
use flux_types::{Idset, Jobspec};

use super::engine::Submission;
use super::request::{Caller, Request};
use super::single::check_input;
use super::sinks::{STDERR, STDOUT, Sink, Sinks};
use super::template::{Field, Fields, TemplateError, expand, refers};
use super::{refused, sign};
use crate::frame::CmdError;

/// Options in which `{cc}` and the like are replaced, as flux-core's tools do, and how errors name them.
pub(super) const MUTABLE: &[(&str, &str)] = &[
    ("queue", "-q"),
    ("bank", "-B"),
    ("ntasks", "-n"),
    ("nodes", "-N"),
    ("cores-per-task", "-c"),
    ("gpus-per-task", "-g"),
    ("cores", "--cores="),
    ("tasks-per-node", "--tasks-per-node="),
    ("tasks-per-core", "--tasks-per-core="),
    ("gpus-per-node", "--gpus-per-node="),
    ("time-limit", "-t"),
    ("env", "--env="),
    ("urgency", "--urgency="),
    ("setopt", "-o "),
    ("setattr", "--setattr="),
    ("job-name", "--job-name="),
    ("input", "--input="),
    ("output", "--output="),
    ("error", "--error="),
    ("cc", "--cc="),
    ("bcc", "--bcc="),
    ("log", "--log="),
    ("log-stderr", "--log-stderr="),
    ("dependency", "--dependency="),
    ("taskmap", "--taskmap="),
    ("requires", "--requires="),
    ("wait", "--wait-event="),
    ("cwd", "--cwd="),
    ("flags", "--flags="),
    ("signal", "--signal="),
];

/// A request with its references replaced.
///
/// # Errors
/// The sentence for the user, as flux-core's tools print it.
pub(super) fn replaced(request: &Request, fields: &dyn Fields) -> Result<Request, CmdError> {
    let refuse = |text: String| CmdError::Failed { text: format!("ERROR: {text}"), code: 1 };
    let mut out = request.clone();
    out.command.clear();
    for word in &request.command {
        let words = expand(word, fields).map_err(|error| match error {
            TemplateError::Other(text) => refuse(text),
            _ => refuse(format!("Invalid replacement string in command: '{word}'")),
        })?;
        out.command.extend(words);
    }
    for (name, values) in out.texts_mut() {
        let Some((_, shown)) = MUTABLE.iter().find(|(known, _)| *known == name) else { continue };
        for value in values {
            let expanded = expand(value, fields).map_err(|error| match error {
                TemplateError::Index => refuse(format!("Invalid replacement index in {shown}{value}'")),
                TemplateError::Key(key) => refuse(format!("Replacement key '{key}' not found in '{shown}{value}'")),
                TemplateError::Other(text) => refuse(text),
            })?;
            *value = expanded.join("::list::");
        }
    }
    Ok(out)
}

struct CopyId(u32);

impl Fields for CopyId {
    fn input(&self, _number: usize) -> Option<Field> {
        None
    }
    fn named(&self, name: &str) -> Option<Field> {
        (name == "cc").then(|| Field::Number(u64::from(self.0)))
    }
    fn method(&self, method: &str, _value: &Field) -> Result<Field, String> {
        Err(format!("'int' object has no attribute '{method}'"))
    }
}

/// What one copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The job itself.
    Single,
    /// Told its number in `FLUX_JOB_CC`.
    Carbon,
    Blind,
}

/// The copies still to be submitted.
pub(crate) struct Copies<'c> {
    request: Request,
    caller: &'c Caller,
    kind: Kind,
    ids: Vec<u32>,
    at: usize,
    /// Set when all copies are the same but for their number.
    shared: Option<Jobspec>,
    userid: u32,
}

impl<'c> Copies<'c> {
    pub(crate) fn new(request: Request, caller: &'c Caller) -> Result<Copies<'c>, CmdError> {
        let (kind, text) = match (request.get("cc"), request.get("bcc")) {
            (Some(_), Some(_)) => return Err(refused("specify only one of --cc or --bcc")),
            (Some(text), None) => (Kind::Carbon, text),
            (None, Some(text)) => (Kind::Blind, text),
            (None, None) => (Kind::Single, "0"),
        };
        let ids = Idset::parse(text).map_err(|_| refused(format!("IDset(): Invalid argument: {text}")))?;
        let varied = kind != Kind::Single
            && (request.command.iter().any(|word| refers(word))
                || request.texts().any(|(_, values)| values.iter().any(|value| refers(value))));
        let shared = if varied { None } else { Some(request.jobspec(caller).map_err(refused)?) };
        let ids = ids.iter().collect();
        Ok(Copies { request, caller, kind, ids, at: 0, shared, userid: Ids::current().ruid })
    }

    /// Whatever can be known to be wrong before the first copy is sent.
    pub(crate) fn check(&self, sinks: &mut Sinks) -> Result<(), CmdError> {
        check_input(&self.request)?;
        if self.shared.is_some() {
            self.request.flags().map_err(refused)?;
            self.request.urgency().map_err(refused)?;
            places(&self.request, sinks)?;
        }
        Ok(())
    }

    /// The jobspec that a dry run shows.
    pub(crate) fn first_jobspec(&mut self) -> Result<Option<Jobspec>, CmdError> {
        check_input(&self.request)?;
        match self.ids.first() {
            Some(id) => Ok(Some(self.copy(*id)?.1)),
            None => Ok(None),
        }
    }

    fn copy(&mut self, id: u32) -> Result<(Request, Jobspec), CmdError> {
        let (request, mut spec) = match &self.shared {
            Some(spec) => (self.request.clone(), spec.clone()),
            None => {
                let request = replaced(&self.request, &CopyId(id))?;
                let spec = request.jobspec(self.caller).map_err(refused)?;
                (request, spec)
            }
        };
        if self.kind == Kind::Carbon {
            spec.set_attr("system.environment.FLUX_JOB_CC", id.to_string().into())
                .map_err(|error| refused(error.to_string()))?;
        }
        Ok((request, spec))
    }

    /// The next copy, ready to be sent.
    pub(crate) fn next(&mut self, sinks: &mut Sinks) -> Result<Option<Submission>, CmdError> {
        let Some(id) = self.ids.get(self.at).copied() else { return Ok(None) };
        self.at += 1;
        let (request, spec) = self.copy(id)?;
        let (out, err) = places(&request, sinks)?;
        Ok(Some(Submission {
            label: if self.kind == Kind::Single { String::new() } else { format!("cc={id}: ") },
            signed: sign::wrap(self.userid, &spec.encode())?,
            urgency: request.urgency().map_err(refused)?,
            flags: request.flags().map_err(refused)?,
            out,
            err,
            until: request.get("wait").map(str::to_owned),
        }))
    }
}

/// Where the words about a job go.
fn places(request: &Request, sinks: &mut Sinks) -> Result<(Sink, Sink), CmdError> {
    let out = request.get("log").map(|path| sinks.file(path)).transpose()?;
    let err = request.get("log-stderr").map(|path| sinks.file(path)).transpose()?;
    Ok((out.unwrap_or(STDOUT), err.or(out).unwrap_or(STDERR)))
}
