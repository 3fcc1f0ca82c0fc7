//! How much is said between brokers as instances grow: booting, an event, a commit, a job of all nodes.

use std::time::Duration;

use flux_wire::Target;
use serde_json::json;

use crate::client::{Call, Duty};
use crate::host::OWNER;
use crate::scenario::Scenario;
use crate::world::World;

/// Messages between brokers, all of them and those that reach or leave rank 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub messages: u64,
    pub bytes: u64,
    pub at_root: u64,
}

impl Traffic {
    fn since(self, earlier: Traffic) -> Traffic {
        Traffic {
            messages: self.messages - earlier.messages,
            bytes: self.bytes - earlier.bytes,
            at_root: self.at_root - earlier.at_root,
        }
    }
}

/// What one instance said.
#[derive(Clone, Debug)]
pub struct Scale {
    pub size: u32,
    pub topology: &'static str,
    pub depth: u32,
    /// The children of the broker that has most.
    pub fanout: usize,
    pub boot: Traffic,
    /// Virtual seconds until rank 0 runs, with all others there.
    pub boot_seconds: f64,
    pub event: Traffic,
    pub commit: Traffic,
    pub job: Traffic,
    pub job_seconds: f64,
}

/// Boots an instance of `size` brokers, has it do one of everything, and counts.
///
/// # Errors
/// A sentence: what did not come to its end.
pub fn scale(size: u32, topology: &'static str) -> Result<Scale, String> {
    let mut world = World::new(Scenario::calm(size, topology), false);
    world.calm_since = Some(Duration::ZERO); // Clients do only what they are told.
    let tree = world.tree.clone();
    let client = world.add_client(size as usize - 1, Duty::Work, OWNER);
    let root = world.add_client(0, Duty::Audit, OWNER);
    world.history.progress = crate::audit::Progress::Done; // There is nothing to audit.
    let mut result = Scale {
        size,
        topology,
        depth: tree.level_max(),
        fanout: (0..size).map(|rank| tree.children(rank).len()).max().unwrap_or(0),
        boot: Traffic::default(),
        boot_seconds: 0.0,
        event: Traffic::default(),
        commit: Traffic::default(),
        job: Traffic::default(),
        job_seconds: 0.0,
    };
    world.step_until("connect to rank 0", |world| {
        world.client_step(root, crate::client::Step::Connect);
        world.clients[root].conn.is_some()
    })?;
    world.call(root, Call::Ping, "state-machine.wait", Target::Any, json!({}));
    world.step_until("boot", |world| world.clients[root].calls.is_empty())?;
    result.boot_seconds = world.now.as_secs_f64();
    world.rest();
    result.boot = world.net.traffic;
    world.step_until("connect to the last rank", |world| {
        world.client_step(client, crate::client::Step::Connect);
        world.clients[client].conn.is_some()
    })?;
    world.rest();
    result.event = world.measure(client, |world| world.publish(client))?;
    result.commit = world.measure(client, |world| world.put(client, "k0"))?;
    let began = world.now;
    result.job = world.measure(client, |world| world.submit_wide(client, size))?;
    result.job_seconds = world.history.exec.last_end.saturating_sub(began).as_secs_f64();
    Ok(result)
}

impl World {
    fn step_until(&mut self, what: &str, mut done: impl FnMut(&mut World) -> bool) -> Result<(), String> {
        const PATIENCE: Duration = Duration::from_secs(600);
        let limit = self.now + PATIENCE;
        while !done(self) {
            if let Some(violation) = &self.violation {
                return Err(format!("{what}: {}: {}", violation.rule, violation.text));
            }
            if self.now >= limit {
                return Err(format!("could not {what} within {} s", PATIENCE.as_secs()));
            }
            let next = self.now + Duration::from_millis(1);
            self.run_until(next);
        }
        Ok(())
    }

    /// Lets what is under way arrive.
    fn rest(&mut self) {
        let next = self.now + Duration::from_secs(5);
        self.run_until(next);
    }

    /// What `act` made brokers say.
    fn measure(&mut self, client: usize, act: impl FnOnce(&mut World)) -> Result<Traffic, String> {
        let before = self.net.traffic;
        act(self);
        self.step_until("get an answer", |world| world.clients[client].calls.is_empty())?;
        // A job's shells, and what follows from them.
        self.rest();
        self.step_until("see the job's shells end", |world| world.shells.is_empty())?;
        self.rest();
        Ok(self.net.traffic.since(before))
    }
}
