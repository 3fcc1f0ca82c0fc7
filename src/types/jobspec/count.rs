//! Resource counts (RFC 14 "count"): an integer, a range object, or a string with an idset or an RFC 45 range.

use serde_json::{Map, Value};

use super::JobspecError;
use super::parse::positive;
use crate::limits::JOBSPEC_COUNT_MAX;

/// How many of a resource are asked for, in the form it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Count {
    /// Zero only for types other than node, slot and core.
    Fixed(u32),
    /// The object form.
    Range(CountRange),
    /// An RFC 22 idset of acceptable counts, or an RFC 45 range; checked, kept as text.
    Text(String),
}

/// `{min, max, operator, operand}`. Absent parts stay absent, so the object is written as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountRange {
    pub min: u32,
    /// Unbounded when absent.
    pub max: Option<u32>,
    /// `operator` and `operand` come together or not at all; then they are `+` and 1.
    pub step: Option<(char, u32)>,
}

impl Count {
    /// The count if it is a plain integer, which is all that version 1 has.
    pub fn fixed(&self) -> Option<u32> {
        if let Count::Fixed(count) = self { Some(*count) } else { None }
    }

    /// The count as a JSON value.
    pub fn to_value(&self) -> Value {
        match self {
            Count::Fixed(count) => (*count).into(),
            Count::Text(text) => text.as_str().into(),
            Count::Range(range) => {
                let mut out = Map::new();
                out.insert("min".into(), range.min.into());
                if let Some(max) = range.max {
                    out.insert("max".into(), max.into());
                }
                if let Some((operator, operand)) = range.step {
                    out.insert("operator".into(), operator.to_string().into());
                    out.insert("operand".into(), operand.into());
                }
                Value::Object(out)
            }
        }
    }

    pub(super) fn from_value(value: Value, kind: &str, at: &str) -> Result<Count, JobspecError> {
        match value {
            Value::Number(_) => {
                let least = u64::from(matches!(kind, "node" | "slot" | "core"));
                let want = if least == 1 { "an integer >= 1" } else { "an integer >= 0" };
                let count = value.as_u64().filter(|n| (least..=u64::from(JOBSPEC_COUNT_MAX)).contains(n));
                count.map(|n| Count::Fixed(n as u32)).ok_or_else(|| JobspecError::value(at, want))
            }
            Value::Object(map) => Ok(Count::Range(CountRange::from_map(map, at)?)),
            Value::String(text) if is_count_text(&text) => Ok(Count::Text(text)),
            Value::String(_) => Err(JobspecError::value(at, "a valid idset or range")),
            _ => Err(JobspecError::type_(at, "an integer, a mapping or a string")),
        }
    }
}

impl CountRange {
    fn from_map(mut map: Map<String, Value>, at: &str) -> Result<CountRange, JobspecError> {
        let mut number = |key: &'static str| match map.shift_remove(key) {
            None => Ok(None),
            Some(value) => {
                let number = positive(&value);
                number.map(Some).ok_or_else(|| JobspecError::value(format!("{at}.{key}"), "an integer > 0"))
            }
        };
        let (min, max, operand) = (number("min")?, number("max")?, number("operand")?);
        let operator = map.shift_remove("operator");
        if let Some(key) = map.keys().next() {
            return Err(JobspecError::Extraneous { at: at.to_owned(), key: key.clone() });
        }
        let min = min.ok_or_else(|| JobspecError::missing(at, "min"))?;
        let step = match (operator, operand) {
            (None, None) => None,
            (Some(operator), Some(operand)) => {
                let operator = operator.as_str().filter(|text| matches!(*text, "+" | "*" | "^"));
                let operator = operator.ok_or_else(|| JobspecError::value(format!("{at}.operator"), "+, * or ^"))?;
                Some((operator.chars().next().unwrap_or('+'), operand))
            }
            _ => return Err(JobspecError::value(at, "a range with both operator and operand, or neither")),
        };
        let range = CountRange { min, max, step };
        range.check().map_err(|want| JobspecError::value(at, want))?;
        Ok(range)
    }

    /// RFC 14's rules between the parts.
    fn check(&self) -> Result<(), &'static str> {
        if self.max.is_some_and(|max| max < self.min) {
            return Err("a range with max >= min");
        }
        match self.step {
            Some(('*' | '^', operand)) if operand < 2 => Err("a range with operand > 1 for '*' or '^'"),
            Some(('^', _)) if self.min < 2 => Err("a range with min > 1 for '^'"),
            _ => Ok(()),
        }
    }
}

/// RFC 22 idset without 0, or RFC 45 range.
fn is_count_text(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    is_count_idset(inner) || parse_range(inner).is_some_and(|range| range.check().is_ok())
}

fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok().filter(|n| *n <= JOBSPEC_COUNT_MAX)).flatten()
}

fn is_count_idset(text: &str) -> bool {
    let mut above = 0;
    text.split(',').all(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Some(first), Some(last)) = (digits(first), digits(last)) else { return false };
        let rising = above < first && first <= last;
        above = last;
        rising
    })
}

fn parse_range(text: &str) -> Option<CountRange> {
    let mut parts = text.split(':');
    let bounds = parts.next()?;
    let (min, max) = match bounds.strip_suffix('+') {
        Some(min) => (digits(min)?, None),
        None => {
            let (min, max) = bounds.split_once('-')?;
            (digits(min)?, Some(digits(max)?))
        }
    };
    let step = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => None,
        (Some(operand), None, _) => Some(('+', digits(operand)?)),
        (Some(operand), Some(operator @ ("+" | "*" | "^")), None) => Some((operator.chars().next()?, digits(operand)?)),
        _ => return None,
    };
    Some(CountRange { min, max, step })
}
