//! Annotations (RFC 27) and memos (RFC 21): what scheduler and user say about a job.

use flux_service::{Cx, Fault, Outcome};
use flux_types::JobId;
use flux_wire::{Errno, Message, Payload};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::JobManager;
use super::event::context;
use super::raise::authorize;
use crate::body::{WireId, truth};
use crate::limits::MEMO_LEN_MAX;
use crate::state::merge;

#[derive(Deserialize)]
struct Memo {
    id: WireId,
    #[serde(default, deserialize_with = "truth")]
    volatile: bool,
    memo: Map<String, Value>,
}

impl JobManager {
    pub(super) fn annotate(&mut self, cx: &mut Cx<'_>, id: JobId, updates: Map<String, Value>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        merge(&mut job.annotations, &updates);
        let now = if job.annotations.is_empty() { Value::Null } else { Value::Object(job.annotations.clone()) };
        self.post_volatile(cx, id, "annotations", context([("annotations", now)]));
    }

    /// Drops the annotations under `key`, or all; listeners hear of it when none are left.
    pub(super) fn clear_annotations(&mut self, cx: &mut Cx<'_>, id: JobId, key: Option<&str>) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| !job.annotations.is_empty()) else { return };
        match key {
            Some(key) => drop(job.annotations.shift_remove(key)),
            None => job.annotations.clear(),
        }
        if job.annotations.is_empty() {
            self.post_volatile(cx, id, "annotations", context([("annotations", Value::Null)]));
        }
    }

    pub(super) fn memo(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Memo = request.decode()?;
        let id = body.id.id();
        let job = self.active(id, Errno::ENOENT)?;
        authorize(request.cred, job.userid, "guests can only add a memo to their own jobs")?;
        let len = serde_json::to_vec(&body.memo).map_or(0, |text| text.len());
        if len > MEMO_LEN_MAX {
            return Err(Fault::new(Errno::EMSGSIZE, format!("the memo is over the limit of {MEMO_LEN_MAX} bytes")));
        }
        if body.volatile {
            self.post_volatile(cx, id, "memo", Some(body.memo));
            cx.respond_empty(request);
        } else {
            self.post(cx, id, "memo", Some(body.memo));
            self.ordered(cx, request, Payload::None);
        }
        Ok(())
    }
}
