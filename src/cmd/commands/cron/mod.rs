//! `flux cron`: commands that run at intervals, at times of the day, and on events.

mod list;

use std::fs;
use std::process::{Command as Process, ExitCode, Stdio};

use clap::{Arg, ArgMatches, Command};
use flux_client::Target;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::frame::args::{command_line, flag, option, optional_word, text, texts, word, words};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, timefmt};

fn common() -> [Arg; 3] {
    [
        option("options", Some('o'), "OPTS", "timeout=N,rank=R,task-history-count=N,stop-on-failure=N"),
        flag("preserve-env", Some('E'), "Use current environment for cron command"),
        option("working-dir", Some('d'), "DIR", "Set working directory for cron command"),
    ]
}

fn counted() -> [Arg; 2] {
    [
        option("count", Some('c'), "N", "Repeat COMMAND at most N times"),
        option("name", Some('N'), "S", "Name cron job string S instead of default"),
    ]
}

pub fn command() -> Command {
    let run = || command_line("What to run, by a shell").required(true).num_args(1..);
    let ids = || words("ID", "Numbers of entries").required(true).num_args(1..);
    Command::new("cron")
        .subcommand_required(true)
        .subcommand(
            Command::new("interval")
                .about("run COMMAND once every INTERVAL")
                .args(common())
                .args(counted())
                .arg(option("after", Some('a'), "INTERVAL", "Set INTERVAL for initial timer"))
                .args([word("INTERVAL", "Seconds, or with m, h or d behind it"), run()]),
        )
        .subcommand(
            Command::new("event")
                .about("run COMMAND on every event matching TOPIC")
                .args(common())
                .args(counted())
                .arg(option("nth", Some('n'), "N", "Run command every Nth matching event"))
                .arg(option("after", Some('a'), "N", "Run command the first time only after N events"))
                .arg(option("min-interval", Some('i'), "T", "Set minimum interval between two runs"))
                .args([word("TOPIC", "The event"), run()]),
        )
        .subcommand(
            Command::new("tab")
                .about("Schedule cron jobs using crontab(5) format")
                .args(common())
                .arg(optional_word("FILE", "Lines of crontab(5); months count from 0 (default: standard input)")),
        )
        .subcommand(
            Command::new("at")
                .about("Schedule a cron job at a given date and time")
                .args(common())
                .args([word("TIME", "As date(1) reads it"), run()]),
        )
        .subcommand(
            Command::new("dump")
                .about("Dump values from a cron entry")
                .arg(option("key", Some('k'), "KEY", "Print only KEY from the entry"))
                .arg(word("ID", "Number of the entry")),
        )
        .subcommand(Command::new("list").about("List registered and stopped flux-cron jobs"))
        .subcommand(
            Command::new("delete")
                .about("Delete flux cron entries")
                .arg(flag("kill", Some('k'), "Also end what runs now"))
                .arg(ids()),
        )
        .subcommand(Command::new("stop").about("Stop a flux cron job from executing").arg(ids()))
        .subcommand(Command::new("start").about("Start a stopped flux cron job").arg(ids()))
        .subcommand(
            Command::new("sync")
                .about("Query and modify sync-on-event behavior for flux-cron")
                .arg(flag("disable", Some('d'), "Disable cron sync-event"))
                .arg(option("epsilon", Some('e'), "TIME", "Tasks still run at once for TIME after the event"))
                .arg(optional_word("TOPIC", "The event that tasks wait for")),
        )
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("interval", matches)) => interval(matches, cx),
        Some(("event", matches)) => event(matches, cx),
        Some(("tab", matches)) => tab(matches, cx),
        Some(("at", matches)) => at(matches, cx),
        Some(("dump", matches)) => list::dump(matches, cx),
        Some(("list", _)) => list::list(cx),
        Some(("delete", matches)) => list::delete(matches, cx),
        Some(("stop", matches)) => list::change(matches, cx, "cron.stop", "Stopped"),
        Some(("start", matches)) => list::change(matches, cx, "cron.start", "Started"),
        Some(("sync", matches)) => sync(matches, cx),
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

