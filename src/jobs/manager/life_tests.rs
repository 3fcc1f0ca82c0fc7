//! Whole lives under misfortune, judged by a reading of RFC 21 that shares no code with the manager.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flux_service::Rng;
use flux_types::JobId;
use flux_types::eventlog::Entry;
use flux_wire::Errno;
use serde_json::{Value, json};

use crate::harness::{Commits, World, jobspec, jobspec_with};
use crate::state::JobFlags;

/// RFC 21, read independently: is this the eventlog of a job that is over?
fn judge(log: &[Entry]) -> Result<(), String> {
    let mut judge = Judge::default();
    let mut last = 0.0;
    for (place, entry) in log.iter().enumerate() {
        let because = |why: &str| Err(format!("event {place} ({}): {why}", entry.name));
        if entry.timestamp < last {
            return because("time runs backwards");
        }
        last = entry.timestamp;
        if let Err(why) = judge.see(place, entry) {
            return because(why);
        }
    }
    if judge.cleaned { Ok(()) } else { Err("the log does not end with clean".into()) }
}

#[derive(Default)]
struct Judge {
    valid: bool,
    open: BTreeSet<String>,
    depended: bool,
    /// The last priority still counts.
    prioritized: bool,
    allocated: bool,
    freed: bool,
    started: bool,
    ended: bool,
    finished: bool,
    released: bool,
    cleaned: bool,
}

impl Judge {
    fn see(&mut self, place: usize, entry: &Entry) -> Result<(), &'static str> {
        let has = |key: &str| entry.get(key).is_some();
        let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned).ok_or("a text is missing");
        let ensure = |good: bool, why: &'static str| if good { Ok(()) } else { Err(why) };
        ensure(!self.cleaned, "something comes after clean")?;
        ensure((place == 0) == (entry.name == "submit"), "submit comes first and once")?;
        match entry.name.as_str() {
            "submit" => ensure(["userid", "urgency", "flags", "version"].into_iter().all(has), "a key is missing"),
            "validate" => {
                ensure(!self.valid, "valid twice")?;
                self.valid = true;
                Ok(())
            }
            "dependency-add" => {
                ensure(!self.depended, "after depend")?;
                ensure(self.open.insert(text("description")?), "added twice")
            }
            "dependency-remove" => ensure(self.open.remove(&text("description")?), "was not there"),
            "depend" => {
                ensure(self.valid && self.open.is_empty() && !self.depended && !self.ended, "not ready")?;
                self.depended = true;
                Ok(())
            }
            "priority" => {
                let value = entry.get("priority").and_then(Value::as_u64).ok_or("no priority")?;
                ensure(value <= u64::from(u32::MAX) && self.depended && !self.allocated && !self.ended, "not now")?;
                self.prioritized = true;
                Ok(())
            }
            _ => self.see_running(entry),
        }
    }

    /// From the allocation on.
    fn see_running(&mut self, entry: &Entry) -> Result<(), &'static str> {
        let has = |key: &str| entry.get(key).is_some();
        let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned).ok_or("a text is missing");
        let ensure = |good: bool, why: &'static str| if good { Ok(()) } else { Err(why) };
        match entry.name.as_str() {
            "urgency" | "flux-restart" | "jobspec-update" => {
                self.prioritized = false;
                Ok(())
            }
            "alloc" => {
                ensure(self.prioritized && !self.allocated && !self.ended, "not waiting for resources")?;
                self.allocated = true;
                Ok(())
            }
            "start" => {
                ensure(self.allocated && !self.started && !self.released && !self.freed, "cannot start")?;
                self.started = true;
                Ok(())
            }
            "exception" => {
                let severity = entry.get("severity").and_then(Value::as_u64).ok_or("no severity")?;
                ensure(severity < 8 && has("note") && !text("type")?.is_empty() && self.valid, "malformed")?;
                self.ended |= severity == 0;
                Ok(())
            }
            "finish" => {
                ensure(self.allocated && !self.released && has("status"), "nothing runs")?;
                (self.ended, self.finished) = (true, true);
                Ok(())
            }
            "release" => {
                ensure(self.allocated && !self.freed && !self.released && has("ranks"), "nothing is held")?;
                self.released = entry.get("final") == Some(&json!(true));
                ensure(self.ended || !self.released, "released before the end")
            }
            "free" => {
                let idle = !self.started || self.released;
                ensure(self.allocated && self.ended && !self.freed && idle, "shells hold it")?;
                self.freed = true;
                Ok(())
            }
            "clean" => {
                ensure(self.ended && self.allocated == self.freed, "not cleaned up")?;
                self.cleaned = true;
                Ok(())
            }
            "resource-update" => ensure(self.allocated && has("expiration"), "there is no R"),
            other => ensure(other == "memo" || other.starts_with("debug."), "unknown"),
        }
    }
}

