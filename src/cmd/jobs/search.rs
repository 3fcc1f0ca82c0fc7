//! `flux pgrep` and `flux pkill`: finds jobs by name, or by any expression over their properties.

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use flux_client::{Handle, Target};
use flux_types::constraint::{QuerySyntax, query};
use flux_types::parse_fsd;
use regex_lite::Regex;
use serde_json::{Value, json};

use super::info::{JobInfo, Shared};
use super::query::Query;
use crate::format::{Format, Formats, Named, Row};
use crate::frame::args::{flag, integer, many, option, text, texts, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::job::signals::for_each;
use crate::jobid::shown;
use crate::submit::refused;

/// The dialect of these commands: RFC 35 with operators of their own.
const SYNTAX: QuerySyntax = QuerySyntax { default_operator: Some("name"), aliases: &[], lists: &[], joined: &[] };

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

/// An expression over jobs.
#[derive(Debug)]
enum Test {
    Matches {
        field: &'static str,
        regex: Regex,
    },
    /// A range of seconds, both ends included.
    Within {
        field: &'static str,
        from: f64,
        to: f64,
    },
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Vec<Test>),
}

impl Test {
    fn parse(words: &[&str]) -> Result<Test, String> {
        let parsed = query::parse(&words.join(" "), &SYNTAX).map_err(|error| error.to_string())?;
        Test::from_value(&parsed)
    }

    fn from_value(value: &Value) -> Result<Test, String> {
        let Some((operator, args)) = value.as_object().and_then(|object| object.iter().next()) else {
            return Err("empty expression".to_owned());
        };
        let args = args.as_array().map(Vec::as_slice).unwrap_or_default();
        let all = || args.iter().map(Test::from_value).collect::<Result<Vec<_>, _>>();
        let text = || args.first().and_then(Value::as_str).unwrap_or("");
        match operator.as_str() {
            "and" => Ok(Test::All(all()?)),
            "or" => Ok(Test::Any(all()?)),
            "not" => Ok(Test::Not(all()?)),
            "name" => matches("name", text()),
            "user" => matches("username", text()),
            "host" | "hosts" => matches("nodelist", text()),
            "queue" => matches("queue", text()),
            "state" => matches("status", text()),
            "duration" => range("duration", text()),
            "runtime" => range("runtime", text()),
            // Whatever has a colon but no known operator is a name with a colon.
            other => matches("name", &format!("{other}:{}", text())),
        }
    }

    fn holds(&self, job: &JobInfo) -> bool {
        match self {
            Test::Matches { field, regex } => {
                regex.is_match(&job.field(field).map(|v| v.to_string()).unwrap_or_default())
            }
            Test::Within { field, from, to } => {
                let value = job.field(field).and_then(|value| value.number()).unwrap_or(0.0);
                *from <= value && value <= *to
            }
            Test::All(tests) => tests.iter().all(|test| test.holds(job)),
            Test::Any(tests) => tests.iter().any(|test| test.holds(job)),
            Test::Not(tests) => !tests.iter().all(|test| test.holds(job)),
        }
    }
}

fn matches(field: &'static str, pattern: &str) -> Result<Test, String> {
    let regex = Regex::new(pattern).map_err(|error| format!("bad pattern '{pattern}': {error}"))?;
    Ok(Test::Matches { field, regex })
}

/// `FROM..TO`, either end open, with the operators `<`, `<=`, `>` and `>=` for one end, or a single duration.
fn range(field: &'static str, text: &str) -> Result<Test, String> {
    let seconds = |text: &str, open: f64| match text {
        "" => Ok(open),
        text => parse_fsd(text).ok_or_else(|| format!("invalid duration '{text}'")),
    };
    let ends = [("<=", f64::MIN, 0.0), (">=", f64::MAX, 0.0), ("<", f64::MIN, -1.0), (">", f64::MAX, 1.0)];
    if let Some((rest, open, step)) =
        ends.iter().find_map(|(mark, open, step)| Some((text.strip_prefix(mark)?, open, step)))
    {
        let end = seconds(rest, 0.0)?;
        let end = if *step < 0.0 {
            end.next_down()
        } else if *step > 0.0 {
            end.next_up()
        } else {
            end
        };
        let (from, to) = if *open < 0.0 { (f64::MIN, end) } else { (end, f64::MAX) };
        return Ok(Test::Within { field, from, to });
    }
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    Ok(Test::Within { field, from: seconds(from, f64::MIN)?, to: seconds(to, f64::MAX)? })
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
        .arg(words("EXPRESSION", "job name pattern or expression"))
}

/// The jobs that an expression finds.
fn search(matches: &ArgMatches, fields: &[&str], cx: &mut Context) -> Result<(Handle, Vec<JobInfo>), CmdError> {
    let words = texts(matches, "EXPRESSION");
    if words.is_empty() {
        return Err(CmdError::usage("error: the following arguments are required: EXPRESSION"));
    }
    let bad = |why: String| CmdError::Failed { text: format!("ERROR: expression error: {why}"), code: BAD_EXPRESSION };
    if words.len() > 1 && words.iter().all(|word| !word.contains(':') && !is_operator(word)) {
        return Err(bad("Only one pattern can be provided".to_owned()));
    }
    let test = Test::parse(&words).map_err(bad)?;
    let max_entries = super::max_entries(integer(matches, "max-entries", "--max-entries", 1000)?)?;
    let count = integer(matches, "count", "-c/--count", 0)?;
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
    let needed = ["name", "username", "nodelist", "queue", "status", "duration", "runtime"];
    let attributes = super::fields::attributes(fields.iter().copied().chain(needed));
    let mut flux = cx.open()?;
    let mut jobs = query.run(&mut flux, &attributes, &Shared::new(false))?;
    jobs.retain(|job| test.holds(job));
    if count > 0 {
        jobs.truncate(count);
    }
    Ok((flux, jobs))
}

fn is_operator(word: &str) -> bool {
    matches!(word, "and" | "or" | "not" | "&" | "&&" | "|" | "||")
        || word.starts_with(['-', '('])
        || word.ends_with(')')
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
        let format = Format::parse(&chosen, crate::jobs::fields::headings(&chosen)).map_err(refused)?;
        let (_, mut jobs) = search(matches, &format.fields(), cx)?;
        if jobs.is_empty() {
            return Ok(ExitCode::FAILURE);
        }
        let no_header = name == "default" || matches.get_flag("no-header");
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
        let job = json!({"id": 1, "name": "my:job", "userid": 0, "state": 16, "queue": "batch", "nodelist": "n[1-3]",
            "duration": 3600.0});
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
            (&["queue:batch"], true),
            (&["queue:debug"], false),
            (&["-queue:debug"], true),
            (&["host:n", "and", "state:RUN"], true),
            (&["queue:debug", "or", "state:run"], false),
            (&["duration:1h"], true),
            (&["duration:>1h"], false),
            (&["duration:>=1h"], true),
            (&["duration:<2h"], true),
            (&["duration:30m..90m"], true),
            (&["duration:..30m"], false),
        ];
        for (words, want) in rows {
            assert_eq!(finds(words), Ok(*want), "{words:?}");
        }
        assert!(finds(&["["]).is_err() && finds(&["duration:x"]).is_err());
    }
}
