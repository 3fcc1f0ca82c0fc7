//! What the leader has begun: a mark for each job, from before its shells are asked for until its end is stored (ADR 1).
//!
//! Shells start before the store has the events that say so (ADR 2). If the broker is killed in between, the job is in the queue
//! again when it is back, and would be started a second time. The marks tell: such a job ends with an exception.

use flux_service::{Completion, Cx, FileOp};
use flux_types::JobId;
use flux_wire::Message;
use serde_json::json;

use super::leader::STATUS_UNKNOWN;
use super::recover::Step;
use super::{JobExec, Pending};

fn all(cx: &Cx<'_>) -> String {
    format!("{}/begun", cx.node.rundir)
}

impl JobExec {
    fn begun_mark(cx: &Cx<'_>, plain_id: &str) -> String {
        format!("{}/{plain_id}", all(cx))
    }

    /// The leader makes its directory, and lists it.
    pub(super) fn recover_begun(&mut self, cx: &mut Cx<'_>) {
        if cx.node.rank.is_root() {
            let path = all(cx);
            self.step(cx, FileOp::MakeDir { path, mode: 0o700 }, Step::BegunDirectory);
        }
    }

    pub(super) fn list_begun(&mut self, cx: &mut Cx<'_>) {
        let path = all(cx);
        self.step(cx, FileOp::List { path }, Step::BegunNames);
    }

    pub(super) fn on_begun_names(&mut self, names: &[String]) {
        self.recovery.begun = names.iter().filter_map(|name| JobId::parse(name).ok()).collect();
    }

    /// The shells of a job are asked for, once it is marked as begun.
    pub(super) fn begin(&mut self, cx: &mut Cx<'_>, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        if cx.node.statedir.is_none() {
            return self.launch_parts(cx, id);
        }
        let path = Self::begun_mark(cx, &job.plain_id());
        let tag = cx.file(FileOp::Mark { path });
        self.pending.insert(tag, Pending::Begun(id));
    }

    /// It is marked; or it cannot be, and a job that could be started twice does not run.
    pub(super) fn on_begun(&mut self, cx: &mut Cx<'_>, id: JobId, completion: &Completion) {
        let Some(job) = self.jobs.get(&id) else { return };
        let (shells, killed) = (job.parts.len(), job.killing.is_some());
        if let Completion::Failed(fault) = completion {
            self.raise(cx, id, 0, "exec", &fault.message(), None);
        } else if !killed {
            return self.launch_parts(cx, id);
        }
        for shell in 0..shells {
            self.shell_ended(cx, id, shell, STATUS_UNKNOWN);
        }
    }

    /// The job is over, and stored as such.
    pub(super) fn unmark_begun(&mut self, cx: &mut Cx<'_>, plain_id: &str) {
        if cx.node.statedir.is_some() {
            cx.file(FileOp::Remove { path: Self::begun_mark(cx, plain_id) });
        }
    }

    /// The manager asks for a job as if for the first time. `true`: it is not, and is ended.
    pub(super) fn was_begun(&mut self, cx: &mut Cx<'_>, request: &Message, id: JobId, is_new: bool) -> bool {
        if !self.recovery.begun.remove(&id) || !is_new {
            return false;
        }
        let note = "the broker was killed before it could store that the job was started: it is not started again";
        for (kind, data) in [
            ("exception", json!({"severity": 0, "type": "exec", "note": note})),
            ("release", json!({"ranks": "all", "final": true})),
        ] {
            cx.respond(request, json!({"id": id.0, "type": kind, "data": data}));
        }
        self.unmark_begun(cx, &id.encode(flux_types::JobIdForm::F58Plain));
        true
    }
}
