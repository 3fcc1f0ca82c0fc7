//! `flux alloc` and `flux batch`: instances as jobs.

use std::fs;
use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{Handle, Target};
use flux_types::JobId;
use flux_types::eventlog::Entry;
use serde_json::{Map, Value, json};

use super::request::Request;
use super::run::submit_one;
use super::{args, caller, directives, files, refused, signed};
use crate::frame::args::flag;
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::job::attach::{self, Options};
use crate::jobid::shown;
use crate::limits::{CONFIG_MAX_BYTES, JOB_FILE_BYTES_MAX};

/// The configuration of a child instance, from all `--conf` in order.
fn configuration(request: &Request) -> Result<Option<Value>, CmdError> {
    let mut merged = None;
    for text in request.all("conf") {
        let one = one_configuration(text).map_err(refused)?;
        merge(merged.get_or_insert_with(|| json!({})), one);
    }
    Ok(merged)
}

fn one_configuration(text: &str) -> Result<Value, String> {
    let toml = |text: &str| toml::from_str::<Value>(text).map_err(|error| error.to_string());
    if text.contains('\n') {
        let parsed = serde_json::from_str(text).map_err(drop).or_else(|()| toml(text).map_err(drop));
        return parsed.map_err(|()| "--conf: failed to parse multiline as TOML or JSON".to_owned());
    }
    if let Some((key, value)) = text.split_once('=') {
        let value: Value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        return Ok(key
            .rsplit('.')
            .fold(value, |inner, part| Value::Object(Map::from_iter([(part.to_owned(), inner)]))));
    }
    let path = if text.ends_with(".toml") || text.ends_with(".json") {
        text.to_owned()
    } else {
        named(text).ok_or_else(|| format!("--conf: named config '{text}' not found"))?
    };
    let content = files::read_text(&path, CONFIG_MAX_BYTES).map_err(|error| format!("--conf: {error}"))?;
    let parsed = if path.ends_with(".json") {
        serde_json::from_str(&content).map_err(|error| error.to_string())
    } else {
        toml(&content)
    };
    parsed.map_err(|error| format!("--conf: parse error: {path}: {error}"))
}

/// A configuration by name in the directories of XDG.
fn named(name: &str) -> Option<String> {
    let var = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let home = var("XDG_CONFIG_HOME").or_else(|| Some(format!("{}/.config", var("HOME")?)));
    let system = var("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".to_owned());
    let dirs = home.into_iter().chain(system.split(':').map(str::to_owned));
    let files = dirs.flat_map(|dir| ["toml", "json"].map(|end| format!("{dir}/flux/config/{name}.{end}")));
    files.into_iter().find(|path| fs::metadata(path).is_ok())
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(&key) {
                    Some(known) => merge(known, value),
                    None => drop(into.insert(key, value)),
                }
            }
        }
        (into, from) => *into = from,
    }
}

/// Prints the jobspec of a dry run, or submits the job.
fn submit(
    request: &Request,
    command: &[String],
    script: Option<String>,
    cx: &mut Context,
) -> Result<Option<(Handle, JobId)>, CmdError> {
    let conf = configuration(request)?;
    let spec = request.nest_jobspec(&caller(cx)?, command, conf, script).map_err(refused)?;
    if request.has("dry-run") {
        cx.line(spec.encode_spaced())?;
        return Ok(None);
    }
    let mut flux = cx.open()?;
    let id = submit_one(&mut flux, request, &signed(&spec)?)?;
    Ok(Some((flux, id)))
}

pub(crate) mod alloc {
    use super::*;

    pub(crate) fn command() -> Command {
        let verbose = clap::Arg::new("verbose").short('v').long("verbose").action(clap::ArgAction::Count);
        args::nest(Command::new("alloc"), "COMMAND", "The instance's initial program (default: an interactive shell)")
            .arg(flag("bg", None, "Wait until new instance is ready and print jobid on stdout, then exit"))
            .arg(verbose.help("Increase verbosity on stderr (multiple use OK)"))
    }

    pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let mut request = args::request(matches);
        ["input", "output", "error"].iter().for_each(|name| request.forget(name)); // The caller's, always.
        let background = matches.get_flag("bg");
        if background {
            request.push("broker-opts", "-Sbroker.rc2_none=1");
            request.push_first("setopt", "pty.capture=1");
        } else if std::io::stdin().is_terminal() {
            request.push_first("setopt", "pty.interactive=1");
        }
        let command = std::mem::take(&mut request.command);
        let Some((mut flux, id)) = submit(&request, &command, None, cx)? else { return Ok(ExitCode::SUCCESS) };
        let verbose = matches.get_count("verbose") > 0;
        if background {
            wait_until_ready(&mut flux, id, verbose)?;
            cx.line(shown(id))?;
            return Ok(ExitCode::SUCCESS);
        }
        if verbose {
            say!("jobid: {}", shown(id));
        }
        cx.name = "flux-job".to_owned();
        let status = attach::status_line(false, false);
        let code = attach::attach(&mut flux, id, &shown(id), Options::default(), status)?;
        Ok(ExitCode::from(code))
    }

    /// Until the new instance takes jobs.
    fn wait_until_ready(flux: &mut Handle, id: JobId, verbose: bool) -> Result<(), CmdError> {
        let name = shown(id);
        let log = |since: f64, what: &str| {
            if verbose {
                say!("{name}: {since:6.3}s: {what}");
            }
        };
        log(0.0, "waiting for resources");
        let mut zero = None;
        let body = json!({"id": id, "path": "eventlog", "flags": 0});
        for answer in flux.stream("job-info.eventlog-watch", Target::Any, body)? {
            let answer = answer?;
            for line in answer["event"].as_str().unwrap_or("").lines() {
                let Ok(entry) = Entry::parse(line) else { continue };
                let since = entry.timestamp - *zero.get_or_insert(entry.timestamp);
                let uri = entry.get("uri").and_then(Value::as_str);
                match (entry.name.as_str(), uri) {
                    ("alloc", _) => log(since, "resources allocated"),
                    ("memo", Some(uri)) => {
                        log(since, "waiting for instance");
                        wait_for_instance(uri, &name)?;
                        log(crate::frame::timefmt::now() - zero.unwrap_or(0.0), "ready");
                        return Ok(());
                    }
                    _ => {}
                }
            }
        }
        Err(refused(format_args!("{name}: unexpectedly exited")))
    }

    fn wait_for_instance(uri: &str, name: &str) -> Result<(), CmdError> {
        let local = match uri.strip_prefix("ssh://").and_then(|rest| rest.split_once('/')) {
            Some((_, path)) => format!("local:///{}", path.trim_start_matches('/')),
            None => uri.to_owned(),
        };
        let mut child =
            Handle::open_uri(&local).map_err(|error| refused(format_args!("Unable to connect to {name}: {error}")))?;
        let ready = child.call("state-machine.wait", Target::Any, flux_client::Payload::None);
        ready.map(drop).map_err(|_| refused(format_args!("{name}: instance startup failed")))
    }
}

