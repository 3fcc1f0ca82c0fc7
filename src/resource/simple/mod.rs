//! `sched-simple`: first come, first served by priority, on cores and GPUs of nodes (RFC 27).

mod pool;
mod request;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use flux_sched::{Acquired, AllocBody, Grant, Handshake, Heard, IdBody, PrioritizeBody, cancelled, deny};
use flux_service::{Cx, Fault, Handler, LogLevel, Mono, Outcome, Service, Tag};
use flux_types::{Idset, Jobspec, ResourceSet};
use flux_wire::{Errno, Message, Target};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub use self::pool::FitMode;
use self::pool::{NoFit, Pool};
use self::request::Request;
use crate::limits::PENDING_MAX;

/// How long until a resource module that is gone is looked for again.
const RETRY: std::time::Duration = std::time::Duration::from_millis(100);

struct Pending {
    message: Message,
    request: Request,
    priority: u64,
}

/// The simple scheduler.
pub struct SchedSimple {
    mode: FitMode,
    pool: Pool,
    pending: BTreeMap<u64, Pending>,
    /// The order in which the pending ones are tried.
    order: BTreeSet<(Reverse<u64>, u64)>,
    /// The stream of resources.
    acquire: Option<Tag>,
    /// When they are asked for again.
    retry: Option<Mono>,
    handshake: Handshake,
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
        Handler::owner("sched.hello-again", SchedSimple::hello_again),
        Handler::user("sched.resource-status", SchedSimple::resource_status),
        Handler::user("feasibility.check", SchedSimple::feasibility),
    ];

    fn start(&mut self, cx: &mut Cx<'_>) -> Result<(), Fault> {
        if let Some(mode) = cx.node.config_at("sched-simple.alloc-mode").or(cx.node.config_at("sched-simple.mode")) {
            self.mode = fit_mode(mode)?;
        }
        self.acquire = Some(cx.request_stream("resource.acquire", Target::Any, json!({})));
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.handshake.is_ready()
    }

    fn stop(&mut self, cx: &mut Cx<'_>) {
        self.stopped = true;
        for pending in std::mem::take(&mut self.pending).into_values() {
            cx.respond_error(&pending.message, &Fault::new(Errno::ENOSYS, "the scheduler is going away"));
        }
        self.order.clear();
        if let Some(tag) = self.acquire {
            cx.notify("resource.acquire-cancel", Target::Any, json!({"matchtag": tag.0}));
        }
    }

    fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        if self.acquire == Some(tag) {
            return self.acquired(cx, reply);
        }
        match self.handshake.on_reply(cx, tag, reply) {
            Heard::Running { id, r, freed } => self.retake(cx, id, &r, &freed),
            Heard::Ready => self.dirty = true,
            Heard::Nothing | Heard::NotMine => {}
        }
    }

    fn next_timer(&self) -> Option<Mono> {
        self.retry.into_iter().chain(self.handshake.next_timer()).min()
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>) {
        self.handshake.on_timer(cx);
        if self.retry.take_if(|at| *at <= cx.now.mono).is_some() {
            self.acquire = Some(cx.request_stream("resource.acquire", Target::Any, json!({})));
        }
    }

    fn on_batch_end(&mut self, cx: &mut Cx<'_>) {
        if self.handshake.is_ready() && std::mem::take(&mut self.dirty) {
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
            acquire: None,
            retry: None,
            handshake: Handshake::default(),
            dirty: false,
            stopped: false,
            passes: 0,
        }
    }

    /// RFC 28: first all there is, then what changes.
    fn acquired(&mut self, cx: &mut Cx<'_>, reply: &Message) {
        if let Some(fault) = Fault::of(reply) {
            self.acquire = None;
            if fault.errno == Errno::ESTALE {
                // There is more now. What waits is kept; what runs is asked for again.
                self.acquire = Some(cx.request_stream("resource.acquire", Target::Any, json!({})));
            } else if !self.stopped {
                // The resource module is being reloaded: nothing is given away that it may know better.
                if self.handshake.is_ready() {
                    cx.log(LogLevel::Warning, format!("no resources to schedule: {fault}; they are asked for again"));
                }
                self.handshake = Handshake::default();
                self.retry = Some(cx.now.mono.after(RETRY));
            }
            return;
        }
        if let Err(why) = self.apply_acquire(cx, reply) {
            cx.log(LogLevel::Err, format!("resource.acquire: {why}"));
        }
    }

    fn apply_acquire(&mut self, cx: &mut Cx<'_>, reply: &Message) -> Result<(), String> {
        let acquired = Acquired::of(reply)?;
        if let Some(resources) = &acquired.resources {
            let set = ResourceSet::from_value(resources).map_err(|error| error.to_string())?;
            self.pool = Pool::new(set, acquired.up);
            self.handshake = Handshake::default();
            self.handshake.begin(cx);
            return Ok(());
        }
        self.pool.mark(&acquired.up, true);
        self.pool.mark(&acquired.down, false);
        if let Some(expiration) = acquired.expiration {
            self.pool.set_expiration(expiration);
        }
        self.dirty = true;
        Ok(())
    }

    /// There is another job manager: it tells what runs, and asks again for what waits.
    fn hello_again(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        if self.handshake.has_begun() && !self.stopped {
            self.pending.clear();
            self.order.clear();
            let all = self.pool.all().clone();
            let up = all.ranks().subtract(&self.pool.down().ranks());
            self.pool = Pool::new(all, up);
            self.handshake = Handshake::default();
            self.handshake.begin(cx);
        }
        cx.respond_empty(request);
        Ok(())
    }

    fn retake(&mut self, cx: &mut Cx<'_>, id: u64, r: &Value, freed: &Idset) {
        let taken = ResourceSet::from_value(r).map_err(|error| error.to_string()).and_then(|mut set| {
            set.remove_ranks(freed);
            let here = self.pool.part_of(&set);
            self.handshake.retake(id, &here.to_value())?;
            self.pool.take(&here)?;
            let gone = set.ranks().subtract(&here.ranks());
            if gone.is_empty() { Ok(()) } else { Err(format!("ranks {gone} are not among the resources")) }
        });
        if let Err(why) = taken {
            self.handshake.lost(cx, id, &why);
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
                deny(cx, message, body.id, &note);
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
            match self.pool.alloc(&self.pending[&id].request, self.mode) {
                Err(NoFit::Busy) => break,
                Ok(set) => {
                    let pending = self.pending.remove(&id).expect("what is in the order is pending");
                    self.allocated(cx, id, pending, set);
                }
                Err(never) => {
                    let pending = self.pending.remove(&id).expect("what is in the order is pending");
                    deny(cx, &pending.message, id, &never.to_string());
                }
            }
            self.order.remove(&(priority, id));
        }
    }

    fn allocated(&mut self, cx: &mut Cx<'_>, id: u64, pending: Pending, mut set: ResourceSet) {
        set.starttime = cx.now.wall.timestamp();
        let duration = pending.request.duration;
        let end = self.pool.all().expiration;
        set.expiration = match (duration > 0.0, end > 0.0) {
            (true, true) => (set.starttime + duration).min(end),
            (true, false) => set.starttime + duration,
            (false, _) => end,
        };
        let annotations = json!({"sched": {"resource_summary": set.dumps()}});
        let r = set.to_value();
        self.handshake.grant(cx, &pending.message, Grant { id, set, r, annotations });
    }

    fn cancel(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: IdBody = message.decode()?;
        if let Some(pending) = self.pending.remove(&body.id) {
            self.order.remove(&(Reverse(pending.priority), body.id));
            cancelled(cx, &pending.message, body.id);
            self.dirty = true; // It may have been the one that held the others up.
        }
        Ok(())
    }

    fn free(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: Map<String, Value> = message.decode()?;
        let malformed = |why: &str| Fault::new(Errno::EPROTO, format!("sched.free: {why}"));
        let set = body.get("R").ok_or_else(|| malformed("there is no R"))?;
        let set = ResourceSet::from_value(set).map_err(|error| malformed(&error.to_string()))?;
        let id = body.get("id").and_then(Value::as_u64).ok_or_else(|| malformed("there is no id"))?;
        let is_final = body.get("final").and_then(Value::as_bool).unwrap_or(false);
        let freed = self.handshake.release(id, Some(&set.ranks()).filter(|_| !is_final));
        self.pool.release(&freed);
        self.dirty = true;
        cx.respond(message, json!({"id": id}));
        Ok(())
    }

    fn prioritize(&mut self, cx: &mut Cx<'_>, message: &Message) -> Outcome {
        let body: PrioritizeBody = message.decode()?;
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

#[cfg(test)]
mod tests;
