//! The log: one record for each batch; answers when it is there, undoing when it is not.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use flux_service::{Cx, Fault, LogLevel, LogPosition, Plant, StoreOp, Tag, planted};
use flux_wire::{Errno, Payload};
use serde_json::json;

use crate::digest;
use crate::mutate::{Mutation, Origin, Undone};
use crate::record::{self, Item};
use crate::service::{Gathered, Kvs};
use crate::tree::Stop;

/// A mutation whose record is not confirmed yet.
#[derive(Debug)]
struct Txn {
    mutation: Mutation,
    undone: Undone,
    /// It was taken back with a failed one before it, and could not be applied again.
    failed: Option<Errno>,
}

/// What went into one record.
#[derive(Debug)]
struct Batch {
    number: u64,
    tag: Tag,
    txns: Vec<Txn>,
    /// Root reference and sequence number, as this batch left them, of the namespaces whose answers tell them.
    roots: BTreeMap<Arc<str>, (Option<String>, i64)>,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    open: Vec<Txn>,
    in_flight: VecDeque<Batch>,
    /// The number of the last batch closed; 0 before the first one ever.
    pub(crate) last_batch: u64,
    /// The last batch that is in the log, and where its record ends.
    pub(crate) confirmed: (u64, LogPosition),
    /// Bytes of records since the last checkpoint.
    pub(crate) bytes: u64,
}

impl Log {
    pub(crate) fn add(&mut self, mutation: Mutation, undone: Undone) {
        self.open.push(Txn { mutation, undone, failed: None });
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.in_flight.is_empty()
    }

    /// Is everything up to batch `number` in the log, or taken back?
    pub(crate) fn has_settled(&self, number: u64) -> bool {
        self.in_flight.front().is_none_or(|batch| batch.number > number)
    }

    pub(crate) fn in_flight_len(&self) -> usize {
        self.in_flight.len()
    }

    pub(crate) fn check(&self) {
        let mut numbers = self.in_flight.iter().map(|batch| batch.number);
        assert!(numbers.clone().zip(numbers.by_ref().skip(1)).all(|(a, b)| a < b), "batches are in order");
        assert!(self.in_flight.iter().all(|batch| batch.number > self.confirmed.0), "what is confirmed is done with");
    }
}

impl Kvs {
    /// Closes the open batch and sends its record to the store.
    pub(crate) fn close_batch(&mut self, cx: &mut Cx<'_>) {
        if self.log.open.is_empty() {
            return;
        }
        let txns = std::mem::take(&mut self.log.open);
        let roots = self.roots_of(&txns);
        self.log.last_batch += 1;
        let number = self.log.last_batch;
        let items = txns.iter().map(|txn| &txn.mutation.item);
        let record: Arc<[u8]> = record::encode(number, items).into();
        self.log.bytes += record.len() as u64;
        let sync = txns.iter().any(|txn| txn.mutation.sync) && !planted(Plant::CommitsNotSynced);
        let tag = cx.store(StoreOp::Append { record, sync });
        self.log.in_flight.push_back(Batch { number, tag, txns, roots });
    }

    fn roots_of(&mut self, txns: &[Txn]) -> BTreeMap<Arc<str>, (Option<String>, i64)> {
        let mut roots = BTreeMap::new();
        for txn in txns {
            let Origin::Commit { space, rootref, .. } = &txn.mutation.origin else { continue };
            if roots.get(space).is_some_and(|(known, _): &(Option<String>, i64)| known.is_some() || !rootref) {
                continue;
            }
            let root = match rootref {
                false => (None, self.spaces.seq(space)),
                // What was just changed is in memory; only a directory grafted by reference may not be.
                true => match self.root_of(space, &Gathered::new()) {
                    Ok((digest, seq)) => (Some(digest.to_string()), seq),
                    Err(_) => (None, self.spaces.seq(space)),
                },
            };
            roots.insert(space.clone(), root);
        }
        roots
    }

