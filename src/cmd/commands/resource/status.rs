//! `flux resource status`, and the list of drained nodes: the resource module's view.

use std::process::ExitCode;

use clap::ArgMatches;
use flux_client::{Handle, Target};
use flux_types::{Hostlist, Idset, ResourceSet};
use serde_json::{Value as Json, json};

use super::{Lists, ROOT, given, idset, included, queues, ranks_of_queues, set};
use crate::format::{Format, Formats, Named, Row, TableOptions, Value};
use crate::frame::args::text;
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, color};

const STATUS_FORMATS: Formats = Formats {
    tool: "flux-resource",
    subcommand: Some("status"),
    builtin: &[
        Named {
            name: "default",
            description: "Default flux-resource status format string",
            format: "{state:>12} {color_up}{up:>2}{color_off} {nnodes:>6} {nodelist}",
        },
        Named {
            name: "long",
            description: "Long flux-resource status format string",
            format: "{state:>12} {color_up}{up:>2}{color_off} {nnodes:>6} +:{reason:<30.30} {nodelist}",
        },
    ],
};

const DRAIN_FORMATS: Formats = Formats {
    tool: "flux-resource",
    subcommand: Some("drain"),
    builtin: &[
        Named {
            name: "long",
            description: "Long flux-resource drain format string",
            format: "{timestamp!d:%b%d %R::<12} {state:<8.8} {ranks:<8.8+} +:{reason:<30.30} {nodelist}",
        },
        Named {
            name: "default",
            description: "Default flux-resource drain format string",
            format: "{timestamp!d:%b%d %R::<12} {state:<8.8} {reason:<30.30+} {nodelist}",
        },
    ],
};

const HEADINGS: &[(&str, &str)] = &[
    ("state", "STATE"),
    ("statex", "STATE"),
    ("nnodes", "NNODES"),
    ("ranks", "RANKS"),
    ("nodelist", "NODELIST"),
    ("reason", "REASON"),
    ("timestamp", "TIME"),
    ("status", "STATUS"),
    ("up", "UP"),
    ("up.ascii", "UP"),
    ("color_up", ""),
    ("color_off", ""),
];

const STATES: &str = "all,online,avail,offline,exclude,drain,draining,drained,torpid,allocated,housekeeping";
const DEFAULT_STATES: &str = "avail,exclude,draining,drained,torpid,housekeeping";

/// Ranks by what is known of them.
#[derive(Debug, Default)]
struct Status {
    resources: ResourceSet,
    online: Idset,
    offline: Idset,
    exclude: Idset,
    torpid: Idset,
    allocated: Idset,
    housekeeping: Idset,
    /// Ranks, time, reason.
    drain: Vec<(Idset, f64, String)>,
}

impl Status {
    fn get(flux: &mut Handle) -> Result<Status, CmdError> {
        let answer = flux.call("resource.status", ROOT, json!({})).map_err(CmdError::calling("resource.status"))?;
        // Without a scheduler or job manager there is still a status.
        let allocated = Lists::get(flux).map(|lists| lists.allocated.ranks()).unwrap_or_default();
        let stats = flux.call("job-manager.stats-get", ROOT, json!({})).unwrap_or_default();
        let mut housekeeping = Idset::default();
        for entry in stats["housekeeping"]["running"].as_object().into_iter().flatten() {
            housekeeping.extend_from(&idset(&entry.1["allocated"])?);
        }
        Status::of_answer(&answer, allocated, housekeeping)
    }

    fn of_answer(answer: &Json, allocated: Idset, housekeeping: Idset) -> Result<Status, CmdError> {
        let mut drain = Vec::new();
        for (ranks, info) in answer["drain"].as_object().into_iter().flatten() {
            let ranks = Idset::parse(ranks).map_err(|error| CmdError::about("drained ranks", error))?;
            let reason = info["reason"].as_str().unwrap_or("").to_owned();
            drain.push((ranks, info["timestamp"].as_f64().unwrap_or(0.0), reason));
        }
        Ok(Status {
            resources: set(&answer["R"])?,
            online: idset(&answer["online"])?,
            offline: idset(&answer["offline"])?,
            exclude: idset(&answer["exclude"])?,
            torpid: idset(&answer["torpid"])?,
            allocated,
            housekeeping,
            drain,
        })
    }

    fn only(&mut self, ranks: &Idset) {
        self.resources = self.resources.copy_ranks(ranks);
        let sets = [
            &mut self.online,
            &mut self.offline,
            &mut self.exclude,
            &mut self.torpid,
            &mut self.allocated,
            &mut self.housekeeping,
        ];
        for set in sets.into_iter().chain(self.drain.iter_mut().map(|(ranks, ..)| ranks)) {
            *set = set.intersect(ranks);
        }
    }

    fn drained_ranks(&self) -> Idset {
        let mut all = Idset::default();
        self.drain.iter().for_each(|(ranks, ..)| all.extend_from(ranks));
        all
    }

