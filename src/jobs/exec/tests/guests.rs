//! Jobs of guests: what the IMP is told, and what becomes of what it says.

use super::*;

const GUEST: u32 = 2000;

fn world(statedir: bool) -> World {
    let mut world = World::new(statedir);
    world.node.config = Arc::new(json!({"exec": {"imp": "/libexec/flux-imp"}}));
    world.with(|exec, cx| AnyService::on_config(exec, cx).unwrap());
    world.logs.insert("J".into(), "signed".into());
    world
}

#[test]
fn without_an_imp_guests_are_refused_with_a_sentence() {
    let mut world = World::new(false);
    world.start_for(GUEST, false, Value::Null, 0.0);
    assert_eq!(world.said(), ["exception", "release"]);
    let note = "this instance runs jobs of its owner only: it has no IMP to run those of others";
    assert_eq!(world.manager[0].1["note"], note);
    assert!(world.specs.is_empty());
}

#[test]
fn the_imp_gets_the_signed_request_and_the_shell_no_other_jobspec() {
    for statedir in [false, true] {
        let mut world = world(statedir);
        world.start_for(GUEST, false, Value::Null, 0.0);
        let spec = world.specs.pop().expect("the IMP is started");
        assert_eq!(spec.argv[..3], ["/libexec/flux-imp", "exec", "/libexec/flux-shell"].map(String::from));
        assert_eq!(spec.executable, None);
        let input: Value = serde_json::from_slice(&spec.stdin.unwrap()).unwrap();
        assert_eq!(input["J"], "signed");
        let bundle: Value = serde_json::from_str(input["shell-input"].as_str().unwrap()).unwrap();
        let told = (&bundle["jobspec"], &bundle["record"], &bundle["options"]["guest"]);
        assert_eq!(told, (&Value::Null, &Value::Null, &json!(true)));
        assert_eq!(bundle["options"]["broker_absent_ms"].is_u64(), statedir);
        let lock = spec.errors.expect("a file that is locked while they live");
        assert!(lock.ends_with("/lock"), "{lock}");
        assert_eq!(world.said(), ["start"]);
    }
}

#[test]
fn a_job_names_its_shell_before_the_site_does() {
    let mut world = world(false);
    world.node.config = Arc::new(json!({"exec": {"imp": "/libexec/flux-imp", "job-shell": "/site/shell"}}));
    world.with(|exec, cx| AnyService::on_config(exec, cx).unwrap());
    world.start_for(GUEST, false, Value::Null, 0.0);
    assert_eq!(world.specs[0].argv[2], "/site/shell");
    for (key, value) in [("imp", json!("flux-imp")), ("imp", json!(1)), ("job-shell", json!("sh"))] {
        world.node.config = Arc::new(json!({"exec": {key: value}}));
        world.with(|exec, cx| assert!(AnyService::on_config(exec, cx).is_err(), "{key} is no absolute path"));
    }
}

