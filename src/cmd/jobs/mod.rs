//! `flux jobs`: lists jobs.

pub(crate) mod attributes;
pub(crate) mod explain;
pub(crate) mod fields;
pub(crate) mod info;
mod instance;
pub(crate) mod query;
pub(crate) mod search;
pub(crate) mod stats;
pub(crate) mod top;
pub(crate) mod tree;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;
use std::rc::Rc;

use clap::{Arg, ArgMatches, Command};
use flux_client::Handle;
use flux_sys::ids::Ids;
use flux_types::json::to_spaced_string;
use flux_types::{JobId, JobResult, StateSet};
use serde_json::{Map, Value, json};

use crate::format::{Format, FormatError, Formats, Named};
use crate::frame::args::{flag, integer, many, option, text, texts, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::jobid::shown;
use crate::submit::{refused, times};
use info::{JobInfo, Shared};
use instance::Instance;
use query::Query;
use stats::Stats;

const COUNT_DEFAULT: i64 = 1000;

fn bad_format(error: FormatError) -> CmdError {
    match error {
        FormatError::UnknownField(_) => refused(format_args!("Error in user format: {error}")),
        other => refused(other),
    }
}

/// As job-list says it of a negative number.
fn max_entries(count: i64) -> Result<u32, CmdError> {
    u32::try_from(count).map_err(|_| refused("invalid payload: max_entries < 0 not allowed"))
}

const BUILTIN: &[Named] = &[
    Named {
        name: "default",
        description: "Default flux-jobs format string",
        format: "{id.f58:>12} ?:{queue:<8.8} +:{username:<8} {name:<10.10+} {status_abbrev:>2.2} {ntasks:>6} \
                 {nnodes:>6h} {contextual_time!F:>8h} {contextual_info}",
    },
    Named {
        name: "cute",
        description: "Cute flux-jobs format string (default with emojis)",
        format: "{id.f58:>12} ?:{queue:<8.8} +:{username:<8} {name:<10.10+} {status_emoji:>5.5} {ntasks:>6} \
                 {nnodes:>6h} {contextual_time!F:>8h} {contextual_info}",
    },
    Named {
        name: "long",
        description: "Extended flux-jobs format string",
        format: "{id.f58:>12} ?:{queue:<8.8} +:{username:<8} {name:<10.10+} {status:>9.9} {ntasks:>6} {nnodes:>6h} \
                 {t_submit!d:%b%d %R::>12} {t_remaining!F:>12h} {contextual_time!F:>8h} {contextual_info}",
    },
    Named {
        name: "deps",
        description: "Show job urgency, priority, and dependencies",
        format: "{id.f58:>12} ?:{queue:<8.8} {name:<10.10+} {urgency:<3} {priority:<12} {state:<8.8} {dependencies}",
    },
    Named {
        name: "endreason",
        description: "Show why each job ended",
        format: "{id.f58:>12} ?:{queue:<8.8} +:{username:<8} {name:<10.10+} {status_abbrev:>2.2} \
                 {t_inactive!d:%b%d %R::>12h} {inactive_reason}",
    },
];

const FORMATS: Formats = Formats { tool: "flux-jobs", subcommand: None, builtin: BUILTIN };

pub(crate) fn command() -> Command {
    let color = Arg::new("color").long("color").value_name("WHEN").num_args(0..=1).require_equals(true);
    let width = Arg::new("width").long("width").short('w').value_name("N").num_args(0..=1);
    Command::new("jobs")
        .arg(Arg::new("a").short('a').action(clap::ArgAction::SetTrue).help("List jobs in all states"))
        .arg(Arg::new("A").short('A').action(clap::ArgAction::SetTrue).help("List all jobs for all users"))
        .arg(option("count", Some('c'), "N", "Limit output to N jobs (default 1000)"))
        .arg(many("filter", Some('f'), "STATE|RESULT", "List jobs with specific job state or result"))
        .arg(option("since", None, "WHEN", "Include jobs that have become inactive since WHEN. (implies -a if no other --filter option is specified)"))
        .arg(flag("no-header", Some('n'), "Suppress printing of header line").alias("suppress-header"))
        .arg(option("user", Some('u'), "[USERNAME|UID]", "Limit output to specific username or userid (Specify \"all\" for all users)"))
        .arg(option("name", None, "JOB-NAME", "Limit output to specific job name"))
        .arg(many("queue", Some('q'), "QUEUE,...", "Limit output to specific queue or queues"))
        .arg(option("include", Some('i'), "HOSTS|RANKS", "Limit output to jobs that were allocated to the specified HOSTS or RANKS provided as a hostlist or idset."))
        .arg(option("format", Some('o'), "FORMAT", "Specify output format using Python's string format syntax or a defined format by name (use 'help' to get a list of names)"))
        .arg(option("sort", None, "KEY,...", "Specify sort order"))
        .arg(width.default_missing_value("0").help("Truncate output at width N. If N=0 (default if N omitted) and stdout is connected to a terminal, use terminal width"))
        .arg(flag("json", None, "Output jobs in JSON instead of formatted output"))
        .arg(color.default_missing_value("always").help("Use color; WHEN can be 'never', 'always', or 'auto' (default)"))
        .arg(flag("recursive", Some('R'), "List jobs recursively"))
        .arg(option("level", Some('L'), "N", "With --recursive, only descend N levels"))
        .arg(flag("recurse-all", None, "With --recursive, attempt to recurse all jobs, not just jobs of current user"))
        .arg(option("threads", None, "N", "Accepted and ignored: one connection asks for all").hide(true))
        .arg(flag("stats", None, "Print job statistics before header"))
        .arg(flag("stats-only", None, "Print job statistics only and exit. Exits with non-zero status if there are no active jobs"))
        .arg(flag("from-stdin", None, "Read jobs as JSON from standard input").hide(true))
        .arg(words("JOBID", "Limit output to specific Job IDs"))
}

/// What was asked for.
struct Listing {
    query: Query,
    ids: Vec<(String, JobId)>,
    format: Format,
    count: u32,
    no_header: bool,
    width: Option<usize>,
    json: bool,
    color: bool,
    stats: bool,
    recursive: bool,
    recurse_all: bool,
    level_max: u32,
    attributes: BTreeSet<&'static str>,
    wants_instances: bool,
    wants_explain: bool,
    shared: Rc<Shared>,
}

pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    if matches.get_flag("json") && (matches.get_flag("stats") || matches.get_flag("stats-only")) {
        return Err(refused("--json incompatible with --stats or --stats-only"));
    }
    let Some(listing) = Listing::of(matches, cx)? else { return Ok(ExitCode::SUCCESS) };
    let mut flux = if matches.get_flag("from-stdin") { None } else { Some(cx.open()?) };
    if let Some(flux) = flux.as_mut().filter(|_| listing.stats || matches.get_flag("stats-only")) {
        let stats = Stats::fetch(flux, &listing.query.queues)?;
        cx.line(format_args!("{}, {} inactive purged", stats.sentence(), stats.purged))?;
        if matches.get_flag("stats-only") {
            return Ok(if stats.active() > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    let (jobs, truncated) = match &mut flux {
        Some(flux) => listing.fetch(flux, true)?,
        None => (listing.read_stdin(cx)?, false),
    };
    if !listing.ids.is_empty() && jobs.is_empty() {
        return Err(CmdError::Silent(1)); // What is missing was named.
    }
    if listing.json {
        return listing.print_json(jobs, cx);
    }
    let fitted = listing.format.fitted(&jobs, listing.no_header)?;
    if !listing.no_header {
        cx.line(crate::format::cut_line(fitted.header(), listing.width))?;
    }
    listing.print(jobs, &fitted, "", 0, cx)?;
    if !listing.no_header && truncated {
        cx.out.flush()?;
        say!("warning: output truncated at {} jobs.", listing.count);
        say!("Use --count to increase returned results or use filters to alter results.");
    }
    Ok(ExitCode::SUCCESS)
}

impl Listing {
    /// `None` if help was asked for and printed.
    fn of(matches: &ArgMatches, cx: &mut Context) -> Result<Option<Listing>, CmdError> {
        let chosen = text(matches, "format").unwrap_or("default");
        let vars = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let chosen = FORMATS.choose(chosen, vars, &mut cx.out).map_err(refused)?;
        let Some(chosen) = chosen else { return Ok(None) };
        let mut format = Format::parse(&chosen, fields::headings(&chosen)).map_err(bad_format)?;
        if let Some(keys) = text(matches, "sort") {
            format.sort_by(keys).map_err(refused)?;
        }
        integer(matches, "threads", "--threads", 0)?;
        let count = max_entries(integer(matches, "count", "-c/--count", COUNT_DEFAULT)?)?;
        let level_max = u32::try_from(integer(matches, "level", "-L/--level", 9999)?).unwrap_or(0);
        let recurse_all = matches.get_flag("recurse-all");
        let recursive = recurse_all || matches.get_flag("recursive");
        let json = matches.get_flag("json");
        let color = color(text(matches, "color"), cx)?;
        let mut attributes = fields::attributes(format.fields());
        if color {
            attributes.extend(fields::attributes(["result", "annotations"]));
        }
        if recursive {
            attributes.extend(fields::attributes(["annotations", "status", "userid"]));
        }
        if json {
            attributes.insert("all");
        }
        let mut ids = Vec::new();
        for name in texts(matches, "JOBID") {
            let id = JobId::parse(name);
            let bad = |_| CmdError::usage(format!("error: argument JOBID: invalid JobID value: '{name}'"));
            ids.push((name.to_owned(), id.map_err(bad)?));
        }
        let query = query(matches, count, cx)?;
        let filtered =
            ["count", "filter", "since", "user", "name", "queue"].iter().any(|name| matches.contains_id(name));
        if !ids.is_empty() && !recursive && (filtered || matches.get_flag("a") || matches.get_flag("A")) {
            say!("flux-jobs: WARNING: Filtering options ignored with jobid list");
        }
        let wants_instances = format.fields().iter().any(|field| field.starts_with("instance."));
        let wants_explain = json || format.fields().contains(&"explain");
        let shared = Shared::new(cx.var("FLUX_URI_RESOLVE_LOCAL").is_some());
        Ok(Some(Listing {
            query,
            ids,
            count,
            no_header: json || matches.get_flag("no-header"),
            width: width(text(matches, "width"), cx)?,
            json,
            color,
            stats: matches.get_flag("stats"),
            recursive,
            recurse_all,
            level_max,
            attributes,
            wants_instances,
            wants_explain,
            shared,
            format,
        }))
    }

    /// The jobs, and whether there are more than were asked for.
    fn fetch(&self, flux: &mut Handle, by_id: bool) -> Result<(Vec<JobInfo>, bool), CmdError> {
        let mut jobs = if by_id && !self.ids.is_empty() {
            let ids: Vec<_> = self.ids.iter().map(|(name, id)| (name.as_str(), *id)).collect();
            let (jobs, missing) = query::by_id(flux, &ids, &self.attributes, &self.shared)?;
            missing.iter().for_each(|sentence| say!("{sentence}"));
            jobs
        } else {
            self.query.run(flux, &self.attributes, &self.shared)?
        };
        let truncated = self.count > 0 && jobs.len() > self.count as usize;
        if truncated {
            jobs.truncate(self.count as usize);
        }
        if self.wants_instances {
            for job in &mut jobs {
                job.instance = Instance::of(job);
            }
        }
        if self.wants_explain {
            explain_pending(flux, &mut jobs);
        }
        Ok((jobs, truncated))
    }

    fn read_stdin(&self, cx: &mut Context) -> Result<Vec<JobInfo>, CmdError> {
        let bytes = cx.read_stdin()?;
        let mut jobs = Vec::new();
        for (number, line) in (1..).zip(String::from_utf8_lossy(&bytes).lines()) {
            let parsed = serde_json::from_str(line).map_err(|error| error.to_string());
            let job = parsed.and_then(|job| JobInfo::new(job, &self.shared).ok_or_else(|| "no job".to_owned()));
            jobs.push(job.map_err(|why| refused(format_args!("JSON input error: line {number}: {why}")))?);
        }
        Ok(jobs)
    }

    /// Is this job an instance whose jobs are listed too?
    fn descends(&self, job: &JobInfo) -> bool {
        job.uri().is_some()
            && job.status_abbrev() == "R"
            && (self.recurse_all || job.userid() == Some(Ids::current().ruid))
    }

    fn print(
        &self,
        mut jobs: Vec<JobInfo>,
        format: &Format,
        path: &str,
        level: u32,
        cx: &mut Context,
    ) -> Result<(), CmdError> {
        format.sort(&mut jobs);
        for job in &jobs {
            let line = format.line(job)?;
            if line.trim().is_empty() {
                continue;
            }
            let line = crate::format::cut_line(line, self.width);
            match self.color.then(|| color_of(job)).flatten() {
                Some(color) => write!(cx.out, "{color}{line}\n\x1b[0;0m")?,
                None => cx.line(line)?,
            }
        }
        if !self.recursive || self.level_max == level {
            return Ok(());
        }
        let path = if path.is_empty() { String::new() } else { format!("{path}/") };
        for job in jobs.iter().filter(|job| self.descends(job)) {
            let here = format!("{path}{}", shown(job.id()));
            cx.line(format_args!("\n{here}:"))?;
            // Services of an instance that is only starting, or another user's, are not there for us.
            let Some(mut flux) = job.reachable_uri().and_then(|uri| Handle::open_uri(&uri).ok()) else { continue };
            let Ok((children, _)) = self.fetch(&mut flux, false) else { continue };
            if self.stats
                && let Ok(stats) = Stats::fetch(&mut flux, &[])
            {
                cx.line(stats.sentence())?;
            }
            self.print(children, format, &here, level + 1, cx)?;
        }
        Ok(())
    }

    fn print_json(&self, jobs: Vec<JobInfo>, cx: &mut Context) -> CmdResult {
        let mut list: Vec<Value> = jobs.iter().map(|job| Value::Object(self.tree(job, 0))).collect();
        let output = match (self.ids.len(), list.len()) {
            (1, 1) => list.remove(0),
            _ => json!({"jobs": list}),
        };
        cx.line(to_spaced_string(&output))?;
        Ok(ExitCode::SUCCESS)
    }

    fn tree(&self, job: &JobInfo, level: u32) -> Map<String, Value> {
        let mut object = job.to_json();
        if self.recursive && level < self.level_max && self.descends(job) {
            let flux = job.reachable_uri().and_then(|uri| Handle::open_uri(&uri).ok());
            let children = flux.and_then(|mut flux| self.fetch(&mut flux, false).ok()).unwrap_or_default().0;
            let children = children.iter().map(|child| Value::Object(self.tree(child, level + 1)));
            object.insert("jobs".to_owned(), children.collect());
        }
        object
    }
}

/// Why the jobs that wait do so.
fn explain_pending(flux: &mut Handle, jobs: &mut [JobInfo]) {
    for job in jobs.iter_mut() {
        job.explain = job.failure().map(|why| format!("has failed: {why}"));
    }
    let waits = |job: &JobInfo| job.state().is_some_and(|state| StateSet::PENDING.contains(state));
    let ids: Vec<JobId> = jobs.iter().filter(|job| waits(job)).map(JobInfo::id).collect();
    if ids.is_empty() {
        return;
    }
    let mut sentences = explain::sentences(flux, &ids);
    for job in jobs.iter_mut() {
        job.explain = sentences.remove(&job.id()).or(job.explain.take());
    }
}

fn query(matches: &ArgMatches, count: u32, cx: &mut Context) -> Result<Query, CmdError> {
    let mut query = Query { max_entries: if count > 0 { count.saturating_add(1) } else { 0 }, ..Query::default() };
    query.narrow(matches)?;
    query.name = text(matches, "name").map(str::to_owned);
    let mut all = matches.get_flag("a");
    if let Some(when) = text(matches, "since") {
        all |= !query.is_filtered();
        query.since = since(when)?;
    }
    if all && query.is_filtered() {
        cx.warn("WARNING: Both -a and --filter specified, ignoring -a");
    } else if all {
        query.filter("pending,running,inactive")?;
    }
    if !query.is_filtered() {
        query.filter("pending,running")?;
    }
    query.whose(matches)?;
    if let Some(targets) = text(matches, "include") {
        query.include(targets)?;
        if !matches.contains_id("user") {
            query.userid = None;
        }
    }
    Ok(query)
}

/// A point in the past: as people write it, or seconds since the epoch.
pub(crate) fn since(when: &str) -> Result<f64, CmdError> {
    let now = crate::frame::timefmt::now();
    let at = times::parse(when, now).or_else(|| when.parse().ok());
    let at = at.ok_or_else(|| refused(format_args!("could not convert string to float: '{when}'")))?;
    if at > now {
        return Err(refused(format_args!("--since={when} appears to be in the future")));
    }
    Ok(at)
}

fn color(given: Option<&str>, cx: &Context) -> Result<bool, CmdError> {
    match given {
        Some("always") => Ok(true),
        Some("never") => Ok(false),
        Some("auto") | None => Ok(cx.on_terminal() && cx.var("NO_COLOR").is_none()),
        Some(other) => Err(CmdError::usage(format!("error: Invalid argument to --color: '{other}'"))),
    }
}

fn width(given: Option<&str>, cx: &Context) -> Result<Option<usize>, CmdError> {
    match given {
        None => Ok(None),
        Some("0") if cx.on_terminal() => {
            Ok(flux_sys::terminal::size(std::io::stdout()).ok().map(|size| usize::from(size.columns)))
        }
        Some("0") => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| CmdError::usage(format!("error: argument -w/--width: invalid int value: '{text}'"))),
    }
}

fn color_of(job: &JobInfo) -> Option<&'static str> {
    match job.result() {
        Some(JobResult::Completed) => Some("\x1b[01;32m"),
        Some(JobResult::Failed | JobResult::Timeout) => Some("\x1b[01;31m"),
        Some(JobResult::Canceled) => Some("\x1b[37m"),
        None => job.uri().map(|_| "\x1b[01;34m"),
    }
}
