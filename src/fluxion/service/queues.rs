//! `sched-fluxion-qmanager`: the scheduler (RFC 27) with its queues.

use super::config::merged;
use super::{QmanagerConfig, Shared, Sharing, number, refused, seconds};
use crate::jobspec::Jobspec;
use crate::limits::{PENDING_COUNT_MAX, VERTEX_IN_LOOP_COUNT_MAX};
use crate::policy::Queue;
use flux_sched::{AllocBody, Handshake, Heard, IdBody, PrioritizeBody, cancelled, deny};
use flux_service::{Cx, Fault, Handler, LogLevel, Mono, Outcome, Service, Tag};
use flux_types::{Idset, ResourceSet};
use flux_wire::{Errno, Message, Payload, Target};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long until a module that is gone is looked for again.
pub(super) const RETRY: Duration = Duration::from_millis(100);

/// Gives jobs resources, queue by queue.
pub(super) struct FluxionQmanager {
    pub(super) shared: Shared,
    args: Vec<String>,
    config: Option<QmanagerConfig>,
    /// The queues that `[queues]` names, or `default`.
    pub(super) configured: Vec<String>,
    /// By name; jobs without a queue are in `default`.
    pub(super) queues: BTreeMap<String, Queue>,
    /// Requests of jobs that wait, and their queues.
    pub(super) messages: BTreeMap<u64, (Message, String)>,
    /// What was said of each queue since the start or the last `stats-clear`.
    pub(super) counts: BTreeMap<String, super::decide::Counts>,
    /// Jobs that hold resources, by queue.
    pub(super) running: BTreeMap<u64, String>,
    /// What the graph's module tells.
    notify: Option<Tag>,
    retry: Option<Mono>,
    /// The queue that had the last turn that was cut short, or was in a thread; and whether it is in the midst of a cycle.
    pub(super) turn: Option<(String, bool)>,
    /// A turn was not begun, as the other modules have waited for the graph.
    pub(super) is_postponed: bool,
    pub(super) handshake: Handshake,
    /// Jobs that run although nobody knows on what: they are not given anything back.
    lost: BTreeSet<u64>,
    /// The nodes of the graph, when it was made.
    ranks: Idset,
    stopped: bool,
    pub(super) cycles: u64,
}

impl Service for FluxionQmanager {
    const NAME: &'static str = "sched-fluxion-qmanager";
    const ALSO: &'static [&'static str] = &["sched"];
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::owner("sched.alloc", FluxionQmanager::alloc),
        Handler::owner("sched.cancel", FluxionQmanager::cancel),
        Handler::owner("sched.free", FluxionQmanager::free),
        Handler::owner("sched.prioritize", FluxionQmanager::prioritize),
        Handler::owner("sched.expiration", FluxionQmanager::expiration),
        Handler::owner("sched.hello-again", FluxionQmanager::hello_again),
        Handler::user("sched.resource-status", FluxionQmanager::resource_status),
        Handler::user("sched-fluxion-qmanager.params", FluxionQmanager::params),
        Handler::owner("sched-fluxion-qmanager.why", FluxionQmanager::why),
        Handler::owner("sched-fluxion-qmanager.stats-clear", FluxionQmanager::stats_clear),
    ];

    fn options(&mut self, args: &[String]) -> Result<(), Fault> {
        self.args = args.to_vec();
        Ok(())
    }

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.configure(cx)?;
        self.follow(cx);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.handshake.is_ready()
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.stopped = true;
        // The next scheduler is told what runs then, and makes its own reservations.
        self.clear_graph();
        self.drop_requests(cx);
        cx.notify("sched-fluxion-resource.disconnect", Target::Any, json!({}));
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        if self.notify == Some(tag) {
            return self.notified(cx, reply);
        }
        match self.handshake.on_reply(cx, tag, reply) {
            Heard::Running { id, r, freed } => self.retake(cx, id, &r, &freed),
            Heard::Ready => self.notice_room(),
            Heard::Nothing | Heard::NotMine => {}
        }
    }

    fn on_batch_end(&mut self, cx: &mut Cx<'_>) {
        self.is_postponed = false;
        if self.handshake.is_ready() && !self.stopped {
            self.schedule(cx);
        }
    }

    fn on_config(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.configure(cx)
    }

    fn next_timer(&self) -> Option<Mono> {
        self.retry.into_iter().chain(self.handshake.next_timer()).min()
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        self.handshake.on_timer(cx);
        if self.retry.take_if(|at| *at <= cx.now.mono).is_some() {
            self.follow(cx);
        }
    }

    fn stats(&self) -> Value {
        self.all_stats()
    }

    fn check(&self) {
        let waiting: usize = self.queues.values().map(Queue::len).sum();
        if self.shared.is_lent() || self.shared.has_ended() {
            return; // A queue is away.
        }
        assert_eq!(waiting, self.messages.len(), "every job that waits has a request and a queue");
    }
}

