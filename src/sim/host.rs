//! A machine with its broker: starting it, giving it what has come, doing what it wants, and what is left when it dies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flux_broker::{Attrs, ConnId, Input, Node, NodeSetup, Output, OverlaySetup, Owner, compose};
use flux_resource::{Inventory, Method};
use flux_service::{Completion, Mono, ProcessEvent, ProcessOp, SpawnSpec, Tag};
use flux_types::Idset;
use flux_types::resource_set::{Node as Cores, ResourceSet};
use flux_wire::{Cred, Message, Rank, role};
use serde_json::{Value, json};

use crate::disk::Disk;
use crate::scenario::{Scenario, between_us};
use crate::shell::ShellId;
use crate::world::{Action, World};

/// The owner of every simulated instance.
pub(crate) const OWNER: u32 = 1000;

/// Who is at the far end of a local connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Client(usize),
    Shell(ShellId),
}

#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) peer: Peer,
    /// When the last message on its way to the peer, and to the broker, arrives.
    to_peer: Duration,
    to_broker: Duration,
}

pub(crate) struct Host {
    pub(crate) rank: u32,
    pub(crate) node: Option<Node>,
    /// Counts the lives of its broker: what was meant for an earlier one does not reach a later one.
    pub(crate) life: u32,
    pub(crate) booted_at: Duration,
    inbox: Vec<Input>,
    turn_due: bool,
    timer_at: Option<Mono>,
    pub(crate) conns: BTreeMap<ConnId, Conn>,
    pub(crate) disk: Disk,
    /// The process does nothing until then (SIGSTOP, swapping, a slow machine).
    pub(crate) paused_until: Duration,
    /// Its parent has let it in.
    pub(crate) joined: bool,
}

pub(crate) fn hostname(rank: u32) -> String {
    format!("node{rank}")
}

fn rundir(rank: u32) -> String {
    format!("/run/{rank}")
}

impl Host {
    pub(crate) fn all(scenario: &Scenario) -> Vec<Host> {
        let host = |rank| Host {
            rank,
            node: None,
            life: 0,
            booted_at: Duration::ZERO,
            inbox: Vec::new(),
            turn_due: false,
            timer_at: None,
            conns: BTreeMap::new(),
            disk: Disk::default(),
            paused_until: Duration::ZERO,
            joined: false,
        };
        (0..scenario.size).map(host).collect()
    }
}

fn config(scenario: &Scenario) -> Value {
    let mut config = json!({});
    if scenario.configured {
        config = configured(scenario);
    }
    if scenario.guests {
        config["access"] = json!({"allow-guest-user": true});
    }
    if scenario.in_thread {
        config["sched-fluxion-qmanager"] = json!({"match-in-loop-vertices": 0});
    }
    if scenario.perilogs {
        let each = json!({"command": ["site"], "per-rank": true});
        config["job-manager"] = json!({"prolog": each, "epilog": each, "housekeeping": {"command": ["site"]}});
    }
    config
}

/// Hosts and resources stand in the configuration.
fn configured(scenario: &Scenario) -> Value {
    let hosts: Vec<String> = (0..scenario.size).map(hostname).collect();
    let cores = Idset::below(scenario.cores).to_string();
    json!({"resource": {"noverify": true, "config": [{"hosts": hosts.join(","), "cores": cores}]},
        "bootstrap": {"hosts": hosts.iter().map(|host| json!({"host": host})).collect::<Vec<_>>()}})
}

