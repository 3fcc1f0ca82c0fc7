//! `flux watch`: follows jobs that are there already.

use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use flux_types::JobId;

use super::engine::{Engine, Manner};
use super::sinks::{STDERR, STDOUT, Sinks};
use super::watch::Wishes;
use crate::frame::args::{flag, many, option, text, texts, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::jobs::fields::attributes;
use crate::jobs::info::Shared;
use crate::jobs::query::{self, Query};

pub(crate) fn command() -> Command {
    let verbose = Arg::new("verbose").short('v').long("verbose").action(clap::ArgAction::Count);
    Command::new("watch")
        .arg(flag("active", Some('a'), "Watch all active jobs for current user"))
        .arg(flag("all", Some('A'), "Watch all jobs for current user in all states including inactive"))
        .arg(option("count", Some('c'), "N", "Limit to N jobs (default 1000)"))
        .arg(many("filter", Some('f'), "STATE|RESULT", "Watch jobs with specific job state or result"))
        .arg(option("since", None, "WHEN", "Include only jobs that have been inactive since WHEN. (implies -a if no other --filter option is specified)"))
        .arg(flag("progress", None, "Show progress bar"))
        .arg(flag("jps", None, "Display jobs/s instead of elapsed time"))
        .arg(flag("label-io", Some('l'), "label lines of output with task id"))
        .arg(verbose.help("Increase verbosity"))
        .arg(words("JOBID", "Watch specific jobids"))
}

pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let names = texts(matches, "JOBID");
    let bad = |name: &str| CmdError::usage(format!("error: argument JOBID: invalid JobID value: '{name}'"));
    let ids = names.iter().map(|name| Ok((*name, JobId::parse(name).map_err(|_| bad(name))?)));
    let ids = ids.collect::<Result<Vec<_>, CmdError>>()?;
    let query = query(matches)?;
    if !query.is_filtered() && ids.is_empty() {
        cx.warn("ERROR: At least one job selection option is required");
        say!("Try 'flux watch --help' for more information.");
        return Ok(ExitCode::FAILURE);
    }
    if query.is_filtered() && !ids.is_empty() {
        cx.warn("WARNING: Filtering options ignored with jobid list");
    }
    let mut flux = cx.open()?;
    let (shared, wanted) = (Shared::new(false), attributes(["status", "t_submit"]));
    let jobs = if ids.is_empty() {
        query.run(&mut flux, &wanted, &shared)?
    } else {
        let (jobs, missing) = query::by_id(&mut flux, &ids, &wanted, &shared)?;
        missing.iter().for_each(|sentence| cx.warn(format_args!("ERROR: {sentence}")));
        jobs
    };
    if jobs.is_empty() {
        cx.warn("INFO: No matching jobs");
        return Ok(ExitCode::SUCCESS);
    }
    let verbose = matches.get_count("verbose");
    if verbose > 0 {
        cx.warn(format_args!("INFO: Watching {} jobs", jobs.len()));
    }
    let manner = Manner {
        quiet: true,
        follow: true,
        wishes: Wishes {
            output: true,
            label_io: matches.get_flag("label-io"),
            log_events: verbose > 1,
            log_status: verbose > 0,
        },
        progress: matches.get_flag("progress"),
        rate: matches.get_flag("jps"),
    };
    let mut engine = Engine::new(&mut flux, manner, Sinks::new());
    for job in &jobs {
        engine.follow(job.id(), STDOUT, STDERR)?;
    }
    Ok(ExitCode::from(engine.finish()?))
}

fn query(matches: &ArgMatches) -> Result<Query, CmdError> {
    let mut query = Query::default();
    if let Some(count) = text(matches, "count") {
        query.max_entries =
            count.parse().map_err(|_| CmdError::usage(format!("argument -c/--count: invalid int value: '{count}'")))?;
    }
    query.set_user(None)?;
    for names in texts(matches, "filter") {
        query.filter(names)?;
    }
    let mut all = matches.get_flag("all");
    if let Some(when) = text(matches, "since") {
        all |= !query.is_filtered();
        let bad = |_| CmdError::usage(format!("ERROR: --since: invalid value '{when}'"));
        query.since = crate::jobs::since(when).map_err(bad)?;
    }
    if matches.get_flag("active") {
        query.filter("pending,running")?;
    }
    if all {
        query.filter("pending,running,inactive")?;
    }
    Ok(query)
}
