//! Patterns for names: shell globs, and regular expressions between slashes.

use regex_lite::Regex;

/// A pattern for names of variables or limits.
pub(crate) enum Pattern {
    Glob(Vec<char>),
    /// Anchored at the start only.
    Regex(Regex),
}

impl Pattern {
    /// `/REGEX` or `/REGEX/`, and a shell glob otherwise.
    ///
    /// # Errors
    /// The sentence for the user if the regular expression is none.
    pub(crate) fn parse(text: &str) -> Result<Pattern, String> {
        match text.strip_prefix('/') {
            None => Ok(Pattern::Glob(text.chars().collect())),
            Some(regex) => Regex::new(&format!("^(?:{})", regex.trim_end_matches('/')))
                .map(Pattern::Regex)
                .map_err(|error| format!("invalid regular expression '{text}': {error}")),
        }
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Pattern::Glob(glob) => glob_matches(glob, &name.chars().collect::<Vec<_>>()),
            Pattern::Regex(regex) => regex.is_match(name),
        }
    }
}

/// `*`, `?`, `[set]`, `[!set]`, as fnmatch without its path rules. Linear: only the last `*` is ever tried again.
fn glob_matches(glob: &[char], text: &[char]) -> bool {
    let (mut g, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match glob.get(g) {
            Some('*') => {
                retry = Some((g + 1, t));
                g += 1;
                continue;
            }
            None if t == text.len() => return true,
            None => None,
            Some(_) => text.get(t).and_then(|c| one(&glob[g..], *c)),
        };
        match (step, &mut retry) {
            (Some(used), _) => {
                g += used;
                t += 1;
            }
            (None, Some((after, from))) if *from < text.len() => {
                *from += 1;
                (g, t) = (*after, *from);
            }
            (None, _) => return false,
        }
    }
}

/// Whether the first element of `glob` matches `c`, as the number of characters it takes.
fn one(glob: &[char], c: char) -> Option<usize> {
    match glob[0] {
        '?' => Some(1),
        '[' => match set_end(glob) {
            Some(end) => in_set(&glob[1..end], c).then_some(end + 1),
            None => (c == '[').then_some(1),
        },
        plain => (plain == c).then_some(1),
    }
}

/// Where the `]` of a set stands; one that comes first is a member.
fn set_end(glob: &[char]) -> Option<usize> {
    let first = if glob.get(1) == Some(&'!') { 3 } else { 2 };
    glob.iter().skip(first).position(|c| *c == ']').map(|at| at + first)
}

fn in_set(set: &[char], c: char) -> bool {
    let (negated, mut set) = match set.split_first() {
        Some(('!', rest)) => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    while let Some((low, rest)) = set.split_first() {
        match rest {
            ['-', high, rest @ ..] => {
                found |= (*low..=*high).contains(&c);
                set = rest;
            }
            _ => {
                found |= *low == c;
                set = rest;
            }
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_and_regular_expressions_match_names() {
        let rows = [
            ("*", "", true),
            ("*", "PATH", true),
            ("P*H", "PATH", true),
            ("P*H", "PATHS", false),
            ("*A*H", "PATHAH", true),
            ("P?TH", "PATH", true),
            ("P?TH", "PTH", false),
            ("[A-P]ATH", "PATH", true),
            ("[!A-P]ATH", "PATH", false),
            ("[]x]", "]", true),
            ("[x", "[x", true),
            ("PATH", "path", false),
            ("/P.*H", "PATH", true),
            ("/AT", "PATH", false),
            ("/PA/", "PATH", true),
            ("/(FOO|BAR)_.*/", "BAR_X", true),
        ];
        for (pattern, name, want) in rows {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), want, "{pattern} on {name}");
        }
        assert!(Pattern::parse("/(").is_err());
    }
}
