//! One seed from its beginning to its judgement.

use std::collections::BTreeMap;

use crate::scenario::{Fault, Scenario};
use crate::world::{Violation, World};

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    pub violation: Option<Violation>,
    /// How often each fault happened.
    pub faults: BTreeMap<Fault, u64>,
    pub steps: u64,
    pub messages: u64,
    pub jobs: usize,
    /// Virtual seconds.
    pub seconds: f64,
    /// Two runs of one seed agree on this.
    pub hash: u64,
    /// Empty unless it was asked for.
    pub trace: Vec<String>,
}

/// Runs the scenario of a seed, with its trace if that is wanted.
pub fn run(seed: u64, traced: bool) -> Outcome {
    run_scenario(Scenario::of_seed(seed), traced)
}

pub(crate) fn run_scenario(scenario: Scenario, traced: bool) -> Outcome {
    let mut world = World::new(scenario, traced);
    let span = world.scenario.span;
    world.run_until(span);
    world.finish();
    Outcome {
        seed: world.scenario.seed,
        violation: world.violation,
        faults: world.counts,
        steps: world.steps,
        messages: world.net.traffic.messages,
        jobs: world.history.jobs.acked().len(),
        seconds: world.now.as_secs_f64(),
        hash: world.trace.hash(),
        trace: world.trace.into_lines(),
    }
}
