//! The `resource` service.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_sched::Claims;
use flux_service::{Completion, Cx, Fault, FileOp, Handler, LogLevel, Mono, Outcome, Plant, Service, Tag, planted};
use flux_types::eventlog::Entry;
use flux_types::{Idset, ResourceSet};
use flux_wire::{Errno, Message, Rank, Target};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::conf::Conf;
use crate::drain::{DrainContext, Drained, Drains, Overwrite};
use crate::inventory::{Inventory, Method, from_config, from_fake};
use crate::limits::{JOURNAL_MAX, REASON_MAX, WATCHERS_MAX};
use crate::log::{EventLog, entry_value};
use crate::targets::{nodelist, parse_targets};

/// Flag of `kvs.commit` operations: append to the value (RFC 11).
const KVS_APPEND: u32 = 32;

pub(crate) enum Waiting {
    /// The file that `resource.path` names.
    ConfigFile,
    /// The resources of an earlier run.
    OldResources,
    /// The file that `resource.scheduling` names.
    Scheduling,
    /// The eventlog of an earlier run.
    OldLog,
    /// The event is in the KVS.
    Commit(Message),
    /// As `Commit`, for a drain or undrain: what its ranks were before it.
    Drain(Message, Vec<(u32, Option<Drained>)>),
    /// What the job manager says is allocated, for `sched-status`.
    Allocated(Message),
    /// A file given to `resource.reload`.
    Reload(Message),
    /// A stream: the ranks in `broker.online`.
    Members,
    /// A stream: the ranks in `broker.torpid`.
    Torpid,
    Ignored,
}

#[derive(Deserialize)]
struct TargetsBody {
    targets: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    mode: Option<String>,
}

/// The inventory of the instance (RFC 20), drained and excluded targets, who is up (RFC 28), and the log of it all (RFC 44).
pub struct Resource {
    /// What was found on this node, should the configuration name nothing else.
    pub(crate) found: Inventory,
    /// Of several brokers: what some of them have told, as long as others are waited for.
    pub(crate) gathered: Option<ResourceSet>,
    /// Of several brokers: what an earlier run knew of those that are on the same hosts now, once that has been read.
    pub(crate) stored: Option<ResourceSet>,
    /// A quorum has told; when the others are waited for no longer.
    pub(crate) gather_until: Option<Mono>,
    /// What came after the resources were settled, and when it is added.
    pub(crate) late: ResourceSet,
    /// Drains of the last run of ranks whose resources are not known yet.
    pub(crate) drains_of_late: Drains,
    pub(crate) grow_at: Option<Mono>,
    /// Of several brokers: those that are there.
    pub(crate) members: Idset,
    /// Those that have been silent for too long.
    pub(crate) torpid: Idset,
    size: u32,
    pub(crate) set: ResourceSet,
    pub(crate) method: Method,
    pub(crate) online: Idset,
    /// The nodes are made up: they are there.
    is_fake: bool,
    /// What jobs run on.
    pub(crate) claims: Claims,
    pub(crate) excluded: Idset,
    pub(crate) drains: Drains,
    pub(crate) conf: Conf,
    /// What nodes have told before the inventory was known.
    pub(crate) reports: BTreeMap<u32, ResourceSet>,
    log: EventLog,
    journal: Vec<Message>,
    pub(crate) journal_max: usize,
    pub(crate) acquire: Option<Message>,
    /// What the scheduler was last told is up.
    pub(crate) told_up: Idset,
    muted: bool,
    waitup: Vec<(Message, usize)>,
    pub(crate) waiting: BTreeMap<Tag, Waiting>,
    pub(crate) ready: bool,
    pub(crate) known: Known,
    /// When the eventlog is looked for again.
    look_at: Option<Mono>,
    /// When it is asked again who is there.
    pub(crate) follow_at: Option<Mono>,
}

/// How long until a KVS, or groups, that are not loaded are asked again.
pub(crate) const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(500);

/// What brokers have told of themselves, kept beside the module: they tell it once, and the module may be loaded anew.
#[derive(Clone, Debug, Default)]
pub struct Known(Rc<RefCell<ResourceSet>>);

impl Known {
    pub(crate) fn get(&self) -> ResourceSet {
        self.0.borrow().clone()
    }

    /// This broker's own resources stand in it once the inventory is settled.
    pub(crate) fn is_settled(&self, own: Rank) -> bool {
        self.0.borrow().get(own.0).is_some()
    }

