//! `flux lptest`: lines of regular output.

use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};

use crate::frame::CmdResult;
use crate::frame::context::Context;

pub fn command() -> Command {
    let number = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name).value_name(name).default_value(default).value_parser(clap::value_parser!(u32)).help(help)
    };
    Command::new("lptest").arg(number("LENGTH", "79", "Characters per line")).arg(number("COUNT", "200", "Lines"))
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let length = matches.get_one::<u32>("LENGTH").copied().unwrap_or(79);
    let count = matches.get_one::<u32>("COUNT").copied().unwrap_or(200);
    // The printable characters of ASCII without the space, each line one further.
    for line in 0..count {
        for column in 0..length {
            let character = b'!' + ((u64::from(line) + u64::from(column)) % 94) as u8;
            cx.out.write_all(&[character])?;
        }
        cx.out.write_all(b"\n")?;
    }
    Ok(ExitCode::SUCCESS)
}
