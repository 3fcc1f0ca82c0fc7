//! Giving resources (RFC 27).

use crate::Handshake;
use crate::answer::{SUCCESS, deny};
use flux_service::{Cx, LogLevel};
use flux_types::{JobId, JobIdForm, ResourceSet};
use flux_wire::Message;
use serde_json::{Value, json};

/// A job's resources, and what users shall know of how it got them.
pub struct Grant {
    pub id: u64,
    /// The cores and GPUs of R.
    pub set: ResourceSet,
    pub r: Value,
    pub annotations: Value,
}

impl Handshake {
    /// A job is given resources. The job manager stores R, in one commit with the event that says so: neither ever stands without
    /// the other, whatever the disk does. False if some of them are in another job: that is a bug of the scheduler, and the job
    /// is refused rather than run beside the other one.
    pub fn grant(&mut self, cx: &mut Cx<'_>, request: &Message, mut grant: Grant) -> bool {
        let set = std::mem::take(&mut grant.set);
        if let Err(why) = self.claims.take(grant.id, set) {
            let id = JobId(grant.id).encode(JobIdForm::F58);
            cx.log(LogLevel::Crit, format!("{id}: the scheduler gave out what is in use: {why}"));
            deny(cx, request, grant.id, &format!("the scheduler erred: {why}"));
            return false;
        }
        let Grant { id, r, annotations, .. } = grant;
        cx.respond(request, json!({"id": id, "type": SUCCESS, "annotations": annotations, "R": r}));
        true
    }
}
