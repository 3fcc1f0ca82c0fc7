//! Learning what runs already (RFC 27).

use super::{SchedFluxion, Waiting, seconds};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_service::{Cx, Fault, LogLevel, Tag};
use flux_types::{Idset, JobId, JobIdForm, ResourceSet};
use flux_wire::{Errno, Message, Target};
use serde_json::{Value, json};

impl SchedFluxion {
    /// One answer for each job that holds resources, then ENODATA.
    pub(super) fn hello(&mut self, cx: &mut Cx<'_>, tag: Tag, reply: &Message) {
        if let Some(fault) = Fault::of(reply) {
            if fault.errno != Errno::ENODATA {
                cx.log(LogLevel::Err, format!("job-manager.sched-hello: {fault}"));
                return;
            }
            self.hello_done = true;
            return self.maybe_ready(cx);
        }
        self.waiting.insert(tag, Waiting::Hello);
        let Ok(body) = reply.decode::<Value>() else { return };
        let Some(id) = body["id"].as_u64() else { return };
        let freed = body["free"].as_str().and_then(|text| Idset::parse(text).ok()).unwrap_or_default();
        if body["R"].is_object() {
            return self.retake(cx, id, &body["R"], &freed);
        }
        let key = format!("{}.R", JobId(id).encode(JobIdForm::Kvs));
        let tag = cx.request("kvs.lookup", Target::Any, json!({"key": key, "namespace": "primary", "flags": 0}));
        self.waiting.insert(tag, Waiting::HelloR { id, freed });
        self.recovering += 1;
    }

    pub(super) fn hello_r(&mut self, cx: &mut Cx<'_>, id: u64, freed: &Idset, reply: &Message) {
        self.recovering -= 1;
        match r_of(reply) {
            Ok(r) => self.retake(cx, id, &r, freed),
            Err(why) => self.lost(cx, id, &why),
        }
        self.maybe_ready(cx);
    }

    fn retake(&mut self, cx: &mut Cx<'_>, id: u64, r: &Value, freed: &Idset) {
        let now = seconds(cx);
        let r = match without(r, freed) {
            Ok(Some(r)) => r,
            Ok(None) => return, // It has given everything back.
            Err(why) => return self.lost(cx, id, &why),
        };
        if let Some(fluxion) = &mut self.fluxion
            && let Err(error) = fluxion.update(id, &r, now)
        {
            self.lost(cx, id, &error.to_string());
        }
    }

    /// A running job whose resources are not ours to give: it must not go on beside another one.
    fn lost(&mut self, cx: &mut Cx<'_>, id: u64, why: &str) {
        let note = format!("failed to reallocate R for running job: {why}");
        let body = json!({"id": id, "severity": 0, "type": "scheduler-restart", "note": note});
        cx.notify("job-manager.raise", Target::Any, body);
    }

    fn maybe_ready(&mut self, cx: &mut Cx<'_>) {
        if self.hello_done && self.recovering == 0 && !self.ready {
            let tag = cx.request("job-manager.sched-ready", Target::Any, json!({"mode": "unlimited"}));
            self.waiting.insert(tag, Waiting::Ready);
        }
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
