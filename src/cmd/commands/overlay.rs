//! `flux overlay`: the tree of brokers.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command};
use flux_client::{ClientError, Errno, Fault, Handle, Rank, Target};
use flux_types::{Hostlist, Idset};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::commands::trace;
use crate::frame::args::{flag, option, text, verbose, verbosity, word};
use crate::frame::color::{self, BOLD_BLUE, RED, RESET, YELLOW};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::limits::OVERLAY_DEPTH_MAX;

const ROOT: Target = Target::Rank(Rank::ROOT);
const STATES: [&str; 5] = ["full", "partial", "degraded", "offline", "lost"];

pub fn command() -> Command {
    let timeout = || option("timeout", Some('t'), "FSD", "How long to wait for one broker (default 0.5s, 0: for ever)");
    let root = || option("rank", Some('r'), "NODEID", "The broker at the root of what is shown (default 0)");
    Command::new("overlay")
        .subcommand_required(true)
        .subcommand(
            Command::new("status").about("Display overlay subtree health status").args([
                root(),
                verbose(),
                timeout(),
                flag("summary", None, "Show only the root subtree status"),
                flag("down", None, "Show only the partial/degraded subtrees"),
                flag("no-pretty", None, "Do not show the tree by lines"),
                flag("no-ghost", None, "Nothing of brokers behind those that are gone"),
                color::arg(),
                option("highlight", Some('H'), "TARGET", "Mark these ranks or hosts, and those above them"),
                Arg::new("wait")
                    .long("wait")
                    .short('w')
                    .value_name("STATE")
                    .value_parser(STATES)
                    .help("Wait until the root is in this state"),
            ]),
        )
        .subcommand(Command::new("errors").about("Say what is wrong with brokers that are gone").arg(timeout()))
        .subcommand(
            Command::new("lookup")
                .about("Translate ranks to hosts, or hosts to ranks")
                .arg(word("TARGET", "Ranks or hosts")),
        )
        .subcommand(
            Command::new("parentof")
                .about("Print the rank above another")
                .arg(word("RANK", "The rank").value_parser(clap::value_parser!(u32))),
        )
        .subcommand(
            Command::new("disconnect")
                .about("Cut a subtree off")
                .arg(option("parent", Some('r'), "NODEID", "The rank above it"))
                .arg(word("TARGET", "The rank or host at the subtree's root")),
        )
        .subcommand(
            Command::new("trace")
                .about("Trace messages to and from other brokers")
                .args(trace::args())
                .arg(trace::peer())
                .arg(word("TOPIC-GLOB", "Only messages whose topic matches").required(false)),
        )
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("status", matches)) => status(matches, cx),
        Some(("errors", matches)) => errors(matches, cx),
        Some(("lookup", matches)) => lookup(matches, cx),
        Some(("parentof", matches)) => parentof(matches, cx),
        Some(("disconnect", matches)) => disconnect(matches, cx),
        Some(("trace", matches)) => trace::overlay(matches, cx),
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

#[derive(Clone, Debug, Deserialize)]
struct Health {
    rank: u32,
    status: String,
    #[serde(default)]
    duration: f64,
    #[serde(default)]
    children: Vec<Health>,
    error: Option<String>,
    /// Nothing is known of it but that it is behind one that is gone.
    #[serde(skip)]
    ghost: bool,
}

fn hosts(flux: &mut Handle) -> Result<Hostlist, CmdError> {
    let list = flux.attr("hostlist")?;
    Hostlist::parse(&list).map_err(|error| CmdError::about("the attribute hostlist", error))
}

fn timeout(matches: &ArgMatches) -> Result<Option<Duration>, CmdError> {
    let text = text(matches, "timeout").unwrap_or("0.5");
    let seconds =
        flux_types::parse_fsd(text).ok_or_else(|| CmdError::usage(format!("--timeout={text}: no duration")))?;
    Ok(Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero()))
}

