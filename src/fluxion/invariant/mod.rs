//! The invariant: no resource is in two jobs at once, ever. Random graphs, jobspecs, cancels, losses, reloads.

mod checker;
mod random;
mod runs;
mod sharing;

use crate::engine::{Engine, EngineConfig};
use crate::error::MatchError;
use crate::graph::{Graph, Status};
use crate::jobspec::Jobspec;
use crate::matcher::parse_policy;
use crate::reader::Reader;
use crate::traverser::{Hold, MatchOp};
use crate::writer::{Format, Writer};
use checker::Checker;
pub(crate) use random::Rng;
use random::{random_graph, random_jobspec};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const POLICIES: &[&str] =
    &["first", "firstnodex", "high", "low", "lonode", "hinode", "lonodex", "hinodex", "locality", "variation"];
const FILTERS: &[&str] = &["ALL:core", "ALL:core,ALL:node", "ALL:core,ALL:gpu,ALL:memory,rack:node"];

/// One engine, what it said, and an oracle that only reads what it said.
struct World {
    document: String,
    config: EngineConfig,
    engine: Engine,
    checker: Checker,
    now: i64,
    next_job: u64,
    /// JGF of what runs.
    running: BTreeMap<u64, Value>,
}

impl World {
    fn new(rng: &mut Rng) -> World {
        let document = random_graph(rng).to_string();
        let config = EngineConfig {
            policy: parse_policy(rng.pick(POLICIES)).expect("a known policy"),
            matcher: "CA".into(),
            prune_filters: rng.pick(FILTERS).to_string(),
            is_flexible: rng.percent(20),
            script: None,
        };
        let engine = load(&document, &config);
        let checker = Checker::new(&document);
        World { document, config, engine, checker, now: 1000, next_job: 1, running: BTreeMap::new() }
    }

    fn step(&mut self, rng: &mut Rng) {
        match rng.below(100) {
            0..45 => self.submit(MatchOp::Allocate, rng),
            45..65 => self.submit(MatchOp::AllocateOrElseReserve, rng),
            65..82 => self.cancel(rng),
            82..86 => self.release_a_rank(rng),
            86..92 => self.now += rng.below(60) as i64,
            92..96 => self.toggle(rng),
            96..98 => self.extend(rng),
            _ => self.reload(),
        }
    }

