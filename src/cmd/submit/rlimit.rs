//! Which resource limits go with a job: `--rlimit`.

use serde_json::{Map, Value};

use super::pattern::Pattern;

/// Not passed on unless asked for.
const EXCLUDED: &[&str] = &["memlock", "ofile", "msgqueue", "nice", "rtprio", "rttime", "sigpending"];

/// The limits of this process in the order they are listed: name, soft limit.
pub(crate) fn own() -> Vec<(&'static str, u64)> {
    const ORDER: &[&str] = &[
        "cpu",
        "fsize",
        "data",
        "stack",
        "core",
        "nofile",
        "ofile",
        "as",
        "rss",
        "nproc",
        "memlock",
        "msgqueue",
        "nice",
        "rtprio",
        "rttime",
        "sigpending",
    ];
    let soft = |name: &str| {
        let resource = flux_sys::rlimit::by_name(if name == "ofile" { "nofile" } else { name })?;
        Some(flux_sys::rlimit::get(resource).ok()?.0)
    };
    ORDER.iter().filter_map(|name| Some((*name, soft(name)?))).collect()
}

/// Applies the rules: `-PATTERN` leaves limits out, `NAME` or a pattern adds them, `NAME=VALUE` sets one.
///
/// # Errors
/// The sentence for the user.
pub(crate) fn filtered(rules: &[String], own: &[(&'static str, u64)]) -> Result<Map<String, Value>, String> {
    let mut limits = Map::new();
    let kept = own.iter().filter(|(name, _)| !EXCLUDED.contains(name));
    limits.extend(kept.map(|(name, soft)| ((*name).to_owned(), number(*soft))));
    for rule in rules.iter().flat_map(|rules| rules.split(',')) {
        if let Some(pattern) = rule.strip_prefix('-') {
            let pattern = Pattern::parse(&pattern.to_lowercase())?;
            limits.retain(|name, _| !pattern.matches(name));
        } else if let Some((name, value)) = rule.split_once('=') {
            let name = name.to_lowercase();
            if !own.iter().any(|(known, _)| *known == name) {
                return Err(format!("Invalid rlimit \"{name}\""));
            }
            limits.insert(name.clone(), read_value(&name, value)?);
        } else {
            let pattern = Pattern::Glob(rule.to_lowercase().chars().collect());
            let mut found = false;
            for (name, soft) in own.iter().filter(|(name, _)| pattern.matches(name)) {
                found = true;
                limits.insert((*name).to_owned(), number(*soft));
            }
            if !found {
                return Err(format!("No corresponding rlimit matching \"{rule}\""));
            }
        }
    }
    Ok(limits)
}

/// No limit is -1 in a jobspec.
fn number(soft: u64) -> Value {
    if soft == flux_sys::rlimit::INFINITY { (-1).into() } else { soft.into() }
}

fn read_value(name: &str, text: &str) -> Result<Value, String> {
    match text {
        "unlimited" | "infinity" | "inf" => Ok((-1).into()),
        _ => text.trim().parse::<i64>().map(Value::from).map_err(|_| format!("Invalid value in {name}={text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_follow_the_rules_in_order() {
        let own = [("cpu", u64::MAX), ("stack", 8), ("core", 0), ("nofile", 1024), ("ofile", 1024), ("memlock", 64)];
        let rows: &[(&[&str], Result<&str, &str>)] = &[
            (&[], Ok(r#"{"cpu":-1,"stack":8,"core":0,"nofile":1024}"#)),
            (&["-*"], Ok("{}")),
            (&["-*,core"], Ok(r#"{"core":0}"#)),
            (&["-*", "CORE", "memlock"], Ok(r#"{"core":0,"memlock":64}"#)),
            (&["-*,nofile=16,core=unlimited"], Ok(r#"{"nofile":16,"core":-1}"#)),
            (&["-c*"], Ok(r#"{"stack":8,"nofile":1024}"#)),
            (&["-*", "c*"], Ok(r#"{"cpu":-1,"core":0}"#)),
            (&["foo"], Err("No corresponding rlimit matching \"foo\"")),
            (&["foo=1"], Err("Invalid rlimit \"foo\"")),
            (&["core=x"], Err("Invalid value in core=x")),
        ];
        for (rules, want) in rows {
            let rules: Vec<_> = rules.iter().map(|rule| (*rule).to_owned()).collect();
            let got = filtered(&rules, &own).map(|limits| Value::Object(limits).to_string());
            assert_eq!(got.as_deref().map_err(String::as_str), *want, "{rules:?}");
        }
    }

    #[test]
    fn this_process_has_the_usual_limits() {
        let names: Vec<_> = own().into_iter().map(|(name, _)| name).collect();
        assert!(names.starts_with(&["cpu", "fsize", "data", "stack", "core", "nofile", "ofile", "as"]), "{names:?}");
    }
}