    /// These ranks have this.
    pub(crate) fn note(&self, set: &ResourceSet) {
        let mut known = self.0.borrow_mut();
        known.remove_ranks(&set.ranks());
        // What was there under these ranks is gone: nothing stands in the way.
        let _ = known.append(set);
    }
}

impl Service for Resource {
    const NAME: &'static str = "resource";
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::owner("resource.acquire", Resource::acquire),
        Handler::owner("resource.acquire-cancel", Resource::acquire_cancel),
        Handler::owner("resource.acquire-mute", Resource::acquire_mute),
        Handler::owner("resource.topo-reduce", Resource::topo_reduce),
        Handler::owner("resource.drain", Resource::drain),
        Handler::owner("resource.undrain", Resource::undrain),
        Handler::owner("resource.reload", Resource::reload),
        Handler::owner("resource.get", Resource::get),
        Handler::owner("resource.claim", Resource::claim),
        Handler::owner("resource.release", Resource::release),
        Handler::owner("resource.forget-claims", Resource::forget_claims),
        Handler::owner("resource.expiration-update", Resource::expiration_update),
        Handler::owner("resource.monitor-waitup", Resource::monitor_waitup),
        Handler::owner("resource.monitor-force-down", Resource::monitor_force_down),
        Handler::owner("resource.journal", Resource::journal),
        Handler::owner("resource.journal-cancel", Resource::journal_cancel),
        Handler::user("resource.status", Resource::status),
        Handler::user("resource.sched-status", Resource::sched_status),
        Handler::user("resource.disconnect", Resource::disconnect),
    ];

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.configure(cx)?;
        if self.size > 1 {
            self.follow_members(cx);
        }
        if let Some(table) = cx.node.config_at("fake-resources") {
            let set = from_fake(table).map_err(|text| Fault::new(Errno::EINVAL, text))?;
            self.is_fake = true;
            self.inventory_known(cx, Inventory::new(set, Method::Kvs));
        } else if let Some(entries) = cx.node.config_at("resource.config") {
            let set = from_config(entries).map_err(|error| Fault::new(Errno::EINVAL, error.to_string()))?;
            self.inventory_known(cx, Inventory::new(set, Method::Configuration));
        } else if let Some(path) = cx.node.config_at("resource.path").and_then(Value::as_str) {
            let tag = cx.file(FileOp::Read { path: path.to_owned() });
            self.waiting.insert(tag, Waiting::ConfigFile);
        } else if let Some(inventory) = self.of_the_parent(cx).filter(|_| !self.conf.rediscover) {
            self.inventory_known(cx, inventory);
        } else if self.known.is_settled(cx.node.rank) {
            self.begin_again(cx);
        } else if self.size > 1 {
            self.begin_gathering(cx);
        } else {
            let found = self.found.clone();
            self.is_fake = found.is_made_up;
            self.inventory_known(cx, found);
        }
        Ok(())
    }

    /// With a quorum the instance runs; jobs wait until it is known what there is for them.
    fn is_ready(&self) -> bool {
        self.ready || self.gather_until.is_some()
    }

    fn next_timer(&self) -> Option<Mono> {
        self.gather_until.into_iter().chain(self.grow_at).chain(self.look_at).chain(self.follow_at).min()
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        if self.gather_until.is_some_and(|at| at <= cx.now.mono) {
            self.settle_gathered(cx);
        }
        if self.look_at.take_if(|at| *at <= cx.now.mono).is_some() {
            self.look_for_log(cx);
        }
        if self.follow_at.take_if(|at| *at <= cx.now.mono).is_some() {
            self.follow_members(cx);
        }
        self.grow(cx);
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        for request in std::mem::take(&mut self.journal).into_iter().chain(self.acquire.take()) {
            cx.end_stream(&request);
        }
        for (request, _) in std::mem::take(&mut self.waitup) {
            cx.respond_error(&request, &Fault::new(Errno::ENOSYS, "the resource module is going away"));
        }
    }

    /// What somebody waits for is answered.
    fn is_idle(&self) -> bool {
        let asked = |waiting: &Waiting| {
            matches!(
                waiting,
                Waiting::Commit(_) | Waiting::Drain(..) | Waiting::Allocated(_) | Waiting::Reload(_) | Waiting::Ignored
            )
        };
        !self.waiting.values().any(asked)
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        match self.waiting.remove(&tag) {
            Some(Waiting::OldResources) => self.old_resources(cx, reply),
            Some(Waiting::OldLog) => self.old_log(cx, reply),
            Some(Waiting::Commit(request)) => match Fault::of(reply) {
                Some(fault) => cx.respond_error(&request, &fault),
                None => cx.respond_empty(&request),
            },
            Some(Waiting::Drain(request, former)) => match Fault::of(reply) {
                Some(fault) => self.drain_failed(cx, &request, former, &fault),
                None => cx.respond_empty(&request),
            },
            Some(Waiting::Members) => self.members_changed(cx, tag, reply),
            Some(Waiting::Torpid) => self.torpid_changed(cx, tag, reply),
            Some(Waiting::Allocated(request)) => self.finish_sched_status(cx, &request, reply),
            _ => {}
        }
    }

    fn on_completion(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: Completion) {
        let waiting = self.waiting.remove(&tag);
        if let Some(Waiting::Scheduling) = waiting {
            return self.scheduling_known(cx, completion);
        }
        let set = match completion {
            Completion::File(bytes) => std::str::from_utf8(&bytes)
                .map_err(|error| error.to_string())
                .and_then(|text| ResourceSet::parse(text).map_err(|error| error.to_string())),
            Completion::Failed(fault) => Err(fault.message()),
            _ => return,
        };
        match (waiting, set) {
            (Some(Waiting::ConfigFile), Ok(set)) => {
                self.inventory_known(cx, Inventory::new(set, Method::Configuration));
            }
            (Some(Waiting::ConfigFile), Err(why)) => {
                cx.log(LogLevel::Crit, format!("resource.path: {why}; the instance has no resources"));
                self.inventory_known(cx, Inventory::new(ResourceSet::new(), Method::Configuration));
            }
            (Some(Waiting::Reload(request)), Ok(set)) => self.reload_set(cx, &request, set),
            (Some(Waiting::Reload(request)), Err(why)) => {
                cx.respond_error(&request, &Fault::new(Errno::EINVAL, why));
            }
            _ => {}
        }
    }

    fn on_config(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.configure(cx)?;
        let excluded = self.configured_exclusion(cx)?;
        self.set_excluded(cx, excluded);
        Ok(())
    }

    fn check(&self) {
        assert!(self.told_up.is_subset(&self.set.ranks()), "the scheduler knows of ranks that are not there");
    }
}

