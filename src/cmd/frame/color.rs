//! `-L/--color=WHEN`.

use clap::{Arg, ArgMatches};

use super::CmdError;
use super::context::Context;

/// The option; without a value it means `always`.
pub fn arg() -> Arg {
    Arg::new("color")
        .long("color")
        .short('L')
        .value_name("WHEN")
        .num_args(0..=1)
        .default_missing_value("always")
        .value_parser(["always", "never", "auto"])
        .overrides_with("color")
        .help("Use colors: always, never, or only on a terminal (auto)")
}

/// Is color wanted? `NO_COLOR` (no-color.org) settles `auto`.
pub fn wanted(matches: &ArgMatches, cx: &Context) -> Result<bool, CmdError> {
    Ok(match matches.get_one::<String>("color").map(String::as_str) {
        Some("always") => true,
        Some("never") => false,
        _ => cx.on_terminal() && cx.var("NO_COLOR").is_none(),
    })
}

pub const RESET: &str = "\x1b[0m";
pub const BOLD: &str = "\x1b[1m";
pub const RED: &str = "\x1b[31m";
pub const GREEN: &str = "\x1b[32m";
pub const YELLOW: &str = "\x1b[33m";
pub const BLUE: &str = "\x1b[34m";
pub const BOLD_BLUE: &str = "\x1b[01;34m";
pub const MAGENTA: &str = "\x1b[35m";
pub const CYAN: &str = "\x1b[36m";
pub const GRAY: &str = "\x1b[37m";
