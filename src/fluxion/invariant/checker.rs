//! The oracle: it reads JGF, adds up who has what when, and shares nothing with the scheduler.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What one job has of one vertex.
struct Held {
    units: i64,
    is_exclusive: bool,
}

struct Job {
    start: i64,
    end: i64,
    /// It runs until it is cancelled, whatever was planned.
    is_running: bool,
    held: BTreeMap<String, Held>,
}

pub(super) struct Checker {
    /// Size and rank by id.
    vertices: BTreeMap<String, (i64, i32)>,
    jobs: BTreeMap<u64, Job>,
}

fn nodes(document: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let list = document["graph"]["nodes"].as_array().into_iter().flatten();
    list.map(|node| (node["id"].as_str().unwrap_or(""), &node["metadata"]))
}

impl Checker {
    pub(super) fn new(document: &str) -> Checker {
        let document: Value = serde_json::from_str(document).expect("JSON");
        let vertices = nodes(&document).map(|(id, meta)| {
            let rank = meta["rank"].as_i64().unwrap_or(-1) as i32;
            (id.to_string(), (meta["size"].as_i64().unwrap_or(1), rank))
        });
        Checker { vertices: vertices.collect(), jobs: BTreeMap::new() }
    }

    pub(super) fn take(&mut self, id: u64, r: &Value, start: i64, end: i64, is_running: bool) {
        let held = nodes(r).map(|(id, meta)| {
            let is_exclusive = meta["exclusive"].as_bool().unwrap_or(false);
            (id.to_string(), Held { units: meta["size"].as_i64().unwrap_or(1), is_exclusive })
        });
        self.jobs.insert(id, Job { start, end, is_running, held: held.collect() });
    }

    pub(super) fn set_end(&mut self, id: u64, end: i64) {
        self.jobs.get_mut(&id).expect("the job is known").end = end;
    }

    pub(super) fn release(&mut self, id: u64) {
        self.jobs.remove(&id);
    }

    /// Ranks on which a job has something exclusively.
    pub(super) fn ranks_of(&self, id: u64) -> BTreeSet<i32> {
        let held = self.jobs[&id].held.iter().filter(|(_, held)| held.is_exclusive);
        held.map(|(id, _)| self.vertices[id].1).filter(|rank| *rank >= 0).collect()
    }

    pub(super) fn release_rank(&mut self, id: u64, rank: i32) {
        let vertices = &self.vertices;
        if let Some(job) = self.jobs.get_mut(&id) {
            job.held.retain(|id, _| vertices[id].1 != rank);
            // What stays shared above is no claim on anything.
            job.held.retain(|_, held| held.is_exclusive);
        }
    }

    /// # Errors
    /// The first vertex that two jobs have at once.
    pub(super) fn check(&self) -> Result<(), String> {
        let jobs: Vec<(&u64, &Job)> = self.jobs.iter().collect();
        for (at, (one, a)) in jobs.iter().enumerate() {
            for (other, b) in &jobs[at + 1..] {
                // A reservation trusts the plan; of two that run, neither has ended before it is cancelled.
                let do_meet = a.is_running && b.is_running || (a.start < b.end && b.start < a.end);
                if do_meet && let Some(vertex) = self.in_common(a, b) {
                    return Err(format!("jobs {one} and {other} both have vertex {vertex}"));
                }
            }
        }
        Ok(())
    }

    fn in_common<'c>(&'c self, a: &'c Job, b: &'c Job) -> Option<&'c str> {
        let common = a.held.iter().filter_map(|(id, mine)| Some((id, mine, b.held.get(id)?)));
        common
            .filter(|(id, mine, theirs)| {
                let is_shared = !mine.is_exclusive && !theirs.is_exclusive;
                let is_split =
                    mine.is_exclusive && theirs.is_exclusive && self.vertices[*id].0 >= mine.units + theirs.units;
                !is_shared && !is_split
            })
            .map(|(id, ..)| id.as_str())
            .next()
    }
}
