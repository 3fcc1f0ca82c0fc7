//! Small helpers for definitions and matches.

use clap::{Arg, ArgAction, ArgMatches};

use super::CmdError;
use crate::limits::MAXREQS_MAX;

/// An option without a value: `-s/--long`.
pub fn flag(long: &'static str, short: Option<char>, help: &'static str) -> Arg {
    let arg = Arg::new(long).long(long).action(ArgAction::SetTrue).help(help);
    match short {
        Some(short) => arg.short(short),
        None => arg,
    }
}

/// An option with a value: `-s/--long=NAME`. Given twice, the last one counts.
pub fn option(long: &'static str, short: Option<char>, value: &'static str, help: &'static str) -> Arg {
    let arg = Arg::new(long).long(long).value_name(value).overrides_with(long).help(help).allow_hyphen_values(true);
    match short {
        Some(short) => arg.short(short),
        None => arg,
    }
}

/// An option that may be given several times, each with a value.
pub fn many(long: &'static str, short: Option<char>, value: &'static str, help: &'static str) -> Arg {
    let arg =
        Arg::new(long).long(long).value_name(value).action(ArgAction::Append).help(help).allow_hyphen_values(true);
    match short {
        Some(short) => arg.short(short),
        None => arg,
    }
}

/// `-v/--verbose`, countable; `--verbose=LEVEL` and `-v2` too.
pub fn verbose() -> Arg {
    Arg::new("verbose")
        .long("verbose")
        .short('v')
        .value_name("LEVEL")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("1")
        .action(ArgAction::Append)
        .help("Say more about what is done")
}

/// How verbose: the number of times, or the level given.
pub fn verbosity(matches: &ArgMatches) -> u32 {
    let levels = matches.get_many::<String>("verbose").into_iter().flatten();
    levels.map(|level| level.parse().unwrap_or(1)).sum()
}

/// A required word.
pub fn word(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name(name).required(true).help(help)
}

/// A word that may be left out.
pub fn optional_word(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name(name).help(help)
}

/// Any number of words.
pub fn words(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name(name).num_args(0..).help(help)
}

/// A command and its arguments, options included: everything from the first word on.
pub fn command_line(help: &'static str) -> Arg {
    Arg::new("COMMAND").value_name("COMMAND").num_args(0..).trailing_var_arg(true).help(help)
}

/// A whole number given to an option, which may be negative; `shown` is how the option is called in the complaint: `-c/--count`.
///
/// # Errors
/// Not a whole number: a usage error.
pub fn integer(matches: &ArgMatches, name: &str, shown: &str, default: i64) -> Result<i64, CmdError> {
    let bad = |text: &str| CmdError::usage(format!("error: argument {shown}: invalid int value: '{text}'"));
    text(matches, name).map_or(Ok(default), |text| text.trim().parse().map_err(|_| bad(text)))
}

/// The value of an option or word.
pub fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// All values of an option or word.
pub fn texts<'a>(matches: &'a ArgMatches, name: &str) -> Vec<&'a str> {
    matches.get_many::<String>(name).into_iter().flatten().map(String::as_str).collect()
}

/// How many requests may be under way: the option's number, or `default`.
///
/// # Errors
/// What is no number from 1 to [`MAXREQS_MAX`].
pub fn window(matches: &ArgMatches, name: &str, default: usize) -> Result<usize, CmdError> {
    let Some(given) = text(matches, name) else { return Ok(default) };
    let number = given.parse().ok().filter(|number| (1..=MAXREQS_MAX).contains(number));
    number.ok_or_else(|| CmdError::usage(format!("--{name}={given}: give a number from 1 to {MAXREQS_MAX}")))
}

/// A number of bytes: a decimal number, perhaps with `k`, `K`, `M` or `G` behind it.
///
/// # Errors
/// What is neither.
pub fn size(given: &str) -> Result<u64, CmdError> {
    const UNITS: &[(char, f64)] = &[('k', 1024.0), ('K', 1024.0), ('M', 1048576.0), ('G', 1073741824.0)];
    let unit = UNITS.iter().find_map(|(unit, factor)| Some((given.strip_suffix(*unit)?, *factor)));
    let (digits, factor) = unit.unwrap_or((given, 1.0));
    let number = digits.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    let number = number.ok_or_else(|| CmdError::usage(format!("{given}: give a size in bytes, or with k, M or G")))?;
    Ok((number * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let rows = [
            ("0", Some(0)),
            ("10", Some(10)),
            ("1k", Some(1024)),
            ("1.5K", Some(1536)),
            ("2M", Some(2 << 20)),
            ("1G", Some(1 << 30)),
            ("", None),
            ("k", None),
            ("-1", None),
            ("1kB", None),
            ("inf", None),
        ];
        for (text, want) in rows {
            assert_eq!(size(text).ok(), want, "{text}");
        }
    }
}