impl Resource {
    /// `found` is this node's own inventory: what there is unless the configuration says otherwise.
    /// `size` is that of the instance.
    pub fn new(found: Inventory, size: u32) -> Resource {
        Resource {
            set: ResourceSet::new(),
            method: found.method,
            found,
            gathered: None,
            stored: None,
            gather_until: None,
            late: ResourceSet::new(),
            drains_of_late: Drains::default(),
            grow_at: None,
            members: Idset::new(),
            torpid: Idset::new(),
            size,
            online: Idset::new(),
            is_fake: false,
            excluded: Idset::new(),
            drains: Drains::default(),
            claims: Claims::default(),
            conf: Conf::default(),
            reports: BTreeMap::new(),
            log: EventLog::default(),
            journal: Vec::new(),
            journal_max: JOURNAL_MAX,
            acquire: None,
            told_up: Idset::new(),
            muted: false,
            waitup: Vec::new(),
            waiting: BTreeMap::new(),
            ready: false,
            known: Known::default(),
            look_at: None,
            follow_at: None,
        }
    }

    /// The resource service that finds what the ones before it on this broker have been told.
    pub fn knowing(self, known: Known) -> Resource {
        Resource { known, ..self }
    }

    /// Drains outlive a restart: the log of the last run says what they were.
    fn old_log(&mut self, cx: &mut Cx<'_>, reply: &Message) {
        match Fault::of(reply) {
            None => self.replay(cx, &stored_text(reply).unwrap_or_default()),
            Some(fault) if fault.errno == Errno::ENOENT => {}
            Some(fault) if fault.errno == Errno::ENOSYS => {
                // The KVS is being reloaded, too.
                self.look_at = Some(cx.now.mono.after(LOOK_AGAIN));
                return;
            }
            Some(fault) => cx.log(LogLevel::Err, format!("resource.eventlog cannot be read: {fault}; drains are lost")),
        }
        match self.configured_exclusion(cx) {
            Ok(excluded) => self.excluded = excluded,
            Err(fault) => cx.log(LogLevel::Err, format!("resource.exclude: {fault}")),
        }
        self.drains.undrain(&self.excluded.clone());
        let all = self.set.ranks();
        let restart = json!({"ranks": all.to_string(), "online": "", "nodelist": nodelist(&self.set, &all)});
        let restart = self.event(cx, "restart", restart);
        let define = self.event(cx, "resource-define", json!({"method": self.method.name()}));
        self.commit(cx, &[restart, define], true, Waiting::Ignored);
        if cx.node.attr("broker.recovery-mode").is_none() {
            self.compare_all(cx);
        }
        let me = Idset::range(cx.node.rank.0, cx.node.rank.0);
        let here = match self.size {
            _ if self.is_fake => all,
            1 => me,
            _ => self.members.clone(),
        };
        self.went_online(cx, &here);
        self.ready = true;
        self.begin_acquire(cx);
    }

