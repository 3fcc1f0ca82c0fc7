//! Small helpers for definitions and matches.

use clap::{Arg, ArgAction, ArgMatches};

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

/// The value of an option or word.
pub fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// All values of an option or word.
pub fn texts<'a>(matches: &'a ArgMatches, name: &str) -> Vec<&'a str> {
    matches.get_many::<String>(name).into_iter().flatten().map(String::as_str).collect()
}
