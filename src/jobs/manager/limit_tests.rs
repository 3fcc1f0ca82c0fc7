use super::*;
use serde_json::json;

fn spec(nodes: u32, cores: u32, duration: f64) -> Value {
    let slot = json!({"type": "slot", "count": 1, "label": "task", "with": [{"type": "core", "count": cores}]});
    json!({"resources": [{"type": "node", "count": nodes, "with": [slot]}],
           "tasks": [{"command": ["app"], "slot": "task", "count": {"per_slot": 1}}],
           "attributes": {"system": {"duration": duration}}, "version": 1})
}

#[test]
fn a_job_over_or_under_a_limit_is_refused_with_it() {
    let config = json!({
        "policy": {"limits": {"duration": "1h", "job-size": {"max": {"nnodes": 4, "ncores": 8}, "min": {"nnodes": 2}}}},
        "queues": {
            "long": {"policy": {"limits": {"duration": "2h"}}},
            "tiny": {"policy": {"limits": {"job-size": {"max": {"nnodes": -1, "ncores": 2}}}}},
            "child": {"parent": "long"},
            "free": {"policy": {"limits": {"duration": "0"}}},
        },
    });
    let policy = Policy::read(&config).expect("a good configuration");
    let rows = [
        (spec(2, 1, 3600.0), None, None),
        (spec(2, 1, 3601.0), None, Some("requested duration (1.00028h) exceeds policy limit of 1h")),
        (spec(2, 1, 0.0), None, Some("requested duration (unlimited) exceeds policy limit of 1h")),
        (spec(5, 1, 60.0), None, Some("requested nnodes (5) exceeds policy limit of 4")),
        (spec(4, 3, 60.0), None, Some("requested ncores (12) exceeds policy limit of 8")),
        (spec(1, 1, 60.0), None, Some("requested nnodes (1) is under policy limit of 2")),
        (spec(2, 1, 7200.0), Some("long"), None),
        (spec(2, 1, 7200.0), Some("child"), None),
        (
            spec(2, 1, 9000.0),
            Some("child"),
            Some("requested duration (2.5h) exceeds policy limit of 2h for queue child"),
        ),
        (spec(9, 1, 60.0), Some("tiny"), Some("requested ncores (9) exceeds policy limit of 2 for queue tiny")),
        (spec(2, 1, 0.0), Some("free"), None),
    ];
    for (jobspec, queue, want) in rows {
        let got = policy.check(&jobspec, queue).map_err(|fault| fault.text).err();
        assert_eq!(got.as_deref(), want, "{queue:?} {}", jobspec["attributes"]);
    }
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let rows = [
        (json!({"duration": "soon"}), "policy.limits.duration: FSD value is malformed"),
        (json!({"duration": 5}), "policy.limits.duration: FSD value is malformed"),
        (json!({"job-size": {"max": {"nnodes": -2}}}), "policy.limits.job-size: size must be -1 (unlimited), or >= 0"),
    ];
    for (limits, want) in rows {
        let config = json!({"policy": {"limits": limits}});
        assert_eq!(Policy::read(&config).map_err(|fault| fault.text), Err(want.to_owned()));
        let config = json!({"queues": {"q": config}});
        assert_eq!(Policy::read(&config).map_err(|fault| fault.text), Err(format!("queues.q.{want}")));
    }
    let open = Policy::read(&json!({})).expect("nothing is a good configuration");
    assert_eq!(open.check(&json!({"any": "thing"}), None), Ok(()));
}
