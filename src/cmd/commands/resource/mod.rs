//! `flux resource`: what the instance has, and which of it may be used.

mod definition;
mod eventlog;
mod list;
pub(crate) use list::status_topic;
mod machines;
mod status;

pub use definition::command;
pub(super) use list::Lists;

use std::process::ExitCode;

use clap::ArgMatches;
use flux_client::{ClientError, Errno, Rank, Target};
use flux_types::{Hostlist, Idset, ResourceSet};
use serde_json::{Value, json};

use crate::frame::args::{text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

const ROOT: Target = Target::Rank(Rank::ROOT);

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("list", matches)) => list::list(matches, cx),
        Some(("info", matches)) => list::info(matches, cx),
        Some(("R", matches)) => list::emit(matches, cx),
        Some(("status", matches)) => status::run(matches, cx),
        Some(("drain", matches)) if text(matches, "TARGETS").is_none() => status::drained(matches, cx),
        Some(("drain", matches)) => change(matches, cx, "resource.drain"),
        Some(("undrain", matches)) => change(matches, cx, "resource.undrain"),
        Some(("eventlog", matches)) => eventlog::run(matches, cx),
        Some(("reload", matches)) => reload(matches, cx),
        Some(("acquire-mute", _)) => {
            cx.open()?.call("resource.acquire-mute", ROOT, json!({})).map_err(CmdError::calling("acquire-mute"))?;
            Ok(ExitCode::SUCCESS)
        }
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

fn change(matches: &ArgMatches, cx: &mut Context, topic: &str) -> CmdResult {
    let (force, update) = (matches.get_count("force"), matches.get_flag("update"));
    if update && force > 0 {
        return Err(CmdError::new("Only one of --force and --update may be specified"));
    }
    let mut request = json!({"targets": text(matches, "TARGETS").unwrap_or_default()});
    match force {
        _ if update => request["mode"] = json!("update"),
        0 => {}
        1 => request["mode"] = json!("overwrite"),
        _ => request["mode"] = json!("force-overwrite"),
    }
    let reason = texts(matches, "REASON").join(" ");
    if !reason.is_empty() {
        request["reason"] = json!(reason);
    }
    match cx.open()?.call(topic, ROOT, request) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        // As flux-core words them: the errno is told for `drain` alone.
        Err(ClientError::Answer(fault)) if topic == "resource.drain" => {
            cx.warn(format_args!("ERROR: [Errno {}] {}", fault.errno.0, fault.message()));
            if fault.errno == Errno::EEXIST && fault.text.contains("already drained") {
                cx.warn("INFO: Use --force to overwrite existing drain reason");
            }
            Err(CmdError::Silent(1))
        }
        Err(ClientError::Answer(fault)) => Err(CmdError::new(fault.message())),
        Err(error) => Err(error.into()),
    }
}

fn reload(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let path = text(matches, "PATH").unwrap_or_default();
    let path =
        std::fs::canonicalize(path).map_err(|error| CmdError::about(path, Errno(error.raw_os_error().unwrap_or(5))))?;
    let described = matches.get_flag("xml").then(|| machines::written(&path)).transpose()?;
    let path = described.as_ref().map_or(path.as_path(), |file| file.path());
    let request = json!({"path": path.to_string_lossy(), "xml": false, "force": matches.get_flag("force")});
    cx.open()?.call("resource.reload", ROOT, request)?;
    Ok(ExitCode::SUCCESS)
}

/// With `--from-stdin`, what the instance would answer, and its configuration; `None` if it is to be asked.
fn given(matches: &ArgMatches, cx: &mut Context) -> Result<Option<(Value, Value)>, CmdError> {
    if !matches.try_get_one::<bool>("from-stdin").ok().flatten().is_some_and(|given| *given) {
        return Ok(None);
    }
    let json = |bytes: &[u8], of: &str| serde_json::from_slice(bytes).map_err(|error| CmdError::about(of, error));
    let answer = cx.read_stdin()?;
    let config = match text(matches, "config-file") {
        None => Value::Null,
        Some(path) => json(&std::fs::read(path).map_err(|error| CmdError::about(path, error))?, path)?,
    };
    let answer = if answer.is_empty() { Value::Null } else { json(&answer, "standard input")? };
    Ok(Some((answer, config)))
}

/// A resource set in an answer; none is an empty one.
fn set(value: &Value) -> Result<ResourceSet, CmdError> {
    match value {
        Value::Null => Ok(ResourceSet::new()),
        value => ResourceSet::from_value(value).map_err(|error| CmdError::about("the answer's resource set", error)),
    }
}

fn idset(value: &Value) -> Result<Idset, CmdError> {
    let text = value.as_str().unwrap_or("");
    Idset::parse(text).map_err(|error| CmdError::about(format!("the answer's ranks {text:?}"), error))
}

/// `--include`: ranks, or hosts of `resources`; hosts that are not there do not count.
fn included(text: &str, resources: &ResourceSet) -> Result<Idset, CmdError> {
    if let Ok(ranks) = Idset::parse(text) {
        return Ok(ranks);
    }
    let hosts = Hostlist::parse(text).map_err(|error| CmdError::about("--include", error))?;
    let named = |node: &flux_types::resource_set::Node| node.host.as_deref().is_some_and(|host| hosts.contains(host));
    Ok(resources.iter().filter(|(_, node)| named(node)).map(|(rank, _)| rank).collect())
}

/// The configuration of a queue's resources: its own, or that of the queue whose resources it shares (RFC 33).
fn queue_entry<'a>(config: &'a Value, name: &str) -> Result<&'a Value, CmdError> {
    let queues = &config["queues"];
    let entry = queues.get(name).ok_or_else(|| CmdError::new(format!("--queue: {name}: no such queue")))?;
    match entry["parent"].as_str() {
        None => Ok(entry),
        Some(parent) => queues.get(parent).ok_or_else(|| {
            CmdError::new(format!("--queue: queue '{name}': parent queue '{parent}' is not configured"))
        }),
    }
}

/// The properties that a queue's nodes have.
fn requires(entry: &Value) -> Vec<&str> {
    entry["requires"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// `--queue`: the ranks of some queues.
fn ranks_of_queues(queues: &[&str], resources: &ResourceSet, config: &Value) -> Result<Idset, CmdError> {
    let mut ranks = Idset::default();
    for queue in queues {
        let requires = requires(queue_entry(config, queue)?);
        let fits = |rank: u32| requires.iter().all(|property| has(resources, rank, property));
        ranks.extend(resources.ranks().iter().filter(|rank| fits(*rank)));
    }
    Ok(ranks)
}

/// Has the node the property, or with `^` in front, not?
pub(super) fn has(resources: &ResourceSet, rank: u32, property: &str) -> bool {
    match property.strip_prefix('^') {
        Some(absent) => !resources.has_property(rank, absent),
        None => resources.has_property(rank, property),
    }
}

/// `--queue` may be given several times, with several names each.
fn queues(matches: &ArgMatches) -> Vec<&str> {
    texts(matches, "queue").into_iter().flat_map(|list| list.split(',')).filter(|name| !name.is_empty()).collect()
}
