//! What a row answers for a field.

use std::fmt;

/// A value before it is formatted. Formatting follows Python's rules for `str`, `int`, `float` and `bool`.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, shown as nothing.
    Empty,
    Text(String),
    Int(i64),
    /// Also for what is larger than an `Int` holds, job ids for one.
    Unsigned(u64),
    Float(f64),
    Bool(bool),
}

/// Something that has fields.
pub trait Row {
    /// The value of a field that is among the headings. `None`: this row has none, shown as nothing.
    fn field(&self, name: &str) -> Option<Value>;
}

impl Value {
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    /// As a number, if it is one; `None` for text, also where it reads as a number.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(*n as f64),
            Value::Unsigned(n) => Some(*n as f64),
            Value::Float(x) => Some(*x),
            Value::Bool(b) => Some(f64::from(u8::from(*b))),
            Value::Empty | Value::Text(_) => None,
        }
    }

    /// The value of a JSON member, as the Python commands would hold it; objects and arrays as their JSON text.
    pub fn of_json(value: &serde_json::Value) -> Value {
        match value {
            serde_json::Value::Null => Value::Empty,
            serde_json::Value::Bool(b) => Value::Bool(*b),
            serde_json::Value::Number(n) => match (n.as_i64(), n.as_u64()) {
                (Some(n), _) => Value::Int(n),
                (None, Some(n)) => Value::Unsigned(n),
                (None, None) => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Value::Text(text.clone()),
            other => Value::Text(other.to_string()),
        }
    }
}

/// As Python's `str()`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Empty => Ok(()),
            Value::Text(text) => f.write_str(text),
            Value::Int(n) => n.fmt(f),
            Value::Unsigned(n) => n.fmt(f),
            Value::Float(x) => f.write_str(&float_text(*x)),
            Value::Bool(true) => f.write_str("True"),
            Value::Bool(false) => f.write_str("False"),
        }
    }
}

/// The shortest digits that read back the same, as Python shows a float.
pub(super) fn float_text(x: f64) -> String {
    if x.is_nan() {
        return "nan".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let text = format!("{x:?}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    // Rust writes 1e16 and 1e-7 where Python writes 1e+16 and 1e-07.
    let (sign, number) = exponent.strip_prefix('-').map_or(('+', exponent), |number| ('-', number));
    format!("{digits}e{sign}{number:0>2}")
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Value::Int(n)
    }
}

impl From<u32> for Value {
    fn from(n: u32) -> Value {
        Value::Int(i64::from(n))
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Value {
        Value::Unsigned(n)
    }
}

impl From<usize> for Value {
    fn from(n: usize) -> Value {
        Value::Unsigned(n as u64)
    }
}

impl From<f64> for Value {
    fn from(x: f64) -> Value {
        Value::Float(x)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Empty, Into::into)
    }
}
