//! The command line.

use super::format_of;
use super::help::USAGE;
use crate::reader::Reader;
use crate::writer::Format;
use std::collections::BTreeSet;

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    pub load_file: String,
    pub load_format: String,
    pub load_allowlist: BTreeSet<String>,
    pub match_subsystems: String,
    pub match_policy: String,
    pub match_format: Format,
    pub is_flexible: bool,
    pub prune_filters: String,
    /// `dot` or `graphml`.
    pub graph_format: String,
    /// Basename of the file the graph is drawn to.
    pub graph_output: Option<String>,
    pub test_output: Option<String>,
    pub shows_elapsed: bool,
    pub hides_prompt: bool,
}

/// Why there are no options: the exit code, and what to say first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub code: u8,
    pub text: String,
}

const LONG: &[(&str, char, bool)] = &[
    ("load-file", 'L', true),
    ("load-format", 'f', true),
    ("load-allowlist", 'W', true),
    ("match-subsystems", 'S', true),
    ("match-policy", 'P', true),
    ("match-format", 'F', true),
    ("traverser-policy", 'T', true),
    ("graph-format", 'g', true),
    ("graph-output", 'o', true),
    ("prune-filters", 'p', true),
    ("test-output", 't', true),
    ("reserve-vtx-vec", 'r', true),
    ("elapse-time", 'e', false),
    ("disable-prompt", 'd', false),
    ("help", 'h', false),
];

fn usage(code: u8, text: impl Into<String>) -> Usage {
    let mut text = text.into();
    if !text.is_empty() {
        text.push('\n');
    }
    Usage { code, text: text + USAGE }
}

/// Splits words into options: `-La`, `-L a`, `--load-file=a`, `--load-file a`, `-ed`; long names may be cut short.
fn split(words: &[String]) -> Result<Vec<(char, String)>, Usage> {
    let mut found = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if let Some(long) = word.strip_prefix("--").filter(|long| !long.is_empty()) {
            let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let exact = LONG.iter().filter(|(of, ..)| *of == name).count() == 1;
            let mut matching = LONG.iter().filter(|(of, ..)| if exact { *of == name } else { of.starts_with(name) });
            let (Some((_, letter, takes)), None) = (matching.next(), matching.next()) else {
                return Err(usage(1, format!("unknown option {word}")));
            };
            let value = match (takes, value) {
                (true, Some(value)) => value.to_string(),
                (true, None) => rest.next().cloned().ok_or_else(|| usage(1, format!("{word} needs a value")))?,
                (false, None) => String::new(),
                (false, Some(_)) => return Err(usage(1, format!("{word} takes no value"))),
            };
            found.push((*letter, value));
            continue;
        }
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            return Err(usage(1, format!("unexpected argument {word}")));
        };
        for (at, letter) in letters.char_indices() {
            let Some((_, _, takes)) = LONG.iter().find(|(_, of, _)| *of == letter) else {
                return Err(usage(1, format!("unknown option -{letter}")));
            };
            if !takes {
                found.push((letter, String::new()));
                continue;
            }
            let attached = &letters[at + letter.len_utf8()..];
            let value = match attached {
                "" => rest.next().cloned().ok_or_else(|| usage(1, format!("-{letter} needs a value")))?,
                attached => attached.to_string(),
            };
            found.push((letter, value));
            break;
        }
    }
    Ok(found)
}

/// Reads the words after the program's name.
///
/// # Errors
/// `Usage` for help, or for what is not understood.
pub fn parse_options(words: &[String]) -> Result<Options, Usage> {
    let mut options = Options {
        load_file: "conf/default".into(),
        load_format: "grug".into(),
        load_allowlist: BTreeSet::new(),
        match_subsystems: "CA".into(),
        match_policy: "first".into(),
        match_format: Format::Simple,
        is_flexible: false,
        prune_filters: "ALL:core,ALL:node".into(),
        graph_format: "dot".into(),
        graph_output: None,
        test_output: None,
        shows_elapsed: false,
        hides_prompt: false,
    };
    let mut filters: Vec<String> = Vec::new();
    for (letter, value) in split(words)? {
        let unknown = |what: &str| usage(1, format!("[ERROR] unknown format for --{what}: {value}"));
        match letter {
            'h' => return Err(usage(0, "")),
            'L' => options.load_file = value,
            'f' if Reader::from_name(&value).is_none() => return Err(unknown("load-format")),
            'f' => options.load_format = value,
            'W' => {
                let words = value.split(',').map(str::trim).filter(|word| !word.is_empty());
                options.load_allowlist.extend(words.map(str::to_string));
                options.load_allowlist.insert("cluster".into());
            }
            'S' => options.match_subsystems = value,
            'P' => options.match_policy = value,
            'T' => options.is_flexible = value == "flexible",
            'F' => options.match_format = format_of(&value).ok_or_else(|| unknown("match-format"))?,
            'g' => match value.to_lowercase().as_str() {
                "dot" | "graphml" => options.graph_format = value.to_lowercase(),
                _ => return Err(unknown("graph-format")),
            },
            'o' => options.graph_output = Some(value),
            'p' => filters.extend(Some(value).filter(|value| !value.trim().is_empty())),
            't' => options.test_output = Some(value),
            'e' => options.shows_elapsed = true,
            'd' => options.hides_prompt = true,
            _ => {} // Storage grows by itself: --reserve-vtx-vec has nothing to do.
        }
    }
    if !filters.is_empty() {
        options.prune_filters = filters.join(",");
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Usage> {
        parse_options(&line.split_whitespace().map(str::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn options_come_in_every_form() {
        for line in ["-L a -edF jgf -p x:y -p z:w", "--load-file=a -e --disable-prompt --match-form jgf -px:y,z:w -d"] {
            let options = parse(line).expect("good options");
            assert_eq!((options.load_file.as_str(), options.match_format), ("a", Format::Jgf), "line {line:?}");
            assert_eq!((options.shows_elapsed, options.hides_prompt), (true, true), "line {line:?}");
            assert_eq!(options.prune_filters, "x:y,z:w", "line {line:?}");
        }
    }

    #[test]
    fn what_is_not_understood_gets_the_usage() {
        for (line, code) in
            [("-h", 0), ("-F xml", 1), ("-f x", 1), ("-x", 1), ("word", 1), ("--l a", 1), ("-L", 1), ("--help=1", 1)]
        {
            assert_eq!(parse(line).map_err(|usage| usage.code).err(), Some(code), "line {line:?}");
        }
    }
}