    fn replay(&mut self, cx: &mut Cx<'_>, text: &str) {
        for line in text.lines().filter(|line| !line.is_empty()) {
            let Ok(entry) = Entry::parse(&format!("{line}\n")) else {
                cx.log(LogLevel::Err, format!("resource.eventlog has a malformed entry: {line}"));
                continue;
            };
            let context = Value::Object(entry.context.clone().unwrap_or_default());
            let Ok(context) = serde_json::from_value::<DrainContext>(context) else { continue };
            let Ok(ranks) = Idset::parse(&context.idset) else { continue };
            if planted(Plant::DrainsForgotten) {
                continue;
            }
            let known = self.set.ranks();
            for (drains, ranks) in [
                (&mut self.drains, ranks.intersect(&known)),
                // Their brokers may come later.
                (&mut self.drains_of_late, ranks.subtract(&known).intersect(&Idset::below(self.size))),
            ] {
                match entry.name.as_str() {
                    "drain" => drains.drain(&ranks, entry.timestamp, context.reason.as_deref(), context.overwrite),
                    "undrain" => drains.undrain(&ranks),
                    _ => {}
                }
            }
        }
    }

    fn configured_exclusion(&self, cx: &Cx<'_>) -> Result<Idset, Fault> {
        match cx.node.config_at("resource.exclude") {
            None => Ok(Idset::new()),
            Some(Value::String(text)) => parse_targets(&self.set, text),
            Some(_) => Err(Fault::new(Errno::EINVAL, "resource.exclude must be an idset or a hostlist in a string")),
        }
    }

    fn set_excluded(&mut self, cx: &mut Cx<'_>, excluded: Idset) {
        self.drains.undrain(&excluded);
        self.excluded = excluded;
        self.tell_scheduler(cx);
    }

    pub(crate) fn went_online(&mut self, cx: &mut Cx<'_>, ranks: &Idset) {
        let new = ranks.subtract(&self.online).intersect(&self.set.ranks());
        // What is being recovered runs nothing.
        if new.is_empty() || cx.node.attr("broker.recovery-mode").is_some() {
            return;
        }
        self.online.extend_from(&new);
        let event = self.event(cx, "online", json!({"idset": new.to_string()}));
        self.commit(cx, &[event], false, Waiting::Ignored);
        self.tell_scheduler(cx);
        let up = self.online.count();
        let (done, waiting) = std::mem::take(&mut self.waitup).into_iter().partition(|(_, want)| *want <= up);
        self.waitup = waiting;
        for (request, _) in done {
            cx.respond_empty(&request);
        }
    }

    /// Makes an event, keeps it in memory and shows it to the journal's readers.
    pub(crate) fn event(&mut self, cx: &mut Cx<'_>, name: &str, context: Value) -> Entry {
        let Value::Object(context) = context else { panic!("an event's context is an object") };
        let entry = Entry { timestamp: cx.now.wall.timestamp(), name: name.to_owned(), context: Some(context) };
        self.log.append(entry.clone(), self.journal_max);
        let mut body = Map::from_iter([("events".to_owned(), json!([entry_value(&entry)]))]);
        if name == "resource-define" {
            body.insert("R".into(), self.set.to_value());
        }
        for request in &self.journal {
            cx.respond(request, Value::Object(body.clone()));
        }
        entry
    }

