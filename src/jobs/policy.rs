//! What may stand in the `[policy]`, `[queues]` (RFC 33) and `[access]` tables: a misspelled rule must not be no rule.

use flux_service::Fault;
use flux_types::parse_fsd;
use flux_wire::Errno;
use serde_json::{Map, Value};

type Table = Map<String, Value>;

/// Characters that no property may have: they mean something in a constraint (RFC 20, 31).
const NO_PROPERTY: &str = "!&'\"^`|()";

fn refused(table: &str, text: impl std::fmt::Display) -> Fault {
    Fault::new(Errno::EINVAL, format!("error parsing [{table}] config table: {text}"))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "a table",
    }
}

fn table<'a>(value: &'a Value, name: &str) -> Result<&'a Table, Fault> {
    value.as_object().ok_or_else(|| refused(name, format!("expected a table, not {}", kind(value))))
}

fn only(table: &Table, name: &str, keys: &[&str]) -> Result<(), Fault> {
    match table.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(refused(name, format!("unknown key '{key}' (one of {})", keys.join(", ")))),
        None => Ok(()),
    }
}

/// # Errors
/// EINVAL, the table and what is wrong with it.
pub(crate) fn check(config: &Value) -> Result<(), Fault> {
    if let Some(access) = config.get("access") {
        check_access(access)?;
    }
    let default = match config.get("policy") {
        Some(policy) => check_policy(policy, "policy")?,
        None => None,
    };
    let none = Map::new();
    let queues = match config.get("queues") {
        None => &none,
        Some(queues) => queues.as_object().ok_or_else(|| refused("queues", "not a table"))?,
    };
    for (name, queue) in queues {
        check_queue(queues, name, queue)?;
    }
    if let Some(name) = default.filter(|name| !queues.contains_key(*name)) {
        let text = format!(
            "the [policy] config table defines a default queue {name} that is not in [queues] table: it is not configured"
        );
        return Err(Fault::new(Errno::EINVAL, text));
    }
    Ok(())
}

/// Who may connect, and as what (flux-config-access(5)).
fn check_access(access: &Value) -> Result<(), Fault> {
    const FLAGS: [&str; 3] = ["allow-guest-user", "allow-root-owner", "private-mode"];
    let access = table(access, "access")?;
    only(access, "access", &[&FLAGS[..], &["roles"]].concat())?;
    if let Some(key) = FLAGS.into_iter().find(|key| access.get(*key).is_some_and(|flag| !flag.is_boolean())) {
        return Err(refused("access", format!("'{key}' must be a boolean")));
    }
    let Some(roles) = access.get("roles") else { return Ok(()) };
    for (role, who) in table(roles, "access.roles")? {
        if role != "admin" {
            return Err(refused("access.roles", format!("unknown role '{role}'")));
        }
        let at = format!("access.roles.{role}");
        let who = table(who, &at)?;
        only(who, &at, &["users", "groups"])?;
        for (key, names) in who {
            if !names.as_array().is_some_and(|names| names.iter().all(Value::is_string)) {
                return Err(refused(&at, format!("{key} must be a string array")));
            }
        }
    }
    Ok(())
}

fn check_queue(queues: &Table, name: &str, queue: &Value) -> Result<(), Fault> {
    let at = format!("queues.{name}");
    let queue = table(queue, &at)?;
    only(queue, &at, &["requires", "hosts", "policy", "parent"])?;
    if let Some(requires) = queue.get("requires") {
        let is_property = |value: &Value| {
            value.as_str().is_some_and(|text| !text.is_empty() && !text.contains(|c| NO_PROPERTY.contains(c)))
        };
        if !requires.as_array().is_some_and(|list| list.iter().all(is_property)) {
            return Err(refused(&at, "'requires' must be an array of property strings (RFC 20)"));
        }
        if queue.contains_key("hosts") {
            return Err(refused(&at, "'hosts' and 'requires' exclude each other"));
        }
    }
    if queue.get("hosts").is_some_and(|hosts| !hosts.is_string()) {
        return Err(refused(&at, "'hosts' must be a hostlist (RFC 29) or \"all\""));
    }
    if let Some(policy) = queue.get("policy")
        && check_policy(policy, &format!("{at}.policy"))?.is_some()
    {
        return Err(refused(&at, "'policy' must not define a default queue!"));
    }
    match queue.get("parent") {
        None => Ok(()),
        Some(Value::String(parent)) => check_virtual(queues, queue, name, parent).map_err(|text| refused(&at, text)),
        Some(_) => Err(refused(&at, "'parent' must be a string")),
    }
}

/// A virtual queue: its resources are its parent's.
fn check_virtual(queues: &Table, queue: &Table, name: &str, parent: &str) -> Result<(), String> {
    if let Some(key) = ["requires", "hosts"].into_iter().find(|key| queue.contains_key(*key)) {
        return Err(format!("a virtual queue must not set '{key}'"));
    }
    if queue.get("policy").is_some_and(|policy| policy.get("scheduler").is_some()) {
        return Err("a virtual queue must not set 'policy.scheduler'".into());
    }
    if parent == name {
        return Err("parent queue is itself".into());
    }
    let above = queues.get(parent).ok_or_else(|| format!("parent queue '{parent}' is not configured"))?;
    if above.get("parent").is_some() {
        return Err(format!("parent queue '{parent}' is itself a virtual queue"));
    }
    Ok(())
}

