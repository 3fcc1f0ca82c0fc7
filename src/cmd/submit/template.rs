//! Replacement strings of bulk submissions: `{}`, `{0}`, `{cc}`, `{1./%}`; `{{id}}` is left for the job shell.

use crate::limits::FIELD_WIDTH_MAX;

/// A name's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field {
    Number(u64),
    Text(String),
    /// Becomes several words where a word is replaced.
    List(Vec<String>),
}

/// What replacement strings may refer to.
pub(crate) trait Fields {
    /// The input with this number.
    fn input(&self, number: usize) -> Option<Field>;
    fn named(&self, name: &str) -> Option<Field>;
    /// `.METHOD` of a value.
    ///
    /// # Errors
    /// The sentence for the user.
    fn method(&self, method: &str, value: &Field) -> Result<Field, String>;
}

/// Why a text cannot be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// No such input.
    Index,
    /// No such name.
    Key(String),
    Other(String),
}

/// Does `text` refer to anything?
pub(crate) fn refers(text: &str) -> bool {
    text.contains(['{', '}'])
}

/// Replaces all references; a list makes the one text several.
///
/// # Errors
/// [`TemplateError`]
pub(crate) fn expand(text: &str, fields: &dyn Fields) -> Result<Vec<String>, TemplateError> {
    let mut out = vec![String::new()];
    let mut next_input = 0;
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        push(&mut out, &rest[..at]);
        let tail = &rest[at..];
        if let Some(after) = tail.strip_prefix("{{").or_else(|| tail.strip_prefix("}}")) {
            push(&mut out, &tail[..2]); // The job shell's.
            rest = after;
            continue;
        }
        if tail.starts_with('}') {
            return Err(TemplateError::Other("Single '}' encountered in format string".to_owned()));
        }
        let Some((reference, after)) = tail[1..].split_once('}') else {
            return Err(TemplateError::Other("expected '}' before end of string".to_owned()));
        };
        let (name, spec) = reference.split_once(':').unwrap_or((reference, ""));
        match resolve(name, &mut next_input, fields)? {
            Field::Number(number) => push(&mut out, &padded(&number.to_string(), spec, true)?),
            Field::Text(text) => push(&mut out, &padded(&text, spec, false)?),
            Field::List(list) => {
                let mut list = list.into_iter();
                push(&mut out, &list.next().unwrap_or_default());
                out.extend(list);
            }
        }
        rest = after;
    }
    push(&mut out, rest);
    Ok(out)
}

fn push(out: &mut [String], text: &str) {
    if let Some(last) = out.last_mut() {
        last.push_str(text);
    }
}

fn resolve(name: &str, next_input: &mut usize, fields: &dyn Fields) -> Result<Field, TemplateError> {
    let (base, method) = match name.split_once('.') {
        Some((base, method)) => (base, Some(method)),
        None => (name, None),
    };
    let value = if base.is_empty() {
        *next_input += 1;
        fields.input(*next_input - 1).ok_or(TemplateError::Index)?
    } else if let Ok(number) = base.parse::<usize>() {
        fields.input(number).ok_or(TemplateError::Index)?
    } else {
        fields.named(base).ok_or_else(|| TemplateError::Key(base.to_owned()))?
    };
    match method {
        Some(method) => fields.method(method, &value).map_err(TemplateError::Other),
        None => Ok(value),
    }
}

