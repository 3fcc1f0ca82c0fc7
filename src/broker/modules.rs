//! Modules: the services of this node, loaded, listed and removed by name.

use std::collections::BTreeMap;

use flux_service::{AnyService, Fault, LogLevel, Mono, Outbox, Plant, Service as _, enforced, planted};
use flux_types::Idset;
use flux_wire::{Errno, Kind, Message, Payload, RouteId, Target, role};
use serde_json::{Value, json};

use crate::disconnect::Disconnects;
use crate::event::Subscriptions;
use crate::external::ExternalSpec;
use crate::node::{Hop, Node, Owner};
use crate::route::Endpoint;
use crate::service::{Groups, TORPID};
use crate::state::RunLevel;

/// Makes a service by its module name; `None` if there is no such module.
pub type Loader = Box<dyn Fn(&str) -> Option<Factory>>;
/// A service, made and not yet started.
pub type Factory = Box<dyn AnyService>;

/// Names that are services and not modules of flux-core.
const SERVICE_ONLY: &[&str] =
    &["content-backing", "sched", "feasibility", "job-manager.history", "job-manager.post-event"];

/// Messages by kind, for `stats-get`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    sent: [u64; 4],
    received: [u64; 4],
}

fn index(kind: Kind) -> usize {
    (kind as u8).trailing_zeros() as usize
}

impl Counts {
    pub(crate) fn sent(&mut self, kind: Kind) {
        self.sent[index(kind)] += 1;
    }

    pub(crate) fn received(&mut self, kind: Kind) {
        self.received[index(kind)] += 1;
    }

    fn to_json(self) -> Value {
        let by_kind = |n: [u64; 4]| json!({"request": n[0], "response": n[1], "event": n[2], "control": n[3]});
        json!({"tx": by_kind(self.sent), "rx": by_kind(self.received)})
    }
}

/// A loaded service and what the node keeps about it.
pub(crate) struct Slot {
    pub(crate) service: Box<dyn AnyService>,
    pub(crate) uuid: RouteId,
    pub(crate) outbox: Outbox,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) counts: Counts,
    /// Its table has event rows.
    pub(crate) has_events: bool,
    /// Whom it has streams from.
    pub(crate) disconnects: Disconnects,
    /// Names it answers for.
    pub(crate) names: Vec<String>,
    /// `stop` has been called; it goes when it is idle, and then this request is answered.
    stopping: Option<Option<Message>>,
    last_used: Mono,
    debug_flags: i64,
}

impl Slot {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Somebody has asked for it to go: nothing new reaches it (RFC 5).
    pub(crate) fn is_removed(&self) -> bool {
        matches!(self.stopping, Some(Some(_)))
    }

    /// The module that a message concerns: one slot may stand for several of flux-core's.
    pub(crate) fn name_for(&self, message: &Message) -> String {
        let service = if message.kind() == Kind::Event { "" } else { message.service() };
        let known = |name: &&String| name.as_str() == service && !SERVICE_ONLY.contains(&name.as_str());
        self.names.iter().find(known).map_or_else(|| self.service.name().to_owned(), String::clone)
    }
}

#[derive(serde::Deserialize)]
struct NameBody {
    name: String,
}

#[derive(serde::Deserialize)]
struct LoadBody {
    path: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    loader: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    exec: bool,
}

#[derive(serde::Deserialize)]
struct RemoveBody {
    name: String,
    #[serde(default)]
    cancel: bool,
}

/// Statistics that tell of the jobs of all users, or that flux-core keeps to the owner.
const OWNERS_STATS: &[&str] = &["job-exec.stats-get", "job-info.stats-get", "heartbeat.stats-get", "content.stats-get"];

impl Node {
    /// Starts a service and registers its names.
    pub(crate) fn load(&mut self, service: Box<dyn AnyService>) -> Result<Owner, Fault> {
        let mut names = vec![service.name().to_owned()];
        names.extend(service.also().iter().map(|name| (*name).to_owned()));
        if names.iter().any(|name| self.names.contains_key(name)) {
            return Err(Fault::from(Errno::EEXIST));
        }
        let owner = Owner(self.next_owner);
        self.next_owner += 1;
        let uuid: RouteId = self.rng.uuid().into();
        self.hops.insert(uuid.clone(), Hop::Slot(owner));
        for name in &names {
            self.names.insert(name.clone(), Endpoint::Slot(owner));
        }
        let has_events = service.table().iter().any(|row| row.kind == Kind::Event);
        let name = service.name();
        let slot = Slot {
            service,
            uuid,
            outbox: Outbox::default(),
            subscriptions: Subscriptions::default(),
            counts: Counts::default(),
            has_events,
            disconnects: Disconnects::default(),
            names,
            stopping: None,
            last_used: self.now.mono,
            debug_flags: 0,
        };
        self.slots.insert(owner, slot);
        self.subscribers_changed = true;
        self.log(LogLevel::Debug, "broker", &format!("insmod {name}"));
        let started = self.call(owner, |service, cx| service.start(cx)).expect("the slot was just made");
        if let Err(fault) = started {
            self.unregister(owner);
            return Err(fault);
        }
        Ok(owner)
    }

