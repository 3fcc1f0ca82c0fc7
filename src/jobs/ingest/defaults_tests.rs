use super::*;

fn system(config: &Value, given: Value) -> Value {
    let jobspec = json!({"attributes": {"system": given}});
    let jobspec = apply(config, jobspec).expect("a good jobspec");
    constrain_to_queue(config, jobspec).expect("a good jobspec")["attributes"]["system"].clone()
}

#[test]
fn a_queue_s_defaults_come_before_its_parent_s_and_those_before_the_instance_s() {
    let policy = |system: Value| json!({"jobspec": {"defaults": {"system": system}}});
    let config = json!({
        "policy": policy(json!({"queue": "batch", "duration": "1h"})),
        "queues": {
            "batch": {"policy": policy(json!({"duration": "10m"})), "requires": ["b"]},
            "standby": {"parent": "batch", "policy": policy(json!({}))},
            "debug": {"hosts": "h[0-3]"},
        },
    });
    crate::policy::check(&config).expect("a good configuration");
    let rows = [
        (json!({}), json!({"queue": "batch", "duration": 600.0, "constraints": {"properties": ["b"]}})),
        (
            json!({"queue": "standby", "duration": 0}),
            json!({"queue": "standby", "duration": 600.0, 
                   "constraints": {"properties": ["b"]}}),
        ),
        (
            json!({"queue": "debug", "duration": 5}),
            json!({"queue": "debug", "duration": 5, "constraints": {"properties": ["+debug"]}}),
        ),
    ];
    for (given, want) in rows {
        assert_eq!(system(&config, given.clone()), want, "{given}");
    }
}

#[test]
fn a_queue_s_constraints_are_added_to_the_job_s_own() {
    let config = json!({"queues": {"q": {"requires": ["a"]}}});
    let rows = [
        (json!({"properties": ["x"]}), json!({"properties": ["x", "a"]})),
        (json!({"properties": ["a"]}), json!({"properties": ["a"]})),
        (json!({}), json!({"properties": ["a"]})),
        (json!({"ranks": ["0"]}), json!({"and": [{"ranks": ["0"]}, {"properties": ["a"]}]})),
    ];
    for (given, want) in rows {
        let out = system(&config, json!({"queue": "q", "constraints": given}));
        assert_eq!(out["constraints"], want, "{given}");
    }
}

#[test]
fn nothing_is_added_where_nothing_is_configured() {
    let odd = json!({"attributes": 5});
    assert_eq!(apply(&json!({}), odd.clone()), Ok(odd.clone()));
    assert!(apply(&json!({"queues": {}}), odd).is_err());
    let bad = [json!({"duration": "soon"}), json!({"duration": []}), json!({"queue": "none"})];
    for system in bad {
        let config = json!({"policy": {"jobspec": {"defaults": {"system": system}}}});
        assert!(crate::policy::check(&config).is_err(), "{config}");
    }
}
