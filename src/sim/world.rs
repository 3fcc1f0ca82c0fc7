//! The world: virtual time, and everything that is to happen in it.

use std::collections::BTreeMap;
use std::time::Duration;

use flux_broker::{ConnId, Input, LinkId};
use flux_overlay::Tree;
use flux_service::{Completion, Mono, Now, Rng, Tag, Wall};
use flux_types::ResourceSet;
use flux_wire::{Message, decode, encode};
use serde_json::Value;

use crate::check::History;
use crate::client::{Client, Step as ClientStep};
use crate::disk::Side as DiskSide;
use crate::host::{Host, Peer, hostname};
use crate::limits::STEPS_MAX;
use crate::modules::Reload;
use crate::net::Network;
use crate::scenario::{Fault, Scenario, between_us, stream};
use crate::shell::{Shell, ShellId, Step as ShellStep};
use crate::trace::Trace;

/// Something that happens at its time.
#[derive(Debug)]
pub(crate) enum Action {
    /// A broker takes what has come for it.
    Turn {
        host: usize,
        life: u32,
    },
    Timer {
        host: usize,
        life: u32,
    },
    /// Something arrives at a broker.
    Arrive {
        host: usize,
        life: u32,
        input: Input,
    },
    /// A broker's process is started.
    Boot {
        host: usize,
    },
    /// A broker tries to reach its parent.
    Connect {
        host: usize,
        life: u32,
        pause: Duration,
    },
    /// Bytes arrive at the far end of a link; `None`: its end.
    Link {
        link: LinkId,
        from_child: bool,
        bytes: Option<Vec<u8>>,
    },
    LinkRelease {
        link: LinkId,
        from_child: bool,
    },
    /// One end of a link notices that it is broken.
    LinkDown {
        link: LinkId,
        at_child: bool,
        why: &'static str,
    },
    Disk {
        host: usize,
        life: u32,
        side: DiskSide,
    },
    DiskDone {
        host: usize,
        life: u32,
        side: DiskSide,
    },
    /// A process that is no job shell ends.
    ProcessEnds {
        host: usize,
        life: u32,
        owner: flux_broker::Owner,
        tag: Tag,
    },
    /// A message for a client or shell.
    ToPeer {
        peer: Peer,
        conn: ConnId,
        message: Option<Message>,
    },
    Shell {
        shell: ShellId,
        step: ShellStep,
    },
    Client {
        client: usize,
        step: ClientStep,
    },
    Fault(Fault),
    /// A broker's process is killed; or its machine loses its power.
    Falls {
        host: usize,
        power: bool,
    },
    /// The disk of a host is itself again.
    DiskHeals {
        host: usize,
    },
    /// The faults stop.
    Calm,
}

/// What was found to be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The checker that found it.
    pub rule: &'static str,
    pub text: String,
}

pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) rng: Rng,
    queue: BTreeMap<(Duration, u64), Action>,
    last: u64,
    pub(crate) scenario: Scenario,
    pub(crate) tree: Tree,
    /// The names of all hosts, as a hostlist (RFC 29).
    pub(crate) hostlist: String,
    pub(crate) hosts: Vec<Host>,
    pub(crate) net: Network,
    pub(crate) shells: BTreeMap<ShellId, Shell>,
    pub(crate) last_shell: u64,
    /// R of the job that was last launched somewhere, as it was sent and as it was read.
    pub(crate) last_set: (Value, ResourceSet),
    pub(crate) last_conn: u64,
    pub(crate) clients: Vec<Client>,
    pub(crate) history: History,
    pub(crate) counts: BTreeMap<Fault, u64>,
    /// Faults have stopped, and everything must come to its end.
    pub(crate) calm_since: Option<Duration>,
    pub(crate) trace: Trace,
    pub(crate) violation: Option<Violation>,
    pub(crate) steps: u64,
    /// How often the auditor has asked for jobs that are not over.
    pub(crate) audits: u64,
    /// Modules that are being reloaded, by the client that does it.
    pub(crate) reloads: BTreeMap<usize, Reload>,
}

/// The day on which all scenarios begin.
pub(crate) const WALL_START: Duration = Duration::from_secs(1_790_000_000);

