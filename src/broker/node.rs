//! The node: inputs in, outputs out, and one turn of the loop between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use flux_service::{
    AnyService, Completion, Cx, Effect, Errand, FileOp, LogLevel, Mono, NodeInfo, Now, ProcessOp, Rng, StoreOp, Tag,
};
use flux_wire::{Cred, Message, Rank, RouteId, role};
use serde_json::Value;

use crate::attr::Attrs;
use crate::core::Core;
use crate::disconnect::Disconnects;
use crate::event::Subscriptions;
use crate::limits::TURN_PASSES_MAX;
use crate::log::{LogConfig, LogLine};
use crate::modules::{Loader, Slot};
use crate::overlay::{LinkId, Links, OverlaySetup, Side};
use crate::route::Endpoint;

/// A connection of the local connector, named by the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Whose operation an output is, and so to whom its completion goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u32);

impl Owner {
    /// The node itself.
    pub const CORE: Owner = Owner(0);
}

/// What the world did.
#[derive(Clone, Debug)]
pub enum Input {
    /// A client was authenticated; `cred` is what its messages count as (RFC 12).
    Connected {
        conn: ConnId,
        cred: Cred,
    },
    Message {
        conn: ConnId,
        message: Message,
    },
    Disconnected {
        conn: ConnId,
    },
    Completion {
        owner: Owner,
        tag: Tag,
        completion: Completion,
    },
    /// A link to another broker is open: it proved its key. Nothing is known of it yet but on which side it is.
    LinkUp {
        link: LinkId,
        side: Side,
    },
    LinkMessage {
        link: LinkId,
        message: Message,
    },
    /// The link is gone, for the reason given.
    LinkDown {
        link: LinkId,
        why: String,
    },
    /// SIGINT, SIGTERM, SIGHUP ...: somebody wants something of the broker process.
    Signal {
        signum: i32,
    },
}

/// What the node wants of the world. The runtime performs these in order.
#[derive(Clone, Debug)]
pub enum Output {
    Send {
        conn: ConnId,
        message: Message,
    },
    Close {
        conn: ConnId,
    },
    /// To another broker.
    LinkSend {
        link: LinkId,
        message: Message,
    },
    /// What was sent before is still to go out. No [`Input::LinkDown`] follows.
    LinkClose {
        link: LinkId,
    },
    Store {
        owner: Owner,
        tag: Tag,
        op: StoreOp,
    },
    Process {
        owner: Owner,
        tag: Tag,
        op: ProcessOp,
    },
    File {
        owner: Owner,
        tag: Tag,
        op: FileOp,
    },
    /// To be run beside the loop.
    Compute {
        owner: Owner,
        tag: Tag,
        errand: Errand,
    },
    Stderr {
        line: String,
    },
    /// For the file that the attribute `log-filename` names.
    LogFile {
        line: String,
    },
    /// For syslog(3), with a severity.
    Syslog {
        level: u8,
        line: String,
    },
    /// For systemd: assignments of sd_notify(3), one a line.
    Notify {
        text: String,
    },
    /// The broker is done; all earlier outputs are to be performed first.
    Exit {
        code: i32,
    },
}

/// Everything a node is made from.
pub struct NodeSetup {
    pub rank: Rank,
    pub size: u32,
    /// The tree of brokers.
    pub overlay: OverlaySetup,
    pub hostname: String,
    /// The instance owner's user id.
    pub owner: u32,
    pub rundir: String,
    pub statedir: Option<String>,
    /// From the command line and the runtime; the node adds what it knows better.
    pub attrs: Attrs,
    pub config: Arc<Value>,
    /// Files `config.reload` reads again; empty where the configuration did not come from files.
    pub config_path: Option<String>,
    /// Seeds identities (UUIDs) and jitter.
    pub seed: u64,
    /// The environment that child processes start from.
    pub env: Vec<(String, String)>,
    /// Directories whose `rc1.d` and `rc3.d` hold scripts of the site, to run where no command is named for that.
    pub rc_dirs: Vec<String>,
    /// The initial program; `None` runs until told to stop.
    pub program: Option<Vec<String>>,
    /// The initial program shares the terminal: signals from the keyboard reach it without the broker.
    pub interactive: bool,
    /// Loaded in this order, unloaded in the reverse.
    pub services: Vec<Box<dyn AnyService>>,
    /// Makes a service again, by name, for `flux module load`.
    pub loader: Loader,
}

pub(crate) struct Client {
    pub(crate) uuid: RouteId,
    pub(crate) cred: Cred,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) services: BTreeSet<String>,
    pub(crate) disconnects: Disconnects,
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    Client(ConnId),
    Slot(Owner),
    Link(LinkId),
    Core,
}

