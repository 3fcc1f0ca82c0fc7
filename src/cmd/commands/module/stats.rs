//! `flux module stats`.

use std::process::ExitCode;

use clap::ArgMatches;
use flux_client::{Payload, Target};
use serde::Serialize;
use serde_json::{Value, json};

use crate::frame::args::text;
use crate::frame::context::Context;
use crate::frame::{CmdError, CmdResult};

pub(super) fn run(matches: &ArgMatches, cx: &mut Context) -> CmdResult {
    let name = text(matches, "MODULE").unwrap_or_default();
    let clear = format!("{name}.stats-clear");
    let mut flux = cx.open()?;
    if matches.get_flag("clear-all") {
        flux.publish(&clear, Payload::None).map_err(CmdError::calling(&clear))?;
        return Ok(ExitCode::SUCCESS);
    }
    if matches.get_flag("clear") {
        flux.call(&clear, Target::Any, json!({})).map_err(CmdError::calling(&clear))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (topic, request) = match text(matches, "rusage") {
        None => (format!("{name}.stats-get"), json!({})),
        Some("") => (format!("{name}.rusage"), json!({})),
        Some(who) if !matches!(who, "self" | "children" | "thread") => {
            return Err(CmdError::new(format!("{name}.rusage: {who} is unsupported")));
        }
        Some(who) => (format!("{name}.rusage"), json!({"who": who})),
    };
    let answer = flux.call(&topic, Target::Any, request).map_err(CmdError::calling(&topic))?;
    let value = match text(matches, "parse") {
        None => &answer,
        Some(path) => {
            let found = path.split('.').try_fold(&answer, |value, key| value.get(key));
            found.ok_or_else(|| CmdError::new(format!("`{path}' not found in response")))?
        }
    };
    let scale = text(matches, "scale").unwrap_or("1").parse::<f64>();
    let scale = scale.map_err(|_| CmdError::usage("--scale: give a number"))?;
    cx.line(shown(value, scale, text(matches, "type")))?;
    Ok(ExitCode::SUCCESS)
}

fn shown(value: &Value, scale: f64, kind: Option<&str>) -> String {
    let number = value.as_f64().unwrap_or(0.0) * scale;
    if value.is_i64() || value.is_u64() || kind == Some("int") {
        return (number as i64).to_string();
    }
    if value.is_f64() || kind == Some("double") {
        return format!("{number:.6}");
    }
    indented(value)
}

/// One space per level.
fn indented(value: &Value) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut writer = serde_json::Serializer::with_formatter(&mut out, formatter);
    value.serialize(&mut writer).expect("a JSON value is writable");
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_scaled_and_objects_indented() {
        let rows = [
            (json!(7), 2.0, None, "14"),
            (json!(1.5), 2.0, None, "3.000000"),
            (json!(1.5), 1.0, Some("int"), "1"),
            (json!("x"), 1.0, None, "\"x\""),
            (json!({"a": {"b": 1}}), 1.0, None, "{\n \"a\": {\n  \"b\": 1\n }\n}"),
        ];
        for (value, scale, kind, want) in rows {
            assert_eq!(shown(&value, scale, kind), want);
        }
    }
}
