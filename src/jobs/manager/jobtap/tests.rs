//! Lua plugins in virtual time.

use flux_types::JobId;
use flux_wire::Errno;
use serde_json::{Value, json};

use super::glob;
use crate::harness::{World, guest, jobspec, jobspec_with};

fn load(world: &mut World, text: &str) -> Result<Value, (Errno, String)> {
    world.files.insert("/p/x.lua".to_owned(), text.to_owned());
    world.rpc("job-manager.jobtap", json!({"load": "/p/x.lua", "conf": {"limit": 2}}))
}

fn priority(world: &World, id: JobId) -> Vec<i64> {
    let log = world.eventlog(id);
    log.iter()
        .filter(|entry| entry.name == "priority")
        .map(|entry| entry.get("priority").unwrap().as_i64().unwrap())
        .collect()
}

#[test]
fn a_plugin_gives_priorities_and_changes_them() {
    let mut world = World::new();
    world.sched.hold = true;
    let text = r#"
        local boost = 0
        return {
            ["job.state.priority"] = function(job) return { priority = 1000 + job.urgency + boost } end,
            ["job.priority.get"] = function(job) return { priority = 1000 + job.urgency + boost } end,
            ["conf.update"] = function(args)
                boost = args.conf.boost or 0
                flux.reprioritize_all{}
            end,
            ["plugin.query"] = function() return { limit = flux.conf.limit, list = {1, 2} } end,
        }"#;
    load(&mut world, text).unwrap();
    let id = world.submit();
    let held = world.submit_with(&jobspec(), 0, 0).unwrap();
    assert_eq!((priority(&world, id), priority(&world, held)), (vec![1016], vec![0]));
    world.configure(json!({"boost": 5}));
    assert_eq!((priority(&world, id), priority(&world, held)), (vec![1016, 1021], vec![0]));
    assert_eq!(world.sched.prioritized, json!({"jobs": [[id.0, 1021]]}));
    let names = world.rpc("job-manager.jobtap", json!({"query_only": true})).unwrap();
    assert!(names["plugins"].as_array().unwrap().contains(&json!("x.lua")));
    let query = world.rpc("job-manager.jobtap-query", json!({"name": "x.lua"})).unwrap();
    assert_eq!(query, json!({"name": "x.lua", "path": "/p/x.lua", "limit": 2, "list": [1, 2]}));
    assert_eq!(load(&mut world, "return {}"), Err((Errno::EEXIST, "x.lua already loaded".into())));
    world.rpc("job-manager.jobtap", json!({"remove": "x.*"})).unwrap();
    let gone = world.rpc("job-manager.jobtap", json!({"remove": "x.lua"}));
    assert_eq!(gone, Err((Errno::ENOENT, "Failed to find plugin to remove".into())));
}

#[test]
fn a_plugin_refuses_jobs_and_knows_dependencies() {
    let mut world = World::new();
    let text = r#"
        return {
            ["job.validate"] = function(job)
                if job.jobspec.attributes.system.bad then return nil, "bad jobs are not wanted" end
            end,
            ["job.dependency.moon"] = function(job)
                flux.dependency_add{ description = "moon=" .. job.dependency.value }
                flux.subscribe{}
            end,
            ["job.event.memo"] = function(job)
                flux.dependency_remove{ description = "moon=full" }
                return { annotations = { moon = "rose" } }
            end,
            ["job.state.run"] = function(job) flux.prolog_start{ description = "mine" } end,
            ["job.update.attributes.system.bank"] = function(job, topic)
                if job.updates["attributes.system.bank"] == "none" then return nil, topic .. ": no" end
                return { validated = true }
            end,
        }"#;
    load(&mut world, text).unwrap();
    let refused = world.submit_with(&jobspec_with("bad", json!(true)), 16, 0);
    assert_eq!(refused, Err((Errno::EINVAL, "bad jobs are not wanted".into())));
    let dependent = jobspec_with("dependencies", json!([{"scheme": "moon", "value": "full"}]));
    let id = world.submit_with(&dependent, 16, 0).unwrap();
    assert_eq!(world.events(id), "submit dependency-add validate");
    let update = |bank: &str| json!({"id": id.0, "updates": {"attributes.system.bank": bank}});
    let refused = world.rpc("job-manager.update", update("none"));
    assert_eq!(refused, Err((Errno::EINVAL, "job.update.attributes.system.bank: no".into())));
    world.rpc("job-manager.update", update("b")).unwrap();
    world.rpc("job-manager.memo", json!({"id": id.0, "memo": {"x": 1}})).unwrap();
    let want =
        "submit dependency-add validate jobspec-update memo dependency-remove depend priority alloc prolog-start";
    assert_eq!(world.events(id), want);
    assert!(world.exec.shells.is_empty(), "the prolog of the plugin holds it back");
}

