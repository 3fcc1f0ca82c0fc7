//! The pipeline: what is built in, programs of the site, and the scheduler's word.

use flux_service::{ProcessEvent, ProcessOp, StdStream, Tag};
use flux_wire::Errno;
use serde_json::{Value, json};

use super::rules;
use crate::harness::{World, jobspec};

fn world(ingest: Value) -> World {
    World::with_config(json!({"ingest": ingest}))
}

/// The process that was started last, and the lines it was given.
fn program(world: &World) -> (Tag, Vec<Value>) {
    let started = |(_, tag, op): &(String, Tag, ProcessOp)| matches!(op, ProcessOp::Spawn(_)).then_some(*tag);
    let tag = world.processes.iter().rev().find_map(started).expect("it was started");
    let written = world.processes.iter().filter_map(|(_, _, op)| match op {
        ProcessOp::Write { of, bytes, .. } if *of == tag => Some(bytes.to_vec()),
        _ => None,
    });
    let text = String::from_utf8(written.flatten().collect()).expect("text");
    (tag, text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

fn answer(world: &mut World, text: &str) {
    let (tag, _) = program(world);
    let event = ProcessEvent::Output { stream: StdStream::Stdout, bytes: text.as_bytes().into(), eof: false };
    world.process_says("job-ingest", tag, event);
}

#[test]
fn a_program_gets_a_line_for_each_request_and_its_answers_go_back_in_order() {
    let mut world = world(json!({"validator": {"plugins": ["jobspec", "/site/check"], "args": ["-x"]}}));
    let ask = |world: &mut World| world.ask("job-ingest.submit", World::submit_body(&jobspec(), 16, 0));
    let tags = [ask(&mut world), ask(&mut world)];
    world.run();
    assert!(world.answer(tags[0]).is_none(), "it waits for the program");
    let (_, lines) = program(&world);
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["userid"], &lines[0]["urgency"], &lines[0]["flags"]), (&json!(1000), &json!(16), &json!(0)));
    assert_eq!(lines[0]["jobspec"]["version"], 1);
    answer(&mut world, "{\"errnum\":0}\n{\"errnum\":22,\"errs");
    assert!(world.answer(tags[0]).is_some_and(|answer| answer.is_ok()));
    answer(&mut world, "tr\":\"not today\"}\n");
    assert_eq!(world.answer(tags[1]), Some(Err((Errno::EINVAL, "not today".into()))));
    let starts = world.processes.iter().filter(|(_, _, op)| matches!(op, ProcessOp::Spawn(_))).count();
    assert_eq!(starts, 1, "one program serves all");
}

#[test]
fn a_program_may_change_requests() {
    let plugins = json!(["defaults", "constraints", "/site/frob"]);
    let mut world = world(json!({"frobnicator": {"plugins": plugins}}));
    let tag = world.ask("job-ingest.submit", World::submit_body(&jobspec(), 16, 0));
    world.run();
    let (_, lines) = program(&world);
    let mut changed = lines[0]["jobspec"].clone();
    changed["attributes"]["system"]["bank"] = json!("given");
    answer(&mut world, &format!("{}\n", json!({"errnum": 0, "data": changed})));
    let id = world.answer(tag).unwrap().unwrap()["id"].as_u64().unwrap();
    let stored: Value = serde_json::from_str(&world.key(flux_types::JobId(id), "jobspec").unwrap()).unwrap();
    assert_eq!(stored["attributes"]["system"]["bank"], "given");
}

#[test]
fn a_program_that_ends_fails_its_requests_and_is_started_again() {
    let mut world = world(json!({"validator": {"plugins": ["/site/check"]}}));
    let tag = world.ask("job-ingest.submit", World::submit_body(&jobspec(), 16, 0));
    world.run();
    let (process, _) = program(&world);
    world.process_says("job-ingest", process, ProcessEvent::Exited { status: 1 << 8 });
    let lost = Some(Err((Errno::EPROTO, "Unrecoverable error: worker unexpectedly exited".into())));
    assert_eq!(world.answer(tag), lost);
    let tag = world.ask("job-ingest.submit", World::submit_body(&jobspec(), 16, 0));
    world.run();
    assert_ne!(program(&world).0, process);
    world.configure_ingest(json!({}));
    answer(&mut world, "{\"errnum\":0}\n");
    assert!(world.answer(tag).is_some_and(|answer| answer.is_ok()), "what was under way is finished");
}

#[test]
fn the_scheduler_is_asked_whether_a_job_can_ever_run() {
    let mut world = world(json!({"validator": {"plugins": ["jobspec", "feasibility"]}}));
    world.sched.deny = Some("unsatisfiable");
    let refused = world.submit_with(&jobspec(), 16, 0);
    assert_eq!(refused, Err((Errno::EINVAL, "unsatisfiable".into())));
    world.sched.deny = None;
    assert!(world.submit_with(&jobspec(), 16, 0).is_ok());
}

#[test]
fn large_jobs_may_have_to_be_instances() {
    let table = json!({"plugins": ["require-instance"], "require-instance": {"mincores": 2}});
    let mut world = world(json!({"validator": table}));
    assert!(world.submit_with(&jobspec(), 16, 0).is_ok(), "it is small");
    let mut large = jobspec();
    large["resources"][0]["count"] = json!(2);
    let why = "Direct job submission disabled for jobs >= 2 cores. Please use flux-batch(1) or flux-alloc(1)";
    assert_eq!(world.submit_with(&large, 16, 0), Err((Errno::EINVAL, why.into())));
    large["tasks"][0]["command"] = json!(["/usr/bin/flux", "broker"]);
    assert!(world.submit_with(&large, 16, 0).is_ok());
}

#[test]
fn tables_that_make_no_sense_are_refused() {
    for ingest in [
        json!({"validator": []}),
        json!({"validator": {"plugins": ["nosuch"]}}),
        json!({"validator": {"plugins": "jobspec"}}),
        json!({"validator": {"args": ["--require-version=7"]}}),
        json!({"frobnicator": {"disable": "yes"}}),
        json!({"validator": {"plugins": ["require-instance"], "require-instance": {"minnodes": -1}}}),
    ] {
        assert!(rules::steps(&json!({"ingest": ingest})).is_err(), "{ingest}");
    }
    let none = rules::steps(&json!({"ingest": {"validator": {"disable": true}, "frobnicator": {"disable": true}}}));
    assert_eq!(none.unwrap(), [rules::Step::Access], "nobody leaves that out");
}