impl Sharing for FluxionQmanager {
    const REPLIES_WAIT: bool = true;

    fn shared(&self) -> &Shared {
        &self.shared
    }

    fn settle(&mut self, cx: &mut Cx<'_>) {
        self.turn_ended(cx);
    }

    fn is_unsettled(&self) -> bool {
        self.shared.has_ended() || self.is_postponed
    }
}

impl FluxionQmanager {
    pub(super) fn new(shared: Shared) -> FluxionQmanager {
        FluxionQmanager {
            shared,
            args: Vec::new(),
            config: None,
            configured: Vec::new(),
            queues: BTreeMap::new(),
            messages: BTreeMap::new(),
            counts: BTreeMap::new(),
            running: BTreeMap::new(),
            notify: None,
            retry: None,
            turn: None,
            is_postponed: false,
            handshake: Handshake::default(),
            lost: BTreeSet::new(),
            ranks: Idset::new(),
            stopped: false,
            cycles: 0,
        }
    }

    /// Reads the configuration; queues that are there go on under the new rules.
    fn configure(&mut self, cx: &Cx<'_>) -> Result<(), Fault> {
        let table = merged(cx, "sched-fluxion-qmanager", &self.args)?;
        let config = QmanagerConfig::from_table(&table).map_err(refused)?;
        self.queues.iter_mut().for_each(|(name, queue)| queue.configure(config.of(name)));
        self.config = Some(config);
        let named = cx.node.config_at("queues").and_then(Value::as_object).filter(|queues| !queues.is_empty());
        self.configured = match named {
            None => vec!["default".into()],
            Some(queues) => {
                let own = queues.iter().filter(|(_, queue)| queue.get("parent").is_none());
                own.map(|(name, _)| name.clone()).collect()
            }
        };
        Ok(())
    }

    fn follow(&mut self, cx: &mut Cx<'_>) {
        let topic = "sched-fluxion-resource.notify";
        self.notify = Some(cx.request_stream(topic, Target::Any, json!({"changes": true})));
    }

    /// The graph is there, or it has changed, or its module is gone.
    fn notified(&mut self, cx: &mut Cx<'_>, reply: &Message) {
        if let Some(fault) = Fault::of(reply) {
            self.notify = None;
            if !self.stopped {
                if self.handshake.is_ready() {
                    let text = format!("sched-fluxion-resource is gone ({fault}): nothing is scheduled");
                    cx.log(LogLevel::Warning, text);
                }
                self.drop_requests(cx);
                self.handshake = Handshake::default();
                self.running.clear();
                self.retry = Some(cx.now.mono.after(RETRY));
            }
            return;
        }
        let resources = reply.payload.value().ok().and_then(|body| body.get("resources").cloned());
        if let Some(resources) = resources {
            self.ranks = ResourceSet::from_value(&resources).map(|set| set.ranks()).unwrap_or_default();
            self.handshake.begin(cx);
        }
        self.queues.values_mut().for_each(Queue::notice_status);
    }

    /// Nothing is given to a job, or reserved for one.
    fn clear_graph(&self) {
        if let Ok(mut fluxion) = self.shared.graph() {
            for id in self.running.keys().chain(self.messages.keys()) {
                _ = fluxion.cancel(*id);
            }
        }
    }

    /// There is another job manager: it tells what runs, and asks again for what waits.
    fn hello_again(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if self.handshake.has_begun() && !self.stopped {
            self.clear_graph();
            self.messages.clear();
            self.queues.clear();
            self.running.clear();
            self.lost.clear();
            self.handshake = Handshake::default();
            self.handshake.begin(cx);
        }
        cx.respond_empty(request);
        Ok(())
    }