    pub(crate) fn commit(&mut self, cx: &mut Cx<'_>, events: &[Entry], define: bool, then: Waiting) {
        let text: String = events.iter().map(Entry::encode).collect();
        let op = |key: &str, flags: u32, text: &str| {
            let data = STANDARD.encode(text);
            json!({"key": key, "flags": flags, "dirent": {"data": data, "type": "val", "ver": 1}})
        };
        let mut ops = vec![op("resource.eventlog", KVS_APPEND, &text)];
        if define {
            ops.insert(0, op("resource.R", 0, &self.set.encode()));
        }
        let durability = if matches!(then, Waiting::Ignored) { "written" } else { "synced" };
        let body = json!({"namespace": "primary", "flags": 0, "ops": ops, "durability": durability});
        let tag = cx.request("kvs.commit", Target::Any, body);
        self.waiting.insert(tag, then);
    }

    /// The targets a job may get.
    fn up(&self) -> Idset {
        self.online.subtract(&self.drains.ranks()).subtract(&self.excluded).subtract(&self.torpid)
    }

    pub(crate) fn tell_scheduler(&mut self, cx: &mut Cx<'_>) {
        let Some(request) = &self.acquire else { return };
        if self.muted || !self.ready {
            return;
        }
        let now_up = self.up();
        let (up, down) = (now_up.subtract(&self.told_up), self.told_up.subtract(&now_up));
        let mut body = Map::new();
        for (key, ranks) in [("up", up), ("down", down)] {
            if !ranks.is_empty() {
                body.insert(key.into(), ranks.to_string().into());
            }
        }
        if !body.is_empty() {
            cx.respond(request, Value::Object(body));
            self.told_up = now_up;
        }
    }

    fn acquire(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if !request.is_streaming() {
            return Err(Fault::from(Errno::EPROTO));
        }
        if self.acquire.is_some() {
            return Err(Fault::new(Errno::EBUSY, "a scheduler holds the resources already"));
        }
        self.acquire = Some(request.clone());
        if self.ready {
            self.begin_acquire(cx); // Otherwise as soon as the resources are known.
        }
        Ok(())
    }

    fn begin_acquire(&mut self, cx: &mut Cx<'_>) {
        let Some(request) = &self.acquire else { return };
        let mut set = self.set.clone();
        set.remove_ranks(&self.excluded);
        let up = self.up();
        cx.respond(request, json!({"resources": set.to_value(), "up": up.to_string()}));
        self.told_up = up;
    }

    fn acquire_cancel(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if let Some(acquire) = self.acquire.take_if(|acquire| request.same_sender(acquire)) {
            cx.end_stream(&acquire);
        }
        self.muted = false;
        Ok(())
    }

    fn acquire_mute(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.muted = true;
        cx.respond_empty(request);
        Ok(())
    }

    fn drain(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: TargetsBody = request.decode()?;
        let mode = Overwrite::from_mode(body.mode.as_deref())?;
        let ranks = parse_targets(&self.set, &body.targets)?;
        if body.reason.as_ref().is_some_and(|reason| reason.len() > REASON_MAX) {
            return Err(Fault::new(Errno::EINVAL, format!("the reason is longer than {REASON_MAX} bytes")));
        }
        let excluded = ranks.intersect(&self.excluded);
        let already = match mode {
            Overwrite::Refuse => ranks.intersect(&self.drains.ranks_with_reason()),
            _ => Idset::default(),
        };
        let (errno, state) = match (already.is_empty(), excluded.is_empty()) {
            (true, true) => (Errno::EINVAL, ""),
            (true, false) => (Errno::EINVAL, "excluded"),
            (false, true) => (Errno::EEXIST, "already drained"),
            (false, false) => (Errno::EEXIST, "already drained or excluded"),
        };
        if !state.is_empty() {
            return Err(Fault::new(errno, format!("{} {state}", told(&already.union(&excluded)))));
        }
        let event = self.drain_event(cx, &ranks, body.reason.as_deref(), mode);
        let former = self.drains.of(&ranks);
        self.drains.drain(&ranks, event.timestamp, body.reason.as_deref(), mode.number());
        self.commit(cx, &[event], false, Waiting::Drain(request.clone(), former));
        self.tell_scheduler(cx);
        Ok(())
    }

