//! `flux pgrep` and `flux pkill`: finds jobs by name, or by a range of ids.

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use flux_client::{Handle, Target};
use flux_types::JobId;
use regex_lite::Regex;
use serde_json::json;

use super::info::{JobInfo, Shared};
use super::query::Query;
use crate::format::{Format, Formats, Named, Row};
use crate::frame::args::{flag, integer, many, option, text, texts, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::job::signals::for_each;
use crate::jobid::shown;
use crate::submit::refused;

const COUNT_DEFAULT: i64 = 99_999;

/// Exit code where the expression cannot be used.
const BAD_EXPRESSION: u8 = 2;

const BUILTIN: &[Named] = &[
    Named { name: "default", description: "Default flux-pgrep format string", format: "{id.f58}" },
    Named {
        name: "full",
        description: "full flux-pgrep format string",
        format: "{id.f58:>12} ?:{queue:<8.8} +:{username:<8} {name:<10.10+} {status_abbrev:>2.2} {ntasks:>6} \
                 {nnodes:>6h} {contextual_time!F:>8h} {contextual_info}",
    },
    Named {
        name: "long",
        description: "Extended flux-pgrep format string",
        format: "{id.f58:>12} ?:{queue:<8.8} +:{username:<8} {name:<10.10+} {status:>9.9} {ntasks:>6} {nnodes:>6h} \
                 {t_submit!d:%b%d %R::>12} {t_remaining!F:>12h} {contextual_time!F:>8h} {contextual_info}",
    },
    Named {
        name: "deps",
        description: "Show job urgency, priority, and dependencies",
        format: "{id.f58:>12} ?:{queue:<8.8} {name:<10.10+} {urgency:<3} {priority:<12} {state:<8.8} {dependencies}",
    },
];

const FORMATS: Formats = Formats { tool: "flux-pgrep", subcommand: None, builtin: BUILTIN };

/// What jobs are looked for: a pattern that is in their names, a range of their ids, or both.
#[derive(Debug, Default)]
struct Test {
    name: Option<Regex>,
    ids: Option<(JobId, JobId)>,
}

impl Test {
    fn parse(words: &[&str]) -> Result<Test, String> {
        let mut test = Test::default();
        for word in words {
            if let Some(ids) = range(word) {
                test.ids = Some(ids);
                continue;
            }
            if test.name.is_some() {
                return Err("Only one pattern can be provided".to_owned());
            }
            let pattern = word.strip_prefix("name:").unwrap_or(word);
            test.name = Some(Regex::new(pattern).map_err(|error| format!("bad pattern '{pattern}': {error}"))?);
        }
        Ok(test)
    }

    fn holds(&self, job: &JobInfo) -> bool {
        let name = || job.field("name").map(|name| name.to_string()).unwrap_or_default();
        self.name.as_ref().is_none_or(|regex| regex.is_match(&name()))
            && self.ids.is_none_or(|(first, last)| (first..=last).contains(&job.id()))
    }
}

/// `JOBID1..JOBID2`; anything else, and what has a colon, is a pattern.
fn range(word: &str) -> Option<(JobId, JobId)> {
    let (first, last) = word.split_once("..").filter(|_| !word.contains(':'))?;
    Some((JobId::parse(first).ok()?, JobId::parse(last).ok()?))
}

fn common(command: Command) -> Command {
    command
        .arg(Arg::new("A").short('A').action(clap::ArgAction::SetTrue).help("Target jobs of all users"))
        .arg(option(
            "user",
            Some('u'),
            "[USERNAME|UID]",
            "Limit search to specific username or userid (Specify \"all\" for all users)",
        ))
        .arg(many("filter", Some('f'), "STATE|RESULT", "Limit search to jobs with specific job state or result"))
        .arg(many("queue", Some('q'), "QUEUE,...", "Limit search to specific queue or queues"))
        .arg(option("count", Some('c'), "N", "Limit to the first N matching jobs"))
        .arg(option("max-entries", None, "N", "Limit search to N jobs (default: 1000)"))
        .arg(words("EXPRESSION", "job name pattern or id range, JOBID1..JOBID2"))
}

/// The jobs that an expression finds.
fn search(matches: &ArgMatches, fields: &[&str], cx: &mut Context) -> Result<(Handle, Vec<JobInfo>), CmdError> {
    let words = texts(matches, "EXPRESSION");
    if words.is_empty() {
        return Err(CmdError::usage("error: the following arguments are required: EXPRESSION"));
    }
    let bad = |why: String| CmdError::Failed { text: format!("ERROR: expression error: {why}"), code: BAD_EXPRESSION };
    let test = Test::parse(&words).map_err(bad)?;
    let max_entries = super::max_entries(integer(matches, "max-entries", "--max-entries", 1000)?)?;
    let count = integer(matches, "count", "-c/--count", COUNT_DEFAULT)?;
    let count = usize::try_from(count).map_err(|_| refused(format_args!("--count={count} is below 0")))?;
    let mut query = Query { max_entries, ..Query::default() };
    query.narrow(matches)?;
    // With -a, a filter narrows nothing, as in flux-core.
    if matches.try_get_one::<bool>("a").ok().flatten().copied().unwrap_or(false) {
        query.filter("pending,running,inactive")?;
    }
    if !query.is_filtered() {
        query.filter("pending,running")?;
    }
    query.whose(matches)?;
    let attributes = super::fields::attributes(fields.iter().copied().chain(["name"]));
    let mut flux = cx.open()?;
    let mut jobs = query.run(&mut flux, &attributes, &Shared::new(false))?;
    jobs.retain(|job| test.holds(job));
    jobs.truncate(count);
    Ok((flux, jobs))
}

pub(crate) mod pgrep {
    use super::*;

    pub(crate) fn command() -> Command {
        common(Command::new("pgrep"))
            .arg(Arg::new("a").short('a').action(clap::ArgAction::SetTrue).help("Target jobs in all states"))
            .arg(flag("no-header", Some('n'), "Suppress printing of header line"))
            .arg(option("format", Some('o'), "FORMAT", "Specify output format using Python's string format syntax or a defined format by name (use 'help' to get a list of names)"))
    }

    pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let name = text(matches, "format").unwrap_or("default");
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(chosen) = FORMATS.choose(name, var, &mut cx.out).map_err(refused)? else {
            return Ok(ExitCode::SUCCESS);
        };
        let format = Format::parse(&chosen, crate::jobs::fields::headings(&chosen)).map_err(crate::jobs::bad_format)?;
        let (_, mut jobs) = search(matches, &format.fields(), cx)?;
        if jobs.is_empty() {
            return Ok(ExitCode::FAILURE);
        }
        let no_header = name == "default" && chosen == BUILTIN[0].format || matches.get_flag("no-header");
        let options = crate::format::TableOptions { no_header, width: None };
        for line in format.lines(&mut jobs, options)? {
            cx.line(line)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

pub(crate) mod pkill {
    use super::*;

    pub(crate) fn command() -> Command {
        common(Command::new("pkill")).arg(flag("wait", None, "Wait for jobs to finish after cancel"))
    }

    pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
        let (mut flux, jobs) = search(matches, &["status"], cx)?;
        if jobs.is_empty() {
            return Ok(ExitCode::FAILURE);
        }
        let names: Vec<_> = jobs.iter().map(|job| shown(job.id())).collect();
        let targets: Vec<_> = names.iter().map(String::as_str).zip(jobs.iter().map(JobInfo::id)).collect();
        let faults = for_each(
            &mut flux,
            "job-manager.raise",
            &targets,
            |id| json!({"id": id, "type": "cancel", "severity": 0, "note": ""}),
        )?;
        for (name, fault) in &faults {
            cx.warn(format_args!("ERROR: {name}: {}", fault.message()));
        }
        let count = targets.len() - faults.len();
        if count > 0 {
            cx.warn(format_args!("INFO: Canceled {count} job{}", if count == 1 { "" } else { "s" }));
        }
        if matches.get_flag("wait") {
            wait(&mut flux, &jobs)?;
        }
        cx.out.flush()?;
        Ok(ExitCode::from(u8::from(!faults.is_empty())))
    }

    /// Until each job's log has ended.
    fn wait(flux: &mut Handle, jobs: &[JobInfo]) -> Result<(), CmdError> {
        for job in jobs {
            let body = json!({"id": job.id(), "path": "eventlog", "flags": 0});
            let events = flux.stream("job-info.eventlog-watch", Target::Any, body)?;
            for event in events {
                event?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(words: &[&str]) -> Result<bool, String> {
        let job = json!({"id": 5, "name": "my:job", "userid": 0, "state": 16});
        Ok(Test::parse(words)?.holds(&JobInfo::new(job, &Shared::new(false)).unwrap()))
    }

    #[test]
    fn expressions_find_jobs() {
        let rows: &[(&[&str], bool)] = &[
            (&["^my"], true),
            (&["job$"], true),
            (&["^job"], false),
            (&["name:job"], true),
            (&["my:j"], true),
            (&["^(my|your):(x|job)$"], true),
            (&["queue:batch"], false),
            (&["1..5"], true),
            (&["6..7"], false),
            (&["1..5", "^job"], false),
            (&["^my", "1..5"], true),
            (&["name:1..5"], false),
            (&["m..job"], true),
        ];
        for (words, want) in rows {
            assert_eq!(finds(words), Ok(*want), "{words:?}");
        }
        assert!(finds(&["["]).is_err() && finds(&["a", "b"]).is_err());
    }
}
