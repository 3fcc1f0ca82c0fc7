//! Goal: whatever happens, the store holds what a plain map of keys would hold after the acknowledged commits.
//! Method: random commits, crashes, full disks, slow disks and checkpoints by seed; compare every key, at every step in
//! memory and after every crash.

use std::collections::BTreeMap;

use flux_service::Rng;
use flux_wire::Errno;
use serde_json::{Value, json};

use crate::testing::*;

/// Keys and texts; a directory is not in it, only what is below. Nothing is shared with the tree's code.
type Model = BTreeMap<String, String>;

const KEYS: [&str; 9] = ["a", "b", "d.a", "d.b", "d.e.a", "d.e.b", "f", "f.a", "job.0.log"];

fn below<'m>(model: &'m Model, key: &'m str) -> impl Iterator<Item = String> + 'm {
    let prefix = format!("{key}.");
    model.keys().filter(move |other| **other == *key || other.starts_with(&prefix)).cloned()
}

fn set(model: &mut Model, key: &str, text: String) {
    let gone: Vec<String> = below(model, key).collect();
    gone.iter().for_each(|key| drop(model.remove(key)));
    // A value in the middle of the path becomes a directory.
    for (at, _) in key.match_indices('.') {
        model.remove(&key[..at]);
    }
    model.insert(key.to_owned(), text);
}

/// A random operation, applied to the model: `None` if the model says that the store will refuse it.
fn step(rng: &mut Rng, model: &mut Model, dirs: &mut Vec<String>, serial: u64) -> (Value, bool) {
    let key = KEYS[rng.below(KEYS.len() as u64) as usize];
    let text = match rng.below(4) {
        0 => format!("{serial} is a longer text, so long that it is a blob of its own in the store"),
        1 => String::new(),
        _ => serial.to_string(),
    };
    match rng.below(6) {
        0 => {
            let gone: Vec<String> = below(model, key).collect();
            gone.iter().for_each(|key| drop(model.remove(key)));
            dirs.retain(|dir| dir != key && !dir.starts_with(&format!("{key}.")));
            (unlink(key), true)
        }
        1 | 2 => {
            set(model, key, text.clone());
            note_dirs(dirs, key);
            (put(key, &text), true)
        }
        _ if dirs.iter().any(|dir| dir == key) => (append(key, &text), false),
        _ => {
            let old = model.get(key).cloned().unwrap_or_default();
            set(model, key, old + &text);
            note_dirs(dirs, key);
            (append(key, &text), true)
        }
    }
}

fn note_dirs(dirs: &mut Vec<String>, key: &str) {
    dirs.retain(|dir| dir != key && !dir.starts_with(&format!("{key}.")));
    for (at, _) in key.match_indices('.') {
        if !dirs.iter().any(|dir| *dir == key[..at]) {
            dirs.push(key[..at].to_owned());
        }
    }
}

fn compare(h: &mut Harness, model: &Model, seed: u64, what: &str) {
    for key in KEYS {
        let got = h.get(key).ok();
        assert_eq!(got.as_ref(), model.get(key), "seed {seed}, {what}: {key}");
    }
}

fn run(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut h = Harness::new();
    let (mut model, mut dirs) = (Model::new(), Vec::new());
    for serial in 0..120 {
        let (before, dirs_before) = (model.clone(), dirs.clone());
        let steps = 1 + rng.below(3);
        let ops: Vec<(Value, bool)> = (0..steps).map(|_| step(&mut rng, &mut model, &mut dirs, serial)).collect();
        let sound = ops.iter().all(|(_, sound)| *sound);
        let ops: Vec<Value> = ops.into_iter().map(|(op, _)| op).collect();
        let full = rng.below(8) == 0;
        h.append_errno = full.then_some(Errno::ENOSPC);
        h.put_errno = (rng.below(8) == 0).then_some(Errno::EIO);
        let answer = h.commit(&ops);
        assert_eq!(answer.is_ok(), sound && !full, "seed {seed}, step {serial}: {answer:?} to {ops:?}");
        if answer.is_err() {
            (model, dirs) = (before, dirs_before);
        }
        h.append_errno = None;
        match rng.below(12) {
            0 => h = h.crash(),
            1 => h.sleep(std::time::Duration::from_secs(rng.below(90))),
            2 => drop(h.rpc("content.dropcache", json!({}))),
            3 => drop(h.rootref()),
            4 => {
                h.put_errno = None;
                h = Harness::on(h.finish());
            }
            _ => {}
        }
        compare(&mut h, &model, seed, "after a step");
    }
    h.put_errno = None;
    let mut h = h.crash();
    compare(&mut h, &model, seed, "after the last crash");
    let mut h = Harness::on(h.finish());
    compare(&mut h, &model, seed, "after a clean stop");
    h.finish();
}

#[test]
fn the_store_holds_what_was_acknowledged() {
    for seed in 1..16 {
        run(seed);
    }
}

