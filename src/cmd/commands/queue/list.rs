//! `flux queue list`.

use std::process::ExitCode;

use clap::ArgMatches;
use flux_client::Target;
use flux_types::ResourceSet;
use serde_json::{Value as Json, json};

use super::{names, status};
use crate::commands::resource::{Lists, has};
use crate::format::{Format, Formats, Named, Row, TableOptions, Value};
use crate::frame::args::{text, texts};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

const FORMATS: Formats = Formats {
    tool: "flux-queue",
    subcommand: Some("list"),
    builtin: &[
        Named {
            name: "default",
            description: "Default flux-queue list format string",
            format: "?:{queuem:<8.8} ?:{parent:<8.8} {color_enabled}{enabled:>2}{color_off} \
                     {color_started}{started:>2}{color_off} {defaults.timelimit!F:>8} {limits.timelimit!F:>8} \
                     {limits.range.effective.nnodes:>10} {limits.range.effective.ncores:>10} \
                     {limits.range.effective.ngpus:>10}",
        },
        Named {
            name: "policy",
            description: "flux-queue list with policy limits only",
            format: "?:{queuem:<8.8} ?:{parent:<8.8} {color_enabled}{enabled:>2}{color_off} \
                     {color_started}{started:>2}{color_off} {defaults.timelimit!F:>8} {limits.timelimit!F:>8} \
                     {limits.range.nnodes:>10} {limits.range.ncores:>10} {limits.range.ngpus:>10}",
        },
        Named {
            name: "nodes",
            description: "Show queue status plus all/up/allocated/free nodes",
            format: "?:{queuem:<8.8} ?:{parent:<8.8} {color_enabled}{enabled:>2}{color_off} \
                     {color_started}{started:>2}{color_off} {resources.all.nnodes:>6} {resources.up.nnodes:>10} \
                     {resources.down.nnodes:>10} {resources.allocated.nnodes:>11} {resources.free.nnodes:>10}",
        },
    ],
};

const HEADINGS: &[(&str, &str)] = &[
    ("queue", "QUEUE"),
    ("queuem", "QUEUE"),
    ("parent", "PARENT"),
    ("submission", "SUBMIT"),
    ("scheduling", "SCHED"),
    ("enabled", "EN"),
    ("started", "ST"),
    ("enabled.ascii", "EN"),
    ("started.ascii", "ST"),
    ("color_enabled", ""),
    ("color_started", ""),
    ("color_off", ""),
    ("defaults.timelimit", "TDEFAULT"),
    ("limits.timelimit", "TLIMIT"),
    ("limits.range.nnodes", "NNODES"),
    ("limits.range.ncores", "NCORES"),
    ("limits.range.ngpus", "NGPUS"),
    ("limits.range.effective.nnodes", "NNODES"),
    ("limits.range.effective.ncores", "NCORES"),
    ("limits.range.effective.ngpus", "NGPUS"),
    ("limits.min.nnodes", "MINNODES"),
    ("limits.max.nnodes", "MAXNODES"),
    ("limits.min.ncores", "MINCORES"),
    ("limits.max.ncores", "MAXCORES"),
    ("limits.min.ngpus", "MINGPUS"),
    ("limits.max.ngpus", "MAXGPUS"),
    ("resources.all.nnodes", "NODES"),
    ("resources.free.nnodes", "NODES:FREE"),
    ("resources.allocated.nnodes", "NODES:ALLOC"),
    ("resources.up.nnodes", "NODES:UP"),
    ("resources.down.nnodes", "NODES:DOWN"),
    ("resources.all.ncores", "CORES"),
    ("resources.free.ncores", "CORES:FREE"),
    ("resources.allocated.ncores", "CORES:ALLOC"),
    ("resources.up.ncores", "CORES:UP"),
    ("resources.down.ncores", "CORES:DOWN"),
    ("resources.all.ngpus", "GPUS"),
    ("resources.free.ngpus", "GPUS:FREE"),
    ("resources.allocated.ngpus", "GPUS:ALLOC"),
    ("resources.up.ngpus", "GPUS:UP"),
    ("resources.down.ngpus", "GPUS:DOWN"),
];

struct Queue<'a> {
    name: String,
    is_default: bool,
    parent: String,
    enabled: bool,
    started: bool,
    /// Its own start bit is set, but its parent's is not.
    paused: bool,
    config: &'a Json,
    lists: &'a Lists,
    requires: Vec<String>,
    color: bool,
}

/// How many of a kind; `limits` and resources name them so.
fn count(set: &ResourceSet, kind: &str) -> usize {
    match kind {
        "nnodes" => set.nnodes(),
        "ncores" => set.ncores(),
        _ => set.ngpus(),
    }
}

