//! `flux ion-resource`: asks the graph of the scheduler, and changes it (flux-sched's front end for tests and operators).

use std::fs;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Errno, Handle, Target};
use flux_fluxion::dump_spaced;
use flux_fluxion::jobspec::parse_yaml;
use flux_types::JobId;
use serde_json::{Value, json};

use crate::frame::args::{flag, option, text, texts, word, words};
use crate::frame::context::Context;
use crate::frame::timefmt::utc_seconds;
use crate::frame::{CmdError, CmdResult};

/// Characters of one column, of which the tables here have four.
const COLUMN: usize = 20;

/// Ways of matching, with what each does.
const MATCHES: &[(&str, &str)] = &[
    ("allocate", "Allocate the best matching resources if found"),
    ("allocate_with_satisfiability", "Allocate, or else say whether the jobspec could ever be satisfied"),
    ("allocate_orelse_reserve", "Allocate, or else reserve at the earliest time"),
    ("without_allocating", "Say what would be allocated now, and take nothing"),
    ("without_allocating_future", "Say what would be allocated now or later, and take nothing"),
];

pub fn command() -> Command {
    let jobspec = || word("JOBSPEC", "A file with a jobspec, in YAML or JSON");
    let sub = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let matching = MATCHES.iter().map(|(name, about)| sub(name, about).arg(jobspec()));
    let id = || word("JOBID", "A job id");
    Command::new("ion-resource")
        .subcommand_required(true)
        .arg(flag("verbose", Some('v'), "Be verbose"))
        .subcommand(
            sub("match", "Find the best matching resources for a jobspec")
                .subcommand_required(true)
                .subcommands(matching)
                .subcommand(sub("satisfiability", "Say whether the jobspec could ever be satisfied").arg(jobspec())),
        )
        .subcommand(sub("update", "Put a job where its R says it is").args([word("RV1", "A file with R"), id()]))
        .subcommand(sub("info", "Print info on a single job").arg(id()))
        .subcommand(sub("stats", "Print overall performance statistics"))
        .subcommand(sub("stats-cancel", "Clear overall performance statistics").visible_alias("stats-clear"))
        .subcommand(sub("cancel", "Cancel an allocated or reserved job").arg(id()))
        .subcommand(
            sub("partial-cancel", "Take back a part of what a job holds")
                .args([id(), word("RV1EXEC", "A file with R of that part")]),
        )
        .subcommand(sub("find", "Find resources matching with a criteria").args([
            word("CRITERIA", "Such as `status=down` or `sched-now=allocated and property=big`"),
            option("format", None, "FORMAT", "How they are written: rv1_nosched, rlite, jgf, simple ..."),
            flag("quiet", Some('q'), "Be quiet"),
        ]))
        .subcommand(sub("status", "Display resource status"))
        .subcommand(
            sub("set-status", "Set up/down status of a resource vertex")
                .args([word("PATH", "Path to the vertex"), word("STATUS", "up or down")]),
        )
        .subcommand(
            sub("set-property", "Set a property of resources")
                .arg(words("PATH... PROPERTY=VALUE", "Paths of the resources, then the property").num_args(2..)),
        )
        .subcommand(
            sub("remove-property", "Remove a property of resources")
                .arg(words("PATH... PROPERTY", "Paths of the resources, then the property").num_args(2..)),
        )
        .subcommand(
            sub("get-property", "Get the value of a resource's property")
                .args([word("PATH", "Path to the vertex"), word("PROPERTY", "The property's name")]),
        )
        .subcommand(sub("ns-info", "Get the remapped id of a raw one").args([
            word("RANK", "Execution target"),
            word("TYPE", "Such as core, gpu or rank"),
            word("ID", "The id as the reader saw it"),
        ]))
        .subcommand(sub("params", "Display the module's parameter values"))
        .subcommand(sub("add-subgraph", "Add a subgraph to the graph").arg(word("SUBGRAPH", "A file in JGF")))
        .subcommand(sub("remove-subgraph", "Remove a subgraph from the graph").arg(word("PATH", "Where it begins")))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let (name, matches) = matches.subcommand().expect("clap requires one of the subcommands");
    let outcome = match name {
        "match" => run_match(matches, cx),
        "stats" => super::ion_stats::run(cx),
        "find" => find(matches, cx),
        "status" => status(cx),
        "get-property" => get_property(matches, cx),
        "update" | "info" | "cancel" | "partial-cancel" => about_job(name, matches, cx),
        _ => plain(name, matches, cx),
    };
    outcome.map(|()| ExitCode::SUCCESS)
}