    fn unregister(&mut self, owner: Owner) -> Option<Slot> {
        let mut slot = self.slots.remove(&owner)?;
        self.hops.remove(&slot.uuid);
        for name in &slot.names {
            self.names.remove(name);
        }
        if !self.info.rank.is_root() {
            self.parted.extend(slot.names.iter().cloned()); // What comes until it is loaded again goes up.
        }
        if planted(Plant::StreamsLeftBehind) {
            return Some(slot);
        }
        // What it listened to is told that it does no more, as of a client.
        for request in std::mem::take(&mut slot.disconnects).into_requests(std::slice::from_ref(&slot.uuid)) {
            self.queue.push_back((Hop::Core, request));
        }
        Some(slot)
    }

    /// Asks a service to stop; `reap_modules` removes it when it has nothing left to wait for.
    pub(crate) fn stop_module(&mut self, owner: Owner, request: Option<Message>) {
        let Some(slot) = self.slots.get_mut(&owner) else { return };
        if slot.is_stopping() {
            return;
        }
        slot.stopping = Some(request);
        self.call(owner, |service, cx| service.stop(cx));
    }

    /// Removes services that have stopped and are idle; `true` if there was one.
    pub(crate) fn reap_modules(&mut self, force: bool) -> bool {
        let at_rest = |slot: &Slot| slot.service.is_idle() || planted(Plant::RemovedInHaste);
        let done = |slot: &Slot| slot.is_stopping() && (force || at_rest(slot));
        let owners: Vec<Owner> = self.slots.iter().filter(|(_, slot)| done(slot)).map(|(owner, _)| *owner).collect();
        for owner in &owners {
            let Some(slot) = self.unregister(*owner) else { continue };
            self.log(LogLevel::Debug, "broker", &format!("rmmod {}", slot.service.name()));
            if let Some(Some(request)) = slot.stopping {
                if (self.loader)(slot.service.name()).is_none() {
                    self.kept.insert(slot.service.name(), slot.service);
                }
                self.answer(&request, Ok(Payload::None));
            }
        }
        !owners.is_empty()
    }

    fn owner_of(&self, name: &str) -> Result<Owner, Fault> {
        let found = self.slots.iter().find(|(_, slot)| slot.service.name() == name);
        found.map(|(owner, _)| *owner).ok_or(Fault::from(Errno::ENOENT))
    }

    pub(crate) fn module_load(&mut self, request: &Message) -> Result<Option<Payload>, Fault> {
        let body: LoadBody = request.decode()?;
        if self.core.state.level >= RunLevel::Finalize {
            // Nobody would unload it again.
            return Err(Fault::new(Errno::EBUSY, "the broker is unloading its modules"));
        }
        if body.exec || body.loader.is_some() {
            let spec = ExternalSpec { path: body.path, name: body.name, loader: body.loader, args: body.args };
            self.load_external(spec, request)?;
            return Ok(None);
        }
        let base = body.path.rsplit('/').next().unwrap_or(&body.path);
        let name = base.strip_suffix(".so").unwrap_or(base);
        if body.name.as_deref().is_some_and(|wanted| wanted != name) {
            let text = "a built-in module has one name: leave out --name, or load an external program with --exec";
            return Err(Fault::new(Errno::EINVAL, text));
        }
        let kept = self.kept.remove(name).or_else(|| (self.loader)(name));
        let mut service = kept.ok_or_else(|| Fault::new(Errno::ENOENT, "module not found in search path"))?;
        service.options(&body.args)?;
        self.load(service)?;
        if name == Groups::NAME && !planted(Plant::GroupsBeginEmpty) {
            self.groups_again();
        }
        Ok(Some(Payload::None))
    }

    /// The module of groups was loaded anew: who is below tells it of themselves, and the broker what it says of its own accord.
    fn groups_again(&mut self) {
        let children = self.links.family.online().to_string();
        self.core_cx(|cx| cx.notify("groups.resync", Target::Rank(cx.node.rank), json!({"children": children})));
        let torpid = self.links.family.children().iter().filter(|child| child.torpid).map(|child| child.rank);
        let torpid: Idset = torpid.collect();
        if !torpid.is_empty() {
            let body = json!({"update": [{"name": TORPID, "ranks": torpid.to_string(), "join": true}]});
            self.core_cx(|cx| cx.notify("groups.update", Target::Rank(cx.node.rank), body));
        }
        self.go_online_again();
    }

