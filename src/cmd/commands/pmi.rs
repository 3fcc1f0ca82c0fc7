//! `flux pmi`: tries the PMI service of a launcher (RFC 13), as brokers and parallel programs use it.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{ArgMatches, Command};
use flux_types::Idset;

use crate::frame::args::{flag, option, text, verbose, verbosity, word};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::limits::PMI_LINE_MAX;

pub fn command() -> Command {
    Command::new("pmi")
        .subcommand_required(true)
        .arg(option("method", None, "URI", "simple or single (default: the first that works)"))
        .arg(verbose())
        .arg(option("timeout", Some('t'), "FSD", "Give up after this time"))
        .subcommand(Command::new("barrier").about("Execute PMI barriers").args([
            flag("test-timing", None, "Print how long the barrier took"),
            option("test-count", None, "N", "Execute N barriers (default 1)"),
            option("test-abort", None, "RANK", "Have RANK abort instead"),
        ]))
        .subcommand(Command::new("exchange").about("Exchange a value with every other rank").arg(option(
            "count",
            None,
            "N",
            "Do it N times (default 1)",
        )))
        .subcommand(
            Command::new("get")
                .about("Print a value that the launcher put")
                .arg(option("ranks", None, "RANKS", "Print it on these ranks, or on all (default 0)"))
                .arg(word("KEY", "Its key")),
        )
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut pmi = Pmi::open(matches, cx)?;
    match matches.subcommand() {
        Some(("barrier", matches)) => barrier(&mut pmi, matches, cx)?,
        Some(("exchange", matches)) => exchange(&mut pmi, matches, cx)?,
        Some(("get", matches)) => get(&mut pmi, matches, cx)?,
        _ => unreachable!("clap requires one of the subcommands"),
    }
    pmi.finalize()?;
    Ok(ExitCode::SUCCESS)
}

/// A conversation with the server, or none for a program on its own.
struct Pmi {
    stream: Option<BufReader<UnixStream>>,
    name: String,
    rank: u32,
    size: u32,
    own: Vec<(String, String)>,
    trace: bool,
}

impl Pmi {
    fn open(matches: &ArgMatches, cx: &Context) -> Result<Pmi, CmdError> {
        let method = text(matches, "method");
        let trace = verbosity(matches) > 0 || cx.var("FLUX_PMI_DEBUG").is_some();
        if let Some(other) = method.filter(|method| !["simple", "single"].contains(method)) {
            return Err(CmdError::new(format!("plugin matching '{other}' not found")));
        }
        let name = cx.var("FLUX_JOB_ID").unwrap_or_else(|| "0".to_owned());
        let mut pmi = Pmi { stream: None, name, rank: 0, size: 1, own: Vec::new(), trace };
        let fd = cx.var("PMI_FD").filter(|_| method != Some("single"));
        let Some(fd) = fd else {
            if method == Some("simple") {
                return Err(CmdError::new("simple: PMI_FD is not set: there is no server"));
            }
            pmi.say("single: selected");
            return Ok(pmi);
        };
        let number = |name: &str| {
            let value = cx.var(name).unwrap_or_default();
            value.parse::<u32>().map_err(|_| CmdError::new(format!("simple: {name}={value} makes no sense")))
        };
        (pmi.rank, pmi.size) = (number("PMI_RANK")?, number("PMI_SIZE")?);
        let failed = |error| CmdError::about("simple: PMI_FD", error);
        let number = fd.parse::<i32>().ok().filter(|fd| *fd > 2);
        let number = number.ok_or_else(|| CmdError::new(format!("simple: PMI_FD={fd} makes no sense")))?;
        let stream = UnixStream::from(flux_sys::fd::take_inherited(number).map_err(failed)?);
        stream.set_nonblocking(false).map_err(failed)?;
        let limit = match text(matches, "timeout") {
            None => None,
            Some(fsd) => {
                let seconds = flux_types::parse_fsd(fsd);
                let seconds = seconds.ok_or_else(|| CmdError::usage(format!("--timeout={fsd}: is no duration")))?;
                Duration::try_from_secs_f64(seconds).ok().filter(|limit| !limit.is_zero())
            }
        };
        stream.set_read_timeout(limit).map_err(failed)?;
        pmi.stream = Some(BufReader::new(stream));
        pmi.say("simple: selected");
        pmi.ask("initialize", "cmd=init pmi_version=1 pmi_subversion=1")?;
        pmi.ask("initialize", "cmd=get_maxes")?;
        let answer = pmi.ask("initialize", "cmd=get_my_kvsname")?;
        pmi.name = value(&answer, "kvsname").unwrap_or_default().to_owned();
        pmi.say(&format!("simple: initialize: rank={} size={} name={}: success", pmi.rank, pmi.size, pmi.name));
        Ok(pmi)
    }

    fn say(&self, text: &str) {
        if self.trace {
            eprintln!("{text}");
        }
    }

