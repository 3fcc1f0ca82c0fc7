//! The events of a job's life (RFC 21 "Event Descriptions"): the one place that spells their names and contexts.
//!
//! Context keys are in flux-core's order, which differs from the RFC's examples in places. Times are arguments.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::eventlog::Entry;
use crate::idset::Idset;

/// Version of the job eventlog that `submit` announces.
pub const EVENTLOG_VERSION: u32 = 1;

/// The context of `submit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Submit {
    pub userid: u32,
    /// 0 to 31 (RFC 30).
    pub urgency: u8,
    /// Submit flags: 2 is debug, 4 waitable, 8 novalidate (doc/deviations.md).
    pub flags: u32,
    pub version: u32,
}

/// The context of `urgency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Urgency {
    pub userid: u32,
    pub urgency: u8,
}

/// The context of `exception`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Exception {
    #[serde(rename = "type")]
    pub kind: String,
    /// 0, fatal, to 7.
    pub severity: u8,
    /// Empty when there is nothing to say.
    #[serde(default)]
    pub note: String,
    /// Who raised it, if a user did.
    pub userid: Option<u32>,
    /// The wait status of the task whose exit raised it.
    pub wait_status: Option<i32>,
}

/// The context of `priority`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Priority {
    pub priority: u32,
}

/// The context of `finish`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Finish {
    /// The largest wait status of the job's shells.
    pub status: i32,
}

/// The context of `release`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Release {
    /// An idset of broker ranks, or `all`.
    pub ranks: String,
    /// Nothing remains to be released.
    #[serde(rename = "final")]
    pub is_final: bool,
}

/// The context of `dependency-add`, `dependency-remove`, `prolog-start` and `epilog-start`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Described {
    pub description: String,
}

/// The context of `prolog-finish` and `epilog-finish`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PerilogFinish {
    pub description: String,
    /// 0 is success.
    pub status: i32,
}

/// The context of `set-flags`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SetFlags {
    pub flags: Vec<String>,
}

/// The context of `resource-update`.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct ResourceUpdate {
    /// Seconds since the epoch.
    pub expiration: f64,
}

pub fn submit(at: f64, submit: &Submit) -> Entry {
    let context = [
        ("userid", submit.userid.into()),
        ("urgency", submit.urgency.into()),
        ("flags", submit.flags.into()),
        ("version", submit.version.into()),
    ];
    Entry::with_context(at, "submit", context)
}

pub fn validate(at: f64) -> Entry {
    Entry::new(at, "validate")
}
pub fn invalidate(at: f64) -> Entry {
    Entry::new(at, "invalidate")
}
pub fn depend(at: f64) -> Entry {
    Entry::new(at, "depend")
}
pub fn start(at: f64) -> Entry {
    Entry::new(at, "start")
}
pub fn free(at: f64) -> Entry {
    Entry::new(at, "free")
}
pub fn clean(at: f64) -> Entry {
    Entry::new(at, "clean")
}
pub fn flux_restart(at: f64) -> Entry {
    Entry::new(at, "flux-restart")
}

pub fn dependency_add(at: f64, description: &str) -> Entry {
    described(at, "dependency-add", description)
}
pub fn dependency_remove(at: f64, description: &str) -> Entry {
    described(at, "dependency-remove", description)
}
pub fn prolog_start(at: f64, description: &str) -> Entry {
    described(at, "prolog-start", description)
}
pub fn epilog_start(at: f64, description: &str) -> Entry {
    described(at, "epilog-start", description)
}
pub fn prolog_finish(at: f64, description: &str, status: i32) -> Entry {
    finished(at, "prolog-finish", description, status)
}
pub fn epilog_finish(at: f64, description: &str, status: i32) -> Entry {
    finished(at, "epilog-finish", description, status)
}

fn described(at: f64, name: &str, description: &str) -> Entry {
    Entry::with_context(at, name, [("description", description.into())])
}

fn finished(at: f64, name: &str, description: &str, status: i32) -> Entry {
    Entry::with_context(at, name, [("description", description.into()), ("status", status.into())])
}

