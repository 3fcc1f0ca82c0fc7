use serde_json::json;

use super::summary::TasksPer;
use super::*;
use crate::testing::hostile_texts;

/// RFC 25 "Example Jobspec", in JSON.
const RFC25: &str = r#"{"resources":[{"type":"node","count":4,"with":[{"type":"slot","count":1,"with":[{"type":"core","count":2}],"label":"default"}]}],"tasks":[{"command":["app"],"slot":"default","count":{"per_slot":1}}],"attributes":{"system":{"duration":3600.0,"cwd":"/home/flux","environment":{"HOME":"/home/flux"}}},"version":1}"#;
/// RFC 14 use case 1.4 with a range, an idset and unknown keys.
const RFC14: &str = r#"{"resources":[{"type":"slot","count":"4-6","with":[{"type":"node","count":{"min":1,"max":8,"operator":"*","operand":2},"unit":"u","exclusive":true,"with":[{"type":"socket","count":"1,3,5","requires":{"a":1}}]}],"label":"nodelevel","id":"n[0-3]"}],"tasks":[{"command":["flux","start"],"slot":"nodelevel","count":{"per_resource":{"type":"node","count":2}},"distribution":"block","attributes":{"environment":{}}}],"attributes":{"user":{"x":[1,2]}},"version":999}"#;

fn v1(change: impl FnOnce(&mut Value)) -> Value {
    let mut value = serde_json::from_str(RFC25).unwrap();
    change(&mut value);
    value
}

#[test]
fn the_rfc_examples_read_and_write_the_same_bytes() {
    for text in [RFC25, RFC14] {
        let spec = Jobspec::parse(text).unwrap();
        assert_eq!(spec.encode(), text);
        assert_eq!(serde_json::to_string(&spec).unwrap(), text);
        assert_eq!(serde_json::from_str::<Jobspec>(text).unwrap(), spec);
    }
    assert_eq!(Jobspec::parse(RFC25).unwrap().check_v1_shape(), Ok(()));
    assert!(Jobspec::parse(RFC14).unwrap().check_v1().is_err());
}

#[test]
fn accessors_find_the_common_attributes() {
    let spec = Jobspec::from_value(v1(|spec| {
        spec["attributes"]["system"]["queue"] = "debug".into();
        spec["attributes"]["system"]["bank"] = "b".into();
        spec["attributes"]["system"]["shell"] = json!({"options": {"output": {"stdout": {"type": "file"}}, "a.b": 1}});
        spec["attributes"]["system"]["dependencies"] = json!([{"scheme": "afterok", "value": "1"}]);
        spec["attributes"]["system"]["constraints"] = json!({"properties": ["ssd"]});
    }))
    .unwrap();
    assert_eq!((spec.duration(), spec.cwd(), spec.queue()), (Some(3600.0), Some("/home/flux"), Some("debug")));
    assert_eq!((spec.bank(), spec.project(), spec.name()), (Some("b"), None, "app"));
    assert_eq!(spec.environment().unwrap()["HOME"], "/home/flux");
    assert_eq!(spec.shell_option("output.stdout.type"), Some(&"file".into()));
    assert_eq!(spec.shell_option("a.b"), Some(&1.into()));
    assert_eq!(spec.shell_option("output.stderr"), None);
    assert_eq!(spec.dependencies().len(), 1);
    assert_eq!(spec.constraints(), Some(&json!({"properties": ["ssd"]})));
    assert_eq!(spec.get_dotted("attributes.system.shell.options.output.stdout.type"), Some(&"file".into()));
    assert_eq!(spec.get_dotted("tasks"), None);
}

#[test]
fn the_name_falls_back_to_the_last_part_of_the_command() {
    for (arg0, want) in [("/usr/bin/app", "app"), ("app", "app"), ("/dir/", "/dir/"), ("", ""), ("./a.out", "a.out")] {
        let spec = Jobspec::from_value(v1(|spec| spec["tasks"][0]["command"] = json!([arg0, "x"]))).unwrap();
        assert_eq!(spec.name(), want);
    }
    let named = v1(|spec| spec["attributes"]["system"]["job"] = json!({"name": "given"}));
    assert_eq!(Jobspec::from_value(named).unwrap().name(), "given");
}

type Edit = fn(&mut Value);

