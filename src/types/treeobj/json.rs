//! Tree objects as JSON. Equal objects have equal bytes, those of flux-core: the bytes are what is hashed.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Treeobj, TreeobjError};
use crate::blobref::Blobref;

impl Treeobj {
    /// Reads and checks the JSON text of one object, directories to every depth.
    ///
    /// # Errors
    /// See `TreeobjError`. Nesting is limited by the JSON parser to some 60 directories.
    pub fn parse(text: &[u8]) -> Result<Treeobj, TreeobjError> {
        let value: Value = serde_json::from_slice(text).map_err(|e| TreeobjError::Json(e.to_string()))?;
        Treeobj::from_value(&value)
    }

    /// Reads and checks an object that is already JSON.
    ///
    /// # Errors
    /// See `TreeobjError`.
    pub fn from_value(value: &Value) -> Result<Treeobj, TreeobjError> {
        let object = value.as_object().filter(|o| o.len() == 3).ok_or(TreeobjError::Shape)?;
        let (Some(data), Some(Value::String(kind)), Some(Value::Number(ver))) =
            (object.get("data"), object.get("type"), object.get("ver"))
        else {
            return Err(TreeobjError::Shape);
        };
        if ver.as_u64() != Some(1) {
            return Err(TreeobjError::Version);
        }
        match kind.as_str() {
            "val" => {
                let text = data.as_str().ok_or(TreeobjError::BadData { kind: "val" })?;
                STANDARD.decode(text).map(Treeobj::Val).map_err(|_| TreeobjError::BadData { kind: "val" })
            }
            "valref" => read_refs(data, "valref").map(Treeobj::Valref),
            "dirref" => read_refs(data, "dirref").map(Treeobj::Dirref),
            "dir" => {
                let entries = data.as_object().ok_or(TreeobjError::BadData { kind: "dir" })?;
                let read = |(name, entry): (&String, &Value)| Ok((name.clone(), Treeobj::from_value(entry)?));
                entries.iter().map(read).collect::<Result<_, _>>().map(Treeobj::Dir)
            }
            "symlink" => read_symlink(data).ok_or(TreeobjError::BadData { kind: "symlink" }),
            "hdir" => Err(TreeobjError::Hdir),
            other => Err(TreeobjError::UnknownType { got: other.chars().take(32).collect() }),
        }
    }

    /// The object as JSON for a payload; keys in the order of `encode`.
    pub fn to_value(&self) -> Value {
        let refs = |refs: &[Blobref]| refs.iter().map(|r| Value::String(r.to_string())).collect();
        let data = match self {
            Treeobj::Val(bytes) => Value::String(STANDARD.encode(bytes)),
            Treeobj::Valref(list) | Treeobj::Dirref(list) => refs(list),
            Treeobj::Dir(entries) => {
                let entries = entries.iter().map(|(name, entry)| (name.clone(), entry.to_value()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
            Treeobj::Symlink { namespace: None, target } => json!({"target": target}),
            Treeobj::Symlink { namespace: Some(namespace), target } => {
                json!({"namespace": namespace, "target": target})
            }
        };
        json!({"data": data, "type": self.kind(), "ver": 1})
    }

    /// The bytes that go to the content store: compact, every object's keys sorted.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        out.push_str("{\"data\":");
        match self {
            Treeobj::Val(bytes) => {
                out.push('"');
                STANDARD.encode_string(bytes, out);
                out.push('"');
            }
            Treeobj::Valref(refs) | Treeobj::Dirref(refs) => {
                separated(out, ['[', ']'], refs, |out, blobref| {
                    let _ = write!(out, "\"{blobref}\""); // Writing to a String cannot fail.
                });
            }
            Treeobj::Dir(entries) => separated(out, ['{', '}'], entries, |out, (name, entry)| {
                write_string(out, name);
                out.push(':');
                entry.write(out);
            }),
            Treeobj::Symlink { namespace, target } => {
                out.push('{');
                if let Some(namespace) = namespace {
                    out.push_str("\"namespace\":");
                    write_string(out, namespace);
                    out.push(',');
                }
                out.push_str("\"target\":");
                write_string(out, target);
                out.push('}');
            }
        }
        let _ = write!(out, ",\"type\":\"{}\",\"ver\":1}}", self.kind());
    }
}

fn separated<T>(
    out: &mut String,
    [open, close]: [char; 2],
    items: impl IntoIterator<Item = T>,
    write: impl Fn(&mut String, T),
) {
    out.push(open);
    for (n, item) in items.into_iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(close);
}

/// A JSON string as jansson writes it: UTF-8 as it is, control characters short or as `\u00XX` in upper case.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn read_refs(data: &Value, kind: &'static str) -> Result<Vec<Blobref>, TreeobjError> {
    let refs = data.as_array().filter(|refs| !refs.is_empty()).ok_or(TreeobjError::BadData { kind })?;
    let read = |r: &Value| {
        let text = r.as_str().ok_or(TreeobjError::BadData { kind })?;
        Blobref::parse(text).map_err(TreeobjError::Blobref)
    };
    refs.iter().map(read).collect()
}

fn read_symlink(data: &Value) -> Option<Treeobj> {
    let target = data.get("target")?.as_str()?.to_owned();
    let namespace = match data.get("namespace") {
        None => None,
        Some(namespace) => Some(namespace.as_str()?.to_owned()),
    };
    Some(Treeobj::Symlink { namespace, target })
}