#[test]
fn a_plugin_that_is_configured_is_there_before_the_jobs_of_an_earlier_life() {
    let mut world = World::with_config(json!({"job-manager": {"plugins": [{"load": "/p/x.lua"}]}}));
    assert!(world.log.iter().any(|line| line.contains("/p/x.lua: No such plugin found")), "{:?}", world.log);
    let id = world.submit();
    let text = r#"return { ["job.new"] = function(job) flux.post_event{ name = "seen", context = { state = job.state } } end }"#;
    world.files.insert("/p/x.lua".to_owned(), text.to_owned());
    world.crash();
    assert!(world.events(id).ends_with("start seen"), "{}", world.events(id));
}

#[test]
fn bad_plugins_are_refused_and_bad_handlers_are_ended() {
    let mut world = World::new();
    let rows = [
        ("return 1", "x.lua returns no table of handlers"),
        ("return { 1 }", "x.lua returns something other than functions by topic"),
        ("x = = 1", "syntax error"),
        ("return os.exit", "attempt to index a nil value"),
        ("io.open('/etc/passwd')", "attempt to index a nil value"),
        ("while true do end", "takes too long"),
        ("local t = {} while true do t[#t + 1] = string.rep('x', 1000000) .. #t end", "not enough memory"),
        (r#"return { ["conf.update"] = function() return false, "not this" end }"#, "not this"),
    ];
    for (text, want) in rows {
        let (_, why) = load(&mut world, text).expect_err(text);
        assert!(why.contains(want), "{text}: {why}");
    }
    let loops = r#"return { ["job.state.depend"] = function() while true do end end }"#;
    load(&mut world, loops).unwrap();
    let id = world.submit();
    assert!(world.events(id).ends_with("start"), "the job goes on without it");
    assert!(world.log.iter().any(|line| line.contains("takes too long")), "{:?}", world.log);
    let binary = world.rpc("job-manager.jobtap", json!({"load": "/p/x.so"}));
    assert_eq!(binary.unwrap_err().0, Errno::ENOSYS);
}

#[test]
fn a_job_may_bring_its_resources_along_when_that_is_allowed() {
    let mut world = World::new();
    let bring = jobspec_with("alloc-bypass", json!({"R": World::resources(JobId(5))}));
    let plain = world.submit_with(&bring, 16, 0).unwrap();
    assert!(!world.events(plain).contains("set-flags"), "nobody allowed it");
    world.rpc("job-manager.jobtap", json!({"load": "alloc-bypass.so"})).unwrap();
    let id = world.submit_with(&bring, 16, 0).unwrap();
    assert_eq!(world.events(id), "submit set-flags validate depend priority alloc start");
    assert!(!world.sched.allocated.contains(&id));
    assert!(world.key(id, "R").is_some());
    world.crash();
    world.sched_up();
    world.exec_up();
    assert!(!world.sched.allocated.contains(&id), "the scheduler hears nothing of it");
    world.finish(id, 0);
    assert!(world.events(id).ends_with("finish release free clean"));
    assert_eq!(world.sched.freed, []);
    let body = World::submit_body(&bring, 16, 0);
    assert!(world.rpc_as("job-ingest.submit", body, guest(1)).is_err());
}

#[test]
fn moving_to_another_queue_asks_whether_the_job_can_run_there() {
    let queues = json!({"a": {"requires": ["pa"]}, "b": {"requires": ["pb"]}});
    let mut world = World::with_config(json!({"queues": queues}));
    let id = world.submit_with(&jobspec_with("queue", json!("a")), 16, 0).unwrap();
    let update = json!({"id": id.0, "updates": {"attributes.system.queue": "b"}});
    world.sched.deny = Some("unsatisfiable");
    assert_eq!(world.rpc("job-manager.update", update.clone()), Err((Errno::EINVAL, "unsatisfiable".into())));
    world.sched.deny = None;
    world.rpc("job-manager.update", update).unwrap();
    let log = world.eventlog(id);
    let event = log.iter().find(|entry| entry.name == "jobspec-update").unwrap();
    let want = json!({"attributes.system.queue": "b", "attributes.system.constraints": {"properties": ["pb"]}});
    assert_eq!(json!(event.context), want);
}

#[test]
fn patterns_match_as_globs_do() {
    let rows = [
        ("*", "x", true),
        ("a*c", "abc", true),
        ("a?c", "abc", true),
        ("a*", "b", false),
        ("job.state.*", "job.state.run", true),
    ];
    for (pattern, text, want) in rows {
        assert_eq!(glob(pattern, text), want, "{pattern} {text}");
    }
}

#[test]
fn a_plugin_has_timers_and_services_and_looks_at_other_jobs() {
    let mut world = World::new();
    world.sched.hold = true;
    let text = r#"
        local rings, forgotten = 0, {}
        return {
            ["conf.update"] = function() flux.timer{ name = "tick", seconds = 2 } end,
            ["timer.tick"] = function(args)
                rings = rings + 1
                if rings < 3 then flux.timer{ name = args.name, seconds = 2 } end
                for _, id in ipairs(flux.jobs()) do
                    if flux.job(id).urgency == 31 then flux.raise{ id = id, type = "cancel", note = "too urgent" } end
                end
            end,
            ["service.count"] = function(request)
                if request.payload.fail then return nil, "asked to fail" end
                local job = flux.job(request.payload.id)
                return { rings = rings, state = job ~= flux.null and job.state or 0, result = job ~= flux.null and job.result or "-" }
            end,
            ["job.inactive-remove"] = function(job) flux.log("forgets " .. job.result) end,
        }"#;
    load(&mut world, text).unwrap();
    let id = world.submit();
    let urgent = world.submit_with(&jobspec(), 31, 0).unwrap();
    let count = |world: &mut World, id: JobId| world.rpc("job-manager.x.count", json!({"id": id.0}));
    assert_eq!(count(&mut world, id), Ok(json!({"rings": 0, "state": 8, "result": "-"})));
    for _ in 0..10 {
        world.advance(std::time::Duration::from_secs(1));
    }
    assert_eq!(count(&mut world, id), Ok(json!({"rings": 3, "state": 8, "result": "-"})));
    assert_eq!(count(&mut world, urgent), Ok(json!({"rings": 3, "state": 64, "result": "CANCELED"})));
    assert_eq!(count(&mut world, JobId(5)), Ok(json!({"rings": 3, "state": 0, "result": "-"})));
    let fails = world.rpc("job-manager.x.count", json!({"fail": true}));
    assert_eq!(fails, Err((Errno::EINVAL, "asked to fail".into())));
    assert_eq!(world.rpc("job-manager.x.nothing", json!({})).unwrap_err().0, Errno::ENOSYS);
    assert_eq!(world.rpc("job-manager.y.count", json!({})).unwrap_err().0, Errno::ENOSYS);
}
