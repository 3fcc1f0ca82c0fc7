//! `sched-simple`: first come, first served by priority, on cores and GPUs of nodes (RFC 27).

mod pool;
mod request;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_service::{Cx, Fault, Handler, LogLevel, Outcome, Service, Tag};
use flux_types::{Idset, JobId, JobIdForm, Jobspec, ResourceSet};
use flux_wire::{Errno, Message, Target};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub use self::pool::FitMode;
use self::pool::{NoFit, Pool};
use self::request::Request;
use crate::limits::PENDING_MAX;

/// Response types of `sched.alloc`.
const SUCCESS: u32 = 0;
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

struct Pending {
    message: Message,
    request: Request,
    priority: u64,
}

#[derive(Deserialize)]
struct AllocBody {
    id: u64,
    priority: u64,
    jobspec: Value,
}

#[derive(Deserialize)]
struct IdBody {
    id: u64,
}

/// The simple scheduler.
pub struct SchedSimple {
    mode: FitMode,
    pool: Pool,
    pending: BTreeMap<u64, Pending>,
    /// The order in which the pending ones are tried.
    order: BTreeSet<(Reverse<u64>, u64)>,
    waiting: BTreeMap<Tag, Waiting>,
    /// Jobs whose resources are being looked up at the start.
    recovering: usize,
    hello_done: bool,
    ready: bool,
    /// Something changed since the last pass.
    dirty: bool,
    stopped: bool,
    passes: u64,
}

impl Service for SchedSimple {
    const NAME: &'static str = "sched-simple";
    const ALSO: &'static [&'static str] = &["sched", "feasibility"];
    const HANDLERS: &'static [Handler<Self>] = &[
        Handler::owner("sched.alloc", SchedSimple::alloc),
        Handler::owner("sched.cancel", SchedSimple::cancel),
        Handler::owner("sched.free", SchedSimple::free),
        Handler::owner("sched.prioritize", SchedSimple::prioritize),
        Handler::owner("sched.expiration", SchedSimple::expiration),
        Handler::user("sched.resource-status", SchedSimple::resource_status),
        Handler::user("feasibility.check", SchedSimple::feasibility),
    ];

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        if let Some(mode) = cx.node.config_at("sched-simple.alloc-mode").or(cx.node.config_at("sched-simple.mode")) {
            self.mode = fit_mode(mode)?;
        }
        let tag = cx.request_stream("resource.acquire", Target::Any, json!({}));
        self.waiting.insert(tag, Waiting::Acquire);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.ready
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.stopped = true;
        for pending in std::mem::take(&mut self.pending).into_values() {
            cx.respond_error(&pending.message, &Fault::new(Errno::ENOSYS, "the scheduler is going away"));
        }
        self.order.clear();
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
        if std::mem::take(&mut self.dirty) && self.ready {
            self.schedule(cx);
        }
    }

    fn stats(&self) -> Value {
        json!({"sched_passes": self.passes, "pending_jobs": self.pending.len()})
    }

    fn check(&self) {
        self.pool.check();
        assert_eq!(self.pending.len(), self.order.len(), "every pending job has one place in the queue");
    }
}

fn fit_mode(value: &Value) -> Result<FitMode, Fault> {
    match value.as_str() {
        Some("first-fit") => Ok(FitMode::First),
        Some("best-fit") => Ok(FitMode::Best),
        Some("worst-fit") => Ok(FitMode::Worst),
        _ => Err(Fault::new(Errno::EINVAL, "sched-simple.alloc-mode is \"first-fit\", \"best-fit\" or \"worst-fit\"")),
    }
}

impl SchedSimple {
    pub fn new(mode: FitMode) -> SchedSimple {
        SchedSimple {
            mode,
            pool: Pool::new(ResourceSet::new(), Idset::new()),
            pending: BTreeMap::new(),
            order: BTreeSet::new(),
            waiting: BTreeMap::new(),
            recovering: 0,
            hello_done: false,
            ready: false,
            dirty: false,
            stopped: false,
            passes: 0,
        }
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
        let body: Map<String, Value> = reply.decode().map_err(|error| error.to_string())?;
        let ranks = |key: &str| match body.get(key).and_then(Value::as_str) {
            Some(text) => Idset::parse(text).map_err(|error| error.to_string()),
            None => Ok(Idset::new()),
        };
        let (up, mut down) = (ranks("up")?, ranks("down")?);
        down.extend_from(&ranks("shrink")?);
        if let Some(resources) = body.get("resources") {
            let set = ResourceSet::from_value(resources).map_err(|error| error.to_string())?;
            self.pool = Pool::new(set, up);
            let tag = cx.request_stream("job-manager.sched-hello", Target::Any, json!({"partial-ok": true}));
            self.waiting.insert(tag, Waiting::Hello);
            return Ok(());
        }
        self.pool.mark(&up, true);
        self.pool.mark(&down, false);
        if let Some(expiration) = body.get("expiration").and_then(Value::as_f64) {
            self.pool.set_expiration(expiration);
        }
        self.dirty = true;
        Ok(())
    }