/// One broker.
pub struct Node {
    pub(crate) now: Now,
    pub(crate) info: NodeInfo,
    pub(crate) rng: Rng,
    pub(crate) attrs: Attrs,
    pub(crate) core: Core,
    pub(crate) slots: BTreeMap<Owner, Slot>,
    pub(crate) next_owner: u32,
    pub(crate) names: BTreeMap<String, Endpoint>,
    pub(crate) links: Links,
    pub(crate) clients: BTreeMap<ConnId, Client>,
    pub(crate) hops: BTreeMap<RouteId, Hop>,
    pub(crate) queue: VecDeque<(Hop, Message)>,
    pub(crate) touched: BTreeSet<Owner>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) loader: Loader,
    /// Modules that were removed and that nothing can make again: they are loaded as they were.
    pub(crate) kept: BTreeMap<&'static str, Box<dyn AnyService>>,
    /// Services that have a part here, some of whose requests went further up nevertheless: who asked is known there, too.
    pub(crate) parted: BTreeSet<String>,
    /// Services are to be told what is listened to.
    pub(crate) subscribers_changed: bool,
}

impl Node {
    /// Loads the services; what they want done at once is in the outputs already.
    ///
    /// # Errors
    /// The first service that could not start, in a sentence.
    pub fn new(mut setup: NodeSetup, now: Now) -> Result<Node, String> {
        let mut rng = Rng::new(setup.seed);
        let uuid: RouteId = rng.uuid().into();
        let services = std::mem::take(&mut setup.services);
        let warning = crate::core::complete_attrs(&mut setup, &uuid, now)?;
        let info = NodeInfo {
            rank: setup.rank,
            size: setup.size,
            below: Arc::new(setup.overlay.tree.below(setup.rank.0)),
            hostname: setup.hostname.clone(),
            owner: setup.owner,
            uuid,
            rundir: setup.rundir.clone(),
            statedir: setup.statedir.clone(),
            attrs: setup.attrs.to_map(),
            config: setup.config.clone(),
            command: None,
        };
        let loader = std::mem::replace(&mut setup.loader, Box::new(|_| None));
        let attrs = std::mem::take(&mut setup.attrs);
        let links = Links::new(setup.rank, setup.overlay.clone(), now);
        let core = Core::new(setup, rng.uuid().into(), LogConfig::from_attrs(&attrs)?, now);
        let mut node = Node {
            now,
            info,
            rng,
            attrs,
            core,
            slots: BTreeMap::new(),
            next_owner: 1,
            names: BTreeMap::new(),
            links,
            clients: BTreeMap::new(),
            hops: BTreeMap::new(),
            queue: VecDeque::new(),
            touched: BTreeSet::new(),
            outputs: Vec::new(),
            loader,
            kept: BTreeMap::new(),
            parted: BTreeSet::new(),
            subscribers_changed: true,
        };
        node.register_core_names();
        for service in services {
            let name = service.name();
            node.load(service).map_err(|fault| format!("{name}: {fault}"))?;
        }
        if let Some(text) = warning.filter(|_| node.info.rank.is_root()) {
            node.log(LogLevel::Err, "broker", &text);
        }
        node.end_turn(now);
        Ok(node)
    }

