use super::*;
use serde_json::json;

#[test]
fn annotations_merge_as_rfc27_says() {
    let rows = [
        (json!({}), json!({"a": 1}), json!({"a": 1})),
        (json!({"a": 1}), json!({"a": 2}), json!({"a": 2})),
        (json!({"a": 1, "b": 2}), json!({"a": null}), json!({"b": 2})),
        (json!({"a": {"b": 1}}), json!({"a": {"c": 2}}), json!({"a": {"b": 1, "c": 2}})),
        (json!({"a": {"b": 1}}), json!({"a": {"b": null}}), json!({})),
        (json!({"a": {"b": 1}}), json!({"a": 5}), json!({"a": 5})),
        (json!({"a": 5}), json!({"a": {"b": null, "c": 1}}), json!({"a": {"c": 1}})),
        (json!({}), json!({"a": {"b": null}}), json!({})),
        (json!({}), json!({"a": null}), json!({})),
    ];
    for (before, updates, after) in rows {
        let mut target = before.as_object().unwrap().clone();
        merge(&mut target, updates.as_object().unwrap());
        assert_eq!(Value::Object(target), after, "{before} and {updates}");
    }
}

#[test]
fn ends_are_told_in_the_words_of_flux_job_wait() {
    let rows = [
        (0, ""),
        (256, "task(s) exited with exit code 1"),
        (127 << 8, "task(s) exited with exit code 127"),
        (137 << 8, "task(s) Killed"),
        (139 << 8, "task(s) Segmentation fault"),
        (9, "job shell Killed"),
        (15, "job shell Terminated"),
    ];
    for (status, want) in rows {
        let end = EndEvent::Finish { status };
        assert_eq!(end.describe(), want, "status {status}");
        assert_eq!(end.result() == JobResult::Completed, status == 0);
    }
    let end = EndEvent::Exception { kind: "cancel".into(), note: "by me".into() };
    assert_eq!((end.describe().as_str(), end.result()), ("Fatal exception type=cancel by me", JobResult::Canceled));
}

#[test]
fn a_path_is_set_and_its_parents_made_but_never_through_a_value() {
    let mut value = json!({"a": {"b": 1}});
    assert_eq!(set_path(&mut value, "a.c.d", json!(2)), Some(()));
    assert_eq!(set_path(&mut value, "e", json!(3)), Some(()));
    assert_eq!(set_path(&mut value, "a.b.x", json!(4)), None);
    assert_eq!(value, json!({"a": {"b": 1, "c": {"d": 2}}, "e": 3}));
}