    pub(crate) fn module_remove(&mut self, request: &Message) -> Result<Option<Payload>, Fault> {
        let body: RemoveBody = request.decode()?;
        let Ok(owner) = self.owner_of(&body.name) else {
            self.remove_external(&body.name, body.cancel, request.clone())?;
            return Ok(None);
        };
        if self.slots[&owner].is_stopping() {
            return Err(Fault::new(Errno::EBUSY, format!("{} is already being removed", body.name)));
        }
        self.stop_module(owner, Some(request.clone()));
        Ok(None)
    }

    pub(crate) fn module_list(&mut self, _request: &Message) -> Result<Option<Payload>, Fault> {
        let row = |name: &str, uuid: &str, idle: u64, status: u32, services: Vec<&String>| {
            json!({"name": name, "path": "builtin", "idle": idle, "status": status, "services": services,
                "recvqueue": 0, "sendqueue": 0, "uuid": uuid})
        };
        let list = |slot: &Slot| {
            let idle = self.now.mono.since(slot.last_used).as_secs();
            let status = if slot.is_stopping() { 2 } else { u32::from(slot.service.is_ready()) };
            // A name under which flux-core has a module is listed as one; the others are services of the first.
            let (services, modules): (Vec<&String>, Vec<&String>) =
                slot.names.iter().partition(|name| SERVICE_ONLY.contains(&name.as_str()));
            let rows = modules.into_iter().enumerate();
            rows.map(|(at, name)| {
                let mut own = vec![name];
                own.extend(services.iter().filter(|_| at == 0));
                row(name, &slot.uuid, idle, status, own)
            })
            .collect::<Vec<Value>>()
        };
        let own = ["config", "connector-local", "overlay"]
            .map(|name| row(name, &self.core.connector_uuid, 0, 1, vec![&name.to_owned()]));
        let mods: Vec<Value> =
            own.into_iter().chain(self.slots.values().flat_map(list)).chain(self.core.externals.rows()).collect();
        Ok(Some(json!({"mods": mods}).into()))
    }

    pub(crate) fn module_disconnect(&mut self, request: &Message) -> Result<Option<Payload>, Fault> {
        self.end_traces(request);
        Ok(None)
    }

    pub(crate) fn module_debug(&mut self, request: &Message) -> Result<Option<Payload>, Fault> {
        let body: NameBody = request.decode()?;
        self.owner_of(&body.name)?;
        Ok(Some(Payload::None))
    }

    /// The methods that every module answers (RFC 5); `false` if `message` is none of them.
    pub(crate) fn standard_method(&mut self, owner: Owner, message: &Message) -> bool {
        let method = message.topic().rsplit('.').next().unwrap_or("").to_owned();
        let roles = match &*method {
            "ping" | "rusage" => role::OWNER | role::USER,
            "stats-get" if OWNERS_STATS.contains(&message.topic()) => role::OWNER,
            "stats-get" => role::ALL,
            "stats-clear" | "debug" | "config-reload" | "config-update" | "shutdown" => role::OWNER,
            // A service that keeps nothing for its clients need not hear that one went.
            "disconnect" => return true,
            _ => return false,
        };
        let outcome = if message.cred.rolemask & (roles | role::OWNER) == 0 && enforced("module-roles") {
            Err(Fault::new(Errno::EPERM, "Request requires owner credentials"))
        } else {
            self.run_standard(owner, &method, message)
        };
        match outcome {
            Ok(Some(payload)) => self.answer(message, Ok(payload)),
            Ok(None) => {}
            Err(fault) => self.answer(message, Err(fault)),
        }
        true
    }

    fn run_standard(&mut self, owner: Owner, method: &str, message: &Message) -> Result<Option<Payload>, Fault> {
        let slot = self.slots.get_mut(&owner).ok_or(Fault::from(Errno::ENOSYS))?;
        match method {
            "ping" => self.ping(message).map(Some),
            "rusage" => self.start_rusage(message),
            "stats-get" => {
                let own = slot.service.stats();
                let empty = own.as_object().is_none_or(serde_json::Map::is_empty);
                Ok(Some(if empty { slot.counts.to_json() } else { own }.into()))
            }
            "stats-clear" => {
                slot.counts = Counts::default();
                Ok(Some(Payload::None))
            }
            "debug" => {
                let body: BTreeMap<String, Value> = message.decode()?;
                let flags = body.get("flags").and_then(Value::as_i64).unwrap_or(0);
                match body.get("op").and_then(Value::as_str) {
                    Some("setbit") => slot.debug_flags |= flags,
                    Some("clrbit") => slot.debug_flags &= !flags,
                    Some("set") => slot.debug_flags = flags,
                    Some("clr") => slot.debug_flags = 0,
                    _ => return Err(Fault::from(Errno::EPROTO)),
                }
                Ok(Some(json!({"flags": slot.debug_flags}).into()))
            }
            "shutdown" => {
                self.stop_module(owner, None);
                Ok(Some(Payload::None))
            }
            _ => Ok(Some(Payload::None)),
        }
    }
}
