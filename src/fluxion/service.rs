//! `sched-fluxion`: the graph scheduler as a service (RFC 27, RFC 28). It talks to the resource service and the job
//! manager; the queues and the graph do the rest.

mod hello;
mod requests;
#[cfg(test)]
mod tests;

use crate::fluxion::{Allocation, Fluxion, FluxionConfig};
use crate::policy::{Decision, Queue, QueueConfig};
use crate::writer::Format;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_service::{Cx, Fault, Handler, LogLevel, Service, Tag};
use flux_types::{Idset, JobId, JobIdForm};
use flux_wire::{Errno, Message, Target};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Response types of `sched.alloc`.
const SUCCESS: u32 = 0;
const ANNOTATE: u32 = 1;
const DENY: u32 = 2;
const CANCEL: u32 = 3;

enum Waiting {
    Acquire,
    Hello,
    /// R of a job that holds resources since before this scheduler started, and the ranks it has given back.
    HelloR {
        id: u64,
        freed: Idset,
    },
    Ready,
    /// R of a job is being stored.
    Stored(u64),
}

/// The graph scheduler.
#[derive(Default)]
pub struct SchedFluxion {
    fluxion: Option<Fluxion>,
    config: FluxionConfig,
    queue_config: Option<QueueConfig>,
    /// By name; jobs without a queue are in the one without a name.
    queues: BTreeMap<String, Queue>,
    /// Requests of jobs that wait, and their queues.
    messages: BTreeMap<u64, (Message, String)>,
    waiting: BTreeMap<Tag, Waiting>,
    /// Jobs whose resources are being looked up at the start.
    recovering: usize,
    hello_done: bool,
    ready: bool,
    stopped: bool,
    cycles: u64,
}

impl Service for SchedFluxion {
    const NAME: &'static str = "sched-fluxion";
    const ALSO: &'static [&'static str] =
        &["sched", "feasibility", "sched-fluxion-resource", "sched-fluxion-qmanager", "sched-fluxion-feasibility"];
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::owner("sched.alloc", SchedFluxion::alloc),
        Handler::owner("sched.cancel", SchedFluxion::cancel),
        Handler::owner("sched.free", SchedFluxion::free),
        Handler::owner("sched.prioritize", SchedFluxion::prioritize),
        Handler::owner("sched.expiration", SchedFluxion::expiration),
        Handler::user("sched.resource-status", SchedFluxion::resource_status),
        Handler::user("feasibility.check", SchedFluxion::feasibility),
        Handler::owner("sched-fluxion-resource.find", SchedFluxion::find),
        Handler::owner("sched-fluxion-resource.info", SchedFluxion::info),
        Handler::owner("sched-fluxion-resource.status", SchedFluxion::resource_status),
        Handler::owner("sched-fluxion-resource.set_status", SchedFluxion::set_status),
        Handler::owner("sched-fluxion-resource.set_property", SchedFluxion::set_property),
        Handler::owner("sched-fluxion-resource.remove_property", SchedFluxion::remove_property),
        Handler::owner("sched-fluxion-resource.get_property", SchedFluxion::get_property),
        Handler::owner("sched-fluxion-resource.add_subgraph", SchedFluxion::add_subgraph),
        Handler::owner("sched-fluxion-resource.remove_subgraph", SchedFluxion::remove_subgraph),
    ];

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        self.configure(cx)?;
        let tag = cx.request_stream("resource.acquire", Target::Any, json!({}));
        self.waiting.insert(tag, Waiting::Acquire);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.ready
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.stopped = true;
        for (message, _) in std::mem::take(&mut self.messages).into_values() {
            cx.respond_error(&message, &Fault::new(Errno::ENOSYS, "the scheduler is going away"));
        }
        self.queues.clear();
        if let Some((tag, _)) = self.waiting.iter().find(|(_, waiting)| matches!(waiting, Waiting::Acquire)) {
            cx.notify("resource.acquire-cancel", Target::Any, json!({"matchtag": tag.0}));
        }
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        match self.waiting.remove(&tag) {
            Some(Waiting::Acquire) => self.acquired(cx, tag, reply),
            Some(Waiting::Hello) => self.hello(cx, tag, reply),
            Some(Waiting::HelloR { id, freed }) => self.hello_r(cx, id, &freed, reply),
            Some(Waiting::Ready) => match Fault::of(reply) {
                None => self.ready = true,
                Some(fault) => cx.log(LogLevel::Err, format!("the job manager refused the scheduler: {fault}")),
            },
            Some(Waiting::Stored(id)) => {
                if let Some(fault) = Fault::of(reply) {
                    let id = JobId(id).encode(JobIdForm::F58);
                    cx.log(LogLevel::Err, format!("{id}: R cannot be stored: {fault}"));
                }
            }
            None => {}
        }
    }

    fn on_batch_end(&mut self, cx: &mut Cx<'_>) {
        if self.ready && !self.stopped {
            self.schedule(cx);
        }
    }

    fn stats(&self) -> Value {
        let (vertices, edges) = self
            .fluxion
            .as_ref()
            .map_or((0, 0), |fluxion| (fluxion.engine().graph.vertex_count(), fluxion.engine().graph.edge_count()));
        json!({"cycles": self.cycles, "pending_jobs": self.messages.len(), "V": vertices, "E": edges})
    }

    fn check(&self) {
        let waiting: usize = self.queues.values().map(Queue::len).sum();
        assert_eq!(waiting, self.messages.len(), "every job that waits has a request and a queue");
    }
}

