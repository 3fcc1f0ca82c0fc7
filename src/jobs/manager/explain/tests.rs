//! Sentences, as the manager says them.

use flux_types::JobId;
use serde_json::{Value, json};

use crate::harness::{OWNER, World, guest, jobspec, jobspec_with};

fn explain(world: &mut World, id: JobId) -> Value {
    let answer = world.rpc("job-manager.explain", json!({"ids": [id.0]})).expect("explained");
    answer["jobs"][0].clone()
}

fn text(world: &mut World, id: JobId) -> String {
    explain(world, id)["text"].as_str().expect("a sentence").to_owned()
}

#[test]
fn a_job_tells_what_it_waits_for_in_others() {
    let mut world = World::new();
    let first = world.submit();
    let dependencies = json!([{"scheme": "afterok", "value": first.to_string()},
        {"scheme": "begin-time", "value": "1700003600"}]);
    let id = world.submit_with(&jobspec_with("dependencies", dependencies), 16, 0).unwrap();
    assert_eq!(text(&mut world, id), format!("waits for job {first} to succeed and its begin time, in 1h"));
    assert_eq!(explain(&mut world, id)["reason"], "dependency");
    assert_eq!(text(&mut world, first), "is running");
}

#[test]
fn a_held_job_and_one_of_a_stopped_queue_say_so() {
    let mut world = World::new();
    let held = world.submit_with(&jobspec(), 0, 0).unwrap();
    assert!(text(&mut world, held).starts_with("is held: its urgency is 0"));
    let stop = json!({"start": false, "reason": "maintenance", "all": false});
    world.rpc("job-manager.queue-start", stop).unwrap();
    let id = world.submit();
    assert_eq!(text(&mut world, id), "waits because the queue is stopped: maintenance");
}

#[test]
fn a_job_that_lacks_resources_says_what_is_free_and_who_is_before_it() {
    let mut world = World::new();
    let running = [world.submit(), world.submit()];
    let (first, second) = (world.submit(), world.submit());
    world.sched.status = Some(json!({
        "all": {"version": 1, "execution": {"R_lite": [{"rank": "0", "children": {"core": "0-3"}}],
            "starttime": 0.0, "expiration": 0.0, "nodelist": ["host"]}},
        "down": null,
        "allocated": {"version": 1, "execution": {"R_lite": [{"rank": "0", "children": {"core": "0-3"}}],
            "starttime": 0.0, "expiration": 0.0, "nodelist": ["host"]}},
    }));
    let says = explain(&mut world, first);
    assert_eq!(says["text"], "waits for resources: it needs 1 core, and 0 are free");
    assert_eq!(says["resources"], json!({"needed": {"cores": 1, "gpus": 0}, "free": {"cores": 0, "gpus": 0}}));
    let want = format!("waits for resources: it needs 1 core, and 0 are free; behind 1 job ({first})");
    assert_eq!(text(&mut world, second), want);
    let estimate = json!({"id": second.0, "type": 1, "annotations": {"sched": {"t_estimate": 1_700_000_060.0}}});
    world.sched_says(second, estimate);
    assert_eq!(text(&mut world, second), format!("{want}; expected to start in 1m"));
    world.sched_down();
    assert_eq!(text(&mut world, second), "waits for a scheduler: none is loaded or ready");
    world.cancel(first);
    assert_eq!(text(&mut world, first), "was canceled");
    assert_eq!(text(&mut world, running[0]), "is running");
}

#[test]
fn in_private_mode_others_jobs_are_unknown() {
    let mut world = World::with_config(json!({"access": {"private-mode": true}}));
    let id = world.submit();
    let body = json!({"ids": [id.0]});
    let answer = world.rpc_as("job-manager.explain", body, guest(OWNER + 1)).unwrap();
    assert_eq!(answer, json!({"jobs": [{"id": id.0, "errno": 2, "text": "unknown job id"}]}));
    assert!(world.rpc_as("job-manager.getinfo", json!({}), guest(OWNER + 1)).is_err());
}

#[test]
fn a_node_is_free_for_a_job_only_with_all_its_slots() {
    let set = |cores: &str| {
        json!({"version": 1, "execution": {"R_lite": [{"rank": "0-1", "children": {"core": cores}}],
            "starttime": 0.0, "expiration": 0.0, "nodelist": ["host[0-1]"]}})
    };
    let status = json!({"all": set("0-1"), "down": null, "allocated": set("1")});
    let room = super::need::Room::read(&status).unwrap();
    for (nodes, slots, want) in [
        (1, 2, "it needs 1 node, and 0 are free for it"),
        (1, 1, "it needs 1 node, and 2 are free for it"),
        (2, 1, "it needs 2 nodes, and 2 are free for it"),
    ] {
        let mut spec = jobspec();
        let slot = json!({"type": "slot", "count": slots, "label": "task", "with": [{"type": "core", "count": 1}]});
        spec["resources"] = json!([{"type": "node", "count": nodes, "with": [slot]}]);
        let found = super::need::Need::of(&spec).unwrap().compare(&room);
        assert_eq!(
            (found.text.as_str(), found.enough),
            (want, !want.contains("and 0")),
            "{nodes} nodes, {slots} slots"
        );
    }
}
