//! Splitting text into words as a POSIX shell does, without expansions.

/// Words separated by blanks; quotes and backslashes keep blanks together.
///
/// # Errors
/// A sentence if a quote is not closed or a backslash ends the text.
pub(crate) fn split(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err("No closing quotation"),
                    }
                }
            }
            '"' => quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(chars.next().ok_or("No escaped character")?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

fn quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    loop {
        match chars.next().ok_or("No closing quotation")? {
            '"' => return Ok(()),
            '\\' => match chars.next().ok_or("No escaped character")? {
                c @ ('"' | '\\' | '$' | '`') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn words_are_split_as_a_shell_would() {
        let rows: &[(&str, Result<&[&str], &str>)] = &[
            ("", Ok(&[])),
            ("  a  b\tc\n", Ok(&["a", "b", "c"])),
            ("'a b' \"c d\"", Ok(&["a b", "c d"])),
            ("a'b'\"c\"d", Ok(&["abcd"])),
            (r#"a\ b "c\"d" "e\f""#, Ok(&["a b", "c\"d", "e\\f"])),
            ("''", Ok(&[""])),
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
}