/// `[[FILL]ALIGN][0][WIDTH][TYPE]` of Python's format specifications.
fn padded(text: &str, spec: &str, number: bool) -> Result<String, TemplateError> {
    let bad = || TemplateError::Other(format!("Invalid format specifier '{spec}'"));
    let chars: Vec<char> = spec.chars().collect();
    let is_align = |c: Option<&char>| c.is_some_and(|c| matches!(c, '<' | '>' | '^'));
    let (fill, align, used) = match () {
        () if is_align(chars.get(1)) => (chars[0], Some(chars[1]), 2),
        () if is_align(chars.first()) => (' ', Some(chars[0]), 1),
        () => (' ', None, 0),
    };
    let rest: String = chars[used..].iter().collect();
    let rest = rest.strip_suffix(if number { 'd' } else { 's' }).unwrap_or(&rest);
    let (fill, digits) = match rest.strip_prefix('0') {
        Some(digits) if align.is_none() && number => ('0', digits),
        _ => (fill, rest),
    };
    let width: usize = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| bad())? };
    if width > FIELD_WIDTH_MAX {
        return Err(bad());
    }
    let missing = width.saturating_sub(text.chars().count());
    let before = match align {
        Some('<') => 0,
        Some('^') => missing / 2,
        Some(_) => missing,
        None if number => missing,
        None => 0,
    };
    let run = |count: usize| std::iter::repeat_n(fill, count).collect::<String>();
    Ok(format!("{}{text}{}", run(before), run(missing - before)))
}

/// The methods every text has: without extension, file name, directory, and file name without extension.
pub(crate) fn path_part(method: &str, text: &str) -> Option<String> {
    let base = |text: &str| text.rsplit('/').next().unwrap_or("").to_owned();
    let stem = |text: &str| {
        let start = text.rfind('/').map_or(0, |at| at + 1);
        let name = &text[start..];
        let leading = name.len() - name.trim_start_matches('.').len();
        match name[leading..].rfind('.') {
            Some(at) => text[..start + leading + at].to_owned(),
            None => text.to_owned(),
        }
    };
    match method {
        "%" => Some(stem(text)),
        "/" => Some(base(text)),
        "//" => Some(match text.rfind('/') {
            Some(at) => {
                let dir = text[..=at].trim_end_matches('/');
                if dir.is_empty() { text[..=at].to_owned() } else { dir.to_owned() }
            }
            None => String::new(),
        }),
        "/%" => Some(base(&stem(text))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sample;

    impl Fields for Sample {
        fn input(&self, number: usize) -> Option<Field> {
            ["/a/b.c", "two"].get(number).map(|text| Field::Text((*text).to_owned()))
        }
        fn named(&self, name: &str) -> Option<Field> {
            (name == "cc").then_some(Field::Number(7))
        }
        fn method(&self, method: &str, value: &Field) -> Result<Field, String> {
            match (method, value) {
                ("list", _) => Ok(Field::List(vec!["x".to_owned(), "y".to_owned()])),
                (_, Field::Text(text)) => path_part(method, text)
                    .map(Field::Text)
                    .ok_or_else(|| format!("Unknown input string method '.{method}'")),
                _ => Err("no".to_owned()),
            }
        }
    }

    #[test]
    fn references_are_replaced() {
        let rows: &[(&str, &[&str])] = &[
            ("plain", &["plain"]),
            ("{}-{}", &["/a/b.c-two"]),
            ("{1}{0}", &["two/a/b.c"]),
            ("{0.%}|{0./}|{0.//}|{0./%}", &["/a/b|b.c|/a|b"]),
            ("{.%}", &["/a/b"]),
            ("{cc} {cc:03d} {cc:<3}| {cc:>3} {cc:*^5}", &["7 007 7  |   7 **7**"]),
            ("{1:5}|{1:>5}", &["two  |  two"]),
            ("{{id}}-{cc}", &["{{id}}-7"]),
            ("a{0.list}b", &["ax", "yb"]),
        ];
        for (text, want) in rows {
            assert_eq!(
                expand(text, &Sample).as_deref(),
                Ok(&want.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()[..]),
                "{text}"
            );
        }
    }

    #[test]
    fn bad_references_are_told_apart() {
        assert_eq!(expand("{2}", &Sample), Err(TemplateError::Index));
        assert_eq!(expand("{}{}{}", &Sample), Err(TemplateError::Index));
        assert_eq!(expand("{foo}", &Sample), Err(TemplateError::Key("foo".to_owned())));
        for text in ["{", "}", "{0.nosuch}", "{cc:x9}", "{cc:99999}"] {
            assert!(matches!(expand(text, &Sample), Err(TemplateError::Other(_))), "{text}");
        }
    }
}
