//! `flux config`: the broker's configuration.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::{ArgMatches, Command};
use flux_client::{Rank, Target};
use serde_json::{Map, Value, json};

use crate::frame::args::{flag, option, optional_word, text, word};
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult, install};

const TYPES: &str = "any, string, integer, real, boolean, object, array, fsd, fsd-integer, fsd-real";

pub fn command() -> Command {
    Command::new("config")
        .subcommand_required(true)
        .subcommand(
            Command::new("load")
                .about("Load broker configuration from stdin or PATH")
                .arg(optional_word("PATH", "A file (.toml or .json), or a directory of TOML files")),
        )
        .subcommand(Command::new("reload").about("Reload broker configuration from files").arg(flag(
            "follower-noop",
            None,
            "Do nothing if run on a non-leader broker (for systemd use)",
        )))
        .subcommand(Command::new("get").about("Query broker configuration values").args([
            option(
                "config-path",
                Some('c'),
                "PATH",
                "Read PATH (or: system, security, imp) instead of asking the broker",
            ),
            option(
                "type",
                Some('t'),
                "TYPE",
                "The type the value must have: any, string, integer, real, boolean, \
                    object, array, fsd, fsd-integer, fsd-real",
            ),
            flag("quiet", Some('q'), "Do not say that a key is not set"),
            option("default", Some('d'), "VAL", "Use this value if config key is unset"),
            optional_word("NAME", "The key, with dots between tables"),
        ]))
        .subcommand(
            Command::new("set")
                .about("Set one value of the broker's configuration")
                .arg(option("type", Some('t'), "TYPE", "The type of the value, where it has none yet"))
                .args([word("NAME", "The key"), word("VALUE", "The value")]),
        )
        .subcommand(Command::new("unset").about("Remove one value").arg(word("NAME", "The key")))
        .subcommand(
            Command::new("builtin")
                .about("Print compiled-in Flux configuration values")
                .args([
                    flag("intree", None, "Accepted for compatibility"),
                    flag("installed", None, "Accepted for compatibility"),
                ])
                .arg(word("NAME", "The value's name")),
        )
}

pub fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    match matches.subcommand() {
        Some(("load", matches)) => load(matches, cx),
        Some(("reload", matches)) => reload(matches, cx),
        Some(("get", matches)) => get(matches, cx),
        Some(("set", matches)) => change(matches, cx, true),
        Some(("unset", matches)) => change(matches, cx, false),
        Some(("builtin", matches)) => builtin(matches, cx),
        _ => unreachable!("clap requires one of the subcommands"),
    }
}

/// A file, or the TOML files of a directory in the order of their names.
pub(super) fn read(path: &Path) -> Result<Value, CmdError> {
    let failed = |error: std::io::Error| CmdError::about(path.display(), error);
    if !path.is_dir() {
        return parse(&fs::read_to_string(path).map_err(failed)?, path.extension().is_some_and(|ext| ext == "json"))
            .map_err(|why| CmdError::about(path.display(), why));
    }
    let entries = fs::read_dir(path).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut files: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|ext| ext == "toml"));
    files.sort();
    let mut all = json!({});
    for file in files {
        merge(&mut all, read(&file)?);
    }
    Ok(all)
}

fn parse(text: &str, is_json: bool) -> Result<Value, String> {
    let value: Value = match is_json {
        true => serde_json::from_str(text).map_err(|error| error.to_string())?,
        false => toml::from_str(text).map_err(|error| error.to_string())?,
    };
    if value.is_object() { Ok(value) } else { Err("not an object".to_owned()) }
}

/// Tables are merged, anything else is replaced.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

fn load(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let config = match text(matches, "PATH") {
        Some(path) => read(Path::new(path))?,
        None => {
            let text = String::from_utf8_lossy(&cx.read_stdin()?).into_owned();
            let is_json = text.trim_start().starts_with('{');
            parse(&text, is_json).map_err(|why| CmdError::about("standard input", why))?
        }
    };
    cx.open()?.call("config.load", Target::Any, config).map_err(CmdError::calling("load"))?;
    Ok(ExitCode::SUCCESS)
}

fn reload(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let mut flux = cx.open()?;
    if matches.get_flag("follower-noop") && flux.rank()? != Rank::ROOT {
        return Ok(ExitCode::SUCCESS);
    }
    flux.call("config.reload", Target::Any, json!({})).map_err(CmdError::calling("reload"))?;
    Ok(ExitCode::SUCCESS)
}

fn live(cx: &Context) -> Result<Value, CmdError> {
    cx.open()?.call("config.get", Target::Any, json!({})).map_err(CmdError::calling("Error fetching config object"))
}

fn find<'a>(config: &'a Value, path: Option<&str>) -> Option<&'a Value> {
    path.map_or(Some(config), |path| path.split('.').try_fold(config, |value, key| value.get(key)))
}

fn get(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let kind = text(matches, "type").unwrap_or("any");
    if !TYPES.split(", ").any(|known| known == kind) {
        return Err(CmdError::new(format!("Unknown type: {kind}")));
    }
    let config = match text(matches, "config-path") {
        Some(name @ ("system" | "security" | "imp")) => read(&Path::new("/etc/flux").join(name).join("conf.d"))?,
        Some(path) => read(Path::new(path))?,
        None => live(cx)?,
    };
    let name = text(matches, "NAME");
    let shown = name.unwrap_or("value");
    let Some(value) = find(&config, name) else {
        return match text(matches, "default") {
            Some(default) => {
                cx.line(default)?;
                Ok(ExitCode::SUCCESS)
            }
            None if matches.get_flag("quiet") => Err(CmdError::Silent(1)),
            None => Err(CmdError::new(format!("{shown} is not set"))),
        };
    };
    let text =
        shown_as(value, kind).ok_or_else(|| CmdError::new(format!("{shown} does not have the requested type")))?;
    cx.line(text)?;
    Ok(ExitCode::SUCCESS)
}

