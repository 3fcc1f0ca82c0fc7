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
    for seed in 1..25 {
        run(seed);
    }
}

/// Several commits are on their way when the log fails or the power goes: each acknowledged one is there, no refused
/// one is, and those without an answer are there in part of their order.
#[test]
fn commits_in_flight_are_kept_in_order_or_not_at_all() {
    for seed in 1..200 {
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