type Done = Result<(), CmdError>;

/// Calls the graph's module. The exit code says which of the usual failures it was.
pub(super) fn call(flux: &mut Handle, topic: &str, body: Value) -> Result<Value, CmdError> {
    flux.call(topic, Target::Any, body).map_err(|error| {
        let ClientError::Answer(fault) = &error else { return CmdError::Client(error) };
        let code = match fault.errno {
            Errno::ENOENT => 3,
            Errno::EBUSY => 16,
            Errno::ENODEV => 19,
            _ => 1,
        };
        CmdError::Failed { text: format!("error({}): {}", fault.errno.0, fault.message()), code }
    })
}

fn ask(cx: &mut Context, method: &str, body: Value) -> Result<Value, CmdError> {
    call(&mut cx.open()?, &format!("sched-fluxion-resource.{method}"), body)
}

fn file(matches: &ArgMatches, name: &str) -> Result<String, CmdError> {
    let path = text(matches, name).unwrap_or_default();
    fs::read_to_string(path).map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { 3 } else { 1 };
        CmdError::Failed { text: format!("{path}: {error}"), code }
    })
}

fn json_file(matches: &ArgMatches, name: &str) -> Result<String, CmdError> {
    let value: Value = serde_json::from_str(&file(matches, name)?)
        .map_err(|error| CmdError::about(text(matches, name).unwrap_or_default(), error))?;
    Ok(value.to_string())
}

fn job_id(matches: &ArgMatches) -> Result<u64, CmdError> {
    let word = text(matches, "JOBID").unwrap_or_default();
    let id: JobId = word.parse().map_err(|_| CmdError::usage(format!("{word} is not a job id")))?;
    Ok(id.0)
}

fn rule(cx: &mut Context) -> Done {
    cx.line(format_args!("{}", "=".repeat(4 * COLUMN)))?;
    Ok(())
}

/// A job in a table of its own.
fn show_job(answer: &Value, cx: &mut Context) -> Done {
    cx.line(format_args!("{:20} {:20} {:20} {:20}", "JOBID", "STATUS", "AT", "OVERHEAD (Secs)"))?;
    let at = utc_seconds(answer["at"].as_f64().unwrap_or(0.0));
    let at = at.trim_end_matches('Z');
    let (id, overhead) = (answer["jobid"].to_string(), answer["overhead"].to_string());
    cx.line(format_args!("{id:20} {:20} {at:20} {overhead:20}", answer["status"].as_str().unwrap_or_default()))?;
    Ok(())
}

fn show_resources(title: &str, answer: &Value, cx: &mut Context) -> Done {
    show_job(answer, cx)?;
    rule(cx)?;
    cx.line(format_args!("{title}"))?;
    cx.line(format_args!("{}", answer["R"].as_str().unwrap_or_default()))?;
    Ok(())
}

fn run_match(matches: &ArgMatches, cx: &mut Context) -> Done {
    let (way, matches) = matches.subcommand().expect("clap requires one of the subcommands");
    let parsed = parse_yaml(&file(matches, "JOBSPEC")?);
    let jobspec = parsed.map_err(|error| CmdError::Failed { text: format!("Parsing error: {error}"), code: 2 })?;
    if way == "satisfiability" {
        call(&mut cx.open()?, "feasibility.check", json!({"jobspec": jobspec}))?;
        rule(cx)?;
        cx.line(format_args!("Satisfiable request"))?;
        return rule(cx);
    }
    let mut flux = cx.open()?;
    let next = call(&mut flux, "sched-fluxion-resource.next_jobid", json!({}))?;
    let body = json!({"cmd": way, "jobid": next["jobid"], "jobspec": jobspec.to_string()});
    let answer = call(&mut flux, "sched-fluxion-resource.match", body)?;
    show_resources("MATCHED RESOURCES:", &answer, cx)
}