    /// Takes one input. Effects gather until `take_outputs`.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.now = now;
        match input {
            Input::Connected { conn, cred } => self.connected(conn, cred),
            Input::Message { conn, message } => self.client_message(conn, message),
            Input::Disconnected { conn } => self.disconnected(conn),
            Input::Completion { owner: Owner::CORE, tag, completion } => self.core_completion(tag, completion),
            Input::Completion { owner, tag, completion } => {
                self.call(owner, |service, cx| service.on_completion(cx, tag, completion));
            }
            Input::LinkUp { link, side } => self.link_up(link, side),
            Input::LinkMessage { link, message } => self.link_message(link, message),
            Input::LinkDown { link, why } => self.link_down(link, &why),
            Input::Signal { signum } => self.on_signal(signum),
        }
        self.drain();
    }

    /// Runs batched work until nothing is left to do inside the node.
    pub fn end_turn(&mut self, now: Now) {
        self.now = now;
        for _ in 0..TURN_PASSES_MAX {
            self.drain();
            self.tell_subscribers();
            let touched = std::mem::take(&mut self.touched);
            if touched.is_empty() {
                // A step of the state machine may have sent something without an end of its level.
                if !self.advance_state() && self.queue.is_empty() && self.touched.is_empty() {
                    return;
                }
                continue;
            }
            for owner in touched {
                self.call_quietly(owner, |service, cx| service.on_batch_end(cx));
            }
        }
        panic!("services kept each other busy for {TURN_PASSES_MAX} passes without an input");
    }

    /// When `on_timer` next has work.
    pub fn next_timer(&self) -> Option<Mono> {
        let services = self.slots.values().filter_map(|slot| slot.service.next_timer());
        services.chain(self.core.next_timer()).chain(self.links.next_timer()).min()
    }

    pub fn on_timer(&mut self, now: Now) {
        self.now = now;
        let due = |slot: &Slot| slot.service.next_timer().is_some_and(|at| at <= now.mono);
        let owners: Vec<Owner> = self.slots.iter().filter(|(_, slot)| due(slot)).map(|(owner, _)| *owner).collect();
        for owner in owners {
            self.call(owner, |service, cx| service.on_timer(cx));
        }
        self.core_timer();
        self.check_silence();
        self.drain();
    }

    pub fn take_outputs(&mut self) -> Vec<Output> {
        let outputs = std::mem::take(&mut self.outputs);
        self.encode_external(outputs)
    }

    /// The configuration in force.
    pub fn config(&self) -> &Value {
        &self.info.config
    }

    /// Asserts every service's invariants.
    pub fn check(&self) {
        for slot in self.slots.values() {
            slot.service.check();
        }
    }

    /// Calls into a service, performs what it wants, and remembers to end its batch.
    pub(crate) fn call<R>(&mut self, owner: Owner, f: impl FnOnce(&mut dyn AnyService, &mut Cx<'_>) -> R) -> Option<R> {
        let result = self.call_quietly(owner, f)?;
        self.touched.insert(owner);
        Some(result)
    }

    pub(crate) fn call_quietly<R>(
        &mut self,
        owner: Owner,
        f: impl FnOnce(&mut dyn AnyService, &mut Cx<'_>) -> R,
    ) -> Option<R> {
        let slot = self.slots.get_mut(&owner)?;
        let mut cx = Cx { now: self.now, node: &self.info, rng: &mut self.rng, out: &mut slot.outbox };
        let result = f(&mut *slot.service, &mut cx);
        let effects = std::mem::take(&mut slot.outbox.effects);
        for effect in effects {
            self.perform(owner, effect);
        }
        Some(result)
    }

    fn perform(&mut self, owner: Owner, effect: Effect) {
        match effect {
            Effect::Send(mut message) => {
                if message.cred == Cred::UNKNOWN {
                    message.cred = self.owner_cred();
                }
                self.queue.push_back((Hop::Slot(owner), message));
            }
            Effect::Store { tag, op } => self.outputs.push(Output::Store { owner, tag, op }),
            Effect::Process { tag, op } => self.outputs.push(Output::Process { owner, tag, op }),
            Effect::File { tag, op } => self.outputs.push(Output::File { owner, tag, op }),
            Effect::Compute { tag, errand } => self.outputs.push(Output::Compute { owner, tag, errand }),
            Effect::Log { level, text } => {
                let name = self.slots.get(&owner).map_or("broker", |slot| slot.service.name());
                self.log(level, name, &text);
            }
            Effect::Subscribe { prefix } => {
                self.subscribers_changed = true;
                let Some(slot) = self.slots.get_mut(&owner) else { return };
                if let Err(fault) = slot.subscriptions.add(&prefix) {
                    self.log(LogLevel::Err, "broker", &format!("subscription of {owner:?} refused: {fault}"));
                }
            }
            Effect::Unsubscribe { prefix } => {
                self.subscribers_changed = true;
                if let Some(slot) = self.slots.get_mut(&owner) {
                    // An unsubscribe without a subscribe changes nothing.
                    let _ = slot.subscriptions.remove(&prefix);
                }
            }
            Effect::SetAttr { name, value } => {
                self.attrs.set(&name, value);
                self.info.attrs = self.attrs.to_map();
            }
        }
    }

    /// Delivers messages until the queue is empty.
    fn drain(&mut self) {
        while let Some((from, message)) = self.queue.pop_front() {
            self.route(from, message);
        }
    }

    pub(crate) fn owner_cred(&self) -> Cred {
        Cred { userid: self.info.owner, rolemask: role::OWNER | role::LOCAL }
    }

    pub(crate) fn log(&mut self, level: LogLevel, app: &str, text: &str) {
        let pid = self.attrs.get("broker.pid").unwrap_or("-").to_owned();
        let line = LogLine::new(level, self.now.wall, self.info.rank, app, &pid, text);
        self.append_log(line);
    }
}

#[cfg(test)]
mod tests;