impl World {
    fn setup(&mut self, at: usize) -> NodeSetup {
        let scenario = &self.scenario;
        let (rank, size) = (self.hosts[at].rank, scenario.size);
        let mut set = ResourceSet::new();
        let cores = Cores::new(&hostname(rank), Idset::below(scenario.cores), Idset::new());
        set.insert(rank, cores).expect("the first of its rank");
        let found = Inventory::new(set, Method::DynamicDiscovery);
        let recovered = self.hosts[at].disk.recover();
        let composed = compose("sha1", found, (rank, size), recovered, scenario.scheduler).expect("a known algorithm");
        let mut attrs = Attrs::default();
        for (name, value) in [
            ("local-uri", format!("local:///run/{rank}/local")),
            ("broker.boot-method", "config".to_owned()),
            ("hostlist", self.hostlist.clone()),
            ("tbon.topo", scenario.topology.to_owned()),
        ] {
            attrs.set(name, value);
        }
        if scenario.quorum_of_one {
            attrs.set("broker.quorum", "1");
        }
        NodeSetup {
            rc_dirs: Vec::new(),
            rank: Rank(rank),
            size,
            overlay: OverlaySetup { tree: self.tree.clone(), announce: composed.announce },
            hostname: hostname(rank),
            owner: OWNER,
            rundir: rundir(rank),
            statedir: Some(format!("/state/{rank}")),
            attrs,
            config: Arc::new(config(scenario)),
            config_path: None,
            seed: self.rng.next_u64(),
            env: Vec::new(),
            program: None,
            interactive: false,
            services: composed.services,
            loader: composed.loader,
        }
    }

    pub(crate) fn boot(&mut self, at: usize) {
        if self.hosts[at].node.is_some() {
            return;
        }
        self.hosts[at].booted_at = self.now;
        self.trace.note(self.now, at as u64, || format!("rank {at} starts"));
        let setup = self.setup(at);
        let now = self.now_at(at);
        let host = &mut self.hosts[at];
        host.life += 1;
        host.timer_at = None;
        host.joined = at == 0;
        match Node::new(setup, now) {
            Ok(node) => host.node = Some(node),
            Err(why) => return self.violated("boot", format!("rank {at} does not start: {why}")),
        }
        let life = host.life;
        self.wake(at, Duration::ZERO);
        self.note_joins();
        if at > 0 {
            self.after(Duration::ZERO, Action::Connect { host: at, life, pause: Duration::from_millis(20) });
        }
    }

    /// Is this still the broker that it was meant for?
    pub(crate) fn lives(&self, at: usize, life: u32) -> bool {
        self.hosts[at].node.is_some() && self.hosts[at].life == life
    }

    fn wake(&mut self, at: usize, span: Duration) {
        let host = &mut self.hosts[at];
        if !host.turn_due {
            host.turn_due = true;
            let (life, when) = (host.life, host.paused_until.max(self.now + span));
            self.at(when, Action::Turn { host: at, life });
        }
    }

    pub(crate) fn arrive(&mut self, at: usize, life: u32, input: Input) {
        if self.lives(at, life) {
            self.hosts[at].inbox.push(input);
            let span = between_us(&mut self.rng, 1, 40);
            self.wake(at, span);
        }
    }

    pub(crate) fn complete(&mut self, at: usize, life: u32, owner: Owner, tag: Tag, completion: Completion) {
        self.arrive(at, life, Input::Completion { owner, tag, completion });
    }

    pub(crate) fn timer(&mut self, at: usize, life: u32) {
        if self.lives(at, life) {
            self.hosts[at].timer_at = None;
            self.wake(at, Duration::ZERO);
        }
    }

    pub(crate) fn turn(&mut self, at: usize, life: u32) {
        if !self.lives(at, life) {
            return;
        }
        self.hosts[at].turn_due = false;
        if self.hosts[at].paused_until > self.now {
            return self.wake(at, Duration::ZERO);
        }
        let now = self.now_at(at);
        let host = &mut self.hosts[at];
        let mut node = host.node.take().expect("it lives");
        let inputs = std::mem::take(&mut host.inbox);
        let count = inputs.len() as u64;
        self.trace.note(self.now, at as u64 + (count << 8), || format!("rank {at} takes {}", told(&inputs)));
        for input in inputs {
            node.handle(now, input);
        }
        if node.next_timer().is_some_and(|when| when <= now.mono) {
            node.on_timer(now);
        }
        node.end_turn(now);
        let outputs = node.take_outputs();
        if self.scenario.is_judged {
            node.check();
        }
        self.hosts[at].node = Some(node);
        let mut exit = None;
        for output in outputs {
            self.perform_output(at, output, &mut exit);
        }
        match exit {
            Some(code) => self.exited(at, code),
            None => self.set_timer(at),
        }
    }

