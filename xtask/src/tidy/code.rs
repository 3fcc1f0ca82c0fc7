//! Just enough of a Rust lexer to find functions and words.

/// A function of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function<'text> {
    pub name: &'text str,
    /// The line its `fn` stands on, from 1.
    pub at: usize,
    /// From that line to its closing brace.
    pub lines: usize,
}

/// The text with comments, strings and characters replaced by spaces; lines stay where they are.
pub(super) fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => comment_end(bytes, at),
            b'"' => string_end(bytes, at + 1),
            b'r' | b'b' | b'c' if starts_word(bytes, at) => raw_string_end(bytes, at).unwrap_or(at),
            b'\'' => character_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn starts_word(bytes: &[u8], at: usize) -> bool {
    at == 0 || !is_word(bytes[at - 1])
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |len| at + len)
}

/// Comments nest.
fn comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0usize);
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `r"..."`, `br#"..."#`, `c"..."`: `None` if it is only a word that begins with such a letter.
fn raw_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let prefix = bytes[start..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    let hashes = bytes[start + prefix..].iter().take_while(|byte| **byte == b'#').count();
    let quote = start + prefix + hashes;
    if prefix > 2 || bytes.get(quote) != Some(&b'"') {
        return None;
    }
    if !bytes[start..start + prefix].contains(&b'r') {
        return (hashes == 0).then(|| string_end(bytes, quote + 1));
    }
    let close = [b"\"", "#".repeat(hashes).as_bytes()].concat();
    let found = bytes[quote + 1..].windows(close.len()).position(|window| window == close);
    Some(found.map_or(bytes.len(), |len| quote + 1 + len + close.len()))
}

/// `'x'`, `'\n'`, `'é'`: `None` for lifetimes.
fn character_end(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes.get(start + 1) == Some(&b'\\') {
        let close = bytes.get(start + 3..)?.iter().position(|byte| *byte == b'\'')?;
        return Some(start + 3 + close + 1);
    }
    let first = *bytes.get(start + 1)?;
    let len =
        if first < 0x80 { 1 } else { 1 + bytes[start + 2..].iter().take_while(|byte| **byte & 0xc0 == 0x80).count() };
    (bytes.get(start + 1 + len) == Some(&b'\'')).then_some(start + 2 + len)
}

/// The words of a blanked text.
pub(super) fn words(blanked: &str) -> impl Iterator<Item = &str> {
    blanked.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// All functions that have a body, in a blanked text.
pub(super) fn functions(blanked: &str) -> Vec<Function<'_>> {
    let bytes = blanked.as_bytes();
    let mut found = Vec::new();
    for (at, _) in blanked.match_indices("fn ") {
        if !starts_word(bytes, at) {
            continue;
        }
        let rest = blanked[at + 3..].trim_start();
        let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        if let Some(end) = body_end(bytes, at).filter(|_| !name.is_empty()) {
            let lines = bytes[at..end].iter().filter(|byte| **byte == b'\n').count() + 1;
            let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
            found.push(Function { name, at: line, lines });
        }
    }
    found
}

/// Behind the closing brace of the function that begins at `start`; `None` if it has no body (a trait's, a type).
fn body_end(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut braces, mut others) = (0usize, 0usize);
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => others += 1,
            b')' | b']' if others == 0 => return None,
            b')' | b']' => others -= 1,
            b';' if braces == 0 && others == 0 => return None,
            b'{' => braces += 1,
            b'}' if braces == 0 => return None,
            b'}' if braces == 1 => return Some(at + 1),
            b'}' => braces -= 1,
            _ => (),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_are_blanked() {
        let rows = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"a("{\"", b'{', '{', "x")"#, "a(     , b   ,    ,    )"),
            (r##"f(r#"un"safe"#, br"{", c"}")"##, "f(            ,      ,     )"),
            ("fn f<'a>(x: &'a str) { '\\'' }", "fn f<'a>(x: &'a str) {      }"),
            ("'\\u{7d}' 'é'", "          \u{20}   "),
        ];
        for (text, want) in rows {
            assert_eq!(blank(text).trim_end(), want.trim_end(), "{text}");
        }
    }

    #[test]
    fn functions_are_found_and_measured() {
        let text = "trait T { fn none(&self); }\nfn one() {}\nimpl A {\n    pub fn three<T, const N: usize>(x: [T; N]) -> u8\n    where T: Fn(u8) -> u8 {\n        { 1 } }\n}\ntype F = fn (u8);\n";
        let found = functions(text);
        let shown: Vec<_> = found.iter().map(|function| (function.name, function.at, function.lines)).collect();
        assert_eq!(shown, [("one", 2, 1), ("three", 4, 3)]);
    }
}
