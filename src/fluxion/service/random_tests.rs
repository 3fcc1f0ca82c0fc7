//! Goal: whatever happens to the modules, no core is in two jobs at once, and none is given out that is down.
//! Method: jobs of overlapping queues, each with a policy of its own; random submits, cancels, releases, losses of nodes and restarts, also while a turn of matching is under way in a thread; the oracle reads the answers and counts cores.

use super::tests::{Bench, jobspec, modules, r};
use crate::invariant::{Rng, SEED_COUNT};
use flux_service::{AnyService, Effect, Tag};
use flux_types::Idset;
use flux_wire::{Body, Message};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const STEP_COUNT: usize = 60;
const POLICIES: &[&str] = &["fcfs", "easy", "hybrid", "conservative"];
const MATCH_POLICIES: &[&str] = &["first", "lonode", "hinode", "low", "high", "firstnodex"];

/// Queues and the ranks that are theirs: two that share none, one that overlaps with both, and the one without a name.
const QUEUES: &[(&str, &str)] = &[("", "0-1"), ("left", "0"), ("right", "1"), ("all", "0-1")];

struct World {
    bench: Bench,
    next: u64,
    waiting: BTreeSet<u64>,
    /// The queue of every job, as a place in `QUEUES`.
    queues: BTreeMap<u64, usize>,
    /// R as it was given; ranks that were given back.
    running: BTreeMap<u64, (Value, BTreeSet<u32>)>,
    /// Who has a core of a rank.
    owners: BTreeMap<(u32, u32), u64>,
    down: BTreeSet<u32>,
}

fn cores_of(r: &Value) -> Vec<(u32, u32)> {
    let set = |value: &Value| Idset::parse(value.as_str().unwrap_or("")).expect("an idset");
    let entries = r["execution"]["R_lite"].as_array().expect("R has ranks");
    let of = |entry: &Value| {
        let cores: Vec<u32> = set(&entry["children"]["core"]).iter().collect();
        set(&entry["rank"]).iter().flat_map(|rank| cores.iter().map(move |core| (rank, *core))).collect::<Vec<_>>()
    };
    entries.iter().flat_map(of).collect()
}

impl World {
    fn new(rng: &mut Rng) -> World {
        let mut policy = || json!({"queue-policy": rng.pick(POLICIES)});
        let queues = json!({"left": policy(), "right": policy(), "all": policy()});
        let config = json!({"queues": {"left": {}, "right": {}, "all": {}},
            "sched-fluxion-qmanager": {"queue-policy": rng.pick(POLICIES), "queues": queues,
                "match-in-loop-vertices": rng.pick(&[0, 5_000])},
            "sched-fluxion-resource": {"match-policy": rng.pick(MATCH_POLICIES)}});
        let (bench, _) = Bench::new(config, &[]);
        let (waiting, queues, running, owners, down) = Default::default();
        World { bench, next: 1, waiting, queues, running, owners, down }
    }

    fn step(&mut self, rng: &mut Rng) {
        // While a turn is under way in the thread, other things happen.
        if !self.bench.errands.is_empty() && rng.below(2) == 0 {
            let effects = self.bench.compute();
            return self.absorb(effects);
        }
        let effects = match rng.below(100) {
            0..40 => self.submit(rng),
            40..60 => self.free(rng),
            60..68 => self.free_a_rank(rng),
            68..76 => self.cancel(rng),
            76..80 => self.prioritize(rng),
            80..90 => self.toggle(rng),
            90..96 => {
                self.bench.seconds += rng.below(40);
                Vec::new()
            }
            _ => self.restart(),
        };
        self.absorb(effects);
    }