pub(crate) mod batch {
    use super::*;

    pub(crate) fn command() -> Command {
        args::nest(Command::new("batch"), "SCRIPT", "Batch script and arguments to submit").arg(flag(
            "wrap",
            None,
            "Wrap arguments or stdin in a /bin/sh script",
        ))
    }

    pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let given = args::request(matches);
        let wrap = matches.get_flag("wrap");
        let script = if wrap && !given.command.is_empty() {
            format!("{}\n", given.command.join(" "))
        } else {
            read_script(given.command.first())?
        };
        let source = given.command.first().cloned();
        let mut request = if wrap && source.is_some() {
            given
        } else {
            let mut request = directed(&script, source.as_deref().unwrap_or("stdin"))?;
            request.merge(given);
            request
        };
        let script = if wrap { format!("#!/bin/sh\n{script}") } else { script };
        let words = std::mem::take(&mut request.command);
        let name = source.unwrap_or_else(|| "batch".to_owned());
        let job_name = request.get("job-name").unwrap_or(&name).to_owned();
        if request.get("nodes").is_none() && request.get("nslots").is_none() {
            return Err(refused("Number of slots to allocate must be specified"));
        }
        if !script.starts_with("#!") {
            return Err(refused(format_args!("{job_name} does not appear to start with '#!'")));
        }
        request.set("job-name", vec![job_name]);
        if request.get("output").is_none() {
            request.set("output", vec!["flux-{{id}}.out".to_owned()]);
        }
        let mut command = vec!["{{tmpdir}}/script".to_owned()];
        command.extend(words.into_iter().skip(1));
        if let Some((_, id)) = submit(&request, &command, Some(script), cx)?
            && !request.has("quiet")
        {
            cx.line(shown(id))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn read_script(path: Option<&String>) -> Result<String, CmdError> {
        let name = path.map_or("stdin", String::as_str);
        let no_text = || refused(format_args!("{name} does not appear to be a script, or failed to encode as utf-8"));
        let bytes = match path {
            None => {
                let mut bytes = Vec::new();
                std::io::stdin().lock().take(JOB_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
                bytes
            }
            Some(path) => {
                let plain = |text: String| text.split_once("] ").map_or(text.clone(), |(_, rest)| rest.to_owned());
                files::read_bytes(path, JOB_FILE_BYTES_MAX).map_err(|error| refused(plain(error)))?.0
            }
        };
        if bytes.contains(&0) {
            return Err(no_text());
        }
        String::from_utf8(bytes).map_err(|_| no_text())
    }

    /// What the directives of a script ask for; each is read as a command line of its own.
    fn directed(script: &str, name: &str) -> Result<Request, CmdError> {
        let mut request = Request::default();
        for directive in directives::parse(script).map_err(|why| refused(format_args!("{name}: {why}")))? {
            let argv = std::iter::once("flux-batch".to_owned()).chain(directive.args);
            let matches = command().no_binary_name(false).try_get_matches_from(argv).map_err(|error| {
                let line = directive.line;
                let text = error.render().to_string();
                let text = text.trim_end();
                CmdError::Failed {
                    text: format!("ERROR: argument parsing failed at {name} line {line}\n{text}"),
                    code: 2,
                }
            })?;
            let mut one = args::request(&matches);
            one.command.clear();
            request.merge(one);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_merged_in_order() {
        let mut merged = json!({});
        for text in ["a.b=1", "c=true", "a.d=x", "a.b=2", "[a]\ne = 3\n", "{\"f\":\n 4}"] {
            merge(&mut merged, one_configuration(text).unwrap());
        }
        assert_eq!(merged, json!({"a": {"b": 2, "d": "x", "e": 3}, "c": true, "f": 4}));
        let rows = [
            ("no such name", "--conf: named config 'no such name' not found"),
            ("/nosuch.toml", "--conf: [Errno 2] No such file or directory: '/nosuch.toml'"),
            ("x\ny", "--conf: failed to parse multiline as TOML or JSON"),
        ];
        for (text, want) in rows {
            assert_eq!(one_configuration(text).unwrap_err(), want);
        }
    }
}