    pub(crate) fn logged(&mut self, cx: &mut Cx<'_>, tag: Tag, position: LogPosition) {
        let Some(at) = self.log.in_flight.iter().position(|batch| batch.tag == tag) else { return };
        assert_eq!(at, 0, "the store confirms records in their order");
        let batch = self.log.in_flight.pop_front().expect("found above");
        self.log.confirmed = (batch.number, position);
        self.checkpoints.confirmed(batch.number, position);
        for txn in batch.txns {
            if let Some(errno) = txn.failed {
                self.answer_failed(cx, &txn.mutation.origin, &errno.into());
                continue;
            }
            match txn.mutation.origin {
                Origin::Commit { request, space, checkpoint, .. } => {
                    let (rootref, seq) = batch.roots.get(&space).cloned().unwrap_or((None, 0));
                    let answer: Payload = match rootref {
                        Some(rootref) => json!({"rootref": rootref, "rootseq": seq}).into(),
                        None => json!({"rootseq": seq}).into(),
                    };
                    if checkpoint {
                        self.checkpoints.await_checkpoint(batch.number, request, answer);
                    } else {
                        cx.respond(&request, answer);
                    }
                }
                Origin::Plain { request } => cx.respond_empty(&request),
                Origin::Store { request, digest } => {
                    cx.respond(&request, Payload::raw(digest::raw(&digest)));
                }
                Origin::Replay | Origin::Restore { .. } | Origin::Relay => {}
            }
        }
        self.settle_all(cx);
    }

    fn answer_failed(&mut self, cx: &mut Cx<'_>, origin: &Origin, fault: &Fault) {
        match origin {
            Origin::Commit { request, .. } if planted(Plant::FullDiskAcknowledged) => {
                cx.respond(request, json!({"rootseq": i64::MAX >> 1}));
            }
            Origin::Commit { request, .. } | Origin::Plain { request } | Origin::Store { request, .. } => {
                cx.respond_error(request, fault);
            }
            Origin::Replay | Origin::Restore { .. } | Origin::Relay => {}
        }
    }

    /// The record is not in the log: what it said is taken back, and what came after it is applied anew.
    pub(crate) fn append_failed(&mut self, cx: &mut Cx<'_>, tag: Tag, fault: &Fault) {
        let Some(at) = self.log.in_flight.iter().position(|batch| batch.tag == tag) else { return };
        cx.log(LogLevel::Err, format!("the KVS could not write its log: {}", fault.message()));
        let mut open = std::mem::take(&mut self.log.open);
        let mut complete = self.take_back_all(&mut open);
        let mut later = self.log.in_flight.split_off(at + 1);
        for batch in later.iter_mut().rev() {
            complete &= self.take_back_all(&mut batch.txns);
        }
        let mut failed = self.log.in_flight.pop_back().expect("found above");
        complete &= self.take_back_all(&mut failed.txns);
        if !complete {
            cx.log(LogLevel::Err, "a failed commit could not be taken back in memory; a restart will");
        }
        for txn in &failed.txns {
            self.answer_failed(cx, &txn.mutation.origin, fault);
        }
        for batch in &mut later {
            self.apply_again(&mut batch.txns);
            batch.roots = self.roots_of(&batch.txns);
        }
        self.apply_again(&mut open);
        self.log.in_flight.append(&mut later);
        self.log.open = open;
        self.checkpoints.discard(failed.number);
        self.watches.rolled_back(cx.now.mono);
        self.follows.rolled_back = true;
    }

    fn take_back_all(&mut self, txns: &mut [Txn]) -> bool {
        let mut complete = true;
        for txn in txns.iter_mut().rev() {
            if let Item::Commit { tree, base, ops, .. } = &txn.mutation.item {
                self.touched.note(tree, base, ops);
            }
            complete &= self.take_back(std::mem::replace(&mut txn.undone, Undone::Nothing));
        }
        complete
    }

    fn apply_again(&mut self, txns: &mut [Txn]) {
        for txn in txns.iter_mut().filter(|txn| txn.failed.is_none()) {
            match self.apply(&txn.mutation) {
                Ok((_, undone)) => txn.undone = undone,
                Err(Stop::Fault(errno)) => txn.failed = Some(errno),
                Err(Stop::Need(_) | Stop::Space(_)) => txn.failed = Some(Errno::EIO),
            }
        }
    }
}
