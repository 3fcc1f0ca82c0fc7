//! `--resources-shape` (RFC 46) and `--resources-json`: the resources of a jobspec as its author wants them.

use serde_json::{Map, Value, json};

use crate::limits::{JOB_FILE_BYTES_MAX, SHAPE_DEPTH_MAX};

type Result<T> = std::result::Result<T, String>;

/// The label of a slot that has none: what the tasks refer to.
const SLOT: &str = "task";

/// Reads `slot=4/node/[core=2;gpu]`: the array of a jobspec.
///
/// # Errors
/// What was expected where.
pub(super) fn parse(text: &str) -> Result<Value> {
    let mut reader = Reader { text, rest: text };
    let list = reader.list(0)?;
    if reader.rest.is_empty() { Ok(Value::Array(list)) } else { Err(reader.unexpected()) }
}

/// The `resources` of a file: the array itself, or a jobspec that has it.
///
/// # Errors
/// The file cannot be read, or is no JSON.
pub(super) fn read(path: &str) -> Result<Value> {
    let missing = |_| format!("No such file or directory: '{path}'");
    let len = std::fs::metadata(path).map_err(missing)?.len();
    if len > JOB_FILE_BYTES_MAX {
        return Err(format!("{path}: over the limit of {JOB_FILE_BYTES_MAX} bytes"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let mut value: Value = serde_json::from_slice(&bytes).map_err(|error| format!("{path}: {error}"))?;
    match value.get_mut("resources") {
        Some(resources) => Ok(resources.take()),
        None => Ok(value),
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn unexpected(&self) -> String {
        match self.rest.chars().next() {
            None => format!("Unexpected end of input in '{}'", self.text),
            Some(c) => {
                let at = self.text.len() - self.rest.len();
                format!("Unexpected '{c}' at position {at} in '{}'", self.text)
            }
        }
    }

    fn eats(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, c: char) -> Result<()> {
        if self.eats(c) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Up to one of these.
    fn word(&mut self, ends: &str) -> Result<&'a str> {
        let len = self.rest.find(|c| ends.contains(c)).unwrap_or(self.rest.len());
        if len == 0 {
            return Err(self.unexpected());
        }
        let (word, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(word)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Value>> {
        if depth > SHAPE_DEPTH_MAX {
            return Err(format!("more than {SHAPE_DEPTH_MAX} levels in '{}'", self.text));
        }
        if !self.eats('[') {
            return Ok(vec![self.vertex(depth)?]);
        }
        let mut list = vec![self.vertex(depth)?];
        while self.eats(';') {
            list.push(self.vertex(depth)?);
        }
        self.expect(']')?;
        Ok(list)
    }

    fn vertex(&mut self, depth: usize) -> Result<Value> {
        let kind = self.word("=/{}[];,")?;
        let count = if self.eats('=') { self.count()? } else { json!(1) };
        let mut vertex = Map::from_iter([("type".to_owned(), kind.into()), ("count".to_owned(), count)]);
        let is_slot = kind == "slot";
        let mut label = is_slot.then(|| SLOT.to_owned());
        if self.eats('{') && !self.eats('}') {
            let mut is_first = true;
            while is_first || self.eats(',') {
                self.item(&mut vertex, label.as_mut().filter(|_| is_first))?;
                is_first = false;
            }
            self.expect('}')?;
        }
        if let Some(label) = label {
            vertex.insert("label".to_owned(), label.into());
        }
        if is_slot {
            self.expect('/')?;
            vertex.insert("with".to_owned(), Value::Array(self.list(depth + 1)?));
        } else if self.eats('/') {
            vertex.insert("with".to_owned(), Value::Array(self.list(depth + 1)?));
        }
        Ok(Value::Object(vertex))
    }

    fn count(&mut self) -> Result<Value> {
        let text = if self.eats('[') {
            let text = self.word("]")?;
            self.expect(']')?;
            text
        } else {
            self.word("/{}[];")?
        };
        Ok(text.parse::<u32>().map_or_else(|_| text.into(), Value::from))
    }

    /// `key:value`, `+key`, `-key` or `key`; the first of a slot is its label.
    fn item(&mut self, vertex: &mut Map<String, Value>, label: Option<&mut String>) -> Result<()> {
        let off = self.eats('-');
        let signed = off || self.eats('+');
        let key = self.word(":,{}")?;
        let name = if key == "x" { "exclusive" } else { key };
        if self.eats(':') {
            let value = self.word(",}")?;
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            vertex.insert(name.to_owned(), value);
        } else if let Some(label) = label.filter(|_| !signed) {
            *label = key.to_owned();
        } else {
            vertex.insert(name.to_owned(), Value::Bool(!off));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_those_of_rfc46() {
        let rows = [
            (
                "slot=4/node",
                json!([{"type": "slot", "count": 4, "label": "task", "with": [{"type": "node", "count": 1}]}]),
            ),
            (
                "slot=4{nodelevel}/node{-x}/socket=2+/core=4+",
                json!([{"type": "slot", "count": 4, "label": "nodelevel", "with": [{"type": "node", "count": 1,
                    "exclusive": false, "with": [{"type": "socket", "count": "2+", "with": [{"type": "core", "count": "4+"}]}]}]}]),
            ),
            (
                "node=2{x}/slot=[1,3]/[core;memory=4{unit:GB}]",
                json!([{"type": "node", "count": 2, "exclusive": true, "with": [{"type": "slot", "count": "1,3",
                    "label": "task", "with": [{"type": "core", "count": 1}, {"type": "memory", "count": 4, "unit": "GB"}]}]}]),
            ),
        ];
        for (text, want) in rows {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
        for (text, want) in [
            ("slot/", "Unexpected end of input in 'slot/'"),
            ("slot", "Unexpected end of input in 'slot'"),
            ("node]", "Unexpected ']' at position 4 in 'node]'"),
            ("[node;core", "Unexpected end of input in '[node;core'"),
        ] {
            assert_eq!(parse(text), Err(want.to_owned()), "{text}");
        }
        assert!(parse(&"node/".repeat(1000)).is_err());
    }
}