    fn state(&self, name: &str) -> Idset {
        match name {
            "exclude" => self.exclude.clone(),
            "torpid" => self.torpid.clone(),
            "allocated" => self.allocated.clone(),
            "housekeeping" => self.housekeeping.clone(),
            "draining" => self.drained_ranks().intersect(&self.allocated),
            "drained" => self.drained_ranks().subtract(&self.allocated),
            _ => {
                let taken = self.exclude.union(&self.drained_ranks()).union(&self.torpid);
                self.resources.ranks().subtract(&taken)
            }
        }
    }

    fn hosts(&self, ranks: &Idset) -> Vec<String> {
        ranks.iter().filter_map(|rank| Some(self.resources.get(rank)?.host.as_deref()?.to_owned())).collect()
    }
}

struct Line {
    state: &'static str,
    online: bool,
    ranks: Idset,
    hosts: Vec<String>,
    reason: String,
    timestamp: Option<f64>,
}

impl Row for Line {
    fn field(&self, name: &str) -> Option<Value> {
        Some(match name {
            "state" => format!("{}{}", self.state, if self.online { "" } else { "*" }).into(),
            "statex" => self.state.into(),
            "nnodes" => self.hosts.len().into(),
            "ranks" => self.ranks.to_string().into(),
            "nodelist" => self.nodelist().into(),
            "reason" => self.reason.as_str().into(),
            "timestamp" => self.timestamp.into(),
            "status" => if self.online { "online" } else { "offline" }.into(),
            "up" => if self.online { "✔" } else { "✗" }.into(),
            "up.ascii" => if self.online { "y" } else { "n" }.into(),
            "color_up" => if self.online { "\x1b[01;32m" } else { "\x1b[01;31m" }.into(),
            "color_off" => "\x1b[0;0m".into(),
            _ => return None,
        })
    }
}

impl Line {
    fn nodelist(&self) -> String {
        let mut list = Hostlist::default();
        for host in &self.hosts {
            if list.push(host).is_err() {
                return self.hosts.join(","); // Too many for a list: still all of them.
            }
        }
        list.to_string()
    }
}

struct Shown {
    states: Vec<String>,
    online: bool,
    offline: bool,
}

impl Shown {
    fn has(&self, state: &str) -> bool {
        self.states.iter().any(|known| known == state || known == "all")
    }

    fn status(&self, online: bool) -> bool {
        if online { self.online } else { self.offline }
    }
}

/// What `--states` asks for; `None` after printing what it may ask for.
fn shown(states: Option<&str>, cx: &mut Context) -> Result<Option<Shown>, CmdError> {
    if states == Some("help") {
        cx.warn(format_args!("valid states: {STATES}"));
        return Ok(None);
    }
    let mut states: Vec<String> = states.unwrap_or(DEFAULT_STATES).split(',').map(str::to_owned).collect();
    if let Some(unknown) = states.iter().find(|state| !STATES.split(',').any(|known| known == state.as_str())) {
        cx.warn(format_args!("ERROR: Invalid resource state {unknown} specified"));
        cx.warn(format_args!("INFO: valid states: {STATES}"));
        return Err(CmdError::Silent(1));
    }
    let (online, offline) = (states.iter().any(|s| s == "online"), states.iter().any(|s| s == "offline"));
    if states.iter().all(|state| state == "online" || state == "offline") {
        states.extend(DEFAULT_STATES.split(',').map(str::to_owned));
    }
    if states.iter().any(|state| state == "drain") {
        states.extend(["draining".to_owned(), "drained".to_owned()]);
    }
    Ok(Some(Shown { states, online: online || !offline, offline: offline || !online }))
}

/// A line for each state and drain reason, before like ones are combined.
fn pieces(status: &Status, shown: &Shown) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut push = |state, online, ranks: Idset, reason: &str, timestamp| {
        let hosts = status.hosts(&ranks);
        lines.push(Line { state, online, ranks, hosts, reason: reason.to_owned(), timestamp });
    };
    for state in ["avail", "exclude", "allocated", "torpid", "housekeeping"] {
        for (online, ranks) in [(true, &status.online), (false, &status.offline)] {
            if shown.has(state) && shown.status(online) {
                push(state, online, status.state(state).intersect(ranks), "", None);
            }
        }
    }
    for state in ["draining", "drained"] {
        let ranks = status.state(state);
        if shown.has(state) && ranks.is_empty() && shown.online {
            push(state, true, Idset::default(), "", None);
        }
        for rank in ranks.iter().filter(|_| shown.has(state)) {
            let online = status.online.contains(rank);
            let info = status.drain.iter().find(|(ranks, ..)| ranks.contains(rank));
            if let Some((_, time, reason)) = info.filter(|_| shown.status(online)) {
                push(state, online, Idset::range(rank, rank), reason, Some(*time));
            }
        }
    }
    lines
}

