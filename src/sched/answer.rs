//! Answers to `sched.alloc` (RFC 27).

use flux_service::Cx;
use flux_wire::Message;
use serde_json::{Value, json};

pub(crate) const SUCCESS: u32 = 0;
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