#[test]
fn a_guest_may_open_what_the_site_says_and_the_gpus_of_the_job() {
    let options = |exec: Value, gpus: Vec<Vec<String>>| {
        let mut world = world(false);
        world.exec.gpu_devices = gpus;
        let mut table = json!({"imp": "/libexec/flux-imp"});
        table.as_object_mut().unwrap().extend(exec.as_object().unwrap().clone());
        world.node.config = Arc::new(json!({"exec": table}));
        world.with(|exec, cx| AnyService::on_config(exec, cx).unwrap());
        world.start_with(GUEST, json!({"core": "0", "gpu": "1-2"}));
        let input = world.specs.pop().expect("the IMP is started").stdin.unwrap();
        serde_json::from_slice::<Value>(&input).unwrap().get("options").cloned().unwrap_or_default()
    };
    let gpus = || (0..4).map(|id| vec!["/dev/shared".to_owned(), format!("/dev/gpu{id}")]).collect::<Vec<_>>();
    let own = json!([["/dev/gpu1", "rw"], ["/dev/gpu2", "rw"], ["/dev/shared", "rw"]]);
    let rows = [
        (json!({}), Value::Null),
        (json!({"sdexec-constrain-resources": false}), Value::Null),
        (json!({"sdexec-constrain-resources": true}), json!({"DevicePolicy": "closed", "DeviceAllow": own})),
        (json!({"device-policy": "strict"}), json!({"DevicePolicy": "strict", "DeviceAllow": own})),
    ];
    for (exec, want) in rows {
        assert_eq!(options(exec.clone(), gpus()), want, "{exec}");
    }
    let exec = json!({"device-allow": [["char-infiniband", "rw"]]});
    let want = json!({"DevicePolicy": "auto", "DeviceAllow": [["char-infiniband", "rw"]]});
    assert_eq!(options(exec, Vec::new()), want, "GPUs that nobody knows of are not opened");
    let bad = [
        ("sdexec-constrain-resources", json!("yes")),
        ("device-policy", json!("open")),
        ("device-allow", json!("/dev/null")),
        ("device-allow", json!([["/etc/passwd", "r"]])),
        ("device-allow", json!([["/dev/null", "x"]])),
        ("device-allow", json!([["/dev/null"]])),
        ("device-allow", json!(vec![["/dev/null", "r"]; 65])),
    ];
    for (key, value) in bad {
        let mut world = world(false);
        world.node.config = Arc::new(json!({"exec": {key: value}}));
        world.with(|exec, cx| assert!(AnyService::on_config(exec, cx).is_err(), "{key} {value}"));
    }
}

#[test]
fn what_the_imp_said_last_is_in_the_exception() {
    let mut world = world(false);
    world.start_for(GUEST, false, Value::Null, 0.0);
    let lock = world.specs[0].errors.clone().unwrap();
    world.files.insert(lock, b"flux-imp: user flux is not\x1b in allowed-users\n\n".to_vec());
    let tag = world.spawned[0];
    world.with(|exec, cx| {
        let exited = Completion::Process(ProcessEvent::Exited { status: 256 });
        AnyService::on_completion(exec, cx, tag, exited);
    });
    assert_eq!(world.said()[..2], ["start", "exception"]);
    let note = world.manager[1].1["note"].as_str().unwrap();
    let want =
        "the job shell exited with code 1 before its tasks were done: flux-imp: user flux is not in allowed-users";
    assert_eq!(note, want);
}

#[test]
fn sigkill_reaches_a_guest_as_the_signal_that_the_imp_knows() {
    let mut world = world(false);
    world.start_for(GUEST, false, Value::Null, 0.0);
    for (signum, sent) in [(9, 10), (15, 15)] {
        world.request("job-exec.order", Flags::NORESPONSE, json!({"id": ID, "kill": signum}));
        assert_eq!(world.killed.pop(), Some(sent));
    }
}

#[test]
fn what_is_left_of_a_guests_job_is_killed_a_while_after_it_is_over() {
    let group = || vec!["imp-shell-fNH-0".to_owned()];
    for (userid, stops, want) in [(GUEST, false, group()), (GUEST, true, group()), (OWNER, false, vec![])] {
        let mut world = world(true);
        world.start_for(userid, false, Value::Null, 0.0);
        world.hello();
        world.request("job-exec.order", Flags::NORESPONSE, json!({"id": ID, "done": true}));
        assert!(world.groups_killed.is_empty(), "the shell has time to end");
        if stops {
            world.with(AnyService::stop);
        } else {
            world.settle_down();
        }
        assert_eq!(world.groups_killed, want, "{userid} {stops}");
    }
}

#[test]
fn a_request_that_cannot_be_read_starts_nothing() {
    let mut world = world(false);
    world.logs.remove("J");
    world.start_for(GUEST, false, Value::Null, 0.0);
    assert!(world.specs.is_empty());
    assert_eq!(world.said()[0], "exception");
    assert!(world.manager[0].1["note"].as_str().unwrap().contains("signed request"));
}
