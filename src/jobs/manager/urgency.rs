//! `job-manager.urgency` (RFC 30): who may go first.

use flux_service::{Cx, Fault, Outcome};
use flux_types::Urgency;
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::json;

use super::JobManager;
use super::event::context;
use super::raise::authorize;
use crate::body::WireId;
use crate::state::priority;

/// RFC 30.
const HOLD: i64 = Urgency::HOLD.get() as i64;
const DEFAULT: i64 = Urgency::DEFAULT.get() as i64;
const EXPEDITE: i64 = Urgency::EXPEDITE.get() as i64;

/// The priority that an urgency gives: hold and expedite are the ends, else it is the urgency itself.
pub(super) fn priority_of(urgency: i64) -> i64 {
    match urgency {
        HOLD => priority::MIN,
        EXPEDITE => priority::MAX,
        other => other,
    }
}

#[derive(Deserialize)]
struct Change {
    id: WireId,
    urgency: i64,
}

impl JobManager {
    pub(super) fn urgency(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Change = request.decode()?;
        if !(HOLD..=EXPEDITE).contains(&body.urgency) {
            return Err(Fault::new(Errno::EINVAL, "urgency value is out of range"));
        }
        let id = body.id.id();
        let job = self.active(id, Errno::EINVAL)?;
        authorize(request.cred, job.userid, "guests can only reprioritize their own jobs")?;
        if !request.cred.is_owner() && body.urgency > DEFAULT.max(job.urgency) {
            return Err(Fault::new(Errno::EPERM, "guests can only adjust urgency <= default"));
        }
        if job.has_resources {
            return Err(Fault::new(Errno::EINVAL, "urgency cannot be changed once resources are allocated"));
        }
        let old = job.urgency;
        let change = [("userid", json!(request.cred.userid)), ("urgency", json!(body.urgency))];
        self.post(cx, id, "urgency", context(change));
        cx.respond(request, json!({"old_urgency": old}));
        Ok(())
    }
}