/// Everything works again, and every job that still runs ends well.
fn settle(world: &mut World) {
    world.kvs.mode = Commits::AtOnce;
    world.release_commits();
    (world.sched.hold, world.sched.deny, world.exec.hold) = (false, None, false);
    world.schedule();
    world.run();
    for _ in 0..50 {
        world.advance(Duration::from_secs(2));
        let silent: Vec<JobId> =
            world.exec.requests.keys().copied().filter(|id| !world.exec.shells.contains(id)).collect();
        silent.into_iter().for_each(|id| world.start(id));
        world.run();
        let running: Vec<JobId> = world.exec.shells.iter().copied().collect();
        running.iter().for_each(|id| world.finish(*id, 0));
    }
}

fn check_end(world: &mut World, ids: &BTreeSet<JobId>, total: usize, what: &str) {
    for id in ids {
        let log = world.eventlog(*id);
        let names: Vec<&str> = log.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(judge(&log), Ok(()), "{what}: {id}: {}", names.join(" "));
        assert!(world.exec.starts.get(id).copied().unwrap_or(0) <= 1, "{what}: {id} was started again");
    }
    let stats = world.manager().stats();
    assert_eq!((&stats["active_jobs"], world.sched.free), (&json!(0), total), "{what}: {stats}");
    assert!(stats["inactive_jobs"].as_u64().unwrap() >= ids.len() as u64, "{what}: {stats}");
}

/// Ids that a client was told.
fn take_ids(world: &mut World, tags: &mut Vec<u32>, ids: &mut BTreeSet<JobId>) {
    tags.retain(|tag| match world.answer(*tag) {
        None => true,
        Some(answer) => {
            ids.extend(answer.ok().map(|body| JobId(body["id"].as_u64().expect("an id"))));
            false
        }
    });
}

/// Goal: wherever the broker dies, a job whose id was told is there, runs once, and ends well.
/// Method: let it die after every single step of a life, start it again, and let the rest happen.
#[test]
fn a_broker_that_dies_at_any_step_loses_no_job_and_starts_none_twice() {
    let mut lives = 0;
    for fuse in 0.. {
        let mut world = World::new();
        world.fuse = Some(fuse);
        let mut tags = vec![world.ask("job-ingest.submit", World::submit_body(&jobspec(), 16, 0))];
        world.run();
        if let (Some(id), false) = (world.exec.shells.first().copied(), world.dead) {
            world.finish(id, 0);
        }
        let died = world.dead;
        let mut ids = BTreeSet::new();
        take_ids(&mut world, &mut tags, &mut ids);
        world.crash();
        world.sched_up();
        world.exec_up();
        settle(&mut world);
        let id = ids.first().copied();
        check_end(&mut world, &ids, 2, &format!("fuse {fuse}"));
        if let Some(id) = id {
            let log = world.eventlog(id);
            let finish = log.iter().find(|entry| entry.name == "finish").expect("it ran");
            assert_eq!(finish.get("status"), Some(&json!(0)), "fuse {fuse}");
            assert!(log.iter().all(|entry| entry.name != "exception"), "fuse {fuse}");
            lives += 1;
        }
        if !died {
            break;
        }
    }
    assert!(lives > 10, "most deaths come after the id was told");
}