fn health(flux: &mut Handle, rank: u32, timeout: Option<Duration>) -> Result<Health, ClientError> {
    let answer = flux.call_within("overlay.health", Target::Rank(Rank(rank)), json!({}), timeout)?;
    Ok(answer.decode()?)
}

struct View<'a> {
    hosts: Hostlist,
    /// The tree as it is configured: children by rank.
    topology: BTreeMap<u32, Vec<u32>>,
    timeout: Option<Duration>,
    verbose: u32,
    down_only: bool,
    pretty: bool,
    ghosts: bool,
    color: bool,
    highlight: Idset,
    flux: &'a mut Handle,
}

fn status(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let rank: u32 = match text(matches, "rank") {
        None => 0,
        Some(rank) => rank.parse().map_err(|_| CmdError::usage(format!("--rank={rank}: give a rank")))?,
    };
    let timeout = timeout(matches)?;
    let mut flux = cx.open()?;
    let mut started = Instant::now();
    let mut root = health(&mut flux, rank, timeout).map_err(CmdError::calling(format!("rank {rank}")))?;
    if let Some(state) = text(matches, "wait") {
        // One that is asked for is for all of the waiting.
        let deadline = timeout.filter(|_| text(matches, "timeout").is_some()).map(|span| started + span);
        let ticket = flux.send("overlay.health", Target::Rank(Rank(rank)), json!({}), true)?;
        while root.status != state {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            match flux.wait(ticket, left)? {
                Some(message) => match Fault::of(&message) {
                    None => root = message.decode().map_err(ClientError::from)?,
                    Some(fault) => return Err(CmdError::about("overlay.health", fault)),
                },
                None => return Err(CmdError::new("Connection timed out")),
            }
        }
        flux.forget(ticket);
        started = Instant::now();
    }
    if matches.get_flag("summary") {
        cx.line(&root.status)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rpc_ms = started.elapsed().as_secs_f64() * 1e3;
    let hosts = hosts(&mut flux)?;
    let topology = topology(&mut flux, rank)?;
    let highlight = match text(matches, "highlight") {
        Some(target) => with_ancestors(&ranks_of(target, &hosts)?, &topology),
        None => Idset::default(),
    };
    let mut view = View {
        hosts,
        topology,
        timeout,
        verbose: verbosity(matches),
        down_only: matches.get_flag("down"),
        pretty: !matches.get_flag("no-pretty"),
        ghosts: !matches.get_flag("no-ghost"),
        color: color::wanted(matches, cx)?,
        highlight,
        flux: &mut flux,
    };
    view.show(&root, Some(rpc_ms), "", "", cx)?;
    Ok(ExitCode::SUCCESS)
}

/// `{rank, size, children: [{rank, ...}]}`, as children by rank.
fn topology(flux: &mut Handle, rank: u32) -> Result<BTreeMap<u32, Vec<u32>>, CmdError> {
    let answer =
        flux.call("overlay.topology", ROOT, json!({"rank": rank})).map_err(CmdError::calling("overlay.topology"))?;
    let mut tree = BTreeMap::new();
    let mut rest = vec![(&answer, 0)];
    while let Some((node, depth)) = rest.pop() {
        let rank_of = |node: &Value| node["rank"].as_u64().and_then(|rank| u32::try_from(rank).ok());
        let children: Vec<&Value> = node["children"].as_array().into_iter().flatten().collect();
        if let Some(rank) = rank_of(node) {
            tree.insert(rank, children.iter().filter_map(|child| rank_of(child)).collect());
        }
        if depth < OVERLAY_DEPTH_MAX {
            rest.extend(children.into_iter().map(|child| (child, depth + 1)));
        }
    }
    Ok(tree)
}

fn with_ancestors(ranks: &Idset, topology: &BTreeMap<u32, Vec<u32>>) -> Idset {
    let mut all = ranks.clone();
    for start in ranks.iter() {
        let mut rank = start;
        while let Some((parent, _)) = topology.iter().find(|(_, children)| children.contains(&rank)) {
            all.insert(*parent);
            rank = *parent;
        }
    }
    all
}

/// Ranks, or hosts by their names.
fn ranks_of(target: &str, hosts: &Hostlist) -> Result<Idset, CmdError> {
    if let Ok(ranks) = Idset::parse(target) {
        return Ok(ranks);
    }
    let names = Hostlist::parse(target).map_err(|error| CmdError::about(target, error))?;
    let rank = |name: String| {
        let place = hosts.find(&name).ok_or_else(|| CmdError::new(format!("host {name} not found in host map")))?;
        Ok(place as u32)
    };
    names.iter().map(rank).collect()
}

impl View<'_> {
    /// One broker and what is below it. `first` stands before its name, `rest` before those below.
    fn show(
        &mut self,
        node: &Health,
        rpc_ms: Option<f64>,
        first: &str,
        rest: &str,
        cx: &mut Context,
    ) -> Result<(), CmdError> {
        if self.down_only && node.status == "full" {
            return Ok(());
        }
        cx.line(format_args!("{first}{}", self.line(node, rpc_ms)))?;
        let children = self.children(node)?;
        let last = children.len();
        for (nth, (child, rpc_ms)) in children.into_iter().enumerate() {
            let (branch, trunk) = match (self.pretty, nth + 1 == last) {
                (false, _) => ("", ""),
                (true, true) => ("└─ ", "   "),
                (true, false) => ("├─ ", "│  "),
            };
            self.show(&child, rpc_ms, &format!("{rest}{branch}"), &format!("{rest}{trunk}"), cx)?;
        }
        Ok(())
    }

    fn line(&self, node: &Health, rpc_ms: Option<f64>) -> String {
        let host = self.hosts.nth(node.rank as usize).unwrap_or_default();
        let status_color = match node.status.as_str() {
            _ if node.ghost => "\x1b[90m",
            "lost" => RED,
            "offline" => YELLOW,
            _ => "",
        };
        let paint = |color: &str, text: String| match self.color && !color.is_empty() {
            true => format!("{color}{text}{RESET}"),
            false => text,
        };
        let name = format!("{} {host}", node.rank);
        let marked = self.highlight.contains(node.rank);
        let name = if marked && !self.color {
            format!("<<{name}>>")
        } else {
            paint(if marked { BOLD_BLUE } else { "" }, name)
        };
        let mut line = format!("{name}: {}", paint(status_color, node.status.clone()));
        if self.verbose >= 1 && node.duration > 0.0 {
            line.push_str(&format!(" for {}", flux_types::format_fsd(node.duration).unwrap_or_default()));
        }
        if let Some(error) = node.error.as_ref().filter(|error| !error.is_empty()) {
            line.push_str(&format!(" {error}"));
        }
        if let Some(rpc_ms) = rpc_ms.filter(|_| self.verbose >= 2) {
            line.push_str(&format!(" ({rpc_ms:.3} ms)"));
        }
        line
    }

    /// What each child says of itself; one that does not answer is as its parent sees it.
    fn children(&mut self, node: &Health) -> Result<Vec<(Health, Option<f64>)>, CmdError> {
        if matches!(node.status.as_str(), "offline" | "lost") {
            let ghosts =
                if self.ghosts { self.topology.get(&node.rank).cloned().unwrap_or_default() } else { Vec::new() };
            let ghost = |rank| Health {
                rank,
                status: node.status.clone(),
                duration: 0.0,
                children: Vec::new(),
                error: None,
                ghost: true,
            };
            return Ok(ghosts.into_iter().map(|rank| (ghost(rank), None)).collect());
        }
        let mut out = Vec::new();
        for child in &node.children {
            let gone = matches!(child.status.as_str(), "offline" | "lost");
            let is_leaf = self.topology.get(&child.rank).is_none_or(Vec::is_empty);
            if gone || (is_leaf && self.verbose < 2) {
                out.push((child.clone(), None));
                continue;
            }
            let started = Instant::now();
            match health(self.flux, child.rank, self.timeout) {
                Ok(health) => out.push((health, Some(started.elapsed().as_secs_f64() * 1e3))),
                Err(error) if matches!(error.errno(), Errno::ETIMEDOUT | Errno::EHOSTUNREACH) => {
                    let why = Some(format!("does not answer: {error}"));
                    out.push((Health { error: why, ..child.clone() }, None));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(out)
    }
}

fn errors(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let timeout = timeout(matches)?;
    let mut flux = cx.open()?;
    let hosts = hosts(&mut flux)?;
    let mut by_error: BTreeMap<String, Idset> = BTreeMap::new();
    let mut rest = vec![(0, 0)];
    while let Some((rank, depth)) = rest.pop() {
        let node = match health(&mut flux, rank, timeout) {
            Ok(node) => node,
            Err(error) => {
                by_error.entry(error.to_string()).or_default().insert(rank);
                continue;
            }
        };
        for child in node.children {
            if matches!(child.status.as_str(), "offline" | "lost") {
                if let Some(error) = child.error.filter(|error| !error.is_empty()) {
                    by_error.entry(error).or_default().insert(child.rank);
                }
            } else if depth < OVERLAY_DEPTH_MAX && !child.children.is_empty() {
                rest.push((child.rank, depth + 1));
            }
        }
    }
    for (error, ranks) in by_error {
        cx.line(format_args!("{}: {error}", hosts.select(&ranks)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn lookup(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let target = text(matches, "TARGET").unwrap_or_default();
    let hosts = hosts(&mut cx.open()?)?;
    let ranks = ranks_of(target, &hosts)?;
    match Idset::parse(target) {
        Ok(_) if ranks.last().is_some_and(|rank| rank as usize >= hosts.count()) => {
            let count = hosts.count() as u32;
            let beyond: Idset = ranks.iter().filter(|rank| *rank >= count).collect();
            Err(CmdError::new(format!("rank {beyond} is not in host map")))
        }
        Ok(_) => {
            cx.line(hosts.select(&ranks))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(_) => {
            cx.line(ranks)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn parentof(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let rank = matches.get_one::<u32>("RANK").copied().unwrap_or(0);
    let tree = topology(&mut cx.open()?, 0)?;
    cx.line(parent_of(&tree, rank)?)?;
    Ok(ExitCode::SUCCESS)
}

fn parent_of(tree: &BTreeMap<u32, Vec<u32>>, rank: u32) -> Result<u32, CmdError> {
    if !tree.contains_key(&rank) {
        return Err(CmdError::new(format!("{rank} is not a valid rank in this instance")));
    }
    let parent = tree.iter().find(|(_, children)| children.contains(&rank));
    let (parent, _) = parent.ok_or_else(|| CmdError::new(format!("{rank} has no parent")))?;
    Ok(*parent)
}

fn disconnect(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut flux = cx.open()?;
    let hosts = hosts(&mut flux)?;
    let ranks = ranks_of(text(matches, "TARGET").unwrap_or_default(), &hosts).unwrap_or_default();
    let rank = ranks.first().filter(|_| ranks.count() == 1);
    let rank = rank.ok_or_else(|| CmdError::new("TARGET must be a valid rank or hostname"))?;
    let parent = match text(matches, "parent") {
        Some(text) => text.parse().map_err(|_| CmdError::usage(format!("--parent={text}: give a rank")))?,
        None => parent_of(&topology(&mut flux, 0)?, rank)?,
    };
    let host = |rank: u32| hosts.nth(rank as usize).unwrap_or_default();
    let (above, below) = (host(parent), host(rank));
    cx.warn(format_args!("asking {above} (rank {parent}) to disconnect child {below} (rank {rank})"));
    flux.call("overlay.disconnect-subtree", Target::Rank(Rank(parent)), json!({"rank": rank}))
        .map_err(CmdError::calling("overlay.disconnect-subtree"))?;
    Ok(ExitCode::SUCCESS)
}
