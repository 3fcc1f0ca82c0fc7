//! The outer grammar: text and `{field!conversion:spec}`.

use super::FormatError;
use crate::limits::FORMAT_MAX_CHARS;

/// Literal text and the field after it, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub text: String,
    pub field: Option<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub name: String,
    pub conversion: Option<char>,
    /// What stands after the colon, without it.
    pub spec: String,
}

/// Splits a format. `{{` and `}}` are literal braces.
pub(super) fn parse(format: &str) -> Result<Vec<Part>, FormatError> {
    if format.chars().count() > FORMAT_MAX_CHARS {
        return Err(FormatError::TooLong);
    }
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.peek() == Some(&c) => {
                chars.next();
                text.push(c);
            }
            '}' => return Err(FormatError::Brace("'}' without '{' before it")),
            '{' => {
                let field = field(&mut chars)?;
                parts.push(Part { text: std::mem::take(&mut text), field: Some(field) });
            }
            other => text.push(other),
        }
    }
    if !text.is_empty() {
        parts.push(Part { text, field: None });
    }
    Ok(parts)
}

/// The inside of a field; the opening brace is gone, the closing one is taken.
fn field(chars: &mut impl Iterator<Item = char>) -> Result<Field, FormatError> {
    let mut inside = String::new();
    loop {
        match chars.next() {
            None => return Err(FormatError::Brace("expected '}' before end of string")),
            Some('}') => break,
            Some('{') => return Err(FormatError::Brace("fields cannot be nested")),
            Some(c) => inside.push(c),
        }
    }
    let (head, spec) = inside.split_once(':').unwrap_or((&inside, ""));
    let (name, conversion) = match head.split_once('!') {
        None => (head, None),
        Some((name, conversion)) => {
            let mut letters = conversion.chars();
            match (letters.next(), letters.next()) {
                (Some(letter), None) => (name, Some(letter)),
                _ => return Err(FormatError::Brace("'!' is followed by one letter")),
            }
        }
    };
    let name = name.strip_prefix("0.").unwrap_or(name);
    if name.is_empty() {
        return Err(FormatError::Brace("a field needs a name"));
    }
    Ok(Field { name: name.to_owned(), conversion, spec: spec.to_owned() })
}
