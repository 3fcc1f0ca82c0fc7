//! `flux resource list`, `info` and `R`: the scheduler's view.

use std::process::ExitCode;

use clap::ArgMatches;
use flux_client::{Handle, Target};
use flux_types::{Idset, ResourceSet};
use serde_json::{Value as Json, json};

use super::{ROOT, given, included, queue_entry, queues, ranks_of_queues, requires, set};
use crate::format::{Format, Formats, Named, Row, TableOptions, Value};
use crate::frame::args::text;
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

const FORMATS: Formats = Formats {
    tool: "flux-resource",
    subcommand: Some("list"),
    builtin: &[
        Named {
            name: "default",
            description: "Default flux-resource list format string",
            format: "{state:>10} ?+:{queue:<5} ?:{propertiesx:<10.10+} {nnodes:>6} +:{ncores:>6} ?+:{ngpus:>5} {nodelist}",
        },
        Named {
            name: "rlist",
            description: "Format including resource list details",
            format: "{state:>10} ?+:{queue:<5} ?:{propertiesx:<10.10+} {nnodes:>6} +:{ncores:>6} ?+:{ngpus:>5} {rlist}",
        },
    ],
};

const HEADINGS: &[(&str, &str)] = &[
    ("state", "STATE"),
    ("queue", "QUEUE"),
    ("properties", "PROPERTIES"),
    ("propertiesx", "PROPERTIES"),
    ("nnodes", "NNODES"),
    ("ncores", "NCORES"),
    ("ngpus", "NGPUS"),
    ("ranks", "RANKS"),
    ("nodelist", "NODELIST"),
    ("rlist", "LIST"),
];

const STATES: [&str; 5] = ["up", "down", "allocated", "free", "all"];

/// What lines are told apart by.
const UNIQUE_FIELDS: [&str; 4] = ["state", "properties", "propertiesx", "queue"];

/// The resources by state.
pub(crate) struct Lists {
    pub(crate) all: ResourceSet,
    pub(crate) down: ResourceSet,
    pub(crate) allocated: ResourceSet,
}

/// Who is asked for the resources by state; tests of flux-core name an older service.
pub(crate) fn status_topic() -> String {
    let given = std::env::var("FLUX_RESOURCE_LIST_RPC").ok().filter(|topic| !topic.is_empty());
    given.unwrap_or_else(|| "resource.sched-status".to_owned())
}

impl Lists {
    pub(crate) fn get(flux: &mut Handle) -> Result<Lists, CmdError> {
        let topic = status_topic();
        let answer = flux.call(&topic, ROOT, json!({})).map_err(CmdError::calling(topic))?;
        Lists::of_answer(&answer)
    }

    fn of_answer(answer: &Json) -> Result<Lists, CmdError> {
        Ok(Lists { all: set(&answer["all"])?, down: set(&answer["down"])?, allocated: set(&answer["allocated"])? })
    }

    pub(crate) fn state(&self, name: &str) -> ResourceSet {
        match name {
            "all" => self.all.clone(),
            "down" => self.down.clone(),
            "allocated" => self.allocated.clone(),
            "up" => self.all.diff(&self.down),
            _ => self.all.diff(&self.down).diff(&self.allocated),
        }
    }

    pub(crate) fn only(&mut self, ranks: &Idset) {
        for set in [&mut self.all, &mut self.down, &mut self.allocated] {
            *set = set.copy_ranks(ranks);
        }
    }
}

struct Wanted {
    lists: Lists,
    config: Json,
    states: Vec<String>,
}

fn wanted(matches: &ArgMatches, default_states: &str, cx: &mut Context) -> Result<Wanted, CmdError> {
    let states: Vec<String> = text(matches, "states").unwrap_or(default_states).split(',').map(str::to_owned).collect();
    if let Some(unknown) = states.iter().find(|state| !STATES.contains(&state.as_str())) {
        return Err(CmdError::new(format!("Invalid resource state {unknown} specified")));
    }
    let (mut lists, config) = match given(matches, cx)? {
        Some((answer, config)) => (Lists::of_answer(&answer)?, config),
        None => {
            let mut flux = cx.open()?;
            (Lists::get(&mut flux)?, flux.call("config.get", Target::Any, json!({})).unwrap_or_default())
        }
    };
    let names = queues(matches);
    if !names.is_empty() {
        let ranks = ranks_of_queues(&names, &lists.all, &config)?;
        lists.only(&ranks);
    }
    if let Some(targets) = text(matches, "include") {
        let ranks = included(targets, &lists.all)?;
        lists.only(&ranks);
    }
    Ok(Wanted { lists, config, states })
}

