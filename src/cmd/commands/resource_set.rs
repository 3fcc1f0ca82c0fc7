//! `flux R`: encodes, decodes and combines resource sets (RFC 20).

use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_topo::{Allowed, Inventory};
use flux_types::resource_set::{Node, Verdict, VerifyConfig};
use flux_types::{Constraint, Hostlist, Idset, ResourceSet};
use serde_json::{Value, json};

use crate::frame::args::{flag, many, option, text, texts, word, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

pub fn command() -> Command {
    let simple = |name: &'static str, about: &'static str| Command::new(name).about(about);
    Command::new("R")
        .subcommand_required(true)
        .subcommand(simple("encode", "Generate R").args([
            option("ranks", Some('r'), "IDSET", "The ranks (default: as many as hosts, or 0)"),
            option("cores", Some('c'), "IDS", "The cores of each rank (default 0)"),
            option("gpus", Some('g'), "IDS", "The GPUs of each rank (default none)"),
            option("hosts", Some('H'), "HOSTS", "The hosts (default: this one, for each rank)"),
            many("property", Some('p'), "NAME[:RANKS]", "Give a property to ranks (default: all)"),
            flag("local", Some('l'), "What this node has"),
            option("xml", Some('f'), "FILE", "What a hwloc XML file describes"),
        ]))
        .subcommand(simple("append", "Join disjoint Rs from standard input"))
        .subcommand(simple("diff", "Subtract from the first R on standard input all others"))
        .subcommand(simple("intersect", "What all Rs on standard input have in common"))
        .subcommand(simple("remap", "Unite Rs, and number ranks from zero"))
        .subcommand(
            simple("rerank", "Unite Rs, and number ranks by their place in HOSTLIST")
                .arg(word("HOSTLIST", "Hosts in the order of their new ranks")),
        )
        .subcommand(simple("decode", "Unite Rs on standard input, and print them or a summary").args([
            flag("short", Some('s'), "Print short-form representation of R"),
            flag("nodelist", Some('n'), "Print the hosts"),
            flag("ranks", Some('r'), "Print the ranks"),
            option("count", Some('c'), "TYPE", "Print how many of TYPE there are: node, core, gpu"),
            option("include", Some('i'), "RANKS", "Include only specified ranks"),
            option("exclude", Some('x'), "RANKS", "Exclude specified ranks"),
            option("properties", Some('p'), "LIST", "Only ranks with these properties; ^NAME: without"),
        ]))
        .subcommand(simple("verify", "Has each rank of the second R what the first says?"))
        .subcommand(
            simple("set-property", "Give properties to ranks of the R on standard input").arg(
                words("PROPERTY:RANKS", "The property, and who gets it (default: all)").required(true).num_args(1..),
            ),
        )
        .subcommand(
            simple("parse-config", "Print the R that a configuration's resource.config describes")
                .arg(word("PATH", "A TOML file")),
        )
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let set = match matches.subcommand() {
        Some(("encode", matches)) => encode(matches)?,
        Some(("append", _)) => combine(cx, |sum, next| sum.append(next).map_err(sentence))?,
        Some(("diff", _)) => combine(cx, |sum, next| {
            *sum = sum.diff(next);
            Ok(())
        })?,
        Some(("intersect", _)) => combine(cx, |sum, next| {
            *sum = sum.intersect(next);
            Ok(())
        })?,
        Some(("remap", _)) => {
            let mut set = union(cx)?;
            set.remap();
            set
        }
        Some(("rerank", matches)) => {
            let mut set = union(cx)?;
            let hosts = text(matches, "HOSTLIST").unwrap_or_default();
            let hosts = Hostlist::parse(hosts).map_err(|error| CmdError::about(hosts, error))?;
            set.rerank(&hosts).map_err(sentence)?;
            set
        }
        Some(("decode", matches)) => return decode(matches, cx),
        Some(("verify", _)) => return verify(cx),
        Some(("set-property", matches)) => {
            let mut set = union(cx)?;
            set_properties(&mut set, &texts(matches, "PROPERTY:RANKS"))?;
            set
        }
        Some(("parse-config", matches)) => parse_config(text(matches, "PATH").unwrap_or_default())?,
        _ => unreachable!("clap requires one of the subcommands"),
    };
    cx.line(set.encode_spaced())?;
    Ok(ExitCode::SUCCESS)
}

fn sentence(error: flux_types::ResourceError) -> CmdError {
    CmdError::new(error.to_string())
}

/// Every R on standard input, one after another.
fn read(cx: &mut Context) -> Result<Vec<ResourceSet>, CmdError> {
    let bytes = cx.read_stdin()?;
    let mut sets = Vec::new();
    for value in serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>() {
        let value = value.map_err(|error| CmdError::about("Failed to read an R object", error))?;
        sets.push(ResourceSet::from_value(&value).map_err(sentence)?);
    }
    if sets.is_empty() {
        return Err(CmdError::new("Failed to read an R object: standard input is empty"));
    }
    Ok(sets)
}

fn combine(
    cx: &mut Context,
    join: impl Fn(&mut ResourceSet, &ResourceSet) -> Result<(), CmdError>,
) -> Result<ResourceSet, CmdError> {
    let mut sets = read(cx)?.into_iter();
    let mut sum = sets.next().unwrap_or_default();
    for next in sets {
        join(&mut sum, &next)?;
    }
    Ok(sum)
}

fn union(cx: &mut Context) -> Result<ResourceSet, CmdError> {
    combine(cx, |sum, next| {
        *sum = sum.union(next).map_err(sentence)?;
        Ok(())
    })
}

fn ids(name: &str, text: &str) -> Result<Idset, CmdError> {
    Idset::parse(text).map_err(|error| CmdError::about(format!("--{name}={text}"), error))
}

fn encode(matches: &ArgMatches) -> Result<ResourceSet, CmdError> {
    let inventory = match (matches.get_flag("local"), text(matches, "xml")) {
        (true, Some(_)) => return Err(CmdError::usage("give one of --local and --xml")),
        (true, None) => {
            Some(flux_topo::scan(&Allowed::OfThisProcess).map_err(|error| CmdError::new(error.to_string()))?)
        }
        (false, Some(path)) => {
            let xml = std::fs::read_to_string(path).map_err(|error| CmdError::about(path, error))?;
            Some(flux_topo::xml::parse(&xml).map_err(|error| CmdError::about(path, error))?)
        }
        (false, None) => None,
    };
    let (cores, gpus) = (text(matches, "cores"), text(matches, "gpus"));
    if inventory.is_some() && (cores.is_some() || gpus.is_some()) {
        return Err(CmdError::usage("do not specify --cores or --gpus with --local or --xml"));
    }
    let node = match inventory {
        Some(Inventory { cores, gpus, .. }) => {
            let count = |n: usize| Idset::below(u32::try_from(n).unwrap_or(u32::MAX - 1));
            (count(cores.len()), count(gpus.len()))
        }
        None => {
            let default = if gpus.is_none() { "0" } else { "" };
            (ids("cores", cores.unwrap_or(default))?, ids("gpus", gpus.unwrap_or(""))?)
        }
    };
    let hosts = text(matches, "hosts").map(|text| Hostlist::parse(text).map_err(|error| CmdError::about(text, error)));
    let hosts = hosts.transpose()?;
    let ranks = match (text(matches, "ranks"), &hosts) {
        (Some(text), _) => ids("ranks", text)?,
        (None, Some(hosts)) => Idset::below(hosts.count() as u32),
        (None, None) => Idset::range(0, 0),
    };
    if hosts.as_ref().is_some_and(|hosts| hosts.count() != ranks.count()) {
        return Err(CmdError::new("Number of hosts does not match number of ranks"));
    }
    let own = flux_sys::ids::hostname()?;
    let mut names = hosts.iter().flat_map(Hostlist::iter);
    let mut set = ResourceSet::new();
    for rank in ranks.iter() {
        let host = names.next().unwrap_or_else(|| own.clone());
        set.insert(rank, Node::new(&host, node.0.clone(), node.1.clone())).map_err(sentence)?;
    }
    set_properties(&mut set, &texts(matches, "property"))?;
    Ok(set)
}

/// `NAME[:RANKS]`
fn set_properties(set: &mut ResourceSet, words: &[&str]) -> Result<(), CmdError> {
    for word in words {
        let (name, ranks) = match word.split_once(':') {
            Some((name, ranks)) => (name, ids("property", ranks)?),
            None => (*word, set.ranks()),
        };
        let failed = |error| CmdError::about("failed to assign properties", error);
        set.set_property(name, &ranks).map_err(failed)?;
    }
    Ok(())
}

fn decode(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut set = union(cx)?;
    if let Some(list) = text(matches, "properties") {
        let constraint = json!({"properties": list.split(',').collect::<Vec<_>>()});
        let constraint = Constraint::from_value(&constraint);
        set = set.copy_constraint(&constraint.map_err(|error| CmdError::about("Invalid property constraint", error))?);
    }
    if let Some(ranks) = text(matches, "include") {
        set = set.copy_ranks(&ids("include", ranks)?);
    }
    if let Some(ranks) = text(matches, "exclude") {
        set.remove_ranks(&ids("exclude", ranks)?);
    }
    let mut printed = false;
    let mut print = |cx: &mut Context, text: String| {
        printed = true;
        cx.line(text)
    };
    if matches.get_flag("short") {
        print(cx, set.dumps())?;
    }
    if matches.get_flag("nodelist") {
        print(cx, set.nodelist().map(|hosts| hosts.to_string()).unwrap_or_default())?;
    }
    if matches.get_flag("ranks") {
        print(cx, set.ranks().to_string())?;
    }
    if let Some(kind) = text(matches, "count") {
        let count = match kind {
            "node" => set.nnodes(),
            "core" => set.ncores(),
            kind => set.count(kind),
        };
        print(cx, count.to_string())?;
    }
    if !printed {
        cx.line(set.encode_spaced())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(cx: &mut Context) -> CmdResult {
    let sets = read(cx)?;
    let [expected, found] = sets.as_slice() else {
        return Err(CmdError::new("verify requires exactly 2 R objects on stdin"));
    };
    let config = VerifyConfig::default();
    match expected.verify(found, &config) {
        Verdict::Same => Ok(ExitCode::SUCCESS),
        Verdict::Extra(text) => {
            cx.warn(text);
            Ok(ExitCode::SUCCESS)
        }
        Verdict::Differs(text) => Err(CmdError::new(text)),
    }
}

/// `[[resource.config]]`: an array of `hosts`, `cores`, `gpus`, `properties` (flux-config-resource(5)).
fn parse_config(path: &str) -> Result<ResourceSet, CmdError> {
    let text = std::fs::read_to_string(path).map_err(|error| CmdError::about(path, error))?;
    let config: Value = toml::from_str(&text).map_err(|error| CmdError::about(path, error))?;
    let entries = config["resource"]["config"].as_array();
    let entries = entries.ok_or_else(|| CmdError::new(format!("{path}: there is no array resource.config")))?;
    let mut hosts = Hostlist::default();
    let mut nodes: Vec<(Idset, Idset)> = Vec::new();
    let mut properties: Vec<(String, Idset)> = Vec::new();
    for entry in entries {
        let word = |key: &str| entry[key].as_str().unwrap_or("");
        let names = Hostlist::parse(word("hosts")).map_err(|error| CmdError::about("resource.config: hosts", error))?;
        let (cores, gpus) = (ids("cores", word("cores"))?, ids("gpus", word("gpus"))?);
        let mut ranks = Idset::default();
        for name in names.iter() {
            let rank = match hosts.find(&name) {
                Some(rank) => rank,
                None => {
                    hosts.push(&name).map_err(|error| CmdError::about("resource.config: hosts", error))?;
                    nodes.push((Idset::default(), Idset::default()));
                    nodes.len() - 1
                }
            };
            nodes[rank].0.extend_from(&cores);
            nodes[rank].1.extend_from(&gpus);
            ranks.insert(rank as u32);
        }
        let names = entry["properties"].as_array().into_iter().flatten().filter_map(Value::as_str);
        properties.extend(names.map(|name| (name.to_owned(), ranks.clone())));
    }
    let mut set = ResourceSet::new();
    for (rank, (host, (cores, gpus))) in hosts.iter().zip(nodes).enumerate() {
        set.insert(rank as u32, Node::new(&host, cores, gpus)).map_err(sentence)?;
    }
    for (name, ranks) in properties {
        set.set_property(&name, &ranks).map_err(sentence)?;
    }
    Ok(set)
}