    fn submit(&mut self, op: MatchOp, rng: &mut Rng) {
        // A reservation whose time has come is up for a new match, as a queue would do it.
        let due: Vec<u64> = self
            .engine
            .jobs
            .iter()
            .filter(|(_, job)| job.hold == Hold::Reserved && job.at <= self.now)
            .map(|(id, _)| *id)
            .collect();
        due.into_iter().for_each(|id| self.forget(id));
        let jobspec = Jobspec::from_value(&random_jobspec(rng)).expect("a good jobspec");
        let id = self.next_job;
        self.next_job += 1;
        let mut writer = Writer::new(Format::Jgf);
        match self.engine.match_job(op, id, &jobspec, self.now, &mut writer) {
            Ok(matched) => {
                let is_running = matched.at == self.now;
                let r = writer.finish().expect("a graph").expect("something was matched");
                self.checker.take(id, &r, matched.at, matched.at + matched.duration, is_running);
                if is_running {
                    self.running.insert(id, r);
                }
            }
            Err(MatchError::Busy | MatchError::Beyond | MatchError::Unsatisfiable | MatchError::Invalid(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn forget(&mut self, id: u64) {
        self.engine.cancel(id).expect("the job is known");
        self.checker.release(id);
        self.running.remove(&id);
    }

    fn cancel(&mut self, rng: &mut Rng) {
        let ids: Vec<u64> = self.engine.jobs.keys().copied().collect();
        if !ids.is_empty() {
            self.forget(rng.pick(&ids));
        }
    }

    /// Gives back what one job holds on one rank, by R.
    fn release_a_rank(&mut self, rng: &mut Rng) {
        let ids: Vec<u64> = self.running.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = rng.pick(&ids);
        let ranks: Vec<i32> = self.checker.ranks_of(id).into_iter().collect();
        if ranks.is_empty() {
            return;
        }
        let rank = rng.pick(&ranks);
        let release = crate::traverser::Release::Ranks(BTreeSet::from([rank]));
        let is_whole = self.engine.partial_cancel(id, &release).expect("the job runs there");
        self.checker.release_rank(id, rank);
        self.running.remove(&id);
        assert_eq!(is_whole, !self.engine.jobs.contains_key(&id));
        if is_whole {
            self.checker.release(id);
        }
    }

    fn toggle(&mut self, rng: &mut Rng) {
        let ranks: Vec<i32> = self.engine.graph.ranks().collect();
        let status = if rng.percent(50) { Status::Up } else { Status::Down };
        self.engine.set_rank_status([rng.pick(&ranks)], status);
    }

    fn extend(&mut self, rng: &mut Rng) {
        let ids: Vec<u64> = self.running.keys().copied().collect();
        if !ids.is_empty() {
            let id = rng.pick(&ids);
            let end = self.engine.jobs[&id].at + 1 + rng.below(200) as i64;
            // Later than planned may run into a reservation: a queue would make that one anew.
            let later: Vec<u64> =
                self.engine.jobs.iter().filter(|(_, job)| job.hold == Hold::Reserved).map(|(id, _)| *id).collect();
            later.into_iter().for_each(|id| self.forget(id));
            self.engine.set_job_end(id, end).expect("the job runs");
            self.checker.set_end(id, end);
        }
    }

    /// A restart: a new engine learns from what the running jobs were given.
    fn reload(&mut self) {
        if self.running.len() != self.engine.jobs.values().filter(|job| job.hold == Hold::Allocated).count() {
            return; // Some jobs hold less than they were given; their R is not at hand here.
        }
        let mut engine = load(&self.document, &self.config);
        for (id, r) in &self.running {
            let job = &self.engine.jobs[id];
            let claim = Reader::Jgf.claim(&mut engine.graph, &r.to_string()).expect("the same graph");
            let span = (Hold::Allocated, job.at, job.duration);
            let mut writer = Writer::new(Format::Jgf);
            // A job that overran may have planned time in common with one that came after it.
            if engine.update_job(*id, &claim, span, self.now, &mut writer).is_err() {
                return;
            }
            assert_eq!(writer.finish().expect("a graph").as_ref(), Some(r), "job {id} is put back as it was");
        }
        let reserved: Vec<u64> = self.engine.jobs.keys().copied().filter(|id| !self.running.contains_key(id)).collect();
        reserved.into_iter().for_each(|id| self.checker.release(id));
        self.engine = engine;
    }

    /// Once all jobs are gone, nothing is left of them.
    fn finish(mut self) {
        let ids: Vec<u64> = self.engine.jobs.keys().copied().collect();
        ids.into_iter().for_each(|id| self.forget(id));
        for at in self.engine.graph.vertex_ids() {
            let vertex = self.engine.graph.vertex(at);
            let counts =
                [vertex.allocation_count, vertex.reservation_count, vertex.running_count, vertex.waiting_count];
            assert_eq!(counts, [0; 4], "{}", vertex.name);
            assert!(vertex.plan.is_idle() && vertex.jobs.is_idle(), "{}", vertex.name);
            let below = vertex.below.iter().flat_map(|below| (0..below.len()).map(move |at| below.is_idle(at)));
            assert!(below.into_iter().all(|is_idle| is_idle), "{}", vertex.name);
        }
    }
}

fn load(document: &str, config: &EngineConfig) -> Engine {
    let mut graph = Graph::default();
    Reader::Jgf.load(&mut graph, document, &BTreeSet::new()).expect("a good graph");
    Engine::new(graph, config).expect("a good configuration")
}

/// `cargo xtask seeds` builds these tests with more of them.
pub(crate) const SEED_COUNT: u64 = match option_env!("FLUXION_SEEDS") {
    None => 100,
    Some(text) => match u64::from_str_radix(text, 10) {
        Ok(count) => count,
        Err(_) => panic!("FLUXION_SEEDS must be a number"),
    },
};
const STEP_COUNT: usize = 40;

/// Goal: whatever happens, no exclusive resource is in two jobs at a time, and nothing leaks.
/// Method: random worlds; the oracle knows only what was written, and counts.
#[test]
fn no_resource_is_in_two_jobs_at_once() {
    for seed in 1..=SEED_COUNT {
        let mut rng = Rng::new(seed);
        let mut world = World::new(&mut rng);
        for step in 0..STEP_COUNT {
            world.step(&mut rng);
            world.checker.check().unwrap_or_else(|error| panic!("seed {seed}, step {step}: {error}"));
        }
        world.finish();
    }
}

/// Goal: pruning filters make a search shorter, never different. Method: two engines that differ in them. Seed 2314 found
/// a reservation that was missed because its nodes were reserved for ever after it, 761 an alternative with a type that was
/// known only if it was counted.
#[test]
fn filters_do_not_change_what_is_chosen() {
    for seed in (1..=SEED_COUNT / 3).chain([2314, 761]) {
        let mut rng = Rng::new(seed);
        let mut world = World::new(&mut rng);
        let filters = rng.pick(FILTERS).to_string();
        // Early stopping looks at the order of filters, by design.
        let policy = parse_policy(rng.pick(&POLICIES[2..])).expect("a known policy");
        world.config.policy = policy;
        let mut engines = [world.config.clone(), EngineConfig { prune_filters: filters, ..world.config }]
            .map(|config| load(&world.document, &config));
        for id in 1..=15 {
            let jobspec = Jobspec::from_value(&random_jobspec(&mut rng)).expect("a good jobspec");
            let said = engines.each_mut().map(|engine| {
                let mut writer = Writer::new(Format::Simple);
                let matched = engine.match_job(MatchOp::AllocateOrElseReserve, id, &jobspec, 0, &mut writer);
                // Whether "never" is told from "not now" depends on what is counted.
                (matched.map(|matched| matched.at).ok(), writer.finish_text())
            });
            assert_eq!(said[0], said[1], "seed {seed}, job {id}");
            if rng.percent(30) {
                let id = 1 + rng.below(id);
                let gone = engines.each_mut().map(|engine| engine.cancel(id));
                assert_eq!(gone[0].is_ok(), gone[1].is_ok(), "seed {seed}, job {id}");
            }
        }
    }
}

/// Goal: a search that looks at the best first and stops chooses what a search of everything chooses.
/// Method: two engines side by side, the same jobs, cancels and overruns. Seed 1051 found candidates that kept what they were
/// not chosen with, 1773 an alternative that takes a range and saw too little.
#[test]
fn looking_at_the_best_first_changes_nothing() {
    for seed in (1..=SEED_COUNT * 2).chain([1051, 1773]) {
        let mut rng = Rng::new(seed);
        let mut world = World::new(&mut rng);
        world.config.policy = parse_policy(rng.pick(POLICIES)).expect("known");
        let mut engines = [true, false].map(|is_exhaustive| {
            let mut engine = load(&world.document, &world.config);
            engine.is_exhaustive = is_exhaustive;
            engine
        });
        let mut now = 0;
        for id in 1..=20 {
            let jobspec = Jobspec::from_value(&random_jobspec(&mut rng)).expect("a good jobspec");
            let op = if rng.percent(70) { MatchOp::Allocate } else { MatchOp::AllocateOrElseReserve };
            let said = engines.each_mut().map(|engine| {
                let mut writer = Writer::new(Format::Simple);
                let matched = engine.match_job(op, id, &jobspec, now, &mut writer);
                (matched.map(|matched| matched.at), writer.finish_text())
            });
            assert_eq!(said[0], said[1], "seed {seed}, job {id}");
            if rng.percent(40) {
                let id = 1 + rng.below(id);
                let gone = engines.each_mut().map(|engine| engine.cancel(id));
                assert_eq!(gone[0], gone[1], "seed {seed}, job {id}");
            }
            if rng.percent(20) {
                let (id, rank) = (1 + rng.below(id), rng.below(9) as i32);
                let release = crate::traverser::Release::Ranks(BTreeSet::from([rank]));
                let gone = engines.each_mut().map(|engine| engine.partial_cancel(id, &release));
                assert_eq!(gone[0], gone[1], "seed {seed}, job {id}");
            }
            if rng.percent(20) {
                now += rng.below(50) as i64;
            }
            if rng.percent(10) {
                let rank = rng.below(9) as i32;
                let status = if rng.percent(50) { Status::Up } else { Status::Down };
                engines.iter_mut().for_each(|engine| engine.set_rank_status([rank], status));
            }
        }
    }
}