#[test]
fn bad_jobspecs_are_refused_with_the_place_and_the_reason() {
    let rows: &[(Edit, &str)] = &[
        (|j| *j = json!([]), "jobspec must be an object"),
        (|j| drop(j.as_object_mut().unwrap().remove("resources")), "Missing key (resources)"),
        (|j| drop(j.as_object_mut().unwrap().remove("version")), "Missing key (version)"),
        (|j| j["more"] = 1.into(), "Extraneous key (more)"),
        (|j| j["version"] = "1".into(), "version must be an integer"),
        (|j| j["version"] = 0.into(), "version must be >= 1"),
        (|j| j["resources"] = json!({}), "resources must be a sequence"),
        (|j| j["resources"] = json!([]), "resources must be a sequence of at least one resource"),
        (|j| j["resources"][0] = 1.into(), "resources[0] must be a mapping"),
        (|j| j["resources"][0] = json!({"count": 1}), "Missing key (type) in resources[0]"),
        (|j| j["resources"][0] = json!({"type": 1, "count": 1}), "resources[0].type must be a string"),
        (|j| j["resources"][0] = json!({"type": "node"}), "Missing key (count) in resources[0]"),
        (|j| j["resources"][0]["count"] = 0.into(), "resources[0].count must be an integer >= 1"),
        (|j| j["resources"][0]["count"] = 1.5.into(), "resources[0].count must be an integer >= 1"),
        (|j| j["resources"][0]["count"] = 4294967296u64.into(), "resources[0].count must be an integer >= 1"),
        (|j| j["resources"][0]["exclusive"] = 1.into(), "resources[0].exclusive must be a boolean"),
        (|j| j["resources"][0]["with"] = 1.into(), "resources[0].with must be a sequence"),
        (
            |j| drop(j["resources"][0]["with"][0].as_object_mut().unwrap().remove("label")),
            "Missing key (label) in resources[0].with[0]",
        ),
        (|j| j["tasks"] = json!([]), "tasks must be a sequence of at least one task"),
        (|j| j["tasks"][0] = 1.into(), "tasks[0] must be a mapping"),
        (|j| j["tasks"][0]["command"] = json!([]), "tasks[0].command must be a non-empty list of strings"),
        (|j| j["tasks"][0]["command"] = "app".into(), "tasks[0].command must be a non-empty list of strings"),
        (|j| j["tasks"][0]["command"] = json!([1]), "tasks[0].command must be a non-empty list of strings"),
        (|j| j["tasks"][0]["slot"] = 1.into(), "tasks[0].slot must be a string"),
        (|j| j["tasks"][0]["count"] = 1.into(), "tasks[0].count must be a mapping"),
        (
            |j| j["tasks"][0]["count"]["total"] = 1.into(),
            "tasks[0].count must be a mapping with exactly one of per_slot, per_resource, total",
        ),
        (|j| j["tasks"][0]["count"] = json!({"total": 0}), "tasks[0].count.total must be an integer >= 1"),
        (|j| j["attributes"] = json!(null), "attributes must be a mapping"),
        (|j| j["attributes"]["other"] = json!({}), "Extraneous key (other) in attributes"),
        (|j| j["attributes"]["user"] = 1.into(), "attributes.user must be a mapping"),
        (|j| j["attributes"]["system"]["duration"] = "1".into(), "attributes.system.duration must be a number"),
        (|j| j["attributes"]["system"]["duration"] = (-1).into(), "attributes.system.duration must be zero or greater"),
        (|j| j["attributes"]["system"]["cwd"] = 1.into(), "attributes.system.cwd must be a string"),
        (|j| j["attributes"]["system"]["environment"] = json!([]), "attributes.system.environment must be a mapping"),
        (|j| j["attributes"]["system"]["dependencies"] = json!({}), "attributes.system.dependencies must be a list"),
        (|j| j["attributes"]["system"]["dependencies"] = json!([{"scheme": "x"}]), "dependency: Missing key (value)"),
        (|j| j["attributes"]["system"]["constraints"] = json!({"foo": []}), "unknown constraint operator 'foo'"),
    ];
    for (edit, want) in rows {
        assert_eq!(Jobspec::from_value(v1(edit)).unwrap_err().to_string(), *want);
    }
    assert!(Jobspec::parse("{").unwrap_err().to_string().starts_with("invalid JSON: "));
}

#[test]
fn version_1_has_rules_of_its_own() {
    let rows: &[(Edit, &str)] = &[
        (|j| j["version"] = 2.into(), "version must be 1"),
        (|j| j["attributes"] = json!({}), "Missing key (system) in attributes"),
        (
            |j| drop(j["attributes"]["system"].as_object_mut().unwrap().remove("duration")),
            "Missing key (duration) in attributes.system",
        ),
        (|j| j["resources"][0]["count"] = "1-4".into(), "resource count of 'node' must be an integer"),
        (
            |j| j["tasks"][0]["count"] = json!({"per_resource": {"type": "core", "count": 1}}),
            "tasks count must be per_slot or total",
        ),
    ];
    for (edit, want) in rows {
        assert_eq!(Jobspec::from_value(v1(edit)).unwrap().check_v1().unwrap_err().to_string(), *want);
    }
}

