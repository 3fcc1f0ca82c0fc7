//! RFC 21 on one job: every state against every event.

use std::sync::Arc;

use flux_types::eventlog::Entry;
use flux_types::{JobId, JobState};
use flux_wire::Errno;
use serde_json::{Value, json};

use super::job::{Birth, Job, Specs};
use crate::limits::SPECS_KEPT;
use crate::state::{EndEvent, JobFlags};

fn entry(name: &str) -> Entry {
    let context = match name {
        "submit" => json!({"userid": 7, "urgency": 16, "flags": 0, "version": 1}),
        "dependency-add" | "dependency-remove" => json!({"description": "x"}),
        "priority" => json!({"priority": 42}),
        "urgency" => json!({"urgency": 20, "userid": 7}),
        "exception" => json!({"type": "cancel", "severity": 0, "note": "why"}),
        "mild" => json!({"type": "x", "severity": 3, "note": ""}),
        "release" => json!({"ranks": "all", "final": true}),
        "finish" => json!({"status": 256}),
        "jobspec-update" => json!({"attributes.system.duration": 5}),
        "resource-update" => json!({"expiration": 5}),
        "set-flags" => json!({"flags": ["debug"]}),
        _ => json!({}),
    };
    let name = if name == "mild" { "exception" } else { name };
    Entry { timestamp: 1.0, name: name.into(), context: context.as_object().cloned() }
}

/// A job that has come to `state` on the straight way.
fn job_in(state: JobState) -> Job {
    let birth = Birth { id: JobId(1), userid: 0, urgency: 0, flags: JobFlags(0), t_submit: 0.0 };
    let mut job = Job::new(&birth, &json!({"attributes": {"system": {}}}), "{}".into());
    for name in ["submit", "validate", "depend", "priority", "alloc", "finish", "clean"] {
        if job.state == state && job.submitted {
            break;
        }
        job.apply(&entry(name)).expect("the straight way");
    }
    assert_eq!(job.state, state);
    job
}

#[test]
fn every_state_and_event_lead_where_rfc21_says() {
    use JobState::{Cleanup, Depend, Inactive, New, Priority, Run, Sched};
    // One row per event; one column per state, in the order of their lives.
    let states = [New, Depend, Priority, Sched, Run, Cleanup, Inactive];
    let same = states;
    let rows = [
        ("validate", [Depend, Depend, Priority, Sched, Run, Cleanup, Inactive]),
        ("depend", [New, Priority, Priority, Sched, Run, Cleanup, Inactive]),
        ("priority", [New, Depend, Sched, Sched, Run, Cleanup, Inactive]),
        ("alloc", [New, Depend, Priority, Run, Run, Cleanup, Inactive]),
        ("finish", [New, Depend, Priority, Sched, Cleanup, Cleanup, Inactive]),
        ("clean", [New, Depend, Priority, Sched, Run, Inactive, Inactive]),
        ("urgency", [New, Depend, Priority, Priority, Run, Cleanup, Inactive]),
        ("flux-restart", [New, Depend, Priority, Priority, Run, Cleanup, Inactive]),
        ("jobspec-update", [New, Depend, Priority, Priority, Run, Cleanup, Inactive]),
        ("exception", [New, Cleanup, Cleanup, Cleanup, Cleanup, Cleanup, Inactive]),
        ("mild", same),
        ("resource-update", same),
        ("dependency-add", same),
        ("dependency-remove", same),
        ("set-flags", same),
        ("memo", same),
        ("prolog-start", same),
        ("prolog-finish", same),
        ("epilog-start", same),
        ("epilog-finish", same),
        ("start", same),
        ("release", same),
        ("free", same),
        ("debug.anything", same),
    ];
    for (name, want) in rows {
        for (state, want) in states.into_iter().zip(want) {
            let mut job = job_in(state);
            let refused = job.apply(&entry(name)).is_err();
            assert_eq!(job.state, want, "{name} in {state}");
            assert_eq!(refused, (name, state) == ("exception", New), "{name} in {state}");
        }
    }
}

#[test]
fn malformed_events_change_nothing() {
    let rows = [
        ("submit", json!({"userid": 1})),
        ("priority", json!({})),
        ("urgency", json!({"urgency": "high"})),
        ("exception", json!({"type": "x"})),
        ("exception", json!({"severity": 0})),
        ("finish", json!({"status": 1u64 << 40})),
        ("release", json!({"ranks": "0"})),
        ("set-flags", json!({"flags": ["unknown"]})),
        ("dependency-add", json!({})),
        ("jobspec-update", json!({"attributes.system.x.y": 1, "": 2})),
        ("resource-update", json!({"expiration": "soon"})),
    ];
    for (name, context) in rows {
        for state in [JobState::Depend, JobState::Priority, JobState::Run] {
            let mut job = job_in(state);
            let bad = Entry { timestamp: 1.0, name: name.into(), context: context.as_object().cloned() };
            if job.apply(&bad).is_err() {
                assert_eq!(job.state, state, "{name} {context}");
                assert_eq!(job.end, None, "{name} {context}");
            }
        }
    }
}

#[test]
fn the_first_fatal_event_is_what_ended_the_job() {
    let mut job = job_in(JobState::Run);
    job.apply(&entry("exception")).unwrap();
    job.apply(&entry("finish")).unwrap();
    assert_eq!(job.end, Some(EndEvent::Exception { kind: "cancel".into(), note: "why".into() }));
    let mut job = job_in(JobState::Run);
    job.apply(&entry("finish")).unwrap();
    job.apply(&entry("exception")).unwrap();
    assert_eq!(job.end, Some(EndEvent::Finish { status: 256 }));
}

#[test]
fn the_environment_is_not_kept_with_the_job() {
    let birth = Birth { id: JobId(1), userid: 0, urgency: 0, flags: JobFlags(0), t_submit: 0.0 };
    let spec = json!({"resources": [], "attributes": {"system": {"cwd": "/", "environment": {"A": "b"}}, "user": {}}});
    let job = Job::new(&birth, &spec, super::job::redact(&spec).into());
    let want: Value = json!({"resources": [], "attributes": {"system": {"cwd": "/"}, "user": {}}});
    assert_eq!(&*job.jobspec, want.to_string());
}

#[test]
fn equal_jobspecs_that_are_read_are_kept_once_and_without_their_environment() {
    let mut specs = Specs::default();
    let text = |name: &str| {
        format!(r#"{{"attributes":{{"system":{{"job":{{"name":"{name}"}},"environment":{{"A":"b"}}}}}}}}"#)
    };
    let first = specs.of(text("a")).unwrap();
    assert_eq!(&*first.text, r#"{"attributes":{"system":{"job":{"name":"a"}}}}"#);
    assert!(Arc::ptr_eq(&first.text, &specs.of(text("a")).unwrap().text));
    for at in 0..2 * SPECS_KEPT {
        specs.of(text(&at.to_string())).unwrap();
        assert!(specs.0.len() <= SPECS_KEPT);
    }
    assert_eq!(specs.of("{".into()).unwrap_err().errno, Errno::EINVAL);
}
