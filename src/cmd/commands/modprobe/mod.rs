//! `flux modprobe`: modules with what they require.

mod config;
mod plan;

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{Handle, Target};
use flux_types::json::to_spaced_string;
use serde_json::{Map, Value, json};

use self::config::{Config, Module};
use self::plan::{Here, is_permanent, is_rank};
use crate::frame::args::{flag, many, texts, word, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

pub fn command() -> Command {
    let dry = || flag("dry-run", None, "Don't do anything. Print what would be run");
    let names = |help| words("MODULE", help).required(true).num_args(1..);
    let changes = || {
        [
            many("set-alternative", Some('S'), "NAME=MODULE", "Let MODULE provide the service NAME"),
            many("disable", Some('D'), "NAME", "Disable module NAME"),
        ]
    };
    let levels = || [flag("show-deps", None, "Display what each module comes after, and exit"), dry()];
    let chatty = || flag("verbose", Some('v'), "Say what is done");
    Command::new("modprobe")
        .subcommand_required(true)
        .subcommand(
            Command::new("load").about("Load modules and what they require").arg(dry()).arg(names("Module to load")),
        )
        .subcommand(
            Command::new("remove")
                .about("Remove modules and what is unused then")
                .arg(dry())
                .arg(names("Module to remove, or all")),
        )
        .subcommand(Command::new("rc1").about("Load all modules that are enabled").args(levels()).arg(chatty()))
        .subcommand(Command::new("rc3").about("Remove all modules").args(levels()).arg(chatty()))
        .subcommand(
            Command::new("list-dependencies")
                .about("Show what a module requires, as a tree")
                .args(changes())
                .arg(flag("full", Some('f'), "Show also what was shown above"))
                .arg(word("NAME", "Module or service")),
        )
        .subcommand(
            Command::new("show")
                .about("Show the configuration of a module")
                .args(changes())
                .arg(word("NAME", "Module or service")),
        )
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut flux = cx.open()?;
    let broker = flux.call("config.get", Target::Any, json!({})).map_err(CmdError::calling("config.get"))?;
    let mut config = Config::read(cx, &broker)?;
    match matches.subcommand() {
        Some(("load", matches)) => load(matches, cx, &mut flux, &config),
        Some(("remove", matches)) => remove(matches, cx, &mut flux, &config),
        Some((level @ ("rc1" | "rc3"), matches)) => run_level(level, matches, cx, &mut flux, &config, &broker),
        Some(("list-dependencies", matches)) => {
            change(matches, &mut config)?;
            list_dependencies(matches, cx, &config)
        }
        Some(("show", matches)) => {
            change(matches, &mut config)?;
            let name = texts(matches, "NAME")[0];
            cx.line(to_spaced_string(&config.find(name)?.to_value()))?;
            Ok(ExitCode::SUCCESS)
        }
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

fn change(matches: &ArgMatches, config: &mut Config) -> Result<(), CmdError> {
    for pair in texts(matches, "set-alternative") {
        let (service, module) =
            pair.split_once('=').ok_or_else(|| CmdError::usage(format!("{pair}: use NAME=MODULE")))?;
        config.choose(service, module)?;
    }
    texts(matches, "disable").into_iter().try_for_each(|name| config.disable(name))
}

fn name_of(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The modules that the broker has.
fn loaded(flux: &mut Handle) -> Result<BTreeSet<String>, CmdError> {
    let answer = flux.call("module.list", Target::Any, json!({})).map_err(CmdError::calling("module.list"))?;
    let mods = answer["mods"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(mods.iter().filter_map(|module| module["name"].as_str()).map(str::to_owned).collect())
}

fn load(matches: &ArgMatches, cx: &mut Context, flux: &mut Handle, config: &Config) -> CmdResult {
    let there = loaded(flux)?;
    let names = texts(matches, "MODULE");
    let named = names.iter().map(|name| Ok(&config.find(name)?.name)).collect::<Result<Vec<_>, CmdError>>()?;
    let rank = flux.attr("rank")?.parse().unwrap_or(0);
    let mut modules = Vec::new();
    for module in config.closure(names.into_iter())? {
        // What is required may be served by another rank.
        let is_here = named.contains(&&module.name) || is_rank(rank, &module.ranks)?;
        if is_here && !there.contains(&module.name) {
            modules.push(module);
        }
    }
    if modules.is_empty() {
        cx.warn("INFO: All modules and dependencies are already loaded");
    }
    load_all(cx, flux, &modules, matches.get_flag("dry-run"), false)
}

fn load_all(cx: &mut Context, flux: &mut Handle, modules: &[&Module], dry: bool, chatty: bool) -> CmdResult {
    for module in modules {
        let words: Vec<&str> =
            [module.name.as_str()].into_iter().chain(module.args.iter().map(String::as_str)).collect();
        if dry || chatty {
            cx.line(format_args!("load {}", words.join(" ")))?;
        }
        if !dry {
            let mut body = json!({"path": module.path(), "args": module.args});
            if module.path() != module.name {
                body["name"] = json!(module.name);
            }
            if module.exec {
                body["exec"] = json!(true);
            }
            let tried = format!("load {}", module.name);
            flux.call("module.load", Target::Any, body).map_err(CmdError::calling(tried))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(matches: &ArgMatches, cx: &mut Context, flux: &mut Handle, config: &Config) -> CmdResult {
    let there = loaded(flux)?;
    let names: Vec<String> = texts(matches, "MODULE").into_iter().map(str::to_owned).collect();
    let modules = match names.as_slice() {
        [name] if name == "all" => removable(config, &there)?,
        names => config.removal(names, &there)?,
    };
    if let Some(module) = modules.iter().find(|module| is_permanent(&module.name)) {
        let text = format!("{} stays until the broker ends: the broker could not go on without it", module.name);
        return Err(CmdError::new(text));
    }
    remove_all(cx, flux, &modules, matches.get_flag("dry-run"), false)
}

/// All that may be removed, the last first.
fn removable<'a>(config: &'a Config, there: &BTreeSet<String>) -> Result<Vec<&'a Module>, CmdError> {
    let known = config.names().iter().map(String::as_str).filter(|name| there.contains(*name) && !is_permanent(name));
    let mut all = config.ordered(&known.collect())?;
    all.reverse();
    Ok(all)
}

fn remove_all(cx: &mut Context, flux: &mut Handle, modules: &[&Module], dry: bool, chatty: bool) -> CmdResult {
    for module in modules {
        if dry || chatty {
            cx.line(format_args!("remove {}", module.name))?;
        }
        if !dry {
            let tried = format!("remove {}", module.name);
            flux.call("module.remove", Target::Any, json!({"name": module.name})).map_err(CmdError::calling(tried))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn run_level(
    level: &str,
    matches: &ArgMatches,
    cx: &mut Context,
    flux: &mut Handle,
    config: &Config,
    broker: &Value,
) -> CmdResult {
    let (dry, chatty) = (matches.get_flag("dry-run"), matches.get_flag("verbose"));
    let there = loaded(flux)?;
    let rank = flux.attr("rank")?.parse().unwrap_or(0);
    let attrs = flux.call("attr.list", Target::Any, json!({})).map_err(CmdError::calling("attr.list"))?;
    let attrs: BTreeSet<String> = attrs["names"].as_array().into_iter().flatten().filter_map(name_of).collect();
    let here = Here { rank, broker, attrs: &|name| attrs.contains(name), env: &|name| cx.var(name).is_some() };
    let modules = match level {
        "rc1" => config.wanted(&here)?,
        _ => removable(config, &there)?,
    };
    if matches.get_flag("show-deps") {
        let deps = |module: &&Module| (module.name.clone(), json!(config.after(module)));
        let deps: Map<String, Value> = modules.iter().map(deps).collect();
        cx.line(to_spaced_string(&Value::Object(deps)))?;
        return Ok(ExitCode::SUCCESS);
    }
    if level == "rc3" {
        return remove_all(cx, flux, &modules, dry, chatty);
    }
    // What is there already is not loaded twice; a dry run shows all.
    let modules: Vec<&Module> = modules.into_iter().filter(|module| dry || !there.contains(&module.name)).collect();
    load_all(cx, flux, &modules, dry, chatty)
}

/// The tree of what is required. What stands higher up, or was shown, is not shown again unless all of it is wanted.
fn list_dependencies(matches: &ArgMatches, cx: &mut Context, config: &Config) -> CmdResult {
    let name = texts(matches, "NAME")[0];
    let top = config.find(name)?;
    cx.line(label(name, top))?;
    let mut seen = BTreeSet::from([top.name.clone()]);
    let mut lines = Vec::new();
    branch(config, top, "", matches.get_flag("full"), &mut seen, &mut lines)?;
    lines.into_iter().try_for_each(|line| cx.line(line))?;
    Ok(ExitCode::SUCCESS)
}

fn label(name: &str, module: &Module) -> String {
    if name == module.name { name.to_owned() } else { format!("{name} ({})", module.name) }
}

fn branch(
    config: &Config,
    module: &Module,
    indent: &str,
    full: bool,
    seen: &mut BTreeSet<String>,
    lines: &mut Vec<String>,
) -> Result<(), CmdError> {
    /// Deeper than any chain of modules: a circle.
    const DEPTH_MAX: usize = 64;
    if indent.chars().count() > 4 * DEPTH_MAX {
        return Err(CmdError::new(format!("{} requires itself", module.name)));
    }
    let mut below = Vec::new();
    for name in &module.requires {
        let found = config.find(name)?;
        if seen.insert(found.name.clone()) || full {
            below.push((name, found));
        }
    }
    for (nth, (name, found)) in below.iter().enumerate() {
        let is_last = nth + 1 == below.len();
        lines.push(format!("{indent}{}{}", if is_last { "└── " } else { "├── " }, label(name, found)));
        let indent = format!("{indent}{}", if is_last { "    " } else { "│   " });
        branch(config, found, &indent, full, seen, lines)?;
    }
    Ok(())
}
