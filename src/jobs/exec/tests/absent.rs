//! Nodes that are not there when the leader asks for them.

use super::*;

/// The leader is asked for a job of rank 1, which does not answer. What it says to the manager before and after it has asked again.
fn asks_an_absent_node(more: Value, boot_method: &str) -> (Vec<String>, Vec<String>) {
    let mut world = World::new(true);
    world.node.attrs.insert("broker.boot-method".to_owned(), boot_method.to_owned());
    let execution = json!({"R_lite": [{"rank": "1", "children": {"core": "0"}}], "nodelist": ["node1"],
        "starttime": 0, "expiration": 0});
    let mut body = json!({"id": ID, "userid": OWNER, "jobspec": {"attributes": {"system": {"duration": 0}}},
        "R": {"version": 1, "execution": execution}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.request("job-exec.start", Flags::STREAMING, body);
    let launch = world.far.pop().expect("it was asked");
    let reply = launch.error_response(Errno::EHOSTUNREACH, "");
    let tag = Tag(launch.matchtag());
    world.with(|exec, cx| AnyService::on_reply(exec, cx, tag, &reply));
    let said = |world: &World| world.said().iter().map(|kind| (*kind).to_owned()).collect();
    let first = said(&world);
    world.ring();
    if let Some(launch) = world.far.iter().find(|message| message.topic() == "job-exec.launch") {
        let reply = launch.response(json!({"type": "started"}).into());
        let tag = Tag(launch.matchtag());
        world.with(|exec, cx| AnyService::on_reply(exec, cx, tag, &reply));
    }
    (first, said(&world))
}

#[test]
fn what_a_restarted_leader_finds_waits_for_its_nodes_to_come_back() {
    let nothing: Vec<String> = Vec::new();
    let rows = [
        // Its start is in the log.
        (json!({"reattach": true}), "start"),
        // Only that it got resources.
        (json!({"look": true}), "start"),
    ];
    for (more, then) in rows {
        assert_eq!(asks_an_absent_node(more.clone(), "single"), (nothing.clone(), vec![then.to_owned()]), "{more}");
    }
}

#[test]
fn a_new_job_waits_for_its_node_where_brokers_are_started_again() {
    assert_eq!(asks_an_absent_node(json!({}), "config"), (vec![], vec!["start".to_owned()]));
}

#[test]
fn a_new_job_whose_node_is_gone_for_good_fails_at_once() {
    let (first, _) = asks_an_absent_node(json!({}), "single");
    assert_eq!(first, ["exception", "finish", "release"]);
}

#[test]
fn who_comes_while_the_service_ends_is_told_to_come_again() {
    let mut world = World::new(true);
    world.start(false, Value::Null, 0.0);
    world.with(AnyService::stop);
    world.hello();
    assert_eq!(world.shell, [json!(Errno::ENOSYS.0)]);
}