    fn drop_requests(&mut self, cx: &mut Cx<'_>) {
        for (message, _) in std::mem::take(&mut self.messages).into_values() {
            cx.respond_error(&message, &Fault::new(Errno::ENOSYS, "the scheduler is going away"));
        }
        self.queues.clear();
    }

    fn retake(&mut self, cx: &mut Cx<'_>, id: u64, r: &Value, freed: &Idset) {
        let Err(why) = self.put_back(cx, id, r, freed) else { return };
        // Nodes that are not here any more: the rest stays with the job until its shells have ended.
        let all = ResourceSet::from_value(r).map(|set| set.ranks()).unwrap_or_default();
        let gone = all.subtract(&self.ranks);
        if gone.is_empty() || self.put_back(cx, id, r, &freed.union(&gone)).is_err() {
            self.handshake.release(id, None);
            self.lost.insert(id);
        }
        self.handshake.lost(cx, id, &why);
    }

    /// A running job is given R again, but for the ranks that it has given back.
    fn put_back(&mut self, cx: &Cx<'_>, id: u64, r: &Value, freed: &Idset) -> Result<(), String> {
        if let Some(r) = without(r, freed)? {
            self.handshake.retake(id, &r)?;
            let mut fluxion = self.shared.graph().map_err(|fault| fault.message())?;
            fluxion.update(id, &r, seconds(cx)).map_err(|error| error.to_string())?;
        }
        self.running.insert(id, "default".into());
        Ok(())
    }

    pub(super) fn notice_room(&mut self) {
        self.queues.values_mut().for_each(Queue::notice_room);
    }

    /// The queue a job is in: virtual queues have none of their own (RFC 33).
    fn queue_of(&self, cx: &Cx<'_>, name: Option<&str>) -> String {
        let Some(name) = name else { return "default".into() };
        let parent = cx.node.config_at("queues").and_then(|queues| queues.get(name)?.get("parent")?.as_str());
        parent.unwrap_or(name).into()
    }

    fn alloc(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: AllocBody = message.decode()?;
        if self.stopped || self.messages.len() >= PENDING_COUNT_MAX {
            return Err(Fault::from(Errno::EAGAIN));
        }
        if self.messages.contains_key(&body.id) {
            return Err(Fault::new(Errno::EEXIST, "the job is in the queue already"));
        }
        let jobspec = match Jobspec::from_value(&body.jobspec) {
            Ok(jobspec) => jobspec,
            Err(error) => {
                deny(cx, message, body.id, &error.to_string());
                return Ok(());
            }
        };
        let name = self.queue_of(cx, jobspec.queue.as_deref());
        let config = self.config.as_ref().map(|config| config.of(&name)).unwrap_or_default();
        let queue = self.queues.entry(name.clone()).or_insert_with(|| Queue::new(config));
        let priority = u32::try_from(body.priority).unwrap_or(u32::MAX);
        queue
            .submit_jobspec(body.id, priority, body.id, Arc::new(jobspec))
            .map_err(|error| refused(error.to_string()))?;
        self.counts.entry(name.clone()).or_default().pending += 1;
        let mut message = message.clone();
        message.payload = Payload::None; // The jobspec is compiled; its text is not needed again.
        self.messages.insert(body.id, (message, name));
        Ok(())
    }

    fn cancel(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let id = message.decode::<IdBody>()?.id;
        if let Some((request, name)) = self.messages.remove(&id) {
            if let Some(queue) = self.queues.get_mut(&name) {
                queue.remove(id);
            }
            // Its reservation, if it has one, must not outlive it.
            if let Ok(mut fluxion) = self.shared.graph()
                && fluxion.job(id).is_some()
            {
                _ = fluxion.cancel(id);
            }
            self.counts.entry(name).or_default().cancelled += 1;
            cancelled(cx, &request, id);
            self.notice_room();
        }
        Ok(())
    }