/// Lines that would look alike but for their nodes become one.
fn combined(format: &Format, pieces: Vec<Line>) -> Vec<Line> {
    let fields: Vec<String> = format
        .fields()
        .into_iter()
        .filter(|field| !["nodelist", "ranks", "nnodes"].contains(field))
        .map(str::to_owned)
        .collect();
    let key = |line: &Line| fields.iter().map(|field| line.field(field)).collect::<Vec<_>>();
    let mut lines: Vec<(Vec<Option<Value>>, Line)> = Vec::new();
    for piece in pieces {
        let key = key(&piece);
        match lines.iter_mut().find(|(known, _)| *known == key) {
            Some((_, line)) => {
                line.ranks.extend_from(&piece.ranks);
                line.hosts.extend(piece.hosts);
            }
            None => lines.push((key, piece)),
        }
    }
    lines.into_iter().map(|(_, line)| line).collect()
}

pub(super) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let skip = matches.get_flag("skip-empty") || text(matches, "states").is_none();
    print(matches, text(matches, "states"), &STATUS_FORMATS, skip, cx)
}

pub(super) fn drained(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    print(matches, Some("drain"), &DRAIN_FORMATS, true, cx)
}

fn print(matches: &ArgMatches, states: Option<&str>, formats: &Formats, skip: bool, cx: &mut Context) -> CmdResult {
    let Some(shown) = shown(states, cx)? else { return Ok(ExitCode::SUCCESS) };
    let chosen = text(matches, "format").unwrap_or("default");
    let Some(format) = formats.choose(chosen, |name| std::env::var(name).ok(), &mut cx.out)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let mut format = Format::parse(&format, HEADINGS)?;
    if !color::wanted(matches, cx)? {
        format = format.without(&["color_up", "color_off"]);
    }
    let names = queues(matches);
    let (mut status, config) = match given(matches, cx)? {
        Some((answer, config)) => (Status::of_answer(&answer, Idset::default(), Idset::default())?, config),
        None => {
            let mut flux = cx.open()?;
            let status = Status::get(&mut flux)?;
            let config = match names.is_empty() {
                true => Json::Null,
                false => flux.call("config.get", Target::Any, json!({})).map_err(CmdError::calling("config.get"))?,
            };
            (status, config)
        }
    };
    if !names.is_empty() {
        let ranks = ranks_of_queues(&names, &status.resources, &config)?;
        status.only(&ranks);
    }
    if let Some(targets) = text(matches, "include") {
        let ranks = included(targets, &status.resources)?;
        status.only(&ranks);
    }
    // What is drained shows as that, not as torpid too.
    for state in ["draining", "drained"] {
        if shown.has(state) {
            status.torpid = status.torpid.subtract(&status.state(state));
        }
    }
    let skip_offline = !shown.states.iter().any(|state| state == "offline");
    let mut lines = combined(&format, pieces(&status, &shown));
    lines.retain(|line| !line.hosts.is_empty() || !(skip || (!line.online && skip_offline)));
    let options = TableOptions { no_header: matches.get_flag("no-header"), width: None };
    format.print(&mut lines, options, &mut cx.out)??;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let answer = json!({
            "R": {"version": 1, "execution": {"R_lite": [{"rank": "0-4", "children": {"core": "0"}}],
                "starttime": 0.0, "expiration": 0.0, "nodelist": ["n[0-4]"]}},
            "online": "0-3", "offline": "4", "exclude": "0", "torpid": "",
            "drain": {"1": {"timestamp": 1.0, "reason": "bad"}, "2": {"timestamp": 1.0, "reason": "bad"}},
        });
        Status::of_answer(&answer, Idset::range(2, 2), Idset::default()).unwrap()
    }

    #[test]
    fn nodes_are_in_the_state_that_matters_most() {
        let status = status();
        let rows = [("avail", "3-4"), ("exclude", "0"), ("drained", "1"), ("draining", "2"), ("torpid", "")];
        for (state, want) in rows {
            assert_eq!(status.state(state).to_string(), want, "{state}");
        }
    }

    #[test]
    fn lines_that_look_alike_become_one() {
        let all =
            Shown { states: vec!["avail".into(), "draining".into(), "drained".into()], online: true, offline: true };
        let format = Format::parse("{state} {nodelist}", HEADINGS).unwrap();
        let mut lines = combined(&format, pieces(&status(), &all));
        let options = TableOptions { no_header: true, width: None };
        let want = ["avail n3", "avail* n4", "draining n2", "drained n1"];
        assert_eq!(format.lines(&mut lines, options).unwrap(), want);
        let format = Format::parse("{reason} {nodelist}", HEADINGS).unwrap();
        let mut lines = combined(&format, pieces(&status(), &all));
        assert_eq!(format.lines(&mut lines, options).unwrap(), [" n[3-4]", "bad n[2,1]"]);
    }
}
