//! From the command line to a command.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::process::ExitCode;

use clap::error::ErrorKind;

use super::context::Context;
use super::{CmdError, CmdResult, Entry, external, help};
use crate::{Programs, table};

/// What stands before the command's name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Globals {
    help: bool,
    version: bool,
    verbose: u8,
    parent: bool,
    root: bool,
}

/// The global options, and how many arguments they are.
fn globals(args: &[OsString]) -> Result<(Globals, usize), CmdError> {
    let mut globals = Globals::default();
    let mut used = 0;
    for arg in args {
        let text = arg.to_str().unwrap_or("");
        let Some(rest) = text.strip_prefix('-').filter(|rest| !rest.is_empty()) else { break };
        used += 1;
        match rest {
            "-" => break,
            "-help" => globals.help = true,
            "-version" => globals.version = true,
            "-verbose" => globals.verbose += 1,
            "-parent" => globals.parent = true,
            "-root" => globals.root = true,
            _ if rest.starts_with('-') => return Err(unknown_option(text)),
            letters => {
                for letter in letters.chars() {
                    match letter {
                        'h' => globals.help = true,
                        'V' => globals.version = true,
                        'v' => globals.verbose = globals.verbose.saturating_add(1),
                        'p' => globals.parent = true,
                        'r' => globals.root = true,
                        other => return Err(unknown_option(&format!("-{other}"))),
                    }
                }
            }
        }
    }
    Ok((globals, used))
}

fn unknown_option(option: &str) -> CmdError {
    CmdError::usage(format!("unrecognized option '{option}'\nTry `flux --help' for more information."))
}

/// The exit code of Python's argparse for a wrong command line.
pub(super) const PYTHON_USAGE_EXIT: u8 = 2;

/// Runs the command line; errors are printed here.
pub(crate) fn run(args: Vec<OsString>, programs: Programs) -> ExitCode {
    let mut cx = Context::new("", programs);
    cx.name = "flux".to_owned();
    let args = args.get(1..).unwrap_or_default();
    let mut usage_exit = 1;
    let outcome = choose(args, &mut cx, &mut usage_exit);
    finish(outcome, cx, usage_exit)
}

fn choose(args: &[OsString], cx: &mut Context, usage_exit: &mut u8) -> CmdResult {
    let (globals, used) = globals(args)?;
    let args = &args[used..];
    if globals.help {
        help::overview(&mut cx.out, cx.programs.tools)?;
        return Ok(ExitCode::SUCCESS);
    }
    cx.verbose = globals.verbose > 0;
    if globals.version {
        return run_entry(table::find("version").expect("the table has version"), &[], cx);
    }
    let Some((name, rest)) = args.split_first() else {
        help::overview(&mut std::io::stderr(), cx.programs.tools)?;
        return Ok(ExitCode::FAILURE);
    };
    // `flux mini run` is how `flux run` was called once.
    let (name, rest) = match rest.split_first() {
        Some((next, rest)) if name == "mini" => (next, rest),
        _ => (name, rest),
    };
    if globals.parent || globals.root {
        cx.ascend(globals.root)?;
    }
    match name.to_str().and_then(table::find) {
        Some(entry) => {
            *usage_exit = entry.usage_exit;
            run_entry(entry, rest, cx)
        }
        None => match cx.programs.tools.iter().find(|(known, ..)| name == known) {
            Some((_, _, tool)) => Ok(tool(rest.to_vec())),
            None => external::run(name, rest, cx),
        },
    }
}

/// Parses the arguments of one command and runs it.
fn run_entry(entry: &Entry, args: &[OsString], cx: &mut Context) -> CmdResult {
    cx.name = format!("flux-{}", entry.name);
    let argv = std::iter::once(OsStr::new(entry.name)).chain(args.iter().map(OsString::as_os_str));
    match entry.definition().try_get_matches_from(argv) {
        Ok(matches) => (entry.run)(&matches, cx),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                write!(cx.out, "{}", error.render())?;
                Ok(ExitCode::SUCCESS)
            }
            _ => {
                let text = error.render().to_string();
                Err(CmdError::usage(text.strip_prefix("error: ").unwrap_or(&text).trim_end()))
            }
        },
    }
}

fn finish(outcome: CmdResult, mut cx: Context, usage_exit: u8) -> ExitCode {
    let outcome = outcome.and_then(|code| {
        cx.out.flush()?;
        Ok(code)
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            if !error.quiet() {
                let _ = cx.out.flush(); // What was printed before comes first; its own failure changes nothing now.
                let _ = std::io::stderr().write_all(complaint(&cx.name, &error, usage_exit).as_bytes());
            }
            // The buffer's owner would try to write what could not be written.
            let code = error.code(usage_exit);
            let (_, _lost) = cx.out.into_parts();
            ExitCode::from(code)
        }
    }
}

/// `NAME: TEXT`, and in the commands that flux-core has in Python, the level that its logger puts before the text.
fn complaint(name: &str, error: &CmdError, usage_exit: u8) -> String {
    let text = error.to_string();
    // flux-sched's, in Python too, have no level.
    let plain = usage_exit != PYTHON_USAGE_EXIT || name.starts_with("flux-ion-");
    let level = match error {
        _ if plain || text.starts_with("ERROR: ") || text.starts_with("error: ") => "",
        CmdError::Usage(_) => "error: ",
        _ => "ERROR: ",
    };
    format!("{name}: {level}{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_options_end_at_the_command() {
        let none = Globals::default();
        type Row<'a> = (&'a [&'a str], Result<(Globals, usize), ()>);
        let rows: &[Row] = &[
            (&[], Ok((Globals::default(), 0))),
            (&["kvs", "-h"], Ok((Globals::default(), 0))),
            (&["-h"], Ok((Globals { help: true, ..Globals::default() }, 1))),
            (&["-vp", "kvs"], Ok((Globals { verbose: 1, parent: true, ..Globals::default() }, 1))),
            (&["--root", "--verbose", "x"], Ok((Globals { root: true, verbose: 1, ..Globals::default() }, 2))),
            (&["--", "-x"], Ok((none, 1))),
            (&["-"], Ok((Globals::default(), 0))),
            (&["--nosuch"], Err(())),
            (&["-q"], Err(())),
        ];
        for (args, want) in rows {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            let got = globals(&args).map_err(|_| ());
            assert_eq!(&got, want, "{args:?}");
        }
    }
}