fn about_job(name: &str, matches: &ArgMatches, cx: &mut Context) -> Done {
    let id = job_id(matches)?;
    let body = match name {
        "update" => json!({"jobid": id, "R": json_file(matches, "RV1")?}),
        "partial-cancel" => json!({"jobid": id, "R": json_file(matches, "RV1EXEC")?}),
        _ => json!({"jobid": id}),
    };
    let answer = ask(cx, name, body)?;
    match name {
        "update" => show_resources("UPDATED RESOURCES:", &answer, cx),
        "info" => show_job(&answer, cx),
        _ => Ok(()),
    }
}

fn find(matches: &ArgMatches, cx: &mut Context) -> Done {
    let criteria = text(matches, "CRITERIA").unwrap_or_default();
    let mut body = json!({"criteria": criteria});
    if let Some(format) = text(matches, "format") {
        body["format"] = format.into();
    }
    let answer = ask(cx, "find", body)?;
    if !matches.get_flag("quiet") {
        cx.line(format_args!("CRITERIA\n'{criteria}'"))?;
        rule(cx)?;
        cx.line(format_args!("MATCHED RESOURCES:"))?;
    }
    cx.line(format_args!("{}", dump_spaced(&answer["R"])))?;
    Ok(())
}

fn status(cx: &mut Context) -> Done {
    let answer = ask(cx, "status", json!({}))?;
    cx.line(format_args!("CRITERIA\nall: 'status=up or status=down'\ndown: 'status=down'"))?;
    cx.line(format_args!("allocated: 'sched-now=allocated'"))?;
    rule(cx)?;
    cx.line(format_args!("MATCHED RESOURCES:\n{}", dump_spaced(&answer)))?;
    Ok(())
}

fn get_property(matches: &ArgMatches, cx: &mut Context) -> Done {
    let (path, key) = (text(matches, "PATH").unwrap_or_default(), text(matches, "PROPERTY").unwrap_or_default());
    let answer = ask(cx, "get_property", json!({"gp_resource_path": path, "gp_key": key}))?;
    let values = answer["values"].as_array().into_iter().flatten();
    let values: Vec<String> = values.map(|value| format!("'{}'", value.as_str().unwrap_or_default())).collect();
    cx.line(format_args!("{key} = [{}]", values.join(", ")))?;
    Ok(())
}

/// Requests that are answered with a line or with nothing.
fn plain(name: &str, matches: &ArgMatches, cx: &mut Context) -> Done {
    let word = |name: &str| text(matches, name).unwrap_or_default();
    let number = |name: &str| {
        let text = word(name);
        text.parse::<u64>().map_err(|_| CmdError::usage(format!("{name}: {text} is not a number")))
    };
    match name {
        "stats-cancel" => ask(cx, "stats-clear", json!({})).map(|_| ()),
        "set-status" => {
            let body = json!({"resource_path": word("PATH"), "status": word("STATUS")});
            ask(cx, "set_status", body).map(|_| ())
        }
        "set-property" => {
            let mut paths = texts(matches, "PATH... PROPERTY=VALUE");
            let pair = paths.pop().unwrap_or_default();
            ask(cx, "set_property", json!({"sp_resource_path": paths, "sp_keyval": pair})).map(|_| ())
        }
        "remove-property" => {
            let mut paths = texts(matches, "PATH... PROPERTY");
            let key = paths.pop().unwrap_or_default();
            ask(cx, "remove_property", json!({"resource_path": paths, "key": key})).map(|_| ())
        }
        "ns-info" => {
            let body = json!({"rank": number("RANK")?, "type-name": word("TYPE"), "id": number("ID")?});
            let answer = ask(cx, "ns-info", body)?;
            Ok(cx.line(format_args!("{}", answer["id"]))?)
        }
        "params" => {
            let answer = ask(cx, "params", json!({}))?;
            Ok(cx.line(format_args!("{}", dump_spaced(&answer)))?)
        }
        "add-subgraph" => {
            let subgraph = json_file(matches, "SUBGRAPH")?;
            ask(cx, "add_subgraph", json!({"subgraph": subgraph})).map(|_| ())
        }
        "remove-subgraph" => ask(cx, "remove_subgraph", json!({"subgraph_path": word("PATH")})).map(|_| ()),
        other => unreachable!("{other} is a subcommand"),
    }
}
