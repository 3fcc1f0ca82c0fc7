//! Splitting text into words as a POSIX shell does, without expansions.

/// Words separated by blanks, up to an unquoted `#`; quotes and backslashes keep blanks together, and runs of `();<>|&`
/// are words of their own. Submission directives are read so (RFC 36).
///
/// # Errors
/// A sentence if a quote is not closed or a backslash ends the text.
pub(crate) fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '#' => break,
            '\'' | '"' => {
                within_quotes(&mut chars, c, word.get_or_insert_default())?;
            }
            '\\' => word.get_or_insert_default().push(chars.next().ok_or("No escaped character")?),
            c if is_punctuation(c) => {
                words.extend(word.take());
                let mut run = c.to_string();
                while let Some(next) = chars.next_if(|c| is_punctuation(*c)) {
                    run.push(next);
                }
                words.push(run);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// `text` as one word for [`split`].
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

fn is_punctuation(c: char) -> bool {
    "();<>|&".contains(c)
}

fn within_quotes(chars: &mut impl Iterator<Item = char>, quote: char, word: &mut String) -> Result<(), &'static str> {
    loop {
        match chars.next().ok_or("No closing quotation")? {
            c if c == quote => return Ok(()),
            '\\' => match chars.next().ok_or("No escaped character")? {
                c if c == quote || c == '\\' => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_would() {
        let rows: &[(&str, Result<&[&str], &str>)] = &[
            ("", Ok(&[])),
            ("  a  b\tc\n", Ok(&["a", "b", "c"])),
            ("'a b' \"c d\"", Ok(&["a b", "c d"])),
            ("a'b'\"c\"d", Ok(&["abcd"])),
            (r#"a\ b "c\"d" "e\f" 'g\h'"#, Ok(&["a b", "c\"d", "e\\f", "g\\h"])),
            ("''", Ok(&[""])),
            ("a a|b #c", Ok(&["a", "a", "|", "b"])),
            ("'a", Err("No closing quotation")),
            ("\"a", Err("No closing quotation")),
            ("a\\", Err("No escaped character")),
        ];
        for (text, want) in rows {
            let got = split(text);
            let got = got.as_ref().map(|words| words.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(got.as_deref().map_err(|e| **e), want.as_deref().map_err(|e| *e), "{text:?}");
        }
    }

    #[test]
    fn directives_have_comments_and_punctuation() {
        let rows: &[(&str, &[&str])] = &[
            ("-n2 # two", &["-n2"]),
            ("--job-name='a # b'", &["--job-name=a # b"]),
            ("--x=a|b", &["--x=a", "|", "b"]),
            (r"--x='it\'s'", &["--x=it's"]),
        ];
        for (text, want) in rows {
            assert_eq!(split(text).unwrap(), *want, "{text}");
        }
    }

    #[test]
    fn what_is_quoted_splits_into_itself() {
        for text in ["", "a", "a b", "it's", "\"x\"", "a\nb", "$HOME"] {
            assert_eq!(split(&quoted(text)).unwrap(), [text]);
        }
    }
}