    /// Reads answers about jobs.
    fn absorb(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            let Effect::Send(Message { body: Body::Response { errnum, .. }, payload, .. }) = effect else { continue };
            let Some(body) = payload.value().ok().filter(|_| errnum == 0) else { continue };
            let (Some(id), Some(kind)) = (body["id"].as_u64(), body["type"].as_u64()) else { continue };
            match kind {
                0 => self.granted(id, &body["R"]),
                1 => assert!(self.waiting.contains(&id), "job {id} waits"),
                _ => assert!(self.waiting.remove(&id), "job {id} waited"),
            }
        }
    }

    fn granted(&mut self, id: u64, r: &Value) {
        assert!(self.waiting.remove(&id), "job {id} waited");
        let ranks = Idset::parse(QUEUES[self.queues[&id]].1).expect("an idset");
        for core in cores_of(r) {
            assert!(ranks.contains(core.0), "job {id}: rank {} is not its queue's", core.0);
            assert!(!self.down.contains(&core.0), "job {id}: rank {} is down", core.0);
            let other = self.owners.insert(core, id);
            assert_eq!(other, None, "job {id}: core {core:?} is taken");
        }
        self.running.insert(id, (r.clone(), BTreeSet::new()));
    }

    fn submit(&mut self, rng: &mut Rng) -> Vec<Effect> {
        let id = self.next;
        self.next += 1;
        self.waiting.insert(id);
        let mut jobspec = jobspec(1 + rng.below(9) as u32);
        let system = &mut jobspec["attributes"]["system"];
        system["duration"] = rng.pick(&[0, 5, 30, 100]).into();
        let queue = rng.below(QUEUES.len() as u64) as usize;
        self.queues.insert(id, queue);
        if let (name @ ("left" | "right" | "all"), ranks) = QUEUES[queue] {
            system["queue"] = name.into();
            system["constraints"] = json!({"ranks": [ranks]});
        }
        self.bench.ask("sched.alloc", json!({"id": id, "priority": 1 + rng.below(31), "jobspec": jobspec}))
    }

    fn a_running_job(&self, rng: &mut Rng) -> Option<u64> {
        let ids: Vec<u64> = self.running.keys().copied().collect();
        (!ids.is_empty()).then(|| rng.pick(&ids))
    }

    fn free(&mut self, rng: &mut Rng) -> Vec<Effect> {
        let Some(id) = self.a_running_job(rng) else { return Vec::new() };
        let (r, _) = self.running.remove(&id).expect("it runs");
        self.owners.retain(|_, owner| *owner != id);
        self.bench.ask("sched.free", json!({"id": id, "R": r, "final": true}))
    }

    fn free_a_rank(&mut self, rng: &mut Rng) -> Vec<Effect> {
        let Some(id) = self.a_running_job(rng) else { return Vec::new() };
        let (whole, freed) = self.running.get_mut(&id).expect("it runs");
        let ranks: BTreeSet<u32> = cores_of(whole).into_iter().map(|(rank, _)| rank).collect();
        let left: Vec<u32> = ranks.difference(freed).copied().collect();
        if left.len() < 2 {
            return Vec::new(); // The last part goes with `final`.
        }
        let rank = rng.pick(&left);
        freed.insert(rank);
        self.owners.retain(|(of, _), owner| *owner != id || *of != rank);
        let body = json!({"id": id, "R": r(&rank.to_string(), &format!("n{rank}"))});
        self.bench.ask("sched.free", body)
    }

    fn cancel(&mut self, rng: &mut Rng) -> Vec<Effect> {
        let ids: Vec<u64> = self.waiting.iter().copied().collect();
        if ids.is_empty() { Vec::new() } else { self.bench.ask("sched.cancel", json!({"id": rng.pick(&ids)})) }
    }

    fn prioritize(&mut self, rng: &mut Rng) -> Vec<Effect> {
        let jobs: Vec<(u64, u64)> = self.waiting.iter().map(|id| (*id, 1 + rng.below(31))).collect();
        self.bench.ask("sched.prioritize", json!({"jobs": jobs}))
    }

    fn toggle(&mut self, rng: &mut Rng) -> Vec<Effect> {
        let rank = rng.below(2) as u32;
        let body = match self.down.remove(&rank) {
            true => json!({"up": rank.to_string()}),
            false => {
                self.down.insert(rank);
                json!({"down": rank.to_string()})
            }
        };
        let (tag, reply) = (Tag(self.bench.acquire.matchtag()), self.bench.acquire.response(body.into()));
        self.bench.on_graph(|graph, cx| AnyService::on_reply(graph, cx, tag, &reply))
    }

    /// Both modules go and come back; the job manager asks again for what waits.
    fn restart(&mut self) -> Vec<Effect> {
        // Jobs that a turn under way has started do start.
        let effects = self.bench.on_sched(|sched, cx| sched.stop(cx));
        self.absorb(effects);
        self.bench.on_graph(|graph, cx| graph.stop(cx));
        self.bench.errands.clear();
        (self.bench.graph, self.bench.sched) = modules();
        self.waiting.clear();
        self.down.clear();
        let left = self.running.iter().filter(|(_, (_, freed))| freed.is_empty());
        let running: Vec<(u64, Value)> = left.map(|(id, (r, _))| (*id, r.clone())).collect();
        if running.len() < self.running.len() {
            // The bench plays no partial R: such jobs end here.
            self.running.retain(|_, (_, freed)| freed.is_empty());
            self.owners.retain(|_, owner| self.running.contains_key(owner));
        }
        self.bench.shake_hands(&running)
    }
}

#[test]
fn no_core_is_given_to_two_jobs() {
    for seed in 1..=SEED_COUNT {
        let mut rng = Rng::new(seed);
        let mut world = World::new(&mut rng);
        for step in 0..STEP_COUNT {
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.step(&mut rng)));
            assert!(ran.is_ok(), "seed {seed}, step {step}");
        }
    }
}
