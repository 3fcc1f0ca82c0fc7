//! Answers to `sched.alloc` (RFC 27).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flux_service::{Cx, Tag};
use flux_types::{JobId, JobIdForm};
use flux_wire::{Message, Target};
use serde_json::{Value, json};

const SUCCESS: u32 = 0;
const ANNOTATE: u32 = 1;
const DENY: u32 = 2;
const CANCEL: u32 = 3;

/// The job will never get what it asks for.
pub fn deny(cx: &mut Cx<'_>, request: &Message, id: u64, note: &str) {
    cx.respond(request, json!({"id": id, "type": DENY, "note": note}));
}

/// The request is dropped, as was asked.
pub fn cancelled(cx: &mut Cx<'_>, request: &Message, id: u64) {
    cx.respond(request, json!({"id": id, "type": CANCEL}));
}

/// The job still waits; `annotations` are what users shall know of it. A null takes one back.
pub fn annotate(cx: &mut Cx<'_>, request: &Message, id: u64, annotations: Value) {
    cx.respond(request, json!({"id": id, "type": ANNOTATE, "annotations": annotations}));
}

/// Jobs that were given resources in this turn. All R go to the KVS in one commit and before any of the answers: what
/// follows them there, the alloc events, never stands without them.
#[derive(Default)]
pub struct Grants {
    ids: Vec<u64>,
    ops: Vec<Value>,
    answers: Vec<(Message, Value)>,
}

impl Grants {
    /// Job `id` gets R, which is `text` once encoded.
    pub fn push(&mut self, request: Message, id: u64, r: Value, text: &str, annotations: Value) {
        let key = format!("{}.R", JobId(id).encode(JobIdForm::Kvs));
        let dirent = json!({"data": STANDARD.encode(text), "type": "val", "ver": 1});
        self.ids.push(id);
        self.ops.push(json!({"key": key, "flags": 0, "dirent": dirent}));
        let body = json!({"id": id, "type": SUCCESS, "annotations": annotations, "R": r});
        self.answers.push((request, body));
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Commits and answers. Returns the tag of the commit and the jobs it is for.
    pub(crate) fn send(self, cx: &mut Cx<'_>) -> (Tag, Vec<u64>) {
        let body = json!({"namespace": "primary", "flags": 0, "ops": self.ops, "durability": "written"});
        let tag = cx.request("kvs.commit", Target::Any, body);
        self.answers.into_iter().for_each(|(request, body)| cx.respond(&request, body));
        (tag, self.ids)
    }
}
