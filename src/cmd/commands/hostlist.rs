//! `flux hostlist`: lists of hosts, from anywhere, combined (RFC 29).

use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use flux_client::{ClientError, Errno, Rank, Target};
use flux_types::{Hostlist, Idset, JobId};
use serde_json::json;

use crate::frame::args::{flag, option, text, texts, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

const SOURCES: &str = "\
Sources are: instance (all hosts of the instance), local (those of this job, or else of the instance), avail (those of \
the instance that are neither down nor drained), - or stdin (standard input), a job id (the job's hosts), or a list of \
hosts. The default is stdin, or local with --local.";

pub fn command() -> Command {
    Command::new("hostlist")
        .after_help(SOURCES)
        .args([
            flag("expand", Some('e'), "Print hosts one by one").conflicts_with("count"),
            option("delimiter", Some('d'), "S", "What stands between them (default: a space)"),
            flag("count", Some('c'), "Print the total number of hosts"),
            option("nth", Some('n'), "[-]IDS", "Only hosts at these places, from 0; - counts from the end"),
            option("find", Some('F'), "HOSTS", "Print the places of these hosts"),
            option("limit", Some('L'), "N", "At most N hosts; -N: the last N"),
            flag("sort", Some('S'), "Sort"),
            option("exclude", Some('x'), "IDS|HOSTS", "Without these hosts, or those at these places"),
        ])
        .arg(
            Arg::new("union")
                .long("union")
                .visible_alias("unique")
                .short('u')
                .action(ArgAction::SetTrue)
                .help("Each host once"),
        )
        .args([
            flag("intersect", Some('i'), "Hosts that are in all lists").conflicts_with_all(["minus", "xor"]),
            flag("minus", Some('m'), "Hosts of the first list that are in no other").conflicts_with("xor"),
            flag("xor", Some('X'), "Hosts that are in an odd number of lists"),
            flag("fallback", Some('f'), "A job id of no job is a host name"),
            flag("local", Some('l'), "The default source is local, not stdin"),
            flag("quiet", Some('q'), "Print nothing; fail if the list is empty"),
            words("SOURCES", "Where lists come from"),
        ])
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut sources = texts(matches, "SOURCES");
    if sources.is_empty() {
        sources.push(if matches.get_flag("local") { "local" } else { "stdin" });
    }
    let fallback = matches.get_flag("fallback");
    let lists = sources.into_iter().map(|source| resolve(source, fallback, cx)).collect::<Result<Vec<_>, _>>()?;
    let mut hosts = combine(matches, lists)?;
    if let Some(what) = text(matches, "exclude") {
        hosts = exclude(&hosts, what)?;
    }
    if matches.get_flag("sort") {
        hosts.sort();
    }
    if matches.get_flag("union") {
        hosts.uniq();
    }
    if let Some(limit) = text(matches, "limit") {
        let limit: i64 = limit.parse().map_err(|_| CmdError::usage(format!("--limit={limit}: give a number")))?;
        hosts = limited(&hosts, limit);
    }
    if let Some(places) = text(matches, "nth") {
        hosts = nth(&hosts, places)?;
    }
    show(matches, &hosts, cx)
}

fn show(matches: &ArgMatches, hosts: &Hostlist, cx: &mut Context) -> CmdResult {
    let quiet = matches.get_flag("quiet");
    let shown = match text(matches, "find") {
        Some(wanted) => {
            let wanted = parse(wanted)?;
            let place = |host: String| {
                let place = hosts.find(&host).ok_or_else(|| CmdError::new(format!("host '{host}' not found")))?;
                Ok(place.to_string())
            };
            Some(wanted.iter().map(place).collect::<Result<Vec<_>, CmdError>>()?.join(" "))
        }
        None if matches.get_flag("count") => Some(hosts.count().to_string()),
        None if hosts.is_empty() => None,
        None if matches.get_flag("expand") => {
            let delimiter = text(matches, "delimiter").unwrap_or(" ").replace("\\n", "\n");
            Some(hosts.iter().collect::<Vec<_>>().join(&delimiter))
        }
        None => Some(hosts.to_string()),
    };
    if let Some(text) = shown.filter(|_| !quiet) {
        cx.line(text)?;
    }
    Ok(if quiet && hosts.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn parse(text: &str) -> Result<Hostlist, CmdError> {
    Hostlist::parse(text).map_err(|error| CmdError::about(format!("Invalid jobid or hostlist {text}"), error))
}

/// Who gave no source by mistake does not wait for ever; 0 in `FLUX_HOSTLIST_STDIN_TIMEOUT` does.
fn await_stdin(cx: &Context) -> Result<(), CmdError> {
    const NAME: &str = "FLUX_HOSTLIST_STDIN_TIMEOUT";
    const USUAL: f64 = 15.0;
    let given = cx.var(NAME);
    let seconds = given.as_ref().map_or(Some(USUAL), |text| text.parse().ok().filter(|span: &f64| *span >= 0.0));
    let seconds = seconds.ok_or_else(|| CmdError::new(format!("{NAME}: give a number of seconds")))?;
    let timeout_ms = (seconds > 0.0).then_some((seconds * 1e3).min(f64::from(i32::MAX)) as u32);
    let ready = flux_sys::fd::poll(&[(std::io::stdin().as_fd(), false)], timeout_ms)?;
    if ready.iter().any(|ready| ready.readable || ready.hangup) {
        return Ok(());
    }
    Err(CmdError::new(format!("timeout after {seconds:?}s waiting for stdin")))
}

fn resolve(source: &str, fallback: bool, cx: &mut Context) -> Result<Hostlist, CmdError> {
    match source {
        "stdin" | "-" => {
            await_stdin(cx)?;
            let text = String::from_utf8_lossy(&cx.read_stdin()?).into_owned();
            let mut hosts = Hostlist::default();
            for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
                hosts.append(line).map_err(|error| CmdError::about(line, error))?;
            }
            Ok(hosts)
        }
        "instance" => parse(&cx.open()?.attr("hostlist")?),
        "local" => local(cx),
        "avail" | "available" => available(cx),
        word => {
            match JobId::parse(word) {
                Ok(id) => {
                    match job_hosts(id, word, cx) {
                        Err(CmdError::Client(ClientError::Answer(fault))) if fault.errno == Errno::ENOENT => {
                            if fallback { parse(word) } else { Err(CmdError::new(format!("job {word} not found"))) }
                        }
                        other => other,
                    }
                }
                Err(_) => parse(word),
            }
        }
    }
}

fn job_hosts(id: JobId, shown: &str, cx: &Context) -> Result<Hostlist, CmdError> {
    let request = json!({"id": id.0, "attrs": ["nodelist"]});
    let answer = cx.open()?.call("job-list.list-id", Target::Rank(Rank::ROOT), request);
    let answer = answer.map_err(|error| match error {
        ClientError::Answer(fault) if fault.errno == Errno::ENOENT => CmdError::from(fault),
        other => CmdError::calling(format!("job {shown}"))(other),
    })?;
    parse(answer["job"]["nodelist"].as_str().unwrap_or(""))
}

fn local(cx: &mut Context) -> Result<Hostlist, CmdError> {
    match cx.var("FLUX_JOB_ID") {
        Some(text) => {
            let id = JobId::parse(&text).map_err(|error| CmdError::about("FLUX_JOB_ID", error))?;
            job_hosts(id, &text, cx)
        }
        None => parse(&cx.open()?.attr("hostlist")?),
    }
}

fn available(cx: &mut Context) -> Result<Hostlist, CmdError> {
    let hosts = local(cx)?;
    let status = cx.open()?.call("resource.status", Target::Rank(Rank::ROOT), json!({}));
    let status = status.map_err(CmdError::calling("resource.status"))?;
    let mut gone = Idset::default();
    let drained = status["drain"].as_object().into_iter().flatten().map(|(ranks, _)| ranks.as_str());
    let others = ["exclude", "torpid", "offline"].into_iter().filter_map(|key| status[key].as_str());
    for text in drained.chain(others) {
        gone.extend_from(&Idset::parse(text).map_err(|error| CmdError::about(text, error))?);
    }
    let all = Idset::below(u32::try_from(hosts.count()).unwrap_or(u32::MAX - 1));
    Ok(hosts.select(&all.subtract(&gone)))
}

fn collect(hosts: impl Iterator<Item = String>) -> Result<Hostlist, CmdError> {
    let mut list = Hostlist::default();
    for host in hosts {
        list.push(&host).map_err(|error| CmdError::about(&host, error))?;
    }
    Ok(list)
}

fn combine(matches: &ArgMatches, lists: Vec<Hostlist>) -> Result<Hostlist, CmdError> {
    let mut lists = lists.into_iter();
    let mut hosts = lists.next().unwrap_or_default();
    for next in lists {
        if matches.get_flag("intersect") {
            hosts = collect(hosts.iter().filter(|host| next.contains(host)))?;
            hosts.uniq();
        } else if matches.get_flag("xor") {
            let only_first = hosts.iter().filter(|host| !next.contains(host));
            let only_next = next.iter().filter(|host| !hosts.contains(host));
            hosts = collect(only_first.chain(only_next))?;
            hosts.uniq();
        } else if matches.get_flag("minus") {
            hosts = collect(hosts.iter().filter(|host| !next.contains(host)))?;
        } else {
            hosts.append_list(&next).map_err(|error| CmdError::new(error.to_string()))?;
        }
    }
    Ok(hosts)
}

/// By name; if no name is there, by place.
fn exclude(hosts: &Hostlist, what: &str) -> Result<Hostlist, CmdError> {
    let names = Hostlist::parse(what).map_err(|error| CmdError::about(format!("--exclude={what}"), error))?;
    let rest = collect(hosts.iter().filter(|host| !names.contains(host)))?;
    match Idset::parse(what) {
        Ok(places) if rest.count() == hosts.count() => {
            let all = Idset::below(u32::try_from(hosts.count()).unwrap_or(u32::MAX - 1));
            Ok(hosts.select(&all.subtract(&places)))
        }
        _ => Ok(rest),
    }
}

fn limited(hosts: &Hostlist, limit: i64) -> Hostlist {
    let count = u32::try_from(hosts.count()).unwrap_or(u32::MAX - 1);
    let wanted = u32::try_from(limit.unsigned_abs()).unwrap_or(u32::MAX - 1).min(count);
    let all = Idset::below(count);
    match limit {
        0 => hosts.clone(),
        1.. => hosts.select(&Idset::below(wanted)),
        _ => hosts.select(&all.subtract(&Idset::below(count - wanted))),
    }
}

fn nth(hosts: &Hostlist, places: &str) -> Result<Hostlist, CmdError> {
    let count = hosts.count();
    let bad = |why: String| CmdError::new(format!("--nth={places}: {why}"));
    let (ids, from_end) = places.strip_prefix('-').map_or((places, false), |rest| (rest, true));
    let ids = Idset::parse(ids).map_err(|error| bad(error.to_string()))?;
    let mut wanted = Idset::default();
    for id in ids.iter() {
        let place = if from_end { count.checked_sub(id as usize) } else { Some(id as usize) };
        let place = place.filter(|place| *place < count);
        let place = place.ok_or_else(|| CmdError::new("Hostlist index out of range"))?;
        wanted.insert(place as u32);
    }
    Ok(hosts.select(&wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Hostlist {
        Hostlist::parse(text).unwrap()
    }

    fn combined(args: &[&str], lists: &[&str]) -> String {
        let matches = command().try_get_matches_from(std::iter::once("hostlist").chain(args.iter().copied())).unwrap();
        combine(&matches, lists.iter().map(|text| list(text)).collect()).unwrap().to_string()
    }

    #[test]
    fn lists_are_combined_as_asked() {
        let rows: &[(&[&str], &[&str], &str)] = &[
            (&[], &["a1", "a[1-2]"], "a[1,1-2]"),
            (&["-i"], &["foo[1-3]", "foo[2-5]"], "foo[2-3]"),
            (&["-m"], &["foo[1-3]", "foo2"], "foo[1,3]"),
            (&["-X"], &["foo[1-3]", "foo[3-4]"], "foo[1-2,4]"),
        ];
        for (args, lists, want) in rows {
            assert_eq!(combined(args, lists), *want, "{args:?}");
        }
    }

    #[test]
    fn hosts_are_chosen_by_place_or_name() {
        let hosts = list("foo[1-3]");
        let rows = [
            (exclude(&hosts, "1").unwrap(), "foo[1,3]"),
            (exclude(&hosts, "foo1").unwrap(), "foo[2-3]"),
            (exclude(&hosts, "nosuch").unwrap(), "foo[1-3]"),
            (limited(&hosts, 2), "foo[1-2]"),
            (limited(&hosts, -1), "foo3"),
            (limited(&hosts, -9), "foo[1-3]"),
            (nth(&hosts, "1").unwrap(), "foo2"),
            (nth(&hosts, "-1").unwrap(), "foo3"),
        ];
        for (got, want) in rows {
            assert_eq!(got.to_string(), want);
        }
        assert!(nth(&hosts, "3").is_err());
        assert!(nth(&hosts, "-0").is_err());
    }
}