struct Line<'a> {
    state: &'a str,
    set: ResourceSet,
    queue: String,
    propertiesx: String,
}

impl Row for Line<'_> {
    fn field(&self, name: &str) -> Option<Value> {
        Some(match name {
            "state" => self.state.into(),
            "queue" => self.queue.as_str().into(),
            "properties" => properties(&self.set).join(",").into(),
            "propertiesx" => self.propertiesx.as_str().into(),
            "nnodes" => self.set.nnodes().into(),
            "ncores" => self.set.ncores().into(),
            "ngpus" => self.set.ngpus().into(),
            "ranks" => self.set.ranks().to_string().into(),
            "nodelist" => self.set.nodelist().map(|hosts| hosts.to_string()).unwrap_or_default().into(),
            "rlist" => self.set.dumps().into(),
            _ => return None,
        })
    }
}

fn properties(set: &ResourceSet) -> Vec<&str> {
    set.properties().keys().map(String::as_str).collect()
}

/// The queues that all of a set's nodes belong to. Queues that share another's resources show only when asked for.
fn queues_of(properties: &[&str], config: &Json, asked: &[&str]) -> Result<String, CmdError> {
    let Some(table) = config["queues"].as_object() else { return Ok(String::new()) };
    let mut names = Vec::new();
    for (name, entry) in table {
        let shown = if asked.is_empty() { entry.get("parent").is_none() } else { asked.contains(&name.as_str()) };
        let fits = requires(queue_entry(config, name)?).iter().all(|property| match property.strip_prefix('^') {
            Some(absent) => !properties.contains(&absent),
            None => properties.contains(property),
        });
        if shown && fits {
            names.push(name.as_str());
        }
    }
    Ok(names.join(","))
}

/// One line for each combination of the format's unique fields, in the order of states and then of ranks.
fn lines<'a>(wanted: &'a Wanted, format: &Format, asked: &[&'a str]) -> Result<Vec<Line<'a>>, CmdError> {
    let fields = format.fields();
    let unique: Vec<&str> = match fields.len() > 1 || fields.contains(&"state") {
        true => fields.into_iter().filter(|field| UNIQUE_FIELDS.contains(field)).collect(),
        false => Vec::new(),
    };
    let mut out: Vec<(Vec<Option<Value>>, Line)> = Vec::new();
    for state in &wanted.states {
        for line in pieces(state, wanted, asked)? {
            let key: Vec<Option<Value>> = unique.iter().map(|field| line.field(field)).collect();
            match out.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => known.set.add(&line.set).map_err(|error| CmdError::new(error.to_string()))?,
                None => out.push((key, line)),
            }
        }
    }
    let mut lines: Vec<Line> = out.into_iter().map(|(_, line)| line).collect();
    let place = |line: &Line| {
        let state = wanted.states.iter().position(|state| state == line.state);
        (state, line.set.ranks().first().unwrap_or(u32::MAX))
    };
    lines.sort_by_key(place);
    Ok(lines)
}

/// The nodes of one state, apart by their properties. Of no nodes there is still a line, for each queue.
fn pieces<'a>(state: &'a str, wanted: &'a Wanted, asked: &[&'a str]) -> Result<Vec<Line<'a>>, CmdError> {
    let set = wanted.lists.state(state);
    if set.is_empty() {
        let configured = wanted.config["queues"].as_object();
        let mut names: Vec<&str> = match (asked.is_empty(), configured) {
            (false, _) => asked.to_vec(),
            (true, Some(table)) => {
                table.iter().filter(|(_, entry)| entry.get("parent").is_none()).map(|(name, _)| name.as_str()).collect()
            }
            (true, None) => Vec::new(),
        };
        if names.is_empty() {
            names.push("");
        }
        let empty =
            |name: &str| Line { state, set: ResourceSet::new(), queue: name.to_owned(), propertiesx: String::new() };
        return Ok(names.into_iter().map(empty).collect());
    }
    let mut groups: Vec<(Vec<&str>, Idset)> = Vec::new();
    for rank in set.ranks().iter() {
        let own: Vec<&str> = properties(&set).into_iter().filter(|name| set.has_property(rank, name)).collect();
        match groups.iter_mut().find(|(known, _)| *known == own) {
            Some((_, ranks)) => drop(ranks.insert(rank)),
            None => groups.push((own, Idset::range(rank, rank))),
        }
    }
    let line = |(own, ranks): (Vec<&str>, Idset)| {
        let is_queue = |name: &&str| wanted.config["queues"].get(*name).is_some();
        let rest: Vec<&str> = own.iter().copied().filter(|name| !is_queue(name)).collect();
        let queue = queues_of(&own, &wanted.config, asked)?;
        Ok(Line { state, set: set.copy_ranks(&ranks), queue, propertiesx: rest.join(",") })
    };
    groups.into_iter().map(line).collect()
}

