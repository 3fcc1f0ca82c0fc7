//! YAML into JSON values, with a bound on what aliases may expand to.

use crate::error::JobspecError;
use crate::limits::{DOCUMENT_DEPTH_MAX, YAML_NODE_COUNT_MAX};
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// Parses the first document of a YAML text. JSON is YAML too.
///
/// # Errors
/// What is not YAML, nests too deeply, expands too far, or has a key that is no scalar.
pub fn parse_yaml(text: &str) -> Result<Value, JobspecError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| JobspecError(format!("not YAML: {error}")))?;
        if builder.take(event)? {
            break;
        }
    }
    builder.done.ok_or_else(|| JobspecError("the document is empty".into()))
}

#[derive(Default)]
struct Builder {
    /// Open lists and maps, outermost first, with their anchors.
    open: Vec<(Open, usize)>,
    anchors: BTreeMap<usize, (Value, usize)>,
    node_count: usize,
    done: Option<Value>,
}

enum Open {
    List(Vec<Value>),
    Map(Map<String, Value>, Option<String>),
}

impl Builder {
    /// True once the document is complete.
    fn take(&mut self, event: Event) -> Result<bool, JobspecError> {
        match event {
            Event::Scalar(text, style, anchor, _) => self.put(resolve(&text, style), anchor, 1)?,
            Event::SequenceStart(anchor, _) => self.begin(Open::List(Vec::new()), anchor)?,
            Event::MappingStart(anchor, _) => self.begin(Open::Map(Map::new(), None), anchor)?,
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).ok_or_else(|| JobspecError("unknown YAML alias".into()))?;
                if self.node_count.saturating_add(known.1) > YAML_NODE_COUNT_MAX {
                    return Err(JobspecError(format!("expands to more than {YAML_NODE_COUNT_MAX} values")));
                }
                let (value, weight) = known.clone();
                self.put(value, 0, weight)?;
            }
            Event::DocumentEnd => return Ok(self.done.is_some()),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {}
        }
        Ok(false)
    }

    fn begin(&mut self, open: Open, anchor: usize) -> Result<(), JobspecError> {
        if self.open.len() >= DOCUMENT_DEPTH_MAX {
            return Err(JobspecError(format!("nests deeper than {DOCUMENT_DEPTH_MAX} levels")));
        }
        self.open.push((open, anchor));
        Ok(())
    }

    fn end(&mut self) -> Result<(), JobspecError> {
        let Some((open, anchor)) = self.open.pop() else { return Ok(()) };
        let value = match open {
            Open::List(list) => Value::Array(list),
            Open::Map(map, _) => Value::Object(map),
        };
        self.put(value, anchor, 1)
    }

    fn put(&mut self, value: Value, anchor: usize, weight: usize) -> Result<(), JobspecError> {
        self.node_count = self.node_count.saturating_add(weight);
        if self.node_count > YAML_NODE_COUNT_MAX {
            return Err(JobspecError(format!("expands to more than {YAML_NODE_COUNT_MAX} values")));
        }
        if anchor != 0 {
            let weight = count_nodes(&value);
            self.anchors.insert(anchor, (value.clone(), weight));
        }
        match self.open.last_mut() {
            None => self.done = Some(value),
            Some((Open::List(list), _)) => list.push(value),
            Some((Open::Map(map, key), _)) => match key.take() {
                Some(key) => _ = map.insert(key, value),
                None => *key = Some(key_text(value)?),
            },
        }
        Ok(())
    }
}

fn count_nodes(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(count_nodes).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(count_nodes).sum::<usize>(),
        _ => 1,
    }
}

fn key_text(value: Value) -> Result<String, JobspecError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok("null".into()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Array(_) | Value::Object(_) => Err(JobspecError("a key must be a scalar".into())),
    }
}

/// The YAML 1.2 core schema, as far as JSON can say it.
fn resolve(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.into());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        if let Ok(number) = text.parse::<u64>() {
            return Value::Number(number.into());
        }
        if let Ok(number) = text.parse::<i64>() {
            return Value::Number(number.into());
        }
        if digits.bytes().all(|c| c.is_ascii_digit() || b".eE+-".contains(&c))
            && let Some(number) = text.parse::<f64>().ok().and_then(Number::from_f64)
        {
            return Value::Number(number);
        }
    }
    Value::String(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn yaml_becomes_json() {
        let rows = [
            ("a: 1\nb: [x, 'y', \"2\"]\n", json!({"a": 1, "b": ["x", "y", "2"]})),
            ("- +\n- '*'\n- 1.5\n- -3\n- ~\n- true\n- 0-3\n", json!(["+", "*", 1.5, -3, null, true, "0-3"])),
            ("{\"a\": {\"b\": []}}", json!({"a": {"b": []}})),
            ("a: &x {b: 1}\nc: *x\n", json!({"a": {"b": 1}, "c": {"b": 1}})),
            ("1: 2\n", json!({"1": 2})),
        ];
        for (text, want) in rows {
            assert_eq!(parse_yaml(text), Ok(want), "input {text:?}");
        }
    }

    #[test]
    fn hostile_yaml_is_an_error() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for at in 1..12 {
            let list = vec![format!("*a{}", at - 1); 10].join(",");
            bomb.push_str(&format!("a{at}: &a{at} [{list}]\n"));
        }
        for text in ["", "a: [", "? [a]\n: b\n", &"[".repeat(5000), &bomb] {
            assert!(parse_yaml(text).is_err(), "input {:.20?}", text);
        }
    }
}