/// Seconds, or with `s`, `m`, `h` or `d` behind the number.
fn span(text: &str) -> Result<f64, CmdError> {
    const UNITS: &[(char, f64)] = &[('s', 1.0), ('m', 60.0), ('h', 3600.0), ('d', 86400.0)];
    let lower = text.to_ascii_lowercase();
    let unit = UNITS.iter().find_map(|(unit, factor)| Some((lower.strip_suffix(*unit)?, *factor)));
    let (digits, factor) = unit.unwrap_or((&lower, 1.0));
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = digits.parse::<f64>().ok().filter(|_| plain);
    number.map(|number| number * factor).ok_or_else(|| CmdError::new(format!("Invalid duration '{text}'")))
}

fn count(matches: &ArgMatches, name: &str) -> Result<Value, CmdError> {
    match text(matches, name).map(str::parse::<u32>) {
        None => Ok(Value::Null),
        Some(Ok(number)) => Ok(number.into()),
        Some(Err(_)) => Err(CmdError::usage(format!("--{name}: give a number"))),
    }
}

/// An object without what is null.
fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let entries = entries.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(entries.map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

/// The request for an entry.
fn request(matches: &ArgMatches, kind: &str, args: Value, command: &str) -> Result<Value, CmdError> {
    let given = |name: &str| matches.try_get_one::<String>(name).ok().flatten().cloned();
    let name = given("name").unwrap_or_else(|| command.split_whitespace().next().unwrap_or_default().to_owned());
    let repeat = match given("count").map(|text| text.parse::<u32>()) {
        None => Value::Null,
        Some(Ok(number)) => number.into(),
        Some(Err(_)) => return Err(CmdError::usage("--count: give a number")),
    };
    let mut request = object([
        ("type", kind.into()),
        ("args", args),
        ("command", command.into()),
        ("name", name.into()),
        ("cwd", given("working-dir").map_or(Value::Null, Value::from)),
        ("repeat", repeat),
    ]);
    if matches.get_flag("preserve-env") {
        request["environ"] = std::env::vars().map(|(name, value)| (name, Value::from(value))).collect();
    }
    for word in given("options").unwrap_or_default().split(',').filter(|word| !word.is_empty()) {
        let pair =
            word.split_once('=').and_then(|(key, value)| Some((key, serde_json::from_str::<Value>(value).ok()?)));
        let pair = pair.filter(|(_, value)| value.is_number());
        let (key, value) = pair.ok_or_else(|| CmdError::usage(format!("--options: {word}: give KEY=NUMBER")))?;
        request[key] = value;
    }
    Ok(request)
}

fn create(cx: &mut Context, request: Value) -> Result<Value, CmdError> {
    cx.open()?.call("cron.create", Target::Any, request).map_err(CmdError::calling("cron.create"))
}

fn joined(matches: &ArgMatches) -> String {
    texts(matches, "COMMAND").join(" ")
}

fn interval(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let every = span(text(matches, "INTERVAL").unwrap_or_default())?;
    let after = text(matches, "after").map(span).transpose()?;
    let args = object([("interval", every.into()), ("after", after.map_or(Value::Null, Value::from))]);
    let made = create(cx, request(matches, "interval", args, &joined(matches))?)?;
    cx.line(format_args!("interval: cron-{} created", made["id"]))?;
    Ok(ExitCode::SUCCESS)
}

fn event(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let least = text(matches, "min-interval").map(span).transpose()?;
    let args = object([
        ("topic", text(matches, "TOPIC").unwrap_or_default().into()),
        ("nth", count(matches, "nth")?),
        ("after", count(matches, "after")?),
        ("min_interval", least.map_or(Value::Null, Value::from)),
    ]);
    let made = create(cx, request(matches, "event", args, &joined(matches))?)?;
    cx.line(format_args!("event: cron-{} created", made["id"]))?;
    Ok(ExitCode::SUCCESS)
}

/// What was made, and when it is due.
fn scheduled(what: &str, made: &Value, cx: &mut Context) -> Result<(), CmdError> {
    let next = made["typedata"]["next_wakeup"].as_f64().unwrap_or(0.0);
    let date = timefmt::local(next, "%a %b %e %H:%M:%S %Y").unwrap_or_default();
    let left = next - timefmt::now();
    cx.line(format_args!("{what}: cron-{} created: scheduled in {left:.3}s at {date}", made["id"]))
}

fn tab(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let lines = match text(matches, "FILE") {
        None | Some("-") => String::from_utf8_lossy(&cx.read_stdin()?).into_owned(),
        Some(path) => fs::read_to_string(path).map_err(|error| CmdError::about(path, error))?,
    };
    for line in lines.lines() {
        let plain = line.split('#').next().unwrap_or_default();
        if plain.trim().is_empty() {
            continue;
        }
        let bad = || CmdError::new(format!("Failed to process crontab line: {line}"));
        let (args, command) = crontab(plain).ok_or_else(bad)?;
        let made = create(cx, request(matches, "datetime", args, command)?)?;
        scheduled("tab", &made, cx)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Five fields and a command.
fn crontab(line: &str) -> Option<(Value, &str)> {
    let mut rest = line.trim();
    let mut args = Map::from_iter([("second".to_owned(), json!(0))]);
    for unit in ["minute", "hour", "mday", "month", "weekday"] {
        let (field, more) = rest.split_once(char::is_whitespace)?;
        args.insert(unit.to_owned(), field.into());
        rest = more.trim_start();
    }
    (!rest.is_empty()).then_some((Value::Object(args), rest))
}

fn at(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let given = text(matches, "TIME").unwrap_or_default();
    let output = Process::new("date").arg("+%s").arg(format!("--date={given}")).stderr(Stdio::null()).output();
    let output = output.map_err(|error| CmdError::about("date", error))?;
    let seconds = String::from_utf8_lossy(&output.stdout).trim().parse::<i64>();
    let when = seconds.ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let when = when.ok_or_else(|| CmdError::new("Failed to parse datetime arg"))?;
    let local = TimeZone::system().to_datetime(when);
    let args = json!({"second": local.second(), "minute": local.minute(), "hour": local.hour(), "mday": local.day(),
        "month": local.month() - 1, "year": local.year() - 1900});
    let mut body = request(matches, "datetime", args, &joined(matches))?;
    body["repeat"] = json!(1);
    let made = create(cx, body)?;
    scheduled("at", &made, cx)?;
    Ok(ExitCode::SUCCESS)
}

fn sync(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let disable = matches.get_flag("disable");
    let topic = text(matches, "TOPIC").filter(|_| !disable);
    let epsilon = text(matches, "epsilon").map(span).transpose()?;
    let request = object([
        ("disable", if disable { json!(true) } else { Value::Null }),
        ("topic", topic.map_or(Value::Null, Value::from)),
        ("sync_epsilon", epsilon.map_or(Value::Null, Value::from)),
    ]);
    let answer = cx.open()?.call("cron.sync", Target::Any, request).map_err(CmdError::calling("cron.sync"))?;
    match answer["sync_event"].as_str() {
        None => cx.line("sync: sync disabled.")?,
        Some(event) => {
            let epsilon = answer["sync_epsilon"].as_f64().unwrap_or(0.0);
            cx.line(format_args!("sync: sync to event \"{event}\" epsilon={epsilon:.3}s."))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_units() {
        let rows = [
            ("5", Some(5.0)),
            ("1.5m", Some(90.0)),
            ("2H", Some(7200.0)),
            ("1d", Some(86400.0)),
            ("x", None),
            ("", None),
            ("-1", None),
            ("1e3", None),
            ("inf", None),
        ];
        for (text, want) in rows {
            assert_eq!(span(text).ok(), want, "{text}");
        }
    }

    #[test]
    fn a_crontab_line_has_five_fields_and_a_command() {
        let (args, command) = crontab(" 5 * 1-3\t* mon  echo  a b").unwrap();
        assert_eq!(command, "echo  a b");
        assert_eq!(
            args,
            json!({"second": 0, "minute": "5", "hour": "*", "mday": "1-3", "month": "*", "weekday": "mon"})
        );
        assert_eq!(crontab("5 * * * *"), None);
        assert_eq!(crontab("foo"), None);
    }
}
