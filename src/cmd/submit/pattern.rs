//! Patterns for names: shell globs, and regular expressions between slashes.

use flux_types::glob;
use regex_lite::Regex;

/// A pattern for names of variables or limits.
pub(crate) enum Pattern {
    Glob(String),
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
            None => Ok(Pattern::Glob(text.to_owned())),
            Some(regex) => Regex::new(&format!("^(?:{})", regex.trim_end_matches('/')))
                .map(Pattern::Regex)
                .map_err(|error| format!("invalid regular expression '{text}': {error}")),
        }
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Pattern::Glob(pattern) => glob::matches(pattern, name),
            Pattern::Regex(regex) => regex.is_match(name),
        }
    }
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
