//! What goes wrong, and when.

use std::time::Duration;

use flux_wire::{Rank, Target};
use serde_json::json;

use crate::client::{Call, Duty};
use crate::disk::Health;
use crate::host::OWNER;
use crate::scenario::{Fault, between_us};
use crate::world::{Action, World};

impl World {
    pub(crate) fn begin_faults(&mut self) {
        let kinds: Vec<Fault> = self.scenario.faults.iter().map(|(kind, _)| *kind).collect();
        for kind in kinds {
            self.next_fault(kind);
        }
        let span = self.scenario.span;
        self.at(span, Action::Calm);
    }

    fn next_fault(&mut self, kind: Fault) {
        let Some((_, mean)) = self.scenario.faults.iter().find(|(known, _)| *known == kind).copied() else { return };
        let span = Duration::from_micros(100_000 + self.rng.below(mean.as_micros() as u64 * 2));
        self.after(span, Action::Fault(kind));
    }

    pub(crate) fn any_host(&mut self) -> usize {
        self.rng.below(self.hosts.len() as u64) as usize
    }

    pub(crate) fn fault_due(&mut self, kind: Fault) {
        if self.calm_since.is_some() {
            return;
        }
        match kind {
            Fault::LinkLost => self.lose_a_link(),
            Fault::Partition => self.cut_off(),
            Fault::Crash | Fault::PowerCut => self.crash_a_broker(kind),
            Fault::SlowDisk | Fault::FullDisk => {
                let at = if self.rng.below(2) == 0 { 0 } else { self.any_host() };
                let health = if kind == Fault::SlowDisk { Health::Slow } else { Health::Full };
                let span = between_us(&mut self.rng, 50_000, 4_000_000);
                self.count(kind);
                self.trace.note(self.now, at as u64, || format!("the disk of rank {at}: {health:?}"));
                self.hosts[at].disk.sicken(health);
                self.after(span, Action::DiskHeals { host: at });
            }
            Fault::RouterLost => self.lose_a_router(),
            Fault::Reload => self.reload_a_module(),
            Fault::ShellKilled => self.kill_a_shell(),
            Fault::ClientGone => self.lose_a_client(),
            Fault::Pause => {
                let at = self.any_host();
                let span = between_us(&mut self.rng, 50_000, 3_000_000);
                if self.hosts[at].node.is_some() {
                    self.count(kind);
                    self.trace.note(self.now, at as u64, || format!("rank {at} pauses"));
                    self.hosts[at].paused_until = self.now + span;
                }
            }
            Fault::Delay | Fault::TornWrite => {} // These happen on the way of other things.
        }
        self.next_fault(kind);
    }

    fn crash_a_broker(&mut self, kind: Fault) {
        let at = self.any_host();
        if self.hosts[at].node.is_none() {
            return;
        }
        self.count(kind);
        self.falls(at, kind == Fault::PowerCut);
    }

    pub(crate) fn falls(&mut self, at: usize, power: bool) {
        let how = if power { Fault::PowerCut } else { Fault::Crash };
        self.trace.note(self.now, at as u64, || format!("rank {at}: {}", how.name()));
        self.down(at, power);
        let pause = between_us(&mut self.rng, 100_000, 8_000_000);
        self.after(pause, Action::Boot { host: at });
    }

    /// A broker with others above and below it goes while everybody talks over it.
    fn lose_a_router(&mut self) {
        let is_between =
            |at: &usize| *at > 0 && self.hosts[*at].node.is_some() && !self.tree.children(*at as u32).is_empty();
        let between: Vec<usize> = (0..self.hosts.len()).filter(is_between).collect();
        if between.is_empty() {
            return;
        }
        let at = between[self.rng.below(between.len() as u64) as usize];
        self.count(Fault::RouterLost);
        for client in 0..self.clients.len() {
            self.talk_over(client, at as u32);
        }
        let (power, span) = (self.rng.below(3) == 0, between_us(&mut self.rng, 50, 3_000));
        self.after(span, Action::Falls { host: at, power });
    }

    /// Whoever is below asks and listens above, and the other way round.
    fn talk_over(&mut self, client: usize, router: u32) {
        if self.clients[client].duty != Duty::Work || self.clients[client].userid != OWNER {
            return;
        }
        let below: Vec<u32> = self.tree.subtree(router).iter().filter(|rank| *rank != router).collect();
        let is_below = below.contains(&(self.clients[client].host as u32));
        let rank = if is_below { 0 } else { below[self.rng.below(below.len() as u64) as usize] };
        self.listen(client);
        for seq in 0..3 {
            self.call(client, Call::Ping, "broker.ping", Target::Rank(Rank(rank)), json!({"seq": seq}));
        }
    }

    /// From here on nothing goes wrong any more, and what is broken heals in its time.
    pub(crate) fn calm(&mut self) {
        self.calm_since = Some(self.now);
        self.trace.note(self.now, 0, || "calm".to_owned());
        for host in &mut self.hosts {
            host.disk.heal();
            host.paused_until = self.now;
        }
        self.begin_audit();
    }
}
