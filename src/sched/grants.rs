//! Giving resources (RFC 27).

use crate::Handshake;
use crate::answer::{SUCCESS, deny};
use flux_service::{Cx, Durability, LogLevel, Tag, Transaction, TxnOp};
use flux_types::{JobId, JobIdForm, ResourceSet};
use flux_wire::Message;
use serde_json::{Value, json};

/// A job's resources, and what users shall know of how it got them.
pub struct Grant {
    pub id: u64,
    /// The cores and GPUs of R.
    pub set: ResourceSet,
    pub r: Value,
    /// R, encoded.
    pub text: String,
    pub annotations: Value,
}

/// Jobs that were given resources in this turn. All R go to the KVS in one commit and before any of the answers: what
/// follows them there, the alloc events, never stands without them.
#[derive(Default)]
pub(crate) struct Grants {
    ids: Vec<u64>,
    ops: Vec<TxnOp>,
    answers: Vec<(Message, Value)>,
}

impl Grants {
    fn push(&mut self, request: Message, grant: Grant) {
        let key = format!("{}.R", JobId(grant.id).encode(JobIdForm::Kvs));
        self.ids.push(grant.id);
        self.ops.push(TxnOp::put(key, grant.text.into_bytes()));
        let body = json!({"id": grant.id, "type": SUCCESS, "annotations": grant.annotations, "R": grant.r});
        self.answers.push((request, body));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Commits and answers. Returns the tag of the commit and the jobs it is for.
    pub(crate) fn send(self, cx: &mut Cx<'_>) -> (Tag, Vec<u64>) {
        let tag = Transaction { ops: self.ops, durability: Durability::Written }.commit(cx);
        self.answers.into_iter().for_each(|(request, body)| cx.respond(&request, body));
        (tag, self.ids)
    }
}

impl Handshake {
    /// A job is given resources; `flush` says so. False if some of them are in another job: that is a bug of the
    /// scheduler, and the job is refused rather than run beside the other one.
    pub fn grant(&mut self, cx: &mut Cx<'_>, request: Message, mut grant: Grant) -> bool {
        let set = std::mem::take(&mut grant.set);
        if let Err(why) = self.claims.take(grant.id, set) {
            let id = JobId(grant.id).encode(JobIdForm::F58);
            cx.log(LogLevel::Crit, format!("{id}: the scheduler gave out what is in use: {why}"));
            deny(cx, &request, grant.id, &format!("the scheduler erred: {why}"));
            return false;
        }
        self.grants.push(request, grant);
        true
    }
}
