//! `flux jobtap`: the job manager's plugins.

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{ClientError, Errno, Rank, Target};
use serde_json::{Map, Value, json};

use crate::frame::args::{flag, option, text, texts, word, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

const ROOT: Target = Target::Rank(Rank::ROOT);

pub fn command() -> Command {
    Command::new("jobtap")
        .subcommand_required(true)
        .subcommand(
            Command::new("load")
                .about("Load a plugin")
                .arg(option("remove", Some('r'), "NAME", "Remove plugins of this name first"))
                .arg(word("PLUGIN", "A plugin's name or path"))
                .arg(words("KEY=VAL", "Its configuration")),
        )
        .subcommand(Command::new("remove").about("Remove plugins").arg(word("PLUGIN", "A name, or a pattern")))
        .subcommand(Command::new("list").about("List plugins").arg(flag("all", Some('a'), "Builtin plugins, too")))
        .subcommand(Command::new("query").about("Print what a plugin says of itself").arg(word("PLUGIN", "Its name")))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("load", matches)) => load(matches, cx),
        Some(("remove", matches)) => {
            let name = text(matches, "PLUGIN").unwrap_or_default();
            let answer = cx.open()?.call("job-manager.jobtap", ROOT, json!({"remove": name}));
            answer.map_err(|error| match error {
                error if error.errno() == Errno::ENOENT => CmdError::new(format!("{name} not found")),
                other => CmdError::calling(name)(other),
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Some(("list", matches)) => {
            let answer = call(json!({"query_only": true}), "list", cx)?;
            let names = answer["plugins"].as_array().into_iter().flatten().filter_map(Value::as_str);
            // The names of builtin ones start with a dot.
            for name in names.filter(|name| matches.get_flag("all") || !name.starts_with('.')) {
                cx.line(name)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Some(("query", matches)) => {
            let name = text(matches, "PLUGIN").unwrap_or_default();
            let answer = cx.open()?.call("job-manager.jobtap-query", ROOT, json!({"name": name}));
            cx.line(answer.map_err(|error| match error {
                ClientError::Answer(fault) => CmdError::new(fault.message()),
                other => CmdError::calling(name)(other),
            })?)?;
            Ok(ExitCode::SUCCESS)
        }
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

fn call(request: Value, what: &str, cx: &mut Context) -> Result<Value, CmdError> {
    cx.open()?.call("job-manager.jobtap", ROOT, request).map_err(CmdError::calling(what))
}

fn load(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let plugin = text(matches, "PLUGIN").unwrap_or_default();
    // The job manager may run in another directory.
    let path = match std::path::Path::new(plugin) {
        path if path.is_file() || plugin.contains('/') => std::path::absolute(path)?.to_string_lossy().into_owned(),
        _ => plugin.to_owned(),
    };
    let mut request = json!({"load": path});
    let mut conf = Map::new();
    for pair in texts(matches, "KEY=VAL") {
        let (key, value) = pair.split_once('=').ok_or_else(|| CmdError::usage(format!("{pair}: give KEY=VAL")))?;
        conf.insert(key.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| json!(value)));
    }
    if !conf.is_empty() {
        request["conf"] = Value::Object(conf);
    }
    if let Some(name) = text(matches, "remove") {
        request["remove"] = json!(name);
    }
    call(request, plugin, cx)?;
    Ok(ExitCode::SUCCESS)
}
