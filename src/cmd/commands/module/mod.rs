//! `flux module`: the broker's modules.

mod stats;

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use flux_client::{ClientError, Errno, Handle, Target};
use serde::Deserialize;
use serde_json::json;

use crate::commands::trace;
use crate::frame::args::{flag, option, text, texts, word, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

/// Beats of the heart after which a module counts as idle.
const IDLE_SHOWN_MAX: i64 = 99;
/// Characters of the service column in the long list.
const SERVICES_WIDTH: usize = 8;

pub fn command() -> Command {
    let loading = || {
        [
            option("name", None, "NAME", "Override default module name"),
            flag("exec", None, "Load module as a separate process"),
            option("loader", None, "PATH", "Use the specified loader program"),
        ]
    };
    let removing = || {
        [
            flag("force", Some('f'), "Ignore nonexistent modules"),
            flag("cancel", None, "Forcibly stop a module that does not respond"),
        ]
    };
    let arguments =
        || [word("MODULE", "A module's name, or the path of a program"), words("ARGUMENTS", "The module's arguments")];
    Command::new("module")
        .subcommand_required(true)
        .subcommand(
            Command::new("list")
                .about("List loaded modules")
                .args([flag("long", Some('l'), "Include the path of each module"), flag("json", None, "As JSON")]),
        )
        .subcommand(Command::new("load").about("Load module").args(loading()).args(arguments()))
        .subcommand(Command::new("remove").about("Unload module").args(removing()).arg(word("MODULE", "Its name")))
        .subcommand(Command::new("reload").about("Reload module").args(removing()).args(loading()).args(arguments()))
        .subcommand(stats_command())
        .subcommand(Command::new("debug").about("Get/set module debug flags").args([
            flag("clear", Some('C'), "Set debug flags to 0"),
            option("set", Some('S'), "MASK", "Set debug flags to MASK"),
            option("setbit", Some('s'), "MASK", "Set one debug flag to 1"),
            option("clearbit", Some('c'), "MASK", "Set one debug flag to 0"),
            word("MODULE", "Its name"),
        ]))
        .subcommand(Command::new("trace").about("Trace module messages").args(trace::args()).args([
            option("topic", Some('T'), "GLOB", "Only messages whose topic matches"),
            words("MODULE", "Names").required(true).num_args(1..),
        ]))
}

fn stats_command() -> Command {
    Command::new("stats").about("Display stats on module").args([
        option("parse", Some('p'), "OBJNAME", "Only this member; dots between names"),
        option("scale", Some('s'), "N", "Multiply a number by N"),
        option("type", Some('t'), "int|double", "Show a number as this type"),
        Arg::new("rusage")
            .long("rusage")
            .short('R')
            .value_name("self|children|thread")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("")
            .help("Resource usage instead of stats"),
        flag("clear", Some('c'), "Clear stats on target rank"),
        flag("clear-all", Some('C'), "Clear stats on all ranks"),
        word("MODULE", "Its name"),
    ])
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("list", matches)) => list(matches, cx),
        Some(("load", matches)) => {
            load(matches, &mut cx.open()?)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(("remove", matches)) => {
            let name = text(matches, "MODULE").unwrap_or_default().to_owned();
            remove(matches, &name, &mut cx.open()?)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(("reload", matches)) => reload(matches, cx),
        Some(("stats", matches)) => stats::run(matches, cx),
        Some(("debug", matches)) => debug(matches, cx),
        Some(("trace", matches)) => trace::modules(matches, cx),
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

#[derive(Deserialize)]
struct Module {
    name: String,
    path: String,
    idle: i64,
    status: i64,
    services: Vec<String>,
    #[serde(default)]
    sendqueue: i64,
    #[serde(default)]
    recvqueue: i64,
}

impl Module {
    fn state(&self) -> char {
        match self.status {
            0 => 'I',
            1 => 'R',
            2 => 'F',
            3 => 'X',
            _ => '?',
        }
    }

    /// The services besides the one of its own name, cut to a width if it is to be.
    fn services(&self, width: Option<usize>) -> String {
        let others: Vec<&str> =
            self.services.iter().map(String::as_str).filter(|service| *service != self.name).collect();
        let text = others.join(",");
        match width {
            Some(width) if text.chars().count() > width => text.chars().take(width - 1).chain(['+']).collect(),
            _ => text,
        }
    }
}

fn list(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let answer = cx.open()?.call("module.list", Target::Any, json!({}));
    let mut answer = answer.map_err(CmdError::calling("module.list"))?;
    if matches.get_flag("json") {
        cx.line(&answer["mods"])?;
        return Ok(ExitCode::SUCCESS);
    }
    let modules: Vec<Module> =
        serde_json::from_value(answer["mods"].take()).map_err(|error| CmdError::about("module.list", error))?;
    let long = matches.get_flag("long");
    let row = |name: &str, idle: &str, state: char, send: &str, receive: &str, services: &str, path: &str| {
        let head = format!("{name:<25.25} {idle:>4}  {state} {send:>5} {receive:>5}");
        if long { format!("{head} {services:<8} {path}") } else { format!("{head} {services}") }
    };
    cx.line(row("Module", "Idle", 'S', "Sendq", "Recvq", "Service", "Path"))?;
    for module in modules {
        let idle = if module.idle <= IDLE_SHOWN_MAX { module.idle.to_string() } else { "idle".to_owned() };
        let services = module.services(long.then_some(SERVICES_WIDTH));
        let (send, receive) = (module.sendqueue.to_string(), module.recvqueue.to_string());
        cx.line(row(&module.name, &idle, module.state(), &send, &receive, &services, &module.path))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn load(matches: &ArgMatches, flux: &mut Handle) -> Result<(), CmdError> {
    let path = text(matches, "MODULE").unwrap_or_default();
    // What has a slash is a file: the broker may have another working directory.
    let absolute = match path.contains('/') {
        true => std::fs::canonicalize(path).map_err(|error| CmdError::about(path, error))?.display().to_string(),
        false => path.to_owned(),
    };
    let mut request = json!({"path": absolute, "args": texts(matches, "ARGUMENTS")});
    for (option, key) in [("name", "name"), ("loader", "loader")] {
        if let Some(value) = text(matches, option) {
            request[key] = json!(value);
        }
    }
    if matches.get_flag("exec") {
        request["exec"] = json!(true);
    }
    flux.call("module.load", Target::Any, request).map_err(CmdError::calling(format!("load {path}")))?;
    Ok(())
}

fn remove(matches: &ArgMatches, name: &str, flux: &mut Handle) -> Result<(), CmdError> {
    let mut request = json!({"name": name});
    if matches.get_flag("cancel") {
        request["cancel"] = json!(true);
    }
    match flux.call("module.remove", Target::Any, request) {
        Ok(_) => Ok(()),
        Err(ClientError::Answer(fault)) if fault.errno == Errno::ENOENT && matches.get_flag("force") => Ok(()),
        Err(error) => Err(CmdError::calling(format!("remove {name}"))(error)),
    }
}

fn reload(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let path = text(matches, "MODULE").unwrap_or_default();
    let file = path.rsplit('/').next().unwrap_or(path);
    let own = file.strip_suffix(".so").or_else(|| file.strip_suffix(".py")).unwrap_or(file);
    let name = text(matches, "name").unwrap_or(own);
    let mut flux = cx.open()?;
    remove(matches, name, &mut flux)?;
    load(matches, &mut flux)?;
    Ok(ExitCode::SUCCESS)
}

fn debug(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let name = text(matches, "MODULE").unwrap_or_default();
    let ops = [("set", "set"), ("clearbit", "clrbit"), ("setbit", "setbit")];
    let given = ops.iter().find_map(|(option, op)| Some((*op, text(matches, option)?)));
    let (op, flags) = match given {
        _ if matches.get_flag("clear") => ("clr", 0),
        None => ("setbit", 0),
        Some((op, mask)) => {
            let number = match mask.strip_prefix("0x") {
                Some(hex) => i64::from_str_radix(hex, 16).ok(),
                None => mask.parse().ok(),
            };
            (op, number.ok_or_else(|| CmdError::usage(format!("{mask} is not a number")))?)
        }
    };
    let topic = format!("{name}.debug");
    let answer = cx.open()?.call(&topic, Target::Any, json!({"op": op, "flags": flags}));
    let answer = answer.map_err(CmdError::calling(topic))?;
    cx.line(format_args!("0x{:x}", answer["flags"].as_i64().unwrap_or(0)))?;
    Ok(ExitCode::SUCCESS)
}