/// The default queue that it names, if it does.
fn check_policy<'a>(policy: &'a Value, at: &str) -> Result<Option<&'a str>, Fault> {
    let policy = table(policy, at)?;
    only(policy, at, &["jobspec", "limits", "access", "scheduler"])?;
    if let Some(limits) = policy.get("limits") {
        check_limits(limits, &format!("{at}.limits"))?;
    }
    if let Some(access) = policy.get("access") {
        let at = format!("{at}.access");
        let access = table(access, &at)?;
        only(access, &at, &["allow-user", "allow-group"])?;
        for (key, names) in access {
            if !names.as_array().is_some_and(|names| names.iter().all(Value::is_string)) {
                return Err(refused(&at, format!("'{key}' must be an array of strings")));
            }
        }
    }
    if let Some(scheduler) = policy.get("scheduler") {
        table(scheduler, &format!("{at}.scheduler"))?;
    }
    policy.get("jobspec").map_or(Ok(None), |jobspec| check_defaults(jobspec, &format!("{at}.jobspec")))
}

fn check_defaults<'a>(jobspec: &'a Value, at: &str) -> Result<Option<&'a str>, Fault> {
    let jobspec = table(jobspec, at)?;
    only(jobspec, at, &["defaults"])?;
    let Some(defaults) = jobspec.get("defaults") else { return Ok(None) };
    let name = format!("{at}.defaults");
    let defaults = table(defaults, &name)?;
    only(defaults, &name, &["system"])?;
    let Some(system) = defaults.get("system") else { return Ok(None) };
    let name = format!("{at}.defaults.system");
    let system = table(system, &name)?;
    only(system, &name, &["duration", "queue"])?;
    if let Some(duration) = system.get("duration") {
        duration.as_str().and_then(parse_fsd).ok_or_else(|| {
            refused(at, format!("'defaults.system.duration' is not a valid FSD: {duration} is no duration"))
        })?;
    }
    let queue = system.get("queue");
    if queue.is_some_and(|queue| !queue.is_string()) {
        return Err(refused(at, "'defaults.system.queue' is not a string"));
    }
    Ok(queue.and_then(Value::as_str))
}

fn check_limits(limits: &Value, at: &str) -> Result<(), Fault> {
    let limits = table(limits, at)?;
    only(limits, at, &["duration", "job-size"])?;
    if let Some(duration) = limits.get("duration")
        && duration.as_str().and_then(parse_fsd).is_none()
    {
        return Err(refused(at, "'duration' is not a valid FSD"));
    }
    let Some(size) = limits.get("job-size") else { return Ok(()) };
    let at = format!("{at}.job-size");
    let size = table(size, &at)?;
    only(size, &at, &["max", "min"])?;
    for (key, counts) in size {
        let at = format!("{at}.{key}");
        let counts = table(counts, &at)?;
        only(counts, &at, &["nnodes", "ncores", "ngpus"])?;
        for (what, count) in counts {
            match count.as_i64() {
                Some(count) if count >= -1 => {}
                Some(_) => return Err(refused(&at, "values must be >= -1")),
                None => return Err(refused(&at, format!("'{what}' must be an integer, not {}", kind(count)))),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_makes_no_sense_is_refused_with_its_table() {
        let rows = [
            (json!({"policy": {"foo": 1}}), "[policy] config table: unknown key 'foo'"),
            (json!({"policy": {"limits": {"duration": 3}}}), "[policy.limits] config table: 'duration' is not"),
            (json!({"policy": {"limits": {"job-size": {"max": {"nnodes": -2}}}}}), "values must be >= -1"),
            (json!({"policy": {"limits": {"job-size": {"max": {"foo": 2}}}}}), "unknown key 'foo'"),
            (json!({"policy": {"jobspec": {"defaults": {"system": {"queue": "x"}}}}}), "a default queue x that is not"),
            (json!({"policy": {"access": {"allow-user": [1]}}}), "'allow-user' must be an array of strings"),
            (json!({"access": {"allow-guest-user": 1}}), "'allow-guest-user' must be a boolean"),
            (json!({"access": {"allow-guests": true}}), "unknown key 'allow-guests'"),
            (json!({"access": {"roles": {"king": {}}}}), "unknown role 'king'"),
            (json!({"access": {"roles": {"admin": {"users": "me"}}}}), "users must be a string array"),
            (json!({"queues": {"a": {"requires": ["x|y"]}}}), "'requires' must be an array of property strings"),
            (json!({"queues": {"a": {"bar": 1}}}), "[queues.a] config table: unknown key 'bar'"),
            (json!({"queues": {"a": {"parent": "b"}}}), "parent queue 'b' is not configured"),
            (json!({"queues": {"a": {"parent": "a"}}}), "parent queue is itself"),
            (json!({"queues": {"a": {"parent": "b", "requires": ["x"]}, "b": {}}}), "must not set 'requires'"),
            (json!({"queues": {"a": {"parent": "b", "hosts": "x"}, "b": {}}}), "must not set 'hosts'"),
            (json!({"queues": {"a": {"policy": {"jobspec": {"defaults": {"system": {"queue": "a"}}}}}}}), "default"),
        ];
        for (config, want) in rows {
            let text = check(&config).expect_err(want).message();
            assert!(text.contains(want), "{config}: {text}");
        }
        let good = json!({
            "access": {"allow-guest-user": true, "roles": {"admin": {"users": ["me"], "groups": ["us"]}}},
            "policy": {"jobspec": {"defaults": {"system": {"queue": "a", "duration": "1h"}}}, "scheduler": {"x": 1}},
            "queues": {"a": {"requires": ["x"], "policy": {"limits": {"job-size": {"max": {"ngpus": -1}}}}}, "b": {"parent": "a"}},
        });
        assert_eq!(check(&good), Ok(()));
    }
}