impl World {
    pub(crate) fn new(scenario: Scenario, traced: bool) -> World {
        let rng = stream(scenario.seed, 2);
        let tree = Tree::named(scenario.topology, scenario.size).expect("a tree that there is");
        let hostlist = match scenario.size {
            1 => hostname(0),
            size => format!("node[0-{}]", size - 1),
        };
        let mut world = World {
            tree,
            hostlist,
            now: Duration::ZERO,
            rng,
            queue: BTreeMap::new(),
            last: 0,
            hosts: Host::all(&scenario),
            net: Network::default(),
            shells: BTreeMap::new(),
            last_shell: 0,
            last_set: (Value::Null, ResourceSet::new()),
            last_conn: 0,
            clients: Vec::new(),
            history: History::default(),
            counts: BTreeMap::new(),
            calm_since: None,
            trace: Trace::new(traced),
            violation: None,
            steps: 0,
            audits: 0,
            reloads: BTreeMap::new(),
            scenario,
        };
        for host in 0..world.hosts.len() {
            let after = between_us(&mut world.rng, 0, 500_000);
            world.after(after, Action::Boot { host });
        }
        world.begin_clients();
        world.begin_faults();
        world
    }

    pub(crate) fn after(&mut self, span: Duration, action: Action) {
        self.at(self.now + span, action);
    }

    pub(crate) fn at(&mut self, when: Duration, action: Action) {
        self.last += 1;
        self.queue.insert((when.max(self.now), self.last), action);
    }

    /// The two clocks as a broker of this host reads them.
    pub(crate) fn now_at(&self, host: usize) -> Now {
        let mono = Mono(self.now.saturating_sub(self.hosts[host].booted_at));
        Now { mono, wall: Wall(WALL_START + self.now) }
    }

    pub(crate) fn timestamp(&self) -> f64 {
        Wall(WALL_START + self.now).timestamp()
    }

    pub(crate) fn violated(&mut self, rule: &'static str, text: impl Into<String>) {
        let violation = Violation { rule, text: text.into() };
        self.trace.say(self.now, || format!("VIOLATION {rule}: {}", violation.text));
        self.violation.get_or_insert(violation);
    }

    pub(crate) fn count(&mut self, fault: Fault) {
        *self.counts.entry(fault).or_default() += 1;
    }

    /// Lets things happen until `until`, or until something is found to be wrong.
    pub(crate) fn run_until(&mut self, until: Duration) {
        while self.violation.is_none()
            && let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= until
        {
            let ((when, _), action) = entry.remove_entry();
            self.now = when;
            self.steps += 1;
            if self.steps > STEPS_MAX && self.scenario.is_judged {
                return self.violated("liveness", format!("{STEPS_MAX} events and no end"));
            }
            self.perform(action);
        }
        if self.violation.is_none() {
            self.now = self.now.max(until);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Turn { host, life } => self.turn(host, life),
            Action::Timer { host, life } => self.timer(host, life),
            Action::Arrive { host, life, input } => self.arrive(host, life, input),
            Action::Boot { host } => self.boot(host),
            Action::Connect { host, life, pause } => self.connect_parent(host, life, pause),
            Action::Link { link, from_child, bytes } => self.link_arrives(link, from_child, bytes),
            Action::LinkRelease { link, from_child } => self.link_releases(link, from_child),
            Action::LinkDown { link, at_child, why } => self.link_notices(link, at_child, why),
            Action::Disk { host, life, side } => self.disk_begins(host, life, side),
            Action::DiskDone { host, life, side } => self.disk_finishes(host, life, side),
            Action::ProcessEnds { host, life, owner, tag } => {
                let event = flux_service::ProcessEvent::Exited { status: 0 };
                self.complete(host, life, owner, tag, Completion::Process(event));
            }
            Action::ToPeer { peer: Peer::Client(client), conn, message } => self.client_hears(client, conn, message),
            Action::ToPeer { peer: Peer::Shell(shell), conn, message } => self.shell_hears(shell, conn, message),
            Action::Shell { shell, step } => self.shell_step(shell, step),
            Action::Client { client, step } => self.client_step(client, step),
            Action::Fault(fault) => self.fault_due(fault),
            Action::Falls { host, power } => self.falls(host, power),
            Action::DiskHeals { host } => self.hosts[host].disk.heal(),
            Action::Calm => self.calm(),
        }
    }

    /// A message as its receiver reads it: through the bytes of the wire.
    pub(crate) fn over_the_wire(message: &Message) -> Message {
        decode(&encode(message)).expect("what one broker encodes another can read")
    }
}