#[test]
fn the_version_1_shape_is_one_of_four() {
    let core = json!({"type": "core", "count": 1});
    let gpu = json!({"type": "gpu", "count": 1});
    let slot = |with: Value| json!({"type": "slot", "count": 2, "with": with, "label": "default"});
    let node = |with: Value| json!({"type": "node", "count": 2, "with": with});
    let rows = [
        (json!([slot(json!([core]))]), true),
        (json!([slot(json!([core, gpu]))]), true),
        (json!([node(json!([slot(json!([core, gpu]))]))]), true),
        (json!([slot(json!([gpu]))]), false),
        (json!([slot(json!([core, core]))]), false),
        (json!([slot(json!([]))]), false),
        (json!([slot(json!([node(json!([core]))]))]), false),
        (json!([node(json!([core]))]), false),
        (json!([core]), false),
        (json!([slot(json!([core])), slot(json!([core]))]), false),
    ];
    for (resources, want) in rows {
        let spec = Jobspec::from_value(v1(|spec| spec["resources"] = resources.clone())).unwrap();
        assert_eq!(spec.check_v1_shape().is_ok(), want, "{resources}");
    }
}

#[test]
fn counts_are_integers_ranges_or_text() {
    let rows = [
        (json!(1), true),
        (json!({"min": 1}), true),
        (json!({"min": 1, "max": 2, "operator": "+", "operand": 1}), true),
        (json!("1"), true),
        (json!("1,3-5"), true),
        (json!("[1-4:2:*]"), true),
        (json!("2+"), true),
        (json!("2-8:2:^"), true),
        (json!(-1), false),
        (json!(null), false),
        (json!({}), false),
        (json!({"min": 0}), false),
        (json!({"min": 2, "max": 1}), false),
        (json!({"min": 1, "operand": 2}), false),
        (json!({"min": 1, "operator": "+"}), false),
        (json!({"min": 1, "max": 9, "operator": "-", "operand": 2}), false),
        (json!({"min": 1, "max": 9, "operator": "*", "operand": 1}), false),
        (json!({"min": 1, "max": 9, "operator": "^", "operand": 2}), false),
        (json!({"min": 1, "more": 1}), false),
        (json!(""), false),
        (json!("0"), false),
        (json!("x"), false),
        (json!("1-"), false),
        (json!("[1"), false),
        (json!("3-1"), false),
        (json!("1-4:1:*"), false),
    ];
    for (count, want) in rows {
        let spec = Jobspec::from_value(v1(|spec| spec["resources"][0]["count"] = count.clone()));
        assert_eq!(spec.is_ok(), want, "{count}: {spec:?}");
        if let Ok(spec) = spec {
            assert_eq!(spec.resources[0].count.to_value(), count);
        }
    }
}

#[test]
fn zero_gpus_may_be_asked_for_but_not_zero_cores() {
    let with = |gpus: u32, cores: u32| {
        let children = json!([{"type": "core", "count": cores}, {"type": "gpu", "count": gpus}]);
        Jobspec::from_value(v1(|spec| spec["resources"][0]["with"][0]["with"] = children))
    };
    assert_eq!(with(0, 1).unwrap().summary().unwrap().gpus_per_slot, 0);
    assert!(with(1, 0).is_err());
}

#[test]
fn attributes_are_set_by_dotted_path_and_stay_valid() {
    let mut spec = Jobspec::parse(RFC25).unwrap();
    spec.set_dotted("attributes.system.duration", 60.into()).unwrap();
    spec.set_dotted("attributes.system.new.deep.key", "x".into()).unwrap();
    assert_eq!(spec.duration(), Some(60.0));
    assert_eq!(spec.get_dotted("attributes.system.new.deep.key"), Some(&"x".into()));
    let before = spec.clone();
    for (path, value) in [
        ("attributes.system.duration", json!("long")),
        ("attributes.system.cwd.x", json!(1)),
        ("attributes.system..x", json!(1)),
        ("attributes.", json!(1)),
        ("version", json!(2)),
        ("resources", json!([])),
        ("tasks", json!(null)),
    ] {
        assert!(spec.set_dotted(path, value).is_err(), "path {path:?}");
        assert_eq!(spec, before);
    }
    spec.set_dotted("resources", json!([{"type": "core", "count": 1}])).unwrap();
    assert_eq!(spec.resources, [Vertex::new("core", 1)]);
}

