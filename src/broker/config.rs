//! The TOML configuration: one object, merged from the files of a directory in the order of their names.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

/// Why a configuration was refused. The old one stays in force.
#[derive(Debug, PartialEq, Eq)]
pub enum ConfigError {
    Syntax {
        file: String,
        why: String,
    },
    /// Two files (or the command line) give one key both a table and a plain value.
    Conflict {
        key: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { file, why } => write!(f, "{file}: {why}"),
            Self::Conflict { key } => write!(f, "'{key}' is a table in one place and a value in another"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Parses one TOML text into JSON. TOML's dates become strings.
pub fn parse_toml(file: &str, text: &str) -> Result<Value, ConfigError> {
    let table: toml::Table =
        text.parse().map_err(|e: toml::de::Error| ConfigError::Syntax { file: file.into(), why: e.to_string() })?;
    Ok(Value::Object(table.into_iter().map(|(key, value)| (key, to_json(value))).collect()))
}

fn to_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(s) => Value::String(s),
        toml::Value::Integer(i) => i.into(),
        toml::Value::Float(f) => f.into(),
        toml::Value::Boolean(b) => b.into(),
        toml::Value::Datetime(d) => Value::String(d.to_string()),
        toml::Value::Array(items) => items.into_iter().map(to_json).collect(),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(k, v)| (k, to_json(v))).collect()),
    }
}

/// Merges `over` into `base`: tables by key, later values win.
pub fn merge(base: &mut Map<String, Value>, over: Map<String, Value>) -> Result<(), ConfigError> {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new)?,
            (Some(Value::Object(_)), _) => return Err(ConfigError::Conflict { key }),
            (Some(old), Value::Object(_)) if !old.is_null() => return Err(ConfigError::Conflict { key }),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
    Ok(())
}

/// One configuration from named TOML texts, in the order given.
pub fn from_files<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Arc<Value>, ConfigError> {
    let mut all = Map::new();
    for (name, text) in files {
        if let Value::Object(table) = parse_toml(name, text)? {
            merge(&mut all, table)?;
        }
    }
    Ok(Arc::new(Value::Object(all)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_merge_by_table_and_the_later_value_wins() {
        let files = [("a.toml", "[exec]\nimp = 'x'\n[queues.batch]"), ("b.toml", "[exec]\nimp = 'y'\ntest = 1\n")];
        assert_eq!(*from_files(files).unwrap(), json!({"exec": {"imp": "y", "test": 1}, "queues": {"batch": {}}}));
    }

    #[test]
    fn bad_toml_and_contradictions_name_their_place() {
        let error = from_files([("a.toml", "[exec")]).unwrap_err();
        assert!(matches!(&error, ConfigError::Syntax { file, .. } if file == "a.toml"), "{error}");
        let error = from_files([("a", "x = 1"), ("b", "[x]")]).unwrap_err();
        assert_eq!(error, ConfigError::Conflict { key: "x".into() });
    }
}
