//! What `flux gc` asks of the backing store. The collector itself is a client: it walks the tree, marks what it finds, and
//! has the rest swept away.

use std::sync::Arc;

use flux_service::{Completion, Cx, Fault, Outcome, StoreOp, Tag};
use flux_types::Blobref;
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::json;

use crate::limits::{MARK_HASHES_MAX, PENDING_MAX, SWEEP_DELETES_MAX, SWEEP_ROWS_MAX};
use crate::service::Kvs;

#[derive(Deserialize)]
struct Info {
    epoch: u64,
    #[serde(default)]
    get_count: bool,
}

#[derive(Deserialize)]
struct Mark {
    epoch: u64,
    hashes: Vec<String>,
}

#[derive(Deserialize)]
struct Sweep {
    epoch: u64,
    cursor: u64,
    high_water: u64,
    delete_cap: u32,
    window: u32,
}

impl Kvs {
    pub(crate) fn gc_info(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Info = request.decode()?;
        self.collect(cx, request, StoreOp::Horizon { below: body.get_count.then_some(body.epoch) })
    }

    pub(crate) fn gc_mark(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Mark = request.decode()?;
        if body.hashes.len() > MARK_HASHES_MAX {
            let text = format!("a request marks at most {MARK_HASHES_MAX} blobs");
            return Err(Fault::new(Errno::EINVAL, text));
        }
        let raw = |text: &String| match Blobref::parse(text) {
            Ok(blobref) => Ok(Arc::from(blobref.digest())),
            Err(error) => Err(Fault::new(Errno::EINVAL, error.to_string())),
        };
        let hashes = body.hashes.iter().map(raw).collect::<Result<_, _>>()?;
        self.collect(cx, request, StoreOp::Mark { epoch: body.epoch, hashes })
    }

    pub(crate) fn gc_sweep(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Sweep = request.decode()?;
        if body.delete_cap == 0 || body.window == 0 {
            return Err(Fault::new(Errno::EINVAL, "a sweep must look at something"));
        }
        let sweep = StoreOp::Sweep {
            epoch: body.epoch,
            cursor: body.cursor,
            last: body.high_water,
            deletes_max: body.delete_cap.min(SWEEP_DELETES_MAX),
            rows_max: body.window.min(SWEEP_ROWS_MAX),
        };
        self.collect(cx, request, sweep)
    }

    fn collect(&mut self, cx: &mut Cx<'_>, request: &Message, op: StoreOp) -> Outcome {
        if self.collecting.len() >= PENDING_MAX {
            return Err(Errno::EAGAIN.into());
        }
        let tag = cx.store(op);
        self.collecting.insert(tag, request.clone());
        Ok(())
    }

    pub(crate) fn collected(&mut self, cx: &mut Cx<'_>, tag: Tag, completion: &Completion) {
        let Some(request) = self.collecting.remove(&tag) else { return };
        let answer = match completion {
            Completion::Horizon { epoch, last, below } => {
                let mut answer = json!({"current_epoch": epoch, "high_water": last});
                if let Some(below) = below {
                    answer["candidates"] = (*below).into();
                }
                answer
            }
            Completion::Marked { count } => json!({"marked": count}),
            Completion::Swept { deleted, cursor } => json!({"deleted": deleted, "cursor": cursor}),
            other => panic!("no collector asked for {other:?}"),
        };
        cx.respond(&request, answer);
    }

    pub(crate) fn collecting_failed(&mut self, cx: &mut Cx<'_>, tag: Tag, fault: &Fault) {
        if let Some(request) = self.collecting.remove(&tag) {
            cx.respond_error(&request, fault);
        }
    }
}