    /// One answer for each job that holds resources, then ENODATA.
    fn hello(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        if let Some(fault) = Fault::of(reply) {
            if fault.errno != Errno::ENODATA {
                cx.log(LogLevel::Err, format!("job-manager.sched-hello: {fault}"));
                return;
            }
            self.hello_done = true;
            return self.maybe_ready(cx);
        }
        self.waiting.insert(tag, Waiting::Hello);
        let Ok(body) = reply.decode::<Map<String, Value>>() else { return };
        let Some(id) = body.get("id").and_then(Value::as_u64) else { return };
        let freed =
            body.get("free").and_then(Value::as_str).and_then(|text| Idset::parse(text).ok()).unwrap_or_default();
        if let Some(set) = body.get("R").and_then(|value| ResourceSet::from_value(value).ok()) {
            return self.retake(cx, id, set, &freed);
        }
        let key = format!("{}.R", JobId(id).encode(JobIdForm::Kvs));
        let body = json!({"key": key, "namespace": "primary", "flags": 0});
        let tag = cx.request("kvs.lookup", Target::Any, body);
        self.waiting.insert(tag, Waiting::HelloR { id, freed });
        self.recovering += 1;
    }

    fn hello_r(&mut self, cx: &mut Cx<'_>, id: u64, freed: &Idset, reply: &Message) {
        self.recovering -= 1;
        match r_of(reply) {
            Ok(set) => self.retake(cx, id, set, freed),
            Err(why) => self.lost(cx, id, &why),
        }
        self.maybe_ready(cx);
    }

    fn retake(&mut self, cx: &mut Cx<'_>, id: u64, mut set: ResourceSet, freed: &Idset) {
        set.remove_ranks(freed);
        if let Err(why) = self.pool.take(&set) {
            self.lost(cx, id, &why);
        }
    }

    /// A running job whose resources are not ours to give: it must not go on beside another one (RFC 27).
    fn lost(&mut self, cx: &mut Cx<'_>, id: u64, why: &str) {
        let note = format!("failed to reallocate R for running job: {why}");
        let body = json!({"id": id, "severity": 0, "type": "scheduler-restart", "note": note});
        cx.notify("job-manager.raise", Target::Any, body);
    }

    fn maybe_ready(&mut self, cx: &mut Cx<'_>) {
        if self.hello_done && self.recovering == 0 && !self.ready {
            let tag = cx.request("job-manager.sched-ready", Target::Any, json!({"mode": "unlimited"}));
            self.waiting.insert(tag, Waiting::Ready);
            self.dirty = true;
        }
    }

    fn alloc(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: AllocBody = message.decode()?;
        if self.stopped || self.pending.len() >= PENDING_MAX {
            return Err(Fault::from(Errno::EAGAIN));
        }
        if self.pending.contains_key(&body.id) {
            return Err(Fault::new(Errno::EEXIST, "the job is in the queue already"));
        }
        let compiled = Jobspec::from_value(body.jobspec)
            .map_err(|error| error.to_string())
            .and_then(|jobspec| Request::from_jobspec(&jobspec))
            .map_err(|why| format!("unsatisfiable request: {why}"));
        let request = match compiled {
            Ok(request) => request,
            Err(note) => {
                cx.respond(message, json!({"id": body.id, "type": DENY, "note": note}));
                return Ok(());
            }
        };
        let mut message = message.clone();
        message.payload = flux_wire::Payload::None; // The jobspec of a waiting job is not needed again.
        self.order.insert((Reverse(body.priority), body.id));
        self.pending.insert(body.id, Pending { message, request, priority: body.priority });
        self.dirty = true;
        Ok(())
    }

