//! Signals: `job-manager.kill` and `killall`. Shells listen to the event `shell-ID.kill`.

use flux_service::{Cx, Fault, Outcome};
use flux_types::{JobId, StateSet};
use flux_wire::{Errno, Message};
use serde::Deserialize;
use serde_json::json;

use super::JobManager;
use super::raise::authorize;
use crate::body::{WireId, WireUser, truth};

/// Signal numbers end below this (`NSIG`).
const SIGNALS_END: i64 = 65;

#[derive(Deserialize)]
struct Kill {
    id: WireId,
    signum: i64,
}

#[derive(Deserialize)]
struct KillAll {
    #[serde(deserialize_with = "truth")]
    dry_run: bool,
    userid: WireUser,
    signum: i64,
}

fn check(signum: i64) -> Result<(), Fault> {
    let good = (1..SIGNALS_END).contains(&signum);
    if good { Ok(()) } else { Err(Fault::new(Errno::EINVAL, "Invalid signal number")) }
}

fn publish(cx: &mut Cx<'_>, id: JobId, signum: i64) {
    cx.publish(format!("shell-{}.kill", id.0), json!({"signum": signum}));
}

impl JobManager {
    pub(super) fn kill(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: Kill = request.decode()?;
        check(body.signum)?;
        let job = self.active(body.id.id(), Errno::EINVAL)?;
        authorize(request.cred, job.userid, "guests may only send signals to their own jobs")?;
        if !StateSet::RUNNING.contains(job.state) {
            return Err(Fault::new(Errno::EINVAL, "job is not running"));
        }
        publish(cx, job.id, body.signum);
        cx.respond_empty(request);
        Ok(())
    }

    pub(super) fn kill_all(&mut self, cx: &mut Cx<'_>, request: &Message) -> Outcome {
        let body: KillAll = request.decode()?;
        authorize(request.cred, body.userid.0, "guests can only kill their own jobs")?;
        check(body.signum)?;
        let ids = self.matching(body.userid, |job| StateSet::RUNNING.contains(job.state));
        if !body.dry_run {
            ids.iter().for_each(|id| publish(cx, *id, body.signum));
        }
        cx.respond(request, json!({"count": ids.len(), "errors": 0}));
        Ok(())
    }
}