pub(super) fn list(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    if matches.get_flag("json") {
        let wanted = wanted(matches, "free,allocated,down", cx)?;
        let sets = wanted.states.iter().map(|state| (state.clone(), wanted.lists.state(state).to_value()));
        let object = Json::Object(sets.collect());
        cx.line(object)?;
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = text(matches, "format").unwrap_or("default");
    let Some(format) = FORMATS.choose(chosen, |name| std::env::var(name).ok(), &mut cx.out)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let skip =
        matches.get_flag("skip-empty") || (text(matches, "include").is_some() && !matches.get_flag("no-skip-empty"));
    print(matches, &format, "free,allocated,down", skip, matches.get_flag("no-header"), cx)
}

fn print(
    matches: &ArgMatches,
    format: &str,
    default_states: &str,
    skip_empty: bool,
    no_header: bool,
    cx: &mut Context,
) -> CmdResult {
    let format = Format::parse(format, HEADINGS)?;
    let wanted = wanted(matches, default_states, cx)?;
    let mut lines = lines(&wanted, &format, &queues(matches))?;
    lines.retain(|line| !skip_empty || !line.set.is_empty());
    format.print(&mut lines, TableOptions { no_header, width: None }, &mut cx.out)??;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn info(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let skip = text(matches, "include").is_some();
    print(matches, "{nnodes} Nodes, {ncores} Cores, {ngpus} GPUs", "all", skip, true, cx)
}

pub(super) fn emit(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let wanted = wanted(matches, "all", cx)?;
    let mut all = ResourceSet::new();
    for state in &wanted.states {
        all.add(&wanted.lists.state(state)).map_err(|error| CmdError::new(error.to_string()))?;
    }
    (all.starttime, all.expiration) = (wanted.lists.all.starttime, wanted.lists.all.expiration);
    cx.line(all.encode_spaced())?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(states: &[&str], config: Json) -> Wanted {
        let text = r#"{"version":1,"execution":{"R_lite":[{"rank":"0-3","children":{"core":"0-1"}}],"starttime":0.0,
            "expiration":0.0,"nodelist":["n[0-3]"],"properties":{"batch":"0-2","big":"1","debug":"3"}}}"#;
        let all = ResourceSet::parse(text).unwrap();
        let down = all.copy_ranks(&Idset::range(3, 3));
        let allocated = all.copy_ranks(&Idset::range(0, 0));
        let lists = Lists { all, down, allocated };
        Wanted { lists, config, states: states.iter().map(|&state| state.to_owned()).collect() }
    }

    fn shown(wanted: &Wanted, format: &str, asked: &[&str]) -> Vec<String> {
        let format = Format::parse(format, HEADINGS).unwrap();
        let mut lines = lines(wanted, &format, asked).unwrap();
        format.lines(&mut lines, TableOptions { no_header: true, width: None }).unwrap()
    }

    #[test]
    fn lines_are_apart_by_state_queue_and_properties() {
        let queues = json!({"queues": {"batch": {"requires": ["batch"]}, "debug": {"requires": ["debug"]}}});
        let all = wanted(&["free", "allocated", "down"], queues);
        let got = shown(&all, "{state} {queue} {propertiesx} {ranks}", &[]);
        assert_eq!(got, ["free batch big 1", "free batch  2", "allocated batch  0", "down debug  3"]);
        assert_eq!(shown(&all, "{state} {ncores}", &[]), ["free 4", "allocated 2", "down 2"]);
        assert_eq!(shown(&all, "{ncores}", &[]), ["8"], "one field that is not unique: one line");
    }

    #[test]
    fn a_state_without_nodes_has_a_line_for_each_queue() {
        let mut none = wanted(&["allocated"], json!({"queues": {"a": {}, "b": {}, "v": {"parent": "a"}}}));
        none.lists.allocated = ResourceSet::new();
        assert_eq!(shown(&none, "{state} {queue} {nnodes}", &[]), ["allocated a 0", "allocated b 0"]);
        none.config = json!({});
        assert_eq!(shown(&none, "{state} {nnodes}", &[]), ["allocated 0"]);
    }
}