    fn set_timer(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        let Some(next) = host.node.as_ref().and_then(Node::next_timer) else { return };
        if host.timer_at.is_none_or(|known| next < known) {
            host.timer_at = Some(next);
            let (life, when) = (host.life, host.booted_at + next.0);
            self.at(when, Action::Timer { host: at, life });
        }
    }

    fn perform_output(&mut self, at: usize, output: Output, exit: &mut Option<i32>) {
        let life = self.hosts[at].life;
        match output {
            Output::Send { conn, message } => self.send_local(at, conn, Some(&message)),
            Output::Close { conn } => {
                self.send_local(at, conn, None);
                self.hosts[at].conns.remove(&conn);
            }
            Output::LinkSend { link, message } => self.link_send(at, link, &message),
            Output::LinkClose { link } => self.link_close(at, link),
            Output::Store { owner, tag, op } => self.store(at, owner, tag, op),
            Output::Process { owner, tag, op } => self.process(at, owner, tag, op),
            Output::File { owner, tag, op } => {
                let locked = |path: &str| self.shells.values().any(|shell| shell.holds(at, path));
                let completion = self.hosts[at].disk.file(&op, locked);
                self.complete(at, life, owner, tag, completion);
            }
            Output::Compute { owner, tag, errand } => {
                errand.run();
                let when = self.now + between_us(&mut self.rng, 1, 30_000);
                let input = Input::Completion { owner, tag, completion: Completion::Done };
                self.at(when, Action::Arrive { host: at, life, input });
            }
            Output::LogFile { .. } | Output::Syslog { .. } | Output::Notify { .. } => {}
            Output::Stderr { line } => self.trace.say(self.now, || format!("rank {at}: {line}")),
            Output::Exit { code } => *exit = Some(code),
        }
    }

    /// A message (`None`: the end) to a client or shell.
    fn send_local(&mut self, at: usize, conn: ConnId, message: Option<&Message>) {
        let span = between_us(&mut self.rng, 10, 200);
        let Some(known) = self.hosts[at].conns.get_mut(&conn) else { return };
        known.to_peer = (self.now + span).max(known.to_peer);
        let (when, peer) = (known.to_peer, known.peer);
        let message = message.map(World::over_the_wire);
        self.at(when, Action::ToPeer { peer, conn, message });
    }

    /// A client or shell connects; `None`: nobody answers.
    pub(crate) fn connect(&mut self, at: usize, peer: Peer) -> Option<ConnId> {
        self.hosts[at].node.as_ref()?;
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        let when = self.now + between_us(&mut self.rng, 10, 200);
        self.hosts[at].conns.insert(conn, Conn { peer, to_peer: self.now, to_broker: when });
        let cred = match peer {
            Peer::Client(client) if self.clients[client].userid != OWNER => {
                Cred { userid: self.clients[client].userid, rolemask: role::USER | role::LOCAL }
            }
            _ => Cred { userid: OWNER, rolemask: role::OWNER | role::LOCAL },
        };
        let life = self.hosts[at].life;
        self.at(when, Action::Arrive { host: at, life, input: Input::Connected { conn, cred } });
        Some(conn)
    }

    /// Something a client or shell sends.
    pub(crate) fn say_to_broker(&mut self, at: usize, conn: ConnId, message: &Message) {
        let span = between_us(&mut self.rng, 10, 200);
        let Some(known) = self.hosts[at].conns.get_mut(&conn) else { return };
        known.to_broker = (self.now + span).max(known.to_broker);
        let (when, life) = (known.to_broker, self.hosts[at].life);
        let message = World::over_the_wire(message);
        self.at(when, Action::Arrive { host: at, life, input: Input::Message { conn, message } });
    }

    /// A client or shell goes.
    pub(crate) fn disconnect(&mut self, at: usize, conn: ConnId) {
        let Some(known) = self.hosts[at].conns.remove(&conn) else { return };
        let life = self.hosts[at].life;
        self.at(known.to_broker, Action::Arrive { host: at, life, input: Input::Disconnected { conn } });
    }