fn refused(why: impl Into<String>) -> Fault {
    Fault::new(Errno::EINVAL, why.into())
}

/// Whole seconds since the epoch.
fn seconds(cx: &Cx<'_>) -> i64 {
    cx.now.wall.timestamp() as i64
}

impl SchedFluxion {
    pub fn new() -> SchedFluxion {
        SchedFluxion::default()
    }

    fn configure(&mut self, cx: &Cx<'_>) -> Result<(), Fault> {
        let text = |key: &str| match cx.node.config_at(&format!("sched-fluxion-resource.{key}")) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(refused(format!("sched-fluxion-resource.{key} must be a text"))),
        };
        let mut config = FluxionConfig::default();
        config.match_policy = text("match-policy")?.unwrap_or(config.match_policy);
        config.prune_filters = text("prune-filters")?.unwrap_or(config.prune_filters);
        config.traverser = text("traverser")?.unwrap_or(config.traverser);
        config.subsystems = text("subsystems")?.unwrap_or(config.subsystems);
        if let Some(name) = text("match-format")? {
            let format = Format::from_name(&name)
                .filter(|format| matches!(format, Format::Rv1 | Format::Rv1Nosched | Format::Rv1Shorthand));
            config.match_format = format.ok_or_else(|| refused(format!("match-format '{name}' is not one of R")))?;
        }
        crate::matcher::parse_policy(&config.match_policy).map_err(refused)?;
        let table = cx.node.config_at("sched-fluxion-qmanager").cloned().unwrap_or(json!({}));
        self.queue_config = Some(QueueConfig::from_table(&table).map_err(refused)?);
        self.config = config;
        Ok(())
    }

    /// RFC 28: first all there is, then what changes.
    fn acquired(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        if let Some(fault) = Fault::of(reply) {
            if fault.errno != Errno::ENODATA {
                cx.log(LogLevel::Err, format!("no resources to schedule: {fault}"));
            }
            return;
        }
        self.waiting.insert(tag, Waiting::Acquire);
        if let Err(why) = self.apply_acquire(cx, reply) {
            cx.log(LogLevel::Err, format!("resource.acquire: {why}"));
        }
    }

    fn apply_acquire(&mut self, cx: &mut Cx<'_>, reply: &Message) -> Result<(), String> {
        let body: Value = reply.decode().map_err(|error| error.to_string())?;
        let ranks = |key: &str| match body.get(key).and_then(Value::as_str) {
            Some(text) => Idset::parse(text).map_err(|error| error.to_string()),
            None => Ok(Idset::new()),
        };
        let (up, mut down) = (ranks("up")?, ranks("down")?);
        down.extend_from(&ranks("shrink")?);
        if let Some(resources) = body.get("resources") {
            let mut fluxion =
                Fluxion::from_r(resources, &self.config, seconds(cx)).map_err(|error| error.to_string())?;
            fluxion.set_down(&fluxion.ranks().subtract(&up));
            self.fluxion = Some(fluxion);
            let tag = cx.request_stream("job-manager.sched-hello", Target::Any, json!({"partial-ok": true}));
            self.waiting.insert(tag, Waiting::Hello);
            return Ok(());
        }
        if let Some(fluxion) = &mut self.fluxion {
            fluxion.set_up(&up);
            fluxion.set_down(&down);
            if let Some(expiration) = body.get("expiration").and_then(Value::as_f64) {
                fluxion.set_expiration(expiration as i64, seconds(cx));
            }
        }
        self.queues.values_mut().for_each(Queue::notice_status);
        Ok(())
    }

    fn schedule(&mut self, cx: &mut Cx<'_>) {
        let now = seconds(cx);
        let names: Vec<String> =
            self.queues.iter().filter(|(_, queue)| queue.is_due()).map(|(name, _)| name.clone()).collect();
        for name in names {
            let (Some(fluxion), Some(queue)) = (&mut self.fluxion, self.queues.get_mut(&name)) else { continue };
            let mut decisions = Vec::new();
            while queue.is_due() {
                self.cycles += 1;
                decisions.extend(queue.cycle(fluxion, now).decisions);
            }
            decisions.into_iter().for_each(|decision| self.decided(cx, decision));
        }
        self.queues.retain(|_, queue| !queue.is_empty());
    }

    fn decided(&mut self, cx: &mut Cx<'_>, decision: Decision) {
        match decision {
            Decision::Start { id, allocation, .. } => self.started(cx, id, &allocation),
            Decision::Reject { id, error } => {
                if let Some((message, _)) = self.messages.remove(&id) {
                    cx.respond(&message, json!({"id": id, "type": DENY, "note": error.to_string()}));
                }
            }
            Decision::Estimate { id, at } => {
                if let Some((message, _)) = self.messages.get(&id) {
                    let annotations = json!({"sched": {"t_estimate": at}});
                    cx.respond(message, json!({"id": id, "type": ANNOTATE, "annotations": annotations}));
                }
            }
        }
    }

    /// R goes to the KVS first (RFC 27): what follows it there, the alloc event, never stands without it.
    fn started(&mut self, cx: &mut Cx<'_>, id: u64, allocation: &Allocation) {
        let Some((message, _)) = self.messages.remove(&id) else { return };
        let key = format!("{}.R", JobId(id).encode(JobIdForm::Kvs));
        let dirent = json!({"data": STANDARD.encode(allocation.r.to_string()), "type": "val", "ver": 1});
        let ops = json!([{"key": key, "flags": 0, "dirent": dirent}]);
        let body = json!({"namespace": "primary", "flags": 0, "ops": ops, "durability": "written"});
        let tag = cx.request("kvs.commit", Target::Any, body);
        self.waiting.insert(tag, Waiting::Stored(id));
        let mut sched = json!({"t_estimate": null});
        if let Ok(set) = flux_types::ResourceSet::from_value(&allocation.r) {
            sched["resource_summary"] = set.dumps().into();
        }
        let body = json!({"id": id, "type": SUCCESS, "annotations": {"sched": sched}, "R": allocation.r});
        cx.respond(&message, body);
    }
}