/// Several commits are on their way when the log fails or the power goes: each acknowledged one is there, no refused
/// one is, and those without an answer are there in part of their order.
#[test]
fn commits_in_flight_are_kept_in_order_or_not_at_all() {
    for seed in 1..100 {
        let mut rng = Rng::new(seed);
        let mut h = Harness::new();
        h.slow = true;
        let mut acknowledged = Vec::new();
        for serial in 0..20 {
            let body = json!({"namespace": "primary", "flags": 0, "ops": [append("log", &format!("{serial},"))]});
            let tag = h.send("kvs.commit", body);
            acknowledged.push((serial, tag, None));
            h.append_errno = (rng.below(4) == 0).then_some(Errno::ENOSPC);
            for _ in 0..rng.below(3) {
                h.work_one();
            }
            for (_, tag, outcome) in &mut acknowledged {
                if let Some(answer) = h.answers(*tag).pop() {
                    *outcome = Some(answer.is_ok());
                }
            }
        }
        let mut h = h.crash();
        let text = h.get("log").unwrap_or_default();
        let there: Vec<u64> = text.split_terminator(',').map(|n| n.parse().expect("numbers")).collect();
        assert!(there.is_sorted(), "seed {seed}: {there:?}");
        for (serial, _, outcome) in acknowledged {
            match outcome {
                Some(outcome) => assert_eq!(there.contains(&serial), outcome, "seed {seed}: {serial} in {there:?}"),
                None => assert!(!there.contains(&serial), "seed {seed}: what the disk never got is gone: {serial}"),
            }
        }
        h.finish();
    }
}

/// Where the store may be after a crash: after any commit from the last acknowledged one on.
struct History {
    states: Vec<Model>,
    acknowledged: usize,
}

/// Goal: with a disk that lags behind by any amount, every commit takes effect in its order, and a crash loses only commits
/// that were not acknowledged, the last ones, each as a whole.
/// Method: commits to a directory and to an alias of it, in turn, while store operations complete at random.
fn run_slowly(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut h = Harness::new();
    h.rpc("kvs.namespace-create", json!({"namespace": "alias", "owner": -1, "flags": 0, "alias": "job.0"})).unwrap();
    let (mut model, mut dirs) = (Model::new(), Vec::new());
    let mut history = History { states: vec![model.clone()], acknowledged: 0 };
    let mut waiting: Vec<(u32, usize)> = Vec::new();
    h.slow = true;
    for serial in 0..150 {
        let (before, dirs_before) = (model.clone(), dirs.clone());
        let in_alias = rng.below(3) == 0;
        let (ops, sound) = if in_alias {
            let text = format!("{serial} ");
            let old = model.get("job.0.log").cloned().unwrap_or_default();
            set(&mut model, "job.0.log", old + &text);
            note_dirs(&mut dirs, "job.0.log");
            (vec![append("log", &text)], true)
        } else {
            let steps: Vec<_> = (0..2).map(|_| step(&mut rng, &mut model, &mut dirs, serial)).collect();
            let sound = steps.iter().all(|(_, sound)| *sound);
            (steps.into_iter().map(|(op, _)| op).collect(), sound)
        };
        let flags = if !in_alias && rng.below(10) == 0 { 4 } else { 0 };
        let namespace = if in_alias { "alias" } else { "primary" };
        let tag = h.send("kvs.commit", json!({"namespace": namespace, "flags": flags, "ops": ops}));
        if sound {
            history.states.push(model.clone());
            waiting.push((tag, history.states.len() - 1));
        } else {
            (model, dirs) = (before, dirs_before);
        }
        for _ in 0..rng.below(5) {
            h.work_one();
        }
        let done = waiting.iter().filter(|(tag, _)| h.answers(*tag).iter().any(Result::is_ok));
        history.acknowledged = done.map(|(_, state)| *state).chain([history.acknowledged]).max().unwrap_or(0);
        match rng.below(30) {
            0 => {
                h.send("content.dropcache", json!({}));
            }
            1 => {
                h.work();
                h.slow = false;
                compare(&mut h, &model, seed, "at rest");
                h.slow = true;
            }
            2 => {
                h = h.crash();
                h.slow = false;
                let found: Model = KEYS.iter().filter_map(|key| Some((key.to_string(), h.get(key).ok()?))).collect();
                let possible = &history.states[history.acknowledged..];
                assert!(possible.contains(&found), "seed {seed}, step {serial}: {found:?} is none of {possible:?}");
                dirs = rebuild_dirs(&mut h);
                model = found.clone();
                history = History { states: vec![found], acknowledged: 0 };
                waiting.clear();
                h.slow = true;
            }
            _ => {}
        }
    }
    h.work();
    h.slow = false;
    compare(&mut h, &model, seed, "at the end");
    let mut h = Harness::on(h.finish());
    compare(&mut h, &model, seed, "after a clean stop");
    h.finish();
}

/// Which keys are directories, empty ones too: the model does not know after a crash.
fn rebuild_dirs(h: &mut Harness) -> Vec<String> {
    let candidates = ["a", "b", "d", "d.a", "d.b", "d.e", "d.e.a", "d.e.b", "f", "f.a", "job", "job.0", "job.0.log"];
    let is_dir = |key: &&str| h.get(key) == Err(Errno::EISDIR);
    candidates.into_iter().filter(is_dir).map(str::to_owned).collect()
}

#[test]
fn a_slow_disk_loses_only_what_was_not_acknowledged() {
    for seed in 1..16 {
        run_slowly(seed);
    }
}
