//! An operator who takes modules out of brokers and loads them again, while jobs run and everything else goes wrong.

use std::time::Duration;

use flux_broker::Scheduler;
use flux_wire::{Errno, Message, Target};
use serde_json::json;

use crate::client::{Call, Duty, Step};
use crate::host::OWNER;
use crate::scenario::{Fault, between_us};
use crate::world::{Action, World};

/// What is taken out of rank 0.
const AT_ROOT: &[&str] = &[
    "heartbeat",
    "groups",
    "rexec",
    "kvs",
    "resource",
    "job-ingest",
    "job-manager",
    "job-list",
    "job-info",
    "job-exec",
    "cron",
];
const BELOW: &[&str] = &["heartbeat", "groups", "rexec", "kvs", "resource", "job-ingest", "job-info", "job-exec"];
const FLUXION: &[&str] = &["sched-fluxion-resource", "sched-fluxion-feasibility", "sched-fluxion-qmanager"];
const SIMPLE: &[&str] = &["sched-simple"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Remove,
    Load,
}

/// A module of a broker on its way out and in.
#[derive(Debug)]
pub(crate) struct Reload {
    module: &'static str,
    phase: Phase,
    /// How long the broker is without it.
    absent: Duration,
}

impl World {
    /// Somebody at a broker reloads one of its modules; one at a time there.
    pub(crate) fn reload_a_module(&mut self) {
        let host = if self.rng.below(2) == 0 { 0 } else { self.any_host() };
        let operator = self.clients.iter().position(|client| client.duty == Duty::Operate && client.host == host);
        let at = operator.unwrap_or_else(|| self.add_client(host, Duty::Operate, OWNER));
        if self.hosts[host].node.is_none() || self.reloads.contains_key(&at) {
            return;
        }
        let schedulers = match self.scenario.scheduler {
            _ if host > 0 => &[],
            Scheduler::Fluxion => FLUXION,
            _ => SIMPLE,
        };
        let modules = if host == 0 { AT_ROOT } else { BELOW };
        let choice = self.rng.below((modules.len() + schedulers.len()) as u64) as usize;
        let module = modules.iter().chain(schedulers).nth(choice).expect("it is below their number");
        let absent = match self.rng.below(3) {
            0 => Duration::ZERO,
            1 => between_us(&mut self.rng, 0, 20_000),
            _ => between_us(&mut self.rng, 20_000, 3_000_000),
        };
        self.count(Fault::Reload);
        self.trace.note(self.now, choice as u64, || format!("rank {host}: {module} is reloaded"));
        self.reloads.insert(at, Reload { module, phase: Phase::Remove, absent });
        self.client_step(at, Step::Connect);
        // What was sent before has arrived then.
        self.after(Duration::from_millis(1), Action::Client { client: at, step: Step::Operate });
    }

    /// Does somebody take that module out of the broker of this host? Requests to it may be answered further up.
    pub(crate) fn is_reloaded(&self, host: usize, module: &str) -> bool {
        self.reloads.iter().any(|(at, reload)| self.clients[*at].host == host && reload.module == module)
    }

    pub(crate) fn work_on_module(&mut self, at: usize) {
        if self.clients[at].conn.is_none() || !self.clients[at].calls.is_empty() {
            return;
        }
        let Some(Reload { module, phase, .. }) = self.reloads.get(&at) else { return };
        let (topic, body, call) = match phase {
            Phase::Remove => ("module.remove", json!({"name": module}), Call::Module(Phase::Remove)),
            Phase::Load => ("module.load", json!({"path": module, "args": []}), Call::Module(Phase::Load)),
        };
        self.call(at, call, topic, Target::Any, body);
    }

    pub(crate) fn module_answered(&mut self, at: usize, phase: Phase, message: &Message) {
        let Some(reload) = self.reloads.get_mut(&at) else { return };
        if let Some(errno) = message.errno() {
            let text = format!("{reload:?} was answered: {}", crate::host::named(message));
            self.reloads.remove(&at);
            // A broker on its way out has begun to unload modules itself.
            let is_leaving = matches!(errno, Errno::ENOENT | Errno::EBUSY) && self.clients[at].host > 0;
            if !is_leaving {
                self.violated("modules", text);
            }
            return;
        }
        match phase {
            Phase::Remove => {
                reload.phase = Phase::Load;
                let absent = reload.absent;
                self.after(absent, Action::Client { client: at, step: Step::Operate });
            }
            Phase::Load => _ = self.reloads.remove(&at),
        }
    }

    /// Its broker is gone: the next one has all its modules.
    pub(crate) fn operator_lost(&mut self, at: usize) {
        self.reloads.remove(&at);
    }
}
