//! Barriers of a job's shells when the leader is lost as it lets them go.

use super::*;

/// The ID of the job as a job of two nodes: this one's shell and one of rank 1, which is played.
fn of_two_nodes() -> World {
    let mut world = World::new(true);
    world.files.insert("/run/jobs/fNH.0.1000".into(), vec![b'\n']);
    world.locked = true;
    let mut world = world.restart();
    world.logs.insert("exec.eventlog".into(), line("starting"));
    let rank = |rank: &str| json!({"rank": rank, "children": {"core": "0"}});
    let execution =
        json!({"R_lite": [rank("0"), rank("1")], "nodelist": ["node[0-1]"], "starttime": 0, "expiration": 0});
    let body = json!({"id": ID, "userid": OWNER, "jobspec": {"attributes": {"system": {"duration": 0}}},
        "R": {"version": 1, "execution": execution}, "reattach": true});
    world.request("job-exec.start", Flags::STREAMING, body);
    world.hello();
    world
}

/// What the leader tells the shell of rank 1.
fn told_to_far(world: &World) -> Vec<Value> {
    let orders = world.far.iter().filter(|message| message.topic() == "job-exec.order");
    orders.filter_map(|message| message.payload.value().unwrap().get("command").cloned()).collect()
}

fn far_says(world: &mut World, body: Value) {
    let launch = world.far.iter().find(|message| message.topic() == "job-exec.launch").expect("it was launched");
    let reply = launch.response(body.into());
    let tag = Tag(launch.matchtag());
    world.with(|exec, cx| AnyService::on_reply(exec, cx, tag, &reply));
}

fn barrier(name: &str) -> Value {
    json!({"type": "barrier", "name": name})
}

fn finish_beyond(name: &str) -> Value {
    json!({"type": "finish", "status": 0, "passed": name})
}

#[test]
fn a_shell_that_ended_beyond_a_barrier_lets_the_others_go() {
    for waits_first in [true, false] {
        let mut world = of_two_nodes();
        far_says(&mut world, json!({"type": "started"}));
        let waits = json!({"type": "events", "events": [[1, barrier("start")]]});
        if waits_first {
            far_says(&mut world, waits.clone());
        }
        world.tell(1, &[finish_beyond("start")]);
        if !waits_first {
            far_says(&mut world, waits);
        }
        let released = json!({"type": "barrier", "name": "start", "data": {}});
        assert_eq!(told_to_far(&world).iter().filter(|command| **command == released).count(), 1, "{waits_first}");
        far_says(&mut world, json!({"type": "events", "events": [[2, finish_beyond("start")]]}));
        assert_eq!(world.said(), ["reattached", "finish", "release"]);
    }
}

#[test]
fn what_tasks_had_exchanged_cannot_be_made_up() {
    let mut world = of_two_nodes();
    far_says(&mut world, json!({"type": "started"}));
    far_says(&mut world, json!({"type": "events", "events": [[1, barrier("pmi-2")]]}));
    world.tell(1, &[finish_beyond("pmi-2")]);
    assert_eq!(world.said(), ["reattached", "exception"]);
    let note = world.manager[1].1["note"].as_str().unwrap();
    assert_eq!(note, "the data of barrier pmi-2 was lost as the leader of the job was restarted");
}

#[test]
fn an_earlier_barrier_is_no_matter() {
    let mut world = of_two_nodes();
    far_says(&mut world, json!({"type": "started"}));
    far_says(&mut world, json!({"type": "events", "events": [[1, barrier("start")]]}));
    world.tell(1, &[finish_beyond("init")]);
    let released = |command: &Value| command["type"] == "barrier";
    assert!(!told_to_far(&world).iter().any(released), "the first shell ended before it had started its tasks");
}

#[test]
fn a_shell_that_begins_again_waits_for_none_that_has_ended() {
    let mut world = of_two_nodes();
    far_says(&mut world, json!({"type": "started"}));
    far_says(&mut world, json!({"type": "events", "events": [[1, barrier("init")]]}));
    world.tell(1, &[finish_beyond("start")]);
    far_says(&mut world, json!({"type": "events", "events": [[2, barrier("start")]]}));
    let told = told_to_far(&world);
    let released: Vec<&Value> = told.iter().filter(|it| it["type"] == "barrier").map(|it| &it["name"]).collect();
    assert_eq!(released, ["init", "start"]);
}
