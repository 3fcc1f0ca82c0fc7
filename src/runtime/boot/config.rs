//! The configuration as it is before the broker runs: files, and what the command line adds (flux-broker(1)).

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flux_broker::config::{ConfigError, merge, parse_toml};
use serde_json::{Map, Value};

use crate::file::errno_of;
use crate::limits::{CONFIG_FILE_BYTES_MAX, CONFIG_FILES_MAX};

/// Why there is no configuration.
#[derive(Debug)]
pub(super) enum LoadError {
    Io { path: PathBuf, error: io::Error },
    TooLong { path: PathBuf },
    TooMany { path: PathBuf },
    Config(ConfigError),
}

impl From<ConfigError> for LoadError {
    fn from(error: ConfigError) -> LoadError {
        LoadError::Config(error)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, error } => write!(f, "configuration {}: {}", path.display(), errno_of(error)),
            Self::TooLong { path } => {
                write!(f, "configuration {} is over {CONFIG_FILE_BYTES_MAX} bytes", path.display())
            }
            Self::TooMany { path } => write!(f, "{} has more than {CONFIG_FILES_MAX} files", path.display()),
            Self::Config(error) => write!(f, "configuration {error}"),
        }
    }
}

type Table = Map<String, Value>;

/// Reads `path` (a directory of TOML files, a TOML file, or a `.json` file), then applies `confs` in order.
pub(super) fn load(path: Option<&str>, confs: &[String]) -> Result<Value, LoadError> {
    let mut all = Map::new();
    if let Some(path) = path {
        for file in files(Path::new(path))? {
            merge(&mut all, read(&file)?)?;
        }
    }
    for conf in confs {
        merge_conf(&mut all, conf)?;
    }
    Ok(Value::Object(all))
}

fn files(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |error| LoadError::Io { path: path.to_owned(), error };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && file.extension().is_some_and(|extension| extension == "toml") {
            found.push(file);
        }
        if found.len() > CONFIG_FILES_MAX {
            return Err(LoadError::TooMany { path: path.to_owned() });
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn read(path: &Path) -> Result<Table, LoadError> {
    let failed = |error| LoadError::Io { path: path.to_owned(), error };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    file.take(CONFIG_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > CONFIG_FILE_BYTES_MAX {
        return Err(LoadError::TooLong { path: path.to_owned() });
    }
    let name = path.display().to_string();
    match path.extension().is_some_and(|extension| extension == "json") {
        true => json(&name, &text),
        false => toml(&name, &text),
    }
}

fn toml(name: &str, text: &str) -> Result<Table, LoadError> {
    let Value::Object(table) = parse_toml(name, text)? else { unreachable!("a TOML document is a table") };
    Ok(table)
}

fn json(name: &str, text: &str) -> Result<Table, LoadError> {
    let syntax = |why: String| ConfigError::Syntax { file: name.to_owned(), why };
    match serde_json::from_str(text) {
        Ok(Value::Object(table)) => Ok(table),
        Ok(_) => Err(syntax("not a JSON object".into()).into()),
        Err(error) => Err(syntax(error.to_string()).into()),
    }
}

/// One `--conf`: JSON text, TOML text, `KEY=VAL`, or a file.
fn merge_conf(all: &mut Table, conf: &str) -> Result<(), LoadError> {
    const NAME: &str = "--conf";
    let trimmed = conf.trim_start();
    let table = if trimmed.starts_with('{') {
        json(NAME, trimmed)?
    } else if conf.contains('\n') {
        toml(NAME, conf)?
    } else if let Some((key, value)) = conf.split_once('=') {
        // A plain value replaces whatever is there, also a table.
        set(all, key.trim(), value);
        return Ok(());
    } else {
        read(Path::new(conf))?
    };
    Ok(merge(all, table)?)
}

/// Sets a dotted key; a value that is not JSON is a string.
fn set(all: &mut Table, key: &str, value: &str) {
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    let (tables, last) = key.rsplit_once('.').map_or((None, key), |(tables, last)| (Some(tables), last));
    let mut table = all;
    for name in tables.into_iter().flat_map(|tables| tables.split('.')) {
        let slot = table.entry(name.to_owned()).or_insert(Value::Null);
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        table = slot.as_object_mut().expect("made one just above");
    }
    table.insert(last.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_directory_merges_in_order_of_names_and_the_command_line_comes_last() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("b.toml"), "[exec]\nimp = 'b'\n").unwrap();
        fs::write(dir.path().join("a.toml"), "[exec]\nimp = 'a'\ntest = true\n[queues.batch]\n").unwrap();
        fs::write(dir.path().join("c.txt"), "not toml").unwrap();
        fs::write(dir.path().join(".d.toml"), "not toml").unwrap();
        let extra = dir.path().join("e.json");
        fs::write(&extra, "{\"k\": [1]}").unwrap();
        let confs = ["exec.imp=x y", "queues.batch.n=3", "{\"j\": 1}", "[t]\nu = 2\n", extra.to_str().unwrap()];
        let got = load(dir.path().to_str(), &confs.map(String::from)).unwrap();
        let want = json!({"exec": {"imp": "x y", "test": true}, "queues": {"batch": {"n": 3}}, "j": 1, "t": {"u": 2}, "k": [1]});
        assert_eq!(got, want);
        let file = load(dir.path().join("b.toml").to_str(), &[]).unwrap();
        assert_eq!(file, json!({"exec": {"imp": "b"}}));
        assert_eq!(load(None, &[]).unwrap(), json!({}));
    }

    #[test]
    fn what_cannot_be_read_says_where_and_why() {
        let dir = tempfile::tempdir().unwrap();
        let bad = dir.path().join("bad.toml");
        fs::write(&bad, "[exec").unwrap();
        let rows = [
            (Some("/no/such"), "", "configuration /no/such: No such file or directory"),
            (bad.to_str(), "", "bad.toml"),
            (None, "/no/such", "configuration /no/such: No such file or directory"),
            (None, "{\"a\"", "--conf"),
            (None, "[]x\n", "--conf"),
        ];
        for (path, conf, want) in rows {
            let confs: Vec<String> = if conf.is_empty() { vec![] } else { vec![conf.into()] };
            let error = load(path, &confs).unwrap_err().to_string();
            assert!(error.contains(want), "{path:?} {conf:?}: {error}");
        }
    }
}
