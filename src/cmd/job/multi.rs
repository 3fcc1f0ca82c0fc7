//! `flux multi-prog`: each task of a job runs the program that a file names for it.

use std::os::unix::process::CommandExt;
use std::process::{Command as Process, ExitCode};

use clap::{ArgMatches, Command};
use flux_types::Idset;

use crate::frame::args::{option, text, texts, words as words_of};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};
use crate::limits::CONFIG_MAX_BYTES;
use crate::submit::{files, refused, words};

pub(crate) fn command() -> Command {
    Command::new("multi-prog")
        .arg(option(
            "dry-run",
            Some('n'),
            "IDS",
            "Do not run anything. Instead, print what would be run for each taskid in IDS",
        ))
        .arg(words_of("CONFIG", "Configuration file: lines of TASKIDS EXECUTABLE [ARGS...]"))
}

/// One line of the file.
#[derive(Debug)]
struct Line {
    /// `None`: all tasks that no line before names.
    ranks: Option<Idset>,
    args: Vec<String>,
}

impl Line {
    /// `TASKIDS EXECUTABLE [ARGS...]`; `None` for a blank line or a comment.
    fn parse(number: usize, text: &str) -> Result<Option<Line>, String> {
        let shown = text.trim_end();
        let mut args = words::split(text).map_err(|why| format!("line {number}: '{shown}': {why}"))?;
        if args.len() < 2 {
            return Ok(None);
        }
        let targets = args.remove(0);
        let ranks = match targets.as_str() {
            "*" => None,
            text => Some(Idset::parse(text).map_err(|_| format!("line {number}: invalid idset: {text}"))?),
        };
        Ok(Some(Line { ranks, args }))
    }

    fn serves(&self, rank: u32) -> bool {
        self.ranks.as_ref().is_none_or(|ranks| ranks.contains(rank))
    }

    /// The arguments of one task: `%t` is its rank, `%o` its place among the line's ranks.
    fn args(&self, rank: u32) -> Vec<String> {
        let offset = self.ranks.as_ref().map_or(rank as usize, |ranks| ranks.count_below(rank));
        let expand = |arg: &String| arg.replace("%t", &rank.to_string()).replace("%o", &offset.to_string());
        self.args.iter().map(expand).collect()
    }
}

/// The lines of a file; of several for one rank the first counts.
fn parse(text: &str) -> Result<Vec<Line>, String> {
    let mut lines: Vec<Line> = Vec::new();
    for (number, text) in (1..).zip(text.lines()) {
        let Some(line) = Line::parse(number, text)? else { continue };
        lines.push(line);
    }
    Ok(lines)
}

fn find<'l>(lines: &'l [Line], rank: u32, path: &str) -> Result<&'l Line, CmdError> {
    let named = lines.iter().find(|line| line.ranks.is_some() && line.serves(rank));
    let line = named.or_else(|| lines.iter().find(|line| line.serves(rank)));
    line.ok_or_else(|| refused(format_args!("{path}: No matching line for rank {rank}")))
}

pub(crate) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let given = texts(matches, "CONFIG");
    let [path] = given.as_slice() else {
        return Err(CmdError::usage("error: exactly one argument is required: CONFIG"));
    };
    let content = files::read_text(path, CONFIG_MAX_BYTES).map_err(refused)?;
    let lines = parse(&content).map_err(|why| refused(format_args!("{path}: {why}")))?;
    if let Some(ids) = text(matches, "dry-run") {
        let ids = Idset::parse(ids).map_err(|_| refused(format_args!("--dry-run: invalid idset: {ids}")))?;
        for rank in ids.iter() {
            let args: Vec<_> = find(&lines, rank, path)?.args(rank).iter().map(|arg| words::quoted(arg)).collect();
            cx.line(format_args!("{rank}: {}", args.join(" ")))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let rank = cx.var("FLUX_TASK_RANK").and_then(|rank| rank.parse().ok());
    let rank = rank.ok_or_else(|| refused("FLUX_TASK_RANK not found or invalid"))?;
    let args = find(&lines, rank, path)?.args(rank);
    let error = Process::new(&args[0]).args(&args[1..]).exec();
    Err(refused(files::describe(&error, &args[0])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_gets_its_line() {
        let text = "# a comment\n0-1 ./a x%t y%o # more\n\n4-6 ./b '%o of three'\n* ./c\n";
        let lines = parse(text).unwrap();
        let args = |rank| find(&lines, rank, "f").unwrap().args(rank).join("|");
        let rows = [(0, "./a|x0|y0"), (1, "./a|x1|y1"), (5, "./b|1 of three"), (2, "./c"), (99, "./c")];
        for (rank, want) in rows {
            assert_eq!(args(rank), want, "{rank}");
        }
    }

    #[test]
    fn mistakes_name_their_line() {
        let rows = [("0 a\nx b\n", "line 2: invalid idset: x"), ("0 'a\n", "line 1: '0 'a': No closing quotation")];
        for (text, want) in rows {
            assert_eq!(parse(text).unwrap_err(), want);
        }
        assert_eq!(
            find(&parse("0 a\n1\n").unwrap(), 1, "f").unwrap_err().to_string(),
            "ERROR: f: No matching line for rank 1"
        );
    }
}
