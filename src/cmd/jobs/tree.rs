//! `flux pstree`: jobs, and the jobs of those that are instances, as a tree.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::rc::Rc;

use clap::{ArgMatches, Command};
use flux_client::Handle;
use flux_types::{JobId, JobState};
use serde_json::json;

use super::fields::headings;
use super::info::{JobInfo, Shared};
use super::instance::Instance;
use super::query::{self, Query};
use crate::format::{Format, cut_line};
use crate::frame::args::{flag, integer, option, text, texts, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::submit::refused;

const DETAILS: &[(&str, &str)] = &[
    ("default", "{id.f58:>12} {username:<8.8} {status_abbrev:>2.2} {ntasks:>6h} {nnodes:>6h} {runtime!F:>8h}"),
    (
        "resources",
        "{id.f58:>12} {instance.resources.all.nnodes:>5} {instance.resources.allocated.nnodes:>5} \
         {instance.resources.all.ncores:>5} {instance.resources.allocated.ncores:>5} \
         {instance.resources.all.ngpus:>5} {instance.resources.allocated.ngpus:>5}",
    ),
    (
        "progress",
        "{id.f58:>12} {ntasks:>6h} {instance.stats.total:>6} {instance.progress!P:>5} {instance.utilization!P:>5} \
         {instance.gpu_utilization!P:>5} {runtime!H:>10}",
    ),
    ("stats", "{id.f58:>12} {instance.stats:^25} {runtime!H:>10}"),
];

/// Width of lines where there is no terminal.
const COLUMNS_DEFAULT: usize = 132;

pub(crate) fn command() -> Command {
    Command::new("pstree")
        .arg(flag("all", Some('a'), "Include all jobs for current user in all states"))
        .arg(option("count", Some('c'), "N", "Limit to N jobs per instance (default 1000)"))
        .arg(option("filter", Some('f'), "STATE|RESULT", "list jobs with specific job state or result"))
        .arg(flag("extended", Some('x'), "print extended details before tree output"))
        .arg(flag("long", Some('l'), "do not truncate long lines to terminal width"))
        .arg(option("level", Some('L'), "N", "only descend N levels"))
        .arg(flag("parent-ids", Some('p'), "include jobids in parent labels"))
        .arg(flag("no-header", Some('n'), "Suppress header with -x, --extended"))
        .arg(flag("no-combine", Some('X'), "disable combination of identical children"))
        .arg(option("label", Some('o'), "FORMAT", "change label format (default='{name}')"))
        .arg(option("parent-label", None, "FORMAT", "change label format for parent only"))
        .arg(option("detail-format", None, "FORMAT", "specify output format for extended details (implies -x, --extended)"))
        .arg(option("details", Some('d'), "NAME", "Select a named extended details format (default,resources,progress,stats)"))
        .arg(flag("compact", Some('C'), "Use compact tree connectors"))
        .arg(flag("ascii", None, "Use ASCII character tree connectors"))
        .arg(option("skip-root", None, "yes|no", "suppress or include the enclosing instance in output. Default is 'no' unless the -x, --extended or -d, --details options are used."))
        .arg(words("JOBID", "Limit output to specific jobids"))
}

/// A node of the tree, ready to be printed.
#[derive(Debug, Default)]
struct Node {
    prefix: String,
    label: String,
    count: usize,
    children: Vec<Node>,
}

impl Node {
    /// Adds a child; one without children of its own melts into another that looks the same.
    fn add(&mut self, child: Node, combine: bool) {
        let same = |known: &&mut Node| {
            known.children.is_empty() && (&known.prefix, &known.label) == (&child.prefix, &child.label)
        };
        match self.children.iter_mut().find(same).filter(|_| combine && child.children.is_empty()) {
            Some(known) => known.count += 1,
            None => self.children.push(child),
        }
    }

    fn lines(&self, style: &Style, before: &str, connector: &str, out: &mut Vec<String>) {
        let label = match self.count {
            0 | 1 => self.label.clone(),
            count => format!("{count}*[{}]", self.label),
        };
        let space = if self.prefix.is_empty() { "" } else { " " };
        out.push(format!("{}{space}{before}{connector}{label}", self.prefix));
        let below = match connector {
            "" => String::new(),
            c if c == style.elbow => format!("{before}{}", style.blank),
            _ => format!("{before}{}", style.pipe),
        };
        for (at, child) in self.children.iter().enumerate() {
            let connector = if at + 1 == self.children.len() { style.elbow } else { style.tee };
            child.lines(style, &below, connector, out);
        }
    }
}

struct Style {
    pipe: &'static str,
    tee: &'static str,
    elbow: &'static str,
    blank: &'static str,
}

const BOX: Style = Style { pipe: "│   ", tee: "├── ", elbow: "└── ", blank: "    " };
const COMPACT: Style = Style { pipe: "│ ", tee: "├─", elbow: "└─", blank: "  " };
const ASCII: Style = Style { pipe: "|   ", tee: "|-- ", elbow: "`-- ", blank: "    " };

/// How jobs become nodes.
struct Labels {
    label: Format,
    parent: Format,
    details: Option<Format>,
    attributes: BTreeSet<&'static str>,
    wants_instances: bool,
}

impl Labels {
    fn of(matches: &ArgMatches) -> Result<Labels, CmdError> {
        let all = matches.get_flag("all");
        let given = text(matches, "label");
        let label = given.unwrap_or(if all { "{name}:{status_abbrev}" } else { "{name}" });
        let parent = text(matches, "parent-label").or(given).unwrap_or("{name}");
        let parent = if matches.get_flag("parent-ids") { format!("{{id.f58}} {parent}") } else { parent.to_owned() };
        let named = text(matches, "details");
        let details = match (text(matches, "detail-format"), named.is_some() || matches.get_flag("extended")) {
            (Some(format), _) => Some(format),
            (None, false) => None,
            (None, true) => {
                let name = named.unwrap_or("default");
                let found = DETAILS.iter().find(|(known, _)| *known == name);
                Some(found.ok_or_else(|| refused(format_args!("Unknown --details format '{name}'")))?.1)
            }
        };
        let parse = |format: &str| Format::parse(format, headings(format)).map_err(refused);
        let (label, parent, details) = (parse(label)?, parse(&parent)?, details.map(parse).transpose()?);
        let mut fields: Vec<&str> = ["status", "uri", "userid"].to_vec();
        for format in [Some(&label), Some(&parent), details.as_ref()].into_iter().flatten() {
            fields.extend(format.fields());
        }
        let attributes = super::fields::attributes(fields.iter().copied());
        let wants_instances = fields.iter().any(|field| field.starts_with("instance."));
        Ok(Labels { label, parent, details, attributes, wants_instances })
    }

    fn node(&self, job: &JobInfo, is_parent: bool) -> Result<Node, CmdError> {
        let label = if is_parent { &self.parent } else { &self.label }.line(job)?;
        let prefix = self.details.as_ref().map_or(Ok(String::new()), |format| format.line(job))?;
        Ok(Node { prefix, label, count: 1, children: Vec::new() })
    }
}

/// One walk over instances.
struct Walk {
    labels: Labels,
    query: Query,
    ids: Vec<(String, JobId)>,
    combine: bool,
    level_max: u32,
    shared: Rc<Shared>,
}

impl Walk {
    /// Puts an instance's jobs below a node. One that does not answer has none that we can see.
    fn fill(&self, node: &mut Node, flux: &mut Handle, level: u32, root_shown: bool) -> Result<(), CmdError> {
        if level > self.level_max {
            return Ok(());
        }
        let mut jobs = if level == 0 && !self.ids.is_empty() {
            let ids: Vec<_> = self.ids.iter().map(|(name, id)| (name.as_str(), *id)).collect();
            let (jobs, missing) = query::by_id(flux, &ids, &self.labels.attributes, &self.shared)?;
            missing.iter().for_each(|sentence| say!("{sentence}"));
            jobs
        } else {
            let mut query = self.query.clone();
            if level == 0 && !root_shown {
                // The filters are for what is below the jobs of this instance.
                (query.states, query.results) = (0, 0);
                query.filter("running")?;
            }
            match query.run(flux, &self.labels.attributes, &self.shared) {
                Ok(jobs) => jobs,
                Err(_) if level > 0 => return Ok(()),
                Err(error) => return Err(error),
            }
        };
        for job in &mut jobs {
            if self.labels.wants_instances {
                job.instance = Instance::of(job);
            }
            let is_parent = job.uri().is_some() && job.state() == Some(JobState::Run);
            let mut child = self.labels.node(job, is_parent)?;
            if is_parent && let Some(mut flux) = job.reachable_uri().and_then(|uri| Handle::open_uri(&uri).ok()) {
                self.fill(&mut child, &mut flux, level + 1, root_shown)?;
            }
            node.add(child, self.combine);
        }
        Ok(())
    }

    /// This instance, as a job: its parent knows it, if there is one.
    fn root(&self, flux: &mut Handle) -> Result<JobInfo, CmdError> {
        let size = flux.attr("size").ok().and_then(|size| size.parse::<u32>().ok()).unwrap_or(1);
        let known = self.known_to_parent(flux);
        let mut job = match known {
            Some(job) => job,
            None => {
                let attr = |flux: &mut Handle, name: &str| flux.attr(name).unwrap_or_default();
                let owner: u32 = attr(flux, "security.owner").parse().unwrap_or(0);
                let started: f64 = attr(flux, "broker.starttime").parse().unwrap_or(0.0);
                let (uri, hosts) = (attr(flux, "local-uri"), attr(flux, "hostlist"));
                let job = json!({"id": 0, "userid": owner, "state": JobState::Run.bit(), "name": ".", "ntasks": size,
                    "nnodes": size, "nodelist": hosts, "t_run": started, "annotations": {"user": {"uri": uri}}});
                JobInfo::new(job, &self.shared).ok_or_else(|| refused("cannot describe this instance"))?
            }
        };
        job.fields.insert("ranks", json!(format!("0-{}", size.saturating_sub(1))));
        if self.labels.wants_instances {
            job.instance = Instance::of(&job);
        }
        Ok(job)
    }

    fn known_to_parent(&self, flux: &mut Handle) -> Option<JobInfo> {
        let name = flux.attr("jobid").ok()?;
        let id = JobId::parse(&name).ok()?;
        let mut parent = Handle::open_uri(&flux.attr("parent-uri").ok()?).ok()?;
        let attributes = BTreeSet::from(["all"]);
        let (mut jobs, _) = query::by_id(&mut parent, &[(name.as_str(), id)], &attributes, &self.shared).ok()?;
        jobs.pop()
    }
}

pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let style = match (matches.get_flag("ascii"), matches.get_flag("compact")) {
        (true, true) => return Err(refused("Choose only one of --ascii, --compact")),
        (true, false) => ASCII,
        (false, true) => COMPACT,
        (false, false) => BOX,
    };
    // Below zero is as if it were zero: all of them, and the root alone.
    let at_least_0 = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
    let count = at_least_0(integer(matches, "count", "-c/--count", 1000)?);
    let level_max = at_least_0(integer(matches, "level", "-L/--level", 999)?);
    let mut query = Query { max_entries: count, ..Query::default() };
    query.set_user(None)?;
    query.filter(match matches.get_flag("all") {
        true => "pending,running,inactive",
        false => text(matches, "filter").unwrap_or("running"),
    })?;
    let bad = |name: &str| CmdError::usage(format!("error: argument JOBID: invalid JobID value: '{name}'"));
    let ids = texts(matches, "JOBID")
        .into_iter()
        .map(|name| Ok((name.to_owned(), JobId::parse(name).map_err(|_| bad(name))?)));
    if matches.contains_id("JOBID") && (matches.get_flag("all") || matches.contains_id("filter")) {
        say!("flux-pstree: WARNING: filtering options ignored with jobid list");
    }
    let walk = Walk {
        labels: Labels::of(matches)?,
        query,
        ids: ids.collect::<Result<_, CmdError>>()?,
        combine: !matches.get_flag("no-combine"),
        level_max,
        shared: Shared::new(cx.var("FLUX_URI_RESOLVE_LOCAL").is_some()),
    };
    let skip_root = match text(matches, "skip-root") {
        None => walk.labels.details.is_some() || !walk.ids.is_empty(),
        Some("yes") => true,
        Some("no") => false,
        Some(_) => return Err(refused("--skip-root requires either 'yes' or 'no'")),
    };
    let mut flux = cx.open()?;
    let mut root = match skip_root {
        true => Node::default(),
        false => walk.labels.node(&walk.root(&mut flux)?, true)?,
    };
    walk.fill(&mut root, &mut flux, 0, !skip_root)?;
    if let Some(details) = walk.labels.details.as_ref().filter(|_| !matches.get_flag("no-header")) {
        cx.line(details.header())?;
    }
    let columns = || {
        let given = cx.var("COLUMNS").and_then(|text| text.parse().ok()).filter(|columns| *columns > 0);
        let terminal = || flux_sys::terminal::size(std::io::stdout()).map(|size| usize::from(size.columns));
        given.or_else(|| terminal().ok()).unwrap_or(COLUMNS_DEFAULT)
    };
    let width = (!matches.get_flag("long")).then(columns);
    let mut lines = Vec::new();
    if skip_root {
        root.children.iter().for_each(|child| child.lines(&style, "", "", &mut lines));
    } else {
        root.lines(&style, "", "", &mut lines);
    }
    for line in lines {
        cx.line(cut_line(line, width))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(label: &str) -> Node {
        Node { label: label.to_owned(), count: 1, ..Node::default() }
    }

    #[test]
    fn a_tree_is_drawn_and_what_looks_alike_is_combined() {
        let mut inner = leaf("flux");
        for _ in 0..3 {
            inner.add(leaf("sleep"), true);
        }
        inner.add(leaf("true"), true);
        let mut root = leaf(".");
        root.add(inner, true);
        root.add(leaf("sleep"), true);
        root.add(leaf("sleep"), false);
        let mut lines = Vec::new();
        root.lines(&BOX, "", "", &mut lines);
        let want = [".", "├── flux", "│   ├── 3*[sleep]", "│   └── true", "├── sleep", "└── sleep"];
        assert_eq!(lines, want);
        lines.clear();
        root.children[0].lines(&COMPACT, "", "", &mut lines);
        assert_eq!(lines, ["flux", "├─3*[sleep]", "└─true"]);
    }
}