    /// The answer to one line, whose `rc` is 0.
    fn ask(&mut self, doing: &str, line: &str) -> Result<String, CmdError> {
        let stream = self.stream.as_mut().expect("only asked where there is a server");
        let wrong = |error| CmdError::about(doing, error);
        stream.get_mut().write_all(format!("{line}\n").as_bytes()).map_err(wrong)?;
        let mut answer = Vec::new();
        let limit = PMI_LINE_MAX as u64;
        stream.by_ref().take(limit).read_until(b'\n', &mut answer).map_err(|error| match error.kind() {
            std::io::ErrorKind::WouldBlock => CmdError::about(doing, "no answer in time"),
            _ => wrong(error),
        })?;
        let answer = String::from_utf8_lossy(&answer).trim_end().to_owned();
        match value(&answer, "rc") {
            _ if answer.is_empty() => Err(CmdError::about(doing, "the server closed the connection")),
            None | Some("0") => Ok(answer),
            Some("4") => Err(CmdError::about(doing, "invalid key argument")),
            Some(rc) => Err(CmdError::about(doing, format!("the server answered rc={rc}"))),
        }
    }

    fn barrier(&mut self) -> Result<(), CmdError> {
        if self.stream.is_some() {
            self.ask("barrier", "cmd=barrier_in")?;
            self.say("simple: barrier: success");
        }
        Ok(())
    }

    fn put(&mut self, key: &str, text: &str) -> Result<(), CmdError> {
        if self.stream.is_none() {
            self.own.push((key.to_owned(), text.to_owned()));
            return Ok(());
        }
        let line = format!("cmd=put kvsname={} key={key} value={text}", self.name);
        self.ask(&format!("put {key}"), &line)?;
        self.say(&format!("simple: put {key}: success"));
        Ok(())
    }

    fn get(&mut self, key: &str) -> Result<String, CmdError> {
        let doing = format!("get {key}");
        if self.stream.is_none() {
            let own = self.own.iter().rev().find(|(name, _)| name == key);
            return own.map(|(_, text)| text.clone()).ok_or_else(|| CmdError::about(doing, "key not found"));
        }
        let line = format!("cmd=get kvsname={} key={key}", self.name);
        let answer = self.ask(&doing, &line)?;
        self.say(&format!("simple: get {key}: success"));
        // The value is the rest of the line: it may have blanks in it.
        let text = answer.split_once("value=").map(|(_, text)| text.to_owned());
        text.ok_or_else(|| CmdError::about(doing, "the answer has no value"))
    }

    fn abort(&mut self, text: &str) -> Result<(), CmdError> {
        if let Some(stream) = &mut self.stream {
            let line = format!("cmd=abort exitcode=1 error_msg={text}\n");
            stream.get_mut().write_all(line.as_bytes()).map_err(|error| CmdError::about("abort", error))?;
            let mut rest = Vec::new();
            // The launcher ends us.
            let _ = stream.read_until(b'\n', &mut rest);
        }
        Err(CmdError::new(text.to_owned()))
    }

    fn finalize(&mut self) -> Result<(), CmdError> {
        if self.stream.is_some() {
            self.ask("finalize", "cmd=finalize")?;
            self.say("simple: finalize: success");
        }
        Ok(())
    }
}

fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_ascii_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

fn number(matches: &ArgMatches, name: &str, default: u32) -> Result<u32, CmdError> {
    let given = text(matches, name).map_or(Ok(default), str::parse);
    given.map_err(|_| CmdError::usage(format!("--{name}: give a number")))
}

fn barrier(pmi: &mut Pmi, matches: &ArgMatches, cx: &mut Context) -> Result<(), CmdError> {
    let timing = matches.get_flag("test-timing");
    if timing {
        pmi.barrier()?;
    }
    if text(matches, "test-abort").is_some() && number(matches, "test-abort", 0)? == pmi.rank {
        let rank = pmi.rank;
        return pmi.abort(&format!("flux-pmi: rank {rank} is aborting"));
    }
    for _ in 0..number(matches, "test-count", 1)? {
        let began = Instant::now();
        pmi.barrier()?;
        if pmi.rank == 0 {
            let took = began.elapsed().as_secs_f64();
            let took = if timing { format!(" in {took:.3}s.") } else { String::new() };
            cx.line(format_args!("{}: completed pmi barrier on {} tasks{took}", pmi.name, pmi.size))?;
        }
    }
    Ok(())
}

fn exchange(pmi: &mut Pmi, matches: &ArgMatches, cx: &mut Context) -> Result<(), CmdError> {
    pmi.barrier()?;
    for round in 0..number(matches, "count", 1)? {
        let began = Instant::now();
        let (key, text) = (format!("key.{}", pmi.rank), format!("{}.{round}", pmi.rank));
        pmi.put(&key, &text)?;
        pmi.barrier()?;
        for rank in 0..pmi.size {
            if pmi.get(&format!("key.{rank}"))? != format!("{rank}.{round}") {
                return Err(CmdError::about(format!("get key.{rank}"), "returned unexpected value"));
            }
        }
        pmi.barrier()?;
        if pmi.rank == 0 {
            let took = began.elapsed().as_secs_f64();
            cx.line(format_args!("{}: completed pmi exchange on {} tasks in {took:.3}s.", pmi.name, pmi.size))?;
        }
    }
    Ok(())
}

fn get(pmi: &mut Pmi, matches: &ArgMatches, cx: &mut Context) -> Result<(), CmdError> {
    let here = match text(matches, "ranks").unwrap_or("0") {
        "all" => true,
        ranks => {
            let ranks = Idset::parse(ranks).map_err(|error| CmdError::about("--ranks", error))?;
            ranks.contains(pmi.rank)
        }
    };
    if here {
        let text = pmi.get(text(matches, "KEY").unwrap_or_default())?;
        cx.line(text)?;
    }
    Ok(())
}