    fn process(&mut self, at: usize, owner: Owner, tag: Tag, op: ProcessOp) {
        let life = self.hosts[at].life;
        match op {
            ProcessOp::Spawn(spec) => {
                self.complete(at, life, owner, tag, Completion::Process(ProcessEvent::Started { pid: 100 + tag.0 }));
                if spec.argv[0] == "flux-shell" {
                    return self.spawn_shell(at, owner, tag, &spec);
                }
                self.spawn_other(at, owner, tag, &spec);
            }
            ProcessOp::Kill { of, signum, .. } => self.kill_shell_process(at, (life, owner, of), signum),
            ProcessOp::Write { .. } | ProcessOp::Credit { .. } | ProcessOp::KillGroup { .. } => {}
        }
    }

    fn spawn_other(&mut self, at: usize, owner: Owner, tag: Tag, spec: &SpawnSpec) {
        self.trace.say(self.now, || format!("rank {at} runs {:?}", spec.argv));
        let (life, span) = (self.hosts[at].life, between_us(&mut self.rng, 1_000, 50_000));
        self.after(span, Action::ProcessEnds { host: at, life, owner, tag });
    }

    /// The broker has said that it is done.
    fn exited(&mut self, at: usize, code: i32) {
        self.trace.note(self.now, code as u64, || format!("rank {at} exits with {code}"));
        self.down(at, false);
        let pause = between_us(&mut self.rng, 50_000, 2_000_000);
        self.after(pause, Action::Boot { host: at });
    }

    /// The broker's process is gone; with `power` the whole machine, its shells too.
    pub(crate) fn down(&mut self, at: usize, power: bool) {
        let host = &mut self.hosts[at];
        if host.node.take().is_none() && !power {
            return;
        }
        host.inbox.clear();
        host.turn_due = false;
        host.timer_at = None;
        host.paused_until = Duration::ZERO;
        host.joined = false;
        let conns = std::mem::take(&mut host.conns);
        if at == 0 {
            self.history.ledger.begin(); // What was told before may be lost.
        }
        let torn = host.disk.crash(&mut self.rng, power);
        if torn {
            self.count(crate::scenario::Fault::TornWrite);
        }
        for (conn, Conn { peer, to_peer, .. }) in conns {
            let when = to_peer.max(self.now + between_us(&mut self.rng, 10, 200));
            self.at(when, Action::ToPeer { peer, conn, message: None });
        }
        self.links_of_dead(at, power);
        if power {
            self.shells_lose_power(at);
        }
        if power && at == 0 {
            // That they were started may not be on disk: their jobs may be started afresh elsewhere (ADR 2).
            let ids: Vec<ShellId> = self.shells.keys().copied().collect();
            ids.into_iter().for_each(|id| self.shell_is_uncertain(id));
        }
    }
}

/// What is taken, for the trace.
fn told(inputs: &[Input]) -> String {
    let one = |input: &Input| match input {
        Input::Message { conn, message } => format!("{} from conn {}", named(message), conn.0),
        Input::LinkMessage { link, message } => format!("{} over link {}", named(message), link.0),
        Input::Completion { tag, completion, .. } => format!("completion {} {}", tag.0, kind_of(completion)),
        Input::Connected { conn, .. } => format!("connection {}", conn.0),
        Input::Disconnected { conn } => format!("end of connection {}", conn.0),
        Input::LinkUp { link, side } => format!("link {} up ({side:?})", link.0),
        Input::LinkDown { link, why } => format!("link {} down: {why}", link.0),
        Input::Signal { signum } => format!("signal {signum}"),
    };
    if inputs.is_empty() { "a timer".to_owned() } else { inputs.iter().map(one).collect::<Vec<_>>().join("; ") }
}

pub(crate) fn named(message: &Message) -> String {
    const TEXT_MAX: usize = 240;
    let text: String = message.payload.as_text().unwrap_or("").chars().take(TEXT_MAX).collect();
    let errno = message.errno().map(|errno| format!(" errno {errno}")).unwrap_or_default();
    format!("{:?} {} tag {}{errno} {text}", message.kind(), message.topic(), message.matchtag())
}

fn kind_of(completion: &Completion) -> String {
    match completion {
        Completion::Logged { position } => format!("logged to {}", position.0),
        Completion::Blob(blob) => format!("blob {}", blob.is_some()),
        Completion::File(bytes) => format!("file of {} bytes", bytes.len()),
        other => format!("{other:?}"),
    }
}