#[test]
fn set_attr_takes_the_short_names_of_the_command_line() {
    let mut spec = Jobspec::parse(RFC25).unwrap();
    for (name, path) in [
        ("x", "attributes.system.x"),
        ("system.y", "attributes.system.y"),
        ("user.z", "attributes.user.z"),
        ("attributes.user.w", "attributes.user.w"),
    ] {
        spec.set_attr(name, 1.into()).unwrap();
        assert_eq!(spec.get_dotted(path), Some(&1.into()));
    }
    spec.set_shell_option("a.b", 2.into()).unwrap();
    assert_eq!(spec.shell_option("a.b"), Some(&2.into()));
}

#[test]
fn depth_and_size_are_bounded() {
    let mut deep = json!({"type": "core", "count": 1});
    for _ in 0..40 {
        deep = json!({"type": "box", "count": 1, "with": [deep]});
    }
    let deep = v1(|spec| spec["resources"] = json!([deep]));
    assert!(matches!(Jobspec::from_value(deep), Err(JobspecError::TooLarge { .. })));
    let wide: Vec<Value> = (0..5000).map(|_| json!({"type": "core", "count": 1})).collect();
    assert!(matches!(
        Jobspec::from_value(v1(|spec| spec["resources"] = Value::Array(wide))),
        Err(JobspecError::TooLarge { .. })
    ));
}

#[test]
fn the_summary_counts_as_job_listings_do() {
    let spec = |resources: &str, count: Value, options: Value| {
        let resources: Value = serde_json::from_str(resources).unwrap();
        Jobspec::from_value(v1(|spec| {
            spec["resources"] = resources;
            spec["tasks"][0]["count"] = count;
            spec["attributes"]["system"]["shell"] = json!({ "options": options });
        }))
        .unwrap()
        .summary()
        .unwrap()
    };
    let one = json!({"per_slot": 1});
    const SLOT: &str =
        r#"[{"type":"slot","count":4,"with":[{"type":"core","count":2},{"type":"gpu","count":1}],"label":"t"}]"#;
    const NODE: &str = r#"[{"type":"node","count":3,"exclusive":EX,"with":[{"type":"slot","count":2,"with":[{"type":"core","count":5}],"label":"t"}]}]"#;
    let shared = NODE.replace("EX", "false");
    let whole = NODE.replace("EX", "true");

    let got = spec(SLOT, one.clone(), json!({}));
    assert_eq!((got.nnodes, got.nslots, got.cores_per_slot, got.gpus_per_slot), (None, 4, 2, 1));
    assert_eq!((got.ntasks, got.ncores, got.exclusive, got.duration), (Some(4), Some(8), false, 3600.0));

    let got = spec(&shared, one.clone(), json!({}));
    assert_eq!((got.nnodes, got.nslots, got.ntasks, got.ncores), (Some(3), 6, Some(6), Some(30)));
    assert_eq!(spec(&shared, json!({"total": 5}), json!({})).ntasks, Some(5));

    let got = spec(&whole, one.clone(), json!({}));
    assert_eq!((got.exclusive, got.ntasks, got.ncores), (true, Some(6), None));

    let per = |kind: &str, count: u32| json!({"per-resource": {"type": kind, "count": count}});
    assert_eq!(spec(&shared, one.clone(), per("node", 7)).ntasks, Some(21));
    assert_eq!(spec(SLOT, one.clone(), per("core", 2)).ntasks, Some(16));
    let mut late = spec(SLOT, one.clone(), per("node", 2));
    assert_eq!((late.ntasks, late.tasks_per), (None, Some(TasksPer::Node(2))));
    late.settle(3, 24);
    assert_eq!((late.ntasks, late.nnodes, late.ncores), (Some(6), Some(3), Some(24)));
    let mut late = spec(&shared, one, per("core", 2));
    assert_eq!((late.ntasks, late.tasks_per), (None, Some(TasksPer::Core(2))));
    late.settle(3, 24);
    assert_eq!(late.ntasks, Some(48));
}

#[test]
fn totals_that_do_not_fit_are_refused() {
    let big = v1(|spec| {
        spec["resources"][0]["count"] = 2_000_000_000.into();
        spec["resources"][0]["with"][0]["count"] = 2_000_000_000.into();
    });
    assert!(Jobspec::from_value(big).unwrap().summary().is_err());
}

#[test]
fn hostile_jobspecs_never_panic_and_what_reads_also_writes() {
    hostile_texts(25, &[RFC25, RFC14], "{}[]\":,0123456789.e-+*^slot", |text| {
        let Ok(spec) = Jobspec::parse(text) else { return };
        let _ = (spec.summary(), spec.check_v1_shape(), spec.name().len());
        assert_eq!(Jobspec::parse(&spec.encode()).as_ref(), Ok(&spec), "text {text:?}");
    });
}