impl Queue<'_> {
    /// A value of the queue's policy, else of the instance's.
    fn policy(&self, path: &[&str]) -> Option<&Json> {
        let tables = [&self.config["queues"][&self.name]["policy"], &self.config["policy"]];
        tables.into_iter().find_map(|table| path.iter().try_fold(table, |value, key| value.get(*key)))
    }

    fn seconds(&self, path: &[&str]) -> f64 {
        let seconds = match self.policy(path) {
            Some(Json::String(text)) => flux_types::parse_fsd(text),
            Some(value) => value.as_f64(),
            None => None,
        };
        seconds.filter(|seconds| *seconds > 0.0).unwrap_or(f64::INFINITY)
    }

    /// A limit: `min` is 0 and `max` is infinite unless configured.
    fn limit(&self, bound: &str, kind: &str) -> f64 {
        let value = self.policy(&["limits", "job-size", bound, kind]).and_then(Json::as_f64);
        let none = if bound == "min" { 0.0 } else { f64::INFINITY };
        value.filter(|value| *value >= 0.0).unwrap_or(none)
    }

    fn resources(&self, state: &str) -> ResourceSet {
        let set = self.lists.state(state);
        let fits = |rank: u32| self.requires.iter().all(|property| has(&set, rank, property));
        let ranks = set.ranks().iter().filter(|rank| fits(*rank)).collect();
        set.copy_ranks(&ranks)
    }

    fn range(&self, kind: &str, effective: bool) -> String {
        let mut max = self.limit("max", kind);
        if effective {
            max = max.min(count(&self.resources("all"), kind) as f64);
        }
        format!("{}-{}", number(self.limit("min", kind)), number(max))
    }

    fn scheduling(&self) -> [&'static str; 4] {
        match (self.started, self.paused) {
            (true, _) => ["started", "✔", "y", "\x1b[01;32m"],
            (false, true) => ["stopped (parent)", "⏸", "p", "\x1b[01;33m"],
            (false, false) => ["stopped", "✗", "n", "\x1b[01;31m"],
        }
    }
}

fn number(x: f64) -> String {
    if x.is_infinite() { "inf".to_owned() } else { format!("{x:.0}") }
}

impl Row for Queue<'_> {
    fn field(&self, name: &str) -> Option<Value> {
        if let Some((state, kind)) = name.strip_prefix("resources.").and_then(|rest| rest.split_once('.')) {
            return Some(count(&self.resources(state), kind).into());
        }
        if let Some(rest) = name.strip_prefix("limits.range.") {
            let kind = rest.strip_prefix("effective.");
            return Some(self.range(kind.unwrap_or(rest), kind.is_some()).into());
        }
        if let Some((bound @ ("min" | "max"), kind)) =
            name.strip_prefix("limits.").and_then(|rest| rest.split_once('.'))
        {
            return Some(number(self.limit(bound, kind)).into());
        }
        let color = |code: &'static str| if self.color { code } else { "" };
        Some(match name {
            "queue" => self.name.as_str().into(),
            "queuem" if self.is_default && !self.name.is_empty() => format!("{}*", self.name).into(),
            "queuem" => self.name.as_str().into(),
            "parent" => self.parent.as_str().into(),
            "submission" => if self.enabled { "enabled" } else { "disabled" }.into(),
            "enabled" => if self.enabled { "✔" } else { "✗" }.into(),
            "enabled.ascii" => if self.enabled { "y" } else { "n" }.into(),
            "color_enabled" => color(if self.enabled { "\x1b[01;32m" } else { "\x1b[01;31m" }).into(),
            "scheduling" => self.scheduling()[0].into(),
            "started" => self.scheduling()[1].into(),
            "started.ascii" => self.scheduling()[2].into(),
            "color_started" => color(self.scheduling()[3]).into(),
            "color_off" => color("\x1b[0;0m").into(),
            "defaults.timelimit" => self.seconds(&["jobspec", "defaults", "system", "duration"]).into(),
            "limits.timelimit" => self.seconds(&["limits", "duration"]).into(),
            _ => return None,
        })
    }
}

pub(super) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let chosen = text(matches, "format").unwrap_or("default");
    let Some(format) = FORMATS.choose(chosen, |name| std::env::var(name).ok(), &mut cx.out)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let format = Format::parse(&format, HEADINGS)?;
    let mut flux = cx.open()?;
    let mut names: Vec<String> = names(&mut flux)?;
    let wanted: Vec<&str> = texts(matches, "queue").into_iter().flat_map(|list| list.split(',')).collect();
    if let Some(unknown) = wanted.iter().find(|name| !names.iter().any(|known| known == *name)) {
        return Err(CmdError::new(format!("No such queue: {unknown}")));
    }
    if !wanted.is_empty() {
        names.retain(|name| wanted.contains(&name.as_str()));
        names.sort_unstable();
    }
    if names.is_empty() {
        names.push(String::new());
    }
    let config = flux.call("config.get", Target::Any, json!({})).map_err(CmdError::calling("config.get"))?;
    let lists = Lists::get(&mut flux)?;
    let default = config["policy"]["jobspec"]["defaults"]["system"]["queue"].as_str().unwrap_or("");
    let mut queues = Vec::new();
    for name in names {
        let status = status(&mut flux, Some(name.as_str()).filter(|name| !name.is_empty()))?;
        let parent = config["queues"][&name]["parent"].as_str().unwrap_or("").to_owned();
        let slice = if parent.is_empty() { &name } else { &parent };
        let requires = config["queues"][slice]["requires"].as_array().into_iter().flatten();
        queues.push(Queue {
            is_default: name == default,
            enabled: status["enable"].as_bool().unwrap_or(false),
            started: status["start"].as_bool().unwrap_or(false),
            paused: status["blocked"].as_str() == Some("parent"),
            requires: requires.filter_map(|word| word.as_str().map(str::to_owned)).collect(),
            config: &config,
            lists: &lists,
            color: cx.on_terminal(),
            name,
            parent,
        });
    }
    let options = TableOptions { no_header: matches.get_flag("no-header"), width: None };
    format.print(&mut queues, options, &mut cx.out)??;
    Ok(ExitCode::SUCCESS)
}