/// The value as text if it is of that type.
fn shown_as(value: &Value, kind: &str) -> Option<String> {
    let seconds = || value.as_str().and_then(flux_types::parse_fsd);
    match kind {
        "fsd" => seconds().and(value.as_str().map(str::to_owned)),
        "fsd-integer" => seconds().map(|seconds| (seconds as i64).to_string()),
        "fsd-real" => seconds().map(|seconds| format!("{seconds:.6}")),
        _ => {
            let fits = match kind {
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                "real" => value.is_f64(),
                "boolean" => value.is_boolean(),
                "object" => value.is_object(),
                "array" => value.is_array(),
                _ => true,
            };
            fits.then(|| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        }
    }
}

fn change(matches: &ArgMatches, cx: &mut Context, set: bool) -> CmdResult {
    let name = text(matches, "NAME").unwrap_or_default();
    let mut config = live(cx)?;
    if set {
        let word = text(matches, "VALUE").unwrap_or_default();
        let kind = match (text(matches, "type"), find(&config, Some(name))) {
            (Some(kind), _) => kind,
            (None, Some(present)) => kind_of(present),
            (None, None) => return Err(CmdError::new("Type is unknown, please specify --type")),
        };
        let value = read_as(word, kind)?;
        merge(
            &mut config,
            name.rsplit('.').fold(value, |inner, key| Value::Object(Map::from_iter([(key.to_owned(), inner)]))),
        );
    } else {
        remove(&mut config, name).ok_or_else(|| CmdError::new(format!("{name} is not set")))?;
    }
    cx.open()?.call("config.load", Target::Any, config).map_err(CmdError::calling("Error updating config object"))?;
    Ok(ExitCode::SUCCESS)
}

fn remove(config: &mut Value, name: &str) -> Option<Value> {
    let (dir, key) = match name.rsplit_once('.') {
        Some((dir, key)) => (dir.split('.').try_fold(config, |value, key| value.get_mut(key))?, key),
        None => (config, name),
    };
    dir.as_object_mut()?.shift_remove(key)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "any",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "real",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn read_as(word: &str, kind: &str) -> Result<Value, CmdError> {
    let wrong = || CmdError::new(format!("'{word}' is not of type {kind}"));
    match kind {
        "string" => Ok(Value::from(word)),
        "fsd" => flux_types::parse_fsd(word).map(|_| Value::from(word)).ok_or_else(wrong),
        "real" => word.parse::<f64>().ok().filter(|x| x.is_finite()).map(Value::from).ok_or_else(wrong),
        "any" => Ok(serde_json::from_str(word).unwrap_or_else(|_| Value::from(word))),
        "integer" | "boolean" | "object" | "array" => {
            let value: Value = serde_json::from_str(word).map_err(|_| wrong())?;
            if kind_of(&value) == kind { Ok(value) } else { Err(wrong()) }
        }
        _ => Err(CmdError::new(format!("Invalid type for the set subcommand: {kind}"))),
    }
}

/// The names that scripts ask flux-core for, as far as they mean something here.
fn builtin(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let name = text(matches, "NAME").unwrap_or_default();
    let prefix = install::prefix().unwrap_or_default();
    let below = |path: &str| prefix.join(path).display().to_string();
    let value = match name {
        "rc1_path" | "rc3_path" => String::new(), // This broker has no such scripts: it starts its parts itself.
        "exec_path" => below("libexec/flux/cmd"),
        "python_path" => install::python_dir().map(|dir| dir.display().to_string()).unwrap_or_default(),
        "python_wrapper" => "python3".to_owned(),
        "man_path" => below("share/man"),
        "pmi_library_path" => below("lib/flux/libpmi.so"),
        "rundir" => "/run/flux".to_owned(),
        "bindir" => below("bin"),
        "lib_version" => env!("CARGO_PKG_VERSION").to_owned(),
        "keydir" | "no_docs_path" | "rexec_path" => return Err(CmdError::new(format!("{name} means nothing here"))),
        "shell_path" | "broker_path" => install::executable()
            .map(|exe| exe.with_file_name(format!("flux-{}", &name[..name.len() - 5])))
            .map(|path| path.display().to_string())
            .unwrap_or_default(),
        _ => return Err(CmdError::new(format!("{name} is invalid"))),
    };
    cx.line(value)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_show_in_the_type_that_was_asked_for() {
        let rows = [
            (json!(1), "integer", Some("1")),
            (json!(1), "real", None),
            (json!(1), "string", None),
            (json!("x"), "any", Some("x")),
            (json!("1h"), "fsd", Some("1h")),
            (json!("1h"), "fsd-integer", Some("3600")),
            (json!("1h"), "fsd-real", Some("3600.000000")),
            (json!("no"), "fsd", None),
            (json!({"a": [1]}), "object", Some(r#"{"a":[1]}"#)),
            (json!(true), "boolean", Some("true")),
        ];
        for (value, kind, want) in rows {
            assert_eq!(shown_as(&value, kind).as_deref(), want, "{value} {kind}");
        }
    }

    #[test]
    fn tables_are_merged_and_values_removed() {
        let mut config = json!({"a": {"b": 1}, "c": 2});
        merge(&mut config, json!({"a": {"d": 3}, "c": [4]}));
        assert_eq!(config, json!({"a": {"b": 1, "d": 3}, "c": [4]}));
        assert_eq!(remove(&mut config, "a.b"), Some(json!(1)));
        assert_eq!(remove(&mut config, "a.nosuch"), None);
        assert_eq!(config, json!({"a": {"d": 3}, "c": [4]}));
    }
}
