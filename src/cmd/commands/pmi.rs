//! `flux pmi`: what a parallel program says to its launcher (RFC 13), step by step.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command};
use flux_client::pmi::{Client, Group, PmiError};
use flux_types::Idset;

use crate::frame::args::{flag, option, text, verbose, verbosity, word};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

pub fn command() -> Command {
    let number = |arg: Arg| arg.value_parser(clap::value_parser!(u32));
    Command::new("pmi")
        .subcommand_required(true)
        .args([
            option("method", None, "URI", "How to find the launcher: simple or single (default: what is there)"),
            flag("libpmi-noflux", None, "No effect: libraries are not loaded"),
            flag("libpmi2-cray", None, "No effect: libraries are not loaded"),
            verbose(),
            option("timeout", Some('t'), "FSD", "Fail if it takes longer"),
        ])
        .subcommand(Command::new("barrier").about("Execute a barrier").args([
            number(option("test-count", None, "N", "Execute N barriers (default 1)")),
            number(option("test-abort", None, "RANK", "This rank aborts instead")),
            flag("test-timing", None, "Say how long the barrier took after one that lined all ranks up"),
        ]))
        .subcommand(Command::new("exchange").about("Exchange a value between all ranks").arg(number(option(
            "count",
            None,
            "N",
            "Do it N times (default 1)",
        ))))
        .subcommand(
            Command::new("get")
                .about("Print the value of a key")
                .arg(option("ranks", None, "{IDSET|all}", "On these ranks (default 0)"))
                .arg(word("KEY", "The key").num_args(1..)),
        )
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    if let Some(text) = text(matches, "timeout") {
        let bad = || CmdError::usage(format!("--timeout={text}: no duration"));
        let seconds = flux_types::parse_fsd(text).ok_or_else(bad)?;
        if let Ok(timeout) = Duration::try_from_secs_f64(seconds) {
            end_after(timeout);
        }
    }
    let mut party = Party::find(matches, cx)?;
    match matches.subcommand() {
        Some(("barrier", matches)) => barrier(matches, party, cx),
        Some(("exchange", matches)) => exchange(matches, party, cx),
        Some(("get", matches)) => {
            let code = get(matches, &mut party, cx)?;
            party.finalize()?;
            Ok(code)
        }
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

/// A server that does not answer must not hold us for longer than was asked.
fn end_after(timeout: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(timeout);
        let _ = std::io::stderr().write_all(b"flux-pmi: timed out\n"); // It ends in any case.
        std::process::exit(1);
    });
}

/// A process group, or this process alone.
struct Party {
    method: &'static str,
    rank: u32,
    size: u32,
    name: String,
    client: Option<Client>,
    verbose: bool,
}

