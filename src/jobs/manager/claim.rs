//! The resource service's word before a job runs: whether what the scheduler gave it is in another job.

use flux_service::{Cx, Fault, Tag};
use flux_types::{Idset, JobId, ResourceSet};
use flux_wire::{Errno, Message, Target};
use serde_json::{Value, json};

use super::alloc::AllocReply;
use super::raise::Exception;
use super::{JobManager, Pending};

/// R that a job was given and does not run on yet.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) id: JobId,
    pub(super) reply: AllocReply,
    pub(super) resources: Value,
    /// R as it is to be stored, with what the scheduler keeps in it for itself.
    pub(super) text: String,
}

impl JobManager {
    pub(super) fn send_claim(&mut self, cx: &mut Cx<'_>, claim: Claim) {
        let body = json!({"id": claim.id.0, "R": claim.resources});
        let tag = cx.request("resource.claim", Target::Any, body);
        self.pending.insert(tag, Pending::Claim(Box::new(claim)));
    }

    pub(super) fn on_claimed(&mut self, cx: &mut Cx<'_>, claim: Claim, reply: &Message) {
        let waits = self.jobs.get(&claim.id).is_some_and(|job| job.alloc_pending);
        match Fault::of(reply).filter(|fault| fault.errno == Errno::EEXIST) {
            None if waits => self.alloc_success(cx, claim),
            None => self.return_unused(cx, claim.id, &claim.resources),
            // The scheduler forgets the job; what it would give away once more is refused once more.
            Some(fault) if waits => {
                cx.notify("sched.free", Target::Any, json!({"id": claim.id.0, "R": claim.resources, "final": true}));
                self.clear_annotations(cx, claim.id, None);
                self.unsend(claim.id);
                let (note, owner) = (fault.message(), Some(cx.node.owner));
                self.raise(cx, claim.id, &Exception { userid: owner, ..Exception::new("alloc", 0, &note) });
            }
            Some(_) => {}
        }
    }

    /// The job was cancelled while the scheduler answered: the resources go straight back.
    fn return_unused(&mut self, cx: &mut Cx<'_>, id: JobId, resources: &Value) {
        self.send_release(cx, id, None);
        cx.notify("sched.free", Target::Any, json!({"id": id.0, "R": resources, "final": true}));
    }

    /// What a job of an earlier life of the broker runs on.
    pub(super) fn claim_again(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get(&id).filter(|job| !job.bypasses() && job.has_resources) else { return };
        if let Some(resources) = &job.resources {
            let tag: Tag = cx.request("resource.claim", Target::Any, json!({"id": id.0, "R": **resources}));
            self.pending.insert(tag, Pending::Ignore);
        }
    }

    /// What housekeeping of an earlier life holds.
    pub(super) fn claim_set(&mut self, cx: &mut Cx<'_>, id: JobId, set: &ResourceSet) {
        let tag: Tag = cx.request("resource.claim", Target::Any, json!({"id": id.0, "R": set.to_value()}));
        self.pending.insert(tag, Pending::Ignore);
    }

    /// A job has given back these ranks, or all it had.
    pub(super) fn send_release(&self, cx: &mut Cx<'_>, id: JobId, ranks: Option<&Idset>) {
        let body = match ranks {
            None => json!({"id": id.0}),
            Some(ranks) => json!({"id": id.0, "ranks": ranks.to_string()}),
        };
        cx.notify("resource.release", Target::Any, body);
    }
}
