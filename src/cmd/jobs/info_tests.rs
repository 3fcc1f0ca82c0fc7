use super::*;

fn job(extra: Json) -> JobInfo {
    let mut fields = json!({"id": 98_213_822_464_u64, "userid": 0, "urgency": 16, "t_submit": 1.0, "name": "n"});
    fields.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    JobInfo::new(fields, &Shared::new(false)).unwrap()
}

fn field(job: &JobInfo, name: &str) -> String {
    job.field(name).unwrap().to_string()
}

#[test]
fn what_is_derived_follows_from_state_and_result() {
    let held = json!({"state": 8, "urgency": 0, "priority": 0, "duration": 60.0});
    let waiting = json!({"state": 2, "dependencies": ["after-success=1", "x"]});
    let estimated = json!({"state": 8, "annotations": {"sched": {"t_estimate": 1.0}}});
    let running = json!({"state": 16, "nodelist": "n[1-2]", "t_run": 5.0});
    let done = json!({"state": 64, "result": 1, "waitstatus": 0, "t_run": 5.0, "t_cleanup": 7.5, "nodelist": "n1"});
    let killed = json!({"state": 64, "result": 2, "waitstatus": 35072});
    let canceled = json!({"state": 64, "result": 4, "exception_occurred": true, "exception_type": "cancel",
        "exception_note": "why", "exception_severity": 0});
    let rows = [
        (held.clone(), "contextual_info", "held"),
        (held, "contextual_time", "60.0"),
        (waiting.clone(), "contextual_info", "depends:after-success=1,x"),
        (waiting, "status_abbrev", "D"),
        (estimated, "contextual_info", "eta:now"),
        (running.clone(), "contextual_info", "n[1-2]"),
        (running, "status", "RUN"),
        (done.clone(), "contextual_time", "2.5"),
        (done.clone(), "inactive_reason", "Exit 0"),
        (done.clone(), "returncode", "0"),
        (done, "status_abbrev", "CD"),
        (killed.clone(), "inactive_reason", "Killed"),
        (killed, "returncode", "137"),
        (canceled.clone(), "inactive_reason", "Canceled: why"),
        (canceled.clone(), "returncode", "-128"),
        (canceled, "exception.type", "cancel"),
    ];
    for (extra, name, want) in rows {
        assert_eq!(field(&job(extra.clone()), name), want, "{name} of {extra}");
    }
}

#[test]
fn annotations_are_reached_by_path() {
    let job =
        job(json!({"state": 16, "annotations": {"sched": {"resource_summary": "rank0"}, "user": {"a": {"b": 7}}}}));
    let rows = [
        ("sched.resource_summary", "rank0"),
        ("annotations.user.a.b", "7"),
        ("user.a", "{\"b\": 7}"),
        ("user.no.such", ""),
        ("uri", "None"),
        ("nodelist", ""),
        ("t_inactive", "0.0"),
        ("id.dec", "98213822464"),
        ("id.f58plain", "f3adpWhd"),
    ];
    for (name, want) in rows {
        assert_eq!(field(&job, name), want, "{name}");
    }
}

#[test]
fn an_instance_has_an_address_for_here_and_one_for_elsewhere() {
    let shared = Shared::new(false);
    let with = |uri: &str| job(json!({"state": 16, "annotations": {"user": {"uri": uri}}}));
    let here = with(&format!("ssh://{}/run/flux/local", shared.hostname));
    assert_eq!(here.reachable_uri().as_deref(), Some("local:///run/flux/local"));
    let there = with("ssh://no-such-host/run/flux/local");
    assert_eq!((there.reachable_uri(), there.local_uri().as_deref()), (None, Some("local:///run/flux/local")));
}

#[test]
fn json_leaves_out_what_is_unset() {
    let job = job(json!({"state": 8, "priority": 0, "duration": 3600.0, "queue": ""}));
    let mut object = job.to_json();
    for key in ["username", "jobid"] {
        assert!(object.shift_remove(key).is_some());
    }
    let want = r#"{"duration":3600.0,"name":"n","priority":0,"id":98213822464,"t_submit":1.0,"state":"SCHED","userid":0,"urgency":16,"status":"SCHED","dependencies":[],"annotations":{},"exception":{"occurred":false}}"#;
    assert_eq!(Json::Object(object).to_string(), want);
}