    fn undrain(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: TargetsBody = request.decode()?;
        let ranks = parse_targets(&self.set, &body.targets)?;
        let not_drained = ranks.subtract(&self.drains.ranks());
        let mode = Overwrite::from_mode(body.mode.as_deref()).map_err(|_| {
            let text = format!("invalid undrain mode '{}' specified", body.mode.as_deref().unwrap_or_default());
            Fault::new(Errno::EINVAL, text)
        })?;
        if mode == Overwrite::Refuse && !not_drained.is_empty() {
            return Err(Fault::new(Errno::EEXIST, format!("{} not drained", told(&not_drained))));
        }
        let mut context = Map::new();
        context.insert("idset".into(), ranks.to_string().into());
        context.insert("nodelist".into(), nodelist(&self.set, &ranks).into());
        if let Some(reason) = &body.reason {
            context.insert("reason".into(), reason.clone().into());
        }
        context.insert("overwrite".into(), mode.number().into());
        let event = self.event(cx, "undrain", Value::Object(context));
        let former = self.drains.of(&ranks);
        self.drains.undrain(&ranks);
        self.commit(cx, &[event], false, Waiting::Drain(request.clone(), former));
        self.tell_scheduler(cx);
        Ok(())
    }

    /// The disk is full: whoever asked is told so, and the nodes are what they were, as they would be after a restart.
    fn drain_failed(&mut self, cx: &mut Cx<'_>, request: &Message, former: Vec<(u32, Option<Drained>)>, fault: &Fault) {
        cx.respond_error(request, fault);
        let (drained, free): (Vec<_>, Vec<_>) = former.iter().partition(|(_, drained)| drained.is_some());
        let ranks = |list: Vec<&(u32, Option<Drained>)>| list.into_iter().map(|(rank, _)| *rank).collect::<Idset>();
        for (name, ranks) in [("drain", ranks(drained)), ("undrain", ranks(free))] {
            if !ranks.is_empty() {
                let context =
                    json!({"idset": ranks.to_string(), "nodelist": nodelist(&self.set, &ranks), "overwrite": 0});
                self.event(cx, name, context);
            }
        }
        self.drains.put_back(former);
        self.tell_scheduler(cx);
    }

    fn reload(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        #[derive(Deserialize)]
        struct Body {
            path: String,
            #[serde(default)]
            xml: bool,
        }
        let body: Body = request.decode()?;
        if body.xml {
            return Err(Fault::new(Errno::ENOTSUP, "hwloc XML is read by flux resource reload --xml, not here"));
        }
        let tag = cx.file(FileOp::Read { path: body.path });
        self.waiting.insert(tag, Waiting::Reload(request.clone()));
        Ok(())
    }

    fn reload_set(&mut self, cx: &mut Cx<'_>, request: &Message, set: ResourceSet) {
        let force =
            request.decode::<Map<String, Value>>().is_ok_and(|body| body.get("force") == Some(&Value::Bool(true)));
        let size = cx.node.size;
        if set.ranks().last().is_some_and(|rank| rank >= size) {
            if !force {
                let text = format!("resource object contains ranks exceeding size={size} (override with -f)");
                return cx.respond_error(request, &Fault::new(Errno::EINVAL, text));
            }
            cx.log(LogLevel::Err, format!("WARN: resource object contains ranks exceeding size={size}"));
        }
        self.set = set;
        self.method = Method::Reload;
        self.online = self.online.intersect(&self.set.ranks());
        self.told_up = self.told_up.intersect(&self.set.ranks());
        let event = self.event(cx, "resource-define", json!({"method": self.method.name()}));
        self.commit(cx, &[event], true, Waiting::Commit(request.clone()));
        self.tell_scheduler(cx);
    }

    fn get(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        cx.respond(request, json!({"R": self.set.to_value(), "method": self.method.name()}));
        Ok(())
    }

    fn expiration_update(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        #[derive(Deserialize)]
        struct Body {
            expiration: f64,
        }
        let body: Body = request.decode()?;
        if !body.expiration.is_finite() || body.expiration < 0.0 {
            return Err(Fault::from(Errno::EINVAL));
        }
        let before = std::mem::replace(&mut self.set.expiration, body.expiration);
        let event = self.event(cx, "resource-update", json!({"expiration": body.expiration}));
        self.commit(cx, &[event], true, Waiting::Commit(request.clone()));
        if let Some(acquire) = &self.acquire {
            cx.respond(acquire, json!({"expiration": body.expiration}));
        }
        if before != body.expiration {
            let body = json!({"expiration": body.expiration, "before": before});
            let tag = cx.request("job-manager.instance-expiration", Target::Any, body);
            self.waiting.insert(tag, Waiting::Ignored);
        }
        Ok(())
    }