/// `priority` is 0 for held jobs, up to 4294967295.
pub fn priority(at: f64, priority: u32) -> Entry {
    Entry::with_context(at, "priority", [("priority", priority.into())])
}

pub fn urgency(at: f64, urgency: &Urgency) -> Entry {
    let context = [("userid", urgency.userid.into()), ("urgency", urgency.urgency.into())];
    Entry::with_context(at, "urgency", context)
}

/// Resources were allocated; the scheduler's annotations (RFC 27) come along if it made any.
pub fn alloc(at: f64, annotations: Option<&Value>) -> Entry {
    match annotations {
        Some(annotations) => Entry::with_context(at, "alloc", [("annotations", annotations.clone())]),
        None => Entry::new(at, "alloc"),
    }
}

/// The status is a wait(2) status, not an exit code.
pub fn finish(at: f64, status: i32) -> Entry {
    Entry::with_context(at, "finish", [("status", status.into())])
}

/// `None` stands for all ranks of the job.
pub fn release(at: f64, ranks: Option<&Idset>, is_final: bool) -> Entry {
    let ranks = ranks.map_or_else(|| "all".to_owned(), Idset::to_string);
    Entry::with_context(at, "release", [("ranks", ranks.into()), ("final", is_final.into())])
}

pub fn exception(at: f64, exception: &Exception) -> Entry {
    let mut context: Vec<(&str, Value)> = vec![
        ("type", exception.kind.as_str().into()),
        ("severity", exception.severity.into()),
        ("note", exception.note.as_str().into()),
    ];
    context.extend(exception.userid.map(|userid| ("userid", userid.into())));
    context.extend(exception.wait_status.map(|status| ("wait_status", status.into())));
    Entry::with_context(at, "exception", context)
}

pub fn set_flags(at: f64, flags: &[&str]) -> Entry {
    Entry::with_context(at, "set-flags", [("flags", Value::from(flags))])
}

/// Dotted keys and their new values; at least one.
pub fn jobspec_update(at: f64, updates: &Map<String, Value>) -> Entry {
    assert!(!updates.is_empty(), "RFC 21: the dictionary has at least one entry");
    with_map(at, "jobspec-update", updates)
}

/// Seconds since the epoch.
pub fn resource_update(at: f64, expiration: f64) -> Entry {
    Entry::with_context(at, "resource-update", [("expiration", expiration.into())])
}

/// Keys to set; a null value removes its key.
pub fn memo(at: f64, memo: &Map<String, Value>) -> Entry {
    with_map(at, "memo", memo)
}

/// All of a job's annotations as they now are; `None` once they are gone. For the journal: not stored.
pub fn annotations(at: f64, annotations: Option<&Value>) -> Entry {
    Entry::with_context(at, "annotations", [("annotations", annotations.cloned().unwrap_or(Value::Null))])
}

/// An event for who debugs: `name` without the `debug.` it will carry.
pub fn debug(at: f64, name: &str, context: Option<Map<String, Value>>) -> Entry {
    Entry { timestamp: at, name: format!("debug.{name}"), context }
}