/// As above, for a job that is cancelled while it runs.
#[test]
fn a_broker_that_dies_during_a_cancel_still_ends_the_job() {
    for fuse in 0.. {
        let mut world = World::new();
        let id = world.submit();
        world.fuse = Some(fuse);
        let tag = world.ask("job-manager.raise", json!({"id": id.0, "severity": 0, "type": "cancel"}));
        world.run();
        let (died, acknowledged) = (world.dead, world.answer(tag).is_some());
        world.crash();
        world.sched_up();
        world.exec_up();
        let cancelled = world.events(id).contains("exception");
        assert!(!cancelled || !world.exec.shells.contains(&id), "fuse {fuse}: the shell was told again");
        settle(&mut world);
        check_end(&mut world, &BTreeSet::from([id]), 2, &format!("fuse {fuse} {acknowledged}"));
        if !died {
            assert!(cancelled);
            break;
        }
    }
}

fn random_spec(rng: &mut Rng, known: &BTreeSet<JobId>, now: f64) -> Value {
    let target = known.iter().nth(rng.below(known.len().max(1) as u64) as usize);
    let scheme = ["afterany", "afterok", "afternotok", "afterstart", "afterexcept"][rng.below(5) as usize];
    match (rng.below(8), target) {
        (0 | 1, Some(id)) => jobspec_with("dependencies", json!([{"scheme": scheme, "value": id.to_string()}])),
        (2, _) => {
            let at = now + rng.below(4) as f64;
            jobspec_with("dependencies", json!([{"scheme": "begin-time", "value": at.to_string()}]))
        }
        (3, _) => {
            let mut spec = jobspec_with("dependencies", json!([{"scheme": "singleton", "value": ""}]));
            spec["attributes"]["system"]["job"] = json!({"name": "solo"});
            spec
        }
        _ => jobspec(),
    }
}

/// Something that a user asks for.
fn whim(rng: &mut Rng, id: JobId) -> (&'static str, Value) {
    match rng.below(8) {
        0 | 1 => ("job-manager.raise", json!({"id": id.0, "severity": 0, "type": "cancel"})),
        2 => ("job-manager.raise", json!({"id": id.0, "severity": 1 + rng.below(7), "type": "x"})),
        3 | 4 => ("job-manager.urgency", json!({"id": id.0, "urgency": rng.below(32)})),
        5 => ("job-manager.memo", json!({"id": id.0, "memo": {"n": rng.below(9)}})),
        6 => {
            let updates = json!({"attributes.system.duration": 3600.0 * 24.0 * 365.0});
            ("job-manager.update", json!({"id": id.0, "updates": updates}))
        }
        _ => ("job-manager.queue-start", json!({"start": rng.below(3) > 0, "all": false})),
    }
}

/// Something that happens.
fn misfortune(world: &mut World, rng: &mut Rng, ids: &BTreeSet<JobId>) {
    let any = ids.iter().nth(rng.below(ids.len().max(1) as u64) as usize).copied().unwrap_or(JobId(1));
    match rng.below(22) {
        0..7 => {
            let (topic, body) = whim(rng, any);
            world.ask(topic, body);
        }
        7 => world.sched.hold = rng.below(2) == 0,
        8 => world.sched.deny = (rng.below(8) == 0).then_some("no"),
        9 => world.exec.hold = rng.below(3) == 0,
        10 if world.kvs.mode == Commits::Held => world.release_commits(),
        10 => world.kvs.mode = [Commits::Held, Commits::AtOnce, Commits::Fail(Errno::ENOSPC)][rng.below(3) as usize],
        11 if world.kvs.mode != Commits::Held => {
            world.sched_down();
            world.sched_up();
        }
        12 => {
            world.exec_down();
            world.exec_up();
        }
        14 => world.fuse = Some(rng.below(40) as usize),
        15 => {
            if world.kvs.mode == Commits::Held {
                world.release_commits();
            }
        }
        16 | 17 => world.advance(Duration::from_millis(rng.below(3000))),
        _ => {
            let running: Vec<JobId> = world.exec.shells.iter().copied().collect();
            for id in running {
                if rng.below(2) == 0 {
                    world.finish(id, [0, 0, 256, 9][rng.below(4) as usize]);
                }
            }
        }
    }
    world.schedule();
    world.run();
}

