//! RFC 26 job dependencies: the object in a jobspec, and the `scheme:value?key=val` form of the command line.

use std::fmt;

use serde_json::{Map, Value};

use crate::limits::{DEPENDENCY_LEN_MAX, DEPENDENCY_OPTIONS_MAX};

/// One dependency. What `value` and `options` mean is up to the scheme.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// Lower case when it came from the command line.
    pub scheme: String,
    pub value: String,
    /// All other keys, in order.
    pub options: Map<String, Value>,
}

/// Why a dependency was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DependencyError {
    InvalidUri {
        uri: String,
    },
    TooLong {
        len: usize,
        max: usize,
    },
    TooManyOptions {
        max: usize,
    },
    /// An option that would take the place of `scheme` or `value`.
    ReservedOption {
        key: String,
    },
    NotObject,
    Missing {
        key: &'static str,
    },
    NotString {
        key: &'static str,
    },
}

impl DependencyError {
    /// The Linux errno for the submitter: EINVAL.
    pub const fn errno(&self) -> i32 {
        22
    }
}

impl fmt::Display for DependencyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidUri { uri } => write!(f, "Invalid dependency URI \"{uri}\""),
            Self::TooLong { len, max } => write!(f, "dependency of {len} bytes is over the limit of {max}"),
            Self::TooManyOptions { max } => write!(f, "dependency has more than {max} options"),
            Self::ReservedOption { key } => write!(f, "dependency option cannot be named '{key}'"),
            Self::NotObject => write!(f, "dependency must be an object"),
            Self::Missing { key } => write!(f, "dependency: Missing key ({key})"),
            Self::NotString { key } => write!(f, "dependency {key} must be a string"),
        }
    }
}

impl std::error::Error for DependencyError {}

impl Dependency {
    /// Reads the command-line form. A word without colon is a scheme with an empty value (`singleton`). Option
    /// values that look like numbers become numbers, a key given twice becomes a list, an option without value is
    /// dropped, and `%XX` and `+` are decoded in options only: all as flux-core's tools do.
    ///
    /// # Errors
    /// `InvalidUri` if the scheme is not a letter followed by letters, digits, `+`, `-` or `.`; `TooLong`;
    /// `TooManyOptions`; `ReservedOption`.
    pub fn parse_uri(uri: &str) -> Result<Dependency, DependencyError> {
        if uri.len() > DEPENDENCY_LEN_MAX {
            return Err(DependencyError::TooLong { len: uri.len(), max: DEPENDENCY_LEN_MAX });
        }
        let (scheme, rest) = uri.split_once(':').unwrap_or((uri, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(plain) {
            return Err(DependencyError::InvalidUri { uri: uri.to_owned() });
        }
        let rest = rest.split_once('#').map_or(rest, |(before, _fragment)| before);
        let (value, query) = rest.split_once('?').unwrap_or((rest, ""));
        Ok(Dependency { scheme: scheme.to_ascii_lowercase(), value: value.to_owned(), options: parse_options(query)? })
    }

    /// Reads the object form.
    ///
    /// # Errors
    /// `NotObject`, `Missing` or `NotString`.
    pub fn from_value(value: &Value) -> Result<Dependency, DependencyError> {
        let mut options = value.as_object().ok_or(DependencyError::NotObject)?.clone();
        let mut take = |key: &'static str| match options.shift_remove(key) {
            None => Err(DependencyError::Missing { key }),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(DependencyError::NotString { key }),
        };
        let (scheme, text) = (take("scheme")?, take("value")?);
        Ok(Dependency { scheme, value: text, options })
    }

    /// The object form.
    pub fn to_value(&self) -> Value {
        let mut out = Map::new();
        out.insert("scheme".into(), self.scheme.as_str().into());
        out.insert("value".into(), self.value.as_str().into());
        out.extend(self.options.clone());
        Value::Object(out)
    }

    /// The command-line form; what [`Dependency::parse_uri`] reads as the same dependency if it came from there.
    pub fn to_uri(&self) -> String {
        let mut out = format!("{}:{}", self.scheme, self.value);
        let mut separator = '?';
        for (key, value) in &self.options {
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            for value in values {
                out.push(separator);
                separator = '&';
                push_escaped(&mut out, key);
                out.push('=');
                match value {
                    Value::String(text) => push_escaped(&mut out, text),
                    other => push_escaped(&mut out, &other.to_string()),
                }
            }
        }
        out
    }
}

fn parse_options(query: &str) -> Result<Map<String, Value>, DependencyError> {
    let mut out = Map::new();
    for (n, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if n >= DEPENDENCY_OPTIONS_MAX {
            return Err(DependencyError::TooManyOptions { max: DEPENDENCY_OPTIONS_MAX });
        }
        let Some((key, value)) = pair.split_once('=').filter(|(_, value)| !value.is_empty()) else { continue };
        let (key, value) = (unescape(key), number_or_text(&unescape(value)));
        if matches!(key.as_str(), "scheme" | "value") {
            return Err(DependencyError::ReservedOption { key });
        }
        match out.get_mut(&key) {
            None => drop(out.insert(key, value)),
            Some(Value::Array(list)) => list.push(value),
            Some(single) => *single = Value::Array(vec![single.take(), value]),
        }
    }
    Ok(out)
}

/// Deviation: Python's `1_000`, `inf` and `nan` stay text; JSON has no such numbers.
fn number_or_text(text: &str) -> Value {
    if let Ok(n) = text.trim().parse::<i64>() {
        return n.into();
    }
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE ".contains(&b));
    match text.trim().parse::<f64>() {
        Ok(n) if numeric && n.is_finite() => n.into(),
        _ => text.into(),
    }
}

fn unescape(text: &str) -> String {
    let hex = |b: u8| (b as char).to_digit(16);
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = match tail {
            [high, low, ..] if first == b'%' => hex(*high).zip(hex(*low)).map(|(high, low)| (high << 4 | low) as u8),
            _ => None,
        };
        out.push(code.unwrap_or(if first == b'+' { b' ' } else { first }));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn push_escaped(out: &mut String, text: &str) {
    use fmt::Write;
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' | b':' | b',' => {
                out.push(byte as char);
            }
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
#[path = "dependency_tests.rs"]
mod tests;