fn with_map(at: f64, name: &str, map: &Map<String, Value>) -> Entry {
    Entry { timestamp: at, name: name.to_owned(), context: Some(map.clone()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::eventlog::parse_line;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn events_have_flux_cores_keys_in_its_order() {
        let (what, who) = (Exception { kind: "cancel".into(), ..no_exception() }, Some(5588));
        let oom = Exception { userid: who, note: "out of memory on foo42".into(), kind: "oom".into(), ..what.clone() };
        let rows = [
            (
                submit(1.5, &Submit { userid: 5588, urgency: 16, flags: 0, version: EVENTLOG_VERSION }),
                r#""submit","context":{"userid":5588,"urgency":16,"flags":0,"version":1}"#,
            ),
            (validate(1.5), r#""validate""#),
            (invalidate(1.5), r#""invalidate""#),
            (depend(1.5), r#""depend""#),
            (start(1.5), r#""start""#),
            (free(1.5), r#""free""#),
            (clean(1.5), r#""clean""#),
            (flux_restart(1.5), r#""flux-restart""#),
            (dependency_add(1.5, "begin-time=1"), r#""dependency-add","context":{"description":"begin-time=1"}"#),
            (dependency_remove(1.5, "d"), r#""dependency-remove","context":{"description":"d"}"#),
            (prolog_start(1.5, "p"), r#""prolog-start","context":{"description":"p"}"#),
            (prolog_finish(1.5, "p", 0), r#""prolog-finish","context":{"description":"p","status":0}"#),
            (epilog_start(1.5, "p"), r#""epilog-start","context":{"description":"p"}"#),
            (epilog_finish(1.5, "p", 256), r#""epilog-finish","context":{"description":"p","status":256}"#),
            (priority(1.5, u32::MAX), r#""priority","context":{"priority":4294967295}"#),
            (urgency(1.5, &Urgency { userid: 1, urgency: 0 }), r#""urgency","context":{"userid":1,"urgency":0}"#),
            (alloc(1.5, None), r#""alloc""#),
            (
                alloc(1.5, Some(&json!({"sched": {"resource_summary": "rank0/core0"}}))),
                r#""alloc","context":{"annotations":{"sched":{"resource_summary":"rank0/core0"}}}"#,
            ),
            (finish(1.5, 0), r#""finish","context":{"status":0}"#),
            (release(1.5, None, true), r#""release","context":{"ranks":"all","final":true}"#),
            (release(1.5, Some(&Idset::range(0, 3)), false), r#""release","context":{"ranks":"0-3","final":false}"#),
            (exception(1.5, &what), r#""exception","context":{"type":"cancel","severity":0,"note":""}"#),
            (
                exception(1.5, &oom),
                r#""exception","context":{"type":"oom","severity":0,"note":"out of memory on foo42","userid":5588}"#,
            ),
            (
                exception(1.5, &Exception { wait_status: Some(11), kind: "exec".into(), ..what }),
                r#""exception","context":{"type":"exec","severity":0,"note":"","wait_status":11}"#,
            ),
            (set_flags(1.5, &["debug"]), r#""set-flags","context":{"flags":["debug"]}"#),
            (
                jobspec_update(1.5, &map(json!({"attributes.system.duration": 3600}))),
                r#""jobspec-update","context":{"attributes.system.duration":3600}"#,
            ),
            (resource_update(1.5, 1692206240.0), r#""resource-update","context":{"expiration":1692206240.0}"#),
            (memo(1.5, &map(json!({"key": "value"}))), r#""memo","context":{"key":"value"}"#),
            (annotations(1.5, None), r#""annotations","context":{"annotations":null}"#),
            (debug(1.5, "free-request", None), r#""debug.free-request""#),
        ];
        for (event, want) in rows {
            assert_eq!(event.encode(), format!("{{\"timestamp\":1.5,\"name\":{want}}}\n"));
            assert_eq!(Entry::parse(&event.encode()), Ok(event));
        }
    }

    fn no_exception() -> Exception {
        Exception { kind: String::new(), severity: 0, note: String::new(), userid: None, wait_status: None }
    }

    #[test]
    fn contexts_read_back_from_the_line() {
        let given = Submit { userid: 1, urgency: 31, flags: 6, version: 1 };
        let line = submit(2.0, &given).encode();
        assert_eq!(parse_line(line.trim_end()).unwrap().context_as::<Submit>(), Ok(given));
        let given = Exception { kind: "exec".into(), wait_status: Some(256), severity: 7, ..no_exception() };
        let line = exception(2.0, &given).encode();
        assert_eq!(parse_line(line.trim_end()).unwrap().context_as::<Exception>(), Ok(given));
        let line = release(2.0, None, true).encode();
        let want = Release { ranks: "all".into(), is_final: true };
        assert_eq!(parse_line(line.trim_end()).unwrap().context_as::<Release>(), Ok(want));
        assert!(parse_line(r#"{"timestamp":1,"name":"start"}"#).unwrap().context_as::<Finish>().is_err());
    }
}
