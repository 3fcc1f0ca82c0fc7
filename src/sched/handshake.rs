//! Learning what runs already, and saying that jobs may come (RFC 27).

use crate::claims::Claims;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_service::{Cx, Fault, LogLevel, Mono, Tag};
use flux_types::{Idset, JobId, JobIdForm, ResourceSet};
use flux_wire::{Errno, Message, Target};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long until R is looked up again while there is no KVS.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

enum Waiting {
    Hello,
    /// R of a job that holds resources since before this scheduler started, and the ranks it has given back.
    HelloR {
        id: u64,
        freed: Idset,
    },
    Ready,
}

/// What an answer meant for the scheduler.
pub enum Heard {
    /// It is not the answer to a request made here.
    NotMine,
    /// Nothing yet.
    Nothing,
    /// A job runs on R, but for the ranks it has given back. It must be put there, or be called `lost`.
    Running { id: u64, r: Value, freed: Idset },
    /// The job manager knows that jobs may come.
    Ready,
}

/// The scheduler's part of the talk at its start, and who has what.
#[derive(Default)]
pub struct Handshake {
    waiting: BTreeMap<Tag, Waiting>,
    begun: bool,
    /// Jobs whose resources are being looked up.
    recovering: usize,
    /// Those of them that are looked up again at this time: the KVS is being reloaded.
    unfound: Vec<(u64, Idset)>,
    look_at: Option<Mono>,
    hello_done: bool,
    ready: bool,
    pub(crate) claims: Claims,
}

impl Handshake {
    /// The resources are known: asks what runs on them.
    pub fn begin(&mut self, cx: &mut Cx<'_>) {
        self.begun = true;
        let tag = cx.request_stream("job-manager.sched-hello", Target::Any, json!({"partial-ok": true}));
        self.waiting.insert(tag, Waiting::Hello);
    }

    /// The job manager has been asked what runs.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Jobs may be given resources.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Looks at an answer. All requests made here that have an answer are forgotten with it.
    pub fn on_reply(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) -> Heard {
        match self.waiting.remove(&tag) {
            None => Heard::NotMine,
            Some(Waiting::Hello) => self.hello(cx, tag, reply),
            Some(Waiting::HelloR { id, freed }) => self.hello_r(cx, id, freed, reply),
            Some(Waiting::Ready) => self.readied(cx, reply),
        }
    }

    /// One answer for each job that holds resources, then ENODATA.
    fn hello(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) -> Heard {
        if let Some(fault) = Fault::of(reply) {
            if fault.errno == Errno::ENODATA {
                self.hello_done = true;
                self.maybe_ready(cx);
            } else {
                cx.log(LogLevel::Err, format!("job-manager.sched-hello: {fault}"));
            }
            return Heard::Nothing;
        }
        self.waiting.insert(tag, Waiting::Hello);
        let Ok(mut body) = reply.decode::<Value>() else { return Heard::Nothing };
        let Some(id) = body["id"].as_u64() else { return Heard::Nothing };
        let freed = body["free"].as_str().and_then(|text| Idset::parse(text).ok()).unwrap_or_default();
        if body["R"].is_object() {
            return Heard::Running { id, r: body["R"].take(), freed };
        }
        self.look_up(cx, id, freed);
        self.recovering += 1;
        Heard::Nothing
    }

    fn look_up(&mut self, cx: &mut Cx<'_>, id: u64, freed: Idset) {
        let key = format!("{}.R", JobId(id).encode(JobIdForm::Kvs));
        let tag = cx.request("kvs.lookup", Target::Any, json!({"key": key, "namespace": "primary", "flags": 0}));
        self.waiting.insert(tag, Waiting::HelloR { id, freed });
    }

    /// When `on_timer` next has work.
    pub fn next_timer(&self) -> Option<Mono> {
        self.look_at
    }

    pub fn on_timer(&mut self, cx: &mut Cx<'_>) {
        if self.look_at.take_if(|at| *at <= cx.now.mono).is_some() {
            for (id, freed) in std::mem::take(&mut self.unfound) {
                self.look_up(cx, id, freed);
            }
        }
    }

    /// The job manager may hear that the scheduler is ready before the scheduler has put this job back: no request
    /// comes in between.
    fn hello_r(&mut self, cx: &mut Cx<'_>, id: u64, freed: Idset, reply: &Message) -> Heard {
        if reply.errno() == Some(Errno::ENOSYS) {
            self.unfound.push((id, freed));
            self.look_at.get_or_insert(cx.now.mono.after(LOOK_AGAIN));
            return Heard::Nothing;
        }
        self.recovering -= 1;
        let heard = match r_of(reply) {
            Ok(r) => Heard::Running { id, r, freed },
            Err(why) => {
                self.lost(cx, id, &why);
                Heard::Nothing
            }
        };
        self.maybe_ready(cx);
        heard
    }

    fn maybe_ready(&mut self, cx: &mut Cx<'_>) {
        if self.hello_done && self.recovering == 0 && !self.ready {
            let tag = cx.request("job-manager.sched-ready", Target::Any, json!({"mode": "unlimited"}));
            self.waiting.insert(tag, Waiting::Ready);
        }
    }

    fn readied(&mut self, cx: &mut Cx<'_>, reply: &Message) -> Heard {
        match Fault::of(reply) {
            None => {
                self.ready = true;
                Heard::Ready
            }
            Some(fault) => {
                cx.log(LogLevel::Err, format!("the job manager refused the scheduler: {fault}"));
                Heard::Nothing
            }
        }
    }

    /// A running job whose resources are not, or not all, ours to give: it must not go on beside another one. What could be
    /// retaken of them stays with it until the job manager frees it: its shells still have to be ended.
    pub fn lost(&self, cx: &mut Cx<'_>, id: u64, why: &str) {
        let note = format!("failed to reallocate R for running job: {why}");
        let body = json!({"id": id, "severity": 0, "type": "scheduler-restart", "note": note});
        cx.notify("job-manager.raise", Target::Any, body);
    }

    /// A job goes on with R.
    ///
    /// # Errors
    /// A sentence: another job has some of it.
    pub fn retake(&mut self, id: u64, r: &Value) -> Result<(), String> {
        let set = ResourceSet::from_value(r).map_err(|error| error.to_string())?;
        self.claims.take(id, set)
    }

    /// A job gives back these ranks, or all it has. Answers what it had of them: nothing that was another's.
    pub fn release(&mut self, id: u64, ranks: Option<&Idset>) -> ResourceSet {
        self.claims.release(id, ranks)
    }
}

/// R as `kvs.lookup` answers it: a `val` object with base64 text.
fn r_of(reply: &Message) -> Result<Value, String> {
    if let Some(fault) = Fault::of(reply) {
        return Err(fault.message());
    }
    let body = reply.payload.value().map_err(|error| error.to_string())?;
    let data = body.get("val").and_then(|val| val.get("data")).and_then(Value::as_str).ok_or("R is not a value")?;
    let bytes = STANDARD.decode(data).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}
