//! The command line of `flux broker` (flux-broker(1)).

use std::fmt;

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Args {
    pub(super) help: bool,
    pub(super) verbose: u32,
    /// `-S NAME=VALUE`, in order.
    pub(super) attrs: Vec<(String, String)>,
    pub(super) config_path: Option<String>,
    /// `--conf VALUE`, in order.
    pub(super) confs: Vec<String>,
    /// The initial program with its arguments.
    pub(super) program: Vec<String>,
}

/// A command line that means nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ArgsError {
    Unknown(String),
    NoValue(String),
    BadValue { option: String, value: String },
}

impl fmt::Display for ArgsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(option) => write!(f, "unknown option {option}; see flux broker --help"),
            Self::NoValue(option) => write!(f, "option {option} needs a value"),
            Self::BadValue { option, value } if option == "-S" || option == "--setattr" => {
                write!(f, "{value}: unknown attribute: give NAME=VALUE")
            }
            Self::BadValue { option, value } => write!(f, "option {option} does not take {value:?}"),
        }
    }
}

pub(super) const HELP: &str = "\
Usage: flux broker [OPTIONS] [initial-program [args...]]
Start a broker, and on rank 0 the initial program (default: a shell)
  -h, --help               Display this message.
  -v, --verbose[=LEVEL]    Say what happens; may be repeated.
  -S, --setattr=ATTR=VAL   Set broker attribute ATTR to VAL.
  -c, --config-path=PATH   Read the configuration from a file or a directory of TOML files.
      --conf=VALUE         Add to the configuration: KEY=VAL, TOML or JSON text, or a file.
";

impl Args {
    /// Reads the arguments after the program's name. The first that is no option begins the initial program.
    pub(super) fn parse(args: impl IntoIterator<Item = String>) -> Result<Args, ArgsError> {
        let mut parsed = Args::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                parsed.program.extend(args);
                break;
            }
            if !arg.starts_with('-') || arg == "-" {
                parsed.program.push(arg);
                parsed.program.extend(args);
                break;
            }
            let (option, value) = split(&arg);
            match option {
                "-h" | "--help" => parsed.help = true,
                "-v" | "--verbose" => parsed.verbose(value)?,
                "-S" | "--setattr" => parsed.setattr(option, needed(option, value, &mut args)?)?,
                "-c" | "--config-path" => parsed.config_path = Some(needed(option, value, &mut args)?),
                "--conf" => parsed.confs.push(needed(option, value, &mut args)?),
                _ => return Err(ArgsError::Unknown(arg)),
            }
        }
        Ok(parsed)
    }

    fn verbose(&mut self, value: Option<&str>) -> Result<(), ArgsError> {
        let bad = |value: &str| ArgsError::BadValue { option: "--verbose".into(), value: value.into() };
        match value {
            None => self.verbose += 1,
            Some(vs) if vs.bytes().all(|byte| byte == b'v') => self.verbose += 1 + vs.len() as u32,
            Some(level) => self.verbose = level.parse().map_err(|_| bad(level))?,
        }
        Ok(())
    }

    fn setattr(&mut self, option: &str, text: String) -> Result<(), ArgsError> {
        let bad = || ArgsError::BadValue { option: option.into(), value: text.clone() };
        let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(bad)?;
        self.attrs.push((name.into(), value.into()));
        Ok(())
    }
}

/// `--name=value` and `-nvalue` at their seam.
fn split(arg: &str) -> (&str, Option<&str>) {
    if arg.starts_with("--") {
        return arg.split_once('=').map_or((arg, None), |(option, value)| (option, Some(value)));
    }
    let end = arg.char_indices().nth(2).map_or(arg.len(), |(at, _)| at);
    let value = &arg[end..];
    (&arg[..end], (!value.is_empty()).then_some(value))
}

fn needed(option: &str, value: Option<&str>, args: &mut impl Iterator<Item = String>) -> Result<String, ArgsError> {
    value.map(str::to_owned).or_else(|| args.next()).ok_or_else(|| ArgsError::NoValue(option.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[&str]) -> Result<Args, ArgsError> {
        Args::parse(text.iter().map(|arg| arg.to_string()))
    }

    #[test]
    fn options_come_in_every_usual_spelling_and_end_at_the_program() {
        let attrs = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let one = Args { attrs: attrs(&[("a.b", "c=d")]), ..Args::default() };
        let rows: &[(&[&str], Args)] = &[
            (&[], Args::default()),
            (&["-Sa.b=c=d"], one.clone()),
            (&["-S", "a.b=c=d"], one.clone()),
            (&["--setattr=a.b=c=d"], one.clone()),
            (&["--setattr", "a.b=c=d"], one),
            (&["-Sa="], Args { attrs: attrs(&[("a", "")]), ..Args::default() }),
            (&["-v", "-v"], Args { verbose: 2, ..Args::default() }),
            (&["-vv"], Args { verbose: 2, ..Args::default() }),
            (&["--verbose=3"], Args { verbose: 3, ..Args::default() }),
            (
                &["-c/etc", "--conf", "x=1"],
                Args { config_path: Some("/etc".into()), confs: vec!["x=1".into()], ..Args::default() },
            ),
            (&["sleep", "-S", "1"], Args { program: vec!["sleep".into(), "-S".into(), "1".into()], ..Args::default() }),
            (&["--", "-x"], Args { program: vec!["-x".into()], ..Args::default() }),
            (&["-h"], Args { help: true, ..Args::default() }),
        ];
        for (text, want) in rows {
            assert_eq!(parse(text).as_ref(), Ok(want), "{text:?}");
        }
    }

    #[test]
    fn what_means_nothing_is_named() {
        let rows: &[(&[&str], &str)] = &[
            (&["-x"], "unknown option -x; see flux broker --help"),
            (&["--nope=1"], "unknown option --nope=1; see flux broker --help"),
            (&["-S"], "option -S needs a value"),
            (&["-Sname"], "name: unknown attribute: give NAME=VALUE"),
            (&["--setattr==x"], "=x: unknown attribute: give NAME=VALUE"),
            (&["--verbose=x"], "option --verbose does not take \"x\""),
            (&["-\u{e4}"], "unknown option -\u{e4}; see flux broker --help"),
        ];
        for (text, want) in rows {
            assert_eq!(parse(text).unwrap_err().to_string(), *want, "{text:?}");
        }
    }
}