impl Party {
    fn find(matches: &ArgMatches, cx: &Context) -> Result<Party, CmdError> {
        let verbose = verbosity(matches) > 0;
        let note = |text: &str| {
            if verbose {
                say!("{text}");
            }
        };
        let wanted = match text(matches, "method") {
            None => None,
            Some(method @ ("simple" | "single")) => Some(method),
            Some(other) => return Err(CmdError::new(format!("plugin matching '{other}' not found"))),
        };
        let vars = ["PMI_FD", "PMI_RANK", "PMI_SIZE"].map(|name| (name, cx.var(name)));
        let var = |name: &str| vars.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.as_deref());
        let group = match wanted {
            Some("single") => None,
            _ => {
                note("flux-pmi-client: trying 'simple'");
                Group::from_env(var).map_err(|error| CmdError::new(error.to_string()))?
            }
        };
        let party = match group {
            Some(group) => {
                note("simple: selected");
                let client = group.connect().map_err(|error| CmdError::new(error.to_string()))?;
                let name = client.space().to_owned();
                Party { method: "simple", rank: group.rank, size: group.size, name, client: Some(client), verbose }
            }
            None if wanted == Some("simple") => return Err(CmdError::new("PMI_FD not found in environ")),
            None => {
                if wanted.is_none() {
                    note("simple: PMI_FD not found in environ");
                    note("flux-pmi-client: trying 'single'");
                }
                Party { method: "single", rank: 0, size: 1, name: "0".to_owned(), client: None, verbose }
            }
        };
        let name = if party.method == "single" { "single" } else { &party.name };
        party.trace(format_args!("initialize: rank={} size={} name={name}", party.rank, party.size), None);
        Ok(party)
    }

    fn trace(&self, what: impl Display, error: Option<&PmiError>) {
        if self.verbose {
            let outcome = error.map_or_else(|| "success".to_owned(), ToString::to_string);
            say!("{}: {what}: {outcome}", self.method);
        }
    }

    fn traced<T>(&self, what: impl Display, result: Result<T, PmiError>) -> Result<T, CmdError> {
        self.trace(&what, result.as_ref().err());
        result.map_err(|error| CmdError::about(what, error))
    }

    fn barrier(&mut self) -> Result<(), CmdError> {
        let result = self.client.as_mut().map_or(Ok(()), Client::barrier);
        self.traced("barrier", result)
    }

    fn put(&mut self, key: &str, value: &str) -> Result<(), CmdError> {
        let result = self.client.as_mut().map_or(Ok(()), |client| client.put(key, value));
        self.traced(format_args!("put {key}"), result)
    }

    fn get(&mut self, key: &str) -> Result<String, CmdError> {
        let Some(client) = &mut self.client else {
            return Err(CmdError::new(format!("get {key}: key not found")));
        };
        match client.get(key) {
            Err(PmiError::Answer { .. }) => Err(CmdError::new(format!("get {key}: invalid key argument"))),
            result => self.traced(format_args!("get {key}"), result),
        }
    }

    fn finalize(mut self) -> Result<(), CmdError> {
        let result = self.client.take().map_or(Ok(()), Client::finalize);
        self.traced("finalize", result)
    }
}

fn barrier(matches: &ArgMatches, mut party: Party, cx: &mut Context) -> CmdResult {
    let count = matches.get_one::<u32>("test-count").copied().unwrap_or(1);
    let timing = matches.get_flag("test-timing");
    if matches.get_one::<u32>("test-abort") == Some(&party.rank) {
        let text = format!("rank {} is aborting", party.rank);
        cx.warn(&text);
        if let Some(client) = party.client.take() {
            // The launcher ends us before the server closes the connection, or after.
            client.abort(1, &format!("flux-pmi: {text}")).map_err(|error| CmdError::new(error.to_string()))?;
        }
        return Ok(ExitCode::FAILURE);
    }
    for _ in 0..count {
        if timing {
            party.barrier()?;
        }
        let began = Instant::now();
        party.barrier()?;
        let took = if timing { format!(" in {:.3}s.", began.elapsed().as_secs_f64()) } else { String::new() };
        if party.rank == 0 {
            cx.line(format_args!("{}: completed pmi barrier on {} tasks{took}", party.name, party.size))?;
        }
    }
    party.finalize()?;
    Ok(ExitCode::SUCCESS)
}

fn exchange(matches: &ArgMatches, mut party: Party, cx: &mut Context) -> CmdResult {
    let count = matches.get_one::<u32>("count").copied().unwrap_or(1);
    let (rank, size) = (party.rank, party.size);
    for round in 0..count {
        party.barrier()?;
        let began = Instant::now();
        let key = |rank: u32| format!("key.{round}.{rank}");
        party.put(&key(rank), &rank.to_string())?;
        party.barrier()?;
        for other in (0..size).filter(|other| *other != rank) {
            let value = party.get(&key(other))?;
            if value != other.to_string() {
                return Err(CmdError::new(format!("{} is {value}, not {other}", key(other))));
            }
        }
        party.barrier()?;
        if rank == 0 {
            let took = began.elapsed().as_secs_f64();
            cx.line(format_args!("{}: completed pmi exchange on {size} tasks in {took:.3}s.", party.name))?;
        }
    }
    party.finalize()?;
    Ok(ExitCode::SUCCESS)
}

fn get(matches: &ArgMatches, party: &mut Party, cx: &mut Context) -> CmdResult {
    let ranks = match text(matches, "ranks") {
        Some("all") => Idset::below(party.size),
        Some(text) => Idset::parse(text).map_err(|error| CmdError::about(format!("--ranks={text}"), error))?,
        None => Idset::range(0, 0),
    };
    if ranks.contains(party.rank) {
        for key in matches.get_many::<String>("KEY").into_iter().flatten() {
            let value = party.get(key)?;
            cx.line(value)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