    fn monitor_waitup(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        #[derive(Deserialize)]
        struct Body {
            up: usize,
        }
        let body: Body = request.decode()?;
        if body.up > cx.node.size as usize {
            return Err(Fault::new(Errno::EINVAL, format!("the instance has {} brokers only", cx.node.size)));
        }
        if self.online.count() >= body.up {
            cx.respond_empty(request);
        } else if self.waitup.len() >= WATCHERS_MAX {
            return Err(Fault::from(Errno::EAGAIN));
        } else {
            self.waitup.push((request.clone(), body.up));
        }
        Ok(())
    }

    fn monitor_force_down(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        #[derive(Deserialize)]
        struct Body {
            ranks: String,
        }
        let body: Body = request.decode()?;
        let ranks = parse_targets(&self.set, &body.ranks)?.intersect(&self.online);
        if !ranks.is_empty() {
            self.online.remove_all(&ranks);
            let event = self.event(cx, "offline", json!({"idset": ranks.to_string()}));
            self.commit(cx, &[event], false, Waiting::Ignored);
            self.tell_scheduler(cx);
        }
        cx.respond_empty(request);
        Ok(())
    }

    fn journal(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if !request.is_streaming() {
            return Err(Fault::from(Errno::EPROTO));
        }
        if self.journal.len() >= WATCHERS_MAX {
            return Err(Fault::from(Errno::EAGAIN));
        }
        cx.respond(request, json!({"events": self.log.to_values(), "R": self.set.to_value()}));
        cx.respond(request, json!({"events": []}));
        self.journal.push(request.clone());
        Ok(())
    }

    fn journal_cancel(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        #[derive(Deserialize)]
        struct Body {
            matchtag: u32,
        }
        let body: Body = request.decode()?;
        let ended = |one: &Message| one.matchtag() == body.matchtag && request.same_sender(one);
        for one in self.journal.iter().filter(|one| ended(one)) {
            cx.end_stream(one);
        }
        self.journal.retain(|one| !ended(one));
        Ok(())
    }

    fn status(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let offline = self.set.ranks().subtract(&self.online);
        let body = json!({
            "R": self.set.to_value(),
            "drain": self.drains.to_value(),
            "online": self.online.to_string(),
            "offline": offline.to_string(),
            "exclude": self.excluded.to_string(),
            "torpid": self.torpid.to_string(),
        });
        cx.respond(request, body);
        Ok(())
    }

    fn sched_status(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let tag = cx.request("job-manager.resource-status", Target::Any, json!({}));
        self.waiting.insert(tag, Waiting::Allocated(request.clone()));
        Ok(())
    }

    fn finish_sched_status(&mut self, cx: &mut Cx<'_>, request: &Message, reply: &Message) {
        let allocated = match reply.errno() {
            None => reply.payload.value().ok().and_then(|body| body.get("allocated").cloned()),
            Some(_) => None, // No job manager: nothing is allocated.
        };
        let allocated = allocated.unwrap_or_else(|| ResourceSet::new().to_value());
        let mut all = self.set.clone();
        all.remove_ranks(&self.excluded);
        let down = all.copy_ranks(&all.ranks().subtract(&self.up()));
        cx.respond(request, json!({"all": all.to_value(), "down": down.to_value(), "allocated": allocated}));
    }

    fn disconnect(&mut self, _cx: &mut Cx<'_>, request: &Message) -> Outcome {
        self.journal.retain(|one| !request.same_sender(one));
        self.waitup.retain(|(one, _)| !request.same_sender(one));
        if self.acquire.take_if(|acquire| request.same_sender(acquire)).is_some() {
            self.muted = false;
        }
        Ok(())
    }
}

/// The text that a `kvs.lookup` answered with.
pub(crate) fn stored_text(reply: &Message) -> Option<String> {
    let body = reply.payload.value().ok()?;
    let data = body.get("val")?.get("data")?.as_str()?;
    String::from_utf8(STANDARD.decode(data).ok()?).ok()
}

/// `rank 1`, `ranks 1-2`.
fn told(ranks: &Idset) -> String {
    format!("rank{} {ranks}", if ranks.count() > 1 { "s" } else { "" })
}

#[cfg(test)]
mod tests;