    fn schedule(&mut self, cx: &mut Cx<'_>) {
        self.passes += 1;
        while let Some(&(priority, id)) = self.order.first() {
            let pending = &self.pending[&id];
            match self.pool.alloc(&pending.request, self.mode) {
                Err(NoFit::Busy) => return,
                Ok(set) => self.allocated(cx, id, set),
                Err(never) => {
                    cx.respond(&pending.message, json!({"id": id, "type": DENY, "note": never.to_string()}));
                }
            }
            self.order.remove(&(priority, id));
            self.pending.remove(&id);
        }
    }

    /// R goes to the KVS first (RFC 27): what follows it there, the alloc event, never stands without it.
    fn allocated(&mut self, cx: &mut Cx<'_>, id: u64, mut set: ResourceSet) {
        let pending = &self.pending[&id];
        set.starttime = cx.now.wall.timestamp();
        let duration = pending.request.duration;
        let end = self.pool.all().expiration;
        set.expiration = match (duration > 0.0, end > 0.0) {
            (true, true) => (set.starttime + duration).min(end),
            (true, false) => set.starttime + duration,
            (false, _) => end,
        };
        let key = format!("{}.R", JobId(id).encode(JobIdForm::Kvs));
        let dirent = json!({"data": STANDARD.encode(set.encode()), "type": "val", "ver": 1});
        let ops = json!([{"key": key, "flags": 0, "dirent": dirent}]);
        let body = json!({"namespace": "primary", "flags": 0, "ops": ops, "durability": "written"});
        let tag = cx.request("kvs.commit", Target::Any, body);
        self.waiting.insert(tag, Waiting::Stored(id));
        let annotations = json!({"sched": {"resource_summary": set.dumps()}});
        let body = json!({"id": id, "type": SUCCESS, "annotations": annotations, "R": set.to_value()});
        cx.respond(&pending.message, body);
    }

    fn cancel(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: IdBody = message.decode()?;
        if let Some(pending) = self.pending.remove(&body.id) {
            self.order.remove(&(Reverse(pending.priority), body.id));
            cx.respond(&pending.message, json!({"id": body.id, "type": CANCEL}));
            self.dirty = true; // It may have been the one that held the others up.
        }
        Ok(())
    }

    fn free(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Map<String, Value> = message.decode()?;
        let set = body.get("R").ok_or_else(|| Fault::new(Errno::EPROTO, "sched.free without R"))?;
        let set = ResourceSet::from_value(set).map_err(|error| Fault::new(Errno::EPROTO, error.to_string()))?;
        self.pool.release(&set);
        self.dirty = true;
        cx.respond(message, json!({"id": body.get("id").cloned().unwrap_or(Value::Null)}));
        Ok(())
    }

    fn prioritize(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        #[derive(Deserialize)]
        struct Body {
            jobs: Vec<(u64, u64)>,
        }
        let body: Body = message.decode()?;
        for (id, priority) in body.jobs {
            if let Some(pending) = self.pending.get_mut(&id) {
                self.order.remove(&(Reverse(pending.priority), id));
                pending.priority = priority;
                self.order.insert((Reverse(priority), id));
            }
        }
        self.dirty = true;
        cx.respond_empty(message);
        Ok(())
    }

    /// No job waits for another one's end by time here, so nothing depends on when that is.
    fn expiration(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let _: IdBody = message.decode()?;
        cx.respond_empty(message);
        Ok(())
    }

    fn resource_status(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body = json!({"all": self.pool.all().to_value(), "down": self.pool.down().to_value(),
            "allocated": self.pool.allocated().to_value()});
        cx.respond(message, body);
        Ok(())
    }

    fn feasibility(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        #[derive(Deserialize)]
        struct Body {
            jobspec: Value,
        }
        let body: Body = message.decode()?;
        let refused = |why: String| Fault::new(Errno::EINVAL, why);
        let jobspec = Jobspec::from_value(body.jobspec).map_err(|error| refused(error.to_string()))?;
        let request = Request::from_jobspec(&jobspec).map_err(refused)?;
        self.pool.feasible(&request).map_err(|never| refused(never.to_string()))?;
        cx.respond_empty(message);
        Ok(())
    }
}

/// R as `kvs.lookup` answers it: a `val` object with base64 text.
fn r_of(reply: &Message) -> Result<ResourceSet, String> {
    if let Some(fault) = Fault::of(reply) {
        return Err(fault.message());
    }
    let body = reply.payload.value().map_err(|error| error.to_string())?;
    let data = body.get("val").and_then(|val| val.get("data")).and_then(Value::as_str).ok_or("R is not a value")?;
    let bytes = STANDARD.decode(data).map_err(|error| error.to_string())?;
    let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
    ResourceSet::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
