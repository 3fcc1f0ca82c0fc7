//! `flux sproc`: processes that `flux exec` and others run on nodes (RFC 42).

use std::io::Write;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{ArgMatches, Command};
use flux_client::{ClientError, Handle, Rank, Target};
use serde_json::{Value as Json, json};

use crate::format::{Format, Row, TableOptions, Value};
use crate::frame::args::{flag, option, text, word};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

const HEADINGS: &[(&str, &str)] =
    &[("pid", "PID"), ("state", "ST"), ("label", "LABEL"), ("rank", "RANK"), ("cmd", "COMMAND")];
const DEFAULT_FORMAT: &str = "{pid:>9} {state:<2.2} {label:<12.12h} {cmd}";

pub fn command() -> Command {
    let place = || {
        [
            option("rank", Some('r'), "RANK", "The node (default: this one)"),
            option("service", Some('s'), "SERVICE", "The service (default rexec)"),
        ]
    };
    let process = || word("PID|LABEL", "The process");
    Command::new("sproc")
        .subcommand_required(true)
        .subcommand(Command::new("ps").about("List processes").args(place()).args([
            option("format", Some('o'), "FORMAT", "Output format"),
            flag("no-header", Some('n'), "No line of headings"),
        ]))
        .subcommand(
            Command::new("kill")
                .about("Signal a process")
                .args(place())
                .arg(flag("wait", Some('w'), "Wait until it has ended"))
                .args([word("SIGNUM", "Signal, by number or name"), process()]),
        )
        .subcommand(
            Command::new("wait")
                .about("Wait for a process that was started as waitable")
                .args(place())
                .arg(flag("output", Some('o'), "Print what it wrote"))
                .arg(process()),
        )
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("ps", matches)) => ps(matches, cx),
        Some(("kill", matches)) => kill(matches, cx),
        Some(("wait", matches)) => {
            let request = request(matches);
            let output = matches.get_flag("output");
            wait(matches, request, output, &mut cx.open()?, cx)
        }
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

fn place(matches: &ArgMatches, method: &str) -> Result<(String, Target), CmdError> {
    let target = match text(matches, "rank") {
        None => Target::Any,
        Some(rank) => {
            Target::Rank(Rank(rank.parse().map_err(|_| CmdError::usage(format!("--rank={rank}: give a rank")))?))
        }
    };
    Ok((format!("{}.{method}", text(matches, "service").unwrap_or("rexec")), target))
}

fn request(matches: &ArgMatches) -> Json {
    let word = text(matches, "PID|LABEL").unwrap_or_default();
    match word.parse::<i64>() {
        Ok(pid) => json!({"pid": pid}),
        Err(_) => json!({"pid": -1, "label": word}),
    }
}

struct Process {
    rank: i64,
    entry: Json,
}

impl Row for Process {
    fn field(&self, name: &str) -> Option<Value> {
        Some(match name {
            "rank" => Value::Int(self.rank),
            "label" | "state" | "pid" | "cmd" => Value::of_json(&self.entry[name]),
            _ => return None,
        })
    }
}

fn ps(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let format = Format::parse(text(matches, "format").unwrap_or(DEFAULT_FORMAT), HEADINGS)?;
    let (topic, target) = place(matches, "list")?;
    let answer = cx.open()?.call(&topic, target, json!({})).map_err(CmdError::calling(topic))?;
    let rank = answer["rank"].as_i64().unwrap_or(-1);
    let entries = answer["procs"].as_array().cloned().unwrap_or_default();
    let mut rows: Vec<Process> = entries.into_iter().map(|entry| Process { rank, entry }).collect();
    let options = TableOptions { no_header: matches.get_flag("no-header"), width: None };
    format.print(&mut rows, options, &mut cx.out)??;
    Ok(ExitCode::SUCCESS)
}

/// `kill: [Errno 3] pid 7 does not belong to any subprocess`
fn refused(what: &'static str) -> impl FnOnce(ClientError) -> CmdError {
    move |error| match error {
        ClientError::Answer(fault) => CmdError::new(format!("{what}: [Errno {}] {}", fault.errno.0, fault.message())),
        other => other.into(),
    }
}

fn kill(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let signal = text(matches, "SIGNUM").unwrap_or_default();
    let number = signal.parse().ok().or_else(|| flux_sys::signal::by_name(signal));
    let number: i32 = number.ok_or_else(|| CmdError::usage(format!("{signal} is not a signal")))?;
    let (topic, target) = place(matches, "kill")?;
    let mut flux = cx.open()?;
    let mut body = request(matches);
    body["signum"] = json!(number);
    flux.call(&topic, target, body).map_err(refused("kill"))?;
    match matches.get_flag("wait") {
        true => wait(matches, request(matches), false, &mut flux, cx),
        false => Ok(ExitCode::SUCCESS),
    }
}

fn wait(matches: &ArgMatches, request: Json, output: bool, flux: &mut Handle, cx: &mut Context) -> CmdResult {
    let (topic, target) = place(matches, "wait")?;
    let answer = flux.call(&topic, target, request).map_err(refused("wait"))?;
    for io in answer["output"].as_array().into_iter().flatten().filter(|_| output) {
        let data = io["data"].as_str().unwrap_or("");
        let bytes = match io["encoding"].as_str() {
            Some("base64") => STANDARD.decode(data).unwrap_or_default(),
            _ => data.as_bytes().to_vec(),
        };
        match io["stream"].as_str() {
            Some("stdout") => cx.out.write_all(&bytes)?,
            _ => {
                cx.out.flush()?;
                std::io::stderr().write_all(&bytes)?;
            }
        }
    }
    let status = answer["status"].as_i64().unwrap_or(0);
    let code = match status & 0x7f {
        0 => status >> 8 & 0xff,
        signal => 128 + signal,
    };
    Ok(ExitCode::from(code as u8))
}