/// Goal: after any sequence of requests, answers, losses and restarts, every job whose id was told has an eventlog that RFC 21
/// allows, ran at most once, and all resources are free.
/// Method: seeds; the judge above.
#[test]
fn random_lives_leave_eventlogs_that_rfc21_allows() {
    for seed in 1..=100u64 {
        let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut world = World::new();
        let (mut tags, mut ids) = (Vec::new(), BTreeSet::new());
        for _ in 0..60 {
            if rng.below(3) == 0 {
                let spec = random_spec(&mut rng, &ids, world.now.wall.timestamp());
                let flags = if rng.below(4) == 0 { JobFlags::DEBUG } else { 0 };
                tags.push(world.ask("job-ingest.submit", World::submit_body(&spec, rng.below(32) as i64, flags)));
            }
            misfortune(&mut world, &mut rng, &ids);
            take_ids(&mut world, &mut tags, &mut ids);
            if world.dead {
                tags.clear();
                world.crash();
                world.sched_up();
                world.exec_up();
            }
        }
        world.fuse = None;
        world.kvs.mode = Commits::AtOnce;
        world.release_commits();
        world.ask("job-manager.queue-start", json!({"start": true, "all": false}));
        world.run();
        take_ids(&mut world, &mut tags, &mut ids);
        let all = json!({"dry_run": false, "userid": -1, "states": 62, "severity": 0, "type": "cancel"});
        settle(&mut world);
        world.rpc("job-manager.raiseall", all).expect("whatever is held or can never run");
        settle(&mut world);
        check_end(&mut world, &ids, 2, &format!("seed {seed}"));
        check_listed(&mut world, &ids, &format!("seed {seed}"));
    }
}

/// All jobs are listed again after a restart, and after another one that reads what the first has written.
fn check_listed(world: &mut World, ids: &BTreeSet<JobId>, what: &str) {
    let list = |world: &mut World| {
        let body = json!({"max_entries": 0, "attrs": ["all"], "constraint": {}});
        let body = world.rpc("job-list.list", body).expect("a listing");
        let jobs = body["jobs"].as_array().expect("jobs").iter();
        let of = |job: &Value| {
            let mut job = job.clone();
            // Volatile memos are among them, which a restart forgets.
            job.as_object_mut().expect("a job").remove("annotations");
            (JobId(job["id"].as_u64().expect("id")), job.to_string())
        };
        jobs.map(of).collect::<BTreeMap<JobId, String>>()
    };
    let before = list(world);
    assert!(ids.iter().all(|id| before.contains_key(id)), "{what}: all jobs are listed");
    for _ in 0..2 {
        world.crash();
        world.sched_up();
        world.exec_up();
        world.run();
        for (now, then) in list(world).iter().zip(&before) {
            assert_eq!(now, then, "{what}: after a restart");
        }
        assert_eq!(list(world).len(), before.len(), "{what}: after a restart");
    }
    // Purged ones stay away.
    let ids: Vec<JobId> = before.keys().copied().collect();
    let (gone, kept) = ids.split_at(ids.len() / 2);
    for id in gone {
        world.rpc("job-manager.purge-id", json!({"id": id.0, "force": true})).expect("it is inactive");
    }
    for _ in 0..2 {
        world.crash();
        world.sched_up();
        world.exec_up();
        world.run();
        assert_eq!(list(world).into_keys().collect::<Vec<JobId>>(), kept, "{what}: after a purge");
    }
}