    /// A job gives ranks back, or, with `final`, all that is left.
    fn free(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let id = number(&body, "id")?;
        let r = body.get("R").ok_or_else(|| Fault::new(Errno::EPROTO, "sched.free without R"))?;
        let is_final = body["final"].as_bool().unwrap_or(false);
        if !self.lost.contains(&id) {
            let mut fluxion = self.shared.graph()?;
            let freed = match is_final {
                true => fluxion.cancel(id).map(|()| true),
                false => fluxion.partial_cancel(id, &execution_of(r)),
            };
            // A job that holds nothing any more has nothing to give back.
            if let Err(error) = freed
                && error.errno() != 2
            {
                return Err(refused(error.to_string()));
            }
        }
        let ranks = ResourceSet::from_value(r).map(|set| set.ranks()).unwrap_or_default();
        self.handshake.release(id, Some(&ranks).filter(|_| !is_final));
        if is_final {
            self.lost.remove(&id);
            let name = self.running.remove(&id).unwrap_or_else(|| "default".into());
            self.counts.entry(name).or_default().complete += 1;
        }
        self.notice_room();
        cx.respond(message, json!({"id": id}));
        Ok(())
    }

    fn prioritize(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: PrioritizeBody = message.decode()?;
        for (id, priority) in body.jobs {
            let Some((_, name)) = self.messages.get(&id) else { continue };
            if let Some(queue) = self.queues.get_mut(name) {
                queue.prioritize(id, u32::try_from(priority).unwrap_or(u32::MAX));
            }
            self.counts.entry(name.clone()).or_default().reprioritized += 1;
        }
        cx.respond_empty(message);
        Ok(())
    }

    fn expiration(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let (id, expiration) = (number(&body, "id")?, body["expiration"].as_f64().unwrap_or(0.0));
        let set = self.shared.graph()?.set_job_expiration(id, expiration as i64);
        set.map_err(|error| refused(error.to_string()))?;
        self.notice_room();
        cx.respond_empty(message);
        Ok(())
    }

    fn resource_status(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let now = seconds(cx);
        let found = self.shared.graph()?.resource_status(now);
        let [all, down, allocated] = found.map_err(|error| refused(error.to_string()))?;
        let or_none = |r: Option<Value>| r.unwrap_or_else(|| ResourceSet::new().to_value());
        let body = json!({"all": or_none(all), "down": or_none(down), "allocated": or_none(allocated)});
        cx.respond(message, body);
        Ok(())
    }

    fn params(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let params = self.config.as_ref().map_or(json!({}), QmanagerConfig::params);
        cx.respond(message, json!({"params": params}));
        Ok(())
    }

    /// Why a job waits: `{id}` is answered with `{queue, reason}` and, if it has a reservation, `t_estimate`.
    fn why(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Value = message.decode()?;
        let id = number(&body, "id")?;
        let (_, name) = self.messages.get(&id).ok_or_else(|| Fault::from(Errno::ENOENT))?;
        let why = self.queues.get(name).and_then(|queue| queue.why(id)).ok_or_else(|| Fault::from(Errno::ENOENT))?;
        cx.respond(message, super::decide::why_body(name, why));
        Ok(())
    }

    fn stats_clear(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        self.counts.clear();
        cx.respond_empty(message);
        Ok(())
    }

    /// Vertices of a graph that is searched in the loop.
    pub(super) fn in_loop_max(&self) -> usize {
        self.config.as_ref().map_or(VERTEX_IN_LOOP_COUNT_MAX, |config| config.in_loop_max)
    }

    pub(super) fn config_of(&self, queue: &str) -> crate::policy::QueueConfig {
        self.config.as_ref().map(|config| config.of(queue)).unwrap_or_default()
    }
}

/// R without some ranks; `None` if nothing is left.
fn without(r: &Value, freed: &Idset) -> Result<Option<Value>, String> {
    if freed.is_empty() {
        return Ok(Some(r.clone()));
    }
    let mut set = ResourceSet::from_value(r).map_err(|error| error.to_string())?;
    set.remove_ranks(freed);
    if set.ranks().is_empty() {
        return Ok(None);
    }
    // The scheduling part, if there is one, still names the ranks that are gone: the execution part says enough.
    let mut value = set.to_value();
    if let Some(map) = value.as_object_mut() {
        map.remove("scheduling");
    }
    Ok(Some(value))
}

/// R without what its scheduler wrote into it: a part that is given back is named by ranks.
fn execution_of(r: &Value) -> Value {
    json!({"version": r["version"], "execution": r["execution"]})
}
